//! `SpliceRequest`, `SpliceFinal`: how a channel moves into a successor. The final leaf comes as a `Receipt`.

use tidegate_types::{Amount, ChannelId, Fixed, KeyBytes, OutPoint, Txid, fixed_struct};

use super::Body;
use super::open::{OpenPropose, put_transaction, read_transaction};
use crate::cursor::Put;
use crate::{Items, Kind, Reader, WireError};

/// A client asks for the final leaf that names a successor: `channel 32 | fee u64`, then the successor as an [`OpenPropose`] has it:
/// `terms length u32 | coins u32 | change amount u64 | change key 32 | terms | coins × 36`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpliceRequest<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// The fee of the transaction; the client pays it.
    pub fee: Amount,
    /// The successor's terms.
    pub terms: &'a [u8],
    /// The client's coins that it spends beside the channel.
    pub coins: Items<'a, OutPoint>,
    /// What the client takes back or out; `None` for nothing.
    pub change: Option<(Amount, KeyBytes)>,
}

impl<'a> Body<'a> for SpliceRequest<'a> {
    const KIND: Kind = Kind::SpliceRequest;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (channel, fee) = (ChannelId::read(r)?, Amount::read(r)?);
        let OpenPropose { terms, inputs, change } = OpenPropose::read(r)?;
        Ok(Self {
            channel,
            fee,
            terms,
            coins: inputs,
            change,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.channel);
        out.put(&self.fee);
        let proposal = OpenPropose {
            terms: self.terms,
            inputs: self.coins,
            change: self.change,
        };
        proposal.put(out);
    }
}

/// The splice's transaction, complete: `channel 32 | length u32 | 0 × 4 | transaction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpliceFinal<'a> {
    /// The channel that ends.
    pub channel: ChannelId,
    /// The transaction with the client's signatures.
    pub transaction: &'a [u8],
}

impl<'a> Body<'a> for SpliceFinal<'a> {
    const KIND: Kind = Kind::SpliceFinal;

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

/// The hub has brought the transaction to the ledger: `channel 32 | txid 32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpliceDone {
    /// The channel that ends.
    pub channel: ChannelId,
    /// The transaction's name.
    pub txid: Txid,
}
fixed_struct!(SpliceDone {
    channel: ChannelId,
    txid: Txid
});

impl<'a> Body<'a> for SpliceDone {
    const KIND: Kind = Kind::SpliceFinal;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(<Self as Fixed>::read(r)?)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }
}
