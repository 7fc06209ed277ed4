//! Writing a checkpoint into the older image, step by step.
//!
//! ```text
//! begin: dirty pages taken, regions pinned ─► for each region: pages … ─► sums … ─► names ─► log? ─► superblock ─► done
//! ```
//!
//! Each step is one slice of bounded size, durable when the step returns: nothing gathers in the kernel that a commit's sync
//! would then wait for. Whoever drives the steps decides about the time between them. Here is no thread and no clock.

use std::{path::PathBuf, sync::Arc};

use tidegate_disk::{DiskError, Lsn, OpenMode};

use super::{
    CheckpointError, CheckpointStore, ImageFiles, META_BYTES_MAX, image,
    superblock::{self, Entry, Superblock},
};
use crate::{
    PAGE_BYTES, Region, RegionError,
    pages::pages_of,
    pin::{PAGE_WORDS, PinnedRegion},
};

/// Pages that one step writes at most: 256 KiB, which a disk takes in about the time of two commits.
const SLICE_PAGES: usize = 64;
const SLICE_BYTES: usize = SLICE_PAGES * PAGE_BYTES;

/// How far a checkpoint has come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Progress {
    /// Pages written so far.
    pub pages_done: usize,
    /// Pages to write in all.
    pub pages: usize,
    /// Bytes that the regions' writers had to save meanwhile.
    pub saved_bytes: u64,
}

/// What one step has done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    /// A part was written and is durable. There is more.
    Wrote(Progress),
    /// Nothing: all is written but the superblock, which waits for the log to be durable up to the checkpoint's record.
    AwaitsLog,
    /// The checkpoint is durable: the log up to its record may go.
    Done(Progress),
}

/// What is to be done next.
#[derive(Clone, Copy, Debug)]
enum Phase {
    /// Pages of this region from that page on.
    Pages {
        at: usize,
        from: usize,
    },
    /// Sums of this region from that byte on.
    Sums {
        at: usize,
        from: usize,
    },
    /// The folder.
    Names,
    Superblock,
}

/// A checkpoint that is being written.
#[derive(Debug)]
pub(super) struct Writing {
    lsn: Lsn,
    meta: Vec<u8>,
    /// The regions at the pin.
    regions: Vec<Arc<PinnedRegion>>,
    directory: Vec<Entry>,
    phase: Phase,
    progress: Progress,
    slice: Vec<[u64; PAGE_WORDS]>,
}

/// What a finished or failed checkpoint leaves in memory. Dropping it may take milliseconds: do it where nobody waits.
#[derive(Debug)]
#[must_use = "dropping it takes time: choose where"]
pub struct Spent(#[expect(dead_code, reason = "kept to be dropped")] Option<Writing>);

impl CheckpointStore {
    /// Writes a checkpoint of `regions`, in the order of the store's specs, as the state after log record `lsn`, which
    /// is durable, with `meta` beside it: [`CheckpointStore::begin`] and all its steps. When it returns `Ok`, the log up to
    /// `lsn` may go.
    ///
    /// # Errors
    /// As [`CheckpointStore::begin`] and [`CheckpointStore::step`].
    ///
    /// # Panics
    /// As [`CheckpointStore::begin`].
    pub fn write(
        &mut self,
        regions: &mut [&mut Region],
        lsn: Lsn,
        meta: &[u8],
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), CheckpointError> {
        self.begin(regions, lsn, meta)?;
        let written = loop {
            match self.step(lsn) {
                Ok(Step::Wrote(so_far)) => progress(so_far),
                Ok(Step::Done(so_far)) => {
                    progress(so_far);
                    break Ok(());
                }
                Ok(Step::AwaitsLog) => unreachable!("the log is durable up to {lsn}, by the caller's word"),
                Err(error) => break Err(error),
            }
        };
        drop(self.end(regions));
        written
    }

    /// Begins a checkpoint of `regions`, in the order of the store's specs, as they are now: the state after log record
    /// `lsn`, which need not be durable yet. From now on their writers save what the checkpoint still needs.
    ///
    /// # Errors
    /// [`CheckpointError::MetaTooLong`], [`CheckpointError::Backwards`], [`CheckpointError::Region`] leave the checkpoint
    /// before in force and the store usable; [`CheckpointError::Poisoned`] is for good.
    ///
    /// # Panics
    /// If `regions` are not those of the store, or a checkpoint was begun and not ended.
    pub fn begin(&mut self, regions: &mut [&mut Region], lsn: Lsn, meta: &[u8]) -> Result<(), CheckpointError> {
        let same = regions.len() == self.specs.len() && regions.iter().zip(&self.specs).all(|(r, s)| r.spec() == s);
        assert!(same, "the regions are not those that the store was opened with");
        assert!(self.writing.is_none(), "one checkpoint after the other");
        if self.poisoned {
            return Err(CheckpointError::Poisoned);
        }
        if meta.len() > META_BYTES_MAX {
            return Err(CheckpointError::MetaTooLong { bytes: meta.len() });
        }
        if lsn < self.lsn {
            return Err(CheckpointError::Backwards { lsn, before: self.lsn });
        }
        let pinned = match self.pin(regions) {
            Ok(pinned) => pinned,
            Err(error) => {
                drop(self.end(regions));
                return Err(error.into());
            }
        };
        let pages = pinned.iter().map(|region| region.pending().count()).sum();
        self.writing = Some(Writing {
            lsn,
            meta: meta.to_vec(),
            regions: pinned,
            directory: Vec::with_capacity(self.specs.len()),
            phase: Phase::Pages { at: 0, from: 0 },
            progress: Progress {
                pages,
                ..Progress::default()
            },
            slice: Vec::new(),
        });
        Ok(())
    }

    /// Does one bounded part of the checkpoint that was begun. `durable` is the last record that is durable in the log.
    ///
    /// # Errors
    /// [`CheckpointError::NoSpace`] leaves the checkpoint before in force and the store usable;
    /// [`CheckpointError::Failed`] and [`CheckpointError::Poisoned`] are for good. Either way this checkpoint is over.
    ///
    /// # Panics
    /// If none was begun, or it is over.
    pub fn step(&mut self, durable: Lsn) -> Result<Step, CheckpointError> {
        if self.poisoned {
            return Err(CheckpointError::Poisoned);
        }
        let mut writing = self.writing.take().expect("a checkpoint was begun");
        let result = self.step_of(&mut writing, durable);
        if !matches!(result, Ok(Step::Wrote(_) | Step::AwaitsLog)) {
            self.spent = Some(writing);
        } else {
            self.writing = Some(writing);
        }
        result
    }

    /// Lets the regions' writers go on without saving anything, and gives back the memory of what they had saved. To be
    /// called when the checkpoint is over; called earlier, it gives the checkpoint up.
    pub fn end(&mut self, regions: &mut [&mut Region]) -> Spent {
        regions.iter_mut().for_each(|region| region.unpin());
        Spent(self.writing.take().or_else(|| self.spent.take()))
    }

    /// Whether a checkpoint was begun and is not over.
    #[must_use]
    pub const fn is_writing(&self) -> bool {
        self.writing.is_some()
    }

    /// Bytes of pages that a checkpoint begun now would write.
    ///
    /// # Panics
    /// If `regions` are not those of the store.
    #[must_use]
    pub fn bytes_to_write(&self, regions: &[&Region]) -> u64 {
        let target = &self.images[superblock::slot_of(self.sequence + 1)];
        let pages = regions
            .iter()
            .zip(&target.regions)
            .map(|(region, image)| image.stale.count_with(region.dirty()));
        pages.sum::<usize>() as u64 * PAGE_BYTES as u64
    }

    fn pin(&mut self, regions: &mut [&mut Region]) -> Result<Vec<Arc<PinnedRegion>>, RegionError> {
        let target = superblock::slot_of(self.sequence + 1);
        let mut pinned = Vec::with_capacity(regions.len());
        for (at, region) in regions.iter_mut().enumerate() {
            let dirty = region.take_dirty();
            for image in &mut self.images {
                image.regions[at].stale.union_with(&dirty);
            }
            // What this image lacks is written again after a failure for want of room, so trying again is safe.
            let image = &mut self.images[target].regions[at];
            image.sums.resize(region.pages(), 0);
            pinned.push(region.pin(image.stale.clone())?);
        }
        Ok(pinned)
    }

    fn step_of(&mut self, writing: &mut Writing, durable: Lsn) -> Result<Step, CheckpointError> {
        let next = match writing.phase {
            Phase::Pages { at, from } => self.write_pages(writing, at, from),
            Phase::Sums { at, from } => self.write_sums(writing, at, from),
            Phase::Names => self.disk.sync_dir(&self.dir).map(|()| Phase::Superblock),
            Phase::Superblock if durable < writing.lsn => return Ok(Step::AwaitsLog),
            Phase::Superblock => return self.write_superblock(writing),
        };
        writing.phase = next.map_err(|error| self.failed(error))?;
        writing.progress.saved_bytes = writing.regions.iter().map(|region| region.saved_bytes()).sum();
        Ok(Step::Wrote(writing.progress))
    }

    fn failed(&mut self, error: DiskError) -> CheckpointError {
        let error = CheckpointError::of_disk(error);
        self.poisoned = matches!(error, CheckpointError::Failed(_));
        error
    }

    /// Writes some pages of region `at`, the first not before page `from`.
    fn write_pages(&mut self, writing: &mut Writing, at: usize, from: usize) -> Result<Phase, DiskError> {
        let target = superblock::slot_of(self.sequence + 1);
        let files = self.open_files(target, at)?;
        let (pinned, slice) = (&writing.regions[at], &mut writing.slice);
        let sums = &mut self.images[target].regions[at].sums;
        let (mut next, mut left) = (from, SLICE_PAGES);
        for run in pinned.pending().runs_from(from, SLICE_PAGES) {
            let run = run.start..run.end.min(run.start + left);
            slice.resize(run.len(), [0; PAGE_WORDS]);
            for (page, words) in run.clone().zip(slice.iter_mut()) {
                pinned.take_page(page, words);
                sums[page] = crc32c::crc32c(bytemuck::bytes_of(words));
            }
            let bytes: &[u8] = bytemuck::cast_slice(slice);
            files.pages.write_at((run.start * PAGE_BYTES) as u64, bytes)?;
            (next, left) = (run.end, left - run.len());
            if left == 0 {
                break;
            }
        }
        writing.progress.pages_done += SLICE_PAGES - left;
        if left < SLICE_PAGES {
            files.pages.sync_data()?;
        }
        Ok(if left == 0 {
            Phase::Pages { at, from: next }
        } else {
            Phase::Sums { at, from: 0 }
        })
    }

    /// Writes some sums of region `at`, from byte `from` of their file on.
    fn write_sums(&mut self, writing: &mut Writing, at: usize, from: usize) -> Result<Phase, DiskError> {
        let target = superblock::slot_of(self.sequence + 1);
        let files = self.open_files(target, at)?;
        let sums = image::sums_bytes(&self.images[target].regions[at].sums);
        let end = sums.len().min(from + SLICE_BYTES);
        if from < end {
            files.sums.write_at(from as u64, &sums[from..end])?;
            files.sums.sync_data()?;
        }
        if end < sums.len() {
            return Ok(Phase::Sums { at, from: end });
        }
        let spec = self.specs[at];
        writing.directory.push(Entry {
            name: spec.name.to_owned(),
            slot_bytes: spec.slot_bytes,
            slots: writing.regions[at].slots(),
            sums_crc: crc32c::crc32c(sums),
        });
        Ok(if at + 1 < self.specs.len() {
            Phase::Pages { at: at + 1, from: 0 }
        } else {
            Phase::Names
        })
    }

    fn write_superblock(&mut self, writing: &mut Writing) -> Result<Step, CheckpointError> {
        let block = Superblock {
            sequence: self.sequence + 1,
            lsn: writing.lsn,
            directory: std::mem::take(&mut writing.directory),
            meta: std::mem::take(&mut writing.meta),
        };
        if let Err(error) = superblock::write(&*self.superblock, &block) {
            // Its slot was there before: want of room is as bad here as anything else.
            self.poisoned = true;
            return Err(CheckpointError::Failed(error));
        }
        self.sequence = block.sequence;
        self.lsn = block.lsn;
        for region in &mut self.images[superblock::slot_of(block.sequence)].regions {
            region.stale.clear();
        }
        Ok(Step::Done(writing.progress))
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

const _: () = assert!(pages_of(SLICE_BYTES) == SLICE_PAGES, "a slice is whole pages");
