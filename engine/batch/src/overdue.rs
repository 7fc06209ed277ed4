//! What the hub has to put on the ledger in time: the proofs by which a payer owes what it has not settled (rule 13).
//!
//! Off the ledger a preimage, or an ack, binds only whoever was told of it. A payer whose channel closes, or who is silent, may
//! never say that it was. So where a lock is owed and still open a margin before its expiry, its proof goes on the ledger, which
//! both channels read.

use tidegate_channel::evidence::{Acknowledged, SignedState};
use tidegate_types::{ChannelId, Height, OutPoint};

use crate::Engine;
use crate::engine::ACK;
use crate::record::in_lock::{BY_PAYER, MET};
use crate::record::{DISPUTED, FIRM, FROZEN, LockRecord};
use crate::slots::Slots;

/// A preimage that a payer owes by, and has not settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwedPreimage {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// The preimage.
    pub preimage: [u8; 32],
    /// The last height at which it counts.
    pub expiry: Height,
    /// The payer's channel.
    pub payer: ChannelId,
}

/// An ack that a payer owes by, and has not settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OwedAck {
    /// The funding output of the payee's channel.
    pub funding: OutPoint,
    /// The payee's word.
    pub word: Acknowledged,
    /// The last height at which it counts.
    pub expiry: Height,
}

/// Where the end of a channel off the ledger stands, that has not come to the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// Its final leaf was made at this height, and waits for its client's signature.
    Final(Height),
    /// It is frozen: its close is on the ledger, or the hub is about to start it.
    Disputed,
}

impl<S: Slots> Engine<S> {
    /// The preimages that a payer owes by, whose locks expire up to and with `last`. Looks at all in-locks.
    #[must_use]
    pub fn owed_preimages(&self, last: Height) -> Vec<OwedPreimage> {
        let links = 1..=self.store.meta().in_locks.used;
        let records = links.map(|link| self.store.in_locks.at(link));
        let open = records.filter(|record| record.held & BY_PAYER != 0 && record.fate == MET);
        open.filter(|record| self.is_due(record.expiry, last))
            .map(|record| OwedPreimage {
                hash: record.hash,
                preimage: record.preimage,
                expiry: Height::new(record.expiry),
                payer: self.channel_id(record.payer),
            })
            .collect()
    }

    /// The acks that a payer owes by, whose locks expire up to and with `last`; of each payee's channel once. Looks at all
    /// locks.
    #[must_use]
    pub fn owed_acks(&self, last: Height) -> Vec<OwedAck> {
        let links = 1..=self.store.meta().locks.used;
        let records = links.map(|link| self.store.locks.at(link));
        let open = records.filter(|record| record.condition == ACK && u32::from(record.fate) == FIRM);
        let due = open.filter(|record| self.is_due(record.expiry, last));
        let mut owed: Vec<OwedAck> = due.filter_map(|record| self.owed_ack(record)).collect();
        owed.sort_unstable_by_key(|owed| (owed.funding, owed.expiry));
        owed.dedup_by_key(|owed| (owed.funding, owed.word.leaf().counter));
        owed
    }

    /// At the expiry itself a proof still counts; above it is too late.
    fn is_due(&self, expiry: u32, last: Height) -> bool {
        (self.store.meta().height..=last.get()).contains(&expiry)
    }

    /// The newest word of the payee of a lock, if it covers the leaf that credited it.
    fn owed_ack(&self, lock: &LockRecord) -> Option<OwedAck> {
        let payee = lock.payee_link.checked_sub(1)?;
        let view = self.view(payee)?;
        let by_ack = view.ack.filter(|(ack, _)| ack.leaf.counter.get() >= lock.credited_h);
        let by_state = || {
            let signed = SignedState {
                state: view.state,
                signature: view.signature,
            };
            (view.state.ack.counter.get() >= lock.credited_h).then_some(Acknowledged::ByState(signed))
        };
        let word = by_ack
            .map(|(ack, signature)| Acknowledged::ByAck(ack, signature))
            .or_else(by_state)?;
        Some(OwedAck {
            funding: view.funding,
            word,
            expiry: lock.expiry(),
        })
    }

    /// Whether the end of a channel was begun and has not come to the ledger, as far as the hub's state says.
    #[must_use]
    pub fn ending(&self, slot: u32) -> Option<Ending> {
        let live = self.live(slot)?;
        match live.status {
            FROZEN => Some(Ending::Final(self.leaf_height(live.leaf_newest))),
            DISPUTED => Some(Ending::Disputed),
            _ => None,
        }
    }
}
