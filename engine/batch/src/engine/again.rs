//! A channel's final leaf, told once more.
//!
//! Its receipt may be lost, and no leaf may come above it. So the very same leaf, height and all, stands in a later batch too: two
//! equal leaves of one counter are no fault, and with the new path the client completes what it began.

use tidegate_channel::{RefuseReason, leaf_digest};

use super::Engine;
use crate::executed::{Answer, Executed, LeafOut};
use crate::slots::Slots;
use crate::store::digest;

impl<S: Slots> Engine<S> {
    /// Notes that a frozen channel's final leaf is asked for again.
    #[cold]
    pub(super) fn repeat_final(&mut self, input: u32, slot: u32) -> Result<(), RefuseReason> {
        let answer = Answer {
            input,
            counter: self.record(slot).c(),
        };
        if let Some(leaf) = self.again.iter_mut().find(|leaf| leaf.channel == slot) {
            leaf.answers.push(answer);
            return Ok(());
        }
        let mut leaf = self.final_leaf(slot).ok_or(RefuseReason::Closing)?;
        leaf.answers.push(answer);
        self.again.push(leaf);
        Ok(())
    }

    /// The final leaf as it was; `None` if its batch is this one, or if it holds answers, which are not kept.
    fn final_leaf(&self, slot: u32) -> Option<LeafOut> {
        let newest = self.record(slot).leaf_newest;
        let leaf = (newest != 0).then(|| self.store.leaves.at(newest))?;
        let body = (leaf.body != 0).then(|| self.store.bodies.at(leaf.body))?;
        if body.is_final == 0 || body.outcomes_root != [0; 32] {
            return None;
        }
        let (_, previous) = self.leaf_with_previous(slot, leaf.h);
        let credits = self.credits_from(leaf.credits);
        let public = self.public_part_of(leaf, digest(&previous), &credits);
        Some(LeafOut {
            channel: slot,
            private: self.private_part_of(slot, leaf),
            public,
            credits,
            credit_locks: Vec::new(),
            outcomes: Vec::new(),
            in_changes: self.in_changes_from(leaf.in_changes),
            releases: Vec::new(),
            answers: Vec::new(),
            terms: self.final_terms(slot),
        })
    }

    /// Puts the leaves that are told again behind those that the batch made, of which there are so many.
    #[cold]
    pub(super) fn tell_again(&mut self, mut place: usize, out: &mut Executed) {
        for leaf in self.again.drain(..) {
            out.digests
                .push(leaf_digest(&leaf.private.digest(), &leaf.public.digest()));
            if place == out.leaves.len() {
                out.leaves.push(leaf);
            } else {
                out.leaves[place] = leaf;
            }
            place += 1;
        }
    }
}
