//! The hub: the one place where engine, storage and net meet.
//!
//! ```text
//! reactor ─▶ sequencer: screen, verify, execute ─▶ log: append, sync, sign ─▶ receipts ─▶ reactor
//!                ▲
//!             ledger: final blocks                      `pipeline`; the state it works on: `state`
//! ```
//!
//! "Durable before visible, visible before answered" is [`pipeline`]'s to keep: nothing that depends on a batch leaves
//! this process before the batch's log record is synced (rule 16).

pub mod admin;
mod audit;
pub mod backup;
pub mod check;
pub mod cli;
pub mod commitment;
pub mod config;
pub mod error;
mod files;
pub mod forward;
pub mod inside;
pub mod keys;
pub mod pipeline;
pub mod proof;
mod rows;
pub mod state;
mod threads;
pub mod watch;
