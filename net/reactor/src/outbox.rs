//! What a handler may do: send, close, pause, connect.
//!
//! Everything is noted here and done by the loop after the peers had their turn, so that all answers of a turn to one peer
//! go out in as few frames and writes as hold them.

use std::net::SocketAddr;
use std::sync::Arc;

use tidegate_session::{ClientConfig, LinkConfig, Millis};
use tidegate_wire::frame::{BodyTooLong, write_message};

use crate::dial::{Dial, To};
use crate::directory::{Directory, Entry};
use crate::id::ConnId;

/// Why nothing was queued for a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutboxError {
    /// The connection is gone, or is being closed.
    #[error("the connection is gone")]
    Gone,
    /// The peer does not read; it is closed at the end of this turn.
    #[error("too much waits for a peer that does not read")]
    Full,
    /// The message is longer than any may be.
    #[error(transparent)]
    TooLong(#[from] BodyTooLong),
}

/// What a handler may do: send, close, pause, connect. Everything is noted and done once the peers had their turn.
#[derive(Debug)]
pub struct Outbox<'a> {
    pub(crate) directory: &'a mut Directory,
    pub(crate) now: Millis,
}

impl Outbox<'_> {
    /// Queues `plaintext`, one or more whole messages, for `conn`. A peer that is not known yet gets it once it is.
    ///
    /// # Errors
    /// [`OutboxError::Gone`] or [`OutboxError::Full`]; nothing was queued.
    pub fn send(&mut self, conn: ConnId, plaintext: &[u8]) -> Result<(), OutboxError> {
        self.directory.append(conn, self.now, |out| {
            out.extend_from_slice(plaintext);
            Ok(())
        })
    }

    /// Queues one message for `conn`, its body written straight to where it waits. `body` only appends.
    ///
    /// # Errors
    /// [`OutboxError`]; nothing was queued.
    pub fn message(
        &mut self,
        conn: ConnId,
        kind: u16,
        request: u64,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), OutboxError> {
        self.directory
            .append(conn, self.now, |out| Ok(write_message(out, kind, request, body)?))
    }

    /// Plaintext bytes that wait to be sent to `conn`.
    #[must_use]
    pub fn queued(&self, conn: ConnId) -> usize {
        self.directory.queued(conn)
    }

    /// Closes `conn` once it has taken what waits for it, or [`crate::Config::close_millis`] later. Nothing more is
    /// delivered from it, nothing more is queued for it.
    pub fn close(&mut self, conn: ConnId) {
        self.directory.close(conn);
    }

    /// Delivers nothing more from `conn` until [`Outbox::resume_reading`]; what it sends stays in its kernel and then in
    /// its own memory. It is not closed as idle meanwhile.
    pub fn pause_reading(&mut self, conn: ConnId) {
        if let Some(entry) = self.directory.entry(conn) {
            entry.pause();
        }
    }

    /// Ends [`Outbox::pause_reading`].
    pub fn resume_reading(&mut self, conn: ConnId) {
        if self.directory.entry(conn).is_some_and(Entry::resume) {
            self.directory.touch(conn);
        }
    }

    /// Delivers nothing from anyone until [`Outbox::resume_all`]: the program behind the handler is full. Answers go out,
    /// connections are accepted and get ready meanwhile.
    pub const fn pause_all(&mut self) {
        self.directory.paused_all = true;
    }

    /// Ends [`Outbox::pause_all`].
    pub const fn resume_all(&mut self) {
        self.directory.resumed_all |= self.directory.paused_all;
        self.directory.paused_all = false;
    }

    /// True between [`Outbox::pause_all`] and [`Outbox::resume_all`].
    #[must_use]
    pub const fn is_paused_all(&self) -> bool {
        self.directory.paused_all
    }

    /// Begins a connection. Whether it was made is told by `on_ready` or `on_closed`; a hub under load may ask for a few attempts,
    /// of which nothing is told. `None` if there are as many
    /// connections as there may be, or the reactor is being stopped.
    pub fn connect(&mut self, address: SocketAddr, config: Arc<ClientConfig>) -> Option<ConnId> {
        self.dial(Dial::new(address, To::Hub(config)))
    }

    /// As [`Outbox::connect`], a link with another hub; told of by `on_link_ready` or `on_closed`.
    pub fn connect_link(&mut self, address: SocketAddr, config: Arc<LinkConfig>) -> Option<ConnId> {
        self.dial(Dial::new(address, To::Link(config)))
    }

    fn dial(&mut self, dial: Dial) -> Option<ConnId> {
        let conn = self.directory.allocate()?;
        self.directory.connects.push((conn, dial));
        Some(conn)
    }

    /// The reactor's clock, as of this turn.
    #[must_use]
    pub const fn now(&self) -> Millis {
        self.now
    }
}
