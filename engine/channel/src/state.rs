//! The client's half state `C` (section 3 of the rules).
//!
//! ```text
//! channel 32 | c 8 | debit 8 | Σ out-locks 8 | root of out-locks 32 | ack: h 8, digest 32 | operations 32    160 bytes
//! ```
//!
//! `operations` is the digest of the operations that led here, so that one signature covers them too.

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::merkle::LockTree;
use tidegate_crypto::signed::{SignedKind, SignedMessage, signed_message};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{Amount, ChannelId, ClientCounter, Digest, Fixed, LedgerId, SignatureBytes, fixed_struct};

use crate::{LeafRef, StateRef};

/// All that the client owes on a channel, as of counter `c`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClientState {
    /// The channel.
    pub channel: ChannelId,
    /// The counter `c`.
    pub counter: ClientCounter,
    /// Total debit `D`; never falls.
    pub debit: Amount,
    /// Σ of the open out-locks, each with its fee.
    pub locks_sum: Amount,
    /// Root of the open out-locks by slot.
    pub locks_root: Digest,
    /// The leaf that this state acknowledges; never falls, may lag.
    pub ack: LeafRef,
    /// Digest of the operations that this state carries.
    pub operations: Digest,
}
fixed_struct!(ClientState {
    channel: ChannelId,
    counter: ClientCounter,
    debit: Amount,
    locks_sum: Amount,
    locks_root: Digest,
    ack: LeafRef,
    operations: Digest,
});

/// Whole blocks of the hash function, so that many states can be hashed side by side.
const HASHED_LEN: usize = 192;
const _: () = assert!(ClientState::LEN <= HASHED_LEN);

impl ClientState {
    /// The digest by which leaves and stored answers name this state.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::ClientState, &self.preimage())
    }

    /// What [`ClientState::digest`] hashes.
    pub(crate) fn preimage(&self) -> [u8; HASHED_LEN] {
        let mut bytes = [0; HASHED_LEN];
        self.encode_into(&mut bytes[..Self::LEN]);
        bytes
    }

    /// Counter and digest.
    #[must_use]
    pub fn reference(&self) -> StateRef {
        StateRef {
            counter: self.counter,
            digest: self.digest(),
        }
    }

    /// The byte string that the client signs.
    #[must_use]
    pub fn message(&self, ledger: &LedgerId) -> SignedMessage {
        let mut body = [0; Self::LEN];
        self.encode_into(&mut body);
        signed_message(ledger, SignedKind::ClientState, &body)
    }

    /// The client's signature.
    #[must_use]
    pub fn sign(&self, ledger: &LedgerId, key: &SecretKey) -> SignatureBytes {
        key.sign(self.message(ledger).as_slice())
    }

    /// The verdict of rule 4 on a signature of this state.
    #[must_use]
    pub fn verify(&self, ledger: &LedgerId, key: &PublicKey, signature: &SignatureBytes) -> Verdict {
        verify(key, self.message(ledger).as_slice(), signature)
    }
}

/// `C(0)`: what follows from the funding output alone. It is never signed and acknowledges nothing.
#[must_use]
pub fn opening_state(channel: ChannelId) -> ClientState {
    ClientState {
        channel,
        counter: ClientCounter::ZERO,
        debit: Amount::ZERO,
        locks_sum: Amount::ZERO,
        locks_root: LockTree::empty_root(),
        ack: LeafRef {
            counter: tidegate_types::HubCounter::ZERO,
            digest: Digest::ZERO,
        },
        operations: Digest::ZERO,
    }
}
