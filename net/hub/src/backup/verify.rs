//! Is a backup whole, and does it lead to a state in which every satoshi has its place?

use std::collections::HashSet;
use std::path::Path;

use tidegate_client::FileStore;
use tidegate_disk::{Disk, Lsn};
use tidegate_settle::{Node, NodeReplay};
use tidegate_types::{Height, OutPoint};

use super::content::{Taker, Whole, walk};
use super::routes::Place;
use super::{About, BackupError};
use crate::check::{Beside, OnStep, Verdict, look_at_ledger, look_at_state, spends};
use crate::config::Config;
use crate::state::{Replayed, Tables};

/// A backup that was read to its end: what it is, and what it leads to.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Of what it is.
    pub about: About,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of the file, as `b3sum` prints it.
    pub hash: [u8; 32],
    /// Journals of channels with next hubs.
    pub journals: u64,
    /// What was found.
    pub verdict: Verdict,
}

/// Checks every sum of a backup, replays its log and its ledger in memory, and sums up what they hold.
///
/// # Errors
/// [`BackupError`], above all the first place that is not what was written. What holds together and is still wrong is in
/// the verdict.
pub fn verify(disk: &dyn Disk, path: &Path, on_step: OnStep<'_>) -> Result<Checked, BackupError> {
    let mut rebuilt = Rebuilt {
        path,
        tables: None,
        replayed: None,
        ledger: None,
        spent: HashSet::new(),
        height: Height::ZERO,
        config: None,
        journal: None,
        journals: 0,
    };
    let whole = walk(disk, path, &mut rebuilt, "checking the backup", on_step)?;
    rebuilt.judge(whole, on_step)
}

struct Rebuilt<'a> {
    path: &'a Path,
    tables: Option<Tables>,
    replayed: Option<Replayed>,
    ledger: Option<NodeReplay>,
    /// What blocks above the state's height spend.
    spent: HashSet<OutPoint>,
    /// The newest block that the state knows.
    height: Height,
    config: Option<String>,
    /// The journal with a next hub that is coming, and how many came whole.
    journal: Option<(Place, Vec<u8>)>,
    journals: u64,
}

impl Rebuilt<'_> {
    fn bad(&self, what: &str) -> BackupError {
        BackupError::Content {
            path: self.path.to_owned(),
            what: what.to_owned(),
        }
    }

    /// Whether the journal that has come is one, to its end.
    fn check_journal(&mut self) -> Result<(), BackupError> {
        let Some((place, bytes)) = self.journal.take() else {
            return Ok(());
        };
        self.journals += 1;
        FileStore::check(self.path, &place.channel, &bytes).map_err(|error| self.bad(&error.to_string()))
    }

    fn judge(mut self, whole: Whole, on_step: OnStep<'_>) -> Result<Checked, BackupError> {
        self.check_journal()?;
        let incomplete = || BackupError::Content {
            path: self.path.to_owned(),
            what: "a part is missing".to_owned(),
        };
        let replayed = self.replayed.ok_or_else(incomplete)?;
        let state = replayed.finish();
        let mut node: Node = self.ledger.ok_or_else(incomplete)?.finish();
        let mut verdict = Verdict::default();
        look_at_state(&state, &mut verdict, on_step);
        let beside = Beside {
            spent_later: self.spent,
            end: None,
        };
        look_at_ledger(&mut node, Some(&state), &beside, &mut verdict, on_step);
        if let Some(error) = self.config {
            verdict.notes.push(format!("its configuration is not good: {error}"));
        }
        // A backup itself is no restored directory.
        verdict.restored = false;
        Ok(Checked {
            about: whole.about,
            bytes: whole.bytes,
            hash: whole.hash,
            journals: self.journals,
            verdict: verdict.conclude(),
        })
    }
}

impl Taker for Rebuilt<'_> {
    fn about(&mut self, about: &About) -> Result<(), BackupError> {
        self.tables = Some(about.tables(self.path)?);
        self.replayed = None;
        Ok(())
    }

    fn genesis(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        self.ledger = Some(NodeReplay::new(bytes)?);
        Ok(())
    }

    fn config(&mut self, bytes: &[u8]) -> Result<(), BackupError> {
        let text = String::from_utf8_lossy(bytes);
        self.config = Config::parse("config.toml", &text).err().map(|error| error.to_string());
        Ok(())
    }

    fn pages(&mut self, region: usize, first: usize, bytes: &[u8]) -> Result<(), BackupError> {
        let missing = self.bad("a table has more pages than slots");
        let tables = self.tables.as_mut().filter(|tables| tables.takes(region, first, bytes));
        tables.ok_or(missing)?.fill(region, first, bytes);
        Ok(())
    }

    fn tables_end(&mut self, about: &About) -> Result<(), BackupError> {
        let tables = self.tables.take().ok_or_else(|| self.bad("its tables are missing"))?;
        self.replayed = Some(tables.replay(Lsn::new(about.lsn))?);
        Ok(())
    }

    fn record(&mut self, lsn: Lsn, payload: &[u8]) -> Result<(), BackupError> {
        let missing = self.bad("its tables are missing");
        self.replayed.as_mut().ok_or(missing)?.record(lsn, payload)?;
        Ok(())
    }

    fn log_end(&mut self) -> Result<(), BackupError> {
        self.height = self.replayed.as_ref().map_or(Height::ZERO, Replayed::height);
        Ok(())
    }

    fn block(&mut self, encoded: &[u8]) -> Result<(), BackupError> {
        let missing = self.bad("its genesis is missing");
        let block = self.ledger.as_mut().ok_or(missing)?.apply(encoded)?;
        if block.header.height > self.height {
            self.spent.extend(spends(&block));
        }
        Ok(())
    }

    fn piece(&mut self, place: &Place, bytes: &[u8]) -> Result<(), BackupError> {
        if place.offset == 0 {
            self.check_journal()?;
            self.journal = Some((*place, Vec::new()));
        }
        if let Some((_, journal)) = &mut self.journal {
            journal.extend_from_slice(bytes);
        }
        Ok(())
    }
}
