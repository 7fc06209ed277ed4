//! Acknowledgements: by an `Ack`, or by the leaf that a state names (rules 9 and 12).

use tidegate_channel::{Ack, LeafRef, RefuseReason};
use tidegate_types::{Fixed, Height, SignatureBytes};

use super::Engine;
use super::plan::Plan;
use crate::executed::Answer;
use crate::input::{AckInput, RevealedAck};
use crate::record::{ACTIVE, BodyRecord, DISPUTED, FIRM, FROZEN, LiveRecord, WAITING};
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// Takes an ack. An old one is known already; a late one is refused, and its credits stay unfirm.
    pub(super) fn ack(&mut self, input: u32, message: &AckInput, plan: &Plan) -> Result<(), RefuseReason> {
        let ack = &message.ack;
        // A block of this batch may have opened the channel.
        let slot = plan.of(input).slot.or_else(|| self.channel(&ack.channel));
        let slot = slot.ok_or(RefuseReason::NotOffered)?;
        self.wake(slot);
        let record = *self.record(slot);
        if record.status != ACTIVE {
            return Err(RefuseReason::Closing);
        }
        if ack.leaf.counter.get() <= record.ack_message_h {
            return Err(RefuseReason::StaleCounter);
        }
        let link = self.find_leaf(&record, ack.leaf).ok_or(RefuseReason::UnknownLeaf)?;
        // Acks are a sequence of their own: one of a leaf that a state has acknowledged in time is still a payer's proof.
        if ack.leaf.counter.get() > record.acked_h && !self.in_time(link) {
            return Err(RefuseReason::AckOverdue);
        }
        self.keep_before(slot, ack.leaf.counter.get());
        self.acknowledge(slot, link);
        self.note_ack_message(slot, ack, &message.signature);
        let touch = self.touched(slot);
        touch.answers.push(Answer {
            input,
            counter: tidegate_types::ClientCounter::ZERO,
        });
        Ok(())
    }

    /// True if an ack of this leaf counts: its batch's height is at most the leaf's `ack_by`, or nothing waits in it.
    pub(super) fn in_time(&self, leaf: Link) -> bool {
        let ack_by = self.store.leaves.at(leaf).ack_by;
        ack_by == 0 || self.store.meta().height <= ack_by
    }

    /// Takes the leaf, and every one before it, as acknowledged in time: what waits there becomes firm.
    pub(super) fn acknowledge(&mut self, slot: u32, newest: Link) {
        let counter = self.store.leaves.at(newest).h;
        if counter <= self.record(slot).acked_h {
            return;
        }
        self.touch(slot);
        debug_assert!(
            self.in_time(newest),
            "a late acknowledgement is refused, or passed over"
        );
        let record = self.record(slot);
        let (first, kept) = (record.leaf_unacked, record.leaf_kept);
        self.prefetch_acknowledged(first, kept, counter);
        let (sum, count) = self.firm_leaves(first, newest);
        self.drop_bodies(kept, first, newest);
        let unacked = self.store.leaves.at(newest).next;
        let record = self.record_mut(slot);
        record.acked_h = counter;
        (record.leaf_kept, record.leaf_unacked) = (newest, unacked);
        record.firm += sum;
        record.unfirm -= sum;
        record.unfirm_count -= count;
        if count > 0 {
            self.refresh_expiry(slot);
            self.touched(slot).leaf = true;
        }
    }

    /// Of the leaves that are acknowledged only the newest is kept whole: not the one that was, nor those between.
    fn drop_bodies(&mut self, kept: Link, first: Link, newest: Link) {
        if kept != 0 {
            self.drop_body(kept);
        }
        let mut link = first;
        while link != newest {
            self.drop_body(link);
            link = self.store.leaves.at(link).next;
        }
    }

    /// What waits in the leaves from `first` up to `newest` becomes firm; its sum and number.
    fn firm_leaves(&mut self, first: Link, newest: Link) -> (u64, u32) {
        let (mut sum, mut count) = self.firm_leaf(newest);
        let mut link = first;
        while link != newest {
            let (s, c) = self.firm_leaf(link);
            (sum, count) = (sum + s, count + c);
            link = self.store.leaves.at(link).next;
        }
        (sum, count)
    }

    /// Takes an ack that a block reveals (rule 26): what it acknowledges is owed to the payee, and by its payers, if its block
    /// came in time; whatever height the batch has come to. Touches nothing, since a touch voids what has expired by now.
    /// Returns the channel if it is to make a leaf of it.
    pub(super) fn take_revealed_ack(&mut self, acked: &RevealedAck) -> Option<u32> {
        let slot = self.channel(&acked.ack.channel)?;
        let record = *self.live(slot)?;
        let link = self.find_leaf(&record, acked.ack.leaf)?;
        let leaf = self.store.leaves.at(link);
        let late = leaf.ack_by != 0 && acked.height.get() > leaf.ack_by;
        let (counter, open) = (leaf.h, record.status == ACTIVE || record.status == DISPUTED);
        if late || !open || counter <= record.acked_h {
            return None;
        }
        self.keep_before(slot, counter);
        let (sum, count) = self.firm_leaves(record.leaf_unacked, link);
        let live = self.record_mut(slot);
        live.firm += sum;
        live.unfirm -= sum;
        live.unfirm_count -= count;
        self.refresh_expiry(slot);
        self.opened_or_settled.push(slot);
        // In a channel that closes the leaf that is shown stays the one that it was.
        if record.status != ACTIVE {
            return None;
        }
        if acked.signature != SignatureBytes::ZERO && counter > record.ack_message_h {
            self.drop_bodies(record.leaf_kept, record.leaf_unacked, link);
            let unacked = self.store.leaves.at(link).next;
            let live = self.record_mut(slot);
            live.acked_h = counter;
            (live.leaf_kept, live.leaf_unacked) = (link, unacked);
            self.note_ack_message(slot, &acked.ack, &acked.signature);
        }
        (count > 0).then_some(slot)
    }

    fn note_ack_message(&mut self, slot: u32, ack: &Ack, signature: &SignatureBytes) {
        let record = self.record_mut(slot);
        record.ack_message_h = ack.leaf.counter.get();
        record.ack_message_digest = *ack.leaf.digest.as_bytes();
        self.signed_mut(slot).ack_message_signature = *signature.as_bytes();
    }

    /// The credits of a leaf that wait become firm; their sum and number.
    fn firm_leaf(&mut self, leaf: Link) -> (u64, u32) {
        let leaf = *self.store.leaves.at(leaf);
        if leaf.body == 0 {
            return (0, 0);
        }
        let body = self.store.bodies.at_mut(leaf.body);
        let (sum, count) = (body.waiting, body.waiting_count);
        (body.waiting, body.waiting_count) = (0, 0);
        let mut link = if count == 0 { 0 } else { leaf.credits };
        while link != 0 {
            let credit = self.store.credits.at(link);
            let (next, waiting) = (credit.next, credit.fate == WAITING);
            if waiting {
                self.decide(link, FIRM);
            }
            link = next;
        }
        (sum, count)
    }

    /// Frees the rest of an acknowledged leaf, unless credits in it still wait, or proofs need its failed root.
    fn drop_body(&mut self, leaf: Link) {
        let body = self.store.leaves.at(leaf).body;
        let done = |body: &BodyRecord| body.waiting_count == 0 && body.failed_root == [0; 32];
        if body != 0 && done(self.store.bodies.at(body)) {
            let mut allocation = self.store.meta().bodies;
            self.store.bodies.give(&mut allocation, body);
            self.store.meta_mut().bodies = allocation;
            let record = self.store.leaves.at_mut(leaf);
            record.body = 0;
            let in_changes = core::mem::take(&mut record.in_changes);
            self.free_in_changes(in_changes);
        }
    }

    /// The record of one of the channel's last 64 leaves.
    pub(super) fn find_leaf(&self, record: &LiveRecord, leaf: LeafRef) -> Option<Link> {
        let link = self.find_counter(record, leaf.counter.get())?;
        (self.store.leaves.at(link).digest == *leaf.digest.as_bytes()).then_some(link)
    }

    /// As [`Engine::find_leaf`], by its counter alone.
    pub(super) fn find_counter(&self, record: &LiveRecord, counter: u64) -> Option<Link> {
        if counter > record.h || record.h - counter >= super::UNACKED_MAX {
            return None;
        }
        let unacked = record.leaf_unacked;
        // Nearly always one that waits for its ack, mostly the newest.
        let mut link = if counter == record.h {
            record.leaf_newest
        } else if unacked != 0 && self.store.leaves.at(unacked).h <= counter {
            unacked
        } else {
            record.leaf_oldest
        };
        while link != 0 {
            let found = self.store.leaves.at(link);
            if found.h == counter {
                return Some(link);
            }
            link = found.next;
        }
        None
    }

    /// The header height of a leaf that is held.
    pub(crate) fn leaf_height(&self, leaf: Link) -> Height {
        Height::new(self.store.leaves.at(leaf).height)
    }

    /// A leaf for its own sake: its receipt shows the channel's state afresh.
    pub(super) fn refresh(&mut self, input: u32, channel: &tidegate_types::ChannelId) -> Result<(), RefuseReason> {
        let slot = self.channel(channel).ok_or(RefuseReason::NotOffered)?;
        self.wake(slot);
        let record = *self.record(slot);
        if record.status == FROZEN {
            return self.repeat_final(input, slot);
        }
        if record.status != ACTIVE {
            return Err(RefuseReason::Closing);
        }
        // Leaves that nobody acknowledges must not push out those that an ack or a proof may name.
        if record.leaf_count + 1 >= super::LEAVES_KEPT {
            return Err(RefuseReason::AckOverdue);
        }
        let touch = self.touched(slot);
        touch.leaf = true;
        touch.answers.push(Answer {
            input,
            counter: record.c(),
        });
        Ok(())
    }
}

/// The width of an ack in the log, so that the layout above stays what it says.
const _: () = assert!(AckInput::LEN == 136);
