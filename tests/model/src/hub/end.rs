//! What the ledger pays when all is over, against every choice of evidence that the clients have.

use super::{Hub, Kind, PROMISE, Payee, World};
use crate::judge::{Case, FEE, Leaf, Shown, Split, State, Terms};
use crate::short::Set;
use crate::was::Was;

/// The counter of a state that a client makes up.
const FORGED: u8 = 9;

/// What a client shows beside what the hub shows.
#[derive(Clone, Copy)]
struct Choice {
    /// The newest leaf that it names by an acknowledgement of its own.
    named: u8,
    /// Whether it shows a state of its own making, which leaf that acknowledges.
    forged: Option<u8>,
}

impl Hub {
    /// When the lock of this payment is met; `None` for never.
    pub(super) fn met_at(&self, world: &World, payment: u8) -> Option<u8> {
        let p = world.payments.at(payment + 1);
        let below = u8::from(self.rules.was(Was::RevealBelowExpiry));
        let in_time = |at: &u8| *at != 0 && *at + below <= p.expiry;
        match p.kind {
            Kind::Hash => Some(p.record).filter(in_time),
            Kind::Ack if p.payee == Payee::None => None,
            Kind::Ack => {
                let records = &world.channels[usize::from(1 - p.payer)].records;
                let covers = |leaf: &usize| {
                    *leaf == usize::from(p.leaf)
                        || (*leaf > usize::from(p.leaf) && !self.rules.was(Was::AckProvesOneLeaf))
                };
                let all = (1..=records.len()).filter(covers).map(|leaf| records[leaf - 1]);
                all.filter(in_time).min()
            }
        }
    }

    /// Those locks that count as met when this channel settles.
    fn met(&self, world: &World, channel: u8) -> Set {
        let deadline = world.channels[usize::from(channel)].closed + self.bounds.window;
        let settled = deadline + self.bounds.grace + 1;
        Set::those(world.payments.len(), |payment| {
            let expiry = world.payments.at(payment + 1).expiry;
            let forgotten = (self.rules.was(Was::ExpiredLocksRefunded) && expiry <= deadline)
                || (self.rules.was(Was::RecordsPruned) && settled > expiry);
            self.met_at(world, payment).is_some() && !forgotten
        })
    }

    /// The hub's share of this channel in the worst case; `None` if some evidence leaves the ledger without a judgement,
    /// or if a judgement makes or loses value.
    fn worst(&self, world: &World, channel: u8) -> Option<u8> {
        let c = &world.channels[usize::from(channel)];
        let mut worst = u8::MAX;
        for named in 0..=c.leaves.len() {
            for forged in [None, Some(0), Some(c.leaves.len())] {
                let split = self.judged(world, channel, Choice { named, forged })?;
                if split.client + split.hub != self.share(channel) + PROMISE {
                    return None;
                }
                worst = worst.min(split.hub);
            }
        }
        if let Some((state, leaf)) = c.last {
            worst = worst.min(PROMISE + c.states.at(state).debit - c.leaves.at(leaf).firm);
        }
        Some(worst)
    }

    fn judged(&self, world: &World, channel: u8, choice: Choice) -> Option<Split> {
        let c = &world.channels[usize::from(channel)];
        let mut states = vec![Shown {
            counter: 0,
            half: State::default(),
            vouched: true,
        }];
        // The hub shows all that it has accepted, which its own leaves name.
        states.extend((1..=c.states.len()).map(|counter| Shown {
            counter,
            half: c.states.at(counter),
            vouched: true,
        }));
        states.extend(choice.forged.map(|ack| Shown {
            counter: FORGED,
            half: State {
                ack,
                ..State::default()
            },
            vouched: false,
        }));
        let recorded = self.acked_at(world, channel);
        let leaves: Vec<Shown<Leaf>> = (0..=c.leaves.len())
            .map(|counter| Shown {
                counter,
                half: c.leaves.at(counter),
                vouched: counter <= c.named.max(choice.named),
            })
            .collect();
        let case = Case {
            terms: Terms {
                capacity: self.share(channel) + PROMISE,
                share: self.share(channel),
            },
            states: &states,
            leaves: &leaves,
            acked_at: recorded,
            met: self.met(world, channel),
            failed: self.failed(world, channel),
            released: self.released(world, channel),
        };
        case.judge(self.rules)
    }

    /// For each leaf: when an acknowledgement of it or of a later one was final.
    fn acked_at(&self, world: &World, channel: u8) -> [u8; 6] {
        let records = &world.channels[usize::from(channel)].records;
        std::array::from_fn(|leaf| {
            let later = records.iter().skip(leaf.saturating_sub(1));
            later.copied().filter(|&at| at != 0).min().unwrap_or(0)
        })
    }

    /// What the client can show to have failed.
    fn failed(&self, world: &World, channel: u8) -> Set {
        let payments = world.payments.len();
        let own = Set::those(payments, |payment| world.payments.at(payment + 1).failed) & world.paid_by(channel);
        if !self.rules.was(Was::FailuresNameSlots) {
            return own;
        }
        let slot = |payment: u8| world.payments.at(payment + 1).slot;
        Set::those(payments, |payment| own.iter().any(|other| slot(other) == slot(payment)))
    }

    /// What the hub can show to be released: taken early enough to reach the ledger while it still counts.
    fn released(&self, world: &World, channel: u8) -> Set {
        let c = &world.channels[usize::from(channel)];
        let until = c.closed + self.bounds.window + self.bounds.grace;
        Set::those(world.payments.len(), |payment| {
            let p = world.payments.at(payment + 1);
            p.payee == Payee::Released && p.released_at + self.bounds.margin <= until
        })
    }

    pub(super) fn hub_has_its_due(&self, world: &World) -> bool {
        if world.height < self.bounds.end() {
            return true;
        }
        let paid = world
            .payments
            .as_slice()
            .iter()
            .filter(|p| p.payee == Payee::Firm)
            .count();
        let due = 2 * PROMISE + u8::try_from(paid).expect("few") * FEE;
        // A close that does not end is the other property's.
        let worst = (0..2).map(|channel| self.worst(world, channel).unwrap_or(u8::MAX / 2));
        worst.sum::<u8>() >= due
    }

    pub(super) fn closes_end(&self, world: &World) -> bool {
        world.height < self.bounds.end() || (0..2).all(|channel| self.worst(world, channel).is_some())
    }

    pub(super) fn void_credits_leave(&self, world: &World) -> bool {
        let kept = |p: &&super::Payment| p.payee == Payee::Waiting && p.kind == Kind::Ack && world.height > p.expiry;
        let mut waiting = world.payments.as_slice().iter().filter(kept);
        waiting.all(|p| !self.voidable(world, 1 - p.payer).is_empty())
    }
}
