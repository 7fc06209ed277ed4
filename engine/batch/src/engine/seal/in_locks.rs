//! The trees of in-locks that a batch changed, level by level across channels, and what is kept of the changes.

use tidegate_channel::{InChange, InChangeKind, many};
use tidegate_crypto::merkle::{LockChange, LockScratch, LockTree, LockTrees, update_lock_trees};
use tidegate_types::{Digest, Fixed, LockSlot};

use crate::engine::Engine;
use crate::executed::LeafOut;
use crate::record::in_lock::{InChangeRecord, InPageRecord};
use crate::slots::{Link, Slab, Slots};

/// Memory for the in-locks of one batch, used again by the next.
#[derive(Debug, Default)]
pub(crate) struct InScratch {
    digests: Vec<Digest>,
    changes: Vec<LockChange>,
    scratch: LockScratch,
}

/// The trees of the pages, by link.
struct Trees<'a, S>(&'a mut Slab<InPageRecord, S>);

impl<S: Slots> LockTrees for Trees<'_, S> {
    type Tree = LockTree;

    fn tree(&self, index: u32) -> &LockTree {
        &self.0.at(index).tree
    }

    fn tree_mut(&mut self, index: u32) -> &mut LockTree {
        &mut self.0.at_mut(index).tree
    }
}

impl<S: Slots> Engine<S> {
    /// Brings the trees of all in-locks that `leaves` change up to date; pages that have become empty are freed.
    pub(super) fn update_in_trees(&mut self, leaves: &[LeafOut]) {
        if leaves.iter().all(|leaf| leaf.in_changes.is_empty()) {
            return;
        }
        let mut memory = core::mem::take(&mut self.in_scratch);
        self.hash_offered(leaves, &mut memory.digests);
        memory.changes.clear();
        for leaf in leaves.iter().filter(|leaf| !leaf.in_changes.is_empty()) {
            self.free_empty_in_page(leaf.channel);
            self.list_groups(leaf, &mut memory.changes);
        }
        update_lock_trees(
            &mut Trees(&mut self.store.in_pages),
            &memory.changes,
            &mut memory.scratch,
        );
        self.in_scratch = memory;
    }

    /// The digests of the in-locks that are new, where they are still open.
    fn hash_offered(&mut self, leaves: &[LeafOut], digests: &mut Vec<Digest>) {
        let offered = || {
            let all = leaves
                .iter()
                .flat_map(|leaf| leaf.in_changes.iter().map(move |c| (leaf.channel, c)));
            all.filter(|(_, change)| change.kind == InChangeKind::Offered)
        };
        digests.clear();
        many::in_lock_digests(offered().map(|(_, change)| &change.lock), digests);
        for ((channel, change), digest) in offered().zip(digests.iter()) {
            // An in-lock of this batch cannot leave in it, so it is there.
            let link = self.in_link(channel, change.slot);
            self.store.in_locks.at_mut(link).digest = *digest.as_bytes();
        }
    }

    fn in_link(&self, channel: u32, slot: LockSlot) -> Link {
        self.in_page(channel).map_or(0, |page| page.locks[slot.index()])
    }

    /// Each changed group of four slots once, as it is now.
    fn list_groups(&self, leaf: &LeafOut, changes: &mut Vec<LockChange>) {
        let link = self.record(leaf.channel).in_page;
        if link == 0 {
            return;
        }
        let page = self.store.in_pages.at(link);
        let mut groups = 0_u16;
        for change in &leaf.in_changes {
            let first = change.slot.index() / 4;
            if groups & (1 << first) != 0 {
                continue;
            }
            groups |= 1 << first;
            let group = core::array::from_fn(|i| match page.locks[first * 4 + i] {
                0 => Digest::ZERO,
                link => Digest::from_bytes(self.store.in_locks.at(link).digest),
            });
            changes.push(LockChange {
                tree: link,
                slot: change.slot,
                group,
            });
        }
    }

    /// The root of a channel's in-locks.
    pub(super) fn in_locks_root(&self, channel: u32) -> Digest {
        self.in_page(channel)
            .map_or_else(LockTree::empty_root, |page| page.tree.root())
    }

    /// Keeps what a leaf did, for a client that comes back, and for one that does not name the leaf in a dispute.
    pub(super) fn keep_in_changes(&mut self, leaf: &LeafOut) -> Link {
        let mut allocation = self.store.meta().in_changes;
        let mut next = 0;
        for change in leaf.in_changes.iter().rev() {
            let mut encoded = [0; InChange::LEN];
            change.encode_into(&mut encoded);
            let signed = leaf.releases.iter().find(|(lock, _)| *lock == change.lock.lock);
            let record = InChangeRecord {
                change: encoded,
                release: signed.map_or([0; 64], |(_, signature)| *signature.as_bytes()),
                next,
                reserved: 0,
            };
            next = self.store.in_changes.take(&mut allocation, record);
        }
        self.store.meta_mut().in_changes = allocation;
        next
    }

    /// Frees what was kept of an acknowledged leaf's changes.
    pub(in crate::engine) fn free_in_changes(&mut self, first: Link) {
        if first == 0 {
            return;
        }
        let mut allocation = self.store.meta().in_changes;
        let mut link = first;
        while link != 0 {
            let next = self.store.in_changes.at(link).next;
            self.store.in_changes.give(&mut allocation, link);
            link = next;
        }
        self.store.meta_mut().in_changes = allocation;
    }
}
