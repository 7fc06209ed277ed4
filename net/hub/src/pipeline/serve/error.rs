//! Why a hub does not serve.

use std::path::PathBuf;

use tidegate_disk::DiskError;
use tidegate_reactor::ReactorError;
use tidegate_settle::{OpenError, QueryError};
use tidegate_wal::LogError;

use crate::admin::AdminError;
use crate::pipeline::ledger::LedgerFailure;
use crate::pipeline::sequencer::SequencerError;
use crate::state::StateError;

/// Why a hub did not start, or has ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The data directory cannot be used.
    #[error("{0}")]
    Disk(#[from] DiskError),
    /// The state cannot be opened.
    #[error("{0}")]
    State(#[from] StateError),
    /// The embedded ledger cannot be opened.
    #[error("ledger: {0}")]
    Ledger(#[from] OpenError),
    /// The embedded ledger's blocks cannot be read.
    #[error("ledger: {0}")]
    LedgerRead(#[from] QueryError),
    /// The ledger failed while it ran.
    #[error("ledger: {0}")]
    LedgerFailed(#[from] LedgerFailure),
    /// The state belongs to another key or ledger than the directory's.
    #[error("the state belongs to another hub key or another ledger than those of {}", data.display())]
    OtherHub {
        /// The directory.
        data: PathBuf,
    },
    /// The network layer failed.
    #[error("{0}")]
    Reactor(#[from] ReactorError),
    /// The admin endpoint failed.
    #[error("{0}")]
    Admin(#[from] AdminError),
    /// This processor cannot run the verifier that was asked for.
    #[error("{0}")]
    Backend(#[from] tidegate_crypto::verify::BackendError),
    /// The journals of the routes cannot be used.
    #[error("{0}")]
    Routes(#[from] crate::forward::KeptError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// The threads that verify could not be started.
    #[error("the verifying threads could not be started: {0}")]
    Pool(#[from] rayon::ThreadPoolBuildError),
    /// The log failed: the hub has stopped answering.
    #[error("the log failed, nothing was answered after it: {0}")]
    Log(LogError),
    /// The sequencer ended by itself.
    #[error("{0}")]
    Sequencer(#[from] SequencerError),
    /// A thread panicked.
    #[error("the {thread} thread panicked")]
    Panicked {
        /// Which.
        thread: &'static str,
    },
}
