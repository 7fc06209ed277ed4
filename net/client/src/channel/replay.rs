//! From a journal back to the channel.

use tidegate_channel::{Ack, ClientState, SignedHeader, decode_operations};
use tidegate_types::{DecodeError, Fixed, Height};
use tidegate_wire::messages::{self as wire, Body as _};
use tidegate_wire::{Item as _, Reader, WireError};

use super::{ClientChannel, SignedState, Signer};
use crate::error::{ReplayError, StepError};
use crate::headers::HeaderCache;
use crate::receipt::Leaf;
use crate::store::Record;

impl ClientChannel {
    /// The channel that the records of a journal lead to. Signatures were checked, or made, when the records were written,
    /// and are not checked again; the rules are.
    ///
    /// # Errors
    /// [`StepError::Adopt`], [`StepError::Replay`].
    pub fn replay(records: &[Record], signer: &Signer, headers: &HeaderCache) -> Result<Self, StepError> {
        let Some((Record::Opened(opened), rest)) = records.split_first() else {
            return Err(WireError::Decode(DecodeError::Truncated).into());
        };
        let mut channel = Self::new(**opened, signer, headers)?;
        for (at, record) in rest.iter().enumerate() {
            channel.apply(record).map_err(|what| StepError::Replay {
                channel: opened.channel,
                index: at + 1,
                what: Box::new(what),
            })?;
        }
        Ok(channel)
    }

    fn apply(&mut self, record: &Record) -> Result<(), ReplayError> {
        match record {
            Record::Opened(_) => return Err(ReplayError::Other),
            Record::State(body) => self.apply_state(body)?,
            Record::Receipt(body) => self.apply_receipt(body)?,
            Record::SyncedLeaf(body) => {
                let mut r = Reader::new(body);
                let leaf = Leaf::decode_synced(&wire::SyncLeaf::read_item(&mut r)?)?;
                self.apply_leaf(&leaf)?;
            }
            Record::Ack(body) => {
                // The rule about heights was applied when the ack was signed.
                let ack = self.wallet.ack(Height::ZERO).ok_or(ReplayError::Other)?;
                if <Ack as Fixed>::decode(wire::Ack::decode(body)?.ack)? != ack {
                    return Err(ReplayError::Other);
                }
                self.note_acknowledged();
            }
            Record::Proved(lock, _) => self.wallet.prove(lock),
            Record::Closing(transaction) => self.closing = Some(transaction.clone()),
            Record::Closed(txid) => self.closed = Some(*txid),
            Record::Restored(body) => {
                let restored = self.restored(&wire::SyncAnswer::decode(body)?);
                *self = restored.map_err(|_| ReplayError::Other)?;
            }
            Record::Superseded => self.give_up(),
            Record::Preimage(lock, preimage) => {
                if !self.wallet.prove_preimage(lock, preimage) {
                    return Err(ReplayError::Other);
                }
            }
            Record::Released(body) => {
                self.wallet.release(&<wire::Release as Fixed>::decode(body)?.lock)?;
            }
            Record::Splicing(body) => self.apply_splice(body)?,
            Record::Revealed(lock) => self.wallet.note_revealed(lock),
        }
        Ok(())
    }

    fn apply_state(&mut self, body: &[u8]) -> Result<(), ReplayError> {
        let message = wire::Pay::decode(body)?;
        let state = ClientState::decode(message.state)?;
        let mut operations = Vec::new();
        decode_operations(message.operations, &mut operations)?;
        let base = self.wallet.base();
        let (again, _) = self.wallet.propose(operations, state.ack)?;
        if again != state {
            return Err(ReplayError::Other);
        }
        self.sent.push(SignedState {
            state,
            body: body.to_vec(),
            base: Some(base),
            left_open: self.wallet.client().locks().to_vec(),
        });
        self.note_acknowledged();
        Ok(())
    }

    fn apply_receipt(&mut self, body: &[u8]) -> Result<(), ReplayError> {
        let receipt = wire::Receipt::decode(body)?;
        let entry = receipt.entries.iter().next().ok_or(ReplayError::Other)?;
        let leaf = Leaf::decode(&entry)?;
        self.apply_leaf(&leaf)?;
        self.take_final(&SignedHeader::decode(receipt.header)?, &entry, &leaf);
        Ok(())
    }

    fn apply_leaf(&mut self, leaf: &Leaf) -> Result<(), ReplayError> {
        match self.take_leaf(leaf) {
            Ok(_) => Ok(()),
            Err(StepError::Receipt(error)) => Err(error.into()),
            Err(_) => Err(ReplayError::Other),
        }
    }
}
