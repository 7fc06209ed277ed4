//! `CloseRequest`, `CloseFinal`: how a channel ends when both sides agree. The final leaf comes as a `Receipt`.

use tidegate_types::{Amount, ChannelId, Fixed, Txid, fixed_struct};

use super::Body;
use super::open::{put_transaction, read_transaction};
use crate::cursor::Put;
use crate::{Kind, Reader, WireError};

/// A client asks for the final leaf: `channel 32 | ledger fee u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseRequest {
    /// The channel.
    pub channel: ChannelId,
    /// The fee of the closing transaction; the client pays it.
    pub fee: Amount,
}
fixed_struct!(CloseRequest {
    channel: ChannelId,
    fee: Amount
});

/// The hub has taken the closing transaction: `channel 32 | txid 32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseDone {
    /// The channel.
    pub channel: ChannelId,
    /// The transaction's name.
    pub txid: Txid,
}
fixed_struct!(CloseDone {
    channel: ChannelId,
    txid: Txid
});

macro_rules! fixed_body {
    ($name:ident, $kind:ident) => {
        impl<'a> Body<'a> for $name {
            const KIND: Kind = Kind::$kind;

            fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
                Ok(<Self as Fixed>::read(r)?)
            }

            fn put(&self, out: &mut Vec<u8>) {
                self.append_to(out);
            }
        }
    };
}
fixed_body!(CloseRequest, CloseRequest);
fixed_body!(CloseDone, CloseFinal);

/// The closing transaction, complete: `channel 32 | length u32 | 0 × 4 | transaction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseFinal<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// The transaction with the client's signature.
    pub transaction: &'a [u8],
}

impl<'a> Body<'a> for CloseFinal<'a> {
    const KIND: Kind = Kind::CloseFinal;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(Self {
            channel: ChannelId::read(r)?,
            transaction: read_transaction(r)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.channel);
        put_transaction(self.transaction, out);
    }
}
