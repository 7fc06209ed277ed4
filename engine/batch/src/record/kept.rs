//! What is kept of a payee's word after newer ones: see `engine/kept`.

use bytemuck::{Pod, Zeroable};

use crate::slots::Link;

/// A word by which a payee acknowledges a leaf, the locks that are owed by it, and the leaves from the first that credits one of
/// them up to the acknowledged one, as far as the channel's own list has forgotten them.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct KeptRecord {
    /// The digest of the leaf before `first`.
    pub(crate) before: [u8; 32],
    /// The acknowledged leaf.
    pub(crate) digest: [u8; 32],
    /// Under the ack, or the state; zero if only the ledger has seen it.
    pub(crate) signature: [u8; 64],
    pub(crate) locks_root: [u8; 32],
    pub(crate) operations: [u8; 32],
    /// The acknowledged leaf.
    pub(crate) h: u64,
    /// The state's counter; zero if it is an ack.
    pub(crate) c: u64,
    pub(crate) debit: u64,
    pub(crate) locks_sum: u64,
    /// The first leaf that credited one of the locks.
    pub(crate) from: u64,
    /// The leaves that the channel has forgotten, oldest first.
    pub(crate) first: Link,
    pub(crate) last: Link,
    /// How many locks are owed by it.
    pub(crate) owed: u32,
    /// The highest expiry that any of them had.
    pub(crate) expiry: u32,
    /// The payee's channel, plus one.
    pub(crate) payee: Link,
    /// The next newer one of the channel.
    pub(crate) newer: Link,
    /// The next older one of the channel.
    pub(crate) next: Link,
    /// The height at which it came to the ledger; zero if it has not.
    pub(crate) revealed: u32,
}

const _: () = assert!(size_of::<KeptRecord>() == 264);
