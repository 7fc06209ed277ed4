//! Worlds that no later judgement can tell apart are one world.
//!
//! A height on the ledger is only ever compared with the heights in [`thresholds`]: the expiry of a lock, and its `ack_by`. So
//! every height that has been read stands for the lowest one that compares alike. The height at which a close began is
//! compared with none of them in the rules as they are (in some of the weakened ones it is, and then it is kept), since a
//! lock's fate is the record's, whether the channel has settled or not.

use super::{Hub, World};
use crate::was::Was;

impl Hub {
    /// The world that stands for this one.
    pub(super) fn forget(&self, world: &mut World) {
        let height = world.height;
        let limits = self.thresholds(world);
        if !self.rules.was(Was::TakesReleasesWhileClosing) {
            for place in 0..world.payments.len() {
                world.payments.edit(place).released_at = 0;
            }
        }
        if !self.rules.was(Was::FailuresNameSlots) {
            for place in 0..world.payments.len() {
                world.payments.edit(place).slot = 0;
            }
        }
        for place in 0..world.payments.len() {
            let p = world.payments.edit(place);
            p.record = lowest(p.record, height, limits);
        }
        for channel in &mut world.channels {
            for record in &mut channel.records {
                *record = lowest(*record, height, limits);
            }
            for place in 0..channel.leaves.len() {
                let leaf = channel.leaves.edit(place);
                leaf.height = lowest(leaf.height, height, limits);
            }
            let kept = [
                Was::ExpiredLocksRefunded,
                Was::RecordsPruned,
                Was::TakesReleasesWhileClosing,
            ];
            if channel.closed <= height && !kept.iter().any(|was| self.rules.was(*was)) {
                channel.closed = channel.closed.min(1);
            }
        }
    }

    /// The heights that others are compared with, by bit.
    fn thresholds(&self, world: &World) -> u32 {
        let below = u8::from(self.rules.was(Was::RevealBelowExpiry));
        world.payments.as_slice().iter().fold(0, |bits, p| {
            let ack_by = p.expiry - 2 * self.bounds.margin;
            bits | 1 << p.expiry | 1 << (p.expiry - below) | 1 << ack_by | 1 << (p.expiry - 2)
        })
    }
}

/// The lowest height that compares with every one of `limits` as `at` does; those that are still to come stay.
pub(crate) fn lowest(at: u8, height: u8, limits: u32) -> u8 {
    if at == 0 || at > height {
        return at;
    }
    let below = limits & ((1 << at) - 1);
    if below == 0 {
        return 1;
    }
    u8::try_from(u32::BITS - below.leading_zeros()).expect("a bit's place")
}
