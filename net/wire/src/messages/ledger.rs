//! `LedgerQuery`, `LedgerAnswer`, `SubmitTx`: the settlement ledger, seen through a hub or its own endpoint.

use tidegate_types::{Amount, ChannelId, DecodeError, Digest, Fixed, Height, KeyBytes, OutPoint, Txid, fixed_struct};

use super::Body;
use super::blocks::BlockPage;
use super::open::{put_transaction, read_transaction};
use crate::cursor::{Put, Take};
use crate::lengths::{LOCK_TERMS_LEN, MAX_CLOSE_LEN, MAX_LOCK_OUTPUTS, MAX_TERMS_LEN, MAX_UTXOS};
use crate::{Items, Kind, Reader, WireError};

/// A question: `question 1 | 0 × 7 | argument 32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerQuery {
    /// 1: the newest final block.
    Tip,
    /// 2: the unspent outputs that this key alone can spend.
    UtxosOf(KeyBytes),
    /// 3: what became of a transaction.
    Transaction(Txid),
    /// 4: the output of a channel.
    Channel(ChannelId),
    /// 7: how far the close of a channel is.
    Close(ChannelId),
    /// 6: the channels whose client has this key.
    ChannelsOf(KeyBytes),
    /// 8: the locks that closes have turned into outputs, and that this key claims or gets back.
    LocksOf(KeyBytes),
    /// 5: the blocks from a height on. Argument: `from u32 | offset u32 | wait u32 | 0 × 20`.
    Blocks {
        /// The height of the first.
        from: Height,
        /// The first byte of that block that is wanted, beyond zero only for the rest of a block that came in pieces.
        offset: u32,
        /// Milliseconds for which the answer may wait until there is a block of that height.
        wait_ms: u32,
    },
}

impl<'a> Body<'a> for LedgerQuery {
    const KIND: Kind = Kind::LedgerQuery;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let question = u8::read(r)?;
        r.pad(7)?;
        Ok(match question {
            1 => {
                r.pad(32)?;
                Self::Tip
            }
            2 => Self::UtxosOf(KeyBytes::read(r)?),
            3 => Self::Transaction(Txid::read(r)?),
            4 => Self::Channel(ChannelId::read(r)?),
            5 => {
                let (from, offset, wait_ms) = (Height::read(r)?, u32::read(r)?, u32::read(r)?);
                r.pad(20)?;
                Self::Blocks { from, offset, wait_ms }
            }
            6 => Self::ChannelsOf(KeyBytes::read(r)?),
            7 => Self::Close(ChannelId::read(r)?),
            8 => Self::LocksOf(KeyBytes::read(r)?),
            other => return Err(unknown("question", other)),
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        let (question, argument) = match self {
            Self::Tip => (1_u8, [0; 32]),
            Self::UtxosOf(key) => (2, *key.as_bytes()),
            Self::Transaction(txid) => (3, *txid.as_bytes()),
            Self::Channel(channel) => (4, *channel.as_bytes()),
            Self::ChannelsOf(key) => (6, *key.as_bytes()),
            Self::Close(channel) => (7, *channel.as_bytes()),
            Self::LocksOf(key) => (8, *key.as_bytes()),
            Self::Blocks { from, offset, wait_ms } => {
                let mut argument = [0; 32];
                argument[..4].copy_from_slice(&from.get().to_le_bytes());
                argument[4..8].copy_from_slice(&offset.to_le_bytes());
                argument[8..12].copy_from_slice(&wait_ms.to_le_bytes());
                (5, argument)
            }
        };
        out.put(&question);
        out.pad(7);
        out.put(&argument);
    }
}

macro_rules! small_enum {
    ($(#[$doc:meta])* $name:ident: $field:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code),* }

        impl Fixed for $name {
            const LEN: usize = 1;

            fn write(&self, w: &mut tidegate_types::Writer<'_>) {
                (*self as u8).write(w);
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                match u8::read(r)? {
                    $($code => Ok(Self::$variant),)*
                    other => Err(DecodeError::UnknownValue { field: $field, value: other.into() }),
                }
            }
        }
    };
}
pub(super) use small_enum;

small_enum! {
    /// Which condition an output has.
    OutputKind: "output kind" {
        /// One key.
        Key = 1,
        /// Some of several keys.
        Multi = 2,
        /// A condition that waits.
        Timelocked = 3,
        /// A lock that left its channel.
        Lock = 4,
        /// A channel.
        Channel = 5,
        /// A channel that is being closed.
        Closing = 6,
        /// A stake.
        Stake = 7,
    }
}

small_enum! {
    /// Whether an output can be spent.
    OutputStatus: "output status" {
        /// It exists and is unspent.
        Unspent = 1,
        /// A close has begun.
        Closing = 2,
        /// It was spent.
        Spent = 3,
    }
}

/// One unspent output: `outpoint 36 | kind 1 | 0 × 3 | amount u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utxo {
    /// Which.
    pub outpoint: OutPoint,
    /// Its condition.
    pub kind: OutputKind,
    /// What it holds.
    pub amount: Amount,
}
fixed_struct!(Utxo { outpoint: OutPoint, kind: OutputKind, pad 3, amount: Amount });

/// One lock that a close has turned into an output, with what is known of its hash: `outpoint 36 | 0 × 4 | amount u64 |
/// terms 136 | height u32 | 0 × 4 | preimage 32`; both zero if no preimage stands on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockOutput {
    /// Which.
    pub outpoint: OutPoint,
    /// What it holds.
    pub amount: Amount,
    /// The terms that stand in it.
    pub terms: [u8; LOCK_TERMS_LEN],
    /// Since when the preimage stands on the ledger.
    pub revealed: Height,
    /// The preimage.
    pub preimage: [u8; 32],
}
fixed_struct!(LockOutput {
    outpoint: OutPoint,
    pad 4,
    amount: Amount,
    terms: [u8; LOCK_TERMS_LEN],
    revealed: Height,
    pad 4,
    preimage: [u8; 32],
});

/// What became of a transaction: `status 1 | 0 × 3 | height u32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TxStatus {
    /// 0: never seen, or forgotten.
    Unknown,
    /// 1: waits for a block.
    Mempool,
    /// 2: stands in a final block.
    Final(Height),
}

impl Fixed for TxStatus {
    const LEN: usize = 8;

    fn write(&self, w: &mut tidegate_types::Writer<'_>) {
        let (status, height) = match self {
            Self::Unknown => (0_u8, Height::ZERO),
            Self::Mempool => (1, Height::ZERO),
            Self::Final(height) => (2, *height),
        };
        status.write(w);
        w.pad(3);
        height.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let status = u8::read(r)?;
        r.pad(3)?;
        match (status, Height::read(r)?) {
            (0, Height::ZERO) => Ok(Self::Unknown),
            (1, Height::ZERO) => Ok(Self::Mempool),
            (0 | 1, _) => Err(DecodeError::NonZeroPadding),
            (2, height) => Ok(Self::Final(height)),
            (other, _) => Err(DecodeError::UnknownValue {
                field: "transaction status",
                value: other.into(),
            }),
        }
    }
}

/// A channel's output: `outpoint 36 | status 1 | 0 × 3 | amount u64 | terms length u32 | 0 × 4 | terms`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerChannel<'a> {
    /// The funding output.
    pub outpoint: OutPoint,
    /// Whether it can be spent.
    pub status: OutputStatus,
    /// The capacity.
    pub amount: Amount,
    /// The terms that stand in it.
    pub terms: &'a [u8],
}

/// What a [`LedgerAnswer`] says beyond the tip.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LedgerResult<'a> {
    /// 1: nothing more.
    Tip,
    /// 2: `count u32 | flags u32 | outputs × 48`; flag bit 0: there are more.
    Utxos {
        /// In order of outpoints.
        outputs: Items<'a, Utxo>,
        /// Whether some were left out.
        more: bool,
    },
    /// 3: `status 8`.
    Transaction(TxStatus),
    /// 4: `found 1 | 0 × 7`, and the output if it was found.
    Channel(Option<LedgerChannel<'a>>),
    /// 5: `txid 32`; the answer to [`SubmitTx`].
    Accepted(Txid),
    /// 6: blocks.
    Blocks(BlockPage<'a>),
    /// 8: `length u32 | 0 × 4 | the ledger's record of the close`; the length is zero if none has begun.
    Close(&'a [u8]),
    /// 9: `count u32 | flags u32 | lock outputs × 224`; flag bit 0: there are more.
    Locks {
        /// In order of outpoints.
        locks: Items<'a, LockOutput>,
        /// Whether some were left out.
        more: bool,
    },
    /// 7: `count u32 | flags u32 | channels × 32`; flag bit 0: there are more.
    Channels {
        /// By name.
        channels: Items<'a, ChannelId>,
        /// Whether some were left out.
        more: bool,
    },
}

/// An answer: `height u32 | result 1 | 0 × 3 | block hash 32 | …`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LedgerAnswer<'a> {
    /// Height of the newest final block.
    pub height: Height,
    /// Its hash.
    pub tip: Digest,
    /// What was asked for.
    pub result: LedgerResult<'a>,
}

impl<'a> LedgerResult<'a> {
    const fn code(&self) -> u8 {
        match self {
            Self::Tip => 1,
            Self::Utxos { .. } => 2,
            Self::Transaction(_) => 3,
            Self::Channel(_) => 4,
            Self::Accepted(_) => 5,
            Self::Blocks(_) => 6,
            Self::Channels { .. } => 7,
            Self::Close(_) => 8,
            Self::Locks { .. } => 9,
        }
    }

    fn read(r: &mut Reader<'a>, code: u8) -> Result<Self, WireError> {
        Ok(match code {
            1 => Self::Tip,
            2 => {
                let count = u32::read(r)?;
                let more = r.flags(1)? == 1;
                let outputs = Items::read(r, count, "outputs", MAX_UTXOS)?;
                Self::Utxos { outputs, more }
            }
            3 => Self::Transaction(TxStatus::read(r)?),
            4 => {
                let found = super::pay::read_bool(r, "found")?;
                r.pad(7)?;
                Self::Channel(found.then(|| LedgerChannel::read(r)).transpose()?)
            }
            5 => Self::Accepted(Txid::read(r)?),
            6 => Self::Blocks(BlockPage::read(r)?),
            7 => {
                let count = u32::read(r)?;
                let more = r.flags(1)? == 1;
                let channels = Items::read(r, count, "channels", MAX_UTXOS)?;
                Self::Channels { channels, more }
            }
            8 => {
                let len = u32::read(r)?;
                r.pad(4)?;
                Self::Close(r.blob(len, "bytes of a close", MAX_CLOSE_LEN)?)
            }
            9 => {
                let count = u32::read(r)?;
                let more = r.flags(1)? == 1;
                let locks = Items::read(r, count, "locks", MAX_LOCK_OUTPUTS)?;
                Self::Locks { locks, more }
            }
            other => return Err(unknown("ledger result", other)),
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        match self {
            Self::Tip => {}
            Self::Utxos { outputs, more } => {
                out.count(outputs.len(), "outputs", MAX_UTXOS);
                out.put(&u32::from(*more));
                outputs.put(out);
            }
            Self::Transaction(status) => out.put(status),
            Self::Channel(channel) => {
                out.put(&u8::from(channel.is_some()));
                out.pad(7);
                if let Some(channel) = channel {
                    channel.put(out);
                }
            }
            Self::Accepted(txid) => out.put(txid),
            Self::Blocks(page) => page.put(out),
            Self::Close(record) => {
                out.count(record.len(), "bytes of a close", MAX_CLOSE_LEN);
                out.pad(4);
                out.list(record);
            }
            Self::Locks { locks, more } => {
                out.count(locks.len(), "locks", MAX_LOCK_OUTPUTS);
                out.put(&u32::from(*more));
                locks.put(out);
            }
            Self::Channels { channels, more } => {
                out.count(channels.len(), "channels", MAX_UTXOS);
                out.put(&u32::from(*more));
                channels.put(out);
            }
        }
    }
}

impl<'a> LedgerChannel<'a> {
    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let outpoint = OutPoint::read(r)?;
        let status = OutputStatus::read(r)?;
        r.pad(3)?;
        let amount = Amount::read(r)?;
        let len = u32::read(r)?;
        r.pad(4)?;
        Ok(Self {
            outpoint,
            status,
            amount,
            terms: r.blob(len, "bytes of terms", MAX_TERMS_LEN)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.outpoint);
        out.put(&self.status);
        out.pad(3);
        out.put(&self.amount);
        out.count(self.terms.len(), "bytes of terms", MAX_TERMS_LEN);
        out.pad(4);
        out.list(self.terms);
    }
}

impl<'a> Body<'a> for LedgerAnswer<'a> {
    const KIND: Kind = Kind::LedgerAnswer;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let height = Height::read(r)?;
        let code = u8::read(r)?;
        r.pad(3)?;
        Ok(Self {
            height,
            tip: Digest::read(r)?,
            result: LedgerResult::read(r, code)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.height);
        out.put(&self.result.code());
        out.pad(3);
        out.put(&self.tip);
        self.result.put(out);
    }
}

/// A transaction for the ledger: `length u32 | 0 × 4 | transaction`. Answered by [`LedgerResult::Accepted`] or `Error`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SubmitTx<'a> {
    /// The whole transaction.
    pub transaction: &'a [u8],
}

impl<'a> Body<'a> for SubmitTx<'a> {
    const KIND: Kind = Kind::SubmitTx;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            transaction: read_transaction(r)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        put_transaction(self.transaction, out);
    }
}

fn unknown(field: &'static str, value: u8) -> WireError {
    DecodeError::UnknownValue {
        field,
        value: value.into(),
    }
    .into()
}
