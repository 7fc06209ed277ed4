//! One payment channel: what each side signs, how it is laid out, and how the other side checks it.
//!
//! ```text
//! client ── C(c) = ClientState + signature ──▶ hub        all that the client owes; totals never fall
//! client ◀── H(h) = leaf of a signed batch ── hub         all that the hub owes; `leaf`, `header`, `receipt`
//! client ── Ack(h, digest) + signature ──────▶ hub        "I hold leaf h and every leaf before it"
//! `evidence`: what either of them, or a third, shows of these on the ledger
//! ```
//!
//! Everything here is a pure function of its arguments. `tidegate_batch` decides payments over many channels,
//! `tidegate_ledger` judges a channel's evidence, `tidegate_client` keeps a wallet; all three use these layouts and
//! checks, so there is one definition of each signed byte.
//!
//! Nothing here does I/O, reads a clock, or draws randomness.

mod ack;
mod balance;
pub mod codec;
mod delegation;
mod entry;
pub mod evidence;
mod header;
mod in_lock;
mod leaf;
mod lock;
pub mod many;
mod operation;
mod outcome;
mod release;
mod state;
mod terms;
pub mod wallet;

pub use ack::{Ack, LeafRef, StateRef};
pub use balance::{BalanceError, HalfSums, client_balance, client_balance_from, hub_balance, hub_balance_from};
pub use delegation::Delegation;
pub use entry::{ChannelEntry, EntryProof, EntryProofError};
pub use header::{BatchHeader, HeaderError, SignedHeader};
pub use in_lock::{InChange, InChangeKind, InLock};
pub use leaf::{Credit, LeafKind, LeafPrivate, LeafPublic, credit_salt, credited_root, leaf_digest, opening_leaf};
pub use lock::{Condition, Lock};
pub use operation::{
    MAX_ADDS, MAX_ENCODED, MAX_OPERATIONS, Operation, OperationsError, decode_operations, encode_operations,
    operations_digest,
};
pub use outcome::{FailReason, OpKind, OpOutcome, Outcome, RefuseReason, failed_root, outcomes_root};
pub use release::Release;
pub use state::{ClientState, opening_state};
pub use terms::{ChannelTerms, FinalTerms, TermsError};
