//! Peers that break the rules, against a real hub process.
//!
//! ```text
//! peer       a client that writes any bytes: to the socket, or sealed into the stream of messages
//! target     the hub, two honest clients beside the hostile one, and the proof that they are still served
//! honest     clients that pay each other by a timetable, and how long each payment took
//! memory     the peak of a process, and a limit of the system on it
//! attack     hostile peers by the hundred, of four kinds, for as long as asked
//! crowd      their process
//! turns      how many of a process's threads compute at one time
//! ```
//!
//! What each misdeed is answered with stands in `tests/`, next to the misdeed. Nothing here looks into the hub's process.

pub mod attack;
pub mod crowd;
pub mod honest;
pub mod memory;
pub mod peer;
pub mod target;
pub mod turns;
