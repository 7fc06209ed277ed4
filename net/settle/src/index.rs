//! Lookup tables: outputs by key, channels by name, transactions by txid. Rebuilt at open.
//!
//! A genesis has millions of channels, and most stay as they are. So of each the table of names holds the number alone, five
//! bytes and the room that a hash table needs instead of 69 and that; the name is hashed anew from what stands there. A
//! channel of the genesis that has ended stays in the table: whoever is led to it finds nothing there.

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use hashbrown::{HashMap, HashTable};
use tidegate_ledger::{Condition, Utxo};
use tidegate_types::{ChannelId, Height, KeyBytes, OutPoint, Txid};

use crate::genesis::GenesisOutputs;

/// What queries look up. Never iterated over, so its order shows nowhere.
#[derive(Debug)]
pub(crate) struct Index {
    genesis: Arc<GenesisOutputs>,
    by_key: HashMap<KeyBytes, BTreeSet<OutPoint>>,
    /// Channels of the genesis by the first bytes of their names.
    first_channels: HashTable<u32>,
    /// The channels that were opened since.
    channels: HashMap<ChannelId, OutPoint>,
    /// Funding outputs whose close has begun.
    closing: BTreeSet<OutPoint>,
    /// Locks that closes have turned into outputs.
    locks: BTreeSet<OutPoint>,
    /// The same by the keys that may come to have them.
    locks_by_key: HashMap<KeyBytes, BTreeSet<OutPoint>>,
    transactions: HashMap<Txid, Height>,
    /// In the order of their blocks: the oldest are forgotten.
    order: VecDeque<Txid>,
}

/// Transactions whose block is remembered.
const TRANSACTIONS_MAX: usize = 1 << 20;

impl Index {
    /// Over no outputs yet of the ledger that began with this genesis.
    pub(crate) fn over(genesis: &Arc<GenesisOutputs>) -> Self {
        Self {
            genesis: Arc::clone(genesis),
            by_key: HashMap::new(),
            first_channels: HashTable::with_capacity(genesis.channels()),
            channels: HashMap::new(),
            closing: BTreeSet::new(),
            locks: BTreeSet::new(),
            locks_by_key: HashMap::new(),
            transactions: HashMap::new(),
            order: VecDeque::new(),
        }
    }

    /// The same, over no outputs.
    pub(crate) fn emptied(&self) -> Self {
        Self::over(&self.genesis)
    }

    pub(crate) fn add(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        match &utxo.output.condition {
            Condition::Key(key) => {
                self.by_key.entry(*key).or_default().insert(*outpoint);
            }
            Condition::Channel(terms) | Condition::Closing(terms) => {
                self.add_channel(terms.channel_id(outpoint), outpoint);
                if utxo.is_closing() {
                    self.closing.insert(*outpoint);
                }
            }
            Condition::Lock(terms) => {
                self.locks.insert(*outpoint);
                for key in [terms.claim, terms.refund] {
                    self.locks_by_key.entry(key).or_default().insert(*outpoint);
                }
            }
            _ => {}
        }
    }

    fn add_channel(&mut self, channel: ChannelId, outpoint: &OutPoint) {
        let Some(index) = self.genesis.index_of(outpoint) else {
            self.channels.insert(channel, *outpoint);
            return;
        };
        if self
            .first_channels
            .find(short(&channel), |known| *known == index)
            .is_none()
        {
            // There is room for every channel of the genesis, so nothing is ever hashed again.
            let room = |_: &u32| unreachable!("room was made for all channels of the genesis");
            self.first_channels.insert_unique(short(&channel), index, room);
        }
    }

    pub(crate) fn remove(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        match &utxo.output.condition {
            Condition::Key(key) => {
                forget(&mut self.by_key, key, outpoint);
            }
            Condition::Channel(terms) | Condition::Closing(terms) => {
                if self.genesis.index_of(outpoint).is_none() {
                    self.channels.remove(&terms.channel_id(outpoint));
                }
                self.closing.remove(outpoint);
            }
            Condition::Lock(terms) => {
                self.locks.remove(outpoint);
                for key in [&terms.claim, &terms.refund] {
                    forget(&mut self.locks_by_key, key, outpoint);
                }
            }
            _ => {}
        }
    }

    pub(crate) fn confirm(&mut self, txid: Txid, height: Height) {
        if self.transactions.insert(txid, height).is_none() {
            self.order.push_back(txid);
        }
        while self.order.len() > TRANSACTIONS_MAX {
            if let Some(oldest) = self.order.pop_front() {
                self.transactions.remove(&oldest);
            }
        }
    }

    /// The block that held the transaction was undone.
    pub(crate) fn forget(&mut self, txid: &Txid) {
        self.transactions.remove(txid);
    }

    pub(crate) fn outpoints_of(&self, key: &KeyBytes) -> impl Iterator<Item = &OutPoint> {
        self.by_key.get(key).into_iter().flatten()
    }

    pub(crate) fn closing(&self) -> impl Iterator<Item = &OutPoint> {
        self.closing.iter()
    }

    pub(crate) fn locks(&self) -> impl Iterator<Item = &OutPoint> {
        self.locks.iter()
    }

    pub(crate) fn locks_of(&self, key: &KeyBytes) -> impl Iterator<Item = &OutPoint> {
        self.locks_by_key.get(key).into_iter().flatten()
    }

    /// The funding output of an open channel; `stands` says what stands at an outpoint.
    pub(crate) fn channel(
        &self,
        channel: &ChannelId,
        stands: impl Fn(&OutPoint) -> Option<Utxo>,
    ) -> Option<(OutPoint, Utxo)> {
        if let Some(outpoint) = self.channels.get(channel) {
            return Some((*outpoint, stands(outpoint)?));
        }
        let mut found = None;
        self.first_channels.find(short(channel), |index| {
            let outpoint = self.genesis.outpoint(*index);
            let utxo = stands(&outpoint).filter(|utxo| utxo.channel(&outpoint).is_some_and(|(id, _)| id == *channel));
            found = utxo.map(|utxo| (outpoint, utxo));
            found.is_some()
        });
        found
    }

    pub(crate) fn height_of(&self, txid: &Txid) -> Option<Height> {
        self.transactions.get(txid).copied()
    }

    /// True if the name of a channel leads to its output.
    pub(crate) fn leads_to(&self, channel: &ChannelId, outpoint: &OutPoint) -> bool {
        match self.genesis.index_of(outpoint) {
            Some(index) => self
                .first_channels
                .find(short(channel), |known| *known == index)
                .is_some(),
            None => self.channels.get(channel) == Some(outpoint),
        }
    }

    /// True if both find the same outputs, channels of the genesis left aside: those of them that have ended may stay.
    pub(crate) fn finds_the_same(&self, other: &Self) -> bool {
        self.by_key == other.by_key
            && self.channels == other.channels
            && self.closing == other.closing
            && self.locks == other.locks
            && self.locks_by_key == other.locks_by_key
    }
}

/// The hash of a channel's name, which is a hash itself.
fn short(channel: &ChannelId) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *channel.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

fn forget(by_key: &mut HashMap<KeyBytes, BTreeSet<OutPoint>>, key: &KeyBytes, outpoint: &OutPoint) {
    if let Some(outpoints) = by_key.get_mut(key) {
        outpoints.remove(outpoint);
        if outpoints.is_empty() {
            by_key.remove(key);
        }
    }
}
