//! The hub's payments beside other systems' transfers.

use std::path::Path;

use tidegate_loadgen::result::RunResult;

use super::super::SuiteError;
use super::super::hub::{self, Load};
use crate::measure::{Bench, OWN};
use crate::report::Row;

/// Payments a second.
pub(super) const PAYMENTS: &str = "hub::payments/profile=hot-keys,loop=closed";

/// The profile that is as near as a hub comes to a ledger of transfers: few busy accounts.
const PROFILE: &str = "hot-keys";

pub(super) fn run(bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
    if !bench.wants("hub::") {
        return Ok(());
    }
    let load = Load {
        profile: PROFILE,
        rate: None,
        seconds: None,
        connections: None,
    };
    if let Some(result) = hub::run(bench, "tidegate", &load, folder)? {
        rows(&result).into_iter().for_each(|row| bench.adopt(row));
    }
    Ok(())
}

fn rows(result: &RunResult) -> Vec<Row> {
    let keys = PAYMENTS.split_once('/').expect("module::op/keys").1;
    let row = |name: &str, unit: &str, value: f64| {
        Row::counted(OWN, &format!("hub::{name}/{keys}"), unit, value, result.delivered)
    };
    vec![
        row("payments", "/s", result.payments_per_s),
        row("cpu", "us", result.hub.cpu_us_per_payment),
        row("latency_p50", "us", result.latency_us.p50),
        row("log", "B", result.hub.log_bytes_per_payment),
        row("resident", "MB", result.hub.rss_bytes_max as f64 / 1e6),
    ]
}
