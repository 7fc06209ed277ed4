//! `OpenPropose`, `OpenAccept`: how a channel begins.

use tidegate_types::{Amount, ChannelId, DecodeError, Fixed, KeyBytes, OutPoint};

use super::Body;
use crate::cursor::{Put, Take};
use crate::lengths::{MAX_OPEN_INPUTS, MAX_TERMS_LEN, MAX_TRANSACTION_LEN};
use crate::{Items, Kind, Reader, WireError};

/// A client proposes a channel: `terms length u32 | inputs u32 | change amount u64 | change key 32 | terms | inputs × 36`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPropose<'a> {
    /// The channel's terms.
    pub terms: &'a [u8],
    /// What the client pays its share with.
    pub inputs: Items<'a, OutPoint>,
    /// Where what is left of the inputs goes; `None` if nothing is.
    pub change: Option<(Amount, KeyBytes)>,
}

impl<'a> Body<'a> for OpenPropose<'a> {
    const KIND: Kind = Kind::OpenPropose;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (terms_len, inputs) = (u32::read(r)?, u32::read(r)?);
        let change = read_change(r)?;
        Ok(Self {
            terms: r.blob(terms_len, "bytes of terms", MAX_TERMS_LEN)?,
            inputs: Items::read(r, inputs, "inputs", MAX_OPEN_INPUTS)?,
            change,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.count(self.terms.len(), "bytes of terms", MAX_TERMS_LEN);
        out.count(self.inputs.len(), "inputs", MAX_OPEN_INPUTS);
        let (amount, key) = self.change.unwrap_or((Amount::ZERO, KeyBytes::ZERO));
        out.put(&amount);
        out.put(&key);
        out.list(self.terms);
        self.inputs.put(out);
    }
}

/// The funding transaction with the hub's part: `channel 32 | length u32 | 0 × 4 | transaction`.
///
/// The client checks it, signs its inputs and brings it back with `SubmitTx`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAccept<'a> {
    /// The channel that the transaction creates.
    pub channel: ChannelId,
    /// The transaction, signed by the hub where the hub pays.
    pub transaction: &'a [u8],
}

impl<'a> Body<'a> for OpenAccept<'a> {
    const KIND: Kind = Kind::OpenAccept;

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

/// `change amount u64 | change key 32`, both zero for none.
fn read_change(r: &mut Reader<'_>) -> Result<Option<(Amount, KeyBytes)>, WireError> {
    let (amount, key) = (Amount::read(r)?, KeyBytes::read(r)?);
    match (amount.is_zero(), key.is_zero()) {
        (true, true) => Ok(None),
        (true, false) => Err(DecodeError::NonZeroPadding.into()),
        (false, _) => Ok(Some((amount, key))),
    }
}

/// `length u32 | 0 × 4 | transaction`.
pub(super) fn read_transaction<'a>(r: &mut Reader<'a>) -> Result<&'a [u8], WireError> {
    let len = u32::read(r)?;
    r.pad(4)?;
    r.blob(len, "bytes of a transaction", MAX_TRANSACTION_LEN)
}

pub(super) fn put_transaction(transaction: &[u8], out: &mut Vec<u8>) {
    out.count(transaction.len(), "bytes of a transaction", MAX_TRANSACTION_LEN);
    out.pad(4);
    out.list(transaction);
}
