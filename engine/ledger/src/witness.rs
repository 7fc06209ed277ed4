//! Witnesses: what proves that an output may be spent. Not under the txid.
//!
//! ```text
//! Key (1)            signature 64
//! ChannelClose (2)   header 192 | its signature 64 | leaf index 4 | path length 1 | path 32 each
//!                    | leaf private 216 | leaf public 96 | final terms 96 | client signature 64
//! ```
//!
//! Signatures of spenders are over `signed_message(ledger, Transaction, txid)`.

use tidegate_channel::{FinalTerms, LeafPrivate, LeafPublic, SignedHeader};
use tidegate_types::{DecodeError, Digest, Fixed, Reader, SignatureBytes};

use crate::codec::Canonical;

/// The evidence of a cooperative close (rule 23): the hub's signature stands in the header, over the batch that holds the
/// channel's final leaf.
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

/// What proves that one input may be spent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Witness {
    /// A signature by the key of a `Key` output.
    Key(SignatureBytes),
    /// The cooperative close of a `Channel` output.
    ChannelClose(Box<ChannelClose>),
}

const KIND_KEY: u8 = 1;
const KIND_CHANNEL_CLOSE: u8 = 2;

impl ChannelClose {
    /// The longest path: a batch has fewer than 2³² leaves.
    pub const PATH_LEN_MAX: usize = 32;

    const LEN_WITHOUT_PATH: usize =
        SignedHeader::LEN + 4 + 1 + LeafPrivate::LEN + LeafPublic::LEN + FinalTerms::LEN + SignatureBytes::LEN;

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

impl Witness {
    /// The width of the encoding in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        let body = match self {
            Self::Key(_) => SignatureBytes::LEN,
            Self::ChannelClose(close) => ChannelClose::LEN_WITHOUT_PATH + close.path.len() * Digest::LEN,
        };
        1 + body as u64
    }

    /// What the spend path takes of a block, whatever the bytes of the witness: about its widest useful encoding, and
    /// 100 units for each signature that is verified.
    #[must_use]
    pub const fn cost(&self) -> u64 {
        match self {
            Self::Key(_) => Self::KEY_COST,
            Self::ChannelClose(_) => Self::CHANNEL_CLOSE_COST,
        }
    }

    /// The cost of spending a `Key` output.
    pub const KEY_COST: u64 = 165;
    /// The cost of a cooperative close.
    pub const CHANNEL_CLOSE_COST: u64 = 2_000;
}

impl Canonical for Witness {
    const LEN_MIN: usize = 1 + SignatureBytes::LEN;

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
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            KIND_KEY => SignatureBytes::read(r).map(Self::Key),
            KIND_CHANNEL_CLOSE => ChannelClose::read(r).map(|close| Self::ChannelClose(Box::new(close))),
            other => Err(DecodeError::UnknownValue {
                field: "witness",
                value: other.into(),
            }),
        }
    }
}
