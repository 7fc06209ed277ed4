//! The hub's link to a ledger that is a process of its own: one thread follows its blocks, one brings transactions to it.
//!
//! ```text
//! follow   LedgerQuery(Blocks from N) ──▶ ledger       blocks ──▶ ledger thread: Node::follow, then what is next
//! bring    SubmitTx ────────────────────▶ ledger       verdict ─▶ ledger thread: the answer for whoever brought it
//! ```
//!
//! A ledger that is away is tried again and again; what was brought meanwhile is answered by `Busy`, since nothing has
//! changed by it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread::Builder;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, Sender, bounded};
use tidegate_client::ledger::{LedgerConnection, LedgerError};
use tidegate_client::{ConnectOptions, ConnectionError, HubAddress};
use tidegate_ledger::Block;
use tidegate_types::{ChannelId, Height, LedgerId, Txid};

use super::LedgerWork;
use crate::pipeline::stats::Stats;
use crate::pipeline::work::Origin;

/// How long the ledger may keep a question for the next block.
const WAIT: Duration = Duration::from_secs(1);
/// How long anything else may take.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(5);
/// Between two attempts to reach a ledger that is away.
const RETRY: Duration = Duration::from_millis(200);
/// Transactions that may wait to be brought.
const BRING_QUEUE: usize = 1024;
/// Blocks of one branch that are held while it is not yet higher than what stands.
const BRANCH_MAX: usize = 8192;

/// What is asked of the ledger next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Next {
    /// The blocks from this height on.
    From(Height),
    /// The blocks were a branch that is no higher yet: more of it, on top of what was sent.
    More,
    /// The same again, after a pause.
    Again,
}

/// A transaction on its way to the ledger.
#[derive(Debug)]
pub(crate) struct Brought {
    pub(crate) transaction: Vec<u8>,
    pub(crate) purpose: Purpose,
}

/// Who is told what became of a transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A client that brought it.
    Submit(Origin),
    /// A client that closes its channel by it.
    Close(Origin, ChannelId),
    /// A client that moves its channel into a successor by it.
    Splice(Origin, ChannelId),
    /// The hub itself, for one of its channels: what it does, in words.
    Own(&'static str, ChannelId),
}

/// What became of it.
#[derive(Debug)]
pub(crate) enum Verdict {
    Taken(Txid),
    Refused(String),
    /// The ledger cannot be reached; it may be brought again.
    Away,
}

/// How the ledger is reached.
pub(crate) fn options(address: HubAddress, ledger: LedgerId) -> ConnectOptions {
    ConnectOptions {
        address,
        ledger,
        push_ack_proofs: false,
        share_paths: false,
        timeout: TIMEOUT,
    }
}

/// Starts both threads. They end once the ledger thread is gone.
pub(crate) fn start(
    options: &ConnectOptions,
    work: &Sender<LedgerWork>,
    stats: &Arc<Stats>,
) -> std::io::Result<Sender<Brought>> {
    let (brought, queue) = bounded(BRING_QUEUE);
    let follower = Follower {
        options: options.clone(),
        work: work.clone(),
        stats: Arc::clone(stats),
        branch: Vec::new(),
    };
    Builder::new().name("follow".to_owned()).spawn(move || follower.run())?;
    let (options, work) = (options.clone(), work.clone());
    let bring = move || bring(&options, &queue, &work);
    Builder::new().name("bring".to_owned()).spawn(bring)?;
    Ok(brought)
}

struct Follower {
    options: ConnectOptions,
    work: Sender<LedgerWork>,
    stats: Arc<Stats>,
    /// Blocks that were sent and were no higher branch yet.
    branch: Vec<Block>,
}

/// The ledger thread is gone: the hub ends.
struct Ended;

impl Follower {
    fn run(mut self) {
        let mut told = false;
        loop {
            let failure = match LedgerConnection::connect(&self.options) {
                Ok(mut connection) => {
                    if told {
                        tracing::warn!("the ledger is back");
                    }
                    told = false;
                    self.stats.ledger_away.store(false, Ordering::Release);
                    match self.follow(&mut connection) {
                        Ok(failure) => failure,
                        Err(Ended) => return,
                    }
                }
                Err(error) => error,
            };
            if !told {
                tracing::warn!(error = %failure, "the ledger is away; the hub goes on without it for as long as it safely can");
            }
            told = true;
            self.stats.ledger_away.store(true, Ordering::Release);
            // An empty piece of work finds out whether anybody still listens.
            if self.hand_over(Vec::new()).is_err() {
                return;
            }
            std::thread::sleep(RETRY);
        }
    }

    /// Follows until the connection fails; returns why it did.
    fn follow(&mut self, connection: &mut LedgerConnection) -> Result<LedgerError, Ended> {
        self.branch.clear();
        let mut next = self.hand_over(Vec::new())?;
        let mut from = Height::ZERO;
        loop {
            match next {
                Next::From(height) => {
                    self.branch.clear();
                    from = height;
                }
                Next::More => {
                    let last = self.branch.last().map(|block| block.header.height);
                    from = last.and_then(Height::next).unwrap_or(from);
                }
                Next::Again => {
                    self.branch.clear();
                    std::thread::sleep(RETRY);
                }
            }
            if self.branch.len() > BRANCH_MAX {
                self.branch.clear();
                next = Next::Again;
                continue;
            }
            match connection.blocks(from, WAIT) {
                Ok(page) if page.blocks.is_empty() => {}
                Ok(page) => {
                    self.branch.extend(page.blocks);
                    next = self.hand_over(self.branch.clone())?;
                }
                Err(error) => return Ok(error),
            }
        }
    }

    fn hand_over(&self, blocks: Vec<Block>) -> Result<Next, Ended> {
        let (reply, answer) = bounded(1);
        self.work.send(LedgerWork::Blocks(blocks, reply)).map_err(|_| Ended)?;
        answer.recv().map_err(|_| Ended)
    }
}

/// Brings transactions until nobody hands any over.
fn bring(options: &ConnectOptions, queue: &Receiver<Brought>, work: &Sender<LedgerWork>) {
    let mut connection = None;
    for brought in queue {
        let verdict = bring_one(options, &mut connection, &brought.transaction);
        if work.send(LedgerWork::Brought(brought, verdict)).is_err() {
            return;
        }
    }
}

fn bring_one(options: &ConnectOptions, connection: &mut Option<LedgerConnection>, transaction: &[u8]) -> Verdict {
    let began = Instant::now();
    // A connection that has idled may be gone; a second attempt is on a new one.
    while began.elapsed() < TIMEOUT {
        let open = match connection.take() {
            Some(open) => Ok(open),
            None => LedgerConnection::connect(options),
        };
        let Ok(mut open) = open else { return Verdict::Away };
        match open.submit(transaction) {
            Ok(txid) => {
                *connection = Some(open);
                return Verdict::Taken(txid);
            }
            Err(LedgerError::Connection(ConnectionError::Remote { text, .. })) => {
                *connection = Some(open);
                return Verdict::Refused(text);
            }
            Err(_) => {}
        }
    }
    Verdict::Away
}
