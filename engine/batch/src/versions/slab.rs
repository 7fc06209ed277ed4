//! Slots of two versions each, and the one writer of them.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::atomic::Atomic;
use super::pins::{PINS, Pins};
use super::pool::Pool;
use super::snapshot::Reader;

/// A version that is being overwritten.
pub(super) const BUSY: u64 = u64::MAX;
/// Rows of the first chunks.
const ROWS: usize = 1024;

/// A slot in the making: `WORDS` in two versions.
pub(super) struct Slot<A, const WORDS: usize> {
    pub(super) tags: [A; 2],
    /// The newest entry plus one.
    pub(super) older: A,
    pub(super) words: [[A; WORDS]; 2],
}

/// A version that was moved out of its slot.
pub(super) struct Entry<A, const WORDS: usize> {
    pub(super) tag: A,
    /// The next older one plus one.
    pub(super) older: A,
    pub(super) words: [A; WORDS],
}

fn zeros<A: Atomic, const N: usize>() -> [A; N] {
    std::array::from_fn(|_| A::new(0))
}

impl<A: Atomic, const WORDS: usize> super::pool::Row for Slot<A, WORDS> {
    fn zero() -> Self {
        Self {
            tags: zeros(),
            older: A::new(0),
            words: [zeros(), zeros()],
        }
    }
}

impl<A: Atomic, const WORDS: usize> super::pool::Row for Entry<A, WORDS> {
    fn zero() -> Self {
        Self {
            tag: A::new(0),
            older: A::new(0),
            words: zeros(),
        }
    }
}

/// What writer and readers share.
pub(super) struct Shared<A, const WORDS: usize> {
    pub(super) slots: Pool<Slot<A, WORDS>>,
    pub(super) entries: Pool<Entry<A, WORDS>>,
    pub(super) pins: Pins<A>,
}

/// The only one who writes; see the head of the module.
pub struct Writer<const WORDS: usize> {
    inner: Writing<AtomicU64, WORDS>,
}

impl<const WORDS: usize> std::fmt::Debug for Writer<WORDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Writer")
            .field("batch", &self.inner.batch)
            .field("entries", &self.inner.kept.entries)
            .finish_non_exhaustive()
    }
}

impl<const WORDS: usize> Default for Writer<WORDS> {
    fn default() -> Self {
        Self {
            inner: Writing::new(ROWS, PINS),
        }
    }
}

impl<const WORDS: usize> Writer<WORDS> {
    /// Begins the versions of a batch, whose number is above that of the one before.
    ///
    /// # Panics
    /// If it is not.
    pub fn begin(&mut self, batch: u64) {
        self.inner.begin(batch);
    }

    /// Writes a slot's version of the batch that was begun.
    pub fn write(&mut self, slot: u32, words: &[u64; WORDS]) {
        self.inner.write(slot as usize, words);
    }

    /// From now on readers get the state after `batch`, whose versions were all written.
    ///
    /// # Panics
    /// If a later one was published already.
    pub fn publish(&mut self, batch: u64) {
        self.inner.shared.pins.publish(batch);
    }

    /// A way to read, for any number of threads.
    #[must_use]
    pub fn reader(&self) -> Reader<WORDS> {
        Reader::of(Arc::clone(&self.inner.shared))
    }

    /// How many old versions are kept for readers now.
    #[must_use]
    pub fn kept(&self) -> usize {
        self.inner.kept.retired.len()
    }
}

/// The writer over any atomics.
pub(super) struct Writing<A, const WORDS: usize> {
    pub(super) shared: Arc<Shared<A, WORDS>>,
    batch: u64,
    /// As of the beginning of the batch.
    needed: u64,
    kept: Kept,
}

/// Which entries are in use.
#[derive(Default)]
struct Kept {
    /// How many were ever used.
    entries: usize,
    free: Vec<usize>,
    /// Entries in use, each with the tag of the version after it: free when that is needed by all.
    retired: VecDeque<(u64, usize)>,
}

impl<A: Atomic, const WORDS: usize> Writing<A, WORDS> {
    pub(super) fn new(rows: usize, pins: usize) -> Self {
        Self {
            shared: Arc::new(Shared {
                slots: Pool::new(rows),
                entries: Pool::new(rows),
                pins: Pins::new(pins),
            }),
            batch: 0,
            needed: 0,
            kept: Kept::default(),
        }
    }

    pub(super) fn begin(&mut self, batch: u64) {
        assert!(batch > self.batch && batch < BUSY, "batches come in their order");
        self.batch = batch;
        self.needed = self.shared.pins.needed();
        self.kept.free(self.needed);
    }

    pub(super) fn write(&mut self, slot: usize, words: &[u64; WORDS]) {
        let Self { shared, kept, .. } = self;
        let slot = shared.slots.make(slot);
        let tags = [0, 1].map(|at: usize| slot.tags[at].load(Ordering::Relaxed));
        // The version of this very batch if there is one: nobody may see it yet. Else the older one.
        let newer = usize::from(tags[1] > tags[0]);
        let at = if tags[newer] == self.batch { newer } else { 1 - newer };
        let (tag, after) = (tags[at], tags[1 - at]);
        if at != newer && tag != 0 && self.needed < after {
            kept.keep(&shared.entries, slot, (at, tag), after);
        }
        // Release: whoever finds it busy finds the link to the version that was here.
        slot.tags[at].store(BUSY, Ordering::Release);
        A::fence(Ordering::Release);
        for (word, value) in slot.words[at].iter().zip(words) {
            word.store(*value, Ordering::Relaxed);
        }
        slot.tags[at].store(self.batch, Ordering::Release);
    }
}

impl Kept {
    /// Entries that no snapshot from `needed` on looks for may be used again.
    fn free(&mut self, needed: u64) {
        while let Some(&(_, entry)) = self.retired.front().filter(|(after, _)| *after <= needed) {
            self.free.push(entry);
            self.retired.pop_front();
        }
    }

    /// Copies the version `at` of a slot, of batch `tag`, to an entry; the slot's other one is of batch `after`.
    fn keep<A: Atomic, const WORDS: usize>(
        &mut self,
        entries: &Pool<Entry<A, WORDS>>,
        slot: &Slot<A, WORDS>,
        (at, tag): (usize, u64),
        after: u64,
    ) {
        let number = self.free.pop().unwrap_or_else(|| {
            self.entries += 1;
            self.entries - 1
        });
        let entry = entries.make(number);
        for (to, from) in entry.words.iter().zip(&slot.words[at]) {
            to.store(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        entry.tag.store(tag, Ordering::Relaxed);
        entry.older.store(slot.older.load(Ordering::Relaxed), Ordering::Relaxed);
        slot.older.store(number as u64 + 1, Ordering::Release);
        self.retired.push_back((after, number));
    }
}
