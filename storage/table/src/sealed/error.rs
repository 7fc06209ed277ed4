//! What can be wrong with a sealed snapshot.

use std::path::PathBuf;

use tidegate_disk::DiskError;

/// What is wrong at one place of a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedFault {
    /// It does not begin like one.
    #[error("this is no sealed snapshot of a known version")]
    Head,
    /// The bytes of a block are not those that were written.
    #[error("the block's checksum does not hold")]
    Checksum,
    /// A whole block stands where another belongs.
    #[error("a block is missing or out of order")]
    Order,
    /// The file ends in the middle: it was cut, or its writing was not finished.
    #[error("the file ends here, before its end block")]
    Cut,
    /// Something stands behind the end.
    #[error("bytes follow the end block")]
    Trailing,
    /// All blocks are whole, and yet it is not what was written.
    #[error("the hash of the whole file does not hold")]
    Hash,
}

/// Why a snapshot cannot be written or read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SealedError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// There is a whole one of that name; none is ever overwritten.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// It is damaged.
    #[error("{} at offset {offset}: {fault}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where the block begins, in bytes.
        offset: u64,
        /// What is wrong there.
        fault: SealedFault,
    },
}
