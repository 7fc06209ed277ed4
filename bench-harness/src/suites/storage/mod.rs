//! The project's own storage beside general stores, all at the same work: durable batches, reads, a kill, opening again.
//!
//! Every store works in a process of its own, so that its memory and writes are counted apart, and is killed there. What
//! it holds when it is opened again must be what was committed, record by record; otherwise it has no rows.

mod own;
mod parent;
mod store;
mod workload;

use std::path::Path;

pub use own::Own;
pub use parent::{Outcome, Program, REOPEN, StoreFault, WORK, child, measure, measure_here, run_peer};
pub use store::{Reader, Reopened, Store, StoreError, Task, WorkError, Worked};
pub use workload::{BATCH, Content, Key, Model, Operation, Value, Workload};

use super::{Suite, SuiteError};
use crate::{
    measure::{Bench, OWN},
    peers,
    report::Row,
    stats::Summary,
};

/// Log, table and checkpoints beside general stores.
#[derive(Debug)]
pub struct Storage;

/// Records of a full run.
const RECORDS: [usize; 2] = [1_000_000, 5_000_000];
/// The programs of the peers, each with the stores that it knows.
const PEERS: [(&str, &[&str]); 2] = [
    ("peer-stores", &["fjall", "lmdb", "redb", "sqlite"]),
    // On its own, because it needs a library of the system.
    ("peer-rocksdb", &["rocksdb"]),
];

impl Suite for Storage {
    fn name(&self) -> &'static str {
        "storage"
    }

    fn about(&self) -> &'static str {
        "durable batches of 4 096 operations, reads, disk, memory, opening after a kill: own, and general stores"
    }

    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
        let wanted = bench.size("records", 0, 5_000);
        let all = if wanted == 0 { RECORDS.to_vec() } else { vec![wanted] };
        for records in all {
            beside_stores(bench, records, folder)?;
        }
        Ok(())
    }
}

/// The project's own store, then each peer, at so many records.
pub(super) fn beside_stores(bench: &mut Bench, records: usize, folder: &Path) -> Result<(), SuiteError> {
    if !bench.wants("storage::") {
        return Ok(());
    }
    let task = task(bench, records as u64, &folder.join(format!("own-{records}")))?;
    let outcome = match bench.program() {
        Some(path) => measure(
            &Program {
                path: path.to_owned(),
                arguments: Vec::new(),
            },
            &task,
        ),
        None => measure_here::<Own>(&task),
    }?;
    std::fs::remove_dir_all(&task.folder)?;
    rows(OWN, &task, &outcome).into_iter().for_each(|row| bench.adopt(row));
    for (program, stores) in PEERS {
        for store in stores {
            if bench.wants_store(store) {
                peer(bench, program, store, records as u64, folder)?;
            }
        }
    }
    own_ratios(bench, records);
    Ok(())
}

fn task(bench: &Bench, records: u64, folder: &Path) -> Result<Task, SuiteError> {
    std::fs::create_dir(folder)?;
    Ok(Task {
        records,
        batches: bench.size("batches", 1_024, 4) as u64,
        seconds_max: 20,
        reads: bench.scale().pick(1_000_000, 1_000) as u64,
        seed: 0x5eed,
        folder: folder.to_owned(),
    })
}

fn peer(bench: &mut Bench, program: &str, store: &str, records: u64, folder: &Path) -> Result<(), SuiteError> {
    let folder = folder.join(format!("{store}-{records}"));
    let task = task(bench, records, &folder)?;
    let text = serde_json::to_string(&task).expect("a task has a JSON form");
    peers::run_as(bench, &format!("{store}, {records} records"), program, &[store, &text]);
    std::fs::remove_dir_all(&folder)?;
    let op = |system: &str| row_name("op", "what=mixed", system, records);
    let (own, theirs) = (op(OWN), op(store));
    bench.ratio_to_peer(&format!("{store} op / own, {records} records"), &theirs, &own);
    Ok(())
}

fn row_name(operation: &str, keys: &str, system: &str, records: u64) -> String {
    format!("storage::{operation}/store={system},{keys},records={records}")
}

/// The rows of one store.
#[must_use]
pub fn rows(system: &str, task: &Task, outcome: &Outcome) -> Vec<Row> {
    let Outcome { worked, reopened } = outcome;
    let mut rows = Vec::new();
    let mut add = |operation: &str, keys: &str, unit: &str, value: f64, n: u64, spread: f64| {
        let name = row_name(operation, keys, system, task.records);
        rows.push(Row {
            spread,
            ..Row::counted(system, &name, unit, value, n)
        });
    };
    let mut batches = worked.batches_us.clone();
    let (count, sum) = (batches.len() as u64, batches.iter().sum::<f64>());
    let spread = Summary::of(&batches).spread;
    batches.sort_by(f64::total_cmp);
    let operations = count as f64 * BATCH as f64;
    add("op", "what=mixed", "ns", sum * 1e3 / operations, count, spread);
    for percent in [50, 99] {
        let at = (batches.len() * percent).div_ceil(100).max(1) - 1;
        add("batch", &format!("quantile={percent}"), "us", batches[at], count, 0.0);
    }
    for (threads, us) in [1, 2].into_iter().zip(worked.reads_us) {
        add("read", &format!("threads={threads}"), "ns", us * 1e3, task.reads, 0.0);
    }
    let per_logical = |bytes: u64| bytes as f64 / worked.logical_bytes as f64;
    if let Some(bytes) = worked.device_bytes {
        add("disk", "counted=device", "B", per_logical(bytes), count, 0.0);
    }
    add("resident", "what=all", "MB", worked.resident_bytes as f64 / 1e6, 1, 0.0);
    add(
        "resident",
        "what=own",
        "MB",
        worked.resident_own_bytes as f64 / 1e6,
        1,
        0.0,
    );
    add("reopen", "after=kill", "ms", reopened.open_ms, 1, 0.0);
    rows
}

/// Ratios between the store's own rows, and the one that a target is about.
fn own_ratios(bench: &mut Bench, records: usize) {
    let name = |operation: &str, keys: &str| row_name(operation, keys, OWN, records as u64);
    bench.ratio(
        &format!("own batch p99 / p50, {records} records"),
        &name("batch", "quantile=99"),
        &name("batch", "quantile=50"),
    );
    let own = bench.value(&name("op", "what=mixed"));
    let peers = PEERS.iter().flat_map(|(_, stores)| stores.iter());
    let fastest = peers
        .filter_map(|store| bench.value(&row_name("op", "what=mixed", store, records as u64)))
        .min_by(f64::total_cmp);
    if let (Some(own), Some(fastest)) = (own, fastest) {
        bench.compare(&format!("fastest peer op / own, {records} records"), fastest / own);
    }
}
