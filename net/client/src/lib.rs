//! The client's side of the protocol: keys, receipts, wallets, and a connection to a hub.
//!
//! ```text
//! key_file ─▶ Signer ─┐                          ┌─ HeaderCache   one verification for each batch of a process
//!                     ├─▶ Channels ─▶ ClientChannel ─▶ WalletStore    durable before it is sent
//! address ─▶ Connection ─▶ Client (open, pay, settle, close, sync)
//! ```
//!
//! [`channel`] and [`channels`] decide and remember, and do no I/O but their store's. [`connection`] is a blocking socket for
//! programs that do one thing at a time. Programs that carry very many channels use [`receipt::ReceiptChecker`] and
//! [`headers::HeaderCache`] over their own event loop.
//!
//! Nothing here trusts a hub: each leaf is checked against the one before, each header against the hub's key, each proof of
//! payment against the payee's.

pub mod address;
pub mod channel;
pub mod channels;
pub mod channels_file;
pub mod client;
pub mod close;
pub mod connection;
pub mod error;
pub mod headers;
pub mod key_file;
pub mod ledger;
pub mod lock_output;
pub mod proof;
pub mod receipt;
pub mod request;
pub mod store;
mod widths;

pub use address::{AddressError, HubAddress};
pub use channel::{AskedSplice, ClientChannel, SignedAck, SignedState, Signer, SpliceError};
pub use channels::{Channels, News};
pub use client::{Client, ClientError, HashLock, OpenPlan, PaidLock, Payment, SplicePlan, Spliced};
pub use connection::{ConnectOptions, Connection, ConnectionError, Incoming};
pub use error::{AdoptError, CloseError, StepError};
pub use headers::{HeaderCache, VerifiedHeader};
pub use key_file::{KeyFile, KeyFileError, Protection};
pub use ledger::{LedgerConnection, LedgerError, LightChain, Page};
pub use lock_output::{LockOutput, Standing};
pub use receipt::{Leaf, Proofs, ReceiptChecker, ReceiptError};
pub use request::{PaymentRequest, RequestCondition, RequestError};
pub use store::{FileStore, MemoryStore, Opened, StoreError, WalletStore};
