//! `bench-harness readme`: the figures of the README from recorded results.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;

use super::{Failure, write};
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
    let (name, same) = (arguments.readme.display(), old == new);
    if same {
        println!("{name} shows what was recorded");
    } else if arguments.check {
        println!("{name} does not show what was recorded; `bench-harness readme` writes it");
    } else {
        write(&arguments.readme, &new)?;
        println!("{name}: figures written anew");
    }
    Ok(if arguments.check && !same {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}
