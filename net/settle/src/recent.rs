//! The newest blocks in memory: those that are not final, with what takes them out of the lookup tables again, and some
//! final ones for whoever follows this node.

use std::collections::VecDeque;

use tidegate_ledger::{Applied, Block, Utxo};
use tidegate_types::{Digest, Height, OutPoint, Txid};

use crate::index::Index;

/// Final blocks are kept up to so many bytes, for followers; older ones are read from the disk.
const BYTES_MAX: usize = 4 << 20;
/// And up to so many: an empty block is small.
const COUNT_MAX: usize = 4096;

/// The newest blocks, without a gap.
#[derive(Debug)]
pub(crate) struct Recent {
    /// Height and hash of the block below the first: the genesis at first.
    base: (Height, Digest),
    entries: VecDeque<Entry>,
    bytes: usize,
}

/// One block.
#[derive(Debug)]
struct Entry {
    height: Height,
    hash: Digest,
    encoded: Vec<u8>,
    /// `None` once it is final.
    changes: Option<Changes>,
}

/// What a block changed in the lookup tables.
#[derive(Debug)]
struct Changes {
    spent: Vec<(OutPoint, Utxo)>,
    created: Vec<(OutPoint, Utxo)>,
    transactions: Vec<Txid>,
}

impl Recent {
    /// No blocks above this one, which is final.
    pub(crate) const fn above(height: Height, hash: Digest) -> Self {
        Self {
            base: (height, hash),
            entries: VecDeque::new(),
            bytes: 0,
        }
    }

    /// Takes over a block that the chain has applied, into the lookup tables too.
    pub(crate) fn push(&mut self, index: &mut Index, block: &Block, encoded: Vec<u8>, applied: Applied) {
        // In this order: an entry that changed where it is stands in both lists.
        applied
            .spent
            .iter()
            .for_each(|(outpoint, utxo)| index.remove(outpoint, utxo));
        applied
            .created
            .iter()
            .for_each(|(outpoint, utxo)| index.add(outpoint, utxo));
        let transactions: Vec<Txid> = block
            .transactions
            .iter()
            .map(|transaction| transaction.txid())
            .collect();
        for txid in &transactions {
            index.confirm(*txid, applied.tip.height);
        }
        let final_height = applied.tip.final_height;
        self.bytes += encoded.len();
        self.entries.push_back(Entry {
            height: applied.tip.height,
            hash: applied.tip.hash,
            encoded,
            changes: Some(Changes {
                spent: applied.spent,
                created: applied.created,
                transactions,
            }),
        });
        self.settle(final_height);
    }

    /// Forgets what undoes final blocks, and the oldest final blocks beyond the bounds.
    fn settle(&mut self, final_height: Height) {
        let newly_final = self
            .entries
            .iter_mut()
            .rev()
            .skip_while(|entry| entry.height > final_height);
        for entry in newly_final.take_while(|entry| entry.changes.is_some()) {
            entry.changes = None;
        }
        while self.bytes > BYTES_MAX || self.entries.len() > COUNT_MAX {
            let Some(oldest) = self.entries.pop_front_if(|entry| entry.height <= final_height) else {
                return;
            };
            self.bytes -= oldest.encoded.len();
            self.base = (oldest.height, oldest.hash);
        }
    }

    /// Takes the newest block out again, out of the lookup tables too; the chain has undone it. Returns its encoding.
    ///
    /// # Panics
    /// If it is final: the chain undoes no such block.
    pub(crate) fn pop(&mut self, index: &mut Index) -> Vec<u8> {
        let entry = self.entries.pop_back().expect("what is not final is kept here");
        let changes = entry.changes.expect("a final block is never undone");
        changes
            .created
            .iter()
            .for_each(|(outpoint, utxo)| index.remove(outpoint, utxo));
        changes
            .spent
            .iter()
            .for_each(|(outpoint, utxo)| index.add(outpoint, utxo));
        changes.transactions.iter().for_each(|txid| index.forget(txid));
        self.bytes -= entry.encoded.len();
        entry.encoded
    }

    /// The hash of the block at a height, if it is here or right below.
    pub(crate) fn hash_at(&self, height: Height) -> Option<Digest> {
        if height == self.base.0 {
            return Some(self.base.1);
        }
        self.at(height).map(|entry| entry.hash)
    }

    /// The height of the block with this hash, if it is here or right below.
    pub(crate) fn height_of(&self, hash: &Digest) -> Option<Height> {
        if *hash == self.base.1 {
            return Some(self.base.0);
        }
        let found = self.entries.iter().rev().find(|entry| entry.hash == *hash);
        found.map(|entry| entry.height)
    }

    /// The encodings of the blocks from a height on; `None` if some of them are not here any more.
    pub(crate) fn encoded_from(&self, from: Height) -> Option<impl Iterator<Item = &[u8]>> {
        let skip = from.get().checked_sub(self.base.0.get())?.checked_sub(1)?;
        Some(self.entries.iter().skip(skip as usize).map(|entry| &entry.encoded[..]))
    }

    fn at(&self, height: Height) -> Option<&Entry> {
        let place = height.get().checked_sub(self.base.0.get())?.checked_sub(1)?;
        self.entries.get(place as usize)
    }
}
