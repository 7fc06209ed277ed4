//! A payer's next state: judged against what the hub knows, then applied (rules 5, 6, 8 to 11).
//!
//! Everything is judged before anything changes: the operations run on a copy of the channel's lock page, and a state
//! whose sums, root or balance are not what they lead to is refused whole (`judge`). Then it is applied, and each added
//! lock is delivered or fails (`deliver`).

mod deliver;
mod judge;

use tidegate_channel::{ClientState, Condition, LeafRef, Lock, OpKind, OpOutcome, Operation, Outcome, RefuseReason};
use tidegate_types::{Amount, Digest, Fixed, Height, LockId, LockSlot};

use super::pages::bit;
use super::plan::{Part, Plan, Planned, PlannedRoot};
use super::{Engine, UNACKED_MAX};
use crate::executed::Answer;
use crate::input::PayInput;
use crate::record::in_lock::BY_PAYER;
use crate::record::{ClosedPayment, LiveRecord, LockRecord};
use crate::slots::{Link, Slots};
use crate::store::amount;

/// What judging a state came to, for its application. Memory is used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Judged {
    /// What each operation adds, settles or drops.
    locks: Vec<JudgedLock>,
    /// What is known of the payments that it adds.
    adds: Vec<JudgedAdd>,
}

/// A payment that a state adds.
#[derive(Clone, Copy, Debug)]
struct JudgedAdd {
    /// See [`print_of`].
    print: u32,
    /// Why it is refused, if its id is known already.
    known: Option<RefuseReason>,
}

/// The lock of an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) struct JudgedLock {
    pub(crate) id: LockId,
    /// Of what is added; else zero.
    pub(crate) salt: [u8; 16],
    /// The payee of what is added, if its channel was there when the batch began.
    pub(crate) payee: Option<u32>,
}

impl JudgedLock {
    /// One that is settled or dropped.
    pub(super) const fn held(id: LockId) -> Self {
        Self {
            id,
            salt: [0; 16],
            payee: None,
        }
    }
}

/// The conditions of locks, as records name them.
pub(crate) const ACK: u8 = 1;
pub(crate) const HASH: u8 = 2;

/// The first bytes of a payment id, by which most others are told apart.
pub(crate) fn print_of(payment_id: &[u8; 16]) -> u32 {
    u32::from_le_bytes(*payment_id.first_chunk().expect("an id has 16 bytes"))
}

impl<S: Slots> Engine<S> {
    /// Takes a state. `Ok(false)` if it is known already.
    pub(super) fn pay(&mut self, input: u32, pay: &PayInput, plan: &mut Plan) -> Result<bool, RefuseReason> {
        let planned = plan.of(input);
        // A block of this batch may have opened the channel.
        let slot = planned.slot.or_else(|| self.channel(&pay.state.channel));
        let slot = slot.ok_or(RefuseReason::NotOffered)?;
        self.wake(slot);
        let mut judged = core::mem::take(&mut self.judged);
        let verdict = match plan.verdict(input) {
            Some(verdict) => {
                self.list_locks(slot, pay, (plan.part(&planned), &planned), &mut judged);
                verdict
            }
            None => self.judge(slot, pay, (plan.part(&planned), &planned), &mut judged),
        };
        if let Ok(Some(named)) = verdict {
            self.accept(input, slot, pay, named, &planned, &judged);
            if !plan.accepted(&planned) {
                self.rehash_page(slot);
            }
        } else if plan.refused(&planned) {
            self.rehash_page(slot);
        }
        self.judged = judged;
        verdict.map(|named| named.is_some())
    }

    /// The K and the height of the leaf that a state acknowledges.
    fn named_leaf(&self, slot: u32, ack: LeafRef) -> Result<NamedLeaf, RefuseReason> {
        let (record, counter) = (self.record(slot), ack.counter.get());
        if counter < record.ack_h {
            return Err(RefuseReason::AckFell);
        }
        if counter == record.ack_h {
            let signed = self.signed(slot);
            let same = signed.ack_digest == *ack.digest.as_bytes();
            let before = NamedLeaf {
                firm: amount(signed.ack_firm),
                height: Height::new(signed.ack_height),
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

    /// Applies a state that has been judged.
    fn accept(&mut self, input: u32, slot: u32, pay: &PayInput, named: NamedLeaf, planned: &Planned, judged: &Judged) {
        // The room of the payer's own channel counts from before this state.
        self.touch(slot);
        let state = &pay.state;
        if named.link != 0 {
            self.keep_before(slot, state.ack.counter.get());
        }
        if named.acknowledges {
            self.acknowledge(slot, named.link);
        }
        self.expire_answers(slot, state.counter.get());
        for (operation, lock) in pay.operations.iter().zip(&judged.locks) {
            let outcome = self.apply(slot, state, operation, *lock);
            self.touched(slot).outcomes.push(outcome);
        }
        self.free_empty_page(slot);
        let record = self.record_mut(slot);
        record.c = state.counter.get();
        record.debit = state.debit.to_sat();
        record.out_locks = state.locks_sum.to_sat();
        record.state_digest = *planned.digest.as_bytes();
        record.ack_h = state.ack.counter.get();
        let signed = self.signed_mut(slot);
        signed.operations = *state.operations.as_bytes();
        signed.state_signature = *pay.signature.as_bytes();
        signed.ack_digest = *state.ack.digest.as_bytes();
        signed.ack_firm = named.firm.to_sat();
        signed.ack_height = named.height.get();
        let touch = self.touched(slot);
        touch.leaf = true;
        touch.answers.push(Answer {
            input,
            counter: state.counter,
        });
    }

    fn apply(&mut self, slot: u32, state: &ClientState, operation: &Operation, judged: JudgedLock) -> Outcome {
        let (kind, at, outcome, salt) = match operation {
            Operation::Add { slot: at, lock } => {
                let (outcome, link) = self.add_lock((slot, *at), state, lock, judged);
                self.put_lock(slot, *at, link, print_of(lock.payment_id.as_bytes()));
                let failed = matches!(outcome, OpOutcome::Failed(_));
                (OpKind::Add, *at, outcome, if failed { judged.salt } else { [0; 16] })
            }
            Operation::Settle { slot: at } => {
                self.close_lock(slot, state, *at);
                (OpKind::Settle, *at, OpOutcome::Done, [0; 16])
            }
            Operation::Drop { slot: at } => {
                self.close_lock(slot, state, *at);
                (OpKind::Drop, *at, OpOutcome::Done, [0; 16])
            }
            Operation::Release { .. } => unreachable!("a state that releases is refused"),
        };
        Outcome {
            counter: state.counter,
            kind,
            slot: at,
            outcome,
            lock: judged.id,
            salt,
            preimage: [0; 32],
        }
    }

    /// Frees a lock, and remembers its payment for the next counters.
    fn close_lock(&mut self, slot: u32, state: &ClientState, at: LockSlot) {
        let link = self.take_lock(slot, at);
        let lock = self.store.locks.at(link);
        let payment = ClosedPayment {
            payment_id: lock.payment_id,
            content: lock.content,
            outcome: lock.outcome,
            c: state.counter.get(),
        };
        let (named, in_lock, kept) = (lock.named, lock.in_lock(), lock.kept);
        self.remember(slot, payment);
        if in_lock != 0 {
            self.let_go(in_lock, BY_PAYER);
        }
        if kept != 0 {
            self.let_word_go(kept);
        }
        let meta = *self.store.meta();
        let (mut locks, mut names) = (meta.locks, meta.named);
        self.store.locks.give(&mut locks, link);
        if named != 0 {
            self.store.named.give(&mut names, named);
        }
        let meta = self.store.meta_mut();
        (meta.locks, meta.named) = (locks, names);
    }
}

/// What judging a state came to: the leaf that it names, none if the state is known already; or why it is refused.
pub(crate) type Verdict = Result<Option<NamedLeaf>, RefuseReason>;

/// What a state's acknowledgement leads to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct NamedLeaf {
    firm: Amount,
    /// Its header height: drops are judged by it.
    height: Height,
    /// Zero if it is the leaf that the state before named.
    link: Link,
    /// True if the acknowledgement is new and in time.
    acknowledges: bool,
}

fn known_counter<T>(state: &ClientState, digest: &Digest, record: &LiveRecord) -> Result<Option<T>, RefuseReason> {
    if state.counter < record.c() {
        Err(RefuseReason::StaleCounter)
    } else if record.state_digest == *digest.as_bytes() {
        Ok(None)
    } else {
        Err(RefuseReason::Conflict)
    }
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

/// A mix of all 72 bytes in six. No hash: see [`content_of`].
fn content(payee_channel: &[u8; 32], amount: u64, hash: &[u8; 32]) -> [u8; 6] {
    let words = payee_channel.as_chunks::<8>().0.iter().chain(hash.as_chunks::<8>().0);
    let mixed = words.fold(amount, |mixed, word| mixed.rotate_left(11) ^ u64::from_le_bytes(*word));
    let [a, b, c, d, e, f, g, h] = mixed.to_le_bytes();
    [a ^ g, b ^ h, c, d, e, f]
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

    /// The link to what its payee was offered; zero for a lock of another kind, or one that failed at once.
    pub(crate) fn in_lock(&self) -> Link {
        let link = if self.condition == HASH { self.credited_h } else { 0 };
        Link::try_from(link).expect("it was a link when it was written")
    }
}
