//! What all channels hold together, kept from their entries.
//!
//! The capacities of the channels that are not settled are summed as channels open and settle. What they hold is that
//! sum, but for the channels whose own parts do not add up to their capacity; there should be none, so few are listed.

use hashbrown::HashMap;
use tidegate_channel::ChannelEntry;

#[derive(Debug, Default)]
pub(super) struct Totals {
    capacity: u128,
    /// By slot, one bit: settled, and no longer in the sums.
    settled: Vec<u64>,
    /// What channels hold more, or less, than their capacity. Empty if value is conserved.
    astray: HashMap<u32, i128>,
}

impl Totals {
    /// The first entry of a channel.
    pub(super) fn add(&mut self, slot: u32, entry: &ChannelEntry) {
        self.capacity += u128::from(entry.capacity_sat);
        self.note(slot, entry);
    }

    /// The newest entry of a channel; a first one if there were no more than `known` before.
    pub(super) fn change(&mut self, slot: u32, entry: &ChannelEntry, known: u32) {
        if slot >= known {
            self.add(slot, entry);
        } else {
            self.note(slot, entry);
        }
    }

    fn note(&mut self, slot: u32, entry: &ChannelEntry) {
        let (word, bit) = (slot as usize / 64, 1 << (slot % 64));
        if entry.status == ChannelEntry::SETTLED {
            self.settled.resize(self.settled.len().max(word + 1), 0);
            if self.settled[word] & bit == 0 {
                self.settled[word] |= bit;
                self.capacity -= u128::from(entry.capacity_sat);
            }
            self.astray.remove(&slot);
            return;
        }
        let held = i128::try_from(entry.held_sat()).expect("five words add up to less than 2¹²⁷");
        let astray = held - i128::from(entry.capacity_sat);
        if astray != 0 {
            self.astray.insert(slot, astray);
        } else if !self.astray.is_empty() {
            self.astray.remove(&slot);
        }
    }

    /// What the channels hold that are not settled, and the sum of their capacities.
    pub(super) fn sums(&self) -> (u128, u128) {
        let astray: i128 = self.astray.values().sum();
        (self.capacity.saturating_add_signed(astray), self.capacity)
    }
}
