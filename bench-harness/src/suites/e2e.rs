//! The whole hub under load, with its targets beside it: T1, T4, T5, T8 and T9 by `tidegate benchmark`, T3 in this process, and
//! TigerBeetle's own benchmark in the same run where a binary of it is given.
//!
//! A ratio named by a target is what was measured over what is wanted; above 1 is better where the name says `payments/s`, below 1
//! where it says `us` or `bytes`.

use std::path::Path;

use tidegate_loadgen::result::RunResult;

use super::hub::{self, Load};
use super::peers::tigerbeetle;
use super::{Suite, SuiteError, connections, execute};
use crate::measure::{Bench, OWN};
use crate::report::Row;

/// Hub and generator as processes of their own.
pub(super) struct EndToEnd;

const SECONDS: usize = 10;
/// What stands for TigerBeetle's transfers a second where no binary of it is given.
const TRANSFERS_PER_S: f64 = 380_000.0;
/// Profiles whose hub may spend so many µs on a payment (T1).
const CPU_US_MAX: [(&str, f64); 3] = [("hot-keys", 3.3), ("lightning-2020", 5.0), ("cold-keys", 6.0)];
/// Profiles without a limit of their own.
const OTHERS: [&str; 3] = ["uniform", "hash-locks", "batch-pay"];
/// The part of what `hot-keys` can do at which latency counts, and its quantiles' limits in µs (T4).
const LOADED: f64 = 0.8;
const LATENCY_US_MAX: [(&str, f64); 3] = [("p50", 5_000.0), ("p99", 15_000.0), ("p999", 50_000.0)];
/// A lone payment's median in µs (T4).
const LONE_US_MAX: f64 = 1_000.0;
/// Payments a second of 32 lone clients: so many times those of one, and no more than this (T5).
const LONE_TIMES: f64 = 20.0;
const LONE_PER_S: f64 = 50_000.0;
/// Bytes of the hub of ten million channels, and its cost beside `uniform` (T8).
const RESIDENT_MAX: f64 = 4.0 * (1_u64 << 30) as f64;
const TEN_MILLION_TIMES: f64 = 1.5;
/// Channels of the part that runs in this process.
const IN_PROCESS: usize = 2_048;

impl Suite for EndToEnd {
    fn name(&self) -> &'static str {
        "e2e"
    }

    fn about(&self) -> &'static str {
        "the hub under load by profile, with its targets, beside TigerBeetle where --tigerbeetle names its binary; --seconds of each run"
    }

    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
        in_process(bench, folder)?;
        if bench.wants("tigerbeetle::") {
            tigerbeetle::run(bench, folder)?;
        }
        let mut runs = Runs { bench, folder };
        let hot = runs.throughput()?;
        runs.latency(hot)?;
        runs.lone()?;
        runs.ten_million()?;
        connections::run(bench, folder)
    }
}

fn in_process(bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
    if bench.wants("execute::") {
        let channels = if bench.scale() == crate::measure::Scale::Tiny {
            300
        } else {
            IN_PROCESS
        };
        let driven = execute::alone(bench, channels, folder)?;
        execute::rows(bench, channels, &driven);
    }
    Ok(())
}

struct Runs<'a> {
    bench: &'a mut Bench,
    folder: &'a Path,
}

impl Runs<'_> {
    /// Runs a profile and adds its rows; `None` if it was not asked for or not run.
    fn profile(&mut self, profile: &str, rate: Option<u64>) -> Result<Option<RunResult>, SuiteError> {
        let mode = if rate.is_some() { "open" } else { "closed" };
        let keys = format!("profile={profile},loop={mode}");
        if !self.bench.wants(&format!("e2e::payments/{keys}")) {
            return Ok(None);
        }
        let load = Load {
            profile,
            rate,
            seconds: Some(self.bench.size("seconds", SECONDS, SECONDS)),
            connections: None,
        };
        let result = hub::run(self.bench, &keys, &load, self.folder)?;
        for row in result.iter().flat_map(|result| rows(result, &keys)) {
            self.bench.adopt(row);
        }
        Ok(result)
    }

    /// T1; the payments a second of `hot-keys`.
    fn throughput(&mut self) -> Result<Option<f64>, SuiteError> {
        let mut hot = None;
        for (profile, cpu_us_max) in CPU_US_MAX {
            let Some(result) = self.profile(profile, None)? else {
                continue;
            };
            self.compare(
                &format!("T1: hub CPU us of {profile} / {cpu_us_max}"),
                result.hub.cpu_us_per_payment / cpu_us_max,
            );
            hot = hot.or(Some(result.payments_per_s));
        }
        if let Some(payments) = hot.filter(|_| self.bench.wants("e2e::payments/profile=hot-keys,loop=closed")) {
            let transfers = self.bench.value(tigerbeetle::TRANSFERS);
            let name = match transfers {
                Some(_) => "T1: payments/s of hot-keys / TigerBeetle's transfers/s",
                None => "T1: payments/s of hot-keys / 380 000, since TigerBeetle was not run",
            };
            self.compare(name, payments / transfers.unwrap_or(TRANSFERS_PER_S));
        }
        for profile in OTHERS {
            self.profile(profile, None)?;
        }
        Ok(hot)
    }

    /// T4: at a part of what the hub can do, from the intended send to the checked receipt.
    fn latency(&mut self, hot: Option<f64>) -> Result<(), SuiteError> {
        let Some(capacity) = hot else { return Ok(()) };
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "a rate is small and positive"
        )]
        let rate = (capacity * LOADED) as u64;
        let Some(result) = self.profile("hot-keys", Some(rate))? else {
            return Ok(());
        };
        let latency = result.latency_us;
        for ((name, max), value) in LATENCY_US_MAX.into_iter().zip([latency.p50, latency.p99, latency.p999]) {
            self.compare(&format!("T4: {name} us at 80 % of capacity / {max}"), value / max);
        }
        Ok(())
    }

    /// T5, and T4's lone payment.
    fn lone(&mut self) -> Result<(), SuiteError> {
        let single = self.profile("single", None)?;
        if let Some(single) = &single {
            self.compare(
                &format!("T4: p50 us of a lone payment / {LONE_US_MAX}"),
                single.latency_us.p50 / LONE_US_MAX,
            );
        }
        let many = self.profile("lone-32", None)?;
        if let (Some(single), Some(many)) = (single, many) {
            let wanted = (LONE_TIMES * single.payments_per_s).min(LONE_PER_S);
            self.compare(
                "T5: payments/s of 32 lone clients / wanted",
                many.payments_per_s / wanted,
            );
        }
        Ok(())
    }

    /// T8, beside `uniform`, which has as many keys.
    fn ten_million(&mut self) -> Result<(), SuiteError> {
        let Some(result) = self.profile("ten-million", None)? else {
            return Ok(());
        };
        let bytes = result.hub.rss_bytes_max as f64;
        self.compare(
            "T8: resident bytes of ten million channels / 4 GiB",
            bytes / RESIDENT_MAX,
        );
        if let Some(uniform) = self.bench.value("e2e::cpu/profile=uniform,loop=closed") {
            let times = result.hub.cpu_us_per_payment / uniform;
            self.compare(
                "T8: hub CPU us of ten-million / 1.5 of uniform",
                times / TEN_MILLION_TIMES,
            );
        }
        Ok(())
    }

    fn compare(&mut self, name: &str, ratio: f64) {
        self.bench.compare(name, ratio);
    }
}

fn rows(result: &RunResult, keys: &str) -> Vec<Row> {
    let row = |name: &str, unit: &str, value: f64| {
        Row::counted(OWN, &format!("e2e::{name}/{keys}"), unit, value, result.delivered)
    };
    vec![
        row("payments", "/s", result.payments_per_s),
        row("cpu", "us", result.hub.cpu_us_per_payment),
        row("verify", "us", result.limit.verify_us_per_signature),
        row("acks", "us", result.acks.hub_cpu_us_per_payment),
        row("latency_p50", "us", result.latency_us.p50),
        row("latency_p99", "us", result.latency_us.p99),
        row("latency_p999", "us", result.latency_us.p999),
        row("log", "B", result.hub.log_bytes_per_payment),
        row("resident", "MB", result.hub.rss_bytes_max as f64 / 1e6),
    ]
}
