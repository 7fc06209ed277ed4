//! A batch without signatures, encryption and sockets, durable: the engine, the log's form and the log in one process (T3), from
//! channels that a cache holds to those that none does; and the two forms of execution side by side.

mod phases;

use std::path::Path;

use super::recovery::{Driven, Plan, drive_new};
use super::{Suite, SuiteError};
use crate::{
    measure::{Bench, OWN, Scale},
    report::Row,
};

/// Execution and log, by the number of channels.
pub(super) struct Execute;

/// Payments of a batch.
const BATCH: usize = 4_096;
/// What the project wants, payments a second.
const WANTED_PER_S: f64 = 2_000_000.0;

impl Suite for Execute {
    fn name(&self) -> &'static str {
        "execute"
    }

    fn about(&self) -> &'static str {
        "payments through engine and log, without signatures, encryption and sockets, at 2 048, 29 067 and 1 000 000 channels"
    }

    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
        let tiny = bench.scale() == Scale::Tiny;
        let sizes: &[usize] = match (tiny, bench.size("channels", 0, 0)) {
            (_, one @ 1..) => &[one],
            (true, 0) => &[300],
            (false, 0) => &[2_048, 29_067, 1_000_000],
        };
        for &channels in sizes {
            let driven = alone(bench, channels, folder)?;
            rows(bench, channels, &driven);
        }
        phases::rows(bench)
    }
}

/// Drives a new hub of so many channels, without checkpoints.
pub(super) fn alone(bench: &Bench, channels: usize, folder: &Path) -> Result<Driven, SuiteError> {
    let tiny = bench.scale() == Scale::Tiny;
    let plan = Plan {
        payments: bench.size("payments", 2_000_000, 2_000),
        channels: u32::try_from(channels).expect("a number of channels"),
        batch: if tiny { 100 } else { BATCH },
        segment_bytes: if tiny { 1 << 20 } else { 64 << 20 },
        checkpoint_bytes: None,
    };
    let data = folder.join(format!("execute-{channels}"));
    let driven = drive_new(&data, &plan)?;
    std::fs::remove_dir_all(&data)?;
    Ok(driven)
}

/// The rows of one size; returns the payments a second.
pub(super) fn rows(bench: &mut Bench, channels: usize, driven: &Driven) -> f64 {
    let paid = driven.payments as f64;
    let mut row = |name: &str, unit: &str, value: f64| {
        let name = format!("execute::{name},channels={channels}");
        bench.adopt(Row::counted(OWN, &name, unit, value, driven.payments as u64));
    };
    let per_s = paid / driven.busy_s;
    row("payments/durable=yes", "/s", per_s);
    row("payment/time=elapsed", "us", driven.busy_s * 1e6 / paid);
    row("payment/time=cpu", "us", driven.busy_cpu_s * 1e6 / paid);
    bench.compare(
        &format!("T3: payments/s in process at {channels} channels / wanted"),
        per_s / WANTED_PER_S,
    );
    per_s
}
