//! The work that every store does: the same keys, values, batches and reads, from a seed.
//!
//! ```text
//! record id:  0 … deleted … low ────── live ────── high … to be inserted
//! a batch:    4 096 operations in turn: update, update, insert (id `high`), delete (id `low`)
//! key         32 bytes, a hash of the id: no order is left in them
//! value       128 bytes that do not compress, a stream from the number of the operation that wrote it
//! ```
//!
//! All follows from the seed, so what a store must hold after any number of batches is known without a store:
//! [`Model::content`].

use serde::{Deserialize, Serialize};

/// A key.
pub type Key = [u8; 32];
/// A value.
pub type Value = [u8; 128];

/// Operations of a batch.
pub const BATCH: usize = 4_096;

/// One operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Sets the value of a key, old or new.
    Put(Key, Value),
    /// Removes a key that is there.
    Delete(Key),
}

impl Operation {
    /// Bytes that the caller hands over: what the disk must be told at least.
    #[must_use]
    pub const fn logical_bytes(&self) -> u64 {
        (match self {
            Self::Put(..) => size_of::<Key>() + size_of::<Value>(),
            Self::Delete(_) => size_of::<Key>(),
        }) as u64
    }
}

/// What a store holds, whatever the order in which it tells: how many records, and a sum over a mix of each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Records.
    pub records: u64,
    /// The sum.
    pub sum: u64,
}

impl Content {
    /// Takes one more record into account.
    pub fn add(&mut self, key: &Key, value: &Value) {
        let (words, _) = key.as_chunks::<8>();
        let (more, _) = value.as_chunks::<8>();
        let mixed = words
            .iter()
            .chain(more)
            .fold(0x9e37_79b9_7f4a_7c15, |state: u64, word| {
                mix(state ^ u64::from_le_bytes(*word))
            });
        self.records += 1;
        self.sum = self.sum.wrapping_add(mixed);
    }
}

/// The finalizer of splitmix64 (Steele, Lea and Flood, 2014): each bit of the result depends on each bit of `x`.
const fn mix(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// Numbers from a seed: splitmix64. Fast, so that making a batch costs little beside committing it.
#[derive(Clone, Copy, Debug)]
struct Stream(u64);

impl Stream {
    const fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        mix(self.0)
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.as_chunks_mut::<8>().0 {
            *chunk = self.next().to_le_bytes();
        }
    }
}

/// The key of a record.
#[must_use]
pub(super) fn key(id: u64) -> Key {
    let mut key = Key::default();
    Stream(mix(id ^ 0x6b65_7973)).fill(&mut key);
    key
}

/// The value that operation `number` writes.
fn value(number: u64) -> Value {
    let mut value = [0; 128];
    Stream(mix(number ^ 0x7661_6c75_6573)).fill(&mut value);
    value
}

/// Makes the operations one after the other.
#[derive(Clone, Debug)]
pub struct Workload {
    low: u64,
    high: u64,
    number: u64,
    random: Stream,
}

impl Workload {
    /// The beginning: nothing is there.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self {
            low: 0,
            high: 0,
            number: 0,
            random: Stream(seed),
        }
    }

    /// Up to `count` operations that bring the store to `records` records.
    pub fn load(&mut self, records: u64, count: usize, out: &mut Vec<Operation>) {
        self.plan_load(records, count, |_, operation| out.push(operation()));
    }

    fn plan_load(&mut self, records: u64, count: usize, mut each: impl FnMut(Change, &dyn Fn() -> Operation)) {
        for _ in 0..count.min(usize::try_from(records - self.high).unwrap_or(usize::MAX)) {
            self.insert(&mut each);
        }
    }

    /// The next batch.
    pub fn batch(&mut self, out: &mut Vec<Operation>) {
        self.plan_batch(|_, operation| out.push(operation()));
    }

    fn plan_batch(&mut self, mut each: impl FnMut(Change, &dyn Fn() -> Operation)) {
        for place in 0..BATCH {
            match place % 4 {
                2 => self.insert(&mut each),
                3 => {
                    let id = self.low;
                    self.low += 1;
                    each(Change::Deleted { id }, &|| Operation::Delete(key(id)));
                }
                _ => {
                    let id = self.random_id();
                    self.put(id, &mut each);
                }
            }
        }
    }

    fn insert(&mut self, each: &mut impl FnMut(Change, &dyn Fn() -> Operation)) {
        self.high += 1;
        self.put(self.high - 1, each);
    }

    fn put(&mut self, id: u64, each: &mut impl FnMut(Change, &dyn Fn() -> Operation)) {
        self.number += 1;
        let number = self.number;
        each(Change::Written { id, number }, &|| {
            Operation::Put(key(id), value(number))
        });
    }

    /// A record that is there, drawn evenly.
    pub fn random_id(&mut self) -> u64 {
        let draw = u128::from(self.random.next()) * u128::from(self.high - self.low);
        self.low + u64::try_from(draw >> 64).expect("the upper half of a product")
    }

    /// The workload of a reader of its own, on the records that are there now.
    #[must_use]
    pub const fn reader(&self, seed: u64) -> Self {
        Self {
            random: Stream(seed),
            ..*self
        }
    }
}

/// What an operation does to the model.
#[derive(Clone, Copy)]
enum Change {
    Written { id: u64, number: u64 },
    Deleted { id: u64 },
}

/// What must be there.
#[derive(Debug, Default)]
pub struct Model {
    /// By id: the number of the operation that wrote it last; zero for none.
    written: Vec<u64>,
}

impl Model {
    /// What a store must hold after loading `records` records and then `batches` batches.
    #[must_use]
    pub fn content(seed: u64, records: u64, batches: u64) -> Content {
        let (mut workload, mut model) = (Workload::new(seed), Self::default());
        workload.plan_load(records, usize::MAX, |change, _| model.take(change));
        for _ in 0..batches {
            workload.plan_batch(|change, _| model.take(change));
        }
        let mut content = Content::default();
        for (id, number) in (0..).zip(&model.written).filter(|(_, number)| **number != 0) {
            content.add(&key(id), &value(*number));
        }
        content
    }

    fn take(&mut self, change: Change) {
        let at = |id: u64| usize::try_from(id).expect("records fit the memory");
        match change {
            Change::Written { id, number } => {
                if self.written.len() <= at(id) {
                    self.written.resize(at(id) + 1, 0);
                }
                self.written[at(id)] = number;
            }
            Change::Deleted { id } => self.written[at(id)] = 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn the_model_holds_what_a_map_holds() {
        let mut workload = Workload::new(7);
        let (mut map, mut operations) = (BTreeMap::new(), Vec::new());
        workload.load(5_000, 3_000, &mut operations);
        workload.load(5_000, 3_000, &mut operations);
        assert_eq!(operations.len(), 5_000);
        (0..3).for_each(|_| workload.batch(&mut operations));
        let puts = |operation: &&Operation| matches!(operation, Operation::Put(..));
        assert_eq!(
            operations[5_000..].iter().filter(puts).count(),
            3 * BATCH * 3 / 4,
            "half updates, a quarter inserts"
        );
        for operation in operations {
            match operation {
                Operation::Put(key, value) => {
                    map.insert(key, value);
                }
                Operation::Delete(key) => {
                    map.remove(&key).expect("only what is there is deleted");
                }
            }
        }
        let mut content = Content::default();
        map.iter().for_each(|(key, value)| content.add(key, value));
        assert_eq!(content.records, 5_000);
        assert_eq!(content, Model::content(7, 5_000, 3));
        assert_ne!(content, Model::content(7, 5_000, 2));
        for _ in 0..1_000 {
            assert!(map.contains_key(&key(workload.random_id())), "reads find what is there");
        }
    }

    #[test]
    fn a_changed_byte_or_a_swapped_value_is_another_content() {
        let content = |pairs: &[(u8, u8)]| {
            let mut content = Content::default();
            pairs.iter().for_each(|&(k, v)| content.add(&[k; 32], &[v; 128]));
            content
        };
        assert_eq!(content(&[(1, 2), (3, 4)]), content(&[(3, 4), (1, 2)]));
        assert_ne!(content(&[(1, 2), (3, 4)]), content(&[(1, 4), (3, 2)]));
        assert_ne!(content(&[(1, 2)]), content(&[(1, 3)]));
    }
}
