//! The canonical encoding: fixed width, little endian, one byte string per value (protocol rule 1).
//!
//! A type that implements [`Fixed`] states its width as a constant and reads back only what it writes: padding that is
//! not zero, an unknown variant, a number out of range and trailing bytes are errors, so two different byte strings
//! never decode to one value.

/// Why bytes are not the encoding of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The input ended before the value did.
    #[error("the bytes end before the value does")]
    Truncated,
    /// Bytes follow the value.
    #[error("{count} bytes follow the value")]
    TrailingBytes {
        /// How many.
        count: usize,
    },
    /// Padding holds something other than zeros.
    #[error("padding is not zero")]
    NonZeroPadding,
    /// An enumeration has no such variant.
    #[error("{field} has no variant {value}")]
    UnknownValue {
        /// The field that was read.
        field: &'static str,
        /// What was found.
        value: u32,
    },
    /// A number is outside its range.
    #[error("{field} is out of range")]
    OutOfRange {
        /// The field that was read.
        field: &'static str,
    },
}

/// A value with exactly one encoding, [`Fixed::LEN`] bytes wide.
pub trait Fixed: Sized {
    /// Width in bytes.
    const LEN: usize;

    /// Writes the encoding.
    fn write(&self, w: &mut Writer<'_>);

    /// Reads one value from the front of `r`.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not what [`Fixed::write`] writes for any value.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that must fill `bytes` exactly.
    ///
    /// # Errors
    /// As [`Fixed::read`], and [`DecodeError::TrailingBytes`].
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let value = Self::read(&mut r)?;
        r.finish()?;
        Ok(value)
    }

    /// Appends the encoding to `out`.
    fn append_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + Self::LEN, 0);
        self.encode_into(&mut out[start..]);
    }

    /// Writes the encoding over the whole of `out`.
    ///
    /// # Panics
    /// If `out` is not [`Fixed::LEN`] bytes long.
    fn encode_into(&self, out: &mut [u8]) {
        assert_eq!(out.len(), Self::LEN, "the buffer is exactly as wide as the encoding");
        let mut w = Writer::new(out);
        self.write(&mut w);
        assert!(w.is_full(), "write() writes LEN bytes");
    }

    /// The encoding as a vector.
    fn to_vec(&self) -> Vec<u8> {
        let mut out = vec![0; Self::LEN];
        self.encode_into(&mut out);
        out
    }
}

/// Writes values one behind the other into a buffer whose width is known.
#[derive(Debug)]
pub struct Writer<'a> {
    out: &'a mut [u8],
    at: usize,
}

impl<'a> Writer<'a> {
    /// A writer at the start of `out`.
    pub fn new(out: &'a mut [u8]) -> Self {
        Self { out, at: 0 }
    }

    /// Appends `bytes`.
    ///
    /// # Panics
    /// If they do not fit: the caller sized the buffer by [`Fixed::LEN`].
    pub fn bytes(&mut self, bytes: &[u8]) {
        let end = self.at + bytes.len();
        self.out[self.at..end].copy_from_slice(bytes);
        self.at = end;
    }

    /// Appends `count` zero bytes.
    ///
    /// # Panics
    /// As [`Writer::bytes`].
    pub fn pad(&mut self, count: usize) {
        let end = self.at + count;
        self.out[self.at..end].fill(0);
        self.at = end;
    }

    /// True once the buffer is filled.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.at == self.out.len()
    }
}

/// Reads values one behind the other, never past the end.
#[derive(Clone, Debug)]
pub struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    /// A reader at the start of `bytes`.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// The next `count` bytes.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn bytes(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        let (head, tail) = self.rest.split_at_checked(count).ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(head)
    }

    /// The next `N` bytes as an array.
    ///
    /// # Errors
    /// [`DecodeError::Truncated`] if fewer are left.
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let (head, tail) = self.rest.split_first_chunk::<N>().ok_or(DecodeError::Truncated)?;
        self.rest = tail;
        Ok(*head)
    }

    /// Skips `count` bytes that must be zero.
    ///
    /// # Errors
    /// [`DecodeError::NonZeroPadding`], or [`DecodeError::Truncated`].
    pub fn pad(&mut self, count: usize) -> Result<(), DecodeError> {
        if self.bytes(count)?.iter().all(|&b| b == 0) {
            Ok(())
        } else {
            Err(DecodeError::NonZeroPadding)
        }
    }

    /// How many bytes are left.
    #[must_use]
    pub const fn remaining(&self) -> usize {
        self.rest.len()
    }

    /// Ends the reading.
    ///
    /// # Errors
    /// [`DecodeError::TrailingBytes`] if any are left.
    pub const fn finish(&self) -> Result<(), DecodeError> {
        match self.rest.len() {
            0 => Ok(()),
            count => Err(DecodeError::TrailingBytes { count }),
        }
    }
}

macro_rules! fixed_int {
    ($($int:ty),*) => {$(
        impl Fixed for $int {
            const LEN: usize = size_of::<$int>();

            fn write(&self, w: &mut Writer<'_>) {
                w.bytes(&self.to_le_bytes());
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Ok(Self::from_le_bytes(r.array()?))
            }
        }
    )*};
}
fixed_int!(u8, u16, u32, u64);

impl<const N: usize> Fixed for [u8; N] {
    const LEN: usize = N;

    fn write(&self, w: &mut Writer<'_>) {
        w.bytes(self);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        r.array()
    }
}

/// Implements [`Fixed`] for a struct by its fields in the order given, with `pad N` for N zero bytes.
///
/// ```
/// use tidegate_types::{Amount, Fixed, fixed_struct};
/// #[derive(Debug, PartialEq)]
/// struct Coin { amount: Amount, kind: u8 }
/// fixed_struct!(Coin { amount: Amount, kind: u8, pad 7 });
/// assert_eq!(Coin::LEN, 16);
/// ```
#[macro_export]
macro_rules! fixed_struct {
    ($name:ident { $($body:tt)* }) => {
        impl $crate::Fixed for $name {
            const LEN: usize = $crate::fixed_struct!(@len $($body)*);

            fn write(&self, w: &mut $crate::Writer<'_>) {
                $crate::fixed_struct!(@put self w $($body)*);
            }

            fn read(r: &mut $crate::Reader<'_>) -> ::core::result::Result<Self, $crate::DecodeError> {
                $crate::fixed_struct!(@get r $($body)*);
                Ok($crate::fixed_struct!(@build [] $($body)*))
            }
        }
    };
    (@len) => { 0 };
    (@len pad $n:literal $(, $($rest:tt)*)?) => { $n + $crate::fixed_struct!(@len $($($rest)*)?) };
    (@len $field:ident : $ty:ty $(, $($rest:tt)*)?) => {
        <$ty as $crate::Fixed>::LEN + $crate::fixed_struct!(@len $($($rest)*)?)
    };
    (@put $self:ident $w:ident) => {};
    (@put $self:ident $w:ident pad $n:literal $(, $($rest:tt)*)?) => {
        $w.pad($n);
        $crate::fixed_struct!(@put $self $w $($($rest)*)?);
    };
    (@put $self:ident $w:ident $field:ident : $ty:ty $(, $($rest:tt)*)?) => {
        <$ty as $crate::Fixed>::write(&$self.$field, $w);
        $crate::fixed_struct!(@put $self $w $($($rest)*)?);
    };
    (@get $r:ident) => {};
    (@get $r:ident pad $n:literal $(, $($rest:tt)*)?) => {
        $r.pad($n)?;
        $crate::fixed_struct!(@get $r $($($rest)*)?);
    };
    (@get $r:ident $field:ident : $ty:ty $(, $($rest:tt)*)?) => {
        let $field = <$ty as $crate::Fixed>::read($r)?;
        $crate::fixed_struct!(@get $r $($($rest)*)?);
    };
    (@build [$($done:ident)*]) => { Self { $($done),* } };
    (@build [$($done:ident)*] pad $n:literal $(, $($rest:tt)*)?) => {
        $crate::fixed_struct!(@build [$($done)*] $($($rest)*)?)
    };
    (@build [$($done:ident)*] $field:ident : $ty:ty $(, $($rest:tt)*)?) => {
        $crate::fixed_struct!(@build [$($done)* $field] $($($rest)*)?)
    };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, PartialEq)]
    struct Sample {
        a: u32,
        b: [u8; 3],
        c: u64,
    }
    fixed_struct!(Sample { a: u32, b: [u8; 3], pad 1, c: u64 });

    #[test]
    fn a_struct_reads_back_only_what_it_writes() {
        let sample = Sample {
            a: 7,
            b: [1, 2, 3],
            c: 9,
        };
        let mut bytes = sample.to_vec();
        assert_eq!(bytes.len(), Sample::LEN);
        assert_eq!(Sample::decode(&bytes), Ok(sample));
        bytes[7] = 1;
        assert_eq!(Sample::decode(&bytes), Err(DecodeError::NonZeroPadding));
        bytes[7] = 0;
        bytes.push(0);
        assert_eq!(Sample::decode(&bytes), Err(DecodeError::TrailingBytes { count: 1 }));
        assert_eq!(Sample::decode(&bytes[..5]), Err(DecodeError::Truncated));
    }
}
