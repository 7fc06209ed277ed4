//! A directory that is being made, by `format` or `restore`: locked, and as it was before if anything fails.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use tidegate_disk::{DirLock, Disk};

use crate::error::Error;
use crate::files::GENESIS_FILE;
use crate::keys::HUB_KEYS_FILE;

/// The name of the lock file, the one thing that an empty directory may hold.
const LOCK_FILE: &str = "LOCK";

/// Holds the lock while a directory is made. Dropped before [`Attempt::keep`], it removes what was made.
#[derive(Debug)]
pub(super) struct Attempt {
    dir: PathBuf,
    made_dir: bool,
    made_lock: bool,
    kept: bool,
    _lock: DirLock,
}

impl Attempt {
    /// Takes a directory that is new or empty.
    pub(super) fn begin(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Self, Error> {
        let made_dir = !disk.exists(dir)?;
        disk.create_dir_all(dir)?;
        let made_lock = !disk.exists(&dir.join(LOCK_FILE))?;
        // A directory of other things gets no lock file; one that is in use says so first.
        if made_lock {
            check_empty(dir)?;
        }
        let lock = disk.lock_dir(dir)?;
        check_empty(dir)?;
        Ok(Self {
            dir: dir.to_owned(),
            made_dir,
            made_lock,
            kept: false,
            _lock: lock,
        })
    }

    /// All is well: what was made stays.
    pub(super) const fn keep(&mut self) {
        self.kept = true;
    }

    /// Everything in the directory was made by this attempt: it was empty, and is locked.
    fn undo(&self) -> io::Result<()> {
        if self.made_dir {
            return fs::remove_dir_all(&self.dir);
        }
        for entry in fs::read_dir(&self.dir)? {
            let entry = entry?;
            if entry.file_name() == LOCK_FILE && !self.made_lock {
                continue;
            }
            if entry.file_type()?.is_dir() {
                fs::remove_dir_all(entry.path())?;
            } else {
                fs::remove_file(entry.path())?;
            }
        }
        Ok(())
    }
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if self.kept {
            return;
        }
        if let Err(error) = self.undo() {
            eprintln!(
                "warning: {} is half made and could not be cleared: {error}",
                self.dir.display()
            );
        }
    }
}

fn check_empty(dir: &Path) -> Result<(), Error> {
    let failed = |source| Error::Io {
        action: "list",
        path: dir.to_owned(),
        source,
    };
    let names = fs::read_dir(dir)
        .map_err(failed)?
        .map(|entry| entry.map(|entry| entry.file_name()));
    let mut names = names.collect::<Result<Vec<_>, _>>().map_err(failed)?;
    names.retain(|name| name != LOCK_FILE);
    if names.is_empty() {
        return Ok(());
    }
    let found = if names.iter().any(|name| name == HUB_KEYS_FILE) {
        "a hub"
    } else if names.iter().any(|name| name == GENESIS_FILE) {
        "what an interrupted format or restore left, or a restored hub"
    } else {
        "other files"
    };
    Err(Error::DirUsed {
        dir: dir.to_owned(),
        found,
    })
}
