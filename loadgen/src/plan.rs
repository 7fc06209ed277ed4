//! Who pays whom how much, chosen before a run so that nothing in it can fail for want of money.
//!
//! Invariant: whatever order the hub decides the payments in, no payer spends more than its opening share above its
//! reserve, and no payee is credited more than the hub's opening share above its own. What a channel gains during the run
//! counts for nothing, so an order in which the gain comes too late does not matter.
//!
//! ```text
//! first pass    payer and payees by weight, as often as each can still take part with 1 satoshi
//! second pass   amount = least of: drawn, payer's rest / its payments left − fee, payee's rest / its credits left
//! ```
//!
//! Payments that one signature pays stand together: the plan is a row of groups of equal size, each of one payer.

use rand::RngExt as _;
use rand_chacha::ChaCha8Rng;
use tidegate_channel::ChannelTerms;
use tidegate_types::Amount;

use crate::keys::{Purpose, stream};
use crate::profile::Profile;

/// What a channel can give and take in a run, in satoshi.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Purse {
    /// What its client can spend.
    pub spend: u64,
    /// What the hub can credit to it.
    pub room: u64,
}

impl Purse {
    /// The purse of a channel that has just opened.
    #[must_use]
    pub fn of(terms: &ChannelTerms) -> Self {
        let above = |share: Amount, reserve: Amount| share.sub(reserve).unwrap_or(Amount::ZERO).to_sat();
        let hub_share = terms.capacity.sub(terms.opening_share).unwrap_or(Amount::ZERO);
        Self {
            spend: above(terms.opening_share, terms.client_reserve),
            room: above(hub_share, terms.hub_reserve),
        }
    }
}

/// One payment to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payment {
    /// The channel that pays.
    pub payer: u32,
    /// The channel that is paid.
    pub payee: u32,
    /// How much, in satoshi.
    pub amount: u64,
}

/// The most draws for one party before the next channel that can is taken.
const DRAWS: usize = 16;

/// Plans up to `count` payments in the order in which they are to be sent, in whole groups of one payer; fewer if the
/// channels hold no more.
#[must_use]
pub fn plan(profile: &Profile, purses: &[Purse], count: usize, seed: u64) -> Vec<Payment> {
    let fee = profile.amounts.fee.to_sat();
    let mut payments = choose_parties(profile, purses, count, seed);
    let mut sides = Sides::new(purses);
    for payment in &payments {
        sides.payments_left[payment.payer as usize] += 1;
        sides.credits_left[payment.payee as usize] += 1;
    }
    let mut rng = stream(seed, Purpose::Amounts, 0);
    for payment in &mut payments {
        let drawn = profile.amounts.quantiles_sat.at(rng.random());
        payment.amount = sides.take(payment, drawn, fee);
    }
    payments
}

/// What is left of every purse, and for how many payments.
struct Sides {
    left: Vec<Purse>,
    payments_left: Vec<u32>,
    credits_left: Vec<u32>,
}

impl Sides {
    fn new(purses: &[Purse]) -> Self {
        Self {
            left: purses.to_vec(),
            payments_left: vec![0; purses.len()],
            credits_left: vec![0; purses.len()],
        }
    }

    fn take(&mut self, payment: &Payment, drawn: u64, fee: u64) -> u64 {
        let (payer, payee) = (payment.payer as usize, payment.payee as usize);
        let payer_part = self.left[payer].spend / u64::from(self.payments_left[payer]) - fee;
        let payee_part = self.left[payee].room / u64::from(self.credits_left[payee]);
        let amount = drawn.min(payer_part).min(payee_part);
        self.left[payer].spend -= amount + fee;
        self.left[payee].room -= amount;
        self.payments_left[payer] -= 1;
        self.credits_left[payee] -= 1;
        amount
    }
}

fn choose_parties(profile: &Profile, purses: &[Purse], count: usize, seed: u64) -> Vec<Payment> {
    let each = profile.activity.payments_per_signature as usize;
    let least = (1 + profile.amounts.fee.to_sat()) * each as u64;
    let merchant = profile.merchant.map(|merchant| (merchant.percent, last(purses.len())));
    let figures = |index: usize| profile.channel(number(index));
    let mut payers = Urn::new((0..purses.len()).map(|i| {
        let channel = figures(i);
        (if channel.pays { channel.weight } else { 0 }, purses[i].spend / least)
    }));
    let mut payees = Urn::new((0..purses.len()).map(|i| {
        let is_merchant = merchant.is_some_and(|(_, at)| at == number(i));
        (if is_merchant { 0 } else { figures(i).weight }, purses[i].room)
    }));
    let mut merchant = merchant.map(|(percent, at)| (percent, at, purses[at as usize].room));
    let mut rng = stream(seed, Purpose::Parties, 0);
    let mut payments = Vec::with_capacity(count);
    while payments.len() + each <= count {
        let Some(payer) = payers.draw(&mut rng, None) else {
            break;
        };
        for _ in 0..each {
            let payee = match &mut merchant {
                Some((percent, at, left)) if rng.random_range(0..100) < *percent => left.checked_sub(1).map(|rest| {
                    *left = rest;
                    *at
                }),
                _ => payees.draw(&mut rng, Some(payer)),
            };
            let Some(payee) = payee else {
                payments.truncate(payments.len() / each * each);
                return payments;
            };
            payments.push(Payment {
                payer,
                payee,
                amount: 0,
            });
        }
    }
    payments
}

fn number(index: usize) -> u32 {
    u32::try_from(index).expect("a profile counts channels in u32")
}

fn last(count: usize) -> u32 {
    number(count - 1)
}

/// Channels drawn by weight, each at most as often as it can take part.
struct Urn {
    /// Sums of the weights up to and with each channel; empty if all weigh the same, which makes a draw from millions cheap.
    sums: Vec<u64>,
    left: Vec<u64>,
}

impl Urn {
    fn new(channels: impl Iterator<Item = (u64, u64)>) -> Self {
        let mut sum = 0_u64;
        let (mut sums, left): (Vec<u64>, Vec<u64>) = channels
            .map(|(weight, left)| {
                sum += weight;
                (sum, if weight == 0 { 0 } else { left })
            })
            .unzip();
        let first = sums.first().copied().unwrap_or_default();
        if first > 0 && (1..).zip(&sums).all(|(count, &sum): (u64, _)| sum == first * count) {
            sums = Vec::new();
        }
        Self { sums, left }
    }

    fn draw(&mut self, rng: &mut ChaCha8Rng, except: Option<u32>) -> Option<u32> {
        let count = self.left.len();
        let total = self.sums.last().copied().unwrap_or(count as u64);
        if total == 0 {
            return None;
        }
        let can = |urn: &Self, at: usize| urn.left[at] > 0 && except.is_none_or(|other| other as usize != at);
        let mut at = 0;
        for _ in 0..DRAWS {
            let ticket = rng.random_range(0..total);
            at = if self.sums.is_empty() {
                usize::try_from(ticket).expect("below the number of channels")
            } else {
                self.sums.partition_point(|&sum| sum <= ticket)
            };
            if can(self, at) {
                break;
            }
        }
        let found = (at..count).chain(0..at).find(|&at| can(self, at))?;
        self.left[found] -= 1;
        Some(number(found))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purses(profile: &Profile) -> Vec<Purse> {
        let reserve = profile.capacities.reserve.to_sat();
        (0..profile.population.channels)
            .map(|index| {
                let figures = profile.channel(index);
                let share = figures.opening_share.to_sat();
                Purse {
                    spend: share - reserve,
                    room: figures.capacity.to_sat() - share - reserve,
                }
            })
            .collect()
    }

    /// The slow model: every payment moves money at once, and what is gained is never spent.
    #[track_caller]
    fn assert_never_overspends(profile: &Profile, purses: &[Purse], payments: &[Payment]) {
        let fee = profile.amounts.fee.to_sat();
        let mut left = purses.to_vec();
        for (index, payment) in payments.iter().enumerate() {
            assert_ne!(payment.payer, payment.payee);
            assert!(payment.amount > 0, "payment {index} of nothing");
            assert!(payment.payer < profile.payers());
            let spend = &mut left[payment.payer as usize].spend;
            *spend = spend
                .checked_sub(payment.amount + fee)
                .unwrap_or_else(|| panic!("payer of {index}"));
            let room = &mut left[payment.payee as usize].room;
            *room = room
                .checked_sub(payment.amount)
                .unwrap_or_else(|| panic!("payee of {index}"));
        }
    }

    #[test]
    fn no_built_in_profile_overspends() {
        for (name, _) in crate::profile::BUILT_IN {
            let mut profile = Profile::load(name).expect("built in");
            // A plan for millions of channels is one for thousands, only slower.
            profile.population.channels = profile.population.channels.min(50_000);
            let purses = purses(&profile);
            let payments = plan(&profile, &purses, 100_000, 3);
            assert_eq!(payments.len(), 100_000, "{name}");
            assert_never_overspends(&profile, &purses, &payments);
        }
    }

    #[test]
    fn payments_of_one_signature_have_one_payer() {
        let mut profile = Profile::load("batch-pay").expect("built in");
        let rich = purses(&profile);
        let payments = plan(&profile, &rich, 1_610, 3);
        assert_eq!(payments.len(), 1_600, "whole groups only");
        assert!(
            payments
                .chunks(16)
                .all(|group| group.iter().all(|p| p.payer == group[0].payer))
        );
        let payees = payments[..16]
            .iter()
            .map(|p| p.payee)
            .collect::<std::collections::BTreeSet<_>>();
        assert!(payees.len() > 10, "{payees:?}");
        profile.amounts.fee = Amount::from_sat(1).expect("in range");
        let poor: Vec<_> = rich.iter().map(|_| Purse { spend: 33, room: 1_000 }).collect();
        let payments = plan(&profile, &poor, 1_000_000, 3);
        assert_eq!(
            payments.len(),
            1_024 * 16,
            "33 satoshi are 16 payments with their fees, and no 32"
        );
        assert_never_overspends(&profile, &poor, &payments);
    }

    #[test]
    fn a_merchant_gets_its_part_and_pays_nobody() {
        for (name, part) in [("hot-merchant-10", 0.10), ("hot-merchant-50", 0.50)] {
            let profile = Profile::load(name).expect("built in");
            let payments = plan(&profile, &purses(&profile), 100_000, 3);
            let got = payments.iter().filter(|payment| payment.payee == 9_999).count() as f64 / 1e5;
            assert!((got - part).abs() < 0.01, "{name}: {got}");
            assert!(payments.iter().all(|payment| payment.payer != 9_999));
        }
    }

    #[test]
    fn poor_channels_are_used_up_to_the_last_satoshi_and_the_plan_ends() {
        let mut profile = Profile::load("quick").expect("built in");
        profile.amounts.fee = Amount::from_sat(2).expect("in range");
        let purses: Vec<_> = (0..256)
            .map(|i| Purse {
                spend: i % 40,
                room: 100,
            })
            .collect();
        let payments = plan(&profile, &purses, 100_000, 3);
        let most: u64 = purses.iter().map(|purse| purse.spend / 3).sum();
        assert_eq!(payments.len() as u64, most);
        assert_never_overspends(&profile, &purses, &payments);
    }

    #[test]
    fn weights_decide_how_often_a_channel_takes_part() {
        let profile = Profile::load("lightning-2020").expect("built in");
        let payments = plan(&profile, &purses(&profile), 200_000, 3);
        let last = profile.population.channels - 1;
        let hot = payments.iter().filter(|payment| payment.payee > last - 290).count();
        assert!(hot > 20_000, "the busiest hundredth got {hot} of 200 000 payments");
        assert_eq!(payments, plan(&profile, &purses(&profile), 200_000, 3));
        assert_ne!(payments, plan(&profile, &purses(&profile), 200_000, 4));
    }
}
