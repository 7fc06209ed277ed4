//! An honest hub between two clients who collude against it: two channels, payments either way, time in blocks.
//!
//! The clients do what they like: they sign any state that the hub accepts and keep others back, acknowledge or not, on the
//! ledger or to the hub, reveal preimages at any height, close at any height, and show the ledger any of their evidence and
//! a state of their own making. The hub keeps the rules. Whatever the network loses is here a message that a client did
//! not send, or a receipt that it did not look at.
//!
//! Time: what a client submits at height t is final at t + 1, what the hub submits at t + margin: the best of luck for the
//! one, the worst for the other. Heights are those of final blocks, inclusive.

mod canon;
mod end;
mod moves;
mod policy;

pub(crate) use canon::lowest;
pub use moves::{Move, Op};

use stateright::{Model, Property};

use crate::judge::{AMOUNT, Leaf, State};
use crate::short::{List, Set};
use crate::was::Rules;

/// The most payments, states and leaves of a channel.
pub const MOST: usize = 4;

/// How far the model goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Blocks within which the hub's transactions are final.
    pub margin: u8,
    /// Payments in all. One by `Hash` is two locks, one by `Ack` a lock and a credit.
    pub payments: u8,
    /// The highest counter of a client state.
    pub states: u8,
    /// The highest counter of a leaf.
    pub leaves: u8,
    /// The last height at which a payment may begin.
    pub begin_until: u8,
    /// The height at which the hub closes what is still open.
    pub close_at: u8,
    /// Blocks between the start of a close and its deadline, Δ.
    pub window: u8,
    /// Blocks after it for evidence on locks, δ.
    pub grace: u8,
    /// The clients' shares at the opening; the model is symmetric if they are equal.
    pub shares: [u8; 2],
    /// True if all `Hash` payments share one hash (rule 14).
    pub equal_hash: bool,
    /// Whether payments may go by `Ack`, by `Hash`.
    pub kinds: [bool; 2],
    /// Whether there are cooperative closes and closes by the hub before `close_at`, too.
    pub hub_closes: bool,
}

impl Bounds {
    /// Blocks that a lock lives: rule 9's least, with an ack interval of half a block.
    #[must_use]
    pub const fn life(&self) -> u8 {
        3 * self.margin + 1
    }

    /// The height at which nothing can happen any more that a judgement would see: every close has begun, and every lock
    /// has expired. The judgement itself counts on to the deadline and beyond.
    #[must_use]
    pub const fn end(&self) -> u8 {
        let closed = self.close_at + self.margin;
        let expired = self.begin_until + self.life();
        1 + if closed > expired { closed } else { expired }
    }
}

/// How a lock is met.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// By the payee's acknowledgement.
    #[default]
    Ack,
    /// By a preimage.
    Hash,
}

/// What became of the payee's side of a payment.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Payee {
    /// The hub did not offer it.
    #[default]
    None,
    /// In U, or an in-lock.
    Waiting,
    /// In K.
    Firm,
    /// In neither, after its expiry.
    Void,
    /// Given up by the payee.
    Released,
}

/// One payment, as the hub knows it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Payment {
    /// The payer's channel.
    pub payer: u8,
    /// How it is met.
    pub kind: Kind,
    /// The last height at which it can be met.
    pub expiry: u8,
    /// The leaf of the payee's channel that credits or offers it.
    pub leaf: u8,
    /// The payee's side.
    pub payee: Payee,
    /// When the hub took the payee's release.
    pub released_at: u8,
    /// True if a leaf of the payer's channel failed it.
    pub failed: bool,
    /// The slot that it takes in the payer's channel.
    pub slot: u8,
    /// When its preimage is final on the ledger; zero for never.
    pub record: u8,
}

/// One channel.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Channel {
    /// The states that the hub has accepted.
    pub states: List<State, MOST>,
    /// The leaves that the hub has signed.
    pub leaves: List<Leaf, MOST>,
    /// The newest leaf that was acknowledged in time.
    pub acked: u8,
    /// The newest leaf whose acknowledgement the hub can put on the ledger.
    pub proof: u8,
    /// The newest leaf that an acknowledgement named while the channel was open: later ones may miss the deadline.
    pub named: u8,
    /// When an acknowledgement of each leaf is final on the ledger; zero for never.
    pub records: [u8; MOST],
    /// When the start of a close is final; zero while it is open.
    pub closed: u8,
    /// The state and the leaf of a cooperative close that the client may complete.
    pub last: Option<(u8, u8)>,
    /// The state that the hub's own `StartClose` names, while it waits in the mempool.
    pub closing: Option<u8>,
}

/// The whole world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct World {
    /// The newest final block.
    pub height: u8,
    /// Both channels.
    pub channels: [Channel; 2],
    /// The payments so far, in the order in which they began.
    pub payments: List<Payment, MOST>,
    /// True if the hub has signed what would prove a fault.
    pub fault: bool,
    /// How many transactions the clients have submitted since the newest block. They take effect with the next one, so
    /// they commute with everything before it: the model puts them last, in one order.
    pub submitted: u8,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Hub {
    /// How far it goes.
    pub bounds: Bounds,
    /// The rules that the hub and the ledger keep.
    pub rules: Rules,
}

/// What the hub puts into each channel: room for two payments.
pub const PROMISE: u8 = 2 * AMOUNT;

impl Hub {
    /// The client's share of this channel at its opening.
    #[must_use]
    pub const fn share(&self, channel: u8) -> u8 {
        self.bounds.shares[channel as usize]
    }
}

impl World {
    /// Whether the channel's close has begun, as of the newest final block.
    #[must_use]
    pub const fn is_closing(&self, channel: u8) -> bool {
        let closed = self.channels[channel as usize].closed;
        closed != 0 && closed <= self.height
    }

    /// The numbers of the payments whose payer is this channel.
    #[must_use]
    pub fn paid_by(&self, channel: u8) -> Set {
        Set::those(self.payments.len(), |p| self.payments.at(p + 1).payer == channel)
    }

    /// Both channels exchanged, and the payments with them.
    fn swapped(&self) -> Self {
        let mut other = *self;
        other.channels.swap(0, 1);
        for place in 0..other.payments.len() {
            let payment = other.payments.edit(place);
            payment.payer = 1 - payment.payer;
        }
        other
    }

    /// The one of two symmetric worlds that stands for both.
    #[must_use]
    pub fn representative(&self) -> Self {
        (*self).min(self.swapped())
    }
}

impl Model for Hub {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Move>) {
        self.moves(world, actions);
    }

    fn next_state(&self, world: &World, action: Move) -> Option<World> {
        self.apply(world, action)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("the hub ends with at least its due", |model: &Self, world: &World| {
                model.hub_has_its_due(world)
            }),
            Property::always(
                "every close ends, and no value is made or lost",
                |model: &Self, world: &World| model.closes_end(world),
            ),
            Property::always("an honest hub commits no fault", |_, world: &World| !world.fault),
            Property::always("a void credit frees the hub's room", |model: &Self, world: &World| {
                model.void_credits_leave(world)
            }),
        ]
    }
}
