//! The loop.

mod lifecycle;

use std::collections::{HashMap, VecDeque};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mio::{Events, Interest, Poll, Token, Waker};
use tidegate_session::{ClientConfig, Millis, ServerConfig};

use crate::config::Config;
use crate::connection::{Connection, Context, Next, Scratch};
use crate::dial::Dial;
use crate::directory::Directory;
use crate::gate::Gate;
use crate::handler::{CloseReason, Handler};
use crate::id::ConnId;
use crate::listener::{Listener, SpareDescriptor};
use crate::outbox::Outbox;
use crate::sender::{Command, Commands, Sender, command_queue};
use crate::stats::Stats;
use crate::turns::{Class, SHARE, Turns};
use crate::wheel::Wheel;

/// Events taken from the kernel at once.
const EVENTS_MAX: usize = 1024;
/// How long a stranger may say nothing while others wait for its place.
const STRANGER_MILLIS_MIN: u64 = 500;
/// How long strangers wait at least when there is no processor time for them.
const DEFER_MILLIS: u64 = 1;
const WAKE: Token = Token(usize::MAX);
/// Listeners count down from here. Connections use their id, whose slot is far below.
const FIRST_LISTENER: usize = usize::MAX - 1;
const _: () = assert!(usize::BITS == 64, "a token holds a whole connection id");

/// Why a reactor could not be made, or has ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ReactorError {
    /// The kernel gave no poll, waker or descriptor.
    #[error("the event loop cannot be set up: {0}")]
    Setup(#[source] io::Error),
    /// Waiting for events failed.
    #[error("waiting for events failed: {0}")]
    Poll(#[source] io::Error),
    /// The address cannot be listened on.
    #[error("{address} cannot be listened on: {source}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the kernel said.
        source: io::Error,
    },
    /// As many connections as [`Config::connections_max`] exist.
    #[error("there is no room for another connection")]
    NoRoom,
}

/// A single-threaded event loop over encrypted connections.
pub struct Reactor {
    config: Config,
    poll: Poll,
    events: Events,
    clock: Instant,
    now: Millis,
    stats: Arc<Stats>,
    directory: Directory,
    scratch: Scratch,
    connections: Vec<Option<Connection>>,
    listeners: Vec<Listener>,
    spare: SpareDescriptor,
    accept_after: Option<Millis>,
    gate: Gate,
    turns: Turns,
    wheel: Wheel,
    fired: Vec<usize>,
    next_tick: Option<Millis>,
    sender: Sender,
    commands: Commands,
    half_open: usize,
    /// Incoming connections since when, in the order in which they came; those that are known or gone are forgotten late.
    strangers: VecDeque<(ConnId, Millis)>,
    open: usize,
    /// Connections that wait to be begun again, by slot.
    redials: HashMap<usize, (ConnId, Dial)>,
    /// Set by a stop: when it ends at the latest.
    stop_at: Option<Millis>,
}

impl Reactor {
    /// A reactor without connections.
    ///
    /// # Errors
    /// [`ReactorError::Setup`].
    pub fn new(config: Config) -> Result<Self, ReactorError> {
        let poll = Poll::new().map_err(ReactorError::Setup)?;
        let waker = Waker::new(poll.registry(), WAKE).map_err(ReactorError::Setup)?;
        let (sender, commands) = command_queue(config.commands_max, waker);
        let now = Millis::new(0);
        Ok(Self {
            directory: Directory::new(&config),
            gate: Gate::new(config.admission, now),
            next_tick: config.tick_millis.map(|millis| now.after(millis)),
            config,
            poll,
            events: Events::with_capacity(EVENTS_MAX),
            clock: Instant::now(),
            now,
            stats: Arc::default(),
            scratch: Scratch::default(),
            connections: Vec::new(),
            listeners: Vec::new(),
            spare: SpareDescriptor::new().map_err(ReactorError::Setup)?,
            accept_after: None,
            turns: Turns::default(),
            wheel: Wheel::new(now),
            fired: Vec::new(),
            sender,
            commands,
            half_open: 0,
            strangers: VecDeque::new(),
            open: 0,
            redials: HashMap::new(),
            stop_at: None,
        })
    }

    /// Listens on `address` (port 0 for any) and answers as `session` says. Returns the address that it got.
    ///
    /// # Errors
    /// [`ReactorError::Listen`].
    pub fn listen(&mut self, address: SocketAddr, session: Arc<ServerConfig>) -> Result<SocketAddr, ReactorError> {
        let fail = |source| ReactorError::Listen { address, source };
        let mut listener = Listener::bind(address, session, &self.config).map_err(fail)?;
        let token = Token(FIRST_LISTENER - self.listeners.len());
        self.poll
            .registry()
            .register(&mut listener.socket, token, Interest::READABLE)
            .map_err(fail)?;
        let local = listener.socket.local_addr().map_err(fail)?;
        self.listeners.push(listener);
        Ok(local)
    }

    /// Begins a connection; it is made once [`Reactor::run`] runs, which tells how it went.
    ///
    /// # Errors
    /// [`ReactorError::NoRoom`].
    pub fn connect(&mut self, address: SocketAddr, config: Arc<ClientConfig>) -> Result<ConnId, ReactorError> {
        self.outbox().connect(address, config).ok_or(ReactorError::NoRoom)
    }

    /// The way in for other threads.
    #[must_use]
    pub fn sender(&self) -> Sender {
        self.sender.clone()
    }

    /// The counters.
    #[must_use]
    pub fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Runs on this thread until [`Sender::stop`].
    ///
    /// # Errors
    /// [`ReactorError::Poll`].
    pub fn run(mut self, handler: &mut impl Handler) -> Result<(), ReactorError> {
        loop {
            self.wait()?;
            self.take_events(handler);
            self.take_commands(handler);
            self.take_turns(handler);
            self.accept(handler);
            handler.on_turn_end(&mut self.outbox());
            self.tick(handler);
            self.begin_connects(handler);
            self.settle(handler);
            self.expire(handler);
            if self.is_stopped(handler) {
                return Ok(());
            }
        }
    }

    const fn outbox(&mut self) -> Outbox<'_> {
        Outbox {
            directory: &mut self.directory,
            now: self.now,
        }
    }

    /// Sleeps until something can be done, and takes the time.
    fn wait(&mut self) -> Result<(), ReactorError> {
        let timeout = self.timeout_millis().map(Duration::from_millis);
        self.stats.turns.add(1);
        self.stats.syscalls.add(1);
        match self.poll.poll(&mut self.events, timeout) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(ReactorError::Poll(error)),
            _ => {}
        }
        let millis = u64::try_from(self.clock.elapsed().as_millis()).expect("a process runs less than 2^64 ms");
        self.now = Millis::new(millis);
        Ok(())
    }

    fn timeout_millis(&self) -> Option<u64> {
        let wanted = self.accept_after.is_none() && self.listeners.iter().any(|listener| listener.pending);
        let full = self.half_open >= self.config.half_open_max;
        if (wanted && !full) || !self.turns.is_empty() || !self.commands.is_empty() || self.directory.has_work() {
            return Some(0);
        }
        let deferred = self.turns.has_deferred().then(|| self.now.after(DEFER_MILLIS));
        let oldest = self.strangers.front().filter(|_| wanted && full);
        let evict = oldest.map(|(_, since)| since.after(STRANGER_MILLIS_MIN));
        let deadlines = [self.next_tick, self.accept_after, self.stop_at, deferred, evict];
        let waits = deadlines.into_iter().flatten().map(|deadline| deadline.since(self.now));
        // One more, since the clock is cut to whole milliseconds: else the last part of one is spent in empty turns.
        waits.chain(self.wheel.wait(self.now)).min().map(|millis| millis + 1)
    }

    fn take_events(&mut self, handler: &mut impl Handler) {
        let events = core::mem::replace(&mut self.events, Events::with_capacity(0));
        for event in &events {
            match event.token() {
                WAKE => self.commands.notice_wake(),
                Token(number) if FIRST_LISTENER - number < self.listeners.len() => {
                    self.listeners[FIRST_LISTENER - number].pending = true;
                }
                Token(number) => self.take_event(ConnId::from_u64(number as u64), event, handler),
            }
        }
        self.events = events;
    }

    fn take_event(&mut self, id: ConnId, event: &mio::event::Event, handler: &mut impl Handler) {
        let Some(conn) = find(&mut self.connections, id) else {
            return;
        };
        conn.readable |= event.is_readable() || event.is_read_closed() || event.is_error();
        conn.end_announced |= event.is_read_closed() || event.is_error();
        if event.is_writable() || event.is_error() {
            conn.writable = true;
            if let Err(reason) = conn.finish_connect() {
                self.kill(id, reason, handler);
                return;
            }
            self.directory.touch(id);
        }
        self.enlist(id);
    }

    fn take_commands(&mut self, handler: &mut impl Handler) {
        let mut wake = false;
        // What is in the queue now has its turn now; what comes meanwhile waits for the peers' turns.
        for _ in 0..self.config.commands_max {
            match self.commands.next() {
                // A peer that is gone, or that does not read, gets nothing; the loop closes the latter.
                Some(Command::Send(id, plaintext)) => {
                    let _ = self.directory.append_vec(id, self.now, plaintext);
                }
                Some(Command::Close(id)) => self.directory.close(id),
                Some(Command::Rest(id, millis)) => self.begin_rest(id, millis),
                Some(Command::Wake) => wake = true,
                Some(Command::Stop(drain_millis)) => self.begin_stop(drain_millis),
                None => break,
            }
        }
        if wake {
            handler.on_wake(&mut self.outbox());
        }
    }

    /// One turn for each light peer that is ready now, and for as many of the others as their share of the round allows.
    fn take_turns(&mut self, handler: &mut impl Handler) {
        if core::mem::take(&mut self.directory.resumed_all) {
            self.enlist_all();
        }
        if self.turns.has_deferred() && self.gate.has_time(self.now) {
            self.turns.recall();
        }
        for _ in 0..self.turns.len(Class::Light) {
            let Some(id) = self.turns.pop(Class::Light) else { break };
            self.take_turn(id, handler);
        }
        let class = self.turns.take_round();
        let waiting = self.turns.len(class);
        let begin = (waiting > 0).then(Instant::now);
        for _ in 0..waiting {
            let Some(id) = self.turns.pop(class) else { break };
            self.take_turn(id, handler);
            if begin.is_some_and(|begin| begin.elapsed() >= SHARE) {
                break;
            }
        }
    }

    fn take_turn(&mut self, id: ConnId, handler: &mut impl Handler) {
        let Some(conn) = find(&mut self.connections, id) else {
            return;
        };
        let stranger = conn.incoming.filter(|_| !conn.is_ready());
        if let Some(prefix) = stranger {
            if !self.gate.may_work(prefix, self.now) {
                self.stats.handshakes_deferred.add(1);
                // It stays listed, so that no event lists it twice.
                self.turns.defer(id);
                return;
            }
            let begin = Instant::now();
            self.take_turn_now(id, handler);
            self.gate.spend(prefix, begin.elapsed());
        } else {
            self.take_turn_now(id, handler);
        }
    }

    fn take_turn_now(&mut self, id: ConnId, handler: &mut impl Handler) {
        let Some(conn) = find(&mut self.connections, id) else {
            return;
        };
        conn.listed = false;
        let was_ready = conn.is_ready();
        let closing = self.directory.is_closing(id);
        let free = self.config.connections_max.saturating_sub(self.open);
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            stats: &self.stats,
            directory: &mut self.directory,
            scratch: &mut self.scratch,
            crowded: conn.incoming.is_some() && free < self.config.admission.reserved,
        };
        let next = if closing {
            Ok(Next::Wait)
        } else {
            conn.read_turn(&mut cx, handler)
        };
        let became_ready = !was_ready && conn.is_ready() && next.is_ok();
        if closing || (conn.writable && conn.has_output(&self.directory)) {
            self.directory.touch(id);
        }
        if became_ready {
            self.note_ready(id);
        }
        self.follow(id, next, handler);
    }

    fn note_ready(&mut self, id: ConnId) {
        let Some(conn) = find(&mut self.connections, id) else {
            return;
        };
        conn.was_ready = true;
        let incoming = conn.incoming;
        self.end_half_open(incoming);
        self.await_idleness(id.slot());
    }

    /// Does what was asked for during the turns: writes, closes, resumes. What a handler asks for when it hears of a closed
    /// connection is done too.
    fn settle(&mut self, handler: &mut impl Handler) {
        // A connection that is touched again while it is settled has its next turn in the next round.
        let mut touched = self.directory.take_touched();
        while let Some(id) = touched.pop() {
            let next = self.settle_one(id);
            self.follow(id, next, handler);
        }
        self.directory.return_touched(touched);
    }

    fn settle_one(&mut self, id: ConnId) -> Result<Next, CloseReason> {
        // Also of one that waits to be begun again: else it could never be touched any more.
        let asked = self.directory.settling(id);
        let Some(conn) = find(&mut self.connections, id) else {
            return Ok(Next::Wait);
        };
        if asked.overflow {
            return Err(CloseReason::SendQueueFull);
        }
        if asked.closing && !core::mem::replace(&mut conn.close_armed, true) {
            let stop = self.stop_at.map_or(0, |at| at.since(self.now));
            let millis = self.config.close_millis.max(stop);
            self.wheel.arm(id.slot(), self.now.after(millis));
        }
        let mut cx = Context {
            now: self.now,
            config: &self.config,
            stats: &self.stats,
            directory: &mut self.directory,
            scratch: &mut self.scratch,
            crowded: false,
        };
        let written = conn.write_turn(&mut cx)?;
        if asked.closing && !conn.has_output(cx.directory) {
            return conn.close_turn(&mut cx);
        }
        let input = conn.has_input() && !conn.is_held_back(cx.directory);
        Ok(if input { Next::Again } else { written })
    }

    fn tick(&mut self, handler: &mut impl Handler) {
        let (Some(due), Some(millis)) = (self.next_tick, self.config.tick_millis) else {
            return;
        };
        if self.now >= due {
            self.next_tick = Some(self.now.after(millis));
            let now = self.now;
            handler.on_tick(now, &mut self.outbox());
        }
    }

    /// What comes of a turn.
    fn follow(&mut self, id: ConnId, next: Result<Next, CloseReason>, handler: &mut impl Handler) {
        match next {
            Ok(Next::Again) => self.enlist(id),
            Ok(Next::Wait) => {}
            Err(reason) => self.kill(id, reason, handler),
        }
    }

    fn enlist(&mut self, id: ConnId) {
        if let Some(conn) = find(&mut self.connections, id)
            && !core::mem::replace(&mut conn.listed, true)
        {
            self.turns.push(conn.class(self.now), id);
        }
    }

    fn enlist_all(&mut self) {
        for conn in self.connections.iter_mut().flatten().filter(|conn| conn.has_input()) {
            if !core::mem::replace(&mut conn.listed, true) {
                self.turns.push(conn.class(self.now), conn.id);
            }
        }
    }
}

impl std::fmt::Debug for Reactor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reactor")
            .field("listeners", &self.listeners.len())
            .field("connections", &self.open)
            .field("stats", &self.stats)
            .finish_non_exhaustive()
    }
}

fn find(connections: &mut [Option<Connection>], id: ConnId) -> Option<&mut Connection> {
    connections.get_mut(id.slot())?.as_mut().filter(|conn| conn.id == id)
}
