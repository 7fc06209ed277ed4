//! Receipts: from bytes to leaves, and from leaves to belief.
//!
//! ```text
//! Receipt ─▶ HeaderCache::verify ─▶ VerifiedHeader ─┐
//!        └─▶ Leaf::decode ──────────────────────────┴─▶ Proofs::check ─▶ HubHalf::accept (order, sums, roots)
//! ```

use tidegate_channel::wallet::{HubHalf, LeafFault, LeafView};
use tidegate_channel::{
    Credit, FinalTerms, HeaderError, InChange, LeafKind, LeafPrivate, LeafPublic, LeafRef, Outcome,
};
use tidegate_crypto::merkle::{RECEIPTS, SharedPaths};
use tidegate_types::{Age, ChannelId, DecodeError, Digest, Fixed, Height};
use tidegate_wire::messages::{ReceiptEntry, SyncLeaf};

use crate::headers::{HeaderCheckError, VerifiedHeader};

/// Why a receipt proves nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReceiptError {
    /// The leaf, or something in its lists, does not decode.
    #[error("the leaf does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// The header is not the hub's.
    #[error(transparent)]
    Header(#[from] HeaderCheckError),
    /// The path does not lead to the header's root.
    #[error(transparent)]
    Path(#[from] HeaderError),
    /// The leaf's height is not its header's.
    #[error("the leaf and its header name different heights")]
    Height,
    /// The leaf may not follow the one before.
    #[error(transparent)]
    Leaf(#[from] LeafFault),
    /// Final terms are missing, not those of the leaf, or stand beside a leaf that is not final.
    #[error("the final terms are not those of the leaf")]
    FinalTerms,
    /// The hub no longer holds what the leaf credited, so the chain of leaves cannot be followed through it.
    #[error("the hub no longer holds the credits of leaf {}", .0.get())]
    CreditsForgotten(tidegate_types::HubCounter),
}

/// A leaf as it came, with all that its roots stand for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leaf {
    /// The private part.
    pub private: LeafPrivate,
    /// The public part.
    pub public: LeafPublic,
    /// The credits, in order.
    pub credits: Vec<Credit>,
    /// The outcomes, in order; `None` if the hub no longer holds them.
    pub outcomes: Option<Vec<Outcome>>,
    /// What it does to in-locks, in order.
    pub in_changes: Vec<InChange>,
    /// What a final leaf promises; checked against its digest.
    pub final_terms: Option<FinalTerms>,
}

impl Leaf {
    /// Reads the leaf of a receipt.
    ///
    /// # Errors
    /// [`ReceiptError::Decode`], [`ReceiptError::FinalTerms`].
    pub fn decode(entry: &ReceiptEntry<'_>) -> Result<Self, ReceiptError> {
        Self::from_parts(
            (entry.private, entry.public),
            entry.credits,
            Some(entry.outcomes),
            entry.in_changes,
            entry.final_terms,
        )
    }

    /// Reads a leaf that came without its path.
    ///
    /// # Errors
    /// As [`Leaf::decode`], and [`ReceiptError::CreditsForgotten`].
    pub fn decode_synced(leaf: &SyncLeaf<'_>) -> Result<Self, ReceiptError> {
        let Some(credits) = leaf.credits else {
            let private = LeafPrivate::decode(leaf.private)?;
            return Err(ReceiptError::CreditsForgotten(private.counter));
        };
        Self::from_parts(
            (leaf.private, leaf.public),
            credits,
            leaf.outcomes,
            leaf.in_changes,
            leaf.final_terms,
        )
    }

    fn from_parts<const C: usize, const O: usize, const I: usize>(
        (private, public): (&[u8], &[u8]),
        credits: &[[u8; C]],
        outcomes: Option<&[[u8; O]]>,
        in_changes: &[[u8; I]],
        final_terms: Option<&[u8; FinalTerms::LEN]>,
    ) -> Result<Self, ReceiptError> {
        let private = LeafPrivate::decode(private)?;
        let final_terms = final_terms.map(|bytes| FinalTerms::decode(bytes)).transpose()?;
        if final_terms.map_or(Digest::ZERO, |terms| terms.digest()) != private.terms {
            return Err(ReceiptError::FinalTerms);
        }
        Ok(Self {
            private,
            public: LeafPublic::decode(public)?,
            credits: decode_all(credits)?,
            outcomes: outcomes.map(decode_all).transpose()?,
            in_changes: decode_all(in_changes)?,
            final_terms,
        })
    }

    /// What the rules look at.
    #[must_use]
    pub fn view(&self) -> LeafView<'_> {
        LeafView {
            private: &self.private,
            public: &self.public,
            credits: &self.credits,
            outcomes: self.outcomes.as_deref(),
            in_changes: &self.in_changes,
        }
    }

    /// Its counter and digest.
    #[must_use]
    pub fn reference(&self) -> LeafRef {
        LeafRef {
            counter: self.private.counter,
            digest: self.view().digest(),
        }
    }

    /// True if a batch of this height may hold it: its own, and for a final leaf, which is told again as it was, any later one.
    fn is_of(&self, height: Height) -> bool {
        let own = self.private.height;
        own == height || (self.private.kind == LeafKind::Final && own < height)
    }

    /// Checks that the batch of `header` holds this leaf where its entry says, by the whole path, and that both name one height.
    ///
    /// # Errors
    /// [`ReceiptError::Path`], [`ReceiptError::Height`].
    pub fn check_proof(&self, header: &VerifiedHeader, entry: &ReceiptEntry<'_>) -> Result<(), ReceiptError> {
        let signed = header.signed();
        if !self.is_of(signed.header.height) {
            return Err(ReceiptError::Height);
        }
        if entry.shared {
            return Err(HeaderError::BadPath.into());
        }
        Ok(signed.check_path(&self.view().digest(), entry.index, entry.path)?)
    }
}

/// Proves the leaves of one receipt, one behind the other, where their paths may be shared.
#[derive(Clone, Debug)]
pub struct Proofs {
    header: VerifiedHeader,
    paths: SharedPaths,
}

impl Proofs {
    /// For a receipt under this header.
    #[must_use]
    pub const fn new(header: VerifiedHeader) -> Self {
        let batch = &header.signed().header;
        let paths = SharedPaths::new(RECEIPTS, batch.leaf_count, batch.leaves_root);
        Self { header, paths }
    }

    /// The header.
    #[must_use]
    pub const fn header(&self) -> &VerifiedHeader {
        &self.header
    }

    /// Checks that the batch holds the leaf of the next entry where it says, and that both name one height. Behind an entry that
    /// fails one that shares its path fails too.
    ///
    /// # Errors
    /// [`ReceiptError::Path`], [`ReceiptError::Height`].
    pub fn check(&mut self, leaf: &Leaf, entry: &ReceiptEntry<'_>) -> Result<(), ReceiptError> {
        let digest = leaf.view().digest();
        let good = if entry.shared {
            self.paths.check_shared(&digest, entry.index, entry.path)
        } else {
            self.paths.check(&digest, entry.index, entry.path)
        };
        if !good {
            return Err(HeaderError::BadPath.into());
        }
        if !leaf.is_of(self.header.signed().header.height) {
            return Err(ReceiptError::Height);
        }
        Ok(())
    }

    /// The whole path of the entry that was checked last: what the ledger wants to see.
    #[must_use]
    pub fn path(&self) -> Vec<Digest> {
        self.paths.path().collect()
    }
}

pub(crate) fn decode_all<T: Fixed, const N: usize>(records: &[[u8; N]]) -> Result<Vec<T>, DecodeError> {
    records.iter().map(|bytes| T::decode(bytes)).collect()
}

/// Checks the leaves of one channel in order, and keeps no more than that needs: for programs that carry very many channels
/// and sign their states elsewhere.
#[derive(Clone, Debug)]
pub struct ReceiptChecker {
    half: HubHalf,
}

impl ReceiptChecker {
    /// A checker of a channel's leaves from the first on. `margin` is the hub's announced margin in blocks.
    #[must_use]
    pub fn new(channel: ChannelId, margin: Age) -> Self {
        Self {
            half: HubHalf::new(channel, margin),
        }
    }

    /// What the hub owes, as of the newest leaf.
    #[must_use]
    pub const fn half(&self) -> &HubHalf {
        &self.half
    }

    /// Takes the next leaf, checked in full: path, height, order, sums, roots. On an error nothing changes.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn accept(&mut self, header: &VerifiedHeader, entry: &ReceiptEntry<'_>) -> Result<Leaf, ReceiptError> {
        let leaf = Leaf::decode(entry)?;
        leaf.check_proof(header, entry)?;
        self.half.accept(leaf.view())?;
        Ok(leaf)
    }

    /// Takes the next leaf without looking at its path: order, sums and roots alone. A later leaf that is checked in full
    /// names this one's digest, and so proves it too.
    ///
    /// # Errors
    /// [`ReceiptError`].
    pub fn accept_unproved(&mut self, entry: &ReceiptEntry<'_>) -> Result<Leaf, ReceiptError> {
        let leaf = Leaf::decode(entry)?;
        self.half.accept(leaf.view())?;
        Ok(leaf)
    }

    /// Notes that the newest leaf was acknowledged, by an ack or by a state that names it.
    pub const fn mark_acked(&mut self) {
        self.half.mark_acked();
    }
}
