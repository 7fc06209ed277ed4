//! Feeds mutated inputs to every decoder in turn for as long as asked: what `scripts/fuzz` runs.
//!
//! ```text
//! fuzz-decoders --seconds N --seed N [--tally FILE] [TARGET]
//! ```
//!
//! With `--tally` the inputs of each target are counted in a file over many runs, which is written once a minute and at the end;
//! each run takes the seed that follows from what the file counts, so that no run repeats another. A failure prints the input in
//! hexadecimal and ends the process with 101 (134 where panics abort).

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::{Duration, Instant};
use std::{fs, io, panic};

use tidegate_test_fuzz::counting_allocator::Counting;
use tidegate_test_fuzz::feed::{Feed, input_under_way};
use tidegate_test_fuzz::targets;

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// How long it is each decoder's turn.
const TURN: Duration = Duration::from_millis(40);
/// From one word about a long run to the next.
const TELL_EVERY: Duration = Duration::from_secs(60);

struct Options {
    time: Duration,
    seed: u64,
    tally: Option<String>,
    target: Option<String>,
}

impl Options {
    fn read(mut words: impl Iterator<Item = String>) -> Option<Self> {
        let mut options = Self {
            time: Duration::from_secs(60),
            seed: 1,
            tally: None,
            target: None,
        };
        while let Some(word) = words.next() {
            match word.as_str() {
                "--seconds" => options.time = Duration::from_secs(words.next()?.parse().ok()?),
                "--seed" => options.seed = words.next()?.parse().ok()?,
                "--tally" => options.tally = Some(words.next()?),
                _ if word.starts_with('-') || options.target.is_some() => return None,
                _ => options.target = Some(word),
            }
        }
        Some(options)
    }
}

/// Inputs of each target, all runs together: one line each, its name and the number.
#[derive(Default)]
struct Tally(BTreeMap<String, u64>);

impl Tally {
    fn load(path: &str) -> io::Result<Self> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Self::default()),
            Err(error) => return Err(error),
        };
        let line = |line: &str| {
            let (name, count) = line.split_once(' ')?;
            Some((name.to_owned(), count.trim().parse().ok()?))
        };
        let lines: Option<BTreeMap<String, u64>> = text.lines().map(line).collect();
        lines
            .map(Self)
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "a line is not a name and a number"))
    }

    fn all(&self) -> u64 {
        self.0.values().sum()
    }

    fn with(&self, feeds: &[Feed]) -> Self {
        let mut sum = self.0.clone();
        for feed in feeds {
            *sum.entry(feed.target().name.to_owned()).or_default() += feed.count();
        }
        Self(sum)
    }

    /// Written beside and renamed, so that a run that is ended meanwhile loses a minute and not the count.
    fn store(&self, path: &str) -> io::Result<()> {
        let mut text = String::new();
        for (name, count) in &self.0 {
            writeln!(text, "{name} {count}").expect("a string takes all");
        }
        let beside = format!("{path}.new");
        fs::write(&beside, text)?;
        fs::rename(&beside, path)
    }
}

fn main() -> ExitCode {
    let Some(options) = Options::read(std::env::args().skip(1)) else {
        eprintln!("usage: fuzz-decoders [--seconds N] [--seed N] [--tally FILE] [TARGET]");
        return ExitCode::from(2);
    };
    match run(&options) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("fuzz-decoders: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(options: &Options) -> io::Result<()> {
    let before = options
        .tally
        .as_deref()
        .map_or_else(|| Ok(Tally::default()), Tally::load)?;
    let seed = options.seed.wrapping_add(before.all());
    let chosen = targets::ALL
        .iter()
        .filter(|target| options.target.as_ref().is_none_or(|only| only == target.name));
    let mut feeds: Vec<Feed> = chosen.map(|target| Feed::new(*target, seed)).collect();
    if feeds.is_empty() {
        let names: Vec<&str> = targets::ALL.iter().map(|target| target.name).collect();
        return Err(io::Error::other(format!(
            "no such target; there are: {}",
            names.join(", ")
        )));
    }
    println!("seed {seed}, {} inputs before", before.all());
    name_the_input(seed);
    let begin = Instant::now();
    let mut told = begin;
    while begin.elapsed() < options.time {
        feeds.iter_mut().for_each(|feed| feed.run_for(TURN));
        if told.elapsed() >= TELL_EVERY {
            told = Instant::now();
            tell(begin, &before.with(&feeds), options)?;
        }
    }
    feeds.iter().for_each(|feed| println!("{}", feed.report()));
    feeds.iter().for_each(Feed::assert_telling);
    tell(begin, &before.with(&feeds), options)
}

fn tell(begin: Instant, sum: &Tally, options: &Options) -> io::Result<()> {
    println!("{:>6} s {:>14} inputs in all", begin.elapsed().as_secs(), sum.all());
    options.tally.as_ref().map_or(Ok(()), |path| sum.store(path))
}

/// Whatever panics, the input is shown with it.
fn name_the_input(seed: u64) {
    let plain = panic::take_hook();
    panic::set_hook(Box::new(move |info| {
        plain(info);
        eprintln!("seed {seed}; the input: {}", input_under_way());
    }));
}
