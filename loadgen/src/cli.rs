//! The command line: `prepare channels`, `prepare`, `run`. The binary `loadgen` and `tidegate loadgen` are the same.

mod prepare;
mod run;

use std::ffi::OsString;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use tidegate_client::AddressError;
use tidegate_client::channels_file::ChannelsFileError;
use tidegate_crypto::verify::BackendError;

use crate::profile::ProfileError;
use crate::run::RunError;
use crate::workload::WorkloadError;

/// Exit codes (see the contract of interfaces): content or a check is bad.
pub const EXIT_BAD: u8 = 1;
/// The command line does not parse.
pub const EXIT_USAGE: u8 = 2;
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
    Prepare(Prepare),
    /// Load a hub with a prepared workload, measure, audit.
    Run(RunArgs),
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true, subcommand_negates_reqs = true)]
#[command(after_help = "Example: loadgen prepare --profile quick --genesis hub/genesis --out workload")]
struct Prepare {
    #[command(subcommand)]
    part: Option<PreparePart>,
    #[command(flatten)]
    workload: Option<PrepareWorkload>,
}

#[derive(Debug, Subcommand)]
enum PreparePart {
    /// Write the channels that the hub is to open: for `tidegate format --channels`.
    #[command(after_help = "Example: loadgen prepare channels --profile quick --out channels")]
    Channels(PrepareChannels),
}

#[derive(Debug, Args)]
struct PrepareChannels {
    /// A built-in profile, or a TOML file.
    #[arg(long)]
    profile: String,
    /// The seed of all keys; that of the profile unless said.
    #[arg(long)]
    seed: Option<u64>,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
}

#[derive(Debug, Args)]
struct PrepareWorkload {
    /// A built-in profile, or a TOML file.
    #[arg(long)]
    profile: String,
    /// The seed of all keys and choices; that of the profile unless said. The channels must be of the same.
    #[arg(long)]
    seed: Option<u64>,
    /// The genesis that `tidegate format` wrote.
    #[arg(long)]
    genesis: PathBuf,
    /// The file to write.
    #[arg(long)]
    out: PathBuf,
    /// How many payments; unless said, enough for `--rate` and `--seconds`.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    payments: Option<u32>,
    /// The rate of the run to come, in payments per second, or `max`.
    #[arg(long, default_value = "max")]
    rate: Rate,
    /// How long the run will measure; as the profile says unless said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: loadgen run --hub tg1…@127.0.0.1:7411 --admin 127.0.0.1:7412 --profile quick \\
                 --workload workload --rate 10000 --json result.json

Exit codes: 0 valid, 1 not valid or not run, 2 command line, 4 limited by the generator"
)]
struct RunArgs {
    /// The hub's address, as `tidegate format` printed it.
    #[arg(long)]
    hub: String,
    /// The hub's admin address: without it there are no figures of the hub, and the result is not valid.
    #[arg(long)]
    admin: Option<SocketAddr>,
    /// A built-in profile, or a TOML file.
    #[arg(long)]
    profile: String,
    /// The prepared workload.
    #[arg(long)]
    workload: PathBuf,
    /// Payments per second by schedule, or `max`: as fast as answers come, within the profile's windows.
    #[arg(long, default_value = "max")]
    rate: Rate,
    /// How a rate spaces its payments.
    #[arg(long, value_enum, default_value_t = Arrivals::Even)]
    arrivals: Arrivals,
    /// Seconds that are measured; as the profile says unless said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Seconds of load before measuring begins; 1 unless said.
    #[arg(long)]
    warm_up: Option<u32>,
    /// Refuse a workload of another seed.
    #[arg(long)]
    seed: Option<u64>,
    /// A channel acknowledges when so many of its leaves wait; the hub stops at 64.
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..=48))]
    ack_every: u32,
    /// The hub's data directory, to name its filesystem in the result.
    #[arg(long)]
    data: Option<PathBuf>,
    /// Print the result as JSON; with FILE, write it there and print a report.
    #[arg(long, value_name = "FILE", num_args = 0..=1)]
    json: Option<Option<PathBuf>>,
}

/// How fast payments are sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// So many per second, by schedule, whether answers come or not: an open loop.
    PerSecond(f64),
    /// As fast as answers come, within the profile's windows: a closed loop.
    Max,
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
        Verb::Prepare(Prepare {
            part: Some(PreparePart::Channels(args)),
            ..
        }) => prepare::channels(&args),
        Verb::Prepare(Prepare { part: None, workload }) => {
            prepare::workload(&workload.expect("clap asks for its arguments where no subcommand stands"))
        }
        Verb::Run(args) => run::run(&args, argv),
    };
    outcome.unwrap_or_else(|failure| {
        eprintln!("error[{failure}");
        EXIT_BAD
    })
}
