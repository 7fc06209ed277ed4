//! From a genesis and the blocks behind it to the ledger that they lead to.

use std::path::Path;

use tidegate_disk::Disk;
use tidegate_ledger::{Block, Chain, Genesis, LedgerParams, Trust};
use tidegate_types::{DecodeError, Height};
use tidegate_wal::Record;

use crate::files::{Entry, GENESIS_FILE, NodeFile, read_file};
use crate::index::Index;
use crate::recent::Recent;
use crate::{Node, NodeOptions, OpenError, TableStore};

/// A ledger that is built from what was recorded of it.
#[derive(Debug)]
pub struct NodeReplay {
    chain: Chain<TableStore>,
    index: Index,
    recent: Recent,
    options: NodeOptions,
    utxos_max: usize,
}

impl NodeReplay {
    /// Begins with a genesis that this program has checked before.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn new(genesis: &[u8]) -> Result<Self, OpenError> {
        Self::of_genesis(&Genesis::parse(genesis)?, NodeOptions::default(), 0)
    }

    /// Begins with the genesis in a node's folder.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path, options: NodeOptions) -> Result<(Self, NodeFile), OpenError> {
        let file = NodeFile::read(disk, dir)?;
        let bytes = read_file(disk, &dir.join(GENESIS_FILE))?;
        let genesis = Genesis::parse(&bytes)?;
        if genesis.ledger() != file.ledger {
            return Err(OpenError::OtherGenesis {
                file: dir.join(GENESIS_FILE),
            });
        }
        let replay = Self::of_genesis(&genesis, options, file.log_identity.rotate_left(32))?;
        Ok((replay, file))
    }

    fn of_genesis(genesis: &Genesis<'_>, options: NodeOptions, table_seed: u64) -> Result<Self, OpenError> {
        let utxos_max = options.utxos_max.max(2 * genesis.count() as usize);
        let store = TableStore::new(utxos_max, table_seed)?;
        let mut index = Index::default();
        // The ledger's name is a hash of every byte, and `create` checked them all.
        let chain = Chain::from_genesis(genesis, Trust::OwnRecords, store, |o, u| index.add(o, u))?;
        let tip = chain.tip();
        Ok(Self {
            chain,
            index,
            recent: Recent::above(tip.height, tip.hash),
            options,
            utxos_max,
        })
    }

    pub(crate) const fn params(&self) -> &LedgerParams {
        self.chain.params()
    }

    /// Applies the next block, as [`Blocks::next_encoded`](crate::Blocks::next_encoded) gave it.
    ///
    /// # Errors
    /// [`OpenError::Record`], [`OpenError::Block`].
    pub fn apply(&mut self, encoded: &[u8]) -> Result<Block, OpenError> {
        let height = self.next_height()?;
        let block = Block::decode(encoded).map_err(|error| OpenError::Record { height, error })?;
        let applied = self.chain.apply(&block, Trust::OwnRecords);
        let applied = applied.map_err(|error| OpenError::Block { height, error })?;
        self.recent.push(&mut self.index, &block, encoded.to_vec(), applied);
        Ok(block)
    }

    /// Does what a record of the log says.
    pub(crate) fn record(&mut self, record: &Record<'_>) -> Result<(), OpenError> {
        let height = self.next_height()?;
        let damaged = |error| OpenError::Record { height, error };
        match Entry::of(record.payload).map_err(damaged)? {
            Entry::Block(encoded) => drop(self.apply(encoded)?),
            Entry::Undone(count) => {
                for _ in 0..count {
                    let undone = self.chain.undo_tip();
                    undone.map_err(|_| damaged(DecodeError::OutOfRange { field: "undone blocks" }))?;
                    self.recent.pop(&mut self.index);
                }
            }
        }
        Ok(())
    }

    fn next_height(&self) -> Result<Height, OpenError> {
        self.chain.tip().height.next().ok_or(OpenError::TooLong)
    }

    /// The ledger after the last block, to be asked. It has no files and makes no blocks.
    #[must_use]
    pub fn finish(self) -> Node {
        Node::of_chain(self.chain, self.index, self.recent, self.options, self.utxos_max)
    }
}
