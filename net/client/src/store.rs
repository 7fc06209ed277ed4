//! What a wallet must not forget: one journal for each channel.
//!
//! A journal is the ordered list of everything that made a channel what it is: its opening, each state that was signed, each
//! leaf that was believed, each ack, each proof. Reading it again gives the same wallet. A record is durable when
//! [`WalletStore::append`] returns, and only then is what it holds sent to anyone.

mod file;
mod memory;
mod record;

pub use file::FileStore;
pub use memory::MemoryStore;
pub use record::{Opened, Record, RecordError};

use core::fmt;
use std::path::PathBuf;

use tidegate_disk::DiskError;
use tidegate_types::ChannelId;

/// Why a store does not answer.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed. What the failed call should have stored may or may not be there: the wallet is read anew.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A journal holds bytes that were never written there.
    #[error("the journal {} is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// The journal.
        path: PathBuf,
        /// Where the bad record begins.
        offset: u64,
        /// What is wrong.
        what: RecordError,
    },
    /// There is no such channel in this store.
    #[error("this wallet has no channel {0}")]
    Unknown(ChannelId),
    /// The channel is there already.
    #[error("this wallet has channel {0} already")]
    Exists(ChannelId),
    /// An earlier append failed; nothing more is written until the wallet is opened anew.
    #[error("the wallet's disk has failed before; open the wallet anew")]
    Poisoned,
}

/// Keeps journals. Each channel has one writer, this wallet.
pub trait WalletStore: fmt::Debug + Send {
    /// The channels that have a journal, in order.
    ///
    /// # Errors
    /// [`StoreError`].
    fn channels(&self) -> Result<Vec<ChannelId>, StoreError>;

    /// Begins a journal with its first record, durably.
    ///
    /// # Errors
    /// [`StoreError::Exists`], or what the disk says.
    fn create(&mut self, opened: &Opened) -> Result<(), StoreError>;

    /// Every record of a journal, in order.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], [`StoreError::Damaged`], or what the disk says.
    fn load(&mut self, channel: &ChannelId) -> Result<Vec<Record>, StoreError>;

    /// Adds a record, durably.
    ///
    /// # Errors
    /// [`StoreError::Unknown`], or what the disk says.
    fn append(&mut self, channel: &ChannelId, record: &Record) -> Result<(), StoreError>;
}
