//! `bench-harness readme`: the figures of the README from recorded results.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::{fmt, fs};

use serde::Serialize;

use super::{Failure, JsonArgs, write};
use crate::page::{Results, readme};

#[derive(Debug, clap::Args)]
#[command(
    after_help = "Example: bench-harness readme --recorded profiles/recorded --readme README.md

Writes the table and the plots of the README from the results in the folder, between two comments that stand there. With --check
nothing is written; exit code 1 if they differ."
)]
pub(super) struct ReadmeArgs {
    /// The folder of recorded results.
    #[arg(long, value_name = "DIR", default_value = "profiles/recorded")]
    recorded: PathBuf,
    /// The file that has the figures.
    #[arg(long, value_name = "FILE", default_value = "README.md")]
    readme: PathBuf,
    /// Writes nothing, and tells whether they differ.
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    json: JsonArgs,
}

/// What the README shows, beside what was recorded.
#[derive(Serialize)]
struct Shown<'a> {
    schema: &'static str,
    readme: &'a Path,
    recorded: &'a Path,
    runs: usize,
    sweeps: usize,
    suites: usize,
    same: bool,
    written: bool,
}

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.readme.display();
        match (self.same, self.written) {
            (true, _) => writeln!(f, "{name} shows what was recorded"),
            (false, true) => writeln!(f, "{name}: figures written anew"),
            (false, false) => writeln!(
                f,
                "{name} does not show what was recorded; `bench-harness readme` writes it"
            ),
        }
    }
}

pub(super) fn run(arguments: &ReadmeArgs) -> Result<ExitCode, Failure> {
    let results = Results::read(&arguments.recorded)?;
    let block = readme::block(&results, &arguments.recorded.display().to_string());
    let old = fs::read_to_string(&arguments.readme).map_err(|source| Failure::Read {
        path: arguments.readme.clone(),
        source,
    })?;
    let new = readme::replace(&old, &block).ok_or_else(|| Failure::Marks {
        path: arguments.readme.clone(),
    })?;
    let same = old == new;
    let written = !same && !arguments.check;
    if written {
        write(&arguments.readme, &new)?;
    }
    arguments.json.emit(&Shown {
        schema: "tidegate.readme/1",
        readme: &arguments.readme,
        recorded: &arguments.recorded,
        runs: results.runs.len(),
        sweeps: results.sweeps.len(),
        suites: results.suites.len(),
        same,
        written,
    })?;
    Ok(if arguments.check && !same {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
