//! A run is one step or many, one behind the other over the same connections and the same workload: a rate, held for a
//! while, and measured by itself. A director says which comes next, knowing what the ones before came to.
//!
//! States are signed in a chain, so no step can begin the workload anew: each goes on where the last one ended.

use std::collections::VecDeque;
use std::fmt;

use super::meter::Meter;
use super::usage::Span;
use crate::cli::Rate;

/// A rate, held for a while.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Step {
    /// How fast.
    pub rate: Rate,
    /// Seconds of load before measuring begins.
    pub warm_up_seconds: u32,
    /// Seconds that are measured.
    pub seconds: u32,
}

/// What a step came to, as the generator sees it.
#[derive(Debug)]
pub(crate) struct Measured {
    pub(crate) step: Step,
    pub(crate) meter: Meter,
    /// Seconds that were measured.
    pub(crate) seconds: f64,
    pub(crate) cpu: Span,
    /// The workload ended before the time did.
    pub(crate) ended_early: bool,
    /// What went wrong in it.
    pub(crate) errors: u64,
}

/// Later than this at the 99th percentile, latencies tell more of the generator than of the hub.
const LAG_US_MAX: f64 = 5_000.0;
/// Busier than this, the loop is what limits the run.
const BUSY_MAX: f64 = 0.97;

impl Measured {
    /// The part of the measured span in which the loop computed.
    pub(crate) fn busy(&self) -> f64 {
        self.cpu.thread_s / self.cpu.wall_s.max(1e-9)
    }

    /// True if the generator limited the step.
    pub(crate) fn is_saturated(&self) -> bool {
        let open = self.step.rate != Rate::Max;
        self.busy() > BUSY_MAX || (open && self.meter.lag_us_p99() > LAG_US_MAX)
    }

    /// Payments delivered per second of the measured span, by the receipts' arrival.
    pub(crate) fn payments_per_s(&self) -> f64 {
        if self.seconds > 0.0 {
            (self.meter.answered_in_span as f64 / self.seconds * 10.0).round() / 10.0
        } else {
            0.0
        }
    }

    /// Payments that failed, and such of refused states.
    pub(crate) fn lost(&self) -> u64 {
        self.meter.failed.values().chain(self.meter.refused.values()).sum()
    }
}

/// Says what comes next.
pub(crate) trait Director: Send + fmt::Debug {
    /// The step behind those that are `done`; `None` if that was all.
    fn next(&mut self, done: &[Measured]) -> Option<Step>;
}

/// Some steps, whatever they come to.
#[derive(Debug)]
pub(crate) struct Listed(VecDeque<Step>);

impl Listed {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(steps.into_iter().collect())
    }
}

impl Director for Listed {
    fn next(&mut self, done: &[Measured]) -> Option<Step> {
        // A workload that has ended gives nothing more to send.
        let ended = done.last().is_some_and(|last| last.ended_early);
        if ended { None } else { self.0.pop_front() }
    }
}
