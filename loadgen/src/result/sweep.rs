//! Many rates on one hub, one behind the other: `loadgen search` and `loadgen curve`.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Audit, GeneratorFigures, HubFigures, Micros, Quantiles};
use crate::environment::Environment;

/// The value of [`SweepResult::schema`] for a search.
pub const SEARCH_SCHEMA: &str = "tidegate.search/1";
/// And for a curve.
pub const CURVE_SCHEMA: &str = "tidegate.curve/1";

/// What `search` or `curve` came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SweepResult {
    /// [`SEARCH_SCHEMA`] or [`CURVE_SCHEMA`].
    pub schema: String,
    /// The profile's name.
    pub profile: String,
    /// The seed of keys and choices.
    pub seed: u64,
    /// Channels of the profile.
    pub channels: u32,
    /// Connections.
    pub connections: u32,
    /// `even` or `poisson`.
    pub arrivals: String,
    /// What the latency was to be; `null` for a curve.
    pub slo: Option<String>,
    /// The highest rate that held, in payments per second; `null` if none did, and for a curve.
    pub rate: Option<f64>,
    /// Whether a rate close above it did not hold; `null` for a curve.
    pub bound_found: Option<bool>,
    /// The rates, in the order in which they were tried.
    pub points: Vec<Point>,
    /// What was found to be true afterwards, over all rates.
    pub audit: Audit,
    /// Where this was measured.
    pub environment: Environment,
    /// True if every number above may be believed.
    pub valid: bool,
    /// Why not, and what else a reader should know.
    pub notes: Vec<String>,
}

/// One rate.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// What was asked for; `null`: as fast as answers come, a closed loop.
    pub rate: Option<f64>,
    /// Payments delivered per second.
    pub payments_per_s: f64,
    /// Seconds measured.
    pub seconds: f64,
    /// Payments due in them and sent.
    pub sent: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Payments that failed or whose states were refused.
    pub lost: u64,
    /// From the intended send time to the receipt's arrival, in µs.
    pub latency_us: Quantiles,
    /// From the actual send time, in µs.
    pub service_us: Quantiles,
    /// The generator itself.
    pub generator: GeneratorFigures,
    /// The hub, by its own account.
    pub hub: HubFigures,
    /// Whether the rate held.
    pub held: bool,
    /// `held`, or why it did not: `latency`, `fell behind`, `payments failed`, `generator saturated`, `broke off`.
    pub why: String,
}

impl fmt::Display for SweepResult {
    /// A table for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "profile {}, {} channels over {} connections, {} arrivals, seed {}",
            self.profile, self.channels, self.connections, self.arrivals, self.seed
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "{:>10} {:>10}  {:>9} {:>9} {:>9} {:>9}  {:>9} {:>9}  rate",
            "asked/s", "done/s", "p50", "p99", "p99.9", "max", "hub µs", "gen. µs"
        )?;
        for point in &self.points {
            let rate = point.rate.map_or_else(|| "max".to_owned(), |rate| format!("{rate:.0}"));
            let latency = &point.latency_us;
            let at = |us: f64| Micros(us).to_string();
            writeln!(
                f,
                "{rate:>10} {:>10.0}  {:>9} {:>9} {:>9} {:>9}  {:>9.2} {:>9.2}  {}",
                point.payments_per_s,
                at(latency.p50),
                at(latency.p99),
                at(latency.p999),
                at(latency.max),
                point.hub.cpu_us_per_payment,
                point.generator.cpu_us_per_payment,
                point.why
            )?;
        }
        writeln!(f)?;
        if let Some(slo) = &self.slo {
            match (self.rate, self.bound_found == Some(true)) {
                (Some(rate), true) => writeln!(f, "{slo} holds up to {rate:.0} payments/s")?,
                (Some(rate), false) => writeln!(f, "bound not found: {slo} still holds at {rate:.0} payments/s")?,
                (None, _) => writeln!(f, "bound not found: {slo} holds at no rate that was tried")?,
            }
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        write!(f, "{}", if self.valid { "valid" } else { "NOT VALID" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sweep(rate: Option<f64>, found: bool) -> SweepResult {
        let point = |rate: f64, p99: f64, why: &str| Point {
            rate: Some(rate),
            payments_per_s: rate,
            seconds: 1.0,
            sent: 10,
            delivered: 10,
            lost: 0,
            latency_us: Quantiles {
                p99,
                ..Quantiles::default()
            },
            service_us: Quantiles::default(),
            generator: GeneratorFigures::default(),
            hub: HubFigures::default(),
            held: why == "held",
            why: why.to_owned(),
        };
        SweepResult {
            schema: SEARCH_SCHEMA.to_owned(),
            profile: "quick".to_owned(),
            seed: 1,
            channels: 2,
            connections: 1,
            arrivals: "even".to_owned(),
            slo: Some("p99<15ms".to_owned()),
            rate,
            bound_found: Some(found),
            points: vec![point(1_000.0, 2_500.0, "held"), point(2_000.0, 17_000.0, "latency")],
            audit: Audit::default(),
            environment: Environment::default(),
            valid: true,
            notes: vec!["a note".to_owned()],
        }
    }

    #[test]
    fn the_table_tells_each_rate_and_what_was_found() {
        let text = sweep(Some(1_000.0), true).to_string();
        for part in [
            "2.50 ms",
            "17.00 ms",
            "latency",
            "p99<15ms holds up to 1000 payments/s",
            "a note",
        ] {
            assert!(text.contains(part), "{part} is not in\n{text}");
        }
        assert!(
            sweep(Some(1_000.0), false)
                .to_string()
                .contains("bound not found: p99<15ms still holds at 1000")
        );
        assert!(
            sweep(None, false)
                .to_string()
                .contains("bound not found: p99<15ms holds at no rate")
        );
    }

    #[test]
    fn a_sweep_reads_back() {
        let json = serde_json::to_string(&sweep(None, false)).expect("plain data");
        assert_eq!(
            serde_json::from_str::<SweepResult>(&json).expect("its own form"),
            sweep(None, false)
        );
    }
}
