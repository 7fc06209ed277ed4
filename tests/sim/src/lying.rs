//! A disk that says "synced" and has not: what the checkers must find out.

use std::path::Path;
use std::sync::Arc;

use tidegate_disk::{DirLock, Disk, DiskError, DiskFile, FaultyDisk, OpenMode};

/// Passes everything on but the syncs of files.
#[derive(Debug)]
pub struct LyingDisk(FaultyDisk);

#[derive(Debug)]
struct LyingFile(Arc<dyn DiskFile>);

/// Wraps a disk.
#[must_use]
pub fn lying(disk: FaultyDisk) -> Arc<dyn Disk> {
    Arc::new(LyingDisk(disk))
}

/// Leaves a disk as it is.
#[must_use]
pub fn honest(disk: FaultyDisk) -> Arc<dyn Disk> {
    Arc::new(disk)
}

impl Disk for LyingDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        Ok(Arc::new(LyingFile(self.0.open(path, mode)?)))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        self.0.remove(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError> {
        self.0.list(dir)
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        self.0.exists(path)
    }

    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        self.0.create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        self.0.sync_dir(dir)
    }

    fn lock_dir(&self, dir: &Path) -> Result<DirLock, DiskError> {
        self.0.lock_dir(dir)
    }

    fn lock_dir_shared(&self, dir: &Path) -> Result<Option<DirLock>, DiskError> {
        self.0.lock_dir_shared(dir)
    }
}

impl DiskFile for LyingFile {
    fn write_parts_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        self.0.write_parts_at(offset, parts)
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.0.read_at(offset, into)
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        Ok(())
    }

    fn set_len(&self, bytes: u64) -> Result<(), DiskError> {
        self.0.set_len(bytes)
    }

    fn allocate(&self, bytes: u64) -> Result<(), DiskError> {
        self.0.allocate(bytes)
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.0.len()
    }
}
