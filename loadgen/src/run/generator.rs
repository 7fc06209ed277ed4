//! The generator: one event loop that sends what is due, takes what comes, and signs acks.
//!
//! ```text
//! Connecting ─▶ Loading (warm-up, then measured) ─▶ Draining ─▶ Acking ─▶ Done
//! ```
//!
//! Nothing here waits, and nothing is allocated for a payment.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::Sender;

use tidegate_channel::{Ack, LeafRef};
use tidegate_client::HeaderCache;
use tidegate_crypto::keys::PublicKey;
use tidegate_reactor::{CloseReason, ConnId, Handler, Outbox};
use tidegate_session::{ClientConfig, Millis};
use tidegate_types::{Age, Fixed, HubCounter};
use tidegate_wire::Kind;
use tidegate_wire::frame::Header;
use tidegate_wire::messages::{Body as _, Hello, HelloAnswer, PROTOCOL_VERSION};

use super::channel::Channels;
use super::flights::{Flight, Flights};
use super::meter::{Meter, Times};
use super::schedule::{Clock, SECOND, Schedule};
use super::usage;
use crate::cli::Rate;
use crate::keys::ClientKeys;
use crate::profile::Profile;
use crate::workload::{Section, Workload};

/// Request ids of acks have this bit: their low half is a channel's number.
pub(super) const ACK_BIT: u64 = 1 << 63;
/// Bytes that may wait for the socket of one connection before nothing more is given to it.
const QUEUED_MAX: usize = 1 << 20;
/// Credits after which a channel acks, whatever the number of its leaves: the hub bounds them too.
const CREDITS_WAITING_MAX: u32 = 256;
/// From the last greeting to the first payment.
const LEAD_NS: u64 = 100_000_000;
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

/// What a progress line tells.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) answered: u64,
    pub(super) p50_us: f64,
    pub(super) p99_us: f64,
    pub(super) in_flight: usize,
    pub(super) warming_up: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    Connecting,
    Loading,
    Draining,
    Acking,
    Done,
}

#[derive(Debug)]
struct Conn {
    id: ConnId,
    section: Section,
    in_flight: u32,
    greeted: bool,
    /// It waits for an answer, or for its socket, not for the schedule.
    blocked: bool,
    /// When it was last let go.
    free_at: u64,
    /// It stands in the list of those to be pumped.
    listed: bool,
}

/// Counts of the receipts.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct ReceiptCounts {
    pub(super) receipts: u64,
    pub(super) checked: u64,
    pub(super) bad: u64,
}

/// What a generator is made of.
pub(super) struct Parts {
    pub(super) profile: Profile,
    pub(super) workload: Workload,
    pub(super) rate: Rate,
    pub(super) warm_up_seconds: u32,
    pub(super) seconds: u32,
    pub(super) ack_every: u32,
    pub(super) patience_seconds: u32,
    pub(super) sample: u32,
    pub(super) clock: Clock,
    pub(super) events: Sender<Event>,
    pub(super) answered: Arc<AtomicU64>,
    pub(super) acks: Arc<AtomicU64>,
    pub(super) begin: Arc<AtomicU64>,
}

/// See the [module](self).
pub(super) struct Generator {
    pub(super) profile: Profile,
    pub(super) workload: Workload,
    pub(super) schedule: Schedule,
    pub(super) meter: Meter,
    pub(super) channels: Channels,
    pub(super) flights: Flights,
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
    /// The workload ended before the time did.
    pub(super) ended_early: bool,
    /// CPU seconds of process and loop in the measured span.
    pub(super) cpu: usage::Span,
    parts: Shared,
    keys: ClientKeys,
    headers: Option<HeaderCache>,
    conns: Vec<Conn>,
    /// Connection number by the reactor's slot.
    by_slot: Vec<u32>,
    due: BinaryHeap<Reverse<(u64, u32)>>,
    pump_list: Vec<u32>,
    acks_due: Vec<u32>,
    phase: Phase,
    phase_since: u64,
    measuring: bool,
    next_line: u64,
    /// Where the sweep for overdue acks, or for the last ones, stands.
    sweep: f64,
}

/// What is shared with other threads, and the numbers a run was asked for.
struct Shared {
    rate: Rate,
    warm_up_seconds: u32,
    seconds: u32,
    ack_every: u64,
    patience: u64,
    sample: u32,
    clock: Clock,
    events: Sender<Event>,
    answered: Arc<AtomicU64>,
    acks: Arc<AtomicU64>,
    begin: Arc<AtomicU64>,
}

impl Generator {
    pub(super) fn new(parts: Parts) -> Self {
        let Parts {
            profile,
            workload,
            rate,
            warm_up_seconds,
            seconds,
            ack_every,
            sample,
            ..
        } = parts;
        let keys = ClientKeys::new(&profile, workload.head.seed);
        // Replaced once the hub has told its margin, before the first receipt can come.
        let channels = Channels::new(&[], Age::ZERO, 1, 0);
        Self {
            schedule: Schedule::new(rate, u64::MAX / 2, 0, 0),
            meter: Meter::default(),
            channels,
            flights: Flights::default(),
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
            ended_early: false,
            cpu: usage::Span::default(),
            parts: Shared {
                rate,
                warm_up_seconds,
                seconds,
                ack_every: ack_every.into(),
                patience: u64::from(parts.patience_seconds) * SECOND,
                sample,
                clock: parts.clock,
                events: parts.events,
                answered: parts.answered,
                acks: parts.acks,
                begin: parts.begin,
            },
            keys,
            headers: None,
            conns: Vec::new(),
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

    /// Begins all connections, each with its own identity.
    pub(super) fn connect(
        &mut self,
        reactor: &mut tidegate_reactor::Reactor,
        address: SocketAddr,
        config: impl Fn(u32) -> ClientConfig,
    ) -> Result<(), tidegate_reactor::ReactorError> {
        for (number, section) in (0..).zip(self.workload.sections()) {
            let id = reactor.connect(address, Arc::new(config(number)))?;
            if self.by_slot.len() <= id.slot() {
                self.by_slot.resize(id.slot() + 1, u32::MAX);
            }
            self.by_slot[id.slot()] = number;
            self.conns.push(Conn {
                id,
                section,
                in_flight: 0,
                greeted: false,
                blocked: false,
                free_at: 0,
                listed: false,
            });
        }
        Ok(())
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

    pub(super) fn note_answered(&self) {
        self.parts.answered.fetch_add(1, Ordering::Relaxed);
    }

    fn tell(&self, event: Event) {
        // Whoever does not listen any more has given up on this run.
        let _ = self.parts.events.send(event);
    }

    /// A payment of this connection is no longer under way.
    pub(super) fn land(&mut self, connection: u32) {
        let conn = &mut self.conns[connection as usize];
        conn.in_flight -= 1;
        if !std::mem::replace(&mut conn.listed, true) {
            self.pump_list.push(connection);
        }
    }

    /// Puts the channel on the list of acks if it has enough to acknowledge.
    pub(super) fn collect_ack(&mut self, number: u32, acks: &mut Vec<u32>) {
        let channel = &self.channels.rows[number as usize];
        if channel.unacked() >= self.parts.ack_every || channel.credits_waiting >= CREDITS_WAITING_MAX {
            acks.push(number);
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
            self.channels = Channels::new(rows, answer.margin, self.parts.sample, self.workload.head.seed);
        }
        self.height = self.height.max(answer.height.get());
        self.conns[number as usize].greeted = true;
        if self.conns.iter().all(|conn| conn.greeted) {
            self.begin_load();
        }
    }

    fn begin_load(&mut self) {
        let start = self.parts.clock.now() + LEAD_NS;
        self.schedule = Schedule::new(self.parts.rate, start, self.parts.warm_up_seconds, self.parts.seconds);
        self.next_line = start + SECOND;
        self.parts.begin.store(start, Ordering::Release);
        self.enter(Phase::Loading);
        for number in 0..u32::try_from(self.conns.len()).expect("connections are counted in u32") {
            self.pump_list.push(number);
            self.conns[number as usize].listed = true;
        }
    }

    fn enter(&mut self, phase: Phase) {
        if self.phase == phase || self.phase == Phase::Done {
            return;
        }
        self.phase = phase;
        self.phase_since = self.parts.clock.now();
        self.sweep = 0.0;
        if phase == Phase::Done {
            self.tell(Event::Done);
        }
    }

    /// Sends what is due and what answers have made room for.
    fn pump(&mut self, out: &mut Outbox<'_>) {
        if self.phase != Phase::Loading {
            return;
        }
        let now = self.parts.clock.now();
        if now < self.schedule.start {
            return;
        }
        if now >= self.schedule.end {
            return self.end_load();
        }
        while let Some(&Reverse((due, number))) = self.due.peek() {
            if due > now {
                break;
            }
            self.due.pop();
            self.pump_one(number, now, out);
        }
        let mut list = std::mem::take(&mut self.pump_list);
        for number in list.drain(..) {
            let conn = &mut self.conns[number as usize];
            conn.listed = false;
            if self.schedule.is_open() {
                // One that waits for the schedule stands in the heap.
                let waits = conn.blocked || conn.free_at == 0;
                if !waits {
                    continue;
                }
            }
            conn.free_at = now;
            conn.blocked = false;
            self.pump_one(number, now, out);
        }
        self.pump_list = list;
    }

    fn pump_one(&mut self, number: u32, now: u64, out: &mut Outbox<'_>) {
        let window = self.profile.run.window_per_connection;
        let open = self.schedule.is_open();
        let channel_window = if open {
            u32::MAX
        } else {
            self.profile.run.window_per_channel
        };
        let mut run_dry = false;
        loop {
            let conn = &mut self.conns[number as usize];
            let position = conn.section.position();
            let Some((head, body)) = conn.section.peek() else {
                run_dry = conn.section.count() > 0;
                break;
            };
            let due = self.schedule.due(head.number);
            if let Some(due) = due.filter(|&due| due > now) {
                if due < self.schedule.end {
                    self.due.push(Reverse((due, number)));
                }
                break;
            }
            let channel = &mut self.channels.rows[head.payer as usize];
            if channel.sent >= channel.broken_from {
                self.unsent += 1;
                conn.section.advance();
                continue;
            }
            if (!open && conn.in_flight >= window)
                || !channel.may_send(self.distance, channel_window)
                || out.queued(conn.id) > QUEUED_MAX
            {
                conn.blocked = true;
                break;
            }
            let times = Times {
                intended: due.unwrap_or(now),
                sent: now,
            };
            let request = self.flights.insert(Flight {
                connection: number,
                payer: head.payer,
                payee: head.payee,
                ordinal: channel.sent,
                position,
                amount: head.amount,
                print: head.print,
                times,
            });
            if out
                .message(conn.id, Kind::Pay.code(), request, |bytes| {
                    bytes.extend_from_slice(body)
                })
                .is_err()
            {
                // The connection is gone; its closing says why.
                self.flights.remove(request);
                conn.blocked = true;
                break;
            }
            self.meter.note_sent(&self.schedule, times, conn.free_at);
            conn.in_flight += 1;
            channel.sent += 1;
            conn.section.advance();
        }
        if run_dry && !open {
            self.run_dry();
        }
    }

    /// A connection has nothing left to send: from here on the load would not be what was asked for.
    fn run_dry(&mut self) {
        let now = self.parts.clock.now();
        self.ended_early = true;
        self.schedule.end = self.schedule.end.min(now);
    }

    fn end_load(&mut self) {
        let now = self.parts.clock.now();
        if now >= self.next_line {
            self.tell_line(now);
        }
        self.end_measuring();
        self.enter(Phase::Draining);
    }

    fn begin_measuring(&mut self) {
        self.measuring = true;
        self.cpu.begin();
        self.tell(Event::Begun);
    }

    fn end_measuring(&mut self) {
        if std::mem::replace(&mut self.measuring, false) {
            self.cpu.end();
            self.tell(Event::Ended);
        }
    }

    fn step(&mut self, now: u64, out: &mut Outbox<'_>) {
        match self.phase {
            Phase::Connecting | Phase::Done => {}
            Phase::Loading => {
                if !self.measuring && now >= self.schedule.begin && now < self.schedule.end {
                    self.begin_measuring();
                }
                if self.is_short() && self.flights.len() == 0 {
                    self.run_dry();
                }
                self.relist_blocked();
                self.sweep_acks(out);
                if now >= self.schedule.end {
                    self.end_load();
                }
            }
            Phase::Draining => self.drain(now),
            Phase::Acking => self.finish_acks(now, out),
        }
        if now >= self.next_line && self.phase == Phase::Loading {
            self.tell_line(now);
        }
    }

    fn tell_line(&mut self, now: u64) {
        self.next_line += SECOND;
        let (answered, p50_us, p99_us) = self.meter.take_recent();
        self.tell(Event::Line(Line {
            answered,
            p50_us,
            p99_us,
            in_flight: self.flights.len(),
            warming_up: now < self.schedule.begin + SECOND / 2,
        }));
    }

    /// True if everything was sent, and more would be due before the end.
    fn is_short(&self) -> bool {
        let next = self.schedule.due(self.workload.head.payments);
        next.is_some_and(|due| due < self.schedule.end)
            && self
                .conns
                .iter()
                .all(|conn| conn.section.position() == conn.section.count())
    }

    /// Sockets that were full may have room again.
    fn relist_blocked(&mut self) {
        for (number, conn) in (0..).zip(&mut self.conns) {
            if conn.blocked && !std::mem::replace(&mut conn.listed, true) {
                self.pump_list.push(number);
            }
        }
    }

    fn drain(&mut self, now: u64) {
        if self.flights.len() == 0 {
            return self.enter(Phase::Acking);
        }
        if now > self.phase_since + self.parts.patience {
            let missing = self.flights.len() as u64;
            self.note_error(format_args!(
                "{missing} payments were not answered in {} s",
                self.parts.patience / SECOND
            ));
            self.errors += missing - 1;
            self.enter(Phase::Acking);
        }
    }

    /// Acks every channel, once, and waits until all credits are firm.
    fn finish_acks(&mut self, now: u64, out: &mut Outbox<'_>) {
        let rows = self.channels.rows.len();
        let mut budget = 200;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index that was a whole number"
        )]
        let mut at = self.sweep as usize;
        while at < rows && budget > 0 {
            let channel = &self.channels.rows[at];
            if channel.unacked() > 0 {
                self.ack(u32::try_from(at).expect("channels are counted in u32"), out);
                budget -= 1;
            }
            at += 1;
        }
        self.sweep = at as f64;
        if at == rows && (self.unfirm_sat == 0 || now > self.phase_since + self.parts.patience) {
            self.enter(Phase::Done);
        }
    }

    /// Acks what waits, so that each channel is looked at once in three quarters of the ack interval.
    fn sweep_acks(&mut self, out: &mut Outbox<'_>) {
        let rows = self.channels.rows.len();
        let period = f64::from(self.profile.ledger.ack_interval_ms) * 0.75;
        let step = rows as f64 / period.max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below the number of channels"
        )]
        let (from, to) = (self.sweep as usize, ((self.sweep + step) as usize).min(rows));
        for at in from..to {
            if self.channels.rows[at].credits_waiting > 0 {
                self.ack(u32::try_from(at).expect("channels are counted in u32"), out);
            }
        }
        self.sweep = if to == rows { 0.0 } else { self.sweep + step };
    }

    /// Signs and sends an ack of a channel's newest leaf, if rule 12 allows it now.
    fn ack(&mut self, number: u32, out: &mut Outbox<'_>) {
        let population = &self.profile.population;
        let connection = population.connection_of(number);
        let channel = &mut self.channels.rows[number as usize];
        if channel.unacked() == 0 || channel.ack_until.is_some_and(|until| self.height > until) {
            return;
        }
        let leaf = LeafRef {
            counter: HubCounter::new(channel.leaf),
            digest: channel.leaf_digest,
        };
        let ack = Ack {
            channel: channel.id,
            leaf,
        };
        channel.acked = channel.leaf;
        channel.credits_waiting = 0;
        let signature = ack.sign(&self.workload.head.ledger, self.keys.get(population.key_of(number)));
        if let Some(checker) = self.channels.checker(number) {
            checker.mark_acked();
        }
        let request = ACK_BIT | u64::from(number);
        let conn = self.conns[connection as usize].id;
        let sent = out.message(conn, Kind::Ack.code(), request, |bytes| {
            ack.append_to(bytes);
            signature.append_to(bytes);
        });
        if sent.is_ok() {
            self.parts.acks.fetch_add(1, Ordering::Relaxed);
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
        let hello = Hello {
            version: PROTOCOL_VERSION,
            push_ack_proofs: false,
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
            self.note_error(format_args!("connection {number}: {reason}"));
            self.end_measuring();
            self.enter(Phase::Done);
        }
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
