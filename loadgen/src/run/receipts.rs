//! What arrives: receipts, refusals, errors.
//!
//! Every leaf is read, is the next of its channel, and came under a header that the hub has signed; the leaves of the
//! sample are checked in full (digest, path, sums, roots), by the client library's own checker.

use tidegate_channel::{Credit, LeafPrivate, LeafPublic, OpKind, OpOutcome, Outcome, RefuseReason};
use tidegate_client::VerifiedHeader;
use tidegate_types::Fixed;
use tidegate_wire::messages::{Answer, Body as _, Error, PayAnswer, Receipt, ReceiptEntry};

use super::flights::Flight;
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

    /// Checks a leaf and notes what it says; the place of its channel.
    fn take_leaf(&mut self, header: &VerifiedHeader, entry: &ReceiptEntry<'_>) -> Result<u32, String> {
        let private = LeafPrivate::decode(entry.private).map_err(|error| error.to_string())?;
        let public = LeafPublic::decode(entry.public).map_err(|error| error.to_string())?;
        let place = self
            .channels
            .find(&private.channel)
            .ok_or("a leaf of a channel that is not of this run")?;
        let mut digest = None;
        if let Some(checker) = self.channels.checker(place, private.channel) {
            checker
                .accept(header, entry)
                .map_err(|error| format!("channel {}: {error}", private.channel))?;
            digest = Some(checker.half().reference().digest);
            self.channels.note_checked();
        }
        if header.signed().header.height != private.height {
            return Err("a leaf and its header name different heights".to_owned());
        }
        let before = self.channels.rows[place as usize].unfirm;
        let parts = (entry.private, entry.public);
        self.channels.follow(place, parts, &private, &public.previous, digest)?;
        self.unfirm_sat = self.unfirm_sat + private.unfirm_credit.to_sat() - before.to_sat();
        self.height = self.height.max(private.height.get());
        self.note_credits(place, entry)?;
        Ok(place)
    }

    fn note_credits(&mut self, place: u32, entry: &ReceiptEntry<'_>) -> Result<(), String> {
        let channel = &mut self.channels.rows[place as usize];
        for bytes in entry.credits {
            let credit = Credit::decode(bytes).map_err(|error| error.to_string())?;
            channel.shown.add(credit.amount, print(credit.payment_id.as_bytes()));
            channel.credits_waiting += 1;
        }
        if entry.in_changes.is_empty() {
            return Ok(());
        }
        self.note_in_changes(place, entry.in_changes)
    }

    /// The answers of a leaf stand in the order of its states, and so do the outcomes of what these added.
    fn take_answers(&mut self, now: u64, entry: &ReceiptEntry<'_>) {
        if self.hash_locks.is_some() {
            self.take_preimages(now, entry);
        }
        let mut added = entry.outcomes.iter().filter_map(|bytes| match Outcome::decode(bytes) {
            // What has a preimage was added by an earlier state.
            Ok(outcome) if outcome.kind == OpKind::Add && outcome.preimage == [0; 32] => Some(outcome),
            _ => None,
        });
        for answer in entry.answers {
            if answer.request & ACK_BIT == 0 {
                self.take_answer(now, &answer, &mut added);
            }
        }
    }

    fn take_answer(&mut self, now: u64, answer: &Answer, added: &mut impl Iterator<Item = Outcome>) {
        let request = answer.request;
        if self.hash_locks.is_some() {
            return self.take_pending(answer, added);
        }
        let Some(flight) = self.flights.remove(request) else {
            return self.note_error(format_args!("an answer to request {request}, which nobody made"));
        };
        let payer = &mut self.channels.rows[flight.payer as usize];
        payer.answered += 1;
        payer.position = flight.position;
        let connection = payer.connection;
        self.land(connection);
        let mut delivered = 0;
        for index in 0..self.flights.width() {
            match added.next() {
                Some(outcome) if outcome.counter == answer.counter => {
                    delivered += u64::from(self.take_outcome(&flight, request, index, outcome.outcome));
                }
                _ => return self.note_bad(format_args!("an answer without its outcome")),
            }
        }
        self.meter.note_delivered(&self.schedule, flight.times, now, delivered);
        self.note_answered(delivered);
    }

    /// Notes what became of payment `index` of a state; true if it was delivered.
    pub(super) fn take_outcome(&mut self, flight: &Flight, request: u64, index: usize, outcome: OpOutcome) -> bool {
        let part = self.flights.part(request, index);
        match outcome {
            OpOutcome::Delivered => {
                self.channels.rows[part.payee as usize]
                    .promised
                    .add(part.amount, part.print);
                self.delivered_sat += part.amount.to_sat();
                return true;
            }
            OpOutcome::Failed(reason) => {
                // The state that would settle it can never be sent.
                let payer = &mut self.channels.rows[flight.payer as usize];
                payer.broken_from = payer.broken_from.min(flight.ordinal + self.distance);
                self.failed_sat += part.amount.to_sat();
                *self.meter.failed.entry(reason.name()).or_default() += 1;
            }
            OpOutcome::Pending | OpOutcome::Done => {
                self.note_error(format_args!("a payment was answered by {outcome:?}"));
            }
        }
        false
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
        let payer = &mut self.channels.rows[flight.payer as usize];
        payer.answered += 1;
        payer.broken_from = payer.broken_from.min(flight.ordinal);
        let connection = payer.connection;
        self.land(connection);
        *self.meter.refused.entry(name).or_default() += self.flights.width() as u64;
    }

    pub(super) fn take_error(&mut self, request: u64, body: &[u8]) {
        let text = match Error::decode(body) {
            Ok(error) => format!("{}: {}", error.code, error.text),
            Err(error) => error.to_string(),
        };
        if request & ACK_BIT != 0 {
            self.acks_refused += 1;
        } else if let Some(flight) = self.flights.remove(request) {
            let payer = &mut self.channels.rows[flight.payer as usize];
            payer.broken_from = payer.broken_from.min(flight.ordinal);
            let connection = payer.connection;
            self.land(connection);
        }
        self.note_error(format_args!("the hub answered with an error: {text}"));
    }
}
