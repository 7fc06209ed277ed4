//! How full the tables are, for those who run a hub.

use crate::Engine;
use crate::slots::{Allocation, Linked, Slab, Slots};
use crate::store::TABLES;

/// How full one table is, in records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableUsage {
    /// Its name.
    pub name: &'static str,
    /// The width of a record in bytes.
    pub record_bytes: usize,
    /// Records that were ever used. What is given back is used again before the table grows.
    pub used: u32,
    /// Records that there is room for without growing.
    pub capacity: usize,
}

impl<S: Slots> Engine<S> {
    /// How full each table is, in the order of [`TABLES`]; looks at no record.
    #[must_use]
    pub fn usage(&self) -> [TableUsage; TABLES.len()] {
        let (store, meta) = (&self.store, self.store.meta());
        let used = [
            1,
            meta.channels,
            meta.terms,
            meta.live,
            meta.live,
            meta.pages.used,
            meta.locks.used,
            meta.named.used,
            meta.leaves.used,
            meta.bodies.used,
            meta.credits.used,
            meta.answers.used,
            meta.in_pages.used,
            meta.in_locks.used,
            meta.in_changes.used,
            meta.wide_pages.used,
            meta.kept.used,
        ];
        let tables = store.tables();
        std::array::from_fn(|at| TableUsage {
            name: TABLES[at].name,
            record_bytes: TABLES[at].slot_bytes,
            used: used[at],
            capacity: tables[at].1.len(),
        })
    }

    /// How many of the used records of each table are free at present, in the order of [`TABLES`]. Follows every list of
    /// free records, so it is for a state that nobody waits for.
    #[must_use]
    pub fn free_records(&self) -> [u32; TABLES.len()] {
        let (store, meta) = (&self.store, self.store.meta());
        [
            0,
            0,
            0,
            0,
            0,
            free(&store.pages, meta.pages),
            free(&store.locks, meta.locks),
            free(&store.named, meta.named),
            free(&store.leaves, meta.leaves),
            free(&store.bodies, meta.bodies),
            free(&store.credits, meta.credits),
            free(&store.answers, meta.answers),
            free(&store.in_pages, meta.in_pages),
            free(&store.in_locks, meta.in_locks),
            free(&store.in_changes, meta.in_changes),
            free(&store.wide_pages, meta.wide_pages),
            free(&store.kept, meta.kept),
        ]
    }
}

fn free<R: Linked, S: Slots>(slab: &Slab<R, S>, allocation: Allocation) -> u32 {
    let (mut link, mut count) = (allocation.free, 0);
    // A list is never longer than the table; one that is has a loop, which is for `verify` to find.
    while link != 0 && count < allocation.used {
        count += 1;
        link = slab.at(link).next();
    }
    count
}
