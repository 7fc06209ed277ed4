//! The node's files: made once, read at open.

use std::collections::VecDeque;
use std::path::Path;

use tidegate_disk::{Disk, DiskError, OpenMode};
use tidegate_ledger::{Block, BlockHeader, LedgerParams};
use tidegate_types::{Age, DecodeError, Fixed, Height, LedgerId, fixed_struct};
use tidegate_wal::{LogConfig, LogError, LogReader, Lsn, PAGE_BYTES, Tail};

use crate::archive::{Reader, archived};
use crate::{OpenError, QueryError};

pub(crate) const GENESIS_FILE: &str = "genesis";
pub(crate) const NODE_FILE: &str = "node";
const NODE_FILE_NEW: &str = "node.new";
const MAGIC: [u8; 8] = *b"TGNODE02";
const RECORD_BLOCK: u8 = 1;
const RECORD_UNDONE: u8 = 2;

/// The content of the node's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NodeFile {
    magic: [u8; 8],
    pub(crate) log_identity: u64,
    pub(crate) ledger: LedgerId,
    /// As the genesis says: a reader of the log alone knows by it which blocks may yet be undone.
    pub(crate) finality_depth: Age,
}
fixed_struct!(NodeFile {
    magic: [u8; 8],
    log_identity: u64,
    ledger: LedgerId,
    finality_depth: Age,
    pad 4,
});

impl NodeFile {
    pub(crate) const fn new(log_identity: u64, ledger: LedgerId, finality_depth: Age) -> Self {
        Self {
            magic: MAGIC,
            log_identity,
            ledger,
            finality_depth,
        }
    }

    /// Writes the file under another name first: once it has its own, the node is complete.
    pub(crate) fn write(&self, disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
        let mut bytes = self.to_vec();
        crc32c::crc32c(&bytes).append_to(&mut bytes);
        write_file(disk, &dir.join(NODE_FILE_NEW), &bytes)?;
        disk.rename(&dir.join(NODE_FILE_NEW), &dir.join(NODE_FILE))?;
        disk.sync_dir(dir)
    }

    pub(crate) fn read(disk: &dyn Disk, dir: &Path) -> Result<Self, OpenError> {
        let file = dir.join(NODE_FILE);
        if !disk.exists(&file)? {
            return Err(OpenError::NoNode { dir: dir.to_owned() });
        }
        let bytes = read_file(disk, &file)?;
        let content = bytes.split_last_chunk::<4>().and_then(|(content, crc)| {
            (crc32c::crc32c(content).to_le_bytes() == *crc).then(|| Self::decode(content).ok())?
        });
        match content {
            Some(content) if content.magic == MAGIC => Ok(content),
            _ => Err(OpenError::DamagedNode { file }),
        }
    }
}

/// Writes a new file and makes its bytes durable.
pub(crate) fn write_file(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let file = disk.open(path, OpenMode::CreateNew)?;
    file.write_at(0, bytes)?;
    file.sync_data()
}

pub(crate) fn read_file(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, DiskError> {
    let file = disk.open(path, OpenMode::Read)?;
    let len = usize::try_from(file.len()?).expect("files of a node fit the address space");
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// Removes what an interrupted creation left: without the node's file nothing in the folder was promised to anyone.
pub(crate) fn remove_leftovers(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    for name in disk.list(dir)? {
        let is_log = name.starts_with("log-");
        if is_log || name == GENESIS_FILE || name == NODE_FILE_NEW {
            disk.remove(&dir.join(name))?;
        }
    }
    disk.sync_dir(dir)
}

/// The log of a node: a segment holds the largest block.
pub(crate) fn log_config(identity: u64, params: &LedgerParams) -> LogConfig {
    let block = u64::from(params.block_bytes_max) + PAGE_BYTES as u64;
    LogConfig {
        segment_bytes: block.next_power_of_two(),
        ..LogConfig::new(identity)
    }
}

/// What stands before a block in its record.
pub(crate) const RECORD_HEAD: [u8; 1] = [RECORD_BLOCK];

/// The record that undoes the newest `count` blocks.
pub(crate) fn undone_record(count: u32) -> [u8; 5] {
    let [a, b, c, d] = count.to_le_bytes();
    [RECORD_UNDONE, a, b, c, d]
}

/// What a record of the log says.
pub(crate) enum Entry<'a> {
    /// The next block, encoded.
    Block(&'a [u8]),
    /// The newest blocks, so many, were undone for a higher branch.
    Undone(u32),
}

impl<'a> Entry<'a> {
    pub(crate) fn of(record: &'a [u8]) -> Result<Self, DecodeError> {
        match record.split_first() {
            Some((&RECORD_BLOCK, block)) => Ok(Self::Block(block)),
            Some((&RECORD_UNDONE, count)) => Ok(Self::Undone(u32::decode(count)?)),
            Some((&other, _)) => Err(DecodeError::UnknownValue {
                field: "record",
                value: other.into(),
            }),
            None => Err(DecodeError::Truncated),
        }
    }
}

/// The blocks of a node from the first, read back from the disk one at a time. Blocks that were undone are left out. Nothing is
/// locked or changed by it.
#[derive(Debug)]
pub struct Blocks {
    archive: Option<Reader>,
    reader: LogReader,
    finality_depth: usize,
    final_only: bool,
    /// The last block that was told, or that need not be.
    height: Height,
    /// Blocks that a later record may yet undo.
    held: VecDeque<(Lsn, Vec<u8>)>,
    last: Vec<u8>,
}

impl Blocks {
    /// The blocks of the node in the folder `dir`, which may be running: then they end with a block that is whole.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, OpenError> {
        let file = NodeFile::read(disk, dir)?;
        Ok(Self::from(
            disk,
            dir,
            file.log_identity,
            file.finality_depth,
            Height::ZERO,
        )?)
    }

    /// The blocks from a height on; some below it may come first.
    pub(crate) fn from(
        disk: &dyn Disk,
        dir: &Path,
        identity: u64,
        finality_depth: Age,
        from: Height,
    ) -> Result<Self, BlocksError> {
        let end = archived(disk, dir)?;
        let archive = if from <= end.height {
            Reader::open(disk, dir, from)?
        } else {
            None
        };
        // A record for each block, and some for what was undone: a block stands no earlier in the log than its height.
        let near = Lsn::new(u64::from(from.get()).max(end.lsn + 1));
        let mut blocks = Self::of_log(LogReader::open_near(disk, dir, identity, near)?, finality_depth);
        blocks.height = end.height;
        blocks.archive = archive;
        Ok(blocks)
    }

    /// The blocks of a log alone.
    pub(crate) const fn of_log(reader: LogReader, finality_depth: Age) -> Self {
        Self {
            archive: None,
            reader,
            finality_depth: finality_depth.get() as usize,
            final_only: false,
            height: Height::ZERO,
            held: VecDeque::new(),
            last: Vec::new(),
        }
    }

    /// Passes over the blocks of the log up to this height.
    pub(crate) const fn skip_to(&mut self, height: Height) {
        self.height = height;
    }

    /// Ends with the last final block instead of the newest.
    #[must_use]
    pub const fn final_only(mut self) -> Self {
        self.final_only = true;
        self
    }

    /// The next block, or `None` after the last.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn next_block(&mut self) -> Result<Option<Block>, QueryError> {
        let Some(encoded) = self.next_encoded()? else {
            return Ok(None);
        };
        Block::decode(encoded).map(Some).map_err(QueryError::Record)
    }

    /// The next block as [`Block::encode`] makes it, or `None` after the last.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn next_encoded(&mut self) -> Result<Option<&[u8]>, QueryError> {
        if let Some(archive) = &mut self.archive {
            let end = self.height;
            if archive.end().height < end
                && let Some(block) = archive.next()?
            {
                self.last.clear();
                self.last.extend_from_slice(block);
                return Ok(Some(&self.last));
            }
            self.archive = None;
        }
        let Some((_, _, block)) = self.next_placed()? else {
            return Ok(None);
        };
        self.last = block;
        Ok(Some(&self.last))
    }

    /// The next block of the log: its height, its record, and its encoding.
    pub(crate) fn next_placed(&mut self) -> Result<Option<(Height, Lsn, Vec<u8>)>, QueryError> {
        loop {
            while self.held.len() <= self.finality_depth {
                let Some(record) = self.reader.next_record()? else {
                    break;
                };
                match Entry::of(record.payload).map_err(QueryError::Record)? {
                    Entry::Block(encoded) => self.held.push_back((record.lsn, encoded.to_vec())),
                    // A reader that began in the middle of the log has not seen all that was undone.
                    Entry::Undone(count) => self.held.truncate(self.held.len().saturating_sub(count as usize)),
                }
            }
            if self.final_only && self.held.len() <= self.finality_depth {
                return Ok(None);
            }
            let Some((lsn, block)) = self.held.pop_front() else {
                return Ok(None);
            };
            let height = height_of(&block).map_err(QueryError::Record)?;
            if height > self.height {
                self.height = height;
                return Ok(Some((height, lsn, block)));
            }
        }
    }

    /// Makes durable what was read, as the node does.
    ///
    /// # Errors
    /// [`QueryError::Log`].
    pub fn sync(&self) -> Result<(), QueryError> {
        Ok(self.reader.sync()?)
    }

    /// Reads on to the end and judges it: what follows the last block.
    ///
    /// # Errors
    /// [`QueryError::Log`], above all if a block that was durable is not whole.
    pub fn tail(self) -> Result<Tail, QueryError> {
        Ok(self.reader.tail()?)
    }
}

/// The height in the header of an encoded block.
pub(crate) fn height_of(encoded: &[u8]) -> Result<Height, DecodeError> {
    let header = encoded.get(..BlockHeader::LEN).ok_or(DecodeError::Truncated)?;
    Ok(BlockHeader::decode(header)?.height)
}

/// Why blocks cannot be opened for reading.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BlocksError {
    #[error(transparent)]
    Disk(#[from] DiskError),
    #[error(transparent)]
    Log(#[from] LogError),
}

impl From<BlocksError> for OpenError {
    fn from(error: BlocksError) -> Self {
        match error {
            BlocksError::Disk(error) => Self::Disk(error),
            BlocksError::Log(error) => Self::Log(error),
        }
    }
}

impl From<BlocksError> for QueryError {
    fn from(error: BlocksError) -> Self {
        match error {
            BlocksError::Disk(error) => Self::Disk(error),
            BlocksError::Log(error) => Self::Log(error),
        }
    }
}
