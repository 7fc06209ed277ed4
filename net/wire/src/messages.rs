//! Every message, by what it is about. `net/README.md` has the layouts as tables and the order in which messages come.

mod ack;
mod attach;
mod blocks;
mod close;
mod control;
mod hash_lock;
mod hello;
mod ledger;
mod open;
mod pay;
mod peers;
mod receipt;
mod splice;
mod sync;
mod tower;

pub use ack::{Ack, AckProof, AckProofQuery, Link, Proof};
pub use attach::{Attach, Attached};
pub use blocks::{BlockBytes, BlockPage};
pub use close::{CloseDone, CloseFinal, CloseRequest};
pub use control::{Busy, Error, Ping};
pub use hash_lock::{Fulfill, Release};
pub use hello::{Hello, HelloAnswer, PROTOCOL_VERSION};
pub use ledger::{
    LedgerAnswer, LedgerChannel, LedgerQuery, LedgerResult, LockOutput, OutputKind, OutputStatus, SubmitTx, TxStatus,
    Utxo,
};
pub use open::{OpenAccept, OpenPropose};
pub use pay::{Pay, PayAnswer, StoredAnswer};
pub use peers::{LINK_VERSION, PeerEntry, Peers};
pub use receipt::{Answer, EntryShape, Receipt, ReceiptEntry, ReceiptWriter};
pub use splice::{SpliceDone, SpliceFinal, SpliceRequest};
pub use sync::{ChannelStatus, FreshReceipt, HeldLock, HeldState, Refresh, Sync, SyncAnswer, SyncLeaf};
pub use tower::{DisputeNotice, TowerKept, TowerPackage, TowerReveal};

use crate::frame::{BodyTooLong, Header, VERSION, write_message};
use crate::{Kind, Reader, WireError};

/// One message's body: its view and its writer.
pub trait Body<'a>: Sized {
    /// The code in the header.
    const KIND: Kind;

    /// Reads the body from the front of `r`.
    ///
    /// # Errors
    /// [`WireError`] if the bytes are not what [`Body::put`] writes for any value.
    fn read(r: &mut Reader<'a>) -> Result<Self, WireError>;

    /// Appends the body.
    ///
    /// # Panics
    /// If a list is longer than its cap in [`crate::lengths`].
    fn put(&self, out: &mut Vec<u8>);

    /// Reads a body that fills `bytes` exactly.
    ///
    /// # Errors
    /// As [`Body::read`], and [`tidegate_types::DecodeError::TrailingBytes`].
    fn decode(bytes: &'a [u8]) -> Result<Self, WireError> {
        let mut r = Reader::new(bytes);
        let body = Self::read(&mut r)?;
        r.finish()?;
        Ok(body)
    }

    /// Appends the whole message, header and body.
    ///
    /// # Errors
    /// [`BodyTooLong`]; `out` is then as it was before.
    ///
    /// # Panics
    /// As [`Body::put`].
    fn append(&self, request: u64, out: &mut Vec<u8>) -> Result<(), BodyTooLong> {
        write_message(out, Self::KIND.code(), request, |out| self.put(out))
    }
}

macro_rules! direction {
    ($(#[$doc:meta])* $name:ident { $($(#[$vdoc:meta])* $variant:ident($body:ty)),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum $name<'a> { $($(#[$vdoc])* $variant($body)),* }

        impl<'a> $name<'a> {
            /// Reads the body behind `header`.
            ///
            /// # Errors
            /// [`WireError`]; the stream can be read on.
            pub fn decode(header: &Header, body: &'a [u8]) -> Result<Self, WireError> {
                let kind = Kind::from_code(header.kind).ok_or(WireError::UnknownKind(header.kind))?;
                if header.version != VERSION {
                    return Err(WireError::Version { kind, version: header.version });
                }
                $(if kind == <$body>::KIND {
                    return <$body>::decode(body).map(Self::$variant);
                })*
                Err(WireError::Unsupported(kind))
            }

            /// Which message it is.
            #[must_use]
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => <$body>::KIND),* }
            }

            /// Appends the whole message, header and body.
            ///
            /// # Errors
            /// As [`Body::append`].
            ///
            /// # Panics
            /// As [`Body::put`].
            pub fn append(&self, request: u64, out: &mut Vec<u8>) -> Result<(), BodyTooLong> {
                match self { $(Self::$variant(body) => body.append(request, out)),* }
            }
        }
    };
}

direction! {
    /// A message from a client to a hub, or to a ledger's endpoint.
    ToHub {
        /// The session's first message.
        Hello(Hello),
        /// Channels of another key are lent to this session.
        Attach(Attach<'a>),
        /// A channel is proposed.
        OpenPropose(OpenPropose<'a>),
        /// One client state.
        Pay(Pay<'a>),
        /// A leaf has been checked.
        Ack(Ack<'a>),
        /// Asks for a payee's ack.
        AckProof(AckProofQuery),
        /// Asks for what was missed.
        Sync(Sync),
        /// Asks for a new leaf.
        Refresh(Refresh),
        /// Asks for the final leaf.
        CloseRequest(CloseRequest),
        /// The completed closing transaction.
        CloseFinal(CloseFinal<'a>),
        /// Asks for the final leaf that names a successor.
        SpliceRequest(SpliceRequest<'a>),
        /// The completed splice.
        SpliceFinal(SpliceFinal<'a>),
        /// Asks about the ledger.
        LedgerQuery(LedgerQuery),
        /// A transaction.
        SubmitTx(SubmitTx<'a>),
        /// A payee's preimage.
        Fulfill(Fulfill),
        /// A payee gives up a lock.
        Release(Release),
        /// Evidence for a watchtower.
        TowerPackage(TowerPackage<'a>),
        /// A ping, or the answer to one.
        Ping(Ping),
    }
}

direction! {
    /// A message from a hub, or a ledger's endpoint, to a client.
    ToClient {
        /// The answer to the first message.
        Hello(HelloAnswer),
        /// The session carries what was lent to it.
        Attach(Attached),
        /// The funding transaction with the hub's part.
        OpenAccept(OpenAccept<'a>),
        /// A state was refused.
        PayAnswer(PayAnswer),
        /// Leaves of one batch.
        Receipt(Receipt<'a>),
        /// A payee's ack, or that there is none yet.
        AckProof(AckProof<'a>),
        /// The preimage of a payer's lock.
        Fulfill(Fulfill),
        /// What was missed.
        SyncAnswer(SyncAnswer<'a>),
        /// The closing transaction was taken.
        CloseFinal(CloseDone),
        /// The splice was taken.
        SpliceFinal(SpliceDone),
        /// What the ledger holds.
        LedgerAnswer(LedgerAnswer<'a>),
        /// What the watchtower keeps.
        TowerPackage(TowerKept),
        /// A close has begun.
        DisputeNotice(DisputeNotice),
        /// A ping, or the answer to one.
        Ping(Ping),
        /// Not now.
        Busy(Busy),
        /// Not at all.
        Error(Error<'a>),
    }
}

direction! {
    /// A message on a link between hubs, either way.
    ToPeer {
        /// Of themselves, and of other hubs.
        Peers(Peers<'a>),
        /// A ping, or the answer to one.
        Ping(Ping),
        /// Not now.
        Busy(Busy),
        /// Not at all.
        Error(Error<'a>),
    }
}
