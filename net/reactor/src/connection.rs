//! One socket and its session: reading, delivering, sealing, writing.
//!
//! ```text
//!  socket → sealed_in + read → session → plain → reader → handler
//!             (part of a frame)            (plain_in: what its turn did not suffice for)
//!  socket ← sealed_out ← session ← Directory (plaintext that waits)
//! ```
//!
//! The buffers of a connection hold memory only while they hold bytes: between turns an idle connection owns none. Sockets
//! are edge-triggered, so `readable` and `writable` remember what was announced and not used up.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::Shutdown;

use mio::net::TcpStream;
use tidegate_session::{Buffer, Event, Millis, Session};
use tidegate_wire::frame::MessageReader;

use crate::config::Config;
use crate::dial::Dial;
use crate::directory::Directory;
use crate::gate::Prefix;
use crate::handler::{CloseReason, Handler};
use crate::id::ConnId;
use crate::outbox::Outbox;
use crate::stats::Stats;
use crate::turns::{Class, Weight};

/// Plaintext sealed before it is written: four frames, one write.
const SEAL_BYTES: usize = 4 * tidegate_session::PLAIN_MAX;
/// Bytes written to one peer before it is the next one's turn.
const WRITE_TURN_BYTES: usize = 256 * 1024;
/// What a connection that is being closed may still send before it is cut off: what an honest peer can have on its way.
const DISCARD_BYTES: usize = 1 << 20;
/// Buffers kept for other connections.
const POOLED_MAX: usize = 64;
/// Larger ones are freed.
const POOLED_BYTES_MAX: usize = 128 * 1024;

/// What the loop lends to a connection for its turn.
pub(crate) struct Context<'a> {
    pub(crate) now: Millis,
    pub(crate) config: &'a Config,
    pub(crate) stats: &'a Stats,
    pub(crate) directory: &'a mut Directory,
    pub(crate) scratch: &'a mut Scratch,
    /// The places that are left are kept for peers with something at stake.
    pub(crate) crowded: bool,
}

/// Buffers that all connections use in turn.
#[derive(Debug, Default)]
pub(crate) struct Scratch {
    sealed: Buffer,
    plain: Buffer,
    pool: Vec<Buffer>,
}

impl Scratch {
    fn take(&mut self) -> Buffer {
        self.pool.pop().unwrap_or_default()
    }

    fn give(&mut self, mut buffer: Buffer) {
        if (1..=POOLED_BYTES_MAX).contains(&buffer.capacity()) && self.pool.len() < POOLED_MAX {
            buffer.clear();
            self.pool.push(buffer);
        }
    }

    /// Puts `bytes` into `buffer`, which holds memory only while it holds bytes.
    fn keep(&mut self, buffer: &mut Buffer, bytes: &[u8]) {
        if bytes.is_empty() {
            self.give(core::mem::take(buffer));
            return;
        }
        if buffer.capacity() == 0 {
            *buffer = self.take();
        }
        buffer.clear();
        buffer.extend(bytes);
    }
}

/// Whether a connection has more to do without another event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// Its turn ended before its work did.
    Again,
    /// Only an event, a command or a deadline changes anything.
    Wait,
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) id: ConnId,
    socket: TcpStream,
    session: Session,
    reader: MessageReader,
    sealed_in: Buffer,
    plain_in: Buffer,
    sealed_out: Buffer,
    /// Accepted, from this prefix; `None` if this side has connected.
    pub(crate) incoming: Option<Prefix>,
    /// What this side has dialled, until the peer is known.
    pub(crate) dial: Option<Box<Dial>>,
    /// The handler knows of it.
    pub(crate) was_ready: bool,
    /// The three-way handshake of TCP is not over.
    connecting: bool,
    pub(crate) readable: bool,
    pub(crate) writable: bool,
    /// The peer has announced its end: a short read is not the last one.
    pub(crate) end_announced: bool,
    /// The peer's end was read.
    ended: bool,
    /// The handler knows of it.
    end_told: bool,
    /// This side has sent its end.
    shut: bool,
    /// Bytes that were read since and delivered to nobody.
    discarded: usize,
    /// Its closing deadline is set.
    pub(crate) close_armed: bool,
    /// It stands in the loop's ready list.
    pub(crate) listed: bool,
    pub(crate) last_active: Millis,
    weight: Weight,
}

impl Connection {
    fn new(id: ConnId, socket: TcpStream, session: Session, cx: &Context<'_>) -> Self {
        Self {
            id,
            socket,
            session,
            reader: MessageReader::new(cx.config.body_bytes_max),
            sealed_in: Buffer::new(),
            plain_in: Buffer::new(),
            sealed_out: Buffer::new(),
            incoming: None,
            dial: None,
            was_ready: false,
            connecting: false,
            readable: false,
            writable: false,
            end_announced: false,
            ended: false,
            end_told: false,
            shut: false,
            discarded: 0,
            close_armed: false,
            listed: false,
            last_active: cx.now,
            weight: Weight::default(),
        }
    }

    /// A connection that was accepted.
    pub(crate) fn incoming(id: ConnId, socket: TcpStream, session: Session, prefix: Prefix, cx: &Context<'_>) -> Self {
        Self {
            incoming: Some(prefix),
            ..Self::new(id, socket, session, cx)
        }
    }

    /// A connection that this side has begun by `dial`; `first` is what the session says first.
    pub(crate) fn outgoing(
        id: ConnId,
        socket: TcpStream,
        session: Session,
        (dial, first): (Dial, Buffer),
        cx: &Context<'_>,
    ) -> Self {
        Self {
            connecting: true,
            dial: Some(Box::new(dial)),
            sealed_out: first,
            ..Self::new(id, socket, session, cx)
        }
    }

    pub(crate) const fn is_ready(&self) -> bool {
        self.session.is_ready()
    }

    /// In which of the loop's queues it waits for its turn.
    pub(crate) fn class(&self, now: Millis) -> Class {
        if self.incoming.is_some() && !self.is_ready() {
            Class::Stranger
        } else {
            self.weight.class(now)
        }
    }

    pub(crate) const fn session_mut(&mut self) -> &mut Session {
        &mut self.session
    }

    pub(crate) const fn socket_mut(&mut self) -> &mut TcpStream {
        &mut self.socket
    }

    /// Learns whether a connection that was begun is made.
    ///
    /// # Errors
    /// [`CloseReason::Connect`].
    pub(crate) fn finish_connect(&mut self) -> Result<(), CloseReason> {
        if !self.connecting {
            return Ok(());
        }
        if let Some(error) = self.socket.take_error().map_err(CloseReason::Connect)? {
            return Err(CloseReason::Connect(error));
        }
        match self.socket.peer_addr() {
            Ok(_) => self.connecting = false,
            Err(error) if error.kind() == ErrorKind::NotConnected => self.writable = false,
            Err(error) => return Err(CloseReason::Connect(error)),
        }
        Ok(())
    }

    /// Delivers and reads up to one turn's worth.
    pub(crate) fn read_turn(&mut self, cx: &mut Context<'_>, handler: &mut impl Handler) -> Result<Next, CloseReason> {
        if self.is_held_back(cx.directory) {
            return Ok(Next::Wait);
        }
        let mut messages = cx.config.turn_messages;
        self.deliver_held(cx, handler, &mut messages)?;
        if self.plain_in.is_empty() && self.readable && !self.is_held_back(cx.directory) {
            self.read_once(cx, handler, &mut messages)?;
        }
        if self.is_held_back(cx.directory) {
            return Ok(Next::Wait);
        }
        if !self.plain_in.is_empty() || self.readable {
            return Ok(Next::Again);
        }
        if self.ended && !self.end_told {
            self.tell_end(cx, handler)?;
        }
        Ok(Next::Wait)
    }

    /// True if nothing may be read. Handshakes go on during a pause: a program that is full for a moment does not make
    /// strangers miss their deadline.
    pub(crate) fn is_held_back(&self, directory: &Directory) -> bool {
        self.is_ready() && directory.holds_back(self.id)
    }

    /// Delivers what an earlier turn opened and did not get to.
    fn deliver_held(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut impl Handler,
        messages: &mut usize,
    ) -> Result<(), CloseReason> {
        if self.plain_in.is_empty() {
            return Ok(());
        }
        let mut held = core::mem::take(&mut self.plain_in);
        let taken = self.deliver(held.bytes(), cx, handler, messages)?;
        held.consume(taken);
        if held.is_empty() {
            cx.scratch.give(held);
        } else {
            self.plain_in = held;
        }
        Ok(())
    }

    /// One read from the socket, and what comes of it.
    fn read_once(
        &mut self,
        cx: &mut Context<'_>,
        handler: &mut impl Handler,
        messages: &mut usize,
    ) -> Result<(), CloseReason> {
        let mut sealed = core::mem::take(&mut cx.scratch.sealed);
        let mut plain = core::mem::take(&mut cx.scratch.plain);
        sealed.clear();
        plain.clear();
        sealed.extend(self.sealed_in.bytes());
        let result = self
            .fill(&mut sealed, cx)
            .and_then(|()| self.open(&mut sealed, &mut plain, cx))
            .and_then(|()| self.greet(cx, handler))
            .and_then(|()| self.deliver(plain.bytes(), cx, handler, messages))
            .map(|taken| plain.consume(taken));
        cx.scratch.keep(&mut self.sealed_in, sealed.bytes());
        cx.scratch.keep(&mut self.plain_in, plain.bytes());
        cx.scratch.sealed = sealed;
        cx.scratch.plain = plain;
        result
    }

    /// Reads from the socket to the end of `sealed`.
    fn fill(&mut self, sealed: &mut Buffer, cx: &Context<'_>) -> Result<(), CloseReason> {
        let most = cx.config.turn_bytes;
        cx.stats.syscalls.add(1);
        match self.socket.read(&mut sealed.space(most)[..most]) {
            Ok(0) => {
                self.readable = false;
                self.ended = true;
            }
            Ok(count) => {
                sealed.advance(count);
                cx.stats.bytes_in.add(count as u64);
                self.last_active = cx.now;
                self.weight.note(0, count, cx.now);
                // Less than asked for means that the kernel has no more, unless the end comes right behind.
                self.readable = count == most || self.end_announced;
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => self.readable = false,
                ErrorKind::Interrupted => {}
                _ => return Err(CloseReason::Socket(error)),
            },
        }
        Ok(())
    }

    /// Opens the frames that are whole.
    fn open(&mut self, sealed: &mut Buffer, plain: &mut Buffer, cx: &mut Context<'_>) -> Result<(), CloseReason> {
        if self.end_announced && self.session.is_untouched() {
            // Whoever is gone before its handshake begins will not finish it, so nothing is computed for it.
            return Err(CloseReason::EndedInHandshake);
        }
        let before = self.session.frames().received;
        let taken = self
            .session
            .receive(cx.now, sealed.bytes(), plain, &mut self.sealed_out)
            .map_err(CloseReason::Session)?;
        sealed.consume(taken);
        cx.stats.frames_in.add(self.session.frames().received - before);
        if !self.sealed_out.is_empty() {
            cx.directory.touch(self.id);
        }
        Ok(())
    }

    fn greet(&mut self, cx: &mut Context<'_>, handler: &mut impl Handler) -> Result<(), CloseReason> {
        match self.session.poll_event() {
            None => {}
            Some(Event::Ready { peer }) => {
                if cx.crowded && !handler.has_place(&peer) {
                    return Err(CloseReason::NoPlace);
                }
                // What the handler queued before, and the handshake's last frame, can go out now.
                cx.directory.touch(self.id);
                self.dial = None;
                if self.session.is_link() {
                    let from = self.socket.peer_addr().map_err(CloseReason::Socket)?;
                    handler.on_link_ready(self.id, &peer, from.ip(), &mut cx.outbox());
                } else {
                    handler.on_ready(self.id, &peer, &mut cx.outbox());
                }
            }
            Some(Event::SentAway) => {
                cx.stats.sent_away.add(1);
                cx.directory.close(self.id);
            }
        }
        Ok(())
    }

    /// Gives the messages in `plain` to the handler, `messages` at most, and returns how many bytes they took.
    fn deliver(
        &mut self,
        plain: &[u8],
        cx: &mut Context<'_>,
        handler: &mut impl Handler,
        messages: &mut usize,
    ) -> Result<usize, CloseReason> {
        let mut rest = plain;
        let before = *messages;
        while *messages > 0 && !cx.directory.holds_back(self.id) {
            let Some((header, body)) = self.reader.next(&mut rest).map_err(CloseReason::Message)? else {
                break;
            };
            *messages -= 1;
            handler.on_message(self.id, header, body, &mut cx.outbox());
        }
        cx.stats.messages_in.add((before - *messages) as u64);
        self.weight.note(cx.config.turn_messages - *messages, 0, cx.now);
        let taken = plain.len() - rest.len();
        self.session.grant(taken as u64);
        Ok(taken)
    }

    /// The peer sends no more, and everything was delivered.
    fn tell_end(&mut self, cx: &mut Context<'_>, handler: &mut impl Handler) -> Result<(), CloseReason> {
        self.end_told = true;
        if !self.is_ready() {
            return Err(CloseReason::EndedInHandshake);
        }
        if !self.sealed_in.is_empty() || self.reader.held() > 0 {
            return Err(CloseReason::Truncated);
        }
        handler.on_peer_ended(self.id, &mut cx.outbox());
        Ok(())
    }

    /// Seals and writes what waits, up to one turn's worth.
    pub(crate) fn write_turn(&mut self, cx: &mut Context<'_>) -> Result<Next, CloseReason> {
        let mut budget = WRITE_TURN_BYTES;
        while self.writable && !self.connecting {
            if self.sealed_out.is_empty() && !self.seal(cx)? {
                break;
            }
            if budget == 0 {
                return Ok(Next::Again);
            }
            budget = budget.saturating_sub(self.write_once(cx)?);
        }
        if self.sealed_out.is_empty() {
            cx.scratch.give(core::mem::take(&mut self.sealed_out));
        }
        Ok(Next::Wait)
    }

    /// Seals the next plaintext that waits; false if there is none.
    fn seal(&mut self, cx: &mut Context<'_>) -> Result<bool, CloseReason> {
        if !self.is_ready() {
            return Ok(false);
        }
        let plain = cx.directory.waiting(self.id, SEAL_BYTES);
        let count = plain.len();
        if count == 0 {
            return Ok(false);
        }
        if self.sealed_out.capacity() == 0 {
            self.sealed_out = cx.scratch.take();
        }
        let before = self.session.frames().sent;
        self.session
            .send(plain, &mut self.sealed_out)
            .map_err(CloseReason::Seal)?;
        cx.stats.frames_out.add(self.session.frames().sent - before);
        cx.directory.sealed(self.id, cx.now, count);
        Ok(true)
    }

    fn write_once(&mut self, cx: &Context<'_>) -> Result<usize, CloseReason> {
        cx.stats.syscalls.add(1);
        let wanted = self.sealed_out.len();
        match self.socket.write(self.sealed_out.bytes()) {
            Ok(count) => {
                self.sealed_out.consume(count);
                cx.stats.bytes_out.add(count as u64);
                self.last_active = cx.now;
                // Less than asked for means that the kernel is full; it announces room.
                self.writable = count == wanted;
                Ok(count)
            }
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock => {
                    self.writable = false;
                    Ok(0)
                }
                ErrorKind::Interrupted => Ok(0),
                _ => Err(CloseReason::Socket(error)),
            },
        }
    }

    /// True while bytes wait that could go out.
    pub(crate) fn has_output(&self, directory: &Directory) -> bool {
        !self.sealed_out.is_empty() || (self.is_ready() && directory.queued(self.id) > 0)
    }

    /// True while bytes wait that could be delivered.
    pub(crate) const fn has_input(&self) -> bool {
        self.readable || !self.plain_in.is_empty() || (self.ended && !self.end_told)
    }

    /// One turn of a connection that this side closes and that has nothing more to send: tells the peer, then reads on
    /// until the peer has ended too. A socket that is dropped with bytes unread would be reset, and the reset can destroy
    /// what the peer has not read yet. Whoever goes on sending all the same is cut off.
    pub(crate) fn close_turn(&mut self, cx: &mut Context<'_>) -> Result<Next, CloseReason> {
        if !core::mem::replace(&mut self.shut, true) {
            // An error means that the connection is gone already, which reading finds out.
            let _ = self.socket.shutdown(Shutdown::Write);
        }
        if self.ended || self.connecting {
            return Err(CloseReason::Closed);
        }
        let mut discarded = core::mem::take(&mut cx.scratch.sealed);
        discarded.clear();
        let result = if self.readable {
            self.fill(&mut discarded, cx)
        } else {
            Ok(())
        };
        self.discarded += discarded.len();
        cx.scratch.sealed = discarded;
        result.map_err(|_| CloseReason::Closed)?;
        if self.discarded > DISCARD_BYTES {
            return Err(CloseReason::Closed);
        }
        match (self.ended, self.readable) {
            (true, _) => Err(CloseReason::Closed),
            (false, true) => Ok(Next::Again),
            (false, false) => Ok(Next::Wait),
        }
    }
}

impl Context<'_> {
    /// What a handler gets during this turn.
    pub(crate) const fn outbox(&mut self) -> Outbox<'_> {
        Outbox {
            directory: self.directory,
            now: self.now,
        }
    }
}
