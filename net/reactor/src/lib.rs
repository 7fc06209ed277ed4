//! The event loop: sockets, turns, deadlines and back-pressure, over the sessions of `tidegate-session`.
//!
//! One thread runs [`Reactor::run`] with a [`Handler`]. Hub, settlement node and client use it alike:
//!
//! ```text
//!             take events ─ take commands ─ turns: read, open, deliver ─ accept ─ on_turn_end ─ tick
//!  other           ▲                                                                              │
//!  threads ─ Sender┘ (bounded queue, shared wakes)     sleep ◄─ expire ◄─ settle: seal, write ◄───┘
//! ```
//!
//! - Strangers are let in by prefix, wait for each other's handshakes and not the peers for theirs, and show a cookie when there
//!   are many of them.
//! - A peer gets 64 KiB or 256 messages a turn, then stands behind the others; at most 64 connections are accepted a turn.
//! - Peers that ask rarely have their turn in every round; those with much to say, and strangers, share 200 µs of it each.
//! - What a turn produced for a peer is sealed together, in frames of up to 16 KiB, and written at once.
//! - What waits for a peer is bounded, and a peer that reaches the bound is closed. What waits for the program behind the
//!   handler is bounded by pausing: [`Outbox::pause_all`].
//! - Sockets are edge-triggered, so an idle loop sleeps; what could not be finished stands in a list, so a busy one forgets
//!   nothing.
//! - A hub under load asks strangers to come again with a cookie; a connection that is begun here does so by itself.
//! - A [`ConnId`] whose connection is gone names nobody.
//!
//! Nothing here knows a message's meaning, and no byte of a peer that is not known reaches a handler. The loop never waits
//! for anything but the kernel's next event, and a handler must not either.

mod config;
mod connection;
mod dial;
mod directory;
mod gate;
mod handler;
mod id;
mod listener;
mod outbox;
mod pace;
mod queue;
mod reactor;
mod sender;
mod stats;
mod turns;
mod wheel;

pub use config::Config;
pub use gate::Admission;
pub use handler::{CloseReason, Handler};
pub use id::ConnId;
pub use outbox::{Outbox, OutboxError};
pub use reactor::{Reactor, ReactorError};
pub use sender::{Sender, SenderError};
pub use stats::{Counter, Stats};
