//! A set of numbers below a bound, one bit each.

/// Bits of a word.
const WORD: u32 = u64::BITS;

/// The set. Number *n* is bit *n* mod 64 of word *n* / 64.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Bits {
    words: Box<[u64]>,
    bound: u32,
    count: u64,
}

const fn place(number: u32) -> (usize, u64) {
    ((number / WORD) as usize, 1 << (number % WORD))
}

impl Bits {
    /// The empty set of numbers below `bound`.
    pub(crate) fn new(bound: u32) -> Self {
        Self {
            words: vec![0; Self::words_for(bound)].into(),
            bound,
            count: 0,
        }
    }

    /// The set that these words are; `None` if they are too few or too many, or hold a number that is not below the bound.
    pub(crate) fn of_words(bound: u32, words: Box<[u64]>) -> Option<Self> {
        let rest = bound % WORD;
        let good =
            words.len() == Self::words_for(bound) && (rest == 0 || words.last().is_none_or(|last| last >> rest == 0));
        let count = words.iter().map(|word| u64::from(word.count_ones())).sum();
        good.then_some(Self { words, bound, count })
    }

    /// How many words a set below `bound` has.
    pub(crate) const fn words_for(bound: u32) -> usize {
        bound.div_ceil(WORD) as usize
    }

    pub(crate) const fn words(&self) -> &[u64] {
        &self.words
    }

    /// What all numbers are below.
    pub(crate) const fn bound(&self) -> u32 {
        self.bound
    }

    pub(crate) fn contains(&self, number: u32) -> bool {
        let (word, bit) = place(number);
        self.words.get(word).is_some_and(|word| word & bit != 0)
    }

    /// Adds a number that is not in the set.
    pub(crate) fn set(&mut self, number: u32) {
        assert!(number < self.bound && !self.contains(number), "{number} can be added");
        let (word, bit) = place(number);
        self.words[word] |= bit;
        self.count += 1;
    }

    /// Takes out a number that is in the set.
    pub(crate) fn clear(&mut self, number: u32) {
        assert!(self.contains(number), "{number} is in the set");
        let (word, bit) = place(number);
        self.words[word] &= !bit;
        self.count -= 1;
    }

    /// How many numbers there are.
    pub(crate) const fn count(&self) -> u64 {
        self.count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_is_its_words() {
        let mut bits = Bits::new(70);
        [0, 63, 64, 69].into_iter().for_each(|number| bits.set(number));
        bits.clear(63);
        let found: Vec<_> = (0..200).filter(|&number| bits.contains(number)).collect();
        assert_eq!((found, bits.count()), (vec![0, 64, 69], 3));
        assert_eq!(Bits::of_words(70, bits.words().into()), Some(bits.clone()));
        assert_eq!(Bits::of_words(69, bits.words().into()), None, "69 is not below");
        assert_eq!(Bits::of_words(65 + 64, bits.words().into()), None, "a word is missing");
        assert_eq!(Bits::of_words(64, bits.words().into()), None, "a word too many");
        assert_eq!(Bits::of_words(64, [u64::MAX].into()).map(|bits| bits.count()), Some(64));
    }
}
