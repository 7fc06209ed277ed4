//! Taking a ledger up again from what an image of it holds.

use std::collections::VecDeque;

use super::{Chain, Lookup, Supply, Tip, validator};
use crate::{GenesisError, GenesisHead, KeyCache, UtxoStore, UtxoTree};

impl<S: UtxoStore> Chain<S> {
    /// The ledger as it was when `tip` was its newest block: `store` holds the entries that were there then, and `tree` and
    /// `lookup` were built over them. Blocks up to `tip` cannot be undone any more.
    ///
    /// # Errors
    /// [`GenesisError::Validator`].
    ///
    /// # Panics
    /// If the supply does not add up: then the image is of no ledger.
    pub fn resume(
        genesis: &GenesisHead,
        tip: Tip,
        supply: Supply,
        open_channels: u64,
        store: S,
        tree: UtxoTree,
        lookup: Lookup,
    ) -> Result<Self, GenesisError> {
        let chain = Self {
            ledger: genesis.ledger,
            params: genesis.header.params,
            validator: validator(genesis.header.validator).map_err(GenesisError::Validator)?,
            store,
            tree,
            lookup,
            keys: KeyCache::new(),
            tip: Tip {
                final_height: tip.height,
                ..tip
            },
            supply,
            open_channels,
            undos: VecDeque::new(),
        };
        chain.assert_conserved();
        Ok(chain)
    }
}
