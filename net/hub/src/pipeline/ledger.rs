//! The ledger thread: the embedded settlement node, and the hub's part in opening and closing channels.
//!
//! The node is durable by itself; what it answers is final already. Final blocks go to the sequencer.

mod open;

use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender};
use tidegate_batch::BlockInput;
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{Block, Condition, Transaction, Witness};
use tidegate_reactor::{ConnId, Sender as ReactorSender};
use tidegate_settle::{Node, TickError, answer, submitted};
use tidegate_types::{ChannelId, KeyBytes, OutPoint, Txid};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{Body, CloseDone, LedgerQuery, ToHub};

use super::front::error_message;
use super::options::ChannelPolicy;
use super::sequencer::now;
use super::work::{Group, Origin, Work};
use open::{Proposal, Reserved};

/// What the reactor hands the ledger thread.
#[derive(Debug)]
pub(crate) enum LedgerWork {
    Propose(Origin, KeyBytes, Box<Proposal>),
    Close(Origin, ChannelId, Vec<u8>),
    Query(Origin, LedgerQuery),
    Submit(Origin, Vec<u8>),
    Stop,
}

impl LedgerWork {
    /// The ledger's part of a message.
    pub(crate) fn of(origin: Origin, identity: KeyBytes, message: &ToHub<'_>) -> Result<Self, ErrorCode> {
        match message {
            ToHub::OpenPropose(propose) => Ok(Self::Propose(origin, identity, Box::new(Proposal::of(propose)?))),
            ToHub::CloseFinal(close) => Ok(Self::Close(origin, close.channel, close.transaction.to_vec())),
            // Of blocks there is a server of their own: a hub's ledger thread serves payments.
            ToHub::LedgerQuery(LedgerQuery::Blocks { .. }) => Err(ErrorCode::Unsupported),
            ToHub::LedgerQuery(query) => Ok(Self::Query(origin, *query)),
            ToHub::SubmitTx(submit) => Ok(Self::Submit(origin, submit.transaction.to_vec())),
            ToHub::Hello(_)
            | ToHub::Pay(_)
            | ToHub::Ack(_)
            | ToHub::AckProof(_)
            | ToHub::Sync(_)
            | ToHub::Refresh(_)
            | ToHub::CloseRequest(_)
            | ToHub::Ping(_) => Err(ErrorCode::Unsupported),
        }
    }
}

pub(crate) struct LedgerThread {
    pub(crate) node: Node,
    pub(crate) hub: SecretKey,
    pub(crate) policy: ChannelPolicy,
    pub(crate) work: Receiver<LedgerWork>,
    pub(crate) groups: Sender<Group>,
    pub(crate) reactor: ReactorSender,
    pub(crate) reserved: Reserved,
}

/// How long the ledger waits for room before it tries again.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(200);

/// Why a request was not served, in a code and in words.
type Refusal = (ErrorCode, String);

impl LedgerThread {
    /// Serves until it is told to stop.
    ///
    /// # Errors
    /// [`TickError`] if the ledger's log fails; the hub must end then.
    pub(crate) fn run(mut self) -> Result<(), TickError> {
        loop {
            let wait = self
                .node
                .next_block_at()
                .get()
                .saturating_sub(now().get())
                .clamp(1, 1_000);
            match self.work.recv_timeout(Duration::from_millis(wait)) {
                Ok(LedgerWork::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(work) => self.serve(work),
                Err(RecvTimeoutError::Timeout) => {}
            }
            let sealed = match self.node.tick(now()) {
                // Nothing has changed; the next tick tries again.
                Err(TickError::NoSpace(error)) => {
                    tracing::warn!(%error, "no room for a block");
                    std::thread::sleep(NO_ROOM_PAUSE);
                    None
                }
                other => other?,
            };
            if let Some(sealed) = sealed {
                let input = block_input(&sealed.block, self.hub.public().bytes(), &self.policy);
                if self.groups.send(vec![Work::Block(input)]).is_err() {
                    return Ok(());
                }
            }
        }
    }

    fn serve(&mut self, work: LedgerWork) {
        let (origin, result) = match work {
            LedgerWork::Propose(origin, identity, proposal) => (origin, self.propose(origin, identity, *proposal)),
            LedgerWork::Close(origin, channel, bytes) => (origin, self.close(origin, channel, &bytes)),
            LedgerWork::Query(origin, query) => (origin, Ok(answer(&self.node, &query, origin.request))),
            LedgerWork::Submit(origin, bytes) => (origin, Ok(submitted(&mut self.node, &bytes, origin.request))),
            LedgerWork::Stop => return,
        };
        let bytes = result.unwrap_or_else(|(code, text)| error_message(origin, code, &text));
        self.send(origin.conn, bytes);
    }

    fn send(&self, conn: ConnId, bytes: Vec<u8>) {
        // A reactor that has ended sends nothing more; the clients will ask again.
        let _ended = self.reactor.send(conn, bytes);
    }

    fn submit(&mut self, bytes: &[u8]) -> Result<Txid, Refusal> {
        let refused = |text: String| (ErrorCode::TransactionRefused, text);
        let transaction = Transaction::decode(bytes).map_err(|error| refused(error.to_string()))?;
        self.node
            .submit(transaction)
            .map_err(|error| refused(error.to_string()))
    }

    fn close(&mut self, origin: Origin, channel: ChannelId, bytes: &[u8]) -> Result<Vec<u8>, Refusal> {
        let txid = self.submit(bytes)?;
        Ok(message(&CloseDone { channel, txid }, origin))
    }
}

fn message<'a>(body: &impl Body<'a>, origin: Origin) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.append(origin.request, &mut bytes)
        .expect("lists are within their caps");
    bytes
}

/// What a block means to the hub's channels: the funding outputs it creates for them, and those it spends.
///
/// Anybody can fund an output that names this hub. One whose terms the hub would not have agreed to, by which its share
/// would go to another key, say, is not a channel of this hub.
pub(crate) fn block_input(block: &Block, hub: KeyBytes, policy: &ChannelPolicy) -> BlockInput {
    let mut opened = Vec::new();
    let mut closed = Vec::new();
    for transaction in &block.transactions {
        let txid = transaction.txid();
        for (output, vout) in transaction.body.outputs.iter().zip(0..) {
            if let Condition::Channel(terms) = &output.condition
                && open::breach(terms, hub, policy).is_none()
            {
                opened.push((*terms, OutPoint { txid, vout }));
            }
        }
        for witness in &transaction.witnesses {
            if let Witness::ChannelClose(close) = witness {
                closed.push(close.terms.channel);
            }
        }
    }
    BlockInput {
        height: block.header.height,
        hash: block.hash(),
        opened,
        closed,
    }
}
