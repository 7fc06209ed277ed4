//! The durable state under load: what a payment costs the disk, what a checkpoint costs the payments beside it, and how
//! soon the state is there again.
//!
//! ```text
//! genesis ─▶ payments by batches: execute, log, sync; checkpoints by log length ─▶ "kill" ─▶ open: load, replay
//! ```

mod drive;
pub(crate) mod payers;

use std::path::Path;

use drive::Restarted;
pub(super) use drive::{Driven, Plan};
use payers::Payers;
pub use payers::Refused;
use tidegate_hub::pipeline::checkpoints::Written;
use tidegate_wal::PAGE_BYTES;

use super::{Suite, SuiteError};
use crate::{
    measure::{Bench, OWN},
    report::Row,
};

/// Log, checkpoints, restart.
#[derive(Debug)]
pub struct Recovery;

/// Payments of a batch.
const BATCH: usize = 4_096;
/// The hub's own default: log that starts a checkpoint.
const CHECKPOINT_BYTES: u64 = 1 << 30;
/// Payments of the run whose whole log is replayed.
const REPLAYED: usize = 2_000_000;
const SEED: u64 = 1;

impl Suite for Recovery {
    fn name(&self) -> &'static str {
        "recovery"
    }

    fn about(&self) -> &'static str {
        "payments over many channels through engine, log and checkpoints: disk per payment, restart, replay"
    }

    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
        let tiny = bench.scale() == crate::measure::Scale::Tiny;
        let plan = Plan {
            payments: bench.size("payments", 10_000_000, 4_000),
            channels: u32::try_from(bench.size("channels", 1_000_000, 500)).expect("a number of channels"),
            batch: if tiny { 200 } else { BATCH },
            segment_bytes: if tiny { 1 << 20 } else { 64 << 20 },
            checkpoint_bytes: Some(if tiny { 256 << 10 } else { CHECKPOINT_BYTES }),
        };
        let mut rows = Rows::new(bench, &plan);
        let data = folder.join("hub");
        rows.driven(&drive_new(&data, &plan)?);
        let warm = drive::restart(&data)?;
        drive::forget(&data)?;
        let cold = drive::restart(&data)?;
        rows.restarted(&warm, &cold);
        std::fs::remove_dir_all(&data)?;
        let plan = Plan {
            payments: plan.payments.min(REPLAYED),
            checkpoint_bytes: None,
            ..plan
        };
        let driven = drive_new(&data, &plan)?;
        let mut rows = Rows::new(rows.bench, &plan);
        rows.replayed(driven.payments, &drive::restart(&data)?);
        Ok(())
    }
}

/// A new hub in `data`, driven.
pub(super) fn drive_new(data: &Path, plan: &Plan) -> Result<Driven, SuiteError> {
    std::fs::create_dir(data)?;
    drive::create(data, plan)?;
    drive::drive(data, plan, &mut Payers::new(plan.channels, SEED))
}

/// Puts figures into rows.
struct Rows<'a> {
    bench: &'a mut Bench,
    size: String,
}

impl<'a> Rows<'a> {
    fn new(bench: &'a mut Bench, plan: &Plan) -> Self {
        Self {
            bench,
            size: format!("payments={},channels={}", plan.payments, plan.channels),
        }
    }

    fn add(&mut self, operation: &str, keys: &str, unit: &str, value: f64, n: usize) -> String {
        let comma = if keys.is_empty() { "" } else { "," };
        let name = format!("recovery::{operation}/{keys}{comma}{}", self.size);
        self.bench.adopt(Row::counted(OWN, &name, unit, value, n as u64));
        name
    }

    fn driven(&mut self, driven: &Driven) {
        let payments = driven.payments as f64;
        let per_payment = |bytes: u64| bytes as f64 / payments;
        for (time, seconds) in [("elapsed", driven.busy_s), ("cpu", driven.busy_cpu_s)] {
            let us = seconds * 1e6 / payments;
            self.add("payment", &format!("time={time}"), "us", us, driven.payments);
        }
        for (beside, values) in [("none", &driven.commits_alone), ("checkpoint", &driven.commits_beside)] {
            for percent in [50, 99] {
                if let Some(value) = quantile(values, percent) {
                    let keys = format!("beside={beside},quantile={percent}");
                    self.add("commit", &keys, "us", value, values.len());
                }
            }
        }
        let [alone, beside] = [&driven.commits_alone, &driven.commits_beside].map(|values| quantile(values, 99));
        if let (Some(alone), Some(beside)) = (alone, beside) {
            self.bench
                .compare("p99 of a commit beside a checkpoint / without", beside / alone);
        }
        if let Some(bytes) = driven.device_bytes {
            self.add("disk", "counted=device", "B", per_payment(bytes), 1);
        }
        self.add("disk", "counted=log", "B", per_payment(driven.log_bytes), 1);
        self.add("disk", "counted=zeros", "B", per_payment(driven.zero_bytes), 1);
        let Written {
            checkpoints,
            pages,
            took,
        } = driven.checkpoints;
        if checkpoints > 0 {
            let n = usize::try_from(checkpoints).expect("few");
            self.add(
                "disk",
                "counted=checkpoints",
                "B",
                per_payment(pages * PAGE_BYTES as u64),
                n,
            );
            let ms = took.as_secs_f64() * 1e3 / checkpoints as f64;
            self.add("checkpoint", "mean=duration", "ms", ms, n);
        }
        let mb = driven.resident_bytes as f64 / 1e6;
        self.add("resident", "what=own", "MB", mb, 1);
    }

    fn restarted(&mut self, warm: &Restarted, cold: &Restarted) {
        for (cache, found) in [("warm", warm), ("cold", cold)] {
            self.add(
                "restart",
                &format!("part=load,cache={cache}"),
                "ms",
                found.load_s * 1e3,
                1,
            );
            let replay = (found.total_s - found.load_s) * 1e3;
            self.add("restart", &format!("part=replay,cache={cache}"), "ms", replay, 1);
            self.add(
                "restart",
                &format!("part=all,cache={cache}"),
                "ms",
                found.total_s * 1e3,
                1,
            );
        }
        self.add("restart", "part=log", "MB", warm.log_bytes as f64 / 1e6, 1);
    }

    fn replayed(&mut self, payments: usize, found: &Restarted) {
        let elapsed = found.total_s - found.load_s;
        for (time, seconds) in [("elapsed", elapsed), ("cpu", found.replay_cpu_s)] {
            let us = seconds * 1e6 / payments as f64;
            self.add("replay", &format!("time={time}"), "us", us, payments);
        }
        self.add("replay", "counted=payments", "/s", payments as f64 / elapsed, payments);
    }
}

/// The value that so many percent of `values` do not exceed.
fn quantile(values: &[f64], percent: usize) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied()
}
