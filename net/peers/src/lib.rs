//! Whom a hub knows of, whom it is linked to, and whom it wants nothing to do with: other hubs.
//!
//! ```text
//!  seeds ─▶ Table (bucketed; new, tried) ◀─ addresses that peers tell, as far as their source may
//!              │ select                            ▲
//!              ▼                                   │
//!           Network ── dial, send, close ──▶ the program around it, which has the sockets
//!              ▲            Scores: points that decay, bans that end      Lists: allowed, denied
//!              └── opened, message, closed, tick
//! ```
//!
//! Everything here is a function of what it was told: bytes, identities, addresses and the time are arguments, and what is to be
//! done is returned as [`Action`]s. Nothing here opens a socket, reads a clock or a file, or draws random numbers: they follow
//! from a seed that the program draws once.

mod group;
mod keepalive;
mod kept;
mod limit;
mod lists;
mod network;
mod place;
mod random;
mod score;
mod table;
mod witness;

pub use group::Group;
pub use kept::{Kept, KeptError};
pub use lists::{Lists, Rule, RuleError};
pub use network::{Action, Bounds, Ended, LinkId, LinkView, Network, Setup};
pub use place::Place;
pub use random::Random;
pub use score::{Offence, Scores};
pub use table::Table;
pub use witness::{Contradiction, Witness};

/// A moment in milliseconds of a clock that never goes back: what happens within one run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(u64);

impl Moment {
    /// So many milliseconds after the fixed moment.
    #[must_use]
    pub const fn new(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds from `earlier` to here; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }

    /// `millis` later.
    #[must_use]
    pub const fn after(self, millis: u64) -> Self {
        Self(self.0.saturating_add(millis))
    }
}

/// A minute of Unix time: what is kept over restarts and told to others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Minute(u32);

impl Minute {
    /// The minute of this number.
    #[must_use]
    pub const fn new(minutes: u32) -> Self {
        Self(minutes)
    }

    /// Minutes since 1970.
    #[must_use]
    pub const fn get(self) -> u32 {
        self.0
    }

    /// Minutes from `earlier` to here; zero if it is not earlier.
    #[must_use]
    pub const fn since(self, earlier: Self) -> u32 {
        self.0.saturating_sub(earlier.0)
    }

    /// `minutes` earlier; 1970 if that is before it.
    #[must_use]
    pub const fn before(self, minutes: u32) -> Self {
        Self(self.0.saturating_sub(minutes))
    }
}
