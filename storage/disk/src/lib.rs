//! The disk as the rest of storage sees it: files that are written at offsets, synced, renamed, and may fail.
//!
//! [`Disk`] is object safe: the log and the checkpoints hold an `Arc<dyn Disk>`, so that the very same code runs over
//! [`RealDisk`] in the hub and over [`FaultyDisk`] in tests. One virtual call beside a system call costs nothing.
//!
//! What the contract promises, and what it does not:
//!
//! | call | when it has returned `Ok` |
//! |---|---|
//! | [`DiskFile::write_parts_at`] | later reads see the bytes; a power loss may keep any subset of their 512 B sectors |
//! | [`DiskFile::sync_data`] | the bytes and the length of the file survive a power loss |
//! | [`Disk::sync_dir`] | names made, renamed and removed in that folder survive a power loss |
//! | anything else | seen by this process at once, survives nothing yet |
//!
//! Nothing here retries a failed call, buffers a byte, or knows what the bytes mean.

mod error;
mod faulty;
mod lock;
mod lsn;
mod real;

use std::{fmt, path::Path, sync::Arc};

pub use error::{DiskError, Op};
pub use faulty::{Fault, FaultKind, FaultyDisk, Site, SiteCount};
pub use lock::DirLock;
pub use lsn::Lsn;
pub use real::RealDisk;

/// The unit that a medium writes whole or not at all, in bytes. The recovery argument rests on it: see
/// `storage/README.md`, assumptions about the medium.
pub const SECTOR_BYTES: usize = 512;

/// How [`Disk::open`] opens a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading; writes fail.
    Read,
    /// An existing file, for reading and writing.
    Write,
    /// A new file, for reading and writing; it is an error when the name exists.
    CreateNew,
}

/// A folder tree of files. All paths are whole paths, as the caller would give them to the operating system.
pub trait Disk: fmt::Debug + Send + Sync {
    /// Opens a file.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] for a missing file, [`DiskError::AlreadyExists`] for [`OpenMode::CreateNew`] of a file
    /// that is there, else what the medium says.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError>;

    /// Gives the file `from` the name `to`, replacing a file of that name. Durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// [`DiskError::NotFound`] without `from`, else what the medium says.
    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError>;

    /// Removes the name of a file. Durable after [`Disk::sync_dir`].
    ///
    /// # Errors
    /// [`DiskError::NotFound`] for a missing file, else what the medium says.
    fn remove(&self, path: &Path) -> Result<(), DiskError>;

    /// The names (not paths) of the files in `dir`, sorted. Folders and names that are not UTF-8 are left out.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] for a missing folder, else what the medium says.
    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError>;

    /// Whether a file or folder of that name exists.
    ///
    /// # Errors
    /// What the medium says; a missing name is `Ok(false)`.
    fn exists(&self, path: &Path) -> Result<bool, DiskError>;

    /// Makes `dir` and the folders above it, durably. A folder that is there already is no error.
    ///
    /// # Errors
    /// What the medium says.
    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError>;

    /// Makes the names in `dir` durable.
    ///
    /// # Errors
    /// What the medium says. After a failure nothing is known about the names: the caller stops.
    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError>;

    /// Takes the exclusive lock of `dir`: an advisory lock on its file `LOCK`, which holds the owner's process number
    /// as text. Released when the [`DirLock`] is dropped or the process ends, however it ends. A lock that is held is
    /// waited for, a fraction of a second at most: a child that the owner is just starting may hold it that long.
    ///
    /// # Errors
    /// [`DiskError::Locked`] with the owner's process number while another holds it, else what the medium says.
    fn lock_dir(&self, dir: &Path) -> Result<DirLock, DiskError>;

    /// Holds owners off `dir` while it is read, beside any number of other readers, and writes nothing, so that it works
    /// on a medium that cannot be written. `None` without a file `LOCK`, as in a copy that nobody has owned yet.
    ///
    /// # Errors
    /// [`DiskError::Locked`] while an owner holds it, else what the medium says.
    fn lock_dir_shared(&self, dir: &Path) -> Result<Option<DirLock>, DiskError>;
}

/// An open file. Calls may come from several threads at once.
pub trait DiskFile: fmt::Debug + Send + Sync {
    /// Writes the concatenation of `parts` at `offset`, all of it, lengthening the file when needed.
    ///
    /// # Errors
    /// [`DiskError::NoSpace`] or [`DiskError::Io`]; any part of the bytes may have been written then.
    fn write_parts_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), DiskError>;

    /// Writes `bytes` at `offset`, all of them.
    ///
    /// # Errors
    /// As [`DiskFile::write_parts_at`].
    fn write_at(&self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.write_parts_at(offset, &[bytes])
    }

    /// Fills `into` from `offset`.
    ///
    /// # Errors
    /// [`DiskError::UnexpectedEnd`] when the file is shorter, else what the medium says.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskError>;

    /// Makes the bytes and the length durable (`fdatasync`).
    ///
    /// # Errors
    /// What the medium says. After a failure the kernel may have forgotten which pages were not written: a later
    /// success means nothing, so the caller must never try again.
    fn sync_data(&self) -> Result<(), DiskError>;

    /// Sets the length; new bytes read as zeros.
    ///
    /// # Errors
    /// What the medium says.
    fn set_len(&self, bytes: u64) -> Result<(), DiskError>;

    /// Reserves room so that writes below `bytes` do not run out of space, lengthening the file when needed.
    ///
    /// # Errors
    /// [`DiskError::NoSpace`] without room, else what the medium says.
    fn allocate(&self, bytes: u64) -> Result<(), DiskError>;

    /// The length in bytes.
    ///
    /// # Errors
    /// What the medium says.
    fn len(&self) -> Result<u64, DiskError>;

    /// Whether the file has no bytes.
    ///
    /// # Errors
    /// What the medium says.
    fn is_empty(&self) -> Result<bool, DiskError> {
        Ok(self.len()? == 0)
    }
}
