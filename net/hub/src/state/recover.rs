//! Opening a state: the checkpoint, then the log behind it.

use std::path::Path;
use std::sync::Arc;

use tidegate_batch::{ChannelView, Engine, Executed};
use tidegate_channel::BatchHeader;
use tidegate_disk::Disk;
use tidegate_table::{CheckpointStore, Lsn};
use tidegate_wal::{Log, LogReader, Tail};

use super::{HubEngine, HubState, Meta, StateError, record, slots, state_dir, wal_dir};

/// Records between two calls of a progress callback.
const PROGRESS_RECORDS: u64 = 256;

pub(super) fn open(disk: &Arc<dyn Disk>, data: &Path, progress: &mut dyn FnMut(u64)) -> Result<HubState, StateError> {
    let Checkpoint {
        mut engine,
        checkpoints,
        meta,
        lsn,
    } = load(disk, data)?;
    let first = Lsn::new(lsn.get() + 1);
    let mut replay = Log::open(Arc::clone(disk), &wal_dir(data), meta.log_config(), first)?;
    let mut replayer = Replayer::default();
    progress(0);
    while let Some(found) = replay.next_record()? {
        replayer.take(&mut engine, found.lsn, found.payload)?;
        if replayer.batches.is_multiple_of(PROGRESS_RECORDS) {
            progress(replayer.batches);
        }
    }
    let (log, _tail) = replay.finish()?;
    Ok(HubState {
        engine,
        log,
        checkpoints,
        meta,
        replayed: replayer.batches,
        replayed_bytes: replayer.bytes,
    })
}

struct Checkpoint {
    engine: HubEngine,
    checkpoints: CheckpointStore,
    meta: Meta,
    lsn: Lsn,
}

fn load(disk: &Arc<dyn Disk>, data: &Path) -> Result<Checkpoint, StateError> {
    let (checkpoints, regions, loaded) = CheckpointStore::open(Arc::clone(disk), &state_dir(data), &slots::specs())?;
    let loaded = loaded.ok_or(StateError::Unfinished)?;
    let meta = Meta::decode(&loaded.meta)?;
    let engine = Engine::open(slots::store(regions))?;
    Ok(Checkpoint {
        engine,
        checkpoints,
        meta,
        lsn: loaded.lsn,
    })
}

/// Executes recorded batches again.
#[derive(Default)]
struct Replayer {
    executed: Executed,
    batches: u64,
    bytes: u64,
    headers: Vec<BatchHeader>,
    keep_headers: bool,
}

impl Replayer {
    fn note(&mut self, lsn: Lsn, payload: &[u8]) -> Result<(), StateError> {
        self.headers.push(decode(lsn, payload)?.header);
        Ok(())
    }

    fn take(&mut self, engine: &mut HubEngine, lsn: Lsn, payload: &[u8]) -> Result<(), StateError> {
        let found = decode(lsn, payload)?;
        engine.execute(found.header.time, &found.inputs, &mut self.executed)?;
        if self.executed.header != found.header {
            return Err(StateError::Diverged {
                lsn: lsn.get(),
                batch: found.header.number,
            });
        }
        self.batches += 1;
        self.bytes += payload.len() as u64;
        if self.keep_headers {
            self.headers.push(found.header);
        }
        Ok(())
    }
}

fn decode(lsn: Lsn, payload: &[u8]) -> Result<record::Record, StateError> {
    record::decode(payload).map_err(|error| StateError::BadRecord { lsn: lsn.get(), error })
}

/// A state that was read and replayed without being changed.
#[derive(Debug)]
pub struct Inspected {
    /// The engine after the last whole record.
    pub engine: HubEngine,
    /// The last whole record.
    pub lsn: Lsn,
    /// How many batches the log held behind the checkpoint.
    pub replayed: u64,
    /// The headers of all batches that the log still holds, those covered by the checkpoint too.
    pub headers: Vec<BatchHeader>,
    /// What follows the last whole record.
    pub tail: Tail,
}

impl Inspected {
    /// Every channel that there ever was, by number.
    pub fn channels(&self) -> impl Iterator<Item = ChannelView> {
        (0..self.engine.opened().channels).filter_map(|slot| self.engine.view(slot))
    }
}

/// Reads the state in a data directory without changing a file. Works on a copy, whose lock nobody holds.
///
/// # Errors
/// [`StateError`].
pub fn inspect(disk: &Arc<dyn Disk>, data: &Path, progress: &mut dyn FnMut(u64)) -> Result<Inspected, StateError> {
    let Checkpoint {
        mut engine, meta, lsn, ..
    } = load(disk, data)?;
    let first = Lsn::new(lsn.get() + 1);
    let mut reader = LogReader::open(&**disk, &wal_dir(data), meta.log_identity, first)?;
    let mut replayer = Replayer {
        keep_headers: true,
        ..Replayer::default()
    };
    let mut newest = lsn;
    while let Some(found) = reader.next_record()? {
        if found.lsn < first {
            // Covered by the checkpoint, and not recycled yet: its header is still worth telling.
            replayer.note(found.lsn, found.payload)?;
            continue;
        }
        replayer.take(&mut engine, found.lsn, found.payload)?;
        newest = found.lsn;
        if replayer.batches.is_multiple_of(PROGRESS_RECORDS) {
            progress(replayer.batches);
        }
    }
    let tail = reader.tail()?;
    Ok(Inspected {
        engine,
        lsn: newest,
        replayed: replayer.batches,
        headers: replayer.headers,
        tail,
    })
}
