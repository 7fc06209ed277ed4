//! Workload profiles: what a run does, fixed in a TOML file so that two runs can be compared.
//!
//! ```text
//! about, source                    one sentence on what it stands for; where its figures come from
//! [population]                     keys, channels, connections
//! [activity]                       payers (the first n channels; all unless said), weights
//! [amounts]      quantiles_sat     what payers would pay, and the fee of each payment; capped by the plan
//! [capacities]   quantiles_sat     client_share_percent and reserve_sat of each side at the opening
//! [settlement]                     on = "delivered" | "ack", distance: payment i is settled in the state of i + distance
//! [ledger]                         block interval, margin, ack interval, longest lock, dispute window
//! [run]                            seed, seconds, seconds_max, payments_per_s_planned, windows
//! ```
//!
//! Every figure is checked when the file is read, and a complaint names the file, the line and the key. The profiles of
//! `profiles/workloads` are built into the program. A list of quantiles is evenly spaced, lowest first, one figure for a
//! constant; between two figures the value grows by equal factors, which fits such long tails better than equal steps.
//! Channel `i` of `n` has rank (i + ½)/n in weights and capacities alike: who pays often has the room to.
//!
//! Nothing here chooses payments, signs, or reads anything but the one file.

use std::{fs, io, path::Path};

use serde::Deserialize;
use tidegate_types::{Age, Amount};

/// The profiles built into the program, by name.
pub const BUILT_IN: [(&str, &str); 6] = [
    ("quick", include_str!("../../profiles/workloads/quick.toml")),
    (
        "lightning-2020",
        include_str!("../../profiles/workloads/lightning-2020.toml"),
    ),
    ("uniform", include_str!("../../profiles/workloads/uniform.toml")),
    ("single", include_str!("../../profiles/workloads/single.toml")),
    ("lone-32", include_str!("../../profiles/workloads/lone-32.toml")),
    ("hot-keys", include_str!("../../profiles/workloads/hot-keys.toml")),
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
}

/// When a payment leaves its lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settlement {
    /// What lets a client settle.
    pub on: SettleWhen,
    /// Payment `i` of a channel is settled in the state of payment `i + distance`.
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
}

/// Evenly spaced quantiles, lowest first; one figure for a constant. All are at least 1.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<u64>")]
pub struct Quantiles(Vec<u64>);

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
        match profile.first_breach() {
            None => Ok(profile),
            Some(Breach { key, rule }) => Err(ProfileError::Invalid {
                origin: origin.to_owned(),
                line: line_of(text, key),
                key,
                rule,
            }),
        }
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
        let capacity = self.capacities.quantiles_sat.at(rank);
        let share = u128::from(capacity) * u128::from(self.capacities.client_share_percent) / 100;
        let share = u64::try_from(share).expect("a percentage is at most the whole");
        let amount = |sat| Amount::from_sat(sat).expect("capacities are checked to be amounts");
        ChannelFigures {
            capacity: amount(capacity),
            opening_share: amount(share),
            weight: self.activity.weights.at(rank),
            pays: index < self.payers(),
        }
    }

    /// How many channels pay: the first so many.
    #[must_use]
    pub fn payers(&self) -> u32 {
        self.activity.payers.unwrap_or(self.population.channels)
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

    /// The first rule that the figures break.
    fn first_breach(&self) -> Option<Breach> {
        self.counts()
            .chain(self.money())
            .chain(self.times())
            .find(|check| !check.0)
            .map(|check| check.1)
    }

    fn counts(&self) -> impl Iterator<Item = Check> {
        let Population {
            keys,
            channels,
            connections,
        } = self.population;
        let Run {
            seconds,
            seconds_max,
            payments_per_s_planned,
            window_per_channel,
            window_per_connection,
            ..
        } = self.run;
        let distance = self.settlement.distance;
        [
            check(!self.about.is_empty(), "about", "must say what the profile stands for"),
            check(keys > 0, "population.keys", "must be at least 1"),
            check(
                channels > 1,
                "population.channels",
                "must be at least 2: somebody pays, somebody is paid",
            ),
            check(
                channels.is_multiple_of(keys.max(1)),
                "population.channels",
                "must be a multiple of `keys`",
            ),
            check(connections > 0, "population.connections", "must be at least 1"),
            check(
                connections <= channels,
                "population.connections",
                "must not exceed `channels`",
            ),
            check(
                (1..=channels).contains(&self.payers()),
                "activity.payers",
                "must be between 1 and `channels`",
            ),
            check(
                (1..=DISTANCE_MAX).contains(&distance),
                "settlement.distance",
                "must be between 1 and 48",
            ),
            check(window_per_channel > 0, "run.window_per_channel", "must be at least 1"),
            check(
                window_per_channel <= distance,
                "run.window_per_channel",
                "must not exceed `distance`",
            ),
            check(
                window_per_connection > 0,
                "run.window_per_connection",
                "must be at least 1",
            ),
            check(
                payments_per_s_planned > 0,
                "run.payments_per_s_planned",
                "must be at least 1",
            ),
            check(
                (1..=seconds_max).contains(&seconds),
                "run.seconds",
                "must be between 1 and `seconds_max`",
            ),
        ]
        .into_iter()
    }

    fn money(&self) -> impl Iterator<Item = Check> {
        let Capacities {
            client_share_percent: percent,
            reserve,
            quantiles_sat: capacities,
        } = &self.capacities;
        let total = u128::from(capacities.highest()) * u128::from(self.population.channels);
        let smaller_part =
            u128::from(capacities.lowest()) * u128::from((*percent).min(100 - (*percent).min(100))) / 100;
        let least = u128::from(self.amounts.fee.to_sat()) + 1 + u128::from(reserve.to_sat());
        let in_range = (1..=99).contains(percent);
        [
            check(in_range, "capacities.client_share_percent", "must be between 1 and 99"),
            check(
                total <= u128::from(u64::MAX),
                "capacities.quantiles_sat",
                "must sum to less than 2^64 satoshi",
            ),
            check(
                Amount::from_sat(capacities.highest()).is_some(),
                "capacities.quantiles_sat",
                "must be amounts",
            ),
            check(
                Amount::from_sat(self.amounts.quantiles_sat.highest()).is_some(),
                "amounts.quantiles_sat",
                "must be amounts",
            ),
            check(
                smaller_part >= least,
                "capacities.reserve_sat",
                "leaves the smaller side of the smallest channel nothing to pay",
            ),
        ]
        .into_iter()
    }

    fn times(&self) -> impl Iterator<Item = Check> {
        let LedgerTimes {
            block_interval_ms,
            margin,
            ack_interval_ms,
            max_lock,
            dispute_window,
        } = self.ledger;
        let set = block_interval_ms > 0;
        // Rule 9: now + 3·margin + 2·ack_interval ≤ expiry ≤ now + max_lock, from the first to the last block.
        let least = u64::from(margin.get()) * 3
            + if set {
                u64::from(self.ack_interval().get()) * 2
            } else {
                0
            };
        let run = if set {
            u64::from(self.blocks_in(self.run.seconds_max).get())
        } else {
            0
        };
        let fits = u64::from(max_lock.get()) >= least + run;
        [
            check(set, "ledger.block_interval_ms", "must be at least 1"),
            check(ack_interval_ms > 0, "ledger.ack_interval_ms", "must be at least 1"),
            check(margin > Age::ZERO, "ledger.margin_blocks", "must be at least 1"),
            check(
                fits,
                "ledger.max_lock_blocks",
                "must hold the blocks of `seconds_max`, 3 margins and 2 ack intervals",
            ),
            check(
                dispute_window >= Age::new(144),
                "ledger.dispute_window_blocks",
                "must be at least 144",
            ),
        ]
        .into_iter()
    }
}

/// A rule that a figure breaks.
struct Breach {
    key: &'static str,
    rule: &'static str,
}

/// Whether a rule holds, and the breach if not.
struct Check(bool, Breach);

const fn check(holds: bool, key: &'static str, rule: &'static str) -> Check {
    Check(holds, Breach { key, rule })
}

impl Quantiles {
    /// The value at a rank between 0 and 1; ranks outside count as the ends.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the value lies between two u64 figures"
    )]
    pub fn at(&self, rank: f64) -> u64 {
        let steps = self.0.len() - 1;
        let position = rank.clamp(0.0, 1.0) * steps as f64;
        let below = (position.floor() as usize).min(steps);
        let (low, high) = (self.0[below], self.0[(below + 1).min(steps)]);
        let factor = high as f64 / low as f64;
        ((low as f64 * factor.powf(position.fract())).round() as u64).clamp(low, high)
    }

    /// The lowest figure.
    #[must_use]
    pub fn lowest(&self) -> u64 {
        self.0[0]
    }

    /// The highest figure.
    #[must_use]
    pub fn highest(&self) -> u64 {
        self.0[self.0.len() - 1]
    }
}

/// Why a list cannot be one of quantiles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum QuantilesError {
    /// No figure.
    #[error("a list of quantiles needs at least one figure")]
    Empty,
    /// Zero among the figures.
    #[error("quantiles are at least 1")]
    Zero,
    /// A figure below the one before it.
    #[error("quantiles stand lowest first")]
    Falling,
}

impl TryFrom<Vec<u64>> for Quantiles {
    type Error = QuantilesError;

    fn try_from(figures: Vec<u64>) -> Result<Self, QuantilesError> {
        match figures.first() {
            None => Err(QuantilesError::Empty),
            Some(0) => Err(QuantilesError::Zero),
            Some(_) if !figures.is_sorted() => Err(QuantilesError::Falling),
            Some(_) => Ok(Self(figures)),
        }
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

/// The line that sets `key`, written `table.key`; 1 when none does.
fn line_of(text: &str, key: &str) -> usize {
    let (table, key) = key.split_once('.').unwrap_or(("", key));
    let mut within = "";
    for (index, line) in text.lines().map(str::trim).enumerate() {
        if let Some(name) = line.strip_prefix('[').and_then(|rest| rest.split(']').next()) {
            within = name.trim();
        }
        let sets = line
            .strip_prefix(key)
            .is_some_and(|rest| rest.trim_start().starts_with('='));
        if sets && within == table {
            return index + 1;
        }
    }
    1
}

#[cfg(test)]
mod tests;
