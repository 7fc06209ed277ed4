//! Why a step of a channel was not made.

use tidegate_channel::wallet::{InLockError, ProposeError, RestoreError};
use tidegate_channel::{BalanceError, MAX_ADDS, OperationsError, TermsError};
use tidegate_types::{Amount, ChannelId, ClientCounter, DecodeError, LockId};
use tidegate_wire::WireError;

use crate::channel::SpliceError;
use crate::proof::ProofError;
use crate::receipt::ReceiptError;
use crate::store::StoreError;

/// Why a step was not made. The channel is as it was before.
#[derive(Debug, thiserror::Error)]
pub enum StepError {
    /// The rules do not allow the state.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// More locks than one state can add.
    #[error("a state adds at most {MAX_ADDS} locks")]
    TooManyLocks,
    /// The leaf or its receipt is not believed.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// A leaf acknowledges a state that this client has not signed: another copy of the wallet has, or the hub is at fault.
    #[error("a leaf acknowledges state {}, which this wallet has not signed", .0.get())]
    ForeignState(ClientCounter),
    /// Leaves came without the receipt that proves them.
    #[error("the hub sent leaves without a receipt for the newest")]
    Unproved,
    /// What the hub holds is signed by another key.
    #[error("state {} that the hub holds is not signed by this client", .0.get())]
    NotOurs(ClientCounter),
    /// What the hub holds of the channel contradicts itself.
    #[error("the channel cannot be taken up from what the hub holds: {0}")]
    Restore(#[from] RestoreError),
    /// The answer is about another channel.
    #[error("the answer is about another channel")]
    OtherChannel,
    /// The proof of the payee's ack is none.
    #[error(transparent)]
    Proof(#[from] ProofError),
    /// No such lock is open.
    #[error("no lock {0} is open")]
    NoLock(LockId),
    /// A lock that waits for a preimage cannot be ended so.
    #[error(transparent)]
    InLock(#[from] InLockError),
    /// A preimage that came for a lock does not meet its hash.
    #[error("the hub showed a preimage of lock {0} that does not meet its hash")]
    WrongPreimage(LockId),
    /// The channel cannot be closed together with the hub now.
    #[error(transparent)]
    Close(#[from] CloseError),
    /// The channel cannot move into a successor now.
    #[error(transparent)]
    Splice(#[from] SpliceError),
    /// A channel's terms, keys or name do not fit this wallet.
    #[error(transparent)]
    Adopt(#[from] AdoptError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A message or record holds bytes that are none.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A record does not follow from the ones before it.
    #[error("the journal of channel {channel} contradicts itself at record {index}: {what}")]
    Replay {
        /// The channel.
        channel: ChannelId,
        /// Which record, from 0.
        index: usize,
        /// What is wrong.
        what: Box<ReplayError>,
    },
}

/// Why a record does not follow from the ones before it.
#[derive(Debug, thiserror::Error)]
pub enum ReplayError {
    /// A body in it does not decode.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// A state's operations do not decode.
    #[error(transparent)]
    Operations(#[from] OperationsError),
    /// The rules do not allow the state.
    #[error(transparent)]
    Propose(#[from] ProposeError),
    /// The rules do not allow the leaf.
    #[error(transparent)]
    Receipt(#[from] ReceiptError),
    /// An in-lock was given up that is not open.
    #[error(transparent)]
    InLock(#[from] InLockError),
    /// A state or ack is another than the wallet arrives at, or a second opening.
    #[error("it is not what the records before it lead to")]
    Other,
}

impl From<DecodeError> for ReplayError {
    fn from(error: DecodeError) -> Self {
        Self::Wire(error.into())
    }
}

/// Why a channel cannot be closed together with the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// Payments are under way.
    #[error("{0} are set aside for payments that are not settled; settle or drop them first")]
    LocksOpen(Amount),
    /// The final leaf has not come.
    #[error("the hub has not sent the final leaf")]
    NotFinal,
    /// The client's or the hub's payout is not its balance.
    #[error("the final leaf pays {client} to the client and {hub} to the hub; {owed_client} and {owed_hub} are owed")]
    WrongPayout {
        /// The client's payout in the final terms.
        client: Amount,
        /// The hub's payout in the final terms.
        hub: Amount,
        /// The client's balance less the fee.
        owed_client: Amount,
        /// The hub's balance.
        owed_hub: Amount,
    },
    /// The terms name a successor, or another channel.
    #[error("the final terms are not those of a close")]
    NotAClose,
    /// The fee is not the one that was asked for.
    #[error("the fee in the final terms is {found}, and {asked} was asked for")]
    OtherFee {
        /// In the terms.
        found: Amount,
        /// In the request.
        asked: Amount,
    },
    /// A balance cannot be formed, or does not cover the fee.
    #[error(transparent)]
    Balance(#[from] BalanceError),
}

/// Why a channel is not one of this wallet's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AdoptError {
    /// The client's key in the terms is another.
    #[error("the channel belongs to another client key")]
    OtherClient,
    /// The hub's key in the terms is another.
    #[error("the channel belongs to another hub")]
    OtherHub,
    /// The name does not follow from funding output and terms.
    #[error("the channel's name is not that of its terms and funding output")]
    OtherName,
    /// The terms contradict themselves.
    #[error(transparent)]
    Terms(#[from] TermsError),
}
