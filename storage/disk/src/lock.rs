//! The exclusive hold on a data folder.

use std::{any::Any, fmt};

/// The name of the lock file inside its folder.
pub(crate) const LOCK_FILE: &str = "LOCK";

/// Proof that this owner alone uses a folder; the lock is released when it is dropped.
#[must_use = "the folder is unlocked again as soon as this is dropped"]
pub struct DirLock {
    _held: Box<dyn Any + Send + Sync>,
}

impl DirLock {
    /// A lock that lasts as long as `held`.
    pub(crate) fn holding(held: impl Any + Send + Sync) -> Self {
        Self { _held: Box::new(held) }
    }
}

impl fmt::Debug for DirLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DirLock")
    }
}
