//! The names in a data directory.

use std::path::{Path, PathBuf};

/// The settlement ledger's first state, which names it.
pub(crate) const GENESIS_FILE: &str = "genesis";
/// The configuration in force.
pub(crate) const CONFIG_FILE: &str = "config.toml";

/// The folder of the embedded ledger.
pub(crate) fn ledger_dir(data: &Path) -> PathBuf {
    data.join("ledger")
}

/// The wallets with the next hubs of routes, a folder for each.
pub(crate) fn routes_dir(data: &Path) -> PathBuf {
    data.join("routes")
}
