//! From a genesis and the blocks behind it to the ledger that they lead to.

use std::path::Path;

use tidegate_disk::Disk;
use tidegate_ledger::{Applied, Block, Chain, Genesis, LedgerParams, Trust};
use tidegate_types::Height;
use tidegate_wal::Record;

use crate::files::{GENESIS_FILE, NodeFile, block_of, read_file};
use crate::index::Index;
use crate::{Node, NodeOptions, OpenError, TableStore};

/// A ledger that is built from what was recorded of it.
#[derive(Debug)]
pub struct NodeReplay {
    chain: Chain<TableStore>,
    index: Index,
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
        Ok(Self {
            chain,
            index,
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
        let height = self.chain.tip().height.checked_add(1).ok_or(OpenError::TooLong)?;
        let block = Block::decode(encoded).map_err(|error| OpenError::Record { height, error })?;
        self.take(&block, height)?;
        Ok(block)
    }

    /// Applies the block of a log record.
    pub(crate) fn record(&mut self, record: &Record<'_>) -> Result<(), OpenError> {
        let height = u32::try_from(record.lsn.get()).map_err(|_| OpenError::TooLong)?;
        let height = Height::new(height);
        let block = block_of(record.payload).map_err(|error| OpenError::Record { height, error })?;
        self.take(&block, height)
    }

    fn take(&mut self, block: &Block, height: Height) -> Result<(), OpenError> {
        let applied = self
            .chain
            .apply(block, Trust::OwnRecords)
            .map_err(|error| OpenError::Block { height, error })?;
        note(&mut self.index, block, &applied);
        Ok(())
    }

    /// The ledger after the last block, to be asked. It has no files and makes no blocks.
    #[must_use]
    pub fn finish(self) -> Node {
        Node::of_chain(self.chain, self.index, self.options, self.utxos_max)
    }
}

/// Takes a block over into the lookup tables.
pub(crate) fn note(index: &mut Index, block: &Block, applied: &Applied) {
    // An output that the block itself spends is in both lists: added first, it is gone at the end.
    applied
        .created
        .iter()
        .for_each(|(outpoint, utxo)| index.add(outpoint, utxo));
    applied
        .spent
        .iter()
        .for_each(|(outpoint, utxo)| index.remove(outpoint, utxo));
    for transaction in &block.transactions {
        index.confirm(transaction.txid(), applied.tip.height);
    }
}
