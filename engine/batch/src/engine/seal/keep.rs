//! What later acks and proofs will name of a leaf: its records, and when they are forgotten.

use tidegate_channel::{LeafKind, LeafPrivate};
use tidegate_types::Digest;

use crate::engine::{Engine, LEAVES_KEPT, UNACKED_MAX};
use crate::executed::LeafOut;
use crate::record::{BodyRecord, CreditRecord, LeafRecord, WAITING};
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// Keeps a leaf as its channel's newest.
    pub(super) fn keep_leaf(&mut self, leaf: &LeafOut, private_digest: Digest, digest: Digest) {
        let credits = self.keep_credits(leaf);
        let in_changes = self.keep_in_changes(leaf);
        let mut bodies = self.store.meta().bodies;
        let waiting = leaf.credits.iter().map(|c| c.amount.to_sat()).sum();
        let body = BodyRecord {
            outcomes_root: *leaf.private.outcomes_root.as_bytes(),
            failed_root: *leaf.public.failed_root.as_bytes(),
            in_locks_root: *leaf.private.in_locks_root.as_bytes(),
            state_digest: *leaf.private.ack.digest.as_bytes(),
            c: leaf.private.ack.counter.get(),
            unfirm: leaf.private.unfirm_credit.to_sat(),
            in_locks: leaf.private.in_locks_sum.to_sat(),
            waiting,
            waiting_count: u32::try_from(leaf.credits.len()).expect("the policy's limit fits"),
            expiry_min: leaf.credits.iter().map(|c| c.expiry.get()).min().unwrap_or(u32::MAX),
            is_final: u32::from(leaf.private.kind == LeafKind::Final),
            next: 0,
            reserved: [0; 4],
        };
        let body = self.store.bodies.take(&mut bodies, body);
        let mut leaves = self.store.meta().leaves;
        let record = LeafRecord {
            digest: *digest.as_bytes(),
            private_digest: *private_digest.as_bytes(),
            h: leaf.private.counter.get(),
            firm: leaf.private.firm_credit.to_sat(),
            credits,
            body,
            next: 0,
            ack_by: leaf.private.ack_by.get(),
            height: leaf.private.height.get(),
            in_changes,
            reserved: [0; 6],
        };
        let link = self.store.leaves.take(&mut leaves, record);
        let meta = self.store.meta_mut();
        (meta.bodies, meta.leaves) = (bodies, leaves);
        self.append_leaf(leaf.channel, link, &leaf.private, digest);
    }

    fn keep_credits(&mut self, leaf: &LeafOut) -> Link {
        let mut allocation = self.store.meta().credits;
        let mut next = 0;
        for (credit, lock) in leaf.credits.iter().zip(&leaf.credit_locks).rev() {
            let record = CreditRecord {
                id: *credit.lock.as_bytes(),
                payment_id: *credit.payment_id.as_bytes(),
                amount: credit.amount.to_sat(),
                expiry: credit.expiry.get(),
                next,
                lock: *lock,
                fate: WAITING,
            };
            next = self.store.credits.take(&mut allocation, record);
        }
        self.store.meta_mut().credits = allocation;
        next
    }

    fn append_leaf(&mut self, slot: u32, link: Link, private: &LeafPrivate, digest: Digest) {
        let newest = self.record(slot).leaf_newest;
        if newest != 0 {
            self.store.leaves.at_mut(newest).next = link;
        }
        let record = self.record_mut(slot);
        if newest == 0 {
            record.leaf_oldest = link;
        }
        if record.leaf_unacked == 0 {
            record.leaf_unacked = link;
        }
        record.leaf_newest = link;
        record.leaf_count += 1;
        record.h = private.counter.get();
        record.leaf_digest = *digest.as_bytes();
        self.forget_leaves(slot);
    }

    /// Frees leaves that nobody can name any more: beyond the last 64 if acknowledged, and never more than 128, unless the
    /// hub shows one of them in a dispute. Few come behind that one: with 64 leaves that wait nothing is paid, so they are
    /// those of the locks that are open.
    fn forget_leaves(&mut self, slot: u32) {
        loop {
            let record = self.record(slot);
            let oldest = record.leaf_oldest;
            let leaf = *self.store.leaves.at(oldest);
            let named = record.h - leaf.h < UNACKED_MAX;
            // A credit that waits must be found again when it becomes void.
            let waits = leaf.body != 0 && self.store.bodies.at(leaf.body).waiting_count > 0;
            let shown = record.shown_h() > 0 && leaf.h >= record.shown_h();
            if named || waits || shown || (leaf.h > record.acked_h && record.leaf_count <= LEAVES_KEPT) {
                return;
            }
            self.forget_oldest(slot);
        }
    }

    /// Frees a list of leaves with all that hangs on them.
    pub(in crate::engine) fn free_leaves(&mut self, first: Link) {
        let meta = *self.store.meta();
        let (mut leaves, mut bodies, mut credits) = (meta.leaves, meta.bodies, meta.credits);
        let mut link = first;
        while link != 0 {
            let leaf = *self.store.leaves.at(link);
            let mut credit = leaf.credits;
            while credit != 0 {
                let next = self.store.credits.at(credit).next;
                self.store.credits.give(&mut credits, credit);
                credit = next;
            }
            if leaf.body != 0 {
                self.store.bodies.give(&mut bodies, leaf.body);
            }
            self.free_in_changes(leaf.in_changes);
            self.store.leaves.give(&mut leaves, link);
            link = leaf.next;
        }
        let meta = self.store.meta_mut();
        (meta.leaves, meta.bodies, meta.credits) = (leaves, bodies, credits);
    }
}
