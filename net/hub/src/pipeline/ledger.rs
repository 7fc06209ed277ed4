//! The ledger thread: the hub's settlement node, and the hub's part in opening and closing channels.
//!
//! The node makes the blocks itself (`start --dev`), or follows a ledger that is a process of its own ([`link`]). It is durable
//! by itself, and only what is final there goes on to the sequencer.

pub(crate) mod claims;
mod disputes;
mod duties;
pub(crate) mod link;
mod open;
pub(crate) mod outgoing;
pub(crate) mod proofs;
mod splice;

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use tidegate_batch::{BlockInput, OwedPreimage, Reveal, RevealedAck};
use tidegate_channel::Ack;
use tidegate_channel::evidence::Acknowledged;
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{Action, Block, Condition, LockProof, Transaction, Witness};
use tidegate_reactor::{ConnId, Sender as ReactorSender};
use tidegate_settle::{FollowError, Node, QueryError, Scans, TickError, accepted, submit};
use tidegate_types::{Age, ChannelId, Height, KeyBytes, OutPoint, SignatureBytes};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{Body, Busy, CloseDone, LedgerQuery, SpliceDone, ToHub};

use super::front::error_message;
use super::options::ChannelPolicy;
use super::queue;
use super::sequencer::now;
use super::stats::Stats;
use super::work::{Group, Origin, Work};
use disputes::Disputes;
use duties::Running;
use link::{Brought, Next, Purpose, Verdict};
use open::{Proposal, Reserved};
use outgoing::Outgoing;
use proofs::Proofs;
use splice::Proposed;

/// What the ledger thread is handed.
#[derive(Debug)]
pub(crate) enum LedgerWork {
    Propose(Origin, KeyBytes, Box<Proposal>),
    Close(Origin, ChannelId, Vec<u8>),
    /// A client asks for the final leaf that names a successor.
    Splice(Origin, KeyBytes, Box<Proposed>),
    SpliceFinal(Origin, ChannelId, Vec<u8>),
    Query(Origin, LedgerQuery),
    Submit(Origin, Vec<u8>),
    /// Blocks of the ledger that is followed; what to ask for next is sent back.
    Blocks(Vec<Block>, Sender<Next>),
    /// A preimage that came too late to be taken off the ledger: it is revealed.
    Reveal(OwedPreimage),
    /// Somebody asks since when the preimage of a hash stands on the ledger.
    Revealed([u8; 32], Sender<Option<Height>>),
    /// A transaction was brought to that ledger.
    Brought(Brought, Verdict),
    Stop,
}

impl LedgerWork {
    /// The ledger's part of a message.
    pub(crate) fn of(origin: Origin, identity: KeyBytes, message: &ToHub<'_>) -> Result<Self, ErrorCode> {
        match message {
            ToHub::OpenPropose(propose) => Ok(Self::Propose(origin, identity, Box::new(Proposal::of(propose)?))),
            ToHub::CloseFinal(close) => Ok(Self::Close(origin, close.channel, close.transaction.to_vec())),
            ToHub::SpliceRequest(request) => Ok(Self::Splice(origin, identity, Box::new(Proposed::of(request)?))),
            ToHub::SpliceFinal(last) => Ok(Self::SpliceFinal(origin, last.channel, last.transaction.to_vec())),
            // A ledger's own endpoint serves blocks; a hub's ledger thread serves payments.
            ToHub::LedgerQuery(LedgerQuery::Blocks { .. }) => Err(ErrorCode::Unsupported),
            ToHub::LedgerQuery(query) => Ok(Self::Query(origin, *query)),
            ToHub::SubmitTx(submit) => Ok(Self::Submit(origin, submit.transaction.to_vec())),
            ToHub::Hello(_)
            | ToHub::Attach(_)
            | ToHub::Pay(_)
            | ToHub::Ack(_)
            | ToHub::AckProof(_)
            | ToHub::Fulfill(_)
            | ToHub::Release(_)
            | ToHub::Sync(_)
            | ToHub::Refresh(_)
            | ToHub::CloseRequest(_)
            | ToHub::TowerPackage(_)
            | ToHub::Ping(_) => Err(ErrorCode::Unsupported),
        }
    }
}

/// Why the hub cannot go on with its ledger.
#[derive(Debug, thiserror::Error)]
pub enum LedgerFailure {
    /// No block can be made, or made durable.
    #[error(transparent)]
    Tick(#[from] TickError),
    /// Blocks of the ledger that is followed cannot be made durable.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// Blocks cannot be read back.
    #[error(transparent)]
    Read(#[from] QueryError),
}

pub(crate) struct LedgerThread {
    pub(crate) node: Node,
    /// The way to the ledger that is followed; `None` if the node makes the blocks itself.
    pub(crate) bring: Option<Sender<Brought>>,
    /// Height of the last final block that the sequencer was told of.
    pub(crate) told: Height,
    pub(crate) hub: SecretKey,
    pub(crate) policy: ChannelPolicy,
    /// So long without a new block, payments wait.
    pub(crate) patience: Duration,
    pub(crate) work: Receiver<LedgerWork>,
    pub(crate) groups: queue::Sender<Group>,
    pub(crate) reactor: ReactorSender,
    pub(crate) reserved: Reserved,
    pub(crate) scans: Scans,
    pub(crate) disputes: Disputes,
    pub(crate) outgoing: Outgoing,
    pub(crate) running: Running,
    pub(crate) proofs: Proofs,
    /// Blocks by which the hub acts before a deadline.
    pub(crate) margin: Age,
    pub(crate) stats: Arc<Stats>,
}

/// How long the ledger waits for room before it tries again.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(200);
/// How often it is looked whether the ledger that is followed still makes blocks.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// Final blocks that go to the sequencer in one group.
const FINALS_MAX: usize = 256;
/// When a client whose transaction could not be brought may come again, in milliseconds.
const RETRY_MILLIS: u32 = 500;

/// Why a request was not served, in a code and in words.
type Refusal = (ErrorCode, String);

impl LedgerThread {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// [`LedgerFailure`] if the ledger's log fails; the hub must end then.
    pub(crate) fn run(mut self) -> Result<(), LedgerFailure> {
        let mut moved = Instant::now();
        loop {
            let tip = self.node.tip().height;
            match self.work.recv_timeout(self.wait()) {
                Ok(LedgerWork::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(work) => self.serve(work)?,
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.bring.is_none() {
                self.tick()?;
            }
            if !self.tell_finals()? || !self.defend() || !self.do_duties() {
                return Ok(());
            }
            self.defend_outgoing();
            if self.node.tip().height > tip {
                moved = Instant::now();
            }
            let stalled = self.bring.is_some() && moved.elapsed() > self.patience;
            self.stats.stalled.store(stalled, Ordering::Relaxed);
        }
    }

    fn wait(&self) -> Duration {
        if self.bring.is_some() {
            return LOOK_EVERY;
        }
        let wait = self.node.next_block_at().get().saturating_sub(now().get());
        Duration::from_millis(wait.clamp(1, 1_000))
    }

    fn tick(&mut self) -> Result<(), LedgerFailure> {
        match self.node.tick(now()) {
            Ok(_) => Ok(()),
            // Nothing has changed; the next tick tries again.
            Err(TickError::NoSpace(error)) => {
                tracing::warn!(%error, "no room for a block");
                std::thread::sleep(NO_ROOM_PAUSE);
                Ok(())
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Hands the blocks that have become final to the sequencer; false if it has ended.
    fn tell_finals(&mut self) -> Result<bool, LedgerFailure> {
        while self.told < self.node.tip().final_height {
            let blocks = self.node.final_blocks_above(self.told, FINALS_MAX)?;
            let Some(last) = blocks.last() else { break };
            self.told = last.header.height;
            let hub = self.hub.public().bytes();
            let group = blocks
                .iter()
                .map(|block| Work::Block(block_input(block, hub, &self.policy)));
            if self.groups.send(group.collect()).is_err() {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn serve(&mut self, work: LedgerWork) -> Result<(), LedgerFailure> {
        match work {
            LedgerWork::Propose(origin, identity, proposal) => {
                let result = self.propose(origin, identity, *proposal);
                let bytes = result.unwrap_or_else(|(code, text)| error_message(origin, code, &text));
                self.send(origin.conn, bytes);
            }
            LedgerWork::Query(origin, query) => {
                let bytes = self.scans.answer(&self.node, &query, origin.request, Instant::now);
                self.send(origin.conn, bytes.unwrap_or_else(|| busy(origin)));
            }
            LedgerWork::Submit(origin, transaction) => self.bring(transaction, Purpose::Submit(origin)),
            LedgerWork::Close(origin, channel, transaction) => self.bring(transaction, Purpose::Close(origin, channel)),
            LedgerWork::Splice(origin, identity, proposed) => self.splice(origin, identity, *proposed),
            LedgerWork::SpliceFinal(origin, channel, transaction) => {
                self.bring(transaction, Purpose::Splice(origin, channel));
            }
            LedgerWork::Blocks(blocks, reply) => {
                let next = self.follow(&blocks)?;
                // A follower that has given up meanwhile asks again.
                let _gone = reply.send(next);
            }
            LedgerWork::Reveal(owed) => self.reveal_preimage(&owed),
            // Who asked may have gone.
            LedgerWork::Revealed(hash, asker) => drop(asker.send(self.node.revealed(&hash))),
            LedgerWork::Brought(brought, verdict) => self.brought(&brought, verdict),
            LedgerWork::Stop => {}
        }
        Ok(())
    }

    fn send(&self, conn: ConnId, bytes: Vec<u8>) {
        // A reactor that has ended sends nothing more; the clients will ask again.
        let _ended = self.reactor.send(conn, bytes);
    }

    /// Brings a transaction to the ledger: this node, or the one that it follows.
    fn bring(&mut self, transaction: Vec<u8>, purpose: Purpose) {
        let brought = Brought { transaction, purpose };
        let Some(bring) = &self.bring else {
            let verdict = match submit(&mut self.node, &brought.transaction) {
                Ok(txid) => Verdict::Taken(txid),
                Err(text) => Verdict::Refused(text),
            };
            return self.brought(&brought, verdict);
        };
        if let Err(full) = bring.try_send(brought) {
            self.brought(&full.into_inner(), Verdict::Away);
        }
    }

    /// Tells whoever brought a transaction what became of it.
    fn brought(&mut self, brought: &Brought, verdict: Verdict) {
        if self.bring.is_some() && matches!(verdict, Verdict::Taken(_)) {
            // So that this node knows which outputs are spoken for. If it is behind, it cannot take it yet, and need not.
            let _behind = submit(&mut self.node, &brought.transaction);
        }
        let origin = match brought.purpose {
            Purpose::Own(what, channel) => return disputes::tell(what, &channel, &verdict),
            Purpose::Submit(origin) | Purpose::Close(origin, _) | Purpose::Splice(origin, _) => origin,
        };
        let bytes = match (verdict, brought.purpose) {
            (Verdict::Taken(txid), Purpose::Close(_, channel)) => message(&CloseDone { channel, txid }, origin),
            (Verdict::Taken(txid), Purpose::Splice(_, channel)) => message(&SpliceDone { channel, txid }, origin),
            (Verdict::Taken(txid), _) => accepted(&self.node, txid, origin.request),
            (Verdict::Refused(text), _) => error_message(origin, ErrorCode::TransactionRefused, &text),
            (Verdict::Away, _) => busy(origin),
        };
        self.send(origin.conn, bytes);
    }

    /// Takes blocks of the ledger that is followed.
    fn follow(&mut self, blocks: &[Block]) -> Result<Next, LedgerFailure> {
        let next = |node: &Node| Next::From(node.tip().height.next().unwrap_or(Height::MAX));
        match self.node.follow(blocks) {
            Ok(followed) => {
                if followed.undone > 0 {
                    tracing::warn!(undone = followed.undone, "the ledger has switched to a higher branch");
                }
                Ok(next(&self.node))
            }
            Err(FollowError::NotHigher { .. }) => Ok(Next::More),
            Err(FollowError::Detached { .. }) => {
                let open = self.node.first_open_height();
                if blocks.first().is_some_and(|block| block.header.height > open) {
                    return Ok(Next::From(open));
                }
                tracing::error!("the ledger contradicts a block that was final; nothing of it is taken");
                Ok(Next::Again)
            }
            Err(error @ (FollowError::Block { .. } | FollowError::NoSpace(_) | FollowError::TableFull)) => {
                tracing::error!(%error, "blocks of the ledger are not taken");
                Ok(Next::Again)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn busy(origin: Origin) -> Vec<u8> {
    let busy = Busy {
        retry_after_ms: RETRY_MILLIS,
    };
    message(&busy, origin)
}

fn message<'a>(body: &impl Body<'a>, origin: Origin) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.append(origin.request, &mut bytes)
        .expect("lists are within their caps");
    bytes
}

/// What a block means to the hub's channels: the funding outputs it creates for them, those it spends, the closes that begin
/// in it, and what it reveals.
///
/// Anybody can fund an output that names this hub. One whose terms the hub would not have agreed to, by which its share
/// would go to another key, say, is not a channel of this hub. To a successor it has agreed by the final leaf that names it,
/// whatever its terms of business are by now.
#[must_use]
pub fn block_input(block: &Block, hub: KeyBytes, policy: &ChannelPolicy) -> BlockInput {
    let mut input = BlockInput::empty(block.header.height, block.hash());
    for transaction in &block.transactions {
        let txid = transaction.txid();
        let agreed = |vout: u32| splice::names(transaction, OutPoint { txid, vout });
        for (output, vout) in transaction.body.outputs.iter().zip(0..) {
            if let Condition::Channel(terms) = &output.condition
                && (open::breach(terms, hub, policy).is_none() || (terms.hub == hub && agreed(vout)))
            {
                input.opened.push((*terms, OutPoint { txid, vout }));
            }
        }
        take_action(transaction, &mut input);
        for witness in &transaction.witnesses {
            match witness {
                Witness::ChannelClose(close) | Witness::ChannelSplice(close) => input.closed.push(close.terms.channel),
                // Whoever claims a lock by its preimage shows it to everyone.
                Witness::LockClaim {
                    proof: LockProof::Preimage(preimage),
                    ..
                } => input.revealed.push(Reveal {
                    height: input.height,
                    preimage: *preimage,
                }),
                Witness::LockClaim { .. }
                | Witness::Key(_)
                | Witness::Action
                | Witness::Multi(_)
                | Witness::LockRefund(_) => {}
            }
        }
    }
    input
}

fn take_action(transaction: &Transaction, input: &mut BlockInput) {
    let height = input.height;
    match transaction.body.action.as_deref() {
        Some(Action::StartClose { start, .. }) => input.closing.push(start.start.channel),
        Some(Action::Settle { channel } | Action::Forfeit { channel, .. }) => input.closed.push(*channel),
        Some(Action::RevealPreimage { preimage, .. }) => input.revealed.push(Reveal {
            height,
            preimage: *preimage,
        }),
        Some(Action::RevealAck { word, .. }) => {
            let signature = match &**word {
                Acknowledged::ByAck(_, signature) => *signature,
                Acknowledged::ByState(_) => SignatureBytes::ZERO,
            };
            let ack = Ack {
                channel: word.channel(),
                leaf: word.leaf(),
            };
            input.acked.push(RevealedAck { height, ack, signature });
        }
        _ => {}
    }
}
