//! Open-loop load: profiles, prepared workloads, and a generator that measures from the intended send time.
//!
//! It speaks to a hub over the real protocol only; it never links the hub's engine.

pub mod profile;
