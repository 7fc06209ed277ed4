//! What can go wrong with a checkpoint, and what can be wrong in one.

use std::path::PathBuf;

use tidegate_disk::{DiskError, Lsn, Op};

use super::META_BYTES_MAX;
use crate::RegionError;

/// Something in a checkpoint that is not what was written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Problem {
    /// No superblock is whole.
    #[error("{}: no superblock is whole (offsets 0 and {second})", file.display())]
    Superblock {
        /// The file.
        file: PathBuf,
        /// Where its second slot begins.
        second: u64,
    },
    /// The list of page sums is not the one that the superblock knows.
    #[error("{}: the page sums of region {region} are damaged", file.display())]
    Sums {
        /// The file.
        file: PathBuf,
        /// The region.
        region: String,
    },
    /// A page is not the one that was written.
    #[error("{} at offset {offset}: page {page} of region {region} is damaged", file.display())]
    Page {
        /// The file.
        file: PathBuf,
        /// The region.
        region: String,
        /// The number of the page in the region.
        page: usize,
        /// Where it begins in the file, in bytes.
        offset: u64,
    },
    /// A file is missing or ends too early.
    #[error("{} ends at offset {offset}: region {region} needs {needed} bytes", file.display())]
    Short {
        /// The file.
        file: PathBuf,
        /// The region.
        region: String,
        /// Its length; 0 when it is missing.
        offset: u64,
        /// The length it should have.
        needed: u64,
    },
}

/// Why a checkpoint was not written or not loaded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CheckpointError {
    /// There is no room. The checkpoint before stands and the store goes on: write again when there is room.
    #[error("no room for the checkpoint: {0}")]
    NoSpace(#[source] DiskError),
    /// A write, sync or rename failed. The store takes no more checkpoints.
    #[error("the checkpoint failed: {0}")]
    Failed(#[source] DiskError),
    /// A checkpoint has failed before.
    #[error("a checkpoint has failed before; restart to recover what is durable")]
    Poisoned,
    /// Reading failed.
    #[error("cannot read the checkpoint: {0}")]
    Read(#[source] DiskError),
    /// The checkpoint is not whole.
    #[error("damaged checkpoint: {0}")]
    Damaged(#[source] Problem),
    /// There is no store in the folder.
    #[error("there is no checkpoint store in {}", dir.display())]
    NoStore {
        /// The folder.
        dir: PathBuf,
    },
    /// There is a store in the folder already.
    #[error("there is a checkpoint store in {} already", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The checkpoint has other regions than the program.
    #[error("the checkpoint in {} has other regions: {}", dir.display(), found.join(", "))]
    OtherRegions {
        /// The folder.
        dir: PathBuf,
        /// The regions in the checkpoint.
        found: Vec<String>,
    },
    /// The meta is too long.
    #[error("{bytes} bytes of meta; the superblock takes {META_BYTES_MAX}")]
    MetaTooLong {
        /// Its length.
        bytes: usize,
    },
    /// The checkpoint would cover less than the one before.
    #[error("a checkpoint up to record {lsn} after one up to {before}")]
    Backwards {
        /// The number asked for.
        lsn: Lsn,
        /// The number of the checkpoint before.
        before: Lsn,
    },
    /// A region cannot be made or filled.
    #[error(transparent)]
    Region(#[from] RegionError),
}

impl CheckpointError {
    /// A write that found no room may be tried again later. A sync that failed never is, whatever its reason: the next one
    /// may succeed without what the first one lost.
    pub(super) fn of_disk(error: DiskError) -> Self {
        match error {
            DiskError::NoSpace {
                op: Op::Sync | Op::SyncDir,
                ..
            } => Self::Failed(error),
            error if error.is_no_space() => Self::NoSpace(error),
            error => Self::Failed(error),
        }
    }
}
