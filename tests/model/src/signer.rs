//! One hub's signer through crashes and restored copies (rules 16 and 19).
//!
//! ```text
//! execute ──▶ append ──▶ make durable ──▶ sign ──▶ release        a crash between any two; a copy restored at any time
//! ```
//!
//! The disk keeps what was made durable. A copy of it may be restored once, with the signer's key in it. Every header that
//! was released is known for ever; two different ones with one number prove a fault.

use stateright::{Model, Property};

use crate::short::List;
use crate::was::{Rules, Was};

/// The most batches.
const MOST: usize = 4;

/// A header: what was executed, and the clock when it was sealed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Header {
    inputs: u8,
    time: u8,
}

/// How far the batch at work has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Stage {
    /// No batch is at work.
    #[default]
    Idle,
    /// Executed in memory.
    Executed(Header),
    /// In the log, maybe not on the disk.
    Appended(Header),
    /// On the disk.
    Durable(Header),
    /// Signed, not sent.
    Signed(Header),
    /// Sent before it was durable: trace 7.
    Early(Header),
}

/// The world.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct World {
    /// The headers in the log that would survive a crash.
    pub disk: List<Header, MOST>,
    /// A copy of the disk that somebody made; its length.
    pub copy: Option<u8>,
    /// True after the copy was put back.
    pub restored: bool,
    /// True if the signer has been retired: a new key, the channels closed.
    pub retired: bool,
    /// The batch at work.
    pub stage: Stage,
    /// What the world has seen, by number; a second, different header for a number is the fault.
    pub seen: List<Header, MOST>,
    /// True if two different headers with one number are out.
    pub fault: bool,
    /// Crashes so far.
    pub crashes: u8,
    /// The clock: it moves with every crash.
    pub time: u8,
}

/// One step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Move {
    /// Executes these inputs: a later run may get others.
    Execute(u8),
    /// The batch at work goes one stage on.
    Advance,
    /// The process dies and starts again.
    Crash,
    /// Somebody copies the directory.
    Copy,
    /// Somebody puts the copy back.
    Restore,
}

/// The model.
#[derive(Clone, Copy, Debug)]
pub struct Signer {
    /// The most batches.
    pub batches: u8,
    /// The most crashes.
    pub crashes: u8,
    /// The rules.
    pub rules: Rules,
}

impl Signer {
    fn advance(&self, world: &mut World) {
        let early = self.rules.was(Was::SignsBeforeDurable);
        world.stage = match world.stage {
            Stage::Idle => Stage::Idle,
            Stage::Executed(header) => Stage::Appended(header),
            Stage::Appended(header) if early => Stage::Signed(header),
            Stage::Appended(header) => {
                world.disk.push(header);
                Stage::Durable(header)
            }
            Stage::Durable(header) => Stage::Signed(header),
            Stage::Signed(header) if early => {
                Self::release(world, world.disk.len(), header);
                Stage::Early(header)
            }
            Stage::Signed(header) => {
                Self::release(world, world.disk.len() - 1, header);
                Stage::Idle
            }
            Stage::Early(header) => {
                world.disk.push(header);
                Stage::Idle
            }
        };
    }

    fn release(world: &mut World, number: u8, header: Header) {
        if number < world.seen.len() {
            world.fault |= world.seen.at(number + 1) != header;
        } else {
            world.seen.push(header);
        }
    }

    /// After a start the last durable batch may not be out yet: it is signed and released again, the same bytes.
    fn restart(&self, world: &mut World) {
        world.stage = Stage::Idle;
        if !world.disk.is_empty() && world.disk.len() >= world.seen.len() && !world.retired {
            let last = world.disk.last();
            Self::release(world, world.disk.len() - 1, last);
        }
    }
}

impl Model for Signer {
    type State = World;
    type Action = Move;

    fn init_states(&self) -> Vec<World> {
        vec![World::default()]
    }

    fn actions(&self, world: &World, actions: &mut Vec<Move>) {
        let room = world.disk.len() < self.batches && world.seen.len() < self.batches;
        if world.stage == Stage::Idle && room && !world.retired {
            actions.extend([Move::Execute(1), Move::Execute(2)]);
        }
        if world.stage != Stage::Idle {
            actions.push(Move::Advance);
        }
        if world.crashes < self.crashes {
            actions.push(Move::Crash);
        }
        if world.copy.is_none() {
            actions.push(Move::Copy);
        } else if !world.restored && world.stage == Stage::Idle {
            actions.push(Move::Restore);
        }
    }

    fn next_state(&self, last: &World, action: Move) -> Option<World> {
        let mut world = *last;
        match action {
            Move::Execute(inputs) => {
                let time = world.time;
                world.stage = Stage::Executed(Header { inputs, time });
            }
            Move::Advance => self.advance(&mut world),
            Move::Crash => {
                world.crashes += 1;
                world.time += 1;
                self.restart(&mut world);
            }
            Move::Copy => world.copy = Some(world.disk.len()),
            Move::Restore => {
                let mut disk = List::default();
                for header in &world.disk.as_slice()[..usize::from(world.copy?)] {
                    disk.push(*header);
                }
                world.disk = disk;
                world.restored = true;
                world.retired = !self.rules.was(Was::RestoredCopySigns);
                self.restart(&mut world);
            }
        }
        Some(world)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("an honest hub commits no fault", |_, world: &World| !world.fault),
            Property::always(
                "what is out is durable, or the signer is retired",
                |_, world: &World| world.retired || world.disk.as_slice().starts_with(world.seen.as_slice()),
            ),
            Property::sometimes("a batch gets out after a crash", |_, world: &World| {
                world.crashes > 0 && world.seen.len() > 1
            }),
        ]
    }
}
