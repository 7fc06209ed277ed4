//! What a channel costs in memory and a payment in time, from thousands of channels to ten million: the engine over the hub's
//! own tables, in one process, without signatures, sockets and disk.
//!
//! ```text
//! genesis ─▶ memory of channels that sleep ─▶ payments by batches, uniform, then Zipf ─▶ memory again
//! ```

use std::path::Path;

use tidegate_batch::Executed;
use tidegate_crypto::merkle::StateTree;
use tidegate_hub::state::{self, HubEngine, append_record};
use tidegate_types::{Digest, UnixMillis};

use super::recovery::payers::{self, Choice, Payers};
use super::{Suite, SuiteError};
use crate::{
    device::{cpu_seconds, resident_own},
    measure::{Bench, OWN, Scale},
    report::Row,
};

/// Memory and time by the number of channels.
pub(super) struct Channels;

/// Payments of a batch.
const BATCH: usize = 4_096;
const SEED: u64 = 1;

impl Suite for Channels {
    fn name(&self) -> &'static str {
        "scale"
    }

    fn about(&self) -> &'static str {
        "memory per channel and processor time per payment at 2 000 to 10 000 000 channels, uniform and Zipf"
    }

    fn run(&self, bench: &mut Bench, _folder: &Path) -> Result<(), SuiteError> {
        let tiny = bench.scale() == Scale::Tiny;
        let one = bench.size("channels", 0, 0);
        let sizes: &[usize] = match (tiny, one) {
            (_, 1..) => &[one],
            (true, 0) => &[300, 1_000],
            (false, 0) => &[2_000, 10_000, 1_000_000, 10_000_000],
        };
        let payments = bench.size("payments", 1_000_000, 2_000);
        let batch = if tiny { 100 } else { BATCH };
        for &channels in sizes {
            Run::new(bench, channels)?.all(payments, batch)?;
        }
        for (fewer, more) in sizes.iter().zip(&sizes[1..]) {
            for choice in ["uniform", "zipf"] {
                let [slow, fast] = [more, fewer].map(|n| format!("scale::execute/choice={choice},channels={n}"));
                if let (Some(slow), Some(fast)) = (bench.value(&slow), bench.value(&fast)) {
                    bench.compare(&format!("{choice}: {more} channels / {fewer}"), slow / fast);
                }
            }
        }
        Ok(())
    }
}

/// One number of channels.
struct Run<'a> {
    bench: &'a mut Bench,
    channels: usize,
    payers: Payers,
    engine: HubEngine,
    /// Kept, as the hub keeps it, so that its memory counts.
    _tree: StateTree,
    /// Own memory before there was an engine.
    resident_before: u64,
    time: u64,
}

/// Seconds of processor time of execution and of the log's records, and how many payments there were.
struct Driven {
    execute_s: f64,
    record_s: f64,
    paid: u64,
}

impl<'a> Run<'a> {
    fn new(bench: &'a mut Bench, channels: usize) -> Result<Self, SuiteError> {
        let count = u32::try_from(channels).expect("a number of channels");
        // First of all those who pay, so that their memory is none of the engine's.
        let payers = Payers::new(count, SEED);
        let resident_before = resident_own()?;
        let params = payers::params(1 << 20);
        let (block, time) = (Digest::from_bytes([1; 32]), UnixMillis::new(1));
        let engine = state::genesis(&params, block, time, payers::openings(count))?;
        let tree = engine.state_tree(|_, _| {});
        let mut run = Self {
            bench,
            channels,
            payers,
            engine,
            _tree: tree,
            resident_before,
            time: 1,
        };
        run.resident("asleep")?;
        Ok(run)
    }

    fn row(&mut self, name: &str, keys: &str, unit: &str, value: f64, n: u64) {
        let name = format!("scale::{name}/{keys},channels={}", self.channels);
        self.bench.adopt(Row::counted(OWN, &name, unit, value, n));
    }

    fn resident(&mut self, what: &str) -> Result<(), SuiteError> {
        let bytes = resident_own()?.saturating_sub(self.resident_before) as f64;
        let each = bytes / self.channels as f64;
        self.row("resident", &format!("what={what}"), "MB", bytes / 1e6, 1);
        self.row("resident", &format!("what={what},per=channel"), "B", each, 1);
        Ok(())
    }

    fn all(mut self, payments: usize, batch: usize) -> Result<(), SuiteError> {
        for (name, choice) in [("uniform", Choice::Uniform), ("zipf", Choice::Zipf)] {
            self.payers.choose(choice);
            let Driven {
                execute_s,
                record_s,
                paid,
            } = self.drive(payments, batch)?;
            let keys = format!("choice={name}");
            let per_payment = |seconds: f64| seconds * 1e6 / paid as f64;
            self.row("execute", &keys, "us", per_payment(execute_s), paid);
            self.row("record", &keys, "us", per_payment(record_s), paid);
            self.resident(&format!("after-{name}"))?;
            let (held, capacity) = self.engine.value();
            if held != capacity {
                return Err(SuiteError::NotConserved { held, capacity });
            }
        }
        Ok(())
    }

    fn drive(&mut self, payments: usize, batch: usize) -> Result<Driven, SuiteError> {
        let (mut inputs, mut record, mut executed) = (Vec::new(), Vec::new(), Executed::default());
        let [mut execute_s, mut record_s] = [0.0; 2];
        let mut paid = 0;
        while paid < payments {
            paid += self.payers.inputs(batch.min(payments - paid), &mut inputs);
            self.time += 1;
            let begin = cpu_seconds();
            self.engine
                .execute(UnixMillis::new(self.time), &inputs, &mut executed)?;
            let executed_at = cpu_seconds();
            record.clear();
            append_record(&self.engine, &executed, &inputs, &mut record);
            execute_s += executed_at - begin;
            record_s += cpu_seconds() - executed_at;
            self.payers.take(&executed)?;
        }
        Ok(Driven {
            execute_s,
            record_s,
            paid: paid as u64,
        })
    }
}
