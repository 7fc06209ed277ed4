//! The audit after a run: what payers were promised, payees hold, and nobody's money came from nowhere.
//!
//! The hub's signed leaves are its word on every balance, so the newest leaf of each channel is compared with what the
//! answers to payers said, channel by channel; then the hub's own sums are compared with each other.

use tidegate_channel::ClientState;
use tidegate_types::Fixed as _;
use tidegate_wire::messages::{Body as _, Pay};

use super::channel::{Channel, Channels, NONE};
use super::generator::Generator;
use crate::result::Audit;
use crate::status::Status;
use crate::workload::Workload;

/// What is found by comparing leaves with answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Findings {
    /// Payments whose credit is not shown.
    pub(super) missing: u64,
    /// Channels with a credit that no payer was told of, or whose K and U are not the sum of their credits.
    pub(super) wrong: u64,
    /// Channels whose newest leaf acknowledges another state than the newest that was sent.
    pub(super) states_differ: u64,
    /// Σ (K + U).
    pub(super) credited_sat: u64,
    /// Σ (D + out-locks).
    pub(super) debited_sat: u64,
}

impl Generator {
    /// Compares everything. `status` is the hub's after the run.
    pub(super) fn audit(&self, status: Option<&Status>) -> Audit {
        let findings = compare(&self.channels, &self.workload);
        let payments = self
            .channels
            .rows
            .iter()
            .map(|channel| u64::from(channel.promised.count))
            .sum::<u64>();
        let fees = payments * self.workload.head.fee.to_sat();
        // A failed payment stays in its lock, fee included, until it is dropped; this generator never drops.
        let locked = self.failed_sat + self.failed * self.workload.head.fee.to_sat();
        let hub_agrees = status.is_some_and(|status| status.value_held == status.value_capacity);
        Audit {
            value_conserved: findings.wrong == 0
                && findings.credited_sat == self.delivered_sat
                && findings.debited_sat == self.delivered_sat + fees + locked
                && hub_agrees,
            complete: status.is_some() && self.flights.len() == 0,
            receipts: self.receipts.receipts,
            receipts_checked: self.channels.checked(),
            receipts_bad: self.receipts.bad,
            acked_missing: findings.missing,
            states_differ: findings.states_differ,
            state_root: status.map_or_else(|| "0".repeat(64), |status| status.state_root.clone()),
        }
    }
}

fn compare(channels: &Channels, workload: &Workload) -> Findings {
    let sections = workload.sections();
    let mut findings = Findings::default();
    for (place, channel) in (0..).zip(&channels.rows) {
        let newest = channels.newest(place);
        let held = newest.map_or(0, |leaf| leaf.firm_credit.to_sat() + leaf.unfirm_credit.to_sat());
        note_credits(&mut findings, channel, held);
        if channel.position == NONE {
            findings.states_differ += u64::from(newest.is_some_and(|leaf| leaf.ack.counter.get() != 0));
            continue;
        }
        let section = &sections[channel.connection as usize];
        let bytes = section.read(channel.position);
        let pay = Pay::decode(section.split(&bytes).body).expect("its checksum held");
        let state = ClientState::decode(pay.state).expect("its checksum held");
        let same = newest.is_some_and(|leaf| leaf.ack == state.reference());
        findings.states_differ += u64::from(!same);
        findings.debited_sat += state.debit.to_sat() + state.locks_sum.to_sat();
    }
    findings
}

/// `held` is K + U of the channel's newest leaf.
fn note_credits(findings: &mut Findings, channel: &Channel, held: u64) {
    findings.credited_sat += held;
    let (shown, promised) = (channel.shown, channel.promised);
    findings.wrong += u64::from(held != shown.sat || shown.count > promised.count);
    if shown != promised {
        findings.missing += u64::from(promised.count.saturating_sub(shown.count).max(1));
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::{Age, Amount, ChannelId};

    use super::*;
    use crate::profile::Population;
    use crate::workload::ChannelRow;

    fn sat(n: u64) -> Amount {
        Amount::from_sat(n).expect("in range")
    }

    const HELD: u64 = 12;

    fn channel() -> Channel {
        let row = ChannelRow {
            number: 0,
            id: ChannelId::ZERO,
        };
        let population = Population {
            keys: 1,
            channels: 1,
            connections: 1,
        };
        let mut channel = Channels::new(&[row], &population, Age::ZERO, 0).rows.remove(0);
        for (amount, print) in [(5, 1), (7, 2)] {
            channel.shown.add(sat(amount), print);
            channel.promised.add(sat(amount), print);
        }
        channel
    }

    fn findings(held: u64, change: impl FnOnce(&mut Channel)) -> Findings {
        let mut channel = channel();
        change(&mut channel);
        let mut findings = Findings::default();
        note_credits(&mut findings, &channel, held);
        findings
    }

    #[test]
    fn equal_sums_are_found_equal() {
        assert_eq!(
            findings(HELD, |_| ()),
            Findings {
                credited_sat: 12,
                ..Findings::default()
            }
        );
    }

    #[test]
    fn what_is_missing_or_too_much_is_found() {
        assert_eq!(findings(HELD, |c| c.promised.add(sat(1), 3)).missing, 1);
        assert_eq!(
            findings(HELD, |c| (0..5).for_each(|n| c.promised.add(sat(1), n))).missing,
            5
        );
        assert_eq!(findings(HELD, |c| c.shown.add(sat(1), 3)).wrong, 1);
        assert_eq!(
            findings(HELD, |c| c.shown.prints += 1).missing,
            1,
            "one payment stands where another was promised"
        );
        assert_eq!(findings(HELD - 1, |_| ()).wrong, 1);
    }
}
