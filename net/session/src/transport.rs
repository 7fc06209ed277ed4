//! Sealing and opening frames once the keys are there.

use core::fmt;

use snow::TransportState;

use crate::buffer::Buffer;
use crate::error::{SendError, SessionError};
use crate::frame::{PLAIN_MAX, PREFIX_LEN, TAG_LEN, prefix};
use crate::rekey::{KeyUse, RekeyLimits};
use crate::session::Frames;

/// The two directions of a session.
pub(crate) struct Transport {
    noise: Box<TransportState>,
    limits: RekeyLimits,
    sent: KeyUse,
    received: KeyUse,
}

impl Transport {
    pub(crate) fn new(noise: TransportState, limits: RekeyLimits) -> Self {
        Self {
            noise: Box::new(noise),
            limits,
            sent: KeyUse::default(),
            received: KeyUse::default(),
        }
    }

    /// Noise numbers the frames of each direction from zero, and a new key does not start over.
    pub(crate) fn frames(&self) -> Frames {
        Frames {
            received: self.noise.receiving_nonce(),
            sent: self.noise.sending_nonce(),
        }
    }

    /// Appends `plaintext` to `out` in as few frames as hold it.
    pub(crate) fn seal(&mut self, plaintext: &[u8], out: &mut Buffer) -> Result<(), SendError> {
        plaintext
            .chunks(PLAIN_MAX)
            .try_for_each(|part| self.seal_frame(part, out))
    }

    fn seal_frame(&mut self, plaintext: &[u8], out: &mut Buffer) -> Result<(), SendError> {
        if self.sent.due(self.limits) {
            self.noise.rekey_outgoing();
        }
        let sealed = plaintext.len() + TAG_LEN;
        let space = out.space(PREFIX_LEN + sealed);
        let (head, body) = space.split_at_mut(PREFIX_LEN);
        let written = self
            .noise
            .write_message(plaintext, &mut body[..sealed])
            .map_err(SendError::Seal)?;
        assert_eq!(written, sealed, "AES-GCM adds exactly its tag");
        head.copy_from_slice(&prefix(sealed));
        out.advance(PREFIX_LEN + sealed);
        self.sent.count(plaintext.len());
        Ok(())
    }

    /// Appends the plaintext of `sealed` to `plain`.
    pub(crate) fn open(&mut self, sealed: &[u8], plain: &mut Buffer) -> Result<(), SessionError> {
        if self.received.due(self.limits) {
            self.noise.rekey_incoming();
        }
        // ring opens in place: with space for the tag too, it copies the frame there once and allocates nothing.
        let space = plain.space(sealed.len());
        let len = self
            .noise
            .read_message(sealed, &mut space[..sealed.len()])
            .map_err(SessionError::Frame)?;
        plain.advance(len);
        self.received.count(len);
        Ok(())
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport")
            .field("sent", &self.sent)
            .field("received", &self.received)
            .finish_non_exhaustive()
    }
}
