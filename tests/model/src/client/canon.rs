//! Worlds that no later judgement can tell apart are one world: as in the hub's model.

use super::{Client, World};
use crate::hub::lowest;
use crate::was::Was;

impl Client {
    /// The world that stands for this one.
    pub(super) fn forget(&self, world: &mut World) {
        let height = world.height;
        let limits = self.thresholds(world);
        for place in 0..world.outs.len() {
            let o = world.outs.edit(place);
            o.record = lowest(o.record, height, limits);
            if !self.rules.was(Was::BelievesLeavesWhileClosing) {
                o.failed_at = 0;
            }
        }
        for place in 0..world.ins.len() {
            let i = world.ins.edit(place);
            i.record = lowest(i.record, height, limits);
        }
        for record in &mut world.records {
            *record = lowest(*record, height, limits);
        }
        for place in 0..world.leaves.len() {
            let leaf = &mut world.leaves.edit(place).leaf;
            leaf.height = lowest(leaf.height, height, limits);
        }
        if world.closed <= height && self.forgets_closes() {
            world.closed = world.closed.min(1);
            world.by_client &= self.rules.was(Was::AgeIsAFault);
        }
    }

    /// Whether the height at which the close began matters to nothing. It does where a rule looks at it, and where a lock
    /// may live longer than the close lasts: then an acknowledgement may come after the channel has settled.
    pub(super) fn forgets_closes(&self) -> bool {
        let kept = [
            Was::ExpiredLocksRefunded,
            Was::RecordsPruned,
            Was::BelievesLeavesWhileClosing,
        ];
        let Self { bounds, rules } = self;
        bounds.window + bounds.grace >= bounds.life() - 2 * bounds.margin && !kept.iter().any(|was| rules.was(*was))
    }

    /// The heights that others are compared with, by bit.
    fn thresholds(&self, world: &World) -> u32 {
        let twice = 2 * self.bounds.margin;
        let below = u8::from(self.rules.was(Was::RevealBelowExpiry));
        let expiries = world.outs.as_slice().iter().map(|o| o.expiry);
        let all = expiries.chain(world.ins.as_slice().iter().map(|i| i.expiry));
        all.fold(0, |bits, expiry| {
            bits | 1 << expiry | 1 << (expiry - below) | 1 << (expiry - twice)
        })
    }
}
