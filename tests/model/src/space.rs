//! Room on the ledger and in a payee's channel (rules 9, 15, 24 to 28): who can be kept out of it, and for how long.

use stateright::{Model, Property};

use crate::was::{Rules, Was};

/// Reveals that fit into a block beside everything else.
const RESERVED: u8 = 1;
/// Slots of a payee's channel, and the share of one payer.
const SLOTS: u8 = 4;
const SHARE: u8 = 2;
/// The longest life of a lock, in blocks.
const MAX_LOCK: u8 = 3;

/// The world: one payee, an attacker who fills its slots and the blocks, an honest payer, a hub with hashes to reveal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// The newest final block.
    pub height: u8,
    /// The attacker's in-locks at the payee, by their expiry.
    pub slots: [u8; 16],
    /// Distinct hashes that the hub may have to reveal, each of which expires at `margin` blocks from when it is due.
    pub hashes: u8,
    /// When they fell due; zero while they did not.
    pub due: u8,
    /// How many of them the ledger has taken.
    pub revealed: u8,
    /// True if one of them was too late.
    pub missed: bool,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The attacker adds a lock with an expiry this far away.
    Fill(u8),
    /// The hub takes in a payment by another hash.
    Hold,
    /// All payees of those hashes reveal to the hub at the last moment.
    Due,
    /// A block: full of the attacker's transactions, or not.
    Block {
        /// Whether the attacker outbids everyone.
        full: bool,
    },
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Space {
    /// The last height.
    pub end: u8,
    /// Blocks between the moment at which a reveal is due and its expiry.
    pub margin: u8,
    /// The rules.
    pub rules: Rules,
}

impl Space {
    fn taken(world: &World) -> u8 {
        world.slots.iter().sum()
    }

    fn share(&self) -> u8 {
        if self.rules.was(Was::NoShareOfSlots) {
            SLOTS
        } else {
            SHARE
        }
    }

    fn hashes_max(&self) -> u8 {
        let fits = self.margin * RESERVED;
        if self.rules.was(Was::MoreHashesThanSpace) {
            fits + 1
        } else {
            fits
        }
    }

    fn block(&self, world: &mut World, full: bool) {
        world.height += 1;
        world.slots[usize::from(world.height - 1)] = 0;
        if world.due == 0 {
            return;
        }
        // Whoever writes the blocks takes what the rules of the block make it take.
        let censored = self.rules.was(Was::LedgerIsAParty) || (full && self.rules.was(Was::NoReservedSpace));
        let room = if censored { 0 } else { RESERVED };
        world.revealed = (world.revealed + room).min(world.hashes);
        world.missed |= world.height >= world.due + self.margin && world.revealed < world.hashes;
    }
}

impl Model for Space {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Move>) {
        if world.height < self.end {
            actions.extend([true, false].map(|full| Move::Block { full }));
        }
        if Self::taken(world) < self.share() {
            let longest = if self.rules.was(Was::NoUpperExpiry) {
                2 * MAX_LOCK
            } else {
                MAX_LOCK
            };
            actions.extend([1, longest].map(Move::Fill));
        }
        if world.due == 0 {
            if world.hashes < self.hashes_max() {
                actions.push(Move::Hold);
            }
            actions.push(Move::Due);
        }
    }

    fn next_state(&self, last: &World, action: Move) -> Option<World> {
        let mut world = *last;
        match action {
            Move::Fill(life) => world.slots[usize::from((world.height + life).min(15))] += 1,
            Move::Hold => world.hashes += 1,
            Move::Due => world.due = world.height.max(1),
            Move::Block { full } => self.block(&mut world, full),
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an honest payer finds a slot", |_, world: &World| {
                Self::taken(world) < SLOTS
            }),
            Property::always(
                "a slot comes back within the longest life of a lock",
                |_, world: &World| {
                    let horizon = usize::from(world.height + MAX_LOCK);
                    world.slots.iter().skip(horizon + 1).all(|count| *count == 0)
                },
            ),
            Property::always("what is owed is on the ledger in time", |_, world: &World| {
                !world.missed
            }),
            Property::sometimes("reveals wait for each other", |_, world: &World| {
                world.hashes > 1 && world.revealed == 1
            }),
        ]
    }
}
