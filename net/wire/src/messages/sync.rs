//! `Sync`, `SyncAnswer`, `Refresh`: how a client that was away, or has lost its data, finds its channel again.
//!
//! ```text
//! answer   channel 32 | status 1 | 0 × 3 | flags u16 | in-locks u16 | terms u32 | operations u32 | locks u32 | leaves u32 | answers u32
//!          funding outpoint 36
//!          terms | state 160, signature 64 if flag bit 0 | operations | locks × 144 | leaf* | answers × 64
//!          signed header 248, receipt entry, if flag bit 1
//!          in-locks × 104, each as the change that offers it
//! lock     c of the adding state 8 | the adding operation 136
//! leaf     credits u32 | outcomes u32 | flags u32 | in-lock changes u32 | private 216 | public 96 | credits × 80
//!          outcomes × 96 | in-lock changes × 104 | final terms 96 if flag bit 2                            flag bits 0, 1: credits, outcomes are still held
//! ```

use tidegate_types::{
    ChannelId, ClientCounter, DecodeError, Fixed, HubCounter, OutPoint, SignatureBytes, fixed_struct,
};

use super::ledger::small_enum;
use super::{Body, ReceiptEntry, StoredAnswer};
use crate::cursor::{Put, Take};
use crate::lengths::{
    ADD_LEN, CREDIT_LEN, FINAL_TERMS_LEN, IN_CHANGE_LEN, LEAF_PRIVATE_LEN, LEAF_PUBLIC_LEN, MAX_CREDITS,
    MAX_IN_CHANGES, MAX_LEAVES, MAX_OPEN_LOCKS, MAX_OPERATIONS_LEN, MAX_OUTCOMES, MAX_STORED_ANSWERS, MAX_TERMS_LEN,
    OUTCOME_LEN, SIGNED_HEADER_LEN, STATE_LEN,
};
use crate::{Item, Items, Kind, Reader, WireError};

/// A client asks for what it missed: `channel 32 | c u64 | h u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sync {
    /// The channel.
    pub channel: ChannelId,
    /// The newest state that the client knows to be accepted; zero for none.
    pub state: ClientCounter,
    /// The newest leaf that it has; zero for none.
    pub leaf: HubCounter,
}
fixed_struct!(Sync {
    channel: ChannelId,
    state: ClientCounter,
    leaf: HubCounter
});

/// A client asks for a new leaf, which comes as a `Receipt`: `channel 32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refresh {
    /// The channel.
    pub channel: ChannelId,
}
fixed_struct!(Refresh { channel: ChannelId });

macro_rules! fixed_body {
    ($name:ident) => {
        impl<'a> Body<'a> for $name {
            const KIND: Kind = Kind::$name;

            fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
                Ok(<Self as Fixed>::read(r)?)
            }

            fn put(&self, out: &mut Vec<u8>) {
                self.append_to(out);
            }
        }
    };
}
fixed_body!(Sync);
fixed_body!(Refresh);

small_enum! {
    /// Where a channel is in its life.
    ChannelStatus: "channel status" {
        /// The funding output is not final.
        Opening = 1,
        /// Payments pass.
        Active = 2,
        /// The final leaf stands; nothing passes.
        Closing = 3,
        /// A close has begun on the ledger.
        Disputed = 4,
        /// The output was spent.
        Closed = 5,
    }
}

/// The newest client state that the hub holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldState<'a> {
    /// The state `C`.
    pub state: &'a [u8; STATE_LEN],
    /// The client's signature over it.
    pub signature: &'a SignatureBytes,
}

/// An open out-lock of the newest state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldLock {
    /// The counter of the state that added it.
    pub added: ClientCounter,
    /// The operation that added it.
    pub add: [u8; ADD_LEN],
}
fixed_struct!(HeldLock {
    added: ClientCounter,
    add: [u8; ADD_LEN]
});

/// A leaf without its path: its place in the chain of digests authenticates it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncLeaf<'a> {
    /// The private part.
    pub private: &'a [u8; LEAF_PRIVATE_LEN],
    /// The public part.
    pub public: &'a [u8; LEAF_PUBLIC_LEN],
    /// Under the credited root in order, if the hub still holds them; it does for every leaf that waits for an ack.
    pub credits: Option<&'a [[u8; CREDIT_LEN]]>,
    /// Under the outcomes root in order, if the hub still holds them.
    pub outcomes: Option<&'a [[u8; OUTCOME_LEN]]>,
    /// What it did to in-locks, in order; held as long as the credits are.
    pub in_changes: &'a [[u8; IN_CHANGE_LEN]],
    /// What a final leaf promises.
    pub final_terms: Option<&'a [u8; FINAL_TERMS_LEN]>,
}

impl<'a> Item<'a> for SyncLeaf<'a> {
    const MIN_LEN: usize = 16 + LEAF_PRIVATE_LEN + LEAF_PUBLIC_LEN;

    fn read_item(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (credits, outcomes) = (u32::read(r)?, u32::read(r)?);
        let flags = r.flags(0b111)?;
        let in_changes = u32::read(r)?;
        let held = |bit| flags & bit != 0;
        if (!held(1) && credits != 0) || (!held(2) && outcomes != 0) {
            return Err(DecodeError::NonZeroPadding.into());
        }
        let (private, public) = (r.view()?, r.view()?);
        let credits = r.list(credits, "credits", MAX_CREDITS)?;
        let outcomes = r.list(outcomes, "outcomes", MAX_OUTCOMES)?;
        Ok(Self {
            private,
            public,
            credits: held(1).then_some(credits),
            outcomes: held(2).then_some(outcomes),
            in_changes: r.list(in_changes, "in-lock changes", MAX_IN_CHANGES)?,
            final_terms: held(4).then(|| r.view()).transpose()?,
        })
    }

    fn put_item(&self, out: &mut Vec<u8>) {
        let (credits, outcomes) = (self.credits.unwrap_or_default(), self.outcomes.unwrap_or_default());
        let bits = [
            self.credits.is_some(),
            self.outcomes.is_some(),
            self.final_terms.is_some(),
        ];
        out.count(credits.len(), "credits", MAX_CREDITS);
        out.count(outcomes.len(), "outcomes", MAX_OUTCOMES);
        out.put(
            &(0..)
                .zip(bits)
                .fold(0_u32, |flags, (at, bit)| flags | u32::from(bit) << at),
        );
        out.count(self.in_changes.len(), "in-lock changes", MAX_IN_CHANGES);
        out.list(self.private);
        out.list(self.public);
        out.list(credits);
        out.list(outcomes);
        out.list(self.in_changes);
        if let Some(terms) = self.final_terms {
            out.list(terms);
        }
    }
}

/// The newest leaf, made for this request, with header and path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FreshReceipt<'a> {
    /// The header, as the hub signed it.
    pub header: &'a [u8; SIGNED_HEADER_LEN],
    /// The leaf.
    pub entry: ReceiptEntry<'a>,
}

/// All that a client may have missed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SyncAnswer<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// Where it is in its life.
    pub status: ChannelStatus,
    /// Its funding output.
    pub funding: OutPoint,
    /// Its terms.
    pub terms: &'a [u8],
    /// The newest state that the hub holds; `None` before the first.
    pub state: Option<HeldState<'a>>,
    /// That state's operations, if they are still held; else empty.
    pub operations: &'a [u8],
    /// The open locks of that state, by slot.
    pub locks: Items<'a, HeldLock>,
    /// The leaves above the asked one, in order, without the fresh one; at most the newest 64.
    pub leaves: Items<'a, SyncLeaf<'a>>,
    /// What the hub remembers of payments.
    pub answers: Items<'a, StoredAnswer>,
    /// The newest leaf; `None` if the channel can have no new one.
    pub fresh: Option<FreshReceipt<'a>>,
    /// The open in-locks of the newest leaf, by slot, each as the change that offers it.
    pub in_locks: &'a [[u8; IN_CHANGE_LEN]],
}

impl<'a> Body<'a> for SyncAnswer<'a> {
    const KIND: Kind = Kind::SyncAnswer;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let channel = ChannelId::read(r)?;
        let status = ChannelStatus::read(r)?;
        r.pad(3)?;
        let flags = r.flags(0xffff_0003)?;
        let (terms, operations, locks) = (u32::read(r)?, u32::read(r)?, u32::read(r)?);
        let (leaves, answers) = (u32::read(r)?, u32::read(r)?);
        Ok(Self {
            channel,
            status,
            funding: OutPoint::read(r)?,
            terms: r.blob(terms, "bytes of terms", MAX_TERMS_LEN)?,
            state: (flags & 1 != 0).then(|| HeldState::read(r)).transpose()?,
            operations: r.blob(operations, "bytes of operations", MAX_OPERATIONS_LEN)?,
            locks: Items::read(r, locks, "locks", MAX_OPEN_LOCKS)?,
            leaves: Items::read(r, leaves, "leaves", MAX_LEAVES)?,
            answers: Items::read(r, answers, "answers", MAX_STORED_ANSWERS)?,
            fresh: (flags & 2 != 0).then(|| FreshReceipt::read(r)).transpose()?,
            in_locks: r.list(flags >> 16, "in-locks", MAX_OPEN_LOCKS)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.channel);
        out.put(&self.status);
        out.pad(3);
        assert!(self.in_locks.len() <= MAX_OPEN_LOCKS, "a page has 64 slots");
        let in_locks = u32::try_from(self.in_locks.len()).expect("at most 64");
        let flags = u32::from(self.state.is_some()) | u32::from(self.fresh.is_some()) << 1;
        out.put(&(flags | in_locks << 16));
        out.count(self.terms.len(), "bytes of terms", MAX_TERMS_LEN);
        out.count(self.operations.len(), "bytes of operations", MAX_OPERATIONS_LEN);
        out.count(self.locks.len(), "locks", MAX_OPEN_LOCKS);
        out.count(self.leaves.len(), "leaves", MAX_LEAVES);
        out.count(self.answers.len(), "answers", MAX_STORED_ANSWERS);
        out.put(&self.funding);
        out.list(self.terms);
        if let Some(held) = &self.state {
            out.list(held.state);
            out.put(held.signature);
        }
        out.list(self.operations);
        self.locks.put(out);
        self.leaves.put(out);
        self.answers.put(out);
        if let Some(fresh) = &self.fresh {
            out.list(fresh.header);
            fresh.entry.put_item(out);
        }
        out.list(self.in_locks);
    }
}

impl<'a> HeldState<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            state: r.view()?,
            signature: r.view()?,
        })
    }
}

impl<'a> FreshReceipt<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            header: r.view()?,
            entry: ReceiptEntry::read_item(r)?,
        })
    }
}
