//! Why something that a person asked for was not done.

use std::time::Duration;

use tidegate_channel::RefuseReason;
use tidegate_crypto::keys::KeyError;
use tidegate_types::{Amount, ChannelId, ClientCounter, DecodeError, Txid};
use tidegate_wire::Kind;

use crate::connection::ConnectionError;
use crate::error::{AdoptError, StepError};
use crate::key_file::KeyFileError;
use crate::store::StoreError;

/// Why it was not done.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The connection failed, or the hub said no.
    #[error(transparent)]
    Connection(#[from] ConnectionError),
    /// The wallet does not allow it.
    #[error(transparent)]
    Step(#[from] StepError),
    /// No random bytes.
    #[error(transparent)]
    KeyFile(#[from] KeyFileError),
    /// The hub's signing key is none that counts.
    #[error("the hub's signing key is not valid: {0}")]
    HubKey(KeyError),
    /// The hub did not accept a state. It stays signed and is sent again at the next sync.
    #[error("the hub refused state {}: {reason}", counter.get())]
    Refused {
        /// The state.
        counter: ClientCounter,
        /// Why.
        reason: RefuseReason,
    },
    /// A refusal with a reason that this version does not know.
    #[error("the hub refused a state for a reason that this version does not know: {0}")]
    RefusedOther(DecodeError),
    /// The hub holds a newer state than this wallet: another copy of the wallet has signed it, or this one has lost data.
    #[error("the hub holds state {} of channel {channel}, this wallet only {}", held.get(), own.get())]
    Behind {
        /// The channel.
        channel: ChannelId,
        /// The newest state of this wallet.
        own: ClientCounter,
        /// The newest state that the hub holds.
        held: ClientCounter,
    },
    /// Too little money at the client's key.
    #[error("{needed} are needed, and the key has {found} on the ledger")]
    NoFunds {
        /// Share, fee and dust.
        needed: Amount,
        /// The sum of its outputs.
        found: Amount,
    },
    /// The hub's funding transaction is not what was proposed.
    #[error("the hub's funding transaction is not what was proposed: {0}")]
    Open(#[from] OpenFault),
    /// The hub answered with something else than was asked for.
    #[error("the hub answered with {0}, which does not answer the question")]
    Unexpected(Kind),
    /// A ledger's answer to another question.
    #[error("the ledger answered another question")]
    OtherAnswer,
    /// The transaction is not final in time; it may become so yet.
    #[error("transaction {txid} is not final after {} ms", waited.as_millis())]
    NotFinal {
        /// Which.
        txid: Txid,
        /// How long was waited.
        waited: Duration,
    },
    /// A payment's amount, fee or expiry is out of range.
    #[error("{0} is out of range")]
    Range(&'static str),
}

/// What is wrong with a funding transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OpenFault {
    /// It does not decode.
    #[error("it does not decode: {0}")]
    Decode(DecodeError),
    /// It has not exactly one output with the proposed terms.
    #[error("it has not exactly one output with the proposed terms")]
    Terms,
    /// The channel's name is not that of the output.
    #[error("the channel's name is not that of the output")]
    Name,
    /// It spends other outputs of the client than were offered, or not all of them.
    #[error("it does not spend exactly the inputs that were offered")]
    Inputs,
    /// The change is missing, or goes elsewhere.
    #[error("the change is missing")]
    Change,
}

impl From<StoreError> for ClientError {
    fn from(error: StoreError) -> Self {
        Self::Step(error.into())
    }
}

impl From<AdoptError> for ClientError {
    fn from(error: AdoptError) -> Self {
        Self::Step(error.into())
    }
}
