//! Keys, tables and batches of one path.
//!
//! One reader-writer lock stands around the keys and tables. No guard lives across a rayon call, the building of a table or
//! another lock, so whoever holds it only computes for a bounded time (at most one chunk of a batch) and then lets go. That is
//! why nothing here can deadlock, not even when a rayon worker that waits for its half of a batch steals the maintenance
//! task. Tables are built outside the lock and published by moving a box behind it.

use core::cmp::Reverse;
use core::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, TryLockError};

use rayon::iter::{IndexedParallelIterator, ParallelIterator};
use rayon::slice::{ParallelSlice, ParallelSliceMut};
use tidegate_types::KeyBytes;

use super::engine::{Engine, Job};
use super::store::{KeyHandle, Promotion, Store};
use super::{Item, Maintenance, Verdict};
use crate::keys::PublicKey;

/// Everything that a [`super::Verifier`] does, on path E.
pub(super) struct Pool<E: Engine> {
    engine: E,
    store: RwLock<Store<E>>,
    /// Keys that earned a table and have not been looked at since, at most [`CANDIDATES`], the newest at the back.
    candidates: Mutex<VecDeque<u32>>,
    /// Held by the one maintenance that may run.
    maintenance: Mutex<()>,
    /// Uses are counted in epochs; only maintenance turns the page.
    epoch: AtomicU8,
    /// Verifications of this epoch.
    verified: AtomicUsize,
}

/// The fewest items that are worth a task; [`Engine::CHUNK_MAX`] is the most.
const CHUNK_MIN: usize = 64;
/// Tasks per thread that a batch is cut into.
const TASKS: usize = 4;
/// Candidates that are remembered. The oldest make room: they come again when they have earned more.
const CANDIDATES: usize = 1 << 16;
/// Candidates that one maintenance looks at for each table it may build: it is called so often that its work must not grow
/// with the number of keys that wait.
const LOOKED_AT: usize = 16;
/// Candidates that are looked at under one read lock.
const LOCKED_FOR: usize = 64;
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

    pub(super) fn known(&self, key: &KeyBytes) -> Option<KeyHandle> {
        self.read().find(key)
    }

    pub(super) fn register(&self, key: &PublicKey) -> KeyHandle {
        if let Some(handle) = self.known(&key.bytes()) {
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
            .clamp(CHUNK_MIN, E::CHUNK_MAX);
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
            let mut candidates = self.candidates();
            candidates.extend(risen);
            let surplus = candidates.len().saturating_sub(CANDIDATES);
            candidates.drain(..surplus);
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

    /// The most used of the newest candidates, at most `budget`. Those that find no room are forgotten until they have
    /// earned more; those beyond the budget stay candidates, behind all newer ones.
    fn promotions(&self, budget: usize, epoch: u8) -> Vec<Promotion> {
        let mut wishes = self.wishes(budget, epoch);
        wishes.sort_unstable_by_key(|(uses, key)| (Reverse(*uses), *key));
        let (mut promotions, mut refused, mut looked_at) = (Vec::new(), 0, 0);
        for (uses, key) in &wishes {
            if promotions.len() >= budget || refused >= budget {
                break;
            }
            looked_at += 1;
            match self.read().promotion(*key, *uses, epoch) {
                Some(promotion) => promotions.push(promotion),
                // The others were used less.
                None => refused += 1,
            }
        }
        let mut candidates = self.candidates();
        for (_, key) in &wishes[looked_at..] {
            candidates.push_front(*key);
        }
        candidates.truncate(CANDIDATES);
        promotions
    }

    /// Takes the newest candidates, and gives those that still deserve a table, with their uses.
    fn wishes(&self, budget: usize, epoch: u8) -> Vec<(u32, u32)> {
        let mut keys: Vec<u32> = {
            let mut candidates = self.candidates();
            let count = candidates.len().min(budget.saturating_mul(LOOKED_AT));
            let first = candidates.len() - count;
            candidates.drain(first..).collect()
        };
        keys.sort_unstable();
        keys.dedup();
        let mut wishes = Vec::with_capacity(keys.len());
        for keys in keys.chunks(LOCKED_FOR) {
            let store = self.read();
            wishes.extend(
                keys.iter()
                    .filter_map(|key| store.wish(*key, epoch).map(|uses| (uses, *key))),
            );
        }
        wishes
    }

    fn candidates(&self) -> MutexGuard<'_, VecDeque<u32>> {
        self.candidates.lock().unwrap_or_else(PoisonError::into_inner)
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
