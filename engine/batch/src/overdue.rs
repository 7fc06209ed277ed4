//! What the hub has to put on the ledger in time: the proofs by which a payer owes what it has not settled (rule 13).
//!
//! Off the ledger a preimage, or an ack, binds only whoever was told of it. A payer whose channel closes, or who is silent, may
//! never say that it was. So where a lock is owed and still open a margin before its expiry, its proof goes on the ledger, which
//! both channels read.

use core::ops::RangeInclusive;

use tidegate_channel::evidence::Acknowledged;
use tidegate_types::{ChannelId, Height, OutPoint};

use crate::Engine;
use crate::engine::ACK;
use crate::record::in_lock::{BY_PAYER, MET};
use crate::record::kept::KeptRecord;
use crate::record::{DISPUTED, FIRM, FROZEN, LockRecord, SETTLED};
use crate::slots::{Link, Slots};

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

/// A search through all locks for what payers owe, in parts of any size, between which batches may be executed.
///
/// A lock that is met while the search is under way may be missed, if its place has been passed. A lock is only met a margin
/// before its expiry (rule 13), so it is found by a search that begins within the margin from then.
#[derive(Debug)]
pub struct OwedSearch {
    last: Height,
    /// The next in-lock and the next lock to look at.
    next: (Link, Link),
    preimages: Vec<OwedPreimage>,
    acks: Vec<OwedAck>,
}

impl OwedSearch {
    /// For locks that expire up to and with `last`.
    #[must_use]
    pub const fn new(last: Height) -> Self {
        Self {
            last,
            next: (1, 1),
            preimages: Vec::new(),
            acks: Vec::new(),
        }
    }

    /// What was found: preimages, and acks of each payee's channel once.
    #[must_use]
    pub fn into_found(mut self) -> (Vec<OwedPreimage>, Vec<OwedAck>) {
        self.acks.sort_unstable_by_key(|owed| (owed.funding, owed.expiry));
        self.acks.dedup_by_key(|owed| (owed.funding, owed.word.leaf().counter));
        (self.preimages, self.acks)
    }
}

/// The next part of a table that is used up to and with `used`: at most `count` records from `next`, which it moves.
fn part(next: &mut Link, used: Link, count: u32) -> RangeInclusive<Link> {
    let (first, last) = (*next, used.min(next.saturating_add(count) - 1));
    *next = next.saturating_add(count).min(used.saturating_add(1));
    first..=last
}

impl<S: Slots> Engine<S> {
    /// Looks at the next `count` locks of each kind; true if none are left.
    ///
    /// # Panics
    /// If `count` is 0.
    pub fn search_owed(&self, search: &mut OwedSearch, count: u32) -> bool {
        assert!(count > 0, "a part has records");
        let meta = self.store.meta();
        let (in_locks, locks) = (meta.in_locks.used, meta.locks.used);
        let last = search.last;
        for link in part(&mut search.next.0, in_locks, count) {
            let record = self.store.in_locks.at(link);
            let owed = record.held & BY_PAYER != 0 && record.fate == MET;
            if owed && self.is_due(record.expiry, last) {
                search.preimages.push(OwedPreimage {
                    hash: record.hash,
                    preimage: record.preimage,
                    expiry: Height::new(record.expiry),
                    payer: self.channel_id(record.payer),
                });
            }
        }
        for link in part(&mut search.next.1, locks, count) {
            let record = self.store.locks.at(link);
            let owed = record.condition == ACK && u32::from(record.fate) == FIRM;
            if owed && (self.is_due(record.expiry, last) || self.is_leaving(record)) {
                search.acks.extend(self.owed_ack(record));
            }
        }
        search.next.0 > in_locks && search.next.1 > locks
    }

    /// At the expiry itself a proof still counts; above it is too late.
    fn is_due(&self, expiry: u32, last: Height) -> bool {
        (self.store.meta().height..=last.get()).contains(&expiry)
    }

    /// The payee's channel is closed on the ledger: afterwards its word cannot be brought there.
    fn is_leaving(&self, lock: &LockRecord) -> bool {
        let payee = lock.payee_link.checked_sub(1);
        lock.expiry >= self.store.meta().height && payee.is_some_and(|payee| self.status(payee) == DISPUTED)
    }

    /// The word by which a lock is owed, unless it stands on the ledger.
    fn owed_ack(&self, lock: &LockRecord) -> Option<OwedAck> {
        let payee = lock
            .payee_link
            .checked_sub(1)
            .filter(|&payee| self.status(payee) != SETTLED)?;
        let word = match lock.kept {
            0 => self.covering_word(payee, lock.credited_h)?,
            kept => *self.store.kept.at(kept),
        };
        (word.revealed == 0).then(|| self.owed_by(payee, &word, lock.expiry()))?
    }

    fn owed_by(&self, payee: u32, word: &KeptRecord, expiry: Height) -> Option<OwedAck> {
        Some(OwedAck {
            funding: self.shared(payee).funding(self.store.channels.get(payee)),
            word: word.said(self.channel_id(payee))?,
            expiry,
        })
    }

    /// The words of this payee by which locks are owed that have not expired, and which no final block holds.
    #[must_use]
    pub fn unproven_acks(&self, slot: u32) -> Vec<OwedAck> {
        let height = self.store.meta().height;
        let kept = self
            .kept_words(slot)
            .filter(|(_, word)| word.revealed == 0 && word.expiry >= height);
        let mut acks: Vec<OwedAck> = kept
            .filter_map(|(_, word)| self.owed_by(slot, word, Height::new(word.expiry)))
            .collect();
        let listed = self.listed_leaves(slot).flat_map(|leaf| self.owing_locks(leaf));
        let owing = listed.map(|link| self.store.locks.at(link));
        let owing = owing.filter(|lock| lock.expiry >= height);
        acks.extend(owing.filter_map(|lock| self.owed_ack(lock)));
        acks.sort_unstable_by_key(|owed| (owed.word.leaf().counter, owed.expiry));
        acks.dedup_by_key(|owed| owed.word.leaf().counter);
        acks
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
