//! R11: an old state never wins while the honest side or its tower is up before the deadline. Real code, one thread, one seed.
//!
//! ```text
//! story ── payments, acks, preimages ──▶ hub (engine, log) ◀─▶ clients (wallets, journals) ──packages──▶ tower (store)
//!   │ every state that could be shown is kept                                                              │
//!   └▶ close: one of them is started at any height ──▶ ledger (chain, pool, branches) ◀── whoever guards ──┘
//! ```
//!
//! One trial is one close of one channel of a hub with two. Either side may be the one that starts it with an old state, and may
//! show another one later. The other side is honest: its guard is the hub's own watchtower ([`tidegate_hub::watch`] over the
//! engine), a tower ([`tidegate_tower`]) or a wallet that its owner opens again. A guard is away up to any height before the
//! deadline, or comes early and goes once what it showed is final; it may be restarted from what it holds on its disk at every
//! height, and the ledger may fall back to a competing branch at every height, down to the last final block.
//!
//! [`close`] plays it, and [`End`] says how the honest side has lost, if it has: by what stands on the ledger when the close is
//! settled, and by what it is paid. No clock, no socket, no file.

pub mod close;
pub mod hub;
pub mod ledger;
pub mod party;
pub mod story;
pub mod tally;
pub mod tower;

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_types::Amount;

pub use close::trial;
pub use tally::Tally;

/// Δ of every channel here, in blocks.
pub const WINDOW: u32 = 8;
/// δ of every channel here.
pub const GRACE: u32 = 3;
/// Of each channel.
pub const CAPACITY: u64 = 2_000_000;
/// Of each payment: large beside all that a close can cost, so that no loss hides in the fees.
pub const AMOUNT: u64 = 60_000;
/// A close begins at most so many blocks after the last payment.
pub const LATEST_START: u32 = 12;

/// Who looks after the honest side.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guard {
    /// The honest side is the hub.
    Hub,
    /// It is a client, whose tower is up.
    Tower,
    /// It is a client, whose wallet is opened in time.
    Wallet,
}

/// What happens beside the close.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Trouble {
    /// Guards are restarted.
    pub restarts: bool,
    /// The ledger falls back.
    pub reorgs: bool,
}

/// When the guard is up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Up {
    /// From so many blocks before the deadline on; 1 is the last moment.
    From(u32),
    /// From the start, until what it has shown is final.
    Early,
}

/// What a seed has chosen.
#[derive(Clone, Copy, Debug)]
pub struct Plan {
    /// Who guards.
    pub guard: Guard,
    /// What happens beside it.
    pub trouble: Trouble,
    /// When the guard is up.
    pub up: Up,
    /// Blocks that may be undone.
    pub depth: u32,
    /// Blocks between the story and the start of the close.
    pub start_after: u32,
    /// Batches at the end of the story whose receipts the honest client never got.
    pub missed: usize,
}

/// How a trial ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct End {
    /// How many newer states there were than the one that was shown first.
    pub age: usize,
    /// The height of the start above the end of the story.
    pub started_after: u32,
    /// Whether the guard had to correct what was shown.
    pub corrected: bool,
    /// How often the ledger fell back while the close stood.
    pub reorgs: u32,
    /// How often a guard was restarted while the close stood.
    pub restarts: u32,
    /// How the honest side has lost, if it has.
    pub loss: Option<String>,
}

/// Chance, from a seed.
#[derive(Debug)]
pub struct Dice(ChaCha8Rng);

impl Dice {
    /// The dice of a trial.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0.random_range(0..end)
    }

    /// A height below `end`.
    pub fn blocks(&mut self, end: u32) -> u32 {
        self.0.random_range(0..end)
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: usize) -> bool {
        self.below(of) == 0
    }
}

impl Plan {
    /// Chooses.
    pub fn draw(dice: &mut Dice) -> Self {
        let guard = [Guard::Hub, Guard::Tower, Guard::Wallet][dice.below(3)];
        let trouble = Trouble {
            restarts: dice.once_in(2),
            reorgs: dice.once_in(2),
        };
        let depth = if trouble.reorgs { 2 } else { dice.blocks(3) };
        let up = match dice.below(4) {
            0 => Up::Early,
            1 => Up::From(1),
            _ => Up::From(1 + dice.blocks(WINDOW)),
        };
        Self {
            guard,
            trouble,
            up,
            depth,
            start_after: dice.blocks(LATEST_START),
            missed: if guard == Guard::Hub { 0 } else { dice.below(3) },
        }
    }
}

pub(crate) fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("the amounts here are small")
}
