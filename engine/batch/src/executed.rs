//! What a batch came to.

use tidegate_channel::{BatchHeader, Credit, FinalTerms, LeafPrivate, LeafPublic, Outcome, RefuseReason};
use tidegate_crypto::merkle::{self, Tree};
use tidegate_types::{BatchNumber, ClientCounter, Digest, Height, HubCounter, KeyBytes, UnixMillis};

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
    /// The outcomes of the states that it acknowledges.
    pub outcomes: Vec<Outcome>,
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
