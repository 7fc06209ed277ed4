//! A stake, a channel that it stands for, a fault and who is paid for reporting it (rules 21 and 27).

use stateright::{Model, Property};

use crate::was::{Rules, Was};

/// What the stake holds; what a victim lost; the reward.
const STAKE: u8 = 10;
const LOSS: u8 = 6;
const REWARD: u8 = 1;

/// The world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// The newest final block.
    pub height: u8,
    /// When the hub began to unbond; zero for never.
    pub unbonding: u8,
    /// The expiry of the open channel; zero for none.
    pub expiry: u8,
    /// When the hub equivocated; zero for never.
    pub fault: u8,
    /// Who has committed to a report: the finder, by bit 0; the hub itself, by bit 1.
    pub committed: u8,
    /// Who got the reward: the finder 1, a copier 2, the hub 3; zero for nobody yet.
    pub rewarded: u8,
    /// Whether the stake is gone: back to the hub, or slashed.
    pub free: bool,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// A channel opens that ends at this height.
    Open(u8),
    /// The hub begins to unbond.
    Unbond,
    /// The hub takes its stake back.
    Withdraw,
    /// The hub equivocates.
    Equivocate,
    /// Somebody commits to a key for a report to come.
    Commit(u8),
    /// A report is in a block; who shows it.
    Report(u8),
    /// The next block.
    Block,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Stake {
    /// The last height.
    pub end: u8,
    /// Δ and the period for evidence, together.
    pub evidence: u8,
    /// The rules.
    pub rules: Rules,
}

impl Stake {
    /// The last height at which a report of the fault still counts.
    fn until(&self, world: &World) -> u8 {
        world.expiry + self.evidence
    }

    /// Blocks between unbonding and withdrawal: longest channel expiry, Δ, and the period for evidence.
    fn delay(&self, world: &World) -> u8 {
        let left = world.expiry.saturating_sub(world.unbonding);
        if self.rules.was(Was::StakeLeavesEarly) {
            1
        } else {
            left + self.evidence
        }
    }
}

impl Model for Stake {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Move>) {
        if world.height < self.end {
            actions.push(Move::Block);
        }
        if world.expiry == 0 && world.unbonding == 0 {
            actions.extend([2, 4].map(|blocks| Move::Open(world.height + blocks)));
        }
        if world.unbonding == 0 {
            actions.push(Move::Unbond);
        } else if !world.free && world.height > world.unbonding + self.delay(world) {
            actions.push(Move::Withdraw);
        }
        if world.expiry != 0 && world.fault == 0 && world.height <= world.expiry {
            actions.push(Move::Equivocate);
        }
        // The finder learns of the fault at once and commits first; a copier sees only its report.
        for who in [1, 3] {
            if world.fault != 0 && world.committed & (1 << who) == 0 && (who == 1 || world.committed & 2 != 0) {
                actions.push(Move::Commit(who));
            }
        }
        if world.committed & 2 != 0 && world.rewarded == 0 && world.height <= self.until(world) {
            actions.extend([1, 2, 3].map(Move::Report));
        }
    }

    fn next_state(&self, last: &World, action: Move) -> Option<World> {
        let mut world = *last;
        match action {
            Move::Open(expiry) => world.expiry = expiry,
            Move::Unbond => world.unbonding = world.height.max(1),
            Move::Withdraw => world.free = true,
            Move::Equivocate => world.fault = world.height.max(1),
            Move::Commit(who) => world.committed |= 1 << who,
            Move::Report(who) => {
                let bound = !self.rules.was(Was::RewardToCopier);
                if world.free {
                    return None;
                }
                // The earliest commitment is paid, whoever carries the report into a block.
                world.rewarded = if bound { 1 } else { who };
                world.free = true;
            }
            Move::Block => world.height += 1,
        }
        (world != *last).then_some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always(
                "the stake is there while its fault can be shown",
                |model: &Self, world: &World| {
                    let shown = world.fault != 0 && world.height <= model.until(world);
                    !shown || !world.free || world.rewarded != 0
                },
            ),
            Property::always("the reward is the finder's", |_, world: &World| world.rewarded <= 1),
            Property::always("nobody gains by a fault of its own", |model: &Self, world: &World| {
                // A hub that reports itself in another name gets the reward and loses the stake.
                let reward = if model.rules.was(Was::RewardIsTheStake) {
                    STAKE
                } else {
                    REWARD
                };
                let victims_first = if model.rules.was(Was::RewardIsTheStake) {
                    0
                } else {
                    LOSS
                };
                world.rewarded == 0 || reward < STAKE - victims_first
            }),
            Property::sometimes("a fault is punished", |_, world: &World| world.rewarded == 1),
            Property::sometimes("a stake comes back", |_, world: &World| world.free && world.fault == 0),
        ]
    }
}
