//! Bytes between two parties, read at the front and written at the back.
//!
//! ```text
//!  0          start              end            storage.len()
//! +-----------+------------------+--------------------+
//! | read      | to be read       | space, initialised |
//! +-----------+------------------+--------------------+
//! ```
//!
//! The storage stays initialised, so a buffer that is used again is never zeroed again; that is what makes it cheaper than
//! a `Vec` that is cleared and resized per frame. It grows when asked for space and never shrinks by itself.

/// See the [module](self).
#[derive(Default)]
pub struct Buffer {
    storage: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    /// An empty buffer that owns no memory.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            storage: Vec::new(),
            start: 0,
            end: 0,
        }
    }

    /// An empty buffer with space for `capacity` bytes.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        Self {
            storage: vec![0; capacity],
            start: 0,
            end: 0,
        }
    }

    /// The bytes that were written and not read.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.storage[self.start..self.end]
    }

    /// How many bytes were written and not read.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.end - self.start
    }

    /// True if everything that was written was read.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.start == self.end
    }

    /// Bytes of memory owned.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.storage.len()
    }

    /// Takes `count` bytes off the front.
    ///
    /// # Panics
    /// If fewer are there.
    pub fn consume(&mut self, count: usize) {
        assert!(count <= self.len(), "only what was written can be read");
        self.start += count;
        if self.is_empty() {
            self.clear();
        }
    }

    /// Forgets every byte and keeps the memory.
    pub const fn clear(&mut self) {
        self.start = 0;
        self.end = 0;
    }

    /// At least `count` bytes of space behind the written ones; what they hold is of no meaning. [`Buffer::advance`] makes
    /// them count.
    pub fn space(&mut self, count: usize) -> &mut [u8] {
        if self.storage.len() - self.end < count {
            self.make_space(count);
        }
        &mut self.storage[self.end..]
    }

    /// Counts the first `count` bytes of the space as written.
    ///
    /// # Panics
    /// If there is less space.
    pub fn advance(&mut self, count: usize) {
        assert!(count <= self.storage.len() - self.end, "only space can be written");
        self.end += count;
    }

    /// Writes a copy of `bytes`.
    pub fn extend(&mut self, bytes: &[u8]) {
        self.space(bytes.len())[..bytes.len()].copy_from_slice(bytes);
        self.advance(bytes.len());
    }

    fn make_space(&mut self, count: usize) {
        self.storage.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        let needed = self.end + count;
        if self.storage.len() < needed {
            self.storage.resize(needed.max(2 * self.storage.len()), 0);
        }
    }
}

/// Shows how much is in it, not what: it may be plaintext.
impl core::fmt::Debug for Buffer {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "Buffer({} of {} bytes)", self.len(), self.capacity())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_in_order_over_any_compaction() {
        let mut buffer = Buffer::new();
        let (mut written, mut read) = (0u32, 0u32);
        for round in 0..1000usize {
            for _ in 0..round % 7 {
                buffer.extend(&written.to_le_bytes());
                written += 1;
            }
            for _ in 0..(round % 5).min(buffer.len() / 4) {
                assert_eq!(buffer.bytes()[..4], read.to_le_bytes());
                buffer.consume(4);
                read += 1;
            }
            assert_eq!(buffer.len(), 4 * (written - read) as usize);
        }
        assert!(read > 1000 && buffer.capacity() <= 2 * 4 * (written as usize));
    }

    #[test]
    fn a_buffer_read_empty_grows_no_more() {
        let mut buffer = Buffer::new();
        for _ in 0..100 {
            buffer.extend(&[7; 100]);
            buffer.consume(60);
            buffer.consume(40);
        }
        assert_eq!(buffer.capacity(), 100);
    }
}
