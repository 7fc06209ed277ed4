//! What ten thousand connections cost a hub beside a hundred that carry the same channels and payments, in turns: T9.
//!
//! ```text
//! many-connections over 100 ─▶ over 10 000 ─▶ over 100 ─▶ …     each a hub of its own, 20 000 payments/s by schedule
//! ```

use std::path::Path;

use tidegate_loadgen::result::RunResult;

use super::SuiteError;
use super::hub::{self, Load};
use crate::measure::{Bench, OWN};
use crate::report::Row;

const PROFILE: &str = "many-connections";
const FEW: u32 = 100;
const MANY: u32 = 10_000;
const SECONDS: usize = 10;
/// How often both are measured.
const ROUNDS: usize = 3;
/// The p99 of many may be so many times that of few.
const TIMES_MAX: f64 = 2.0;
/// What a connection may hold of the hub's memory.
const BYTES_MAX: f64 = (16 << 10) as f64;

/// Both, `--rounds` times, `--seconds` each.
pub(super) fn run(bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
    if !bench.wants("connections::") {
        return Ok(());
    }
    let rounds = bench.size("rounds", ROUNDS, 1);
    let [mut few, mut many] = [const { Vec::new() }; 2];
    for _ in 0..rounds {
        few.extend(measure(bench, FEW, folder)?);
        many.extend(measure(bench, MANY, folder)?);
    }
    for (connections, results) in [(FEW, &few), (MANY, &many)] {
        rows(connections, results).into_iter().for_each(|row| bench.adopt(row));
    }
    if let (Some(few_us), Some(many_us)) = (median(&few, p99_us), median(&many, p99_us)) {
        let times = many_us / few_us;
        bench.compare("T9: p99 us of 10 000 connections / 2 of 100", times / TIMES_MAX);
    }
    if let (Some(few_bytes), Some(many_bytes)) = (median(&few, resident), median(&many, resident)) {
        let each = (many_bytes - few_bytes) / f64::from(MANY - FEW);
        bench.adopt(Row::counted(OWN, "connections::resident/per=connection", "B", each, 1));
        bench.compare(
            "T9: resident bytes of a connection under load / 16 KiB",
            each / BYTES_MAX,
        );
    }
    Ok(())
}

fn measure(bench: &mut Bench, connections: u32, folder: &Path) -> Result<Option<RunResult>, SuiteError> {
    let load = Load {
        profile: PROFILE,
        rate: None,
        seconds: Some(bench.size("seconds", SECONDS, SECONDS)),
        connections: Some(connections),
    };
    hub::run(bench, &keys(connections), &load, folder)
}

fn keys(connections: u32) -> String {
    format!("profile={PROFILE},connections={connections}")
}

const fn p99_us(result: &RunResult) -> f64 {
    result.latency_us.p99
}

#[expect(clippy::cast_precision_loss, reason = "memory is far below 2⁵³ bytes")]
const fn resident(result: &RunResult) -> f64 {
    result.hub.rss_bytes_max as f64
}

/// The middle one of all runs; `None` if there is none.
fn median(results: &[RunResult], figure: impl Fn(&RunResult) -> f64) -> Option<f64> {
    let mut figures: Vec<f64> = results.iter().map(figure).collect();
    figures.sort_unstable_by(f64::total_cmp);
    figures.get(figures.len() / 2).copied()
}

/// Its name, its unit, and where it stands in a result.
type Figure = (&'static str, &'static str, fn(&RunResult) -> f64);

fn rows(connections: u32, results: &[RunResult]) -> Vec<Row> {
    let figures: [Figure; 6] = [
        ("payments", "/s", |result| result.payments_per_s),
        ("cpu", "us", |result| result.hub.cpu_us_per_payment),
        ("latency_p50", "us", |result| result.latency_us.p50),
        ("latency_p99", "us", p99_us),
        ("latency_p999", "us", |result| result.latency_us.p999),
        ("resident", "MB", |result| resident(result) / 1e6),
    ];
    let count = results.iter().map(|result| result.delivered).sum();
    let row = |(name, unit, figure): Figure| {
        let name = format!("connections::{name}/{}", keys(connections));
        Some(Row::counted(OWN, &name, unit, median(results, figure)?, count))
    };
    figures.into_iter().filter_map(row).collect()
}
