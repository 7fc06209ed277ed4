//! Reading parts of a body in place, and writing them.

use bytemuck::{AnyBitPattern, NoUninit};
pub use tidegate_types::Reader;
use tidegate_types::{DecodeError, Fixed};

use crate::WireError;

/// What views need beyond [`Reader`]: values and lists that stay where they are.
pub(crate) trait Take<'a> {
    /// The next value, in place.
    fn view<T: AnyBitPattern>(&mut self) -> Result<&'a T, WireError>;
    /// The next `count` values, in place.
    fn list<T: AnyBitPattern>(&mut self, count: u32, field: &'static str, max: usize) -> Result<&'a [T], WireError>;
    /// Bytes of any meaning.
    fn blob(&mut self, len: u32, field: &'static str, max: usize) -> Result<&'a [u8], WireError>;
    /// Bits of which only those in `known` may be set.
    fn flags(&mut self, known: u32) -> Result<u32, WireError>;
}

impl<'a> Take<'a> for Reader<'a> {
    fn view<T: AnyBitPattern>(&mut self) -> Result<&'a T, WireError> {
        const { assert!(align_of::<T>() == 1, "a body may begin at any address") };
        Ok(bytemuck::from_bytes(self.bytes(size_of::<T>())?))
    }

    fn list<T: AnyBitPattern>(&mut self, count: u32, field: &'static str, max: usize) -> Result<&'a [T], WireError> {
        const { assert!(align_of::<T>() == 1, "a body may begin at any address") };
        let count = check_count(count, field, max)?;
        Ok(bytemuck::cast_slice(self.bytes(count * size_of::<T>())?))
    }

    fn blob(&mut self, len: u32, field: &'static str, max: usize) -> Result<&'a [u8], WireError> {
        self.list(len, field, max)
    }

    fn flags(&mut self, known: u32) -> Result<u32, WireError> {
        let flags = u32::read(self)?;
        match flags & !known {
            0 => Ok(flags),
            _ => Err(DecodeError::UnknownValue {
                field: "flags",
                value: flags,
            }
            .into()),
        }
    }
}

/// `count` as a length in memory, if it is within its cap.
pub(crate) fn check_count(count: u32, field: &'static str, max: usize) -> Result<usize, WireError> {
    let too_many = WireError::TooMany {
        field,
        count: count.into(),
        max: max as u64,
    };
    usize::try_from(count)
        .ok()
        .filter(|&count| count <= max)
        .ok_or(too_many)
}

/// What writers need beyond `Vec`.
pub(crate) trait Put {
    /// Appends a value with one encoding.
    fn put(&mut self, value: &impl Fixed);
    /// Appends values that are their own bytes.
    fn list<T: NoUninit>(&mut self, values: &[T]);
    /// Appends a count or length.
    fn count(&mut self, len: usize, field: &'static str, max: usize);
    /// Appends zeros.
    fn pad(&mut self, count: usize);
}

impl Put for Vec<u8> {
    fn put(&mut self, value: &impl Fixed) {
        value.append_to(self);
    }

    fn list<T: NoUninit>(&mut self, values: &[T]) {
        self.extend_from_slice(bytemuck::cast_slice(values));
    }

    fn count(&mut self, len: usize, field: &'static str, max: usize) {
        assert!(
            len <= max,
            "{len} {field} are above the cap of {max}: the caller keeps to it"
        );
        self.put(&u32::try_from(len).expect("every cap is below 2³²"));
    }

    fn pad(&mut self, count: usize) {
        self.resize(self.len() + count, 0);
    }
}
