//! What can go wrong with a log.

use std::path::PathBuf;

use tidegate_disk::{DiskError, Lsn};

/// Why a call of the log failed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// There is no room to prepare a segment. Nothing was written and the log goes on: call again when there is room.
    #[error("no room for the next log segment: {0}")]
    NoSpace(#[source] DiskError),
    /// A write, sync or rename failed: what is durable is unknown, and the log takes no more calls.
    #[error("the log failed: {0}")]
    Failed(#[source] DiskError),
    /// The log has failed before.
    #[error("the log has failed before and takes no more records; restart to recover what is durable")]
    Poisoned,
    /// The payload does not fit in a segment.
    #[error("a record of {bytes} bytes is longer than the log takes ({max})")]
    TooLarge {
        /// The payload's length.
        bytes: u64,
        /// The longest payload, by [`LogConfig::payload_max`](crate::LogConfig::payload_max).
        max: u64,
    },
    /// Reading failed while the log was opened or scanned. Nothing was changed by it.
    #[error("cannot read the log: {0}")]
    Read(#[source] DiskError),
    /// A record that was durable cannot be read any more.
    #[error(
        "damage in {} at offset {offset}: record {lsn} was durable and is not whole (known from record {witness})",
        file.display()
    )]
    Damaged {
        /// The segment's file.
        file: PathBuf,
        /// Where the record begins, in bytes, or, when its header is gone too, the end of the record before it.
        offset: u64,
        /// The record that should be there.
        lsn: Lsn,
        /// The record, or the last record covered by the checkpoint, that proves it.
        witness: Lsn,
    },
    /// The log begins after the record from which it should be replayed.
    #[error("the log begins with record {found}, but record {wanted} is needed")]
    Gap {
        /// The first record needed.
        wanted: Lsn,
        /// The first record there is.
        found: Lsn,
    },
    /// A segment between others is missing.
    #[error("the log segment {} is missing", file.display())]
    MissingSegment {
        /// Its file.
        file: PathBuf,
    },
    /// There is no log in the folder.
    #[error("there is no log in {}", dir.display())]
    NoLog {
        /// The folder.
        dir: PathBuf,
    },
    /// There is a log in the folder already.
    #[error("there is a log in {} already", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The segment length is no multiple of the page, or too short for one record.
    #[error(
        "a log segment of {bytes} bytes is not a positive multiple of {} bytes",
        crate::PAGE_BYTES
    )]
    BadSegmentBytes {
        /// The length asked for.
        bytes: u64,
    },
}

impl LogError {
    /// The error of a log that is being made or repaired: nobody has been promised anything yet.
    pub(crate) fn of_repair(error: DiskError) -> Self {
        if error.is_no_space() {
            Self::NoSpace(error)
        } else {
            Self::Failed(error)
        }
    }
}
