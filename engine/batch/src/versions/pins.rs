//! Snapshots that readers have pinned.

use std::sync::atomic::Ordering;

use super::atomic::Atomic;

/// How many snapshots may be pinned at a time.
pub(super) const PINS: usize = 64;

/// As many snapshots are pinned as can be.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{PINS} snapshots are being read already")]
pub struct ReadersFull;

/// One word on a line of its own: a snapshot's number plus one, or zero.
#[repr(align(64))]
struct Pin<A>(A);

pub(super) struct Pins<A> {
    pins: Box<[Pin<A>]>,
    published: A,
}

impl<A: Atomic> Pins<A> {
    pub(super) fn new(pins: usize) -> Self {
        Self {
            pins: (0..pins).map(|_| Pin(A::new(0))).collect(),
            published: A::new(0),
        }
    }

    pub(super) fn published(&self) -> u64 {
        self.published.load(Ordering::Acquire)
    }

    /// All batches up to `batch` are everybody's from now on.
    pub(super) fn publish(&self, batch: u64) {
        assert!(batch >= self.published(), "batches are published in their order");
        self.published.store(batch, Ordering::Release);
    }

    /// The writer's: no snapshot below this one is read, now or later.
    pub(super) fn needed(&self) -> u64 {
        let published = self.published();
        // Between the look at what is published and that at the pins; its partner is in `pin`.
        A::fence(Ordering::SeqCst);
        // Acquire: what the last reader of a pin loaded comes before what the writer does with the memory.
        let pinned = self
            .pins
            .iter()
            .filter_map(|pin| pin.0.load(Ordering::Acquire).checked_sub(1));
        pinned.fold(published, u64::min)
    }

    /// A reader's: pins the newest snapshot. Which pin, and which snapshot.
    pub(super) fn pin(&self) -> Result<(usize, u64), ReadersFull> {
        loop {
            let snapshot = self.published();
            let free = |pin: &Pin<A>| pin.0.exchange(0, snapshot + 1);
            let at = self.pins.iter().position(free).ok_or(ReadersFull)?;
            A::fence(Ordering::SeqCst);
            if self.published() == snapshot {
                return Ok((at, snapshot));
            }
            // The writer may have looked at the pins before this one was there.
            self.unpin(at);
        }
    }

    pub(super) fn unpin(&self, at: usize) {
        // Release: see `needed`.
        self.pins[at].0.store(0, Ordering::Release);
    }
}
