//! Money.

use core::fmt;

use crate::codec::{DecodeError, Fixed, Reader, Writer};

/// A quantity of money in satoshi, from zero to [`Amount::MAX`].
///
/// Arithmetic is checked: a sum or difference outside the range is an error, never a clamped value.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Amount(u64);

/// Why an amount could not be formed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// The result would exceed [`Amount::MAX`].
    #[error("the amount exceeds the maximum of {} satoshi", Amount::MAX.to_sat())]
    Overflow,
    /// The result would be below zero.
    #[error("the amount would fall below zero")]
    Underflow,
}

impl Amount {
    /// No money.
    pub const ZERO: Self = Self(0);
    /// The largest amount: 2⁵³ satoshi, so that every amount is also an exact JSON number.
    pub const MAX: Self = Self(1 << 53);

    /// An amount of `sat` satoshi, or `None` above [`Amount::MAX`].
    #[must_use]
    pub const fn from_sat(sat: u64) -> Option<Self> {
        if sat <= Self::MAX.0 { Some(Self(sat)) } else { None }
    }

    /// The amount in satoshi.
    #[must_use]
    pub const fn to_sat(self) -> u64 {
        self.0
    }

    /// True for zero.
    #[must_use]
    pub const fn is_zero(self) -> bool {
        self.0 == 0
    }

    /// `self + other`.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] above [`Amount::MAX`].
    pub const fn add(self, other: Self) -> Result<Self, AmountError> {
        // Both are at most 2⁵³, so the sum of two fits u64.
        match Self::from_sat(self.0 + other.0) {
            Some(sum) => Ok(sum),
            None => Err(AmountError::Overflow),
        }
    }

    /// `self − other`.
    ///
    /// # Errors
    /// [`AmountError::Underflow`] if `other` is larger.
    pub const fn sub(self, other: Self) -> Result<Self, AmountError> {
        match self.0.checked_sub(other.0) {
            Some(rest) => Ok(Self(rest)),
            None => Err(AmountError::Underflow),
        }
    }

    /// The sum of `amounts`.
    ///
    /// # Errors
    /// [`AmountError::Overflow`] above [`Amount::MAX`].
    pub fn sum(amounts: impl IntoIterator<Item = Self>) -> Result<Self, AmountError> {
        amounts.into_iter().try_fold(Self::ZERO, Self::add)
    }
}

impl fmt::Debug for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} sat", self.0)
    }
}

impl fmt::Display for Amount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

impl Fixed for Amount {
    const LEN: usize = 8;

    fn write(&self, w: &mut Writer<'_>) {
        self.0.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::from_sat(u64::read(r)?).ok_or(DecodeError::OutOfRange { field: "amount" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn arithmetic_never_wraps() {
        let one = Amount::from_sat(1).expect("one satoshi is in range");
        assert_eq!(Amount::MAX.add(one), Err(AmountError::Overflow));
        assert_eq!(Amount::MAX.add(Amount::MAX), Err(AmountError::Overflow));
        assert_eq!(Amount::ZERO.sub(one), Err(AmountError::Underflow));
        assert_eq!(Amount::MAX.sub(one).and_then(|a| a.add(one)), Ok(Amount::MAX));
        assert_eq!(Amount::from_sat(Amount::MAX.to_sat() + 1), None);
    }

    #[test]
    fn an_amount_above_the_maximum_is_no_encoding() {
        let bytes = (Amount::MAX.to_sat() + 1).to_le_bytes();
        assert_eq!(Amount::decode(&bytes), Err(DecodeError::OutOfRange { field: "amount" }));
    }
}
