//! Images of a set of regions on disk, one whole one at every moment.
//!
//! ```text
//! checkpoint n:  image-{a,b}[n % 2]          superblock, slot n % 2 at n % 2 × 128 KiB
//!   1 write dirty pages, sums  ─► fdatasync ─► sync_dir ─► 2 write head, directory, meta ─► fdatasync ─► 3 done:
//!                                                             the log up to its number may go
//!
//! image-a-NAME.pages   the region's pages, 4 KiB each, page p at p × 4 KiB
//! image-a-NAME.sums    crc32c u32 of each page
//! superblock           two slots: head 64 B, one directory entry of 64 B per region, the owner's meta
//! ```
//!
//! The superblock's CRC covers the directory, the directory has the CRC of each list of sums, and the sums cover the
//! pages: nothing is believed that is not reached from there. While checkpoint n + 1 overwrites the image and the
//! superblock slot of n - 1, those of n are not touched.
//!
//! A checkpoint is taken of the regions as they are when it is begun, and written while they go on changing: see `pin` for
//! how. The store is a machine that is driven by [`CheckpointStore::step`]: by a thread of its own in the hub, by the test
//! itself in a simulation.
//!
//! The log is never read or recycled here: the owner does that after [`Step::Done`].

mod error;
mod image;
mod look;
mod superblock;
mod verify;
mod write;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_disk::{Disk, DiskFile, Lsn, OpenMode};

use crate::{PageSet, Region, RegionSpec};
pub use error::{CheckpointError, Problem};
pub use look::{ImageReader, SlotInfo, load, superblocks};
use superblock::{Entry, Slot, Superblock};
pub use verify::{RegionInfo, Report, SuperblockInfo, check_image, verify};
use write::Writing;
pub use write::{Progress, Spent, Step};

/// The longest meta, in bytes.
pub const META_BYTES_MAX: usize = 64 << 10;

/// The newest whole checkpoint, as found when the store was opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loaded {
    /// How many checkpoints there had been, this one included.
    pub sequence: u64,
    /// The last log record whose effects are in the image.
    pub lsn: Lsn,
    /// What the owner stored with it.
    pub meta: Vec<u8>,
    /// Whether the other superblock is not whole. After a crash that is the torn write of a newer checkpoint, whose log
    /// records are still there; if the log begins too late, it was a finished one and is damaged.
    pub other_is_torn: bool,
}

/// One of the two images: its open files and what it lacks.
#[derive(Debug, Default)]
struct ImageState {
    regions: Vec<ImageRegion>,
}

#[derive(Debug, Default)]
struct ImageRegion {
    files: Option<ImageFiles>,
    /// The sum of each page as it is in this image.
    sums: Vec<u32>,
    /// Pages that changed since this image was last written.
    stale: PageSet,
}

#[derive(Clone, Debug)]
struct ImageFiles {
    pages: Arc<dyn DiskFile>,
    sums: Arc<dyn DiskFile>,
}

/// Writes and loads checkpoints of one set of regions in one folder. The caller holds the folder's lock.
#[derive(Debug)]
pub struct CheckpointStore {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    specs: Vec<RegionSpec>,
    superblock: Arc<dyn DiskFile>,
    sequence: u64,
    lsn: Lsn,
    images: [ImageState; 2],
    /// The checkpoint that was begun.
    writing: Option<Writing>,
    /// The one that is over, until [`CheckpointStore::end`].
    spent: Option<Writing>,
    poisoned: bool,
}

impl CheckpointStore {
    /// Makes a store without a checkpoint in the folder `dir`, which exists.
    ///
    /// # Errors
    /// [`CheckpointError::Exists`] when there is one, [`CheckpointError::NoSpace`], [`CheckpointError::Failed`].
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, specs: &[RegionSpec]) -> Result<Self, CheckpointError> {
        if disk.exists(&superblock::file(dir)).map_err(CheckpointError::Read)? {
            return Err(CheckpointError::Exists { dir: dir.to_owned() });
        }
        let file = superblock::create(&*disk, dir).map_err(CheckpointError::of_disk)?;
        Ok(Self::new(disk, dir, specs, file))
    }

    fn new(disk: Arc<dyn Disk>, dir: &Path, specs: &[RegionSpec], superblock: Arc<dyn DiskFile>) -> Self {
        let image = || ImageState {
            regions: specs.iter().map(|_| ImageRegion::default()).collect(),
        };
        Self {
            disk,
            dir: dir.to_owned(),
            specs: specs.to_vec(),
            superblock,
            sequence: 0,
            lsn: Lsn::ZERO,
            images: [image(), image()],
            writing: None,
            spent: None,
            poisoned: false,
        }
    }

    /// Opens the store and loads its newest checkpoint: the regions come in the order of `specs`, empty when there is
    /// no checkpoint yet (`None`). The log is then replayed from the number after [`Loaded::lsn`].
    ///
    /// # Errors
    /// [`CheckpointError::NoStore`] without a superblock file; [`CheckpointError::Damaged`] naming what is not whole;
    /// [`CheckpointError::OtherRegions`] when the directory is not that of `specs`; [`CheckpointError::Region`],
    /// [`CheckpointError::Read`], [`CheckpointError::Failed`].
    pub fn open(
        disk: Arc<dyn Disk>,
        dir: &Path,
        specs: &[RegionSpec],
    ) -> Result<(Self, Vec<Region>, Option<Loaded>), CheckpointError> {
        let file = superblock::open(&*disk, dir, OpenMode::Write)?;
        let slots = superblock::read_slots(&*file).map_err(CheckpointError::Read)?;
        let mut store = Self::new(disk, dir, specs, file);
        let mut regions = specs
            .iter()
            .map(|spec| Region::new(*spec))
            .collect::<Result<Vec<_>, _>>()?;
        let newest = superblock::newest(&slots, dir)?;
        if let Some(newest) = newest {
            store.load(newest, &mut regions)?;
        }
        store.settle(newest)?;
        let loaded = newest.map(|newest| Loaded {
            sequence: newest.sequence,
            lsn: newest.lsn,
            meta: newest.meta.clone(),
            other_is_torn: matches!(slots[superblock::slot_of(newest.sequence + 1)], Slot::Broken),
        });
        Ok((store, regions, loaded))
    }

    fn load(&mut self, newest: &Superblock, regions: &mut [Region]) -> Result<(), CheckpointError> {
        check_directory(&self.dir, &self.specs, &newest.directory)?;
        self.sequence = newest.sequence;
        self.lsn = newest.lsn;
        let current = superblock::slot_of(newest.sequence);
        for (at, (entry, region)) in newest.directory.iter().zip(regions.iter_mut()).enumerate() {
            region.load_len(entry.slots)?;
            let stop = &mut |problem| Err(CheckpointError::Damaged(problem));
            let sums = image::read(&*self.disk, &self.dir, current, entry, region, stop)?;
            self.images[current].regions[at].sums = sums;
            // What the other image holds is not known: it is written whole the next time.
            self.images[1 - current].regions[at]
                .stale
                .insert_range(0..region.pages());
        }
        Ok(())
    }

    /// Makes durable what was read: the process before may have died between a write and its sync, and the next
    /// checkpoint overwrites the image that a power loss would then fall back to.
    fn settle(&self, newest: Option<&Superblock>) -> Result<(), CheckpointError> {
        let again = || {
            if let Some(newest) = newest {
                superblock::write(&*self.superblock, newest)?;
            }
            self.disk.sync_dir(&self.dir)
        };
        again().map_err(CheckpointError::of_disk)
    }

    /// The last log record that the newest durable checkpoint covers; zero before the first checkpoint.
    #[must_use]
    pub const fn lsn(&self) -> Lsn {
        self.lsn
    }

    /// How many checkpoints have been written in the life of the folder.
    #[must_use]
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }
}

/// Refuses a checkpoint of other regions than the program's.
fn check_directory(dir: &Path, specs: &[RegionSpec], directory: &[Entry]) -> Result<(), CheckpointError> {
    let same = directory.len() == specs.len()
        && directory
            .iter()
            .zip(specs)
            .all(|(e, s)| e.name == s.name && e.slot_bytes == s.slot_bytes);
    if same {
        return Ok(());
    }
    let found = directory.iter().map(|entry| entry.name.clone()).collect();
    Err(CheckpointError::OtherRegions {
        dir: dir.to_owned(),
        found,
    })
}
