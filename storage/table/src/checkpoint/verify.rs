//! Looking at a checkpoint without loading, repairing or changing it.

use std::path::Path;

use tidegate_disk::{Disk, Lsn, OpenMode};

use super::{
    CheckpointError, Problem,
    image::{self, Target},
    superblock::{self, Superblock},
};
use crate::pages::pages_of;

/// A region in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    /// Its name.
    pub name: String,
    /// The size of a slot.
    pub slot_bytes: usize,
    /// How many slots it has.
    pub slots: usize,
}

/// The newest checkpoint in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuperblockInfo {
    /// How many checkpoints there had been, this one included.
    pub sequence: u64,
    /// The last log record that it covers.
    pub lsn: Lsn,
    /// What the owner stored with it.
    pub meta: Vec<u8>,
    /// Its regions.
    pub regions: Vec<RegionInfo>,
}

/// What [`verify`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// The newest checkpoint; `None` before the first.
    pub newest: Option<SuperblockInfo>,
    /// Pages that were read.
    pub pages: usize,
    /// Everything that is not what was written, in the order of the files.
    pub problems: Vec<Problem>,
}

/// Reads the newest checkpoint in `dir` and checks every sum in it.
///
/// # Errors
/// [`CheckpointError::NoStore`], [`CheckpointError::Read`]. Damage is no error but in the report.
pub fn verify(disk: &dyn Disk, dir: &Path) -> Result<Report, CheckpointError> {
    let file = superblock::open(disk, dir, OpenMode::Read)?;
    let slots = superblock::read_slots(&*file).map_err(CheckpointError::Read)?;
    let mut report = Report {
        newest: None,
        pages: 0,
        problems: Vec::new(),
    };
    let newest = match superblock::newest(&slots, dir) {
        Ok(newest) => newest,
        Err(CheckpointError::Damaged(problem)) => {
            report.problems.push(problem);
            return Ok(report);
        }
        Err(other) => return Err(other),
    };
    let Some(newest) = newest else { return Ok(report) };
    for entry in &newest.directory {
        let note = &mut |problem| {
            report.problems.push(problem);
            Ok(())
        };
        image::read(
            disk,
            dir,
            superblock::slot_of(newest.sequence),
            entry,
            Target::Scratch(Vec::new()),
            note,
        )?;
        report.pages += pages_of(entry.slot_bytes * entry.slots);
    }
    report.newest = Some(info(newest));
    Ok(report)
}

fn info(block: &Superblock) -> SuperblockInfo {
    let region = |entry: &superblock::Entry| RegionInfo {
        name: entry.name.clone(),
        slot_bytes: entry.slot_bytes,
        slots: entry.slots,
    };
    let regions = block.directory.iter().map(region).collect();
    SuperblockInfo {
        sequence: block.sequence,
        lsn: block.lsn,
        meta: block.meta.clone(),
        regions,
    }
}
