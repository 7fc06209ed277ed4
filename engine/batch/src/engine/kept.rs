//! What the hub is owed by a payee's word, and keeps the proof of (rules 13 and 26).
//!
//! *Owed* is a lock of condition `Ack` whose credit is firm and which its payer has not settled. A *word* of a payee is an `Ack`, or a
//! state of its own, by which it acknowledges a leaf `a`. A word *covers* the credits of leaf `L` if `L ≤ a < L + 64`: over more
//! leaves no proof leads. A *kept* word is a record with the locks that are owed by it, and with the leaves from the first that
//! credits one of them (`from`) up to `a`, as far as the channel's list has forgotten them; a lock is owed by at most one.
//!
//! Invariant 1: of each owed lock either a kept word covers it and all leaves from `from` to `a` are held, there or in the
//! channel's list; or the leaf `L` and all later ones are in the list, and the channel's newest ack or newest state covers it.
//!
//! - A credit becomes firm by a word that is the newest then, or that a block reveals. The latter is kept at once.
//! - Before a newer ack or state takes the newest's place, the old one is kept if the new one is 64 leaves or more from a
//!   leaf that owes ([`Engine::keep_before`]).
//! - Before the list forgets a leaf that owes, the word that covers it is kept; a leaf within the reach of a kept word moves there
//!   instead of being freed ([`Engine::forget_oldest`]). Settling a channel forgets all its leaves in that way.
//! - A kept word goes with the last lock that is owed by it ([`Engine::let_word_go`]).
//!
//! Invariant 2: the reaches of a channel's kept words are disjoint, so a leaf moves to one place. To keep a word takes every
//! lock that it covers and that no other holds; one that is too far back for it is first given to the word before.
//!
//! Invariant 3: a channel makes no final leaf while a lock is owed to it by a word that no final block holds, unless the lock has
//! expired ([`Engine::unproven_acks`]). So whoever leaves in peace has left its word on the ledger; of who leaves by a close on
//! the ledger the hub brings it meanwhile (`overdue`).
//!
//! The word that a block holds is kept for all that it covers and no other word holds yet, and nothing replaces a kept word. So
//! what is claimed is claimed by the word that stands there.
//!
//! How much that is: an owed lock holds at most one record and 64 leaves with their credits, and shares them with all that are owed by the
//! same word; a payer has 64 locks. Each ends with its lock, which its payer can be made to settle, or the ledger claims.

use tidegate_channel::Ack;
use tidegate_types::SignatureBytes;

use super::{Engine, UNACKED_MAX};
use crate::engine::ACK;
use crate::record::kept::KeptRecord;
use crate::record::{CreditRecord, FIRM, LeafRecord};
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// The newest ack of a channel as a word to keep.
    fn ack_word(&self, slot: u32) -> Option<KeptRecord> {
        let record = self.live(slot).filter(|record| record.ack_message_h > 0)?;
        Some(KeptRecord {
            digest: record.ack_message_digest,
            signature: self.signed(slot).ack_message_signature,
            h: record.ack_message_h,
            ..bytemuck::Zeroable::zeroed()
        })
    }

    /// The newest state of a channel as a word to keep.
    fn state_word(&self, slot: u32) -> Option<KeptRecord> {
        let record = self.live(slot).filter(|record| record.c > 0 && record.ack_h > 0)?;
        let signed = self.signed(slot);
        Some(KeptRecord {
            digest: signed.ack_digest,
            signature: signed.state_signature,
            locks_root: *self.locks_root(slot).as_bytes(),
            operations: signed.operations,
            h: record.ack_h,
            c: record.c,
            debit: record.debit,
            locks_sum: record.out_locks,
            ..bytemuck::Zeroable::zeroed()
        })
    }

    /// The newest word of a channel that covers this leaf. A payer can be shown an ack alone, so that comes first.
    pub(crate) fn covering_word(&self, slot: u32, h: u64) -> Option<KeptRecord> {
        let covers = |word: &KeptRecord| word.covers(h);
        let by_ack = self.ack_word(slot).filter(covers);
        by_ack.or_else(|| self.state_word(slot).filter(covers))
    }

    /// The lock by which a credit is owed, if no word is kept for it.
    fn owing_lock(&self, credit: &CreditRecord) -> Option<Link> {
        if credit.fate != FIRM || credit.lock == 0 {
            return None;
        }
        let lock = self.store.locks.at(credit.lock);
        let owed = lock.id == credit.id && lock.condition == ACK && u32::from(lock.fate) == FIRM;
        (owed && lock.kept == 0).then_some(credit.lock)
    }

    /// The locks by which the credits of a leaf are owed, and for which no word is kept.
    pub(crate) fn owing_locks(&self, leaf: &LeafRecord) -> impl Iterator<Item = Link> + use<'_, S> {
        let credit = |link: Link| (link != 0).then(|| self.store.credits.at(link));
        let credits = core::iter::successors(credit(leaf.credits), move |before| credit(before.next));
        credits.filter_map(|credit| self.owing_lock(credit))
    }

    /// The leaves of a channel's list, oldest first.
    pub(crate) fn listed_leaves(&self, slot: u32) -> impl Iterator<Item = &LeafRecord> + use<'_, S> {
        let first = self.live(slot).map_or(0, |record| record.leaf_oldest);
        let leaf = |link: Link| (link != 0).then(|| self.store.leaves.at(link));
        core::iter::successors(leaf(first), move |before| leaf(before.next))
    }

    /// The kept words of a channel, newest first.
    pub(crate) fn kept_words(&self, slot: u32) -> impl Iterator<Item = (Link, &KeptRecord)> + use<'_, S> {
        let first = self.live(slot).map_or(0, |record| record.kept);
        let word = |link: Link| (link != 0).then(|| (link, self.store.kept.at(link)));
        core::iter::successors(word(first), move |(_, before)| word(before.next))
    }

    /// A newer ack or state, of leaf `h`, is about to take the place of the newest: what it is too far from is kept by the old.
    pub(super) fn keep_before(&mut self, slot: u32, h: u64) {
        // Leaves have no gaps, so nearly always their number says it.
        let record = self.record(slot);
        let oldest = record.h + 1 - u64::from(record.leaf_count);
        if oldest + UNACKED_MAX > h {
            return;
        }
        while let Some(word) = self.word_too_far(slot, h) {
            self.keep_word(slot, &word);
        }
    }

    /// A word of a channel that covers a leaf which owes, and which is too far from leaf `h`.
    fn word_too_far(&self, slot: u32, h: u64) -> Option<KeptRecord> {
        let far = self.listed_leaves(slot).take_while(|leaf| leaf.h + UNACKED_MAX <= h);
        let mut owing = far.filter(|leaf| self.owing_locks(leaf).next().is_some());
        owing.find_map(|leaf| self.covering_word(slot, leaf.h))
    }

    /// Keeps a word of a channel, if anything is owed by it alone.
    fn keep_word(&mut self, slot: u32, word: &KeptRecord) {
        let mut link = 0;
        let mut leaf_link = self.record(slot).leaf_oldest;
        while leaf_link != 0 {
            let leaf = *self.store.leaves.at(leaf_link);
            if word.covers(leaf.h) {
                link = self.give_to_word((slot, word), link, &leaf);
            }
            leaf_link = if leaf.h < word.h { leaf.next } else { 0 };
        }
    }

    /// Gives what a leaf's credits are owed by to a word, which is kept from the first on.
    fn give_to_word(&mut self, (slot, word): (u32, &KeptRecord), mut kept: Link, leaf: &LeafRecord) -> Link {
        let mut credit = leaf.credits;
        while credit != 0 {
            let record = *self.store.credits.at(credit);
            if let Some(lock) = self.owing_lock(&record) {
                if kept == 0 {
                    kept = self.enter_word(slot, leaf.h, word);
                }
                self.store.locks.at_mut(lock).kept = kept;
                let word = self.store.kept.at_mut(kept);
                word.owed += 1;
                word.expiry = word.expiry.max(record.expiry);
            }
            credit = record.next;
        }
        kept
    }

    fn enter_word(&mut self, slot: u32, from: u64, word: &KeptRecord) -> Link {
        let older = self.record(slot).kept;
        let record = KeptRecord {
            payee: slot + 1,
            next: older,
            from,
            ..*word
        };
        let mut allocation = self.store.meta().kept;
        let link = self.store.kept.take(&mut allocation, record);
        self.store.meta_mut().kept = allocation;
        if older != 0 {
            self.store.kept.at_mut(older).newer = link;
        }
        self.record_mut(slot).kept = link;
        link
    }

    /// A final block holds a word of a channel: it is kept for all that it covers.
    pub(super) fn keep_revealed(&mut self, slot: u32, ack: &Ack, signature: &SignatureBytes, height: u32) {
        let (h, digest) = (ack.leaf.counter.get(), *ack.leaf.digest.as_bytes());
        let known = self
            .kept_words(slot)
            .find(|(_, word)| word.h == h && word.digest == digest);
        if let Some((link, _)) = known {
            let word = self.store.kept.at_mut(link);
            if word.revealed == 0 {
                word.revealed = height;
            }
        }
        if !self
            .listed_leaves(slot)
            .any(|leaf| leaf.h == h && leaf.digest == digest)
        {
            return;
        }
        self.keep_before(slot, h);
        let word = KeptRecord {
            digest,
            signature: *signature.as_bytes(),
            h,
            revealed: height,
            ..bytemuck::Zeroable::zeroed()
        };
        self.keep_word(slot, &word);
    }

    /// Takes the oldest leaf off a channel's list. It stays with a kept word whose proof leads over it.
    pub(super) fn forget_oldest(&mut self, slot: u32) {
        let oldest = self.record(slot).leaf_oldest;
        let leaf = *self.store.leaves.at(oldest);
        if self.owing_locks(&leaf).next().is_some()
            && let Some(word) = self.covering_word(slot, leaf.h)
        {
            self.keep_word(slot, &word);
        }
        let record = self.record_mut(slot);
        if record.leaf_kept == oldest {
            record.leaf_kept = 0;
        }
        record.leaf_oldest = leaf.next;
        if leaf.next == 0 {
            record.leaf_newest = 0;
        }
        if record.leaf_unacked == oldest {
            record.leaf_unacked = leaf.next;
        }
        record.leaf_count -= 1;
        let before = core::mem::replace(&mut self.signed_mut(slot).leaf_before, leaf.digest);
        self.store.leaves.at_mut(oldest).next = 0;
        match self.reaching_word(slot, leaf.h) {
            0 => self.free_leaves(oldest),
            word => self.move_leaf(oldest, word, before),
        }
    }

    /// The kept word whose proofs lead over this leaf, which is none of an older one's.
    fn reaching_word(&self, slot: u32, h: u64) -> Link {
        let reached = self.kept_words(slot).take_while(|(_, word)| word.h >= h);
        let mut reaching = reached.filter(|(_, word)| word.from <= h);
        reaching.next().map_or(0, |(link, _)| link)
    }

    fn move_leaf(&mut self, leaf: Link, word: Link, before: [u8; 32]) {
        let kept = self.store.kept.at_mut(word);
        let last = core::mem::replace(&mut kept.last, leaf);
        if last == 0 {
            (kept.first, kept.before) = (leaf, before);
        } else {
            self.store.leaves.at_mut(last).next = leaf;
        }
    }

    /// A lock is closed: the word by which it was owed goes with the last one.
    pub(super) fn let_word_go(&mut self, link: Link) {
        let word = self.store.kept.at_mut(link);
        word.owed -= 1;
        if word.owed > 0 {
            return;
        }
        let KeptRecord {
            first,
            payee,
            newer,
            next,
            ..
        } = *word;
        self.free_leaves(first);
        match newer {
            0 => self.record_mut(payee - 1).kept = next,
            newer => self.store.kept.at_mut(newer).next = next,
        }
        if next != 0 {
            self.store.kept.at_mut(next).newer = newer;
        }
        let mut allocation = self.store.meta().kept;
        self.store.kept.give(&mut allocation, link);
        self.store.meta_mut().kept = allocation;
    }
}

impl KeptRecord {
    /// Whether a proof leads from the acknowledged leaf back to this one.
    pub(crate) const fn covers(&self, h: u64) -> bool {
        h <= self.h && self.h - h < UNACKED_MAX
    }
}
