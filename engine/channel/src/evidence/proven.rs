//! A leaf with the proof that the hub signed it: in its batch, or by a note of its own.

use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::verify::Verdict;
use tidegate_types::{
    BatchNumber, ChannelId, DecodeError, Digest, Fixed, LedgerId, Reader, SignatureBytes, fixed_struct,
};

use crate::codec::{Canonical, read_fixed_list};
use crate::{HeaderError, LeafPrivate, LeafPublic, LeafRef, SignedHeader, leaf_digest};

/// "I have signed this leaf in some batch", by the hub: channel 32 | h 8 | digest 32. It binds like the batch, so that a hub
/// needs not keep the header and path of every leaf; two of one channel and counter are a fault like two leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafNote {
    /// The channel.
    pub channel: ChannelId,
    /// The leaf.
    pub leaf: LeafRef,
}
fixed_struct!(LeafNote {
    channel: ChannelId,
    leaf: LeafRef
});

/// How a leaf is proved to be the hub's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LeafProof {
    /// It stands in a batch: kind 1 | header 184 | signature 64 | index 4 | path length 1 | path 32 each.
    Batch {
        /// The header of the batch, signed by the hub.
        header: Box<SignedHeader>,
        /// The leaf's index in the batch.
        index: u32,
        /// The path from the leaf to the header's root; at most [`ProvenLeaf::PATH_LEN_MAX`] elements.
        path: Vec<Digest>,
    },
    /// By the hub's [`LeafNote`]: kind 2 | signature 64.
    Note(SignatureBytes),
}

/// One leaf, shown whole: proof | private 216 | public 96.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProvenLeaf {
    /// Why it is the hub's.
    pub proof: LeafProof,
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

    /// The batch that holds it, if the proof shows one.
    #[must_use]
    pub const fn batch(&self) -> Option<BatchNumber> {
        match &self.proof {
            LeafProof::Batch { header, .. } => Some(header.header.number),
            LeafProof::Note(_) => None,
        }
    }

    /// The hub's note of it.
    #[must_use]
    pub fn note(&self) -> LeafNote {
        LeafNote {
            channel: self.private.channel,
            leaf: self.reference(),
        }
    }

    /// Checks that the batch holds the leaf, if the proof shows one.
    ///
    /// # Errors
    /// [`HeaderError::BadPath`].
    pub fn check_path(&self) -> Result<(), HeaderError> {
        match &self.proof {
            LeafProof::Batch { header, index, path } => header.check_path(&self.digest(), *index, path),
            LeafProof::Note(_) => Ok(()),
        }
    }

    /// Checks that `hub` signed the header, or the note.
    ///
    /// # Errors
    /// [`HeaderError`].
    pub fn check_signature(&self, ledger: &LedgerId, hub: &PublicKey) -> Result<(), HeaderError> {
        match &self.proof {
            LeafProof::Batch { header, .. } => header.verify(ledger, hub),
            LeafProof::Note(signature) => match self.note().verify(ledger, hub, signature) {
                Verdict::Valid => Ok(()),
                Verdict::Invalid => Err(HeaderError::BadSignature),
            },
        }
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
    const LEN_MIN: usize = 1 + SignatureBytes::LEN + LeafPrivate::LEN + LeafPublic::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        match &self.proof {
            LeafProof::Batch { header, index, path } => {
                out.push(1);
                header.append_to(out);
                index.append_to(out);
                write_path(path, out);
            }
            LeafProof::Note(signature) => {
                out.push(2);
                signature.append_to(out);
            }
        }
        self.private.append_to(out);
        self.public.append_to(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let proof = match u8::read(r)? {
            1 => LeafProof::Batch {
                header: Box::new(SignedHeader::read(r)?),
                index: u32::read(r)?,
                path: read_path(r)?,
            },
            2 => LeafProof::Note(SignatureBytes::read(r)?),
            other => {
                return Err(DecodeError::UnknownValue {
                    field: "proof of a leaf",
                    value: other.into(),
                });
            }
        };
        Ok(Self {
            proof,
            private: LeafPrivate::read(r)?,
            public: LeafPublic::read(r)?,
        })
    }
}
