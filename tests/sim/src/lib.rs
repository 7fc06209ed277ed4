//! The hub's durable state under kills and power losses, from one seed.
//!
//! ```text
//! world ── batches of signed inputs ──▶ rig: execute ─▶ log ─▶ checkpoint    over a disk that fails where the seed says
//!   ▲                                        │ reopened
//!   └── leaves, once durable ── model ◀──────┴── check_prefix, check_whole, check_state
//! ```
//!
//! [`world`] is the one generator: wallets, what they sign, when blocks come. [`model`] executes each durable batch once, in
//! memory, with an engine of its own. The checkers know neither the disk nor the generator. [`life`] fails at random,
//! [`sweep`] at every call of the disk in turn.
//!
//! One thread, no clock, no file: a seed names a run for good.

pub mod check_prefix;
pub mod check_state;
pub mod check_whole;
pub mod forged;
pub mod life;
pub mod lying;
pub mod model;
pub mod old_states;
pub mod rig;
pub mod sites;
pub mod sweep;
pub mod tally;
pub mod world;
