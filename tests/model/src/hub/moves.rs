//! What happens next: a move of a client, of the hub, or of time.

use super::{Hub, Kind, Payee, World};
use crate::was::Was;

/// The operation that a state carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Op {
    /// None: a plain acknowledgement.
    Plain,
    /// A new payment to the other channel.
    Add(Kind),
    /// An out-lock is paid.
    Settle(u8),
    /// An out-lock is taken back.
    Drop(u8),
    /// An in-lock is given up.
    Release(u8),
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A client signs a state that acknowledges this leaf, and the hub takes it in.
    Pay {
        /// The channel.
        channel: u8,
        /// Its operation.
        op: Op,
        /// The leaf that it acknowledges.
        ack: u8,
    },
    /// A client sends an `Ack` of this leaf.
    Ack {
        /// The channel.
        channel: u8,
        /// The leaf.
        leaf: u8,
    },
    /// A client puts an acknowledgement of this leaf on the ledger.
    RevealAck {
        /// The channel.
        channel: u8,
        /// The leaf.
        leaf: u8,
    },
    /// A payee sends the preimage to the hub.
    Fulfil(u8),
    /// A payee puts the preimage on the ledger.
    RevealPreimage(u8),
    /// A client closes.
    StartClose(u8),
    /// The hub signs a close, which waits in the mempool.
    SignClose(u8),
    /// A client asks for a cooperative close, and the hub makes the final leaf.
    Final(u8),
    /// The hub makes a leaf in which void credits and expired in-locks of this channel are gone.
    Void(u8),
    /// The hub fails a payment near its expiry without its payee's word: trace 4.
    FailEarly(u8),
    /// A payee gives up an in-lock of a channel whose close has begun.
    ReleaseLate(u8),
    /// The next block is final; before it the hub has done what it must.
    Block,
}

impl Hub {
    pub(super) fn moves(&self, world: &World, out: &mut Vec<Move>) {
        if world.height >= self.bounds.end() {
            return;
        }
        out.push(Move::Block);
        let mut submissions = Vec::new();
        for channel in 0..2 {
            self.submissions(world, channel, &mut submissions);
            if world.submitted == 0 {
                self.pays(world, channel, out);
                self.messages(world, channel, out);
            }
        }
        let may_reveal = |&payment: &u8| {
            let p = world.payments.at(payment + 1);
            p.kind == Kind::Hash && matches!(p.payee, Payee::Waiting | Payee::Released) && p.record == 0
        };
        submissions.extend((0..world.payments.len()).filter(may_reveal).map(Move::RevealPreimage));
        out.extend(submissions.into_iter().filter(|step| step.rank() > world.submitted));
    }

    fn pays(&self, world: &World, channel: u8, out: &mut Vec<Move>) {
        let c = &world.channels[usize::from(channel)];
        let last = c.states.last();
        for ack in last.ack..=c.leaves.len() {
            let mut push = |op| out.push(Move::Pay { channel, op, ack });
            if ack > last.ack {
                push(Op::Plain);
            }
            if world.payments.len() < self.bounds.payments && world.height <= self.bounds.begin_until {
                for (kind, allowed) in [Kind::Ack, Kind::Hash].into_iter().zip(self.bounds.kinds) {
                    if allowed {
                        push(Op::Add(kind));
                    }
                }
            }
            for lock in last.locks.iter() {
                push(Op::Settle(lock));
                push(Op::Drop(lock));
            }
            for payment in self.in_locks(world, channel) {
                push(Op::Release(payment));
            }
        }
    }

    /// What goes to the hub beside states, and what the hub does of its own accord.
    fn messages(&self, world: &World, channel: u8, out: &mut Vec<Move>) {
        let c = &world.channels[usize::from(channel)];
        out.push(Move::Void(channel));
        for payment in self.in_locks(world, channel) {
            out.push(Move::Fulfil(payment));
            if self.rules.was(Was::TakesReleasesWhileClosing) {
                out.push(Move::ReleaseLate(payment));
            }
            if self.rules.was(Was::FailsWithoutRelease) {
                out.push(Move::FailEarly(payment));
            }
        }
        for leaf in c.proof + 1..=c.leaves.len() {
            if self.waits(world, channel, leaf) {
                out.push(Move::Ack { channel, leaf });
            }
        }
        if c.closed == 0 && self.bounds.hub_closes {
            out.extend([Move::SignClose(channel), Move::Final(channel)]);
        }
    }

    fn submissions(&self, world: &World, channel: u8, out: &mut Vec<Move>) {
        let c = &world.channels[usize::from(channel)];
        for leaf in 1..=c.leaves.len() {
            if self.waits(world, channel, leaf) {
                out.push(Move::RevealAck { channel, leaf });
            }
        }
        if c.closed == 0 {
            out.push(Move::StartClose(channel));
        }
    }

    fn in_locks(&self, world: &World, channel: u8) -> impl Iterator<Item = u8> + use<> {
        let world = *world;
        (0..world.payments.len()).filter(move |payment| {
            let p = world.payments.at(payment + 1);
            p.payer != channel && p.kind == Kind::Hash && p.payee == Payee::Waiting
        })
    }

    /// Whether an acknowledgement of this leaf would be the first to reach a credit: a second one of the same credit
    /// adds nothing, since the ledger counts the earliest.
    fn waits(&self, world: &World, channel: u8, leaf: u8) -> bool {
        let records = &world.channels[usize::from(channel)].records;
        world.payments.as_slice().iter().any(|p| {
            p.payer != channel
                && p.kind == Kind::Ack
                && (1..=leaf).contains(&p.leaf)
                && matches!(p.payee, Payee::Waiting | Payee::Firm)
                && records[usize::from(p.leaf) - 1..].iter().all(|&at| at == 0)
        })
    }

    pub(super) fn apply(&self, world: &World, action: Move) -> Option<World> {
        let mut next = *world;
        let done = match action {
            Move::Pay { channel, op, ack } => self.pay(&mut next, channel, op, ack),
            Move::Ack { channel, leaf } => self.take_ack(&mut next, channel, leaf),
            Move::Fulfil(payment) => self.take_preimage(&mut next, payment),
            Move::Final(channel) => self.finish(&mut next, channel),
            Move::Void(channel) => self.void(&mut next, channel),
            Move::ReleaseLate(payment) => self.release_late(&mut next, payment),
            Move::FailEarly(payment) => self.fail_early(&mut next, payment),
            Move::SignClose(channel) => {
                self.sign_close(&mut next, channel);
                true
            }
            Move::RevealAck { .. } | Move::RevealPreimage(_) | Move::StartClose(_) => {
                self.submit(&mut next, action);
                true
            }
            Move::Block => {
                self.block(&mut next);
                true
            }
        };
        self.forget(&mut next);
        (done && next != *world).then_some(next)
    }

    /// A client's transaction: final with the next block.
    fn submit(&self, world: &mut World, action: Move) {
        let at = world.height + 1;
        world.submitted = action.rank();
        match action {
            Move::RevealAck { channel, leaf } => {
                world.channels[usize::from(channel)].records[usize::from(leaf) - 1] = at;
            }
            Move::RevealPreimage(payment) => self.record_preimage(world, payment, at),
            Move::StartClose(channel) => world.channels[usize::from(channel)].closed = at,
            _ => {}
        }
    }

    /// The hub freezes the channel and signs a close (rule 24).
    fn sign_close(&self, world: &mut World, channel: u8) {
        let c = &mut world.channels[usize::from(channel)];
        c.closing = Some(c.states.len());
        c.closed = world.height + self.bounds.margin;
    }

    /// The hub's duties at the newest block, then the next one.
    fn block(&self, world: &mut World) {
        self.reveal_what_is_owed(world);
        world.height += 1;
        world.submitted = 0;
        self.read_records(world);
        for channel in 0..2 {
            if world.height >= self.bounds.close_at && world.channels[usize::from(channel)].closed == 0 {
                self.sign_close(world, channel);
            }
        }
    }

    /// A preimage on the ledger meets every lock on its hash.
    pub(super) fn record_preimage(&self, world: &mut World, payment: u8, height: u8) {
        for other in 0..world.payments.len() {
            let p = world.payments.edit(other);
            let same = other == payment || (self.bounds.equal_hash && p.kind == Kind::Hash);
            if same && (p.record == 0 || p.record > height) {
                p.record = height;
            }
        }
    }
}

impl Move {
    /// The place of a client's transaction among those of one block.
    const fn rank(self) -> u8 {
        match self {
            Self::RevealAck { channel, leaf } => 1 + channel * 8 + leaf,
            Self::StartClose(channel) => 32 + channel,
            Self::RevealPreimage(payment) => 64 + payment,
            _ => 0,
        }
    }
}
