//! Lookup tables: outputs by key, channels by name, transactions by txid. Rebuilt at open.

use std::collections::{BTreeSet, VecDeque};

use hashbrown::HashMap;
use tidegate_ledger::{Condition, Utxo};
use tidegate_types::{ChannelId, Height, KeyBytes, OutPoint, Txid};

/// What queries look up. Never iterated over, so its order shows nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Index {
    by_key: HashMap<KeyBytes, BTreeSet<OutPoint>>,
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
    pub(crate) fn add(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        match &utxo.output.condition {
            Condition::Key(key) => {
                self.by_key.entry(*key).or_default().insert(*outpoint);
            }
            Condition::Channel(terms) | Condition::Closing(terms) => {
                self.channels.insert(terms.channel_id(outpoint), *outpoint);
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

    pub(crate) fn remove(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        match &utxo.output.condition {
            Condition::Key(key) => {
                forget(&mut self.by_key, key, outpoint);
            }
            Condition::Channel(terms) | Condition::Closing(terms) => {
                self.channels.remove(&terms.channel_id(outpoint));
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

    pub(crate) fn channel(&self, channel: &ChannelId) -> Option<&OutPoint> {
        self.channels.get(channel)
    }

    pub(crate) fn height_of(&self, txid: &Txid) -> Option<Height> {
        self.transactions.get(txid).copied()
    }

    /// True if both find the same outputs.
    pub(crate) fn finds_the_same(&self, other: &Self) -> bool {
        self.by_key == other.by_key
            && self.channels == other.channels
            && self.closing == other.closing
            && self.locks == other.locks
            && self.locks_by_key == other.locks_by_key
    }
}

fn forget(by_key: &mut HashMap<KeyBytes, BTreeSet<OutPoint>>, key: &KeyBytes, outpoint: &OutPoint) {
    if let Some(outpoints) = by_key.get_mut(key) {
        outpoints.remove(outpoint);
        if outpoints.is_empty() {
            by_key.remove(key);
        }
    }
}
