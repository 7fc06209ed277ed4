//! Reading a data directory, for the verbs that start from one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{DirLock, Disk, DiskError};
use tidegate_ledger::GenesisError;
use tidegate_settle::{Node, NodeOptions};

use super::format::{GENESIS_FILE, LEDGER_DIR};
use super::output::read_file;
use crate::error::Error;
use crate::keys::{HubKeys, HubKeysError};

/// The hub's keys; a directory without them holds no hub.
pub(super) fn load_keys(disk: &dyn Disk, dir: &Path) -> Result<HubKeys, Error> {
    HubKeys::load(disk, dir).map_err(|error| match error {
        HubKeysError::Disk(DiskError::NotFound { .. }) => Error::NotFormatted(dir.to_owned()),
        other => other.into(),
    })
}

pub(super) fn read_genesis(dir: &Path) -> Result<Vec<u8>, Error> {
    let path = dir.join(GENESIS_FILE);
    if path.is_file() {
        read_file(&path)
    } else {
        Err(Error::NotFormatted(dir.to_owned()))
    }
}

/// Says where a genesis is from.
pub(super) fn wrap_genesis(dir: &Path) -> impl Fn(GenesisError) -> Error {
    let path: PathBuf = dir.join(GENESIS_FILE);
    move |source| Error::Genesis {
        origin: path.display().to_string(),
        source,
    }
}

/// Holds the directory while it is read, so that no hub changes it meanwhile. A copy without a lock file needs none.
pub(super) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Option<DirLock>, Error> {
    if disk.exists(&dir.join("LOCK"))? {
        Ok(Some(disk.lock_dir(dir)?))
    } else {
        Ok(None)
    }
}

/// The embedded ledger, as its log leads to it.
pub(super) fn open_ledger(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Node, Error> {
    Node::open(disk, &dir.join(LEDGER_DIR), None, NodeOptions::default()).map_err(|source| Error::LedgerOpen {
        dir: dir.to_owned(),
        source: Box::new(source),
    })
}

/// The hub's state, as checkpoint and log lead to it; nothing is changed.
pub(super) fn inspect(disk: &Arc<dyn Disk>, dir: &Path) -> Result<crate::state::Inspected, Error> {
    let mut progress = super::output::Progress::new("replaying");
    let inspected = crate::state::inspect(disk, dir, &mut |batches| progress.at(batches, "batches"));
    inspected.map_err(|source| Error::State {
        dir: dir.to_owned(),
        source: Box::new(source),
    })
}
