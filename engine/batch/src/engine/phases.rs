//! The parallel form of ordered execution: the same outcome as the serial one, on the threads of a pool that the caller owns.
//!
//! ```text
//! phase 1   by payer            plan: digests, ids, salts, lock trees │ judge: each payer's first state
//! barrier
//! in order  by input            room is promised, records are taken and written
//! barrier
//! phase 2   by touched channel  roots, both parts and the digest of its leaf
//! ```
//!
//! # Definitions
//!
//! - *Own* of a payer P: P's records, its lock page with the locks on it, its answers, its leaves, and the terms. Judging a state
//!   (`judge`) reads what is P's own, the height, the policy and the batch's number, and writes nothing.
//! - *Run*: the inputs from the first state or ack on, up to the first that is neither of both nor a refresh, or is a state with
//!   a release. Whatever stands before a run has taken effect when its states are judged.
//! - *First*: a state of P in the run before which the batch holds no ack of P's channel and no state of it that might be taken.
//!
//! # Why the outcome is that of the serial form
//!
//! *Phase 1, hashing.* A digest, an id, a salt follow from one input; a chain's trees from P's page as the batch found it, and from
//! P's states. All inputs of a channel are in one part, in their order, and a part is planned as a whole batch of its inputs would be.
//!
//! *Phase 1, judging.* Between the beginning of the run and the turn of P's first state only inputs of other channels take effect:
//! states, acks, refreshes. Of what is P's own these change
//!
//! - what is owed to P: `unfirm`, `in_locks`, the in-lock page, credits that become void. `judge` reads neither: the client's balance
//!   counts what the named leaf says is firm, and leaves of this batch are made at its end;
//! - the *fate* of P's locks, when their payees ack, or when what the payees did not ack becomes void. `judge_drop` asks only whether
//!   a fate is firm, and only where P names a leaf whose height is above the lock's expiry. A lock becomes firm by an ack at a height
//!   ≤ `ack_by` ≤ expiry; the leaf's height is not above that of the batch. So no ack of this run makes such a lock firm.
//!
//! *Outcomes* of locks are changed by preimages, releases and blocks alone, the *status* of a channel by closes, freezes and blocks:
//! none of them is in a run. So a first state is judged as it would be at its turn. States that are not first, and those behind the
//! run, are judged at their turn, as in the serial form.
//!
//! *In order.* All that takes records or promises room happens in the order of the inputs, by the same code in both forms. Room is
//! a payee's: it depends on the payee's own states and acks before, and on every payer before, in their order. Promising it costs a
//! comparison and a subtraction beside the dozen writes that follow from it, whose records must be the same ones after a replay.
//!
//! *Phase 2.* A leaf's roots and digests follow from its own channel's records and lists, which nothing changes any more.
//!
//! So every table holds the same bytes, whatever the number of parts; `tests/phases.rs` compares them.

use std::sync::Arc;

use super::Engine;
use crate::slots::Slots;

/// The pool, and when it is asked.
#[derive(Clone, Debug)]
pub(crate) struct Phases {
    pool: Arc<rayon::ThreadPool>,
    parts: usize,
    /// The smallest batch that is split, in inputs.
    least: usize,
}

/// Fewer threads gain less than their waking costs: see the README of this crate.
const THREADS_MIN: usize = 4;
/// More parts leave the part that is done in order as it is.
const PARTS_MAX: usize = 16;
/// The smallest batch that is split, in inputs.
const INPUTS_MIN: usize = 1_024;

impl<S: Slots> Engine<S> {
    /// From now on batches may be executed in two parallel phases on this pool: large ones, if its threads are many. The
    /// outcome is the same.
    pub fn use_threads(&mut self, pool: &Arc<rayon::ThreadPool>) {
        let threads = pool.current_num_threads();
        let parts = if threads < THREADS_MIN {
            1
        } else {
            threads.min(PARTS_MAX)
        };
        self.split(Arc::clone(pool), parts, INPUTS_MIN);
    }

    /// As [`Engine::use_threads`], but every batch of at least `least` inputs is split into so many parts, for tests and
    /// measurements. One part is the serial form.
    pub fn split(&mut self, pool: Arc<rayon::ThreadPool>, parts: usize, least: usize) {
        self.phases = (parts > 1).then_some(Phases { pool, parts, least });
    }

    /// How many parts a batch of so many inputs has.
    pub(super) fn parts_for(&self, inputs: usize) -> usize {
        self.phases
            .as_ref()
            .filter(|phases| inputs >= phases.least)
            .map_or(1, |phases| phases.parts)
    }

    /// Does the work of each part, given its number: of the first on this thread, of the others on the pool's.
    pub(super) fn side_by_side<P: Send>(&self, parts: &mut [P], work: impl Fn(u32, &mut P) + Sync) {
        let Some((first, others)) = parts.split_first_mut() else {
            return;
        };
        let work = &work;
        let Some(phases) = self.phases.as_ref().filter(|_| !others.is_empty()) else {
            return work(0, first);
        };
        phases.pool.in_place_scope(|scope| {
            for (number, part) in (1..).zip(others) {
                scope.spawn(move |_| work(number, part));
            }
            work(0, first);
        });
    }
}
