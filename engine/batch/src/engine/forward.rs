//! Hash locks whose payee is with another hub (rule 15): taken, listed for whoever forwards them, and ended.
//!
//! Such a lock has the record of an in-lock, so that a preimage on the ledger meets it like all others, but stands on no page:
//! the hub owes it to nobody here. Which hub it goes to is not for the engine to know. It takes what it has room for; what cannot be
//! forwarded comes back as failed, by an input like everything else.

use std::collections::BTreeSet;

use tidegate_channel::{Condition, FailReason, Lock, OpOutcome, RefuseReason};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::{ChannelId, Height, KeyBytes, LockId, LockSlot};

use super::Engine;
use super::pay::JudgedLock;
use crate::forward::{ForwardEnd, ForwardInput, Forwarded};
use crate::record::in_lock::{BY_PAYER, InLockRecord, RELEASED, WAITS};
use crate::slots::{Link, Slots};
use crate::store::{Store, amount};

/// Stands for the payee's channel: it is another hub's.
pub(super) const ELSEWHERE: u32 = u32::MAX;

/// The locks that wait for other hubs, by their links, and those of this batch. What follows from the tables alone.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    waiting: BTreeSet<Link>,
    new: Vec<Link>,
}

impl Forwards {
    /// As the tables have it.
    pub(super) fn of<S: Slots>(store: &Store<S>) -> Self {
        let waits = |link: &Link| {
            let record = store.in_locks.at(*link);
            record.is_elsewhere() && record.held != 0 && record.fate == WAITS
        };
        Self {
            waiting: (1..=store.meta().in_locks.used).filter(waits).collect(),
            new: Vec::new(),
        }
    }

    pub(super) fn begin(&mut self) {
        self.new.clear();
    }

    /// It waits no more.
    pub(super) fn ended(&mut self, link: Link) {
        self.waiting.remove(&link);
    }
}

impl InLockRecord {
    pub(super) const fn is_elsewhere(&self) -> bool {
        self.payee == ELSEWHERE
    }
}

impl<S: Slots> Engine<S> {
    /// Whether a lock whose payee is unknown here may wait for another hub; `reason` is why it has no payee.
    pub(super) fn may_forward(&self, payer: u32, lock: &Lock, reason: FailReason) -> Result<(), FailReason> {
        let policy = &self.policy;
        let unknown = reason == FailReason::UnknownPayee && self.channel(&lock.payee_channel).is_none();
        if lock.condition == Condition::Ack || !unknown || policy.max_forwarded == 0 {
            return Err(reason);
        }
        self.check_limits(payer, lock, payer)?;
        let waiting = &self.forwards.waiting;
        if waiting.len() >= usize::from(policy.max_forwarded) {
            return Err(FailReason::PayeeLocksFull);
        }
        let own = waiting
            .iter()
            .filter(|&&link| self.store.in_locks.at(link).payer == payer);
        if own.count() >= usize::from(policy.max_in_locks_per_payer) {
            Err(FailReason::PayerLimit)
        } else {
            Ok(())
        }
    }

    /// Lets a lock wait for another hub. Returns the link of its record.
    pub(super) fn forward(
        &mut self,
        (payer, at, payer_lock): (u32, LockSlot, Link),
        lock: &Lock,
        judged: &JudgedLock,
    ) -> Link {
        let Condition::Hash(hash) = lock.condition else {
            unreachable!("only hash locks are forwarded")
        };
        let record = InLockRecord {
            id: *judged.id.as_bytes(),
            payment_id: *lock.payment_id.as_bytes(),
            hash,
            preimage: [0; 32],
            digest: [0; 32],
            amount: lock.amount.to_sat(),
            batch: self.store.meta().batch + 1,
            payer,
            payee: ELSEWHERE,
            payer_lock,
            expiry: lock.expiry.get(),
            held: BY_PAYER,
            payee_slot: 0,
            payer_slot: u8::try_from(at.index()).expect("a page has 64 slots"),
            fate: WAITS,
            next: 0,
        };
        let mut allocation = self.store.meta().in_locks;
        let link = self.store.in_locks.take(&mut allocation, record);
        self.store.meta_mut().in_locks = allocation;
        self.forwards.waiting.insert(link);
        self.forwards.new.push(link);
        link
    }

    /// Takes the end of a lock that waits for another hub. One that has ended already, by a reveal say, is unknown.
    pub(super) fn end_forward(&mut self, input: &ForwardInput) -> Result<(), RefuseReason> {
        let payer = self.channel(&input.payer).ok_or(RefuseReason::NotOffered)?;
        let link = self
            .find_forwarded(payer, &input.lock)
            .ok_or(RefuseReason::UnknownLock)?;
        let (record, height) = (*self.store.in_locks.at(link), self.store.meta().height());
        let expiry = Height::new(record.expiry);
        match input.end {
            ForwardEnd::Met(preimage) => {
                if payment_hash(&preimage) != record.hash {
                    return Err(RefuseReason::WrongPreimage);
                }
                // Later it belongs on the ledger, where it meets this lock with all others of its hash (rule 13).
                if expiry.minus(self.policy.margin).is_none_or(|last| height > last) {
                    return Err(RefuseReason::TooLate);
                }
                self.note_met(link, &preimage);
                self.meet(link);
            }
            ForwardEnd::Failed(reason) => {
                self.note_gone(link);
                self.tell_payer(link, OpOutcome::Failed(reason), [0; 32]);
            }
            ForwardEnd::Expired if height <= expiry => return Err(RefuseReason::NotDroppable),
            ForwardEnd::Expired => self.note_gone(link),
        }
        Ok(())
    }

    /// No preimage meets it any more.
    fn note_gone(&mut self, link: Link) {
        self.store.in_locks.at_mut(link).fate = RELEASED;
        self.forwards.ended(link);
    }

    /// The waiting lock of this name, if an earlier batch took it.
    fn find_forwarded(&self, payer: u32, id: &LockId) -> Option<Link> {
        let batch = self.store.meta().batch;
        let is = |link: &Link| {
            let record = self.store.in_locks.at(*link);
            record.payer == payer && record.id == *id.as_bytes() && record.batch <= batch
        };
        self.forwards.waiting.iter().copied().find(is)
    }

    fn forwarded(&self, link: Link) -> Forwarded {
        let record = self.store.in_locks.at(link);
        let lock = self.store.locks.at(record.payer_lock);
        let named = self.store.named.at(lock.named);
        Forwarded {
            payer: self.channel_id(record.payer),
            lock: LockId::from_bytes(record.id),
            payee: KeyBytes::from_bytes(named.payee),
            payee_channel: ChannelId::from_bytes(named.payee_channel),
            amount: amount(lock.amount),
            fee: amount(lock.fee),
            expiry: Height::new(record.expiry),
            hash: record.hash,
        }
    }

    /// Lists what this batch lets wait for other hubs.
    pub(super) fn list_forwards(&self, out: &mut Vec<Forwarded>) {
        out.clear();
        // One that an input behind its own has ended is not new any more.
        let new = self
            .forwards
            .new
            .iter()
            .filter(|link| self.forwards.waiting.contains(link));
        out.extend(new.map(|&link| self.forwarded(link)));
    }

    /// Every lock that waits for another hub.
    #[must_use]
    pub fn forwards(&self) -> Vec<Forwarded> {
        self.forwards.waiting.iter().map(|&link| self.forwarded(link)).collect()
    }
}
