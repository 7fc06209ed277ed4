//! A disk that is only read, with some of its bytes flipped.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{DirLock, Disk, DiskError, DiskFile, Op, OpenMode};

/// Files by path.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;
/// A file, a byte of it, and the bits that are flipped there.
pub(crate) type Flip = (PathBuf, usize, u8);

#[derive(Debug)]
struct Content {
    files: Arc<Files>,
    flips: BTreeMap<PathBuf, Vec<(usize, u8)>>,
}

/// The disk. Every call that would change something fails.
#[derive(Debug)]
pub(crate) struct FlippedDisk(Arc<Content>);

#[derive(Debug)]
struct FlippedFile {
    content: Arc<Content>,
    path: PathBuf,
}

impl FlippedDisk {
    pub(crate) fn new(files: &Arc<Files>, flips: &[Flip]) -> Self {
        let mut by_file: BTreeMap<PathBuf, Vec<(usize, u8)>> = BTreeMap::new();
        for (path, at, mask) in flips {
            by_file.entry(path.clone()).or_default().push((*at, *mask));
        }
        Self(Arc::new(Content {
            files: Arc::clone(files),
            flips: by_file,
        }))
    }
}

const EROFS: i32 = 30;

fn read_only(op: Op, path: &Path) -> DiskError {
    DiskError::Io {
        op,
        path: path.to_owned(),
        errno: EROFS,
    }
}

impl Disk for FlippedDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        if mode != OpenMode::Read {
            return Err(read_only(Op::Open, path));
        }
        if !self.0.files.contains_key(path) {
            return Err(DiskError::NotFound { path: path.to_owned() });
        }
        Ok(Arc::new(FlippedFile {
            content: Arc::clone(&self.0),
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, _to: &Path) -> Result<(), DiskError> {
        Err(read_only(Op::Rename, from))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        Err(read_only(Op::Remove, path))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError> {
        let names = self.0.files.keys().filter(|path| path.parent() == Some(dir));
        Ok(names
            .filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()))
            .collect())
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        Ok(self.0.files.keys().any(|file| file.starts_with(path)))
    }

    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        Err(read_only(Op::MakeDir, dir))
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        Err(read_only(Op::SyncDir, dir))
    }

    fn lock_dir(&self, dir: &Path) -> Result<DirLock, DiskError> {
        Err(read_only(Op::Lock, dir))
    }

    fn lock_dir_shared(&self, _dir: &Path) -> Result<Option<DirLock>, DiskError> {
        Ok(None)
    }
}

impl FlippedFile {
    fn bytes(&self) -> &[u8] {
        &self.content.files[&self.path]
    }
}

impl DiskFile for FlippedFile {
    fn write_parts_at(&self, _offset: u64, _parts: &[&[u8]]) -> Result<(), DiskError> {
        Err(read_only(Op::Write, &self.path))
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let start = usize::try_from(offset).expect("small files");
        let end = start + into.len();
        let bytes = self.bytes().get(start..end).ok_or_else(|| DiskError::UnexpectedEnd {
            path: self.path.clone(),
            end: end as u64,
        })?;
        into.copy_from_slice(bytes);
        for (at, mask) in self.content.flips.get(&self.path).into_iter().flatten() {
            if (start..end).contains(at) {
                into[at - start] ^= mask;
            }
        }
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        Err(read_only(Op::Sync, &self.path))
    }

    fn set_len(&self, _bytes: u64) -> Result<(), DiskError> {
        Err(read_only(Op::SetLen, &self.path))
    }

    fn allocate(&self, _bytes: u64) -> Result<(), DiskError> {
        Err(read_only(Op::Allocate, &self.path))
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.bytes().len() as u64)
    }
}
