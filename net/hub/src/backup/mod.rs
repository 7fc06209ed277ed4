//! Backups: one sealed file with all that a data directory is, as of one log record, taken while the hub runs.
//!
//! ```text
//! DIR/state, newest image ── pages, each with its sum ──▶ regions ┐
//! DIR/wal, behind that image ── records up to LSN ──────▶ log     ├▶ F.part ─▶ synced, renamed ─▶ F
//! DIR/ledger ── blocks ─────────────────────────────────▶ ledger  │
//! DIR/routes ── journals with next hubs, read last ─────▶ routes  ┘
//!
//! parts of F, in this order:  about   genesis   config   region NAME …   log   ledger   routes   end
//! ```
//!
//! **Why from files, and not from a snapshot that the hub pins.** A checkpoint's image is immutable until the checkpoint
//! after the next is begun, and so is the log behind it: together they are the state at any record of that log, without a
//! word to the hub. It neither knows of a backup nor waits for one, keeps no copies of pages for one that takes an hour, and
//! is not held up by one that hangs; a hub that is stopped, stuck or dead is backed up by the same code. What a pin would
//! save is the log's part of the file, at most what a start would replay.
//!
//! **Why the result is consistent.** Nothing is believed for being read: each page must have the sum that the superblock
//! leads to, each record must continue the one before. A hub that is so busy that it writes two checkpoints meanwhile
//! overwrites what is being read; that shows, and the copying starts over with the newest image. The log goes at least up to
//! the record that was the newest when its copying began, and is synced by the backup itself before it counts: no record
//! of a backup can be missing in the hub after a loss of power. The ledger is read after it, so it knows every block that the
//! state knows. The journals are read last, each up to its last whole record: they are evidence, and the newest is the best.
//! Backups of format 1 have no part for them.
//!
//! **What is not in it.** No key: `hub.key` never changes, so it is kept apart, once. A backup can be anywhere and signs
//! nothing. It shows every channel and the salts of the receipts, so it is for the operator alone (mode 0600).
//!
//! **What a restored directory is.** Later batches than the backup's may be signed and in the hands of clients. To sign
//! another batch of the same number would be the hub's fault (protocol rules 19 and 27), so a restored state is marked
//! under the sum of its superblock, and no `start` opens it. It is for looking, proving and closing.

mod content;
mod error;
mod restore;
mod routes;
mod source;
mod verify;
mod write;

pub use error::BackupError;
pub use restore::{Restored, restore};
pub use verify::{Checked, verify};
pub use write::{Made, lock_unfinished, write};

use std::path::Path;

use serde::{Deserialize, Serialize};
use tidegate_table::SuperblockInfo;

use crate::state::Tables;

const PART_ABOUT: &str = "about";
const PART_GENESIS: &str = "genesis";
const PART_CONFIG: &str = "config";
const PART_LOG: &str = "log";
const PART_LEDGER: &str = "ledger";
/// Since format 2: `next hub 32 | own key 32 | channel 32 | offset u64 | bytes of the journal from there on` in each unit.
const PART_ROUTES: &str = "routes";
const PART_END: &str = "end";

/// The part of one table.
fn region_part(name: &str) -> String {
    format!("region {name}")
}

/// The layout of the parts' content.
const FORMAT: u32 = 2;
/// The first with journals.
const FORMAT_OF_ROUTES: u32 = 2;

/// The first part, as JSON: of what the backup is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The layout of the parts' content: 2, or 1 without journals of routes.
    pub format: u32,
    /// The program that made it.
    pub made_by: String,
    /// When it was begun, in Unix milliseconds.
    pub begun_ms: u64,
    /// The settlement ledger, hex.
    pub ledger: String,
    /// The checkpoint's number in the life of its directory.
    pub checkpoint: u64,
    /// The last log record that the checkpoint covers.
    pub lsn: u64,
    /// The length of a log segment.
    pub segment_bytes: u64,
    /// The tables.
    pub regions: Vec<AboutRegion>,
}

/// A table in a backup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AboutRegion {
    /// Its name.
    pub name: String,
    /// The size of a slot.
    pub slot_bytes: usize,
    /// How many slots it has.
    pub slots: usize,
    /// CRC32C of the list of its pages' sums.
    pub sums_crc: u32,
}

impl About {
    /// Empty tables of its sizes.
    fn tables(&self, path: &Path) -> Result<Tables, BackupError> {
        let sizes = self
            .regions
            .iter()
            .map(|region| (region.name.as_str(), region.slot_bytes, region.slots));
        Ok(Tables::new(path, &sizes.collect::<Vec<_>>())?)
    }

    /// Whether this is a backup of that checkpoint.
    fn is_of(&self, ledger: &str, found: &SuperblockInfo) -> bool {
        let same = self
            .regions
            .iter()
            .map(|region| (&region.name, region.slots, region.sums_crc));
        self.format == FORMAT
            && self.ledger == ledger
            && (self.checkpoint, self.lsn) == (found.sequence, found.lsn.get())
            && same.eq(found
                .regions
                .iter()
                .map(|region| (&region.name, region.slots, region.sums_crc)))
    }
}

/// The last part, as JSON: up to where the backup goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct End {
    lsn: u64,
    ledger_height: u64,
}
