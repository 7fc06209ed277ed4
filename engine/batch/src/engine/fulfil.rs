//! A preimage meets a hash lock: shown by the payee, or revealed on the ledger (rules 13 and 26).
//!
//! The payee's K grows by the amount, and the payer's leaf carries the preimage. Both happen in the batch that takes it.

use tidegate_channel::{InChangeKind, OpKind, OpOutcome, Outcome, RefuseReason, credit_salt};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::{ClientCounter, Fixed, Height, LockId};

use super::Engine;
use crate::executed::Answer;
use crate::input::{BlockInput, FulfilInput};
use crate::record::in_lock::{BY_PAYEE, BY_PAYER, MET, WAITS};
use crate::record::{ACTIVE, FIRM};
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// Takes a preimage. One shown again finds its lock gone. `known` is the channel's number, if the caller has looked it up.
    pub(super) fn fulfil(&mut self, input: u32, fulfil: &FulfilInput, known: Option<u32>) -> Result<(), RefuseReason> {
        let slot = self.channel_known(&fulfil.channel, known);
        let slot = slot.ok_or(RefuseReason::NotOffered)?;
        if self.status(slot) != ACTIVE {
            return Err(RefuseReason::Closing);
        }
        let link = self.find_in_lock(slot, &fulfil.lock).ok_or(RefuseReason::UnknownLock)?;
        let (in_lock, height) = (self.store.in_locks.at(link), self.store.meta().height());
        if payment_hash(&fulfil.preimage) != in_lock.hash {
            return Err(RefuseReason::WrongPreimage);
        }
        // Later the hub itself might not get it onto the ledger against the payer.
        let last = Height::new(in_lock.expiry).minus(self.policy.margin);
        if last.is_none_or(|last| height > last) {
            return Err(RefuseReason::TooLate);
        }
        self.note_met(link, &fulfil.preimage);
        self.touch(slot);
        self.meet(link);
        let counter = self.record(slot).c();
        self.touched(slot).answers.push(Answer { input, counter });
        Ok(())
    }

    /// From now on the in-lock does not expire.
    pub(super) fn note_met(&mut self, link: Link, preimage: &[u8; 32]) {
        let record = self.store.in_locks.at_mut(link);
        (record.preimage, record.fate) = (*preimage, MET);
        if record.is_elsewhere() {
            self.forwards.ended(link);
        }
    }

    /// Pays an in-lock that was met, as far as its payee and its payer still hold it.
    pub(super) fn meet(&mut self, link: Link) {
        let record = *self.store.in_locks.at(link);
        // Payers first: withdrawing may free the record.
        if record.held & BY_PAYER != 0 {
            self.tell_payer(link, OpOutcome::Delivered, record.preimage);
        }
        // In a channel that closes the ledger credits the payee, by its record of the reveal.
        if record.held & BY_PAYEE != 0 && self.status(record.payee) == ACTIVE {
            self.touch(record.payee);
            let change = self.withdraw(link, InChangeKind::Fulfilled);
            self.record_mut(record.payee).firm += record.amount;
            let touch = self.touched(record.payee);
            touch.leaf = true;
            touch.in_changes.push(change);
        }
    }

    /// Decides a payer's lock after the state that added it: the outcome stands in the payer's next leaf.
    pub(super) fn tell_payer(&mut self, link: Link, outcome: OpOutcome, preimage: [u8; 32]) {
        let record = *self.store.in_locks.at(link);
        let lock = self.store.locks.at_mut(record.payer_lock);
        outcome.encode_into(&mut lock.outcome);
        if outcome == OpOutcome::Delivered {
            lock.fate = u8::try_from(FIRM).expect("fates are small");
        }
        let counter = ClientCounter::new(lock.c);
        if self.status(record.payer) != ACTIVE {
            return;
        }
        let id = LockId::from_bytes(record.id);
        let failed = matches!(outcome, OpOutcome::Failed(_));
        let salt = if failed {
            credit_salt(&self.salt_secret, &id)
        } else {
            [0; 16]
        };
        let touch = self.touched(record.payer);
        touch.leaf = true;
        touch.outcomes.push(Outcome {
            counter,
            kind: OpKind::Add,
            slot: record.payer_slot(),
            outcome,
            lock: id,
            salt,
            preimage,
        });
    }

    /// Takes the preimages that a block reveals: each meets every lock on its hash that had not expired by then.
    pub(super) fn take_reveals(&mut self, block: &BlockInput) {
        let met = self.revealed_locks(block);
        // All of them first: the batch's height may be above their expiry by now, and a touch drops what has expired.
        for &(link, reveal) in &met {
            self.note_met(link, &block.revealed[reveal].preimage);
        }
        for (link, _) in met {
            self.meet(link);
        }
    }

    /// The in-locks that a block's reveals meet, by their links, each with the reveal's place: those of earlier batches, as with
    /// a preimage that its payee shows. Looks at all in-locks: reveals on the ledger are for those who were cheated, and cost
    /// who makes them a fee.
    pub(super) fn revealed_locks(&self, block: &BlockInput) -> Vec<(Link, usize)> {
        if block.revealed.is_empty() {
            return Vec::new();
        }
        let hashes: Vec<_> = block
            .revealed
            .iter()
            .map(|reveal| (payment_hash(&reveal.preimage), reveal.height))
            .collect();
        let meta = self.store.meta();
        let links = 1..=meta.in_locks.used;
        links
            .filter_map(|link| {
                let record = self.store.in_locks.at(link);
                let open = record.held != 0 && record.fate == WAITS && record.batch <= meta.batch;
                let meets =
                    |&(hash, height): &([u8; 32], Height)| hash == record.hash && height <= Height::new(record.expiry);
                let found = hashes.iter().position(meets).filter(|_| open)?;
                Some((link, found))
            })
            .collect()
    }
}
