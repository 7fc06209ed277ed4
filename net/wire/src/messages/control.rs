//! `Ping`, `Busy`, `Error`.

use tidegate_types::{DecodeError, Fixed};

use super::Body;
use crate::cursor::{Put, Take};
use crate::lengths::MAX_ERROR_TEXT;
use crate::{ErrorCode, Kind, Reader, WireError};

/// Is anyone there? `flags u32 | 0 × 4 | token 8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ping {
    /// Flag bit 0: this is the answer.
    pub answer: bool,
    /// Chosen by who asks, repeated by the answer.
    pub token: [u8; 8],
}

impl<'a> Body<'a> for Ping {
    const KIND: Kind = Kind::Ping;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let answer = r.flags(1)? == 1;
        r.pad(4)?;
        Ok(Self {
            answer,
            token: r.array()?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&u32::from(self.answer));
        out.pad(4);
        out.put(&self.token);
    }
}

/// Not now: `milliseconds u32 | 0 × 4`. Nothing has changed; the same bytes may be sent again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Busy {
    /// When to try again, in milliseconds from now.
    pub retry_after_ms: u32,
}

impl<'a> Body<'a> for Busy {
    const KIND: Kind = Kind::Busy;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let retry_after_ms = u32::read(r)?;
        r.pad(4)?;
        Ok(Self { retry_after_ms })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.retry_after_ms);
        out.pad(4);
    }
}

/// A request was not served: `code u16 | 0 × 2 | length u32 | text`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Error<'a> {
    /// Why.
    pub code: ErrorCode,
    /// In words, for people: UTF-8 of at most 256 bytes without control characters, so that it can be printed as it is.
    pub text: &'a str,
}

impl<'a> Body<'a> for Error<'a> {
    const KIND: Kind = Kind::Error;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let code = u16::read(r)?;
        r.pad(2)?;
        let len = u32::read(r)?;
        let bytes = r.blob(len, "bytes of text", MAX_ERROR_TEXT)?;
        Ok(Self {
            code: ErrorCode::from_code(code).ok_or(DecodeError::UnknownValue {
                field: "error code",
                value: code.into(),
            })?,
            text: core::str::from_utf8(bytes)
                .ok()
                .filter(|text| !text.contains(char::is_control))
                .ok_or(WireError::Text)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.code.code());
        out.pad(2);
        let start = out.len();
        out.pad(4);
        // Control characters and what is too long are left out rather than refused: a text must never stop an answer.
        for c in self.text.chars().filter(|c| !c.is_control()) {
            if out.len() - start - 4 + c.len_utf8() > MAX_ERROR_TEXT {
                break;
            }
            out.list(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
        let len = u32::try_from(out.len() - start - 4).expect("a text is at most 256 bytes");
        out[start..start + 4].copy_from_slice(&len.to_le_bytes());
    }
}
