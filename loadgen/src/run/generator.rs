//! The generator: one event loop that sends what is due, takes what comes, and signs acks.
//!
//! ```text
//! Connecting ─▶ Loading (warm-up, then measured) ─▶ Draining ─▶ Acking ─▶ Done
//!                  ▲                                  │
//!                  └── the director has another step ─┘
//! ```
//!
//! Nothing here waits, and nothing is allocated for a payment.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use hdrhistogram::Histogram;
use tidegate_client::HeaderCache;
use tidegate_crypto::keys::PublicKey;
use tidegate_reactor::{CloseReason, ConnId, Handler, Outbox};
use tidegate_session::{ClientConfig, Millis};
use tidegate_types::{Age, Fixed};
use tidegate_wire::Kind;
use tidegate_wire::frame::Header;
use tidegate_wire::messages::{Body as _, Hello, HelloAnswer, PROTOCOL_VERSION};

use super::channel::Channels;
use super::flights::Flights;
use super::hash_locks::HashLocks;
use super::meter::Meter;
use super::pace::Pace;
use super::schedule::{Clock, Plan, SECOND, Schedule};
use super::steps::{Director, Measured, Step};
use super::usage;
use crate::cli::{Arrivals, Rate};
use crate::keys::ClientKeys;
use crate::profile::{Profile, SettleWhen};
use crate::workload::{Section, Slots, Workload};

/// Request ids of acks have this bit: their low half is a channel's number.
pub(super) const ACK_BIT: u64 = 1 << 63;
/// Those of preimages have this bit too.
pub(super) const FULFIL_BIT: u64 = 1 << 62;
/// Complaints that are kept in words.
const COMPLAINTS_MAX: usize = 8;

/// What the main thread is told.
#[derive(Debug)]
pub(super) enum Event {
    /// One second of load.
    Line(Line),
    /// Measuring has begun or ended: the hub's figures are wanted.
    Begun,
    Ended,
    /// Nothing more will happen.
    Done,
}

/// What there is to tell of one second.
#[derive(Clone, Debug)]
pub(super) struct Line {
    /// Its beginning and end, in nanoseconds of the run's clock.
    pub(super) from: u64,
    pub(super) to: u64,
    pub(super) rate: Rate,
    /// Latencies of the payments that were answered in it.
    pub(super) latency: Histogram<u64>,
    pub(super) answered: u64,
    pub(super) in_flight: usize,
    pub(super) warming_up: bool,
    /// Since the run began.
    pub(super) failed: u64,
    pub(super) refused: u64,
    pub(super) errors: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Phase {
    Connecting,
    Loading,
    Draining,
    Acking,
    Done,
}

#[derive(Debug)]
pub(super) struct Conn {
    pub(super) id: ConnId,
    pub(super) section: Section,
    pub(super) in_flight: u32,
    pub(super) greeted: bool,
    /// It waits for an answer, or for its socket, not for the schedule.
    pub(super) blocked: bool,
    /// When it was last let go.
    pub(super) free_at: u64,
    /// It stands in the list of those to be pumped.
    pub(super) listed: bool,
    /// The payment with which its schedule begins in this step.
    pub(super) base: u32,
}

/// As whom connection number n speaks.
type Dial = Box<dyn Fn(u32) -> ClientConfig + Send>;

/// Handshakes under way at one time.
const DIALS_MAX: usize = 128;

/// Counts of the receipts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReceiptCounts {
    pub(super) receipts: u64,
    pub(super) bad: u64,
}

/// What a generator is made of.
pub(super) struct Parts {
    pub(super) profile: Profile,
    pub(super) workload: Workload,
    pub(super) director: Box<dyn Director>,
    pub(super) arrivals: Arrivals,
    pub(super) ack_every: u32,
    pub(super) patience_seconds: u32,
    pub(super) clock: Clock,
    pub(super) events: Sender<Event>,
    pub(super) answered: Arc<AtomicU64>,
    pub(super) acks: Arc<AtomicU64>,
    pub(super) pace: Arc<Pace>,
}

/// See the [module](self).
pub(super) struct Generator {
    pub(super) profile: Profile,
    pub(super) workload: Workload,
    pub(super) schedule: Schedule,
    pub(super) meter: Meter,
    pub(super) channels: Channels,
    pub(super) flights: Flights,
    /// What waits for preimages, in a run of hash locks.
    pub(super) hash_locks: Option<HashLocks>,
    pub(super) receipts: ReceiptCounts,
    pub(super) distance: u32,
    pub(super) margin: Age,
    pub(super) height: u32,
    /// Σ U over all channels.
    pub(super) unfirm_sat: u64,
    pub(super) delivered_sat: u64,
    pub(super) failed_sat: u64,
    pub(super) acks_refused: u64,
    pub(super) errors: u64,
    pub(super) complaints: Vec<String>,
    /// Payments that could not be sent since one before them was refused or failed.
    pub(super) unsent: u64,
    /// The step under way, and those that are done.
    pub(super) step: Option<Step>,
    pub(super) done: Vec<Measured>,
    /// The workload ended before the step's time did.
    pub(super) ended_early: bool,
    /// Errors before the step.
    pub(super) errors_before: u64,
    /// Payments that failed or whose states were refused, in all steps.
    pub(super) failed: u64,
    pub(super) refused: u64,
    /// CPU seconds of process and loop in the measured span.
    pub(super) cpu: usage::Span,
    pub(super) parts: Shared,
    pub(super) keys: ClientKeys,
    pub(super) headers: Option<HeaderCache>,
    pub(super) conns: Vec<Conn>,
    /// Sections whose connections are still to be begun, where, and as whom.
    waiting: VecDeque<Section>,
    dial: Option<(SocketAddr, Dial)>,
    /// Connection number by the reactor's slot.
    pub(super) by_slot: Vec<u32>,
    pub(super) due: BinaryHeap<Reverse<(u64, u32)>>,
    pub(super) pump_list: Vec<u32>,
    pub(super) acks_due: Vec<u32>,
    pub(super) phase: Phase,
    pub(super) phase_since: u64,
    pub(super) measuring: bool,
    pub(super) next_line: u64,
    /// Where the sweep for overdue acks, or for the last ones, stands.
    pub(super) sweep: f64,
}

/// What is shared with other threads, and the numbers a run was asked for.
pub(super) struct Shared {
    pub(super) director: Box<dyn Director>,
    pub(super) arrivals: Arrivals,
    pub(super) ack_every: u32,
    pub(super) patience: u64,
    pub(super) clock: Clock,
    pub(super) events: Sender<Event>,
    pub(super) answered: Arc<AtomicU64>,
    pub(super) acks: Arc<AtomicU64>,
    pub(super) pace: Arc<Pace>,
}

impl Generator {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            profile,
            workload,
            ack_every,
            ..
        } = parts;
        let keys = ClientKeys::new(&profile, workload.head.seed);
        // Replaced once the hub has told its margin, before the first receipt can come.
        let channels = Channels::new(&[], &profile.population, Age::ZERO, 0);
        Self {
            schedule: Schedule::new(Plan::Closed, u64::MAX / 2, 0, 0),
            meter: Meter::default(),
            channels,
            flights: Flights::new(workload.head.per_state as usize),
            hash_locks: (profile.settlement.on == SettleWhen::Preimage).then(|| {
                let slots = Slots::new(workload.head.per_state, workload.head.distance);
                HashLocks::new(workload.channels.len(), slots)
            }),
            receipts: ReceiptCounts::default(),
            distance: workload.head.distance,
            margin: Age::ZERO,
            height: 0,
            unfirm_sat: 0,
            delivered_sat: 0,
            failed_sat: 0,
            acks_refused: 0,
            errors: 0,
            complaints: Vec::new(),
            unsent: 0,
            step: None,
            done: Vec::new(),
            ended_early: false,
            errors_before: 0,
            failed: 0,
            refused: 0,
            cpu: usage::Span::default(),
            parts: Shared {
                director: parts.director,
                arrivals: parts.arrivals,
                ack_every,
                patience: u64::from(parts.patience_seconds) * SECOND,
                clock: parts.clock,
                events: parts.events,
                answered: parts.answered,
                acks: parts.acks,
                pace: parts.pace,
            },
            keys,
            headers: None,
            conns: Vec::new(),
            waiting: VecDeque::new(),
            dial: None,
            by_slot: Vec::new(),
            due: BinaryHeap::new(),
            pump_list: Vec::new(),
            acks_due: Vec::new(),
            phase: Phase::Connecting,
            phase_since: 0,
            measuring: false,
            next_line: 0,
            sweep: 0.0,
            profile,
            workload,
        }
    }

    /// Begins the first connections, each with its own identity; the others follow as these are made, so that no hub has
    /// thousands of handshakes waiting.
    pub(super) fn connect(
        &mut self,
        reactor: &mut tidegate_reactor::Reactor,
        address: SocketAddr,
        config: impl Fn(u32) -> ClientConfig + Send + 'static,
    ) -> Result<(), tidegate_reactor::ReactorError> {
        self.waiting = self.workload.sections().into();
        self.dial = Some((address, Box::new(config)));
        for _ in 0..DIALS_MAX {
            let Some(section) = self.waiting.pop_front() else { break };
            let id = reactor.connect(address, Arc::new(self.next_config()))?;
            self.add_connection(id, section);
        }
        Ok(())
    }

    fn next_config(&self) -> ClientConfig {
        let number = u32::try_from(self.conns.len()).expect("connections are counted in u32");
        let (_, config) = self.dial.as_ref().expect("it was set when connecting began");
        config(number)
    }

    fn connect_next(&mut self, out: &mut Outbox<'_>) {
        let Some(section) = self.waiting.pop_front() else {
            return;
        };
        let address = self.dial.as_ref().expect("it was set when connecting began").0;
        match out.connect(address, Arc::new(self.next_config())) {
            Some(id) => self.add_connection(id, section),
            None => self.give_up(format_args!("there is no room for another connection")),
        }
    }

    fn add_connection(&mut self, id: ConnId, section: Section) {
        if self.by_slot.len() <= id.slot() {
            self.by_slot.resize(id.slot() + 1, u32::MAX);
        }
        self.by_slot[id.slot()] = u32::try_from(self.conns.len()).expect("connections are counted in u32");
        self.conns.push(Conn {
            id,
            section,
            in_flight: 0,
            greeted: false,
            blocked: false,
            free_at: 0,
            listed: false,
            base: 0,
        });
    }

    pub(super) fn headers(&self) -> &HeaderCache {
        self.headers.as_ref().expect("receipts come after the greeting")
    }

    pub(super) fn note_error(&mut self, what: fmt::Arguments<'_>) {
        self.errors += 1;
        if self.complaints.len() < COMPLAINTS_MAX {
            self.complaints.push(what.to_string());
        }
    }

    pub(super) fn note_bad(&mut self, what: fmt::Arguments<'_>) {
        self.receipts.bad += 1;
        self.note_error(what);
    }

    pub(super) fn note_answered(&self, count: u64) {
        self.parts.answered.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn tell(&self, event: Event) {
        // Whoever does not listen any more has given up on this run.
        let _ = self.parts.events.send(event);
    }

    /// A state of this connection is no longer under way.
    pub(super) fn land(&mut self, connection: u32) {
        let conn = &mut self.conns[connection as usize];
        conn.in_flight -= self.workload.head.per_state;
        if !std::mem::replace(&mut conn.listed, true) {
            self.pump_list.push(connection);
        }
    }

    fn greet(&mut self, number: u32, body: &[u8]) {
        let Ok(answer) = <HelloAnswer as Fixed>::decode(body) else {
            return self.note_error(format_args!("the hub's greeting does not decode"));
        };
        if let Err(error) = self.workload.check_hub(&answer.ledger, &answer.hub) {
            self.note_error(format_args!("{error}"));
            return self.enter(Phase::Done);
        }
        if self.headers.is_none() {
            let hub = PublicKey::register(answer.hub).expect("the workload's hub passed the ledger's check");
            self.headers = Some(HeaderCache::new(answer.ledger, hub));
            self.margin = answer.margin;
            let rows = &self.workload.channels;
            let population = &self.profile.population;
            self.channels = Channels::new(rows, population, answer.margin, self.workload.head.seed);
        }
        self.height = self.height.max(answer.height.get());
        self.conns[number as usize].greeted = true;
        if self.waiting.is_empty() && self.conns.iter().all(|conn| conn.greeted) {
            self.next_step();
        }
    }

    /// True once load was given.
    pub(super) const fn has_begun(&self) -> bool {
        self.next_line > 0
    }

    fn number_of(&self, conn: ConnId) -> u32 {
        self.by_slot[conn.slot()]
    }
}

impl Handler for Generator {
    fn on_ready(&mut self, conn: ConnId, _peer: &PublicKey, out: &mut Outbox<'_>) {
        self.connect_next(out);
        let hello = Hello {
            version: PROTOCOL_VERSION,
            push_ack_proofs: false,
            share_paths: false,
        };
        // A connection that is gone tells so by `on_closed`.
        let _gone = out.message(conn, Kind::Hello.code(), 0, |bytes| hello.put(bytes));
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        // Before anything is looked at: checking costs time, and it is not the hub's.
        let now = self.parts.clock.now();
        let number = self.number_of(conn);
        match Kind::from_code(header.kind) {
            Some(Kind::Receipt) => {
                let mut acks = std::mem::take(&mut self.acks_due);
                self.take_receipt(now, body, &mut acks);
                for channel in acks.drain(..) {
                    self.ack(channel, out);
                }
                self.acks_due = acks;
                self.fulfil_all(out);
            }
            Some(Kind::PayAnswer) => self.take_refusal(header.request, body),
            Some(Kind::Busy) => self.refuse(header.request, "Busy"),
            Some(Kind::Hello) => self.greet(number, body),
            Some(Kind::Error) => self.take_error(header.request, body),
            _ => {}
        }
    }

    fn on_closed(&mut self, conn: ConnId, reason: &CloseReason, _out: &mut Outbox<'_>) {
        if self.phase != Phase::Done {
            let number = self.number_of(conn);
            self.give_up(format_args!("connection {number}: {reason}"));
        }
    }

    fn on_peer_ended(&mut self, conn: ConnId, out: &mut Outbox<'_>) {
        let number = self.number_of(conn);
        self.give_up(format_args!("connection {number}: the hub has ended it"));
        out.close(conn);
    }

    fn on_wake(&mut self, out: &mut Outbox<'_>) {
        self.pump(out);
    }

    fn on_tick(&mut self, _now: Millis, out: &mut Outbox<'_>) {
        let now = self.parts.clock.now();
        self.step(now, out);
        self.pump(out);
    }

    fn on_turn_end(&mut self, out: &mut Outbox<'_>) {
        self.pump(out);
    }
}
