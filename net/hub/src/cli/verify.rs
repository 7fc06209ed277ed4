//! `tidegate verify`: is a data directory whole, and does every satoshi have its place? What is looked at is in
//! [`crate::check`]; here it is printed.
//!
//! It reads, and writes nothing, not even the lock file: it works on a medium that cannot be written. Owners are held off
//! meanwhile, since under a running hub the files move and every finding would be doubtful. So a directory in use is
//! refused; verify a backup or a copy, or ask the hub for its root (`tidegate inspect root --admin`).

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use tidegate_disk::{Disk, RealDisk};

use super::Outcome;
use super::data::{lock, require_hub};
use super::output::{Bar, JsonFlag, grouped};
use crate::check::{self, Verdict};
use crate::error::Error;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate verify --data hub\n  cp -r hub copy && tidegate verify --data copy --json\n\nNothing \
                        is written. Exit code 1 and a list of problems, with file, offset and log record, if anything is \
                        not as it was written."
)]
pub(super) struct VerifyArgs {
    /// The data directory, or a copy of one; not that of a running hub
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &VerifyArgs) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    require_hub(&args.data)?;
    let _lock = lock(&*disk, &args.data)?;
    let mut bar = Bar::new();
    let verdict = check::data_dir(&disk, &args.data, &mut |step| bar.at(step));
    drop(bar);
    let place = args.data.display().to_string();
    args.json.emit(&verdict, || lines(&place, &verdict))?;
    outcome(&args.data, &verdict)
}

/// Good, or the first problem as the verb's error.
pub(super) fn outcome(place: &std::path::Path, verdict: &Verdict) -> Outcome {
    match verdict.problems.first() {
        None => Ok(0),
        Some(first) => Err(Error::Verify {
            place: place.to_owned(),
            count: verdict.problems.len(),
            first: first.what.clone(),
        }),
    }
}

/// The verdict for people.
pub(super) fn lines(place: &str, verdict: &Verdict) -> String {
    let number = |number: u64| grouped(number.into());
    let mut text = format!(
        "{} {place}\n  state root  {}\n  batches     {} (log record {}, {} replayed)\n  channels    {} holding {} sat\n  \
         ledger      height {}, {} outputs, supply {} sat\n",
        if verdict.ok { "good:" } else { "NOT GOOD:" },
        verdict.state_root.as_deref().unwrap_or("unknown"),
        number(verdict.batches),
        number(verdict.lsn),
        number(verdict.replayed_batches),
        number(verdict.channels.into()),
        number(verdict.value_sat),
        number(verdict.ledger_height.into()),
        number(verdict.ledger_outputs),
        number(verdict.supply_sat),
    );
    if verdict.restored {
        text += "  restored    from a backup: it is looked at, and never signs again\n";
    }
    for (torn, whose) in [
        (verdict.torn_tail, "the hub's"),
        (verdict.ledger_torn_tail, "the ledger's"),
    ] {
        if torn {
            text += &format!(
                "  note: {whose} log ends in a record that is not whole: after a crash that is as it should be, nobody was promised it, and \
                 the next start erases it\n"
            );
        }
    }
    verdict
        .notes
        .iter()
        .for_each(|note| text += &format!("  note: {note}\n"));
    for problem in &verdict.problems {
        text += &format!("  problem: {}\n", problem.what);
        let (offset, lsn) = (
            problem.offset.map(|n| n.to_string()),
            problem.lsn.map(|n| n.to_string()),
        );
        for (name, value) in [
            ("file", problem.file.as_ref()),
            ("offset", offset.as_ref()),
            ("log record", lsn.as_ref()),
        ] {
            text += &value.map_or_else(String::new, |value| format!("    {name:<11} {value}\n"));
        }
    }
    text
}
