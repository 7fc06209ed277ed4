//! Lists inside a body whose items are read one by one.

use core::fmt;

use tidegate_types::{DecodeError, Fixed};

use crate::WireError;
use crate::cursor::{Put, Reader, check_count};

/// Something that stands in a list of a message.
pub trait Item<'a>: Copy {
    /// The fewest bytes that one takes: a count is believed only as far as the bytes that are there.
    const MIN_LEN: usize;

    /// Reads one.
    ///
    /// # Errors
    /// [`WireError`] if the bytes are not what [`Item::put_item`] writes.
    fn read_item(r: &mut Reader<'a>) -> Result<Self, WireError>;

    /// Appends one.
    ///
    /// # Panics
    /// If it is longer than its caps allow.
    fn put_item(&self, out: &mut Vec<u8>);
}

impl<T: Fixed + Copy> Item<'_> for T {
    const MIN_LEN: usize = T::LEN;

    fn read_item(r: &mut Reader<'_>) -> Result<Self, WireError> {
        Ok(<Self as Fixed>::read(r)?)
    }

    fn put_item(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }
}

/// A list of items: either bytes that were checked when the message was read, or a slice to be written.
#[derive(Clone, Copy)]
pub struct Items<'a, T>(Source<'a, T>);

#[derive(Clone, Copy)]
enum Source<'a, T> {
    Encoded { bytes: &'a [u8], count: usize },
    Slice(&'a [T]),
}

impl<'a, T> From<&'a [T]> for Items<'a, T> {
    fn from(items: &'a [T]) -> Self {
        Self(Source::Slice(items))
    }
}

impl<T> Default for Items<'_, T> {
    fn default() -> Self {
        Self(Source::Slice(&[]))
    }
}

impl<'a, T: Item<'a>> Items<'a, T> {
    /// Reads and checks `count` items.
    pub(crate) fn read(r: &mut Reader<'a>, count: u32, field: &'static str, max: usize) -> Result<Self, WireError> {
        let count = check_count(count, field, max)?;
        if count > r.remaining() / T::MIN_LEN {
            return Err(DecodeError::Truncated.into());
        }
        let mut probe = r.clone();
        for _ in 0..count {
            T::read_item(&mut probe)?;
        }
        let bytes = r.bytes(r.remaining() - probe.remaining())?;
        Ok(Self(Source::Encoded { bytes, count }))
    }

    /// Appends the items, without their count.
    pub(crate) fn put(&self, out: &mut Vec<u8>) {
        match self.0 {
            Source::Encoded { bytes, .. } => out.list(bytes),
            Source::Slice(items) => items.iter().for_each(|item| item.put_item(out)),
        }
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self.0 {
            Source::Encoded { count, .. } => count,
            Source::Slice(items) => items.len(),
        }
    }

    /// True for none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The items in order.
    #[must_use]
    pub fn iter(&self) -> ItemsIter<'a, T> {
        ItemsIter(match self.0 {
            Source::Encoded { bytes, count } => State::Encoded(Reader::new(bytes), count),
            Source::Slice(items) => State::Slice(items.iter()),
        })
    }
}

impl<'a, T: Item<'a>> IntoIterator for Items<'a, T> {
    type Item = T;
    type IntoIter = ItemsIter<'a, T>;

    fn into_iter(self) -> ItemsIter<'a, T> {
        self.iter()
    }
}

impl<'a, T: Item<'a> + fmt::Debug> fmt::Debug for Items<'a, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}

impl<'a, T: Item<'a> + PartialEq> PartialEq for Items<'a, T> {
    fn eq(&self, other: &Self) -> bool {
        self.iter().eq(other.iter())
    }
}

impl<'a, T: Item<'a> + Eq> Eq for Items<'a, T> {}

/// The items of [`Items`], in order.
#[derive(Clone, Debug)]
pub struct ItemsIter<'a, T>(State<'a, T>);

#[derive(Clone, Debug)]
enum State<'a, T> {
    Encoded(Reader<'a>, usize),
    Slice(core::slice::Iter<'a, T>),
}

impl<'a, T: Item<'a>> Iterator for ItemsIter<'a, T> {
    type Item = T;

    fn next(&mut self) -> Option<T> {
        match &mut self.0 {
            State::Encoded(_, 0) => None,
            State::Encoded(reader, left) => {
                *left -= 1;
                Some(T::read_item(reader).expect("every item was read once when the message was"))
            }
            State::Slice(items) => items.next().copied(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = match &self.0 {
            State::Encoded(_, left) => *left,
            State::Slice(items) => items.len(),
        };
        (left, Some(left))
    }
}

impl<'a, T: Item<'a>> ExactSizeIterator for ItemsIter<'a, T> {}
