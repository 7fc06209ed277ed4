//! The engine's tables over mapped regions: where engine and storage meet.
//!
//! Records are packed into region slots of 4 KiB, as many whole ones as fit, so that a table wastes little and a changed
//! record dirties one page.

use std::ops::Range;

use bytemuck::Pod;
use tidegate_batch::{Slots, SlotsFull, Store, TABLES, TableSpec};
use tidegate_table::{Region, RegionSpec};

const CHUNK_BYTES: usize = 4096;

/// One table of the engine in one region.
#[derive(Debug)]
pub struct RegionSlots {
    region: Region,
    record_bytes: usize,
    per_chunk: usize,
    /// ⌊2⁴⁸ ⁄ `per_chunk`⌋ + 1: a multiplication for a division. Exact while index × per_chunk < 2⁴⁸.
    reciprocal: u64,
    len: usize,
}

impl RegionSlots {
    fn new(region: Region, table: TableSpec) -> Self {
        let per_chunk = CHUNK_BYTES / table.slot_bytes;
        let len = region.len() * per_chunk;
        Self {
            region,
            record_bytes: table.slot_bytes,
            per_chunk,
            reciprocal: (1 << 48) / per_chunk as u64 + 1,
            len,
        }
    }

    /// The region.
    pub(super) const fn region(&self) -> &Region {
        &self.region
    }

    /// How many pages the table takes.
    pub(crate) const fn pages(&self) -> usize {
        self.region.pages()
    }

    /// How many of them have changed since a checkpoint was begun.
    pub(crate) fn dirty_pages(&self) -> usize {
        self.region.dirty().count()
    }

    /// The region, for a checkpoint.
    pub(super) const fn region_mut(&mut self) -> &mut Region {
        &mut self.region
    }

    /// The byte at which a record begins: as [`RegionSlots::place`], with constants for what the table's width gives.
    #[inline]
    fn place_of<R>(&self, index: usize) -> usize {
        debug_assert_eq!(size_of::<R>(), self.record_bytes, "a table has one kind of record");
        let per_chunk = const { CHUNK_BYTES / size_of::<R>() };
        index / per_chunk * CHUNK_BYTES + index % per_chunk * size_of::<R>()
    }

    /// The chunk of a record, and where it begins there.
    #[inline]
    fn place(&self, index: usize) -> (usize, usize) {
        let chunk = usize::try_from((index as u128 * u128::from(self.reciprocal)) >> 48)
            .expect("a quotient is not above what was divided");
        (chunk, (index - chunk * self.per_chunk) * self.record_bytes)
    }
}

impl Slots for RegionSlots {
    fn len(&self) -> usize {
        self.len
    }

    fn slot(&self, index: usize) -> &[u8] {
        let (chunk, offset) = self.place(index);
        &self.region.slot(chunk)[offset..offset + self.record_bytes]
    }

    fn slot_mut(&mut self, index: usize) -> &mut [u8] {
        let (chunk, offset) = self.place(index);
        let end = offset + self.record_bytes;
        self.region.part_mut(chunk, offset..end)
    }

    #[inline]
    fn record<R: Pod>(&self, index: usize) -> &R {
        self.region.value_at(self.place_of::<R>(index))
    }

    #[inline]
    fn record_mut<R: Pod>(&mut self, index: usize) -> &mut R {
        let at = self.place_of::<R>(index);
        self.region.value_at_mut(at)
    }

    #[inline]
    fn prefetch_record<R: Pod>(&self, index: usize) {
        self.region.prefetch_value::<R>(self.place_of::<R>(index));
    }

    fn prefetch(&self, index: usize, part: Range<usize>) {
        let (chunk, offset) = self.place(index);
        self.region.prefetch_part(chunk, offset + part.start..offset + part.end);
    }

    fn grow(&mut self, len: usize) -> Result<(), SlotsFull> {
        let chunks = len.div_ceil(self.per_chunk);
        let capacity = self.region.spec().slots_max * self.per_chunk;
        self.region.grow(chunks).map_err(|_| SlotsFull { capacity })?;
        self.len = self.region.len() * self.per_chunk;
        Ok(())
    }
}

/// Address space for each table, in records. Memory is taken as records are used.
const RECORDS_MAX: [usize; TABLES.len()] = [
    1,
    1 << 25,
    1 << 25,
    1 << 25,
    1 << 25,
    1 << 25,
    1 << 28,
    1 << 26,
    1 << 28,
    1 << 27,
    1 << 28,
    1 << 26,
    1 << 24,
    1 << 28,
    1 << 28,
    1 << 24,
    1 << 25,
];

/// The regions of a checkpoint, in the order of [`TABLES`].
pub(crate) fn specs() -> Vec<RegionSpec> {
    let spec = |(table, records): (&TableSpec, &usize)| RegionSpec {
        name: table.name,
        slot_bytes: CHUNK_BYTES,
        slots_max: records.div_ceil(CHUNK_BYTES / table.slot_bytes),
    };
    TABLES.iter().zip(&RECORDS_MAX).map(spec).collect()
}

/// The engine's tables in these regions, which are those of [`specs`].
pub(crate) fn store(regions: Vec<Region>) -> Store<RegionSlots> {
    let slots: Vec<_> = regions
        .into_iter()
        .zip(TABLES)
        .map(|(region, table)| RegionSlots::new(region, table))
        .collect();
    let slots: [RegionSlots; TABLES.len()] = slots.try_into().expect("one region per table");
    Store::new(slots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_records_place_is_its_quotient_and_rest() {
        for (table, records) in TABLES.iter().zip(RECORDS_MAX) {
            let spec = RegionSpec {
                name: table.name,
                slot_bytes: CHUNK_BYTES,
                slots_max: 1,
            };
            let slots = RegionSlots::new(Region::new(spec).expect("one page"), *table);
            let edges = (0..records.div_ceil(slots.per_chunk))
                .step_by(997)
                .map(|chunk| chunk * slots.per_chunk);
            for index in edges.flat_map(|first| [first.saturating_sub(1), first, first + 1]) {
                let expected = (index / slots.per_chunk, index % slots.per_chunk * table.slot_bytes);
                assert_eq!(slots.place(index), expected, "{} {index}", table.name);
            }
        }
    }

    #[test]
    fn records_of_a_constant_width_lie_where_all_do() {
        let (name, table) = (
            "of-72",
            TableSpec {
                name: "of-72",
                slot_bytes: 72,
            },
        );
        let spec = RegionSpec {
            name,
            slot_bytes: CHUNK_BYTES,
            slots_max: 3,
        };
        let mut slots = RegionSlots::new(Region::new(spec).expect("three pages"), table);
        slots.grow(150).expect("within three pages");
        for index in 0..150 {
            let number = u8::try_from(index).expect("few");
            slots.record_mut::<[u8; 72]>(index).fill(number);
            assert_eq!(slots.slot(index), [number; 72]);
            assert_eq!(slots.record::<[u8; 72]>(index), &[number; 72]);
        }
        assert_eq!(slots.dirty_pages(), 3);
    }
}
