//! The tables in memory.

use serde::{Deserialize, Serialize};

use crate::state::HubEngine;

/// How full the tables are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRows {
    /// The newest batch.
    pub batch: u64,
    /// Each table.
    pub tables: Vec<TableRow>,
}

/// One table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableRow {
    /// Its name.
    pub name: String,
    /// The width of a record in bytes.
    pub record_bytes: u64,
    /// Records that were ever used.
    pub used: u64,
    /// Of these, how many are free now; unknown of a running hub.
    pub free: Option<u64>,
    /// Records that there is room for without growing.
    pub capacity: u64,
    /// Pages of 4 KiB that the table takes.
    pub pages: u64,
    /// Pages that have changed since the newest checkpoint was begun.
    pub dirty_pages: u64,
}

impl TableRow {
    /// Bytes of memory and of an image.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.pages * tidegate_table::PAGE_BYTES as u64
    }

    /// Share of the room that is in use, in percent.
    #[must_use]
    pub fn occupancy_percent(&self) -> u64 {
        let in_use = self.used - self.free.unwrap_or(0).min(self.used);
        (in_use * 100).checked_div(self.capacity).unwrap_or(0)
    }
}

impl TableRows {
    /// Of an engine that nobody waits for: lists of free records are counted too.
    #[must_use]
    pub fn counted(engine: &HubEngine) -> Self {
        let mut rows = Self::of(engine);
        for (row, free) in rows.tables.iter_mut().zip(engine.free_records()) {
            row.free = Some(free.into());
        }
        rows
    }

    /// Of any engine, in no time.
    #[must_use]
    pub fn of(engine: &HubEngine) -> Self {
        let tables = engine.store().tables();
        let rows = engine
            .usage()
            .into_iter()
            .zip(tables)
            .map(|(usage, (_, slots))| TableRow {
                name: usage.name.to_owned(),
                record_bytes: usage.record_bytes as u64,
                used: usage.used.into(),
                free: None,
                capacity: usage.capacity as u64,
                pages: slots.pages() as u64,
                dirty_pages: slots.dirty_pages() as u64,
            });
        Self {
            batch: engine.opened().batch.get(),
            tables: rows.collect(),
        }
    }
}
