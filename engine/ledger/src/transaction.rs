//! Transactions: inputs that are spent, outputs that are created, and the witnesses that allow it.
//!
//! ```text
//! body          version 1 | inputs 2 | outputs 2 | inputs 36 each: txid 32, vout 4 | outputs, see `output`
//!               version 2: as 1, then for each `Multi` among the outputs its keys (threshold 1, count 1, keys 32 each),
//!               | action follows 1 | action, see `action`
//! transaction   body | one witness for each input, see `witness`
//! txid          hash(Txid, body)
//! ```
//!
//! A body is of version 2 if it shows keys or has an action, else of version 1. The txid does not cover witnesses, so nobody without the key can change it (rule 2).

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::signed::{SignedKind, SignedMessage, sign, signed_message};
use tidegate_types::{DecodeError, Fixed, KeyBytes, LedgerId, OutPoint, Reader, SignatureBytes, Txid};

use crate::codec::{Canonical, read_count, read_fixed_list, read_list, write_count};
use crate::condition::unknown;
use crate::{Action, LedgerParams, MultiKeys, Output, Witness};

/// The most inputs of a transaction.
pub const MAX_INPUTS: usize = 256;
/// The most outputs of a transaction.
pub const MAX_OUTPUTS: usize = 256;

const VERSION_PLAIN: u8 = 1;
const VERSION_FULL: u8 = 2;
const HEAD_LEN: usize = 1 + 2 + 2;

/// What a transaction does; everything that its txid covers.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct TransactionBody {
    /// The outputs that are spent, 1 to [`MAX_INPUTS`].
    pub inputs: Vec<OutPoint>,
    /// The outputs that are created, up to [`MAX_OUTPUTS`]; at least 1 without an action.
    pub outputs: Vec<Output>,
    /// The keys of each output that is a `Multi`, in order.
    pub keys: Vec<MultiKeys>,
    /// What else it does.
    pub action: Option<Box<Action>>,
}

/// A transaction with its witnesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// What it does.
    pub body: TransactionBody,
    /// Why it may: one witness for each input, in the same order.
    pub witnesses: Vec<Witness>,
}

impl TransactionBody {
    /// A body that moves money and does nothing else.
    #[must_use]
    pub const fn plain(inputs: Vec<OutPoint>, outputs: Vec<Output>) -> Self {
        Self {
            inputs,
            outputs,
            keys: Vec::new(),
            action: None,
        }
    }

    /// A body with an action; its first input is what the action concerns, if it concerns an output.
    #[must_use]
    pub fn of_action(inputs: Vec<OutPoint>, outputs: Vec<Output>, action: Action) -> Self {
        Self {
            action: Some(Box::new(action)),
            ..Self::plain(inputs, outputs)
        }
    }

    /// The name of the transaction.
    #[must_use]
    pub fn txid(&self) -> Txid {
        let mut bytes = Vec::with_capacity(self.encoded_len());
        self.encode(&mut bytes);
        Txid::from_bytes(*hash(Domain::Txid, &bytes).as_bytes())
    }

    /// The byte string that spenders sign.
    #[must_use]
    pub fn message(txid: &Txid, ledger: &LedgerId) -> SignedMessage {
        signed_message(ledger, SignedKind::Transaction, txid.as_bytes())
    }

    /// The signature by `key` that spends an input of this transaction.
    #[must_use]
    pub fn sign(&self, ledger: &LedgerId, key: &SecretKey) -> SignatureBytes {
        sign(key, ledger, SignedKind::Transaction, self.txid().as_bytes())
    }

    /// Completes a transaction all of whose inputs are `Key` outputs, input `i` being spent by `keys[i]`.
    ///
    /// # Panics
    /// If there is not one key for each input.
    #[must_use]
    pub fn sign_all(self, ledger: &LedgerId, keys: &[&SecretKey]) -> Transaction {
        assert_eq!(keys.len(), self.inputs.len(), "one key for each input");
        let txid = self.txid();
        let witness = |key: &&SecretKey| Witness::Key(sign(key, ledger, SignedKind::Transaction, txid.as_bytes()));
        Transaction {
            witnesses: keys.iter().map(witness).collect(),
            body: self,
        }
    }

    /// The width of the encoding in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        let mut len = self.plain_len();
        if self.is_full() {
            let mut rest = Vec::new();
            self.encode_rest(&mut rest);
            len += rest.len();
        }
        len
    }

    /// Without keys and action.
    fn plain_len(&self) -> usize {
        HEAD_LEN + self.inputs.len() * OutPoint::LEN + self.outputs.iter().map(Output::encoded_len).sum::<usize>()
    }

    const fn is_full(&self) -> bool {
        !self.keys.is_empty() || self.action.is_some()
    }

    /// What the body takes of a block: its bytes but those of the action, which has a cost of its own.
    fn cost(&self) -> u64 {
        let keys: usize = self.keys.iter().map(|keys| 2 + KeyBytes::LEN * keys.keys().len()).sum();
        (self.plain_len() + keys) as u64 + self.action.as_ref().map_or(0, |action| action.cost())
    }

    /// What this transaction takes of a block if all its inputs are spent by keys.
    #[must_use]
    pub fn cost_by_keys(&self) -> u64 {
        self.cost() + self.inputs.len() as u64 * Witness::KEY_COST
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(if self.is_full() { VERSION_FULL } else { VERSION_PLAIN });
        write_count(self.inputs.len(), out);
        write_count(self.outputs.len(), out);
        self.inputs.iter().for_each(|input| input.append_to(out));
        self.outputs.iter().for_each(|output| output.encode(out));
        if self.is_full() {
            self.encode_rest(out);
        }
    }

    fn encode_rest(&self, out: &mut Vec<u8>) {
        self.keys.iter().for_each(|keys| keys.encode(out));
        out.push(self.action.is_some().into());
        if let Some(action) = &self.action {
            action.encode(out);
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::read(r)?;
        if version != VERSION_PLAIN && version != VERSION_FULL {
            return Err(unknown("transaction version", version));
        }
        let inputs = read_count(r, 1, MAX_INPUTS, "input count")?;
        let outputs_min = usize::from(version == VERSION_PLAIN);
        let outputs = read_count(r, outputs_min, MAX_OUTPUTS, "output count")?;
        let mut body = Self::plain(read_fixed_list(r, inputs)?, read_list(r, outputs)?);
        if version == VERSION_FULL {
            body.read_rest(r)?;
        }
        Ok(body)
    }

    fn read_rest(&mut self, r: &mut Reader<'_>) -> Result<(), DecodeError> {
        let multis = self.outputs.iter().filter(|o| o.condition.multi().is_some()).count();
        self.keys = read_list(r, multis)?;
        self.action = match u8::read(r)? {
            0 => None,
            1 => Some(Box::new(Action::read(r)?)),
            other => return Err(unknown("action flag", other)),
        };
        if self.is_full() {
            Ok(())
        } else {
            Err(unknown("transaction version", VERSION_FULL))
        }
    }
}

impl Transaction {
    /// The name of the transaction.
    #[must_use]
    pub fn txid(&self) -> Txid {
        self.body.txid()
    }

    /// The units of a block that it takes: one for each byte of the body, and the fixed cost of each spend path.
    #[must_use]
    pub fn cost(&self) -> u64 {
        self.body.cost() + self.witnesses.iter().map(Witness::cost).sum::<u64>()
    }

    /// The least fee that a close of a channel pays, both sides being paid out.
    #[must_use]
    pub fn close_fee_min(params: &LedgerParams) -> tidegate_types::Amount {
        let body = HEAD_LEN + OutPoint::LEN + 2 * Output::LEN_MIN;
        params.fee_min(body as u64 + Witness::CHANNEL_CLOSE_COST)
    }

    /// The encoding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.body.encode(&mut out);
        self.encode_witnesses(&mut out);
        out
    }

    /// The width of the encoding in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> u64 {
        self.body.encoded_len() as u64 + self.witnesses.iter().map(Witness::encoded_len).sum::<u64>()
    }

    /// True if a witness is a channel's close.
    pub(crate) fn closes_channel(&self) -> bool {
        self.witnesses.iter().any(|w| matches!(w, Witness::ChannelClose(_)))
    }

    /// The encoding of the witnesses alone: what the txid leaves out.
    pub(crate) fn encode_witnesses(&self, out: &mut Vec<u8>) {
        self.witnesses.iter().for_each(|witness| witness.encode(out));
    }

    /// Reads a transaction that must fill `bytes` exactly.
    ///
    /// # Errors
    /// [`DecodeError`] if the bytes are not what [`Transaction::encode`] writes for any transaction, or are more than
    /// any ledger allows ([`LedgerParams::TRANSACTION_BYTES_LIMIT`]).
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        if bytes.len() > LedgerParams::TRANSACTION_BYTES_LIMIT as usize {
            return Err(DecodeError::OutOfRange {
                field: "transaction size",
            });
        }
        let mut r = Reader::new(bytes);
        let body = TransactionBody::read(&mut r)?;
        let witnesses = read_list(&mut r, body.inputs.len())?;
        r.finish()?;
        Ok(Self { body, witnesses })
    }
}
