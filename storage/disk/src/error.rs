//! What a disk may answer instead of success.

use std::{fmt, path::PathBuf};

/// The call that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Op {
    /// Opening an existing file.
    Open,
    /// Making a new file.
    Create,
    /// Making a folder.
    MakeDir,
    /// Reading bytes or a length.
    Read,
    /// Writing bytes.
    Write,
    /// Making bytes durable.
    Sync,
    /// Making names durable.
    SyncDir,
    /// Setting a length.
    SetLen,
    /// Reserving room.
    Allocate,
    /// Renaming a file.
    Rename,
    /// Removing a file.
    Remove,
    /// Listing a folder, or looking for a name.
    List,
    /// Locking a folder.
    Lock,
}

impl fmt::Display for Op {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Open => "open",
            Self::Create => "create",
            Self::MakeDir => "make folder",
            Self::Read => "read",
            Self::Write => "write",
            Self::Sync => "sync",
            Self::SyncDir => "sync folder",
            Self::SetLen => "set length of",
            Self::Allocate => "reserve room for",
            Self::Rename => "rename",
            Self::Remove => "remove",
            Self::List => "list",
            Self::Lock => "lock",
        })
    }
}

/// A failed call of a [`Disk`](crate::Disk) or a [`DiskFile`](crate::DiskFile).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DiskError {
    /// The device or the owner's quota is full (`ENOSPC`, `EDQUOT`).
    #[error("no space left on the device to {op} {}", path.display())]
    NoSpace {
        /// The call.
        op: Op,
        /// The file or folder.
        path: PathBuf,
    },
    /// There is no such file or folder.
    #[error("{} does not exist", path.display())]
    NotFound {
        /// The file or folder.
        path: PathBuf,
    },
    /// A file that should be new is there already.
    #[error("{} exists already", path.display())]
    AlreadyExists {
        /// The file.
        path: PathBuf,
    },
    /// Another process (or another part of this one) holds the folder.
    #[error("{} is in use by {}", path.display(), pid.map_or_else(|| "another process".into(), |pid| format!("process {pid}")))]
    Locked {
        /// The folder.
        path: PathBuf,
        /// The process that holds it, when its lock file says so.
        pid: Option<u32>,
    },
    /// The file ends before the bytes that were asked for.
    #[error("{} ends before byte {end}", path.display())]
    UnexpectedEnd {
        /// The file.
        path: PathBuf,
        /// The end of the range that was asked for.
        end: u64,
    },
    /// Anything else that the operating system reports.
    #[error("cannot {op} {}: {}", path.display(), std::io::Error::from_raw_os_error(*errno))]
    Io {
        /// The call.
        op: Op,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's number for the error.
        errno: i32,
    },
}

impl DiskError {
    /// Whether freeing room on the device may help.
    #[must_use]
    pub const fn is_no_space(&self) -> bool {
        matches!(self, Self::NoSpace { .. })
    }
}
