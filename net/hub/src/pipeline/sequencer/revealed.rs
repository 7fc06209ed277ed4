//! Hashes whose preimages stand on the ledger: no lock on one of them is taken.
//!
//! A preimage on the ledger meets every lock on its hash, also one that is made afterwards (rule 26). The engine meets the locks that
//! it holds when the block comes. One that was added later would be the payee's on the ledger, by the record, and after
//! its expiry the payer's again in the hub: the hub would have paid for both.

use std::collections::HashSet;

use tidegate_batch::{BlockInput, PayInput};
use tidegate_channel::{Condition, Operation};
use tidegate_crypto::hash::payment_hash;

/// What the ledger has shown so far. It forgets what is older than every channel and lock; here that is forgotten with a restart.
#[derive(Debug, Default)]
pub(super) struct Revealed(HashSet<[u8; 32]>);

impl Revealed {
    pub(super) const fn new(hashes: HashSet<[u8; 32]>) -> Self {
        Self(hashes)
    }

    /// A final block has come; what its batch brings to the engine, no state behind it may lock.
    pub(super) fn note(&mut self, block: &BlockInput) {
        self.0
            .extend(block.revealed.iter().map(|reveal| payment_hash(&reveal.preimage)));
    }

    /// True if the state adds a lock that is met before it is made.
    pub(super) fn meets(&self, pay: &PayInput) -> bool {
        !self.0.is_empty()
            && pay.operations.iter().any(|operation| match operation {
                Operation::Add { lock, .. } => {
                    matches!(&lock.condition, Condition::Hash(hash) if self.0.contains(hash))
                }
                Operation::Settle { .. } | Operation::Drop { .. } | Operation::Release { .. } => false,
            })
    }
}
