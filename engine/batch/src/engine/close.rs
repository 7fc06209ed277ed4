//! The end of a channel's life in the hub: the final leaf of a cooperative close (rule 23), and what is remembered of
//! closed payments (rule 5).

use tidegate_channel::{FinalTerms, RefuseReason, client_balance, hub_balance};
use tidegate_types::{Amount, ChannelId, ClientCounter, OutPoint, Txid};

use super::pay::print_of;
use super::{ANSWERS_KEPT, Engine};
use crate::executed::Answer;
use crate::input::CloseInput;
use crate::record::{ACTIVE, ANSWERS_PER_PAGE, AnswerRecord, ClosedPayment, DISPUTED, FROZEN};
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// Freezes a channel without open locks, with the payouts of its balances in its last leaf.
    ///
    /// Open locks and unacknowledged credits are refused: the client first settles, drops and acks.
    #[cold]
    pub(super) fn close(&mut self, input: u32, close: &CloseInput) -> Result<(), RefuseReason> {
        let (slot, client, hub_payout) = self.at_rest(&close.channel).map_err(|reason| match reason {
            // What stands under the outcome digests of logs that were written before these had names.
            RefuseReason::LocksOpen | RefuseReason::CreditsWaiting => RefuseReason::BadOperation,
            other => other,
        })?;
        let client_payout = client.sub(close.fee).map_err(|_| RefuseReason::InsufficientBalance)?;
        let successor = OutPoint {
            txid: Txid::ZERO,
            vout: 0,
        };
        let terms = FinalTerms {
            channel: close.channel,
            client_payout,
            hub_payout,
            fee: close.fee,
            successor,
        };
        self.end(input, slot, terms);
        Ok(())
    }

    /// A channel in which nothing is under way, by its name: its number, and the balances of the client and the hub.
    pub(super) fn at_rest(&mut self, channel: &ChannelId) -> Result<(u32, Amount, Amount), RefuseReason> {
        let slot = self.channel(channel).ok_or(RefuseReason::NotOffered)?;
        self.wake(slot);
        if self.record(slot).status != ACTIVE {
            return Err(RefuseReason::Closing);
        }
        self.touch(slot);
        let record = *self.record(slot);
        if record.page != 0 || record.in_page != 0 {
            return Err(RefuseReason::LocksOpen);
        }
        if record.unfirm != 0 || !self.touched(slot).credits.is_empty() {
            return Err(RefuseReason::CreditsWaiting);
        }
        if !self.unproven_acks(slot).is_empty() {
            return Err(RefuseReason::AckUnproven);
        }
        let (terms, sums) = (self.terms_of(slot), record.sums());
        let client = client_balance(&terms, &sums).map_err(|_| RefuseReason::InsufficientBalance)?;
        let hub = hub_balance(&terms, &sums).map_err(|_| RefuseReason::InsufficientBalance)?;
        Ok((slot, client, hub))
    }

    /// Freezes a channel; its last leaf, which this batch makes, holds these terms.
    pub(super) fn end(&mut self, input: u32, slot: u32, terms: FinalTerms) {
        self.record_mut(slot).status = FROZEN;
        self.signed_mut(slot).closing_fee = terms.fee.to_sat();
        let touch = self.touched(slot);
        touch.leaf = true;
        touch.terms = Some(terms);
        touch.answers.push(Answer {
            input,
            counter: ClientCounter::ZERO,
        });
    }

    /// Freezes a channel that is to be closed on the ledger. It makes no leaf: what stands counts there (rules 24 and 25). Once
    /// the batch is durable the hub may sign a `StartClose` that names it: no later batch holds a leaf of this channel, or
    /// accepts a state of it.
    pub(super) fn freeze(&mut self, channel: &ChannelId) -> Result<(), RefuseReason> {
        let slot = self.channel(channel).ok_or(RefuseReason::NotOffered)?;
        match self.status(slot) {
            // A cooperative close that its client did not complete in time becomes one on the ledger.
            ACTIVE | FROZEN => {}
            _ => return Err(RefuseReason::Closing),
        }
        self.wake(slot);
        self.record_mut(slot).status = DISPUTED;
        self.opened_or_settled.push(slot);
        Ok(())
    }

    /// Remembers a closed payment for the next accepted counters.
    pub(super) fn remember(&mut self, slot: u32, payment: ClosedPayment) {
        let newest = self.record(slot).answer_newest;
        if newest != 0 {
            let page = self.store.answers.at_mut(newest);
            if (page.end as usize) < ANSWERS_PER_PAGE {
                page.payments[page.end as usize] = payment;
                page.prints[page.end as usize] = print_of(&payment.payment_id);
                page.end += 1;
                return self.closed.note_closed(slot, print_of(&payment.payment_id));
            }
        }
        let mut page = AnswerRecord {
            end: 1,
            ..bytemuck::Zeroable::zeroed()
        };
        page.payments[0] = payment;
        page.prints[0] = print_of(&payment.payment_id);
        let mut allocation = self.store.meta().answers;
        let link = self.store.answers.take(&mut allocation, page);
        self.store.meta_mut().answers = allocation;
        if newest == 0 {
            self.record_mut(slot).answer_oldest = link;
        } else {
            self.store.answers.at_mut(newest).next = link;
        }
        self.record_mut(slot).answer_newest = link;
        self.closed.note_closed(slot, print_of(&payment.payment_id));
        self.list_if_busy(slot);
    }

    /// A channel's pages of closed payments from this one on.
    pub(super) fn answer_pages(&self, first: Link) -> impl Iterator<Item = &AnswerRecord> {
        let page = |link: Link| (link != 0).then(|| self.store.answers.at(link));
        core::iter::successors(page(first), move |before| page(before.next))
    }

    /// Forgets the payments that were closed more than 64 accepted counters before `counter`.
    ///
    /// Counters may skip, so this keeps an id at most as long as the rule asks, counted in numbers; see `engine/README.md`.
    pub(super) fn expire_answers(&mut self, slot: u32, counter: u64) {
        loop {
            let oldest = self.record(slot).answer_oldest;
            if oldest == 0 {
                return;
            }
            let page = self.store.answers.at_mut(oldest);
            while page.first < page.end && counter.saturating_sub(page.payments[page.first as usize].c) > ANSWERS_KEPT {
                page.first += 1;
                let last = page.first == page.end && page.next == 0;
                self.closed
                    .note_forgotten(slot, page.prints[page.first as usize - 1], last);
            }
            if page.first < page.end {
                return;
            }
            let next = page.next;
            let mut allocation = self.store.meta().answers;
            self.store.answers.give(&mut allocation, oldest);
            self.store.meta_mut().answers = allocation;
            let record = self.record_mut(slot);
            record.answer_oldest = next;
            if next == 0 {
                record.answer_newest = 0;
            }
        }
    }
}
