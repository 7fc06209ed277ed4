//! When each payment is due, and which part of a run is measured. All times are nanoseconds of the run's clock.

use std::sync::Arc;
use std::time::Instant;

use rand::RngExt as _;

use crate::cli::{Arrivals, Rate};
use crate::keys::{Purpose, stream};

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

/// When payments are due, from the start on.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Plan {
    /// Evenly spaced: so many per second.
    Even(f64),
    /// At these nanoseconds, then evenly: so many per second.
    Listed(Arc<[u64]>, f64),
    /// Whenever answers make room.
    Closed,
}

impl Plan {
    /// The plan of step `index` of a run; with `payments` and `seed` it fixes the gaps between random arrivals.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    pub(crate) fn new(rate: Rate, arrivals: Arrivals, payments: u32, seed: u64, index: u64) -> Self {
        let rate = match (rate, arrivals) {
            (Rate::Max, _) => return Self::Closed,
            (Rate::PerSecond(rate), Arrivals::Even) => return Self::Even(rate),
            (Rate::PerSecond(rate), Arrivals::Poisson) => rate,
        };
        let mut rng = stream(seed, Purpose::Arrivals, index);
        let mut at = 0.0;
        let times = (0..payments).map(|_| {
            let gap: f64 = rng.random();
            at -= (1.0 - gap).ln() / rate;
            (at * SECOND as f64) as u64
        });
        Self::Listed(times.collect(), rate)
    }

    /// Nanoseconds from the start to payment `number`; `None` in a closed loop.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a float cast saturates"
    )]
    fn offset(&self, number: u32) -> Option<u64> {
        let even = |number: f64, rate: f64| (number * (SECOND as f64 / rate)) as u64;
        match self {
            Self::Even(rate) => Some(even(number.into(), *rate)),
            Self::Listed(times, rate) => Some(match times.get(number as usize) {
                Some(time) => *time,
                None => times.last().map_or(0, |last| last + even(1.0, *rate)),
            }),
            Self::Closed => None,
        }
    }
}

/// Start, warm-up and measured span of a run.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Schedule {
    plan: Plan,
    /// The first payment is due, or may go.
    pub(crate) start: u64,
    /// Measuring begins.
    pub(crate) begin: u64,
    /// Measuring ends, and nothing is sent any more.
    pub(crate) end: u64,
}

impl Schedule {
    pub(crate) const fn new(plan: Plan, start: u64, warm_up_seconds: u32, seconds: u32) -> Self {
        let begin = start + warm_up_seconds as u64 * SECOND;
        Self {
            plan,
            start,
            begin,
            end: begin + seconds as u64 * SECOND,
        }
    }

    /// When payment `number` is due if the load began with payment `base`; in a closed loop nothing is ever late.
    pub(crate) fn due(&self, number: u32, base: u32) -> Option<u64> {
        let offset = self.plan.offset(number.saturating_sub(base))?;
        Some(self.start.saturating_add(offset))
    }

    /// True if what is due (or, without a schedule, sent) at `at` counts.
    pub(crate) const fn is_measured(&self, at: u64) -> bool {
        self.begin <= at && at < self.end
    }

    pub(crate) const fn is_open(&self) -> bool {
        !matches!(self.plan, Plan::Closed)
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
        let schedule = Schedule::new(Plan::Even(30_000.0), 7, 1, 10);
        assert_eq!(schedule.due(0, 0), Some(7));
        assert_eq!(schedule.due(1, 0), Some(7 + 33_333));
        assert_eq!(schedule.due(30_000, 0), Some(7 + SECOND));
        assert_eq!(schedule.due(3_000_000_007, 7), Some(7 + 100_000 * SECOND));
        assert_eq!(Schedule::new(Plan::Closed, 7, 1, 10).due(5, 0), None);
    }

    #[test]
    fn random_arrivals_keep_the_rate_and_spread_as_poisson_does() {
        let payments = 100_000;
        let plan = Plan::new(Rate::PerSecond(1_000.0), Arrivals::Poisson, payments, 3, 0);
        assert_eq!(
            plan,
            Plan::new(Rate::PerSecond(1_000.0), Arrivals::Poisson, payments, 3, 0)
        );
        assert_ne!(
            plan,
            Plan::new(Rate::PerSecond(1_000.0), Arrivals::Poisson, payments, 4, 0)
        );
        let times: Vec<u64> = (0..payments).map(|n| plan.offset(n).expect("listed")).collect();
        assert!(times.is_sorted());
        let seconds = *times.last().expect("many") as f64 / 1e9;
        assert!((seconds - 100.0).abs() < 2.0, "{seconds} s for 100 s of payments");
        // In a Poisson process the variance of counts is their mean.
        let counts: Vec<f64> = times
            .chunk_by(|a, b| a / 10_000_000 == b / 10_000_000)
            .map(|c| c.len() as f64)
            .collect();
        let mean = counts.iter().sum::<f64>() / counts.len() as f64;
        let variance = counts.iter().map(|c| (c - mean).powi(2)).sum::<f64>() / counts.len() as f64;
        assert!(
            (0.9..1.1).contains(&(variance / mean)),
            "variance {variance}, mean {mean}"
        );
        assert_eq!(plan.offset(payments), Some(times[payments as usize - 1] + 1_000_000));
    }

    #[test]
    fn the_warm_up_is_not_measured_and_comes_on_top() {
        let schedule = Schedule::new(Plan::Even(1_000.0), SECOND, 2, 3);
        let measured = |at| schedule.is_measured(at);
        assert_eq!(
            [3 * SECOND - 1, 3 * SECOND, 6 * SECOND - 1, 6 * SECOND].map(measured),
            [false, true, true, false]
        );
        assert!((schedule.seconds() - 3.0).abs() < 1e-9);
    }
}
