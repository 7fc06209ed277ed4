//! A leaf with the proof that the hub signed it.

use tidegate_crypto::keys::PublicKey;
use tidegate_types::{DecodeError, Digest, Fixed, LedgerId, Reader};

use crate::codec::{Canonical, read_fixed_list};
use crate::{HeaderError, LeafPrivate, LeafPublic, LeafRef, SignedHeader, leaf_digest};

/// One leaf, shown whole: signed header, path, both parts.
///
/// ```text
/// header 184 | signature 64 | index 4 | path length 1 | path 32 each | private 216 | public 96
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenLeaf {
    /// The header of the batch that holds the leaf, signed by the hub.
    pub header: SignedHeader,
    /// The leaf's index in the batch.
    pub index: u32,
    /// The path from the leaf to the header's root; at most [`ProvenLeaf::PATH_LEN_MAX`] elements.
    pub path: Vec<Digest>,
    /// The private part.
    pub private: LeafPrivate,
    /// The public part.
    pub public: LeafPublic,
}

impl ProvenLeaf {
    /// The longest path: a batch has fewer than 2³² leaves.
    pub const PATH_LEN_MAX: usize = 32;

    /// The leaf's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        leaf_digest(&self.private.digest(), &self.public.digest())
    }

    /// Counter and digest.
    #[must_use]
    pub fn reference(&self) -> LeafRef {
        LeafRef {
            counter: self.private.counter,
            digest: self.digest(),
        }
    }

    /// Checks that the batch of the header holds the leaf.
    ///
    /// # Errors
    /// [`HeaderError::BadPath`].
    pub fn check_path(&self) -> Result<(), HeaderError> {
        self.header.check_path(&self.digest(), self.index, &self.path)
    }

    /// Checks that `hub` signed the header.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn check_signature(&self, ledger: &LedgerId, hub: &PublicKey) -> Result<(), HeaderError> {
        self.header.verify(ledger, hub)
    }
}

pub(super) fn write_path(path: &[Digest], out: &mut Vec<u8>) {
    u8::try_from(path.len())
        .expect("a path has at most 32 elements")
        .append_to(out);
    path.iter().for_each(|element| element.append_to(out));
}

pub(super) fn read_path(r: &mut Reader<'_>) -> Result<Vec<Digest>, DecodeError> {
    let len = usize::from(u8::read(r)?);
    if len > ProvenLeaf::PATH_LEN_MAX {
        return Err(DecodeError::OutOfRange { field: "path length" });
    }
    read_fixed_list(r, len)
}

impl Canonical for ProvenLeaf {
    const LEN_MIN: usize = SignedHeader::LEN + 4 + 1 + LeafPrivate::LEN + LeafPublic::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        self.header.append_to(out);
        self.index.append_to(out);
        write_path(&self.path, out);
        self.private.append_to(out);
        self.public.append_to(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            header: SignedHeader::read(r)?,
            index: u32::read(r)?,
            path: read_path(r)?,
            private: LeafPrivate::read(r)?,
            public: LeafPublic::read(r)?,
        })
    }
}
