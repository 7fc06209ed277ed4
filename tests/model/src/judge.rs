//! The ledger's judgement of one channel: rules 25 and 26, as a pure function of what was shown by the deadline.
//!
//! ```text
//! states C(0..), leaves H(0..)  ──▶  drop what its other party has not named   (rule 25)
//!                               ──▶  drop what fits no half of the other side  (rule 25: pairs)
//!                               ──▶  highest c, highest h                      ──▶  both balances
//! open locks                    ──▶  met: to the claimer; else, or with lock evidence: refunded (rule 26)
//! ```

use crate::short::Set;
use crate::was::{Rules, Was};

/// What a payee receives for one payment.
pub const AMOUNT: u8 = 4;
/// What the hub keeps of it.
pub const FEE: u8 = 1;

/// A channel's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Terms {
    /// The value of the funding output, V.
    pub capacity: u8,
    /// The client's share of it at the opening, d0.
    pub share: u8,
}

/// `C`: what the client owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct State {
    /// Total debit, D.
    pub debit: u8,
    /// Open out-locks.
    pub locks: Set,
    /// The leaf that it acknowledges.
    pub ack: u8,
}

/// `H`: what the hub owes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Leaf {
    /// Total firm credit, K.
    pub firm: u8,
    /// The payments in U.
    pub unfirm: Set,
    /// Open in-locks.
    pub locks: Set,
    /// The state that it acknowledges.
    pub ack: u8,
    /// The lowest height by which an acknowledgement makes U count; zero without U.
    pub ack_by: u8,
    /// The header's height.
    pub height: u8,
}

/// A half state on the ledger.
#[derive(Clone, Copy, Debug)]
pub struct Shown<T> {
    /// Its counter.
    pub counter: u8,
    /// The half itself.
    pub half: T,
    /// True if a signature of the *other* party names it directly.
    pub vouched: bool,
}

/// All that stands on the ledger about one channel when it settles.
#[derive(Clone, Copy, Debug)]
pub struct Case<'a> {
    /// The parameters.
    pub terms: Terms,
    /// The client states shown, `C(0)` among them.
    pub states: &'a [Shown<State>],
    /// The leaves shown, `H(0)` among them.
    pub leaves: &'a [Shown<Leaf>],
    /// For each leaf counter: when an acknowledgement of it or of a later leaf became final; zero for never.
    pub acked_at: [u8; 6],
    /// The locks that are met.
    pub met: Set,
    /// Out-locks shown to have failed.
    pub failed: Set,
    /// In-locks shown to be released.
    pub released: Set,
}

/// How a channel ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// What the client receives, its lock outputs included.
    pub client: u8,
    /// What the hub receives, its lock outputs included.
    pub hub: u8,
    /// The counter of the winning state.
    pub state: u8,
    /// The counter of the winning leaf.
    pub leaf: u8,
}

impl Case<'_> {
    /// The judgement; `None` if the rules find none, so that the money stays where it is for ever.
    #[must_use]
    pub fn judge(&self, rules: Rules) -> Option<Split> {
        let (state, leaf) = self.winners(rules)?;
        let (mut client, mut hub) = self.balances(&state.half, &leaf, rules)?;
        for lock in state.half.locks.iter() {
            let to_hub = self.met.has(lock) && (!self.failed.has(lock) || rules.was(Was::NoLockEvidence));
            *(if to_hub { &mut hub } else { &mut client }) += lock_sum(rules);
        }
        for lock in leaf.half.locks.iter() {
            let to_client = self.met.has(lock) && (!self.released.has(lock) || rules.was(Was::NoLockEvidence));
            *(if to_client { &mut client } else { &mut hub }) += AMOUNT;
        }
        Some(Split {
            client,
            hub,
            state: state.counter,
            leaf: leaf.counter,
        })
    }

    /// The highest state and the highest leaf over all pairs.
    fn winners(&self, rules: Rules) -> Option<(Shown<State>, Shown<Leaf>)> {
        let (mut states, mut leaves) = (self.states.to_vec(), self.leaves.to_vec());
        loop {
            let before = states.len() + leaves.len();
            if !rules.was(Was::ForgedHalvesCount) {
                states.retain(|s| s.counter == 0 || s.vouched || leaves.iter().any(|l| l.half.ack >= s.counter));
                leaves.retain(|l| l.counter == 0 || l.vouched || states.iter().any(|s| s.half.ack >= l.counter));
            }
            if !rules.was(Was::UnpairedHalvesAreVoid) {
                states.retain(|s| leaves.iter().any(|l| self.fit(s, l, rules)));
                leaves.retain(|l| states.iter().any(|s| self.fit(s, l, rules)));
            }
            if states.len() + leaves.len() == before {
                break;
            }
        }
        let state = *states.iter().max_by_key(|s| s.counter)?;
        let leaf = *leaves.iter().max_by_key(|l| l.counter)?;
        if !rules.was(Was::UnpairedHalvesAreVoid) {
            return Some((state, leaf));
        }
        let first = (*self.states.first()?, *self.leaves.first()?);
        let void_state = state.counter < leaf.half.ack;
        let void_leaf = leaf.counter < state.half.ack;
        Some((
            if void_state { first.0 } else { state },
            if void_leaf { first.1 } else { leaf },
        ))
    }

    fn fit(&self, state: &Shown<State>, leaf: &Shown<Leaf>, rules: Rules) -> bool {
        state.half.ack <= leaf.counter
            && leaf.half.ack <= state.counter
            && self.balances(&state.half, leaf, rules).is_some()
    }

    /// Client and hub balance, without the open locks; `None` if one would be negative.
    fn balances(&self, state: &State, leaf: &Shown<Leaf>, rules: Rules) -> Option<(u8, u8)> {
        let Terms { capacity, share } = self.terms;
        let recorded = self.acked_at[usize::from(leaf.counter.min(5))];
        let counts = rules.was(Was::CreditsNeedNoAck) || (recorded != 0 && recorded <= leaf.half.ack_by);
        let unfirm = if counts { leaf.half.unfirm.count() * AMOUNT } else { 0 };
        let out_locks = state.locks.count() * lock_sum(rules);
        let client = (share + leaf.half.firm + unfirm).checked_sub(state.debit + out_locks)?;
        let promised = leaf.half.firm + unfirm + leaf.half.locks.count() * AMOUNT;
        let hub = (capacity - share + state.debit).checked_sub(promised)?;
        Some((client, hub))
    }
}

/// What a lock sets aside: amount and fee (rule 7).
#[must_use]
pub fn lock_sum(rules: Rules) -> u8 {
    if rules.was(Was::FeeOutsideLock) {
        AMOUNT
    } else {
        AMOUNT + FEE
    }
}
