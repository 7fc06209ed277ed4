//! A real hub process that is killed, and clients that remember every receipt it gave them.
//!
//! ```text
//! hub        builds and formats, starts, kills and asks the `tidegate` program
//! held       a receipt that a client holds, in a file of its own before it counts
//! load       clients that pay each other as fast as they can until the hub is gone
//! check      which held receipts the hub's own chains and log do not lead to
//! mount      file systems of the rigs' own: a small one, and one whose power can be cut
//! tail       what a loss of power may leave behind the end of a log
//! trace      calls that fail, by strace
//! ```
//!
//! Nothing here looks into the hub's process or its code's memory: what a restarted hub answers, and what stands in its
//! data directory while it is dead, is all that counts.

pub mod check;
pub mod held;
pub mod hub;
pub mod ioctl;
pub mod load;
pub mod mount;
pub mod tail;
pub mod trace;
