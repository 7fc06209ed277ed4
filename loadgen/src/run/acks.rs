//! Acknowledgements: signed live, when enough leaves of a channel wait, when the ack interval asks for it, and at the end.

use std::sync::atomic::Ordering;

use tidegate_channel::{Ack, LeafRef};
use tidegate_reactor::Outbox;
use tidegate_types::{Fixed as _, HubCounter};
use tidegate_wire::Kind;

use super::generator::{ACK_BIT, Generator, Phase};
use super::schedule::SECOND;

/// Credits after which a channel acks, whatever the number of its leaves: the hub bounds them too.
const CREDITS_WAITING_MAX: u32 = 1_024;

/// How long the last acks may take, and the leaves that make their credits firm.
const LAST_ACKS: u64 = 3 * SECOND;

impl Generator {
    /// Puts the channel on the list of acks if it has enough to acknowledge.
    pub(super) fn collect_ack(&mut self, number: u32, acks: &mut Vec<u32>) {
        let channel = &self.channels.rows[number as usize];
        if channel.unacked() >= self.parts.ack_every || channel.credits_waiting >= CREDITS_WAITING_MAX {
            acks.push(number);
        }
    }

    /// Acks every channel, once, and waits until all credits are firm.
    pub(super) fn finish_acks(&mut self, now: u64, out: &mut Outbox<'_>) {
        let rows = self.channels.rows.len();
        let mut budget = 200;
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "an index that was a whole number"
        )]
        let mut at = self.sweep as usize;
        while at < rows && budget > 0 {
            let channel = &self.channels.rows[at];
            if channel.unacked() > 0 {
                self.ack(u32::try_from(at).expect("channels are counted in u32"), out);
                budget -= 1;
            }
            at += 1;
        }
        self.sweep = at as f64;
        // A million last acks prove no more than as many as go in a few seconds.
        let late = now > self.phase_since + self.parts.patience.min(LAST_ACKS);
        if late || (at == rows && self.unfirm_sat == 0) {
            self.enter(Phase::Done);
        }
    }

    /// Acks what waits, so that each channel is looked at once in three quarters of the ack interval.
    pub(super) fn sweep_acks(&mut self, out: &mut Outbox<'_>) {
        let rows = self.channels.rows.len();
        let period = f64::from(self.profile.ledger.ack_interval_ms) * 0.75;
        let step = rows as f64 / period.max(1.0);
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "below the number of channels"
        )]
        let (from, to) = (self.sweep as usize, ((self.sweep + step) as usize).min(rows));
        for at in from..to {
            if self.channels.rows[at].credits_waiting > 0 {
                self.ack(u32::try_from(at).expect("channels are counted in u32"), out);
            }
        }
        self.sweep = if to == rows { 0.0 } else { self.sweep + step };
    }

    /// Signs and sends an ack of a channel's newest leaf, if rule 12 allows it now.
    pub(super) fn ack(&mut self, place: u32, out: &mut Outbox<'_>) {
        let channel = &self.channels.rows[place as usize];
        if channel.unacked() == 0 || self.height > channel.ack_until {
            return;
        }
        let (connection, leaf) = (channel.connection, channel.leaf);
        let row = &self.workload.channels[place as usize];
        let ack = Ack {
            channel: row.id,
            leaf: LeafRef {
                counter: HubCounter::new(leaf.into()),
                digest: self.channels.digest(place),
            },
        };
        self.channels.note_acked(place);
        let key = self.keys.get(self.profile.population.key_of(row.number));
        let signature = ack.sign(&self.workload.head.ledger, key);
        let request = ACK_BIT | u64::from(place);
        let conn = self.conns[connection as usize].id;
        let sent = out.message(conn, Kind::Ack.code(), request, |bytes| {
            ack.append_to(bytes);
            signature.append_to(bytes);
        });
        if sent.is_ok() {
            self.parts.acks.fetch_add(1, Ordering::Relaxed);
        }
    }
}
