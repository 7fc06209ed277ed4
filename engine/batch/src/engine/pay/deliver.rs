//! An added lock is delivered, waits for its preimage, or fails (rules 9 and 10).

use tidegate_channel::{ClientState, Condition, Credit, FailReason, Lock, OpOutcome};
use tidegate_types::{Fixed, Height, LockSlot};

use super::{ACK, Engine, HASH, JudgedLock, UNACKED_MAX, content_of};
use crate::record::{ACTIVE, LockRecord, NamedRecord};
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// Opens a lock, and credits its payee or offers the lock to it; or fails it.
    pub(super) fn add_lock(
        &mut self,
        (slot, at): (u32, LockSlot),
        state: &ClientState,
        lock: &Lock,
        judged: JudgedLock,
    ) -> (OpOutcome, Link) {
        let (condition, hash, good) = match lock.condition {
            Condition::Ack => (ACK, [0; 32], OpOutcome::Delivered),
            Condition::Hash(hash) => (HASH, hash, OpOutcome::Pending),
        };
        let (outcome, payee) = match self.take_room(slot, lock, judged) {
            Ok(payee) => (good, payee + 1),
            Err(reason) => match self.may_forward(slot, lock, reason) {
                Ok(()) => (good, 0),
                Err(reason) => (OpOutcome::Failed(reason), 0),
            },
        };
        let mut encoded = [0; 2];
        outcome.encode_into(&mut encoded);
        let named = if payee == 0 || condition != ACK {
            self.name(lock, hash)
        } else {
            0
        };
        let record = LockRecord {
            id: *judged.id.as_bytes(),
            payment_id: *lock.payment_id.as_bytes(),
            amount: lock.amount.to_sat(),
            fee: lock.fee.to_sat(),
            c: state.counter.get(),
            batch: self.store.meta().batch + 1,
            credited_h: if payee == 0 || condition == HASH {
                0
            } else {
                self.record(payee - 1).h + 1
            },
            payee_link: payee,
            expiry: lock.expiry.get(),
            outcome: encoded,
            content: content_of(lock),
            condition,
            fate: 0,
            reserved: [0; 2],
            named,
            next: 0,
            kept: 0,
            more_reserved: [0; 2],
        };
        let mut allocation = self.store.meta().locks;
        let link = self.store.locks.take(&mut allocation, record);
        self.store.meta_mut().locks = allocation;
        if payee != 0 {
            self.deliver((slot, at, link), payee - 1, lock, judged);
        } else if outcome == OpOutcome::Pending {
            let waiting = self.forward((slot, at, link), lock, &judged);
            self.store.locks.at_mut(link).credited_h = waiting.into();
        }
        (outcome, link)
    }

    /// Keeps whom a lock names, where no credited channel says it.
    fn name(&mut self, lock: &Lock, hash: [u8; 32]) -> Link {
        let record = NamedRecord {
            payee: *lock.payee.as_bytes(),
            payee_channel: *lock.payee_channel.as_bytes(),
            hash,
            next: 0,
            reserved: 0,
        };
        let mut allocation = self.store.meta().named;
        let link = self.store.named.take(&mut allocation, record);
        self.store.meta_mut().named = allocation;
        link
    }

    /// Credits the payee of a lock that has its room, or offers it the lock.
    fn deliver(&mut self, payer: (u32, LockSlot, Link), payee: u32, lock: &Lock, judged: JudgedLock) {
        if lock.condition != Condition::Ack {
            let in_lock = self.offer(payer, payee, lock, &judged);
            self.store.locks.at_mut(payer.2).credited_h = in_lock.into();
            return;
        }
        let touch = self.touched(payee);
        touch.leaf = true;
        touch.credit_locks.push(payer.2);
        touch.credits.push(Credit {
            lock: judged.id,
            salt: judged.salt,
            payment_id: lock.payment_id,
            amount: lock.amount,
            expiry: lock.expiry,
        });
    }

    /// Takes the room for a lock's amount in its payee's channel; that channel's number, or why the lock fails.
    fn take_room(&mut self, payer: u32, lock: &Lock, judged: JudgedLock) -> Result<u32, FailReason> {
        // A block of this batch may have opened it.
        let payee = judged.payee.or_else(|| self.channel(&lock.payee_channel));
        let payee = payee.ok_or(FailReason::UnknownPayee)?;
        if self.store.channels.get(payee).client != *lock.payee.as_bytes() {
            return Err(FailReason::UnknownPayee);
        }
        if payee == payer {
            return Err(FailReason::SelfPayment);
        }
        self.check_limits(payer, lock, payee)?;
        // A block of this batch may have opened it, so that it sleeps yet.
        self.wake(payee);
        // First of all what has expired becomes void, so that it counts no longer.
        self.touch(payee);
        let (record, height) = (self.record(payee), self.store.meta().height());
        if record.status != ACTIVE {
            return Err(FailReason::PayeeClosing);
        }
        // Past its `ack_by` a payee's acks are refused until what waits is void: a credit now would be void from the start.
        let overdue = record.unfirm != 0 && height > self.ack_by_of(record);
        if record.unacked() >= UNACKED_MAX || overdue {
            return Err(FailReason::PayeeSilent);
        }
        let unfirm_count = record.unfirm_count as usize;
        let limit = self.policy.max_unfirm_credits as usize;
        if lock.condition != Condition::Ack {
            self.check_in_slots(payer, payee)?;
        }
        let touch = self.touched(payee);
        if lock.condition == Condition::Ack && unfirm_count + touch.credits.len() >= limit {
            return Err(FailReason::PayeeLimit);
        }
        touch.room = touch.room.sub(lock.amount).map_err(|_| FailReason::NoInboundCapacity)?;
        Ok(payee)
    }

    pub(in crate::engine) fn check_limits(&self, payer: u32, lock: &Lock, payee: u32) -> Result<(), FailReason> {
        let (policy, height) = (&self.policy, self.store.meta().height());
        let shortest = match lock.condition {
            Condition::Ack => policy.shortest_lock(),
            Condition::Hash(_) if policy.max_in_locks == 0 => return Err(FailReason::ConditionNotOffered),
            Condition::Hash(_) => policy.shortest_hash_lock(),
        };
        if lock.amount < policy.min_amount || lock.amount.is_zero() {
            return Err(FailReason::AmountTooSmall);
        }
        if lock.fee < policy.fee(lock.amount) {
            return Err(FailReason::FeeTooLow);
        }
        if height.plus(shortest).is_none_or(|first| lock.expiry < first) {
            return Err(FailReason::ExpiryTooNear);
        }
        let last = height.plus(policy.max_lock).unwrap_or(Height::MAX);
        let ends = [payer, payee].map(|slot| self.shared(slot).last_lock_expiry());
        if lock.expiry > last || ends.iter().any(|end| lock.expiry >= *end) {
            return Err(FailReason::ExpiryTooFar);
        }
        Ok(())
    }
}
