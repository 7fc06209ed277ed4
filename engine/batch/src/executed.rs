//! What a batch came to.

use crate::forward::Forwarded;
use crate::slots::Link;
use tidegate_channel::{
    BatchHeader, ChannelEntry, Credit, FinalTerms, InChange, LeafPrivate, LeafPublic, Outcome, RefuseReason,
};
use tidegate_crypto::merkle::{self, Tree};
use tidegate_types::{
    BatchNumber, ClientCounter, Digest, Height, HubCounter, KeyBytes, LockId, SignatureBytes, UnixMillis,
};

/// One leaf of a batch, with what its roots stand for.
#[derive(Clone, Debug)]
pub struct LeafOut {
    /// The channel's number in this engine.
    pub channel: u32,
    /// The private part.
    pub private: LeafPrivate,
    /// The public part.
    pub public: LeafPublic,
    /// The credits.
    pub credits: Vec<Credit>,
    /// The payer's lock record of each credit.
    pub(crate) credit_locks: Vec<Link>,
    /// The outcomes of the states that it acknowledges, and what became of hash locks of earlier ones.
    pub outcomes: Vec<Outcome>,
    /// What it does to the locks that wait for the client's preimages.
    pub in_changes: Vec<InChange>,
    /// What signs each of the releases among them.
    pub(crate) releases: Vec<(LockId, SignatureBytes)>,
    /// The states that it answers.
    pub answers: Vec<Answer>,
    /// How the channel ends, for a final leaf.
    pub terms: Option<FinalTerms>,
}

/// An input that a leaf answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The input's index in the batch.
    pub input: u32,
    /// The state's counter; zero for an input that is not a state.
    pub counter: ClientCounter,
}

/// An input that changed nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The input's index in the batch.
    pub input: u32,
    /// Why; `None` if it was known already and its stored answer stands.
    pub reason: Option<RefuseReason>,
    /// The newest counter that the hub has accepted on the channel.
    pub counter: ClientCounter,
    /// The channel's newest leaf.
    pub leaf: HubCounter,
}

/// The channels whose entries in the state tree a batch changed, with those entries as of its end. A channel may be there
/// twice, with the same entry.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    slots: Vec<u32>,
    /// Where readers find each entry (`crate::entries`), plus one; zero for a channel that sleeps.
    places: Vec<u32>,
    entries: Vec<ChannelEntry>,
}

impl Changes {
    /// The channels' numbers, each with its entry.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (u32, &ChannelEntry)> {
        self.slots.iter().copied().zip(&self.entries)
    }

    /// The channels' numbers.
    #[must_use]
    pub fn slots(&self) -> &[u32] {
        &self.slots
    }

    /// The entries, in the order of [`Changes::slots`].
    #[must_use]
    pub fn entries(&self) -> &[ChannelEntry] {
        &self.entries
    }

    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots.len()
    }

    /// True if nothing changed.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    /// Empties it, keeping its memory.
    pub fn clear(&mut self) {
        self.slots.clear();
        self.places.clear();
        self.entries.clear();
    }

    /// Adds the entry of a channel that has no place among those that readers look at.
    pub fn push(&mut self, slot: u32, entry: ChannelEntry) {
        self.push_at(slot, 0, entry);
    }

    /// Adds the entry of a channel, with the link of its live record.
    pub(crate) fn push_at(&mut self, slot: u32, live: Link, entry: ChannelEntry) {
        self.slots.push(slot);
        self.places.push(live);
        self.entries.push(entry);
    }

    /// The entries of channels that are awake, by their places.
    pub(crate) fn placed(&self) -> impl Iterator<Item = (u32, &ChannelEntry)> {
        let all = self.places.iter().zip(&self.entries);
        all.filter_map(|(place, entry)| Some((place.checked_sub(1)?, entry)))
    }
}

/// A batch, executed and not yet durable. Its buffers are used again by the next batch.
#[derive(Debug)]
pub struct Executed {
    /// The header, to be signed once the batch is durable.
    pub header: BatchHeader,
    /// The leaves, in the order of the tree. Only the first `leaf_count` belong to this batch.
    pub leaves: Vec<LeafOut>,
    /// The refusals, in the order of the inputs.
    pub refusals: Vec<Refusal>,
    /// The tree over the leaves' digests.
    pub tree: Tree,
    /// What it changed in the state tree; empty unless [`crate::Engine::note_changes`] asks for it.
    pub changes: Changes,
    /// What it lets wait for other hubs.
    pub forwarded: Vec<Forwarded>,
    pub(crate) digests: Vec<Digest>,
}

impl Default for Executed {
    fn default() -> Self {
        Self {
            header: BatchHeader {
                hub: KeyBytes::ZERO,
                number: BatchNumber::ZERO,
                previous: Digest::ZERO,
                leaf_count: 0,
                height: Height::ZERO,
                leaves_root: Digest::ZERO,
                outcomes: Digest::ZERO,
                block: Digest::ZERO,
                time: UnixMillis::ZERO,
            },
            leaves: Vec::new(),
            refusals: Vec::new(),
            tree: Tree::build(merkle::RECEIPTS, &[]),
            changes: Changes::default(),
            forwarded: Vec::new(),
            digests: Vec::new(),
        }
    }
}

impl Executed {
    /// The leaves of this batch.
    #[must_use]
    pub fn leaves(&self) -> &[LeafOut] {
        &self.leaves[..self.header.leaf_count as usize]
    }
}
