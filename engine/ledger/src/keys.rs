//! Which keys have passed rule 3.

use std::collections::BTreeSet;

use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_types::KeyBytes;

/// Remembers the keys that were checked lately: payments go to few keys, and a check costs as much as a signature.
///
/// It only saves work. What it answers does not depend on what it has seen.
#[derive(Clone, Debug, Default)]
pub struct KeyCache {
    checked: BTreeSet<KeyBytes>,
}

impl KeyCache {
    /// How many keys are remembered before all are forgotten.
    const CAPACITY: usize = 1 << 16;

    /// An empty cache.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            checked: BTreeSet::new(),
        }
    }

    /// Checks `key` by rule 3.
    ///
    /// # Errors
    /// [`KeyError`].
    pub fn check(&mut self, key: KeyBytes) -> Result<(), KeyError> {
        if self.checked.contains(&key) {
            return Ok(());
        }
        PublicKey::register(key)?;
        if self.checked.len() >= Self::CAPACITY {
            self.checked.clear();
        }
        self.checked.insert(key);
        Ok(())
    }
}
