//! Sealed snapshots: one file that says by itself whether it is whole.
//!
//! ```text
//! ┌ head 64 B ┐┌ part "a" ┐┌ piece ┐┌ last ┐┌ last ┐┌ part "b" ┐┌ last ┐ … ┌ end ┐
//!               └─ a name ─┘└── unit ──────┘└ unit ┘                        └ BLAKE3 of all before ┘
//!
//! head:   0 magic u64   8 crc32c u32 of all that follows   12 version u32   16 zeros
//! block:  0 crc32c u32 of all that follows, payload included    4 length u32 of the payload
//!         8 number u64: 0, 1, 2 …                              16 kind u32   20 zeros   32 payload
//! kinds:  1 a part begins, its name is the payload    2 a piece of a unit, more follows
//!         3 the last piece of a unit                  4 the end, 32 bytes of hash
//! ```
//!
//! A snapshot is parts with names, a part is units: byte strings that the owner gives as they are. It is written under
//! another name ([`unfinished`]), one block behind the other, and gets its own when all of it is durable: a file of
//! that name is whole, or was damaged later. A writing that was interrupted goes on behind its last whole unit
//! ([`SealedWriter::resume`]): each block has its own sum, so no byte is trusted for being there.
//!
//! The sums of the blocks find where damage is, the hash at the end that nothing was put in place of something else.
//! Nothing here knows what a part holds, keeps a secret, or compresses.

mod block;
mod error;
mod read;
mod write;

use std::path::{Path, PathBuf};

pub use error::{SealedError, SealedFault};
pub use read::{SealedItem, SealedReader};
pub use write::{Sealed, SealedWriter};

/// The longest name of a part, in bytes.
pub const PART_NAME_BYTES_MAX: usize = 255;

/// The name under which a snapshot is written until it is whole.
#[must_use]
pub fn unfinished(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}
