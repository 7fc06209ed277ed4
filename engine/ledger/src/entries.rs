//! What the ledger holds, as judgements ask for it.

use tidegate_channel::evidence::Side;
use tidegate_types::{ChannelId, Height, KeyBytes, LockSlot, OutPoint};

use crate::chain::Lookup;
use crate::judge::{CloseView, slots_of};
use crate::record::{close_outpoint, lock_outpoint, stake_outpoint};
use crate::{CloseState, Condition, EndedRecord, OpenLock, Record, StakeTerms, Utxo, UtxoStore};

/// The entries and what is looked up over them.
pub(crate) struct Entries<'a, S> {
    pub(crate) store: &'a S,
    pub(crate) lookup: &'a Lookup,
}

impl<S: UtxoStore> Entries<'_, S> {
    /// The record at an outpoint.
    fn record(&self, outpoint: &OutPoint) -> Option<Record> {
        match self.store.get(outpoint)?.output.condition {
            Condition::Record(record) => Some(record),
            _ => None,
        }
    }

    /// How far the close of a channel is, whose output says that it has begun.
    ///
    /// # Panics
    /// If there is no such state: the ledger makes and takes both together.
    pub(crate) fn close_state(&self, channel: &ChannelId) -> CloseState {
        match self.record(&close_outpoint(channel)) {
            Some(Record::CloseState(state)) => state,
            _ => panic!("a closing channel has its state beside it"),
        }
    }

    /// The lock at a place of a close.
    pub(crate) fn open_lock(&self, channel: &ChannelId, side: Side, slot: LockSlot) -> Option<OpenLock> {
        match self.record(&lock_outpoint(channel, side, slot))? {
            Record::OpenLock(lock) => Some(lock),
            _ => None,
        }
    }

    /// All that the ledger holds of the close at `outpoint`.
    pub(crate) fn close_view(&self, outpoint: OutPoint) -> Option<CloseView> {
        let utxo = self.store.get(&outpoint).filter(Utxo::is_closing)?;
        let (channel, terms) = utxo.channel(&outpoint)?;
        let state = self.close_state(&channel);
        let locks_of = |side, slots| slots_of(slots).filter_map(move |slot| self.open_lock(&channel, side, slot));
        let locks = locks_of(Side::Client, state.client.slots).chain(locks_of(Side::Hub, state.hub.slots));
        Some(CloseView {
            outpoint,
            channel,
            terms: *terms,
            amount: utxo.output.amount,
            born: utxo.height,
            locks: locks.collect(),
            acked: self.lookup.acked(
                &channel,
                state.hub.counter,
                // What comes after the last height of a close changes nothing, however late it is settled.
                state.ack_by.min(state.grace_end),
            ),
            state,
        })
    }

    /// A hub's stake, if it has one.
    pub(crate) fn stake_of(&self, hub: &KeyBytes) -> Option<(OutPoint, StakeTerms, Utxo)> {
        let Some(Record::StakeOf(place)) = self.record(&stake_outpoint(hub)) else {
            return None;
        };
        let utxo = self.store.get(&place.outpoint)?;
        match utxo.output.condition {
            Condition::Stake(terms) => Some((place.outpoint, terms, utxo)),
            _ => None,
        }
    }

    /// What a hub took out of a channel that has ended.
    pub(crate) fn ended(&self, channel: &ChannelId) -> Option<EndedRecord> {
        match self.record(&crate::record::ended_outpoint(channel))? {
            Record::Ended(ended) => Some(ended),
            _ => None,
        }
    }

    /// Whether the record at `outpoint` stands since `by` or before; `None` if there is none.
    pub(crate) fn stands_by(&self, outpoint: &OutPoint, by: Height) -> Option<bool> {
        self.store.get(outpoint).map(|utxo| utxo.height <= by)
    }
}
