//! Transactions: inputs that are spent, outputs that are created, and the witnesses that allow it.
//!
//! ```text
//! body          version 1 | inputs 2 | outputs 2 | inputs 36 each: txid 32, vout 4 | outputs, see `output`
//! transaction   body | one witness for each input, see `witness`
//! txid          hash(Txid, body)
//! ```
//!
//! The txid does not cover witnesses, so nobody without the key can change it (rule 2).

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::signed::{SignedKind, SignedMessage, sign, signed_message};
use tidegate_types::{DecodeError, Fixed, LedgerId, OutPoint, Reader, SignatureBytes, Txid};

use crate::codec::{Canonical, read_count, read_list, write_count};
use crate::{LedgerParams, Output, Witness};

/// The most inputs of a transaction.
pub const MAX_INPUTS: usize = 256;
/// The most outputs of a transaction.
pub const MAX_OUTPUTS: usize = 256;

const VERSION: u8 = 1;
const HEAD_LEN: usize = 1 + 2 + 2;

/// What a transaction does; everything that its txid covers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransactionBody {
    /// The outputs that are spent, 1 to [`MAX_INPUTS`].
    pub inputs: Vec<OutPoint>,
    /// The outputs that are created, 1 to [`MAX_OUTPUTS`].
    pub outputs: Vec<Output>,
}

/// A transaction with its witnesses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// What it does.
    pub body: TransactionBody,
    /// Why it may: one witness for each input, in the same order.
    pub witnesses: Vec<Witness>,
}

impl Canonical for OutPoint {
    const LEN_MIN: usize = <Self as Fixed>::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Fixed::read(r)
    }
}

impl TransactionBody {
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
        HEAD_LEN + self.inputs.len() * OutPoint::LEN + self.outputs.iter().map(Output::encoded_len).sum::<usize>()
    }

    /// What this transaction takes of a block if all its inputs are spent by keys.
    #[must_use]
    pub fn cost_by_keys(&self) -> u64 {
        self.encoded_len() as u64 + self.inputs.len() as u64 * Witness::KEY_COST
    }

    fn encode(&self, out: &mut Vec<u8>) {
        out.push(VERSION);
        write_count(self.inputs.len(), out);
        write_count(self.outputs.len(), out);
        self.inputs.iter().for_each(|input| input.encode(out));
        self.outputs.iter().for_each(|output| output.encode(out));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let version = u8::read(r)?;
        if version != VERSION {
            return Err(DecodeError::UnknownValue {
                field: "transaction version",
                value: version.into(),
            });
        }
        let inputs = read_count(r, 1, MAX_INPUTS, "input count")?;
        let outputs = read_count(r, 1, MAX_OUTPUTS, "output count")?;
        Ok(Self {
            inputs: read_list(r, inputs)?,
            outputs: read_list(r, outputs)?,
        })
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
        self.body.encoded_len() as u64 + self.witnesses.iter().map(Witness::cost).sum::<u64>()
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
