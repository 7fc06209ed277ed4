//! Making a node: from its genesis alone, or with blocks that another node's log held.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{DirLock, Disk};
use tidegate_ledger::Genesis;
use tidegate_types::LedgerId;
use tidegate_wal::{Log, Lsn};

use crate::CreateError;
use crate::files::{GENESIS_FILE, NODE_FILE, NodeFile, RECORD_HEAD, log_config, remove_leftovers, write_file};

/// A node that is being made. It is none before [`NewNode::finish`].
#[derive(Debug)]
pub struct NewNode {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    file: NodeFile,
    log: Log,
    _lock: DirLock,
}

impl NewNode {
    /// Begins a node in the folder `dir`, which may not hold one. `log_identity` is random and shown to nobody.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn begin(disk: &Arc<dyn Disk>, dir: &Path, genesis: &[u8], log_identity: u64) -> Result<Self, CreateError> {
        let parsed = Genesis::parse(genesis)?;
        parsed.check()?;
        Self::begin_checked(disk, dir, genesis, &parsed, log_identity)
    }

    /// As [`NewNode::begin`] for the bytes of a genesis that the caller has parsed and checked: every key of a million
    /// channels costs as much as a signature.
    ///
    /// # Errors
    /// [`CreateError`].
    pub fn begin_checked(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        genesis: &[u8],
        parsed: &Genesis<'_>,
        log_identity: u64,
    ) -> Result<Self, CreateError> {
        disk.create_dir_all(dir)?;
        let lock = disk.lock_dir(dir)?;
        if disk.exists(&dir.join(NODE_FILE))? {
            return Err(CreateError::Exists { dir: dir.to_owned() });
        }
        remove_leftovers(&**disk, dir)?;
        write_file(&**disk, &dir.join(GENESIS_FILE), genesis)?;
        let config = log_config(log_identity, &parsed.header().params);
        Ok(Self {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            file: NodeFile::new(log_identity, parsed.ledger(), parsed.header().params.finality_depth),
            log: Log::create(Arc::clone(disk), dir, config, Lsn::FIRST)?,
            _lock: lock,
        })
    }

    /// Takes over the next block, as [`Blocks::next_encoded`](crate::Blocks::next_encoded) gave it. Whether it applies
    /// is found out when the node is opened.
    ///
    /// # Errors
    /// [`CreateError::Log`].
    pub fn block(&mut self, encoded: &[u8]) -> Result<(), CreateError> {
        self.log.append(&[&RECORD_HEAD, encoded])?;
        Ok(())
    }

    /// Makes it a node, durably.
    ///
    /// # Errors
    /// [`CreateError`]. What is left then is no node; beginning again starts over.
    pub fn finish(mut self) -> Result<LedgerId, CreateError> {
        self.log.sync()?;
        self.file.write(&*self.disk, &self.dir)?;
        Ok(self.file.ledger)
    }
}
