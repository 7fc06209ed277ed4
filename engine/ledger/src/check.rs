//! The rules of a transaction (3, 4, 21, 29 and 30), against the ledger's entries as they are now.

use std::collections::BTreeSet;

use tidegate_channel::ChannelTerms;
use tidegate_crypto::keys::KeyError;
use tidegate_types::{Age, Amount, AmountError, Height, KeyBytes, LedgerId, OutPoint, Txid};

use crate::chain::{Lookup, Trust};
use crate::entries::Entries;
use crate::judge::{Case, Effects};
use crate::record::stake_outpoint;
use crate::spend::Input;
use crate::{
    ActionError, CloseError, Condition, KeyCache, LedgerParams, LockError, MAX_INPUTS, MAX_OUTPUTS, OutputError,
    Record, StakeRecord, StakeState, Transaction, Utxo, UtxoStore, Witness,
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
    /// The input is timelocked.
    #[error("input {input}: only from height {first} on")]
    Locked {
        /// Which input.
        input: usize,
        /// The first height at which it can be spent.
        first: Height,
    },
    /// A lock is not met, or not to be refunded.
    #[error("input {input}: {error}")]
    Lock {
        /// Which input.
        input: usize,
        /// Why.
        error: LockError,
    },
    /// The action is refused.
    #[error("the action is refused: {0}")]
    Action(#[from] ActionError),
    /// A stake is funded by its hub's own key, and a hub has one at a time.
    #[error("output {index}: a stake is funded by its hub, which has no other")]
    StakeOfAnother {
        /// Which output.
        index: usize,
    },
    /// The hub's stake does not back new channels: it is being unbonded or was slashed (rule 21).
    #[error("output {index}: the stake of the channel's hub is being unbonded or was slashed")]
    HubNotBonded {
        /// Which output.
        index: usize,
    },
    /// The channel could outlive its hub's stake (rule 27).
    #[error(
        "output {index}: the channel could outlive its hub's stake; it is to expire at height {latest} at the latest"
    )]
    OutlivesStake {
        /// Which output.
        index: usize,
        /// The latest expiry, with its windows, that the stake covers.
        latest: Height,
    },
    /// More channels would be open than could be disputed in time (rule 28).
    #[error("{max} channels are open, and more could not be disputed in time")]
    ChannelLimit {
        /// The limit.
        max: u64,
    },
}

/// A transaction that satisfied every rule against some state of the ledger.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CheckedTransaction {
    transaction: Transaction,
    facts: Facts,
}

/// What checking found out about a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) txid: Txid,
    pub(crate) fee: Amount,
    pub(crate) cost: u64,
    pub(crate) bytes: u64,
    /// Whether later states can only have spent its inputs; if not, it is judged again when a block takes it.
    pub(crate) is_plain: bool,
    /// Whether blocks keep room for it.
    pub(crate) is_urgent: bool,
    pub(crate) effects: Effects,
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

    /// Whether blocks keep room for it (rule 15): reveals, and all that a dispute needs.
    #[must_use]
    pub const fn is_urgent(&self) -> bool {
        self.facts.is_urgent
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
    pub(crate) lookup: &'a Lookup,
    pub(crate) keys: &'a mut KeyCache,
    /// The height of the block that is to hold the transaction.
    pub(crate) height: Height,
    pub(crate) trust: Trust,
}

impl<'a, S: UtxoStore> Checker<'a, S> {
    pub(crate) const fn entries(&self) -> Entries<'a, S> {
        Entries {
            store: self.store,
            lookup: self.lookup,
        }
    }

    /// Checks every rule, the cheap ones first.
    pub(crate) fn check(&mut self, tx: &Transaction) -> Result<Facts, TransactionError> {
        let (bytes, cost) = self.check_size(tx)?;
        let utxos = self.inputs(&tx.body.inputs)?;
        let least = self.params.fee_min(cost);
        let case = Case {
            tx,
            utxos: &utxos,
            least,
        };
        let mut effects = match tx.body.action.as_deref() {
            Some(action) => self.judge(case, action)?,
            None => Effects::default(),
        };
        let fee = fee(tx, &utxos, &effects)?;
        if fee < least {
            return Err(TransactionError::FeeTooLow { fee, least });
        }
        let txid = tx.txid();
        let closes = tx.closes_channel();
        self.check_outputs(tx, closes || effects.exempt)?;
        for (index, utxo) in utxos.iter().enumerate() {
            let input = Input {
                tx,
                txid: &txid,
                fee,
                index,
                utxo,
            };
            if closes && tx.body.inputs.len() > 1 {
                let error = CloseError::NotAlone;
                return Err(TransactionError::Close { input: index, error });
            }
            self.check_witness(input, &mut effects)?;
        }
        self.check_stakes(tx, &utxos, &txid, &mut effects)?;
        Ok(Facts {
            txid,
            fee,
            cost,
            bytes,
            is_plain: is_plain(tx, &utxos),
            is_urgent: is_urgent(tx),
            effects,
        })
    }

    fn check_size(&self, tx: &Transaction) -> Result<(u64, u64), TransactionError> {
        let outputs_min = usize::from(tx.body.action.is_none());
        let counts = (1..=MAX_INPUTS).contains(&tx.body.inputs.len())
            && (outputs_min..=MAX_OUTPUTS).contains(&tx.body.outputs.len())
            && tx.witnesses.len() == tx.body.inputs.len();
        if !counts {
            return Err(TransactionError::Counts);
        }
        let (bytes, max) = (tx.encoded_len(), self.params.transaction_bytes_max);
        if bytes > u64::from(max) {
            return Err(TransactionError::TooLarge { bytes, max });
        }
        let (cost, max) = (tx.cost(), self.params.cost_max(is_urgent(tx)));
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
                let found = self.store.get(input).filter(|utxo| !utxo.is_record());
                found.ok_or(TransactionError::UnknownInput(*input))
            })
            .collect()
    }

    /// A side with a little left could not close otherwise, so outputs of a close are exempt from dust. A channel was above
    /// the limit, so dust stays bounded; their keys were checked when the channel was opened.
    fn check_outputs(&mut self, tx: &Transaction, exempt: bool) -> Result<(), TransactionError> {
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

    /// What new stakes and new channels ask of the stakes that are there (rules 21 and 27).
    fn check_stakes(
        &self,
        tx: &Transaction,
        utxos: &[Utxo],
        txid: &Txid,
        effects: &mut Effects,
    ) -> Result<(), TransactionError> {
        let mut staked: Vec<KeyBytes> = Vec::new();
        for ((index, output), vout) in tx.body.outputs.iter().enumerate().zip(0..) {
            match &output.condition {
                Condition::Stake(terms) => {
                    let own = |utxo: &Utxo| utxo.output.condition == Condition::Key(terms.hub);
                    let another = staked.contains(&terms.hub) || self.store.get(&stake_outpoint(&terms.hub)).is_some();
                    if another || !utxos.iter().any(own) {
                        return Err(TransactionError::StakeOfAnother { index });
                    }
                    staked.push(terms.hub);
                    effects.put(Record::StakeOf(StakeRecord {
                        hub: terms.hub,
                        outpoint: OutPoint { txid: *txid, vout },
                    }));
                }
                Condition::Channel(terms) => {
                    let Some((_, stake, _)) = self.entries().stake_of(&terms.hub) else {
                        continue;
                    };
                    if stake.state != StakeState::Bonded {
                        return Err(TransactionError::HubNotBonded { index });
                    }
                    let latest = self.height.plus(stake.unbonding).unwrap_or(Height::MAX);
                    if !ends_by(terms, latest, self.params.dispute_window_min) {
                        return Err(TransactionError::OutlivesStake { index, latest });
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Whether a channel has ended by `latest` if its close starts when it expires, and evidence was shown for `period` blocks.
pub(crate) fn ends_by(terms: &ChannelTerms, latest: Height, period: Age) -> bool {
    let end = terms.expiry.plus(terms.dispute_window);
    let end = end
        .and_then(|end| end.plus(terms.evidence_grace))
        .and_then(|end| end.plus(period));
    end.is_some_and(|end| end <= latest)
}

/// Σ in − Σ out − what stays where it is.
fn fee(tx: &Transaction, utxos: &[Utxo], effects: &Effects) -> Result<Amount, TransactionError> {
    let inputs = Amount::sum(utxos.iter().map(|utxo| utxo.output.amount)).map_err(TransactionError::Sum)?;
    let outputs = Amount::sum(tx.body.outputs.iter().map(|output| output.amount));
    let retained = effects.retained().map_err(TransactionError::Sum)?;
    let outputs = outputs
        .and_then(|sum| sum.add(retained))
        .map_err(TransactionError::Sum)?;
    inputs
        .sub(outputs)
        .map_err(|_| TransactionError::Inflation { inputs, outputs })
}

/// Whether later states can only have spent its inputs: no height, no record and no stake has a say in it.
fn is_plain(tx: &Transaction, utxos: &[Utxo]) -> bool {
    let by_key = |utxo: &Utxo| matches!(utxo.output.condition, Condition::Key(_) | Condition::Multi(_));
    let simple = |condition: &Condition| !matches!(condition, Condition::Channel(_) | Condition::Stake(_));
    tx.body.action.is_none()
        && utxos.iter().all(by_key)
        && tx.body.outputs.iter().all(|output| simple(&output.condition))
}

/// Whether blocks keep room for it.
fn is_urgent(tx: &Transaction) -> bool {
    let claims = |witness: &Witness| matches!(witness, Witness::LockClaim { .. });
    tx.body.action.as_ref().is_some_and(|action| action.is_urgent()) || tx.witnesses.iter().any(claims)
}
