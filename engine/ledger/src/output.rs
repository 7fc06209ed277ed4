//! Outputs: an amount and the condition under which it can be spent.
//!
//! ```text
//! output     amount 8 | kind 1 | body          Key (1): key 32        Channel (5): terms 240
//! utxo       amount 8 | height 4 | position 4 | kind 1 | 0 × 7 | body, zeros up to 240          264 bytes
//! ```
//!
//! Kinds are numbered in the order of rule 29; the others come with the full protocol. A condition that would be wider
//! than 240 bytes (`Multi` of 16 keys) will hold a digest of its content, which the spender shows.

use tidegate_channel::{ChannelTerms, TermsError};
use tidegate_crypto::keys::KeyError;
use tidegate_types::{Age, Amount, ChannelId, DecodeError, Fixed, Height, KeyBytes, OutPoint, Reader, Writer};

use crate::codec::Canonical;
use crate::{KeyCache, LedgerParams};

/// How an output can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "most outputs of a hub's ledger are channels, and a box each would cost more than it saves"
)]
pub enum Condition {
    /// By a signature of this key.
    Key(KeyBytes),
    /// A payment channel: by its cooperative close.
    Channel(ChannelTerms),
}

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
}

const KIND_KEY: u8 = 1;
const KIND_CHANNEL: u8 = 5;

/// The widest body of a condition.
const BODY_LEN: usize = ChannelTerms::LEN;
const _: () = assert!(BODY_LEN == 240 && KeyBytes::LEN <= BODY_LEN && Utxo::LEN == 264);

impl Condition {
    const fn kind(&self) -> u8 {
        match self {
            Self::Key(_) => KIND_KEY,
            Self::Channel(_) => KIND_CHANNEL,
        }
    }

    /// Every key that the condition names; absent ones of a channel are left out.
    pub fn keys(&self) -> impl Iterator<Item = KeyBytes> + use<> {
        let optional = |key: KeyBytes| (!key.is_zero()).then_some(key);
        match self {
            Self::Key(key) => [Some(*key), None, None, None, None, None],
            Self::Channel(terms) => [
                Some(terms.client),
                Some(terms.hub),
                Some(terms.client_payout),
                Some(terms.hub_payout),
                optional(terms.emergency),
                optional(terms.delegate),
            ],
        }
        .into_iter()
        .flatten()
    }
}

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

    /// The width of the encoding in bytes.
    #[must_use]
    pub const fn encoded_len(&self) -> usize {
        Amount::LEN
            + 1
            + match self.condition {
                Condition::Key(_) => KeyBytes::LEN,
                Condition::Channel(_) => ChannelTerms::LEN,
            }
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
        let Condition::Channel(terms) = &self.condition else {
            return Ok(());
        };
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
        Ok(())
    }

    /// Checks every key by rule 3.
    pub(crate) fn check_keys(&self, keys: &mut KeyCache) -> Result<(), OutputError> {
        self.condition.keys().try_for_each(|key| keys.check(key))?;
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
        self.amount.append_to(out);
        out.push(self.condition.kind());
        match &self.condition {
            Condition::Key(key) => key.append_to(out),
            Condition::Channel(terms) => terms.append_to(out),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let amount = Amount::read(r)?;
        let condition = match u8::read(r)? {
            KIND_KEY => Condition::Key(KeyBytes::read(r)?),
            KIND_CHANNEL => Condition::Channel(ChannelTerms::read(r)?),
            other => return Err(unknown_kind(other)),
        };
        Ok(Self { amount, condition })
    }
}

impl Utxo {
    /// The channel that this output funds, if it funds one and stands at `outpoint`.
    #[must_use]
    pub fn channel(&self, outpoint: &OutPoint) -> Option<(ChannelId, &ChannelTerms)> {
        match &self.output.condition {
            Condition::Channel(terms) => Some((terms.channel_id(outpoint), terms)),
            Condition::Key(_) => None,
        }
    }
}

impl Fixed for Utxo {
    const LEN: usize = Amount::LEN + Height::LEN + 4 + 8 + BODY_LEN;

    fn write(&self, w: &mut Writer<'_>) {
        self.output.amount.write(w);
        self.height.write(w);
        self.position.write(w);
        self.output.condition.kind().write(w);
        w.pad(7);
        match &self.output.condition {
            Condition::Key(key) => {
                key.write(w);
                w.pad(BODY_LEN - KeyBytes::LEN);
            }
            Condition::Channel(terms) => terms.write(w),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let amount = Amount::read(r)?;
        let height = Height::read(r)?;
        let position = u32::read(r)?;
        let kind = u8::read(r)?;
        r.pad(7)?;
        let condition = match kind {
            KIND_KEY => {
                let key = KeyBytes::read(r)?;
                r.pad(BODY_LEN - KeyBytes::LEN)?;
                Condition::Key(key)
            }
            KIND_CHANNEL => Condition::Channel(ChannelTerms::read(r)?),
            other => return Err(unknown_kind(other)),
        };
        Ok(Self {
            output: Output { amount, condition },
            height,
            position,
        })
    }
}

fn unknown_kind(kind: u8) -> DecodeError {
    DecodeError::UnknownValue {
        field: "condition",
        value: kind.into(),
    }
}
