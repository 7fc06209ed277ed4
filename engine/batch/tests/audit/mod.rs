//! An auditor of the hub's money, who believes only what clients have signed and what the hub has answered.
//!
//! From the operations of accepted states, and from the outcomes, credits and in-lock changes of the batch's leaves, it keeps
//! its own books in `u128`: what became of every payment, and the five sums of every channel. It knows no table, no tree and
//! no digest, and shares no sum with the engine. What it holds the engine to:
//!
//! - the sums in every leaf, and in what an export shows of every channel, are those of its books;
//! - each channel holds exactly its capacity, and no part of it is below zero;
//! - a payee is credited once for each payment that its payer was told is delivered, and by its amount;
//! - what the hub has gained is the fees of settled payments, with the amounts that payers have settled and payees have not
//!   taken in time, less what payees have firm and payers have not settled yet. A payment that is firm is never dropped.

mod books;
pub(crate) mod traffic;

use tidegate_batch::{Engine, Executed, Input, LeafOut, Slots};
use tidegate_channel::{Condition, InChange, InChangeKind, LeafRef, OpKind, OpOutcome, Operation, Outcome};
use tidegate_types::{ChannelId, PaymentId};

use books::Leaf;
pub(crate) use books::{Books, Counts, CreditFate, Gain, LockFate, Payment};

#[derive(Debug)]
pub(crate) struct Auditor {
    pub(crate) books: Vec<Books>,
    by_id: hashbrown::HashMap<ChannelId, usize>,
    pub(crate) payments: Vec<Payment>,
    free: Vec<u32>,
    pub(crate) gain: Gain,
    pub(crate) counts: Counts,
    pub(crate) height: u32,
    pub(crate) batch: u64,
    margin: u32,
    refused: Vec<bool>,
    /// What payers were told in this batch that payees must be told too.
    told: Told,
}

/// Payments told delivered or pending in one batch, by number and by sum.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Told {
    delivered: (u64, u128),
    pending: (u64, u128),
}

impl Told {
    fn add(to: &mut (u64, u128), amount: u64) {
        to.0 += 1;
        to.1 += u128::from(amount);
    }
}

/// The name that traffic gives a payment: its serial number, and its place in the books.
pub(crate) fn payment_id(serial: u64, place: u32) -> PaymentId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&serial.to_le_bytes());
    id[8..12].copy_from_slice(&place.to_le_bytes());
    PaymentId::from_bytes(id)
}

fn place_of(id: &PaymentId) -> u32 {
    u32::from_le_bytes(*id.as_bytes()[8..].first_chunk().expect("an id has 16 bytes"))
}

impl Auditor {
    /// Books of new channels: their names, capacities and opening shares.
    pub(crate) fn new(opened: impl Iterator<Item = (ChannelId, u64, u64)>, margin: u32) -> Self {
        let books: Vec<Books> = opened
            .map(|(id, capacity, opening)| Books::new(id, capacity.into(), opening.into()))
            .collect();
        let by_id = books.iter().enumerate().map(|(at, books)| (books.id, at)).collect();
        Self {
            books,
            by_id,
            payments: Vec::new(),
            free: Vec::new(),
            gain: Gain::default(),
            counts: Counts::default(),
            height: 0,
            batch: 0,
            margin,
            refused: Vec::new(),
            told: Told::default(),
        }
    }

    /// A free place for a payment that may be added.
    pub(crate) fn place(&mut self) -> u32 {
        self.free.pop().unwrap_or_else(|| {
            self.payments.push(Payment {
                serial: 0,
                amount: 0,
                fee: 0,
                expiry: 0,
                lock: LockFate::Dropped,
                credit: CreditFate::None,
                batch: 0,
            });
            u32::try_from(self.payments.len() - 1).expect("few payments are open at a time")
        })
    }

    /// A payment that was never added gives its place back.
    pub(crate) fn unused(&mut self, place: u32) {
        self.free.push(place);
    }

    /// Takes down what a batch came to.
    pub(crate) fn note(&mut self, inputs: &[Input], out: &Executed) {
        self.height = out.header.height.get();
        self.batch = out.header.number.get();
        self.told = Told::default();
        self.refused.clear();
        self.refused.resize(inputs.len(), false);
        for refusal in &out.refusals {
            self.refused[refusal.input as usize] = true;
        }
        self.counts.refused += out.refusals.len() as u64;
        for leaf in out.leaves() {
            self.note_void(self.by_id[&leaf.private.channel]);
        }
        for (at, input) in inputs.iter().enumerate() {
            if !self.refused[at] {
                self.note_input(input);
            }
        }
        out.leaves().iter().for_each(|leaf| self.note_outcomes(leaf));
        let payers_told = core::mem::take(&mut self.told);
        out.leaves().iter().for_each(|leaf| self.note_credits(leaf));
        assert_eq!(
            self.told, payers_told,
            "payees are told what payers are told, in batch {}",
            self.batch
        );
        out.leaves().iter().for_each(|leaf| self.check_leaf(leaf));
    }

    /// Whatever expired below the present height without an ack waits no longer.
    fn note_void(&mut self, channel: usize) {
        let Self {
            books,
            payments,
            height,
            ..
        } = self;
        let books = &mut books[channel];
        let late = |place: u32| payments[place as usize].expiry < *height;
        if !books.waiting.iter().any(|(_, place)| late(*place)) {
            return;
        }
        let (void, waiting) = books.waiting.iter().partition(|(_, place)| late(*place));
        books.waiting = waiting;
        let void: Vec<(u64, u32)> = void;
        for (_, place) in void {
            let payment = &mut self.payments[place as usize];
            payment.credit = CreditFate::Void;
            self.books[channel].unfirm -= u128::from(payment.amount);
            self.counts.void += 1;
            self.free_if_over(place);
        }
    }

    fn note_input(&mut self, input: &Input) {
        match input {
            Input::Pay(pay) => {
                let channel = self.by_id[&pay.state.channel];
                self.note_ack(channel, pay.state.ack);
                let books = &mut self.books[channel];
                assert!(
                    pay.state.counter.get() > books.counter,
                    "counters of accepted states rise"
                );
                books.counter = pay.state.counter.get();
                books.accepted.extend(&pay.operations);
                self.counts.operations += pay.operations.len() as u64;
                self.counts.states += 1;
            }
            Input::Ack(ack) => self.note_ack(self.by_id[&ack.ack.channel], ack.ack.leaf),
            Input::Fulfil(_) | Input::Release(_) => self.counts.operations += 1,
            Input::Block(_) | Input::Refresh(_) | Input::Policy(_) => {}
            Input::Close(_) | Input::Freeze(_) | Input::Splice(_) | Input::Forward(_) => {
                unreachable!("this traffic closes nothing")
            }
        }
    }

    /// An acknowledgement in time makes firm what waits up to its leaf.
    fn note_ack(&mut self, channel: usize, leaf: LeafRef) {
        let (height, counter) = (self.height, leaf.counter.get());
        let books = &mut self.books[channel];
        if counter <= books.acked {
            return;
        }
        let named = books.leaves.iter().find(|leaf| leaf.counter == counter);
        if named
            .expect("one of the last 64")
            .ack_by
            .is_some_and(|last| height > last)
        {
            return;
        }
        books.acked = counter;
        let firm = books.waiting.partition_point(|(leaf, _)| *leaf <= counter);
        let mut firm: Vec<(u64, u32)> = books.waiting.drain(..firm).collect();
        for (_, place) in firm.drain(..) {
            let amount = u128::from(self.payments[place as usize].amount);
            self.books[channel].unfirm -= amount;
            self.note_firm(channel, place);
        }
    }

    fn note_firm(&mut self, channel: usize, place: u32) {
        let payment = &mut self.payments[place as usize];
        assert!(
            matches!(payment.credit, CreditFate::Waiting | CreditFate::Offered),
            "{payment:?} is credited once"
        );
        payment.credit = CreditFate::Firm;
        let amount = u128::from(payment.amount);
        self.books[channel].firm += amount;
        match payment.lock {
            LockFate::Settled => self.gain.settled_not_firm -= amount,
            LockFate::Dropped => panic!("{payment:?} was dropped and is firm: the hub has lost it"),
            LockFate::Pending | LockFate::Delivered | LockFate::Failed => self.gain.firm_not_settled += amount,
        }
        self.free_if_over(place);
    }

    fn note_outcomes(&mut self, leaf: &LeafOut) {
        let channel = self.by_id[&leaf.private.channel];
        for outcome in &leaf.outcomes {
            if outcome.counter.get() > self.books[channel].counter_before {
                let operation = self.books[channel]
                    .accepted
                    .pop_front()
                    .expect("an outcome for each operation");
                self.note_outcome(channel, &operation, outcome);
            } else {
                self.note_late(channel, outcome);
            }
        }
        let books = &mut self.books[channel];
        assert!(
            books.accepted.is_empty(),
            "an operation without an outcome in {}",
            books.id
        );
        books.counter_before = books.counter;
    }

    fn note_outcome(&mut self, channel: usize, operation: &Operation, outcome: &Outcome) {
        match *operation {
            Operation::Add { slot, lock } => {
                assert_eq!((outcome.kind, outcome.slot), (OpKind::Add, slot));
                let place = place_of(&lock.payment_id);
                let (fate, credit) = match (outcome.outcome, lock.condition) {
                    (OpOutcome::Delivered, Condition::Ack) => (LockFate::Delivered, CreditFate::None),
                    (OpOutcome::Pending, Condition::Hash(_)) => (LockFate::Pending, CreditFate::None),
                    (OpOutcome::Failed(_), _) => (LockFate::Failed, CreditFate::None),
                    other => panic!("{other:?} is no outcome of an add"),
                };
                let payment = Payment {
                    serial: u64::from_le_bytes(*lock.payment_id.as_bytes().first_chunk().expect("16 bytes")),
                    amount: lock.amount.to_sat(),
                    fee: lock.fee.to_sat(),
                    expiry: lock.expiry.get(),
                    lock: fate,
                    credit,
                    batch: self.batch,
                };
                match fate {
                    LockFate::Delivered => Told::add(&mut self.told.delivered, payment.amount),
                    LockFate::Pending => Told::add(&mut self.told.pending, payment.amount),
                    _ => self.counts.failed += 1,
                }
                self.payments[place as usize] = payment;
                let books = &mut self.books[channel];
                assert_eq!(books.slots[slot.index()], 0, "a lock is added to a free slot");
                books.slots[slot.index()] = place + 1;
                books.locks += payment.total();
            }
            Operation::Settle { slot } => {
                assert_eq!((outcome.kind, outcome.slot), (OpKind::Settle, slot));
                let place = self.close(channel, slot.index());
                let payment = &mut self.payments[place as usize];
                assert_eq!(payment.lock, LockFate::Delivered, "only what is delivered is settled");
                payment.lock = LockFate::Settled;
                let amount = u128::from(payment.amount);
                self.books[channel].debit += payment.total();
                self.gain.fees += u128::from(payment.fee);
                if payment.credit == CreditFate::Firm {
                    self.gain.firm_not_settled -= amount;
                } else {
                    self.gain.settled_not_firm += amount;
                }
                self.free_if_over(place);
            }
            Operation::Drop { slot } => {
                assert_eq!((outcome.kind, outcome.slot), (OpKind::Drop, slot));
                let place = self.close(channel, slot.index());
                let payment = &mut self.payments[place as usize];
                let over = payment.expiry < self.height && payment.credit != CreditFate::Firm;
                assert!(payment.lock == LockFate::Failed || over, "{payment:?} is still owed");
                payment.lock = LockFate::Dropped;
                self.free_if_over(place);
            }
            Operation::Release { .. } => unreachable!("this traffic releases by messages"),
        }
    }

    /// A lock leaves its slot and the sum of the open ones.
    fn close(&mut self, channel: usize, slot: usize) -> u32 {
        let books = &mut self.books[channel];
        let place = core::mem::take(&mut books.slots[slot])
            .checked_sub(1)
            .expect("an open lock");
        books.locks -= self.payments[place as usize].total();
        place
    }

    /// What became of a hash lock of an earlier state.
    fn note_late(&mut self, channel: usize, outcome: &Outcome) {
        let place = self.books[channel].slots[outcome.slot.index()].checked_sub(1);
        let payment = &mut self.payments[place.expect("an open lock") as usize];
        assert_eq!(payment.lock, LockFate::Pending, "only what waits is decided later");
        payment.lock = match outcome.outcome {
            OpOutcome::Delivered => LockFate::Delivered,
            OpOutcome::Failed(_) => LockFate::Failed,
            other => panic!("{other:?} decides nothing"),
        };
    }

    fn note_credits(&mut self, leaf: &LeafOut) {
        let channel = self.by_id[&leaf.private.channel];
        let counter = leaf.private.counter.get();
        for credit in &leaf.credits {
            let place = place_of(&credit.payment_id);
            let payment = &mut self.payments[place as usize];
            assert_eq!((payment.lock, payment.credit), (LockFate::Delivered, CreditFate::None));
            assert_eq!((payment.batch, payment.amount), (self.batch, credit.amount.to_sat()));
            payment.credit = CreditFate::Waiting;
            Told::add(&mut self.told.delivered, payment.amount);
            self.counts.delivered += 1;
            let books = &mut self.books[channel];
            books.unfirm += u128::from(payment.amount);
            books.waiting.push((counter, place));
        }
        for change in &leaf.in_changes {
            self.note_in_change(channel, change);
        }
        let Self {
            books,
            payments,
            margin,
            ..
        } = self;
        let books = &mut books[channel];
        let lowest = books
            .waiting
            .iter()
            .map(|(_, place)| payments[*place as usize].expiry)
            .min();
        books.firm_at_leaf = books.firm;
        books.leaves.push_back(Leaf {
            counter,
            ack_by: lowest.map(|lowest| lowest - 2 * *margin),
        });
        if books.leaves.len() > 64 {
            books.leaves.pop_front();
        }
    }

    fn note_in_change(&mut self, channel: usize, change: &InChange) {
        let place = place_of(&change.lock.payment_id);
        let payment = &mut self.payments[place as usize];
        let amount = u128::from(payment.amount);
        assert_eq!(payment.amount, change.lock.amount.to_sat());
        let books = &mut self.books[channel];
        if change.kind == InChangeKind::Offered {
            assert_eq!((payment.lock, payment.credit), (LockFate::Pending, CreditFate::None));
            assert_eq!(payment.batch, self.batch);
            payment.credit = CreditFate::Offered;
            Told::add(&mut self.told.pending, payment.amount);
            books.in_locks += amount;
            books.offered.push((change.lock.lock, place));
            return;
        }
        assert_eq!(payment.credit, CreditFate::Offered, "only what was offered leaves");
        books.in_locks -= amount;
        books.offered.retain(|(lock, _)| *lock != change.lock.lock);
        match change.kind {
            InChangeKind::Fulfilled => {
                self.counts.fulfilled += 1;
                self.note_firm(channel, place);
                self.books[channel].firm_at_leaf = self.books[channel].firm;
                return;
            }
            InChangeKind::Released => self.counts.released += 1,
            _ => {
                assert!(payment.expiry < self.height, "{payment:?} has not expired");
                self.counts.expired += 1;
            }
        }
        payment.credit = CreditFate::Void;
        self.free_if_over(place);
    }

    fn free_if_over(&mut self, place: u32) {
        let payment = &self.payments[place as usize];
        let lock_over = matches!(payment.lock, LockFate::Settled | LockFate::Dropped);
        if lock_over && !matches!(payment.credit, CreditFate::Waiting | CreditFate::Offered) {
            self.free.push(place);
        }
    }

    fn check_leaf(&self, leaf: &LeafOut) {
        let books = &self.books[self.by_id[&leaf.private.channel]];
        let told = [
            leaf.private.firm_credit,
            leaf.private.unfirm_credit,
            leaf.private.in_locks_sum,
        ]
        .map(|sum| u128::from(sum.to_sat()));
        assert_eq!(
            told,
            [books.firm, books.unfirm, books.in_locks],
            "the leaf of {}",
            books.id
        );
    }

    /// Holds what an export shows of every channel to the books.
    pub(crate) fn audit<S: Slots>(&self, engine: &Engine<S>) {
        let (mut debits, mut firms, mut held, mut capacities) = (0, 0, 0, 0);
        for (slot, books) in (0..).zip(&self.books) {
            let entry = engine.entry(slot).expect("every channel has its entry");
            assert_eq!(entry.channel, books.id);
            let [firm, unfirm, debit, locks, in_locks, capacity, opening] = [
                entry.firm_credit_sat,
                entry.unfirm_credit_sat,
                entry.debit_sat,
                entry.out_locks_sat,
                entry.in_locks_sat,
                entry.capacity_sat,
                entry.opening_share_sat,
            ]
            .map(u128::from);
            assert_eq!(
                [firm, unfirm, debit, locks, in_locks, capacity, opening],
                [
                    books.firm,
                    books.unfirm,
                    books.debit,
                    books.locks,
                    books.in_locks,
                    books.capacity,
                    books.opening
                ],
                "the sums of {}",
                books.id
            );
            let client = (opening + firm)
                .checked_sub(debit + locks)
                .expect("a client owns no less than nothing");
            let hub = (capacity - opening + debit).checked_sub(firm + unfirm + in_locks);
            held += client + hub.expect("a hub owns no less than nothing") + unfirm + locks + in_locks;
            debits += debit;
            firms += firm;
            capacities += capacity;
        }
        assert_eq!(held, capacities, "what all channels hold together");
        let Gain {
            fees,
            settled_not_firm,
            firm_not_settled,
        } = self.gain;
        assert_eq!(
            debits + firm_not_settled,
            firms + fees + settled_not_firm,
            "what the hub has gained"
        );
    }
}
