//! Why a session ends.

use tidegate_types::KeyBytes;

use crate::cookie::Retry;
use crate::frame::FrameLength;
use crate::identity::IdentityError;

/// Why a session is over. Unless said otherwise the peer, or whoever stands between, is at fault.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SessionError {
    /// A frame of a length that cannot come now.
    #[error(transparent)]
    Length(#[from] FrameLength),
    /// A handshake message that does not fit: another hub key, another ledger or version, a point of small order, or
    /// bytes that were changed on the way.
    #[error("the handshake failed: {0}")]
    Handshake(#[source] snow::Error),
    /// A frame that was not sealed with this session's key at this place in the stream.
    #[error("a frame did not open: {0}")]
    Frame(#[source] snow::Error),
    /// The peer did not prove who it is.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// Nobody's fault: the hub is under load and asks to come again, on a new connection
    /// ([`crate::Session::client_again`]).
    #[error("the hub is under load and asks to come again in {} ms", .0.after_millis)]
    Retry(Retry),
    /// A hub asks to come again in a frame that is not well made.
    #[error("the hub asks to come again in bytes that are no such message")]
    MalformedRetry,
    /// The peer is not known in time.
    #[error("the handshake took longer than {millis} ms")]
    HandshakeTimeout {
        /// Milliseconds that were allowed.
        millis: u64,
    },
    /// Own fault: the keys of the configuration make no handshake, or the system has no random bytes.
    #[error("no handshake can be started: {0}")]
    Local(#[source] snow::Error),
    /// Own fault: an earlier call failed, and the session was used again.
    #[error("the session has failed before")]
    Failed,
}

/// Why nothing was sent.
#[derive(Debug, PartialEq, thiserror::Error)]
pub enum SendError {
    /// The peer is not known yet, or the session has failed.
    #[error("the session is not ready")]
    NotReady,
    /// The session has sealed as many frames as its counter can number.
    #[error("a frame could not be sealed: {0}")]
    Seal(#[source] snow::Error),
}

impl SessionError {
    /// The identity that was claimed by a hub other than the one in the address, if that is what happened.
    #[must_use]
    pub const fn other_hub(&self) -> Option<KeyBytes> {
        match self {
            Self::Identity(IdentityError::OtherHub { found, .. }) => Some(*found),
            _ => None,
        }
    }
}
