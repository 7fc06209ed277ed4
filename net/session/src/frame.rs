//! The outermost layer: lengths on the socket.
//!
//! ```text
//!  0         2
//! +---------+--------------------------------------+
//! | len u16 | a handshake message, or ciphertext   |
//! +---------+--------------------------------------+
//! ```
//!
//! Little endian. Every state of the session knows which lengths may come, so a wrong one ends the session at its second
//! byte, before anything is buffered or computed.

use crate::cookie::COOKIE_LEN;

/// Bytes of the length prefix.
pub const PREFIX_LEN: usize = 2;

/// Bytes that authenticate a frame.
pub const TAG_LEN: usize = 16;

/// The most plaintext in one frame, in bytes.
pub const PLAIN_MAX: usize = 16 * 1024;

/// The longest frame behind its prefix, in bytes.
pub const SEALED_MAX: usize = PLAIN_MAX + TAG_LEN;

/// The first handshake message of IK: `e`, encrypted `s`, empty payload. XX begins with fewer bytes, so the length alone tells
/// which it is.
pub(crate) const IK_FIRST_LEN: usize = 32 + (32 + TAG_LEN) + TAG_LEN;

/// The second handshake message of IK: `e`, empty payload.
pub(crate) const IK_SECOND_LEN: usize = 32 + TAG_LEN;

/// The first handshake message of XX: `e`, empty payload in the clear.
pub(crate) const XX_FIRST_LEN: usize = 32;

/// The second handshake message of XX: `e`, encrypted `s`, empty payload.
pub(crate) const XX_SECOND_LEN: usize = 32 + (32 + TAG_LEN) + TAG_LEN;

/// The third handshake message of XX: encrypted `s`, empty payload.
pub(crate) const XX_THIRD_LEN: usize = (32 + TAG_LEN) + TAG_LEN;

/// The first handshake messages behind a cookie.
pub(crate) const IK_COOKIE_LEN: usize = COOKIE_LEN + IK_FIRST_LEN;
pub(crate) const XX_COOKIE_LEN: usize = COOKIE_LEN + XX_FIRST_LEN;

/// All that a stranger may send before it is known: prefixes, a cookie, handshake messages and the proof of its identity.
pub const UNKNOWN_PEER_BYTES_MAX: usize = {
    let proof = PREFIX_LEN + crate::identity::PROOF_LEN + TAG_LEN;
    let (client, link) = (
        PREFIX_LEN + IK_COOKIE_LEN + proof,
        2 * PREFIX_LEN + XX_COOKIE_LEN + XX_THIRD_LEN + proof,
    );
    if client > link { client } else { link }
};

const _: () = assert!(UNKNOWN_PEER_BYTES_MAX <= 4096);
const _: () = assert!(SEALED_MAX <= u16::MAX as usize);

/// A frame's length outside what may come now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a frame of {len} bytes; the least allowed here is {min}, the most {max}")]
pub struct FrameLength {
    /// Bytes announced.
    pub len: usize,
    /// The least allowed.
    pub min: usize,
    /// The most allowed.
    pub max: usize,
}

/// The lengths that may come next.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Lengths {
    /// One of these, in rising order.
    OneOf(&'static [usize]),
    /// Any between these, both included.
    Between(usize, usize),
}

impl Lengths {
    fn check(self, len: usize) -> Result<(), FrameLength> {
        let (good, min, max) = match self {
            Self::OneOf(all) => {
                let end = |of: Option<&usize>| of.copied().unwrap_or_default();
                (all.contains(&len), end(all.first()), end(all.last()))
            }
            Self::Between(min, max) => ((min..=max).contains(&len), min, max),
        };
        if good {
            Ok(())
        } else {
            Err(FrameLength { len, min, max })
        }
    }
}

/// The frame at the front of `input`, without its prefix, if it lies there whole.
pub(crate) fn first_frame(input: &[u8], allowed: Lengths) -> Result<Option<&[u8]>, FrameLength> {
    let Some((prefix, rest)) = input.split_first_chunk::<PREFIX_LEN>() else {
        return Ok(None);
    };
    let len = usize::from(u16::from_le_bytes(*prefix));
    allowed.check(len)?;
    Ok(rest.get(..len))
}

/// The prefix of a frame of `len` bytes.
///
/// # Panics
/// If `len` is over [`SEALED_MAX`]: frames are cut before they are sealed.
pub(crate) fn prefix(len: usize) -> [u8; PREFIX_LEN] {
    assert!(len <= SEALED_MAX, "frames are cut to size before they are sealed");
    u16::try_from(len).expect("SEALED_MAX fits").to_le_bytes()
}
