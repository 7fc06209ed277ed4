//! The records of the state, as they lie in the tables and in a checkpoint.
//!
//! Each is a `Pod` of whole words. Links are indices plus one into the table of the linked record. A channel that nobody
//! has used is one [`ChannelRecord`] of 96 bytes; the others have a [`LiveRecord`] and a [`SignedRecord`] more. Lists: a
//! channel's last leaves (oldest first, each with its credits), its open locks (by slot, through its lock page), and its answers
//! (pages of closed payment ids, oldest first).

use core::mem::offset_of;
use core::ops::Range;

use bytemuck::{Pod, Zeroable};
use tidegate_channel::ChannelEntry;
use tidegate_crypto::merkle::{FirstLocks, LockTree};

use crate::slots::{Allocation, Link, Linked};

pub(crate) mod in_lock;
pub(crate) mod kept;

/// A channel can be paid and pay.
pub(crate) const ACTIVE: u32 = ChannelEntry::ACTIVE;
/// The final leaf has been made; nothing moves any more.
pub(crate) const FROZEN: u32 = ChannelEntry::CLOSING;
/// The ledger has paid both sides.
pub(crate) const SETTLED: u32 = ChannelEntry::SETTLED;
/// One side closes it on the ledger; nothing moves any more.
pub(crate) const DISPUTED: u32 = ChannelEntry::DISPUTED;

/// What the whole state starts from.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct MetaRecord {
    pub(crate) hub: [u8; 32],
    pub(crate) ledger: [u8; 32],
    pub(crate) header_digest: [u8; 32],
    pub(crate) block_hash: [u8; 32],
    pub(crate) batch: u64,
    pub(crate) time: u64,
    pub(crate) height: u32,
    pub(crate) channels: u32,
    /// Channels that have a live record.
    pub(crate) live: u32,
    /// Terms in the dictionary.
    pub(crate) terms: u32,
    pub(crate) pages: Allocation,
    pub(crate) locks: Allocation,
    pub(crate) named: Allocation,
    pub(crate) leaves: Allocation,
    pub(crate) bodies: Allocation,
    pub(crate) credits: Allocation,
    pub(crate) answers: Allocation,
    pub(crate) in_pages: Allocation,
    pub(crate) in_locks: Allocation,
    pub(crate) in_changes: Allocation,
    pub(crate) wide_pages: Allocation,
    pub(crate) kept: Allocation,
    /// In-locks that payees hold at present.
    pub(crate) in_open: u32,
    pub(crate) reserved: u32,
    pub(crate) policy: [u8; 40],
    pub(crate) salt_secret: [u8; 32],
}

/// What there is of every channel, used or not: its name, what of its terms is its own, and where the rest lies.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ChannelRecord {
    pub(crate) id: [u8; 32],
    pub(crate) client: [u8; 32],
    pub(crate) capacity: u64,
    pub(crate) opening_share: u64,
    /// The terms that it shares with others.
    pub(crate) terms: Link,
    pub(crate) nonce: u32,
    pub(crate) funding_vout: u32,
    /// Its [`LiveRecord`] and its [`SignedRecord`]; zero until a batch first touches the channel.
    pub(crate) live: Link,
}

/// What changes with each payment. Channels that nobody has used have none: all of it follows from their name.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct LiveRecord {
    // The sums and counters of both halves: one line of memory.
    pub(crate) c: u64,
    pub(crate) debit: u64,
    pub(crate) out_locks: u64,
    pub(crate) h: u64,
    pub(crate) firm: u64,
    pub(crate) unfirm: u64,
    pub(crate) in_locks: u64,
    pub(crate) acked_h: u64,
    // Their digests.
    pub(crate) state_digest: [u8; 32],
    pub(crate) leaf_digest: [u8; 32],
    // Links, and what is counted along them.
    pub(crate) ack_h: u64,
    pub(crate) ack_message_h: u64,
    pub(crate) status: u32,
    pub(crate) page: Link,
    pub(crate) leaf_oldest: Link,
    pub(crate) leaf_newest: Link,
    /// The oldest leaf that is not acknowledged in time. No credit waits before it, so what an ack changes begins here, not
    /// 64 leaves back.
    pub(crate) leaf_unacked: Link,
    pub(crate) leaf_count: u32,
    pub(crate) unfirm_count: u32,
    pub(crate) answer_oldest: Link,
    pub(crate) answer_newest: Link,
    /// The lowest expiry among the credits that wait: nothing can be void before.
    pub(crate) expiry_min: u32,
    /// The open in-locks, if there are any.
    pub(crate) in_page: Link,
    /// The newest leaf that was acknowledged in time, whose rest is kept: in a dispute the hub shows it.
    pub(crate) leaf_kept: Link,
    // The rest.
    pub(crate) ack_message_digest: [u8; 32],
    /// The newest batch that touched the channel, and its place there: see `engine/touch`.
    pub(crate) touched_batch: u64,
    pub(crate) touched_at: u32,
    /// The newest of its kept words: see `engine/kept`.
    pub(crate) kept: Link,
    pub(crate) more_reserved: [u32; 4],
}

/// What is written with each payment and read when somebody asks. It has the link of its channel's [`LiveRecord`].
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct SignedRecord {
    /// The leaf that the newest state acknowledges, its K and its header height. The leaf itself may be forgotten.
    pub(crate) ack_digest: [u8; 32],
    pub(crate) ack_firm: u64,
    pub(crate) ack_height: u32,
    /// The [`NamedRecord`] with the transaction of its successor, if its final leaf names one.
    pub(crate) successor: Link,
    /// The fee that a closing channel's final terms name.
    pub(crate) closing_fee: u64,
    pub(crate) more_reserved: u64,
    pub(crate) state_signature: [u8; 64],
    pub(crate) operations: [u8; 32],
    /// Digest of the leaf before the oldest one held.
    pub(crate) leaf_before: [u8; 32],
    /// The client's newest `Ack`.
    pub(crate) ack_message_signature: [u8; 64],
}

/// Terms that channels share. Those of a genesis differ in their clients' keys and little else, so millions of channels
/// have one such record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct TermsRecord {
    /// Hub, payouts of both sides, emergency, delegate. Zero also where it is the client's own key: see `own`.
    pub(crate) keys: [[u8; 32]; 5],
    pub(crate) client_reserve: u64,
    pub(crate) hub_reserve: u64,
    pub(crate) dispute_window: u32,
    pub(crate) evidence_grace: u32,
    pub(crate) expiry: u32,
    /// One bit for each of the keys that is the client's.
    pub(crate) own: u32,
    pub(crate) funding_txid: [u8; 32],
}

const _: () = {
    assert!(size_of::<ChannelRecord>() == 96);
    assert!(size_of::<LiveRecord>() == 256, "four lines of memory");
    assert!(size_of::<SignedRecord>() == 256, "four lines of memory");
    assert!(size_of::<PageRecord>() == 192, "three lines");
    assert!(size_of::<LockRecord>() == 128, "two lines");
    assert!(size_of::<LeafRecord>() == 128, "two lines");
    assert!(size_of::<BodyRecord>() == 192, "three lines");
    assert!(size_of::<CreditRecord>() == 72);
};

/// The open locks of a channel by slot, with what is kept of their tree: those of the first eight slots here, others in a
/// [`WidePageRecord`]. Few channels ever have one.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct PageRecord {
    /// The groups are right only while there is no wide page, the root always.
    pub(crate) tree: FirstLocks,
    pub(crate) locks: [Link; FirstLocks::SLOTS],
    /// The first four bytes of each lock's payment id.
    pub(crate) prints: [u32; FirstLocks::SLOTS],
    /// One bit per open lock, of all 64 slots.
    pub(crate) open: u64,
    pub(crate) next: Link,
    /// From the first lock beyond the first slots on, as long as there are locks.
    pub(crate) wide: Link,
    pub(crate) reserved: [u32; 4],
}

/// The open locks of a channel beyond its first slots, with the tree of all.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct WidePageRecord {
    pub(crate) tree: LockTree,
    /// By slot; zero in the first ones, which the page has.
    pub(crate) locks: [Link; 64],
    pub(crate) prints: [u32; 64],
    pub(crate) next: Link,
    pub(crate) reserved: u32,
}

impl WidePageRecord {
    /// The bytes that say which locks there are.
    pub(crate) const SLOTS: Range<usize> = offset_of!(Self, locks)..offset_of!(Self, next);
}

/// One open lock of a payer.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct LockRecord {
    pub(crate) id: [u8; 32],
    pub(crate) payment_id: [u8; 16],
    pub(crate) amount: u64,
    pub(crate) fee: u64,
    /// Counter of the adding state.
    pub(crate) c: u64,
    /// Batch in which it was added.
    pub(crate) batch: u64,
    /// The payee's leaf that credits it; of a hash lock the link to its in-lock, if the payee was offered one.
    pub(crate) credited_h: u64,
    /// The payee's channel, plus one, if it was credited.
    pub(crate) payee_link: Link,
    pub(crate) expiry: u32,
    /// The outcome as two bytes.
    pub(crate) outcome: [u8; 2],
    /// What its payment is told apart by from another of the same id: see `ClosedPayment`.
    pub(crate) content: [u8; 6],
    /// The condition: 1 for an ack, 2 for a preimage.
    pub(crate) condition: u8,
    /// What became of the payee's credit: [`WAITING`], [`FIRM`] or [`VOID`].
    pub(crate) fate: u8,
    pub(crate) reserved: [u8; 2],
    /// Its [`NamedRecord`], if payee and condition do not follow from the payee's channel.
    pub(crate) named: Link,
    pub(crate) next: Link,
    /// The kept word of its payee by which it is owed, if there is one.
    pub(crate) kept: Link,
    pub(crate) more_reserved: [u32; 2],
}

/// Whom a lock names, where that is no channel which was credited, and the payment hash of a hash lock. Or, as `hash` alone, the
/// transaction of a channel's successor.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct NamedRecord {
    pub(crate) payee: [u8; 32],
    pub(crate) payee_channel: [u8; 32],
    pub(crate) hash: [u8; 32],
    pub(crate) next: Link,
    pub(crate) reserved: u32,
}

/// One of a channel's last leaves: what proofs and acknowledgements name. Its credited root follows from its credits.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct LeafRecord {
    pub(crate) digest: [u8; 32],
    pub(crate) private_digest: [u8; 32],
    pub(crate) h: u64,
    /// K as of this leaf.
    pub(crate) firm: u64,
    pub(crate) credits: Link,
    /// The rest, until a later leaf is acknowledged, or as long as it lives if locks failed in it.
    pub(crate) body: Link,
    pub(crate) next: Link,
    /// `ack_by` as of this leaf; zero if nothing waited.
    pub(crate) ack_by: u32,
    /// The ledger height of its batch.
    pub(crate) height: u32,
    /// What it did to in-locks, until it is acknowledged.
    pub(crate) in_changes: Link,
    pub(crate) reserved: [u32; 6],
}

/// The rest of a leaf: what is in neither its channel's record nor its own.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct BodyRecord {
    pub(crate) outcomes_root: [u8; 32],
    pub(crate) failed_root: [u8; 32],
    pub(crate) in_locks_root: [u8; 32],
    /// The state that it acknowledges.
    pub(crate) state_digest: [u8; 32],
    pub(crate) c: u64,
    pub(crate) unfirm: u64,
    pub(crate) in_locks: u64,
    /// Credits of this leaf that are neither firm nor void.
    pub(crate) waiting: u64,
    pub(crate) waiting_count: u32,
    /// The lowest expiry among them.
    pub(crate) expiry_min: u32,
    /// One if it is the channel's last: its terms follow from the channel.
    pub(crate) is_final: u32,
    pub(crate) next: Link,
    pub(crate) reserved: [u32; 4],
}

/// One credit of a leaf. Its salt follows from the lock.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct CreditRecord {
    pub(crate) id: [u8; 32],
    pub(crate) payment_id: [u8; 16],
    pub(crate) amount: u64,
    pub(crate) expiry: u32,
    pub(crate) next: Link,
    /// The payer's lock record, if it still holds that lock.
    pub(crate) lock: Link,
    /// [`WAITING`], [`FIRM`] or [`VOID`].
    pub(crate) fate: u32,
}

/// No ack was taken yet.
pub(crate) const WAITING: u32 = 0;
/// An ack was taken in time: the payment is owed.
pub(crate) const FIRM: u32 = 1;
/// The lock expired without one.
pub(crate) const VOID: u32 = 2;

/// How many closed payments one page remembers.
pub(crate) const ANSWERS_PER_PAGE: usize = 14;

/// One closed payment.
#[derive(Clone, Copy, Debug, Default, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct ClosedPayment {
    pub(crate) payment_id: [u8; 16],
    /// The first bytes of a hash of payee, amount and condition.
    pub(crate) content: [u8; 6],
    pub(crate) outcome: [u8; 2],
    /// The counter at which it was closed.
    pub(crate) c: u64,
}

/// Closed payments of a channel, in the order of their closing.
#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct AnswerRecord {
    /// The first four bytes of each payment id, so that a new id is told apart by one line of memory a page.
    pub(crate) prints: [u32; ANSWERS_PER_PAGE],
    pub(crate) first: u8,
    pub(crate) end: u8,
    pub(crate) reserved: [u8; 2],
    pub(crate) next: Link,
    pub(crate) payments: [ClosedPayment; ANSWERS_PER_PAGE],
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
linked!(
    PageRecord,
    WidePageRecord,
    LockRecord,
    NamedRecord,
    LeafRecord,
    BodyRecord,
    CreditRecord,
    AnswerRecord,
    kept::KeptRecord
);
