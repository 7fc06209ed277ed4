//! The state commitment: the tree over all channels, kept off the commit path.
//!
//! ```text
//! sequencer: execute, which copies the entries that it changed ─▶ log: durable ──queue, backlog──▶ commitment: gathers
//! admin: a root, a proof ─────────────────────────────────────────────────────────────────────▶ hashes, answers
//! ```
//!
//! Changes are gathered, and hashed when many have come, when nothing comes, or when somebody asks. A channel that
//! changed a hundred times meanwhile is hashed once. The queue is in the order of the log, and a batch is in it before
//! its receipts leave: whoever has a receipt finds its batch under the next root. A tree that falls behind lags; nobody waits for it.
//!
//! What an entry is, and so what the root stands for, is said at `tidegate_channel::ChannelEntry`.

mod thread;
mod totals;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use parking_lot::Mutex;
use rayon::ThreadPool;
use tidegate_batch::{Changes, Engine, Slots};
use tidegate_channel::{ChannelEntry, EntryProof};
use tidegate_crypto::merkle::StateTree;
use tidegate_table::Lsn;
use tidegate_types::{BatchNumber, Digest};

pub(crate) use thread::{CommitWork, CommitmentThread, Feed, ProofAnswer, WorkSender};
use totals::Totals;

/// Entries that wait to be hashed: 16 MB of them, and one batch.
const GATHERED_MAX: usize = 1 << 16;

/// The batch that a root is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AsOf {
    /// The newest batch.
    pub batch: BatchNumber,
    /// Its log record.
    pub lsn: Lsn,
}

/// A root, and what else is known of all channels as of its batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StateRoot {
    /// The root over the entries of all channels.
    pub root: Digest,
    /// The batch.
    pub as_of: AsOf,
    /// How many channels there are, settled ones included.
    pub channels: u32,
    /// Sum of all balances, locks and credits of the channels that are not settled, in satoshi.
    pub held: u128,
    /// Sum of their capacities, in satoshi; equal if value is conserved.
    pub capacity: u128,
}

/// The tree, and the changes that are not in it yet.
#[derive(Debug)]
pub struct Commitment {
    tree: StateTree,
    totals: Totals,
    as_of: AsOf,
    /// Oldest first.
    slots: Vec<u32>,
    entries: Vec<ChannelEntry>,
    /// By slot, one bit: hashed already in this round.
    seen: Vec<u64>,
    hashed: Hashed,
}

/// What goes into the tree in one round; kept for its memory.
#[derive(Debug, Default)]
struct Hashed {
    slots: Vec<u32>,
    digests: Vec<Digest>,
}

impl Commitment {
    /// The tree over all channels of an engine that has executed all batches up to `as_of`, made on the threads of
    /// `pool`. `progress` is told from time to time how many channels are done, of how many.
    pub fn build<S: Slots + Sync>(
        engine: &Engine<S>,
        lsn: Lsn,
        pool: &ThreadPool,
        progress: &mut dyn FnMut(u32, u32),
    ) -> Self {
        let opened = engine.opened();
        let as_of = AsOf {
            batch: opened.batch,
            lsn,
        };
        let (done, totals) = (AtomicU32::new(0), Mutex::new(Totals::default()));
        let look = |first: u32, entries: &[ChannelEntry]| {
            let mut totals = totals.lock();
            (first..).zip(entries).for_each(|(slot, entry)| totals.add(slot, entry));
            done.fetch_add(u32::try_from(entries.len()).unwrap_or(0), Ordering::Relaxed);
        };
        let (ended, wait) = channel::<()>();
        let tree = std::thread::scope(|scope| {
            let build = scope.spawn(|| {
                let _told = ended;
                pool.install(|| engine.state_tree(look))
            });
            while wait.recv_timeout(Duration::from_millis(200)) == Err(RecvTimeoutError::Timeout) {
                progress(done.load(Ordering::Relaxed), opened.channels);
            }
            build.join().expect("hashing does not panic")
        });
        Self {
            tree,
            totals: totals.into_inner(),
            as_of,
            slots: Vec::new(),
            entries: Vec::new(),
            seen: Vec::new(),
            hashed: Hashed::default(),
        }
    }

    /// Takes what a batch changed. Batches come in their order.
    pub fn take(&mut self, changes: &Changes, as_of: AsOf) {
        self.as_of = as_of;
        self.slots.extend_from_slice(changes.slots());
        self.entries.extend_from_slice(changes.entries());
        if self.slots.len() >= GATHERED_MAX {
            self.settle();
        }
    }

    /// True if all changes are in the tree.
    #[must_use]
    pub const fn is_settled(&self) -> bool {
        self.slots.is_empty()
    }

    /// Brings the tree up to date: hashes the newest entry of each channel that changed.
    pub fn settle(&mut self) {
        let Some(last) = self.slots.iter().max() else { return };
        let words = *last as usize / 64 + 1;
        self.seen.resize(words.max(self.seen.len()), 0);
        let Hashed { slots, digests } = &mut self.hashed;
        slots.clear();
        // The newest entry of a channel comes to stand where its newest change stood, behind all that are kept so far.
        let mut kept = self.slots.len();
        for index in (0..self.slots.len()).rev() {
            let slot = self.slots[index];
            let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
            if self.seen[word] & bit == 0 {
                self.seen[word] |= bit;
                kept -= 1;
                if kept != index {
                    self.entries[kept] = self.entries[index];
                }
                slots.push(slot);
            }
        }
        slots.reverse();
        let entries = &self.entries[kept..];
        digests.resize(slots.len(), Digest::ZERO);
        ChannelEntry::digests(entries, digests);
        for (&slot, entry) in slots.iter().zip(entries) {
            self.seen[slot as usize / 64] = 0;
            self.totals.change(slot, entry, self.tree.count());
        }
        self.tree.update(slots, digests);
        self.slots.clear();
        self.entries.clear();
    }

    /// The root as of the newest batch.
    pub fn root(&mut self) -> StateRoot {
        self.settle();
        let (held, capacity) = self.totals.sums();
        StateRoot {
            root: self.tree.root(),
            as_of: self.as_of,
            channels: self.tree.count(),
            held,
            capacity,
        }
    }

    /// Proof that the channel of this number has this entry as of the newest batch; `None` if it has another one.
    pub fn prove(&mut self, slot: u32, entry: ChannelEntry) -> Option<EntryProof> {
        self.settle();
        (self.tree.leaf(slot) == Some(entry.digest())).then(|| EntryProof::of(&self.tree, slot, entry))
    }
}

#[cfg(test)]
mod tests;
