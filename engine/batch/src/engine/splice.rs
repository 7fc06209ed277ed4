//! The move of a channel into a successor: its final leaf names the transaction (rule 22).
//!
//! ```text
//! ACTIVE ── Splice ──▶ CLOSING ── a final block holds the transaction ──▶ SETTLED, and its successor is ACTIVE
//!                         └────── the client does not complete it ──────▶ DISPUTED, as by a close that is not completed
//! ```
//!
//! The successor is a new channel: it begins at leaf 0 and state 0, with shares that are this one's balances.

use tidegate_channel::{FinalTerms, RefuseReason};
use tidegate_types::{OutPoint, Txid};

use super::Engine;
use crate::input::SpliceInput;
use crate::record::NamedRecord;
use crate::slots::{Link, Slots};

/// The successor's output in its transaction.
const SUCCESSOR_VOUT: u32 = 0;

impl<S: Slots> Engine<S> {
    /// Freezes a channel without open locks and waiting credits, with its successor's name in its last leaf.
    #[cold]
    pub(super) fn splice(&mut self, input: u32, splice: &SpliceInput) -> Result<(), RefuseReason> {
        let (slot, client, hub) = self.at_rest(&splice.channel)?;
        splice.check(client, hub)?;
        // The final leaf can be told again only if it answers nothing.
        if !self.touched(slot).outcomes.is_empty() {
            return Err(RefuseReason::Busy);
        }
        let link = self.name_successor(&splice.transaction);
        self.signed_mut(slot).successor = link;
        let terms = FinalTerms {
            channel: splice.channel,
            client_payout: client,
            hub_payout: hub,
            fee: splice.fee,
            successor: self.successor_of(slot),
        };
        self.end(input, slot, terms);
        Ok(())
    }

    /// A channel's successor, once its final leaf names one; zero for none.
    pub(crate) fn successor_of(&self, slot: u32) -> OutPoint {
        let link = self.live(slot).map_or(0, |_| self.signed(slot).successor);
        let txid = match link {
            0 => Txid::ZERO,
            link => Txid::from_bytes(self.store.named.at(link).hash),
        };
        OutPoint {
            txid,
            vout: SUCCESSOR_VOUT,
        }
    }

    /// The name of a transaction lies where the names of what locks are about do: both are few.
    fn name_successor(&mut self, transaction: &Txid) -> Link {
        let record = NamedRecord {
            hash: *transaction.as_bytes(),
            ..bytemuck::Zeroable::zeroed()
        };
        let mut allocation = self.store.meta().named;
        let link = self.store.named.take(&mut allocation, record);
        self.store.meta_mut().named = allocation;
        link
    }

    /// The ledger has ended the channel: nobody asks for its final terms any more.
    pub(super) fn forget_successor(&mut self, slot: u32) {
        let link = core::mem::take(&mut self.signed_mut(slot).successor);
        if link != 0 {
            let mut allocation = self.store.meta().named;
            self.store.named.give(&mut allocation, link);
            self.store.meta_mut().named = allocation;
        }
    }
}
