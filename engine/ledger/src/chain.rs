//! The ledger's state machine: a genesis, and blocks on top of it.
//!
//! A block is applied to a *draft*: its changes are made to the store one transaction after the other and recorded. A draft
//! is then committed, or reverted exactly, by undoing the record backwards. The same record undoes a block that is not
//! final yet. What was final is never undone.

mod draft;
mod lookup;
mod resume;

use std::collections::VecDeque;

use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_types::{Digest, Height, KeyBytes, LedgerId, OutPoint, UnixMillis};

pub(crate) use draft::Draft;
use draft::Undo;
pub use lookup::Lookup;

use crate::block::{BlockSignatureError, transaction_leaf, transactions_root};
use crate::check::Checker;
use crate::entries::Entries;
use crate::genesis::genesis_txid;
use crate::record::{ack_outpoint, preimage_outpoint};
use crate::tree::utxo_root;
use crate::{
    AckRecord, ActionError, Block, BlockHeader, CheckedTransaction, CloseState, Condition, Event, Genesis,
    GenesisError, GenesisHead, KeyCache, LedgerParams, OpenLock, Output, Record, SettleError, StakeRecord, StakeTerms,
    Transaction, TransactionError, Utxo, UtxoStore, UtxoTree, Witness,
};

/// Where a genesis or a block comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trust {
    /// From outside: everything is checked.
    Nothing,
    /// From this program's own checksummed records, which hold only what passed every check before: keys and
    /// signatures are not checked again. All else is, the roots too.
    OwnRecords,
}

/// The newest block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tip {
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: Digest,
    /// Its time.
    pub time: UnixMillis,
    /// Height of the newest final block.
    pub final_height: Height,
}

/// Where all money is, in satoshi: `genesis = unspent + burned`, always.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Supply {
    /// What the genesis created.
    pub genesis: u128,
    /// Σ of the unspent outputs.
    pub unspent: u128,
    /// Σ of all fees.
    pub burned: u128,
}

/// What a block did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The block that is the tip now.
    pub tip: Tip,
    /// What happened to channels, in order.
    pub events: Vec<Event>,
    /// The fees of the block's transactions, burned.
    pub fees: u128,
    /// Entries that were there before the block and are gone now, or changed. Remove these first, then add the others.
    pub spent: Vec<(OutPoint, Utxo)>,
    /// Entries that are new, or changed: an entry may change at its outpoint.
    pub created: Vec<(OutPoint, Utxo)>,
}

/// Why a block is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BlockError {
    /// It is not the next one.
    #[error("the block does not follow the tip")]
    NotNext,
    /// Its time is below that of the tip.
    #[error("the block's time is before that of its predecessor")]
    TimeBackwards,
    /// The header counts other transactions than the block has.
    #[error("the header counts other transactions than the block has")]
    Count,
    /// It is too wide, or costs too much.
    #[error("the block is larger than the ledger allows")]
    TooLarge,
    /// The validator did not sign it.
    #[error(transparent)]
    Signature(#[from] BlockSignatureError),
    /// A transaction breaks a rule.
    #[error("transaction {index}: {error}")]
    Transaction {
        /// Which.
        index: usize,
        /// How.
        error: TransactionError,
    },
    /// The transactions are not those of the header.
    #[error("the transactions are not those that the header commits to")]
    TransactionsRoot,
    /// The unspent outputs are not those of the header.
    #[error("the block leads to other unspent outputs than its header commits to")]
    UtxosRoot,
}

/// Why the tip cannot be undone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the block at height {0} is final")]
pub struct UndoError(pub Height);

/// The ledger: unspent outputs in a store of type `S`, and all that follows from the blocks.
#[derive(Clone, Debug)]
pub struct Chain<S> {
    ledger: LedgerId,
    params: LedgerParams,
    validator: PublicKey,
    store: S,
    tree: UtxoTree,
    lookup: Lookup,
    keys: KeyCache,
    tip: Tip,
    supply: Supply,
    open_channels: u64,
    /// Records of the blocks that are not final, the newest last.
    undos: VecDeque<Undo>,
}

impl<S: UtxoStore> Chain<S> {
    /// The ledger as its genesis makes it, in `store`, which is empty. `created` is told each output.
    ///
    /// # Errors
    /// [`GenesisError`]; `store` is of no use then.
    ///
    /// # Panics
    /// If `store` is not empty.
    pub fn from_genesis(
        genesis: &Genesis<'_>,
        trust: Trust,
        store: S,
        created: impl FnMut(&OutPoint, &Utxo),
    ) -> Result<Self, GenesisError> {
        if trust == Trust::Nothing {
            genesis.check()?;
        }
        let outputs = genesis.outputs().map(|item| item.map_err(GenesisError::Decode));
        Self::from_outputs(genesis.head(), outputs, store, created)
    }

    /// As [`Chain::from_genesis`], of a genesis that was checked before and whose outputs come one behind the other, in their
    /// order.
    ///
    /// # Errors
    /// [`GenesisError::Validator`], or the first error of `outputs`; `store` is of no use then.
    ///
    /// # Panics
    /// If `store` is not empty.
    pub fn from_outputs(
        genesis: &GenesisHead,
        outputs: impl IntoIterator<Item = Result<(OutPoint, Output), GenesisError>>,
        store: S,
        mut created: impl FnMut(&OutPoint, &Utxo),
    ) -> Result<Self, GenesisError> {
        assert!(store.is_empty(), "a ledger begins with an empty store");
        let mut chain = Self::empty(genesis, store)?;
        for item in outputs {
            let (outpoint, output) = item?;
            let utxo = chain.create(outpoint, output, Height::ZERO);
            chain.supply.genesis += u128::from(output.amount.to_sat());
            created(&outpoint, &utxo);
            if let Condition::Stake(terms) = &output.condition {
                let place = StakeRecord {
                    hub: terms.hub,
                    outpoint,
                };
                let (outpoint, record) = Record::StakeOf(place).entry();
                created(&outpoint, &chain.create(outpoint, record, Height::ZERO));
            }
        }
        chain.tip.hash = chain.genesis_header(genesis.header.time).hash();
        chain.assert_conserved();
        Ok(chain)
    }

    fn empty(genesis: &GenesisHead, store: S) -> Result<Self, GenesisError> {
        let header = &genesis.header;
        Ok(Self {
            ledger: genesis.ledger,
            params: header.params,
            validator: validator(header.validator).map_err(GenesisError::Validator)?,
            store,
            tree: UtxoTree::new(),
            lookup: Lookup::default(),
            keys: KeyCache::new(),
            tip: Tip {
                height: Height::ZERO,
                hash: Digest::ZERO,
                time: header.time,
                final_height: Height::ZERO,
            },
            supply: Supply::default(),
            open_channels: 0,
            undos: VecDeque::new(),
        })
    }

    fn genesis_header(&mut self, time: UnixMillis) -> BlockHeader {
        let leaf = tidegate_crypto::merkle::TRANSACTIONS.leaf(genesis_txid(&self.ledger).as_bytes());
        BlockHeader {
            height: Height::ZERO,
            count: 1,
            time,
            previous: Digest::ZERO,
            transactions: transactions_root(&[leaf]),
            utxos: self.utxos_root(),
        }
    }

    /// The ledger's name.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.ledger
    }

    /// The ledger's constants.
    #[must_use]
    pub const fn params(&self) -> &LedgerParams {
        &self.params
    }

    /// The key of the validator.
    #[must_use]
    pub const fn validator(&self) -> KeyBytes {
        self.validator.bytes()
    }

    /// The newest block.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.tip
    }

    /// Where all money is.
    #[must_use]
    pub const fn supply(&self) -> Supply {
        self.supply
    }

    /// How many channels are open.
    #[must_use]
    pub const fn open_channels(&self) -> u64 {
        self.open_channels
    }

    /// The unspent outputs.
    #[must_use]
    pub const fn store(&self) -> &S {
        &self.store
    }

    /// The root of the unspent outputs, as the tip's header has it.
    #[must_use]
    pub fn utxos_root(&mut self) -> Digest {
        utxo_root(&self.tree.top(&self.store), self.store.len(), self.supply.unspent)
    }

    /// True if this is the top of the tree that the caller built over all unspent outputs anew.
    #[must_use]
    pub fn commits_to(&mut self, top: &Digest) -> bool {
        self.tree.top(&self.store) == *top
    }

    /// The proof that the entry at an outpoint stands in the tip's state: the entry and its path, for [`crate::verify_utxo_path`].
    pub fn prove(&mut self, outpoint: &OutPoint) -> Option<(Utxo, Vec<Digest>)> {
        let utxo = self.store.get(outpoint)?;
        Some((utxo, self.tree.path(utxo.position, &self.store)))
    }

    /// How far the close of a channel is, by its funding output, and the locks that were shown in it.
    #[must_use]
    pub fn close_of(&self, funding: &OutPoint) -> Option<(CloseState, Vec<OpenLock>)> {
        let view = self.entries().close_view(*funding)?;
        Some((view.state, view.locks))
    }

    /// The transaction that settles the close of a channel, by its funding output: anyone may submit it, above the height
    /// that [`CloseState::grace_end`] tells.
    ///
    /// # Errors
    /// [`ActionError`].
    pub fn settlement(&self, funding: &OutPoint) -> Result<Transaction, ActionError> {
        let view = self.entries().close_view(*funding).ok_or(SettleError::NotClosing)?;
        view.transaction(|cost| self.params.fee_min(cost))
    }

    /// A preimage that was revealed, and since when it stands.
    #[must_use]
    pub fn preimage(&self, hash: &[u8; 32]) -> Option<([u8; 32], Height)> {
        let utxo = self.store.get(&preimage_outpoint(hash))?;
        match utxo.output.condition {
            Condition::Record(Record::Preimage(record)) => Some((record.preimage, utxo.height)),
            _ => None,
        }
    }

    /// The hashes of all preimages that stand here.
    pub fn revealed(&self) -> impl Iterator<Item = [u8; 32]> + '_ {
        let records = self.lookup.reveals().filter_map(|outpoint| self.store.get(outpoint));
        records.filter_map(|utxo| match utxo.output.condition {
            Condition::Record(Record::Preimage(record)) => Some(payment_hash(&record.preimage)),
            _ => None,
        })
    }

    /// Since when this very ack stands.
    #[must_use]
    pub fn ack(&self, ack: &AckRecord) -> Option<Height> {
        self.store.get(&ack_outpoint(ack)).map(|utxo| utxo.height)
    }

    /// Where a hub's stake is, if it has one.
    #[must_use]
    pub fn stake(&self, hub: &KeyBytes) -> Option<(OutPoint, StakeTerms)> {
        let (outpoint, terms, _) = self.entries().stake_of(hub)?;
        Some((outpoint, terms))
    }

    /// For questions that check no key.
    const fn entries(&self) -> Entries<'_, S> {
        Entries {
            store: &self.store,
            lookup: &self.lookup,
        }
    }

    /// Checks a transaction against the present state.
    ///
    /// # Errors
    /// [`TransactionError`], the first that applies.
    pub fn check(&mut self, transaction: Transaction) -> Result<CheckedTransaction, TransactionError> {
        let height = self.tip.height.next().unwrap_or(Height::MAX);
        let facts = self.checker(Trust::Nothing, height).check(&transaction)?;
        self.check_channel_limit(&transaction)?;
        Ok(CheckedTransaction::new(transaction, facts))
    }

    fn checker(&mut self, trust: Trust, height: Height) -> Checker<'_, S> {
        Checker {
            ledger: &self.ledger,
            params: &self.params,
            store: &self.store,
            lookup: &self.lookup,
            keys: &mut self.keys,
            height,
            trust,
        }
    }

    fn check_channel_limit(&self, transaction: &Transaction) -> Result<(), TransactionError> {
        let max = self.params.open_channels_max();
        let opened = transaction.body.outputs.iter();
        let opened = opened.filter(|o| matches!(o.condition, Condition::Channel(_))).count() as u64;
        let spliced = transaction.witnesses.iter();
        let spliced = spliced
            .filter(|witness| matches!(witness, Witness::ChannelSplice(_)))
            .count() as u64;
        if opened > spliced && self.open_channels + opened - spliced > max {
            return Err(TransactionError::ChannelLimit { max });
        }
        Ok(())
    }

    /// Applies the next block, completely or not at all.
    ///
    /// # Errors
    /// [`BlockError`]; then nothing changed.
    ///
    /// # Panics
    /// If value was made or lost, which no block can do.
    pub fn apply(&mut self, block: &Block, trust: Trust) -> Result<Applied, BlockError> {
        let header = &block.header;
        if header.count as usize != block.transactions.len() {
            return Err(BlockError::Count);
        }
        if header.time < self.tip.time {
            return Err(BlockError::TimeBackwards);
        }
        if header.previous != self.tip.hash || Some(header.height) != self.tip.height.next() {
            return Err(BlockError::NotNext);
        }
        if trust == Trust::Nothing {
            header.verify(&self.ledger, &self.validator, &block.signature)?;
        }
        let mut draft = self.draft(header.time).ok_or(BlockError::NotNext)?;
        match self.fill(&mut draft, block, trust) {
            Ok(()) => Ok(self.commit(draft, header)),
            Err(error) => {
                self.revert(draft.into_undo());
                Err(error)
            }
        }
    }

    fn fill(&mut self, draft: &mut Draft, block: &Block, trust: Trust) -> Result<(), BlockError> {
        for (index, transaction) in block.transactions.iter().enumerate() {
            let in_block = |error| BlockError::Transaction { index, error };
            let facts = self
                .checker(trust, draft.height())
                .check(transaction)
                .map_err(in_block)?;
            if !draft.has_room(&self.params, &facts) {
                return Err(BlockError::TooLarge);
            }
            self.extend(draft, transaction, &facts).map_err(in_block)?;
        }
        let ours = self.header(draft);
        if ours.transactions != block.header.transactions {
            return Err(BlockError::TransactionsRoot);
        }
        if ours.utxos != block.header.utxos {
            return Err(BlockError::UtxosRoot);
        }
        Ok(())
    }

    /// Undoes the tip.
    ///
    /// # Errors
    /// [`UndoError`] if it is final.
    pub fn undo_tip(&mut self) -> Result<(), UndoError> {
        let record = self.undos.pop_back().ok_or(UndoError(self.tip.height))?;
        self.revert(record);
        self.assert_conserved();
        Ok(())
    }

    fn assert_conserved(&self) {
        let Supply {
            genesis,
            unspent,
            burned,
        } = self.supply;
        assert_eq!(genesis, unspent + burned, "no value is made or lost");
    }
}

fn validator(key: KeyBytes) -> Result<PublicKey, KeyError> {
    PublicKey::register(key)
}
