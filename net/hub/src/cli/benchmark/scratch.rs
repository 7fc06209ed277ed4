//! A directory that goes when the benchmark does.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::keys::HubKeysError;

/// A new directory, removed with everything in it when dropped.
#[derive(Debug)]
pub(super) struct Scratch {
    path: PathBuf,
}

impl Scratch {
    pub(super) fn new(within: Option<&Path>) -> Result<Self, Error> {
        let mut number = [0; 8];
        getrandom::fill(&mut number).map_err(HubKeysError::Random)?;
        let within = within.map_or_else(std::env::temp_dir, Path::to_owned);
        let path = within.join(format!("tidegate-benchmark-{}", hex::encode(number)));
        fs::create_dir(&path).map_err(|source| Error::Io {
            action: "make",
            path: path.clone(),
            source,
        })?;
        Ok(Self { path })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.path) {
            eprintln!("warning: {} could not be removed: {error}", self.path.display());
        }
    }
}
