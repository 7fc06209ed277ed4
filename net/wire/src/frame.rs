//! The message stream: messages laid one behind another in the plaintext of a session.
//!
//! ```text
//!  0        4      6         8                16
//! +--------+------+---------+----------------+------------------ … ----+
//! | len u32| kind | version | request u64    | body, len bytes         |
//! +--------+------+---------+----------------+------------------ … ----+
//! ```
//!
//! Little endian. `request` is chosen by who asks and repeated by the answer. A message may span encrypted frames, and a
//! frame may hold many messages: nothing here knows where a frame ended.
//!
//! This module only finds where messages begin and end. It never reads a body, never allocates by an announced length,
//! and gives up on the stream at the first header that no honest peer writes.

use tidegate_types::{Fixed, fixed_struct};

/// Bytes of a [`Header`].
pub const HEADER_LEN: usize = 16;

/// The longest body that any message may have, in bytes.
pub const MAX_BODY: u32 = 4 << 20;

/// The version that [`write_message`] puts into headers.
pub const VERSION: u16 = 1;

/// A reader keeps a buffer up to this size between messages and frees a larger one, so that a connection that once got a
/// large message is small again when idle.
const KEPT_BUFFER: usize = 4096;

/// What stands before each body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes of the body.
    pub len: u32,
    /// Which message the body is; never zero.
    pub kind: u16,
    /// The version of that message's layout; never zero.
    pub version: u16,
    /// The id that an answer repeats.
    pub request: u64,
}
fixed_struct!(Header {
    len: u32,
    kind: u16,
    version: u16,
    request: u64
});

const _: () = assert!(Header::LEN == HEADER_LEN);

/// Why a message stream cannot be read on. The stream is lost: what follows has no known beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// A body is longer than this reader takes.
    #[error("a body of {len} bytes is over the limit of {max}")]
    BodyTooLong {
        /// Bytes announced.
        len: u32,
        /// Bytes allowed.
        max: u32,
    },
    /// Kind zero is no message, so that a run of zeros is not one.
    #[error("a message of kind 0")]
    ZeroKind,
    /// Version zero is no version.
    #[error("a message of version 0")]
    ZeroVersion,
}

/// A body that was not written because it is longer than [`MAX_BODY`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a body of {len} bytes is over the limit of {MAX_BODY}")]
pub struct BodyTooLong {
    /// Bytes that the body had.
    pub len: usize,
}

impl Header {
    /// The bytes of this header.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        self.encode_into(&mut bytes);
        bytes
    }

    /// Reads a header whose body may be at most `max_body` bytes.
    ///
    /// # Errors
    /// [`FrameError`] if no honest peer writes this header.
    pub fn decode_strict(bytes: &[u8; HEADER_LEN], max_body: u32) -> Result<Self, FrameError> {
        let header = <Self as Fixed>::decode(bytes)
            .expect("the array is exactly one header wide, and every field is a plain integer");
        if header.len > max_body {
            return Err(FrameError::BodyTooLong {
                len: header.len,
                max: max_body,
            });
        }
        if header.kind == 0 {
            return Err(FrameError::ZeroKind);
        }
        if header.version == 0 {
            return Err(FrameError::ZeroVersion);
        }
        Ok(header)
    }

    /// Bytes of the whole message, header and body.
    const fn message_len(&self) -> usize {
        HEADER_LEN + self.len as usize
    }
}

/// Appends one message of `kind` to `out`; `body` appends the body's bytes and changes nothing before them.
///
/// # Errors
/// [`BodyTooLong`]; `out` is then as it was before.
///
/// # Panics
/// If `body` makes `out` shorter.
pub fn write_message(
    out: &mut Vec<u8>,
    kind: u16,
    request: u64,
    body: impl FnOnce(&mut Vec<u8>),
) -> Result<(), BodyTooLong> {
    let start = out.len();
    let header = Header {
        len: 0,
        kind,
        version: VERSION,
        request,
    };
    out.extend_from_slice(&header.encode());
    body(out);
    let len = out
        .len()
        .checked_sub(start + HEADER_LEN)
        .expect("a body is appended, never taken away");
    match u32::try_from(len) {
        Ok(short) if short <= MAX_BODY => {
            out[start..start + 4].copy_from_slice(&short.to_le_bytes());
            Ok(())
        }
        _ => {
            out.truncate(start);
            Err(BodyTooLong { len })
        }
    }
}

/// Finds the messages in a stream that arrives in slices of any length.
///
/// A message that lies whole in the slice is lent from it; only one that spans slices is copied, into a buffer that grows
/// with the bytes that really arrived.
#[derive(Debug)]
pub struct MessageReader {
    /// The beginning of a message that is not complete, or the message lent last.
    partial: Vec<u8>,
    /// True if `partial` was lent out whole and is to be cleared.
    lent: bool,
    max_body: u32,
}

impl MessageReader {
    /// A reader that refuses bodies over `max_body` bytes ([`MAX_BODY`] at most).
    #[must_use]
    pub fn new(max_body: u32) -> Self {
        Self {
            partial: Vec::new(),
            lent: false,
            max_body: max_body.min(MAX_BODY),
        }
    }

    /// Changes the limit for headers that are read from now on: a stranger gets a lower one than a peer that is known.
    pub fn set_max_body(&mut self, max_body: u32) {
        self.max_body = max_body.min(MAX_BODY);
    }

    /// Bytes of an incomplete message that are held.
    #[must_use]
    pub fn held(&self) -> usize {
        if self.lent { 0 } else { self.partial.len() }
    }

    /// The next complete message. Takes its bytes off the front of `input`; with `None`, all of `input` was taken and the
    /// message goes on in bytes that are still to come.
    ///
    /// # Errors
    /// [`FrameError`]: the stream cannot be read on, and every later call fails alike.
    pub fn next<'s, 'i: 's>(&'s mut self, input: &mut &'i [u8]) -> Result<Option<(Header, &'s [u8])>, FrameError> {
        if self.lent {
            self.forget_lent();
        }
        if self.partial.is_empty()
            && let Some((header, body, rest)) = split_message(input, self.max_body)?
        {
            *input = rest;
            return Ok(Some((header, body)));
        }
        if !self.top_up(input, HEADER_LEN) {
            return Ok(None);
        }
        let head = self.partial.first_chunk().expect("topped up to a whole header");
        let header = Header::decode_strict(head, self.max_body)?;
        if !self.top_up(input, header.message_len()) {
            return Ok(None);
        }
        self.lent = true;
        Ok(Some((header, self.partial.get(HEADER_LEN..).unwrap_or_default())))
    }

    /// Moves bytes from `input` until `partial` is `total` long; false if they do not suffice.
    fn top_up(&mut self, input: &mut &[u8], total: usize) -> bool {
        let missing = total.saturating_sub(self.partial.len());
        let (taken, rest) = input.split_at(missing.min(input.len()));
        let wanted = self.partial.len() + taken.len();
        if wanted > self.partial.capacity() {
            // Doubling keeps copies linear; the message's length is the cap, so that no byte more than announced and no
            // more than twice what arrived is ever allocated.
            let capacity = (2 * wanted).min(total);
            self.partial.reserve_exact(capacity - self.partial.len());
        }
        self.partial.extend_from_slice(taken);
        *input = rest;
        self.partial.len() >= total
    }

    fn forget_lent(&mut self) {
        self.lent = false;
        if self.partial.capacity() > KEPT_BUFFER {
            self.partial = Vec::new();
        } else {
            self.partial.clear();
        }
    }
}

/// The message at the front of `input`, its body and what follows, if it lies there whole.
#[expect(
    clippy::type_complexity,
    reason = "three parts of one slice, named where they are taken"
)]
fn split_message(input: &[u8], max_body: u32) -> Result<Option<(Header, &[u8], &[u8])>, FrameError> {
    let Some((head, rest)) = input.split_first_chunk::<HEADER_LEN>() else {
        return Ok(None);
    };
    let header = Header::decode_strict(head, max_body)?;
    Ok(rest
        .split_at_checked(header.len as usize)
        .map(|(body, rest)| (header, body, rest)))
}

#[cfg(test)]
mod tests {
    use super::*;

    type Owned = Vec<(u16, u64, Vec<u8>)>;

    fn sample() -> (Vec<u8>, Owned) {
        let bodies: [&[u8]; 5] = [b"", b"a", b"seventeen bytes..", &[0; 16], &[0xff; 40]];
        let mut bytes = Vec::new();
        let mut messages = Owned::new();
        for (i, body) in (1u16..).zip(bodies) {
            write_message(&mut bytes, i, u64::from(i) << 40, |out| out.extend_from_slice(body)).unwrap();
            messages.push((i, u64::from(i) << 40, body.to_vec()));
        }
        (bytes, messages)
    }

    fn drain(reader: &mut MessageReader, mut input: &[u8], got: &mut Owned) -> Result<(), FrameError> {
        while let Some((header, body)) = reader.next(&mut input)? {
            assert_eq!(header.len as usize, body.len());
            assert_eq!(header.version, VERSION);
            got.push((header.kind, header.request, body.to_vec()));
        }
        assert!(input.is_empty(), "without a message, all input is taken");
        Ok(())
    }

    #[test]
    fn every_cut_of_the_stream_in_three_gives_the_same_messages() {
        let (bytes, messages) = sample();
        for first in 0..=bytes.len() {
            for second in first..=bytes.len() {
                let mut reader = MessageReader::new(MAX_BODY);
                let mut got = Owned::new();
                for part in [&bytes[..first], &bytes[first..second], &bytes[second..]] {
                    drain(&mut reader, part, &mut got).unwrap();
                }
                assert_eq!(got, messages, "cut at {first} and {second}");
                assert_eq!(reader.held(), 0);
            }
        }
    }

    #[test]
    fn byte_by_byte_gives_the_same_messages() {
        let (bytes, messages) = sample();
        let mut reader = MessageReader::new(MAX_BODY);
        let mut got = Owned::new();
        for byte in bytes.chunks(1) {
            drain(&mut reader, byte, &mut got).unwrap();
        }
        assert_eq!(got, messages);
    }

    #[test]
    fn a_message_whole_in_the_slice_is_lent_from_it() {
        let (bytes, _) = sample();
        let mut reader = MessageReader::new(MAX_BODY);
        let mut input = &bytes[..];
        while let Some((_, body)) = reader.next(&mut input).unwrap() {
            assert!(body.is_empty() || bytes.as_ptr_range().contains(&body.as_ptr()));
        }
        assert_eq!(reader.partial.capacity(), 0);
    }

    #[test]
    fn an_announced_length_allocates_nothing() {
        let header = Header {
            len: MAX_BODY,
            kind: 1,
            version: 1,
            request: 0,
        };
        let mut reader = MessageReader::new(MAX_BODY);
        drain(&mut reader, &header.encode(), &mut Owned::new()).unwrap();
        for _ in 0..1000 {
            drain(&mut reader, &[0; 7], &mut Owned::new()).unwrap();
            assert!(reader.partial.capacity() <= 2 * reader.held() + HEADER_LEN);
        }
    }

    #[test]
    fn a_large_message_arrives_and_its_buffer_is_given_back() {
        let body: Vec<u8> = (0..MAX_BODY).map(|i| (i % 251).to_le_bytes()[0]).collect();
        let mut bytes = Vec::new();
        write_message(&mut bytes, 9, 1, |out| out.extend_from_slice(&body)).unwrap();
        let mut reader = MessageReader::new(MAX_BODY);
        let mut got = Owned::new();
        for part in bytes.chunks(16 * 1024) {
            drain(&mut reader, part, &mut got).unwrap();
        }
        assert_eq!(got, [(9, 1, body)]);
        assert_eq!((reader.held(), reader.partial.capacity()), (0, 0));
    }

    #[test]
    fn headers_that_nobody_writes_end_the_stream() {
        let good = Header {
            len: 3,
            kind: 1,
            version: 1,
            request: 7,
        };
        let cases = [
            (
                Header { len: 1025, ..good },
                FrameError::BodyTooLong { len: 1025, max: 1024 },
            ),
            (
                Header { len: u32::MAX, ..good },
                FrameError::BodyTooLong {
                    len: u32::MAX,
                    max: 1024,
                },
            ),
            (Header { kind: 0, ..good }, FrameError::ZeroKind),
            (Header { version: 0, ..good }, FrameError::ZeroVersion),
        ];
        for (header, error) in cases {
            let bytes = header.encode();
            for cut in 0..=HEADER_LEN {
                let mut reader = MessageReader::new(1024);
                let mut got = Owned::new();
                let first = drain(&mut reader, &bytes[..cut], &mut got);
                let second = drain(&mut reader, &bytes[cut..], &mut got);
                assert_eq!(first.and(second), Err(error));
                assert!(got.is_empty());
            }
        }
        assert_eq!(Header::decode_strict(&good.encode(), 1024), Ok(good));
    }

    #[test]
    fn a_body_over_the_limit_is_not_written() {
        let mut out = vec![1, 2, 3];
        let len = MAX_BODY as usize + 1;
        let written = write_message(&mut out, 1, 1, |body| body.resize(body.len() + len, 0));
        assert_eq!(written, Err(BodyTooLong { len }));
        assert_eq!(out, [1, 2, 3]);
    }

    #[test]
    fn the_layout_is_frozen() {
        let mut out = Vec::new();
        write_message(&mut out, 0x0102, 0x0304_0506_0708_090a, |body| body.push(0xbb)).unwrap();
        assert_eq!(
            out,
            [
                1, 0, 0, 0, 0x02, 0x01, 1, 0, 0x0a, 0x09, 0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0xbb
            ]
        );
    }
}
