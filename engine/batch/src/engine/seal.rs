//! The end of a batch: one leaf per touched channel, the tree over them, the header (rule 17).

mod digests;
mod in_locks;
mod keep;

use tidegate_channel::{BatchHeader, LeafKind, LeafPrivate, StateRef};
use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{Amount, Digest, HubCounter, UnixMillis};

use super::Engine;
use crate::executed::{Executed, LeafOut};
use crate::slots::Slots;
use crate::store::{amount, digest};
pub(crate) use digests::LeafDigests;
pub(crate) use in_locks::InScratch;

/// How many leaves ahead their channel's newest and oldest are asked for.
const LEAVES_AHEAD: usize = 8;

impl<S: Slots> Engine<S> {
    /// Ends the batch. Its leaves are hashed in so many `parts`.
    pub(super) fn seal(&mut self, (time, parts): (UnixMillis, usize), out: &mut Executed) {
        let mut digests = core::mem::take(&mut self.leaf_digests);
        let leaves = self.collect_leaves(out);
        self.update_in_trees(&out.leaves[..leaves]);
        out.digests.clear();
        digests.hash(self, (&mut out.leaves[..leaves], parts), &mut out.digests);
        for (place, leaf) in out.leaves[..leaves].iter().enumerate() {
            out.leaves[..leaves]
                .get(place + LEAVES_AHEAD)
                .inspect(|later| self.prefetch_leaves(later.channel));
            out.leaves[..leaves]
                .get(place + LEAVES_AHEAD / 2)
                .inspect(|later| self.prefetch_oldest(later.channel));
            self.keep_leaf(leaf, digests.private[place], out.digests[place]);
        }
        self.leaf_digests = digests;
        if !self.again.is_empty() {
            self.tell_again(leaves, out);
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

    /// What each touched channel has to say moves into the batch's leaves; how many there are.
    fn collect_leaves(&mut self, out: &mut Executed) -> usize {
        let mut place = 0;
        for index in 0..self.touches.len() {
            let touch = self.touches.get_mut(index);
            if !touch.leaf {
                continue;
            }
            if place == out.leaves.len() {
                out.leaves.push(empty_leaf());
            }
            let leaf = &mut out.leaves[place];
            leaf.channel = touch.slot;
            // The lists change hands, so that neither side allocates in the steady state.
            core::mem::swap(&mut leaf.credits, &mut touch.credits);
            core::mem::swap(&mut leaf.credit_locks, &mut touch.credit_locks);
            core::mem::swap(&mut leaf.outcomes, &mut touch.outcomes);
            core::mem::swap(&mut leaf.in_changes, &mut touch.in_changes);
            core::mem::swap(&mut leaf.releases, &mut touch.releases);
            core::mem::swap(&mut leaf.answers, &mut touch.answers);
            leaf.terms = touch.terms;
            self.add_credits(&out.leaves[place]);
            place += 1;
        }
        place
    }

    /// The credits of this batch join U.
    fn add_credits(&mut self, leaf: &LeafOut) {
        let Some(lowest) = leaf.credits.iter().map(|c| c.expiry).min() else {
            return;
        };
        let sum = Amount::sum(leaf.credits.iter().map(|c| c.amount)).expect("the hub's room covered every credit");
        let count = u32::try_from(leaf.credits.len()).expect("the policy's limit fits");
        let record = self.record_mut(leaf.channel);
        let first = record.unfirm == 0;
        record.unfirm = super::sum(record.unfirm, sum).expect("U is at most the capacity");
        record.unfirm_count += count;
        record.expiry_min = if first {
            lowest.get()
        } else {
            record.expiry_min.min(lowest.get())
        };
    }

    /// The private part of a leaf, but for its outcomes root.
    fn private_part(&self, leaf: &LeafOut) -> LeafPrivate {
        let (record, meta) = (self.record(leaf.channel), self.store.meta());
        LeafPrivate {
            channel: self.channel_id(leaf.channel),
            counter: HubCounter::new(record.h + 1),
            firm_credit: amount(record.firm),
            unfirm_credit: amount(record.unfirm),
            in_locks_sum: amount(record.in_locks),
            in_locks_root: self.in_locks_root(leaf.channel),
            outcomes_root: Digest::ZERO,
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
}

fn empty_leaf() -> LeafOut {
    let (private, public) = tidegate_channel::opening_leaf(tidegate_types::ChannelId::ZERO);
    LeafOut {
        channel: 0,
        private,
        public,
        credits: Vec::new(),
        credit_locks: Vec::new(),
        outcomes: Vec::new(),
        in_changes: Vec::new(),
        releases: Vec::new(),
        answers: Vec::new(),
        terms: None,
    }
}
