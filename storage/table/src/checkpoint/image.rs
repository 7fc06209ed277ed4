//! One image of one region: its files, and reading them with every sum checked.

use std::{
    num::NonZero,
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_disk::{Disk, DiskError, DiskFile, OpenMode};

use super::{CheckpointError, Problem, superblock::Entry};
use crate::{PAGE_BYTES, Region, pages::pages_of};

/// Pages that are read by one call at most: 1 MiB.
pub(super) const RUN_PAGES: usize = 256;
/// An image of so many pages, 16 MiB, is read by several threads: copying out of the cache, giving the memory and summing take longer
/// than starting them.
const SHARED_PAGES: usize = 4_096;

pub(super) fn pages_file(dir: &Path, image: usize, region: &str) -> PathBuf {
    dir.join(format!("image-{}-{region}.pages", ["a", "b"][image]))
}

pub(super) fn sums_file(dir: &Path, image: usize, region: &str) -> PathBuf {
    dir.join(format!("image-{}-{region}.sums", ["a", "b"][image]))
}

/// The bytes of a list of sums.
pub(super) fn sums_bytes(sums: &[u32]) -> &[u8] {
    const { assert!(cfg!(target_endian = "little"), "the layout is the memory's") };
    bytemuck::cast_slice(sums)
}

/// Where problems go: an error stops the reading, `Ok` goes on.
pub(super) type OnProblem<'a> = &'a mut dyn FnMut(Problem) -> Result<(), CheckpointError>;

/// One image of one region, open for reading: its sums are whole.
#[derive(Debug)]
pub(super) struct Image {
    path: PathBuf,
    region: String,
    /// `None` when the file of the pages is missing or short; that was told then.
    pages: Option<Arc<dyn DiskFile>>,
    pub(super) sums: Vec<u32>,
}

impl Image {
    /// Opens the image and checks its sums; `None` if they are not whole.
    pub(super) fn open(
        disk: &dyn Disk,
        dir: &Path,
        image: usize,
        entry: &Entry,
        on_problem: OnProblem<'_>,
    ) -> Result<Option<Self>, CheckpointError> {
        let pages = pages_of(entry.slot_bytes * entry.slots);
        let Some(sums) = read_sums(disk, dir, image, entry, pages, on_problem)? else {
            return Ok(None);
        };
        let path = pages_file(dir, image, &entry.name);
        let file = open_whole(disk, &path, &entry.name, pages * PAGE_BYTES, on_problem)?;
        Ok(Some(Self {
            path,
            region: entry.name.clone(),
            pages: file,
            sums,
        }))
    }

    /// The runs of pages in which the image is read.
    pub(super) fn runs(&self) -> impl Iterator<Item = Range<usize>> + use<> {
        let pages = if self.pages.is_some() { self.sums.len() } else { 0 };
        (0..pages)
            .step_by(RUN_PAGES)
            .map(move |start| start..pages.min(start + RUN_PAGES))
    }

    /// Reads the pages from `first` on into `bytes`, run by run.
    fn read_part(&self, first: usize, bytes: &mut [u8], on_problem: OnProblem<'_>) -> Result<(), CheckpointError> {
        for (run, bytes) in (0..).zip(bytes.chunks_mut(RUN_PAGES * PAGE_BYTES)) {
            let start = first + run * RUN_PAGES;
            self.read_run(start..start + bytes.len() / PAGE_BYTES, bytes, on_problem)?;
        }
        Ok(())
    }

    /// Reads a run of pages into `bytes` and checks each.
    pub(super) fn read_run(
        &self,
        range: Range<usize>,
        bytes: &mut [u8],
        on_problem: OnProblem<'_>,
    ) -> Result<(), CheckpointError> {
        let file = self.pages.as_ref().expect("runs are those of a file that is there");
        file.read_at((range.start * PAGE_BYTES) as u64, bytes)
            .map_err(CheckpointError::Read)?;
        for (page, bytes) in range.zip(bytes.chunks_exact(PAGE_BYTES)) {
            if crc32c::crc32c(bytes) != self.sums[page] {
                let (file, region, offset) = (self.path.clone(), self.region.clone(), (page * PAGE_BYTES) as u64);
                on_problem(Problem::Page {
                    file,
                    region,
                    page,
                    offset,
                })?;
            }
        }
        Ok(())
    }
}

/// Reads all pages into the region they belong to, checks them and returns their sums.
pub(super) fn read(
    disk: &dyn Disk,
    dir: &Path,
    image: usize,
    entry: &Entry,
    region: &mut Region,
    on_problem: OnProblem<'_>,
) -> Result<Vec<u32>, CheckpointError> {
    let Some(image) = Image::open(disk, dir, image, entry, on_problem)? else {
        return Ok(Vec::new());
    };
    let pages = image.runs().last().map_or(0, |run| run.end);
    let bytes = region.load_pages(0..pages);
    if pages < SHARED_PAGES {
        image.read_part(0, bytes, on_problem)?;
        return Ok(image.sums);
    }
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let part = pages.div_ceil(threads).next_multiple_of(RUN_PAGES);
    let read = |(number, bytes): (usize, _)| {
        let mut problems = Vec::new();
        let read = image.read_part(number * part, bytes, &mut |problem| {
            problems.push(problem);
            Ok(())
        });
        read.map(|()| problems)
    };
    let read = &read;
    let parts = bytes.chunks_mut(part * PAGE_BYTES).enumerate();
    let found: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
        let joined = threads
            .into_iter()
            .map(|thread| thread.join().expect("reading does not panic"));
        joined.collect()
    });
    // In the order of the pages, as one thread would tell them.
    for problems in found {
        problems?.into_iter().try_for_each(&mut *on_problem)?;
    }
    Ok(image.sums)
}

fn read_sums(
    disk: &dyn Disk,
    dir: &Path,
    image: usize,
    entry: &Entry,
    pages: usize,
    on_problem: OnProblem<'_>,
) -> Result<Option<Vec<u32>>, CheckpointError> {
    let path = sums_file(dir, image, &entry.name);
    let Some(file) = open_whole(disk, &path, &entry.name, pages * size_of::<u32>(), on_problem)? else {
        return Ok(None);
    };
    let mut bytes = vec![0; pages * size_of::<u32>()];
    file.read_at(0, &mut bytes).map_err(CheckpointError::Read)?;
    if crc32c::crc32c(&bytes) != entry.sums_crc {
        on_problem(Problem::Sums {
            file: path,
            region: entry.name.clone(),
        })?;
        return Ok(None);
    }
    let (words, _) = bytes.as_chunks::<4>();
    Ok(Some(words.iter().map(|word| u32::from_le_bytes(*word)).collect()))
}

/// Opens a file for reading that must have `needed` bytes.
fn open_whole(
    disk: &dyn Disk,
    path: &Path,
    region: &str,
    needed: usize,
    on_problem: OnProblem<'_>,
) -> Result<Option<Arc<dyn DiskFile>>, CheckpointError> {
    let needed = needed as u64;
    let file = match disk.open(path, OpenMode::Read) {
        Ok(file) => Some(file),
        Err(DiskError::NotFound { .. }) => None,
        Err(other) => return Err(CheckpointError::Read(other)),
    };
    let offset = file
        .as_ref()
        .map_or(Ok(0), |file| file.len())
        .map_err(CheckpointError::Read)?;
    if file.is_none() || offset < needed {
        on_problem(Problem::Short {
            file: path.to_owned(),
            region: region.to_owned(),
            offset,
            needed,
        })?;
        return Ok(None);
    }
    Ok(file)
}
