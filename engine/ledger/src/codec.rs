//! Lists in the canonical encoding: a count, then that many entries, each with one encoding.
//!
//! A count is compared with its limit and with the bytes that are left before anything is allocated.

use tidegate_types::{DecodeError, Fixed, Reader};

/// A value whose width depends on its content, with exactly one encoding.
pub(crate) trait Canonical: Sized {
    /// The narrowest encoding of any value, in bytes. At least 1.
    const LEN_MIN: usize;

    fn encode(&self, out: &mut Vec<u8>);

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError>;
}

/// Reads a 16-bit count between `min` and `max`.
pub(crate) fn read_count(
    r: &mut Reader<'_>,
    min: usize,
    max: usize,
    field: &'static str,
) -> Result<usize, DecodeError> {
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
/// Above 65 535: every list of the ledger has a lower limit, which its constructor or checker holds.
pub(crate) fn write_count(count: usize, out: &mut Vec<u8>) {
    u16::try_from(count)
        .expect("lists of the ledger are far shorter than 65 536 entries")
        .append_to(out);
}

/// Reads `count` entries. Refuses before allocating if they cannot all be there.
pub(crate) fn read_list<T: Canonical>(r: &mut Reader<'_>, count: usize) -> Result<Vec<T>, DecodeError> {
    if count.saturating_mul(T::LEN_MIN) > r.remaining() {
        return Err(DecodeError::Truncated);
    }
    let mut list = Vec::with_capacity(count);
    for _ in 0..count {
        list.push(T::read(r)?);
    }
    Ok(list)
}
