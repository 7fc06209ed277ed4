//! Versions of records that one writer makes and any number of readers see, without a lock on either side.
//!
//! ```text
//! slot     tag 0 | tag 1 | older | words of version 0 | words of version 1
//! entry    tag   | older | words                               a version that was moved out of its slot, in the pool
//! ```
//!
//! A tag is the number of the batch that made the version; zero: there is none. `older` leads to the newest entry of the slot,
//! and from there to older ones.
//!
//! # Definitions
//!
//! - *Published*: the number P that [`Writer::publish`] was last given. Versions of batches above P are nobody's yet.
//! - *Snapshot s*: for every slot its version with the highest tag that is not above s.
//! - *Needed*: N, the lower of P and of all pinned snapshots. Whoever pins later pins a snapshot ≥ P ≥ N, so N only rises.
//!
//! # Invariants
//!
//! 1. Only the writer stores to slots and entries; within one slot tags only rise, and none comes twice but as *busy*.
//! 2. The writer begins a version of batch w only after all batches below w were begun, and publishes w only after the last
//!    version of w was written.
//! 3. A version that snapshot N or a later one needs is in its slot or in the chain of `older`. The writer overwrites the older
//!    of the two versions, a, of a slot {a, b}; if N < b, some snapshot from a to b - 1 may be read, so a is first copied to
//!    an entry, and the entry linked. An entry is used again only when N ≥ b.
//!
//! # Why a reader sees its snapshot and nothing else
//!
//! *Every version ≤ s is there when the reader begins, and stays.* It loaded P = s with acquire after the writer's release, so
//! all that batches ≤ s wrote happened before (invariant 2). The pin keeps N ≤ s: the reader stores its pin, then a fence,
//! then loads P again and starts over if it has moved; the writer loads P, then a fence, then looks at the pins. One of the two
//! fences is first: either the writer sees the pin, or the reader sees a P that is not older than the writer's, whoever
//! stored it.
//!
//! *It takes the right version.* It loads both tags and takes the higher of those ≤ s. Versions that appear later have tags
//! above s and change nothing of that choice. If neither is ≤ s, the version was moved to the chain, whose link the reader
//! sees: each of the writer's stores to a tag is a release that follows the store of the link. Entries of the chain have
//! falling tags, each is needed by s or by a later snapshot until the first one ≤ s, so by invariant 3 none of them is
//! used again under the reader.
//!
//! *It takes it whole.* Words are copied one by one, relaxed, between two loads of the tag with a fence before the second. The
//! writer stores *busy*, then a fence, then words, then the new tag with release. If the reader got a word of the new version,
//! the fences order *busy* before its second load, which so finds another tag, and the reader looks again; the version that it
//! wants is in the chain by then. (A reader of an entry needs no second look: entries that it can reach do not change.)
//!
//! A reader looks again only when the writer has overwritten this very slot meanwhile, at most once per batch: readers are lock
//! free, and the writer never waits for them: it looks at the pins and goes on.
//!
//! The model checker goes through all interleavings of this with three threads (`model`), schedules are drawn for the engine with
//! its log and its readers (`schedules`), and `tests/history.rs` has readers compare what they see with what each batch left.
//!
//! All memory is atomics, so nothing here is `unsafe`. What is here is derived from the tables and in no checkpoint.

mod atomic;
mod pins;
mod pool;
mod slab;
mod snapshot;

#[cfg(test)]
mod model;
#[cfg(test)]
mod schedules;

pub use pins::ReadersFull;
pub use slab::Writer;
pub use snapshot::{Reader, Snapshot};
