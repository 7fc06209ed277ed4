//! Why there is no backup, or no good one.

use std::path::PathBuf;

use tidegate_disk::DiskError;
use tidegate_ledger::GenesisError;
use tidegate_settle::{CreateError, OpenError, QueryError};
use tidegate_table::{CheckpointError, SealedError};
use tidegate_wal::LogError;

use crate::forward::KeptError;
use crate::state::StateError;

/// Why a backup was not made, checked or restored.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The file is damaged, not finished, or there already.
    #[error(transparent)]
    Sealed(#[from] SealedError),
    /// All sums of the file hold, and yet its content is not that of a backup this program reads.
    #[error("{}: {what}", path.display())]
    Content {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: String,
    },
    /// Another process writes the same backup.
    #[error("another process is writing {}", path.display())]
    Busy {
        /// The unfinished file.
        path: PathBuf,
    },
    /// The hub wrote checkpoints faster than they could be copied.
    #[error("the hub has overwritten what was being copied, {attempts} times over")]
    Overtaken {
        /// How often it was tried.
        attempts: u32,
    },
    /// The hub's state cannot be read, replayed or written.
    #[error("{0}")]
    State(#[from] StateError),
    /// The ledger cannot be read or replayed.
    #[error("ledger: {0}")]
    Ledger(#[from] OpenError),
    /// The ledger's blocks cannot be read.
    #[error("ledger: {0}")]
    Blocks(#[from] QueryError),
    /// The ledger cannot be written.
    #[error("ledger: {0}")]
    NewLedger(#[from] CreateError),
    /// The genesis is not one.
    #[error("genesis: {0}")]
    Genesis(#[from] GenesisError),
    /// The journals of channels with next hubs cannot be read.
    #[error("{0}")]
    Journals(Box<KeptError>),
    /// A file cannot be read or written.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes: {0}")]
    Random(getrandom::Error),
}

impl From<CheckpointError> for BackupError {
    fn from(error: CheckpointError) -> Self {
        Self::State(error.into())
    }
}

impl From<LogError> for BackupError {
    fn from(error: LogError) -> Self {
        Self::State(error.into())
    }
}
