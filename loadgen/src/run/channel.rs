//! What the generator knows of each channel: little, since there may be a million.

use hashbrown::HashMap;
use rand::RngExt as _;
use tidegate_channel::opening_state;
use tidegate_channel::wallet::HubHalf;
use tidegate_client::ReceiptChecker;
use tidegate_types::{Age, Amount, ChannelId, Digest};

use crate::keys::{Purpose, stream};
use crate::workload::ChannelRow;

/// Credits, whatever their order: how many, how much, and a sum over the first bytes of their payment ids.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Credits {
    pub(crate) count: u64,
    pub(crate) sat: u64,
    pub(crate) prints: u64,
}

impl Credits {
    pub(crate) const fn add(&mut self, amount: Amount, print: u64) {
        self.count += 1;
        self.sat += amount.to_sat();
        self.prints = self.prints.wrapping_add(print);
    }
}

/// One channel of the run.
#[derive(Clone, Debug)]
pub(crate) struct Channel {
    pub(crate) id: ChannelId,
    /// The newest leaf: counter, digest, sums, and the client state that it acknowledges.
    pub(crate) leaf: u64,
    pub(crate) leaf_digest: Digest,
    pub(crate) firm: Amount,
    pub(crate) unfirm: Amount,
    pub(crate) state: u64,
    pub(crate) state_digest: Digest,
    /// An ack of the newest leaf counts at up to this height; `None` without limit.
    pub(crate) ack_until: Option<u32>,
    /// The newest leaf that was acknowledged.
    pub(crate) acked: u64,
    /// Credits since then.
    pub(crate) credits_waiting: u32,
    /// Payments sent, and answered.
    pub(crate) sent: u32,
    pub(crate) answered: u32,
    /// From this payment on none can be sent: one before it was refused or failed.
    pub(crate) broken_from: u32,
    /// Where in its section the newest payment that was accepted stands.
    pub(crate) position: Option<u32>,
    /// Credits that its leaves showed.
    pub(crate) shown: Credits,
    /// Credits that answers to payers promised.
    pub(crate) promised: Credits,
    /// The place of its checker; `u32::MAX` for none.
    checker: u32,
}

/// All channels, found by number or by name.
#[derive(Debug)]
pub(crate) struct Channels {
    pub(crate) rows: Vec<Channel>,
    checkers: Vec<ReceiptChecker>,
    index: HashMap<ChannelId, u32, foldhash::fast::RandomState>,
}

const NO_CHECKER: u32 = u32::MAX;

impl Channels {
    /// The channels of a workload. One in `sample` has every leaf checked in full, chosen by `seed`.
    pub(crate) fn new(rows: &[ChannelRow], margin: Age, sample: u32, seed: u64) -> Self {
        let mut rng = stream(seed, Purpose::Sample, 0);
        let mut checkers = Vec::new();
        let channels = rows.iter().map(|row| {
            let checker = if rng.random_range(0..sample) == 0 {
                checkers.push(ReceiptChecker::new(row.id, margin));
                u32::try_from(checkers.len() - 1).expect("a profile counts channels in u32")
            } else {
                NO_CHECKER
            };
            Channel::new(row.id, checker)
        });
        let channels: Vec<Channel> = channels.collect();
        let index = (0..).zip(rows).map(|(number, row)| (row.id, number)).collect();
        Self {
            rows: channels,
            checkers,
            index,
        }
    }

    pub(crate) fn find(&self, id: &ChannelId) -> Option<u32> {
        self.index.get(id).copied()
    }

    pub(crate) fn checker(&mut self, number: u32) -> Option<&mut ReceiptChecker> {
        let place = self.rows[number as usize].checker;
        self.checkers.get_mut(place as usize)
    }
}

impl Channel {
    fn new(id: ChannelId, checker: u32) -> Self {
        Self {
            id,
            leaf: 0,
            leaf_digest: HubHalf::new(id, Age::ZERO).reference().digest,
            firm: Amount::ZERO,
            unfirm: Amount::ZERO,
            state: 0,
            state_digest: opening_state(id).digest(),
            ack_until: None,
            acked: 0,
            credits_waiting: 0,
            sent: 0,
            answered: 0,
            broken_from: u32::MAX,
            position: None,
            shown: Credits::default(),
            promised: Credits::default(),
            checker,
        }
    }

    /// Leaves that wait for an ack.
    pub(crate) const fn unacked(&self) -> u64 {
        self.leaf - self.acked
    }

    /// True if the next payment may go: what its state settles was answered, and fewer than `window` are under way.
    pub(crate) fn may_send(&self, distance: u32, window: u32) -> bool {
        self.sent - self.answered < distance.min(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_waits_for_the_answer_of_what_it_settles() {
        let mut channel = Channel::new(ChannelId::ZERO, NO_CHECKER);
        for sent in 0..3 {
            channel.sent = sent;
            assert!(channel.may_send(3, 8), "payment {sent} settles nothing");
        }
        channel.sent = 3;
        assert!(
            !channel.may_send(3, 8),
            "payment 3 settles payment 0, which is not answered"
        );
        channel.answered = 1;
        assert!(channel.may_send(3, 8));
        assert!(!channel.may_send(3, 2), "two are under way");
        assert!(channel.may_send(3, u32::MAX), "no window but the distance");
    }

    #[test]
    fn sums_of_credits_do_not_depend_on_their_order() {
        let sat = |n| Amount::from_sat(n).expect("in range");
        let (mut a, mut b) = (Credits::default(), Credits::default());
        [(5, u64::MAX), (7, 3)]
            .iter()
            .for_each(|&(n, print)| a.add(sat(n), print));
        [(7, 3), (5, u64::MAX)]
            .iter()
            .for_each(|&(n, print)| b.add(sat(n), print));
        assert_eq!(a, b);
        a.add(sat(1), 1);
        assert_ne!(a, b);
    }
}
