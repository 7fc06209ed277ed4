//! Final blocks one behind the other, densely: what the log's pages would hold at 4 KiB for each.
//!
//! ```text
//! DIR/blocks-<number, 8 hex>   file n holds the blocks 65 536·n + 1 to 65 536·(n + 1)
//! entry                        length u32 | CRC-32C of what follows u32 | log record u64 | block
//! ```
//!
//! Blocks are added in order and made durable before the log gives them up, so a torn end holds only what the log still
//! has: it is cut off, and written again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{Disk, DiskError, DiskFile, OpenMode};
use tidegate_types::Height;
use tidegate_wal::Lsn;

const PREFIX: &str = "blocks-";
/// Blocks in one file.
const BLOCKS_PER_FILE: u32 = 1 << 16;
const HEAD_LEN: usize = 16;
/// Bytes that are read or written at once.
const PIECE: usize = 1 << 20;

fn path(dir: &Path, number: u32) -> PathBuf {
    dir.join(format!("{PREFIX}{number:08x}"))
}

fn file_of(height: Height) -> u32 {
    height.get().saturating_sub(1) / BLOCKS_PER_FILE
}

/// The number of the newest file.
fn newest(disk: &dyn Disk, dir: &Path) -> Result<Option<u32>, DiskError> {
    let names = disk.list(dir)?;
    let numbers = names.iter().filter_map(|name| {
        let digits = name.strip_prefix(PREFIX)?;
        let number = u32::from_str_radix(digits, 16).ok()?;
        (path(Path::new(""), number) == Path::new(name)).then_some(number)
    });
    Ok(numbers.max())
}

/// Up to where blocks are archived.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct End {
    /// The last block.
    pub(crate) height: Height,
    /// Its log record; zero for none.
    pub(crate) lsn: u64,
}

/// Up to where the blocks of the node in `dir` are archived.
pub(crate) fn archived(disk: &dyn Disk, dir: &Path) -> Result<End, DiskError> {
    let Some(number) = newest(disk, dir)? else {
        return Ok(End::default());
    };
    let mut reader = Reader::at(disk, dir, number)?;
    while reader.next()?.is_some() {}
    // A file that was just begun holds nothing: the one before it is full.
    if reader.end.lsn == 0 && number > 0 {
        let mut reader = Reader::at(disk, dir, number - 1)?;
        while reader.next()?.is_some() {}
        return Ok(reader.end);
    }
    Ok(reader.end)
}

/// The writer's end.
#[derive(Debug)]
pub(crate) struct Archive {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    end: End,
    /// The newest file and its length; none before the first block.
    file: Option<(u32, Arc<dyn DiskFile>, u64)>,
}

impl Archive {
    /// Opens the archive in `dir` and cuts a torn end off.
    pub(crate) fn open(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Self, DiskError> {
        let mut archive = Self {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            end: End::default(),
            file: None,
        };
        let Some(number) = newest(&**disk, dir)? else {
            return Ok(archive);
        };
        let mut reader = Reader::at(&**disk, dir, number)?;
        while reader.next()?.is_some() {}
        let file = disk.open(&path(dir, number), OpenMode::Write)?;
        let end = reader.offset;
        if file.len()? != end {
            file.set_len(end)?;
            file.sync_data()?;
        }
        archive.end = archived(&**disk, dir)?;
        archive.file = Some((number, file, end));
        Ok(archive)
    }

    pub(crate) const fn end(&self) -> End {
        self.end
    }

    /// Adds blocks, the first right above the last, each with its log record. Durable on return.
    pub(crate) fn append(&mut self, blocks: &[(Lsn, Vec<u8>)]) -> Result<(), DiskError> {
        let mut pending = Vec::new();
        for (lsn, block) in blocks {
            let height = self.end.height.next().expect("a height that the ledger has reached");
            let number = file_of(height);
            if self.file.as_ref().is_none_or(|(current, ..)| *current != number) {
                self.write(&mut pending)?;
                let file = self.disk.open(&path(&self.dir, number), OpenMode::CreateNew)?;
                self.disk.sync_dir(&self.dir)?;
                self.file = Some((number, file, 0));
            }
            let mut body = lsn.get().to_le_bytes().to_vec();
            body.extend_from_slice(block);
            let len = u32::try_from(body.len()).expect("a block is far below 4 GiB");
            pending.extend_from_slice(&len.to_le_bytes());
            pending.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
            pending.extend_from_slice(&body);
            self.end = End { height, lsn: lsn.get() };
            if pending.len() >= PIECE {
                self.write(&mut pending)?;
            }
        }
        self.write(&mut pending)
    }

    fn write(&mut self, pending: &mut Vec<u8>) -> Result<(), DiskError> {
        let Some((_, file, end)) = &mut self.file else {
            return Ok(());
        };
        if !pending.is_empty() {
            file.write_at(*end, pending)?;
            file.sync_data()?;
            *end += pending.len() as u64;
            pending.clear();
        }
        Ok(())
    }
}

/// Reads archived blocks in order.
#[derive(Debug)]
pub(crate) struct Reader {
    files: Vec<Arc<dyn DiskFile>>,
    /// Which file is read.
    at: usize,
    offset: u64,
    bytes: Vec<u8>,
    /// How much of `bytes` was taken.
    taken: usize,
    end: End,
    block: Vec<u8>,
}

impl Reader {
    /// Begins with the block at `from` or above; `None` if nothing is archived.
    pub(crate) fn open(disk: &dyn Disk, dir: &Path, from: Height) -> Result<Option<Self>, DiskError> {
        let Some(last) = newest(disk, dir)? else {
            return Ok(None);
        };
        let mut reader = Self::at(disk, dir, file_of(from).min(last))?;
        for number in file_of(from).min(last) + 1..=last {
            reader.files.push(disk.open(&path(dir, number), OpenMode::Read)?);
        }
        Ok(Some(reader))
    }

    fn at(disk: &dyn Disk, dir: &Path, number: u32) -> Result<Self, DiskError> {
        Ok(Self {
            files: vec![disk.open(&path(dir, number), OpenMode::Read)?],
            at: 0,
            offset: 0,
            bytes: Vec::new(),
            taken: 0,
            end: End {
                height: Height::new(number * BLOCKS_PER_FILE),
                lsn: 0,
            },
            block: Vec::new(),
        })
    }

    /// The block that was read last.
    pub(crate) const fn end(&self) -> End {
        self.end
    }

    /// The next block; `None` behind the last whole one.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, DiskError> {
        loop {
            if let Some(len) = self.entry()? {
                let start = self.taken + HEAD_LEN;
                self.block = self.bytes[start..self.taken + len].to_vec();
                self.taken += len;
                self.offset += len as u64;
                return Ok(Some(&self.block));
            }
            if self.at + 1 >= self.files.len() {
                return Ok(None);
            }
            (self.at, self.offset, self.taken) = (self.at + 1, 0, 0);
            self.bytes.clear();
        }
    }

    /// The width of the entry at the place that was reached, if it is whole; notes which it is.
    fn entry(&mut self) -> Result<Option<usize>, DiskError> {
        if !self.hold(HEAD_LEN)? {
            return Ok(None);
        }
        let word = |at: usize| {
            let bytes = self.bytes[self.taken + at..].first_chunk::<4>();
            bytes.map_or(0, |bytes| u32::from_le_bytes(*bytes))
        };
        let (len, crc) = (word(0) as usize + 8, word(4));
        if len < HEAD_LEN || !self.hold(len)? {
            return Ok(None);
        }
        let body = &self.bytes[self.taken + 8..self.taken + len];
        let Some(height) = self.end.height.next().filter(|_| crc32c::crc32c(body) == crc) else {
            return Ok(None);
        };
        let lsn = body.first_chunk::<8>().map_or(0, |bytes| u64::from_le_bytes(*bytes));
        self.end = End { height, lsn };
        Ok(Some(len))
    }

    /// Has `len` bytes behind what was taken, if the file has them.
    fn hold(&mut self, len: usize) -> Result<bool, DiskError> {
        if self.bytes.len() - self.taken >= len {
            return Ok(true);
        }
        self.bytes.drain(..self.taken);
        self.taken = 0;
        let file = &self.files[self.at];
        let have = self.offset + self.bytes.len() as u64;
        let left = file.len()?.saturating_sub(have);
        let more = left.min(len.max(PIECE) as u64);
        let old = self.bytes.len();
        self.bytes
            .resize(old + usize::try_from(more).expect("a piece fits the memory"), 0);
        file.read_at(have, &mut self.bytes[old..])?;
        Ok(self.bytes.len() >= len)
    }
}
