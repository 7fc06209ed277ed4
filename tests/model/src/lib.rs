//! The rules of `protocol.md` as models that are explored to their ends.
//!
//! ```text
//! hub       an honest hub between two clients who collude       two channels, time, the ledger's judgement
//! client    an honest client or its tower against all others    one channel, time, the ledger's judgement
//! session   an honest pair over a bad network                   lost and repeated messages, refusals, a crash
//! signer    an honest hub's disk                                crashes, a copy that is restored
//! faults    a hub that equivocates                              what two parties hold proves it
//! stake     what stands behind the hub                          unbonding, reports, rewards
//! space     blocks and slots                                    congestion, flooding, a ledger that is a party
//! settle    who can start a close, and whether it ends          balances, dust, bonds, locks not shown
//! ```
//!
//! `README.md` beside this says why these stand for one product of all parties, and at which bounds. [`was::Was`] lists the
//! faults of earlier drafts; each weakens one rule, and each must be refuted.

pub mod client;
pub mod faults;
pub mod hub;
pub mod judge;
pub mod run;
pub mod session;
pub mod settle;
pub mod short;
pub mod signer;
pub mod space;
pub mod stake;
pub mod suite;
pub mod was;
