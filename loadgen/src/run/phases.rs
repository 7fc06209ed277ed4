//! From one phase of a run to the next.

use std::fmt;
use std::sync::atomic::Ordering;

use tidegate_reactor::Outbox;

use super::generator::{Event, Generator, Line, Phase};
use super::schedule::{SECOND, Schedule};
use crate::workload::Head;

/// Payments in a workload.
pub(super) fn payments(head: &Head) -> u32 {
    u32::try_from(head.payments()).expect("they were asked for in 32 bits")
}

/// From the last greeting to the first payment.
const LEAD_NS: u64 = 100_000_000;

impl Generator {
    pub(super) fn begin_load(&mut self) {
        let start = self.parts.clock.now() + LEAD_NS;
        let parts = &self.parts;
        self.schedule = Schedule::new(parts.plan.clone(), start, parts.warm_up_seconds, parts.seconds);
        self.next_line = start + SECOND;
        self.parts.begin.store(start, Ordering::Release);
        self.enter(Phase::Loading);
        for number in 0..u32::try_from(self.conns.len()).expect("connections are counted in u32") {
            self.pump_list.push(number);
            self.conns[number as usize].listed = true;
        }
    }

    pub(super) fn enter(&mut self, phase: Phase) {
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

    pub(super) fn step(&mut self, now: u64, out: &mut Outbox<'_>) {
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

    pub(super) fn tell_line(&mut self, now: u64) {
        self.next_line += SECOND;
        let (answered, p50_us, p99_us) = self.meter.take_recent();
        self.tell(Event::Line(Line {
            answered,
            p50_us,
            p99_us,
            in_flight: self.flights.payments(),
            warming_up: now < self.schedule.begin + SECOND / 2,
        }));
    }

    /// True if everything was sent, and more would be due before the end.
    pub(super) fn is_short(&self) -> bool {
        let next = self.schedule.due(payments(&self.workload.head));
        next.is_some_and(|due| due < self.schedule.end)
            && self
                .conns
                .iter()
                .all(|conn| conn.section.position() == conn.section.count())
    }

    /// A connection has nothing left to send: from here on the load would not be what was asked for.
    pub(super) fn run_dry(&mut self) {
        let now = self.parts.clock.now();
        self.ended_early = true;
        self.schedule.end = self.schedule.end.min(now);
    }

    pub(super) fn end_load(&mut self) {
        let now = self.parts.clock.now();
        if now >= self.next_line {
            self.tell_line(now);
        }
        self.end_measuring();
        self.enter(Phase::Draining);
    }

    pub(super) fn begin_measuring(&mut self) {
        self.measuring = true;
        self.cpu.begin();
        self.tell(Event::Begun);
    }

    pub(super) fn end_measuring(&mut self) {
        if std::mem::replace(&mut self.measuring, false) {
            self.cpu.end();
            self.tell(Event::Ended);
        }
    }

    pub(super) fn drain(&mut self, now: u64) {
        if self.flights.len() == 0 {
            return self.enter(Phase::Acking);
        }
        if now > self.phase_since + self.parts.patience {
            let missing = self.flights.payments() as u64;
            self.note_error(format_args!(
                "{missing} payments were not answered in {} s",
                self.parts.patience / SECOND
            ));
            self.errors += missing - 1;
            self.enter(Phase::Acking);
        }
    }

    /// The hub is gone: what was measured until now stands, and what is under way stays unanswered.
    pub(super) fn give_up(&mut self, why: fmt::Arguments<'_>) {
        if self.phase == Phase::Done {
            return;
        }
        self.errors += self.flights.payments() as u64;
        self.note_error(why);
        self.schedule.end = self.schedule.end.min(self.parts.clock.now());
        self.end_measuring();
        self.enter(Phase::Done);
    }
}
