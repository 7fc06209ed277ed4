//! Memory that will soon be looked at, asked for ahead.
//!
//! A batch of thousands of payments touches some eighty lines of memory for each, most of them long out of the caches, and
//! each found only through the one before (channel → page → lock). Asked for one after the other they cost more than all the
//! arithmetic. So each step asks for what the step after it will look at, for payments further on. Hints only: nothing here
//! changes what a batch comes to.

use tidegate_channel::Operation;
use tidegate_types::LockSlot;

use super::Engine;
use super::pages::slots_of;
use super::plan::Plan;
use crate::input::{Input, PayInput};
use crate::record::WidePageRecord;
use crate::record::in_lock::InPageRecord;
use crate::slots::{Link, Slots};

/// How many inputs ahead a channel's number leads to its records, and how many inputs ahead to what hangs on these.
const CHANNELS_AHEAD: u32 = 32;
const RECORDS_AHEAD: u32 = 28;
/// From one page of answers to the next, each found through the one before: so many inputs later, and so many pages.
const ANSWERS_STEP: u32 = 4;
const ANSWERS_AHEAD: u32 = 6;
const _: () = assert!(RECORDS_AHEAD > ANSWERS_STEP * ANSWERS_AHEAD);
/// Likewise from one unacknowledged leaf to the next: a state mostly acknowledges one of the first.
const LEAVES_STEP: u32 = 6;
const LEAVES_AHEAD: u32 = 3;
const _: () = assert!(RECORDS_AHEAD > LEAVES_STEP * LEAVES_AHEAD);
/// The slots of locks beyond a page's first; then the locks that a state settles; then what these were offered as.
const WIDE_AHEAD: u32 = 20;
const SETTLED_AHEAD: u32 = 8;
const OFFERED_AHEAD: u32 = 4;
/// Of a state that pays many at once, the others' records.
const PAYEES_AHEAD: u32 = 2;
/// Of a preimage: its payee's channel, then the page, the lock itself, and the payer's side of it.
const PREIMAGES_AHEAD: u32 = 40;
const IN_LOCKS_AHEAD: u32 = 20;
const PAYERS_AHEAD: u32 = 12;
const PAYER_RECORDS_AHEAD: u32 = 6;

/// What is looked at ahead of a batch's inputs.
#[derive(Debug)]
pub(crate) struct Ahead {
    /// True if there are preimages among them. A batch without them mostly comes upon what it needs in the caches: asked for again
    /// there, it cost payments by ack 0.25 µs of 3.4; with them, hash locks gain 0.35 of 8.3.
    preimages: bool,
    /// In-locks that were found, by input.
    in_locks: [Link; Self::RING],
}

impl Ahead {
    const RING: usize = 32;

    pub(super) fn of(inputs: &[Input]) -> Self {
        Self {
            preimages: inputs.iter().any(|input| matches!(input, Input::Fulfil(_))),
            in_locks: [0; Self::RING],
        }
    }

    const fn in_lock(&mut self, input: u32) -> &mut Link {
        &mut self.in_locks[input as usize % Self::RING]
    }
}

const _: () = assert!((IN_LOCKS_AHEAD as usize) < Ahead::RING);

impl<S: Slots> Engine<S> {
    pub(super) fn prefetch_channel(&self, slot: Option<u32>) {
        if let Some(slot) = slot {
            self.store.channels.prefetch(slot);
        }
    }

    pub(super) fn prefetch_live(&self, slot: u32) {
        let link = self.store.channels.get(slot).live;
        self.store.live.prefetch_at(link);
        self.store.signed.prefetch_at(link);
    }

    pub(super) fn prefetch_page(&self, slot: u32) {
        if let Some(live) = self.live(slot) {
            self.store.pages.prefetch_at(live.page);
        }
    }

    /// The locks beside those that a state changes: their ids are hashed with them.
    pub(super) fn prefetch_groups(&self, slot: u32, operations: &[Operation]) {
        let open = self.open_locks(slot);
        for slot in slots_of(operations) {
            let first = slot.index() / 4 * 4;
            (first..first + 4).for_each(|at| self.store.locks.prefetch_at(open.link(at)));
        }
    }

    /// For the serial part, before input `at` is executed.
    pub(super) fn prefetch_input(&self, at: u32, inputs: &[Input], plan: &Plan, ahead: &mut Ahead) {
        if let Some((slot, payee)) = plan.channels(at + CHANNELS_AHEAD) {
            self.prefetch_live(slot);
            if let Some(payee) = payee {
                self.prefetch_live(payee);
            }
        }
        if let Some((slot, payee)) = plan.channels(at + RECORDS_AHEAD) {
            let record = self.record(slot);
            self.store.pages.prefetch_at(record.page);
            self.store.answers.prefetch_at(record.answer_newest);
            self.store.leaves.prefetch_at(record.leaf_unacked);
            if let Some(payee) = payee.filter(|_| ahead.preimages) {
                self.prefetch_in_page(payee);
            }
        }
        for passed in 0..ANSWERS_AHEAD {
            if let Some((slot, _)) = plan.channels(at + ANSWERS_STEP * (ANSWERS_AHEAD - passed)) {
                self.prefetch_answers(slot, passed);
            }
        }
        if !ahead.preimages {
            return;
        }
        for passed in 0..LEAVES_AHEAD {
            if let Some((slot, _)) = plan.channels(at + LEAVES_STEP * (LEAVES_AHEAD - passed)) {
                self.prefetch_unacked(slot, passed);
            }
        }
        self.prefetch_settled(at, inputs, plan);
        self.prefetch_preimages(at, inputs, plan, ahead);
    }

    /// The locks that states settle or drop, and what these lead to.
    fn prefetch_settled(&self, at: u32, inputs: &[Input], plan: &Plan) {
        if let Some((slot, _)) = plan.channels(at + WIDE_AHEAD) {
            let page = self.record(slot).page;
            if page != 0 {
                let wide = self.store.pages.at(page).wide;
                self.store.wide_pages.prefetch_part_at(wide, WidePageRecord::SLOTS);
            }
        }
        if let Some((slot, pay)) = pay_of(inputs, plan, at + SETTLED_AHEAD) {
            let open = self.open_locks(slot);
            closed_slots(pay).for_each(|slot| self.store.locks.prefetch_at(open.link(slot.index())));
        }
        if let Some((slot, pay)) = pay_of(inputs, plan, at + OFFERED_AHEAD) {
            let open = self.open_locks(slot);
            for link in closed_slots(pay)
                .map(|slot| open.link(slot.index()))
                .filter(|&link| link != 0)
            {
                self.store.in_locks.prefetch_at(self.store.locks.at(link).in_lock());
            }
        }
        if let Some((_, pay)) = pay_of(inputs, plan, at + PAYEES_AHEAD) {
            let payees = plan.payees(at + PAYEES_AHEAD, pay).iter().skip(1);
            payees.flatten().for_each(|&payee| self.prefetch_record(payee));
        }
    }

    /// What a preimage leads to: its lock, and the payer's side of it.
    fn prefetch_preimages(&self, at: u32, inputs: &[Input], plan: &Plan, ahead: &mut Ahead) {
        let fulfil = |input: u32| match inputs.get(input as usize)? {
            Input::Fulfil(fulfil) => Some((plan.known(input)?, fulfil)).filter(|(slot, _)| self.holds(*slot)),
            _ => None,
        };
        if let Some((slot, _)) = fulfil(at + PREIMAGES_AHEAD) {
            self.prefetch_channel(Some(slot));
        }
        if let Some((slot, _)) = fulfil(at + CHANNELS_AHEAD) {
            self.prefetch_live(slot);
        }
        if let Some((slot, _)) = fulfil(at + RECORDS_AHEAD) {
            self.prefetch_in_page(slot);
        }
        if let Some((slot, fulfil)) = fulfil(at + IN_LOCKS_AHEAD) {
            let link = self.in_lock_alike(slot, &fulfil.lock);
            self.store.in_locks.prefetch_at(link);
            *ahead.in_lock(at + IN_LOCKS_AHEAD) = link;
        }
        if fulfil(at + PAYERS_AHEAD).is_some() {
            let link = *ahead.in_lock(at + PAYERS_AHEAD);
            if link != 0 {
                let in_lock = self.store.in_locks.at(link);
                self.store.locks.prefetch_at(in_lock.payer_lock);
                self.prefetch_channel(Some(in_lock.payer).filter(|payer| self.holds(*payer)));
            }
        }
        if fulfil(at + PAYER_RECORDS_AHEAD).is_some() {
            let link = *ahead.in_lock(at + PAYER_RECORDS_AHEAD);
            if link != 0 {
                let payer = self.store.in_locks.at(link).payer;
                Some(payer)
                    .filter(|payer| self.holds(*payer))
                    .inspect(|payer| self.prefetch_record(*payer));
            }
        }
    }

    fn prefetch_record(&self, slot: u32) {
        self.store.live.prefetch_at(self.store.channels.get(slot).live);
    }

    /// What says which in-locks a channel has.
    fn prefetch_in_page(&self, slot: u32) {
        let link = self.live(slot).map_or(0, |live| live.in_page);
        self.store.in_pages.prefetch_part_at(link, InPageRecord::SLOTS);
    }

    /// A leaf behind so many others that wait for an ack, and what hangs on the one before it.
    fn prefetch_unacked(&self, slot: u32, passed: u32) {
        let link = self.store.leaves.behind(self.record(slot).leaf_unacked, passed);
        if link == 0 {
            return;
        }
        let leaf = self.store.leaves.at(link);
        self.store.leaves.prefetch_at(leaf.next);
        self.store.bodies.prefetch_at(leaf.body);
        self.store.credits.prefetch_at(leaf.credits);
        self.store.in_changes.prefetch_at(leaf.in_changes);
    }

    /// The page of answers behind so many others.
    fn prefetch_answers(&self, slot: u32, passed: u32) {
        let link = self.store.answers.behind(self.record(slot).answer_oldest, passed);
        self.store.answers.prefetch_at(link);
    }

    /// For the leaves that a batch ends with, before the one of `slot` is kept.
    pub(super) fn prefetch_leaves(&self, slot: u32) {
        let record = self.record(slot);
        self.store.leaves.prefetch_at(record.leaf_newest);
        self.store.leaves.prefetch_at(record.leaf_oldest);
    }

    /// As [`Engine::prefetch_leaves`], a few leaves later: what hangs on the oldest leaf, which is forgotten then.
    pub(super) fn prefetch_oldest(&self, slot: u32) {
        let oldest = self.record(slot).leaf_oldest;
        if oldest != 0 {
            let leaf = self.store.leaves.at(oldest);
            self.store.bodies.prefetch_at(leaf.body);
            self.store.credits.prefetch_at(leaf.credits);
            self.store.leaves.prefetch_at(leaf.next);
        }
    }

    /// Before a row of leaves is acknowledged: their private parts, their credits, and the locks that these decide.
    /// `kept` is the leaf whose private part goes now.
    pub(super) fn prefetch_acknowledged(&self, first: u32, kept: u32, counter: u64) {
        self.store.leaves.prefetch_at(kept);
        let each = |visit: &mut dyn FnMut(&crate::record::LeafRecord)| {
            let mut link = first;
            while link != 0 {
                let leaf = self.store.leaves.at(link);
                if leaf.h > counter {
                    break;
                }
                visit(leaf);
                link = leaf.next;
            }
        };
        each(&mut |leaf| {
            self.store.bodies.prefetch_at(leaf.body);
            self.store.credits.prefetch_at(leaf.credits);
            self.store.in_changes.prefetch_at(leaf.in_changes);
        });
        each(&mut |leaf| {
            let mut link = leaf.credits;
            while link != 0 {
                let credit = self.store.credits.at(link);
                self.store.locks.prefetch_at(credit.lock);
                link = credit.next;
            }
            if leaf.in_changes != 0 {
                let change = self.store.in_changes.at(leaf.in_changes);
                self.store.in_changes.prefetch_at(change.next);
            }
        });
    }
}

/// A state, by its place among the inputs, with its channel.
fn pay_of<'a>(inputs: &'a [Input], plan: &Plan, at: u32) -> Option<(u32, &'a PayInput)> {
    match inputs.get(at as usize)? {
        Input::Pay(pay) => Some((plan.channels(at)?.0, pay)),
        _ => None,
    }
}

/// The slots of the locks that a state settles or drops.
fn closed_slots(pay: &PayInput) -> impl Iterator<Item = LockSlot> {
    pay.operations.iter().filter_map(|operation| match operation {
        Operation::Settle { slot } | Operation::Drop { slot } => Some(*slot),
        Operation::Add { .. } | Operation::Release { .. } => None,
    })
}
