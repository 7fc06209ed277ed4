//! An honest client, or its watchtower, against everyone else: its channel, time in blocks.
//!
//! The hub, the client's payees and payers and the network are one adversary: it sends any leaf that the client does not
//! refuse, keeps others back, vouches for any state that the client has ever signed, makes leaves up, reveals any payee's
//! proof at any height, closes at any height, and shows the ledger what it likes. Since all the others are the adversary's,
//! their channels need no picture here: whatever could happen in them is a proof that comes, or does not.
//!
//! Time: what the adversary submits at height t is final at t + 1, what the client submits at t + margin.

mod canon;
mod duties;
mod end;
mod leaves;
mod moves;

pub use moves::{LeafOp, Move, StateOp};

use stateright::{Model, Property};

use crate::judge::{AMOUNT, Leaf, State, Terms};
use crate::short::{List, Set};
use crate::was::Rules;

pub use crate::hub::Kind;

/// The most states, leaves, and locks of one direction.
pub const MOST: usize = 4;
/// The number of the first in-lock, in sets that hold both directions.
const IN: u8 = 4;

/// How far the model goes.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Blocks within which the client's transactions are final.
    pub margin: u8,
    /// Payments that the client makes.
    pub outs: u8,
    /// Payments that it is offered.
    pub ins: u8,
    /// The highest counter of a client state.
    pub states: u8,
    /// The highest counter of a leaf.
    pub leaves: u8,
    /// The last height at which a payment may begin.
    pub begin_until: u8,
    /// The height at which the client closes what is still open.
    pub close_at: u8,
    /// Blocks between the start of a close and its deadline, Δ.
    pub window: u8,
    /// Blocks after it for evidence on locks, δ.
    pub grace: u8,
    /// Whether payments may go by `Ack`, by `Hash`.
    pub kinds: [bool; 2],
}

impl Bounds {
    /// Blocks that a lock lives.
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

/// A payment of the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Out {
    /// The last height at which it can be met.
    pub expiry: u8,
    /// The state that added it.
    pub state: u8,
    /// True if the client holds the proof that it is paid.
    pub proved: bool,
    /// The leaf that failed it; zero for none.
    pub failed: u8,
    /// The height at which the client got that leaf.
    pub failed_at: u8,
    /// When its proof is final on the ledger; zero for never.
    pub record: u8,
}

/// A payment to the client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct In {
    /// How it is met.
    pub kind: Kind,
    /// The last height at which it can be met.
    pub expiry: u8,
    /// The leaf that credits or offers it.
    pub leaf: u8,
    /// The leaf that made it firm; zero for none.
    pub firm: u8,
    /// The leaf from which it is gone otherwise; zero for none.
    pub gone: u8,
    /// True if the client has released it.
    pub released: bool,
    /// True if the client has given its proof away: an acknowledgement while the credit was in U, or the preimage.
    pub given: bool,
    /// When the preimage is final on the ledger; zero for never.
    pub record: u8,
}

/// A leaf as the client got it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Received {
    /// The leaf.
    pub leaf: Leaf,
    /// False if its header is not the hub's, so that the ledger takes it for nothing.
    pub signed: bool,
}

/// The world as far as the client's money depends on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// The newest final block.
    pub height: u8,
    /// What the client has signed; all of it has left its hands.
    pub states: List<State, MOST>,
    /// What it has got and not refused.
    pub leaves: List<Received, MOST>,
    /// The newest leaf that it has acknowledged, by an `Ack` or a state.
    pub acked: u8,
    /// When its own acknowledgement of each leaf is final on the ledger; zero for never.
    pub records: [u8; MOST],
    /// Its payments.
    pub outs: List<Out, MOST>,
    /// The payments to it.
    pub ins: List<In, MOST>,
    /// When the start of the close is final; zero while the channel is open.
    pub closed: u8,
    /// True if the client closes.
    pub by_client: bool,
    /// The place of the newest transaction among those of this block: they come last, in one order.
    pub submitted: u8,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Client {
    /// How far it goes.
    pub bounds: Bounds,
    /// The rules that the client and the ledger keep.
    pub rules: Rules,
}

/// Room for two payments to the client and for two of its own.
pub const TERMS: Terms = Terms {
    capacity: 2 * AMOUNT + 10,
    share: 10,
};

impl World {
    /// Whether the close has begun, as of the newest final block.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        self.closed != 0 && self.closed <= self.height
    }

    /// The leaf with this counter.
    #[must_use]
    pub fn leaf(&self, counter: u8) -> Leaf {
        self.leaves.at(counter).leaf
    }

    /// Everything up to this leaf is acknowledged: whoever waited for that can prove it now.
    fn acknowledge(&mut self, leaf: u8) {
        self.acked = self.acked.max(leaf);
        for place in 0..self.ins.len() {
            let i = self.ins.edit(place);
            i.given |= i.kind == Kind::Ack && i.leaf <= leaf && i.gone == 0;
        }
    }

    fn ins_where(&self, wanted: impl Fn(In) -> bool) -> Set {
        Set::those(IN + self.ins.len(), |number| {
            number >= IN && wanted(self.ins.at(number - IN + 1))
        })
    }
}

impl Model for Client {
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
            Property::always(
                "the client ends with at least its due",
                |model: &Self, world: &World| world.height < model.bounds.end() || model.client_has_its_due(world),
            ),
            Property::always(
                "every close ends, and no value is made or lost",
                |model: &Self, world: &World| world.height < model.bounds.end() || model.closes_end(world),
            ),
        ]
    }
}
