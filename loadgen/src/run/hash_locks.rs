//! Payments that wait for preimages: payees show them as soon as they are offered a lock, payers are answered twice.
//!
//! ```text
//! payer ── state ─▶ hub ── in-lock ─▶ payee ── Fulfill ─▶ hub ── outcome with the preimage ─▶ payer
//!                       └─ Pending ─▶ payer: the state was accepted           the payment is done ┘
//! ```
//!
//! A preimage follows from the seed and the payment's id, so whoever carries the payee's channel can show it. What comes
//! back to the payer is checked against the hash of the lock that was signed.

use tidegate_channel::{InChange, InChangeKind, LeafPrivate, OpKind, OpOutcome, Outcome};
use tidegate_crypto::hash::payment_hash;
use tidegate_reactor::Outbox;
use tidegate_types::{Fixed as _, LockId, LockSlot};
use tidegate_wire::Kind;
use tidegate_wire::lengths::IN_CHANGE_LEN;
use tidegate_wire::messages::{Answer, Fulfill, ReceiptEntry};

use super::flights::Flight;
use super::generator::{ACK_BIT, FULFIL_BIT, Generator};
use crate::keys::preimage;
use crate::workload::{Slots, print};

/// Bytes of an operation that adds a lock, and where its payment hash stands in it.
const ADD_LEN: usize = 136;
const HASH_AT: usize = 104;

/// The locks of one payer that wait, by slot.
#[derive(Clone, Debug)]
struct PayerLocks {
    requests: [u64; LockSlot::COUNT],
    /// The first bytes of each lock's hash.
    hashes: [u64; LockSlot::COUNT],
    /// By ordinal: states that are done while one before them is not.
    done: u64,
}

/// See the [module](self).
#[derive(Debug)]
pub(super) struct HashLocks {
    payers: Vec<PayerLocks>,
    /// As the workload chose them.
    slots: Slots,
    /// Preimages to be shown: the payee's place, and the lock.
    due: Vec<(u32, LockId, [u8; 32])>,
}

impl HashLocks {
    pub(super) fn new(channels: usize, slots: Slots) -> Self {
        let none = PayerLocks {
            requests: [0; LockSlot::COUNT],
            hashes: [0; LockSlot::COUNT],
            done: 0,
        };
        Self {
            payers: vec![none; channels],
            slots,
            due: Vec::new(),
        }
    }

    /// Notes what a state adds, `body` being that of its `Pay`: the adds stand at its end.
    pub(super) fn note_sent(&mut self, flight: &Flight, request: u64, body: &[u8], width: u32) {
        let (slots, locks) = (self.slots, &mut self.payers[flight.payer as usize]);
        let adds = body.len() - width as usize * ADD_LEN;
        for index in 0..width as usize {
            let slot = slots.of(flight.ordinal, index);
            locks.requests[slot] = request;
            locks.hashes[slot] = head(&body[adds + index * ADD_LEN + HASH_AT..]);
        }
    }

    /// State `ordinal` is done; how many states of the payer are, without a gap, beyond the first `answered`.
    fn finish(&mut self, payer: u32, ordinal: u32, answered: u32) -> u32 {
        let locks = &mut self.payers[payer as usize];
        locks.done |= 1 << (ordinal % 64);
        let mut more = 0;
        while locks.done & 1 << ((answered + more) % 64) != 0 {
            locks.done &= !(1 << ((answered + more) % 64));
            more += 1;
        }
        more
    }
}

fn head(bytes: &[u8]) -> u64 {
    u64::from_le_bytes(*bytes.first_chunk().expect("a hash has 32 bytes"))
}

impl Generator {
    /// Notes what a leaf does to the in-locks of the channel at `place`.
    pub(super) fn note_in_changes(&mut self, place: u32, changes: &[[u8; IN_CHANGE_LEN]]) -> Result<(), String> {
        let seed = self.workload.head.seed;
        for bytes in changes {
            let InChange { kind, lock, .. } = InChange::decode(bytes).map_err(|error| error.to_string())?;
            let id = lock.payment_id.as_bytes();
            match (kind, &mut self.hash_locks) {
                (InChangeKind::Offered, Some(locks)) => locks.due.push((place, lock.lock, preimage(seed, id))),
                (InChangeKind::Fulfilled, Some(_)) => {
                    let channel = &mut self.channels.rows[place as usize];
                    channel.shown.add(lock.amount, print(id));
                }
                _ => return Err(format!("lock {} was {kind:?}, which nobody asked for", lock.lock)),
            }
        }
        Ok(())
    }

    /// Shows the preimages of all locks that were offered.
    pub(super) fn fulfil_all(&mut self, out: &mut Outbox<'_>) {
        let Some(locks) = &mut self.hash_locks else { return };
        for (place, lock, preimage) in locks.due.drain(..) {
            let connection = self.channels.rows[place as usize].connection;
            let message = Fulfill {
                channel: self.workload.channels[place as usize].id,
                lock,
                preimage,
            };
            let request = ACK_BIT | FULFIL_BIT | u64::from(place);
            let conn = self.conns[connection as usize].id;
            // A connection that is gone tells so by `on_closed`.
            let _gone = out.message(conn, Kind::Fulfill.code(), request, |bytes| message.append_to(bytes));
        }
    }

    /// A state was accepted: each of its locks waits, or has failed.
    pub(super) fn take_pending(&mut self, answer: &Answer, added: &mut impl Iterator<Item = Outcome>) {
        let request = answer.request;
        let Some(flight) = self.flights.get_mut(request).copied() else {
            return self.note_error(format_args!("an answer to request {request}, which nobody made"));
        };
        self.channels.rows[flight.payer as usize].position = flight.position;
        let mut pending = 0;
        for index in 0..self.flights.width() {
            match added.next().filter(|outcome| outcome.counter == answer.counter) {
                Some(outcome) if outcome.outcome == OpOutcome::Pending => pending += 1,
                Some(outcome) => drop(self.take_outcome(&flight, request, index, outcome.outcome)),
                None => return self.note_bad(format_args!("an answer without its outcome")),
            }
        }
        if pending == 0 {
            self.finish_flight(request);
        } else if let Some(flight) = self.flights.get_mut(request) {
            flight.pending = pending;
        }
    }

    /// Takes the preimages that a payer's leaf shows.
    pub(super) fn take_preimages(&mut self, now: u64, entry: &ReceiptEntry<'_>) {
        let shown = entry.outcomes.iter().filter_map(|bytes| Outcome::decode(bytes).ok());
        let mut shown = shown
            .filter(|o| o.kind == OpKind::Add && o.preimage != [0; 32])
            .peekable();
        if shown.peek().is_none() {
            return;
        }
        let Some(place) = LeafPrivate::decode(entry.private)
            .ok()
            .and_then(|leaf| self.channels.find(&leaf.channel))
        else {
            return;
        };
        for outcome in shown {
            self.take_preimage(now, place, &outcome);
        }
    }

    fn take_preimage(&mut self, now: u64, place: u32, outcome: &Outcome) {
        let Some(locks) = &self.hash_locks else { return };
        let (slots, locks, slot) = (locks.slots, &locks.payers[place as usize], outcome.slot.index());
        if head(&payment_hash(&outcome.preimage)) != locks.hashes[slot] {
            return self.note_bad(format_args!(
                "a preimage of lock {} that does not meet its hash",
                outcome.lock
            ));
        }
        let request = locks.requests[slot];
        let Some(flight) = self.flights.get_mut(request).filter(|flight| flight.pending > 0) else {
            return self.note_error(format_args!(
                "a preimage of lock {}, which nobody waits for",
                outcome.lock
            ));
        };
        flight.pending -= 1;
        let flight = *flight;
        self.take_outcome(
            &flight,
            request,
            slots.index_of(flight.ordinal, slot),
            OpOutcome::Delivered,
        );
        self.meter.note_delivered(&self.schedule, flight.times, now, 1);
        self.note_answered(1);
        if flight.pending == 0 {
            self.finish_flight(request);
        }
    }

    /// Nothing of a state waits any more.
    fn finish_flight(&mut self, request: u64) {
        let (Some(flight), Some(locks)) = (self.flights.remove(request), &mut self.hash_locks) else {
            return;
        };
        let payer = &mut self.channels.rows[flight.payer as usize];
        payer.answered += locks.finish(flight.payer, flight.ordinal, payer.answered);
        let connection = payer.connection;
        self.land(connection);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn states_count_as_answered_in_their_order() {
        let mut locks = HashLocks::new(1, Slots::new(1, 4));
        let mut answered = 0;
        for (ordinal, expected) in [(1, 0), (2, 0), (0, 3), (4, 3), (3, 5)] {
            answered += locks.finish(0, ordinal, answered);
            assert_eq!(answered, expected, "state {ordinal} is done");
        }
        // Ordinals go beyond the width of the mask.
        for ordinal in 5..200 {
            answered += locks.finish(0, ordinal, answered);
            assert_eq!(answered, ordinal + 1);
        }
    }

    #[test]
    fn slots_lead_back_to_the_payment() {
        // Width, distance in states, ordinal, index, and the slot.
        for (width, distance, ordinal, index, slot) in [
            (1, 4, 0, 0, 0),
            (1, 4, 5, 0, 0),
            (1, 4, 13, 0, 3),
            (1, 48, 65, 0, 16),
            (16, 2, 3, 5, 5),
            (16, 3, 3, 5, 53),
            (16, 7, 4, 15, 15),
        ] {
            let slots = Slots::new(width, distance);
            assert_eq!(slots.of(ordinal, index), slot);
            assert_eq!(slots.index_of(ordinal, slot), index);
        }
    }
}
