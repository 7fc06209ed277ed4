//! Outputs: an amount and the condition under which it can be spent.
//!
//! ```text
//! output     amount 8 | kind 1 | body, see `condition`
//! utxo       amount 8 | height 4 | position 4 | kind 1 | 0 × 7 | body, zeros up to 240          264 bytes
//! ```
//!
//! Kinds are numbered in the order of rule 29. A condition that would be wider than 240 bytes (`Multi` of 16 keys) holds a
//! digest of its content, which the spender shows.

use tidegate_channel::{ChannelTerms, TermsError};
use tidegate_crypto::keys::KeyError;
use tidegate_types::{Age, Amount, ChannelId, DecodeError, Fixed, Height, KeyBytes, OutPoint, Reader, Writer};

use crate::codec::Canonical;
use crate::condition::{BODY_LEN, unknown};
use crate::{Condition, KeyCache, LedgerParams, MultiKeys, StakeState, StakeTerms};

/// An amount under a condition.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Output {
    /// How much.
    pub amount: Amount,
    /// How it can be spent.
    pub condition: Condition,
}

/// An unspent output, as tables hold it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Utxo {
    /// The output.
    pub output: Output,
    /// The block that created it.
    pub height: Height,
    /// Its place in the tree of unspent outputs.
    pub position: u32,
}

/// Why an output may not be created.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OutputError {
    /// The amount is below the dust limit, or zero.
    #[error("the output of {amount} is below the dust limit of {dust}")]
    Dust {
        /// The output's amount.
        amount: Amount,
        /// The limit.
        dust: Amount,
    },
    /// A key does not satisfy rule 3.
    #[error("the output names a key that does not count: {0}")]
    Key(#[from] KeyError),
    /// A channel's terms contradict each other.
    #[error("the channel's terms do not hold: {0}")]
    Terms(#[from] TermsError),
    /// A channel's amount is not its capacity.
    #[error("a channel's amount is its capacity, {capacity}, not {amount}")]
    NotTheCapacity {
        /// The output's amount.
        amount: Amount,
        /// The capacity in the terms.
        capacity: Amount,
    },
    /// A channel's dispute window is shorter than the ledger allows.
    #[error("the dispute window of {window} blocks is shorter than {least}")]
    DisputeWindow {
        /// The window in the terms.
        window: Age,
        /// The least that the ledger allows.
        least: Age,
    },
    /// A channel's dispute window or evidence grace is longer than any ledger allows.
    #[error("a dispute window or evidence grace is longer than {longest} blocks")]
    WindowTooLong {
        /// The longest.
        longest: Age,
    },
    /// Closing channels and records are made by the ledger alone, and a stake begins bonded.
    #[error("no transaction creates an output of this kind or state")]
    MadeByTheLedger,
    /// The keys of a `Multi` are not shown with it.
    #[error("the keys of a threshold condition are not those shown with it")]
    KeysNotShown,
    /// A stake's amount is not what its terms say.
    #[error("a stake's amount is what it bonds, {bonded}, not {amount}")]
    NotTheStake {
        /// The output's amount.
        amount: Amount,
        /// The amount in the terms.
        bonded: Amount,
    },
}

const _: () = assert!(Utxo::LEN == 264);

impl Output {
    /// The width of the widest encoding, in bytes.
    pub const LEN_MAX: usize = Amount::LEN + 1 + BODY_LEN;

    /// An output that `key` can spend.
    #[must_use]
    pub const fn to_key(amount: Amount, key: KeyBytes) -> Self {
        Self {
            amount,
            condition: Condition::Key(key),
        }
    }

    /// The funding output of a channel of these terms.
    #[must_use]
    pub const fn to_channel(terms: &ChannelTerms) -> Self {
        Self {
            amount: terms.capacity,
            condition: Condition::Channel(*terms),
        }
    }

    /// A hub's stake, which `payout` can spend so many blocks after the hub's notice.
    #[must_use]
    pub const fn to_stake(amount: Amount, hub: KeyBytes, payout: KeyBytes, unbonding: Age) -> Self {
        Self {
            amount,
            condition: Condition::Stake(StakeTerms {
                hub,
                payout,
                unbonding,
                bonded: amount,
                state: StakeState::Bonded,
            }),
        }
    }

    /// The width of the encoding in bytes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        Amount::LEN + 1 + self.condition.body_len()
    }

    /// Appends the encoding to `out`.
    pub fn encode_to(&self, out: &mut Vec<u8>) {
        self.encode(out);
    }

    /// Reads an output from the front of `r`.
    ///
    /// # Errors
    /// [`DecodeError`]; a condition of a kind that this version does not know is one.
    pub fn read_from(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Self::read(r)
    }

    /// Checks all that rules 21 and 30 ask of a new output but the dust limit.
    pub(crate) fn check_form(&self, params: &LedgerParams) -> Result<(), OutputError> {
        if self.amount.is_zero() {
            return Err(OutputError::Dust {
                amount: self.amount,
                dust: params.dust,
            });
        }
        if !self.condition.is_free() {
            return Err(OutputError::MadeByTheLedger);
        }
        match &self.condition {
            Condition::Channel(terms) => self.check_channel(terms, params),
            Condition::Stake(terms) => self.check_stake(terms),
            _ => Ok(()),
        }
    }

    fn check_stake(&self, terms: &StakeTerms) -> Result<(), OutputError> {
        if terms.bonded != self.amount {
            return Err(OutputError::NotTheStake {
                amount: self.amount,
                bonded: terms.bonded,
            });
        }
        Ok(())
    }

    fn check_channel(&self, terms: &ChannelTerms, params: &LedgerParams) -> Result<(), OutputError> {
        terms.check()?;
        if terms.capacity != self.amount {
            return Err(OutputError::NotTheCapacity {
                amount: self.amount,
                capacity: terms.capacity,
            });
        }
        if terms.dispute_window < params.dispute_window_min {
            return Err(OutputError::DisputeWindow {
                window: terms.dispute_window,
                least: params.dispute_window_min,
            });
        }
        let longest = Age::new(LedgerParams::WINDOW_LIMIT);
        if terms.dispute_window > longest || terms.evidence_grace > longest {
            return Err(OutputError::WindowTooLong { longest });
        }
        Ok(())
    }

    /// Checks every key by rule 3. `shown` are the keys of a `Multi`.
    pub(crate) fn check_keys(&self, keys: &mut KeyCache, shown: Option<&MultiKeys>) -> Result<(), OutputError> {
        self.condition.keys().try_for_each(|key| keys.check(key))?;
        if let Some(multi) = self.condition.multi() {
            let shown = shown.filter(|shown| shown.condition() == *multi);
            let shown = shown.ok_or(OutputError::KeysNotShown)?;
            shown.keys().iter().try_for_each(|key| keys.check(*key))?;
        }
        Ok(())
    }

    pub(crate) fn check_dust(&self, params: &LedgerParams) -> Result<(), OutputError> {
        if self.amount < params.dust {
            return Err(OutputError::Dust {
                amount: self.amount,
                dust: params.dust,
            });
        }
        Ok(())
    }
}

impl Canonical for Output {
    const LEN_MIN: usize = Amount::LEN + 1 + KeyBytes::LEN;

    fn encode(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.resize(start + self.encoded_len(), 0);
        let mut w = Writer::new(&mut out[start..]);
        self.amount.write(&mut w);
        self.condition.kind().write(&mut w);
        self.condition.write_body(&mut w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let amount = Amount::read(r)?;
        let kind = u8::read(r)?;
        let condition = Condition::read_body(kind, r)?;
        if condition.is_free() {
            Ok(Self { amount, condition })
        } else {
            Err(unknown("condition", kind))
        }
    }
}

impl Utxo {
    /// The channel that this output funds, closing or not, if it funds one and stands at `outpoint`.
    #[must_use]
    pub fn channel(&self, outpoint: &OutPoint) -> Option<(ChannelId, &ChannelTerms)> {
        match &self.output.condition {
            Condition::Channel(terms) | Condition::Closing(terms) => Some((terms.channel_id(outpoint), terms)),
            _ => None,
        }
    }

    /// True if it funds a channel whose close has begun.
    #[must_use]
    pub const fn is_closing(&self) -> bool {
        matches!(self.output.condition, Condition::Closing(_))
    }

    /// True if it is something that the ledger remembers, not money.
    #[must_use]
    pub const fn is_record(&self) -> bool {
        matches!(self.output.condition, Condition::Record(_))
    }
}

impl Fixed for Utxo {
    const LEN: usize = Amount::LEN + Height::LEN + 4 + 8 + BODY_LEN;

    fn write(&self, w: &mut Writer<'_>) {
        let condition = &self.output.condition;
        self.output.amount.write(w);
        self.height.write(w);
        self.position.write(w);
        condition.kind().write(w);
        w.pad(7);
        condition.write_body(w);
        w.pad(BODY_LEN - condition.body_len());
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let amount = Amount::read(r)?;
        let height = Height::read(r)?;
        let position = u32::read(r)?;
        let kind = u8::read(r)?;
        r.pad(7)?;
        let condition = Condition::read_body(kind, r)?;
        r.pad(BODY_LEN - condition.body_len())?;
        if matches!(condition, Condition::Record(_)) && !amount.is_zero() {
            return Err(DecodeError::OutOfRange {
                field: "amount of a record",
            });
        }
        Ok(Self {
            output: Output { amount, condition },
            height,
            position,
        })
    }
}
