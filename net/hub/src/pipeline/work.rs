//! What the threads hand each other.

use std::sync::Arc;

use crossbeam::channel::Sender;
use hashbrown::HashSet;
use tidegate_batch::{
    AckInput, BlockInput, ChannelView, CloseInput, Executed, ForwardInput, Forwarded, FulfilInput, OwedAck,
    OwedPreimage, PayInput, PaymentProof, ReleaseInput, Shown, SpliceInput,
};
use tidegate_channel::ChannelEntry;
use tidegate_reactor::ConnId;
use tidegate_types::{ChannelId, Height, HubCounter, KeyBytes, LockId, SignatureBytes};
use tidegate_wire::messages::DisputeNotice;

use crate::commitment::{CommitWork, ProofAnswer, WorkSender};
use crate::inside::TableRows;

/// Where a request came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Origin {
    pub(crate) conn: ConnId,
    pub(crate) request: u64,
}

/// A request of a client about one channel.
#[derive(Debug)]
pub(crate) enum Request {
    Pay(PayInput),
    Ack(AckInput),
    Close(CloseInput),
    /// It comes by way of the ledger thread, which has looked at the transaction.
    Splice(SpliceInput),
    Fulfil(FulfilInput),
    Release(ReleaseInput),
    Refresh(ChannelId),
    Sync {
        channel: ChannelId,
        leaf: HubCounter,
    },
    Proof {
        channel: ChannelId,
        lock: LockId,
    },
}

impl Request {
    pub(crate) const fn channel(&self) -> ChannelId {
        match self {
            Self::Pay(pay) => pay.state.channel,
            Self::Ack(ack) => ack.ack.channel,
            Self::Close(close) => close.channel,
            Self::Splice(splice) => splice.channel,
            Self::Fulfil(fulfil) => fulfil.channel,
            Self::Release(message) => message.release.channel,
            Self::Refresh(channel) | Self::Sync { channel, .. } | Self::Proof { channel, .. } => *channel,
        }
    }

    /// True if a signature is to be checked for it.
    pub(crate) const fn is_signed(&self) -> bool {
        match self {
            Self::Pay(_) | Self::Ack(_) | Self::Release(_) => true,
            Self::Close(_)
            | Self::Splice(_)
            | Self::Fulfil(_)
            | Self::Refresh(_)
            | Self::Sync { .. }
            | Self::Proof { .. } => false,
        }
    }
}

/// Channels that a client lends to the session that asks.
#[derive(Debug)]
pub(crate) struct AttachRequest {
    pub(crate) client: KeyBytes,
    pub(crate) identity: KeyBytes,
    pub(crate) expiry: Height,
    pub(crate) channels: Vec<ChannelId>,
    pub(crate) signature: SignatureBytes,
}

/// One piece of work for the sequencer.
#[derive(Debug)]
pub(crate) enum Work {
    /// A session has said Hello.
    Hello {
        origin: Origin,
        identity: KeyBytes,
        share_paths: bool,
    },
    /// A session of `identity` asks to carry channels of another key.
    Attach {
        origin: Origin,
        identity: KeyBytes,
        request: Box<AttachRequest>,
    },
    /// A connection is gone.
    Gone(ConnId),
    /// A request.
    Request(Origin, Request),
    /// Everything before it, up to the mark before, belongs to this mark: see `credits`.
    Processed(u64),
    /// A block is final.
    Block(BlockInput),
    /// The terms of business have changed since the last start.
    Policy(tidegate_batch::Policy),
    /// Someone asks for a channel.
    View(ChannelId, Sender<Option<ChannelView>>),
    /// Someone asks for the proof of a channel's entry in the state tree.
    Prove(ChannelId, Sender<Option<ProofAnswer>>),
    /// The ledger thread asks what the hub can show of a channel in a dispute.
    Shown(ChannelId, Sender<Option<Shown>>),
    /// The ledger thread asks for the proofs of what the channel's client owes by acks.
    Proofs(ChannelId, Sender<Proofs>),
    /// The ledger thread asks what the hub has to do on the ledger.
    Duties(Ask, Sender<Duties>),
    /// The hub is about to start the close of a channel.
    Freeze(ChannelId),
    /// Of what waits for other hubs.
    Forward(ForwardWork),
    /// A close of a channel has begun on the ledger: whoever carries it is told.
    Dispute(DisputeNotice),
    /// Someone asks how full the tables are.
    Tables(Sender<TableRows>),
    /// Finish what is there, write a checkpoint, end.
    Stop,
}

/// What whoever forwards has to say, or to ask.
#[derive(Debug)]
pub(crate) enum ForwardWork {
    /// What became of a lock.
    End(ForwardInput),
    /// What waits.
    Ask(Sender<Waiting>),
}

/// What waits for other hubs.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// The newest final block that the state has taken.
    pub(crate) height: Height,
    pub(crate) locks: Vec<Forwarded>,
}

/// How far the question goes for what is to be done on the ledger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask {
    /// Locks that expire up to and with this height.
    pub(crate) expires_by: Height,
    /// Channels whose final leaf was made at this height or before; `None` for none.
    pub(crate) final_by: Option<Height>,
}

/// What the hub has to do on the ledger.
#[derive(Debug, Default)]
pub(crate) struct Duties {
    pub(crate) preimages: Vec<OwedPreimage>,
    pub(crate) acks: Vec<OwedAck>,
    /// Channels whose close the hub is to start, if nobody has.
    pub(crate) ends: Vec<ChannelId>,
}

/// Work that arrived together.
pub(crate) type Group = Vec<Work>;

/// One executed batch on its way to the log and out. Comes back to the sequencer when it is done, to be used again.
#[derive(Debug, Default)]
pub(crate) struct Job {
    /// The log record; empty if the batch changed nothing.
    pub(crate) record: Vec<u8>,
    /// What the batch came to, if it has a record.
    pub(crate) executed: Executed,
    /// Who is told of which leaf: connection and index.
    pub(crate) routes: Vec<(ConnId, u32)>,
    /// Sessions whose receipts may share the upper parts of their paths.
    pub(crate) sharing: Arc<HashSet<ConnId>>,
    /// Request ids of the inputs, by index; zero where nobody asked.
    pub(crate) requests: Vec<u64>,
    /// Whole messages that may leave once the batch is durable.
    pub(crate) replies: Vec<(ConnId, Vec<u8>)>,
    /// Answers that need a signed header.
    pub(crate) syncs: Vec<SyncReply>,
    /// What was read of the state for the admin endpoint, to be shown once the batch is durable.
    pub(crate) reads: Vec<Read>,
    /// How many payments the batch delivered.
    pub(crate) delivered: u64,
    /// How many inputs it had.
    pub(crate) inputs: usize,
}

impl Job {
    /// Empties the job, keeping its memory.
    pub(crate) fn clear(&mut self) {
        self.record.clear();
        self.routes.clear();
        self.requests.clear();
        self.replies.clear();
        self.syncs.clear();
        self.reads.clear();
        self.delivered = 0;
        self.inputs = 0;
    }
}

/// By what a channel's client owes: proofs of the locks that payees have acknowledged.
pub(crate) type Proofs = Vec<(LockId, PaymentProof)>;

/// A read of the state, and who asked.
#[derive(Debug)]
pub(crate) enum Read {
    View(Sender<Option<ChannelView>>, Box<Option<ChannelView>>),
    Shown(Sender<Option<Shown>>, Box<Option<Shown>>),
    Proofs(Sender<Proofs>, Proofs),
    Duties(Sender<Duties>, Box<Duties>),
    Waiting(Sender<Waiting>, Waiting),
    /// There is something new that waits for another hub.
    Wake(Sender<()>),
    /// The channel's number and entry, if there is one; the proof is made from the tree.
    Entry(Sender<Option<ProofAnswer>>, Option<(u32, Box<ChannelEntry>)>),
}

impl Read {
    /// Shows it, or has it proved. Whoever asked may have gone.
    pub(crate) fn show(self, commitment: &WorkSender) {
        let _gone = match self {
            Self::View(sender, view) => sender.send(*view).is_ok(),
            Self::Shown(sender, shown) => sender.send(*shown).is_ok(),
            Self::Proofs(sender, proofs) => sender.send(proofs).is_ok(),
            Self::Duties(sender, duties) => sender.send(*duties).is_ok(),
            Self::Waiting(sender, waiting) => sender.send(waiting).is_ok(),
            // One word is enough, however many batches it stands for.
            Self::Wake(sender) => sender.try_send(()).is_ok(),
            Self::Entry(sender, None) => sender.send(None).is_ok(),
            Self::Entry(sender, Some((slot, entry))) => commitment.send(CommitWork::Prove(slot, entry, sender)).is_ok(),
        };
    }
}

/// The answer to a `Sync`, but for the fresh receipt.
#[derive(Debug)]
pub(crate) struct SyncReply {
    pub(crate) origin: Origin,
    pub(crate) view: ChannelView,
    pub(crate) leaves: Vec<tidegate_batch::StoredLeaf>,
    pub(crate) answers: Vec<tidegate_wire::messages::StoredAnswer>,
    pub(crate) final_terms: Option<tidegate_channel::FinalTerms>,
    /// The fresh leaf's index in the batch.
    pub(crate) fresh: Option<u32>,
}
