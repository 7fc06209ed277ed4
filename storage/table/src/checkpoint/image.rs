//! One image of one region: its files, and reading them with every sum checked.

use std::{
    ops::Range,
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_disk::{Disk, DiskError, DiskFile, OpenMode};

use super::{CheckpointError, Problem, superblock::Entry};
use crate::{PAGE_BYTES, Region, pages::pages_of};

/// Pages that are read by one call at most: 1 MiB.
pub(super) const RUN_PAGES: usize = 256;

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
    for range in image.runs() {
        image.read_run(range.clone(), region.load_pages(range), on_problem)?;
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
