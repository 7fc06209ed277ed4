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
//! DIR/node              magic 8 "TGNODE02" | log identity 8 | ledger id 32 | finality depth 4 | 0 × 4 | CRC-32C of these 4
//! DIR/log-*.seg         records: 1 | the next block's encoding, or 2 | how many of the newest blocks were undone u32
//! DIR/image-*           the state at a block, two of them: where replay begins, see `image`
//! DIR/blocks-*          final blocks that the log has given up, see `archive`
//! DIR/LOCK              one process at a time
//! ```
//!
//! The hub embeds a [`Node`] for `start --dev` and `benchmark`; [`endpoint`] serves one over the wire, as a process of its
//! own. A node without the validator's key follows another: it checks every block, holds the same state, and switches
//! to a higher branch ([`Node::follow`]). Time and secrets are arguments. A failed write or sync poisons the node: it answers
//! nothing more, since what it holds in memory may not be durable.
//!
//! Nothing here but [`endpoint`] opens a socket, starts a thread or reads a clock, and nothing decides a rule of the ledger.

mod answer;
mod archive;
mod bits;
mod create;
pub mod endpoint;
mod error;
mod files;
mod follow;
mod genesis;
mod image;
mod index;
mod keep;
mod node;
mod query;
mod recent;
mod replay;
mod store;

pub use answer::{Scans, accepted, answer, submit};
pub use create::NewNode;
pub use error::{AuditError, CreateError, FollowError, OpenError, QueryError, SubmitError, TickError};
pub use files::Blocks;
pub use follow::Followed;
pub use node::{Node, NodeOptions};
pub use query::{Audit, TransactionStatus};
pub use replay::NodeReplay;
pub use store::{TableStore, TieredStore};
pub use tidegate_wal::Tail;
