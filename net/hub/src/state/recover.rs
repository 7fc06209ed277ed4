//! Opening a state: the checkpoint, then the log behind it.

use std::path::Path;
use std::sync::Arc;

use tidegate_batch::{ChannelView, Engine, Executed, Input};
use tidegate_channel::BatchHeader;
use tidegate_disk::Disk;
use tidegate_table::{CheckpointStore, Loaded, Lsn, Region, SlotInfo, SuperblockInfo, load, superblocks};
use tidegate_wal::{Log, LogReader, Tail, record_bytes};

use super::{Checkpointer, HubEngine, HubState, LogFacts, Meta, StateError, record, slots, state_dir, wal_dir};

/// Records between two calls of a progress callback.
const PROGRESS_RECORDS: u64 = 256;

pub(super) fn open(disk: &Arc<dyn Disk>, data: &Path, progress: &mut dyn FnMut(u64)) -> Result<HubState, StateError> {
    // Before anything of it is repaired or written again.
    if first_look(&**disk, data)?.is_some_and(|meta| meta.is_copy) {
        return Err(StateError::Copy);
    }
    let (checkpoints, regions, loaded) = CheckpointStore::open(Arc::clone(disk), &state_dir(data), &slots::specs())?;
    let (mut engine, meta, lsn) = engine_of(regions, loaded)?;
    // The first look tells only what it can read.
    if meta.is_copy {
        return Err(StateError::Copy);
    }
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
    let (log, tail) = replay.finish()?;
    if let Some(place) = tail.covered_damage {
        let (file, offset) = (place.file(&wal_dir(data)), place.offset);
        // Nothing is missing, but what has decayed once may do so again.
        tracing::warn!(file = %file.display(), offset, "a log record that the checkpoint covers cannot be read: look after this disk");
    }
    let segments = log.segments();
    Ok(HubState {
        engine,
        log,
        checkpointer: Checkpointer::new(checkpoints, LogFacts { segments, meta }),
        replayed: replayer.batches,
        replayed_bytes: replayer.bytes,
    })
}

/// What the newest checkpoint notes, if that can be told at a glance. What cannot be read here is a reason not to go on; and
/// another layout has other tables, so it is named before those are looked at.
fn first_look(disk: &dyn Disk, data: &Path) -> Result<Option<Meta>, StateError> {
    let noted = superblocks(disk, &state_dir(data))?;
    let newest = noted
        .iter()
        .filter_map(SlotInfo::whole)
        .max_by_key(|found| found.sequence);
    match newest.map(|found| Meta::decode(&found.meta)) {
        Some(Err(error @ StateError::OtherLayout { .. })) => Err(error),
        Some(Ok(meta)) => Ok(Some(meta)),
        Some(Err(_)) | None => Ok(None),
    }
}

/// The engine in a loaded checkpoint, what that notes of its log, and the last record that it covers.
fn engine_of(regions: Vec<Region>, loaded: Option<Loaded>) -> Result<(HubEngine, Meta, Lsn), StateError> {
    let loaded = loaded.ok_or(StateError::Unfinished)?;
    let meta = Meta::decode(&loaded.meta)?;
    Ok((Engine::open(slots::store(regions))?, meta, loaded.lsn))
}

/// Executes recorded batches again.
#[derive(Debug, Default)]
pub(super) struct Replayer {
    inputs: Vec<Input>,
    executed: Executed,
    batches: u64,
    bytes: u64,
    headers: Vec<BatchHeader>,
    keep_headers: bool,
}

impl Replayer {
    pub(super) fn keeping_headers() -> Self {
        Self {
            keep_headers: true,
            ..Self::default()
        }
    }

    /// What was replayed, with the engine that it led to.
    pub(super) fn inspected(self, engine: HubEngine, lsn: Lsn, tail: Tail, is_copy: bool) -> Inspected {
        Inspected {
            engine,
            lsn,
            replayed: self.batches,
            headers: self.headers,
            tail,
            is_copy,
        }
    }

    fn note(&mut self, lsn: Lsn, payload: &[u8]) -> Result<(), StateError> {
        let header = record::header(payload).map_err(|error| StateError::BadRecord { lsn: lsn.get(), error })?;
        self.headers.push(header);
        Ok(())
    }

    pub(super) fn take(&mut self, engine: &mut HubEngine, lsn: Lsn, payload: &[u8]) -> Result<(), StateError> {
        let header = record::read(engine, payload, &mut self.inputs)
            .map_err(|error| StateError::BadRecord { lsn: lsn.get(), error })?;
        engine.execute(header.time, &self.inputs, &mut self.executed)?;
        if self.executed.header != header {
            return Err(StateError::Diverged {
                lsn: lsn.get(),
                batch: header.number,
            });
        }
        self.batches += 1;
        self.bytes += record_bytes(payload.len());
        if self.keep_headers {
            self.headers.push(header);
        }
        Ok(())
    }
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
    /// True of a state that was restored from a copy.
    pub is_copy: bool,
}

impl Inspected {
    /// Every channel that there ever was, by number.
    pub fn channels(&self) -> impl Iterator<Item = ChannelView> {
        (0..self.engine.opened().channels).filter_map(|slot| self.engine.view(slot))
    }
}

/// Reads the state in a data directory without changing a file. The caller sees to it that no hub does meanwhile.
///
/// # Errors
/// [`StateError`].
pub fn inspect(disk: &Arc<dyn Disk>, data: &Path, progress: &mut dyn FnMut(u64)) -> Result<Inspected, StateError> {
    first_look(&**disk, data)?;
    let (regions, loaded) = load(&**disk, &state_dir(data), &slots::specs())?;
    let (mut engine, meta, lsn) = engine_of(regions, loaded)?;
    let first = Lsn::new(lsn.get() + 1);
    let mut reader = LogReader::open(&**disk, &wal_dir(data), meta.log_identity, first)?;
    let mut replayer = Replayer::keeping_headers();
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
    Ok(replayer.inspected(engine, newest, tail, meta.is_copy))
}

/// Whether the state in a data directory was restored from a copy.
pub(crate) fn is_copy(disk: &dyn Disk, data: &Path) -> bool {
    newest_checkpoint(disk, data).is_some_and(|(_, meta)| meta.is_copy)
}

/// The newest checkpoint that is whole, and what it notes of its log, if that can be told at a glance.
pub(crate) fn newest_checkpoint(disk: &dyn Disk, data: &Path) -> Option<(SuperblockInfo, Meta)> {
    let slots = superblocks(disk, &state_dir(data)).ok()?;
    let whole = slots.iter().filter_map(SlotInfo::whole);
    let newest = whole.max_by_key(|found| found.sequence)?;
    Some((newest.clone(), Meta::decode(&newest.meta).ok()?))
}

/// How many records the log holds behind the newest checkpoint, if that can be told at a glance.
pub(crate) fn records_behind(disk: &dyn Disk, data: &Path) -> Option<u64> {
    let (newest, meta) = newest_checkpoint(disk, data)?;
    let last = LogReader::newest(disk, &wal_dir(data), meta.log_identity).ok()??;
    Some(last.get().saturating_sub(newest.lsn.get()))
}
