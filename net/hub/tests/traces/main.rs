//! The traces that earlier drafts of the rules did not survive (tests/conformance/README.md), each as an attack on a real hub: real
//! sockets, real files, a real ledger. After each the books are looked at: no value is made or lost, and every honest party has
//! what it is due.

#[path = "../rig/mod.rs"]
mod rig;

mod amounts;
mod crowd;
mod faults;
mod forged;
mod keys;
mod locks;
mod openings;
mod outlived;
mod replays;
mod support;
mod unacknowledged;
