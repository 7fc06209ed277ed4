//! Writing a snapshot, and going on where a writing was interrupted.

use std::{
    fmt,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_disk::{Disk, DiskError, DiskFile, OpenMode};

use super::{
    PART_NAME_BYTES_MAX, SealedError, SealedItem, SealedReader,
    block::{self, BlockHeader, HASH_BYTES, HEAD_BYTES, Kind, PAYLOAD_BYTES_MAX},
    unfinished,
};

/// A sync after so many bytes: the disk is kept busy in small steps, so that somebody else's sync of a small write never
/// waits behind all of a snapshot.
const SYNC_EVERY_BYTES: u64 = 8 << 20;

/// A snapshot that is whole and durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sealed {
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of the file, as `b3sum` prints it.
    pub hash: [u8; HASH_BYTES],
}

/// Writes a snapshot. The caller sees to it that nobody else writes the same.
pub struct SealedWriter {
    disk: Arc<dyn Disk>,
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    offset: u64,
    number: u64,
    unsynced: u64,
    hasher: blake3::Hasher,
}

impl fmt::Debug for SealedWriter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SealedWriter({} at {})", self.path.display(), self.offset)
    }
}

impl SealedWriter {
    /// Begins a snapshot that will have the name `path`, over whatever an interrupted writing left.
    ///
    /// # Errors
    /// [`SealedError::Exists`] when there is a file of that name, [`SealedError::Disk`].
    pub fn create(disk: &Arc<dyn Disk>, path: &Path) -> Result<Self, SealedError> {
        refuse_existing(&**disk, path)?;
        let temporary = unfinished(path);
        let file = match disk.open(&temporary, OpenMode::CreateNew) {
            Err(DiskError::AlreadyExists { .. }) => {
                let file = disk.open(&temporary, OpenMode::Write)?;
                file.set_len(0)?;
                file
            }
            other => other?,
        };
        let head = block::head();
        file.write_at(0, &head)?;
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        Ok(Self {
            disk: Arc::clone(disk),
            path: path.to_owned(),
            file,
            offset: HEAD_BYTES as u64,
            number: 0,
            unsynced: HEAD_BYTES as u64,
            hasher,
        })
    }

    /// Goes on with an interrupted writing of `path`: `seen` is shown all that is whole of it, in order, up to the last
    /// whole unit, and what stands behind is cut off. `None` where nothing was begun.
    ///
    /// # Errors
    /// [`SealedError::Exists`], [`SealedError::Disk`].
    pub fn resume(
        disk: &Arc<dyn Disk>,
        path: &Path,
        seen: &mut dyn FnMut(SealedItem<'_>),
    ) -> Result<Option<Self>, SealedError> {
        refuse_existing(&**disk, path)?;
        let temporary = unfinished(path);
        let mut reader = match SealedReader::open(&**disk, &temporary) {
            Ok(reader) => reader,
            Err(SealedError::Damaged { .. } | SealedError::Disk(DiskError::NotFound { .. })) => return Ok(None),
            Err(other) => return Err(other),
        };
        let mut whole = (reader.offset, reader.number, reader.hasher.clone());
        loop {
            match reader.next_item() {
                // Only its new name is missing; the end is written again.
                Ok(SealedItem::End) | Err(SealedError::Damaged { .. }) => break,
                Ok(item) => seen(item),
                Err(other) => return Err(other),
            }
            whole = (reader.offset, reader.number, reader.hasher.clone());
        }
        let (offset, number, hasher) = whole;
        let file = disk.open(&temporary, OpenMode::Write)?;
        file.set_len(offset)?;
        Ok(Some(Self {
            disk: Arc::clone(disk),
            path: path.to_owned(),
            file,
            offset,
            number,
            unsynced: offset,
            hasher,
        }))
    }

    /// Begins a part.
    ///
    /// # Errors
    /// [`SealedError::Disk`].
    ///
    /// # Panics
    /// If the name is longer than [`PART_NAME_BYTES_MAX`].
    pub fn begin_part(&mut self, name: &str) -> Result<(), SealedError> {
        assert!(name.len() <= PART_NAME_BYTES_MAX, "a part's name is short");
        self.block(Kind::Part, name.as_bytes())
    }

    /// Appends one unit to the part that was begun last.
    ///
    /// # Errors
    /// [`SealedError::Disk`].
    pub fn unit(&mut self, bytes: &[u8]) -> Result<(), SealedError> {
        let mut rest = bytes;
        while rest.len() > PAYLOAD_BYTES_MAX {
            let (piece, behind) = rest.split_at(PAYLOAD_BYTES_MAX);
            self.block(Kind::Piece, piece)?;
            rest = behind;
        }
        self.block(Kind::Last, rest)
    }

    fn block(&mut self, kind: Kind, payload: &[u8]) -> Result<(), SealedError> {
        let header = BlockHeader::seal(kind, self.number, payload);
        self.file.write_parts_at(self.offset, &[header.bytes(), payload])?;
        self.hasher.update(header.bytes());
        self.hasher.update(payload);
        let bytes = (header.bytes().len() + payload.len()) as u64;
        self.offset += bytes;
        self.number += 1;
        self.unsynced += bytes;
        if self.unsynced >= SYNC_EVERY_BYTES {
            self.file.sync_data()?;
            self.unsynced = 0;
        }
        Ok(())
    }

    /// How many bytes there are so far.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.offset
    }

    /// Writes the end, makes everything durable, and gives the file its name.
    ///
    /// # Errors
    /// [`SealedError::Exists`] when somebody else made a file of that name meanwhile, [`SealedError::Disk`].
    pub fn seal(mut self) -> Result<Sealed, SealedError> {
        let content = *self.hasher.finalize().as_bytes();
        self.block(Kind::End, &content)?;
        self.file.sync_data()?;
        refuse_existing(&*self.disk, &self.path)?;
        self.disk.rename(&unfinished(&self.path), &self.path)?;
        self.disk.sync_dir(folder(&self.path))?;
        Ok(Sealed {
            bytes: self.offset,
            hash: *self.hasher.finalize().as_bytes(),
        })
    }
}

fn folder(path: &Path) -> &Path {
    path.parent()
        .filter(|parent| !parent.as_os_str().is_empty())
        .unwrap_or(Path::new("."))
}

fn refuse_existing(disk: &dyn Disk, path: &Path) -> Result<(), SealedError> {
    if disk.exists(path)? {
        return Err(SealedError::Exists { path: path.to_owned() });
    }
    Ok(())
}
