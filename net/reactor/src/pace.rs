//! How fast a peer takes what it is told, and what may wait for it therefore.
//!
//! A bound in bytes alone cannot tell a peer that does not read from one that reads as fast as it can and is told much at once: all that a
//! batch says to a gateway comes together. So beside the bound for everybody there may wait what the peer has *taken of late*:
//!
//! ```text
//!  allowed = bound + min(taken of late, most)        taken of late: half as much every 250 ms without another byte
//! ```
//!
//! The first [`BUFFERED`] bytes count for nothing: the buffers of both kernels may have taken them with nobody reading. So a peer that never
//! reads has the bound and no more, and one that stops has no more again a second or two later.

use tidegate_session::Millis;

/// What both kernels may hold of a stream that nobody reads: a send buffer, and a receive buffer that has not grown by being read.
const BUFFERED: u32 = 1 << 20;
/// What was taken counts half after so long.
const HALF_LIFE_MILLIS: u64 = 250;

/// See the [module](self).
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pace {
    /// Of the first bytes, how many were taken; stays at [`BUFFERED`].
    buffered: u32,
    /// Taken of late, as of `at`.
    recent: u32,
    at: Millis,
}

impl Pace {
    /// The peer's socket took `count` bytes.
    pub(crate) fn took(&mut self, count: usize, now: Millis, most: usize) {
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        let first = count.min(BUFFERED - self.buffered);
        self.buffered += first;
        let recent = self.recent(now).saturating_add(count - first);
        self.recent = recent.min(u32::try_from(most).unwrap_or(u32::MAX));
        self.at = now;
    }

    /// What may wait beyond the bound for everybody.
    pub(crate) fn allowance(&self, now: Millis) -> usize {
        self.recent(now) as usize
    }

    /// Whole half lives only count, and what is left of one is forgotten by [`Pace::took`]: a peer that takes something all the time
    /// keeps what it has earned, up to the most.
    fn recent(&self, now: Millis) -> u32 {
        let halvings = now.since(self.at) / HALF_LIFE_MILLIS;
        self.recent
            .checked_shr(u32::try_from(halvings).unwrap_or(u32::MAX))
            .unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MOST: usize = 2 << 20;

    #[test]
    fn a_peer_that_never_reads_earns_nothing() {
        let mut pace = Pace::default();
        for millis in 0..16 {
            pace.took(64 << 10, Millis::new(millis), MOST);
            assert_eq!(pace.allowance(Millis::new(millis)), 0);
        }
        pace.took(1, Millis::new(16), MOST);
        assert_eq!(pace.allowance(Millis::new(16)), 1, "both kernels together hold less");
    }

    #[test]
    fn what_was_taken_of_late_may_wait_and_is_forgotten() {
        let mut pace = Pace::default();
        pace.took(BUFFERED as usize + 1_000_000, Millis::new(5), MOST);
        let at = |millis| pace.allowance(Millis::new(millis));
        assert_eq!(
            (at(5), at(254), at(255), at(505)),
            (1_000_000, 1_000_000, 500_000, 250_000)
        );
        assert_eq!((at(5_505), at(u64::MAX)), (0, 0));
    }

    #[test]
    fn it_never_passes_the_most() {
        let mut pace = Pace::default();
        pace.took(usize::MAX, Millis::new(5), MOST);
        pace.took(usize::MAX, Millis::new(6), MOST);
        assert_eq!(pace.allowance(Millis::new(6)), MOST);
    }
}
