//! Peers that break the rules, against a real hub process.
//!
//! ```text
//! peer       a client that writes any bytes: to the socket, or sealed into the stream of messages
//! target     the hub, two honest clients beside the hostile one, and the proof that they are still served
//! ```
//!
//! What each misdeed is answered with stands in `tests/`, next to the misdeed. Nothing here looks into the hub's process.

pub mod peer;
pub mod target;
