//! The records of a journal. What travelled is kept as the bytes that travelled.

use tidegate_channel::ChannelTerms;
use tidegate_channel::wallet::SettleOn;
use tidegate_types::{Age, ChannelId, DecodeError, Fixed, LockId, OutPoint, Reader, Txid, Writer, fixed_struct};

/// How a channel began, for this wallet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The channel.
    pub channel: ChannelId,
    /// Its funding output.
    pub funding: OutPoint,
    /// Its terms.
    pub terms: ChannelTerms,
    /// The margin in blocks that the hub announced.
    pub margin: Age,
    /// What settles this wallet's locks.
    pub settle_on: SettleOn,
}

impl Fixed for Opened {
    const LEN: usize = Plain::LEN;

    fn write(&self, w: &mut Writer<'_>) {
        let plain = Plain {
            channel: self.channel,
            funding: self.funding,
            terms: self.terms,
            margin: self.margin,
            settle_on: match self.settle_on {
                SettleOn::PayeeAck => 1,
                SettleOn::Delivered => 2,
            },
        };
        plain.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let plain = Plain::read(r)?;
        Ok(Self {
            channel: plain.channel,
            funding: plain.funding,
            terms: plain.terms,
            margin: plain.margin,
            settle_on: match plain.settle_on {
                1 => SettleOn::PayeeAck,
                2 => SettleOn::Delivered,
                other => {
                    return Err(DecodeError::UnknownValue {
                        field: "settle on",
                        value: other.into(),
                    });
                }
            },
        })
    }
}

struct Plain {
    channel: ChannelId,
    funding: OutPoint,
    terms: ChannelTerms,
    margin: Age,
    settle_on: u8,
}
fixed_struct!(Plain { channel: ChannelId, funding: OutPoint, terms: ChannelTerms, margin: Age, settle_on: u8, pad 7 });

/// One step of a channel's life.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Record {
    /// 1: it began.
    Opened(Box<Opened>),
    /// 2: a state was signed: the body of its `Pay`.
    State(Vec<u8>),
    /// 3: a leaf was believed: the body of a `Receipt` with this one entry.
    Receipt(Vec<u8>),
    /// 4: a leaf was believed by its place in the chain: one leaf of a `SyncAnswer`.
    SyncedLeaf(Vec<u8>),
    /// 5: the newest leaf was acknowledged: the body of the `Ack`.
    Ack(Vec<u8>),
    /// 6: a payee's ack was seen: the lock, and the body of the `AckProof`.
    Proved(LockId, Vec<u8>),
    /// 7: the closing transaction was signed.
    Closing(Vec<u8>),
    /// 8: the channel has ended with this transaction.
    Closed(Txid),
    /// 9: the channel was taken up from what the hub held: the body of a `SyncAnswer`.
    Restored(Vec<u8>),
    /// 10: the states above the last that a leaf acknowledges were given up; the next one has a counter above them.
    Superseded,
    /// 11: the preimage of a lock was seen outside a leaf.
    Preimage(LockId, [u8; 32]),
    /// 12: an in-lock was given up: the body of the `Release`.
    Released(Vec<u8>),
    /// 13: the preimage of an in-lock was revealed on the ledger.
    Revealed(LockId),
    /// 14: the hub is asked for a successor: the body of the `SpliceRequest`.
    Splicing(Vec<u8>),
}

/// Why bytes are no record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// The checksum does not match.
    #[error("the checksum does not match")]
    Checksum,
    /// No record has this number, or its fixed part does not decode.
    #[error("{0}")]
    Decode(#[from] DecodeError),
    /// A length that no record has.
    #[error("a record of {0} bytes")]
    Length(u32),
    /// The journal does not begin with the channel's opening.
    #[error("the journal does not begin with the opening of its channel")]
    NoOpening,
}

impl Record {
    /// The record as bytes: its number, then its content.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Opened(opened) => {
                out.push(1);
                opened.append_to(&mut out);
            }
            Self::State(body) => put(&mut out, 2, body),
            Self::Receipt(body) => put(&mut out, 3, body),
            Self::SyncedLeaf(body) => put(&mut out, 4, body),
            Self::Ack(body) => put(&mut out, 5, body),
            Self::Proved(lock, body) => {
                put(&mut out, 6, lock.as_bytes());
                out.extend_from_slice(body);
            }
            Self::Closing(body) => put(&mut out, 7, body),
            Self::Closed(txid) => put(&mut out, 8, txid.as_bytes()),
            Self::Restored(body) => put(&mut out, 9, body),
            Self::Superseded => put(&mut out, 10, &[]),
            Self::Preimage(lock, preimage) => {
                put(&mut out, 11, lock.as_bytes());
                out.extend_from_slice(preimage);
            }
            Self::Released(body) => put(&mut out, 12, body),
            Self::Revealed(lock) => put(&mut out, 13, lock.as_bytes()),
            Self::Splicing(body) => put(&mut out, 14, body),
        }
        out
    }

    /// Reads a record that fills `bytes`. Bodies are not looked at: whoever replays them decodes them.
    ///
    /// # Errors
    /// [`DecodeError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut r = Reader::new(bytes);
        let kind = u8::read(&mut r)?;
        let body = r.bytes(r.remaining())?;
        Ok(match kind {
            1 => Self::Opened(Box::new(Opened::decode(body)?)),
            2 => Self::State(body.to_vec()),
            3 => Self::Receipt(body.to_vec()),
            4 => Self::SyncedLeaf(body.to_vec()),
            5 => Self::Ack(body.to_vec()),
            6 => {
                let mut r = Reader::new(body);
                Self::Proved(LockId::read(&mut r)?, r.bytes(r.remaining())?.to_vec())
            }
            7 => Self::Closing(body.to_vec()),
            8 => Self::Closed(Txid::decode(body)?),
            9 => Self::Restored(body.to_vec()),
            10 if body.is_empty() => Self::Superseded,
            10 => return Err(DecodeError::TrailingBytes { count: body.len() }),
            11 => {
                let mut r = Reader::new(body);
                let record = Self::Preimage(LockId::read(&mut r)?, r.array()?);
                r.finish()?;
                record
            }
            12 => Self::Released(body.to_vec()),
            13 => Self::Revealed(LockId::decode(body)?),
            14 => Self::Splicing(body.to_vec()),
            other => {
                return Err(DecodeError::UnknownValue {
                    field: "record",
                    value: other.into(),
                });
            }
        })
    }
}

fn put(out: &mut Vec<u8>, kind: u8, body: &[u8]) {
    out.push(kind);
    out.extend_from_slice(body);
}
