//! A hub's state under load, without the hub: the engine, the log and the checkpoints in one process, and no socket.

use std::{
    io,
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use tidegate_batch::Executed;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::state::{self, HubState, StateError, append_record};
use tidegate_types::{Digest, UnixMillis};
use tidegate_wal::{LogError, PAGE_BYTES, Segments};

use super::payers::{self, Payers};
use crate::{
    device::{Device, cpu_seconds},
    suites::SuiteError,
};

/// How much is driven.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plan {
    pub(super) payments: usize,
    pub(super) channels: u32,
    /// Payments of one batch.
    pub(super) batch: usize,
    pub(super) segment_bytes: u64,
    /// Log that starts a checkpoint; none without.
    pub(super) checkpoint_bytes: Option<u64>,
}

/// What driving came to.
#[derive(Debug, Default)]
pub(super) struct Driven {
    /// Payments that are durable.
    pub(super) payments: usize,
    /// Microseconds from the start of execution until a batch was durable: batches with no checkpoint beside them.
    pub(super) commits_alone: Vec<f64>,
    /// The same, of batches that a checkpoint was beside, or before.
    pub(super) commits_beside: Vec<f64>,
    /// Seconds of each checkpoint.
    pub(super) checkpoints: Vec<f64>,
    /// Seconds of all commits and checkpoints together.
    pub(super) busy_s: f64,
    /// Seconds of processor time of the same.
    pub(super) busy_cpu_s: f64,
    /// Bytes of log records, padding included.
    pub(super) log_bytes: u64,
    /// Bytes of zeros written ahead of them.
    pub(super) zero_bytes: u64,
    /// Bytes that reached the device, all processes' together; none where that is not counted.
    pub(super) device_bytes: Option<u64>,
    /// Own memory of this process, the payers' too.
    pub(super) resident_bytes: u64,
}

/// Makes the state of a hub with `plan.channels` open channels in `data`, which exists and is empty.
pub(super) fn create(data: &Path, plan: &Plan) -> Result<(), StateError> {
    let params = payers::params(plan.segment_bytes);
    let (block, time) = (Digest::from_bytes([1; 32]), UnixMillis::new(1));
    state::create(&disk(), data, &params, block, time, payers::openings(plan.channels))
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// Opens the state in `data`, drives it, and leaves it as a kill would: without a last checkpoint.
pub(super) fn drive(data: &Path, plan: &Plan, payers: &mut Payers) -> Result<Driven, SuiteError> {
    let state = HubState::open(&disk(), data, &mut |_| {})?;
    let device = Device::under(data).ok();
    let written = |device: &Option<Device>| device.as_ref().map(Device::written).transpose();
    let before = written(&device)?;
    let segments = state.log.segments();
    let done = AtomicBool::new(false);
    let mut driven = thread::scope(|scope| {
        let preparer = scope.spawn(|| prepare(&segments, &done));
        let driven = run(state, plan, payers);
        done.store(true, Ordering::Release);
        preparer.join().expect("preparing does not panic")?;
        driven
    })?;
    driven.device_bytes = match (before, written(&device)?) {
        (Some(before), Some(after)) => Some(after - before),
        _ => None,
    };
    let counters = segments.counters();
    driven.log_bytes = counters.bytes;
    driven.zero_bytes = counters.prepared * plan.segment_bytes;
    Ok(driven)
}

/// As the hub does beside its batches: no append waits for zeros.
fn prepare(segments: &Segments, done: &AtomicBool) -> Result<(), LogError> {
    while !done.load(Ordering::Acquire) {
        segments.prepare()?;
        thread::sleep(Duration::from_millis(1));
    }
    Ok(())
}

fn run(mut state: HubState, plan: &Plan, payers: &mut Payers) -> Result<Driven, SuiteError> {
    let mut driven = Driven::default();
    let (mut inputs, mut record, mut executed) = (Vec::new(), Vec::new(), Executed::default());
    let mut log_behind = 0;
    let mut time = state.engine.opened().time.get();
    while driven.payments < plan.payments {
        let wanted = plan.batch.min(plan.payments - driven.payments);
        let count = payers.inputs(wanted, &mut inputs);
        time += 1;
        let (begin, begin_cpu) = (Instant::now(), cpu_seconds());
        let mut beside = false;
        if plan.checkpoint_bytes.is_some_and(|bytes| log_behind >= bytes) {
            let lsn = state.log.synced_lsn();
            state.checkpointer.write(&mut state.engine, lsn)?;
            driven.checkpoints.push(begin.elapsed().as_secs_f64());
            (log_behind, beside) = (0, true);
        }
        state.engine.execute(UnixMillis::new(time), &inputs, &mut executed)?;
        record.clear();
        append_record(&state.engine, &executed, &inputs, &mut record);
        state.log.append_sync(&[&record])?;
        let micros = begin.elapsed().as_secs_f64() * 1e6;
        let list = if beside {
            &mut driven.commits_beside
        } else {
            &mut driven.commits_alone
        };
        list.push(micros);
        driven.busy_s += micros / 1e6;
        driven.busy_cpu_s += cpu_seconds() - begin_cpu;
        log_behind += record.len().next_multiple_of(PAGE_BYTES) as u64;
        payers.take(&executed)?;
        driven.payments += count;
    }
    driven.resident_bytes = crate::device::resident_own()?;
    Ok(driven)
}

/// What opening a state came to.
#[derive(Debug)]
pub(super) struct Restarted {
    /// Seconds until the checkpoint was loaded.
    pub(super) load_s: f64,
    /// Seconds in all.
    pub(super) total_s: f64,
    /// Seconds of processor time of the replay.
    pub(super) replay_cpu_s: f64,
    /// Bytes of log that were replayed.
    pub(super) log_bytes: u64,
}

/// Opens the state in `data` and drops it again.
pub(super) fn restart(data: &Path) -> Result<Restarted, StateError> {
    let begin = Instant::now();
    let mut loaded = None;
    let state = HubState::open(&disk(), data, &mut |_| {
        loaded.get_or_insert_with(|| (begin.elapsed().as_secs_f64(), cpu_seconds()));
    })?;
    let total_s = begin.elapsed().as_secs_f64();
    let (load_s, load_cpu_s) = loaded.expect("it is told before the first record");
    Ok(Restarted {
        load_s,
        total_s,
        replay_cpu_s: cpu_seconds() - load_cpu_s,
        log_bytes: state.replayed_bytes,
    })
}

/// Makes the kernel forget what it holds of the files in `data`, as a machine that has just started.
pub(super) fn forget(data: &Path) -> io::Result<()> {
    for folder in [state::state_dir(data), state::wal_dir(data)] {
        for entry in folder.read_dir()? {
            let file = std::fs::File::open(entry?.path())?;
            file.sync_all()?;
            rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
        }
    }
    Ok(())
}
