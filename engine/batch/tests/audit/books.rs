//! What the auditor writes down: of payments, of channels, and of the hub's gain.

use std::collections::VecDeque;

use tidegate_channel::Operation;
use tidegate_types::{ChannelId, LockId};

/// What became of a payer's lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LockFate {
    Pending,
    Delivered,
    Failed,
    Settled,
    Dropped,
}

/// What became of it on the payee's side.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum CreditFate {
    None,
    Offered,
    Waiting,
    Firm,
    Void,
}

/// One payment that a payer has added.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Payment {
    pub(crate) serial: u64,
    pub(crate) amount: u64,
    pub(super) fee: u64,
    pub(crate) expiry: u32,
    pub(crate) lock: LockFate,
    pub(crate) credit: CreditFate,
    /// The batch that added it.
    pub(crate) batch: u64,
}

impl Payment {
    pub(super) fn total(&self) -> u128 {
        u128::from(self.amount) + u128::from(self.fee)
    }
}

/// A leaf that its client may name.
#[derive(Clone, Copy, Debug)]
pub(super) struct Leaf {
    pub(super) counter: u64,
    /// The last height at which it can be acknowledged; none if nothing waits in it.
    pub(super) ack_by: Option<u32>,
}

/// The books of one channel.
#[derive(Debug)]
pub(crate) struct Books {
    pub(crate) id: ChannelId,
    pub(super) capacity: u128,
    pub(crate) opening: u128,
    pub(crate) firm: u128,
    pub(super) unfirm: u128,
    pub(crate) debit: u128,
    pub(crate) locks: u128,
    pub(super) in_locks: u128,
    /// The payer's open locks: payments plus one.
    pub(crate) slots: [u32; 64],
    /// Credits that wait, each with the leaf that holds it, in the order of the leaves.
    pub(super) waiting: Vec<(u64, u32)>,
    /// Locks that wait for this client's preimages.
    pub(crate) offered: Vec<(LockId, u32)>,
    pub(super) leaves: VecDeque<Leaf>,
    pub(crate) counter: u64,
    pub(crate) acked: u64,
    /// K at the newest leaf.
    pub(crate) firm_at_leaf: u128,
    /// Operations of this batch that were accepted and have no outcome yet.
    pub(super) accepted: VecDeque<Operation>,
    pub(super) counter_before: u64,
}

impl Books {
    pub(super) fn new(id: ChannelId, capacity: u128, opening: u128) -> Self {
        Self {
            id,
            capacity,
            opening,
            firm: 0,
            unfirm: 0,
            debit: 0,
            locks: 0,
            in_locks: 0,
            slots: [0; 64],
            waiting: Vec::new(),
            offered: Vec::new(),
            leaves: VecDeque::new(),
            counter: 0,
            acked: 0,
            firm_at_leaf: 0,
            accepted: VecDeque::new(),
            counter_before: 0,
        }
    }

    pub(crate) fn leaf(&self) -> u64 {
        self.leaves.back().map_or(0, |leaf| leaf.counter)
    }

    /// True if an ack of the newest leaf comes in time.
    pub(crate) fn in_time(&self, height: u32) -> bool {
        self.leaves
            .back()
            .is_none_or(|leaf| leaf.ack_by.is_none_or(|last| height <= last))
    }
}

/// What the hub should have gained, term by term.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Gain {
    pub(crate) fees: u128,
    pub(super) settled_not_firm: u128,
    pub(super) firm_not_settled: u128,
}

/// How often each thing happened.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Counts {
    /// Of accepted states, and preimages and releases that were taken.
    pub(crate) operations: u64,
    pub(crate) states: u64,
    pub(crate) refused: u64,
    pub(crate) delivered: u64,
    pub(crate) failed: u64,
    pub(crate) void: u64,
    pub(crate) fulfilled: u64,
    pub(crate) released: u64,
    pub(crate) expired: u64,
}

impl Counts {
    const fn each(&mut self) -> [&mut u64; 9] {
        [
            &mut self.operations,
            &mut self.states,
            &mut self.refused,
            &mut self.delivered,
            &mut self.failed,
            &mut self.void,
            &mut self.fulfilled,
            &mut self.released,
            &mut self.expired,
        ]
    }

    pub(crate) fn add(&mut self, other: &Self) {
        let mut other = *other;
        for (sum, count) in self.each().into_iter().zip(other.each()) {
            *sum += *count;
        }
    }

    /// True if nothing is zero.
    pub(crate) fn all_happened(mut self) -> bool {
        self.each().iter().all(|count| **count > 0)
    }
}
