//! `tidegate backup`: one file with all that a data directory is, while its hub runs; and whether such a file is whole.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidegate_disk::{Disk, RealDisk};
use tidegate_table::unfinished;

use super::Outcome;
use super::data::require_hub;
use super::output::{Bar, JsonFlag, grouped};
use super::verify::{lines as verdict_lines, outcome};
use crate::backup::{self, Checked, Made};
use crate::error::Error;

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(
    after_help = "Example:\n  tidegate backup --data hub --to hub.backup\n  tidegate backup verify hub.backup\n\nThe hub may be \
                        running. The backup is of one log record; it is written as FILE.part and gets its name when all of it is \
                        durable. An interrupted backup goes on where it was: run the same command again. The hub's key is not \
                        in it: it never changes, so keep one copy of hub.key apart."
)]
pub(super) struct BackupArgs {
    #[command(subcommand)]
    verb: Option<BackupVerb>,
    /// The data directory; its hub may be running
    #[arg(long, value_name = "DIR", required = true)]
    data: Option<PathBuf>,
    /// The backup, a new file
    #[arg(long, value_name = "FILE", required = true)]
    to: Option<PathBuf>,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Subcommand)]
enum BackupVerb {
    /// Check a backup: every sum, every batch, every satoshi
    #[command(
        after_help = "Example:\n  tidegate backup verify hub.backup\n\nIts log and its ledger are replayed in memory. Exit code 1 \
                            with file and offset if a byte is not what was written."
    )]
    Verify(VerifyArgs),
}

#[derive(Debug, Args)]
struct VerifyArgs {
    /// The backup
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &BackupArgs) -> Outcome {
    match (&args.verb, &args.data, &args.to) {
        (Some(BackupVerb::Verify(args)), ..) => verify(args),
        (None, Some(data), Some(to)) => make(data, to, &args.json),
        (None, ..) => Err(Error::Syntax("--data and --to are needed".into())),
    }
}

fn make(data: &Path, to: &Path, json: &JsonFlag) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    require_hub(data)?;
    let lock = backup::lock_unfinished(to)?;
    let mut bar = Bar::new();
    let made = backup::write(&disk, data, to, unix_millis(), &mut |step| bar.at(step));
    drop(bar);
    if made.is_err() && lock.metadata().is_ok_and(|meta| meta.len() == 0) {
        // Nothing was begun: nothing is left to go on with.
        let _ = std::fs::remove_file(unfinished(to));
    }
    let made = made?;
    json.emit(&report(to, &made), || lines(to, &made))?;
    Ok(0)
}

fn unix_millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn report(to: &Path, made: &Made) -> Value {
    json!({
        "ok": true,
        "file": to.display().to_string(),
        "bytes": made.bytes,
        "blake3": hex::encode(made.hash),
        "lsn": made.lsn,
        "checkpoint": {"sequence": made.about.checkpoint, "lsn": made.about.lsn},
        "records": made.records,
        "ledger": made.about.ledger,
        "ledger_height": made.ledger_height,
        "resumed_bytes": made.resumed_bytes,
        "overtaken": made.overtaken,
    })
}

fn lines(to: &Path, made: &Made) -> String {
    let number = |number: u64| grouped(number.into());
    let mut text = format!(
        "backed up to {}\n  log record  {} (checkpoint {} at {}, and {} batches behind it)\n  ledger      height {}\n  size        {} \
         bytes\n  blake3      {}\n",
        to.display(),
        number(made.lsn),
        made.about.checkpoint,
        number(made.about.lsn),
        number(made.records),
        number(made.ledger_height),
        number(made.bytes),
        hex::encode(made.hash),
    );
    if made.resumed_bytes > 0 {
        text += &format!(
            "  resumed     {} bytes were there already\n",
            number(made.resumed_bytes)
        );
    }
    if made.overtaken > 0 {
        text += &format!(
            "  started over {} times: the hub had overwritten what was being copied\n",
            made.overtaken
        );
    }
    text + &format!(
        "hub.key is not in it: keep one copy of that file apart, it never changes.\nNext: tidegate backup verify {}\n",
        to.display()
    )
}

fn verify(args: &VerifyArgs) -> Outcome {
    let mut bar = Bar::new();
    let checked = backup::verify(&RealDisk, &args.file, &mut |step| bar.at(step))?;
    drop(bar);
    args.json.emit(&checked_report(&args.file, &checked), || {
        verdict_lines(&args.file.display().to_string(), &checked.verdict)
            + &format!(
                "  backup      {} bytes, blake3 {}, by {}\n",
                grouped(checked.bytes.into()),
                hex::encode(checked.hash),
                checked.about.made_by
            )
    })?;
    outcome(&args.file, &checked.verdict)
}

fn checked_report(file: &Path, checked: &Checked) -> Value {
    let mut value = serde_json::to_value(&checked.verdict).expect("a verdict is plain data");
    let more = json!({
        "file": file.display().to_string(),
        "bytes": checked.bytes,
        "blake3": hex::encode(checked.hash),
        "begun_ms": checked.about.begun_ms,
        "made_by": checked.about.made_by,
        "ledger": checked.about.ledger,
        "journals": checked.journals,
    });
    if let (Value::Object(all), Value::Object(more)) = (&mut value, more) {
        all.extend(more);
    }
    value
}
