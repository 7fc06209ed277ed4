//! The rules of a transaction (3, 4, 29 and 30), against the outputs that are unspent now.

use std::collections::BTreeSet;

use tidegate_crypto::keys::KeyError;
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{Amount, AmountError, LedgerId, OutPoint, Txid};

use crate::chain::Trust;
use crate::close::registered;
use crate::{
    CloseError, Condition, KeyCache, LedgerParams, MAX_INPUTS, MAX_OUTPUTS, OutputError, Transaction, TransactionBody,
    Utxo, UtxoStore, Witness,
};

/// Why a transaction is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TransactionError {
    /// It has no inputs or too many, no outputs or too many, or not one witness for each input.
    #[error("a transaction has 1 to {MAX_INPUTS} inputs, 1 to {MAX_OUTPUTS} outputs and one witness for each input")]
    Counts,
    /// Its encoding is too wide.
    #[error("the transaction has {bytes} bytes, the ledger allows {max}")]
    TooLarge {
        /// Its width.
        bytes: u64,
        /// The limit.
        max: u32,
    },
    /// No block could hold it.
    #[error("the transaction costs {cost} units, a block holds {max}")]
    TooDear {
        /// Its cost.
        cost: u64,
        /// The limit.
        max: u64,
    },
    /// It names one output twice.
    #[error("the transaction spends {0} twice")]
    DuplicateInput(OutPoint),
    /// It spends what does not exist or is spent already.
    #[error("{0} does not exist or is spent")]
    UnknownInput(OutPoint),
    /// A sum is out of range.
    #[error("a sum of the transaction is out of range: {0}")]
    Sum(AmountError),
    /// Its outputs exceed its inputs.
    #[error("the outputs of {outputs} exceed the inputs of {inputs}")]
    Inflation {
        /// Σ in.
        inputs: Amount,
        /// Σ out.
        outputs: Amount,
    },
    /// The fee is below the least.
    #[error("the fee of {fee} is below {least}")]
    FeeTooLow {
        /// Σ in − Σ out.
        fee: Amount,
        /// The least for its cost.
        least: Amount,
    },
    /// An output may not be created.
    #[error("output {index}: {error}")]
    Output {
        /// Which.
        index: usize,
        /// Why.
        error: OutputError,
    },
    /// A witness is of a kind that does not spend its output.
    #[error("input {input}: the witness is not of a kind that spends this output")]
    WrongWitness {
        /// Which input.
        input: usize,
    },
    /// A signature is not valid.
    #[error("input {input}: the signature is not valid")]
    BadSignature {
        /// Which input.
        input: usize,
    },
    /// A key of an unspent output does not decode: the state is damaged.
    #[error("input {input}: the key of the unspent output is damaged: {error}")]
    DamagedKey {
        /// Which input.
        input: usize,
        /// How.
        error: KeyError,
    },
    /// The evidence does not close the channel.
    #[error("input {input}: {error}")]
    Close {
        /// Which input.
        input: usize,
        /// Why.
        error: CloseError,
    },
    /// More channels would be open than could be disputed in time (rule 28).
    #[error("{max} channels are open, and more could not be disputed in time")]
    ChannelLimit {
        /// The limit.
        max: u64,
    },
}

/// A transaction that satisfied every rule against some state of the ledger. Later states can only have spent its inputs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTransaction {
    transaction: Transaction,
    facts: Facts,
}

/// What checking found out about a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) txid: Txid,
    pub(crate) fee: Amount,
    pub(crate) cost: u64,
    pub(crate) bytes: u64,
}

impl CheckedTransaction {
    pub(crate) const fn new(transaction: Transaction, facts: Facts) -> Self {
        Self { transaction, facts }
    }

    /// The transaction.
    #[must_use]
    pub const fn transaction(&self) -> &Transaction {
        &self.transaction
    }

    /// Its name.
    #[must_use]
    pub const fn txid(&self) -> Txid {
        self.facts.txid
    }

    /// Its fee.
    #[must_use]
    pub const fn fee(&self) -> Amount {
        self.facts.fee
    }

    /// Its cost in units of a block.
    #[must_use]
    pub const fn cost(&self) -> u64 {
        self.facts.cost
    }

    /// The width of its encoding.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.facts.bytes
    }

    pub(crate) const fn facts(&self) -> &Facts {
        &self.facts
    }
}

/// What a transaction is checked against.
pub(crate) struct Checker<'a, S> {
    pub(crate) ledger: &'a LedgerId,
    pub(crate) params: &'a LedgerParams,
    pub(crate) store: &'a S,
    pub(crate) keys: &'a mut KeyCache,
    pub(crate) trust: Trust,
}

impl<S: UtxoStore> Checker<'_, S> {
    /// Checks every rule, the cheap ones first.
    pub(crate) fn check(&mut self, tx: &Transaction) -> Result<Facts, TransactionError> {
        let (bytes, cost) = self.check_size(tx)?;
        let utxos = self.inputs(&tx.body.inputs)?;
        let fee = fee(&tx.body, &utxos)?;
        let least = self.params.fee_min(cost);
        if fee < least {
            return Err(TransactionError::FeeTooLow { fee, least });
        }
        let txid = tx.txid();
        self.check_outputs(tx)?;
        for (input, utxo) in utxos.iter().enumerate() {
            self.check_witness(tx, &txid, fee, input, utxo)?;
        }
        Ok(Facts { txid, fee, cost, bytes })
    }

    fn check_size(&self, tx: &Transaction) -> Result<(u64, u64), TransactionError> {
        let counts = (1..=MAX_INPUTS).contains(&tx.body.inputs.len())
            && (1..=MAX_OUTPUTS).contains(&tx.body.outputs.len())
            && tx.witnesses.len() == tx.body.inputs.len();
        if !counts {
            return Err(TransactionError::Counts);
        }
        let (bytes, max) = (tx.encoded_len(), self.params.transaction_bytes_max);
        if bytes > u64::from(max) {
            return Err(TransactionError::TooLarge { bytes, max });
        }
        let (cost, max) = (tx.cost(), self.params.block_cost_max);
        if cost > max {
            return Err(TransactionError::TooDear { cost, max });
        }
        Ok((bytes, cost))
    }

    fn inputs(&self, inputs: &[OutPoint]) -> Result<Vec<Utxo>, TransactionError> {
        let mut seen = BTreeSet::new();
        inputs
            .iter()
            .map(|input| {
                if !seen.insert(input) {
                    return Err(TransactionError::DuplicateInput(*input));
                }
                self.store.get(input).ok_or(TransactionError::UnknownInput(*input))
            })
            .collect()
    }

    fn check_outputs(&mut self, tx: &Transaction) -> Result<(), TransactionError> {
        // A side with a little left could not close otherwise. Closes add at most two outputs for a channel that was above
        // the limit, so dust stays bounded; their keys were checked when the channel was opened.
        let exempt = tx.closes_channel();
        let mut shown = tx.body.keys.iter();
        for (index, output) in tx.body.outputs.iter().enumerate() {
            let keys = output.condition.multi().and_then(|_| shown.next());
            let dust = if exempt { Ok(()) } else { output.check_dust(self.params) };
            let result = dust.and_then(|()| output.check_form(self.params));
            let result = match self.trust {
                Trust::Nothing if !exempt => result.and_then(|()| output.check_keys(self.keys, keys)),
                Trust::Nothing | Trust::OwnRecords => result,
            };
            result.map_err(|error| TransactionError::Output { index, error })?;
        }
        Ok(())
    }

    fn check_witness(
        &self,
        tx: &Transaction,
        txid: &Txid,
        fee: Amount,
        input: usize,
        utxo: &Utxo,
    ) -> Result<(), TransactionError> {
        match (&tx.witnesses[input], &utxo.output.condition) {
            (Witness::Key(_), _) if tx.closes_channel() => Err(TransactionError::Close {
                input,
                error: CloseError::NotAlone,
            }),
            (Witness::Key(signature), Condition::Key(key)) => {
                if self.trust == Trust::OwnRecords {
                    return Ok(());
                }
                let key = registered(*key).map_err(|error| TransactionError::DamagedKey { input, error })?;
                match verify(&key, TransactionBody::message(txid, self.ledger).as_slice(), signature) {
                    Verdict::Valid => Ok(()),
                    Verdict::Invalid => Err(TransactionError::BadSignature { input }),
                }
            }
            (Witness::ChannelClose(close), Condition::Channel(terms)) => {
                let id = terms.channel_id(&tx.body.inputs[input]);
                let content = close.check_content(&id, terms, &tx.body, fee);
                content
                    .and_then(|()| match self.trust {
                        Trust::Nothing => close.check_signatures(self.ledger, terms, txid),
                        Trust::OwnRecords => Ok(()),
                    })
                    .map_err(|error| TransactionError::Close { input, error })
            }
            _ => Err(TransactionError::WrongWitness { input }),
        }
    }
}

/// Σ in − Σ out.
fn fee(body: &TransactionBody, utxos: &[Utxo]) -> Result<Amount, TransactionError> {
    let inputs = Amount::sum(utxos.iter().map(|utxo| utxo.output.amount)).map_err(TransactionError::Sum)?;
    let outputs = Amount::sum(body.outputs.iter().map(|output| output.amount)).map_err(TransactionError::Sum)?;
    inputs
        .sub(outputs)
        .map_err(|_| TransactionError::Inflation { inputs, outputs })
}
