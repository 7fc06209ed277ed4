//! What is kept of other hubs: the table of their addresses, and evidence against them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};
use tidegate_disk::{Disk, DiskError, OpenMode};
use tidegate_peers::Table;

/// The table's file in a data directory.
const TABLE_FILE: &str = "peers";
/// The beginning of the names of evidence.
const EVIDENCE_FILE: &str = "fault";
/// Files of evidence that are kept; one suffices for one hub.
const EVIDENCE_MAX: u32 = 64;

/// Something to be written.
#[derive(Debug)]
enum Work {
    Table(Vec<u8>),
    Evidence(Vec<u8>),
}

/// Hands what is to be kept to the thread that writes it. The thread ends when this is dropped.
#[derive(Debug)]
pub(crate) struct Keeper(Sender<Work>);

impl Keeper {
    /// Starts the thread for a data directory.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(crate) fn start(disk: Arc<dyn Disk>, dir: &Path) -> std::io::Result<(Self, JoinHandle<()>)> {
        let (sender, receiver) = bounded(4);
        let dir = dir.to_owned();
        let thread = Builder::new()
            .name("peers-file".to_owned())
            .spawn(move || keep(&*disk, &dir, &receiver))?;
        Ok((Self(sender), thread))
    }

    /// Keeps a table. If the disk is slow, one of the next will do.
    pub(crate) fn table(&self, bytes: Vec<u8>) {
        drop(self.0.try_send(Work::Table(bytes)));
    }

    /// Keeps evidence.
    pub(crate) fn evidence(&self, bytes: Vec<u8>) {
        drop(self.0.try_send(Work::Evidence(bytes)));
    }
}

fn keep(disk: &dyn Disk, dir: &Path, work: &Receiver<Work>) {
    for work in work {
        let kept = match work {
            Work::Table(bytes) => write(disk, dir, &dir.join(TABLE_FILE), &bytes),
            Work::Evidence(bytes) => {
                free_name(disk, dir).and_then(|path| path.map_or(Ok(()), |path| write(disk, dir, &path, &bytes)))
            }
        };
        // Nothing of a payment rests on these files.
        if let Err(error) = kept {
            tracing::warn!(%error, "what is known of other hubs is not kept");
        }
    }
}

fn free_name(disk: &dyn Disk, dir: &Path) -> Result<Option<PathBuf>, DiskError> {
    for number in 1..=EVIDENCE_MAX {
        let path = dir.join(format!("{EVIDENCE_FILE}-{number}"));
        if !disk.exists(&path)? {
            return Ok(Some(path));
        }
    }
    Ok(None)
}

fn write(disk: &dyn Disk, dir: &Path, path: &Path, bytes: &[u8]) -> Result<(), DiskError> {
    let new = path.with_extension("new");
    if disk.exists(&new)? {
        disk.remove(&new)?;
    }
    let file = disk.open(&new, OpenMode::CreateNew)?;
    file.write_at(0, bytes)?;
    file.sync_data()?;
    disk.rename(&new, path)?;
    disk.sync_dir(dir)
}

/// The table that was kept, or an empty one: what is damaged is found anew.
pub(crate) fn load_table(dir: &Path, key: [u8; 32]) -> Table {
    let Ok(bytes) = std::fs::read(dir.join(TABLE_FILE)) else {
        return Table::new(key);
    };
    Table::decode(&bytes).unwrap_or_else(|error| {
        tracing::warn!(%error, "the table of other hubs is begun anew");
        Table::new(key)
    })
}
