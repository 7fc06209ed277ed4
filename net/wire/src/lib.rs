//! Messages as bytes: framing, layouts and codec, all pure functions over byte slices.
//!
//! ```text
//! plaintext of a session = message*        message = header 16 ([`frame`]) ‖ body of the header's kind ([`messages`])
//! ```
//!
//! A body is read by a *view*: a small value whose lists and signed objects are slices of the buffer that it came from. A
//! view reads back only what its writer writes: padding that is not zero, unknown values, counts beyond their caps or
//! beyond the bytes that are there, and trailing bytes are errors. Nothing is allocated while a body is read.
//!
//! Signed objects (states, leaves, headers, acks, transactions) pass through as bytes of a fixed or announced length
//! ([`lengths`]); `tidegate_channel` and `tidegate_ledger` say what they mean.
//!
//! Nothing here does I/O, keeps a session's order, or knows a payment's rules.

mod cursor;
mod error;
pub mod frame;
mod items;
mod kind;
pub mod lengths;
pub mod messages;

pub use cursor::Reader;
pub use error::WireError;
pub use items::{Item, Items, ItemsIter};
pub use kind::{ErrorCode, Kind};
pub use messages::{Body, ToClient, ToHub, ToPeer};
