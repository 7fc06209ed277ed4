//! Why a body is not a message.

use tidegate_types::DecodeError;

use crate::kind::{ErrorCode, Kind};

/// Why bytes are not the body of a message. The stream itself can be read on: framing found where the body ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum WireError {
    /// The bytes are no encoding of this message.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// No message has this code.
    #[error("no message has the kind {0}")]
    UnknownKind(u16),
    /// The code is reserved, or does not travel in this direction.
    #[error("{0} is not taken here")]
    Unsupported(Kind),
    /// A layout that this build does not know.
    #[error("{kind} has no version {version}")]
    Version {
        /// Of which message.
        kind: Kind,
        /// What the header said.
        version: u16,
    },
    /// A count or length is above its cap.
    #[error("{count} {field} are above the cap of {max}")]
    TooMany {
        /// Of what.
        field: &'static str,
        /// What was announced.
        count: u64,
        /// What is allowed.
        max: u64,
    },
    /// Text that is not UTF-8, or holds control characters.
    #[error("a text is not plain UTF-8")]
    Text,
}

impl WireError {
    /// The code by which a peer is told.
    #[must_use]
    pub const fn code(&self) -> ErrorCode {
        match self {
            Self::Decode(_) | Self::Text => ErrorCode::Malformed,
            Self::UnknownKind(_) => ErrorCode::UnknownKind,
            Self::Unsupported(_) => ErrorCode::Unsupported,
            Self::Version { .. } => ErrorCode::UnsupportedVersion,
            Self::TooMany { .. } => ErrorCode::TooLarge,
        }
    }
}
