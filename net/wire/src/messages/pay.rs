//! `Pay`, `PayAnswer`: one client state, and why it was refused. An accepted state is answered by a `Receipt`.

use tidegate_types::{
    ChannelId, ClientCounter, DecodeError, Fixed, HubCounter, LockId, PaymentId, SignatureBytes, fixed_struct,
};

use super::Body;
use crate::cursor::{Put, Take};
use crate::lengths::{MAX_OPERATIONS_LEN, OP_OUTCOME_LEN, STATE_LEN};
use crate::{Kind, Reader, WireError};

/// One client state: `state 160 | signature 64 | length u32 | 0 × 4 | operations`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pay<'a> {
    /// The state `C`.
    pub state: &'a [u8; STATE_LEN],
    /// The client's signature over it.
    pub signature: &'a SignatureBytes,
    /// The operations whose digest stands in the state.
    pub operations: &'a [u8],
}

impl<'a> Body<'a> for Pay<'a> {
    const KIND: Kind = Kind::Pay;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let state = r.view()?;
        let signature = r.view()?;
        let len = u32::read(r)?;
        r.pad(4)?;
        Ok(Self {
            state,
            signature,
            operations: r.blob(len, "bytes of operations", MAX_OPERATIONS_LEN)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.list(self.state);
        out.put(self.signature);
        out.count(self.operations.len(), "bytes of operations", MAX_OPERATIONS_LEN);
        out.pad(4);
        out.list(self.operations);
    }
}

/// What the hub remembers of one payment: `payment id 16 | lock 32 | c 8 | outcome 2 | 0 × 6`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredAnswer {
    /// The payer's name for it.
    pub payment_id: PaymentId,
    /// Its lock.
    pub lock: LockId,
    /// The counter of the state that added the lock.
    pub counter: ClientCounter,
    /// What became of it: kind and reason, as in an outcome.
    pub outcome: [u8; OP_OUTCOME_LEN],
}
fixed_struct!(StoredAnswer { payment_id: PaymentId, lock: LockId, counter: ClientCounter, outcome: [u8; 2], pad 6 });

/// A state was refused, and nothing changed:
/// `channel 32 | c 8 | refusal 1 | flags 1 | 0 × 6 | newest c 8 | newest h 8 | stored answer 64 if flag bit 0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PayAnswer {
    /// The channel.
    pub channel: ChannelId,
    /// The counter of the refused state.
    pub counter: ClientCounter,
    /// Why: a code of `RefuseReason`; never zero.
    pub refusal: u8,
    /// The newest state that the hub has accepted.
    pub newest_state: ClientCounter,
    /// The newest leaf.
    pub newest_leaf: HubCounter,
    /// The answer that stands, if the state repeats a payment id.
    pub stored: Option<StoredAnswer>,
}

impl<'a> Body<'a> for PayAnswer {
    const KIND: Kind = Kind::PayAnswer;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let channel = ChannelId::read(r)?;
        let counter = ClientCounter::read(r)?;
        let refusal = u8::read(r)?;
        let stored = read_bool(r, "answer flags")?;
        r.pad(6)?;
        if refusal == 0 {
            return Err(DecodeError::OutOfRange { field: "refusal" }.into());
        }
        Ok(Self {
            channel,
            counter,
            refusal,
            newest_state: ClientCounter::read(r)?,
            newest_leaf: HubCounter::read(r)?,
            stored: stored.then(|| StoredAnswer::read(r)).transpose()?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        assert_ne!(self.refusal, 0, "a refusal has a reason");
        out.put(&self.channel);
        out.put(&self.counter);
        out.put(&self.refusal);
        out.put(&u8::from(self.stored.is_some()));
        out.pad(6);
        out.put(&self.newest_state);
        out.put(&self.newest_leaf);
        if let Some(stored) = &self.stored {
            out.put(stored);
        }
    }
}

/// One byte, 0 or 1.
pub(super) fn read_bool(r: &mut Reader<'_>, field: &'static str) -> Result<bool, WireError> {
    match u8::read(r)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(DecodeError::UnknownValue {
            field,
            value: other.into(),
        }
        .into()),
    }
}
