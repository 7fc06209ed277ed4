//! Heights, counters and times: numbers that must not be mixed up.

use core::fmt;

use crate::codec::{DecodeError, Fixed, Reader, Writer};

macro_rules! number {
    ($(#[$doc:meta])* $name:ident($int:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name($int);

        impl $name {
            /// The lowest value.
            pub const ZERO: Self = Self(0);
            /// The highest value.
            pub const MAX: Self = Self(<$int>::MAX);

            /// The value of number `n`.
            #[must_use]
            pub const fn new(n: $int) -> Self {
                Self(n)
            }

            /// The number.
            #[must_use]
            pub const fn get(self) -> $int {
                self.0
            }

            /// The value `n` above this one, or `None` past the highest.
            #[must_use]
            pub const fn checked_add(self, n: $int) -> Option<Self> {
                match self.0.checked_add(n) {
                    Some(sum) => Some(Self(sum)),
                    None => None,
                }
            }

            /// The value `n` below this one, or `None` below zero.
            #[must_use]
            pub const fn checked_sub(self, n: $int) -> Option<Self> {
                match self.0.checked_sub(n) {
                    Some(rest) => Some(Self(rest)),
                    None => None,
                }
            }

            /// The next value, or `None` past the highest.
            #[must_use]
            pub const fn next(self) -> Option<Self> {
                self.checked_add(1)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, f)
            }
        }

        impl Fixed for $name {
            const LEN: usize = size_of::<$int>();

            fn write(&self, w: &mut Writer<'_>) {
                self.0.write(w);
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self(<$int as Fixed>::read(r)?))
            }
        }
    };
}

number!(
    /// The height of a block of the settlement ledger; the genesis is height 0. Heights in the rules are heights of
    /// final blocks, inclusive.
    Height(u32)
);
number!(
    /// A number of blocks: a margin, a dispute window, a limit on the age of something.
    Age(u32)
);
number!(
    /// The counter `c` of a client state; the state that follows from the funding output has `c` = 0.
    ClientCounter(u64)
);
number!(
    /// The counter `h` of a hub state (leaf); the leaf that follows from the funding output has `h` = 0.
    HubCounter(u64)
);
number!(
    /// The number of a batch; numbers have no gaps, the first batch is 1.
    BatchNumber(u64)
);
number!(
    /// Milliseconds since 1970-01-01 00:00 UTC, as the hub's clock had them.
    UnixMillis(u64)
);

impl Height {
    /// The height `blocks` above this one, or `None` past the highest.
    #[must_use]
    pub const fn plus(self, blocks: Age) -> Option<Self> {
        self.checked_add(blocks.0)
    }

    /// The height `blocks` below this one, or `None` below zero.
    #[must_use]
    pub const fn minus(self, blocks: Age) -> Option<Self> {
        self.checked_sub(blocks.0)
    }
}

/// One of the 64 places for an open lock on one side of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LockSlot(u8);

impl LockSlot {
    /// How many open locks one side of a channel can hold.
    pub const COUNT: usize = 64;

    /// The slot with this index, or `None` at 64 and above.
    #[must_use]
    pub const fn new(index: u8) -> Option<Self> {
        if (index as usize) < Self::COUNT {
            Some(Self(index))
        } else {
            None
        }
    }

    /// The slot's index, below 64.
    #[must_use]
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

impl Fixed for LockSlot {
    const LEN: usize = 1;

    fn write(&self, w: &mut Writer<'_>) {
        self.0.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::new(u8::read(r)?).ok_or(DecodeError::OutOfRange { field: "lock slot" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_end_instead_of_wrapping() {
        assert_eq!(HubCounter::MAX.next(), None);
        assert_eq!(Height::new(3).minus(Age::new(4)), None);
        assert_eq!(Height::new(u32::MAX).plus(Age::new(1)), None);
        assert_eq!(LockSlot::new(64), None);
        assert_eq!(
            LockSlot::decode(&[64]),
            Err(DecodeError::OutOfRange { field: "lock slot" })
        );
    }
}
