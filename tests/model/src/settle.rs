//! Who can start a close, and whether it ends, when one side has everything (trace 10; rules 24 to 26).
//!
//! Small enough to be written out: every division of a channel, every opener, every bond, with a lock of dust or without.

use stateright::{Model, Property};

use crate::was::{Rules, Was};

/// The ledger's dust limit; the bond.
const DUST: u8 = 2;
const BOND: u8 = 2;

/// The world: one channel that is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct World {
    /// What opener and other side own.
    pub balances: [u8; 2],
    /// An open lock.
    pub lock: u8,
    /// What the opener has beside the channel.
    pub outside: u8,
    /// Whether the side that added the lock shows it.
    pub shown: bool,
    /// How far it is: 0 open, 1 closing, 2 settled.
    pub stage: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The opener starts the close.
    Start,
    /// The ledger settles.
    Settle,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Settle {
    /// The channel's capacity.
    pub capacity: u8,
    /// The rules.
    pub rules: Rules,
}

impl Settle {
    /// The bond: at most the opener's own balance (rule 24).
    fn can_start(&self, world: &World) -> bool {
        if self.rules.was(Was::BondFromOutside) {
            world.outside >= BOND
        } else {
            world.balances[0] >= BOND.min(world.balances[0])
        }
    }

    /// Whether the ledger can divide the money.
    fn can_settle(&self, world: &World) -> bool {
        let outputs = [world.balances[0], world.balances[1], world.lock];
        let dusty = outputs.iter().any(|amount| (1..DUST).contains(amount));
        // A half without its locks is no half (rule 25): then the one before counts, in which there was no such lock.
        let judged = world.shown || !self.rules.was(Was::HiddenLocksCount);
        judged && !(dusty && self.rules.was(Was::DustBindsSettle))
    }
}

impl Model for Settle {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        let mut worlds = Vec::new();
        for own in 0..=self.capacity {
            for lock in 0..=self.capacity - own {
                for (outside, shown) in [(0, true), (0, false), (BOND, true), (BOND, false)] {
                    worlds.push(World {
                        balances: [own, self.capacity - own - lock],
                        lock,
                        outside,
                        shown: shown || lock == 0,
                        stage: 0,
                    });
                }
            }
        }
        worlds
    }

    fn actions(&self, world: &World, actions: &mut Vec<Move>) {
        if world.stage == 0 && self.can_start(world) {
            actions.push(Move::Start);
        }
        if world.stage == 1 && self.can_settle(world) {
            actions.push(Move::Settle);
        }
    }

    fn next_state(&self, last: &World, _: Move) -> Option<World> {
        Some(World {
            stage: last.stage + 1,
            ..*last
        })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::eventually("every close ends", |_, world: &World| {
            world.stage == 2
        })]
    }
}
