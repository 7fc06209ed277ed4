//! Channels that move into successors, with a real hub in this process: real sockets, real files, a real ledger.

#[path = "../rig/mod.rs"]
mod rig;

mod kept_back;
mod moves;
mod refusals;
mod support;
