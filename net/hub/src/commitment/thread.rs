//! The thread that keeps the tree: below all others in priority, and never waited for by a payment.

use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tidegate_batch::{Changes, EntryPublisher};
use tidegate_channel::{ChannelEntry, EntryProof};

use super::{AsOf, Commitment, StateRoot};

/// Batches that may wait for the tree. If it ever falls that far behind, the log waits for it: memory stays bounded.
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
    pub(crate) work: Sender<CommitWork>,
    /// Shows the entries of durable batches to whoever reads them beside the sequencer.
    entries: Option<EntryPublisher>,
    /// Lists that the thread has read, to be filled again.
    empty: Receiver<Changes>,
}

impl Feed {
    /// Publishes the engine's entries too, batch by batch.
    pub(crate) fn publishing(self, entries: EntryPublisher) -> Self {
        Self {
            entries: Some(entries),
            ..self
        }
    }

    /// A batch is durable: hands on what it changed, and leaves an empty list in its place. Waits if the tree has fallen
    /// far behind.
    pub(crate) fn batch(&self, as_of: AsOf, changes: &mut Changes) {
        if let Some(entries) = &self.entries {
            entries.publish(as_of.batch.get());
        }
        let empty = self.empty.try_recv().unwrap_or_default();
        let changes = std::mem::replace(changes, empty);
        // The thread ends only after all who feed it.
        let _ended = self.work.send(CommitWork::Batch(as_of, changes));
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
    work: Receiver<CommitWork>,
    empty: Sender<Changes>,
}

impl CommitmentThread {
    /// What the thread runs on, and how it is fed.
    pub(crate) fn new(commitment: Commitment) -> (Feed, Self) {
        let ((sender, work), (back, empty)) = (bounded(QUEUE), bounded(QUEUE));
        let thread = Self {
            commitment,
            work,
            empty: back,
        };
        let feed = Feed {
            work: sender,
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
                Ok(work) => self.serve(work),
                Err(RecvTimeoutError::Timeout) => self.commitment.settle(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
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
