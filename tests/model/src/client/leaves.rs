//! The leaves that the adversary may send: those that the client does not refuse.

use super::{Client, IN, In, Kind, LeafOp, Move, Received, TERMS, World};
use crate::judge::{AMOUNT, Leaf};
use crate::short::Set;
use crate::was::Was;

impl Client {
    pub(super) fn leaf_moves(&self, world: &World, out: &mut Vec<Move>) {
        let believes = !world.is_closing() || self.rules.was(Was::BelievesLeavesWhileClosing);
        if world.leaves.len() == self.bounds.leaves || !believes {
            return;
        }
        for ack in world.leaf(world.leaves.len()).ack..=world.states.len() {
            let mut push = |op| out.push(Move::Leaf { op, ack });
            push(LeafOp::Plain);
            self.offers(world, &mut push);
            for payment in 0..world.ins.len() {
                push(LeafOp::Firm(payment));
                push(LeafOp::Gone(payment));
            }
            for payment in 0..world.outs.len() {
                push(LeafOp::Fail(payment));
            }
        }
    }

    /// Payments that begin now, or that began earlier and come so late that their `ack_by` is too near.
    fn offers(&self, world: &World, push: &mut impl FnMut(LeafOp)) {
        if world.ins.len() == self.bounds.ins || world.height > self.bounds.begin_until {
            return;
        }
        let [ack, hash] = self.bounds.kinds;
        let life = world.height + self.bounds.life();
        let late = world.height + 2 * self.bounds.margin;
        if ack {
            push(LeafOp::Offer(Kind::Ack, life));
            push(LeafOp::Offer(Kind::Ack, late));
            if self.rules.was(Was::AcksUncheckedLeaf) {
                push(LeafOp::OfferUnsigned(life));
            }
        }
        if hash {
            push(LeafOp::Offer(Kind::Hash, life));
            push(LeafOp::Offer(Kind::Hash, late));
        }
    }

    /// Takes a leaf; false if the client refuses it.
    pub(super) fn take_leaf(&self, world: &mut World, op: LeafOp, ack: u8) -> bool {
        let counter = world.leaves.len() + 1;
        let height = world.height;
        let good = match op {
            LeafOp::Plain => ack > world.leaf(world.leaves.len()).ack,
            LeafOp::Offer(kind, expiry) => {
                world.ins.push(offer(kind, expiry, counter));
                true
            }
            LeafOp::OfferUnsigned(expiry) => {
                world.ins.push(offer(Kind::Ack, expiry, counter));
                true
            }
            LeafOp::Firm(payment) => {
                let i = world.ins.edit(payment);
                let open = i.firm == 0 && i.gone == 0 && !i.released;
                i.firm = counter;
                i.given && open
            }
            LeafOp::Gone(payment) => {
                let good = self.may_go(world, payment);
                world.ins.edit(payment).gone = counter;
                good
            }
            LeafOp::Fail(payment) => {
                let o = world.outs.edit(payment);
                let good = o.failed == 0 && ack >= o.state;
                (o.failed, o.failed_at) = (counter, height);
                good
            }
        };
        let leaf = self.leaf_of(world, ack);
        let promised = leaf.firm + (leaf.unfirm.count() + leaf.locks.count()) * AMOUNT;
        let covered = TERMS.capacity - TERMS.share + world.states.at(ack).debit >= promised;
        if good && covered {
            world.leaves.push(Received {
                leaf,
                signed: !matches!(op, LeafOp::OfferUnsigned(_)),
            });
        }
        good && covered
    }

    /// Rules 12 and 13: what may leave a leaf other than into K. A credit that the client acknowledged in time may not.
    fn may_go(&self, world: &World, payment: u8) -> bool {
        let i = world.ins.at(payment + 1);
        let open = i.firm == 0 && i.gone == 0;
        let past = world.height > i.expiry;
        let recorded = i.record != 0 && i.record <= i.expiry;
        open && match i.kind {
            Kind::Ack => past && (!i.given || self.rules.was(Was::LetsAcknowledgedCreditGo)),
            Kind::Hash => i.released || (past && !recorded),
        }
    }

    /// The next leaf, as the payments stand.
    fn leaf_of(&self, world: &World, ack: u8) -> Leaf {
        let open = |kind| world.ins_where(move |i| i.kind == kind && i.firm == 0 && i.gone == 0);
        let unfirm: Set = open(Kind::Ack);
        let first = unfirm.iter().map(|n| world.ins.at(n - IN + 1).expiry).min();
        Leaf {
            firm: world.ins_where(|i| i.firm != 0).count() * AMOUNT,
            unfirm,
            locks: open(Kind::Hash),
            ack,
            ack_by: first.map_or(0, |expiry| expiry - 2 * self.bounds.margin),
            height: world.height,
        }
    }
}

fn offer(kind: Kind, expiry: u8, leaf: u8) -> In {
    In {
        kind,
        expiry,
        leaf,
        ..In::default()
    }
}
