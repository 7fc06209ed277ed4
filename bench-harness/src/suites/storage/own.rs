//! The project's own storage as a plain store: a log record per batch, a hash table in memory, checkpoints beside.
//!
//! ```text
//! commit:   encode ─▶ Log::append (one write) ─▶ Log::sync (one fdatasync) ─▶ into the table
//! keeper:   Segments::prepare ─ checkpoint: step ─ step ─ … ─ done ─▶ Segments::recycle       (a thread of its own)
//! open:     newest image ─▶ replay of the records behind it
//!
//! record    put: kind 1 u64 | key 32 | value 128        delete: kind 2 u64 | key 32
//! ```
//!
//! A checkpoint is due when it would write at most twice the bytes of the log behind the one before, so that all writing
//! together stays below three times what the caller hands over.

use std::{fs, path::Path, sync::Arc, thread, time::Duration};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, unbounded};
use tidegate_disk::{DirLock, Disk, RealDisk};
use tidegate_table::{CheckpointStore, HashTable, Lsn, Region, RegionSpec, Spent, Step};
use tidegate_wal::{Log, LogConfig, Segments};

use super::{
    store::{Reader, Store, StoreError},
    workload::{Key, Operation, Value},
};

type Table = HashTable<Key, Value>;

const PUT: u64 = 1;
const DELETE: u64 = 2;
const KEY_AT: usize = size_of::<u64>();
const VALUE_AT: usize = KEY_AT + size_of::<Key>();
const PUT_BYTES: usize = VALUE_AT + size_of::<Value>();
/// How many operations ahead of the one that is applied its place is fetched.
const AHEAD: usize = 12;
/// A checkpoint writes at most so many times the log behind the one before.
const WRITES_PER_LOG_BYTE: u64 = 2;
/// How often the keeper looks whether the log needs another segment.
const KEEP_EVERY: Duration = Duration::from_millis(2);

/// See the head of this file.
#[derive(Debug)]
pub struct Own {
    log: Log,
    table: Table,
    record: Vec<u8>,
    log_behind: u64,
    /// The checkpoints, unless the keeper is writing one.
    checkpoints: Option<CheckpointStore>,
    keeper: Keeper,
    _lock: DirLock,
}

/// The thread beside the commits.
#[derive(Debug)]
struct Keeper {
    jobs: Sender<Job>,
    results: Receiver<Result<CheckpointStore, StoreError>>,
}

enum Job {
    Write(Box<CheckpointStore>),
    Drop(Spent),
}

fn spec(records: u64) -> Result<RegionSpec, StoreError> {
    Ok(Table::spec("records", usize::try_from(records)?))
}

/// What the checkpoint notes: nothing, since the log's number is known here.
const META: &[u8] = &[];

fn log_config() -> LogConfig {
    LogConfig {
        ready_max: 16,
        ..LogConfig::new(0x5eed)
    }
}

impl Own {
    fn create(disk: &Arc<dyn Disk>, folder: &Path, records: u64) -> Result<(Log, Table, CheckpointStore), StoreError> {
        let (state, wal) = (folder.join("state"), folder.join("wal"));
        disk.create_dir_all(&state)?;
        disk.create_dir_all(&wal)?;
        let spec = spec(records)?;
        let log = Log::create(Arc::clone(disk), &wal, log_config(), Lsn::FIRST)?;
        let mut checkpoints = CheckpointStore::create(Arc::clone(disk), &state, &[spec])?;
        let mut table = Table::create(Region::new(spec)?, 0x7ab1e)?;
        checkpoints.write(&mut [table.region_mut()], Lsn::ZERO, META, &mut |_| {})?;
        Ok((log, table, checkpoints))
    }

    fn reopen(disk: &Arc<dyn Disk>, folder: &Path, records: u64) -> Result<(Log, Table, CheckpointStore), StoreError> {
        let (checkpoints, regions, loaded) =
            CheckpointStore::open(Arc::clone(disk), &folder.join("state"), &[spec(records)?])?;
        let loaded = loaded.ok_or("there is no checkpoint")?;
        let region = regions.into_iter().next().ok_or("one region was asked for")?;
        let mut table = Table::open(region)?;
        let mut replay = Log::open(Arc::clone(disk), &folder.join("wal"), log_config(), loaded.lsn.next())?;
        while let Some(record) = replay.next_record()? {
            apply(&mut table, &decode(record.payload)?)?;
        }
        let (log, _tail) = replay.finish()?;
        Ok((log, table, checkpoints))
    }

    /// Appends a batch to the log; durable after the next sync.
    fn append(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.record.clear();
        for operation in operations {
            match operation {
                Operation::Put(key, value) => {
                    self.record.extend_from_slice(&PUT.to_le_bytes());
                    self.record.extend_from_slice(key);
                    self.record.extend_from_slice(value);
                }
                Operation::Delete(key) => {
                    self.record.extend_from_slice(&DELETE.to_le_bytes());
                    self.record.extend_from_slice(key);
                }
            }
        }
        self.log.append(&[&self.record])?;
        self.log_behind += self.record.len() as u64;
        Ok(())
    }

    /// Takes back a checkpoint that is finished, and begins one that is due.
    fn checkpoint(&mut self) -> Result<(), StoreError> {
        if let Ok(result) = self.keeper.results.try_recv() {
            self.end(result?)?;
        }
        let Some(checkpoints) = &self.checkpoints else {
            return Ok(());
        };
        let bytes = checkpoints.bytes_to_write(&[self.table.region()]);
        if bytes > self.log_behind * WRITES_PER_LOG_BYTE {
            return Ok(());
        }
        let mut checkpoints = self.checkpoints.take().expect("it was just looked at");
        checkpoints.begin(&mut [self.table.region_mut()], self.log.synced_lsn(), META)?;
        self.log_behind = 0;
        Ok(self.keeper.jobs.send(Job::Write(Box::new(checkpoints)))?)
    }

    fn end(&mut self, mut checkpoints: CheckpointStore) -> Result<(), StoreError> {
        let spent = checkpoints.end(&mut [self.table.region_mut()]);
        self.checkpoints = Some(checkpoints);
        Ok(self.keeper.jobs.send(Job::Drop(spent))?)
    }
}

impl Store for Own {
    fn open(folder: &Path, records: u64) -> Result<Self, StoreError> {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let is_new = fs::read_dir(folder)?.next().is_none();
        let lock = disk.lock_dir(folder)?;
        let (log, table, checkpoints) = if is_new {
            Self::create(&disk, folder, records)?
        } else {
            Self::reopen(&disk, folder, records)?
        };
        Ok(Self {
            keeper: Keeper::start(log.segments()),
            log,
            table,
            record: Vec::new(),
            log_behind: 0,
            checkpoints: Some(checkpoints),
            _lock: lock,
        })
    }

    fn load(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.append(operations)?;
        apply(&mut self.table, operations)
    }

    fn loaded(&mut self) -> Result<(), StoreError> {
        let lsn = self.log.sync()?;
        let mut checkpoints = self.checkpoints.take().ok_or("none is written while loading")?;
        // Both images, so that the first batches pay for what they change and nothing else.
        for _ in 0..2 {
            checkpoints.write(&mut [self.table.region_mut()], lsn, META, &mut |_| {})?;
        }
        self.log.segments().recycle(lsn.next())?;
        self.checkpoints = Some(checkpoints);
        self.log_behind = 0;
        Ok(())
    }

    fn commit(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.append(operations)?;
        self.log.sync()?;
        apply(&mut self.table, operations)?;
        self.checkpoint()
    }

    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        Ok(Box::new(|key| {
            Ok(self.table.get(key).map(std::hint::black_box).is_some())
        }))
    }

    fn scan(&self, each: &mut dyn FnMut(&Key, &Value)) -> Result<(), StoreError> {
        self.table.iter().for_each(|(key, value)| each(key, value));
        Ok(())
    }
}

fn apply(table: &mut Table, operations: &[Operation]) -> Result<(), StoreError> {
    for (place, operation) in operations.iter().enumerate() {
        if let Some(Operation::Put(key, _) | Operation::Delete(key)) = operations.get(place + AHEAD) {
            table.prefetch(key);
        }
        match operation {
            Operation::Put(key, value) => {
                table.insert(*key, *value)?;
            }
            Operation::Delete(key) => {
                table.remove(key);
            }
        }
    }
    Ok(())
}

fn decode(mut record: &[u8]) -> Result<Vec<Operation>, StoreError> {
    let mut operations = Vec::new();
    while let Some((kind, _)) = record.split_first_chunk::<KEY_AT>() {
        let bytes = match u64::from_le_bytes(*kind) {
            PUT => PUT_BYTES,
            DELETE => VALUE_AT,
            kind => return Err(format!("operation of kind {kind}").into()),
        };
        let (operation, rest) = record.split_at_checked(bytes).ok_or("a record ends early")?;
        let key = operation[KEY_AT..VALUE_AT].try_into()?;
        operations.push(if bytes == PUT_BYTES {
            Operation::Put(key, operation[VALUE_AT..].try_into()?)
        } else {
            Operation::Delete(key)
        });
        record = rest;
    }
    Ok(operations)
}

impl Keeper {
    fn start(segments: Arc<Segments>) -> Self {
        let ((jobs, job_end), (result_end, results)) = (unbounded(), unbounded());
        thread::spawn(move || {
            // A failed preparation has poisoned the log, so the next commit says so.
            while segments.prepare().is_ok() {
                match job_end.recv_timeout(KEEP_EVERY) {
                    Ok(Job::Write(checkpoints)) => {
                        if result_end.send(write(*checkpoints, &segments)).is_err() {
                            return;
                        }
                    }
                    Ok(Job::Drop(spent)) => drop(spent),
                    Err(RecvTimeoutError::Timeout) => {}
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        });
        Self { jobs, results }
    }
}

/// All steps of a checkpoint that was begun, and then the log that the one before covers.
fn write(mut checkpoints: CheckpointStore, segments: &Segments) -> Result<CheckpointStore, StoreError> {
    let older = checkpoints.lsn();
    while !matches!(checkpoints.step(segments.synced_lsn())?, Step::Done(_)) {
        segments.prepare()?;
    }
    segments.recycle(older.next())?;
    Ok(checkpoints)
}
