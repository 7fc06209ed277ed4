//! `bench-harness compare A B`.

use std::fs;
use std::io::{self, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::builder::PossibleValuesParser;

use super::{Failure, JsonArgs, write};
use crate::compare::turns::Turns;
use crate::compare::{Clock, Terms, judge};
use crate::report::{FormError, Report};
use crate::suites;

/// Enough that a few disturbed turns do not hide a difference, on a machine that does other things.
const ROUNDS: u32 = 21;
/// How often as many turns are taken at most, while a row is not sure enough.
const ROUNDS_FACTOR: u32 = 4;
/// In each turn.
const REPETITIONS: u32 = 5;

#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  bench-harness compare before.json after.json
  bench-harness compare --run merkle --only hash:: old/bench-harness target/release/bench-harness

A regression is slower by more than 3 % and, by a test on ranks, surely so (p < 0.01 in the whole table).

The form that holds is `--run`: it takes turns (A B, B A, …), so that what else happens meets both sides alike; `--save` keeps
both results, which are compared turn by turn whenever they are read again. Two results of two `run`s are not interleaved: the
machine may have changed in between, and that counts as a difference of the programs.

A row that B lacks is missing, and then the answer is not \"no regression\", unless B was measured with an --only that leaves it
out. Results of two machines (processor, its features, cores) are refused.

Exit codes: 0 no regression, 1 a regression, a missing row, two machines, or nothing to compare, 2 command line")]
pub(super) struct CompareArgs {
    /// The result to compare with; with `--run` the program.
    a: PathBuf,
    /// The result that may be slower; with `--run` the program.
    b: PathBuf,
    #[command(flatten)]
    json: JsonArgs,
    /// Runs this suite of both programs in turns.
    #[arg(long, value_name = "SUITE", value_parser = PossibleValuesParser::new(suites::ALL.iter().map(|suite| suite.name())))]
    run: Option<String>,
    /// With `--run`: only rows whose name begins so.
    #[arg(long, value_name = "NAME", requires = "run")]
    only: Option<String>,
    /// With `--run`: how many turns.
    #[arg(long, value_name = "COUNT", default_value_t = ROUNDS, value_parser = clap::value_parser!(u32).range(5..=1000))]
    rounds: u32,
    /// With `--run`: how many turns at most, while some row's interval is wider than 3 %; four times `--rounds` unless said.
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u32).range(5..=4000))]
    rounds_max: Option<u32>,
    /// With `--run`: repetitions of a row in each turn.
    #[arg(long, value_name = "COUNT", default_value_t = REPETITIONS, value_parser = clap::value_parser!(u32).range(1..))]
    repetitions: u32,
    /// With `--run`: writes both results to DIR/a.json and DIR/b.json.
    #[arg(long, value_name = "DIR", requires = "run")]
    save: Option<PathBuf>,
    /// With `--run`: small data: shows that it works, measures nothing.
    #[arg(long, requires = "run")]
    tiny: bool,
    /// With `--run`: where files of the runs go.
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Compares all rows by this time; as fits each row unless said.
    #[arg(long, value_enum)]
    clock: Option<Clock>,
    /// Compares results of two machines too: the ratios then tell of the machines as well.
    #[arg(long)]
    across_machines: bool,
}

pub(super) fn run(arguments: &CompareArgs) -> Result<ExitCode, Failure> {
    let [a, b] = match &arguments.run {
        Some(suite) => take_turns(arguments, suite)?,
        None => [read(&arguments.a)?, read(&arguments.b)?],
    };
    let terms = Terms {
        clock: arguments.clock,
        across_machines: arguments.across_machines,
    };
    let comparison = judge(&a, &b, terms)?;
    arguments.json.emit(&comparison)?;
    Ok(if comparison.holds() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn read(path: &Path) -> Result<Report, Failure> {
    let path = path.to_owned();
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(source) => return Err(Failure::Read { path, source }),
    };
    Report::from_json(&text).map_err(|error| match error {
        FormError::NoJson(error) => Failure::Read {
            path,
            source: error.into(),
        },
        source => Failure::Form { path, source },
    })
}

fn take_turns(arguments: &CompareArgs, suite: &str) -> Result<[Report; 2], Failure> {
    let turns = Turns {
        suite: suite.to_owned(),
        only: arguments.only.clone(),
        rounds: arguments.rounds,
        rounds_max: arguments
            .rounds_max
            .unwrap_or(arguments.rounds.saturating_mul(ROUNDS_FACTOR)),
        repetitions: arguments.repetitions,
        tiny: arguments.tiny,
        folder: arguments.dir.clone(),
        programs: [arguments.a.clone(), arguments.b.clone()],
    };
    let mut progress = Progress::new();
    let sides = turns.run(|round, rounds| progress.show(round, rounds))?;
    progress.finish();
    if let Some(folder) = &arguments.save {
        for (name, side) in ["a.json", "b.json"].into_iter().zip(&sides) {
            write(&folder.join(name), &(side.to_json() + "\n"))?;
        }
    }
    Ok(sides)
}

/// How far the turns have come, on standard error: in place on a terminal, every ten seconds elsewhere.
struct Progress {
    terminal: bool,
    began: Instant,
    told: Instant,
}

impl Progress {
    fn new() -> Self {
        Self {
            terminal: io::stderr().is_terminal(),
            began: Instant::now(),
            told: Instant::now(),
        }
    }

    fn show(&mut self, round: u32, rounds: u32) {
        if !self.terminal && self.told.elapsed() < Duration::from_secs(10) {
            return;
        }
        self.told = Instant::now();
        let elapsed = self.began.elapsed().as_secs_f64();
        let left = elapsed / f64::from(round) * f64::from(rounds - round);
        let line = format!("turn {round} of {rounds}, {elapsed:.0} s, about {left:.0} s left");
        // Nobody reads it: then nobody misses it.
        let _ = if self.terminal {
            write!(io::stderr(), "\r{line} ")
        } else {
            writeln!(io::stderr(), "{line}")
        };
    }

    fn finish(&self) {
        if self.terminal {
            eprintln!();
        }
    }
}
