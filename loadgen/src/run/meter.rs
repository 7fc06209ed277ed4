//! Latencies, and what became of payments.

use std::collections::BTreeMap;

use hdrhistogram::Histogram;

use super::schedule::Schedule;
use crate::result::Quantiles;

/// One minute: what takes longer counts as this.
const LONGEST_NS: u64 = 60_000_000_000;

/// Points of a distribution per half of the distance that is left to 1: some seventy for a million payments.
const SHAPE_TICKS: u32 = 4;

fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1_000, LONGEST_NS, 3).expect("bounds and digits are in range")
}

/// What a run counts.
#[derive(Debug)]
pub(crate) struct Meter {
    latency: Histogram<u64>,
    service: Histogram<u64>,
    lag: Histogram<u64>,
    /// Latencies since the last progress line.
    recent: Histogram<u64>,
    /// Payments whose due time (or send time) is in the measured span.
    pub(crate) sent: u64,
    /// Payments that were due in the measured span and were not sent before its end.
    pub(crate) missed: u64,
    /// Of those sent, delivered.
    pub(crate) delivered: u64,
    /// Delivered answers that arrived in the measured span.
    pub(crate) answered_in_span: u64,
    pub(crate) failed: BTreeMap<&'static str, u64>,
    pub(crate) refused: BTreeMap<&'static str, u64>,
}

impl Default for Meter {
    fn default() -> Self {
        Self {
            latency: histogram(),
            service: histogram(),
            lag: histogram(),
            recent: histogram(),
            sent: 0,
            missed: 0,
            delivered: 0,
            answered_in_span: 0,
            failed: BTreeMap::new(),
            refused: BTreeMap::new(),
        }
    }
}

/// When something was to be sent, and when it was.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Times {
    /// The intended send time; at `max` the actual one.
    pub(crate) intended: u64,
    /// The actual one.
    pub(crate) sent: u64,
}

impl Meter {
    /// A state with `count` payments goes out. `free` is when nothing but the generator kept it from going.
    pub(crate) fn note_sent(&mut self, schedule: &Schedule, times: Times, free: u64, count: u64) {
        if schedule.is_measured(times.intended) {
            self.sent += count;
            let due = times.intended.max(free);
            self.lag.saturating_record(times.sent.saturating_sub(due));
        }
    }

    /// `count` payments of a state were delivered; their receipt came at `now`.
    pub(crate) fn note_delivered(&mut self, schedule: &Schedule, times: Times, now: u64, count: u64) {
        let latency = now.saturating_sub(times.intended);
        self.recent.saturating_record_n(latency, count);
        if schedule.is_measured(now) {
            self.answered_in_span += count;
        }
        if schedule.is_measured(times.intended) {
            self.delivered += count;
            self.latency.saturating_record_n(latency, count);
            self.service.saturating_record_n(now.saturating_sub(times.sent), count);
        }
    }

    /// `count` payments were due at `due`, and did not go out in the span.
    pub(crate) fn note_missed(&mut self, schedule: &Schedule, due: u64, count: u64) {
        if schedule.is_measured(due) {
            self.missed += count;
            self.latency.saturating_record_n(schedule.end - due, count);
        }
    }

    /// Latencies since the last call.
    pub(crate) fn take_recent(&mut self) -> Histogram<u64> {
        let recent = self.recent.clone();
        self.recent.reset();
        recent
    }

    /// All latencies of the measured span.
    pub(crate) const fn latencies(&self) -> &Histogram<u64> {
        &self.latency
    }

    /// Their shape: pairs of a quantile and its value in µs.
    pub(crate) fn distribution(&self) -> Vec<[f64; 2]> {
        let micros = |nanos: u64| (nanos as f64 / 1e2).round() / 1e1;
        let steps = self.latency.iter_quantiles(SHAPE_TICKS);
        let mut shape: Vec<[f64; 2]> = steps
            .map(|step| [step.quantile_iterated_to(), micros(step.value_iterated_to())])
            .collect();
        // A step ends where its bucket does, which may be beyond the longest.
        let longest = micros(self.latency.max());
        shape.iter_mut().for_each(|[_, value]| *value = value.min(longest));
        shape
    }

    pub(crate) fn latency(&self) -> Quantiles {
        quantiles(&self.latency)
    }

    pub(crate) fn service(&self) -> Quantiles {
        quantiles(&self.service)
    }

    pub(crate) fn lag_us_p99(&self) -> f64 {
        self.lag.value_at_quantile(0.99) as f64 / 1e3
    }
}

pub(super) fn quantiles(histogram: &Histogram<u64>) -> Quantiles {
    let micros = |nanos: u64| (nanos as f64 / 1e2).round() / 1e1;
    let at = |quantile| micros(histogram.value_at_quantile(quantile));
    Quantiles {
        p50: at(0.5),
        p90: at(0.9),
        p99: at(0.99),
        p999: at(0.999),
        p9999: at(0.9999),
        max: micros(histogram.max()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::schedule::Plan;

    const MS: u64 = 1_000_000;

    #[test]
    fn latency_counts_from_the_intended_time_and_service_from_the_actual_one() {
        let schedule = Schedule::new(Plan::Even(1.0), 0, 0, 10);
        let mut meter = Meter::default();
        // Due at 100 ms, held back by its channel until 130, sent at 132, answered at 150.
        let times = Times {
            intended: 100 * MS,
            sent: 132 * MS,
        };
        meter.note_sent(&schedule, times, 130 * MS, 1);
        meter.note_delivered(&schedule, times, 150 * MS, 1);
        let near = |value: f64, ms: f64| (value / 1e3 - ms).abs() < ms / 500.0;
        assert!(near(meter.latency().p50, 50.0), "{:?}", meter.latency());
        assert!(near(meter.latency().max, 50.0));
        assert!(near(meter.service().p50, 18.0), "{:?}", meter.service());
        assert!(near(meter.lag_us_p99(), 2.0), "{}", meter.lag_us_p99());
        assert_eq!((meter.sent, meter.delivered, meter.answered_in_span), (1, 1, 1));
    }

    #[test]
    fn a_distribution_rises_to_the_longest() {
        let schedule = Schedule::new(Plan::Even(1.0), 0, 0, 10);
        let mut meter = Meter::default();
        for n in 1..=1_000 {
            meter.note_delivered(&schedule, Times { intended: 0, sent: 0 }, n * MS, 1);
        }
        let shape = meter.distribution();
        assert!((20..80).contains(&shape.len()), "{shape:?}");
        assert!(shape.is_sorted_by(|a, b| a[0] <= b[0] && a[1] <= b[1]), "{shape:?}");
        let half = shape.iter().find(|point| point[0] >= 0.5).expect("half");
        assert!((half[1] / 500_000.0 - 1.0).abs() < 0.01, "{half:?}");
        let last = shape.last().expect("an end");
        assert!(
            (last[0] - 1.0).abs() < 1e-9 && (last[1] - meter.latency().max).abs() < 1e-9,
            "{last:?}"
        );
        assert!(Meter::default().distribution().len() <= 1);
    }

    #[test]
    fn what_was_due_and_not_sent_is_as_late_as_the_end() {
        let schedule = Schedule::new(Plan::Even(1.0), 0, 1, 1);
        let mut meter = Meter::default();
        meter.note_missed(&schedule, 900 * MS, 1);
        meter.note_missed(&schedule, 1_500 * MS, 2);
        assert_eq!((meter.missed, meter.sent, meter.delivered), (2, 0, 0));
        assert!(
            (meter.latency().p50 - 500_000.0).abs() < 1_000.0,
            "{:?}",
            meter.latency()
        );
    }

    #[test]
    fn what_is_due_outside_the_span_is_not_measured_whenever_it_is_answered() {
        let schedule = Schedule::new(Plan::Even(1.0), 0, 1, 1);
        let mut meter = Meter::default();
        for (intended, answered) in [(900, 1_100), (1_900, 2_100), (2_000, 2_050)] {
            let times = Times {
                intended: intended * MS,
                sent: intended * MS,
            };
            meter.note_sent(&schedule, times, 0, 1);
            meter.note_delivered(&schedule, times, answered * MS, 1);
        }
        assert_eq!((meter.sent, meter.delivered, meter.answered_in_span), (1, 1, 1));
        assert_eq!(meter.take_recent().len(), 3);
        assert_eq!(meter.take_recent().len(), 0);
    }
}
