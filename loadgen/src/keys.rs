//! Keys and choices from a seed: whoever knows profile and seed can make every key of a run again.
//!
//! ```text
//! stream(seed, purpose, index) = ChaCha8, key seed ‖ purpose ‖ 0…, stream number index
//! ```
//!
//! These keys are declared synthetic: they guard no money, and nothing here is secret from who knows the seed.

use std::sync::OnceLock;

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::SecretKey;
use tidegate_session::NoiseSecret;

use crate::profile::{Population, Profile};

/// What a stream of random numbers is for. Numbers are frozen: a workload is made again from them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u64)]
pub enum Purpose {
    /// The seed of client key `index`.
    ClientKey = 1,
    /// The seed of the identity of connection `index`.
    Connection = 2,
    /// Who pays whom.
    Parties = 3,
    /// How much.
    Amounts = 4,
    /// The id of payment `index`.
    PaymentId = 5,
    /// Which channels have all their receipts checked.
    Sample = 6,
    /// The gaps between random arrivals.
    Arrivals = 7,
    /// The nonces of the states of channel `index`.
    Nonces = 8,
}

/// The random numbers of one purpose and index.
#[must_use]
pub fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&(purpose as u64).to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

fn secret_seed(seed: u64, purpose: Purpose, index: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    stream(seed, purpose, index).fill_bytes(&mut bytes);
    bytes
}

fn secret(seed: u64, purpose: Purpose, index: u64) -> SecretKey {
    SecretKey::from_seed(secret_seed(seed, purpose, index))
}

/// What client key `index` is made from.
#[must_use]
pub(crate) fn client_seed(seed: u64, index: u32) -> [u8; 32] {
    secret_seed(seed, Purpose::ClientKey, index.into())
}

/// The key that signs for the channels of key number `index`.
#[must_use]
pub fn client_key(seed: u64, index: u32) -> SecretKey {
    secret(seed, Purpose::ClientKey, index.into())
}

/// The identity of connection `index`: the delegate of every channel that it carries.
#[must_use]
pub fn connection_key(seed: u64, index: u32) -> SecretKey {
    secret(seed, Purpose::Connection, index.into())
}

/// The Noise key of a run. Nothing rests on it but the secrecy of its sessions.
#[must_use]
pub fn noise_key(seed: u64) -> NoiseSecret {
    let mut bytes = [0; 32];
    stream(seed, Purpose::Connection, u64::MAX).fill_bytes(&mut bytes);
    NoiseSecret::from_bytes(bytes)
}

impl Population {
    /// The key of channel `channel`.
    #[must_use]
    pub const fn key_of(&self, channel: u32) -> u32 {
        channel % self.keys
    }

    /// The connection that carries channel `channel`.
    #[must_use]
    pub const fn connection_of(&self, channel: u32) -> u32 {
        if self.keys >= self.connections {
            self.key_of(channel) % self.connections
        } else {
            channel % self.connections
        }
    }
}

/// The client keys of a run, each made when it is first needed: a key costs as much as a signature.
#[derive(Debug)]
pub struct ClientKeys {
    seed: u64,
    keys: Vec<OnceLock<Box<SecretKey>>>,
}

impl ClientKeys {
    /// The keys of a profile.
    #[must_use]
    pub fn new(profile: &Profile, seed: u64) -> Self {
        let keys = (0..profile.population.keys).map(|_| OnceLock::new()).collect();
        Self { seed, keys }
    }

    /// Key number `index`.
    ///
    /// # Panics
    /// When there is no such key.
    #[must_use]
    pub fn get(&self, index: u32) -> &SecretKey {
        self.keys[index as usize].get_or_init(|| Box::new(client_key(self.seed, index)))
    }
}

/// What meets the hash lock of a payment: whoever knows a run's seed and the payment's id can make it.
pub(crate) fn preimage(seed: u64, payment_id: &[u8; 16]) -> [u8; 32] {
    let mut bytes = *b"preimage--------................";
    bytes[8..16].copy_from_slice(&seed.to_le_bytes());
    bytes[16..].copy_from_slice(payment_id);
    payment_hash(&bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_follows_from_seed_purpose_and_index_and_from_nothing_else() {
        let key = |seed, purpose, index| secret(seed, purpose, index).public().bytes();
        let one = key(1, Purpose::ClientKey, 5);
        assert_eq!(one, client_key(1, 5).public().bytes());
        assert_ne!(one, key(2, Purpose::ClientKey, 5));
        assert_ne!(one, key(1, Purpose::Connection, 5));
        assert_ne!(one, key(1, Purpose::ClientKey, 6));
    }

    #[test]
    fn channels_of_one_key_share_a_connection_when_keys_suffice() {
        let many = Population {
            keys: 8,
            channels: 32,
            connections: 4,
        };
        for channel in 0..32 {
            assert_eq!(many.connection_of(channel), many.connection_of(many.key_of(channel)));
        }
        let few = Population {
            keys: 2,
            channels: 32,
            connections: 4,
        };
        assert_eq!(
            [0, 1, 2, 3, 4].map(|channel| few.connection_of(channel)),
            [0, 1, 2, 3, 0]
        );
    }
}
