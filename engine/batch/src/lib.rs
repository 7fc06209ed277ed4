//! Many channels: what a batch of inputs does to them.
//!
//! ```text
//! inputs in order ─▶ Engine::execute ─▶ Executed { header, leaves with their paths, refusals }
//!                        │
//!                        ▼
//!             Store over `Slots`: fixed-size records that the caller keeps and checkpoints
//! ```
//!
//! The outcome of a batch is a pure function of (state before, inputs in order, time): the serial specification. Per
//! payment the payer's balance is judged at the leaf that its state acknowledges, and the payee's room is what the hub
//! held at the start of the batch less what this batch took of it (rules 6, 16, 17, 20).
//!
//! The engine changes its state as it executes. The caller makes the batch durable before anyone sees a result of it
//! (rule 16); if it cannot, the whole engine is dropped and rebuilt from the log, so an undurable batch leaves no trace.
//!
//! Nothing here does I/O, reads a clock, starts a thread, or checks a signature: inputs come in verified.

mod engine;
mod entries;
mod evidence;
mod executed;
mod forward;
mod input;
mod overdue;
mod policy;
mod query;
mod record;
mod slots;
mod store;
mod usage;
mod versions;

pub use engine::{Engine, EngineError, Opened, Screen};
pub use entries::{EntryPublisher, EntryReader, EntrySnapshot};
pub use evidence::{Shown, ShownLeaf, ShownRelease};
pub use executed::{Answer, Changes, Executed, LeafOut, Refusal};
pub use forward::{ForwardEnd, ForwardInput, Forwarded};
pub use input::{
    AckInput, BlockInput, CloseInput, FulfilInput, Input, InputError, PayInput, ReleaseInput, Reveal, RevealedAck,
    SpliceInput,
};
pub use overdue::{Ending, OwedAck, OwedPreimage, OwedSearch};
pub use policy::{MAX_UNFIRM_CREDITS, Policy, PolicyError};
pub use query::{ChannelView, InLockView, LockView, PaymentProof, ProofLink, StoredLeaf};
pub use slots::{Slots, SlotsFull, VecSlots};
pub use store::{Store, TABLES, TableSpec};
pub use usage::TableUsage;
pub use versions::{Reader, ReadersFull, Snapshot, Writer};
