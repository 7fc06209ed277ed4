//! What a store must be able to do to be measured, and the measuring itself, inside the process that is measured.
//!
//! ```text
//! work     open an empty folder ─▶ load ─▶ durable batches ─▶ reads on 1 and 2 threads ─▶ tell ─▶ wait to be killed
//! reopen   open what the killed process left ─▶ first read ─▶ content ─▶ tell
//! ```

use std::{
    error::Error,
    hint::black_box,
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use serde::{Deserialize, Serialize};

use super::workload::{self, Content, Key, Operation, Value, Workload};
use crate::device::{Device, resident, resident_own};

/// Whatever a store says when it fails.
pub type StoreError = Box<dyn Error + Send + Sync>;

/// Reads for one thread: says whether the key is there, and has touched its value.
pub type Reader<'a> = Box<dyn FnMut(&Key) -> Result<bool, StoreError> + 'a>;

/// A store of 32-byte keys and 128-byte values, at its best settings that lose no acknowledged batch to a power loss.
pub trait Store: Sized + Sync {
    /// Opens the store in `folder`, or makes it when the folder is empty. `records` is how many it will hold.
    ///
    /// # Errors
    /// Whatever the store says.
    fn open(folder: &Path, records: u64) -> Result<Self, StoreError>;

    /// Takes operations of the load. They need not be durable before [`Store::loaded`].
    ///
    /// # Errors
    /// Whatever the store says.
    fn load(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.commit(operations)
    }

    /// The load is over: makes it durable.
    ///
    /// # Errors
    /// Whatever the store says.
    fn loaded(&mut self) -> Result<(), StoreError>;

    /// Takes a batch, all or nothing, and returns when it is durable.
    ///
    /// # Errors
    /// Whatever the store says.
    fn commit(&mut self, operations: &[Operation]) -> Result<(), StoreError>;

    /// A way to read for one thread.
    ///
    /// # Errors
    /// Whatever the store says.
    fn reader(&self) -> Result<Reader<'_>, StoreError>;

    /// Tells all that is there, in any order.
    ///
    /// # Errors
    /// Whatever the store says, and a record that has another width.
    fn scan(&self, each: &mut dyn FnMut(&Key, &Value)) -> Result<(), StoreError>;
}

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Records that are loaded before anything is measured.
    pub records: u64,
    /// Batches at most.
    pub batches: u64,
    /// No batch is begun when they have taken so many seconds together.
    pub seconds_max: u64,
    /// Reads of each thread.
    pub reads: u64,
    /// Everything follows from it.
    pub seed: u64,
    /// Where: an empty folder.
    pub folder: PathBuf,
}

/// What working came to.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Worked {
    /// Seconds of the load.
    pub load_s: f64,
    /// Microseconds of each durable batch, in their order.
    pub batches_us: Vec<f64>,
    /// Bytes that were handed over in them.
    pub logical_bytes: u64,
    /// Bytes that reached the device meanwhile, all that was still waiting included; none where that is not counted.
    pub device_bytes: Option<u64>,
    /// Microseconds per read, on one thread and on each of two.
    pub reads_us: [f64; 2],
    /// Memory after it, in bytes: with mapped files, and without.
    pub resident_bytes: u64,
    /// Memory of its own.
    pub resident_own_bytes: u64,
}

/// What opening again came to.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Reopened {
    /// Milliseconds until a read was answered.
    pub open_ms: f64,
    /// All that was there.
    pub content: Content,
}

/// Why a store was not measured.
#[derive(Debug, thiserror::Error)]
pub enum WorkError {
    /// The store failed.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The kernel's counters cannot be read.
    #[error("counters: {0}")]
    Counters(#[from] std::io::Error),
    /// A record that was committed is not found.
    #[error("a record that was committed is not found")]
    Lost,
}

/// Operations of one step of the load.
const LOAD: usize = 1 << 16;
/// Readers of one and of two threads, by seed.
const READER_SEEDS: [u64; 2] = [11, 12];

/// Loads, commits and reads. The store is given back open, so that the process can be killed with it.
///
/// # Errors
/// [`WorkError`].
pub(super) fn work<S: Store>(task: &Task) -> Result<(S, Worked), WorkError> {
    let mut workload = Workload::new(task.seed);
    let mut store = S::open(&task.folder, task.records)?;
    let mut operations = Vec::with_capacity(LOAD);
    let begin = Instant::now();
    loop {
        operations.clear();
        workload.load(task.records, LOAD, &mut operations);
        if operations.is_empty() {
            break;
        }
        store.load(&operations)?;
    }
    store.loaded()?;
    let load_s = begin.elapsed().as_secs_f64();
    drop(operations);
    let device = Device::under(&task.folder).ok();
    let written = || device.as_ref().map(Device::written).transpose();
    let before = written()?;
    let (batches_us, logical_bytes) = commit_all(&mut store, task, &mut workload)?;
    let device_bytes = written()?.zip(before).map(|(after, before)| after - before);
    let reads_us = [
        read_all(&store, task, &workload, 1)?,
        read_all(&store, task, &workload, 2)?,
    ];
    let worked = Worked {
        load_s,
        batches_us,
        logical_bytes,
        device_bytes,
        reads_us,
        resident_bytes: resident()?,
        resident_own_bytes: resident_own()?,
    };
    Ok((store, worked))
}

fn commit_all<S: Store>(store: &mut S, task: &Task, workload: &mut Workload) -> Result<(Vec<f64>, u64), WorkError> {
    let (mut batches_us, mut logical_bytes) = (Vec::new(), 0);
    let mut operations = Vec::with_capacity(workload::BATCH);
    let mut spent = Duration::ZERO;
    while (batches_us.len() as u64) < task.batches && spent.as_secs() < task.seconds_max {
        operations.clear();
        workload.batch(&mut operations);
        logical_bytes += operations.iter().map(Operation::logical_bytes).sum::<u64>();
        let begin = Instant::now();
        store.commit(&operations)?;
        let took = begin.elapsed();
        batches_us.push(took.as_secs_f64() * 1e6);
        spent += took;
    }
    Ok((batches_us, logical_bytes))
}

/// Microseconds per read of each of `threads` threads, which read records at random that are all there.
fn read_all<S: Store>(store: &S, task: &Task, workload: &Workload, threads: usize) -> Result<f64, WorkError> {
    let read = |seed: u64| -> Result<f64, WorkError> {
        let mut reader = store.reader()?;
        let mut draws = workload.reader(seed);
        // A round first that is not measured: caches and maps are as they are after hours.
        for _ in 0..task.reads / 4 {
            black_box(reader(&workload::key(draws.random_id()))?);
        }
        let begin = Instant::now();
        for _ in 0..task.reads {
            if !reader(&workload::key(draws.random_id()))? {
                return Err(WorkError::Lost);
            }
        }
        Ok(begin.elapsed().as_secs_f64() * 1e6 / task.reads as f64)
    };
    let each = thread::scope(|scope| {
        let readers: Vec<_> = READER_SEEDS[..threads]
            .iter()
            .map(|seed| scope.spawn(move || read(*seed)))
            .collect();
        let join = |reader: thread::ScopedJoinHandle<'_, _>| reader.join().expect("readers do not panic");
        readers.into_iter().map(join).collect::<Result<Vec<f64>, _>>()
    })?;
    Ok(each.iter().sum::<f64>() / each.len() as f64)
}

/// Opens what was left, reads one record, and tells all that is there.
///
/// # Errors
/// [`WorkError`].
pub(super) fn reopen<S: Store>(task: &Task, batches: u64) -> Result<Reopened, WorkError> {
    // The newest record: it was written in the last batch.
    let newest = key_of_newest(task, batches);
    let begin = Instant::now();
    let store = S::open(&task.folder, task.records)?;
    if !store.reader()?(&newest)? {
        return Err(WorkError::Lost);
    }
    let open_ms = begin.elapsed().as_secs_f64() * 1e3;
    let mut content = Content::default();
    store.scan(&mut |key, value| content.add(key, value))?;
    Ok(Reopened { open_ms, content })
}

fn key_of_newest(task: &Task, batches: u64) -> Key {
    let inserted = task.records + batches * (workload::BATCH as u64 / 4);
    workload::key(inserted - 1)
}
