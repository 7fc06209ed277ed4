//! Writing a checkpoint into the older image.

use std::path::PathBuf;

use tidegate_disk::{DiskError, Lsn, OpenMode};

use super::{
    CheckpointError, CheckpointStore, ImageFiles, META_BYTES_MAX, image,
    superblock::{self, Entry, Superblock},
};
use crate::{PAGE_BYTES, Region, pages::pages_of};

/// How far a checkpoint has come. The callback may wait: that is how writing is throttled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Progress {
    /// Pages written so far.
    pub pages_done: usize,
    /// Pages to write in all.
    pub pages: usize,
}

/// The state at one log number, page by page: what a checkpoint is written from.
///
/// A set of regions that nobody changes meanwhile is one; a pinned snapshot of changing ones may be another.
pub trait Pages {
    /// How many slots region `region` has in this state, by its place among the store's regions.
    fn slots(&self, region: usize) -> usize;

    /// Copies one page of it; behind the last slot, zeros.
    fn read_page(&self, region: usize, page: usize, into: &mut [u8]);
}

impl Pages for [&mut Region] {
    fn slots(&self, region: usize) -> usize {
        self[region].len()
    }

    fn read_page(&self, region: usize, page: usize, into: &mut [u8]) {
        into.copy_from_slice(self[region].page(page));
    }
}

impl CheckpointStore {
    /// Writes a checkpoint of `regions`, in the order of the store's specs, as the state after log record `lsn`, which
    /// is durable, with `meta` beside it. When it returns `Ok`, the log up to `lsn` may go.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`], [`CheckpointError::MetaTooLong`] and [`CheckpointError::Backwards`] leave the
    /// checkpoint before in force and the store usable; [`CheckpointError::Failed`] and [`CheckpointError::Poisoned`]
    /// are for good.
    ///
    /// # Panics
    /// If `regions` are not those of the store.
    pub fn write(
        &mut self,
        regions: &mut [&mut Region],
        lsn: Lsn,
        meta: &[u8],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CheckpointError> {
        self.collect_dirty(regions);
        self.write_from(&*regions, lsn, meta, progress)
    }

    /// Takes over which pages of `regions` have changed: the first half of [`CheckpointStore::write`], to be done at
    /// the moment whose state is then given to [`CheckpointStore::write_from`].
    ///
    /// # Panics
    /// If `regions` are not those of the store.
    pub fn collect_dirty(&mut self, regions: &mut [&mut Region]) {
        let same = regions.len() == self.specs.len() && regions.iter().zip(&self.specs).all(|(r, s)| r.spec() == s);
        assert!(same, "the regions are not those that the store was opened with");
        for (at, region) in regions.iter_mut().enumerate() {
            let dirty = region.take_dirty();
            for image in &mut self.images {
                image.regions[at].stale.union_with(&dirty);
            }
        }
    }

    /// Writes a checkpoint of `state`, whose changed pages were collected before.
    ///
    /// # Errors
    /// As [`CheckpointStore::write`].
    pub fn write_from<P: Pages + ?Sized>(
        &mut self,
        state: &P,
        lsn: Lsn,
        meta: &[u8],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CheckpointError> {
        if self.poisoned {
            return Err(CheckpointError::Poisoned);
        }
        if meta.len() > META_BYTES_MAX {
            return Err(CheckpointError::MetaTooLong { bytes: meta.len() });
        }
        if lsn < self.lsn {
            return Err(CheckpointError::Backwards { lsn, before: self.lsn });
        }
        // All pages that this image lacks are written again after a failure for want of room, so trying again is safe.
        let directory = self.write_image(state, progress).map_err(|error| self.failed(error))?;
        let block = Superblock {
            sequence: self.sequence + 1,
            lsn,
            directory,
            meta: meta.to_vec(),
        };
        if let Err(error) = superblock::write(&*self.superblock, &block) {
            // Its slot was there before: want of room is as bad here as anything else.
            self.poisoned = true;
            return Err(CheckpointError::Failed(error));
        }
        self.sequence = block.sequence;
        self.lsn = lsn;
        for region in &mut self.images[superblock::slot_of(block.sequence)].regions {
            region.stale.clear();
        }
        Ok(())
    }

    fn failed(&mut self, error: DiskError) -> CheckpointError {
        let error = CheckpointError::of_disk(error);
        self.poisoned = matches!(error, CheckpointError::Failed(_));
        error
    }

    /// Writes what the older image lacks, and makes it durable.
    fn write_image<P: Pages + ?Sized>(
        &mut self,
        state: &P,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Vec<Entry>, DiskError> {
        let target = superblock::slot_of(self.sequence + 1);
        let pages = self.images[target]
            .regions
            .iter()
            .map(|region| region.stale.count())
            .sum();
        let mut so_far = Progress { pages_done: 0, pages };
        let mut directory = Vec::with_capacity(self.specs.len());
        for at in 0..self.specs.len() {
            let files = self.open_files(target, at)?;
            directory.push(self.write_region(state, target, at, &files, &mut so_far, progress)?);
            files.pages.sync_data()?;
            files.sums.sync_data()?;
        }
        self.disk.sync_dir(&self.dir)?;
        Ok(directory)
    }

    fn write_region<P: Pages + ?Sized>(
        &mut self,
        state: &P,
        target: usize,
        at: usize,
        files: &ImageFiles,
        so_far: &mut Progress,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<Entry, DiskError> {
        let spec = self.specs[at];
        let slots = state.slots(at);
        let region = &mut self.images[target].regions[at];
        region.sums.resize(pages_of(spec.slot_bytes * slots), 0);
        let mut buffer = Vec::new();
        for run in region.stale.runs(image::RUN_PAGES) {
            buffer.resize(run.len() * PAGE_BYTES, 0);
            for (page, bytes) in run.clone().zip(buffer.chunks_exact_mut(PAGE_BYTES)) {
                state.read_page(at, page, bytes);
                region.sums[page] = crc32c::crc32c(bytes);
            }
            files.pages.write_at((run.start * PAGE_BYTES) as u64, &buffer)?;
            so_far.pages_done += run.len();
            progress(*so_far);
        }
        let sums = image::sums_bytes(&region.sums);
        files.sums.write_at(0, &sums)?;
        let sums_crc = crc32c::crc32c(&sums);
        Ok(Entry {
            name: spec.name.to_owned(),
            slot_bytes: spec.slot_bytes,
            slots,
            sums_crc,
        })
    }

    fn open_files(&mut self, target: usize, at: usize) -> Result<ImageFiles, DiskError> {
        if let Some(files) = &self.images[target].regions[at].files {
            return Ok(files.clone());
        }
        let open = |path: PathBuf| match self.disk.open(&path, OpenMode::Write) {
            Err(DiskError::NotFound { .. }) => self.disk.open(&path, OpenMode::CreateNew),
            other => other,
        };
        let name = self.specs[at].name;
        let pages = open(image::pages_file(&self.dir, target, name))?;
        let sums = open(image::sums_file(&self.dir, target, name))?;
        let files = ImageFiles { pages, sums };
        self.images[target].regions[at].files = Some(files.clone());
        Ok(files)
    }
}
