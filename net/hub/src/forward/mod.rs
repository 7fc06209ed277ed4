//! Payments over several hubs (rule 15): what waits here for a payee elsewhere is brought to the next hub, whose client this
//! hub is, and what became of it there is brought back.
//!
//! ```text
//! sequencer ──wake──▶ worker, one for each route ──Pay──▶ next hub
//!     ▲   ◀──ask────      │  ▲                      ◀──Receipt──
//!     └────── end ────────┘  └ DIR/routes/<next hub>/<own key>/*.journal
//! ```
//!
//! The order that keeps every lock, whatever is killed when:
//!
//! 1. The state that adds the outgoing lock is signed only after the batch that holds the incoming one is durable: the
//!    worker asks the sequencer, which answers from durable batches.
//! 2. The outgoing lock's payment id follows from the incoming lock's id. A journal that holds it, or a next hub that remembers
//!    it, says that it was sent: nothing is forwarded twice.
//! 3. A preimage goes to the engine first. Only once the batch that took it is durable is the outgoing lock settled.
//! 4. A lock that failed at the next hub, or expired, is dropped there first. Only once the next hub has acknowledged the state
//!    without it does the incoming lock fail: from then on nobody can claim it there.
//!
//! So after a restart the two sides tell the rest: what waits in the engine and stands in the journal is under way, what waits
//! and does not stand there was never sent or is gone, and what stands there and waits no more was met.

mod decide;
mod evidence;
mod kept;
mod next;
mod route;
mod worker;

use tidegate_types::{LockId, PaymentId};

pub(crate) use evidence::{Disputed, Journals};
pub(crate) use kept::{JournalCopy, Kept, copies, folder};
pub use kept::{KeptError, OrphanRoute};
pub use route::Route;
pub(crate) use worker::{Hands, Worker};

/// The payment id of the outgoing lock for an incoming one. Any hash would do: it has to be the same after a restart.
pub(crate) fn payment_id(incoming: &LockId) -> PaymentId {
    let hash = tidegate_crypto::hash::payment_hash(incoming.as_bytes());
    PaymentId::from_bytes(*hash.first_chunk().expect("a hash has 32 bytes"))
}

#[cfg(test)]
mod tests;
