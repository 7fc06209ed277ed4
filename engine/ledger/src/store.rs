//! Where the unspent outputs are kept: the caller's table.

use core::ops::Range;
use std::collections::BTreeMap;

use tidegate_types::OutPoint;

use crate::Utxo;

/// The set of unspent outputs. A map and nothing more: what may be inserted or removed is decided by [`crate::Chain`].
pub trait UtxoStore {
    /// The unspent output at `outpoint`.
    fn get(&self, outpoint: &OutPoint) -> Option<Utxo>;

    /// Adds an output.
    ///
    /// # Panics
    /// If one stands there already: the chain never creates an outpoint twice.
    fn insert(&mut self, outpoint: OutPoint, utxo: &Utxo);

    /// Removes and returns the output at `outpoint`.
    fn remove(&mut self, outpoint: &OutPoint) -> Option<Utxo>;

    /// How many there are.
    fn len(&self) -> u64;

    /// True if there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// True if the output at `outpoint` stands as the genesis created it, and [`UtxoStore::created`] tells it. A store that
    /// knows no genesis says so of none.
    fn is_created(&self, outpoint: &OutPoint) -> bool {
        let _ = outpoint;
        false
    }

    /// What the genesis created at these positions, whether it still stands or not: one for each, for which
    /// [`UtxoStore::is_created`] was true once.
    ///
    /// # Panics
    /// May panic if it was not.
    fn created(&self, positions: Range<u32>) -> Vec<(OutPoint, Utxo)> {
        unreachable!("this store has not said that positions {positions:?} are as they were created")
    }
}

/// Unspent outputs in an ordered map, for tests and for small ledgers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MemoryStore {
    utxos: BTreeMap<OutPoint, Utxo>,
}

impl MemoryStore {
    /// An empty store.
    #[must_use]
    pub const fn new() -> Self {
        Self { utxos: BTreeMap::new() }
    }

    /// All unspent outputs, ordered by outpoint.
    pub fn iter(&self) -> impl Iterator<Item = (&OutPoint, &Utxo)> {
        self.utxos.iter()
    }
}

impl UtxoStore for MemoryStore {
    fn get(&self, outpoint: &OutPoint) -> Option<Utxo> {
        self.utxos.get(outpoint).copied()
    }

    fn insert(&mut self, outpoint: OutPoint, utxo: &Utxo) {
        let before = self.utxos.insert(outpoint, *utxo);
        assert!(before.is_none(), "{outpoint} was created before");
    }

    fn remove(&mut self, outpoint: &OutPoint) -> Option<Utxo> {
        self.utxos.remove(outpoint)
    }

    fn len(&self) -> u64 {
        self.utxos.len() as u64
    }
}
