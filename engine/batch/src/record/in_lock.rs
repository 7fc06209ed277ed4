//! The records of hash locks on the payee's side. A channel that was never offered one has none of them.
//!
//! An in-lock has two holders: the payee's page, until it is fulfilled, released or expired, and the payer's lock, until the
//! payer has settled or dropped it. Its record lives as long as either. One that waits for another hub has its payer alone.

use core::mem::offset_of;
use core::ops::Range;

use bytemuck::{Pod, Zeroable};
use tidegate_crypto::merkle::LockTree;

use crate::slots::{Link, Linked};

/// The payee's page holds the in-lock.
pub(crate) const BY_PAYEE: u8 = 1;
/// The payer's lock names the in-lock.
pub(crate) const BY_PAYER: u8 = 2;

/// Its preimage is not known.
pub(crate) const WAITS: u8 = 0;
/// Its preimage is known: it is owed on both sides.
pub(crate) const MET: u8 = 1;
/// Its payee has given it up: no preimage meets it any more, though the payer may not have dropped it yet.
pub(crate) const RELEASED: u8 = 2;

/// The open in-locks of a channel by slot, with their tree.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct InPageRecord {
    pub(crate) tree: LockTree,
    pub(crate) locks: [Link; 64],
    /// The first four bytes of each lock's id.
    pub(crate) prints: [u32; 64],
    /// Who pays each: the channel's number plus one.
    pub(crate) payers: [u32; 64],
    /// One bit per open in-lock.
    pub(crate) open: u64,
    /// The lowest expiry among them: nothing can expire before.
    pub(crate) expiry_min: u32,
    pub(crate) next: Link,
}

impl InPageRecord {
    /// The bytes that say which in-locks there are.
    pub(crate) const SLOTS: Range<usize> = offset_of!(Self, prints)..size_of::<Self>();
}

/// One lock that waits, or waited, for its payee's preimage.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct InLockRecord {
    pub(crate) id: [u8; 32],
    pub(crate) payment_id: [u8; 16],
    pub(crate) hash: [u8; 32],
    /// Once it is known; zero before. Nobody knows the hash that zero meets by chance, and who does may use it.
    pub(crate) preimage: [u8; 32],
    /// What stands in its slot of the tree.
    pub(crate) digest: [u8; 32],
    pub(crate) amount: u64,
    /// Batch in which it was offered.
    pub(crate) batch: u64,
    /// The numbers of both channels; `u32::MAX` for a payee at another hub.
    pub(crate) payer: u32,
    pub(crate) payee: u32,
    pub(crate) payer_lock: Link,
    pub(crate) expiry: u32,
    /// [`BY_PAYEE`] and [`BY_PAYER`].
    pub(crate) held: u8,
    /// Its slots in the payee's and in the payer's page.
    pub(crate) payee_slot: u8,
    pub(crate) payer_slot: u8,
    /// [`WAITS`], [`MET`] or [`RELEASED`].
    pub(crate) fate: u8,
    pub(crate) next: Link,
}

/// One step that a leaf made from the in-locks before it, kept as long as its client has not acknowledged the leaf.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct InChangeRecord {
    pub(crate) change: [u8; 104],
    /// Of a release its payee's signature, by which the ledger believes it; else zero.
    pub(crate) release: [u8; 64],
    pub(crate) next: Link,
    pub(crate) reserved: u32,
}

macro_rules! linked {
    ($($record:ty),*) => {$(
        impl Linked for $record {
            fn next(&self) -> Link {
                self.next
            }

            fn set_next(&mut self, next: Link) {
                self.next = next;
            }
        }
    )*};
}
linked!(InPageRecord, InLockRecord, InChangeRecord);
