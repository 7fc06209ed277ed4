//! The hub's durable state: the engine over checkpointed tables, and the log of batches behind them.
//!
//! ```text
//! DIR/state   two checkpoint images and two superblocks      DIR/wal   one record per batch since the older image
//!
//! open: newest good image ─▶ engine ─▶ replay the log behind it, batch by batch, each meeting its own header
//! ```
//!
//! Invariant: a batch whose record is durable is in the state after every later open; a batch whose record is not is
//! not (R1, R6). Replay runs the engine's own `execute` without checking signatures again (rule 16).

mod checkpoint;
mod rebuild;
mod record;
mod recover;
mod slots;

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_batch::{BlockInput, Engine, EngineError, Executed, Input, InputError, Policy};
use tidegate_channel::ChannelTerms;
use tidegate_disk::{Disk, DiskError};
use tidegate_table::{CheckpointError, CheckpointStore, Lsn};
use tidegate_types::{BatchNumber, Digest, Height, KeyBytes, LedgerId, OutPoint, UnixMillis};
use tidegate_wal::{Log, LogConfig, LogError};

pub use checkpoint::{Checkpointer, Stepped, is_no_space};
pub(crate) use rebuild::{CopyOf, Copying, Replayed, Tables};
pub use record::append as append_record;
pub use recover::{Inspected, inspect};
pub(crate) use recover::{is_copy, newest_checkpoint, records_behind};
pub use slots::RegionSlots;

/// The engine over mapped tables.
pub type HubEngine = Engine<RegionSlots>;

/// What a new state starts from.
#[derive(Clone, Copy, Debug)]
pub struct Params {
    /// The hub's signing key.
    pub hub: KeyBytes,
    /// The ledger.
    pub ledger: LedgerId,
    /// The terms of business.
    pub policy: Policy,
    /// Hides locks among their neighbours in proofs; random, shown to nobody.
    pub salt_secret: [u8; 32],
    /// The log's own number; random, shown to nobody.
    pub log_identity: u64,
    /// Bytes of a log segment.
    pub segment_bytes: u64,
}

/// The open state: what the pipeline works on.
#[derive(Debug)]
pub struct HubState {
    /// The engine.
    pub engine: HubEngine,
    /// The log of batches.
    pub log: Log,
    /// The checkpoints.
    pub checkpointer: Checkpointer,
    /// How many batches were replayed.
    pub replayed: u64,
    /// Bytes of their records in the log, which is already that long behind the checkpoint.
    pub replayed_bytes: u64,
}

/// Why the state cannot be created or opened.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// The directory holds a state already.
    #[error("{} holds a hub's state already", dir.display())]
    Exists {
        /// The directory.
        dir: PathBuf,
    },
    /// The log cannot be read or written.
    #[error("log: {0}")]
    Log(#[from] LogError),
    /// A checkpoint cannot be read or written.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The file system failed.
    #[error("{0}")]
    Disk(#[from] DiskError),
    /// The engine refuses the state.
    #[error("engine: {0}")]
    Engine(#[from] EngineError),
    /// The checkpoint's note about its log is not one.
    #[error("the checkpoint does not say which log it belongs to")]
    BadMeta,
    /// Another version of this program wrote the state.
    #[error(
        "this state has layout {found}, and this program knows layout {LAYOUT} alone: use the version that wrote it"
    )]
    OtherLayout {
        /// The layout's mark.
        found: u8,
    },
    /// There is no checkpoint: `format` was interrupted.
    #[error("there is no checkpoint: the directory was not formatted to the end")]
    Unfinished,
    /// The state was restored from a copy.
    #[error("this state was restored from a backup: later batches may have been signed, so it never signs again")]
    Copy,
    /// A record with a good checksum is no batch.
    #[error("log record {lsn}: {error}")]
    BadRecord {
        /// The record.
        lsn: u64,
        /// Why.
        error: InputError,
    },
    /// A replayed batch came out differently.
    #[error("log record {lsn}: batch {batch} does not come out as it was recorded")]
    Diverged {
        /// The record.
        lsn: u64,
        /// The batch.
        batch: BatchNumber,
    },
}

/// What the checkpoint notes of its log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) log_identity: u64,
    pub(crate) segment_bytes: u64,
    /// True in a state that was restored from a copy: it is looked at, and never signs a batch (rule 19).
    pub(crate) is_copy: bool,
}

/// The layout of tables and log records. A change of either raises it.
const LAYOUT: u8 = 7;
const META_MAGIC: [u8; 8] = *b"tghub\0\0\x07";
/// Of a state that was restored from a copy. The mark stands under the superblock's sum, so that no file which is
/// removed, renamed or put back makes such a state sign.
const COPY_MAGIC: [u8; 8] = *b"tgcopy\0\x07";

const _: () = assert!(META_MAGIC[7] == LAYOUT && COPY_MAGIC[7] == LAYOUT);

impl Meta {
    fn encode(self) -> [u8; 24] {
        let mut bytes = [0; 24];
        bytes[..8].copy_from_slice(if self.is_copy { &COPY_MAGIC } else { &META_MAGIC });
        bytes[8..16].copy_from_slice(&self.log_identity.to_le_bytes());
        bytes[16..].copy_from_slice(&self.segment_bytes.to_le_bytes());
        bytes
    }

    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, StateError> {
        let words: &[u8; 24] = bytes.try_into().map_err(|_| StateError::BadMeta)?;
        let (magic, rest) = words.split_first_chunk::<8>().ok_or(StateError::BadMeta)?;
        let (identity, segment) = rest.split_first_chunk::<8>().ok_or(StateError::BadMeta)?;
        let segment: &[u8; 8] = segment.try_into().map_err(|_| StateError::BadMeta)?;
        if *magic != META_MAGIC && *magic != COPY_MAGIC {
            let [name @ .., found] = magic;
            let ours = name == &META_MAGIC[..7] || name == &COPY_MAGIC[..7];
            return Err(if ours {
                StateError::OtherLayout { found: *found }
            } else {
                StateError::BadMeta
            });
        }
        Ok(Self {
            log_identity: u64::from_le_bytes(*identity),
            segment_bytes: u64::from_le_bytes(*segment),
            is_copy: *magic == COPY_MAGIC,
        })
    }

    const fn log_config(self) -> LogConfig {
        let mut config = LogConfig::new(self.log_identity);
        config.segment_bytes = self.segment_bytes;
        config
    }
}

/// The folder of checkpoints in a data directory.
#[must_use]
pub fn state_dir(data: &Path) -> PathBuf {
    data.join("state")
}

/// The folder of the log in a data directory.
#[must_use]
pub fn wal_dir(data: &Path) -> PathBuf {
    data.join("wal")
}

/// Channels that one batch of the genesis opens.
const GENESIS_CHANNELS: usize = 65_536;

/// Makes the state of a new hub: the channels that the genesis opens, in a first checkpoint, and an empty log.
///
/// # Errors
/// [`StateError`]. What is left then is no state: it has no checkpoint.
pub fn create(
    disk: &Arc<dyn Disk>,
    data: &Path,
    params: &Params,
    block: Digest,
    time: UnixMillis,
    channels: impl IntoIterator<Item = (ChannelTerms, OutPoint)>,
) -> Result<(), StateError> {
    let (state, wal) = (state_dir(data), wal_dir(data));
    if disk.exists(&state)? || disk.exists(&wal)? {
        return Err(StateError::Exists { dir: data.to_owned() });
    }
    disk.create_dir_all(&state)?;
    disk.create_dir_all(&wal)?;
    let meta = Meta {
        log_identity: params.log_identity,
        segment_bytes: params.segment_bytes,
        is_copy: false,
    };
    Log::create(Arc::clone(disk), &wal, meta.log_config(), Lsn::FIRST)?;
    let mut checkpoints = CheckpointStore::create(Arc::clone(disk), &state, &slots::specs())?;
    let mut engine = genesis(params, block, time, channels)?;
    write_checkpoint(&mut engine, &mut checkpoints, meta, Lsn::ZERO, &mut |_| {})?;
    disk.sync_dir(data)?;
    Ok(())
}

/// A new engine with the channels that the genesis opens, in memory alone.
///
/// # Errors
/// [`StateError`].
pub fn genesis(
    params: &Params,
    block: Digest,
    time: UnixMillis,
    channels: impl IntoIterator<Item = (ChannelTerms, OutPoint)>,
) -> Result<HubEngine, StateError> {
    let regions = slots::specs()
        .into_iter()
        .map(tidegate_table::Region::new)
        .collect::<Result<Vec<_>, _>>();
    let tables = slots::store(regions.map_err(CheckpointError::from)?);
    let mut engine = Engine::create(tables, params.hub, params.ledger, params.policy, params.salt_secret)?;
    let mut channels = channels.into_iter();
    let mut executed = Executed::default();
    loop {
        let opened: Vec<_> = channels.by_ref().take(GENESIS_CHANNELS).collect();
        let last = opened.len() < GENESIS_CHANNELS;
        let input = Input::Block(BlockInput {
            opened,
            ..BlockInput::empty(Height::ZERO, block)
        });
        engine.execute(time, &[input], &mut executed)?;
        if last {
            break;
        }
    }
    Ok(engine)
}

fn write_checkpoint(
    engine: &mut HubEngine,
    checkpoints: &mut CheckpointStore,
    meta: Meta,
    lsn: Lsn,
    progress: &mut dyn FnMut(tidegate_table::Progress),
) -> Result<(), CheckpointError> {
    let mut regions = engine.store_mut().tables_mut().map(RegionSlots::region_mut);
    checkpoints.write(&mut regions, lsn, &meta.encode(), progress)
}

impl HubState {
    /// Opens the state in a data directory, whose lock the caller holds: loads the newest checkpoint and replays the log.
    /// `progress` is told how many batches were replayed: zero when the checkpoint is loaded, then now and again.
    ///
    /// # Errors
    /// [`StateError`].
    pub fn open(disk: &Arc<dyn Disk>, data: &Path, progress: &mut dyn FnMut(u64)) -> Result<Self, StateError> {
        recover::open(disk, data, progress)
    }

    /// Has the kernel give the memory by which the tables will soon grow, so that no batch waits for it: of each table an eighth of
    /// what it has, `PRE_TOUCH_BYTES_MAX` at most. `progress` is told how many bytes that were so far.
    pub fn pre_touch(&self, progress: &mut dyn FnMut(u64)) {
        let mut done = 0;
        for (_, slots) in self.engine.store().tables() {
            let region = slots.region();
            let bytes = region.pages() * tidegate_table::PAGE_BYTES / 8;
            done += region.pre_touch(bytes.min(PRE_TOUCH_BYTES_MAX)) as u64;
            progress(done);
        }
    }
}

/// Memory that one table is given ahead at a start, in bytes.
const PRE_TOUCH_BYTES_MAX: usize = 32 << 20;

/// What a checkpoint needs of the log while another thread writes it.
#[derive(Clone, Debug)]
struct LogFacts {
    segments: Arc<tidegate_wal::Segments>,
    meta: Meta,
}

#[cfg(test)]
mod tests {
    use tidegate_disk::RealDisk;
    use tidegate_table::{Region, RegionSpec};

    use super::*;

    /// The state of another version has other tables and another mark. The mark is what is told.
    #[test]
    fn another_layout_is_named_as_such() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let state = state_dir(folder.path());
        disk.create_dir_all(&state).expect("a folder");
        let spec = RegionSpec {
            name: "anything",
            slot_bytes: 64,
            slots_max: 1,
        };
        let mut store = CheckpointStore::create(Arc::clone(&disk), &state, &[spec]).expect("a store");
        let mut region = Region::new(spec).expect("one page");
        let mut mark = [0; 24];
        mark[..8].copy_from_slice(b"tghub\0\0\x02");
        store
            .write(&mut [&mut region], Lsn::ZERO, &mark, &mut |_| {})
            .expect("a checkpoint");
        drop(store);
        let opened = HubState::open(&disk, folder.path(), &mut |_| {});
        assert!(
            matches!(opened, Err(StateError::OtherLayout { found: 2 })),
            "{opened:?}"
        );
        let inspected = inspect(&disk, folder.path(), &mut |_| {});
        assert!(
            matches!(inspected, Err(StateError::OtherLayout { found: 2 })),
            "{inspected:?}"
        );
    }
}
