//! From one phase of a run to the next.

use std::fmt;

use tidegate_reactor::Outbox;

use super::generator::{Event, Generator, Line, Phase};
use super::meter::Meter;
use super::schedule::{Plan, SECOND, Schedule};
use super::steps::Measured;
use crate::cli::Rate;
use crate::workload::Head;

/// Payments in a workload.
pub(super) fn payments(head: &Head) -> u32 {
    u32::try_from(head.payments()).expect("they were asked for in 32 bits")
}

/// From the last greeting to the first payment.
const LEAD_NS: u64 = 100_000_000;

impl Generator {
    /// Begins the step that the director asks for, or ends the load.
    pub(super) fn next_step(&mut self) {
        let Some(step) = self.parts.director.next(&self.done) else {
            return self.enter(Phase::Acking);
        };
        let start = self.parts.clock.now() + LEAD_NS;
        let head = &self.workload.head;
        let index = self.done.len() as u64;
        let plan = Plan::new(step.rate, self.parts.arrivals, payments(head), head.seed, index);
        self.schedule = Schedule::new(plan, start, step.warm_up_seconds, step.seconds);
        self.step = Some(step);
        self.meter = Meter::default();
        (self.ended_early, self.errors_before) = (false, self.errors);
        self.next_line = start + SECOND;
        self.due.clear();
        self.pump_list.clear();
        let per_state = head.per_state;
        for (number, conn) in (0..).zip(&mut self.conns) {
            // In the first step the plan itself says when. Later ones begin where the last ended, which is another
            // place on each connection, and spread the first payments as the plan would.
            let next = conn.section.peek().map_or(u32::MAX, |record| record.head.number);
            conn.base = if index == 0 {
                0
            } else {
                next.saturating_sub(number * per_state)
            };
            (conn.blocked, conn.free_at, conn.listed) = (false, 0, true);
            self.pump_list.push(number);
        }
        self.parts.pace.begin(step.rate, self.parts.arrivals, start);
        self.enter(Phase::Loading);
    }

    /// Notes what the step came to, and goes on.
    fn finish_step(&mut self) {
        if let Some(step) = self.step.take() {
            let meter = std::mem::take(&mut self.meter);
            let of = |counts: &std::collections::BTreeMap<_, u64>| counts.values().sum::<u64>();
            self.failed += of(&meter.failed);
            self.refused += of(&meter.refused);
            self.done.push(Measured {
                step,
                meter,
                seconds: self.schedule.seconds(),
                cpu: self.cpu,
                ended_early: self.ended_early,
                errors: self.errors - self.errors_before,
            });
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
            }
            Phase::Draining => self.drain(now),
            Phase::Acking => self.finish_acks(now, out),
        }
        if now >= self.next_line && self.phase == Phase::Loading {
            self.tell_line(now);
        }
    }

    pub(super) fn tell_line(&mut self, now: u64) {
        let from = self.next_line - SECOND;
        self.next_line += SECOND;
        let latency = self.meter.take_recent();
        let of = |counts: &std::collections::BTreeMap<_, u64>| counts.values().sum::<u64>();
        self.tell(Event::Line(Line {
            from,
            to: now,
            rate: self.step.map_or(Rate::Max, |step| step.rate),
            answered: latency.len(),
            latency,
            in_flight: self.flights.payments(),
            warming_up: now < self.schedule.begin + SECOND / 2,
            failed: self.failed + of(&self.meter.failed),
            refused: self.refused + of(&self.meter.refused),
            errors: self.errors,
        }));
    }

    /// True if everything was sent, and more would be due before the end.
    pub(super) fn is_short(&self) -> bool {
        let base = self.conns.iter().map(|conn| conn.base).max().unwrap_or_default();
        let next = self.schedule.due(payments(&self.workload.head), base);
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
        self.note_missed();
        self.end_measuring();
        self.parts.pace.end();
        self.enter(Phase::Draining);
    }

    /// What was due and did not go out is as late as the span's end shows, at least: a hub that falls behind its schedule
    /// does not look quicker for what it was never given.
    fn note_missed(&mut self) {
        if !self.schedule.is_open() {
            return;
        }
        let width = self.flights.width() as u64;
        for conn in &self.conns {
            // A reader of its own: the step behind this one sends what this one did not.
            let mut section = conn.section.clone();
            while let Some(record) = section.peek() {
                let (number, payer) = (record.head.number, record.head.payer);
                let Some(due) = self
                    .schedule
                    .due(number, conn.base)
                    .filter(|&due| due < self.schedule.end)
                else {
                    break;
                };
                let channel = &self.channels.rows[payer as usize];
                if channel.broken_from == u32::MAX {
                    self.meter.note_missed(&self.schedule, due, width);
                }
                section.advance();
            }
        }
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
            self.finish_step();
            return self.next_step();
        }
        if now > self.phase_since + self.parts.patience {
            let missing = self.flights.payments() as u64;
            self.note_error(format_args!(
                "{missing} payments were not answered in {} s",
                self.parts.patience / SECOND
            ));
            self.errors += missing - 1;
            self.finish_step();
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
        self.parts.pace.end();
        self.finish_step();
        self.enter(Phase::Done);
    }
}
