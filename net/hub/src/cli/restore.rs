//! `tidegate restore`: from a backup to a directory that is looked at, proved from and closed, and never signs again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use serde_json::json;
use tidegate_disk::{Disk, RealDisk};

use super::Outcome;
use super::attempt::Attempt;
use super::output::{Bar, JsonFlag};
use super::verify::{lines as verdict_lines, outcome};
use crate::backup::{self, Restored};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate restore hub.backup --data restored\n  tidegate verify --data restored\n\nThe directory must be \
                        new or empty; after a failure nothing is left behind. A restored directory never signs again: batches \
                        later than the backup may be in clients' hands."
)]
pub(super) struct RestoreArgs {
    /// The backup, made by `tidegate backup`
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The new data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &RestoreArgs) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut bar = Bar::new();
    let mut attempt = Attempt::begin(&disk, &args.data)?;
    let restored = backup::restore(&disk, &args.file, &args.data, &mut |step| bar.at(step))?;
    drop(bar);
    if restored.verdict.ok {
        attempt.keep();
    }
    let value = json!({
        "ok": restored.verdict.ok,
        "data": args.data.display().to_string(),
        "file": args.file.display().to_string(),
        "blake3": hex::encode(restored.hash),
        "verdict": restored.verdict,
        "may_sign": false,
    });
    args.json.emit(&value, || lines(args, &restored))?;
    outcome(&args.data, &restored.verdict)
}

fn lines(args: &RestoreArgs, restored: &Restored) -> String {
    let data = args.data.display().to_string();
    let mut text = verdict_lines(&data, &restored.verdict);
    if restored.verdict.ok {
        text += &way_out(&args.data);
    }
    text
}

/// What to do with a restored directory (protocol rule 19).
pub(super) fn way_out(data: &Path) -> String {
    let data = data.display();
    format!(
        "This directory never signs again: the hub may have signed later batches, and signing others of the same numbers \
         would be its fault. The way out is a new key, and every channel closed with the evidence held:\n  \
         tidegate export --data {data} > evidence.jsonl   the newest state and acknowledgement of each channel, signed \
         by its client\n  tidegate format --data NEW   a hub with a new key, for new channels\nClients hold the same or newer \
         evidence. This version's ledger closes a channel only by both sides together.\n"
    )
}
