//! The readers.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::atomic::Atomic;
use super::pins::ReadersFull;
use super::slab::{BUSY, Shared, Slot};

/// Reads what a [`super::Writer`] has published.
#[derive(Clone)]
pub struct Reader<const WORDS: usize> {
    shared: Arc<Shared<AtomicU64, WORDS>>,
}

impl<const WORDS: usize> std::fmt::Debug for Reader<WORDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("published", &self.shared.pins.published())
            .finish_non_exhaustive()
    }
}

/// The state after one batch. What it needs is kept while it lives.
pub struct Snapshot<const WORDS: usize> {
    inner: Reading<AtomicU64, WORDS>,
}

impl<const WORDS: usize> std::fmt::Debug for Snapshot<WORDS> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Snapshot")
            .field("batch", &self.inner.batch)
            .finish_non_exhaustive()
    }
}

impl<const WORDS: usize> Reader<WORDS> {
    pub(super) const fn of(shared: Arc<Shared<AtomicU64, WORDS>>) -> Self {
        Self { shared }
    }

    /// The state after the newest published batch. Waits for nobody.
    ///
    /// # Errors
    /// [`ReadersFull`].
    pub fn snapshot(&self) -> Result<Snapshot<WORDS>, ReadersFull> {
        let inner = Reading::new(Arc::clone(&self.shared))?;
        Ok(Snapshot { inner })
    }
}

impl<const WORDS: usize> Snapshot<WORDS> {
    /// The batch; zero before the first.
    #[must_use]
    pub const fn batch(&self) -> u64 {
        self.inner.batch
    }

    /// What the slot held after that batch; `None` if nobody had written to it.
    #[must_use]
    pub fn read(&self, slot: u32) -> Option<[u64; WORDS]> {
        self.inner.read(slot as usize)
    }
}

/// A snapshot over any atomics.
pub(super) struct Reading<A: Atomic, const WORDS: usize> {
    shared: Arc<Shared<A, WORDS>>,
    pin: usize,
    pub(super) batch: u64,
}

impl<A: Atomic, const WORDS: usize> Reading<A, WORDS> {
    pub(super) fn new(shared: Arc<Shared<A, WORDS>>) -> Result<Self, ReadersFull> {
        let (pin, batch) = shared.pins.pin()?;
        Ok(Self { shared, pin, batch })
    }

    pub(super) fn read(&self, slot: usize) -> Option<[u64; WORDS]> {
        let slot = self.shared.slots.get(slot)?;
        loop {
            let tags = [0, 1].map(|at: usize| slot.tags[at].load(Ordering::Acquire));
            // Zero is no version; busy ones are above every batch.
            let seen = |tag: u64| if tag > self.batch { 0 } else { tag };
            let at = usize::from(seen(tags[1]) > seen(tags[0]));
            if seen(tags[at]) == 0 {
                return self.read_older(slot);
            }
            let words = copy(&slot.words[at]);
            A::fence(Ordering::Acquire);
            if slot.tags[at].load(Ordering::Relaxed) == tags[at] {
                return Some(words);
            }
        }
    }

    /// The version in the chain, if there is one.
    fn read_older(&self, slot: &Slot<A, WORDS>) -> Option<[u64; WORDS]> {
        let mut link = slot.older.load(Ordering::Acquire);
        loop {
            let number = usize::try_from(link.checked_sub(1)?).expect("entries are in memory");
            let entry = self
                .shared
                .entries
                .get(number)
                .expect("an entry is made before it is linked");
            let tag = entry.tag.load(Ordering::Relaxed);
            debug_assert!(tag != 0 && tag != BUSY, "an entry is a version");
            if tag <= self.batch {
                return Some(copy(&entry.words));
            }
            link = entry.older.load(Ordering::Relaxed);
        }
    }
}

impl<A: Atomic, const WORDS: usize> Drop for Reading<A, WORDS> {
    fn drop(&mut self) {
        self.shared.pins.unpin(self.pin);
    }
}

fn copy<A: Atomic, const WORDS: usize>(words: &[A; WORDS]) -> [u64; WORDS] {
    std::array::from_fn(|at| words[at].load(Ordering::Relaxed))
}
