//! Rows that never move: one thread appends to them while others read.

use std::sync::OnceLock;

/// Octave *k* has `first << k` rows, so that so many octaves hold every number of 32 bits.
const OCTAVES: usize = 32;
/// Chunks of an octave, as a power of two. A chunk is written whole when it is made, so this bounds what is resident beside the rows
/// in use: by a sixteenth of them. One chunk to an octave would be as much again as is in use, and made while a batch waits.
const CHUNKS_LOG: u32 = 4;

/// What a row is made as.
pub(super) trait Row {
    fn zero() -> Self;
}

pub(super) struct Pool<R> {
    chunks: Box<[OnceLock<Box<[R]>>]>,
    first: usize,
}

impl<R: Row> Pool<R> {
    /// No rows yet; the first octave will have `first` of them, a power of two.
    pub(super) fn new(first: usize) -> Self {
        assert!(first.is_power_of_two(), "chunks are found by shifting");
        Self {
            chunks: (0..OCTAVES << CHUNKS_LOG).map(|_| OnceLock::new()).collect(),
            first,
        }
    }

    /// The chunk of a row, its place there, and how many rows the chunk has, as a power of two.
    const fn place(&self, row: usize) -> (usize, usize, u32) {
        let octave = (row / self.first + 1).ilog2();
        let within = row - self.first * ((1 << octave) - 1);
        let rows_log = (self.first.ilog2() + octave).saturating_sub(CHUNKS_LOG);
        let chunk = ((octave as usize) << CHUNKS_LOG) + (within >> rows_log);
        (chunk, within & ((1 << rows_log) - 1), rows_log)
    }

    /// A row, if its chunk is there.
    pub(super) fn get(&self, row: usize) -> Option<&R> {
        let (chunk, at, _) = self.place(row);
        Some(&self.chunks.get(chunk)?.get()?[at])
    }

    /// A row; its chunk is made if need be.
    pub(super) fn make(&self, row: usize) -> &R {
        let (chunk, at, rows_log) = self.place(row);
        let zeros = || (0..1 << rows_log).map(|_| R::zero()).collect();
        &self.chunks[chunk].get_or_init(zeros)[at]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Number(std::cell::Cell<usize>);

    impl Row for Number {
        fn zero() -> Self {
            Self(std::cell::Cell::new(0))
        }
    }

    #[test]
    fn rows_have_places_of_their_own_side_by_side() {
        let pool = Pool::<Number>::new(4);
        assert!(pool.get(0).is_none());
        (0..100).for_each(|row| pool.make(row).0.set(row + 1));
        for row in 0..100 {
            assert_eq!(pool.get(row).expect("it was made").0.get(), row + 1);
        }
        let places = [3, 4, 11, 12].map(|row| pool.place(row));
        assert_eq!(places, [(3, 0, 0), (16, 0, 0), (23, 0, 0), (32, 0, 0)]);
    }

    #[test]
    fn chunks_follow_each_other_and_none_is_large() {
        let pool = Pool::<Number>::new(1024);
        let mut expected = (0, 0);
        for row in 0..300_000 {
            let (chunk, at, rows_log) = pool.place(row);
            assert_eq!((chunk, at), expected, "row {row}");
            assert!(
                1 << rows_log <= 64.max(row / 8),
                "row {row} begins no chunk that is large beside it"
            );
            expected = if at + 1 < 1 << rows_log {
                (chunk, at + 1)
            } else {
                (chunk + 1, 0)
            };
        }
        let last = pool.place(u32::MAX as usize);
        assert!(last.0 < pool.chunks.len(), "{last:?}");
    }
}
