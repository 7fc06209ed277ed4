//! The settlement node: the ledger's rules (`tidegate_ledger`) over a log and a table, as one struct without threads.
//!
//! ```text
//! submit ──▶ check ──▶ Mempool ──▶ tick: Solo seals a block ──▶ log append + fdatasync ──▶ told to the caller
//!                                   │                                                      │
//!                                   ▼                                                      ▼
//!                                 Chain over a hash table in memory                      queries
//! ```
//!
//! ```text
//! DIR/genesis           the genesis, as `tidegate_ledger::GenesisWriter` wrote it
//! DIR/node              magic 8 "TGNODE01" | log identity 8 | ledger id 32 | CRC-32C of these 4
//! DIR/log-*.seg         block n is record n: kind 1 (= 1) | the block's encoding
//! DIR/LOCK              one process at a time
//! ```
//!
//! The hub embeds a [`Node`] for `start --dev` and `benchmark`, and so will a process of its own with an endpoint. Time
//! and secrets are arguments. A failed write or sync poisons the node: it answers nothing more, since what it holds in
//! memory may not be durable.
//!
//! Nothing here opens a socket, starts a thread, reads a clock, or decides a rule of the ledger.

mod create;
mod error;
mod files;
mod index;
mod node;
mod query;
mod replay;
mod store;

pub use create::NewNode;
pub use error::{AuditError, CreateError, OpenError, QueryError, SubmitError, TickError};
pub use files::Blocks;
pub use node::{Node, NodeOptions};
pub use query::{Audit, TransactionStatus};
pub use replay::NodeReplay;
pub use store::TableStore;
pub use tidegate_wal::Tail;
