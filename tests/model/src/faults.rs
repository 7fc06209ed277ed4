//! A hub that equivocates on one channel, and whether two honest parties can prove it (rule 27).
//!
//! The hub signs any leaves it likes, each in a header of its own, and shows each to one of two parties: the client and its
//! tower, say. A party takes a leaf only behind the one before (rule 12), so what it holds has no gaps. Whenever what they
//! hold is no single chain, two of the objects must prove the fault by themselves.

use stateright::{Model, Property};

use crate::short::List;
use crate::was::{Rules, Was};

/// The most leaves that a party holds.
const MOST: usize = 4;

/// A signed leaf in its signed header; a name of one is its counter and its branch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signed {
    /// The counter h, and the number of the batch.
    pub counter: u8,
    /// Tells apart leaves of one counter: their digest.
    pub branch: u8,
    /// The branch of the leaf before.
    pub previous: u8,
    /// Total firm credit, K.
    pub firm: u8,
    /// Whether it is the channel's last.
    pub is_final: bool,
}

/// What the two parties hold.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct World {
    /// Each party's leaves, oldest first; the first may be any, since a tower may have begun late.
    pub parties: [List<Signed, MOST>; 2],
}

/// The hub shows a leaf to a party.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Show {
    party: u8,
    leaf: Signed,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// The highest counter.
    pub counters: u8,
    /// The rules.
    pub rules: Rules,
}

impl Faults {
    /// Whether these two objects prove a fault by themselves.
    #[must_use]
    pub fn proves(&self, a: Signed, b: Signed) -> bool {
        let (low, high) = if a.counter <= b.counter { (a, b) } else { (b, a) };
        let chained = !self.rules.was(Was::HeadersUnchained);
        let same_number = low.counter == high.counter && low != high;
        let broken = chained && high.counter == low.counter + 1 && high.previous != low.branch;
        let fell = high.counter > low.counter && high.firm < low.firm;
        let after_final = high.counter > low.counter && low.is_final;
        same_number || broken || fell || after_final
    }

    /// Whether all that both hold fits into one chain of an honest hub.
    fn fits(world: &World) -> bool {
        let all = || world.parties.iter().flat_map(|party| party.as_slice());
        all().all(|a| {
            all().all(|b| {
                let same = a.counter != b.counter || a == b;
                let linked = b.counter != a.counter + 1 || b.previous == a.branch;
                let later = b.counter <= a.counter || (b.firm >= a.firm && !a.is_final);
                same && linked && later
            })
        })
    }

    /// The parties' leaves reach into each other: neither has a gap to the other's.
    fn touch(world: &World) -> bool {
        let span = |party: &List<Signed, MOST>| Some((party.as_slice().first()?.counter, party.last().counter));
        let [Some(a), Some(b)] = [span(&world.parties[0]), span(&world.parties[1])] else {
            return true;
        };
        a.0 <= b.1 + 1 && b.0 <= a.1 + 1
    }
}

impl Model for Faults {
    type State = World;
    type Action = Show;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Show>) {
        for party in 0..2_u8 {
            let held = &world.parties[usize::from(party)];
            let counters = if held.is_empty() {
                1..=self.counters
            } else {
                held.last().counter + 1..=held.last().counter + 1
            };
            for counter in counters.filter(|counter| *counter <= self.counters) {
                for bits in 0..16_u8 {
                    let leaf = Signed {
                        counter,
                        branch: bits & 1,
                        previous: (bits >> 1) & 1,
                        firm: (bits >> 2) & 1,
                        is_final: bits >> 3 == 1,
                    };
                    // A party refuses at once what breaks its own chain: then it holds the proof already.
                    if held.is_empty() || !Self::refused(held.last(), leaf) {
                        actions.push(Show { party, leaf });
                    }
                }
            }
        }
    }

    fn next_state(&self, last: &World, action: Show) -> Option<World> {
        let mut world = *last;
        world.parties[usize::from(action.party)].push(action.leaf);
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("a cheat is provable", |model: &Self, world: &World| {
                let all = || world.parties.iter().flat_map(|party| party.as_slice());
                let proved = all().any(|a| all().any(|b| model.proves(*a, *b)));
                !Self::touch(world) || Self::fits(world) || proved
            }),
            Property::always(
                "no chain of an honest hub proves a fault",
                |model: &Self, world: &World| {
                    let all = || world.parties.iter().flat_map(|party| party.as_slice());
                    !Self::fits(world) || !all().any(|a| all().any(|b| model.proves(*a, *b)))
                },
            ),
        ]
    }
}

impl Faults {
    fn refused(last: Signed, next: Signed) -> bool {
        next.previous != last.branch || next.firm < last.firm || last.is_final
    }

    /// The one of two symmetric worlds that stands for both: the parties exchanged.
    #[must_use]
    pub fn representative(world: &World) -> World {
        let [a, b] = world.parties;
        World {
            parties: if a <= b { [a, b] } else { [b, a] },
        }
    }
}
