//! Keys, tables and batches of one path.
//!
//! One reader-writer lock stands around the keys and tables. No guard lives across a rayon call, the building of a table or
//! another lock, so whoever holds it only computes for a bounded time (at most one chunk of a batch) and then lets go. That is
//! why nothing here can deadlock, not even when a rayon worker that waits for its half of a batch steals the maintenance
//! task. Tables are built outside the lock and published by moving a box behind it.

use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};

use super::engine::{Engine, Job};
use super::store::{KeyHandle, Promotion, Store};
use super::{Item, Maintenance, Verdict};
use crate::keys::PublicKey;

/// Everything that a [`super::Verifier`] does, on path E.
pub(super) struct Pool<E: Engine> {
    engine: E,
    store: RwLock<Store<E>>,
    /// Keys that earned a table since the last maintenance, at most [`CANDIDATES`].
    candidates: Mutex<Vec<u32>>,
    /// Held by the one maintenance that may run.
    maintenance: Mutex<()>,
    /// Uses are counted in epochs; only maintenance turns the page.
    epoch: AtomicU8,
    /// Verifications of this epoch.
    verified: AtomicUsize,
}

/// Bounds of the items that one task judges: many share one inversion, few let the cores finish together.
const CHUNK_MIN: usize = 64;
const CHUNK_MAX: usize = 512;
/// Tasks per thread that a batch is cut into.
const TASKS: usize = 4;
/// Candidates that are remembered; what comes beyond them comes again when it has earned more.
const CANDIDATES: usize = 1 << 16;
/// The shortest epoch, in verifications.
const EPOCH_MIN: usize = 1 << 16;
/// Tables that are built before they are published together.
const BUILT_AT_ONCE: usize = 8;

impl<E: Engine> Pool<E> {
    pub(super) fn new(engine: E, budget: usize) -> Self {
        Self {
            engine,
            store: RwLock::new(Store::new(budget)),
            candidates: Mutex::default(),
            maintenance: Mutex::default(),
            epoch: AtomicU8::new(0),
            verified: AtomicUsize::new(0),
        }
    }

    pub(super) fn register(&self, key: &PublicKey) -> KeyHandle {
        if let Some(handle) = self.read().find(key) {
            return handle;
        }
        let kept = self.engine.key(key);
        self.write().register(key, kept)
    }

    pub(super) fn verify_batch(&self, items: &[Item<'_>], verdicts: &mut [Verdict]) {
        if items.len() <= CHUNK_MIN {
            // One task: handing it to another thread costs more than it does.
            self.verify_chunk(items, verdicts);
            return;
        }
        let tasks = TASKS * rayon::current_num_threads();
        let chunk = items
            .len()
            .div_ceil(tasks)
            .next_multiple_of(16)
            .clamp(CHUNK_MIN, CHUNK_MAX);
        items
            .par_chunks(chunk)
            .zip(verdicts.par_chunks_mut(chunk))
            .for_each(|(items, verdicts)| self.verify_chunk(items, verdicts));
    }

    /// Judges a few items on this thread.
    pub(super) fn verify_chunk(&self, items: &[Item<'_>], verdicts: &mut [Verdict]) {
        let mut valid = vec![false; items.len()];
        let risen = self.judge(items, &mut valid);
        for (verdict, valid) in verdicts.iter_mut().zip(valid) {
            *verdict = valid.into();
        }
        self.verified.fetch_add(items.len(), Ordering::Relaxed);
        if !risen.is_empty() {
            let mut candidates = self.candidates.lock().unwrap_or_else(PoisonError::into_inner);
            let room = CANDIDATES.saturating_sub(candidates.len());
            candidates.extend(risen.into_iter().take(room));
        }
    }

    /// The part under the read lock. Gives the keys that have become candidates.
    fn judge(&self, items: &[Item<'_>], valid: &mut [bool]) -> Vec<u32> {
        let epoch = self.epoch.load(Ordering::Relaxed);
        let store = self.read();
        let mut risen = Vec::new();
        let mut jobs: Vec<Job<'_, E>> = Vec::with_capacity(items.len());
        for item in items {
            if store.touch(item.key, epoch) {
                risen.push(item.key.index());
            }
            let (key, table) = (store.key(item.key), store.table(item.key));
            jobs.push(Job {
                key,
                table,
                message: item.message,
                signature: item.signature,
            });
        }
        self.engine.judge(&jobs, valid);
        risen
    }

    pub(super) fn maintain(&self, budget: usize) -> Maintenance {
        let _only = match self.maintenance.try_lock() {
            Ok(guard) => guard,
            Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
            Err(TryLockError::WouldBlock) => return Maintenance::default(),
        };
        let epoch = self.turn_epoch();
        let promotions = self.promotions(budget, epoch);
        let mut done = Maintenance::default();
        for hot in [true, false] {
            let chosen: Vec<&Promotion> = promotions.iter().filter(|promotion| promotion.hot == hot).collect();
            for some in chosen.chunks(BUILT_AT_ONCE) {
                self.build(some, hot, epoch, &mut done);
            }
        }
        done.table_bytes = self.read().table_bytes();
        done
    }

    fn turn_epoch(&self) -> u8 {
        let length = EPOCH_MIN.max(4 * self.read().len());
        let epoch = self.epoch.load(Ordering::Relaxed);
        if self.verified.load(Ordering::Relaxed) < length {
            return epoch;
        }
        self.verified.store(0, Ordering::Relaxed);
        let next = epoch.wrapping_add(1);
        self.epoch.store(next, Ordering::Relaxed);
        next
    }

    /// The most used candidates, at most `budget`; the others stay candidates.
    fn promotions(&self, budget: usize, epoch: u8) -> Vec<Promotion> {
        let mut keys = core::mem::take(&mut *self.candidates.lock().unwrap_or_else(PoisonError::into_inner));
        keys.sort_unstable();
        keys.dedup();
        let mut promotions: Vec<Promotion> = {
            let store = self.read();
            keys.into_iter().filter_map(|key| store.promotion(key, epoch)).collect()
        };
        promotions.sort_unstable_by_key(|promotion| (core::cmp::Reverse(promotion.uses), promotion.key));
        let rest = promotions.split_off(budget.min(promotions.len()));
        let mut candidates = self.candidates.lock().unwrap_or_else(PoisonError::into_inner);
        candidates.extend(rest.into_iter().map(|promotion| promotion.key));
        promotions
    }

    /// Builds tables without the lock, then publishes them behind it.
    fn build(&self, promotions: &[&Promotion], hot: bool, epoch: u8, done: &mut Maintenance) {
        let keys: Vec<E::Key> = {
            let store = self.read();
            promotions
                .iter()
                .map(|promotion| store.promoted_key(promotion))
                .collect()
        };
        let (mut hot_tables, mut warm_tables) = (Vec::new(), Vec::new());
        if hot {
            hot_tables = self.engine.hot_tables(&keys)
        } else {
            warm_tables = self.engine.warm_tables(&keys)
        }
        let mut store = self.write();
        let hot = promotions
            .iter()
            .zip(hot_tables)
            .map(|(promotion, table)| (promotion, Some(table), None));
        let warm = promotions
            .iter()
            .zip(warm_tables)
            .map(|(promotion, table)| (promotion, None, Some(table)));
        for (promotion, hot, warm) in hot.chain(warm) {
            let placed = match (hot, warm) {
                (Some(table), _) => store.place_hot(promotion, table, epoch),
                (_, Some(table)) => store.place_warm(promotion, table, epoch),
                (None, None) => None,
            };
            done.built += usize::from(placed.is_some());
            done.evicted += usize::from(placed == Some(true));
        }
    }

    pub(super) fn name(&self) -> &'static str {
        self.engine.name()
    }

    /// A panic while the lock is held leaves the store whole (a handle out of range, an allocation that failed), so
    /// poison says nothing.
    fn read(&self) -> RwLockReadGuard<'_, Store<E>> {
        self.store.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Store<E>> {
        self.store.write().unwrap_or_else(PoisonError::into_inner)
    }
}
