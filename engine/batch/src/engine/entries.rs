//! What the state tree holds of the channels: of all, and of those that a batch changed.
//!
//! The layout of an entry is that of `tidegate_channel::ChannelEntry`. A batch changes the entries of the channels that it
//! touches, and of those that its blocks open and settle; nothing else writes to a channel's record.

use tidegate_channel::ChannelEntry;
use tidegate_crypto::merkle::StateTree;
use tidegate_types::Digest;

use super::Engine;
use crate::executed::Changes;
use crate::record::{ChannelRecord, LiveRecord};
use crate::slots::Slots;

/// Entries that are hashed together when a tree is built: 32 KiB, which stay in the nearest cache.
const TOGETHER: usize = 128;

impl<S: Slots> Engine<S> {
    /// What the state tree holds of the channel of this number; `None` if there is none.
    #[must_use]
    pub fn entry(&self, slot: u32) -> Option<ChannelEntry> {
        (slot < self.store.meta().channels).then(|| self.entry_of(slot))
    }

    fn entry_of(&self, slot: u32) -> ChannelEntry {
        entry(self.store.channels.get(slot), &self.look(slot).0)
    }

    /// From now on every batch notes in [`crate::Executed::changes`] which entries it changed, or no longer does.
    pub const fn note_changes(&mut self, on: bool) {
        self.notes_changes = on;
    }

    /// Notes the entries that the batch has changed, as they are at its end.
    pub(super) fn list_changes(&mut self, changes: &mut Changes) {
        if self.notes_changes {
            for index in 0..self.touches.len() {
                let slot = self.touches.get_mut(index).slot;
                changes.push(slot, self.entry_of(slot));
            }
            for &slot in &self.opened_or_settled {
                changes.push(slot, self.entry_of(slot));
            }
        }
        self.opened_or_settled.clear();
    }
}

impl<S: Slots + Sync> Engine<S> {
    /// The state tree from all channels, on the threads of the current rayon pool. `look` is shown every entry with its
    /// number, from those threads and in any order.
    pub fn state_tree(&self, look: impl Fn(u32, &[ChannelEntry]) + Sync) -> StateTree {
        StateTree::build_with(self.store.meta().channels, |first, out| {
            let mut entries = [ChannelEntry::ZERO; TOGETHER];
            for (first, out) in (first..).step_by(TOGETHER).zip(out.chunks_mut(TOGETHER)) {
                let entries = &mut entries[..out.len()];
                (first..)
                    .zip(entries.iter_mut())
                    .for_each(|(slot, entry)| *entry = self.entry_of(slot));
                ChannelEntry::digests(entries, out);
                look(first, entries);
            }
        })
    }

    /// A digest of the state of all channels: equal states, equal digest. Blocks without channel events do not change it.
    ///
    /// Hashes every channel, on the current rayon pool: for `verify` and tests. A hub keeps the tree.
    #[must_use]
    pub fn state_root(&self) -> Digest {
        self.state_tree(|_, _| {}).root()
    }
}

fn entry(channel: &ChannelRecord, live: &LiveRecord) -> ChannelEntry {
    ChannelEntry {
        channel: channel.id(),
        state: Digest::from_bytes(live.state_digest),
        leaf: Digest::from_bytes(live.leaf_digest),
        ack: Digest::from_bytes(live.ack_message_digest),
        client_counter: live.c,
        leaf_counter: live.h,
        acknowledged_leaf: live.acked_h,
        ack_counter: live.ack_message_h,
        firm_credit_sat: live.firm,
        unfirm_credit_sat: live.unfirm,
        debit_sat: live.debit,
        out_locks_sat: live.out_locks,
        in_locks_sat: live.in_locks,
        capacity_sat: channel.capacity,
        opening_share_sat: channel.opening_share,
        status: live.status,
        reserved: [0; 9],
    }
}
