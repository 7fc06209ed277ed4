//! TigerBeetle, by its own benchmark (`tigerbeetle benchmark`), which starts a server of one replica and loads it.
//!
//! Its transfers carry no signatures, are checked against two balances, and are answered in batches of 8 190. The program is not
//! part of this project and is never fetched: `--tigerbeetle PATH` or `TIDEGATE_TIGERBEETLE` names it. Its processor time is that
//! of the server and of its own load together, by the operating system's account of the processes that it was.

use std::path::Path;
use std::process::{Command, Stdio};

use super::super::SuiteError;
use crate::device::cpu_seconds_of_children;
use crate::measure::{Bench, Scale};
use crate::report::Row;

/// Whose rows.
const SYSTEM: &str = "TigerBeetle";
/// Transfers a second.
pub(in crate::suites) const TRANSFERS: &str = "tigerbeetle::transfers/signed=no,loop=closed";

pub(in crate::suites) fn run(bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
    let Some(program) = bench.tigerbeetle().map(Path::to_owned) else {
        bench.not_run(SYSTEM, "--tigerbeetle names no binary of it");
        return Ok(());
    };
    if bench.scale() == Scale::Tiny {
        bench.not_run(SYSTEM, "its benchmark is nothing tiny");
        return Ok(());
    }
    let transfers = bench.size("payments", 10_000_000, 0);
    let mut command = Command::new(&program);
    command
        .args(["benchmark", "--query-count=0", &format!("--transfer-count={transfers}")])
        .current_dir(folder)
        .stdin(Stdio::null())
        .stderr(Stdio::inherit());
    let before = cpu_seconds_of_children();
    let output = match command.output() {
        Ok(output) => output,
        Err(error) => {
            bench.not_run(SYSTEM, &format!("it does not start: {error}"));
            return Ok(());
        }
    };
    let rows = rows(&String::from_utf8_lossy(&output.stdout), transfers as u64);
    if rows.is_empty() || !output.status.success() {
        bench.not_run(SYSTEM, &format!("it told no rate ({})", output.status));
        return Ok(());
    }
    rows.into_iter().for_each(|row| bench.adopt(row));
    let cpu_us = (cpu_seconds_of_children() - before) * 1e6 / transfers as f64;
    let keys = TRANSFERS.split_once('/').expect("module::op/keys").1;
    let name = format!("tigerbeetle::cpu/{keys}");
    bench.adopt(Row::counted(SYSTEM, &name, "us", cpu_us, transfers as u64));
    Ok(())
}

/// What its benchmark prints: `load accepted = 345678 tx/s`, `batch latency p50 = 9 ms`.
fn rows(printed: &str, transfers: u64) -> Vec<Row> {
    let number = |start: &str, end: &str| -> Option<f64> {
        let line = printed.lines().find_map(|line| line.trim().strip_prefix(start))?;
        line.trim()
            .trim_start_matches('=')
            .trim()
            .strip_suffix(end)?
            .trim()
            .parse()
            .ok()
    };
    let keys = TRANSFERS.split_once('/').expect("module::op/keys").1;
    let mut rows = Vec::new();
    if let Some(rate) = number("load accepted", "tx/s") {
        rows.push(Row::counted(SYSTEM, TRANSFERS, "/s", rate, transfers));
    }
    for quantile in ["p50", "p99"] {
        if let Some(ms) = number(&format!("batch latency {quantile}"), "ms") {
            let name = format!("tigerbeetle::batch_{quantile}/{keys}");
            rows.push(Row::counted(SYSTEM, &name, "us", ms * 1e3, transfers));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_its_benchmark_prints_is_read() {
        let printed = "info(vsr): …\n1221 batches in 28.87 s\ntransfer batch size = 8190 txs\ntransfer batch delay = 0 us\n\
            load accepted = 346378 tx/s\nbatch latency p1 = 8 ms\nbatch latency p50 = 18 ms\nbatch latency p99 = 58 ms\n";
        let rows = rows(printed, 10_000_000);
        let values: Vec<(&str, f64)> = rows.iter().map(|row| (row.unit.as_str(), row.value)).collect();
        assert_eq!(values, [("/s", 346_378.0), ("us", 18_000.0), ("us", 58_000.0)]);
        assert_eq!(rows[0].name, TRANSFERS);
        assert!(super::rows("error: out of memory", 1).is_empty());
    }
}
