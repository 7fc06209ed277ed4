//! What the hub has to do on the ledger, looked for in parts: a batch that had to wait for a look at all locks would be late.

use crossbeam::channel::Sender;
use tidegate_batch::{Ending, OwedSearch};
use tidegate_types::Height;

use super::Sequencer;
use crate::pipeline::work::{Ask, Duties, Job, Read};

/// Locks of each kind that are looked at beside one batch: 4 MiB of memory.
const LOCKS_AT_ONCE: u32 = 1 << 14;

/// A question of the ledger thread that is being answered.
pub(super) struct Search {
    asker: Sender<Duties>,
    final_by: Option<Height>,
    owed: OwedSearch,
}

impl Search {
    pub(super) const fn new(ask: Ask, asker: Sender<Duties>) -> Self {
        Self {
            asker,
            final_by: ask.final_by,
            owed: OwedSearch::new(ask.expires_by),
        }
    }
}

impl Sequencer {
    /// Goes on with the search, if there is one. What it found is shown when this batch is durable, as all before it are then.
    pub(super) fn search_on(&mut self, job: &mut Job) {
        let Some(mut search) = self.search.take() else { return };
        if !self.engine.search_owed(&mut search.owed, LOCKS_AT_ONCE) {
            self.search = Some(search);
            return;
        }
        let (preimages, mut acks) = search.owed.into_found();
        acks.extend(self.acks_of_leaving());
        let duties = Duties {
            preimages,
            acks,
            ends: self.ends(search.final_by),
        };
        job.reads.push(Read::Duties(search.asker, Box::new(duties)));
    }

    /// What payers owe by the acks of those who want to end: they may when all of it is proven.
    fn acks_of_leaving(&mut self) -> Vec<tidegate_batch::OwedAck> {
        let (engine, mut acks) = (&self.engine, Vec::new());
        self.leaving.retain(|&slot| {
            let unproven = engine.unproven_acks(slot);
            let is_left = engine.parties(slot).2 && !unproven.is_empty();
            acks.extend(unproven);
            is_left
        });
        acks
    }

    /// The channels whose close the hub is to start.
    fn ends(&mut self, final_by: Option<Height>) -> Vec<tidegate_types::ChannelId> {
        let engine = &self.engine;
        self.ending.retain(|&slot| engine.ending(slot).is_some());
        let due = |slot: &u32| match engine.ending(*slot) {
            Some(Ending::Final(height)) => final_by.is_some_and(|by| height <= by),
            Some(Ending::Disputed) => true,
            None => false,
        };
        let ends = self.ending.iter().copied().filter(due);
        ends.map(|slot| engine.counters(slot).0).collect()
    }
}
