//! Values whose width depends on their content, each with one encoding: a count, then that many entries.
//!
//! A count is compared with its limit and with the bytes that are left before anything is allocated.

use tidegate_types::{DecodeError, Fixed, Reader};

/// A value whose width depends on its content, with exactly one encoding.
pub trait Canonical: Sized {
    /// The narrowest encoding of any value, in bytes. At least 1.
    const LEN_MIN: usize;

    /// Appends the encoding to `out`.
    fn encode(&self, out: &mut Vec<u8>);

    /// Reads a value from the front of `r`.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not what [`Canonical::encode`] writes for any value.
    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;

    /// Reads a value that must fill `bytes` exactly.
    ///
    /// # Errors
    /// As [`Canonical::read`], and [`DecodeError::TrailingBytes`].
    fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let value = Self::read(&mut r)?;
        r.finish()?;
        Ok(value)
    }

    /// The encoding as a vector.
    fn to_bytes(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.encode(&mut out);
        out
    }
}

/// Reads a 16-bit count between `min` and `max`.
///
/// # Errors
/// [`DecodeError::OutOfRange`] outside of them.
pub fn read_count(r: &mut Reader<'_>, min: usize, max: usize, field: &'static str) -> Result<usize, DecodeError> {
    let count = usize::from(u16::read(r)?);
    if (min..=max).contains(&count) {
        Ok(count)
    } else {
        Err(DecodeError::OutOfRange { field })
    }
}

/// Writes a 16-bit count.
///
/// # Panics
/// Above 65 535: every list that is written has a lower limit, which its constructor or checker holds.
pub fn write_count(count: usize, out: &mut Vec<u8>) {
    u16::try_from(count)
        .expect("lists are far shorter than 65 536 entries")
        .append_to(out);
}

/// Reads `count` entries. Refuses before allocating if they cannot all be there.
///
/// # Errors
/// [`DecodeError`].
pub fn read_list<T: Canonical>(r: &mut Reader<'_>, count: usize) -> Result<Vec<T>, DecodeError> {
    if count.saturating_mul(T::LEN_MIN) > r.remaining() {
        return Err(DecodeError::Truncated);
    }
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(T::read(r)?);
    }
    Ok(list)
}

/// Reads `count` entries of one width. Refuses before allocating if they cannot all be there.
///
/// # Errors
/// [`DecodeError`].
pub fn read_fixed_list<T: Fixed>(r: &mut Reader<'_>, count: usize) -> Result<Vec<T>, DecodeError> {
    if count.saturating_mul(T::LEN) > r.remaining() {
        return Err(DecodeError::Truncated);
    }
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(T::read(r)?);
    }
    Ok(list)
}
