//! Evidence: what a party, or anyone who holds its signed objects, shows to a third (sections 6 and 7 of the rules).
//!
//! ```text
//! Pair           (C, H) with each half named by the other party and its locks opened       rule 25
//! LockEvidence   a failing leaf or a release: refunds one open lock                        rule 25
//! AckProof       from a payee's ack to the leaf that credited a lock                       rules 12, 26
//! StartClose     what the starter of a close signs                                         rule 24
//! Fault          two signed objects that no honest hub signs both                          rule 27
//! Mandate        "this evidence may be charged to my side"                                 rule 27
//! ```
//!
//! All of it is a pure function of signed objects: the hub, a tower and a wallet check with the same code as the ledger. A
//! check comes in two parts, content and signatures, so that a node that reads its own records does only the first.

mod ack_proof;
mod fault;
mod lock_evidence;
mod pair;
mod parts;
mod proven;

pub use ack_proof::{AckProof, AckProofError, LeafLink};
pub use fault::{Fault, FaultError, FaultKind};
pub use lock_evidence::{EntryPath, LockEvidence, LockEvidenceError};
pub use pair::{ClientEvidence, HubEvidence, LeafNaming, OpenedIn, OpenedOut, Pair, PairError, PairFacts, StateNaming};
pub use parts::{Acknowledged, Mandate, MandateSubject, Opener, Side, SignedStart, SignedState, StartClose, StateNote};
pub use proven::{LeafNote, LeafProof, ProvenLeaf};
