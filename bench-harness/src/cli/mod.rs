//! The command line: `list`, `run`, `compare`, `report`, `readme`, `instructions`.
//!
//! Exit code 0 good, 1 a suite that failed or a regression that was found, 2 the command line.

mod compare;
mod failure;
mod instructions;
mod readme_verb;
mod report;
mod run;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::{Parser, Subcommand};
use serde::Serialize;

use crate::instructions::WORK;
use crate::suites::{self, storage};
use failure::Failure;

/// Benchmarks of the project's own parts.
#[derive(Debug, Parser)]
#[command(
    name = "bench-harness",
    version,
    after_help = "Example: bench-harness run merkle --json merkle.json"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the suites.
    #[command(after_help = "Example: bench-harness list --json")]
    List {
        /// As JSON.
        #[arg(long)]
        json: bool,
    },
    /// Run a suite and print its rows and ratios.
    #[command(after_help = "Example: bench-harness run commit --dir /var/lib/tidegate --json commit.json")]
    Run(run::RunArgs),
    /// Tell whether B is slower than A: two results, or two programs in turns.
    Compare(compare::CompareArgs),
    /// Make one HTML file of a folder of results, to be read in a browser without a network.
    Report(report::ReportArgs),
    /// Write the figures of the README from recorded results.
    Readme(readme_verb::ReadmeArgs),
    /// Count the instructions of the hot kernels by callgrind and hold them against recorded ones.
    Instructions(instructions::InstructionsArgs),
    /// The child of `instructions`: runs the kernels.
    #[command(name = WORK, hide = true)]
    InstructionsWork,
    /// A child of the suite `storage`: works with the project's own store.
    #[command(name = storage::WORK, hide = true)]
    StoreWork {
        /// What is to be done.
        task: String,
    },
    /// A child of the suite `storage`: opens what a killed one left.
    #[command(name = storage::REOPEN, hide = true)]
    StoreReopen {
        /// What was done.
        task: String,
    },
}

/// Runs the command line of this process.
#[must_use]
pub fn run() -> ExitCode {
    match Cli::parse().verb {
        Verb::List { json } => {
            list(json);
            ExitCode::SUCCESS
        }
        Verb::Run(arguments) => code_of(run::run(&arguments).map(|()| ExitCode::SUCCESS)),
        Verb::Compare(arguments) => code_of(compare::run(&arguments)),
        Verb::Readme(arguments) => code_of(readme_verb::run(&arguments)),
        Verb::Report(arguments) => code_of(report::run(&arguments).map(|()| ExitCode::SUCCESS)),
        Verb::Instructions(arguments) => code_of(instructions::run(&arguments)),
        Verb::InstructionsWork => instructions::work(),
        Verb::StoreWork { task } => child(storage::WORK, &task),
        Verb::StoreReopen { task } => child(storage::REOPEN, &task),
    }
}

fn child(verb: &str, task: &str) -> ExitCode {
    child_code(storage::child::<storage::Own>(verb, task))
}

/// Of a process that only this program starts: it reads the words, and they get their code there.
fn child_code<T>(result: Result<T, impl std::fmt::Display>) -> ExitCode {
    result.map_or_else(
        |error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        },
        |_| ExitCode::SUCCESS,
    )
}

fn code_of(result: Result<ExitCode, Failure>) -> ExitCode {
    result.unwrap_or_else(|failure| {
        eprintln!("{}", failure.line());
        ExitCode::FAILURE
    })
}

fn list(json: bool) {
    #[derive(Serialize)]
    struct Listed {
        name: &'static str,
        about: &'static str,
    }
    if json {
        let listed = suites::ALL.iter().map(|suite| Listed {
            name: suite.name(),
            about: suite.about(),
        });
        let listed: Vec<Listed> = listed.collect();
        println!(
            "{}",
            serde_json::to_string_pretty(&listed).expect("texts have a JSON form")
        );
        return;
    }
    for suite in suites::ALL {
        println!("{:10} {}", suite.name(), suite.about());
    }
}

/// `--json [FILE]`, as every verb has it.
#[derive(Debug, clap::Args)]
struct JsonArgs {
    /// Writes the result as JSON to FILE, or instead of the table when FILE is left out.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
}

impl JsonArgs {
    /// Prints or writes a result.
    fn emit(&self, result: &(impl Serialize + std::fmt::Display)) -> Result<(), Failure> {
        let json = || serde_json::to_string_pretty(result).expect("a result is plain data") + "\n";
        match &self.json {
            Some(path) if path.as_os_str() == "-" => print!("{}", json()),
            Some(path) => {
                write(path, &json())?;
                print!("{result}");
            }
            None => print!("{result}"),
        }
        Ok(())
    }
}

/// Writes a file, and the folder it is to lie in.
fn write(path: &Path, text: &str) -> Result<(), Failure> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder
        .map_or(Ok(()), fs::create_dir_all)
        .and_then(|()| fs::write(path, text))
        .map_err(|source| Failure::Write {
            path: path.to_owned(),
            source,
        })
}
