//! The end of a batch: one leaf per touched channel, the tree over them, the header (rule 17).

use tidegate_channel::{
    BatchHeader, LeafKind, LeafPrivate, LeafPublic, StateRef, credited_root, failed_root, leaf_digest, outcomes_root,
};
use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Amount, Digest, Fixed, HubCounter, UnixMillis};

use super::{Engine, LEAVES_KEPT};
use crate::executed::{Executed, LeafOut};
use crate::record::{BodyRecord, CreditRecord, LeafRecord, WAITING};
use crate::slots::{Link, Slots};
use crate::store::{amount, digest};

impl<S: Slots> Engine<S> {
    pub(super) fn seal(&mut self, time: UnixMillis, out: &mut Executed) {
        out.digests.clear();
        for index in 0..self.touches.len() {
            if self.touches.get_mut(index).leaf {
                self.seal_leaf(index, out);
            }
        }
        out.tree.rebuild(&out.digests);
        let outcomes = hash(Domain::OutcomeDigest, &self.outcome_log);
        let meta = self.store.meta_mut();
        let number = meta.batch().next().expect("2⁶⁴ batches take longer than the sun has");
        // The clock may step back; the batches' times do not.
        let time = time.max(meta.time());
        out.header = BatchHeader {
            hub: meta.hub(),
            number,
            previous: digest(&meta.header_digest),
            leaf_count: u32::try_from(out.digests.len()).expect("fewer leaves than channels"),
            height: meta.height(),
            leaves_root: out.tree.root(),
            outcomes,
            block: digest(&meta.block_hash),
            time,
        };
        meta.batch = number.get();
        meta.time = time.get();
        meta.header_digest = *out.header.digest().as_bytes();
    }

    /// Makes the leaf of one touched channel, and keeps what later acks and proofs will name.
    fn seal_leaf(&mut self, index: usize, out: &mut Executed) {
        let touch = self.touches.get_mut(index);
        let slot = touch.slot;
        let place = out.digests.len();
        if place == out.leaves.len() {
            out.leaves.push(empty_leaf());
        }
        let leaf = &mut out.leaves[place];
        leaf.channel = slot;
        // The lists change hands, so that neither side allocates in the steady state.
        core::mem::swap(&mut leaf.credits, &mut touch.credits);
        core::mem::swap(&mut leaf.outcomes, &mut touch.outcomes);
        core::mem::swap(&mut leaf.answers, &mut touch.answers);
        leaf.terms = touch.terms;
        self.add_credits(slot, leaf);
        leaf.public = LeafPublic {
            previous: digest(&self.record(slot).leaf_digest),
            credited_root: credited_root(&leaf.credits),
            failed_root: failed_root(&leaf.outcomes),
        };
        leaf.private = self.private_part(slot, leaf);
        let private_digest = leaf.private.digest();
        let digest = leaf_digest(&private_digest, &leaf.public.digest());
        self.keep_leaf(index, leaf, private_digest, digest);
        out.digests.push(digest);
    }

    /// The credits of this batch join U.
    fn add_credits(&mut self, slot: u32, leaf: &LeafOut) {
        let Some(lowest) = leaf.credits.iter().map(|c| c.expiry).min() else {
            return;
        };
        let sum = Amount::sum(leaf.credits.iter().map(|c| c.amount)).expect("the hub's room covered every credit");
        let count = u32::try_from(leaf.credits.len()).expect("the policy's limit fits");
        let record = self.record_mut(slot);
        let first = record.unfirm == 0;
        record.unfirm = super::sum(record.unfirm, sum).expect("U is at most the capacity");
        record.unfirm_count += count;
        record.expiry_min = if first {
            lowest.get()
        } else {
            record.expiry_min.min(lowest.get())
        };
    }

    fn private_part(&self, slot: u32, leaf: &LeafOut) -> LeafPrivate {
        let (record, meta) = (self.record(slot), self.store.meta());
        LeafPrivate {
            channel: record.id(),
            counter: HubCounter::new(record.h + 1),
            firm_credit: amount(record.firm),
            unfirm_credit: amount(record.unfirm),
            in_locks_sum: amount(record.in_locks),
            in_locks_root: LockTree::empty().root(),
            outcomes_root: outcomes_root(&leaf.outcomes),
            terms: leaf.terms.map_or(Digest::ZERO, |terms| terms.digest()),
            ack: StateRef {
                counter: record.c(),
                digest: digest(&record.state_digest),
            },
            ack_by: self.ack_by_of(record),
            height: meta.height(),
            kind: if leaf.terms.is_some() {
                LeafKind::Final
            } else {
                LeafKind::Update
            },
        }
    }

    fn keep_leaf(&mut self, index: usize, leaf: &LeafOut, private_digest: Digest, digest: Digest) {
        let touch = self.touches.get_mut(index);
        let locks = core::mem::take(&mut touch.credit_locks);
        let credits = self.keep_credits(leaf, &locks);
        self.touches.get_mut(index).credit_locks = locks;
        let mut private = [0; LeafPrivate::LEN];
        leaf.private.encode_into(&mut private);
        let mut bodies = self.store.meta().bodies;
        let waiting = leaf.credits.iter().map(|c| c.amount.to_sat()).sum();
        let body = BodyRecord {
            private,
            waiting,
            waiting_count: u32::try_from(leaf.credits.len()).expect("the policy's limit fits"),
            expiry_min: leaf.credits.iter().map(|c| c.expiry.get()).min().unwrap_or(u32::MAX),
            next: 0,
            reserved: 0,
        };
        let body = self.store.bodies.take(&mut bodies, body);
        let mut leaves = self.store.meta().leaves;
        let record = LeafRecord {
            digest: *digest.as_bytes(),
            private_digest: *private_digest.as_bytes(),
            credited_root: *leaf.public.credited_root.as_bytes(),
            failed_root: *leaf.public.failed_root.as_bytes(),
            h: leaf.private.counter.get(),
            firm: leaf.private.firm_credit.to_sat(),
            credits,
            body,
            next: 0,
            ack_by: leaf.private.ack_by.get(),
            height: leaf.private.height.get(),
            reserved: 0,
        };
        let link = self.store.leaves.take(&mut leaves, record);
        let meta = self.store.meta_mut();
        (meta.bodies, meta.leaves) = (bodies, leaves);
        self.append_leaf(leaf.channel, link, &leaf.private, digest);
    }

    fn keep_credits(&mut self, leaf: &LeafOut, locks: &[Link]) -> Link {
        let mut allocation = self.store.meta().credits;
        let mut next = 0;
        for (credit, lock) in leaf.credits.iter().zip(locks).rev() {
            let mut encoded = [0; 80];
            credit.encode_into(&mut encoded);
            let record = CreditRecord {
                credit: encoded,
                next,
                lock: *lock,
                fate: WAITING,
                reserved: 0,
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
        record.leaf_newest = link;
        record.leaf_count += 1;
        record.h = private.counter.get();
        record.leaf_digest = *digest.as_bytes();
        self.forget_leaves(slot);
    }

    /// Frees leaves that nobody can name any more: beyond the last 64 if acknowledged, and never more than 128.
    fn forget_leaves(&mut self, slot: u32) {
        loop {
            let record = self.record(slot);
            let oldest = record.leaf_oldest;
            let leaf = *self.store.leaves.at(oldest);
            let named = record.h - leaf.h < super::UNACKED_MAX;
            // A credit that waits must be found again when it becomes void.
            let waits = leaf.body != 0 && self.store.bodies.at(leaf.body).waiting_count > 0;
            if named || waits || (leaf.h > record.acked_h && record.leaf_count <= LEAVES_KEPT) {
                return;
            }
            let record = self.record_mut(slot);
            record.leaf_oldest = leaf.next;
            record.leaf_before = leaf.digest;
            record.leaf_count -= 1;
            self.store.leaves.at_mut(oldest).next = 0;
            self.free_leaves(oldest);
        }
    }

    /// Frees a list of leaves with all that hangs on them.
    pub(super) fn free_leaves(&mut self, first: Link) {
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
            self.store.leaves.give(&mut leaves, link);
            link = leaf.next;
        }
        let meta = self.store.meta_mut();
        (meta.leaves, meta.bodies, meta.credits) = (leaves, bodies, credits);
    }
}

fn empty_leaf() -> LeafOut {
    let (private, public) = tidegate_channel::opening_leaf(tidegate_types::ChannelId::ZERO);
    LeafOut {
        channel: 0,
        private,
        public,
        credits: Vec::new(),
        outcomes: Vec::new(),
        answers: Vec::new(),
        terms: None,
    }
}
