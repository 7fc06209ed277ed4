//! Workload profiles: what a run does, fixed in a TOML file so that two runs can be compared.
//!
//! ```text
//! about, source                    one sentence on what it stands for; where its figures come from
//! [population]                     keys, channels, connections
//! [activity]                       payers (the first n channels; all unless said), weights, payments_per_signature (1
//!                                  unless said)
//! [merchant]     (may be absent)   percent of all payments that go to the last channel, and capacity_sat of that channel
//! [amounts]      quantiles_sat     what payers would pay, and the fee of each payment; capped by the plan
//! [capacities]   quantiles_sat     client_share_percent and reserve_sat of each side at the opening
//! [settlement]                     on = "delivered" | "preimage", distance: payment i is settled in the state of i + distance
//! [ledger]                         block interval, margin, ack interval, longest lock, dispute window
//! [run]                            seed, seconds, seconds_max, payments_per_s_planned, windows, payments_per_s (by schedule
//!                                  unless the command line says otherwise; absent: as fast as answers come)
//! ```
//!
//! Every figure is checked when the file is read, and a complaint names the file, the line and the key. The profiles of
//! `profiles/workloads` are built into the program. A list of quantiles is evenly spaced, lowest first, one figure for a
//! constant; between two figures the value grows by equal factors, which fits such long tails better than equal steps.
//! Channel `i` of `n` has rank (i + ½)/n in weights and capacities alike: who pays often has the room to.
//!
//! A [topology] in a file of its own may take the place of channels, capacities and weights.
//!
//! Nothing here chooses payments, signs, or reads anything but these files.

mod quantiles;
mod rules;
pub mod topology;

use std::sync::Arc;
use std::{fs, io, path::Path};

use serde::Deserialize;
use tidegate_types::{Age, Amount};
use toml::de::DeTable;

pub use quantiles::{Quantiles, QuantilesError};
use rules::Breach;
pub use topology::{Topology, TopologyError};

/// Name and text of a file of `profiles/workloads`.
macro_rules! built_in {
    ($($name:literal,)*) => {
        [$(($name, include_str!(concat!("../../profiles/workloads/", $name, ".toml")))),*]
    };
}

/// The profiles built into the program, by name.
pub const BUILT_IN: [(&str, &str); 13] = built_in![
    "quick",
    "lightning-2020",
    "uniform",
    "hot-keys",
    "cold-keys",
    "hot-merchant-10",
    "hot-merchant-50",
    "single",
    "lone-32",
    "many-connections",
    "batch-pay",
    "hash-locks",
    "ten-million",
];

/// The longest settle distance: a payer has 64 slots for open locks, and some stay free for what was refused.
pub const DISTANCE_MAX: u32 = 48;

/// A workload, checked.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Profile {
    /// The name of a built-in profile, or of the file without its ending.
    #[serde(skip)]
    pub name: String,
    /// What the profile stands for, in one sentence.
    pub about: String,
    /// Where its figures come from.
    pub source: String,
    /// How many of everything.
    pub population: Population,
    /// Who pays how often.
    pub activity: Activity,
    /// One payee that gets a fixed part of all payments.
    pub merchant: Option<Merchant>,
    /// What is paid.
    pub amounts: Amounts,
    /// What the channels hold.
    pub capacities: Capacities,
    /// When a payment leaves its lock.
    pub settlement: Settlement,
    /// The times of ledger and channels.
    pub ledger: LedgerTimes,
    /// Length and pressure of a run.
    pub run: Run,
    /// The channels of a file instead of the profile's own.
    #[serde(skip)]
    pub topology: Option<Arc<Topology>>,
}

/// How many keys, channels and connections take part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Population {
    /// Client keys. Channel `i` belongs to key `i mod keys`.
    pub keys: u32,
    /// Channels, a multiple of `keys`.
    pub channels: u32,
    /// Connections. Key `i` speaks over connection `i mod connections` when there are at least as many keys as
    /// connections, else channel `i` over connection `i mod connections`.
    pub connections: u32,
}

/// Who pays how often.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Activity {
    /// The first so many channels pay, the others only receive; `None`: all pay.
    pub payers: Option<u32>,
    /// How often a channel takes part, relative to others, as payer and as payee.
    pub weights: Quantiles,
    /// How many payments one state adds, and so one signature pays.
    #[serde(default = "one")]
    pub payments_per_signature: u32,
}

const fn one() -> u32 {
    1
}

/// The last channel as a payee that many pay, and that pays nobody.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Merchant {
    /// Its part of all payments, in percent; the others go where weights say.
    pub percent: u8,
    /// The capacity of its channel.
    #[serde(rename = "capacity_sat", deserialize_with = "satoshi")]
    pub capacity: Amount,
}

/// What is paid.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Amounts {
    /// The fee of each payment.
    #[serde(rename = "fee_sat", deserialize_with = "satoshi")]
    pub fee: Amount,
    /// Amounts in satoshi, before the plan caps them.
    pub quantiles_sat: Quantiles,
}

/// What channels hold at the opening.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Capacities {
    /// The client's part of the capacity, in percent.
    pub client_share_percent: u8,
    /// What each side keeps at least.
    #[serde(rename = "reserve_sat", deserialize_with = "satoshi")]
    pub reserve: Amount,
    /// Capacities in satoshi.
    pub quantiles_sat: Quantiles,
}

/// What lets a client settle a lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SettleWhen {
    /// The hub's leaf that says `Delivered`.
    Delivered,
    /// The payee's ack of the crediting leaf.
    Ack,
    /// The payee's preimage: every payment is a hash lock, which its payee's connection fulfils.
    Preimage,
}

/// When a payment leaves its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// What lets a client settle.
    pub on: SettleWhen,
    /// Payment `i` of a channel is settled in the state of payment `i + distance`. A multiple of the payments that one
    /// signature pays.
    pub distance: u32,
}

/// The times of ledger and channels, in blocks where not said otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerTimes {
    /// Milliseconds between blocks.
    pub block_interval_ms: u32,
    /// Finality and the worst inclusion time together.
    #[serde(rename = "margin_blocks", deserialize_with = "blocks")]
    pub margin: Age,
    /// A credited payee acks at least this often, in milliseconds.
    pub ack_interval_ms: u32,
    /// The longest life of a lock.
    #[serde(rename = "max_lock_blocks", deserialize_with = "blocks")]
    pub max_lock: Age,
    /// Δ of every channel.
    #[serde(rename = "dispute_window_blocks", deserialize_with = "blocks")]
    pub dispute_window: Age,
    /// True: the ledger is a process of its own, as operators have it, and its memory is not the hub's. Else it is within the hub.
    #[serde(default)]
    pub own_process: bool,
}

/// Length and pressure of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Run {
    /// Every choice follows from it.
    pub seed: u64,
    /// How long a run takes unless said otherwise.
    pub seconds: u32,
    /// The longest run that one expiry of locks serves.
    pub seconds_max: u32,
    /// Payments prepared for each second of a run at rate `max`.
    pub payments_per_s_planned: u32,
    /// Payments of one channel without an answer, at most.
    pub window_per_channel: u32,
    /// Payments on one connection without an answer, at most.
    pub window_per_connection: u32,
    /// Payments per second by schedule; `None`: as fast as answers come.
    pub payments_per_s: Option<u32>,
}

/// What the profile gives one channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelFigures {
    /// The value of the funding output.
    pub capacity: Amount,
    /// The client's part of it.
    pub opening_share: Amount,
    /// How often it takes part, relative to others.
    pub weight: u64,
    /// Whether it pays, or only receives.
    pub pays: bool,
}

/// Why there is no such profile.
#[derive(Debug, thiserror::Error)]
pub enum ProfileError {
    /// Neither a built-in name nor a file.
    #[error("no profile `{name}`: give a file ending in .toml, or one of {}", names())]
    Unknown {
        /// What was asked for.
        name: String,
    },
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: String,
        /// What the system says.
        source: io::Error,
    },
    /// Not TOML, an unknown or missing key, or a value of the wrong kind.
    #[error("{origin}:{line}: {message}")]
    Syntax {
        /// The file, or the built-in profile.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// What the parser says.
        message: String,
    },
    /// A value that cannot be, or does not fit another.
    #[error("{origin}:{line}: `{key}` {rule}")]
    Invalid {
        /// The file, or the built-in profile.
        origin: String,
        /// The line, from 1.
        line: usize,
        /// The key, as `table.key`.
        key: &'static str,
        /// What it must do or be.
        rule: &'static str,
    },
}

/// The built-in names, for a message.
fn names() -> String {
    BUILT_IN.map(|(name, _)| name).join(", ")
}

impl Profile {
    /// The built-in profile of that name, or else the file of that path.
    ///
    /// # Errors
    /// [`ProfileError`].
    pub fn load(name_or_path: &str) -> Result<Self, ProfileError> {
        if let Some((name, text)) = BUILT_IN.iter().find(|(name, _)| *name == name_or_path) {
            return Self::parse(name, name, text);
        }
        let path = Path::new(name_or_path);
        let is_toml = path.extension().is_some_and(|ending| ending == "toml");
        let name = path.file_stem().filter(|_| is_toml || path.is_file());
        let Some(name) = name else {
            return Err(ProfileError::Unknown {
                name: name_or_path.to_owned(),
            });
        };
        let text = fs::read_to_string(path).map_err(|source| ProfileError::Read {
            path: name_or_path.to_owned(),
            source,
        })?;
        Self::parse(&name.to_string_lossy(), name_or_path, &text)
    }

    /// Reads and checks a profile. `origin` is what complaints call it.
    ///
    /// # Errors
    /// [`ProfileError::Syntax`] or [`ProfileError::Invalid`].
    pub fn parse(name: &str, origin: &str, text: &str) -> Result<Self, ProfileError> {
        let mut profile: Self = toml::from_str(text).map_err(|error| ProfileError::Syntax {
            origin: origin.to_owned(),
            line: line_at(text, error.span().map_or(0, |span| span.start)),
            message: error.message().to_owned(),
        })?;
        name.clone_into(&mut profile.name);
        match profile.check(origin, text) {
            None => Ok(profile),
            Some(error) => Err(error),
        }
    }

    /// What is wrong with the figures, if anything is.
    fn check(&self, origin: &str, text: &str) -> Option<ProfileError> {
        let Breach { key, rule } = self.first_breach()?;
        Some(ProfileError::Invalid {
            origin: origin.to_owned(),
            line: line_of(text, key),
            key,
            rule,
        })
    }

    /// The figures of channel `index`.
    ///
    /// # Panics
    /// When there is no such channel.
    #[must_use]
    pub fn channel(&self, index: u32) -> ChannelFigures {
        let count = self.population.channels;
        assert!(index < count, "channel {index} of {count}");
        let rank = (f64::from(index) + 0.5) / f64::from(count);
        let merchant = self.merchant.filter(|_| index + 1 == count);
        let listed = self.topology.as_deref().map(|topology| topology.row(index));
        let capacity = match (merchant, listed) {
            (Some(merchant), _) => merchant.capacity.to_sat(),
            (None, Some(row)) => row.capacity_sat,
            (None, None) => self.capacities.quantiles_sat.at(rank),
        };
        let share = u128::from(capacity) * u128::from(self.capacities.client_share_percent) / 100;
        let share = u64::try_from(share).expect("a percentage is at most the whole");
        let amount = |sat| Amount::from_sat(sat).expect("capacities are checked to be amounts");
        ChannelFigures {
            capacity: amount(capacity),
            opening_share: amount(share),
            weight: listed.map_or_else(|| self.activity.weights.at(rank), |row| row.weight.into()),
            pays: index < self.payers(),
        }
    }

    /// How many channels pay: the first so many. A merchant does not.
    #[must_use]
    pub fn payers(&self) -> u32 {
        let all = self.population.channels - u32::from(self.merchant.is_some());
        self.activity.payers.unwrap_or(all)
    }

    /// How many states behind its own a payment is settled.
    #[must_use]
    pub const fn distance_in_states(&self) -> u32 {
        self.settlement.distance / self.activity.payments_per_signature
    }

    /// Blocks made in so many seconds, rounded up.
    #[must_use]
    pub fn blocks_in(&self, seconds: u32) -> Age {
        let blocks = (u64::from(seconds) * 1_000).div_ceil(u64::from(self.ledger.block_interval_ms));
        Age::new(u32::try_from(blocks).unwrap_or(u32::MAX))
    }

    /// The ack interval in blocks, rounded up.
    #[must_use]
    pub const fn ack_interval(&self) -> Age {
        Age::new(self.ledger.ack_interval_ms.div_ceil(self.ledger.block_interval_ms))
    }
}

fn satoshi<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Amount, D::Error> {
    let sat = u64::deserialize(source)?;
    Amount::from_sat(sat).ok_or_else(|| serde::de::Error::custom("more satoshi than may exist"))
}

fn blocks<'de, D: serde::Deserializer<'de>>(source: D) -> Result<Age, D::Error> {
    u32::deserialize(source).map(Age::new)
}

/// The line, from 1, of a place in a text.
fn line_at(text: &str, at: usize) -> usize {
    text.as_bytes().iter().take(at).filter(|byte| **byte == b'\n').count() + 1
}

/// The line that sets `key`, written `table.key`, in whatever of TOML's ways; that of the table when nothing sets it, and
/// 1 without one.
fn line_of(text: &str, key: &str) -> usize {
    let Ok(whole) = DeTable::parse(text) else { return 1 };
    let (mut table, mut at) = (Some(whole.get_ref()), 0);
    for part in key.split('.') {
        let found = table.and_then(|table| table.iter().find(|(name, _)| name.get_ref() == part));
        let Some((name, value)) = found else { break };
        (table, at) = (value.get_ref().as_table(), name.span().start);
    }
    line_at(text, at)
}

#[cfg(test)]
mod tests;
