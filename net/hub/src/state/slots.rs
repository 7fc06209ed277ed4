//! The engine's tables over mapped regions: where engine and storage meet.
//!
//! Records are packed into region slots of 4 KiB, as many whole ones as fit, so that a table wastes little and a changed
//! record dirties one page.

use tidegate_batch::{Slots, SlotsFull, Store, TABLES, TableSpec};
use tidegate_table::{Region, RegionSpec};

const CHUNK_BYTES: usize = 4096;

/// One table of the engine in one region.
#[derive(Debug)]
pub struct RegionSlots {
    region: Region,
    record_bytes: usize,
    per_chunk: usize,
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
            len,
        }
    }

    /// The region, for a checkpoint.
    pub(crate) const fn region_mut(&mut self) -> &mut Region {
        &mut self.region
    }

    const fn offset(&self, index: usize) -> usize {
        index % self.per_chunk * self.record_bytes
    }
}

impl Slots for RegionSlots {
    fn len(&self) -> usize {
        self.len
    }

    fn slot(&self, index: usize) -> &[u8] {
        let offset = self.offset(index);
        &self.region.slot(index / self.per_chunk)[offset..offset + self.record_bytes]
    }

    fn slot_mut(&mut self, index: usize) -> &mut [u8] {
        let offset = self.offset(index);
        let end = offset + self.record_bytes;
        &mut self.region.slot_mut(index / self.per_chunk)[offset..end]
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
    1 << 24,
    1 << 28,
    1 << 28,
    1 << 27,
    1 << 28,
    1 << 26,
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
