//! How connections come, and how they go.

use std::net::IpAddr;
use std::sync::Arc;

use mio::net::TcpStream;
use mio::{Interest, Token};
use tidegate_session::{Buffer, Session, SessionError};

use super::{Reactor, STRANGER_MILLIS_MIN, find};
use crate::connection::{Connection, Context};
use crate::dial::Dial;
use crate::gate::{Prefix, address_bytes};
use crate::handler::{CloseReason, Handler};
use crate::id::ConnId;
use crate::listener::{self, Accepted};

/// Milliseconds until accepting is tried again when nothing could be accepted.
const ACCEPT_RETRY_MILLIS: u64 = 100;

/// Connections begun in one round.
const TURN_CONNECTS: usize = 16;

impl Reactor {
    /// Accepts what waits, up to one turn's worth over all listeners. While as many as may be are half open, the others
    /// wait in the kernel: an honest crowd that comes at once gets in, and a hostile one costs no more than its places.
    pub(super) fn accept(&mut self, handler: &mut impl Handler) {
        if self.accept_after.is_some_and(|after| self.now < after) {
            return;
        }
        self.accept_after = None;
        self.evict_strangers(handler);
        let mut left = self.config.turn_accepts;
        for index in 0..self.listeners.len() {
            while left > 0 && self.listeners[index].pending && self.half_open < self.config.half_open_max {
                left -= 1;
                self.stats.syscalls.add(1);
                match self.listeners[index].accept(&mut self.spare) {
                    Accepted::Stream(stream, from) => self.take_in(index, stream, from, handler),
                    Accepted::Refused => self.stats.refused.add(1),
                    Accepted::Empty => {}
                    Accepted::Exhausted => {
                        self.accept_after = Some(self.now.after(ACCEPT_RETRY_MILLIS));
                        return;
                    }
                }
            }
        }
    }

    /// Closes the oldest strangers that have not said a whole word yet while others wait for their places: silence keeps no
    /// place for the whole of the deadline.
    fn evict_strangers(&mut self, handler: &mut impl Handler) {
        if !self.listeners.iter().any(|listener| listener.pending) {
            return;
        }
        for _ in 0..self.config.turn_accepts {
            let (Some(&(id, since)), true) = (self.strangers.front(), self.half_open >= self.config.half_open_max)
            else {
                return;
            };
            let conn = find(&mut self.connections, id);
            let silent = conn.and_then(|conn| conn.session_mut().is_untouched().then_some(conn.listed));
            if silent.is_some() && self.now.since(since) < STRANGER_MILLIS_MIN {
                return;
            }
            self.strangers.pop_front();
            match silent {
                // What it has said was not looked at yet: it is this side that has kept it waiting.
                Some(true) => self.strangers.push_back((id, since)),
                Some(false) => self.kill(id, CloseReason::NoPlace, handler),
                None => {}
            }
        }
    }

    /// Keeps the list of strangers as short as those that came within one deadline.
    fn forget_known_strangers(&mut self) {
        while let Some(&(id, _)) = self.strangers.front()
            && find(&mut self.connections, id).is_none_or(|conn| conn.was_ready)
        {
            self.strangers.pop_front();
        }
    }

    /// Keeps a connection that was accepted, if there is room; else it is closed by being dropped.
    fn take_in(&mut self, index: usize, stream: TcpStream, from: IpAddr, handler: &mut impl Handler) {
        let Ok(prefix) = self.gate.admit(from, self.now) else {
            self.stats.refused_by_prefix.add(1);
            return;
        };
        let Some(id) = self.directory.allocate() else {
            self.gate.leave(prefix);
            self.stats.refused.add(1);
            return;
        };
        let listener = &self.listeners[index];
        let now = self.now;
        let challenged = self.gate.asks_for_cookies(self.half_open) || !self.gate.may_work(prefix, now);
        let challenge = challenged.then(|| listener.cookies.challenge(address_bytes(from), now));
        let session = Session::server(Arc::clone(&listener.session), challenge, now);
        self.stats.accepted.add(1);
        self.half_open += 1;
        self.stats.half_open.set(self.half_open as u64);
        self.forget_known_strangers();
        self.strangers.push_back((id, now));
        let cx = self.context();
        let conn = Connection::incoming(id, stream, session, prefix, &cx);
        self.insert(conn, handler);
    }

    /// Begins the connections that were asked for, a few in a round: each costs a handshake's arithmetic, and what the first ones say
    /// shall go out before the others' is computed.
    pub(super) fn begin_connects(&mut self, handler: &mut impl Handler) {
        let mut connects = core::mem::take(&mut self.directory.connects);
        self.directory.connects = connects.split_off(connects.len().min(TURN_CONNECTS));
        for (id, dial) in connects {
            let mut first = Buffer::new();
            let begun = dial
                .session(self.now, &mut first)
                .map_err(CloseReason::Session)
                .and_then(|session| {
                    let stream = listener::connect(dial.address, &self.config).map_err(CloseReason::Connect)?;
                    Ok((session, stream))
                });
            match begun {
                Ok((session, stream)) => {
                    let cx = self.context();
                    let conn = Connection::outgoing(id, stream, session, (dial, first), &cx);
                    self.insert(conn, handler);
                }
                Err(reason) => self.report_closed(id, &reason, handler),
            }
        }
    }

    /// Has a connection begin again under its id if that is what its hub asks for: the handler is told of the last attempt alone.
    fn is_redialled(&mut self, id: ConnId, dial: Option<Box<Dial>>, reason: &CloseReason) -> bool {
        let CloseReason::Session(SessionError::Retry(retry)) = reason else {
            return false;
        };
        if self.stop_at.is_some() || self.directory.is_closing(id) {
            return false;
        }
        let Some((dial, wait)) = dial.and_then(|dial| dial.again(retry)) else {
            return false;
        };
        self.stats.redialled.add(1);
        self.redials.insert(id.slot(), (id, dial));
        self.wheel.arm(id.slot(), self.now.after(wait));
        true
    }

    /// The wait of a connection that is to begin again is over.
    fn redial(&mut self, slot: usize, handler: &mut impl Handler) {
        let Some((id, dial)) = self.redials.remove(&slot) else {
            return;
        };
        if self.directory.is_closing(id) {
            self.report_closed(id, &CloseReason::Closed, handler);
        } else {
            self.directory.connects.push((id, dial));
        }
    }

    fn insert(&mut self, mut conn: Connection, handler: &mut impl Handler) {
        let id = conn.id;
        let token = Token(usize::try_from(id.as_u64()).expect("64 bits, asserted above"));
        let registered =
            self.poll
                .registry()
                .register(conn.socket_mut(), token, Interest::READABLE | Interest::WRITABLE);
        if let Some(deadline) = conn.session_mut().deadline() {
            self.wheel.arm(id.slot(), deadline);
        }
        if self.connections.len() <= id.slot() {
            self.connections.resize_with(id.slot() + 1, || None);
        }
        self.connections[id.slot()] = Some(conn);
        self.open += 1;
        self.stats.connections.set(self.open as u64);
        if let Err(error) = registered {
            self.kill(id, CloseReason::Socket(error), handler);
        }
    }

    /// Closes what is past its deadline.
    pub(super) fn expire(&mut self, handler: &mut impl Handler) {
        let mut fired = core::mem::take(&mut self.fired);
        self.wheel.advance(self.now, &mut fired);
        for slot in fired.drain(..) {
            self.expire_one(slot, handler);
        }
        self.fired = fired;
    }

    fn expire_one(&mut self, slot: usize, handler: &mut impl Handler) {
        let Some(conn) = self.connections.get_mut(slot).and_then(Option::as_mut) else {
            self.redial(slot, handler);
            return;
        };
        let id = conn.id;
        if self.directory.is_closing(id) {
            self.kill(id, CloseReason::Closed, handler);
            return;
        }
        if let Err(error) = conn.session_mut().check_deadline(self.now) {
            self.kill(id, CloseReason::Session(error), handler);
            return;
        }
        if let Some(deadline) = conn.session_mut().deadline() {
            self.wheel.arm(slot, deadline);
            return;
        }
        if self.directory.end_rest(id) {
            self.await_idleness(slot);
            return;
        }
        let Some(idle) = self.config.idle_millis else { return };
        if self.directory.is_paused(id) {
            self.wheel.arm(slot, self.now.after(idle));
        } else if conn.last_active.after(idle) <= self.now {
            self.kill(id, CloseReason::Idle, handler);
        } else {
            self.wheel.arm(slot, conn.last_active.after(idle));
        }
    }

    /// Delivers nothing from a peer for so long. One that is not known yet, or that is being closed, has another deadline.
    pub(super) fn begin_rest(&mut self, id: ConnId, millis: u64) {
        let known = find(&mut self.connections, id).is_some_and(|conn| conn.is_ready());
        if known && !self.directory.is_closing(id) {
            self.directory.begin_rest(id);
            self.wheel.arm(id.slot(), self.now.after(millis));
        }
    }

    /// Sets the deadline of a peer that says nothing from now on.
    pub(super) fn await_idleness(&mut self, slot: usize) {
        match self.config.idle_millis {
            Some(idle) => self.wheel.arm(slot, self.now.after(idle)),
            None => self.wheel.disarm(slot),
        }
    }

    /// Accepts no more, and closes every connection once it has taken what waits for it.
    pub(super) fn begin_stop(&mut self, drain_millis: u64) {
        if self.stop_at.is_some() {
            return;
        }
        self.stop_at = Some(self.now.after(drain_millis));
        self.directory.stopping = true;
        self.listeners.clear();
        for conn in self.connections.iter().flatten() {
            self.directory.close(conn.id);
        }
    }

    /// True once nothing is left to be sent, or the time for it is over.
    pub(super) fn is_stopped(&mut self, handler: &mut impl Handler) -> bool {
        let Some(stop_at) = self.stop_at else { return false };
        for (id, _) in core::mem::take(&mut self.redials).into_values() {
            self.report_closed(id, &CloseReason::Stopped, handler);
        }
        let left: Vec<ConnId> = self.connections.iter().flatten().map(|conn| conn.id).collect();
        if left.is_empty() {
            return true;
        }
        if self.now < stop_at {
            // Connections that were begun after the stop must go too.
            left.iter().for_each(|&id| self.directory.close_once(id));
            return false;
        }
        for id in left {
            self.kill(id, CloseReason::Stopped, handler);
        }
        true
    }

    /// Ends a connection now, whatever it still has to send.
    pub(super) fn kill(&mut self, id: ConnId, reason: CloseReason, handler: &mut impl Handler) {
        let Some(slot) = self.connections.get_mut(id.slot()) else {
            return;
        };
        let Some(mut conn) = slot.take_if(|conn| conn.id == id) else {
            return;
        };
        // Closing the descriptor would do; this reports nothing, and keeps mio's own bookkeeping right.
        let _ = self.poll.registry().deregister(conn.socket_mut());
        if !conn.was_ready {
            self.end_half_open(conn.incoming);
        }
        self.open -= 1;
        self.stats.connections.set(self.open as u64);
        let dial = conn.dial.take();
        drop(conn);
        if self.is_redialled(id, dial, &reason) {
            return;
        }
        let stopped = self.stop_at.is_some() && matches!(reason, CloseReason::Closed);
        let reason = if stopped { CloseReason::Stopped } else { reason };
        self.report_closed(id, &reason, handler);
    }

    /// An incoming connection is known now, or gone.
    pub(super) fn end_half_open(&mut self, incoming: Option<Prefix>) {
        if let Some(prefix) = incoming {
            self.gate.leave(prefix);
            self.half_open -= 1;
            self.stats.half_open.set(self.half_open as u64);
        }
    }

    fn report_closed(&mut self, id: ConnId, reason: &CloseReason, handler: &mut impl Handler) {
        self.wheel.disarm(id.slot());
        self.directory.release(id);
        self.stats.closed.add(1);
        tracing::debug!(?id, %reason, "connection closed");
        handler.on_closed(id, reason, &mut self.outbox());
    }

    fn context(&mut self) -> Context<'_> {
        Context {
            now: self.now,
            config: &self.config,
            stats: &self.stats,
            directory: &mut self.directory,
            scratch: &mut self.scratch,
            crowded: false,
        }
    }
}
