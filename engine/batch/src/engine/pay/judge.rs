//! Everything that can refuse a state, on a copy of its channel's lock page: nothing changes here.

use tidegate_channel::{HalfSums, Lock, OpOutcome, Operation, RefuseReason, client_balance_from};
use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Amount, Digest, Height, LockId, LockSlot};

use super::{
    Engine, Judged, JudgedAdd, JudgedLock, NamedLeaf, Part, Planned, PlannedRoot, UNACKED_MAX, Verdict, bit,
    content_of, known_counter, print_of,
};
use crate::engine::pages::OpenLocks;
use crate::input::PayInput;
use crate::record::{ACTIVE, AnswerRecord, FIRM, LiveRecord, LockRecord};
use crate::slots::Slots;
use crate::store::amount;

/// The sums of the client's half after some operations, and the slots that are open then.
#[derive(Clone, Copy)]
struct Half {
    debit: Amount,
    locks: Amount,
    /// One bit per open lock.
    open: u64,
    /// Those that this state has added.
    added: u64,
}

impl<S: Slots> Engine<S> {
    /// Checks everything that can refuse the state. `Ok(None)` if it is known already.
    pub(in crate::engine) fn judge(
        &self,
        slot: u32,
        pay: &PayInput,
        (plan, planned): (&Part, &Planned),
        judged: &mut Judged,
    ) -> Verdict {
        let (state, record) = (&pay.state, self.record(slot));
        if state.counter <= record.c() {
            return known_counter(state, &planned.digest, record);
        }
        if record.status != ACTIVE {
            return Err(RefuseReason::Closing);
        }
        let named = self.named_leaf(slot, state.ack)?;
        let acked = if named.acknowledges {
            record.acked_h.max(state.ack.counter.get())
        } else {
            record.acked_h
        };
        if record.h - acked >= UNACKED_MAX {
            return Err(RefuseReason::AckOverdue);
        }
        check_ids_differ(&pay.operations)?;
        let locks = self.open_locks(slot);
        let before = Half {
            debit: amount(record.debit),
            locks: amount(record.out_locks),
            open: locks.bits(),
            added: 0,
        };
        let mut half = before;
        judged.locks.clear();
        self.find_known_ids((slot, record), locks, &pay.operations, &mut judged.adds);
        let mut adds = 0;
        for operation in &pay.operations {
            let lock = match operation {
                Operation::Add { slot: at, lock } => {
                    judge_add(*at, lock, judged.adds[adds].known, &mut half)?;
                    adds += 1;
                    plan.lock(planned, adds - 1)
                }
                Operation::Settle { slot: at } => JudgedLock::held(self.judge_settle(locks, *at, &mut half)?.id()),
                Operation::Drop { slot: at } => {
                    JudgedLock::held(self.judge_drop(locks, *at, named.height, &mut half)?.id())
                }
                // The hub would have to keep the whole state to show the release; one of its own is a signature.
                Operation::Release { .. } => return Err(RefuseReason::BadOperation),
            };
            judged.locks.push(lock);
        }
        let root = match plan.root(planned) {
            PlannedRoot::Known(root) => root,
            PlannedRoot::Unknown => self.root_alone(slot, &pay.operations, judged),
        };
        let good = state.debit == half.debit
            && state.locks_sum == half.locks
            && state.locks_root == root
            && state.operations == planned.operations;
        if !good {
            return Err(RefuseReason::WrongState);
        }
        let spends = half.debit.to_sat() + half.locks.to_sat() > before.debit.to_sat() + before.locks.to_sat();
        if spends {
            self.judge_balance(slot, record, named, half)?;
        }
        Ok(Some(named))
    }

    /// What [`Engine::judge`] lists, for a state that it has judged ahead; nothing of one that was refused.
    pub(super) fn list_locks(
        &self,
        slot: u32,
        pay: &PayInput,
        (plan, planned): (&Part, &Planned),
        judged: &mut Judged,
    ) {
        judged.locks.clear();
        let (open, mut adds) = (self.open_locks(slot), 0..);
        judged
            .locks
            .extend(pay.operations.iter().map(|operation| match operation {
                Operation::Add { .. } => plan.lock(planned, adds.next().expect("an endless range")),
                Operation::Settle { slot: at } | Operation::Drop { slot: at } => match open.link(at.index()) {
                    0 => JudgedLock::held(LockId::ZERO),
                    link => JudgedLock::held(self.store.locks.at(link).id()),
                },
                Operation::Release { .. } => unreachable!("a state with a release is never judged ahead"),
            }));
    }

    fn judge_balance(&self, slot: u32, record: &LiveRecord, named: NamedLeaf, half: Half) -> Result<(), RefuseReason> {
        let channel = self.store.channels.get(slot);
        // Debit and locks together only rise here, so every sum of this channel stays in range.
        Amount::sum([amount(channel.capacity), half.debit, half.locks]).map_err(|_| RefuseReason::WrongState)?;
        let halves = HalfSums {
            firm_credit: named.firm,
            debit: half.debit,
            out_locks: half.locks,
            ..record.sums()
        };
        let balance = client_balance_from(amount(channel.opening_share), &halves);
        if balance.map_err(|_| RefuseReason::InsufficientBalance)? < amount(self.shared(slot).client_reserve) {
            Err(RefuseReason::InsufficientBalance)
        } else {
            Ok(())
        }
    }

    fn judge_settle(&self, locks: OpenLocks<'_>, at: LockSlot, half: &mut Half) -> Result<&LockRecord, RefuseReason> {
        let lock = self.held_lock(locks, at, half)?;
        if lock.outcome() != OpOutcome::Delivered {
            return Err(RefuseReason::NotDelivered);
        }
        let total = lock.total();
        half.locks = half.locks.sub(total).expect("an open lock is part of the sum");
        half.debit = half.debit.add(total).map_err(|_| RefuseReason::WrongState)?;
        Ok(lock)
    }

    fn judge_drop(
        &self,
        locks: OpenLocks<'_>,
        at: LockSlot,
        named_height: Height,
        half: &mut Half,
    ) -> Result<&LockRecord, RefuseReason> {
        let lock = self.held_lock(locks, at, half)?;
        let failed = matches!(lock.outcome(), OpOutcome::Failed(_));
        // After the expiry it is the payer's again, unless the payee's ack was taken in time: then it is owed.
        if !failed && (named_height <= lock.expiry() || u32::from(lock.fate) == FIRM) {
            return Err(RefuseReason::NotDroppable);
        }
        half.locks = half.locks.sub(lock.total()).expect("an open lock is part of the sum");
        Ok(lock)
    }

    /// Takes an open lock of an earlier batch off the page.
    fn held_lock(&self, locks: OpenLocks<'_>, at: LockSlot, half: &mut Half) -> Result<&LockRecord, RefuseReason> {
        if half.open & bit(at) == 0 || half.added & bit(at) != 0 {
            return Err(RefuseReason::BadOperation);
        }
        let lock = self.store.locks.at(locks.link(at.index()));
        if lock.batch > self.store.meta().batch {
            return Err(RefuseReason::BadOperation);
        }
        half.open &= !bit(at);
        Ok(lock)
    }

    /// The root after a state whose chain does not hold: the tree over all slots, afresh.
    fn root_alone(&self, slot: u32, operations: &[Operation], judged: &Judged) -> Digest {
        let mut slots = self.slot_digests(slot);
        for (operation, lock) in operations.iter().zip(&judged.locks) {
            match operation {
                Operation::Add { slot, .. } => slots[slot.index()] = Digest::from_bytes(*lock.id.as_bytes()),
                Operation::Settle { slot } | Operation::Drop { slot } => slots[slot.index()] = Digest::ZERO,
                Operation::Release { .. } => {}
            }
        }
        LockTree::root_of(&slots)
    }

    /// Rule 5: a known payment id is refused, with its stored answer if the content is the same. Known is what was open
    /// before this state, whatever this state does to it. All adds of a state are looked for on one way along the answers.
    fn find_known_ids(
        &self,
        (slot, record): (u32, &LiveRecord),
        locks: OpenLocks<'_>,
        operations: &[Operation],
        adds: &mut Vec<JudgedAdd>,
    ) {
        adds.clear();
        adds.extend(operations.iter().filter_map(|operation| match operation {
            Operation::Add { lock, .. } => Some(JudgedAdd {
                print: print_of(lock.payment_id.as_bytes()),
                known: self.find_open(locks, lock),
            }),
            _ => None,
        }));
        let sought = |add: &JudgedAdd| add.known.is_none() && self.closed.may_hold(slot, add.print);
        let mut link = if adds.iter().any(sought) {
            record.answer_oldest
        } else {
            0
        };
        while link != 0 {
            let page = self.store.answers.at(link);
            for (place, add) in adds.iter_mut().enumerate().filter(|(_, add)| add.known.is_none()) {
                // All of a page are compared before any is looked at: the processor does that in one go.
                if page.prints.iter().fold(false, |alike, &p| alike | (p == add.print)) {
                    add.known = find_closed(page, nth_add(operations, place));
                }
            }
            link = page.next;
        }
    }

    /// The open lock of the same payment id, if there is one.
    fn find_open(&self, locks: OpenLocks<'_>, lock: &Lock) -> Option<RefuseReason> {
        let mut alike = locks.alike(print_of(lock.payment_id.as_bytes()));
        while alike != 0 {
            let known = self.store.locks.at(locks.link(alike.trailing_zeros() as usize));
            if known.payment_id == *lock.payment_id.as_bytes() {
                return Some(duplicate(known.content == content_of(lock)));
            }
            alike &= alike - 1;
        }
        None
    }
}

/// The closed payment of the same id in a page of answers, if there is one.
fn find_closed(page: &AnswerRecord, lock: &Lock) -> Option<RefuseReason> {
    let held = page.first as usize..page.end as usize;
    let mut alike = page.payments[held].iter();
    let closed = alike.find(|closed| closed.payment_id == *lock.payment_id.as_bytes())?;
    Some(duplicate(closed.content == content_of(lock)))
}

fn nth_add(operations: &[Operation], place: usize) -> &Lock {
    let mut adds = operations.iter().filter_map(|operation| match operation {
        Operation::Add { lock, .. } => Some(lock),
        _ => None,
    });
    adds.nth(place).expect("one for each add that is judged")
}

fn judge_add(at: LockSlot, lock: &Lock, known: Option<RefuseReason>, half: &mut Half) -> Result<(), RefuseReason> {
    if half.open & bit(at) != 0 {
        return Err(RefuseReason::BadOperation);
    }
    if let Some(reason) = known {
        return Err(reason);
    }
    let total = lock.total().map_err(|_| RefuseReason::WrongState)?;
    half.locks = half.locks.add(total).map_err(|_| RefuseReason::WrongState)?;
    half.open |= bit(at);
    half.added |= bit(at);
    Ok(())
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
