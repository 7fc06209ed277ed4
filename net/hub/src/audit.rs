//! A look at all channels at once, while payments go on: what they hold, as of one batch.
//!
//! Reads the engine's published entries (`tidegate_batch::EntryReader`) in the thread of whoever asks. The sequencer is not
//! asked and does not wait. Channels that nobody has used have no entry: they hold what they were opened with.

use serde::Serialize;
use tidegate_batch::EntryReader;
use tidegate_channel::ChannelEntry;

/// The sums over all channels that are in use and not settled, as one durable batch left them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Audit {
    /// The batch.
    pub(crate) batch: u64,
    /// Channels that some batch has named, settled ones included.
    pub(crate) channels_used: u64,
    /// Of these, the settled ones.
    pub(crate) channels_settled: u64,
    /// All balances, locks and credits, in satoshi.
    pub(crate) value_held: String,
    /// All capacities, in satoshi.
    pub(crate) value_capacity: String,
    /// Channels whose own parts do not add up to their capacity. Zero, or value was made or lost.
    pub(crate) channels_astray: u64,
}

impl Audit {
    /// `None` while as many look as can.
    pub(crate) fn of(entries: &EntryReader) -> Option<Self> {
        let snapshot = entries.snapshot().ok()?;
        let (mut used, mut settled, mut astray) = (0, 0, 0);
        let (mut held, mut capacity) = (0_u128, 0_u128);
        for entry in snapshot.entries() {
            used += 1;
            if entry.status == ChannelEntry::SETTLED {
                settled += 1;
                continue;
            }
            held += entry.held_sat();
            capacity += u128::from(entry.capacity_sat);
            astray += u64::from(entry.held_sat() != u128::from(entry.capacity_sat));
        }
        Some(Self {
            batch: snapshot.batch(),
            channels_used: used,
            channels_settled: settled,
            value_held: held.to_string(),
            value_capacity: capacity.to_string(),
            channels_astray: astray,
        })
    }
}
