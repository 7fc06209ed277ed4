//! Memory that will soon be looked at, asked for ahead.
//!
//! A batch of thousands of payments touches some eighty lines of memory for each, most of them long out of the caches, and
//! each found only through the one before (channel → page → lock). Asked for one after the other they cost more than all the
//! arithmetic. So each step asks for what the step after it will look at, for payments further on. Hints only: nothing here
//! changes what a batch comes to.

use tidegate_channel::Operation;

use super::Engine;
use super::pages::slots_of;
use super::plan::Plan;
use crate::slots::Slots;

/// How many inputs ahead a channel's record is asked for in the serial part, and how many what hangs on it.
const CHANNELS_AHEAD: u32 = 32;
const RECORDS_AHEAD: u32 = 28;
/// From one page of answers to the next, each found through the one before: so many inputs later, and so many pages.
const ANSWERS_STEP: u32 = 4;
const ANSWERS_AHEAD: u32 = 6;
const _: () = assert!(RECORDS_AHEAD > ANSWERS_STEP * ANSWERS_AHEAD);

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
    pub(super) fn prefetch_input(&self, at: u32, plan: &Plan) {
        if let Some((slot, payee)) = plan.channels(at + CHANNELS_AHEAD) {
            self.prefetch_live(slot);
            if let Some(payee) = payee {
                self.prefetch_live(payee);
            }
        }
        if let Some((slot, _)) = plan.channels(at + RECORDS_AHEAD) {
            let record = self.record(slot);
            self.store.pages.prefetch_at(record.page);
            self.store.answers.prefetch_at(record.answer_newest);
            self.store.leaves.prefetch_at(record.leaf_unacked);
        }
        for passed in 0..ANSWERS_AHEAD {
            if let Some((slot, _)) = plan.channels(at + ANSWERS_STEP * (ANSWERS_AHEAD - passed)) {
                self.prefetch_answers(slot, passed);
            }
        }
    }

    /// The page of answers behind so many others.
    fn prefetch_answers(&self, slot: u32, passed: u32) {
        let mut link = self.record(slot).answer_oldest;
        for _ in 0..passed {
            if link == 0 {
                return;
            }
            link = self.store.answers.at(link).next;
        }
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
        });
        each(&mut |leaf| {
            if leaf.credits != 0 {
                self.store.locks.prefetch_at(self.store.credits.at(leaf.credits).lock);
            }
        });
    }
}
