//! What the client puts on the ledger in time, and when it may give a preimage away.

use super::{Client, Kind, World};
use crate::was::Was;

impl Client {
    /// The client's duties at the newest block, then the next one.
    pub(super) fn block(&self, world: &mut World) {
        self.reveal_ack(world);
        self.reveal_preimages(world);
        world.height += 1;
        if world.height >= self.bounds.close_at && world.closed == 0 {
            world.closed = world.height + self.bounds.margin;
            world.by_client = true;
        }
    }

    /// A preimage goes out only for a lock in a leaf that the client can name in a dispute: one that it has acknowledged.
    pub(super) fn may_fulfil(&self, world: &World, payment: u8) -> bool {
        let i = world.ins.at(payment + 1);
        let open = i.kind == Kind::Hash && !i.given && !i.released && i.firm == 0 && i.gone == 0;
        let named = i.leaf <= world.acked || self.rules.was(Was::FulfilsUnackedLock);
        open && named && world.height + self.bounds.margin <= i.expiry
    }

    /// Rule 12: if no later leaf *that it has acknowledged* has made U firm, the acknowledgement goes on the ledger.
    fn reveal_ack(&self, world: &mut World) {
        let acked = world.acked;
        let leaf = world.leaf(acked);
        let mut until = leaf.ack_by;
        if world.closed != 0 && !self.forgets_closes() {
            until = until.min(world.closed + self.bounds.window + self.bounds.grace);
        }
        let at = world.height + self.bounds.margin;
        let trusted = self.rules.was(Was::TrustsUnackedFirmness)
            && leaf.unfirm.iter().all(|n| world.ins.at(n - super::IN + 1).firm != 0);
        if leaf.unfirm.is_empty() || at < until || trusted {
            return;
        }
        let record = &mut world.records[usize::from(acked) - 1];
        if *record == 0 {
            *record = at;
        }
    }

    /// Rule 13: who holds a preimage that its debtor has not settled by then puts it on the ledger.
    fn reveal_preimages(&self, world: &mut World) {
        let at = world.height + self.bounds.margin;
        for payment in 0..world.ins.len() {
            let acked = world.acked;
            let i = world.ins.edit(payment);
            let settled = i.firm != 0 && i.firm <= acked;
            if i.kind == Kind::Hash && i.given && !settled && i.record == 0 && at == i.expiry {
                i.record = at;
            }
        }
    }
}
