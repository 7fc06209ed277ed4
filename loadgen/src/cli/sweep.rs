//! `loadgen search` and `loadgen curve`.

use clap::Args;

use super::load::LoadArgs;
use super::prepare::WARM_UP_SECONDS;
use super::{EXIT_BAD, EXIT_SATURATED, EXIT_SLO, Failure, Rate};
use crate::result::SweepResult;
use crate::run::{SearchPlan, Step, curve as run_curve, search as run_search};
use crate::slo::Slo;

/// Seconds that each rate is measured, unless said.
const SECONDS: u32 = 4;
/// Rates of a curve, unless said.
const POINTS: u32 = 10;

#[derive(Debug, Args)]
#[command(
    after_help = "Example: loadgen search --slo 'p99<15ms' --hub tg1…@127.0.0.1:7411 --admin 127.0.0.1:7412 \\
                 --profile quick --workload workload --from 2000

All rates are tried on one hub, each going on in the workload where the last ended: prepare payments for all of them
(`prepare --payments`).

Exit codes: 0 the bound was found, 1 it was not, 2 command line, 3 no rate that was tried holds, 4 the generator is the bound"
)]
pub(super) struct SearchArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// What the latency must be, as `p99<15ms`.
    #[arg(long)]
    slo: Slo,
    /// The first rate; it is doubled until one does not hold.
    #[arg(long, default_value_t = 1_000.0)]
    from: f64,
    /// The highest rate.
    #[arg(long, default_value_t = 2_000_000.0)]
    to: f64,
    /// How close the bound is to be told, in percent.
    #[arg(long, default_value_t = 5.0)]
    precision: f64,
    /// Seconds that each rate is measured.
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Seconds of load before each measurement.
    #[arg(long, default_value_t = WARM_UP_SECONDS)]
    warm_up: u32,
}

#[derive(Debug, Args)]
#[command(
    after_help = "Example: loadgen curve --rates 5000,10000,20000,40000 --hub tg1…@127.0.0.1:7411 \\
                 --admin 127.0.0.1:7412 --profile quick --workload workload --json curve.json

All rates are tried on one hub, each going on in the workload where the last ended: prepare payments for all of them
(`prepare --payments`).

Exit codes: 0 valid, 1 not valid or not run, 2 command line, 4 the generator limited a rate"
)]
pub(super) struct CurveArgs {
    #[command(flatten)]
    load: LoadArgs,
    /// The rates, in payments per second, in their order; `max` for one as fast as answers come. Ten up to what the profile
    /// expects unless said.
    #[arg(long, value_delimiter = ',')]
    rates: Vec<Rate>,
    /// Seconds that each rate is measured.
    #[arg(long, default_value_t = SECONDS, value_parser = clap::value_parser!(u32).range(1..))]
    seconds: u32,
    /// Seconds of load before each measurement.
    #[arg(long, default_value_t = WARM_UP_SECONDS)]
    warm_up: u32,
}

pub(super) fn search(args: &SearchArgs, argv: Vec<String>) -> Result<u8, Failure> {
    let plan = SearchPlan {
        slo: args.slo,
        from: in_range("--from", args.from, 1.0, 1e9)?,
        to: in_range("--to", args.to, args.from, 1e9)?,
        precision: in_range("--precision", args.precision, 0.1, 100.0)? / 100.0,
        warm_up_seconds: args.warm_up,
        seconds: args.seconds,
    };
    let options = args.load.options(args.load.profile()?, argv)?;
    let result = run_search(&options, &plan)?;
    args.load.emit(&result)?;
    Ok(match (result.rate, result.bound_found == Some(true)) {
        _ if !result.valid => EXIT_BAD,
        (None, _) => EXIT_SLO,
        (Some(_), true) if is_bound_by_generator(&result) => EXIT_SATURATED,
        (Some(_), true) => 0,
        (Some(_), false) => EXIT_BAD,
    })
}

/// The lowest rate that did not hold is what bounds the search.
fn is_bound_by_generator(result: &SweepResult) -> bool {
    let above = result
        .points
        .iter()
        .filter(|point| !point.held && point.rate > result.rate);
    let lowest = above.min_by(|a, b| a.rate.partial_cmp(&b.rate).expect("rates are numbers"));
    lowest.is_some_and(|point| point.generator.saturated)
}

fn in_range(name: &'static str, value: f64, least: f64, most: f64) -> Result<f64, Failure> {
    if (least..=most).contains(&value) {
        Ok(value)
    } else {
        Err(Failure::Range { name, least, most })
    }
}

pub(super) fn curve(args: &CurveArgs, argv: Vec<String>) -> Result<u8, Failure> {
    let profile = args.load.profile()?;
    let rates = if args.rates.is_empty() {
        let highest = f64::from(profile.run.payments_per_s_planned);
        let rate = |n: u32| Rate::PerSecond(highest * f64::from(n) / f64::from(POINTS));
        (1..=POINTS).map(rate).collect()
    } else {
        args.rates.clone()
    };
    let steps = rates.into_iter().map(|rate| Step {
        rate,
        warm_up_seconds: args.warm_up,
        seconds: args.seconds,
    });
    let result = run_curve(&args.load.options(profile, argv)?, steps.collect())?;
    args.load.emit(&result)?;
    Ok(if !result.valid {
        EXIT_BAD
    } else if result.points.iter().any(|point| point.generator.saturated) {
        EXIT_SATURATED
    } else {
        0
    })
}
