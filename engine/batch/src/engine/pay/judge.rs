//! Everything that can refuse a state, on a copy of its channel's lock page: nothing changes here.

use tidegate_channel::{
    ClientState, Condition, HalfSums, Lock, OpOutcome, Operation, RefuseReason, client_balance, operations_digest,
};
use tidegate_types::{Amount, Digest, Height, LockId, LockSlot};

use super::{ADDED, Engine, NamedLeaf, PageScratch, bit, content, empty_page, print_of};
use crate::input::PayInput;
use crate::record::{ChannelRecord, FIRM, LockRecord, PageRecord};
use crate::slots::{Link, Slots};
use crate::store::amount;

/// The sums of the client's half after some operations.
#[derive(Clone, Copy)]
struct Sums {
    debit: Amount,
    locks: Amount,
}

impl<S: Slots> Engine<S> {
    /// Checks everything that can refuse the state; leaves the page after its operations in `scratch`.
    pub(super) fn judge(
        &self,
        slot: u32,
        pay: &PayInput,
        record: &ChannelRecord,
        named: NamedLeaf,
        scratch: &mut PageScratch,
    ) -> Result<(), RefuseReason> {
        let state = &pay.state;
        scratch.page = if record.page == 0 {
            empty_page()
        } else {
            *self.store.pages.at(record.page)
        };
        scratch.ids.clear();
        check_ids_differ(&pay.operations)?;
        let mut sums = Sums {
            debit: amount(record.debit),
            locks: amount(record.out_locks),
        };
        let before = sums;
        for operation in &pay.operations {
            let id = self.judge_operation(record, state, operation, named.height, &mut sums, &mut scratch.page)?;
            scratch.ids.push(id);
        }
        plant(&mut scratch.page, &pay.operations, |link| {
            self.lock_digest(link, &pay.operations, &scratch.ids)
        });
        let good = state.debit == sums.debit
            && state.locks_sum == sums.locks
            && state.locks_root == scratch.page.tree.root()
            && state.operations == operations_digest(&pay.encoded);
        if !good {
            return Err(RefuseReason::WrongState);
        }
        let spends = sums.debit.to_sat() + sums.locks.to_sat() > before.debit.to_sat() + before.locks.to_sat();
        if spends {
            self.judge_balance(slot, record, named, sums)
        } else {
            Ok(())
        }
    }

    fn judge_balance(
        &self,
        slot: u32,
        record: &ChannelRecord,
        named: NamedLeaf,
        sums: Sums,
    ) -> Result<(), RefuseReason> {
        let terms = self.terms_of(slot);
        // Debit and locks together only rise here, so every sum of this channel stays in range.
        Amount::sum([terms.capacity, sums.debit, sums.locks]).map_err(|_| RefuseReason::WrongState)?;
        let halves = HalfSums {
            firm_credit: named.firm,
            debit: sums.debit,
            out_locks: sums.locks,
            ..record.sums()
        };
        let balance = client_balance(&terms, &halves).map_err(|_| RefuseReason::InsufficientBalance)?;
        if balance < terms.client_reserve {
            Err(RefuseReason::InsufficientBalance)
        } else {
            Ok(())
        }
    }

    fn judge_operation(
        &self,
        record: &ChannelRecord,
        state: &ClientState,
        operation: &Operation,
        named_height: Height,
        sums: &mut Sums,
        page: &mut PageRecord,
    ) -> Result<LockId, RefuseReason> {
        match operation {
            Operation::Add { slot: at, lock } => {
                if page.open & bit(*at) != 0 {
                    return Err(RefuseReason::BadOperation);
                }
                self.check_payment_id(record, lock)?;
                let total = lock.total().map_err(|_| RefuseReason::WrongState)?;
                sums.locks = sums.locks.add(total).map_err(|_| RefuseReason::WrongState)?;
                page.open |= bit(*at);
                page.locks[at.index()] = ADDED;
                page.prints[at.index()] = print_of(lock.payment_id.as_bytes());
                Ok(lock.id(&state.channel, state.counter, *at))
            }
            Operation::Settle { slot: at } => {
                let lock = self.take_lock(page, *at)?;
                if lock.outcome() != OpOutcome::Delivered {
                    return Err(RefuseReason::NotDelivered);
                }
                let total = lock.total();
                sums.locks = sums.locks.sub(total).expect("an open lock is part of the sum");
                sums.debit = sums.debit.add(total).map_err(|_| RefuseReason::WrongState)?;
                Ok(lock.id())
            }
            Operation::Drop { slot: at } => {
                let lock = self.take_lock(page, *at)?;
                let failed = matches!(lock.outcome(), OpOutcome::Failed(_));
                // After the expiry it is the payer's again, unless the payee's ack was taken in time: then it is owed.
                if !failed && (named_height <= lock.expiry() || u32::from(lock.fate) == FIRM) {
                    return Err(RefuseReason::NotDroppable);
                }
                sums.locks = sums.locks.sub(lock.total()).expect("an open lock is part of the sum");
                Ok(lock.id())
            }
            // The hub offers no in-locks yet, so there is none to give up.
            Operation::Release { .. } => Err(RefuseReason::NotOffered),
        }
    }

    /// Takes an open lock of an earlier batch off the page.
    fn take_lock(&self, page: &mut PageRecord, at: LockSlot) -> Result<LockRecord, RefuseReason> {
        let link = page.locks[at.index()];
        if page.open & bit(at) == 0 || link == ADDED {
            return Err(RefuseReason::BadOperation);
        }
        let lock = *self.store.locks.at(link);
        if lock.batch > self.store.meta().batch {
            return Err(RefuseReason::BadOperation);
        }
        page.open &= !bit(at);
        page.locks[at.index()] = 0;
        page.prints[at.index()] = 0;
        Ok(lock)
    }

    /// Rule 5: a known payment id is refused, with its stored answer if the content is the same. Known is what was open
    /// before this state, whatever this state does to it.
    fn check_payment_id(&self, record: &ChannelRecord, lock: &Lock) -> Result<(), RefuseReason> {
        if record.page != 0 {
            let page = self.store.pages.at(record.page);
            let print = print_of(lock.payment_id.as_bytes());
            let alike = page
                .prints
                .iter()
                .enumerate()
                .filter(|&(at, &p)| p == print && page.open & (1 << at) != 0);
            for known in alike.map(|(at, _)| self.store.locks.at(page.locks[at])) {
                if known.payment_id == *lock.payment_id.as_bytes() {
                    return Err(duplicate(known.content() == content_of(lock)));
                }
            }
        }
        let mut link = record.answer_oldest;
        while link != 0 {
            let page = self.store.answers.at(link);
            for closed in &page.payments[page.first as usize..page.end as usize] {
                if closed.payment_id == *lock.payment_id.as_bytes() {
                    return Err(duplicate(closed.content == content_of(lock)));
                }
            }
            link = page.next;
        }
        Ok(())
    }

    /// The digest that stands in the lock tree for what a slot links to.
    fn lock_digest(&self, at: (usize, Link), operations: &[Operation], ids: &[LockId]) -> Digest {
        match at.1 {
            0 => Digest::ZERO,
            ADDED => {
                let added = operations.iter().zip(ids).rev();
                let mut here = added.filter(|(o, _)| matches!(o, Operation::Add { slot, .. } if slot.index() == at.0));
                Digest::from_bytes(*here.next().expect("a lock that is added here").1.as_bytes())
            }
            link => Digest::from_bytes(self.store.locks.at(link).id),
        }
    }
}

/// Whatever they hold, two adds of one id in one state contradict each other.
fn check_ids_differ(operations: &[Operation]) -> Result<(), RefuseReason> {
    let ids = operations.iter().filter_map(|o| {
        if let Operation::Add { lock, .. } = o {
            Some(lock.payment_id)
        } else {
            None
        }
    });
    let twice = ids
        .clone()
        .enumerate()
        .any(|(at, id)| ids.clone().skip(at + 1).any(|other| other == id));
    if twice { Err(RefuseReason::Conflict) } else { Ok(()) }
}

const fn duplicate(same: bool) -> RefuseReason {
    if same {
        RefuseReason::Duplicate
    } else {
        RefuseReason::Conflict
    }
}

/// Hashes the groups of all slots that the operations changed.
fn plant(page: &mut PageRecord, operations: &[Operation], digest_of: impl Fn((usize, Link)) -> Digest) {
    let mut changes = [(LockSlot::new(0).expect("slot 0"), [Digest::ZERO; 4]); tidegate_channel::MAX_OPERATIONS];
    let mut count = 0;
    for operation in operations {
        let slot = match operation {
            Operation::Add { slot, .. } | Operation::Settle { slot } | Operation::Drop { slot } => *slot,
            Operation::Release { .. } => continue,
        };
        let first = slot.index() / 4 * 4;
        changes[count] = (
            slot,
            core::array::from_fn(|i| digest_of((first + i, page.locks[first + i]))),
        );
        count += 1;
    }
    page.tree.update_many(&changes[..count]);
}

/// A mix of payee, amount and condition: what makes two payments of one id the same (rule 5). No hash: whoever makes two
/// of them meet is told `Duplicate` instead of `Conflict` of its own payment, and neither changes anything.
fn content_of(lock: &Lock) -> [u8; 6] {
    let hash = match lock.condition {
        Condition::Ack => [0; 32],
        Condition::Hash(hash) => hash,
    };
    content(lock.payee_channel.as_bytes(), lock.amount.to_sat(), &hash)
}
