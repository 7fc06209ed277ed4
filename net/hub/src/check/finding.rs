//! One thing that is wrong, and where.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tidegate_settle::OpenError;
use tidegate_table::{CheckpointError, Problem};
use tidegate_wal::LogError;

use crate::files::GENESIS_FILE;
use crate::state::StateError;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Finding {
    /// What, in a sentence that names the place.
    pub what: String,
    /// The file, if it is in one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The offset in it, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub offset: Option<u64>,
    /// The log record concerned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lsn: Option<u64>,
}

impl Finding {
    pub(crate) fn new(what: impl Into<String>) -> Self {
        Self {
            what: what.into(),
            file: None,
            offset: None,
            lsn: None,
        }
    }

    pub(crate) fn in_file(path: &Path, what: impl Into<String>) -> Self {
        Self {
            file: Some(path.display().to_string()),
            ..Self::new(what)
        }
    }

    pub(crate) fn at(path: &Path, offset: u64, what: String) -> Self {
        Self {
            offset: Some(offset),
            ..Self::in_file(path, what)
        }
    }

    pub(crate) const fn with_lsn(mut self, lsn: u64) -> Self {
        self.lsn = Some(lsn);
        self
    }

    /// Whether both name one place of one file.
    pub(crate) fn same_place(&self, other: &Self) -> bool {
        self.file.is_some() && (&self.file, self.offset) == (&other.file, other.offset)
    }

    pub(crate) fn of_log(error: &LogError) -> Self {
        let what = error.to_string();
        match error {
            LogError::Damaged { file, offset, lsn, .. } => Self::at(file, *offset, what).with_lsn(lsn.get()),
            LogError::Gap { wanted, .. } => Self::new(what).with_lsn(wanted.get()),
            LogError::MissingSegment { file } => Self::in_file(file, what),
            LogError::NoLog { dir } => Self::in_file(dir, what),
            _ => Self::new(what),
        }
    }

    /// Of the ledger in `dir`, which does not open.
    pub(crate) fn of_ledger(dir: &Path, error: &OpenError) -> Self {
        let what = format!("the ledger: {error}");
        match error {
            OpenError::Log(log) => Self {
                what,
                ..Self::of_log(log)
            },
            OpenError::Record { height, .. } | OpenError::Block { height, .. } => {
                Self::in_file(dir, what).with_lsn(height.get().into())
            }
            OpenError::Genesis(_) => Self::in_file(&dir.join(GENESIS_FILE), what),
            OpenError::DamagedNode { file } | OpenError::OtherGenesis { file } => Self::in_file(file, what),
            _ => Self::in_file(dir, what),
        }
    }
}

impl From<Problem> for Finding {
    fn from(problem: Problem) -> Self {
        let what = problem.to_string();
        match &problem {
            Problem::Page { file, offset, .. } | Problem::Short { file, offset, .. } => Self::at(file, *offset, what),
            Problem::Sums { file, .. } | Problem::Superblock { file, .. } => Self::at(file, 0, what),
        }
    }
}

impl From<CheckpointError> for Finding {
    fn from(error: CheckpointError) -> Self {
        match error {
            CheckpointError::Damaged(problem) => problem.into(),
            CheckpointError::NoStore { ref dir } | CheckpointError::OtherRegions { ref dir, .. } => {
                Self::in_file(dir, error.to_string())
            }
            other => Self::new(other.to_string()),
        }
    }
}

impl From<&StateError> for Finding {
    fn from(error: &StateError) -> Self {
        let what = error.to_string();
        match error {
            StateError::Log(log) => Self {
                what,
                ..Self::of_log(log)
            },
            StateError::Checkpoint(checkpoint) => Self {
                what,
                ..checkpoint.clone().into()
            },
            StateError::BadRecord { lsn, .. } | StateError::Diverged { lsn, .. } => Self::new(what).with_lsn(*lsn),
            _ => Self::new(what),
        }
    }
}
