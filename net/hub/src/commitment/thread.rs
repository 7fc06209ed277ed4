//! The thread that keeps the tree: below all others in priority, and never waited for by a payment.
//!
//! ```text
//! log ──▶ queue of 16 batches ─────────────────▶ thread
//!     └─▶ backlog, when the queue is full ───────┘ when the queue is empty
//! ```
//!
//! **Why nobody waits.** A batch that finds the queue full is put into the backlog instead, and so is everything behind it until
//! the thread has taken that. There it is merged: of each channel only the newest entry is kept, which is all that the tree will
//! ever hash. So the log does one look-up per changed channel, whatever the thread does, and the backlog is never longer than the
//! list of channels (240 B and a number each), however long the thread sleeps. What the tree does to catch up is less than what it
//! missed, since a channel that changed a hundred times is hashed once.
//!
//! **Why the order holds.** Things go into the queue and into the backlog under one lock, and into the queue only while the backlog
//! is empty. So whatever is in the queue is older than whatever is in the backlog, and the thread, which takes the backlog only when
//! it finds the queue empty under that lock, sees everything in its order, but for the questions within the backlog: those are
//! answered behind all of its batches. A root is then of a later batch than it could have been, and a proof of an entry that has
//! changed meanwhile is refused as of any other old entry.

use std::sync::Arc;
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TrySendError, bounded};
use hashbrown::HashMap;
use parking_lot::Mutex;
use tidegate_batch::{Changes, EntryPublisher};
use tidegate_channel::{ChannelEntry, EntryProof};

use super::{AsOf, Commitment, StateRoot};
use crate::pipeline::queue;

/// Batches that wait for the tree one by one; more are merged.
const QUEUE: usize = 16;
/// When nothing has come for so long, what was gathered is hashed.
const LULL: Duration = Duration::from_millis(20);
/// The thread sleeps so long when there is nothing to do; it is woken by work.
const IDLE: Duration = Duration::from_secs(3600);
/// On a scale from −20 to 19: it takes the processor when nobody else wants it, and a small share when they do.
const NICE: i32 = 10;

/// The log's end of the queue.
#[derive(Debug)]
pub(crate) struct Feed {
    pub(crate) work: WorkSender,
    /// Shows the entries of durable batches to whoever reads them beside the sequencer.
    entries: Option<EntryPublisher>,
    /// Lists that the thread has read, to be filled again.
    empty: Receiver<Changes>,
}

impl Feed {
    /// Shows the engine's entries to other threads too, batch by batch.
    pub(crate) fn publishing(self, entries: EntryPublisher) -> Self {
        Self {
            entries: Some(entries),
            ..self
        }
    }

    /// A batch is durable: hands on what it changed, and leaves an empty list in its place. Never waits.
    pub(crate) fn batch(&mut self, as_of: AsOf, changes: &mut Changes) {
        if let Some(entries) = &mut self.entries {
            entries.publish(as_of.batch.get(), changes);
        }
        let empty = self.empty.try_recv().unwrap_or_default();
        let changes = std::mem::replace(changes, empty);
        // The thread ends only after all who feed it.
        let _ended = self.work.send(CommitWork::Batch(as_of, changes));
    }
}

/// Hands work to the thread, from any other, without waiting for it.
#[derive(Clone, Debug)]
pub(crate) struct WorkSender {
    queue: queue::Sender<CommitWork>,
    backlog: Arc<Mutex<Backlog>>,
}

/// The thread has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ended;

impl WorkSender {
    /// Hands it on.
    pub(crate) fn send(&self, work: CommitWork) -> Result<(), Ended> {
        let mut backlog = self.backlog.lock();
        if !backlog.is_empty() {
            backlog.add(work);
            return Ok(());
        }
        match self.queue.try_send(work) {
            Ok(()) => Ok(()),
            Err(TrySendError::Full(work)) => {
                backlog.add(work);
                Ok(())
            }
            Err(TrySendError::Disconnected(_)) => Err(Ended),
        }
    }
}

/// What found the queue full.
#[derive(Debug, Default)]
struct Backlog {
    /// The newest batch in it.
    as_of: Option<AsOf>,
    /// The newest entry of each channel that its batches changed.
    entries: HashMap<u32, ChannelEntry>,
    questions: Vec<CommitWork>,
}

impl Backlog {
    fn is_empty(&self) -> bool {
        self.as_of.is_none() && self.questions.is_empty()
    }

    fn add(&mut self, work: CommitWork) {
        match work {
            CommitWork::Batch(as_of, changes) => {
                self.as_of = Some(as_of);
                self.entries.extend(changes.iter().map(|(slot, entry)| (slot, *entry)));
            }
            question => self.questions.push(question),
        }
    }

    /// As a batch, and the questions behind it.
    fn into_work(self) -> impl Iterator<Item = CommitWork> {
        let mut entries: Vec<_> = self.entries.into_iter().collect();
        // New channels come into the tree in the order of their numbers.
        entries.sort_unstable_by_key(|(slot, _)| *slot);
        let mut changes = Changes::default();
        for (slot, entry) in entries {
            changes.push(slot, entry);
        }
        let batch = self.as_of.map(|as_of| CommitWork::Batch(as_of, changes));
        batch.into_iter().chain(self.questions)
    }
}

/// What the thread is asked.
#[derive(Debug)]
pub(crate) enum CommitWork {
    /// A batch is durable, and has changed this.
    Batch(AsOf, Changes),
    /// Someone asks for the root.
    Root(Sender<StateRoot>),
    /// Someone asks for a proof; the entry was read as of the newest batch in this queue.
    Prove(u32, Box<ChannelEntry>, Sender<Option<ProofAnswer>>),
}

/// A proof with the root that it is for.
#[derive(Debug)]
pub(crate) struct ProofAnswer {
    pub(crate) proof: EntryProof,
    pub(crate) root: StateRoot,
}

pub(crate) struct CommitmentThread {
    commitment: Commitment,
    work: queue::Receiver<CommitWork>,
    backlog: Arc<Mutex<Backlog>>,
    empty: Sender<Changes>,
}

impl CommitmentThread {
    /// What the thread runs on, and how it is fed.
    pub(crate) fn new(commitment: Commitment) -> (Feed, Self) {
        let ((sender, work), (back, empty)) = (queue::bounded(QUEUE), bounded(QUEUE));
        let backlog = Arc::<Mutex<Backlog>>::default();
        let thread = Self {
            commitment,
            work,
            backlog: Arc::clone(&backlog),
            empty: back,
        };
        let feed = Feed {
            work: WorkSender { queue: sender, backlog },
            entries: None,
            empty,
        };
        (feed, thread)
    }

    /// Works until nobody can ask any more.
    pub(crate) fn run(mut self) {
        // Without it the thread is one among others.
        let _refused = rustix::process::setpriority_process(None, NICE);
        loop {
            let patience = if self.commitment.is_settled() { IDLE } else { LULL };
            match self.work.recv_timeout(patience) {
                Ok(work) => {
                    self.serve(work);
                    self.catch_up();
                }
                Err(RecvTimeoutError::Timeout) => self.commitment.settle(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Takes the backlog if the queue is empty. There is one only while the queue is not: so behind the last of the queue it is
    /// looked for, and then it cannot be missed.
    fn catch_up(&mut self) {
        let backlog = {
            let mut backlog = self.backlog.lock();
            if backlog.is_empty() || self.work.len() > 0 {
                return;
            }
            std::mem::take(&mut *backlog)
        };
        backlog.into_work().for_each(|work| self.serve(work));
    }

    /// Whoever asked may have gone.
    fn serve(&mut self, work: CommitWork) {
        match work {
            CommitWork::Batch(as_of, mut changes) => {
                self.commitment.take(&changes, as_of);
                changes.clear();
                let _full = self.empty.try_send(changes);
            }
            CommitWork::Root(asker) => {
                let _gone = asker.send(self.commitment.root());
            }
            CommitWork::Prove(slot, entry, asker) => {
                let proof = self.commitment.prove(slot, *entry);
                let root = self.commitment.root();
                let _gone = asker.send(proof.map(|proof| ProofAnswer { proof, root }));
            }
        }
    }
}
