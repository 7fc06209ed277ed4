//! Reading a data directory that may be in use.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{Disk, Lsn, OpenMode};
use tidegate_ledger::Genesis;
use tidegate_settle::Blocks;
use tidegate_table::{ImageReader, SlotInfo, SuperblockInfo, superblocks};
use tidegate_wal::{LogError, LogReader};

use super::BackupError;
use crate::files::{CONFIG_FILE, GENESIS_FILE, ledger_dir};
use crate::forward::{JournalCopy, copies};
use crate::state::{Meta, StateError, state_dir, wal_dir};

/// A data directory, and the checkpoint that is copied.
#[derive(Debug)]
pub(super) struct Source {
    disk: Arc<dyn Disk>,
    data: PathBuf,
    pub(super) genesis: Vec<u8>,
    pub(super) config: Vec<u8>,
    /// Hex.
    pub(super) ledger: String,
}

/// Why a step of the copying did not succeed.
#[derive(Debug)]
pub(super) enum Stop {
    /// The hub has overwritten what was being read: start over.
    Overtaken,
    /// It cannot succeed.
    Failed(BackupError),
}

impl<E: Into<BackupError>> From<E> for Stop {
    fn from(error: E) -> Self {
        Self::Failed(error.into())
    }
}

/// Takes a record: its number, the last that will come, its payload.
pub(super) type TakeRecord<'a> = &'a mut dyn FnMut(Lsn, Lsn, &[u8]) -> Result<(), BackupError>;

/// Takes a block: its height, and its encoding.
pub(super) type TakeBlock<'a> = &'a mut dyn FnMut(u64, &[u8]) -> Result<(), BackupError>;

impl Source {
    pub(super) fn open(disk: &Arc<dyn Disk>, data: &Path) -> Result<Self, BackupError> {
        let genesis = read_file(&**disk, &data.join(GENESIS_FILE))?;
        let config = data.join(CONFIG_FILE);
        let config = if disk.exists(&config)? {
            read_file(&**disk, &config)?
        } else {
            Vec::new()
        };
        Ok(Self {
            disk: Arc::clone(disk),
            data: data.to_owned(),
            ledger: Genesis::parse(&genesis)?.ledger().to_string(),
            genesis,
            config,
        })
    }

    /// The whole checkpoints that are there now, the newest first.
    pub(super) fn checkpoints(&self) -> Result<Vec<SuperblockInfo>, BackupError> {
        let slots = superblocks(&*self.disk, &state_dir(&self.data))?;
        let mut whole: Vec<_> = slots.iter().filter_map(SlotInfo::whole).cloned().collect();
        whole.sort_by_key(|found| std::cmp::Reverse(found.sequence));
        if whole.is_empty() {
            return Err(StateError::Unfinished.into());
        }
        Ok(whole)
    }

    /// Whether what the checkpoint's image and log hold may be overwritten by now.
    fn is_overtaken(&self, found: &SuperblockInfo) -> Result<bool, BackupError> {
        // The next checkpoint writes elsewhere; the one after it may have been begun as soon as that is done.
        Ok(self.checkpoints()?[0].sequence > found.sequence)
    }

    /// What a failure to read means: the hub was faster, or the files are damaged.
    fn judge(&self, found: &SuperblockInfo, error: BackupError) -> Stop {
        match self.is_overtaken(found) {
            Ok(true) => Stop::Overtaken,
            Ok(false) => Stop::Failed(error),
            Err(other) => Stop::Failed(other),
        }
    }

    /// Hands over the pages of one table from page `from` on, run by run.
    pub(super) fn pages(
        &self,
        found: &SuperblockInfo,
        region: usize,
        from: usize,
        take: &mut dyn FnMut(&[u8]) -> Result<(), BackupError>,
    ) -> Result<(), Stop> {
        let wrap = |error| self.judge(found, error);
        let dir = state_dir(&self.data);
        let mut reader =
            ImageReader::open(&*self.disk, &dir, found, region, from).map_err(|error| wrap(error.into()))?;
        loop {
            match reader.next_run() {
                Ok(Some((_, bytes))) => take(bytes)?,
                Ok(None) => return Ok(()),
                Err(error) => return Err(wrap(error.into())),
            }
        }
    }

    /// Hands over the records behind record `after`, at least up to the newest that there is now; all are durable when
    /// this returns.
    pub(super) fn records(&self, found: &SuperblockInfo, after: Lsn, take: TakeRecord<'_>) -> Result<Lsn, Stop> {
        let wrap = |error: LogError| self.judge(found, error.into());
        let (dir, identity) = (wal_dir(&self.data), Meta::decode(&found.meta)?.log_identity);
        let newest = LogReader::newest(&*self.disk, &dir, identity).map_err(wrap)?;
        let target = newest.unwrap_or(after).max(after);
        let mut reader = LogReader::open_near(&*self.disk, &dir, identity, after.next()).map_err(wrap)?;
        let mut last = after;
        while last < target {
            let Some(record) = reader.next_record().map_err(wrap)? else {
                break;
            };
            if record.lsn > last {
                take(record.lsn, target, record.payload)?;
                last = record.lsn;
            }
        }
        reader.sync().map_err(wrap)?;
        if let Err(error) = reader.tail() {
            self.check_damage(found, identity, error)?;
        }
        if last < target {
            return Err(Stop::Overtaken);
        }
        Ok(last)
    }

    /// Whether the log has exactly this record. False as well if that cannot be read: it is asked by whoever would rather begin
    /// again than trust.
    pub(super) fn has_record(&self, found: &SuperblockInfo, lsn: Lsn, payload: &[u8]) -> bool {
        let look = || -> Result<bool, StateError> {
            let identity = Meta::decode(&found.meta)?.log_identity;
            let mut reader = LogReader::open_near(&*self.disk, &wal_dir(&self.data), identity, lsn)?;
            while let Some(record) = reader.next_record()? {
                if record.lsn >= lsn {
                    return Ok(record.lsn == lsn && record.payload == payload);
                }
            }
            Ok(false)
        };
        look().unwrap_or(false)
    }

    /// Whether the ledger's final block number `count` is exactly this one; false as well if that cannot be read.
    pub(super) fn has_block(&self, count: u64, encoded: &[u8]) -> bool {
        let look = || -> Result<bool, BackupError> {
            let mut blocks = Blocks::open(&*self.disk, &ledger_dir(&self.data))?.final_only();
            let mut at = 0;
            while let Some(block) = blocks.next_encoded()? {
                at += 1;
                if at == count {
                    return Ok(block == encoded);
                }
            }
            Ok(false)
        };
        look().unwrap_or(false)
    }

    /// Damage that was found behind the last record, unless it was a record just being written.
    fn check_damage(&self, found: &SuperblockInfo, identity: u64, error: LogError) -> Result<(), Stop> {
        if let LogError::Damaged { lsn, .. } = error {
            let near = LogReader::open_near(&*self.disk, &wal_dir(&self.data), identity, lsn);
            let mut reader = near.map_err(|error| self.judge(found, error.into()))?;
            loop {
                match reader.next_record() {
                    Ok(Some(record)) if record.lsn == lsn => return Ok(()),
                    Ok(Some(_)) => {}
                    Ok(None) | Err(_) => break,
                }
            }
        }
        Err(self.judge(found, error.into()))
    }

    /// The journals of channels with next hubs.
    pub(super) fn journals(&self) -> Result<Vec<JournalCopy>, BackupError> {
        copies(&*self.disk, &self.data).map_err(|error| BackupError::Journals(Box::new(error)))
    }

    /// Hands over the ledger's final blocks behind the first `skip`; all are durable when this returns. Their number.
    pub(super) fn blocks(&self, skip: u64, take: TakeBlock<'_>) -> Result<u64, BackupError> {
        let dir = ledger_dir(&self.data);
        let mut blocks = Blocks::open(&*self.disk, &dir)?.final_only();
        let mut count = 0;
        while let Some(block) = blocks.next_encoded()? {
            count += 1;
            if count > skip {
                take(count, block)?;
            }
        }
        blocks.sync()?;
        if let Err(error) = blocks.tail() {
            // A block that was just being written is whole now.
            let mut again = Blocks::open(&*self.disk, &dir)?.final_only();
            let mut there = 0;
            while there <= count && again.next_encoded()?.is_some() {
                there += 1;
            }
            if there <= count {
                return Err(error.into());
            }
        }
        Ok(count)
    }
}

fn read_file(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, BackupError> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).expect("a file that is read fits the address space")];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}
