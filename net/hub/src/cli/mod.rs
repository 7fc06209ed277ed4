//! The command line: every verb of `tidegate`, and what each prints.
//!
//! ```text
//! arguments ─▶ verb ─▶ library ─▶ lines for people, or one JSON value (--json [FILE])      standard output
//!                       │
//!                       └────────▶ error[TG-…]: what; what to do        progress            standard error
//! ```
//!
//! Exit codes: 0 good, 1 bad content or a failed check, 2 the command line, and those of the load generator (3 a missed
//! objective, 4 a run that the generator itself limited). Verbs hold no rules: they read arguments, call the library and
//! say what it did.

mod amounts;
mod attempt;
mod backup;
mod benchmark;
mod channel;
mod config;
mod data;
mod ending;
mod export;
mod format;
mod http;
mod inspect;
mod key;
mod ledger;
mod loadgen;
mod output;
mod password;
mod restore;
mod start;
mod tower;
mod verify;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::error::Error;

/// A payment-channel hub: signed payments over encrypted TCP, durable before they are answered.
#[derive(Debug, Parser)]
#[command(name = "tidegate", version, max_term_width = 100, disable_help_subcommand = true)]
#[command(
    after_help = "Example:\n  tidegate benchmark --profile quick\n\nExit codes: 0 good, 1 bad content or a failed \
                        check, 2 command line, 3 missed objective, 4 limited by the generator"
)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Make key files
    #[command(subcommand)]
    Key(key::KeyVerb),
    /// Make a new data directory: keys, genesis, empty state
    Format(format::FormatArgs),
    /// Run a hub until it is told to end
    Start(start::StartArgs),
    /// Run the solo settlement ledger as a process of its own
    Ledger(ledger::LedgerArgs),
    /// Run a watchtower: it answers stale closes for those who gave it their evidence
    Tower(tower::TowerArgs),
    /// Measure a hub on this machine: real processes, real signatures, real disk; nothing is left behind
    Benchmark(benchmark::BenchmarkArgs),
    /// Check a data directory: every sum, every batch, every satoshi
    Verify(verify::VerifyArgs),
    /// Copy a data directory into one file, while its hub runs
    Backup(backup::BackupArgs),
    /// Make a directory from a backup: to be looked at and closed, never to sign again
    Restore(restore::RestoreArgs),
    /// Print everything as JSON lines
    Export(export::ExportArgs),
    /// Print one thing of a data directory or of a running hub
    #[command(subcommand)]
    Inspect(inspect::InspectVerb),
    /// Open, use and close a channel: the wallet's side
    #[command(subcommand)]
    Channel(channel::ChannelVerb),
    /// Check or show the configuration
    #[command(subcommand)]
    Config(config::ConfigVerb),
    /// Run the load generator
    Loadgen(loadgen::LoadgenArgs),
}

/// What a verb came to: the exit code.
type Outcome = Result<u8, Error>;

/// Runs the program on these arguments, the program's own name first.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let outcome = match Cli::try_parse_from(arguments) {
        Ok(cli) => run(cli.verb),
        Err(error) => return refuse(&error),
    };
    match outcome {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("{}", error.line());
            ExitCode::FAILURE
        }
    }
}

fn run(verb: Verb) -> Outcome {
    match verb {
        Verb::Key(verb) => key::run(&verb),
        Verb::Format(args) => format::run(&args),
        Verb::Start(args) => start::run(&args),
        Verb::Ledger(args) => ledger::run(&args),
        Verb::Tower(args) => tower::run(&args),
        Verb::Benchmark(args) => benchmark::run(&args),
        Verb::Verify(args) => verify::run(&args),
        Verb::Backup(args) => backup::run(&args),
        Verb::Restore(args) => restore::run(&args),
        Verb::Export(args) => export::run(&args),
        Verb::Inspect(verb) => inspect::run(&verb),
        Verb::Channel(verb) => channel::run(&verb),
        Verb::Config(verb) => config::run(&verb),
        Verb::Loadgen(args) => loadgen::run(args),
    }
}

/// Help and version are answers; anything else is one line and exit code 2.
fn refuse(error: &clap::Error) -> ExitCode {
    let is_answer = matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion);
    if is_answer || error.kind() == ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand {
        // What cannot be printed has nobody to read it.
        let _ = error.print();
        return ExitCode::from(if is_answer { 0 } else { 2 });
    }
    let text = error.to_string();
    // Usage and hints stand behind the first empty line.
    let what = text.split("\n\n").next().unwrap_or_default();
    let what = what.trim_start_matches("error:").trim();
    eprintln!("{}", Error::Syntax(what.to_owned()).line());
    ExitCode::from(2)
}
