//! A real hub whose process is killed, whose disk fails, fills up or loses its power. After each, everything that any client
//! holds is still there.
//!
//! | module | variable (default) |
//! |---|---|
//! | `kills` | `TIDEGATE_CRASH_KILLS`: kills at random moments (20) |
//! | `calls` | `TIDEGATE_CRASH_CALLS`: calls that fail (4; `all` for every kind of call on every kind of file, with every error) |
//! | `power` | `TIDEGATE_CRASH_POWER`: power losses (3) |
//! | `full` | |
//!
//! `TIDEGATE_CRASH_SEED` repeats a run's moments. Where a rig cannot be had (no root, no strace, no loop device) its tests say so
//! and prove nothing.

mod calls;
mod full;
mod kills;
mod power;
mod rig;
