//! Words that every room shares: quantities, identifiers, and the one canonical encoding of a value.
//!
//! Quantities are newtypes with private fields and checked arithmetic; nothing here clamps or wraps. Identifiers are
//! opaque bytes. [`codec`] gives each value exactly one fixed-width little-endian encoding, and its decoder refuses
//! every other byte string (protocol rule 1).
//!
//! Nothing here does I/O, reads a clock, or hashes.

mod amount;
pub mod codec;
mod counter;
mod id;

pub use amount::{Amount, AmountError};
pub use codec::{DecodeError, Fixed, Reader, Writer};
pub use counter::{Age, BatchNumber, ClientCounter, Height, HubCounter, LockSlot, UnixMillis};
pub use id::{ChannelId, Digest, KeyBytes, LedgerId, LockId, OutPoint, PaymentId, SignatureBytes, Txid};
