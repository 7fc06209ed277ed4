//! What can go wrong with a node, one enum for each operation.

use std::path::PathBuf;

use tidegate_disk::DiskError;
use tidegate_ledger::{BlockError, GenesisError, MempoolError, SealError, TransactionError};
use tidegate_table::{HashTableError, RegionError};
use tidegate_types::{DecodeError, Height};
use tidegate_wal::LogError;

/// Why no node was made.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// There is one.
    #[error("{} holds a settlement node already", dir.display())]
    Exists {
        /// The folder.
        dir: PathBuf,
    },
    /// The genesis breaks a rule.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The log was not made.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A file was not written.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a node was not opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// There is none.
    #[error("{} holds no settlement node", dir.display())]
    NoNode {
        /// The folder.
        dir: PathBuf,
    },
    /// The node's file is damaged.
    #[error("{} is damaged", file.display())]
    DamagedNode {
        /// The file.
        file: PathBuf,
    },
    /// The genesis is not the one that the node was made with.
    #[error("{} is damaged: it is not the genesis of this node", file.display())]
    OtherGenesis {
        /// The file.
        file: PathBuf,
    },
    /// The genesis does not decode.
    #[error(transparent)]
    Genesis(#[from] GenesisError),
    /// The log cannot be read or repaired.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record of the log holds no block.
    #[error("the record of block {height} does not decode: {error}")]
    Record {
        /// The block.
        height: Height,
        /// Why.
        error: DecodeError,
    },
    /// A block of the log does not apply.
    #[error("block {height} of the log does not apply: {error}")]
    Block {
        /// The block.
        height: Height,
        /// Why.
        error: BlockError,
    },
    /// The log has more blocks than there are heights.
    #[error("the log is longer than the ledger can be")]
    TooLong,
    /// The memory for the unspent outputs cannot be had.
    #[error(transparent)]
    Table(#[from] HashTableError),
    /// The memory for the unspent outputs cannot be had.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// A file cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// Why a transaction was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SubmitError {
    /// It breaks a rule.
    #[error(transparent)]
    Refused(#[from] TransactionError),
    /// The mempool does not take it.
    #[error(transparent)]
    Mempool(#[from] MempoolError),
    /// The table of unspent outputs has no room for what it would create.
    #[error("the table of unspent outputs is full")]
    TableFull,
    /// The node has failed.
    #[error("the settlement node has failed; restart it")]
    Poisoned,
}

/// Why no block was made.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TickError {
    /// The node was opened without the validator's key.
    #[error("the node was opened without the validator's key")]
    NoKey,
    /// The validator cannot make one.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// There is no room on the disk for the next block. Nothing changed: tick again when there is.
    #[error(transparent)]
    NoSpace(LogError),
    /// The block could not be made durable. The node is poisoned.
    #[error(transparent)]
    Log(LogError),
    /// The node has failed before.
    #[error("the settlement node has failed; restart it")]
    Poisoned,
}

/// Why blocks of another node were not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FollowError {
    /// They stand on no block that this node has above its last final one.
    #[error("the branch does not begin at a block of this chain above the last final one, {final_height}")]
    Detached {
        /// The height of the last final block.
        final_height: Height,
    },
    /// They are a branch that is no higher than what stands.
    #[error("the branch ends at {end}, no higher than the tip at {tip}")]
    NotHigher {
        /// Where the branch ends.
        end: Height,
        /// The tip.
        tip: Height,
    },
    /// One of them breaks a rule; nothing of it or above it was taken.
    #[error("block {height}: {error}")]
    Block {
        /// Its height.
        height: Height,
        /// How.
        error: BlockError,
    },
    /// The table of unspent outputs has no room for what a block creates.
    #[error("the table of unspent outputs is full")]
    TableFull,
    /// There is no room on the disk. Nothing changed: follow again when there is.
    #[error(transparent)]
    NoSpace(LogError),
    /// The blocks could not be made durable. The node is poisoned.
    #[error(transparent)]
    Log(LogError),
    /// The node is only looked at.
    #[error("the settlement node was opened to be looked at")]
    ReadOnly,
    /// The node has failed before.
    #[error("the settlement node has failed; restart it")]
    Poisoned,
}

/// Why blocks cannot be read back.
#[derive(Debug, thiserror::Error)]
pub enum QueryError {
    /// The node was put together in memory.
    #[error("this node has no files to read blocks from")]
    NoFiles,
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
    /// A record holds no block.
    #[error("a record of the log does not decode: {0}")]
    Record(DecodeError),
    /// A file cannot be read.
    #[error(transparent)]
    Disk(#[from] DiskError),
}

/// What an audit found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuditError {
    /// Σ of the unspent outputs is not what the books say.
    #[error("the unspent outputs hold {found} satoshi, the books say {expected}")]
    Sum {
        /// What the outputs hold.
        found: u128,
        /// What the books say.
        expected: u128,
    },
    /// The tree over the unspent outputs has another root than the tip.
    #[error("the unspent outputs are not those that the tip commits to")]
    Root,
    /// The lookup tables are not those of the unspent outputs.
    #[error("the lookup tables do not fit the unspent outputs")]
    Index,
}
