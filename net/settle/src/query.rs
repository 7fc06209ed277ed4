//! What a node answers. Nothing here changes it.

use tidegate_channel::{ChannelTerms, LeafRef};
use tidegate_ledger::{
    AckRecord, Block, CloseState, Condition, LedgerParams, LockTerms, MemoryStore, OpenLock, StakeTerms, Supply, Tip,
    Transaction, Utxo, UtxoStore, UtxoTree,
};
use tidegate_types::{Amount, ChannelId, Digest, Height, KeyBytes, LedgerId, OutPoint, Txid};

use crate::files::height_of;
use crate::{AuditError, Blocks, Node, QueryError};

/// What became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TransactionStatus {
    /// Neither in a block nor waiting: never sent, refused, or dropped.
    Unknown,
    /// Waits for a block.
    Waiting,
    /// Stands in a block.
    InBlock {
        /// Its height.
        height: Height,
        /// Whether it is final.
        is_final: bool,
    },
}

/// What an audit counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// Unspent outputs.
    pub outputs: u64,
    /// Open channels.
    pub channels: u64,
    /// Where all money is.
    pub supply: Supply,
    /// The newest block, which commits to all of it.
    pub tip: Tip,
}

impl Node {
    /// The ledger's name.
    #[must_use]
    pub const fn ledger(&self) -> LedgerId {
        self.chain.ledger()
    }

    /// The ledger's constants.
    #[must_use]
    pub const fn params(&self) -> &LedgerParams {
        self.chain.params()
    }

    /// The validator's key.
    #[must_use]
    pub const fn validator(&self) -> KeyBytes {
        self.chain.validator()
    }

    /// The newest block.
    #[must_use]
    pub const fn tip(&self) -> Tip {
        self.chain.tip()
    }

    /// Where all money is.
    #[must_use]
    pub const fn supply(&self) -> Supply {
        self.chain.supply()
    }

    /// How many channels are open.
    #[must_use]
    pub const fn open_channels(&self) -> u64 {
        self.chain.open_channels()
    }

    /// One value for the whole state: the hash of the newest block, which commits to the unspent outputs.
    #[must_use]
    pub const fn state_digest(&self) -> Digest {
        self.chain.tip().hash
    }

    /// The unspent output at `outpoint`.
    #[must_use]
    pub fn utxo(&self, outpoint: &OutPoint) -> Option<Utxo> {
        self.chain.store().get(outpoint)
    }

    /// The unspent `Key` outputs of `key`, ordered by outpoint. Some may be spent by waiting transactions; see
    /// [`Node::spender`].
    #[must_use]
    pub fn utxos_of(&self, key: &KeyBytes) -> Vec<(OutPoint, Utxo)> {
        let outpoints = self.index.outpoints_of(key);
        outpoints.filter_map(|o| Some((*o, self.utxo(o)?))).collect()
    }

    /// The waiting transaction that spends an output, if one does.
    #[must_use]
    pub fn spender(&self, outpoint: &OutPoint) -> Option<Txid> {
        self.mempool.spender(outpoint)
    }

    /// The funding output of an open channel.
    #[must_use]
    pub fn channel_output(&self, channel: &ChannelId) -> Option<(OutPoint, Utxo)> {
        self.index.channel(channel, |outpoint| self.utxo(outpoint))
    }

    /// A hub's stake, if it has one.
    #[must_use]
    pub fn stake(&self, hub: &KeyBytes) -> Option<StakeTerms> {
        self.chain.stake(hub).map(|(_, terms)| terms)
    }

    /// How far the close of a channel is; `None` if none has begun.
    #[must_use]
    pub fn close_of(&self, channel: &ChannelId) -> Option<CloseState> {
        let (outpoint, _) = self.channel_output(channel)?;
        self.chain.close_of(&outpoint).map(|(state, _)| state)
    }

    /// The locks that were shown in the close of the channel with this funding output, as far as nothing has refunded them.
    #[must_use]
    pub fn locks_in_close(&self, funding: &OutPoint) -> Vec<OpenLock> {
        let locks = self.chain.close_of(funding).map(|(_, locks)| locks);
        let mut locks = locks.unwrap_or_default();
        locks.retain(|lock| !lock.refunded);
        locks
    }

    /// The closes that have begun and are not settled, in the order of their funding outputs.
    pub fn closes(&self) -> impl Iterator<Item = (OutPoint, ChannelTerms, CloseState)> {
        self.index.closing().filter_map(|outpoint| {
            let (_, terms) = self.utxo(outpoint)?.channel(outpoint).map(|(id, terms)| (id, *terms))?;
            let (state, _) = self.chain.close_of(outpoint)?;
            Some((*outpoint, terms, state))
        })
    }

    /// The locks that closes have turned into outputs, in the order of these.
    pub fn locks(&self) -> impl Iterator<Item = (OutPoint, Amount, LockTerms)> {
        self.index.locks().filter_map(|outpoint| self.lock(outpoint))
    }

    /// Those that this key claims, or gets back if nobody does, in the order of their outputs.
    pub fn locks_of(&self, key: &KeyBytes) -> impl Iterator<Item = (OutPoint, Amount, LockTerms)> {
        self.index.locks_of(key).filter_map(|outpoint| self.lock(outpoint))
    }

    fn lock(&self, outpoint: &OutPoint) -> Option<(OutPoint, Amount, LockTerms)> {
        let output = self.utxo(outpoint)?.output;
        match output.condition {
            Condition::Lock(terms) => Some((*outpoint, output.amount, terms)),
            _ => None,
        }
    }

    /// The preimage of a hash, and since when it stands on the ledger, if it does.
    #[must_use]
    pub fn preimage(&self, hash: &[u8; 32]) -> Option<([u8; 32], Height)> {
        self.chain.preimage(hash)
    }

    /// The hashes of all preimages that stand on the ledger.
    pub fn revealed_hashes(&self) -> impl Iterator<Item = [u8; 32]> + '_ {
        self.chain.revealed()
    }

    /// Since when the preimage of a hash stands on the ledger, if it does.
    #[must_use]
    pub fn revealed(&self, hash: &[u8; 32]) -> Option<Height> {
        self.chain.preimage(hash).map(|(_, height)| height)
    }

    /// Since when a client's word that it holds a leaf stands on the ledger, if it does.
    #[must_use]
    pub fn acked(&self, channel: ChannelId, leaf: LeafRef) -> Option<Height> {
        let LeafRef { counter, digest } = leaf;
        self.chain.ack(&AckRecord {
            channel,
            counter,
            digest,
        })
    }

    /// The transaction that settles the close of the channel with this funding output; `None` if none has begun. It is taken
    /// above the height that [`CloseState::grace_end`] tells.
    #[must_use]
    pub fn settlement(&self, funding: &OutPoint) -> Option<Transaction> {
        self.chain.settlement(funding).ok()
    }

    /// All open channels, in no particular order.
    pub fn channels(&self) -> impl Iterator<Item = (ChannelId, OutPoint, ChannelTerms)> {
        self.outputs().filter_map(|(outpoint, utxo)| {
            let (channel, terms) = utxo.channel(&outpoint)?;
            Some((channel, outpoint, *terms))
        })
    }

    /// What became of a transaction.
    #[must_use]
    pub fn transaction_status(&self, txid: &Txid) -> TransactionStatus {
        if let Some(height) = self.index.height_of(txid) {
            let is_final = height <= self.tip().final_height;
            return TransactionStatus::InBlock { height, is_final };
        }
        if self.mempool.contains(txid) {
            TransactionStatus::Waiting
        } else {
            TransactionStatus::Unknown
        }
    }

    /// True if a transaction waits for a block.
    #[must_use]
    pub fn is_waiting(&self, txid: &Txid) -> bool {
        self.mempool.contains(txid)
    }

    /// How many transactions wait.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.mempool.len()
    }

    /// All unspent outputs, in no particular order.
    pub fn outputs(&self) -> impl Iterator<Item = (OutPoint, Utxo)> {
        self.chain.store().iter()
    }

    /// The blocks from the first above the genesis, read back from the disk.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn blocks(&self) -> Result<Blocks, QueryError> {
        self.blocks_from(Height::ZERO)
    }

    fn blocks_from(&self, from: Height) -> Result<Blocks, QueryError> {
        let home = self.home.as_ref().ok_or(QueryError::NoFiles)?;
        let depth = self.params().finality_depth;
        Ok(Blocks::from(&*home.disk, &home.dir, home.log_identity, depth, from)?)
    }

    /// The blocks from the height `from` on in their encodings, up to the newest, final or not, as long as `take` says true.
    /// The newest thousands are in memory; older ones are read from the disk.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn visit_blocks(&self, from: Height, mut take: impl FnMut(&[u8]) -> bool) -> Result<(), QueryError> {
        if let Some(mut blocks) = self.recent.encoded_from(from) {
            blocks.all(take);
            return Ok(());
        }
        let mut blocks = self.blocks_from(from)?;
        while let Some(encoded) = blocks.next_encoded()? {
            if height_of(encoded).map_err(QueryError::Record)? >= from && !take(encoded) {
                break;
            }
        }
        Ok(())
    }

    /// The final blocks above a height, at most `count` of them.
    ///
    /// # Errors
    /// [`QueryError`].
    pub fn final_blocks_above(&self, height: Height, count: usize) -> Result<Vec<Block>, QueryError> {
        let (from, last) = (height.next().unwrap_or(Height::MAX), self.tip().final_height);
        let (mut blocks, mut failed) = (Vec::new(), None);
        if from > last {
            return Ok(blocks);
        }
        self.visit_blocks(from, |encoded| {
            match Block::decode(encoded) {
                Ok(block) if block.header.height <= last => blocks.push(block),
                Ok(_) => return false,
                Err(error) => failed = Some(error),
            }
            failed.is_none() && blocks.len() < count
        })?;
        match failed {
            Some(error) => Err(QueryError::Record(error)),
            None => Ok(blocks),
        }
    }

    /// The hash of the newest final block.
    ///
    /// # Panics
    /// Never: every block that is not final is kept in memory, and the one below them is known.
    #[must_use]
    pub fn final_hash(&self) -> Digest {
        let hash = self.recent.hash_at(self.tip().final_height);
        hash.expect("the newest final block is kept in memory, or is the one below")
    }

    /// Counts everything anew: sums, the tree over the unspent outputs, the lookup tables.
    ///
    /// # Errors
    /// [`AuditError`], the first that applies.
    pub fn audit(&mut self) -> Result<Audit, AuditError> {
        let mut index = self.index.emptied();
        // The tree is hashed from what stands alone, not from what the genesis created.
        let (mut tree, apart) = (UtxoTree::new(), MemoryStore::new());
        let (mut found, mut channels, mut all_led_to) = (0_u128, 0, true);
        for (outpoint, utxo) in self.outputs() {
            found += u128::from(utxo.output.amount.to_sat());
            if let Some((channel, _)) = utxo.channel(&outpoint) {
                channels += 1;
                all_led_to &= self.index.leads_to(&channel, &outpoint);
            }
            tree.occupy(&outpoint, &utxo, &apart);
            index.add(&outpoint, &utxo);
        }
        let supply = self.supply();
        if found != supply.unspent || found + supply.burned != supply.genesis {
            return Err(AuditError::Sum {
                found,
                expected: supply.unspent,
            });
        }
        if !self.chain.commits_to(&tree.top(&apart)) {
            return Err(AuditError::Root);
        }
        if channels != self.open_channels() || !all_led_to || !self.index.finds_the_same(&index) {
            return Err(AuditError::Index);
        }
        Ok(Audit {
            outputs: self.chain.store().len(),
            channels,
            supply,
            tip: self.tip(),
        })
    }
}
