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

use tidegate_batch::{Executed, Input};
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::pipeline::checkpoints::{Checkpoints, Written, checkpoints};
use tidegate_hub::state::{self, HubEngine, HubState, StateError, append_record};
use tidegate_types::{Digest, UnixMillis};
use tidegate_wal::{Log, LogError, Segments, record_bytes};

use super::payers::{self, Payers};
use crate::{
    device::{Device, cpu_seconds, resident_own},
    suites::SuiteError,
};

/// How much is driven.
#[derive(Clone, Copy, Debug)]
pub(in crate::suites) struct Plan {
    pub(in crate::suites) payments: usize,
    pub(in crate::suites) channels: u32,
    /// Payments of one batch.
    pub(in crate::suites) batch: usize,
    pub(in crate::suites) segment_bytes: u64,
    /// Log that starts a checkpoint; none without.
    pub(in crate::suites) checkpoint_bytes: Option<u64>,
}

/// What driving came to.
#[derive(Debug, Default)]
pub(in crate::suites) struct Driven {
    /// Payments that are durable.
    pub(in crate::suites) payments: usize,
    /// Microseconds from the start of execution until a batch was durable: batches with no checkpoint beside them.
    pub(in crate::suites) commits_alone: Vec<f64>,
    /// The same, of batches that a checkpoint was beside.
    pub(in crate::suites) commits_beside: Vec<f64>,
    /// Checkpoints that were finished.
    pub(in crate::suites) checkpoints: Written,
    /// Seconds of all commits together.
    pub(in crate::suites) busy_s: f64,
    /// Seconds of processor time meanwhile, that of the checkpoints beside them too.
    pub(in crate::suites) busy_cpu_s: f64,
    /// Bytes of log records, padding included.
    pub(in crate::suites) log_bytes: u64,
    /// Bytes of zeros written ahead of them.
    pub(in crate::suites) zero_bytes: u64,
    /// Bytes that reached the device, all processes' together; none where that is not counted.
    pub(in crate::suites) device_bytes: Option<u64>,
    /// Own memory of this process without that of the payers.
    pub(in crate::suites) resident_bytes: u64,
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
    let HubState {
        engine,
        log,
        checkpointer,
        ..
    } = state;
    let (checkpoints, thread) = checkpoints(checkpointer, 0, plan.checkpoint_bytes.unwrap_or(u64::MAX));
    let mut driven = thread::scope(|scope| {
        let preparer = scope.spawn(|| prepare(&segments, &done));
        // What failed for good comes back with the checkpoint.
        let writer = scope.spawn(|| thread.run(|| {}, || {}));
        let driver = Driver {
            engine,
            log,
            checkpoints,
            driven: Driven::default(),
        };
        let driven = driver.run(plan, payers);
        done.store(true, Ordering::Release);
        writer.join().expect("checkpointing does not panic");
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

struct Driver {
    engine: HubEngine,
    log: Log,
    checkpoints: Checkpoints,
    driven: Driven,
}

impl Driver {
    fn run(mut self, plan: &Plan, payers: &mut Payers) -> Result<Driven, SuiteError> {
        let (mut inputs, mut record, mut executed) = (Vec::new(), Vec::new(), Executed::default());
        let mut time = self.engine.opened().time.get();
        while self.driven.payments < plan.payments {
            let wanted = plan.batch.min(plan.payments - self.driven.payments);
            let count = payers.inputs(wanted, &mut inputs);
            time += 1;
            self.commit(UnixMillis::new(time), &inputs, &mut record, &mut executed)?;
            payers.take(&executed)?;
            self.driven.payments += count;
        }
        self.driven.checkpoints = self.checkpoints.written();
        self.driven.resident_bytes = resident_own()?.saturating_sub(payers.bytes() as u64);
        Ok(self.driven)
    }

    /// One batch, as sequencer and log of the hub do it one after the other; a checkpoint is begun before it if one is due.
    fn commit(
        &mut self,
        time: UnixMillis,
        inputs: &[Input],
        record: &mut Vec<u8>,
        executed: &mut Executed,
    ) -> Result<(), SuiteError> {
        let (begin, begin_cpu) = (Instant::now(), cpu_seconds());
        self.checkpoints.tick(&mut self.engine, self.log.synced_lsn())?;
        self.engine.execute(time, inputs, executed)?;
        record.clear();
        append_record(&self.engine, executed, inputs, record);
        self.log.append_sync(&[record])?;
        let took = begin.elapsed();
        self.driven.busy_s += took.as_secs_f64();
        self.driven.busy_cpu_s += cpu_seconds() - begin_cpu;
        let commits = if self.checkpoints.is_writing() {
            &mut self.driven.commits_beside
        } else {
            &mut self.driven.commits_alone
        };
        commits.push(took.as_secs_f64() * 1e6);
        self.checkpoints.note_log(record_bytes(record.len()));
        Ok(())
    }
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
