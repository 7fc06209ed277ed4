//! Short lists and sets that hash fast: a model keeps millions of states.

use std::ops::{BitAnd, BitOr, Not};

/// A list of at most `N` entries. What lies behind its end is always `T::default()`, so equal lists have equal bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct List<T, const N: usize> {
    items: [T; N],
    len: u8,
}

impl<T: Copy + Default, const N: usize> Default for List<T, N> {
    fn default() -> Self {
        Self {
            items: [T::default(); N],
            len: 0,
        }
    }
}

impl<T: Copy + Default, const N: usize> List<T, N> {
    /// How many entries there are. A half state's counter is its place in the list, counted from one.
    #[must_use]
    pub const fn len(&self) -> u8 {
        self.len
    }

    /// True if there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// The entries.
    #[must_use]
    pub fn as_slice(&self) -> &[T] {
        &self.items[..usize::from(self.len)]
    }

    /// The entry with this counter; the default one for zero: what follows from the funding output alone.
    #[must_use]
    pub fn at(&self, counter: u8) -> T {
        match counter {
            0 => T::default(),
            c => self.as_slice()[usize::from(c) - 1],
        }
    }

    /// The newest entry, or the default one.
    #[must_use]
    pub fn last(&self) -> T {
        self.at(self.len)
    }

    /// Appends an entry.
    ///
    /// # Panics
    /// If the list is full: the bounds of a model keep it from being so.
    pub fn push(&mut self, item: T) {
        self.items[usize::from(self.len)] = item;
        self.len += 1;
    }

    /// Changes the entry at this place, counted from zero.
    pub fn edit(&mut self, place: u8) -> &mut T {
        &mut self.items[..usize::from(self.len)][usize::from(place)]
    }
}

/// A set of payments, by their number.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Set(u8);

impl Set {
    /// No payment.
    pub const EMPTY: Self = Self(0);

    /// This payment alone.
    #[must_use]
    pub const fn of(payment: u8) -> Self {
        Self(1 << payment)
    }

    /// Those of `0..count` for which `wanted` holds.
    pub fn those(count: u8, mut wanted: impl FnMut(u8) -> bool) -> Self {
        (0..count)
            .filter(|&payment| wanted(payment))
            .fold(Self::EMPTY, |set, payment| set | Self::of(payment))
    }

    /// Whether the payment is in it.
    #[must_use]
    pub const fn has(self, payment: u8) -> bool {
        self.0 & (1 << payment) != 0
    }

    /// How many are in it.
    #[must_use]
    pub fn count(self) -> u8 {
        u8::try_from(self.0.count_ones()).expect("at most eight")
    }

    /// True if none is.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The payments in it.
    pub fn iter(self) -> impl Iterator<Item = u8> {
        (0..8).filter(move |&payment| self.has(payment))
    }
}

impl BitOr for Set {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitAnd for Set {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

impl Not for Set {
    type Output = Self;

    fn not(self) -> Self {
        Self(!self.0)
    }
}
