//! `tidegate inspect checkpoint`: both superblocks and their images.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use tidegate_disk::{Disk, RealDisk};

use super::Source;
use crate::cli::Outcome;
use crate::cli::data::{lock, require_hub};
use crate::cli::http;
use crate::cli::output::{Bar, JsonFlag, grouped};
use crate::error::Error;
use crate::inside::{CheckpointRow, CheckpointRows};
use crate::state::StateError;

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckpointArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &CheckpointArgs) -> Outcome {
    let rows = match (&args.source.admin, &args.source.data) {
        (Some(admin), _) => http::rows(*admin, "/checkpoints")?,
        (None, Some(data)) => read(data)?,
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    args.json.emit(&rows, || lines(&rows))?;
    // Of the newest only: the older image is half overwritten after a stop during a checkpoint, and nobody needs it.
    let newest = rows.slots.iter().find(|row| row.newest);
    match (newest.and_then(|row| row.problems.first()), &args.source.data) {
        (Some(first), Some(data)) => Err(Error::Verify {
            place: data.clone(),
            count: newest.map_or(0, |row| row.problems.len()),
            first: first.what.clone(),
        }),
        _ => Ok(0),
    }
}

fn read(data: &Path) -> Result<CheckpointRows, Error> {
    require_hub(data)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let _lock = lock(&*disk, data)?;
    let mut bar = Bar::new();
    CheckpointRows::of_dir(&*disk, data, &mut |step| bar.at(step)).map_err(|source| Error::State {
        dir: data.to_owned(),
        source: Box::new(StateError::Checkpoint(source)),
    })
}

fn lines(rows: &CheckpointRows) -> String {
    let mut text = String::new();
    for row in &rows.slots {
        text += &of_slot(row, rows.checked);
    }
    if !rows.checked {
        text += "of a running hub: the images were not read\n";
    }
    text
}

fn of_slot(row: &CheckpointRow, checked: bool) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "unknown".to_owned(), |number| grouped(number.into()));
    let mut text = match row.superblock.as_str() {
        "whole" => format!(
            "image {}: checkpoint {}{}\n",
            row.image,
            number(row.sequence),
            if row.newest {
                ", the newest: a start loads it"
            } else {
                ""
            }
        ),
        "empty" => return format!("image {}: no checkpoint was ever written to it\n", row.image),
        _ => {
            return format!(
                "image {}: its superblock is not whole: a checkpoint is being written, was interrupted, or it is damaged\n",
                row.image
            );
        }
    };
    text += &format!("  log record  {}\n", number(row.lsn));
    if checked {
        text += &format!(
            "  state root  {}\n  batch       {}, ledger height {}\n",
            row.state_root.as_deref().unwrap_or("unknown"),
            number(row.batch),
            number(row.height.map(u64::from))
        );
    }
    let sums = match row.bad_pages {
        None => "not checked".to_owned(),
        Some(0) => "every sum holds".to_owned(),
        Some(bad) => format!("{} ARE NOT WHAT WAS WRITTEN", grouped(bad.into())),
    };
    text += &format!("  pages       {}, {sums}\n", number(row.pages));
    let regions = row
        .regions
        .iter()
        .map(|region| format!("{} {}", region.name, grouped(region.pages.into())));
    text += &format!("              {}\n", regions.collect::<Vec<_>>().join(", "));
    if row.restored == Some(true) {
        text += "  restored    from a backup: no start loads it\n";
    }
    for problem in row.problems.iter().take(PROBLEMS_SHOWN) {
        text += &format!("  problem: {}\n", problem.what);
    }
    if let Some(more) = row.problems.len().checked_sub(PROBLEMS_SHOWN).filter(|more| *more > 0) {
        text += &format!("  and {more} more; --json lists them all\n");
    }
    text
}

/// More would hide the first.
const PROBLEMS_SHOWN: usize = 5;
