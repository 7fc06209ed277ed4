//! Rows that never move: one thread appends to them while others read.

use std::sync::OnceLock;

/// Chunk k has `first << k` rows, so that so many chunks hold every number of 32 bits.
const CHUNKS: usize = 32;

/// What a row is made as.
pub(super) trait Row {
    fn zero() -> Self;
}

pub(super) struct Pool<R> {
    chunks: [OnceLock<Box<[R]>>; CHUNKS],
    first: usize,
}

impl<R: Row> Pool<R> {
    /// No rows yet; the first chunk will have `first` of them, a power of two.
    pub(super) fn new(first: usize) -> Self {
        assert!(first.is_power_of_two(), "chunks are found by shifting");
        Self {
            chunks: [const { OnceLock::new() }; CHUNKS],
            first,
        }
    }

    /// The chunk of a row, and its place there.
    const fn place(&self, row: usize) -> (usize, usize) {
        let chunk = (row / self.first + 1).ilog2() as usize;
        (chunk, row - self.first * ((1 << chunk) - 1))
    }

    /// A row, if its chunk is there.
    pub(super) fn get(&self, row: usize) -> Option<&R> {
        let (chunk, at) = self.place(row);
        Some(&self.chunks.get(chunk)?.get()?[at])
    }

    /// A row; its chunk is made if need be.
    pub(super) fn make(&self, row: usize) -> &R {
        let (chunk, at) = self.place(row);
        let zeros = || (0..self.first << chunk).map(|_| R::zero()).collect();
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
        assert_eq!(places, [(0, 3), (1, 0), (1, 7), (2, 0)]);
    }
}
