//! From a genesis and the blocks behind it to the ledger that they lead to.

use std::path::Path;
use std::sync::Arc;

use tidegate_disk::Disk;
use tidegate_ledger::{Block, Chain, LedgerParams, Lookup, Trust, Utxo, UtxoStore as _, UtxoTree};
use tidegate_types::{DecodeError, Height, OutPoint};
use tidegate_wal::{HEADER_BYTES, LogReader, Lsn, PAGE_BYTES, Record};

use crate::files::{Entry, GENESIS_FILE, NodeFile};
use crate::genesis::GenesisOutputs;
use crate::image::Item;
use crate::index::Index;
use crate::recent::Recent;
use crate::{Node, NodeOptions, OpenError, TieredStore, image};

/// A ledger that is built from what was recorded of it.
#[derive(Debug)]
pub struct NodeReplay {
    chain: Chain<TieredStore>,
    index: Index,
    recent: Recent,
    options: NodeOptions,
    utxos_max: usize,
    /// The log record of the block of the image that this began with; zero for none.
    base: u64,
    /// The heights of the images that can be opened, or can be once their block is final; ascending.
    images: Vec<Height>,
    /// Bytes of log that were replayed behind it.
    replayed: u64,
}

impl NodeReplay {
    /// Begins with a genesis that this program has checked before.
    ///
    /// # Errors
    /// [`OpenError`].
    pub fn new(genesis: &[u8]) -> Result<Self, OpenError> {
        let genesis = Arc::new(GenesisOutputs::in_memory(genesis)?);
        Self::of_genesis(&genesis, NodeOptions::default(), 0)
    }

    /// Begins with the genesis in a node's folder.
    pub(crate) fn read(disk: &dyn Disk, dir: &Path, options: NodeOptions) -> Result<(Self, NodeFile), OpenError> {
        let (node, path) = (NodeFile::read(disk, dir)?, dir.join(GENESIS_FILE));
        let Some(genesis) = GenesisOutputs::open(disk, &path, node.ledger)? else {
            return Err(OpenError::OtherGenesis { file: path });
        };
        let genesis = Arc::new(genesis);
        let seed = node.log_identity.rotate_left(32);
        // Those that are not final yet, the newest first.
        let mut pending = Vec::new();
        for path in image::list(disk, dir)? {
            let Some(head) = image::head(disk, &path)?.filter(|head| head.ledger == node.ledger) else {
                continue;
            };
            match standing(disk, dir, node, &head)? {
                Standing::Undone => {}
                Standing::Open => pending.push(head.tip().height),
                Standing::Final => match Self::of_image(disk, &path, &genesis, options, seed)? {
                    Some(replay) => return Ok((replay.beside(&pending), node)),
                    None => tracing::warn!(image = %path.display(), "the image is damaged; the one before it is taken"),
                },
            }
        }
        Ok((Self::of_genesis(&genesis, options, seed)?.beside(&pending), node))
    }

    /// Notes images that are newer than what this began with.
    fn beside(mut self, newest_first: &[Height]) -> Self {
        self.images.extend(newest_first.iter().rev());
        self
    }

    fn of_genesis(genesis: &Arc<GenesisOutputs>, options: NodeOptions, table_seed: u64) -> Result<Self, OpenError> {
        let utxos_max = options.utxos_max.max(2 * genesis.count() as usize);
        let store = TieredStore::new(Arc::clone(genesis), utxos_max, table_seed)?;
        let mut index = Index::over(genesis);
        // The ledger's name is a hash of every byte, and `create` checked them all.
        let chain = Chain::from_outputs(genesis.head(), genesis.listed(), store, |o, u| index.add(o, u))?;
        let tip = chain.tip();
        Ok(Self {
            chain,
            index,
            recent: Recent::above(tip.height, tip.hash),
            options,
            utxos_max,
            base: 0,
            images: Vec::new(),
            replayed: 0,
        })
    }

    /// Begins with an image; `None` if it is damaged.
    fn of_image(
        disk: &dyn Disk,
        path: &Path,
        genesis: &Arc<GenesisOutputs>,
        options: NodeOptions,
        table_seed: u64,
    ) -> Result<Option<Self>, OpenError> {
        let utxos_max = options.utxos_max.max(2 * genesis.count() as usize);
        let mut store = TieredStore::new(Arc::clone(genesis), utxos_max, table_seed)?;
        let (mut index, mut tree, mut lookup) = (Index::over(genesis), UtxoTree::new(), Lookup::default());
        let mut sum = 0_u128;
        let mut stands = |outpoint: OutPoint, utxo: &Utxo| {
            sum += u128::from(utxo.output.amount.to_sat());
            store.insert(outpoint, utxo);
            tree.occupy(&outpoint, utxo, &store);
            index.add(&outpoint, utxo);
            lookup.add(&outpoint, utxo);
        };
        let head = image::read(disk, path, genesis.count(), |item| match item {
            Item::Untouched(untouched) => genesis.chosen(&untouched).for_each(|(o, utxo)| stands(o, &utxo)),
            Item::Other(outpoint, utxo) => stands(outpoint, utxo),
        })?;
        let Some(head) = head.filter(|head| head.supply().unspent == sum) else {
            return Ok(None);
        };
        let tip = head.tip();
        let chain = Chain::resume(
            genesis.head(),
            tip,
            head.supply(),
            head.open_channels,
            store,
            tree,
            lookup,
        )?;
        Ok(Some(Self {
            chain,
            index,
            recent: Recent::above(tip.height, tip.hash),
            options,
            utxos_max,
            base: head.lsn,
            images: vec![tip.height],
            replayed: 0,
        }))
    }

    pub(crate) const fn replayed_bytes(&self) -> u64 {
        self.replayed
    }

    pub(crate) fn images(&self) -> Vec<Height> {
        self.images.clone()
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
        if record.lsn.get() <= self.base {
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

/// What the log says of the block of an image. Only what is final can be opened: the image does not say what is to be undone.
enum Standing {
    Undone,
    Open,
    Final,
}

fn standing(disk: &dyn Disk, dir: &Path, file: NodeFile, head: &image::Head) -> Result<Standing, OpenError> {
    let tip = head.tip();
    let (mut height, depth) = (tip.height.get(), file.finality_depth.get());
    if tip.final_height == tip.height {
        return Ok(Standing::Final);
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
                None => return Ok(Standing::Undone),
            },
        }
        if height.saturating_sub(depth) >= tip.height.get() {
            return Ok(Standing::Final);
        }
    }
    Ok(Standing::Open)
}
