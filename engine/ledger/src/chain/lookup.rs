//! What the chain looks up beside single entries. All of it follows from the entries, and changes with them.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_types::{Age, ChannelId, Digest, Height, HubCounter, OutPoint};

use crate::{Condition, Record, Utxo};

/// How long a commitment waits for its report, in blocks.
pub(crate) const COMMITMENT_LIFE: Age = Age::new(2_016);

/// The most records that one block forgets: bounds what a block without transactions can cost.
const PRUNED_MAX: usize = 1_000;

/// Lookup tables over the entries. Whoever takes a ledger up from its entries adds them all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lookup {
    /// How many channels, closing ones and locks there are, by the height from which reveals count for them.
    born: BTreeMap<Height, u64>,
    /// Reveals by height.
    reveals: BTreeSet<(Height, OutPoint)>,
    /// Acks that were revealed.
    acks: BTreeSet<(ChannelId, HubCounter, Height, Digest)>,
    /// Records that are forgotten above a height of their own.
    expiring: BTreeSet<(Height, OutPoint)>,
}

impl Lookup {
    /// Takes an entry up.
    pub fn add(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        match &utxo.output.condition {
            Condition::Channel(_) | Condition::Closing(_) | Condition::Lock(_) => {
                *self.born.entry(utxo.height).or_default() += 1;
            }
            Condition::Record(record) => self.add_record(*outpoint, utxo.height, record),
            Condition::Key(_) | Condition::Multi(_) | Condition::Timelocked(_) | Condition::Stake(_) => {}
        }
    }

    fn add_record(&mut self, outpoint: OutPoint, height: Height, record: &Record) {
        match record {
            Record::Preimage(_) => {
                self.reveals.insert((height, outpoint));
            }
            Record::Ack(ack) => {
                self.reveals.insert((height, outpoint));
                self.acks.insert((ack.channel, ack.counter, height, ack.digest));
            }
            Record::Commitment(_) | Record::Ended(_) => {
                self.expiring.insert((last_height(height, record), outpoint));
            }
            Record::CloseState(_) | Record::OpenLock(_) | Record::StakeOf(_) => {}
        }
    }

    /// Forgets an entry.
    ///
    /// # Panics
    /// If it was never added.
    pub(super) fn remove(&mut self, outpoint: &OutPoint, utxo: &Utxo) {
        match &utxo.output.condition {
            Condition::Channel(_) | Condition::Closing(_) | Condition::Lock(_) => {
                let count = self.born.get_mut(&utxo.height).expect("what is removed was added");
                *count -= 1;
                if *count == 0 {
                    self.born.remove(&utxo.height);
                }
            }
            Condition::Record(record) => self.remove_record(*outpoint, utxo.height, record),
            Condition::Key(_) | Condition::Multi(_) | Condition::Timelocked(_) | Condition::Stake(_) => {}
        }
    }

    fn remove_record(&mut self, outpoint: OutPoint, height: Height, record: &Record) {
        match record {
            Record::Preimage(_) => {
                self.reveals.remove(&(height, outpoint));
            }
            Record::Ack(ack) => {
                self.reveals.remove(&(height, outpoint));
                self.acks.remove(&(ack.channel, ack.counter, height, ack.digest));
            }
            Record::Commitment(_) | Record::Ended(_) => {
                self.expiring.remove(&(last_height(height, record), outpoint));
            }
            Record::CloseState(_) | Record::OpenLock(_) | Record::StakeOf(_) => {}
        }
    }

    /// Whether an ack of leaf `counter` of `channel`, or of a later one, was revealed at `by` or before.
    pub(crate) fn acked(&self, channel: &ChannelId, counter: HubCounter, by: Height) -> bool {
        let from = (*channel, counter, Height::ZERO, Digest::ZERO);
        let to = (*channel, HubCounter::MAX, Height::MAX, Digest::from_bytes([0xff; 32]));
        self.acks.range(from..=to).any(|(_, _, height, _)| *height <= by)
    }

    /// What was revealed and is not forgotten, the oldest first.
    pub(crate) fn reveals(&self) -> impl Iterator<Item = &OutPoint> {
        self.reveals.iter().map(|(_, outpoint)| outpoint)
    }

    /// The records that the block at `height` forgets: reveals that are older than every channel and lock there is, so that
    /// no lock can depend on them (rule 26), and what has a last height of its own.
    pub(crate) fn prunable(&self, height: Height) -> Vec<OutPoint> {
        let oldest = self.born.first_key_value().map_or(height, |(born, _)| *born);
        let reveals = self.reveals.iter().take_while(|(revealed, _)| *revealed < oldest);
        let expired = self.expiring.iter().take_while(|(last, _)| *last < height);
        reveals
            .chain(expired)
            .map(|(_, outpoint)| *outpoint)
            .take(PRUNED_MAX)
            .collect()
    }
}

fn last_height(height: Height, record: &Record) -> Height {
    match record {
        Record::Ended(ended) => ended.until,
        _ => height.plus(COMMITMENT_LIFE).unwrap_or(Height::MAX),
    }
}
