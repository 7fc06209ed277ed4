//! What the state tree holds of the channels: of all, and of those that a batch changed.
//!
//! The layout of an entry is that of `tidegate_channel::ChannelEntry`. A batch changes the entries of the channels that it
//! touches, and of those that its blocks open and settle; nothing else writes to a channel's record.

use tidegate_channel::{ChannelEntry, many};
use tidegate_crypto::merkle::StateTree;
use tidegate_types::Digest;

use super::Engine;
use crate::entries::EntryPublisher;
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

    /// Notes the entries that the batch has changed, as they are at its end, and those of channels that it has woken.
    pub(super) fn list_changes(&mut self, changes: &mut Changes) {
        if !self.notes_changes {
            return;
        }
        for index in 0..self.touches.len() {
            self.list_change(self.touches.get(index).slot, changes);
        }
        let untouched = |slot: &&u32| self.touches.find(self.record(**slot)).is_none();
        for &slot in self.woken.iter().filter(untouched).chain(&self.opened_or_settled) {
            self.list_change(slot, changes);
        }
    }

    fn list_change(&self, slot: u32, changes: &mut Changes) {
        let channel = self.store.channels.get(slot);
        match channel.live {
            0 => changes.push(slot, self.entry_of(slot)),
            live => changes.push_at(slot, live, entry(channel, self.store.live.at(live))),
        }
    }

    /// What shows other threads the entries of channels that are awake, as of batches that are durable. All that the batches so
    /// far have led to is shown already; from now on each batch is to be published with its [`crate::Executed::changes`], so
    /// [`Engine::note_changes`] has to be on.
    ///
    /// Memory: two versions of 224 bytes for each of those channels.
    #[must_use]
    pub fn publish_entries(&self) -> EntryPublisher {
        let meta = self.store.meta();
        let placed = |slot| Some((self.entry_place(slot)?, self.entry_of(slot)));
        EntryPublisher::of(meta.batch, (0..meta.channels).filter_map(placed))
    }

    /// The place of a channel's entry for readers, if it is awake.
    #[must_use]
    pub fn entry_place(&self, slot: u32) -> Option<u32> {
        self.store.channels.get(slot).live.checked_sub(1)
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
                self.entries_from(first, entries);
                ChannelEntry::digests(entries, out);
                look(first, entries);
            }
        })
    }

    /// The entries of neighbouring channels; what follows from the names of those that sleep is hashed together.
    fn entries_from(&self, first: u32, entries: &mut [ChannelEntry]) {
        let asleep = |slot: &u32| self.live(*slot).is_none();
        let slots = (first..).take(entries.len());
        let ids: Vec<_> = slots.clone().filter(asleep).map(|slot| self.channel_id(slot)).collect();
        let (mut states, mut leaves) = (Vec::new(), Vec::new());
        many::opening_digests(&ids, &mut states, &mut leaves);
        let mut opening = states.into_iter().zip(leaves);
        for (slot, out) in slots.zip(entries) {
            let channel = self.store.channels.get(slot);
            *out = match self.live(slot) {
                Some(live) => entry(channel, live),
                None => {
                    let (state, leaf) = opening.next().expect("one for each that sleeps");
                    entry(channel, &LiveRecord::opening(state, leaf))
                }
            };
        }
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
