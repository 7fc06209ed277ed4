//! What arrives: receipts, refusals, errors.
//!
//! Every leaf is read, follows its channel's last one, and stands under a header that the hub has signed; the leaves of the
//! sampled channels are checked in full (path, sums, roots), by the client library's own checker.

use tidegate_channel::{Credit, LeafPrivate, LeafPublic, OpKind, OpOutcome, Outcome, RefuseReason, leaf_digest};
use tidegate_client::VerifiedHeader;
use tidegate_types::{Digest, Fixed, Height};
use tidegate_wire::messages::{Body as _, Error, PayAnswer, Receipt, ReceiptEntry};

use super::generator::{ACK_BIT, Generator};
use crate::workload::print;

impl Generator {
    /// Takes a receipt that arrived at `now`.
    pub(super) fn take_receipt(&mut self, now: u64, body: &[u8], acks: &mut Vec<u32>) {
        let receipt = match Receipt::decode(body) {
            Ok(receipt) => receipt,
            Err(error) => return self.note_bad(format_args!("a receipt does not decode: {error}")),
        };
        let header = match self.headers().verify(receipt.header) {
            Ok(header) => header,
            Err(error) => return self.note_bad(format_args!("{error}")),
        };
        for entry in receipt.entries {
            self.receipts.receipts += 1;
            match self.take_leaf(&header, &entry) {
                Ok(channel) => {
                    self.take_answers(now, &entry);
                    self.collect_ack(channel, acks);
                }
                Err(what) => self.note_bad(format_args!("{what}")),
            }
        }
    }

    /// Checks a leaf and notes what it says; the number of its channel.
    fn take_leaf(&mut self, header: &VerifiedHeader, entry: &ReceiptEntry<'_>) -> Result<u32, String> {
        let private = LeafPrivate::decode(entry.private).map_err(|error| error.to_string())?;
        let public = LeafPublic::decode(entry.public).map_err(|error| error.to_string())?;
        let number = self
            .channels
            .find(&private.channel)
            .ok_or("a leaf of a channel that is not of this run")?;
        let digest = if let Some(checker) = self.channels.checker(number) {
            checker
                .accept(header, entry)
                .map_err(|error| format!("channel {}: {error}", private.channel))?;
            self.receipts.checked += 1;
            checker.half().reference().digest
        } else {
            leaf_digest(&private.digest(), &public.digest())
        };
        if header.signed().header.height != private.height {
            return Err("a leaf and its header name different heights".to_owned());
        }
        self.follow(number, &private, &public, digest)?;
        self.note_credits(number, entry)?;
        Ok(number)
    }

    fn follow(
        &mut self,
        number: u32,
        private: &LeafPrivate,
        public: &LeafPublic,
        digest: Digest,
    ) -> Result<(), String> {
        let margin = self.margin;
        let channel = &mut self.channels.rows[number as usize];
        if private.counter.get() != channel.leaf + 1 || public.previous != channel.leaf_digest {
            return Err(format!(
                "channel {}: leaf {} does not follow leaf {}",
                private.channel, private.counter, channel.leaf
            ));
        }
        self.unfirm_sat = self.unfirm_sat + private.unfirm_credit.to_sat() - channel.unfirm.to_sat();
        channel.leaf = private.counter.get();
        channel.leaf_digest = digest;
        channel.firm = private.firm_credit;
        channel.unfirm = private.unfirm_credit;
        channel.state = private.ack.counter.get();
        channel.state_digest = private.ack.digest;
        channel.ack_until =
            (private.ack_by != Height::ZERO).then(|| private.ack_by.minus(margin).unwrap_or(Height::ZERO).get());
        self.height = self.height.max(private.height.get());
        Ok(())
    }

    fn note_credits(&mut self, number: u32, entry: &ReceiptEntry<'_>) -> Result<(), String> {
        let channel = &mut self.channels.rows[number as usize];
        for bytes in entry.credits {
            let credit = Credit::decode(bytes).map_err(|error| error.to_string())?;
            channel.shown.add(credit.amount, print(credit.payment_id.as_bytes()));
            channel.credits_waiting += 1;
        }
        Ok(())
    }

    /// The answers of a leaf stand in the order of its states, and so do the outcomes of what these added.
    fn take_answers(&mut self, now: u64, entry: &ReceiptEntry<'_>) {
        let mut added = entry.outcomes.iter().filter_map(|bytes| match Outcome::decode(bytes) {
            Ok(outcome) if outcome.kind == OpKind::Add => Some(outcome),
            _ => None,
        });
        for answer in entry.answers {
            if answer.request & ACK_BIT != 0 {
                continue;
            }
            match added.next() {
                Some(outcome) if outcome.counter == answer.counter => {
                    self.take_outcome(now, answer.request, outcome.outcome);
                }
                _ => self.note_bad(format_args!("an answer without its outcome")),
            }
        }
    }

    fn take_outcome(&mut self, now: u64, request: u64, outcome: OpOutcome) {
        let Some(flight) = self.flights.remove(request) else {
            return self.note_error(format_args!("an answer to request {request}, which nobody made"));
        };
        self.land(flight.connection);
        let payer = &mut self.channels.rows[flight.payer as usize];
        payer.answered += 1;
        payer.position = Some(flight.position);
        match outcome {
            OpOutcome::Delivered => {
                self.channels.rows[flight.payee as usize]
                    .promised
                    .add(flight.amount, flight.print);
                self.delivered_sat += flight.amount.to_sat();
                self.meter.note_delivered(&self.schedule, flight.times, now);
                self.note_answered();
            }
            OpOutcome::Failed(reason) => {
                // The state that would settle it can never be sent.
                payer.broken_from = payer.broken_from.min(flight.ordinal + self.distance);
                self.failed_sat += flight.amount.to_sat();
                *self.meter.failed.entry(reason.name()).or_default() += 1;
            }
            OpOutcome::Pending | OpOutcome::Done => {
                self.note_error(format_args!("a payment was answered by {outcome:?}"));
            }
        }
    }

    /// A state was refused: those behind it in its channel do not follow from what the hub has, so they cannot be sent.
    pub(super) fn take_refusal(&mut self, request: u64, body: &[u8]) {
        let Ok(answer) = PayAnswer::decode(body) else {
            return self.note_error(format_args!("a refusal does not decode"));
        };
        let name = RefuseReason::from_code(answer.refusal).map_or("Unknown", RefuseReason::name);
        self.refuse(request, name);
    }

    pub(super) fn refuse(&mut self, request: u64, name: &'static str) {
        if request & ACK_BIT != 0 {
            self.acks_refused += 1;
            return self.note_error(format_args!("an ack was refused: {name}"));
        }
        let Some(flight) = self.flights.remove(request) else {
            return self.note_error(format_args!("a refusal of request {request}, which nobody made"));
        };
        self.land(flight.connection);
        let payer = &mut self.channels.rows[flight.payer as usize];
        payer.answered += 1;
        payer.broken_from = payer.broken_from.min(flight.ordinal);
        *self.meter.refused.entry(name).or_default() += 1;
    }

    pub(super) fn take_error(&mut self, request: u64, body: &[u8]) {
        let text = match Error::decode(body) {
            Ok(error) => format!("{}: {}", error.code, error.text),
            Err(error) => error.to_string(),
        };
        if request & ACK_BIT != 0 {
            self.acks_refused += 1;
        } else if let Some(flight) = self.flights.remove(request) {
            self.land(flight.connection);
            let payer = &mut self.channels.rows[flight.payer as usize];
            payer.broken_from = payer.broken_from.min(flight.ordinal);
        }
        self.note_error(format_args!("the hub answered with an error: {text}"));
    }
}
