//! The pipeline: from a connection's bytes to a durable, signed answer.
//!
//! ```text
//! thread      work                                              hands on
//! reactor     read, decrypt, frame, decode          ──bounded──▶ sequencer      (full: reading pauses)
//! sequencer   screen, verify (rayon), execute       ──bounded──▶ log            (full: the batch grows meanwhile)
//! log         append, one sync, sign, write receipts ─────────▶ reactor        encrypt, write
//! commitment  the state tree, from what durable batches changed
//! ledger      blocks, funding, closes                ─────────▶ sequencer, reactor
//! follow, bring   the link to a ledger of its own    ─────────▶ ledger
//! route       one for each next hub, its client: see `forward` ──▶ sequencer, ledger
//! checkpoint  writes the state as it was at one batch ────────▶ sequencer
//! admin       status and metrics over HTTP on loopback
//! ```
//!
//! A batch is whatever arrived while the previous one was becoming durable: a lone payment on an idle hub is sealed at
//! once, and under load batches grow until the log keeps up (group commit across connections).
//!
//! Any failed write or sync of the log ends the process: nothing is answered after it, and nothing is retried (R3).

pub mod checkpoints;
mod credits;
mod flow;
mod front;
mod known;
mod ledger;
pub(crate) mod links;
mod log;
mod options;
mod probes;
pub(crate) mod queue;
mod receipts;
mod sequencer;
mod serve;
mod stats;
mod unread;
mod work;

pub(crate) use ledger::LedgerWork;
pub use ledger::{LedgerFailure, block_input};
pub use links::{LinkRow, LinkSettings};
pub use options::{ChannelPolicy, ServeOptions, Settings};
pub use sequencer::SequencerError;
pub use serve::{Opening, ServeError, Serving, StopHandle, serve};
pub use stats::Status;
pub(crate) use stats::{Forwards, Histogrammed, Stats, add, get, quantiles};
pub(crate) use work::{ForwardWork, Group, Waiting, Work};
