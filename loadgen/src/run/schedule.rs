//! When each payment is due, and which part of a run is measured. All times are nanoseconds of the run's clock.

use std::time::Instant;

use crate::cli::Rate;

/// Nanoseconds since the run's clock began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock(Instant);

impl Clock {
    pub(crate) fn start() -> Self {
        Self(Instant::now())
    }

    pub(crate) fn now(&self) -> u64 {
        u64::try_from(self.0.elapsed().as_nanos()).expect("a run is shorter than 584 years")
    }
}

pub(crate) const SECOND: u64 = 1_000_000_000;

/// Start, warm-up and measured span of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Schedule {
    rate: Rate,
    /// The first payment is due.
    pub(crate) start: u64,
    /// Measuring begins.
    pub(crate) begin: u64,
    /// Measuring ends, and nothing is sent any more.
    pub(crate) end: u64,
}

impl Schedule {
    pub(crate) const fn new(rate: Rate, start: u64, warm_up_seconds: u32, seconds: u32) -> Self {
        let begin = start + warm_up_seconds as u64 * SECOND;
        Self {
            rate,
            start,
            begin,
            end: begin + seconds as u64 * SECOND,
        }
    }

    /// When payment `number` is due at an even rate; at `max` nothing is ever late.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    pub(crate) fn due(&self, number: u32) -> Option<u64> {
        match self.rate {
            Rate::PerSecond(rate) => Some(self.start + (f64::from(number) * (SECOND as f64 / rate)) as u64),
            Rate::Max => None,
        }
    }

    /// True if what is due (or, without a schedule, sent) at `at` counts.
    pub(crate) const fn is_measured(&self, at: u64) -> bool {
        self.begin <= at && at < self.end
    }

    pub(crate) const fn is_open(&self) -> bool {
        matches!(self.rate, Rate::PerSecond(_))
    }

    /// Seconds that were measured.
    pub(crate) fn seconds(&self) -> f64 {
        self.end.saturating_sub(self.begin) as f64 / SECOND as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_even_rate_spaces_payments_evenly_and_does_not_drift() {
        let schedule = Schedule::new(Rate::PerSecond(30_000.0), 7, 1, 10);
        assert_eq!(schedule.due(0), Some(7));
        assert_eq!(schedule.due(1), Some(7 + 33_333));
        assert_eq!(schedule.due(30_000), Some(7 + SECOND));
        assert_eq!(schedule.due(3_000_000_000), Some(7 + 100_000 * SECOND));
        assert_eq!(Schedule::new(Rate::Max, 7, 1, 10).due(5), None);
    }

    #[test]
    fn the_warm_up_is_not_measured_and_comes_on_top() {
        let schedule = Schedule::new(Rate::PerSecond(1_000.0), SECOND, 2, 3);
        let measured = |at| schedule.is_measured(at);
        assert_eq!(
            [3 * SECOND - 1, 3 * SECOND, 6 * SECOND - 1, 6 * SECOND].map(measured),
            [false, true, true, false]
        );
        assert!((schedule.seconds() - 3.0).abs() < 1e-9);
    }
}
