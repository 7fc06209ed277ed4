//! The `bench-harness` program: lists suites, runs one, prints a table or JSON.
//!
//! Exit code 0 good, 1 a suite that failed, 2 the command line.

use std::{fs, io, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand, builder::PossibleValuesParser};
use tidegate_bench_harness::{
    measure::{Bench, Scale},
    peers::Peers,
    suites::{self, SuiteError, storage},
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Benchmarks of the project's own parts.
#[derive(Debug, Parser)]
#[command(version, after_help = "Example: bench-harness run merkle --json merkle.json")]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Lists the suites.
    #[command(after_help = "Example: bench-harness list")]
    List,
    /// Runs a suite and prints its rows and ratios.
    #[command(after_help = "Example: bench-harness run commit --dir /var/lib/tidegate --json commit.json")]
    Run(Run),
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

#[derive(Debug, clap::Args)]
struct Run {
    /// The suite.
    #[arg(value_parser = PossibleValuesParser::new(suites::ALL.iter().map(|suite| suite.name())))]
    suite: String,
    /// Writes the result as JSON to FILE, or instead of the table when FILE is left out.
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "-")]
    json: Option<PathBuf>,
    /// Runs everything once on small data: shows that it works, measures nothing.
    #[arg(long)]
    tiny: bool,
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
    /// Payments of the suite `recovery`.
    #[arg(long, value_name = "COUNT")]
    payments: Option<usize>,
    /// Channels of the suite `recovery`.
    #[arg(long, value_name = "COUNT")]
    channels: Option<usize>,
    /// Where files of the run go: a folder on the device to measure.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
enum RunError {
    #[error("TG-9001: suite {suite}: {source}")]
    Suite { suite: String, source: SuiteError },
    #[error("TG-9002: {}: {source}: give --json a file that can be written", path.display())]
    Write { path: PathBuf, source: io::Error },
}

fn main() -> ExitCode {
    match Arguments::parse().verb {
        Verb::List => {
            for suite in suites::ALL {
                println!("{:10} {}", suite.name(), suite.about());
            }
            ExitCode::SUCCESS
        }
        Verb::Run(arguments) => code_of(run(&arguments)),
        Verb::StoreWork { task } => code_of(storage::child::<storage::Own>(storage::WORK, &task)),
        Verb::StoreReopen { task } => code_of(storage::child::<storage::Own>(storage::REOPEN, &task)),
    }
}

fn code_of(result: Result<(), impl std::fmt::Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &Run) -> Result<(), RunError> {
    let suite = suites::find(&arguments.suite).expect("the parser takes only names of suites");
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
    ];
    let sizes = sizes.into_iter().filter_map(|(name, size)| Some((name, size?)));
    let mut bench = Bench::new(scale, peers)
        .with_sizes(sizes.collect())
        .with_store(arguments.store.clone());
    if let Ok(program) = std::env::current_exe() {
        bench = bench.with_program(program);
    }
    let report = suites::run(suite, bench, &arguments.dir, "mimalloc").map_err(|source| RunError::Suite {
        suite: arguments.suite.clone(),
        source,
    })?;
    match &arguments.json {
        Some(path) if path.as_os_str() == "-" => println!("{}", report.to_json()),
        Some(path) => {
            fs::write(path, report.to_json() + "\n").map_err(|source| RunError::Write {
                path: path.clone(),
                source,
            })?;
            print!("{report}");
        }
        None => print!("{report}"),
    }
    Ok(())
}
