//! Sets of page numbers, as bitmaps.

use std::ops::Range;

/// The page of tables and images, in bytes. It is the page of the kernel's cache: a smaller one would save no write,
/// and a larger one would write more around each changed slot.
pub const PAGE_BYTES: usize = 4096;

/// How many pages hold `bytes`.
pub(crate) const fn pages_of(bytes: usize) -> usize {
    bytes.div_ceil(PAGE_BYTES)
}

/// A set of page numbers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PageSet {
    words: Vec<u64>,
}

impl PageSet {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Self { words: Vec::new() }
    }

    /// Adds `page`.
    #[inline]
    pub fn insert(&mut self, page: usize) {
        let word = page / 64;
        if self.words.len() <= word {
            self.words.resize(word + 1, 0);
        }
        self.words[word] |= 1 << (page % 64);
    }

    /// Adds all pages of `range`.
    #[inline]
    pub fn insert_range(&mut self, range: Range<usize>) {
        range.for_each(|page| self.insert(page));
    }

    /// Whether `page` is in the set.
    #[must_use]
    pub fn contains(&self, page: usize) -> bool {
        self.words
            .get(page / 64)
            .is_some_and(|word| word >> (page % 64) & 1 == 1)
    }

    /// Adds every page of `other`.
    pub fn union_with(&mut self, other: &Self) {
        if self.words.len() < other.words.len() {
            self.words.resize(other.words.len(), 0);
        }
        for (mine, theirs) in self.words.iter_mut().zip(&other.words) {
            *mine |= theirs;
        }
    }

    /// Removes all pages and keeps the room.
    pub fn clear(&mut self) {
        self.words.fill(0);
    }

    /// How many pages there are in the set.
    #[must_use]
    pub fn count(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// How many pages there are in this set or in `other`.
    #[must_use]
    pub fn count_with(&self, other: &Self) -> usize {
        let (longer, shorter) = if self.words.len() < other.words.len() {
            (other, self)
        } else {
            (self, other)
        };
        let padded = shorter.words.iter().copied().chain(std::iter::repeat(0));
        let both = longer.words.iter().zip(padded).map(|(one, two)| one | two);
        both.map(|word| word.count_ones() as usize).sum()
    }

    /// Runs of neighbouring pages, ascending, none longer than `longest`.
    pub fn runs(&self, longest: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        self.runs_from(0, longest)
    }

    /// As [`PageSet::runs`], of the pages at or after `from`.
    pub fn runs_from(&self, mut from: usize, longest: usize) -> impl Iterator<Item = Range<usize>> + '_ {
        std::iter::from_fn(move || {
            let start = self.first_from(from)?;
            let mut end = start + 1;
            while end - start < longest && self.contains(end) {
                end += 1;
            }
            from = end;
            Some(start..end)
        })
    }

    /// The first page at or after `from`.
    fn first_from(&self, from: usize) -> Option<usize> {
        let first = from / 64;
        let rest = self.words.get(first..)?;
        let masked = rest.first()? & (u64::MAX << (from % 64));
        if masked != 0 {
            return Some(first * 64 + masked.trailing_zeros() as usize);
        }
        let (at, word) = rest.iter().enumerate().skip(1).find(|(_, word)| **word != 0)?;
        Some((first + at) * 64 + word.trailing_zeros() as usize)
    }
}
