//! Conditions: the closed set of ways in which an output can be spent (rule 29). There is no script language.
//!
//! ```text
//! Key (1)         key 32
//! Multi (2)       threshold 1 | count 1 | 0 × 6 | hash(MultiKeys, threshold 1 | count 1 | 0 × 6 | keys 32 each) 32
//! Timelocked (3)  rule 1 (1 height, 2 age) | inner kind 1 | 0 × 2 | value 4 | inner body, zeros up to 40
//! Lock (4)        condition 1 (1 ack, 2 hash) | 0 × 3 | expiry 4 | claim key 32 | refund key 32 | hash or lock id 32
//!                 | payee's channel 32, zero for a hash
//! Channel (5)     terms 240
//! Closing (6)     terms 240: a channel whose close has begun, at the outpoint of its funding
//! Stake (7)       hub key 32 | payout key 32 | unbonding 4 | state 1 | 0 × 3 | height 4 | 0 × 4 | bonded 8 | reward key 32
//! ```
//!
//! A transaction's outputs are of kinds 1 to 5 and 7. `Closing` and the records (see `record`) are made by the ledger.

use tidegate_channel::ChannelTerms;
use tidegate_channel::codec::{Canonical, read_fixed_list};
use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{
    Age, Amount, ChannelId, DecodeError, Digest, Fixed, Height, KeyBytes, LockId, Reader, Writer, fixed_struct,
};

use crate::check::ends_by;
use crate::{LedgerParams, Record};

/// How an output can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// By a signature of this key.
    Key(KeyBytes),
    /// By signatures of some of several keys.
    Multi(Multi),
    /// As the inner condition says, from a height or an age on.
    Timelocked(Timelock),
    /// By its claimer if its condition is met in time, else by its refund key.
    Lock(LockTerms),
    /// A payment channel: by its cooperative close, a splice, or the start of its close.
    Channel(ChannelTerms),
    /// A payment channel whose close has begun: by its settling, or still by its cooperative close.
    Closing(ChannelTerms),
    /// A hub's stake.
    Stake(StakeTerms),
    /// No money: something that the ledger remembers.
    Record(Record),
}

/// The most keys of a `Multi`.
pub const MULTI_KEYS_MAX: usize = 16;

/// Some of several keys, by digest: the creator and the spender show the keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Multi {
    /// How many must sign, 1 to `count`.
    pub threshold: u8,
    /// How many keys there are, 1 to [`MULTI_KEYS_MAX`].
    pub count: u8,
    /// Digest of threshold and keys.
    pub keys: Digest,
}

/// The keys of a [`Multi`], in rising order, so that none counts twice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MultiKeys {
    threshold: u8,
    keys: Vec<KeyBytes>,
}

/// When a timelocked output can be spent at the earliest.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// In a block of this height or a later one.
    Height(Height),
    /// In a block so many above the one that created it.
    Age(Age),
}

/// What a timelock wraps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Inner {
    /// One key.
    Key(KeyBytes),
    /// Several.
    Multi(Multi),
}

/// An inner condition, from a height or an age on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timelock {
    /// From when on.
    pub after: After,
    /// How then.
    pub inner: Inner,
}

/// When a lock is met (rules 9 and 26).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockCondition {
    /// The payee's ack of a leaf that credited the lock, or of a later one, stands on the ledger in time.
    Ack {
        /// The lock.
        lock: LockId,
        /// The payee's channel.
        payee: ChannelId,
    },
    /// The SHA-256 preimage of this hash stands on the ledger in time.
    Hash([u8; 32]),
}

/// A lock as an output of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LockTerms {
    /// When it is met.
    pub condition: LockCondition,
    /// Who is paid if it is met, without time limit.
    pub claim: KeyBytes,
    /// Who gets it back if it is not.
    pub refund: KeyBytes,
    /// It is met at this height at the latest, and refunded above.
    pub expiry: Height,
}

/// Where a stake stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StakeState {
    /// It backs its hub.
    Bonded,
    /// It still does, and can be spent by its payout key from this height on.
    Unbonding(Height),
    /// A fault was proved. Victims are paid up to this height; then the reward is paid and the rest burns.
    Slashed {
        /// The last height for victims.
        until: Height,
        /// Who is rewarded; zero for nobody.
        reward: KeyBytes,
    },
}

/// A hub's stake (rule 27).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StakeTerms {
    /// The hub's signing key.
    pub hub: KeyBytes,
    /// Who may spend it after the unbonding delay.
    pub payout: KeyBytes,
    /// Blocks from the hub's notice until it can be spent.
    pub unbonding: Age,
    /// What was bonded at first; victims' payments leave less.
    pub bonded: Amount,
    /// Where it stands.
    pub state: StakeState,
}

impl StakeTerms {
    /// Whether the ledger takes a new channel with these terms of the hub whose stake this is, in a block of this height
    /// (rule 21).
    #[must_use]
    pub fn backs(&self, terms: &ChannelTerms, height: Height, params: &LedgerParams) -> bool {
        let latest = height.plus(self.unbonding).unwrap_or(Height::MAX);
        self.state == StakeState::Bonded && ends_by(terms, latest, params.dispute_window_min)
    }
}

pub(crate) const KIND_KEY: u8 = 1;
const KIND_MULTI: u8 = 2;
const KIND_TIMELOCKED: u8 = 3;
const KIND_LOCK: u8 = 4;
pub(crate) const KIND_CHANNEL: u8 = 5;
const KIND_CLOSING: u8 = 6;
const KIND_STAKE: u8 = 7;

/// The widest body of a condition.
pub(crate) const BODY_LEN: usize = ChannelTerms::LEN;
const _: () = assert!(BODY_LEN == 240 && Multi::LEN == 40 && Timelock::LEN == 48 && LockTerms::LEN == 136);
const _: () = assert!(StakeTerms::LEN == 120);

fixed_struct!(Multi { threshold: u8, count: u8, pad 6, keys: Digest });

impl Multi {
    /// What a decoder has to refuse.
    fn check(self) -> Result<Self, DecodeError> {
        let good = (1..=self.count).contains(&self.threshold) && usize::from(self.count) <= MULTI_KEYS_MAX;
        good.then_some(self)
            .ok_or(DecodeError::OutOfRange { field: "threshold" })
    }
}

impl MultiKeys {
    /// The keys, sorted; `None` unless 1 ≤ `threshold` ≤ number of keys ≤ 16 and no key comes twice.
    #[must_use]
    pub fn new(threshold: u8, mut keys: Vec<KeyBytes>) -> Option<Self> {
        keys.sort_unstable();
        let distinct = keys.is_sorted_by(|a, b| a < b);
        let good = distinct && keys.len() <= MULTI_KEYS_MAX && (1..=keys.len()).contains(&usize::from(threshold));
        good.then_some(Self { threshold, keys })
    }

    /// How many must sign.
    #[must_use]
    pub const fn threshold(&self) -> u8 {
        self.threshold
    }

    /// The keys, rising.
    #[must_use]
    pub fn keys(&self) -> &[KeyBytes] {
        &self.keys
    }

    /// The condition that these keys spend.
    #[must_use]
    pub fn condition(&self) -> Multi {
        let count = u8::try_from(self.keys.len()).expect("new() allows 16 keys");
        let mut bytes = vec![self.threshold, count, 0, 0, 0, 0, 0, 0];
        self.keys.iter().for_each(|key| key.append_to(&mut bytes));
        Multi {
            threshold: self.threshold,
            count,
            keys: hash(Domain::MultiKeys, &bytes),
        }
    }
}

impl Canonical for MultiKeys {
    const LEN_MIN: usize = 2 + KeyBytes::LEN;

    /// Threshold 1 | count 1 | keys 32 each.
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(self.threshold);
        out.push(u8::try_from(self.keys.len()).expect("new() allows 16 keys"));
        self.keys.iter().for_each(|key| key.append_to(out));
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (threshold, count) = (u8::read(r)?, usize::from(u8::read(r)?));
        if !(1..=MULTI_KEYS_MAX).contains(&count) {
            return Err(DecodeError::OutOfRange { field: "key count" });
        }
        let keys: Vec<KeyBytes> = read_fixed_list(r, count)?;
        let sorted = keys.is_sorted();
        Self::new(threshold, keys)
            .filter(|_| sorted)
            .ok_or(DecodeError::OutOfRange {
                field: "threshold or order of keys",
            })
    }
}

impl Inner {
    const LEN: usize = 40;

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Key(key) => {
                key.write(w);
                w.pad(Self::LEN - KeyBytes::LEN);
            }
            Self::Multi(multi) => multi.write(w),
        }
    }

    const fn kind(&self) -> u8 {
        match self {
            Self::Key(_) => KIND_KEY,
            Self::Multi(_) => KIND_MULTI,
        }
    }

    fn read(kind: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match kind {
            KIND_KEY => {
                let key = KeyBytes::read(r)?;
                r.pad(Self::LEN - KeyBytes::LEN)?;
                Ok(Self::Key(key))
            }
            KIND_MULTI => Ok(Self::Multi(Multi::read(r)?.check()?)),
            other => Err(unknown("condition within a timelock", other)),
        }
    }
}

impl Fixed for Timelock {
    const LEN: usize = 8 + Inner::LEN;

    fn write(&self, w: &mut Writer<'_>) {
        let (rule, value) = match self.after {
            After::Height(height) => (1_u8, height.get()),
            After::Age(age) => (2, age.get()),
        };
        rule.write(w);
        self.inner.kind().write(w);
        w.pad(2);
        value.write(w);
        self.inner.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (rule, kind) = (u8::read(r)?, u8::read(r)?);
        r.pad(2)?;
        let value = u32::read(r)?;
        let after = match rule {
            1 => After::Height(Height::new(value)),
            2 => After::Age(Age::new(value)),
            other => return Err(unknown("timelock", other)),
        };
        let inner = Inner::read(kind, r)?;
        Ok(Self { after, inner })
    }
}

impl Fixed for LockTerms {
    const LEN: usize = 8 + 2 * KeyBytes::LEN + 32 + ChannelId::LEN;

    fn write(&self, w: &mut Writer<'_>) {
        let (code, first, payee) = match self.condition {
            LockCondition::Ack { lock, payee } => (1_u8, *lock.as_bytes(), payee),
            LockCondition::Hash(hash) => (2, hash, ChannelId::ZERO),
        };
        code.write(w);
        w.pad(3);
        self.expiry.write(w);
        self.claim.write(w);
        self.refund.write(w);
        first.write(w);
        payee.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let code = u8::read(r)?;
        r.pad(3)?;
        let expiry = Height::read(r)?;
        let (claim, refund) = (KeyBytes::read(r)?, KeyBytes::read(r)?);
        let (first, payee) = (r.array()?, ChannelId::read(r)?);
        let condition = match code {
            1 => LockCondition::Ack {
                lock: LockId::from_bytes(first),
                payee,
            },
            2 if payee.is_zero() => LockCondition::Hash(first),
            2 => return Err(DecodeError::NonZeroPadding),
            other => return Err(unknown("lock condition", other)),
        };
        Ok(Self {
            condition,
            claim,
            refund,
            expiry,
        })
    }
}

impl Fixed for StakeTerms {
    const LEN: usize = 2 * KeyBytes::LEN + Age::LEN + 4 + 8 + Amount::LEN + KeyBytes::LEN;

    fn write(&self, w: &mut Writer<'_>) {
        let (code, height, reward) = match self.state {
            StakeState::Bonded => (1_u8, Height::ZERO, KeyBytes::ZERO),
            StakeState::Unbonding(release) => (2, release, KeyBytes::ZERO),
            StakeState::Slashed { until, reward } => (3, until, reward),
        };
        self.hub.write(w);
        self.payout.write(w);
        self.unbonding.write(w);
        code.write(w);
        w.pad(3);
        height.write(w);
        w.pad(4);
        self.bonded.write(w);
        reward.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (hub, payout, unbonding) = (KeyBytes::read(r)?, KeyBytes::read(r)?, Age::read(r)?);
        let code = u8::read(r)?;
        r.pad(3)?;
        let height = Height::read(r)?;
        r.pad(4)?;
        let (bonded, reward) = (Amount::read(r)?, KeyBytes::read(r)?);
        let state = match code {
            1 if height == Height::ZERO && reward.is_zero() => StakeState::Bonded,
            2 if reward.is_zero() => StakeState::Unbonding(height),
            3 => StakeState::Slashed { until: height, reward },
            1 | 2 => return Err(DecodeError::NonZeroPadding),
            other => return Err(unknown("state of a stake", other)),
        };
        Ok(Self {
            hub,
            payout,
            unbonding,
            bonded,
            state,
        })
    }
}

impl Condition {
    pub(crate) const fn kind(&self) -> u8 {
        match self {
            Self::Key(_) => KIND_KEY,
            Self::Multi(_) => KIND_MULTI,
            Self::Timelocked(_) => KIND_TIMELOCKED,
            Self::Lock(_) => KIND_LOCK,
            Self::Channel(_) => KIND_CHANNEL,
            Self::Closing(_) => KIND_CLOSING,
            Self::Stake(_) => KIND_STAKE,
            Self::Record(record) => record.kind(),
        }
    }

    /// The width of the body.
    pub(crate) const fn body_len(&self) -> usize {
        match self {
            Self::Key(_) => KeyBytes::LEN,
            Self::Multi(_) => Multi::LEN,
            Self::Timelocked(_) => Timelock::LEN,
            Self::Lock(_) => LockTerms::LEN,
            Self::Channel(_) | Self::Closing(_) => ChannelTerms::LEN,
            Self::Stake(_) => StakeTerms::LEN,
            Self::Record(record) => record.body_len(),
        }
    }

    pub(crate) fn write_body(&self, w: &mut Writer<'_>) {
        match self {
            Self::Key(key) => key.write(w),
            Self::Multi(multi) => multi.write(w),
            Self::Timelocked(timelock) => timelock.write(w),
            Self::Lock(terms) => terms.write(w),
            Self::Channel(terms) | Self::Closing(terms) => terms.write(w),
            Self::Stake(terms) => terms.write(w),
            Self::Record(record) => record.write_body(w),
        }
    }

    pub(crate) fn read_body(kind: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            KIND_KEY => Self::Key(KeyBytes::read(r)?),
            KIND_MULTI => Self::Multi(Multi::read(r)?.check()?),
            KIND_TIMELOCKED => Self::Timelocked(Timelock::read(r)?),
            KIND_LOCK => Self::Lock(LockTerms::read(r)?),
            KIND_CHANNEL => Self::Channel(ChannelTerms::read(r)?),
            KIND_CLOSING => Self::Closing(ChannelTerms::read(r)?),
            KIND_STAKE => Self::Stake(StakeTerms::read(r)?),
            other => Self::Record(Record::read_body(other, r)?),
        })
    }

    /// Whether a transaction or a genesis may create it. `Closing` and records are made by the ledger alone, and a stake
    /// begins bonded.
    #[must_use]
    pub const fn is_free(&self) -> bool {
        match self {
            Self::Key(_) | Self::Multi(_) | Self::Timelocked(_) | Self::Lock(_) | Self::Channel(_) => true,
            Self::Stake(terms) => matches!(terms.state, StakeState::Bonded),
            Self::Closing(_) | Self::Record(_) => false,
        }
    }

    /// The `Multi` within, whose keys the creator shows.
    #[must_use]
    pub const fn multi(&self) -> Option<&Multi> {
        match self {
            Self::Multi(multi)
            | Self::Timelocked(Timelock {
                inner: Inner::Multi(multi),
                ..
            }) => Some(multi),
            _ => None,
        }
    }

    /// Every key that the condition names itself; absent ones of a channel are left out, and so are those of a `Multi`,
    /// which names a digest of them.
    pub fn keys(&self) -> impl Iterator<Item = KeyBytes> + use<> {
        let optional = |key: KeyBytes| (!key.is_zero()).then_some(key);
        match self {
            Self::Key(key)
            | Self::Timelocked(Timelock {
                inner: Inner::Key(key), ..
            }) => [Some(*key), None, None, None, None, None],
            Self::Multi(_) | Self::Timelocked(_) | Self::Record(_) => [None; 6],
            Self::Lock(terms) => [Some(terms.claim), Some(terms.refund), None, None, None, None],
            Self::Stake(terms) => [Some(terms.hub), Some(terms.payout), None, None, None, None],
            Self::Channel(terms) | Self::Closing(terms) => [
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

pub(crate) fn unknown(field: &'static str, value: u8) -> DecodeError {
    DecodeError::UnknownValue {
        field,
        value: value.into(),
    }
}
