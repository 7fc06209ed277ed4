//! What is kept of other hubs: the table of their addresses, and evidence against them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};

use crossbeam::channel::{Receiver, Sender, bounded};
use tidegate_disk::{Disk, DiskError, OpenMode};
use tidegate_peers::{Kept, Minute};

/// The table's file in a data directory.
pub(crate) const TABLE_FILE: &str = "peers";
/// The ending of its name once it could not be read.
const UNREAD: &str = "unread";
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

    /// Keeps a table; false if the disk is slow and has no time for it.
    pub(crate) fn table(&self, bytes: Vec<u8>) -> bool {
        self.0.try_send(Work::Table(bytes)).is_ok()
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

/// What was kept of other hubs, or nothing yet. A file that cannot be read is put aside: addresses are found anew, and the operator
/// has what is left of the bans.
pub(crate) fn load(dir: &Path, key: [u8; 32]) -> Kept {
    let path = dir.join(TABLE_FILE);
    let minute = super::minute();
    let error = match read(&path, minute) {
        Ok(kept) => return kept.unwrap_or_else(|| Kept::new(key)),
        Err(error) => error,
    };
    let aside = path.with_extension(UNREAD);
    let put = std::fs::rename(&path, &aside);
    tracing::warn!(
        file = %path.display(),
        %error,
        aside = %put.map_or_else(|error| error.to_string(), |()| aside.display().to_string()),
        "what was kept of other hubs cannot be read: addresses and bans are begun anew; deny by `peers.deny` whom you do not want"
    );
    Kept::new(key)
}

/// What a data directory holds of other hubs; `None` if nothing was kept yet.
///
/// # Errors
/// If the file cannot be read, or is not of a version that this program knows.
pub(crate) fn read(path: &Path, minute: Minute) -> std::io::Result<Option<Kept>> {
    match std::fs::read(path) {
        Ok(bytes) => Kept::decode(&bytes, minute)
            .map(Some)
            .map_err(|error| std::io::Error::new(std::io::ErrorKind::InvalidData, error)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use tidegate_peers::{Moment, Offence, Place};
    use tidegate_types::KeyBytes;

    use super::*;

    #[test]
    fn what_cannot_be_read_is_put_aside_and_what_can_is_taken_up() {
        let dir = tempfile::TempDir::new().unwrap();
        let (file, aside) = (dir.path().join("peers"), dir.path().join("peers.unread"));
        assert!(
            load(dir.path(), [5; 32]).table.is_empty() && !aside.exists(),
            "nothing was kept yet"
        );
        let (peer, minute) = (KeyBytes::from_bytes([7; 32]), super::super::minute());
        let mut kept = Kept::new([5; 32]);
        let ip = IpAddr::from([20, 1, 1, 1]);
        kept.table.add(Place::new(peer, ip, 7411), minute, ip, minute);
        kept.scores.note(peer, Offence::Malformed, Moment::new(0), minute);
        let bytes = kept.encode((Moment::new(0), minute));
        std::fs::write(&file, &bytes).unwrap();
        let again = load(dir.path(), [6; 32]);
        assert_eq!(again.table.len(), 1);
        assert!(again.scores.is_banned(&peer, minute) && file.exists());
        let mut later = bytes;
        later[7] = b'9';
        std::fs::write(&file, &later).unwrap();
        assert!(load(dir.path(), [6; 32]).table.is_empty() && !file.exists());
        assert_eq!(std::fs::read(&aside).unwrap(), later, "nothing is lost");
    }
}
