//! Reading a data directory, for the verbs that start from one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_disk::{DirLock, Disk, DiskError};
use tidegate_ledger::{GenesisError, GenesisHead};
use tidegate_settle::Node;

use super::output::read_front;
use crate::error::Error;
use crate::files::{GENESIS_FILE, ledger_dir};
use crate::keys::{HubKeys, HubKeysError};

/// The hub's keys; a directory without them holds no hub.
pub(super) fn load_keys(disk: &dyn Disk, dir: &Path) -> Result<HubKeys, Error> {
    HubKeys::load(disk, dir).map_err(|error| match error {
        HubKeysError::Disk(DiskError::NotFound { .. }) => Error::NotFormatted(dir.to_owned()),
        other => other.into(),
    })
}

/// What stands before the outputs of the genesis: these may be gigabytes.
pub(super) fn read_genesis_front(dir: &Path) -> Result<Vec<u8>, Error> {
    require_hub(dir)?;
    read_front(&dir.join(GENESIS_FILE), GenesisHead::LEN)
}

/// Says where a genesis is from.
pub(super) fn wrap_genesis(dir: &Path) -> impl Fn(GenesisError) -> Error {
    let path: PathBuf = dir.join(GENESIS_FILE);
    move |source| Error::Genesis {
        origin: path.display().to_string(),
        source,
    }
}

/// A directory without a genesis holds no hub.
pub(super) fn require_hub(dir: &Path) -> Result<(), Error> {
    if dir.join(GENESIS_FILE).is_file() {
        Ok(())
    } else {
        Err(Error::NotFormatted(dir.to_owned()))
    }
}

/// Holds hubs off the directory while it is read, and writes nothing. A copy without a lock file needs no lock.
pub(super) fn lock(disk: &dyn Disk, dir: &Path) -> Result<Option<DirLock>, Error> {
    Ok(disk.lock_dir_shared(dir)?)
}

/// The embedded ledger, as its log leads to it; nothing is changed.
pub(super) fn look_at_ledger(disk: &Arc<dyn Disk>, dir: &Path) -> Result<Node, Error> {
    let looked = Node::look(disk, &ledger_dir(dir));
    looked.map(|(node, _tail)| node).map_err(|source| Error::LedgerOpen {
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
