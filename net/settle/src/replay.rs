//! From a genesis and the blocks behind it to the ledger that they lead to.

use std::path::Path;

use tidegate_disk::Disk;
use tidegate_ledger::{Block, Chain, Genesis, LedgerParams, Lookup, Trust, UtxoStore as _, UtxoTree};
use tidegate_types::{DecodeError, Height};
use tidegate_wal::{HEADER_BYTES, LogReader, Lsn, PAGE_BYTES, Record};

use crate::files::{Entry, GENESIS_FILE, NodeFile, read_file};
use crate::index::Index;
use crate::recent::Recent;
use crate::{Node, NodeOptions, OpenError, TableStore, image};

/// A ledger that is built from what was recorded of it.
#[derive(Debug)]
pub struct NodeReplay {
    chain: Chain<TableStore>,
    index: Index,
    recent: Recent,
    options: NodeOptions,
    utxos_max: usize,
    /// The image that this began with: its height and the log record of its block.
    base: (Height, u64),
    /// Bytes of log that were replayed behind it.
    replayed: u64,
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
        let seed = file.log_identity.rotate_left(32);
        for path in image::list(disk, dir)? {
            if let Some(head) = image::head(disk, &path)?
                && head.ledger == file.ledger
                && becomes_final(disk, dir, file, &head)?
            {
                match Self::of_image(disk, &path, &genesis, options, seed)? {
                    Some(replay) => return Ok((replay, file)),
                    None => tracing::warn!(image = %path.display(), "the image is damaged; the one before it is taken"),
                }
            }
        }
        Ok((Self::of_genesis(&genesis, options, seed)?, file))
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
            base: (Height::ZERO, 0),
            replayed: 0,
        })
    }

    /// Begins with an image; `None` if it is damaged.
    fn of_image(
        disk: &dyn Disk,
        path: &Path,
        genesis: &Genesis<'_>,
        options: NodeOptions,
        table_seed: u64,
    ) -> Result<Option<Self>, OpenError> {
        let utxos_max = options.utxos_max.max(2 * genesis.count() as usize);
        let mut store = TableStore::new(utxos_max, table_seed)?;
        let (mut index, mut tree, mut lookup) = (Index::default(), UtxoTree::new(), Lookup::default());
        let mut sum = 0_u128;
        let head = image::read(disk, path, |outpoint, utxo| {
            sum += u128::from(utxo.output.amount.to_sat());
            store.insert(outpoint, utxo);
            tree.occupy(&outpoint, utxo);
            index.add(&outpoint, utxo);
            lookup.add(&outpoint, utxo);
        })?;
        let Some(head) = head.filter(|head| head.supply().unspent == sum) else {
            return Ok(None);
        };
        let tip = head.tip();
        let chain = Chain::resume(genesis, tip, head.supply(), head.open_channels, store, tree, lookup)?;
        Ok(Some(Self {
            chain,
            index,
            recent: Recent::above(tip.height, tip.hash),
            options,
            utxos_max,
            base: (tip.height, head.lsn),
            replayed: 0,
        }))
    }

    pub(crate) const fn replayed_bytes(&self) -> u64 {
        self.replayed
    }

    pub(crate) const fn began_at(&self) -> Height {
        self.base.0
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
        if record.lsn.get() <= self.base.1 {
            // The image has it; what is asked for most is what became of the newest transactions.
            if let Entry::Block(encoded) = Entry::of(record.payload).map_err(damaged)? {
                let block = Block::decode(encoded).map_err(damaged)?;
                let txids = block.transactions.iter().map(|transaction| transaction.txid());
                txids.for_each(|txid| self.index.confirm(txid, block.header.height));
            }
            return Ok(());
        }
        self.replayed += (record.payload.len() as u64 + HEADER_BYTES as u64).next_multiple_of(PAGE_BYTES as u64);
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

/// Whether the block of an image is final by what the log says: until then nothing below it could be undone any more.
fn becomes_final(disk: &dyn Disk, dir: &Path, file: NodeFile, head: &image::Head) -> Result<bool, OpenError> {
    let tip = head.tip();
    let (mut height, depth) = (tip.height.get(), file.finality_depth.get());
    if tip.final_height == tip.height {
        return Ok(true);
    }
    let mut reader = LogReader::open_near(disk, dir, file.log_identity, Lsn::new(head.lsn).next())?;
    while let Some(record) = reader.next_record()? {
        if record.lsn.get() <= head.lsn {
            continue;
        }
        match Entry::of(record.payload).map_err(|error| OpenError::Record {
            height: Height::new(height),
            error,
        })? {
            Entry::Block(_) => height += 1,
            Entry::Undone(count) => match height.checked_sub(count).filter(|left| *left >= tip.height.get()) {
                Some(left) => height = left,
                None => return Ok(false),
            },
        }
        if height.saturating_sub(depth) >= tip.height.get() {
            return Ok(true);
        }
    }
    Ok(false)
}
