//! Witnesses: what proves that an output may be spent. Not under the txid.
//!
//! ```text
//! Key (1)            signature 64
//! ChannelClose (2)   header 248 | leaf index 4 | path length 1 | path 32 each
//!                    | leaf private 216 | leaf public 96 | final terms 96 | client signature 64
//! ChannelSplice (3)  as ChannelClose
//! Action (4)         nothing: the transaction's action speaks for the input
//! Multi (5)          threshold 1 | count 1 | keys 32 each | signers 2, bit by key | signatures 64 each
//! LockClaim (6)      proof 1 (0 recorded, 1 preimage 32, 2 acked h 8, digest 32, `AckProof`) | signature 64
//! LockRefund (7)     signature 64
//! ```
//!
//! Signatures of spenders are over `signed_message(ledger, Transaction, txid)`.

use tidegate_channel::evidence::{AckProof, ProvenLeaf};
use tidegate_channel::{FinalTerms, LeafPrivate, LeafPublic, LeafRef, SignedHeader};
use tidegate_types::{DecodeError, Digest, Fixed, KeyBytes, Reader, SignatureBytes};

use crate::codec::Canonical;
use crate::condition::{MultiKeys, unknown};

/// The evidence of a cooperative close or a splice (rules 22 and 23): the hub's signature stands in the header, over the
/// batch that holds the channel's final leaf.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChannelClose {
    /// The header of the batch that holds the final leaf, signed by the hub.
    pub header: SignedHeader,
    /// The leaf's index in the batch.
    pub index: u32,
    /// The path from the leaf to the header's root; at most [`ChannelClose::PATH_LEN_MAX`] elements.
    pub path: Vec<Digest>,
    /// The final leaf, private part.
    pub private: LeafPrivate,
    /// The final leaf, public part.
    pub public: LeafPublic,
    /// What the final leaf promises.
    pub terms: FinalTerms,
    /// The client's signature over the transaction.
    pub signature: SignatureBytes,
}

/// What shows that a lock is met.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LockProof {
    /// The preimage's record on the ledger.
    Recorded,
    /// The preimage itself, in a block up to the lock's expiry.
    Preimage([u8; 32]),
    /// An ack's record on the ledger, and the way from its leaf to the one that credited the lock.
    Acked(LeafRef, Box<AckProof>),
}

/// The keys of a `Multi` output, and signatures by some of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiWitness {
    /// The keys.
    pub keys: MultiKeys,
    /// Which of them sign, bit by index: exactly as many as the threshold says.
    pub signers: u16,
    /// Their signatures, in order.
    pub signatures: Vec<SignatureBytes>,
}

/// What proves that one input may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// A signature by the key of a `Key` output, of a timelocked one, or of an unbonded stake.
    Key(SignatureBytes),
    /// The cooperative close of a channel.
    ChannelClose(Box<ChannelClose>),
    /// The splice of a channel into a successor.
    ChannelSplice(Box<ChannelClose>),
    /// The transaction's action speaks for the input.
    Action,
    /// Signatures for a `Multi` output, or a timelocked one.
    Multi(Box<MultiWitness>),
    /// A met lock, taken by its claimer.
    LockClaim {
        /// Why it is met.
        proof: LockProof,
        /// The claimer's signature.
        signature: SignatureBytes,
    },
    /// An unmet lock, taken back.
    LockRefund(SignatureBytes),
}

const KIND_KEY: u8 = 1;
const KIND_CHANNEL_CLOSE: u8 = 2;
const KIND_CHANNEL_SPLICE: u8 = 3;
const KIND_ACTION: u8 = 4;
const KIND_MULTI: u8 = 5;
const KIND_LOCK_CLAIM: u8 = 6;
const KIND_LOCK_REFUND: u8 = 7;

impl ChannelClose {
    /// The longest path: a batch has fewer than 2³² leaves.
    pub const PATH_LEN_MAX: usize = ProvenLeaf::PATH_LEN_MAX;

    fn encode(&self, out: &mut Vec<u8>) {
        self.header.append_to(out);
        self.index.append_to(out);
        u8::try_from(self.path.len())
            .expect("a path has at most 32 elements")
            .append_to(out);
        self.path.iter().for_each(|element| element.append_to(out));
        self.private.append_to(out);
        self.public.append_to(out);
        self.terms.append_to(out);
        self.signature.append_to(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let header = SignedHeader::read(r)?;
        let index = u32::read(r)?;
        let path_len = usize::from(u8::read(r)?);
        if path_len > Self::PATH_LEN_MAX {
            return Err(DecodeError::OutOfRange { field: "path length" });
        }
        Ok(Self {
            header,
            index,
            path: (0..path_len).map(|_| Digest::read(r)).collect::<Result<_, _>>()?,
            private: LeafPrivate::read(r)?,
            public: LeafPublic::read(r)?,
            terms: FinalTerms::read(r)?,
            signature: SignatureBytes::read(r)?,
        })
    }
}

impl Canonical for MultiWitness {
    const LEN_MIN: usize = 2 + KeyBytes::LEN + 2 + SignatureBytes::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        self.keys.encode(out);
        self.signers.append_to(out);
        self.signatures.iter().for_each(|signature| signature.append_to(out));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (keys, signers) = (MultiKeys::read(r)?, u16::read(r)?);
        let beyond = u32::from(signers) >> keys.keys().len() != 0;
        if beyond || signers.count_ones() != u32::from(keys.threshold()) {
            return Err(DecodeError::OutOfRange { field: "signers" });
        }
        let signatures = (0..signers.count_ones()).map(|_| SignatureBytes::read(r));
        Ok(Self {
            signatures: signatures.collect::<Result<_, _>>()?,
            keys,
            signers,
        })
    }
}

impl Canonical for LockProof {
    const LEN_MIN: usize = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Recorded => out.push(0),
            Self::Preimage(preimage) => {
                out.push(1);
                preimage.append_to(out);
            }
            Self::Acked(leaf, proof) => {
                out.push(2);
                leaf.append_to(out);
                proof.encode(out);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            0 => Ok(Self::Recorded),
            1 => Ok(Self::Preimage(r.array()?)),
            2 => Ok(Self::Acked(LeafRef::read(r)?, Box::new(AckProof::read(r)?))),
            other => Err(unknown("proof of a lock", other)),
        }
    }
}

impl Witness {
    /// The width of the encoding in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        match self {
            Self::Key(_) | Self::LockRefund(_) => 1 + SignatureBytes::LEN as u64,
            Self::Action => 1,
            Self::ChannelClose(_) | Self::ChannelSplice(_) | Self::Multi(_) | Self::LockClaim { .. } => {
                self.to_bytes().len() as u64
            }
        }
    }

    /// What the spend path takes of a block, whatever the bytes of the witness: about its widest useful encoding, and
    /// 100 units for each signature that is verified.
    #[must_use]
    pub fn cost(&self) -> u64 {
        match self {
            Self::Key(_) => Self::KEY_COST,
            Self::ChannelClose(_) | Self::ChannelSplice(_) => Self::CHANNEL_CLOSE_COST,
            // An action has a cost of its own.
            Self::Action => 0,
            Self::Multi(multi) => Self::multi_cost(multi.keys.keys().len(), multi.keys.threshold()),
            Self::LockClaim { proof, .. } => match proof {
                LockProof::Recorded => Self::KEY_COST + 50,
                // It leaves a record, like a reveal.
                LockProof::Preimage(_) => Self::KEY_COST + 600,
                LockProof::Acked(_, proof) => 2_000 + proof.links.len() as u64 * 130,
            },
            Self::LockRefund(_) => Self::KEY_COST + 50,
        }
    }

    /// The cost of spending an output of `keys` keys by `threshold` signatures.
    #[must_use]
    pub const fn multi_cost(keys: usize, threshold: u8) -> u64 {
        32 * keys as u64 + Self::KEY_COST * threshold as u64
    }

    /// The cost of spending a `Key` output.
    pub const KEY_COST: u64 = 165;
    /// The cost of a cooperative close or a splice.
    pub const CHANNEL_CLOSE_COST: u64 = 2_000;
}

impl Canonical for Witness {
    const LEN_MIN: usize = 1;

    fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Key(signature) => {
                out.push(KIND_KEY);
                signature.append_to(out);
            }
            Self::ChannelClose(close) => {
                out.push(KIND_CHANNEL_CLOSE);
                close.encode(out);
            }
            Self::ChannelSplice(close) => {
                out.push(KIND_CHANNEL_SPLICE);
                close.encode(out);
            }
            Self::Action => out.push(KIND_ACTION),
            Self::Multi(multi) => {
                out.push(KIND_MULTI);
                multi.encode(out);
            }
            Self::LockClaim { proof, signature } => {
                out.push(KIND_LOCK_CLAIM);
                proof.encode(out);
                signature.append_to(out);
            }
            Self::LockRefund(signature) => {
                out.push(KIND_LOCK_REFUND);
                signature.append_to(out);
            }
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            KIND_KEY => SignatureBytes::read(r).map(Self::Key),
            KIND_CHANNEL_CLOSE => ChannelClose::read(r).map(|close| Self::ChannelClose(Box::new(close))),
            KIND_CHANNEL_SPLICE => ChannelClose::read(r).map(|close| Self::ChannelSplice(Box::new(close))),
            KIND_ACTION => Ok(Self::Action),
            KIND_MULTI => MultiWitness::read(r).map(|multi| Self::Multi(Box::new(multi))),
            KIND_LOCK_CLAIM => Ok(Self::LockClaim {
                proof: LockProof::read(r)?,
                signature: SignatureBytes::read(r)?,
            }),
            KIND_LOCK_REFUND => SignatureBytes::read(r).map(Self::LockRefund),
            other => Err(unknown("witness", other)),
        }
    }
}
