//! Final blocks: channels that open and settle, and the height that everything is judged by.

use tidegate_channel::ChannelTerms;
use tidegate_types::{ChannelId, OutPoint};

use super::Engine;
use crate::input::{BlockInput, RevealedAck};
use crate::record::SETTLED;
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// Takes a final block. One below the newest is ignored: the caller feeds them again after a restart. The newest
    /// may come again, with more of its events: those of a genesis are too many for one batch.
    pub(super) fn block(&mut self, block: &BlockInput) {
        let meta = self.store.meta_mut();
        let first = meta.block_hash == [0; 32];
        let same = block.height.get() == meta.height && *block.hash.as_bytes() == meta.block_hash;
        if block.height.get() <= meta.height && !first && !same {
            return;
        }
        meta.height = block.height.get();
        meta.block_hash = *block.hash.as_bytes();
        for (terms, funding) in &block.opened {
            self.open_channel(terms, *funding);
        }
        // From the block in which a close begins nobody believes a leaf, so what it reveals makes none there.
        for channel in &block.closing {
            // One that was frozen before, by whoever started the close, or that is not this hub's.
            let _known = self.freeze(channel);
        }
        let acknowledged: Vec<u32> = block.acked.iter().filter_map(|a| self.take_ack_of_block(a)).collect();
        self.take_reveals(block);
        for slot in acknowledged {
            self.touched(slot).leaf = true;
        }
        for channel in &block.closed {
            self.settle_channel(channel);
        }
    }

    /// Takes an ack that the block holds, and keeps it for all that is owed by it.
    fn take_ack_of_block(&mut self, acked: &RevealedAck) -> Option<u32> {
        let leafed = self.take_revealed_ack(acked);
        if let Some(slot) = self.channel(&acked.ack.channel) {
            self.keep_revealed(slot, &acked.ack, &acked.signature, acked.height.get());
        }
        leafed
    }

    /// A channel becomes active. Its terms were checked by the ledger, which holds its output now.
    fn open_channel(&mut self, terms: &ChannelTerms, funding: OutPoint) {
        let id = terms.channel_id(&funding);
        if self.channel(&id).is_none() {
            let slot = self.enter(id, terms, &funding);
            self.opened_or_settled.push(slot);
        }
    }

    /// The ledger has paid both sides: the channel's records go; its name, its last digests, and its open locks, which its
    /// newest state is shown with, stay.
    fn settle_channel(&mut self, channel: &ChannelId) {
        let Some(slot) = self.channel(channel) else { return };
        self.wake(slot);
        let record = *self.record(slot);
        if record.status == SETTLED {
            return;
        }
        while self.record(slot).leaf_oldest != 0 {
            self.forget_oldest(slot);
        }
        self.free_answers(slot, record.answer_oldest);
        self.free_in_locks(slot);
        self.forget_successor(slot);
        let record = self.record_mut(slot);
        record.status = SETTLED;
        (record.leaf_oldest, record.leaf_newest, record.leaf_count) = (0, 0, 0);
        (record.leaf_unacked, record.leaf_kept) = (0, 0);
        (record.answer_oldest, record.answer_newest) = (0, 0);
        self.opened_or_settled.push(slot);
    }

    fn free_answers(&mut self, slot: u32, first: Link) {
        let (mut answers, mut link) = (self.store.meta().answers, first);
        while link != 0 {
            let page = self.store.answers.at(link);
            let next = page.next;
            for at in page.first..page.end {
                let last = next == 0 && at + 1 == page.end;
                self.closed.note_forgotten(slot, page.prints[at as usize], last);
            }
            self.store.answers.give(&mut answers, link);
            link = next;
        }
        self.store.meta_mut().answers = answers;
    }
}
