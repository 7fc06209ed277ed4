//! The command line: `prepare channels`, `prepare`, `run`, `search`, `curve`. The binary `loadgen` and `tidegate loadgen`
//! are the same.

mod load;
mod prepare;
mod run;
mod sweep;

use std::ffi::OsString;
use std::io;
use std::path::PathBuf;

use clap::{Parser, Subcommand};
use tidegate_client::AddressError;
use tidegate_client::channels_file::ChannelsFileError;
use tidegate_crypto::verify::BackendError;

pub use self::run::exit_code;
use crate::profile::{Profile, ProfileError, TopologyError};
use crate::run::RunError;
use crate::workload::WorkloadError;

/// Exit codes (see the contract of interfaces): content or a check is bad.
pub const EXIT_BAD: u8 = 1;
/// The command line does not parse.
pub const EXIT_USAGE: u8 = 2;
/// The latency is not what it was to be.
pub const EXIT_SLO: u8 = 3;
/// The generator itself was the limit of the run.
pub const EXIT_SATURATED: u8 = 4;

/// Load on a hub, measured from the intended send time.
#[derive(Debug, Parser)]
#[command(name = "loadgen", version, about, after_help = EXAMPLE)]
struct Cli {
    #[command(subcommand)]
    verb: Verb,
}

const EXAMPLE: &str = "Example, as `tidegate benchmark` does it:
  loadgen prepare channels --profile quick --out channels
  tidegate format --data hub --channels channels
  loadgen prepare --profile quick --genesis hub/genesis --out workload
  tidegate start --data hub --dev
  loadgen run --hub tg1…@127.0.0.1:7411 --admin 127.0.0.1:7412 --profile quick --workload workload --json result.json";

#[derive(Debug, Subcommand)]
enum Verb {
    /// Plan a profile's channels for a hub's genesis, or sign its payments beforehand.
    Prepare(prepare::Prepare),
    /// Load a hub with a prepared workload, measure, audit.
    Run(run::RunArgs),
    /// Find the highest rate at which the latency is as asked.
    Search(sweep::SearchArgs),
    /// Measure latency against load.
    Curve(sweep::CurveArgs),
}

/// How fast payments are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many per second, by schedule, whether answers come or not: an open loop.
    PerSecond(f64),
    /// As fast as answers come, within the profile's windows: a closed loop.
    Max,
}

impl Rate {
    /// The rate of a profile.
    #[must_use]
    pub fn of(profile: &Profile) -> Self {
        profile
            .run
            .payments_per_s
            .map_or(Self::Max, |rate| Self::PerSecond(rate.into()))
    }
}

impl std::str::FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        let rate: f64 = text.parse().map_err(|_| "a rate is a number or `max`")?;
        if rate.is_finite() && (0.001..=1e9).contains(&rate) {
            Ok(Self::PerSecond(rate))
        } else {
            Err("a rate is at least 0.001 and at most 1000000000")
        }
    }
}

/// How an open loop spaces its payments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Arrivals {
    /// Evenly.
    Even,
    /// At random, as payers who know nothing of each other do.
    Poisson,
}

/// Why a verb ends with exit code 1. Each variant has a code that does not change.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("TG-8001]: {0}")]
    Profile(#[from] ProfileError),
    #[error("TG-8002]: {0}")]
    Channels(#[from] ChannelsFileError),
    #[error("TG-8003]: {0}")]
    Workload(#[from] WorkloadError),
    #[error("TG-8004]: {0}")]
    Address(#[from] AddressError),
    #[error("TG-8005]: TIDEGATE_CPU: {0}")]
    Backend(BackendError),
    #[error("TG-8006]: {0}")]
    Run(RunError),
    #[error("TG-8007]: cannot write {}: {source}", path.display())]
    Output { path: PathBuf, source: io::Error },
    #[error("TG-8008]: {0}")]
    Topology(#[from] TopologyError),
    #[error("TG-8009]: {name} must be between {least} and {most}")]
    Range { name: &'static str, least: f64, most: f64 },
    #[error("TG-8010]: the run would need {payments:.0} signed payments: lower --rate or --seconds, or say --payments")]
    TooMany { payments: f64 },
}

impl From<RunError> for Failure {
    fn from(error: RunError) -> Self {
        match error {
            RunError::Workload(error) => Self::Workload(error),
            error => Self::Run(error),
        }
    }
}

/// Runs the command line `args`, whose first is the program's name, and returns the exit code.
pub fn run(args: impl IntoIterator<Item = OsString>) -> u8 {
    let args: Vec<OsString> = args.into_iter().collect();
    let argv = args.iter().map(|arg| arg.to_string_lossy().into_owned()).collect();
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // `--help` and `--version` come here too, with their own code and stream.
            let _ = error.print();
            return u8::try_from(error.exit_code()).unwrap_or(EXIT_USAGE);
        }
    };
    let outcome = match cli.verb {
        Verb::Prepare(args) => prepare::run(&args),
        Verb::Run(args) => run::run(args, argv),
        Verb::Search(args) => sweep::search(&args, argv),
        Verb::Curve(args) => sweep::curve(&args, argv),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("error[{failure}");
        match failure {
            Failure::Range { .. } => EXIT_USAGE,
            _ => EXIT_BAD,
        }
    })
}
