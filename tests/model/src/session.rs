//! One payment between an honest wallet and an honest hub over a network that loses and repeats (rules 5, 6 and 10).
//!
//! The wallet owes one invoice. It signs a state that pays it, sends it, and may be refused because the hub is busy, or hear
//! nothing. It may send the same bytes again, or sign a higher state that replaces the first, with the payment or without
//! it, and pay the invoice elsewhere. Whatever it has signed can still arrive.

use stateright::{Model, Property};

use crate::short::List;
use crate::was::{Rules, Was};

/// The most states that the wallet signs.
const MOST: usize = 4;

/// A state of the wallet, as far as it matters here.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signed {
    /// Whether it holds the lock that pays the invoice.
    pub pays: bool,
    /// The state that it was built on: what the hub must have accepted last, or a later one without locks of its own.
    pub on: u8,
}

/// The world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// What the wallet has signed and stored; the counter is the place.
    pub states: List<Signed, MOST>,
    /// Those on the way, by bit; the network may deliver one more than once.
    pub sent: u8,
    /// The newest state that the hub has accepted.
    pub accepted: u8,
    /// Whether the hub has credited the payee.
    pub credited: u8,
    /// The newest state that the wallet knows to be accepted.
    pub known: u8,
    /// The newest state that the wallet knows to be refused.
    pub refused: u8,
    /// Whether the wallet has paid elsewhere.
    pub elsewhere: bool,
    /// Messages lost so far.
    pub lost: u8,
    /// Crashes of either side so far.
    pub crashes: u8,
    /// Refusals so far.
    pub busy: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// The wallet signs a state, with the payment or without, and stores it.
    Sign {
        /// Whether it pays the invoice.
        pays: bool,
    },
    /// The wallet sends a state, for the first time or again.
    Send(u8),
    /// The hub takes a state in; its answer arrives, or is lost.
    Deliver {
        /// The state.
        state: u8,
        /// Whether the wallet gets the answer.
        heard: bool,
    },
    /// The hub is busy and refuses the state.
    Refuse(u8),
    /// A message is lost.
    Lose(u8),
    /// The wallet pays the invoice over another channel.
    PayElsewhere,
    /// Wallet or hub die and start again with what is durable: for the wallet its states, not what it heard.
    Crash,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Session {
    /// States, lost messages, crashes and refusals at most.
    pub states: u8,
    /// Lost messages at most.
    pub lost: u8,
    /// Crashes at most.
    pub crashes: u8,
    /// The rules.
    pub rules: Rules,
}

impl Session {
    /// Whether some state that pays may still be accepted, or was, as far as the wallet knows: rule 10.
    fn is_live(&self, world: &World) -> bool {
        (world.known..=world.states.len()).any(|counter| {
            let state = world.states.at(counter);
            let forgotten = self.rules.was(Was::RefusedIsForgotten) && counter <= world.refused;
            state.pays && !forgotten
        })
    }

    /// The hub's judgement: a higher counter, built on what it has; a lock that it has seen is not a second one.
    fn accept(world: &mut World, counter: u8) {
        let state = world.states.at(counter);
        if counter <= world.accepted || state.on != world.accepted && world.accepted != 0 {
            return;
        }
        world.credited += u8::from(state.pays && !world.states.at(world.accepted).pays);
        world.accepted = counter;
    }
}

impl Model for Session {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Move>) {
        if world.states.len() < self.states {
            actions.push(Move::Sign { pays: false });
            // A second state with a lock for the invoice keeps the first one's lock, or comes after it is dead.
            if !world.elsewhere && !self.is_live(world) {
                actions.push(Move::Sign { pays: true });
            }
        }
        if !world.elsewhere && !self.is_live(world) {
            actions.push(Move::PayElsewhere);
        }
        if world.crashes < self.crashes {
            actions.push(Move::Crash);
        }
        for state in 1..=world.states.len() {
            if world.sent & (1 << state) == 0 {
                actions.push(Move::Send(state));
                continue;
            }
            actions.push(Move::Deliver { state, heard: true });
            if world.busy < 1 {
                actions.push(Move::Refuse(state));
            }
            if world.lost < self.lost {
                actions.extend([Move::Deliver { state, heard: false }, Move::Lose(state)]);
            }
        }
    }

    fn next_state(&self, last: &World, action: Move) -> Option<World> {
        let mut world = *last;
        match action {
            Move::Sign { pays } => {
                // It replaces what is not known to be accepted.
                let on = world.known;
                let kept = world.states.at(on).pays;
                world.states.push(Signed { pays: pays || kept, on });
            }
            Move::Send(state) => world.sent |= 1 << state,
            Move::Deliver { state, heard } => {
                Self::accept(&mut world, state);
                if heard {
                    world.known = world.known.max(world.accepted);
                } else {
                    world.lost += 1;
                }
            }
            Move::Refuse(state) => {
                world.busy += 1;
                world.refused = world.refused.max(state);
            }
            Move::Lose(state) => {
                world.lost += 1;
                world.sent &= !(1 << state);
            }
            Move::PayElsewhere => world.elsewhere = true,
            Move::Crash => {
                world.crashes += 1;
                (world.known, world.refused, world.sent) = (0, 0, 0);
            }
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an invoice is paid once", |_, world: &World| {
                world.credited + u8::from(world.elsewhere) <= 1
            }),
            Property::sometimes("an invoice is paid", |_, world: &World| world.credited == 1),
            Property::sometimes("a dead payment is paid elsewhere", |_, world: &World| {
                world.elsewhere && world.states.len() > 1 && world.states.at(1).pays
            }),
        ]
    }
}
