//! The client's side of a channel, as a state machine without I/O.
//!
//! [`ClientHalf`] is what the client owes: it turns operations into the next state to sign. [`HubHalf`] is what the hub
//! owes: it checks each leaf against the one before and says what it means. [`Wallet`] joins the two: it pays, takes
//! leaves, settles and drops locks by rule 11, and says when an ack is due.
//!
//! The caller keeps both durable: a state *before* it is sent, a leaf before it is acknowledged.

mod client_half;
mod hash_locks;
mod hub_half;
mod in_locks;
mod joined;
mod restore;

pub use client_half::{ClientHalf, OpenLock, ProposeError};
pub use hash_locks::InLockError;
pub use hub_half::{HubHalf, LeafFault, LeafView, Unfirm};
pub use in_locks::{InMark, OpenInLock};
pub use joined::{LeafEvents, LockStatus, SettleOn, Wallet};
pub use restore::{Base, Held, RestoreError};
