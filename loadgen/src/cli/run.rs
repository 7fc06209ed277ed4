//! `loadgen run`.

use std::path::PathBuf;

use clap::Args;

use super::load::LoadArgs;
use super::prepare::WARM_UP_SECONDS;
use super::{EXIT_BAD, EXIT_SATURATED, EXIT_SLO, Failure, Rate};
use crate::result::RunResult;
use crate::run::{Step, run as run_load};
use crate::slo::Slo;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: loadgen run --hub tg1…@127.0.0.1:7411 --admin 127.0.0.1:7412 --profile quick \\
                 --workload workload --rate 10000 --slo 'p99<15ms' --json result.json

Exit codes: 0 valid, 1 not valid or not run, 2 command line, 3 an SLO was missed, 4 limited by the generator"
)]
pub(super) struct RunArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// Payments per second by schedule, or `max`: as fast as answers come, within the profile's windows. As the profile
    /// says unless said, or else `max`.
    #[arg(long)]
    rate: Option<Rate>,
    /// Seconds that are measured; as the profile says unless said.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Seconds of load before measuring begins.
    #[arg(long, default_value_t = WARM_UP_SECONDS)]
    warm_up: u32,
    /// What the latency must be, as `p99<15ms`; may be repeated. Exit code 3 if one is missed.
    #[arg(long)]
    slo: Vec<Slo>,
    /// Write the latencies of each second as an interval log of HdrHistogram.
    #[arg(long, value_name = "FILE")]
    hlog: Option<PathBuf>,
    /// Write the distribution of the measured latencies as HdrHistogram's plotter takes it.
    #[arg(long, value_name = "FILE")]
    hgrm: Option<PathBuf>,
}

pub(super) fn run(args: RunArgs, argv: Vec<String>) -> Result<u8, Failure> {
    let profile = args.load.profile()?;
    let step = Step {
        rate: args.rate.unwrap_or_else(|| Rate::of(&profile)),
        warm_up_seconds: args.warm_up,
        seconds: args.seconds.unwrap_or(profile.run.seconds),
    };
    let mut options = args.load.options(profile, argv)?;
    (options.hlog, options.hgrm) = (args.hlog, args.hgrm);
    let result = run_load(&options, step, &args.slo)?;
    args.load.emit(&result)?;
    Ok(exit_code(&result))
}

/// The exit code of a run. A failed audit is never told as a mere limit.
#[must_use]
pub fn exit_code(result: &RunResult) -> u8 {
    if result.refuted {
        EXIT_BAD
    } else if result.generator.saturated {
        EXIT_SATURATED
    } else if result.slo.iter().any(|slo| !slo.met) {
        EXIT_SLO
    } else {
        0
    }
}
