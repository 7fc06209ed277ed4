//! Both superblocks and their images.

use std::path::Path;

use serde::{Deserialize, Serialize};
use tidegate_disk::Disk;
use tidegate_table::{CheckpointError, SlotInfo, SuperblockInfo, check_image, superblocks};

use crate::check::{Finding, OnStep, Step};
use crate::state::{Meta, StateError, Tables, state_dir};

/// Both superblock slots, in the order of the file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRows {
    /// Slot 0 has image `a`, slot 1 image `b`.
    pub slots: Vec<CheckpointRow>,
    /// True if every page was read and its checksum held or was complained of.
    pub checked: bool,
}

/// One superblock with its image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CheckpointRow {
    /// `a` or `b`.
    pub image: String,
    /// `whole`, `broken` or `empty`.
    pub superblock: String,
    /// Whether a start loads it.
    pub newest: bool,
    /// How many checkpoints there had been, this one included.
    pub sequence: Option<u64>,
    /// The last log record that it covers.
    pub lsn: Option<u64>,
    /// The newest batch in it.
    pub batch: Option<u64>,
    /// The newest final block in it.
    pub height: Option<u32>,
    /// Root of its channels, hex.
    pub state_root: Option<String>,
    /// True if it was restored from a backup.
    pub restored: Option<bool>,
    /// Pages of its image.
    pub pages: Option<u64>,
    /// Of these, how many are not what was written.
    pub bad_pages: Option<u64>,
    /// Its tables.
    pub regions: Vec<RegionRow>,
    /// What is wrong with its image.
    pub problems: Vec<Finding>,
}

/// One table in an image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RegionRow {
    /// Its name.
    pub name: String,
    /// The size of a slot in bytes.
    pub slot_bytes: u64,
    /// How many slots it has.
    pub slots: u64,
    /// How many pages they lie in.
    pub pages: u64,
}

impl CheckpointRows {
    /// Of the data directory `data`, which nobody uses: both images are read, and loaded for their roots.
    ///
    /// # Errors
    /// [`CheckpointError`] if there is no store, or its files cannot be read.
    pub fn of_dir(disk: &dyn Disk, data: &Path, on_step: OnStep<'_>) -> Result<Self, CheckpointError> {
        let slots = superblocks(disk, &state_dir(data))?;
        let mut rows = Self::of_slots(&slots);
        rows.checked = true;
        for (row, slot) in rows.slots.iter_mut().zip(&slots) {
            if let Some(found) = slot.whole() {
                row.look_at_image(disk, data, found, on_step)?;
            }
        }
        Ok(rows)
    }

    /// Of superblocks alone.
    #[must_use]
    pub fn of_slots(slots: &[SlotInfo; 2]) -> Self {
        let newest = slots
            .iter()
            .filter_map(SlotInfo::whole)
            .map(|found| found.sequence)
            .max();
        let row = |(slot, image): (&SlotInfo, &str)| {
            let mut row = CheckpointRow {
                image: image.to_owned(),
                superblock: match slot {
                    SlotInfo::Empty => "empty",
                    SlotInfo::Broken => "broken",
                    SlotInfo::Whole(_) => "whole",
                }
                .to_owned(),
                ..CheckpointRow::default()
            };
            if let Some(found) = slot.whole() {
                row.newest = newest == Some(found.sequence);
                row.sequence = Some(found.sequence);
                row.lsn = Some(found.lsn.get());
                row.restored = Meta::decode(&found.meta).ok().map(|meta| meta.is_copy);
                row.pages = Some(found.pages() as u64);
                row.regions = found.regions.iter().map(RegionRow::of).collect();
            }
            row
        };
        Self {
            slots: slots.iter().zip(["a", "b"]).map(row).collect(),
            checked: false,
        }
    }
}

impl CheckpointRow {
    fn look_at_image(
        &mut self,
        disk: &dyn Disk,
        data: &Path,
        found: &SuperblockInfo,
        on_step: OnStep<'_>,
    ) -> Result<(), CheckpointError> {
        let (pages, problems) = check_image(disk, &state_dir(data), found, &mut |done| {
            on_step(Step {
                what: if found.image == 0 {
                    "checking image a"
                } else {
                    "checking image b"
                },
                done: done as u64,
                total: Some(found.pages() as u64),
                unit: "pages",
            });
        })?;
        self.pages = Some(pages as u64);
        self.bad_pages = Some(problems.len() as u64);
        self.problems = problems.into_iter().map(Finding::from).collect();
        if self.problems.is_empty() {
            on_step(Step {
                what: "hashing the channels",
                done: 0,
                total: None,
                unit: "channels",
            });
            match load(disk, data, found) {
                Ok((root, batch, height)) => {
                    self.state_root = Some(root);
                    self.batch = Some(batch);
                    self.height = Some(height);
                }
                Err(error) => self.problems.push(Finding::from(&error)),
            }
        }
        Ok(())
    }
}

/// The root, the newest batch and the newest block of one image.
fn load(disk: &dyn Disk, data: &Path, found: &SuperblockInfo) -> Result<(String, u64, u32), StateError> {
    let engine = Tables::of_image(disk, &state_dir(data), found)?
        .replay(found.lsn)?
        .finish()
        .engine;
    let opened = engine.opened();
    Ok((engine.state_root().to_string(), opened.batch.get(), opened.height.get()))
}

impl RegionRow {
    fn of(region: &tidegate_table::RegionInfo) -> Self {
        Self {
            name: region.name.clone(),
            slot_bytes: region.slot_bytes as u64,
            slots: region.slots as u64,
            pages: region.pages() as u64,
        }
    }
}
