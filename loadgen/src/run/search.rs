//! The highest rate that holds: doubled until one does not, then closed in on from both sides.
//!
//! A rate holds if the latency meets the SLO, as many payments are answered per second as were asked for, none was left
//! unsent, and nothing failed. One that does not is tried once more, since one hiccup of the machine is not the hub's limit.

use super::steps::{Director, Measured, Step};
use crate::cli::Rate;
use crate::slo::Slo;

/// Where to look, and how closely.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchPlan {
    /// What must hold.
    pub slo: Slo,
    /// The first rate that is tried.
    pub from: f64,
    /// The highest.
    pub to: f64,
    /// The bounds may be apart by this part of the lower one.
    pub precision: f64,
    /// Seconds of load before each measurement.
    pub warm_up_seconds: u32,
    /// Seconds of each measurement.
    pub seconds: u32,
}

/// Whether a rate held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Held {
    Yes,
    /// The latency is too high.
    Latency,
    /// Fewer payments were answered than were asked for.
    Behind,
    /// Some failed, or were refused.
    Lost,
    /// The generator was the limit.
    Generator,
    /// The workload ended, or something went wrong: nothing can be said.
    Broken,
}

impl Held {
    pub(crate) const fn why(self) -> &'static str {
        match self {
            Self::Yes => "held",
            Self::Latency => "latency",
            Self::Behind => "fell behind",
            Self::Lost => "payments failed",
            Self::Generator => "generator saturated",
            Self::Broken => "broke off",
        }
    }
}

/// So much less than was asked for counts as held: at its ends a span catches one second's answers more or less.
const BEHIND: f64 = 0.98;
/// The part of payments that may stay unsent, for those that were due in the last moment.
const UNSENT: f64 = 0.001;

/// Judges a step by itself; without an SLO any latency will do.
pub(crate) fn judge(done: &Measured, slo: Option<&Slo>) -> Held {
    let meter = &done.meter;
    let sent = meter.sent as f64;
    let missed = meter.missed as f64 > (sent + meter.missed as f64) * UNSENT;
    let asked = match done.step.rate {
        Rate::PerSecond(rate) => rate,
        Rate::Max => 0.0,
    };
    let held = if done.ended_early || done.errors > 0 || meter.delivered == 0 {
        Held::Broken
    } else if done.lost() > 0 {
        Held::Lost
    } else if missed || done.payments_per_s() < asked * BEHIND {
        Held::Behind
    } else if slo.is_none_or(|slo| slo.is_met(&meter.latency())) {
        Held::Yes
    } else {
        Held::Latency
    };
    // What holds from the intended send times holds however late the generator was; what does not may be its fault.
    match held {
        Held::Behind | Held::Latency if done.is_saturated() => Held::Generator,
        held => held,
    }
}

/// How a search ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Bound {
    /// The highest rate that held.
    pub(crate) rate: Option<f64>,
    /// Whether a rate close above it did not.
    pub(crate) found: bool,
    /// Whether the generator is why a higher one did not.
    pub(crate) by_generator: bool,
}

/// The search as far as it has come: what the steps so far say, and the rate to try next.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Closing {
    low: Option<f64>,
    high: Option<f64>,
    by_generator: bool,
    /// A rate that did not hold once.
    doubtful: Option<f64>,
    broken: bool,
}

impl Closing {
    fn after(verdicts: impl Iterator<Item = (f64, Held)>) -> Self {
        let mut closing = Self::default();
        for (rate, held) in verdicts {
            closing.note(rate, held);
        }
        // Bounds out of order: the machine was quicker in the meantime, and the lower bound is the newer word.
        if let (Some(low), Some(high)) = (closing.low, closing.high)
            && low >= high
        {
            closing.high = None;
        }
        closing
    }

    fn note(&mut self, rate: f64, held: Held) {
        let again = self.doubtful.take() == Some(rate);
        match held {
            Held::Yes => self.low = Some(self.low.map_or(rate, |low| low.max(rate))),
            Held::Broken => self.broken = true,
            _ if !again => self.doubtful = Some(rate),
            _ => {
                self.high = Some(self.high.map_or(rate, |high| high.min(rate)));
                self.by_generator = held == Held::Generator;
            }
        }
    }

    /// The rate to try next; `None` once there is nothing more to learn.
    fn next(&self, plan: &SearchPlan) -> Option<f64> {
        if self.broken {
            return None;
        }
        if self.doubtful.is_some() {
            return self.doubtful;
        }
        match (self.low, self.high) {
            (None, None) => Some(plan.from.min(plan.to)),
            (Some(low), None) => (low < plan.to).then(|| (low * 2.0).min(plan.to)),
            (None, Some(high)) => (high > plan.from / LOWER).then(|| round(high / 2.0)),
            (Some(low), Some(high)) => {
                let middle = round((low * high).sqrt());
                (high > low * (1.0 + plan.precision) && middle > low && middle < high).then_some(middle)
            }
        }
    }

    const fn bound(&self) -> Bound {
        Bound {
            rate: self.low,
            found: self.low.is_some() && self.high.is_some() && !self.broken,
            by_generator: self.by_generator && self.high.is_some(),
        }
    }
}

/// How far below the first rate is looked.
const LOWER: f64 = 64.0;

/// Three digits: nobody measures a rate more closely.
fn round(rate: f64) -> f64 {
    let unit = 10_f64.powf(rate.log10().floor() - 2.0);
    ((rate / unit).round() * unit * 1e3).round() / 1e3
}

fn verdicts<'a>(plan: &'a SearchPlan, done: &'a [Measured]) -> impl Iterator<Item = (f64, Held)> {
    done.iter().filter_map(|done| match done.step.rate {
        Rate::PerSecond(rate) => Some((rate, judge(done, Some(&plan.slo)))),
        Rate::Max => None,
    })
}

/// What a search that came to these steps has found.
pub(crate) fn bound(plan: &SearchPlan, done: &[Measured]) -> Bound {
    Closing::after(verdicts(plan, done)).bound()
}

/// See the [module](self).
#[derive(Debug)]
pub(crate) struct Search(pub(crate) SearchPlan);

impl Director for Search {
    fn next(&mut self, done: &[Measured]) -> Option<Step> {
        let rate = Closing::after(verdicts(&self.0, done)).next(&self.0)?;
        Some(Step {
            rate: Rate::PerSecond(rate),
            warm_up_seconds: self.0.warm_up_seconds,
            seconds: self.0.seconds,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan() -> SearchPlan {
        SearchPlan {
            slo: "p99<15ms".parse().expect("good"),
            from: 1_000.0,
            to: 1_000_000.0,
            precision: 0.05,
            warm_up_seconds: 1,
            seconds: 1,
        }
    }

    /// Searches a hub that answers each rate as `hub` says; the bound, and the rates that were tried.
    fn search(plan: &SearchPlan, mut hub: impl FnMut(f64) -> Held) -> (Bound, Vec<f64>) {
        let mut tried: Vec<(f64, Held)> = Vec::new();
        loop {
            let closing = Closing::after(tried.iter().copied());
            let Some(rate) = closing.next(plan) else {
                return (closing.bound(), tried.into_iter().map(|(rate, _)| rate).collect());
            };
            assert!(tried.len() < 50, "the search does not end: {tried:?}");
            tried.push((rate, hub(rate)));
        }
    }

    fn limit(at: f64) -> impl FnMut(f64) -> Held {
        move |rate| if rate <= at { Held::Yes } else { Held::Latency }
    }

    #[test]
    fn a_limit_is_found_from_both_sides() {
        for at in [40.0, 999.0, 1_000.0, 47_123.0, 480_000.0] {
            let (bound, tried) = search(&plan(), limit(at));
            let rate = bound.rate.expect("a rate holds");
            assert!(bound.found && !bound.by_generator);
            assert!(rate <= at && at < rate * 1.06, "{at}: {rate} after {tried:?}");
            assert!(tried.len() < 24, "{tried:?}");
        }
    }

    #[test]
    fn a_limit_beyond_the_range_is_not_found() {
        let (bound, tried) = search(&plan(), |_| Held::Yes);
        assert_eq!((bound.rate, bound.found), (Some(1_000_000.0), false));
        assert_eq!(tried.last(), Some(&1_000_000.0));
        let (bound, tried) = search(&plan(), |_| Held::Behind);
        assert_eq!((bound.rate, bound.found), (None, false));
        assert!(*tried.last().expect("some") < 1_000.0 / 32.0);
    }

    #[test]
    fn one_hiccup_is_forgiven_and_two_are_not() {
        let mut hiccups = 1;
        let mut hub = |rate: f64| {
            if rate == 4_000.0 && hiccups > 0 {
                hiccups -= 1;
                Held::Latency
            } else {
                limit(50_000.0)(rate)
            }
        };
        let (bound, _) = search(&plan(), &mut hub);
        assert!(bound.rate.expect("holds") > 47_000.0);
        let (bound, _) = search(&plan(), |rate| {
            if rate == 4_000.0 {
                Held::Latency
            } else {
                limit(50_000.0)(rate)
            }
        });
        assert!(bound.rate.expect("holds") < 4_000.0);
    }

    #[test]
    fn who_was_the_limit_is_told_and_a_break_ends_the_search() {
        let (bound, _) = search(
            &plan(),
            |rate| {
                if rate <= 9_000.0 { Held::Yes } else { Held::Generator }
            },
        );
        assert!(bound.found && bound.by_generator);
        let (bound, tried) = search(&plan(), |rate| if rate <= 9_000.0 { Held::Yes } else { Held::Broken });
        assert_eq!((bound.rate, bound.found), (Some(8_000.0), false));
        assert_eq!(tried.last(), Some(&16_000.0));
    }

    #[test]
    fn rates_have_three_digits() {
        assert_eq!([123_456.0, 999.6, 0.123_45].map(round), [123_000.0, 1_000.0, 0.123]);
    }
}
