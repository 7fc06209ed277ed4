//! Looking at a checkpoint without loading, repairing or changing it.

use std::path::Path;

use tidegate_disk::{Disk, Lsn, OpenMode};

use super::{
    CheckpointError, Problem,
    image::Image,
    superblock::{self, Entry, Superblock},
};
use crate::{PAGE_BYTES, pages::pages_of};

/// A region in a checkpoint.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RegionInfo {
    /// Its name.
    pub name: String,
    /// The size of a slot.
    pub slot_bytes: usize,
    /// How many slots it has.
    pub slots: usize,
    /// CRC32C of the list of its pages' sums: what the superblock knows the image by.
    pub sums_crc: u32,
}

/// A checkpoint in a folder.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SuperblockInfo {
    /// How many checkpoints there had been, this one included.
    pub sequence: u64,
    /// Its image and superblock slot: 0 (`a`) or 1 (`b`).
    pub image: usize,
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
    let newest = info(newest);
    let (pages, problems) = check_image(disk, dir, &newest, &mut |_| {})?;
    report.pages = pages;
    report.problems.extend(problems);
    report.newest = Some(newest);
    Ok(report)
}

/// Reads the image of one superblock and checks every sum in it: how many pages there are, and everything that is not
/// what was written. `progress` is told how many pages have been read.
///
/// # Errors
/// [`CheckpointError::Read`].
pub fn check_image(
    disk: &dyn Disk,
    dir: &Path,
    superblock: &SuperblockInfo,
    progress: &mut dyn FnMut(usize),
) -> Result<(usize, Vec<Problem>), CheckpointError> {
    let (mut pages, mut problems, mut bytes) = (0, Vec::new(), Vec::new());
    for entry in superblock.entries() {
        let note = &mut |problem| {
            problems.push(problem);
            Ok(())
        };
        if let Some(image) = Image::open(disk, dir, superblock.image, &entry, note)? {
            for run in image.runs() {
                bytes.resize(run.len() * PAGE_BYTES, 0);
                image.read_run(run.clone(), &mut bytes, note)?;
                progress(pages + run.end);
            }
        }
        pages += pages_of(entry.slot_bytes * entry.slots);
    }
    Ok((pages, problems))
}

impl SuperblockInfo {
    pub(super) fn entries(&self) -> impl Iterator<Item = Entry> {
        self.regions.iter().map(|region| Entry {
            name: region.name.clone(),
            slot_bytes: region.slot_bytes,
            slots: region.slots,
            sums_crc: region.sums_crc,
        })
    }

    /// How many pages its image has.
    #[must_use]
    pub fn pages(&self) -> usize {
        self.regions.iter().map(RegionInfo::pages).sum()
    }
}

impl RegionInfo {
    /// How many pages its slots lie in.
    #[must_use]
    pub const fn pages(&self) -> usize {
        pages_of(self.slot_bytes * self.slots)
    }
}

pub(super) fn info(block: &Superblock) -> SuperblockInfo {
    let region = |entry: &Entry| RegionInfo {
        name: entry.name.clone(),
        slot_bytes: entry.slot_bytes,
        slots: entry.slots,
        sums_crc: entry.sums_crc,
    };
    let regions = block.directory.iter().map(region).collect();
    SuperblockInfo {
        sequence: block.sequence,
        image: superblock::slot_of(block.sequence),
        lsn: block.lsn,
        meta: block.meta.clone(),
        regions,
    }
}
