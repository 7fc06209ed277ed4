//! Open-loop load: profiles, prepared workloads, and a generator that measures from the intended send time.
//!
//! ```text
//! profile ─▶ channels file ─▶ (hub: format) ─▶ genesis ─▶ plan ─▶ signed workload ─▶ run ─▶ result
//! ```
//!
//! It speaks to a hub over the real protocol only; it never links the hub's engine.

pub mod channels;
pub mod cli;
pub mod environment;
mod hdr;
pub mod keys;
pub mod plan;
pub mod profile;
mod progress;
pub mod result;
pub mod run;
pub mod slo;
pub mod status;
mod view;
pub mod workload;
