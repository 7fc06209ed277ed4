//! Where a tower's packages are: one file for each channel, replaced whole.
//!
//! ```text
//! DIR/LOCK                   one process at a time
//! DIR/<channel>.package      message of the package (see `net/README.md`) | CRC-32C of it u32
//! DIR/cursor                 validator 32 | height u32 | hash 32 | CRC-32C of these u32: the last final block that was taken in
//! ```
//!
//! A file is written under another name, synced and renamed, so each holds the newest package that was answered for, or the
//! one before it, and never a part. The disk holds O(1) for each channel, whatever comes.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{DirLock, Disk, DiskError, OpenMode};
use tidegate_types::{ChannelId, Digest, Fixed, Height, KeyBytes, fixed_struct};
use tidegate_wire::messages::{Body as _, TowerPackage};

use crate::{Package, PackageError};

const SUFFIX: &str = ".package";
const CURSOR: &str = "cursor";

/// Why a tower's folder does not serve.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The disk failed.
    #[error(transparent)]
    Disk(#[from] DiskError),
    /// A file is damaged.
    #[error("{} is damaged: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        what: &'static str,
    },
    /// A package does not decode.
    #[error("{}: {error}", path.display())]
    Package {
        /// The file.
        path: PathBuf,
        /// Why.
        error: PackageError,
    },
}

/// The last final block that a tower has taken in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    /// The key that signs blocks.
    pub validator: KeyBytes,
    /// Its height.
    pub height: Height,
    /// Its hash.
    pub hash: Digest,
}
fixed_struct!(Cursor {
    validator: KeyBytes,
    height: Height,
    hash: Digest
});

/// A folder of packages, held until dropped.
#[derive(Debug)]
pub struct Store {
    disk: Arc<dyn Disk>,
    dir: PathBuf,
    _lock: DirLock,
}

impl Store {
    /// Opens the folder `dir`, which is made if it is not there, and hands over what it holds.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, mut take: impl FnMut(Package)) -> Result<Self, StoreError> {
        disk.create_dir_all(dir)?;
        let store = Self {
            _lock: disk.lock_dir(dir)?,
            disk,
            dir: dir.to_owned(),
        };
        for name in store.disk.list(dir)? {
            if name.ends_with(SUFFIX) {
                take(store.load(&dir.join(name))?);
            }
        }
        Ok(store)
    }

    fn load(&self, path: &Path) -> Result<Package, StoreError> {
        let bytes = self.read(path)?;
        let package = TowerPackage::decode(&bytes).map_err(|_| StoreError::Damaged {
            path: path.to_owned(),
            what: "it is no package",
        })?;
        Package::decode(&package).map_err(|error| StoreError::Package {
            path: path.to_owned(),
            error,
        })
    }

    /// Keeps a package in the place of the channel's last one. Durable on return.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn put(&self, package: &Package) -> Result<(), StoreError> {
        let parts = package.parts();
        let mut bytes = Vec::new();
        package.message(&parts).put(&mut bytes);
        self.write(&format!("{}{SUFFIX}", package.channel), bytes)
    }

    /// Forgets a channel.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn remove(&self, channel: &ChannelId) -> Result<(), StoreError> {
        let path = self.dir.join(format!("{channel}{SUFFIX}"));
        if self.disk.exists(&path)? {
            self.disk.remove(&path)?;
            self.disk.sync_dir(&self.dir)?;
        }
        Ok(())
    }

    /// The last block that was taken in; `None` in a new folder.
    ///
    /// # Errors
    /// [`StoreError`].
    pub fn cursor(&self) -> Result<Option<Cursor>, StoreError> {
        let path = self.dir.join(CURSOR);
        if !self.disk.exists(&path)? {
            return Ok(None);
        }
        let bytes = self.read(&path)?;
        let cursor = Cursor::decode(&bytes).map_err(|_| StoreError::Damaged {
            path,
            what: "it is no cursor",
        });
        cursor.map(Some)
    }

    /// Notes the last block that was taken in. Durable on return.
    ///
    /// # Errors
    /// [`StoreError::Disk`].
    pub fn set_cursor(&self, cursor: &Cursor) -> Result<(), StoreError> {
        self.write(CURSOR, cursor.to_vec())
    }

    fn write(&self, name: &str, mut bytes: Vec<u8>) -> Result<(), StoreError> {
        let crc = crc32c::crc32c(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
        let (path, new) = (self.dir.join(name), self.dir.join(format!("{name}.new")));
        if self.disk.exists(&new)? {
            self.disk.remove(&new)?;
        }
        let file = self.disk.open(&new, OpenMode::CreateNew)?;
        file.write_at(0, &bytes)?;
        file.sync_data()?;
        self.disk.rename(&new, &path)?;
        Ok(self.disk.sync_dir(&self.dir)?)
    }

    fn read(&self, path: &Path) -> Result<Vec<u8>, StoreError> {
        let damaged = |what| StoreError::Damaged {
            path: path.to_owned(),
            what,
        };
        let file = self.disk.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).map_err(|_| damaged("it is too long"))?;
        let mut bytes = vec![0; len];
        file.read_at(0, &mut bytes)?;
        let (content, crc) = bytes
            .split_last_chunk::<4>()
            .ok_or_else(|| damaged("it is too short"))?;
        if crc32c::crc32c(content).to_le_bytes() != *crc {
            return Err(damaged("its checksum does not hold"));
        }
        let len = content.len();
        bytes.truncate(len);
        Ok(bytes)
    }
}
