//! What the ledger pays when all is over, against every choice of evidence that the adversary has.

use super::{Client, IN, Kind, TERMS, World};
use crate::judge::{AMOUNT, Case, FEE, Leaf, Shown, Split, State};
use crate::short::Set;
use crate::was::Was;

/// What starting a close costs, where age is a fault.
const BOND: u8 = 2;

/// What the adversary shows.
#[derive(Clone, Copy)]
struct Choice {
    /// The states for which it vouches, by bit.
    states: u8,
    /// The newest leaf that it shows; the client has named it.
    leaf: u8,
    /// A leaf of its own making: the state that it acknowledges.
    forged: Option<u8>,
}

/// What the client's side shows: all, or what a tower (or a backup) holds that is one leaf and one state behind.
#[derive(Clone, Copy)]
struct Held {
    behind: u8,
    states: u8,
    leaves: u8,
    acked: u8,
}

impl Client {
    fn held(world: &World, behind: u8) -> Held {
        let leaves = world.leaves.len().saturating_sub(behind);
        Held {
            behind,
            // Who keeps a leaf keeps a state with it that fits.
            states: if behind == 0 {
                world.states.len()
            } else {
                world.leaf(leaves).ack
            },
            leaves,
            acked: world.acked.min(leaves),
        }
    }

    /// What the client has a right to, by what its side holds: what it acknowledged or gave a preimage for, less what it
    /// settled and what was proved against it in time; a payment that failed is not owed.
    fn due(&self, world: &World, held: Held) -> u8 {
        let mut due = TERMS.share;
        for i in world.ins.as_slice() {
            let unacked = i.kind == Kind::Hash && self.rules.was(Was::FulfilsUnackedLock);
            let earned = i.given && (i.leaf <= held.acked || unacked);
            due += if earned { AMOUNT } else { 0 };
        }
        let newest = world.states.last();
        let mut owed = newest.debit;
        for (o, number) in world.outs.as_slice().iter().zip(0..) {
            let settled = newest.debit > 0 && !newest.locks.has(number) && self.was_settled(world, number);
            let failed = o.failed != 0 && o.failed <= held.leaves;
            let met = o.record != 0 && o.record <= o.expiry;
            owed += if met && !failed && !settled { AMOUNT + FEE } else { 0 };
        }
        due.saturating_sub(owed)
    }

    /// Whether the state that closed this lock paid it.
    fn was_settled(&self, world: &World, number: u8) -> bool {
        let states = world.states.as_slice();
        let closing = states
            .windows(2)
            .find(|two| two[0].locks.has(number) && !two[1].locks.has(number));
        closing.is_some_and(|two| two[1].debit > two[0].debit)
    }

    /// Each judgement that the adversary can bring about, with what its evidence was held against.
    fn judgements(&self, world: &World, mut look: impl FnMut(Held, Option<Split>) -> bool) -> bool {
        for behind in [0, 1] {
            let held = Self::held(world, behind);
            for states in 0..1_u8 << world.states.len() {
                for leaf in held.acked..=world.acked {
                    for forged in [None, Some(0), Some(world.states.len())] {
                        let split = self.judged(world, held, Choice { states, leaf, forged });
                        if !look(held, split) {
                            return false;
                        }
                    }
                }
            }
        }
        true
    }

    fn judged(&self, world: &World, held: Held, choice: Choice) -> Option<Split> {
        let states: Vec<Shown<State>> = (0..=world.states.len())
            .map(|counter| Shown {
                counter,
                half: world.states.at(counter),
                vouched: counter > 0 && choice.states & (1 << (counter - 1)) != 0,
            })
            .filter(|shown| shown.counter <= held.states || shown.vouched)
            .collect();
        let mut leaves: Vec<Shown<Leaf>> = (0..=choice.leaf)
            .filter(|&counter| counter == 0 || world.leaves.at(counter).signed)
            .map(|counter| Shown {
                counter,
                half: world.leaf(counter),
                vouched: true,
            })
            .collect();
        leaves.extend(choice.forged.map(|ack| Shown {
            counter: world.leaves.len() + 1,
            half: Leaf {
                firm: world.leaf(world.leaves.len()).firm,
                ack,
                ..Leaf::default()
            },
            vouched: false,
        }));
        let case = Case {
            terms: TERMS,
            states: &states,
            leaves: &leaves,
            acked_at: self.acked_at(world, held),
            met: self.met(world, held),
            failed: self.failed(world, held),
            released: world.ins_where(|i| i.released),
        };
        let mut split = case.judge(self.rules)?;
        let corrected = split.state > held.states || split.leaf > held.acked;
        if self.rules.was(Was::AgeIsAFault) && world.by_client && corrected {
            let bond = split.client.min(BOND);
            (split.client, split.hub) = (split.client - bond, split.hub + bond);
        }
        Some(split)
    }

    /// When acknowledgements were final. A tower that is behind has done the duties of what it holds: it put the
    /// acknowledgement of its newest leaf on the ledger, where it saw no later one that made U firm.
    fn acked_at(&self, world: &World, held: Held) -> [u8; 6] {
        let until = if self.forgets_closes() {
            u8::MAX
        } else {
            self.evidence_until(world)
        };
        let mut records = world.records;
        if held.behind > 0 && held.acked > 0 && held.acked < world.acked {
            let record = &mut records[usize::from(held.acked) - 1];
            let by = world.leaf(held.acked).ack_by;
            *record = if *record == 0 { by } else { by.min(*record) };
        }
        std::array::from_fn(|leaf| {
            let later = records.iter().skip(leaf.saturating_sub(1));
            later.copied().filter(|at| (1..=until).contains(at)).min().unwrap_or(0)
        })
    }

    fn met(&self, world: &World, held: Held) -> Set {
        let deadline = world.closed + self.bounds.window;
        let settled = deadline + self.bounds.grace + 1;
        let below = u8::from(self.rules.was(Was::RevealBelowExpiry));
        let counts = |record: u8, expiry: u8| {
            let forgotten = (self.rules.was(Was::ExpiredLocksRefunded) && expiry <= deadline)
                || (self.rules.was(Was::RecordsPruned) && settled > expiry);
            record != 0 && record + below <= expiry && !forgotten
        };
        let ins = world.ins_where(|i| {
            // A tower that is behind saw this preimage unsettled at the expiry less the margin, and put it there.
            let by_tower =
                held.behind > 0 && i.kind == Kind::Hash && i.given && i.leaf <= held.acked && i.firm > held.acked;
            counts(if by_tower { i.expiry } else { i.record }, i.expiry)
        });
        let outs = Set::those(world.outs.len(), |number| {
            let o = world.outs.at(number + 1);
            counts(o.record, o.expiry)
        });
        let any = self.rules.was(Was::LocksNamedByPayment) && !outs.is_empty();
        ins | if any { Set::those(IN, |_| true) } else { outs }
    }

    /// Deadline + δ.
    const fn evidence_until(&self, world: &World) -> u8 {
        world.closed + self.bounds.window + self.bounds.grace
    }

    /// What the client can show to have failed, early enough to reach the ledger while it still counts.
    fn failed(&self, world: &World, held: Held) -> Set {
        let until = self.evidence_until(world);
        Set::those(world.outs.len(), |number| {
            let o = world.outs.at(number + 1);
            o.failed != 0 && o.failed <= held.leaves && o.failed_at + self.bounds.margin <= until
        })
    }

    pub(super) fn client_has_its_due(&self, world: &World) -> bool {
        self.judgements(world, |held, split| {
            // A close that does not end is the other property's.
            split.is_none_or(|split| split.client >= self.due(world, held))
        })
    }

    pub(super) fn closes_end(&self, world: &World) -> bool {
        let in_locks = |split: Split| split.client + split.hub == TERMS.capacity;
        self.judgements(world, |_, split| split.is_some_and(in_locks))
    }
}
