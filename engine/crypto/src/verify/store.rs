//! The keys that a verifier knows. A handle is an index given out once: it is never reused, so whatever is kept for it
//! (a decompressed point, a table) can never serve another key.

use std::hash::{BuildHasher, RandomState};

use ed25519_dalek::VerifyingKey;
use hashbrown::HashTable;

use crate::keys::PublicKey;

/// A registered key of one [`super::Verifier`]: numbered from 0 in the order of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHandle(u32);

impl KeyHandle {
    /// The number.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// Keys by handle and handles by key.
pub(super) struct Store {
    keys: Vec<VerifyingKey>,
    handles: HashTable<u32>,
    /// Keyed at random: the keys are chosen by strangers, who must not be able to make them collide. Only look-ups are
    /// made, so no result depends on it.
    hasher: RandomState,
}

impl Store {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            handles: HashTable::new(),
            hasher: RandomState::new(),
        }
    }

    /// The handle of `key`, an old one if its bytes are known.
    pub(super) fn register(&mut self, key: &PublicKey) -> KeyHandle {
        let (keys, hasher) = (&self.keys, &self.hasher);
        let key = key.verifying_key();
        let hash = hasher.hash_one(key.as_bytes());
        let rehash = |at: &u32| hasher.hash_one(keys[*at as usize].as_bytes());
        let entry = self.handles.entry(hash, |at| keys[*at as usize] == *key, rehash);
        let next = u32::try_from(keys.len()).expect("memory ends before 2^32 keys do");
        let handle = *entry.or_insert(next).get();
        if handle == next {
            self.keys.push(*key);
        }
        KeyHandle(handle)
    }

    /// The key of a handle of this store.
    ///
    /// # Panics
    /// On a handle of another verifier that is out of range here.
    pub(super) fn key(&self, handle: KeyHandle) -> &VerifyingKey {
        &self.keys[handle.0 as usize]
    }
}
