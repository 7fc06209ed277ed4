//! A payer's next state: judged against what the hub knows, then applied (rules 5, 6, 8 to 11).
//!
//! Everything is judged before anything changes: the operations run on a copy of the channel's lock page, and a state
//! whose sums, root or balance are not what they lead to is refused whole.

use tidegate_channel::{
    ClientState, Condition, Credit, FailReason, HalfSums, LeafRef, Lock, OpKind, OpOutcome, Operation, Outcome,
    RefuseReason, client_balance, credit_salt, operations_digest,
};
use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Amount, Digest, Fixed, Height, LockId, LockSlot};

use super::{Engine, UNACKED_MAX};
use crate::executed::Answer;
use crate::input::PayInput;
use crate::record::{ACTIVE, ChannelRecord, ClosedPayment, FIRM, LockRecord, PageRecord};
use crate::slots::{Link, Slots};
use crate::store::amount;

/// The page that operations run on before they count, and the locks they add.
#[derive(Debug)]
pub(crate) struct PageScratch {
    page: PageRecord,
    /// The id of what an operation adds, settles or drops, by operation.
    ids: Vec<LockId>,
}

impl Default for PageScratch {
    fn default() -> Self {
        Self {
            page: empty_page(),
            ids: Vec::new(),
        }
    }
}

pub(crate) fn empty_page() -> PageRecord {
    PageRecord {
        tree: LockTree::empty(),
        locks: [0; 64],
        prints: [0; 64],
        open: 0,
        next: 0,
        reserved: 0,
    }
}

/// The first bytes of a payment id, by which most others are told apart.
pub(crate) fn print_of(payment_id: &[u8; 16]) -> u32 {
    u32::from_le_bytes(*payment_id.first_chunk().expect("an id has 16 bytes"))
}

/// The sums of the client's half after some operations.
#[derive(Clone, Copy)]
struct Sums {
    debit: Amount,
    locks: Amount,
}

impl<S: Slots> Engine<S> {
    /// Takes a state. `Ok(false)` if it is known already.
    pub(super) fn pay(&mut self, input: u32, pay: &PayInput) -> Result<bool, RefuseReason> {
        let state = &pay.state;
        let slot = self.channel(&state.channel).ok_or(RefuseReason::NotOffered)?;
        let record = *self.record(slot);
        if state.counter <= record.c() {
            return known_counter(state, &record);
        }
        if record.status != ACTIVE {
            return Err(RefuseReason::Closing);
        }
        let named = self.named_leaf(&record, state.ack)?;
        let acked = if named.acknowledges {
            record.acked_h.max(state.ack.counter.get())
        } else {
            record.acked_h
        };
        if record.h - acked >= UNACKED_MAX {
            return Err(RefuseReason::AckOverdue);
        }
        let mut scratch = core::mem::take(&mut self.page_scratch);
        let judged = self.judge(slot, pay, &record, named, &mut scratch);
        if judged.is_ok() {
            self.accept(input, slot, pay, named, &scratch);
        }
        self.page_scratch = scratch;
        judged.map(|()| true)
    }

    /// The K and the height of the leaf that a state acknowledges.
    fn named_leaf(&self, record: &ChannelRecord, ack: LeafRef) -> Result<NamedLeaf, RefuseReason> {
        let counter = ack.counter.get();
        if counter < record.ack_h {
            return Err(RefuseReason::AckFell);
        }
        if counter == record.ack_h {
            let same = record.ack_digest == *ack.digest.as_bytes();
            let before = NamedLeaf {
                firm: amount(record.ack_firm),
                height: Height::new(record.ack_height),
                link: 0,
                acknowledges: false,
            };
            return if same {
                Ok(before)
            } else {
                Err(RefuseReason::UnknownLeaf)
            };
        }
        let link = self.find_leaf(record, ack).ok_or(RefuseReason::UnknownLeaf)?;
        Ok(NamedLeaf {
            firm: amount(self.store.leaves.at(link).firm),
            height: self.leaf_height(link),
            link,
            // Too late an acknowledgement makes nothing firm, and leaves the leaf to its credits' expiry.
            acknowledges: self.in_time(link),
        })
    }

    /// Checks everything that can refuse the state; leaves the page after its operations in `scratch`.
    fn judge(
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

    /// Applies a state that has been judged.
    fn accept(&mut self, input: u32, slot: u32, pay: &PayInput, named: NamedLeaf, scratch: &PageScratch) {
        // The room of the payer's own channel counts from before this state.
        self.touch(slot);
        let state = &pay.state;
        if named.acknowledges {
            self.acknowledge(slot, named.link);
        }
        self.expire_answers(slot, state.counter.get());
        let mut page = scratch.page;
        for (operation, id) in pay.operations.iter().zip(&scratch.ids) {
            let outcome = self.apply(slot, state, operation, *id, &mut page);
            self.touched(slot).outcomes.push(outcome);
        }
        self.keep_page(slot, &page);
        let record = self.record_mut(slot);
        record.c = state.counter.get();
        record.debit = state.debit.to_sat();
        record.out_locks = state.locks_sum.to_sat();
        record.state_digest = *state.digest().as_bytes();
        record.operations = *state.operations.as_bytes();
        record.state_signature = *pay.signature.as_bytes();
        record.ack_h = state.ack.counter.get();
        record.ack_digest = *state.ack.digest.as_bytes();
        record.ack_firm = named.firm.to_sat();
        record.ack_height = named.height.get();
        let touch = self.touched(slot);
        touch.leaf = true;
        touch.answers.push(Answer {
            input,
            counter: state.counter,
        });
    }

    fn apply(
        &mut self,
        slot: u32,
        state: &ClientState,
        operation: &Operation,
        id: LockId,
        page: &mut PageRecord,
    ) -> Outcome {
        let (kind, at, outcome, salt) = match operation {
            Operation::Add { slot: at, lock } => {
                let (outcome, link) = self.add_lock(slot, state, lock, id);
                page.locks[at.index()] = link;
                let failed = matches!(outcome, OpOutcome::Failed(_));
                let salt = if failed {
                    credit_salt(&self.salt_secret, &id)
                } else {
                    [0; 16]
                };
                (OpKind::Add, *at, outcome, salt)
            }
            Operation::Settle { slot: at } => {
                self.close_lock(slot, state, *at);
                (OpKind::Settle, *at, OpOutcome::Done, [0; 16])
            }
            Operation::Drop { slot: at } => {
                self.close_lock(slot, state, *at);
                (OpKind::Drop, *at, OpOutcome::Done, [0; 16])
            }
            Operation::Release { .. } => unreachable!("a release has been refused"),
        };
        Outcome {
            counter: state.counter,
            kind,
            slot: at,
            outcome,
            lock: id,
            salt,
            preimage: [0; 32],
        }
    }

    /// Opens a lock and credits its payee, or fails it.
    fn add_lock(&mut self, slot: u32, state: &ClientState, lock: &Lock, id: LockId) -> (OpOutcome, Link) {
        let (outcome, payee) = match self.deliver(slot, lock, id) {
            Ok(payee) => (OpOutcome::Delivered, payee + 1),
            Err(reason) => (OpOutcome::Failed(reason), 0),
        };
        let mut encoded = [0; 2];
        outcome.encode_into(&mut encoded);
        let (condition, hash) = match lock.condition {
            Condition::Ack => (1, [0; 32]),
            Condition::Hash(hash) => (2, hash),
        };
        let record = LockRecord {
            id: *id.as_bytes(),
            payment_id: *lock.payment_id.as_bytes(),
            payee: *lock.payee.as_bytes(),
            payee_channel: *lock.payee_channel.as_bytes(),
            hash,
            amount: lock.amount.to_sat(),
            fee: lock.fee.to_sat(),
            c: state.counter.get(),
            batch: self.store.meta().batch + 1,
            credited_h: if payee == 0 { 0 } else { self.record(payee - 1).h + 1 },
            payee_link: payee,
            expiry: lock.expiry.get(),
            outcome: encoded,
            condition,
            fate: 0,
            next: 0,
        };
        let mut allocation = self.store.meta().locks;
        let link = self.store.locks.take(&mut allocation, record);
        self.store.meta_mut().locks = allocation;
        if payee != 0 {
            self.touched(payee - 1).credit_locks.push(link);
        }
        (outcome, link)
    }

    /// Credits the payee of a lock; its channel's number, or why not.
    fn deliver(&mut self, payer: u32, lock: &Lock, id: LockId) -> Result<u32, FailReason> {
        let payee = self.channel(&lock.payee_channel).ok_or(FailReason::UnknownPayee)?;
        let payee_terms = self.terms_of(payee);
        if payee_terms.client != lock.payee {
            return Err(FailReason::UnknownPayee);
        }
        if payee == payer {
            return Err(FailReason::SelfPayment);
        }
        self.check_limits(payer, lock, &payee_terms)?;
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
        let salt = credit_salt(&self.salt_secret, &id);
        let touch = self.touched(payee);
        if unfirm_count + touch.credits.len() >= limit {
            return Err(FailReason::PayeeLimit);
        }
        touch.room = touch.room.sub(lock.amount).map_err(|_| FailReason::NoInboundCapacity)?;
        touch.leaf = true;
        touch.credits.push(Credit {
            lock: id,
            salt,
            payment_id: lock.payment_id,
            amount: lock.amount,
            expiry: lock.expiry,
        });
        Ok(payee)
    }

    fn check_limits(&self, payer: u32, lock: &Lock, payee: &tidegate_channel::ChannelTerms) -> Result<(), FailReason> {
        let (policy, height) = (&self.policy, self.store.meta().height());
        if lock.condition != Condition::Ack {
            return Err(FailReason::ConditionNotOffered);
        }
        if lock.amount < policy.min_amount || lock.amount.is_zero() {
            return Err(FailReason::AmountTooSmall);
        }
        if lock.fee < policy.fee(lock.amount) {
            return Err(FailReason::FeeTooLow);
        }
        if height
            .plus(policy.shortest_lock())
            .is_none_or(|first| lock.expiry < first)
        {
            return Err(FailReason::ExpiryTooNear);
        }
        let last = height.plus(policy.max_lock).unwrap_or(Height::MAX);
        let ends = [&self.terms_of(payer), payee].map(|terms| {
            let end = terms
                .expiry
                .minus(terms.dispute_window)
                .and_then(|h| h.minus(terms.evidence_grace));
            end.unwrap_or(Height::ZERO)
        });
        if lock.expiry > last || ends.iter().any(|end| lock.expiry >= *end) {
            return Err(FailReason::ExpiryTooFar);
        }
        Ok(())
    }

    /// Frees a lock, and remembers its payment for the next counters.
    fn close_lock(&mut self, slot: u32, state: &ClientState, at: LockSlot) {
        let page = self.record(slot).page;
        let link = self.store.pages.at(page).locks[at.index()];
        let lock = *self.store.locks.at(link);
        self.remember(
            slot,
            ClosedPayment {
                payment_id: lock.payment_id,
                content: lock.content(),
                outcome: lock.outcome,
                c: state.counter.get(),
            },
        );
        let mut allocation = self.store.meta().locks;
        self.store.locks.give(&mut allocation, link);
        self.store.meta_mut().locks = allocation;
    }

    /// Writes the page back; a channel without open locks has none.
    fn keep_page(&mut self, slot: u32, page: &PageRecord) {
        let mut allocation = self.store.meta().pages;
        let link = self.record(slot).page;
        let link = match (link, page.open) {
            (0, 0) => 0,
            (0, _) => self.store.pages.take(&mut allocation, *page),
            (link, 0) => {
                self.store.pages.give(&mut allocation, link);
                0
            }
            (link, _) => {
                *self.store.pages.at_mut(link) = *page;
                link
            }
        };
        self.store.meta_mut().pages = allocation;
        self.record_mut(slot).page = link;
    }
}

/// What a state's acknowledgement leads to.
#[derive(Clone, Copy)]
struct NamedLeaf {
    firm: Amount,
    /// Its header height: drops are judged by it.
    height: Height,
    /// Zero if it is the leaf that the state before named.
    link: Link,
    /// True if the acknowledgement is new and in time.
    acknowledges: bool,
}

/// Stands for a lock that the same state adds, until it has a record.
const ADDED: Link = Link::MAX;

const fn bit(slot: LockSlot) -> u64 {
    1 << slot.index()
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

fn known_counter(state: &ClientState, record: &ChannelRecord) -> Result<bool, RefuseReason> {
    if state.counter < record.c() {
        Err(RefuseReason::StaleCounter)
    } else if record.state_digest == *state.digest().as_bytes() {
        Ok(false)
    } else {
        Err(RefuseReason::Conflict)
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

fn content(payee_channel: &[u8; 32], amount: u64, hash: &[u8; 32]) -> [u8; 6] {
    let mut mixed = [0_u8; 6];
    for (i, byte) in payee_channel
        .iter()
        .chain(hash)
        .chain(&amount.to_le_bytes())
        .enumerate()
    {
        let at = i % mixed.len();
        mixed[at] = mixed[at].rotate_left(3) ^ byte;
    }
    mixed
}

impl LockRecord {
    pub(crate) fn outcome(&self) -> OpOutcome {
        OpOutcome::decode(&self.outcome).expect("outcomes are encoded by this engine")
    }

    pub(crate) fn total(&self) -> Amount {
        amount(self.amount)
            .add(amount(self.fee))
            .expect("the total was checked when the lock was added")
    }

    pub(crate) const fn id(&self) -> LockId {
        LockId::from_bytes(self.id)
    }

    pub(crate) const fn expiry(&self) -> Height {
        Height::new(self.expiry)
    }

    fn content(&self) -> [u8; 6] {
        content(&self.payee_channel, self.amount, &self.hash)
    }
}
