//! The node itself.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{DirLock, Disk};
use tidegate_ledger::{Chain, MAX_OUTPUTS, Mempool, Sealed, Solo, Transaction, UtxoStore};
use tidegate_types::{LedgerId, Txid, UnixMillis};
use tidegate_wal::{Log, LogError, LogReader, Lsn, Tail};

use crate::archive::{Archive, archived};
use crate::files::{NodeFile, RECORD_HEAD, log_config};
use crate::index::Index;
use crate::keep::Keep;
use crate::recent::Recent;
use crate::{CreateError, NewNode, NodeReplay, OpenError, SubmitError, TickError, TieredStore};

/// How a node behaves. Nothing here is a rule of the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NodeOptions {
    /// A tick makes a block at once when a transaction waits, instead of at the next interval.
    pub mine_on_submit: bool,
    /// Memory for waiting transactions, in bytes of their encodings.
    pub mempool_bytes: u64,
    /// An image is made and the log cut when the log behind the last image reaches this many bytes. An empty block takes 4 KiB.
    pub image_log_bytes: u64,
    /// Address space for this many unspent outputs, 427 to 854 bytes each; raised to twice those of the genesis.
    pub utxos_max: usize,
}

impl Default for NodeOptions {
    fn default() -> Self {
        Self {
            mine_on_submit: false,
            mempool_bytes: 32 << 20,
            image_log_bytes: 64 << 20,
            utxos_max: 1 << 20,
        }
    }
}

/// A settlement node over one folder. See the crate's documentation.
#[derive(Debug)]
pub struct Node {
    /// None of a node that was put together from what a backup holds.
    pub(crate) home: Option<Home>,
    /// Nobody writes while a node is only looked at.
    pub(crate) writer: Option<Writer>,
    pub(crate) chain: Chain<TieredStore>,
    pub(crate) mempool: Mempool,
    pub(crate) index: Index,
    pub(crate) recent: Recent,
    pub(crate) options: NodeOptions,
    pub(crate) utxos_max: usize,
    poisoned: bool,
}

/// Where a node's files are.
#[derive(Debug)]
pub(crate) struct Home {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) log_identity: u64,
}

#[derive(Debug)]
pub(crate) struct Writer {
    pub(crate) log: Log,
    pub(crate) keep: Keep,
    solo: Option<Solo>,
    _lock: DirLock,
}

impl Home {
    fn new(disk: &Arc<dyn Disk>, dir: &Path, file: NodeFile) -> Self {
        Self {
            disk: Arc::clone(disk),
            dir: dir.to_owned(),
            log_identity: file.log_identity,
        }
    }
}

impl Node {
    /// A node without files that makes no blocks.
    pub(crate) fn of_chain(
        chain: Chain<TieredStore>,
        index: Index,
        recent: Recent,
        options: NodeOptions,
        utxos_max: usize,
    ) -> Self {
        Self {
            home: None,
            writer: None,
            chain,
            mempool: Mempool::new(options.mempool_bytes),
            index,
            recent,
            options,
            utxos_max,
            poisoned: false,
        }
    }

    /// Makes a node in the folder `dir`, which may not hold one. `log_identity` is random and shown to nobody.
    ///
    /// # Errors
    /// [`CreateError`]. What an interrupted call leaves is no node; calling again starts over.
    pub fn create(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        genesis: &[u8],
        log_identity: u64,
    ) -> Result<LedgerId, CreateError> {
        NewNode::begin(disk, dir, genesis, log_identity)?.finish()
    }

    /// Opens the node in `dir`: builds the ledger from its genesis and applies the blocks of its log. With `key`, the
    /// validator's, it makes blocks; without, it only answers.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn open(
        disk: &Arc<dyn Disk>,
        dir: &Path,
        key: Option<SecretKey>,
        options: NodeOptions,
    ) -> Result<Self, OpenError> {
        let lock = disk.lock_dir(dir)?;
        let archive = Archive::open(disk, dir)?;
        let (mut replay, file) = NodeReplay::read(&**disk, dir, options)?;
        let config = log_config(file.log_identity, replay.params());
        let mut log = Log::open(Arc::clone(disk), dir, config, Lsn::new(archive.end().lsn).next())?;
        while let Some(record) = log.next_record()? {
            replay.record(&record)?;
        }
        let (log, _tail) = log.finish()?;
        // So that the first block does not wait for it. Without room the blocks will say so.
        match log.segments().prepare() {
            Ok(()) | Err(LogError::NoSpace(_)) => {}
            Err(error) => return Err(OpenError::Log(error)),
        }
        let keep = Keep {
            archive,
            replayed: replay.replayed_bytes(),
            written: log.counters().bytes,
            images: replay.images(),
        };
        let writer = Writer {
            log,
            keep,
            solo: key.map(Solo::new),
            _lock: lock,
        };
        let mut node = replay.finish();
        node.writer = Some(writer);
        node.home = Some(Home::new(disk, dir, file));
        tracing::info!(height = %node.tip().height, outputs = node.chain.store().len(), "settlement node is open");
        Ok(node)
    }

    /// Builds the ledger of the node in `dir` as [`Node::open`] does, and changes nothing: it takes no lock, repairs
    /// nothing and makes no blocks. A torn tail is passed over and told.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn look(disk: &Arc<dyn Disk>, dir: &Path) -> Result<(Self, Tail), OpenError> {
        let (mut replay, file) = NodeReplay::read(&**disk, dir, NodeOptions::default())?;
        let from = Lsn::new(archived(&**disk, dir)?.lsn).next();
        let mut reader = LogReader::open(&**disk, dir, file.log_identity, from)?;
        while let Some(record) = reader.next_record()? {
            replay.record(&record)?;
        }
        let tail = reader.tail()?;
        let mut node = replay.finish();
        node.home = Some(Home::new(disk, dir, file));
        Ok((node, tail))
    }

    /// Checks a transaction and takes it into the mempool.
    ///
    /// # Errors
    /// [`SubmitError`].
    pub fn submit(&mut self, transaction: Transaction) -> Result<Txid, SubmitError> {
        if self.poisoned {
            return Err(SubmitError::Poisoned);
        }
        let waiting = (self.mempool.len() + 1) as u64 * MAX_OUTPUTS as u64;
        if self.chain.store().len() + waiting > self.utxos_max as u64 {
            return Err(SubmitError::TableFull);
        }
        let checked = self.chain.check(transaction)?;
        let txid = checked.txid();
        let dropped = self.mempool.insert(checked)?;
        for other in dropped {
            tracing::warn!(txid = %other.txid(), "dropped from the full mempool for a higher fee");
        }
        Ok(txid)
    }

    /// The time of the next block if no transaction comes.
    #[must_use]
    pub fn next_block_at(&self) -> UnixMillis {
        let interval = self.chain.params().block_interval_ms.into();
        self.chain.tip().time.checked_add(interval).unwrap_or(UnixMillis::MAX)
    }

    /// Makes the next block if it is due at `now`, and makes it durable. `None` if none is due.
    ///
    /// # Errors
    /// [`TickError`].
    pub fn tick(&mut self, now: UnixMillis) -> Result<Option<Sealed>, TickError> {
        let on_demand = self.options.mine_on_submit && !self.mempool.is_empty();
        if on_demand || now >= self.next_block_at() {
            self.seal(now).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Makes the next block now, due or not, and makes it durable.
    ///
    /// # Errors
    /// [`TickError`].
    pub fn seal(&mut self, now: UnixMillis) -> Result<Sealed, TickError> {
        if self.poisoned {
            return Err(TickError::Poisoned);
        }
        self.bring_settlements();
        let Some(Writer {
            log, solo: Some(solo), ..
        }) = &mut self.writer
        else {
            return Err(TickError::NoKey);
        };
        // Room is made sure of before the chain moves: a block that is sealed is written.
        match log.segments().prepare() {
            Ok(()) => {}
            Err(error @ LogError::NoSpace(_)) => return Err(TickError::NoSpace(error)),
            Err(error) => return Err(self.poison(error)),
        }
        let sealed = solo.seal(&mut self.chain, &mut self.mempool, now)?;
        let encoded = sealed.block.encode();
        if let Err(error) = log.append_sync(&[&RECORD_HEAD, &encoded]) {
            return Err(self.poison(error));
        }
        self.recent
            .push(&mut self.index, &sealed.block, encoded, sealed.applied.clone());
        self.keep_small()?;
        Ok(sealed)
    }

    /// Closes whose last word is spoken are settled by whoever makes the block: anyone may, and it pays itself.
    fn bring_settlements(&mut self) {
        let (next, solo) = (
            self.tip().height.next(),
            self.writer.as_ref().is_some_and(|writer| writer.solo.is_some()),
        );
        let Some(next) = next.filter(|_| solo) else { return };
        let due = self.index.closing().filter(|funding| {
            let close = self.chain.close_of(funding);
            close.is_some_and(|(state, _)| state.grace_end < next)
        });
        let due: Vec<_> = due.filter_map(|funding| self.chain.settlement(funding).ok()).collect();
        for transaction in due {
            // One that waits already, or that somebody else has brought, is good too.
            let _known = self.submit(transaction);
        }
    }

    /// True after a failed write or sync: what the node holds in memory may not be durable, so its answers are worth
    /// nothing. The caller ends the process, or opens the node anew.
    #[must_use]
    pub const fn is_poisoned(&self) -> bool {
        self.poisoned
    }

    /// What is durable is unknown from here on: nothing more is made, taken or told.
    pub(crate) fn poison(&mut self, error: LogError) -> TickError {
        self.poisoned = true;
        tracing::error!(%error, "the ledger's log failed; the settlement node stops");
        TickError::Log(error)
    }

    pub(crate) const fn set_poisoned(&mut self) {
        self.poisoned = true;
    }
}
