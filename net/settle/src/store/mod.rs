//! Where a node keeps the unspent outputs: those of the genesis as one bit each, later ones in a table.
//!
//! **Definitions.** Output *i* of the genesis stands at `(txid of the genesis, i)`. *As created* is what the ledger put there at
//! height zero: the output in the genesis, height 0, position *i* and one more for each stake before it. For each *i* one of
//! three things holds:
//!
//! | state | bit | table | the ledger holds there |
//! |---|---|---|---|
//! | untouched | set | nothing | the output as created, whose content is read from the genesis |
//! | changed | clear | an entry | something else: a channel that is closing keeps its funding outpoint |
//! | gone | clear | nothing | nothing |
//!
//! Every other outpoint is in the table or is not held.
//!
//! **Invariants.** (1) A set bit and an entry of one outpoint exclude each other. (2) No entry of the table equals the output as
//! created: [`TieredStore::insert`] sets the bit instead, whoever inserts it, the genesis, a block that is undone, or an
//! image. So what is stored is a function of the set of unspent outputs alone, and a block that is undone leaves the bits and
//! the table as they were. (3) [`len`](UtxoStore::len) is the number of set bits and of entries.
//!
//! A channel of the genesis so costs one bit here instead of a place of 320 bytes and the room that a hash table needs, as long
//! as nobody closes it. Asking for it costs a read of the genesis file ([`crate::genesis`]): nothing on a payment's way asks.

mod table;

use std::ops::Range;
use std::sync::Arc;

use tidegate_ledger::{Utxo, UtxoStore};
use tidegate_table::HashTableError;
use tidegate_types::OutPoint;

use crate::OpenError;
use crate::bits::Bits;
use crate::genesis::GenesisOutputs;
pub use table::TableStore;

/// Unspent outputs over those of a genesis. It begins empty: the ledger inserts what the genesis creates.
///
/// # Panics
/// Asking for an untouched output panics if the genesis file cannot be read any more, or has changed.
#[derive(Debug)]
pub struct TieredStore {
    genesis: Arc<GenesisOutputs>,
    /// Which outputs of the genesis are untouched.
    untouched: Bits,
    later: TableStore,
    /// The group of the genesis that was looked at last by whoever changes something: the genesis and images come in order.
    last: Option<(u32, Vec<Utxo>)>,
}

impl TieredStore {
    /// An empty store with address space for `utxos_max` outputs beside those that are untouched. `seed` makes places in
    /// the table unknown to those who choose outputs; draw it at random.
    ///
    /// # Errors
    /// [`HashTableError`] if the address space cannot be had.
    pub(crate) fn new(genesis: Arc<GenesisOutputs>, utxos_max: usize, seed: u64) -> Result<Self, HashTableError> {
        Ok(Self {
            untouched: Bits::new(genesis.count()),
            genesis,
            later: TableStore::new(utxos_max, seed)?,
            last: None,
        })
    }

    /// An empty store over the genesis in these bytes, which are copied: for a ledger without files. As to the rest see
    /// [`TableStore::new`].
    ///
    /// # Errors
    /// [`OpenError::Genesis`], [`OpenError::Table`].
    pub fn in_memory(genesis: &[u8], utxos_max: usize, seed: u64) -> Result<Self, OpenError> {
        let genesis = Arc::new(GenesisOutputs::in_memory(genesis)?);
        Ok(Self::new(genesis, utxos_max, seed)?)
    }

    /// All unspent outputs: the untouched ones of the genesis in order, then the others in no particular order.
    pub fn iter(&self) -> impl Iterator<Item = (OutPoint, Utxo)> {
        self.genesis.chosen(&self.untouched).chain(self.later.iter())
    }

    /// The outputs of the genesis that are untouched, by number.
    pub(crate) const fn untouched(&self) -> &Bits {
        &self.untouched
    }

    /// The other ones.
    pub(crate) const fn later(&self) -> &TableStore {
        &self.later
    }

    /// Output `index` as created. For whoever goes through them in order this is one read for each group.
    fn as_created(&mut self, index: u32) -> &Utxo {
        let (first, at) = (index - index % GenesisOutputs::GROUP, index % GenesisOutputs::GROUP);
        if self.last.as_ref().is_none_or(|(last, _)| *last != first) {
            self.last = Some((first, self.genesis.group(first)));
        }
        let (_, group) = self.last.as_ref().expect("it was just read");
        &group[at as usize]
    }

    /// The number of an untouched output of the genesis.
    fn untouched_at(&self, outpoint: &OutPoint) -> Option<u32> {
        let index = self.genesis.index_of(outpoint)?;
        self.untouched.contains(index).then_some(index)
    }
}

impl UtxoStore for TieredStore {
    fn get(&self, outpoint: &OutPoint) -> Option<Utxo> {
        match self.untouched_at(outpoint) {
            Some(index) => Some(self.genesis.utxo(index)),
            None => self.later.get(outpoint),
        }
    }

    fn insert(&mut self, outpoint: OutPoint, utxo: &Utxo) {
        if let Some(index) = self.genesis.index_of(&outpoint) {
            assert!(!self.untouched.contains(index), "{outpoint} was created before");
            if self.as_created(index) == utxo {
                assert!(self.later.get(&outpoint).is_none(), "{outpoint} was created before");
                self.untouched.set(index);
                return;
            }
        }
        self.later.insert(outpoint, utxo);
    }

    fn remove(&mut self, outpoint: &OutPoint) -> Option<Utxo> {
        match self.untouched_at(outpoint) {
            Some(index) => {
                let utxo = *self.as_created(index);
                self.untouched.clear(index);
                Some(utxo)
            }
            None => self.later.remove(outpoint),
        }
    }

    fn len(&self) -> u64 {
        self.untouched.count() + self.later.len()
    }

    fn is_created(&self, outpoint: &OutPoint) -> bool {
        self.untouched_at(outpoint).is_some()
    }

    fn created(&self, positions: Range<u32>) -> Vec<(OutPoint, Utxo)> {
        self.genesis.at_positions(positions)
    }
}
