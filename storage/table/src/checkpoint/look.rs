//! Reading checkpoints while somebody else may be writing the next: nothing is locked, repaired or changed.
//!
//! The image of checkpoint n and its superblock slot are not touched before checkpoint n + 2 is begun. So a reader has
//! the time of a whole checkpoint at least; if it takes longer, the sums of the pages tell it.

use std::path::Path;

use tidegate_disk::{Disk, OpenMode};

use super::{
    CheckpointError, Loaded, SuperblockInfo, check_directory,
    image::{self, Image},
    superblock::{self, Slot},
    verify::info,
};
use crate::{PAGE_BYTES, Region, RegionSpec};

/// What lies in one of the two superblock slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SlotInfo {
    /// It was never written.
    Empty,
    /// It is not whole: it is just being written, its writing was interrupted, or it is damaged.
    Broken,
    /// A checkpoint.
    Whole(SuperblockInfo),
}

impl SlotInfo {
    /// The checkpoint, if it is whole.
    #[must_use]
    pub const fn whole(&self) -> Option<&SuperblockInfo> {
        match self {
            Self::Whole(found) => Some(found),
            Self::Empty | Self::Broken => None,
        }
    }
}

/// Both superblock slots of the store in `dir`, in the order of the file.
///
/// # Errors
/// [`CheckpointError::NoStore`], [`CheckpointError::Read`].
pub fn superblocks(disk: &dyn Disk, dir: &Path) -> Result<[SlotInfo; 2], CheckpointError> {
    let file = superblock::open(disk, dir, OpenMode::Read)?;
    let slots = superblock::read_slots(&*file).map_err(CheckpointError::Read)?;
    Ok(slots.map(|slot| match slot {
        Slot::Empty => SlotInfo::Empty,
        Slot::Broken => SlotInfo::Broken,
        Slot::Whole(block) => SlotInfo::Whole(info(&block)),
    }))
}

/// Loads the newest checkpoint as [`CheckpointStore::open`](super::CheckpointStore::open) does, and writes nothing: for
/// those who only look.
///
/// # Errors
/// As there, but for `Failed`.
pub fn load(
    disk: &dyn Disk,
    dir: &Path,
    specs: &[RegionSpec],
) -> Result<(Vec<Region>, Option<Loaded>), CheckpointError> {
    let file = superblock::open(disk, dir, OpenMode::Read)?;
    let slots = superblock::read_slots(&*file).map_err(CheckpointError::Read)?;
    let mut regions = specs
        .iter()
        .map(|spec| Region::new(*spec))
        .collect::<Result<Vec<_>, _>>()?;
    let Some(newest) = superblock::newest(&slots, dir)? else {
        return Ok((regions, None));
    };
    check_directory(dir, specs, &newest.directory)?;
    let at = superblock::slot_of(newest.sequence);
    for (entry, region) in newest.directory.iter().zip(&mut regions) {
        region.load_len(entry.slots)?;
        let stop = &mut |problem| Err(CheckpointError::Damaged(problem));
        image::read(disk, dir, at, entry, region, stop)?;
    }
    let loaded = Loaded {
        sequence: newest.sequence,
        lsn: newest.lsn,
        meta: newest.meta.clone(),
        other_is_torn: matches!(slots[1 - at], Slot::Broken),
    };
    Ok((regions, Some(loaded)))
}

/// Reads one region of one checkpoint, run by run, each page checked.
#[derive(Debug)]
pub struct ImageReader {
    image: Image,
    next_page: usize,
    bytes: Vec<u8>,
}

impl ImageReader {
    /// Opens region `region`, by its place in the directory of `superblock`, to be read from page `from` on.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`], [`CheckpointError::Read`].
    ///
    /// # Panics
    /// If there is no such region.
    pub fn open(
        disk: &dyn Disk,
        dir: &Path,
        superblock: &SuperblockInfo,
        region: usize,
        from: usize,
    ) -> Result<Self, CheckpointError> {
        let entry = superblock.entries().nth(region).expect("a region of the directory");
        let stop = &mut |problem| Err(CheckpointError::Damaged(problem));
        let image = Image::open(disk, dir, superblock.image, &entry, stop)?;
        Ok(Self {
            image: image.expect("what is not whole was refused"),
            next_page: from,
            bytes: Vec::new(),
        })
    }

    /// The next pages, at most 1 MiB of them, with the number of the first; `None` behind the last.
    ///
    /// # Errors
    /// [`CheckpointError::Damaged`] if a page is not what the superblock leads to: it is damaged, or a later checkpoint
    /// has begun to write over this image. [`CheckpointError::Read`].
    pub fn next_run(&mut self) -> Result<Option<(usize, &[u8])>, CheckpointError> {
        let start = self.next_page;
        let end = self.image.sums.len().min(start + image::RUN_PAGES);
        if start >= end {
            return Ok(None);
        }
        self.bytes.resize((end - start) * PAGE_BYTES, 0);
        let stop = &mut |problem| Err(CheckpointError::Damaged(problem));
        self.image.read_run(start..end, &mut self.bytes, stop)?;
        self.next_page = end;
        Ok(Some((start, &self.bytes)))
    }
}
