//! The result of a run: `tidegate.result/1`, as the contract of interfaces has it, and a report for people. What `search` and
//! `curve` find is a [`SweepResult`].

mod sweep;

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

use crate::environment::Environment;

pub use sweep::{CURVE_SCHEMA, Point, SEARCH_SCHEMA, SweepResult};

/// The value of [`RunResult::schema`].
pub const SCHEMA: &str = "tidegate.result/1";

/// What a run came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunResult {
    /// [`SCHEMA`].
    pub schema: String,
    /// The profile's name.
    pub profile: String,
    /// The seed of keys and choices.
    pub seed: u64,
    /// `open` (by schedule, latency from the intended send time) or `closed` (as fast as answers come); empty in a result
    /// that was read with the keys of the contract alone.
    #[serde(default)]
    pub mode: String,
    /// The rate asked for in payments per second; `null` for `max`.
    pub rate: Option<f64>,
    /// `even` or `poisson`; `null` in a closed loop.
    pub arrivals: Option<String>,
    /// Seconds measured, without warm-up.
    pub seconds: f64,
    /// Channels that take part.
    pub channels: u32,
    /// Connections.
    pub connections: u32,
    /// Payments due (closed loop: sent) in the measured span.
    pub sent: u64,
    /// Of these, delivered.
    pub delivered: u64,
    /// Failed payments by reason, in the whole run.
    pub failed: BTreeMap<String, u64>,
    /// Refused states by reason, in the whole run.
    pub refused: BTreeMap<String, u64>,
    /// Anything else that went wrong: unanswered payments, lost connections, bad receipts.
    pub errors: u64,
    /// Payments delivered per second of the measured span, by the receipts' arrival.
    pub payments_per_s: f64,
    /// Signatures that the hub checked per second of the measured span, acks included.
    pub signatures_per_s: f64,
    /// From the intended send time to the receipt's arrival, in µs; closed loop: from the actual one.
    pub latency_us: Quantiles,
    /// From the actual send time to the receipt's arrival, in µs.
    pub service_us: Quantiles,
    /// The generator itself.
    pub generator: GeneratorFigures,
    /// The hub, by its own account, in the measured span.
    pub hub: HubFigures,
    /// What signature checks alone cost.
    pub limit: Limit,
    /// What lets a client settle: `delivered`, `ack` or `preimage`.
    pub settle: String,
    /// Acknowledgements.
    pub acks: AckFigures,
    /// What was found to be true afterwards.
    pub audit: Audit,
    /// Where this was measured.
    pub environment: Environment,
    /// Second by second, warm-up included.
    #[serde(default)]
    pub series: Vec<SecondFigures>,
    /// The whole shape of `latency_us`: pairs of a quantile and its value in µs, closer and closer to 1.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latency_distribution: Vec<[f64; 2]>,
    /// What the latency was to be, and whether it was.
    #[serde(default)]
    pub slo: Vec<SloFigures>,
    /// True if every number above may be believed.
    pub valid: bool,
    /// True if something other than the generator's own limit is why they may not.
    #[serde(skip)]
    pub refuted: bool,
    /// Why not, and what else a reader should know.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// What was asked of the latency.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SloFigures {
    /// As `p99<15ms`.
    pub slo: String,
    /// Whether it was met.
    pub met: bool,
}

/// Quantiles in µs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[expect(missing_docs, reason = "p99 is the 99th percentile, and so on")]
pub struct Quantiles {
    pub p50: f64,
    pub p90: f64,
    pub p99: f64,
    pub p999: f64,
    pub p9999: f64,
    pub max: f64,
}

/// One second of a run.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct SecondFigures {
    /// Which, from 1, counted from the start of the load.
    pub second: u32,
    /// Whether it is not measured.
    pub warm_up: bool,
    /// Payments delivered in it, by the receipts' arrival.
    pub delivered: u64,
    /// Their median latency in µs.
    pub p50_us: f64,
    /// The 99th percentile.
    pub p99_us: f64,
    /// The 99.9th.
    #[serde(default)]
    pub p999_us: f64,
    /// The longest.
    #[serde(default)]
    pub max_us: f64,
    /// Payments without an answer at its end.
    pub in_flight: u64,
}

/// The generator itself.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct GeneratorFigures {
    /// How late payments went out that nothing but the generator held back, in µs.
    pub lag_us_p99: f64,
    /// CPU seconds in the measured span, acks and receipt checks included.
    pub cpu_s: f64,
    /// The same per payment that was answered, in µs: what measuring takes away from the hub where they share cores.
    #[serde(default)]
    pub cpu_us_per_payment: f64,
    /// The part of the measured span in which its event loop computed.
    #[serde(default)]
    pub busy: f64,
    /// Payments that were due in the measured span and were not sent before its end. Their latency counts as what it was
    /// then.
    #[serde(default)]
    pub missed: u64,
    /// True if the generator limited the run.
    pub saturated: bool,
}

/// The hub in the measured span.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct HubFigures {
    /// CPU seconds.
    pub cpu_s: f64,
    /// CPU per payment in µs, acks included.
    pub cpu_us_per_payment: f64,
    /// The most memory that was ever resident.
    pub rss_bytes_max: u64,
    /// Bytes of log per payment.
    pub log_bytes_per_payment: f64,
    /// Batches.
    pub batches: u64,
    /// Median inputs per batch since the hub's start.
    pub batch_p50: f64,
    /// Log syncs.
    pub syncs: u64,
    /// CPU per payment in µs by what its threads are called: where the sum above goes.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub threads_us_per_payment: BTreeMap<String, f64>,
}

/// What signature checks alone cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Limit {
    /// The same signatures, judged by the same code on one thread of this machine after the run, in µs each.
    pub verify_us_per_signature: f64,
    /// That cost times the signatures that the hub checked in the measured span, as part of the hub's CPU time.
    pub verify_share_of_hub_cpu: f64,
}

/// Acknowledgements in the measured span.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct AckFigures {
    /// How many the hub took.
    pub taken: u64,
    /// Their signature checks per payment, in µs: acks × `limit.verify_us_per_signature` / payments. The rest of their cost
    /// cannot be told apart from outside.
    pub hub_cpu_us_per_payment: f64,
}

/// What was found to be true afterwards.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Audit {
    /// What payers were debited is what payees were credited, by signed leaves, and the hub's own sums agree.
    pub value_conserved: bool,
    /// False if payments stayed unanswered or the hub did not tell its sums: then there was not enough to compare.
    #[serde(default)]
    pub complete: bool,
    /// Leaves received.
    #[serde(default)]
    pub receipts: u64,
    /// Leaves checked in full: signature, path, order, sums, roots. Of the others all but path, sums and roots.
    pub receipts_checked: u64,
    /// Leaves that did not hold.
    pub receipts_bad: u64,
    /// Payments answered as delivered whose credit no leaf of the payee shows.
    pub acked_missing: u64,
    /// Channels whose newest leaf acknowledges another state than the newest that was sent.
    #[serde(default)]
    pub states_differ: u64,
    /// The hub's state root after the run, hex.
    pub state_root: String,
}

impl fmt::Display for RunResult {
    /// A report for people.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rate = self
            .rate
            .map_or_else(|| "max".to_owned(), |rate| format!("{rate} payments/s"));
        writeln!(f, "profile {}, {rate}, {:.1} s measured", self.profile, self.seconds)?;
        writeln!(
            f,
            "  {} channels over {} connections, seed {}",
            self.channels, self.connections, self.seed
        )?;
        writeln!(f)?;
        writeln!(
            f,
            "payments     {:>12.0} /s        {} delivered of {} sent",
            self.payments_per_s, self.delivered, self.sent
        )?;
        writeln!(
            f,
            "signatures   {:>12.0} /s        {} acks among them",
            self.signatures_per_s, self.acks.taken
        )?;
        self.show_latency(f)?;
        self.show_hub(f)?;
        self.show_audit(f)?;
        for (what, counts) in [("failed", &self.failed), ("refused", &self.refused)] {
            for (reason, count) in counts {
                writeln!(f, "{what:<12} {count:>12} {reason}")?;
            }
        }
        for SloFigures { slo, met } in &self.slo {
            writeln!(f, "slo          {slo} {}", if *met { "met" } else { "MISSED" })?;
        }
        for note in &self.notes {
            writeln!(f, "note         {note}")?;
        }
        write!(f, "result       {}", if self.valid { "valid" } else { "NOT VALID" })
    }
}

impl RunResult {
    fn show_latency(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let latency = &self.latency_us;
        let loop_kind = if self.mode == "open" {
            "open loop, from the intended send time"
        } else {
            "closed loop"
        };
        writeln!(
            f,
            "latency      p50 {}  p99 {}  p99.9 {}  max {}   ({loop_kind})",
            Micros(latency.p50),
            Micros(latency.p99),
            Micros(latency.p999),
            Micros(latency.max)
        )
    }

    fn show_hub(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hub = &self.hub;
        writeln!(
            f,
            "hub          {:.2} µs CPU per payment, of it {:.0} % signature checks; {} batches of about {:.0}, {} syncs",
            hub.cpu_us_per_payment,
            self.limit.verify_share_of_hub_cpu * 100.0,
            hub.batches,
            self.delivered as f64 / hub.batches.max(1) as f64,
            hub.syncs
        )?;
        writeln!(
            f,
            "             {:.0} MB resident at most, {:.0} bytes of log per payment, {}",
            hub.rss_bytes_max as f64 / 1e6,
            hub.log_bytes_per_payment,
            self.environment.backend
        )?;
        writeln!(
            f,
            "generator    {:.2} µs CPU per payment, {:.0} % of its thread, late by {} at p99{}{}",
            self.generator.cpu_us_per_payment,
            self.generator.busy * 100.0,
            Micros(self.generator.lag_us_p99),
            match self.generator.missed {
                0 => String::new(),
                missed => format!(", {missed} payments were due and not sent"),
            },
            if self.generator.saturated { ", SATURATED" } else { "" }
        )
    }

    fn show_audit(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let audit = &self.audit;
        writeln!(
            f,
            "audit        value {}, {} of {} receipts checked in full, {} bad, {} payments missing",
            match (audit.value_conserved, audit.complete) {
                (true, _) => "conserved",
                (false, true) => "NOT CONSERVED",
                (false, false) => "not audited, since the run broke off",
            },
            audit.receipts_checked,
            audit.receipts,
            audit.receipts_bad,
            audit.acked_missing
        )
    }
}

/// A time in µs, in the unit that suits it.
struct Micros(f64);

impl fmt::Display for Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            us if us < 1e3 => write!(f, "{us:.0} µs"),
            us if us < 1e6 => write!(f, "{:.2} ms", us / 1e3),
            us => write!(f, "{:.2} s", us / 1e6),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key of the contract, as it stands there.
    const CONTRACT: &str = "schema profile seed seconds channels connections sent delivered failed refused errors \
        payments_per_s signatures_per_s \
        latency_us/p50 latency_us/p90 latency_us/p99 latency_us/p999 latency_us/p9999 latency_us/max \
        service_us/p50 service_us/p90 service_us/p99 service_us/p999 service_us/p9999 service_us/max \
        generator/lag_us_p99 generator/cpu_s generator/saturated \
        hub/cpu_s hub/cpu_us_per_payment hub/rss_bytes_max hub/log_bytes_per_payment hub/batches hub/batch_p50 hub/syncs \
        limit/verify_us_per_signature limit/verify_share_of_hub_cpu settle acks/taken acks/hub_cpu_us_per_payment \
        audit/value_conserved audit/receipts_checked audit/receipts_bad audit/acked_missing audit/state_root \
        environment/git environment/dirty environment/cpu environment/cores environment/kernel environment/filesystem \
        environment/allocator environment/backend environment/fsync environment/argv valid";

    fn result() -> RunResult {
        RunResult {
            schema: SCHEMA.to_owned(),
            profile: "quick".to_owned(),
            seed: 1,
            mode: "open".to_owned(),
            rate: Some(1_000.0),
            arrivals: Some("even".to_owned()),
            seconds: 5.0,
            channels: 2,
            connections: 1,
            sent: 3,
            delivered: 2,
            failed: BTreeMap::from([("PayeeSilent".to_owned(), 1)]),
            refused: BTreeMap::new(),
            errors: 0,
            payments_per_s: 0.4,
            signatures_per_s: 0.6,
            latency_us: Quantiles {
                p50: 900.0,
                p99: 1_500.0,
                p999: 2_000_000.0,
                ..Quantiles::default()
            },
            service_us: Quantiles::default(),
            generator: GeneratorFigures::default(),
            hub: HubFigures::default(),
            limit: Limit::default(),
            settle: "delivered".to_owned(),
            acks: AckFigures::default(),
            audit: Audit {
                state_root: "0".repeat(64),
                ..Audit::default()
            },
            environment: Environment::default(),
            series: Vec::new(),
            latency_distribution: vec![[0.5, 900.0], [1.0, 2_000_000.0]],
            slo: vec![SloFigures {
                slo: "p99<1ms".to_owned(),
                met: false,
            }],
            valid: false,
            refuted: false,
            notes: vec!["a note".to_owned()],
        }
    }

    #[test]
    fn every_key_of_the_contract_is_there() {
        let json = serde_json::to_value(result()).expect("plain data");
        for key in CONTRACT.split_whitespace() {
            assert!(json.pointer(&format!("/{key}")).is_some(), "{key}");
        }
        assert_eq!(json["failed"]["PayeeSilent"], 1);
        assert_eq!(
            serde_json::from_value::<RunResult>(json).expect("its own form"),
            result()
        );
    }

    /// Another generator writes what the contract has, and nothing else.
    #[test]
    fn the_keys_of_the_contract_are_enough_to_read() {
        let full = serde_json::to_value(result()).expect("plain data");
        let mut alone = serde_json::json!({});
        for key in CONTRACT.split_whitespace() {
            let mut place = &mut alone;
            for part in key.split('/') {
                place = &mut place[part];
            }
            *place = full.pointer(&format!("/{key}")).expect("a key of the contract").clone();
        }
        let read: RunResult = serde_json::from_value(alone).expect("every key of the contract");
        assert_eq!(
            (read.latency_us, read.mode.as_str(), read.rate),
            (result().latency_us, "", None)
        );
    }

    #[test]
    fn the_report_tells_units_failures_and_the_verdict() {
        let report = result().to_string();
        for part in [
            "p50 900 µs  p99 1.50 ms  p99.9 2.00 s",
            "intended send time",
            "PayeeSilent",
            "p99<1ms MISSED",
            "a note",
            "NOT VALID",
        ] {
            assert!(report.contains(part), "{part} is not in\n{report}");
        }
    }
}
