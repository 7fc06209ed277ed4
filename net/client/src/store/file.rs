//! Journals as files, one for each channel, in a folder that one process holds at a time.
//!
//! ```text
//! DIR/LOCK                 taken while the wallet is open
//! DIR/<channel>.journal    record*; .new until its first record is durable
//! record                   length u32 | CRC32C of what follows u32 | number 1 | content
//! ```
//!
//! Each append ends with `fdatasync`, so only the last record of a file can be torn: a bad one with none behind it is cut
//! off, for nobody was told of it. A bad one with a good one behind it is damage, and the wallet does not open.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{DirLock, Disk, DiskError, DiskFile, OpenMode};
use tidegate_types::{ChannelId, Fixed, Reader};

use super::{MemoryStore, Opened, Record, RecordError, StoreError, WalletStore};

const SUFFIX: &str = ".journal";
const HEAD_LEN: usize = 8;
/// No record is longer: it holds at most one message's body.
const MAX_RECORD: u32 = tidegate_wire::frame::MAX_BODY + 64;

/// A folder of journals.
#[derive(Debug)]
pub struct FileStore {
    disk: Arc<dyn Disk>,
    folder: PathBuf,
    _lock: DirLock,
    open: BTreeMap<ChannelId, Journal>,
    poisoned: bool,
}

/// A file, and where its next record goes.
#[derive(Debug)]
struct Journal {
    file: Arc<dyn DiskFile>,
    end: u64,
}

impl FileStore {
    /// Opens the wallet in `folder`, which is made if it is not there, and holds it until dropped.
    ///
    /// # Errors
    /// [`StoreError::Disk`]; [`DiskError::Locked`] if another process holds the wallet.
    pub fn open(disk: Arc<dyn Disk>, folder: &Path) -> Result<Self, StoreError> {
        disk.create_dir_all(folder)?;
        Ok(Self {
            _lock: disk.lock_dir(folder)?,
            disk,
            folder: folder.to_owned(),
            open: BTreeMap::new(),
            poisoned: false,
        })
    }

    /// The journals of the wallet in `folder` as they are now, in memory. Nothing is locked and nothing is changed: a record that is
    /// just being written by whoever holds the wallet is not there yet.
    ///
    /// # Errors
    /// [`StoreError::Disk`], [`StoreError::Damaged`].
    pub fn look(disk: &dyn Disk, folder: &Path) -> Result<MemoryStore, StoreError> {
        let mut found = MemoryStore::default();
        Self::each(disk, folder, |channel, opened, records, _| {
            found.create(opened)?;
            records.iter().try_for_each(|record| found.append(&channel, record))
        })?;
        Ok(found)
    }

    /// The bytes of these journals, up to the last whole record of each.
    ///
    /// # Errors
    /// As [`FileStore::look`].
    pub fn copy(disk: &dyn Disk, folder: &Path) -> Result<Vec<(ChannelId, Vec<u8>)>, StoreError> {
        let mut found = Vec::new();
        Self::each(disk, folder, |channel, _, _, bytes| {
            found.push((channel, bytes.to_vec()));
            Ok(())
        })?;
        Ok(found)
    }

    /// Whether these bytes are a journal of that channel, whole to their end. `name` is what an error calls it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`].
    pub fn check(name: &Path, channel: &ChannelId, bytes: &[u8]) -> Result<(), StoreError> {
        let (records, end) = Self::scan(name, bytes)?;
        if !records.first().is_some_and(|first| is_opening(first, channel)) {
            return Err(damaged_opening(name.to_owned()));
        }
        match usize::try_from(end) {
            Ok(end) if end == bytes.len() => Ok(()),
            _ => Err(StoreError::Damaged {
                path: name.to_owned(),
                offset: end,
                what: RecordError::Checksum,
            }),
        }
    }

    /// Hands over each journal: its opening, its other records, its bytes.
    fn each(
        disk: &dyn Disk,
        folder: &Path,
        mut take: impl FnMut(ChannelId, &Opened, &[Record], &[u8]) -> Result<(), StoreError>,
    ) -> Result<(), StoreError> {
        for name in disk.list(folder)? {
            let Some(channel) = name.strip_suffix(SUFFIX).and_then(|name| name.parse().ok()) else {
                continue;
            };
            let path = folder.join(&name);
            let bytes = read(&*disk.open(&path, OpenMode::Read)?)?;
            let (records, end) = Self::scan(&path, &bytes)?;
            let end = usize::try_from(end).expect("within the bytes");
            match records.split_first() {
                Some((Record::Opened(opened), rest)) if opened.channel == channel => {
                    take(channel, opened, rest, &bytes[..end])?;
                }
                _ => return Err(damaged_opening(path)),
            }
        }
        Ok(())
    }

    fn path(&self, channel: &ChannelId) -> PathBuf {
        self.folder.join(format!("{channel}{SUFFIX}"))
    }

    /// The records of a file and its length without a torn end.
    fn scan(path: &Path, bytes: &[u8]) -> Result<(Vec<Record>, u64), StoreError> {
        let mut records = Vec::new();
        let mut at = 0;
        while at < bytes.len() {
            match next_record(&bytes[at..]) {
                Ok((record, len)) => {
                    records.push(record);
                    at += len;
                }
                Err(what) if holds_a_record(&bytes[at + 1..]) => {
                    return Err(StoreError::Damaged {
                        path: path.to_owned(),
                        offset: at as u64,
                        what,
                    });
                }
                Err(_) => break,
            }
        }
        Ok((records, at as u64))
    }

    fn write(&mut self, channel: &ChannelId, record: &Record) -> Result<(), StoreError> {
        let journal = self.open.get_mut(channel).ok_or(StoreError::Unknown(*channel))?;
        let bytes = frame(record);
        journal.file.write_at(journal.end, &bytes)?;
        journal.file.sync_data()?;
        journal.end += bytes.len() as u64;
        Ok(())
    }

    /// Makes a journal under another name and gives it its own once it is whole, so that no journal is without its opening.
    fn begin(&self, path: &Path, first: &[u8]) -> Result<Arc<dyn DiskFile>, StoreError> {
        let unfinished = path.with_extension("new");
        if self.disk.exists(&unfinished)? {
            self.disk.remove(&unfinished)?;
        }
        let file = self.disk.open(&unfinished, OpenMode::CreateNew)?;
        file.write_at(0, first)?;
        file.sync_data()?;
        self.disk.rename(&unfinished, path)?;
        self.disk.sync_dir(&self.folder)?;
        Ok(file)
    }
}

fn read(file: &dyn DiskFile) -> Result<Vec<u8>, DiskError> {
    let len = usize::try_from(file.len()?).expect("a journal fits the memory it was made in");
    let mut bytes = vec![0; len];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

fn is_opening(record: &Record, channel: &ChannelId) -> bool {
    matches!(record, Record::Opened(opened) if opened.channel == *channel)
}

const fn damaged_opening(path: PathBuf) -> StoreError {
    StoreError::Damaged {
        path,
        offset: 0,
        what: RecordError::NoOpening,
    }
}

/// A record as it stands in a file.
fn frame(record: &Record) -> Vec<u8> {
    let body = record.encode();
    let len = u32::try_from(body.len()).expect("a record holds at most one message");
    let mut bytes = Vec::with_capacity(HEAD_LEN + body.len());
    bytes.extend_from_slice(&len.to_le_bytes());
    bytes.extend_from_slice(&crc32c::crc32c(&body).to_le_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// The record at the front of `bytes`, which are the rest of a file, and its width.
fn next_record(bytes: &[u8]) -> Result<(Record, usize), RecordError> {
    let mut r = Reader::new(bytes);
    let (len, checksum) = (u32::read(&mut r)?, u32::read(&mut r)?);
    if len == 0 || len > MAX_RECORD {
        return Err(RecordError::Length(len));
    }
    let body = r.bytes(len as usize)?;
    if crc32c::crc32c(body) != checksum {
        return Err(RecordError::Checksum);
    }
    Ok((Record::decode(body)?, HEAD_LEN + body.len()))
}

/// True if a record stands anywhere in `bytes`: then what is before it was once whole, and is damaged now.
fn holds_a_record(bytes: &[u8]) -> bool {
    (0..bytes.len()).any(|at| next_record(&bytes[at..]).is_ok())
}

impl WalletStore for FileStore {
    fn channels(&self) -> Result<Vec<ChannelId>, StoreError> {
        let names = self.disk.list(&self.folder)?;
        let ids = names.iter().filter_map(|name| name.strip_suffix(SUFFIX)?.parse().ok());
        Ok(ids.collect())
    }

    fn create(&mut self, opened: &Opened) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let path = self.path(&opened.channel);
        if self.disk.exists(&path)? {
            return Err(StoreError::Exists(opened.channel));
        }
        let first = frame(&Record::Opened(Box::new(*opened)));
        let file = self.begin(&path, &first)?;
        let end = first.len() as u64;
        self.open.insert(opened.channel, Journal { file, end });
        Ok(())
    }

    fn load(&mut self, channel: &ChannelId) -> Result<Vec<Record>, StoreError> {
        let path = self.path(channel);
        let file = match self.disk.open(&path, OpenMode::Write) {
            Ok(file) => file,
            Err(DiskError::NotFound { .. }) => return Err(StoreError::Unknown(*channel)),
            Err(error) => return Err(error.into()),
        };
        let bytes = read(&*file)?;
        let (records, end) = Self::scan(&path, &bytes)?;
        if !records.first().is_some_and(|first| is_opening(first, channel)) {
            return Err(damaged_opening(path));
        }
        if end != bytes.len() as u64 {
            file.set_len(end)?;
            file.sync_data()?;
        }
        self.open.insert(*channel, Journal { file, end });
        Ok(records)
    }

    fn append(&mut self, channel: &ChannelId, record: &Record) -> Result<(), StoreError> {
        if self.poisoned {
            return Err(StoreError::Poisoned);
        }
        let written = self.write(channel, record);
        // After a failed sync nothing is known about the file, so nothing is built upon it.
        self.poisoned = matches!(written, Err(StoreError::Disk(_)));
        written
    }
}
