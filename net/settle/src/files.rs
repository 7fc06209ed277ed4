//! The node's files: made once, read at open.

use std::collections::VecDeque;
use std::path::Path;

use tidegate_disk::{Disk, DiskError, OpenMode};
use tidegate_ledger::{Block, LedgerParams};
use tidegate_types::{Age, DecodeError, Fixed, LedgerId, fixed_struct};
use tidegate_wal::{LogConfig, LogReader, Lsn, PAGE_BYTES, Tail};

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

/// The blocks of a node's log from the first, read back from the disk one at a time. Blocks that were undone are left out.
/// Nothing is locked or changed by it.
#[derive(Debug)]
pub struct Blocks {
    reader: LogReader,
    finality_depth: usize,
    final_only: bool,
    /// Blocks that a later record may yet undo.
    held: VecDeque<Vec<u8>>,
    last: Vec<u8>,
}

impl Blocks {
    /// The blocks of the node in the folder `dir`, which may be running: then they end with a block that is whole.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(disk: &dyn Disk, dir: &Path) -> Result<Self, OpenError> {
        let file = NodeFile::read(disk, dir)?;
        let reader = LogReader::open(disk, dir, file.log_identity, Lsn::FIRST)?;
        Ok(Self::of(reader, file.finality_depth))
    }

    pub(crate) fn of(reader: LogReader, finality_depth: Age) -> Self {
        Self {
            reader,
            finality_depth: finality_depth.get() as usize,
            final_only: false,
            held: VecDeque::new(),
            last: Vec::new(),
        }
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
        while self.held.len() <= self.finality_depth {
            let Some(record) = self.reader.next_record()? else {
                break;
            };
            match Entry::of(record.payload).map_err(QueryError::Record)? {
                Entry::Block(encoded) => self.held.push_back(encoded.to_vec()),
                Entry::Undone(count) => {
                    // A reader that began in the middle of the log has not seen all that was undone.
                    self.held.truncate(self.held.len().saturating_sub(count as usize));
                }
            }
        }
        let may_be_undone = self.final_only && self.held.len() <= self.finality_depth;
        match self.held.pop_front() {
            Some(block) if !may_be_undone => {
                self.last = block;
                Ok(Some(&self.last))
            }
            _ => Ok(None),
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
