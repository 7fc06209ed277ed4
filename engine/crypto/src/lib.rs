//! Keys, tagged hashing, Merkle trees, and the byte strings that are signed.
//!
//! - [`hash`]: BLAKE3 under one key per purpose, singly or 16 messages at a time;
//! - [`merkle`]: the trees of receipts, lists, locks and state, with paths;
//! - [`keys`]: Ed25519 keys, the public ones in checked form only (protocol rule 3);
//! - [`signed`]: what stands around a body before it is signed (rule 1);
//! - [`verify`]: the one verdict on a signature (rule 4), singly or many at a time.
//!
//! Everything here is a pure function of its arguments. Nothing here does I/O, reads a clock or makes randomness.

pub mod hash;
pub mod keys;
pub mod merkle;
pub mod signed;
pub mod verify;

pub use hash::{Domain, hash_many, hash_many_refs};
pub use keys::{KeyError, PublicKey, SecretKey};
pub use signed::{SignedKind, SignedMessage, signed_message};
