//! A payer's next state: judged against what the hub knows, then applied (rules 5, 6, 8 to 11).
//!
//! Everything is judged before anything changes: the operations run on a copy of the channel's lock page, and a state
//! whose sums, root or balance are not what they lead to is refused whole (`judge`). Then it is applied, and each added
//! lock is delivered or fails (`deliver`).

mod deliver;
mod judge;

use tidegate_channel::{ClientState, LeafRef, OpKind, OpOutcome, Operation, Outcome, RefuseReason, credit_salt};
use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Amount, Fixed, Height, LockId, LockSlot};

use super::{Engine, UNACKED_MAX};
use crate::executed::Answer;
use crate::input::PayInput;
use crate::record::{ACTIVE, ChannelRecord, ClosedPayment, LockRecord, PageRecord};
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

fn known_counter(state: &ClientState, record: &ChannelRecord) -> Result<bool, RefuseReason> {
    if state.counter < record.c() {
        Err(RefuseReason::StaleCounter)
    } else if record.state_digest == *state.digest().as_bytes() {
        Ok(false)
    } else {
        Err(RefuseReason::Conflict)
    }
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
