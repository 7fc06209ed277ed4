//! `bench-harness run SUITE`.

use std::env;
use std::path::PathBuf;

use clap::builder::PossibleValuesParser;
use tidegate_loadgen::environment::mimalloc_name;

use super::{Failure, JsonArgs};
use crate::measure::{Bench, EXTRA_WORK_VARIABLE, ExtraWork, Scale};
use crate::peers::Peers;
use crate::suites;

#[derive(Debug, clap::Args)]
pub(super) struct RunArgs {
    /// The suite.
    #[arg(value_parser = PossibleValuesParser::new(suites::ALL.iter().map(|suite| suite.name())))]
    suite: String,
    #[command(flatten)]
    json: JsonArgs,
    /// Runs everything once on small data: shows that it works, measures nothing.
    #[arg(long)]
    tiny: bool,
    /// Only rows whose name begins so, as `hash::`; exit code 1 if there is none.
    #[arg(long, value_name = "NAME")]
    only: Option<String>,
    /// Repetitions of each row that only computes; 11 unless said.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: Option<u32>,
    /// Tells no rows on standard error while they come.
    #[arg(long)]
    quiet: bool,
    /// Measures other implementations too, which are built first: minutes, and a network for their sources.
    #[arg(long)]
    peers: bool,
    /// As `--peers`, with programs that were built before: `bench-harness/peers/target/release` after `cargo build --release`.
    #[arg(long, value_name = "DIR", conflicts_with = "peers")]
    peers_built: Option<PathBuf>,
    /// One peer of the suite `storage` alone.
    #[arg(long, value_name = "NAME")]
    store: Option<String>,
    /// Records of the suite `storage`; 1 000 000 and then 5 000 000 unless said.
    #[arg(long, value_name = "COUNT")]
    records: Option<usize>,
    /// Batches of the suite `storage`.
    #[arg(long, value_name = "COUNT")]
    batches: Option<usize>,
    /// Payments of the suites `execute`, `scale` and `recovery`.
    #[arg(long, value_name = "COUNT")]
    payments: Option<usize>,
    /// Channels of the suites `execute`, `scale` and `recovery`.
    #[arg(long, value_name = "COUNT")]
    channels: Option<usize>,
    /// A binary of TigerBeetle, for its rows in the suites `e2e` and `peers`.
    #[arg(long, value_name = "PATH", env = "TIDEGATE_TIGERBEETLE")]
    tigerbeetle: Option<PathBuf>,
    /// Seconds of each run of the suite `e2e`; 10 unless said.
    #[arg(long, value_name = "COUNT")]
    seconds: Option<usize>,
    /// How often the suite `e2e` measures few connections and many; 3 unless said.
    #[arg(long, value_name = "COUNT")]
    rounds: Option<usize>,
    /// Where files of the run go: a folder on the device to measure.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

pub(super) fn run(arguments: &RunArgs) -> Result<(), Failure> {
    let suite = suites::find(&arguments.suite).expect("the parser takes only names of suites");
    let report = suites::run(suite, bench(arguments)?, &arguments.dir, &mimalloc_name());
    let report = report.map_err(|source| Failure::Suite {
        suite: arguments.suite.clone(),
        source,
    })?;
    // Names are known only once they were measured.
    match &arguments.only {
        Some(only) if !report.has_row(only) => Err(Failure::NoRow {
            suite: report.suite,
            only: only.clone(),
            left: report
                .not_run
                .iter()
                .map(|(name, why)| format!("{name} ({why})"))
                .collect(),
        }),
        _ => arguments.json.emit(&report),
    }
}

fn bench(arguments: &RunArgs) -> Result<Bench, Failure> {
    let scale = if arguments.tiny { Scale::Tiny } else { Scale::Full };
    let peers = match &arguments.peers_built {
        Some(folder) => Peers::Built(folder.clone()),
        None if arguments.peers => Peers::Run,
        None => Peers::Leave,
    };
    let sizes = [
        ("payments", arguments.payments),
        ("channels", arguments.channels),
        ("records", arguments.records),
        ("batches", arguments.batches),
        ("seconds", arguments.seconds),
        ("rounds", arguments.rounds),
    ];
    let sizes = sizes.into_iter().filter_map(|(name, size)| Some((name, size?)));
    let repetitions = arguments.repetitions.map(|count| count as usize);
    let bench = Bench::new(scale, peers)
        .with_sizes(sizes.collect())
        .with_store(arguments.store.clone())
        .with_tigerbeetle(arguments.tigerbeetle.clone())
        .narrowed(arguments.only.clone(), repetitions, extra_work()?)
        .quieted(arguments.quiet);
    Ok(match env::current_exe() {
        Ok(program) => bench.with_program(program),
        Err(_) => bench,
    })
}

/// What the environment adds to the work of every row.
fn extra_work() -> Result<ExtraWork, Failure> {
    let Ok(value) = env::var(EXTRA_WORK_VARIABLE) else {
        return Ok(ExtraWork::default());
    };
    match value.parse() {
        Ok(percent @ 0..=100) => Ok(ExtraWork { percent }),
        _ => Err(Failure::ExtraWork {
            variable: EXTRA_WORK_VARIABLE,
            value,
        }),
    }
}
