//! From a backup to a data directory that never signs.

use std::path::Path;
use std::sync::Arc;

use tidegate_disk::{Disk, Lsn, OpenMode};
use tidegate_settle::NewNode;

use super::content::{Taker, Whole, walk};
use super::routes::Place;
use super::{About, BackupError};
use crate::check::{self, OnStep, Verdict};
use crate::files::{CONFIG_FILE, GENESIS_FILE, ledger_dir};
use crate::forward::folder;
use crate::state::{CopyOf, Copying, Tables};

/// A directory that was restored, and checked after it.
#[derive(Clone, Debug)]
pub struct Restored {
    /// Of what the backup is.
    pub about: About,
    /// BLAKE3 of the file, as `b3sum` prints it.
    pub hash: [u8; 32],
    /// What was found in the directory.
    pub verdict: Verdict,
}

/// Restores the backup `from` into the empty directory `data`, whose lock the caller holds, and checks the result.
///
/// # Errors
/// [`BackupError`]; what is in the directory then is nothing, and for the caller to remove.
pub fn restore(disk: &Arc<dyn Disk>, from: &Path, data: &Path, on_step: OnStep<'_>) -> Result<Restored, BackupError> {
    let mut target = Target {
        disk,
        from,
        data,
        tables: None,
        log: None,
        ledger: None,
    };
    let whole = walk(&**disk, from, &mut target, "restoring", on_step)?;
    let Whole { about, hash, .. } = target.finish(whole)?;
    let verdict = check::data_dir(disk, data, on_step);
    Ok(Restored { about, hash, verdict })
}

struct Target<'a> {
    disk: &'a Arc<dyn Disk>,
    from: &'a Path,
    data: &'a Path,
    tables: Option<Tables>,
    log: Option<Copying>,
    ledger: Option<NewNode>,
}

impl Target<'_> {
    fn bad(&self, what: &str) -> BackupError {
        BackupError::Content {
            path: self.from.to_owned(),
            what: what.to_owned(),
        }
    }

    fn file(&self, name: &str, bytes: &[u8]) -> Result<(), BackupError> {
        let file = self.disk.open(&self.data.join(name), OpenMode::CreateNew)?;
        file.write_at(0, bytes)?;
        Ok(file.sync_data()?)
    }

    fn finish(&mut self, whole: Whole) -> Result<Whole, BackupError> {
        let (Some(log), Some(ledger)) = (self.log.take(), self.ledger.take()) else {
            return Err(self.bad("a part is missing"));
        };
        log.finish()?;
        ledger.finish()?;
        self.disk.sync_dir(self.data)?;
        Ok(whole)
    }
}

fn random_number() -> Result<u64, BackupError> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(BackupError::Random)?;
    Ok(u64::from_le_bytes(bytes))
}

impl Taker for Target<'_> {
    fn about(&mut self, about: &About) -> Result<(), BackupError> {
        self.tables = Some(about.tables(self.from)?);
        Ok(())
    }

    fn genesis(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.file(GENESIS_FILE, bytes)?;
        self.ledger = Some(NewNode::begin(
            self.disk,
            &ledger_dir(self.data),
            bytes,
            random_number()?,
        )?);
        Ok(())
    }

    fn config(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        if bytes.is_empty() {
            return Ok(());
        }
        self.file(CONFIG_FILE, bytes)
    }

    fn pages(&mut self, region: usize, first: usize, bytes: &[u8]) -> Result<(), BackupError> {
        let missing = self.bad("a table has more pages than slots");
        let tables = self.tables.as_mut().filter(|tables| tables.takes(region, first, bytes));
        tables.ok_or(missing)?.fill(region, first, bytes);
        Ok(())
    }

    fn tables_end(&mut self, about: &About) -> Result<(), BackupError> {
        let tables = self.tables.take().ok_or_else(|| self.bad("its tables are missing"))?;
        let copy = CopyOf {
            lsn: Lsn::new(about.lsn),
            log_identity: random_number()?,
            segment_bytes: about.segment_bytes,
        };
        self.log = Some(tables.write_copy(self.disk, self.data, copy)?);
        Ok(())
    }

    fn record(&mut self, _lsn: Lsn, payload: &[u8]) -> Result<(), BackupError> {
        let missing = self.bad("its tables are missing");
        Ok(self.log.as_mut().ok_or(missing)?.record(payload)?)
    }

    fn log_end(&mut self) -> Result<(), BackupError> {
        Ok(())
    }

    fn block(&mut self, encoded: &[u8]) -> Result<(), BackupError> {
        let missing = self.bad("its genesis is missing");
        Ok(self.ledger.as_mut().ok_or(missing)?.block(encoded)?)
    }

    fn piece(&mut self, place: &Place, bytes: &[u8]) -> Result<(), BackupError> {
        let folder = folder(self.data, &place.hub, &place.own);
        let path = folder.join(format!("{}.journal", place.channel));
        let mode = if place.offset == 0 {
            self.disk.create_dir_all(&folder)?;
            OpenMode::CreateNew
        } else {
            OpenMode::Write
        };
        let file = self.disk.open(&path, mode)?;
        file.write_at(place.offset, bytes)?;
        file.sync_data()?;
        Ok(self.disk.sync_dir(&folder)?)
    }
}
