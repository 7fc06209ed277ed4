//! What a program plugs into a reactor.

use std::io;
use std::net::IpAddr;

use tidegate_session::{Millis, PublicKey, SendError, SessionError};
use tidegate_wire::frame::{FrameError, Header};

use crate::id::ConnId;
use crate::outbox::Outbox;

/// What happens on the connections of a reactor. Every call is made on the reactor's thread and must not wait for
/// anything: what takes time is handed to another thread, which answers through [`crate::Sender`].
pub trait Handler {
    /// The peer has proved its identity. Nothing of it was delivered before.
    fn on_ready(&mut self, conn: ConnId, peer: &PublicKey, out: &mut Outbox<'_>);

    /// Another hub has proved its identity, on a connection that it has begun as a link or that [`Outbox::connect_link`] has. By
    /// default the connection is closed: who listens without `ServerConfig::links` is never asked.
    fn on_link_ready(&mut self, conn: ConnId, peer: &PublicKey, from: IpAddr, out: &mut Outbox<'_>) {
        let _ = (peer, from);
        out.close(conn);
    }

    /// True if this peer may take one of the places that are kept for peers with something at stake here. Asked when the
    /// others are taken.
    fn has_place(&mut self, peer: &PublicKey) -> bool {
        let _ = peer;
        false
    }

    /// A message came. `body` is lent until the call ends.
    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>);

    /// The connection is gone and its id is stale. Called once for every connection, also for one that never got ready.
    ///
    /// A handler that connects again from here, at once and always, keeps the reactor busy: it belongs into `on_tick`.
    fn on_closed(&mut self, conn: ConnId, reason: &CloseReason, out: &mut Outbox<'_>);

    /// The peer sends no more, and all that it sent was delivered. By default the connection is closed once it has
    /// taken what waits for it; a handler with answers still to come keeps it open.
    fn on_peer_ended(&mut self, conn: ConnId, out: &mut Outbox<'_>) {
        out.close(conn);
    }

    /// Someone called [`crate::Sender::wake`], once or often.
    fn on_wake(&mut self, out: &mut Outbox<'_>) {
        let _ = out;
    }

    /// [`crate::Config::tick_millis`] have passed.
    fn on_tick(&mut self, now: Millis, out: &mut Outbox<'_>) {
        let _ = (now, out);
    }

    /// All messages of this turn of the loop were delivered; what was gathered from them can be handed on in one piece.
    fn on_turn_end(&mut self, out: &mut Outbox<'_>) {
        let _ = out;
    }
}

/// Why a connection is gone.
#[derive(Debug)]
pub enum CloseReason {
    /// This side closed it.
    Closed,
    /// The reactor was stopped.
    Stopped,
    /// The peer ended the connection in the middle of a frame or a message.
    Truncated,
    /// The peer ended the connection before it was known. A hub does so to whoever has a wrong key or ledger.
    EndedInHandshake,
    /// The session failed: wrong keys, changed bytes, garbage, or too slow a handshake.
    Session(SessionError),
    /// The session can number no more frames.
    Seal(SendError),
    /// The peer sent what is no message.
    Message(FrameError),
    /// More waits to be sent than one peer may make wait: it does not read.
    SendQueueFull,
    /// Nothing came or went for too long.
    Idle,
    /// What places are left are kept for others.
    NoPlace,
    /// A stranger was asked to come again with a cookie.
    SentAway,
    /// The connection could not be made.
    Connect(io::Error),
    /// The socket failed.
    Socket(io::Error),
}

impl std::fmt::Display for CloseReason {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => write!(f, "closed by this side"),
            Self::Stopped => write!(f, "the reactor was stopped"),
            Self::Truncated => write!(f, "the peer ended in the middle of a message"),
            Self::EndedInHandshake => write!(f, "the peer ended the connection before it was known"),
            Self::Session(error) => write!(f, "{error}"),
            Self::Seal(error) => write!(f, "{error}"),
            Self::Message(error) => write!(f, "{error}"),
            Self::SendQueueFull => write!(f, "the peer does not read what is sent to it"),
            Self::Idle => write!(f, "nothing came or went for too long"),
            Self::NoPlace => write!(f, "the places that are left are kept for peers with channels"),
            Self::SentAway => write!(f, "a stranger was asked to come again"),
            Self::Connect(error) => write!(f, "no connection: {error}"),
            Self::Socket(error) => write!(f, "the socket failed: {error}"),
        }
    }
}
