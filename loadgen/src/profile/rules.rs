//! What the figures of a profile must be, and how they must fit each other.

use tidegate_channel::MAX_ADDS;
use tidegate_types::{Age, Amount};

use super::{Capacities, DISTANCE_MAX, LedgerTimes, Population, Profile, Run, SettleWhen};

/// One state adds at most so many locks.
#[expect(clippy::cast_possible_truncation, reason = "16")]
const PER_SIGNATURE_MAX: u32 = MAX_ADDS as u32;

/// Connections that one event loop serves, and that one source address has ports for.
const CONNECTIONS_MAX: u32 = 10_000;
/// More payments a second than any hub has signatures checked for.
const RATE_MAX: u32 = 10_000_000;
/// The longest lock and dispute window: both must fit into the year that a channel lives, and leave most of it.
const BLOCKS_MAX: Age = Age::new(20_000_000);

/// A rule that a figure breaks.
pub(super) struct Breach {
    pub(super) key: &'static str,
    pub(super) rule: &'static str,
}

/// Whether a rule holds, and the breach if not.
struct Check(bool, Breach);

const fn check(holds: bool, key: &'static str, rule: &'static str) -> Check {
    Check(holds, Breach { key, rule })
}

impl Profile {
    /// The first rule that the figures break.
    pub(super) fn first_breach(&self) -> Option<Breach> {
        self.counts()
            .chain(self.windows())
            .chain(self.pace())
            .chain(self.money())
            .chain(self.times())
            .find(|check| !check.0)
            .map(|check| check.1)
    }

    /// How many of everything, and who pays.
    fn counts(&self) -> impl Iterator<Item = Check> {
        let Population {
            keys,
            channels,
            connections,
        } = self.population;
        [
            check(!self.about.is_empty(), "about", "must say what the profile stands for"),
            check(
                !self.source.is_empty(),
                "source",
                "must say where the figures come from",
            ),
            check(
                u128::from(self.activity.weights.highest()) * u128::from(channels) <= u128::from(u64::MAX),
                "activity.weights",
                "must sum to less than 2^64 over all channels",
            ),
            check(
                connections <= CONNECTIONS_MAX,
                "population.connections",
                "must not exceed 10000: one event loop serves them",
            ),
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
                self.merchant.is_none() || self.payers() < channels,
                "activity.payers",
                "must leave out the last channel: it is the merchant's",
            ),
            check(
                self.merchant
                    .is_none_or(|merchant| (1..=99).contains(&merchant.percent)),
                "merchant.percent",
                "must be between 1 and 99",
            ),
        ]
        .into_iter()
    }

    /// How far payments may run ahead of their answers.
    fn windows(&self) -> impl Iterator<Item = Check> {
        let distance = self.settlement.distance;
        let each = self.activity.payments_per_signature;
        let (channel, connection) = (self.run.window_per_channel, self.run.window_per_connection);
        [
            check(
                self.settlement.on != SettleWhen::Ack,
                "settlement.on",
                "must be `delivered` or `preimage`: no payer is told of acks while it runs",
            ),
            check(
                (1..=PER_SIGNATURE_MAX).contains(&each),
                "activity.payments_per_signature",
                "must be between 1 and 16",
            ),
            check(
                (1..=DISTANCE_MAX).contains(&distance),
                "settlement.distance",
                "must be between 1 and 48",
            ),
            check(
                distance.is_multiple_of(each.max(1)),
                "settlement.distance",
                "must be a multiple of `payments_per_signature`",
            ),
            check(
                channel >= each,
                "run.window_per_channel",
                "must hold the payments of one signature",
            ),
            check(
                channel <= distance,
                "run.window_per_channel",
                "must not exceed `distance`",
            ),
            check(
                connection >= each,
                "run.window_per_connection",
                "must hold the payments of one signature",
            ),
        ]
        .into_iter()
    }

    fn pace(&self) -> impl Iterator<Item = Check> {
        let Run {
            seconds,
            seconds_max,
            payments_per_s_planned,
            payments_per_s,
            ..
        } = self.run;
        [
            check(
                (1..=RATE_MAX).contains(&payments_per_s_planned),
                "run.payments_per_s_planned",
                "must be between 1 and 10000000",
            ),
            check(
                payments_per_s.is_none_or(|rate| (1..=RATE_MAX).contains(&rate)),
                "run.payments_per_s",
                "must be between 1 and 10000000",
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
        let merchant = self.merchant.map_or(0, |merchant| merchant.capacity.to_sat());
        let total = u128::from(capacities.highest()) * u128::from(self.population.channels) + u128::from(merchant);
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
            check(
                self.merchant
                    .is_none_or(|merchant| merchant.capacity.to_sat() >= capacities.highest()),
                "merchant.capacity_sat",
                "must not be below the capacities of the others",
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
            own_process: _,
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
                max_lock <= BLOCKS_MAX,
                "ledger.max_lock_blocks",
                "must be at most 20000000",
            ),
            check(
                (Age::new(144)..=BLOCKS_MAX).contains(&dispute_window),
                "ledger.dispute_window_blocks",
                "must be between 144 and 20000000",
            ),
        ]
        .into_iter()
    }
}
