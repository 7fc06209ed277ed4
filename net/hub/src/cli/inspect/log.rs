//! `tidegate inspect wal`: the log's segments, what is in them, and how it ends.

use std::path::Path;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tidegate_disk::{Disk, RealDisk};

use super::Source;
use crate::cli::Outcome;
use crate::cli::data::{lock, require_hub};
use crate::cli::http;
use crate::cli::output::{Columns, JsonFlag, Ticker, grouped};
use crate::error::Error;
use crate::files::ledger_dir;
use crate::inside::{LogRows, SegmentRow};
use crate::state::StateError;

#[derive(Debug, Args)]
pub(in crate::cli) struct WalArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    json: JsonFlag,
}

/// What is printed as JSON.
#[derive(Debug, Serialize)]
struct Logs {
    #[serde(flatten)]
    hub: LogRows,
    /// The embedded ledger's log; not of a running hub.
    #[serde(skip_serializing_if = "Option::is_none")]
    ledger: Option<LogRows>,
}

pub(super) fn run(args: &WalArgs) -> Outcome {
    let logs = match (&args.source.admin, &args.source.data) {
        (Some(admin), _) => Logs {
            hub: http::rows(*admin, "/wal")?,
            ledger: None,
        },
        (None, Some(data)) => read(data)?,
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    args.json.emit(&logs, || lines(&logs))?;
    let all = [Some(&logs.hub), logs.ledger.as_ref()];
    let problems: Vec<_> = all.into_iter().flatten().flat_map(|rows| &rows.problems).collect();
    match (problems.first(), &args.source.data) {
        (Some(first), Some(data)) => Err(Error::Verify {
            place: data.clone(),
            count: problems.len(),
            first: first.what.clone(),
        }),
        _ => Ok(0),
    }
}

fn read(data: &Path) -> Result<Logs, Error> {
    require_hub(data)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let _lock = lock(&*disk, data)?;
    let _ticker = Ticker::new("reading the logs");
    let failed = |source| Error::State {
        dir: data.to_owned(),
        source: Box::new(StateError::Log(source)),
    };
    Ok(Logs {
        hub: LogRows::of_hub(&*disk, data).map_err(failed)?,
        ledger: Some(LogRows::of_dir(&*disk, &ledger_dir(data), None).map_err(failed)?),
    })
}

fn lines(logs: &Logs) -> String {
    let mut text = of_log("the hub's log", "record", &logs.hub);
    if let Some(ledger) = &logs.ledger {
        text += "\n";
        text += &of_log("the ledger's log", "block", ledger);
    }
    text
}

fn of_log(whose: &str, unit: &str, rows: &LogRows) -> String {
    let number = |number: Option<u64>| number.map_or_else(|| "-".to_owned(), |number| grouped(number.into()));
    let mut text = match rows.newest_lsn {
        Some(newest) => format!("{whose}: newest {unit} {}", grouped(newest.into())),
        None => format!("{whose}: no {unit}"),
    };
    if let Some(covered) = rows.checkpoint_lsn {
        let behind = rows.newest_lsn.unwrap_or(covered).saturating_sub(covered);
        text += &format!(
            "; the newest checkpoint covers {}, a start replays {}",
            grouped(covered.into()),
            grouped(behind.into())
        );
    }
    text += "\n";
    let mut columns = Columns::new(&[
        "", "segment", "state", "records", "first", "last", "epoch", "used", "size",
    ]);
    for segment in &rows.segments {
        let epoch = match (segment.first_epoch, segment.last_epoch) {
            (Some(first), Some(last)) if first != last => format!("{first}-{last}"),
            (Some(first), _) => first.to_string(),
            _ => "-".to_owned(),
        };
        columns.row(&[
            "".into(),
            name(segment),
            segment.state.clone(),
            number(segment.records),
            number(segment.first_lsn),
            number(segment.last_lsn),
            epoch,
            number(segment.used_bytes),
            number(segment.bytes),
        ]);
    }
    text += &columns.text();
    for segment in rows
        .segments
        .iter()
        .filter(|segment| segment.leftovers.is_some_and(|count| count > 0))
    {
        text += &format!(
            "  {} has {} pages outside the chain that begin like a record\n",
            name(segment),
            grouped(segment.leftovers.unwrap_or_default().into())
        );
    }
    if let Some(end) = &rows.end {
        let how = if end.torn {
            "in a record that is not whole: after a crash that is as it should be, and the next start erases it"
        } else {
            "whole"
        };
        text += &format!(
            "  ends at {} offset {}, {how}\n",
            short(&end.file),
            grouped(end.offset.into())
        );
    }
    if !rows.checked {
        text += "  of a running hub: the records were not read\n";
    }
    for problem in &rows.problems {
        text += &format!("  problem: {}\n", problem.what);
    }
    text
}

fn name(segment: &SegmentRow) -> String {
    short(&segment.file)
}

fn short(file: &str) -> String {
    let name = Path::new(file).file_name().and_then(|name| name.to_str());
    name.unwrap_or(file).to_owned()
}
