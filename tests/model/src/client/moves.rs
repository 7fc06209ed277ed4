//! What happens next: a move of the client, of the adversary, or of time.

use super::{Client, Kind, Out, TERMS, World};
use crate::judge::{AMOUNT, FEE, State, lock_sum};
use crate::short::Set;
use crate::was::Was;

/// The operation that a state of the client carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StateOp {
    /// None: a plain acknowledgement.
    Plain,
    /// A new payment.
    Add,
    /// An out-lock is paid.
    Settle(u8),
    /// An out-lock is taken back.
    Drop(u8),
}

/// What a leaf of the hub changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafOp {
    /// Nothing but the state that it acknowledges.
    Plain,
    /// A payment to the client, whose lock expires at this height.
    Offer(Kind, u8),
    /// The same in a leaf whose header is not the hub's: trace 13.
    OfferUnsigned(u8),
    /// A credit in U, or an in-lock, becomes firm.
    Firm(u8),
    /// A credit in U, or an in-lock, goes.
    Gone(u8),
    /// One of the client's payments failed.
    Fail(u8),
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The client signs a state that acknowledges this leaf.
    Sign {
        /// Its operation.
        op: StateOp,
        /// The leaf that it acknowledges.
        ack: u8,
    },
    /// The client signs an `Ack` of this leaf.
    Ack(u8),
    /// The client gives a preimage away.
    Fulfil(u8),
    /// The client releases an in-lock.
    Release(u8),
    /// A leaf comes that acknowledges this state.
    Leaf {
        /// What it changes.
        op: LeafOp,
        /// The state that it acknowledges.
        ack: u8,
    },
    /// The client gets the proof that a payment of its own is paid.
    Prove(u8),
    /// Somebody puts the proof of one of the client's payments on the ledger.
    Reveal(u8),
    /// Somebody starts the close.
    StartClose {
        /// True if the client does.
        by_client: bool,
    },
    /// The next block is final; before it the client has done what it must.
    Block,
}

impl Client {
    pub(super) fn moves(&self, world: &World, out: &mut Vec<Move>) {
        if world.height >= self.bounds.end() {
            return;
        }
        out.push(Move::Block);
        let mut submissions = Vec::new();
        if world.closed == 0 {
            submissions.extend([true, false].map(|by_client| Move::StartClose { by_client }));
        }
        for payment in 0..world.outs.len() {
            let o = world.outs.at(payment + 1);
            if o.record == 0 && world.height < o.expiry {
                submissions.push(Move::Reveal(payment));
            }
        }
        out.extend(submissions.into_iter().filter(|step| step.rank() > world.submitted));
        if world.submitted == 0 {
            self.client_moves(world, out);
            self.leaf_moves(world, out);
        }
    }

    fn client_moves(&self, world: &World, out: &mut Vec<Move>) {
        for payment in 0..world.ins.len() {
            if self.may_fulfil(world, payment) {
                out.push(Move::Fulfil(payment));
            }
        }
        if world.is_closing() {
            return;
        }
        let last = world.states.last();
        for leaf in world.acked + 1..=world.leaves.len() {
            if self.may_ack(world, leaf) {
                out.push(Move::Ack(leaf));
            }
        }
        for payment in 0..world.ins.len() {
            let i = world.ins.at(payment + 1);
            if i.kind == Kind::Hash && !i.given && !i.released && i.firm == 0 && i.gone == 0 {
                out.push(Move::Release(payment));
            }
        }
        for lock in last.locks.iter() {
            if !world.outs.at(lock + 1).proved {
                out.push(Move::Prove(lock));
            }
        }
        if world.states.len() == self.bounds.states {
            return;
        }
        for ack in last.ack..=world.leaves.len() {
            if ack > world.acked && !self.may_ack(world, ack) {
                continue;
            }
            let mut push = |op| out.push(Move::Sign { op, ack });
            if ack > last.ack {
                push(StateOp::Plain);
            }
            if world.outs.len() < self.bounds.outs && world.height <= self.bounds.begin_until {
                push(StateOp::Add);
            }
            for lock in last.locks.iter() {
                push(StateOp::Settle(lock));
                push(StateOp::Drop(lock));
            }
        }
    }

    pub(super) fn apply(&self, world: &World, action: Move) -> Option<World> {
        let mut next = *world;
        next.submitted = action.rank();
        let done = match action {
            Move::Sign { op, ack } => self.sign(&mut next, op, ack),
            Move::Ack(leaf) => {
                next.acknowledge(leaf);
                true
            }
            Move::Fulfil(payment) => {
                next.ins.edit(payment).given = true;
                true
            }
            Move::Release(payment) => {
                next.ins.edit(payment).released = true;
                true
            }
            Move::Leaf { op, ack } => self.take_leaf(&mut next, op, ack),
            Move::Prove(payment) => {
                next.outs.edit(payment).proved = true;
                true
            }
            Move::Reveal(payment) => {
                next.outs.edit(payment).record = world.height + 1;
                true
            }
            Move::StartClose { by_client } => {
                next.closed = world.height + if by_client { self.bounds.margin } else { 1 };
                next.by_client = by_client;
                true
            }
            Move::Block => {
                self.block(&mut next);
                true
            }
        };
        self.forget(&mut next);
        done.then_some(next)
    }

    fn sign(&self, world: &mut World, op: StateOp, ack: u8) -> bool {
        let mut state = State {
            ack,
            ..world.states.last()
        };
        let good = match op {
            StateOp::Plain => true,
            StateOp::Add => {
                let number = world.outs.len();
                world.outs.push(Out {
                    expiry: world.height + self.bounds.life(),
                    state: world.states.len() + 1,
                    ..Out::default()
                });
                state.locks = state.locks | Set::of(number);
                TERMS.share + world.leaf(ack).firm >= state.debit + state.locks.count() * lock_sum(self.rules)
            }
            StateOp::Settle(lock) => {
                let o = world.outs.at(lock + 1);
                state.locks = state.locks & !Set::of(lock);
                state.debit += AMOUNT + FEE;
                o.failed == 0 && (o.proved || self.is_met(world, &o))
            }
            StateOp::Drop(lock) => {
                let o = world.outs.at(lock + 1);
                state.locks = state.locks & !Set::of(lock);
                let past = world.leaf(ack).height > o.expiry;
                o.failed != 0 || (past && !o.proved && !self.is_met(world, &o))
            }
        };
        if good {
            world.states.push(state);
            world.acknowledge(ack);
        }
        good
    }

    /// Whether the newest block shows that this lock is met.
    fn is_met(&self, world: &World, o: &Out) -> bool {
        o.record != 0 && o.record <= world.height && o.record <= o.expiry
    }

    /// Rule 12: no acknowledgement of a leaf with U above `ack_by` − margin.
    pub(super) fn may_ack(&self, world: &World, leaf: u8) -> bool {
        let l = world.leaf(leaf);
        let margin = if self.rules.was(Was::AcksWithoutMargin) {
            0
        } else {
            self.bounds.margin
        };
        l.unfirm.is_empty() || world.height + margin <= l.ack_by
    }
}

impl Move {
    /// The place of a transaction among those of one block.
    const fn rank(self) -> u8 {
        match self {
            Self::Reveal(payment) => 1 + payment,
            Self::StartClose { .. } => 16,
            _ => 0,
        }
    }
}
