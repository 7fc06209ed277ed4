//! Keys as dalek wants them, for judging a signature that comes alone: a few thousand of those met last.
//!
//! A cold key is kept as 64 bytes, from which dalek could only make its point by a square root, a third of the whole
//! verification; dalek's own form takes 192 bytes and more, too many for every key of ten million. So the keys that were
//! registered or used alone of late are kept in that form as well. A key's place follows from its bytes: whoever makes keys
//! that push others out makes them cost what every key would cost without this, and changes no verdict.

use std::sync::{Mutex, PoisonError};

use ed25519_dalek::VerifyingKey;

/// Places: at most a megabyte.
const PLACES: usize = 1 << 12;

/// The keys met last.
pub(super) struct Decompressed {
    places: Vec<Mutex<Option<Box<VerifyingKey>>>>,
}

impl Decompressed {
    /// Without keys.
    pub(super) fn new() -> Self {
        Self {
            places: (0..PLACES).map(|_| Mutex::new(None)).collect(),
        }
    }

    /// Keeps a key.
    pub(super) fn keep(&self, key: &VerifyingKey) {
        *self.place(key.as_bytes()) = Some(Box::new(*key));
    }

    /// The key of these bytes, decompressed again if it is not here.
    ///
    /// # Panics
    /// If the bytes are no point: every key here passed rule 3.
    pub(super) fn get(&self, bytes: &[u8; 32]) -> VerifyingKey {
        let mut place = self.place(bytes);
        match place.as_deref() {
            Some(key) if key.as_bytes() == bytes => *key,
            _ => {
                let key = VerifyingKey::from_bytes(bytes).expect("a key of rule 3 is a point");
                *place = Some(Box::new(key));
                key
            }
        }
    }

    /// Honest keys are spread evenly by their lowest bytes.
    fn place(&self, bytes: &[u8; 32]) -> std::sync::MutexGuard<'_, Option<Box<VerifyingKey>>> {
        let at = usize::from(u16::from_le_bytes([bytes[0], bytes[1]])) % PLACES;
        self.places[at].lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::SecretKey;

    #[test]
    #[cfg_attr(miri, ignore = "hundreds of keys take hours")]
    fn keys_that_share_a_place_push_each_other_out_and_stay_themselves() {
        let all = Decompressed::new();
        // Enough for some to share a place, as people share birthdays.
        let keys: Vec<VerifyingKey> = (0..300_u32)
            .map(|number| {
                let mut seed = [9; 32];
                seed[..4].copy_from_slice(&number.to_le_bytes());
                *SecretKey::from_seed(seed).public().verifying_key()
            })
            .collect();
        keys.iter().for_each(|key| all.keep(key));
        let kept = |key: &VerifyingKey| all.place(key.as_bytes()).as_deref() == Some(key);
        let lost: Vec<&VerifyingKey> = keys.iter().filter(|key| !kept(key)).collect();
        assert!(!lost.is_empty());
        for key in lost {
            assert_eq!(all.get(key.as_bytes()), *key);
            assert!(kept(key), "it has its place again");
        }
    }
}
