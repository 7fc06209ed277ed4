//! The channels that a batch touches: what each will say in its leaf, and the room that it had when the batch began.

use tidegate_channel::{Credit, FinalTerms, HalfSums, InChange, Outcome, hub_balance_from};
use tidegate_types::{Amount, Height, LockId, SignatureBytes};

use super::Engine;
use crate::executed::Answer;
use crate::record::{ACTIVE, CreditRecord, LiveRecord, VOID, WAITING};
use crate::slots::{Link, Slots};
use crate::store::amount;

/// One touched channel.
#[derive(Debug, Default)]
pub(crate) struct Touch {
    pub(crate) slot: u32,
    /// What the hub could still promise when the batch began, less what the batch has promised since.
    pub(crate) room: Amount,
    pub(crate) credits: Vec<Credit>,
    /// The payer's lock record of each credit.
    pub(crate) credit_locks: Vec<Link>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) in_changes: Vec<InChange>,
    /// What signs each of the releases among them.
    pub(crate) releases: Vec<(LockId, SignatureBytes)>,
    pub(crate) answers: Vec<Answer>,
    pub(crate) terms: Option<FinalTerms>,
    /// True if the batch holds a leaf of this channel; a first look alone makes none.
    pub(crate) leaf: bool,
}

/// All touched channels of a batch, in the order of their first touch. Memory is used again by the next batch.
#[derive(Debug, Default)]
pub(crate) struct Touches {
    list: Vec<Touch>,
    count: usize,
    /// The batch: a channel whose record names it is in `list`, at the place that stands there.
    batch: u64,
}

impl Touches {
    pub(crate) const fn begin(&mut self, batch: u64) {
        self.count = 0;
        self.batch = batch;
    }

    pub(crate) const fn find(&self, record: &LiveRecord) -> Option<usize> {
        if record.touched_batch == self.batch {
            Some(record.touched_at as usize)
        } else {
            None
        }
    }

    fn add(&mut self, slot: u32, room: Amount) -> usize {
        if self.count == self.list.len() {
            self.list.push(Touch::default());
        }
        let index = self.count;
        self.count += 1;
        let touch = &mut self.list[index];
        touch.slot = slot;
        touch.room = room;
        touch.credits.clear();
        touch.credit_locks.clear();
        touch.outcomes.clear();
        touch.in_changes.clear();
        touch.releases.clear();
        touch.answers.clear();
        touch.terms = None;
        touch.leaf = false;
        index
    }

    pub(crate) fn get(&self, index: usize) -> &Touch {
        &self.list[index]
    }

    pub(crate) fn get_mut(&mut self, index: usize) -> &mut Touch {
        &mut self.list[index]
    }

    pub(crate) const fn len(&self) -> usize {
        self.count
    }
}

impl LiveRecord {
    pub(crate) fn sums(&self) -> HalfSums {
        HalfSums {
            firm_credit: amount(self.firm),
            unfirm_credit: amount(self.unfirm),
            debit: amount(self.debit),
            out_locks: amount(self.out_locks),
            in_locks: amount(self.in_locks),
        }
    }
}

impl<S: Slots> Engine<S> {
    /// The touch of a channel, which is awake; the first one voids its expired credits, drops its expired in-locks and notes
    /// its room.
    pub(crate) fn touch(&mut self, slot: u32) -> usize {
        if let Some(index) = self.touches.find(self.record(slot)) {
            return index;
        }
        let voided = self.void_expired(slot);
        let expired = self.expire_in_locks(slot);
        let (channel, sums) = (self.store.channels.get(slot), self.record(slot).sums());
        let balance = hub_balance_from(amount(channel.capacity), amount(channel.opening_share), &sums)
            .expect("every batch leaves the hub balance in range");
        let room = balance
            .sub(amount(self.shared(slot).hub_reserve))
            .unwrap_or(Amount::ZERO);
        let index = self.touches.add(slot, room);
        let touch = self.touches.get_mut(index);
        touch.leaf = voided || !expired.is_empty();
        touch.in_changes.extend(expired);
        let batch = self.touches.batch;
        let record = self.record_mut(slot);
        record.touched_batch = batch;
        record.touched_at = u32::try_from(index).expect("fewer touches than channels");
        index
    }

    pub(crate) fn touched(&mut self, slot: u32) -> &mut Touch {
        let index = self.touch(slot);
        self.touches.get_mut(index)
    }

    /// Credits whose lock expired below the present height without an ack are void: they leave U (section 3).
    fn void_expired(&mut self, slot: u32) -> bool {
        let height = self.store.meta().height;
        let record = self.record(slot);
        // Nearly always: the list of leaves is not walked for nothing.
        if record.unfirm == 0 || record.expiry_min >= height || record.status != ACTIVE {
            return false;
        }
        let mut voided = (0_u64, 0_u32);
        let mut link = self.record(slot).leaf_unacked;
        while link != 0 {
            let leaf = *self.store.leaves.at(link);
            if leaf.body != 0 {
                let body = *self.store.bodies.at(leaf.body);
                if body.waiting_count > 0 && body.expiry_min < height {
                    let (sum, count) = self.void_leaf(leaf.credits, leaf.body, height);
                    voided = (voided.0 + sum, voided.1 + count);
                }
            }
            link = leaf.next;
        }
        let record = self.record_mut(slot);
        record.unfirm -= voided.0;
        record.unfirm_count -= voided.1;
        if voided.1 > 0 {
            self.refresh_expiry(slot);
        }
        voided.1 > 0
    }

    fn void_leaf(&mut self, credits: Link, body: Link, height: u32) -> (u64, u32) {
        let (mut sum, mut count, mut lowest) = (0, 0, u32::MAX);
        let mut link = credits;
        while link != 0 {
            let record = self.store.credits.at(link);
            let CreditRecord {
                next, amount, expiry, ..
            } = *record;
            let waiting = record.fate == WAITING;
            if waiting && expiry < height {
                self.decide(link, VOID);
                sum += amount;
                count += 1;
            } else if waiting {
                lowest = lowest.min(expiry);
            }
            link = next;
        }
        let body = self.store.bodies.at_mut(body);
        body.waiting -= sum;
        body.waiting_count -= count;
        body.expiry_min = lowest;
        (sum, count)
    }

    /// Decides the fate of a credit, and tells the payer's lock of it, if that lock is still open.
    pub(crate) fn decide(&mut self, credit: Link, fate: u32) {
        let record = self.store.credits.at_mut(credit);
        record.fate = fate;
        let (lock, id) = (record.lock, record.id);
        let lock = self.store.locks.at_mut(lock);
        if lock.id == id {
            lock.fate = u8::try_from(fate).expect("fates are small");
        }
    }

    /// The height by which an ack makes all of a channel's U firm; zero when nothing waits.
    pub(crate) const fn ack_by_of(&self, record: &LiveRecord) -> Height {
        if record.unfirm == 0 {
            Height::ZERO
        } else {
            self.policy.ack_by(Height::new(record.expiry_min))
        }
    }

    /// The lowest expiry anew from the credits that wait.
    pub(crate) fn refresh_expiry(&mut self, slot: u32) {
        let mut lowest = None;
        let record = self.record(slot);
        let mut link = if record.unfirm_count == 0 {
            0
        } else {
            record.leaf_unacked
        };
        while link != 0 {
            let leaf = self.store.leaves.at(link);
            if leaf.body != 0 {
                let body = self.store.bodies.at(leaf.body);
                if body.waiting_count > 0 {
                    lowest = Some(lowest.map_or(body.expiry_min, |l: u32| l.min(body.expiry_min)));
                }
            }
            link = leaf.next;
        }
        let expiry = lowest.map_or(Height::ZERO, Height::new);
        self.record_mut(slot).expiry_min = expiry.get();
    }
}
