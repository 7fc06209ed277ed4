//! What the benchmark's hub is loaded with: one rate, a list of rates, or a search for the highest that holds.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::Args;
use serde::Serialize;
use tidegate_loadgen::cli::{Arrivals, Rate};
use tidegate_loadgen::profile::Profile;
use tidegate_loadgen::result::{Audit, RunResult, SweepResult};
use tidegate_loadgen::slo::Slo;

use super::super::output::read_file;
use super::words;
use crate::error::Error;

/// Seconds of each rate of a curve or a search, unless said.
const SWEEP_SECONDS: u32 = 2;
/// Seconds of load before each of them.
const WARM_UP_SECONDS: u32 = 1;
/// What a search sends in all, in seconds at the rate that the profile is planned for: up by doubling, then closing in.
const SEARCH_SECONDS: u32 = 8;

#[derive(Debug, Args)]
pub(super) struct LoadArgs {
    /// Seconds that are measured; as the profile says unless said, 2 for each rate of a curve or a search
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    seconds: Option<u32>,
    /// Payments per second by schedule (open loop), or `max`: as fast as answers come; as the profile says unless said, or
    /// else `max`
    #[arg(long, value_name = "N|max")]
    rate: Option<Rate>,
    /// How a rate spaces its payments; evenly unless said
    #[arg(long, value_enum)]
    arrivals: Option<Arrivals>,
    /// Latency against load: measures each of these rates, one behind the other
    #[arg(long, value_name = "RATES", value_delimiter = ',', conflicts_with_all = ["rate", "search"])]
    curve: Vec<Rate>,
    /// Finds the highest rate at which the latency is as asked: `p99<15ms`
    #[arg(long, value_name = "SLO", conflicts_with = "rate")]
    search: Option<Slo>,
    /// What the latency must be, as `p99<15ms`; may be repeated. Exit code 3 if one is missed
    #[arg(long, value_name = "SLO", conflicts_with_all = ["curve", "search"])]
    slo: Vec<Slo>,
    /// Writes the latencies of each second as an interval log of HdrHistogram
    #[arg(long, value_name = "FILE", conflicts_with_all = ["curve", "search"])]
    hlog: Option<PathBuf>,
    /// Writes the distribution of latencies as HdrHistogram's plotter takes it
    #[arg(long, value_name = "FILE", conflicts_with_all = ["curve", "search"])]
    hgrm: Option<PathBuf>,
    /// Show a live view of the run
    #[arg(long)]
    tui: bool,
}

impl LoadArgs {
    fn is_sweep(&self) -> bool {
        self.search.is_some() || !self.curve.is_empty()
    }

    fn sweep_seconds(&self) -> u32 {
        self.seconds.unwrap_or(SWEEP_SECONDS)
    }

    /// What `loadgen prepare` must know beside the profile.
    pub(super) fn prepare(&self, profile: &Profile) -> Vec<OsString> {
        let of_each = f64::from(self.sweep_seconds() + WARM_UP_SECONDS);
        let planned = f64::from(profile.run.payments_per_s_planned);
        let per_second = |rate: &Rate| match rate {
            Rate::PerSecond(rate) => *rate,
            Rate::Max => planned,
        };
        let payments = if self.search.is_some() {
            planned * of_each / f64::from(SWEEP_SECONDS + WARM_UP_SECONDS) * f64::from(SEARCH_SECONDS)
        } else {
            // What each rate still has in its queue when it ends comes on top.
            self.curve.iter().map(per_second).sum::<f64>() * of_each * 1.05
        };
        if self.is_sweep() {
            return vec!["--payments".into(), format!("{:.0}", payments.max(1.0)).into()];
        }
        let mut words = self
            .rate
            .map_or_else(Vec::new, |rate| vec!["--rate".into(), rate_word(rate).into()]);
        words.extend(self.seconds_words(self.seconds));
        words
    }

    /// The verb, and what it must know beside hub, profile and workload.
    pub(super) fn run(&self, profile: &Profile) -> (&'static str, Vec<OsString>) {
        let mut more: Vec<OsString> = Vec::new();
        let verb = if let Some(slo) = &self.search {
            // Doubling from an eighth of what is planned: a few steps below, and as far above as it goes.
            let from = (f64::from(profile.run.payments_per_s_planned) / 8.0).max(1.0);
            more.extend([
                "--slo".into(),
                slo.to_string().into(),
                "--from".into(),
                format!("{from:.0}").into(),
            ]);
            "search"
        } else if self.curve.is_empty() {
            more.extend(
                self.rate
                    .map_or_else(Vec::new, |rate| vec!["--rate".into(), rate_word(rate).into()]),
            );
            more.extend(self.slo.iter().flat_map(|slo| ["--slo".into(), slo.to_string().into()]));
            for (name, file) in [("--hlog", &self.hlog), ("--hgrm", &self.hgrm)] {
                more.extend(file.iter().flat_map(|file| [name.into(), file.into()]));
            }
            "run"
        } else {
            let rates: Vec<String> = self.curve.iter().map(|rate| rate_word(*rate)).collect();
            more.extend(["--rates".into(), rates.join(",").into()]);
            "curve"
        };
        let seconds = if self.is_sweep() {
            Some(self.sweep_seconds())
        } else {
            self.seconds
        };
        more.extend(self.seconds_words(seconds));
        if let Some(arrivals) = self.arrivals {
            more.extend(words(&[
                "--arrivals",
                if arrivals == Arrivals::Even { "even" } else { "poisson" },
            ]));
        }
        if self.tui {
            more.push("--tui".into());
        }
        (verb, more)
    }

    fn seconds_words(&self, seconds: Option<u32>) -> Vec<OsString> {
        seconds.map_or_else(Vec::new, |seconds| vec!["--seconds".into(), seconds.to_string().into()])
    }

    /// Reads what the verb wrote.
    pub(super) fn read(&self, path: &Path) -> Result<Measured, Error> {
        let bytes = read_file(path)?;
        let read = if self.is_sweep() {
            serde_json::from_slice(&bytes).map(|sweep| Measured::Sweep(Box::new(sweep)))
        } else {
            serde_json::from_slice(&bytes).map(|run| Measured::Run(Box::new(run)))
        };
        read.map_err(|error| Error::Io {
            action: "understand",
            path: path.to_owned(),
            source: error.into(),
        })
    }
}

fn rate_word(rate: Rate) -> String {
    match rate {
        Rate::PerSecond(rate) => rate.to_string(),
        Rate::Max => "max".to_owned(),
    }
}

/// What a benchmark came to.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Measured {
    Run(Box<RunResult>),
    Sweep(Box<SweepResult>),
}

impl std::fmt::Display for Measured {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Run(run) => run.fmt(f),
            Self::Sweep(sweep) => sweep.fmt(f),
        }
    }
}

impl Measured {
    pub(super) fn audit(&self) -> &Audit {
        match self {
            Self::Run(run) => &run.audit,
            Self::Sweep(sweep) => &sweep.audit,
        }
    }

    pub(super) fn notes(&mut self) -> &mut Vec<String> {
        match self {
            Self::Run(run) => &mut run.notes,
            Self::Sweep(sweep) => &mut sweep.notes,
        }
    }

    pub(super) const fn is_valid(&self) -> bool {
        match self {
            Self::Run(run) => run.valid,
            Self::Sweep(sweep) => sweep.valid,
        }
    }

    /// Notes the command that a reader can repeat, beside that of the generator, whose paths are gone.
    pub(super) fn name_command(&mut self, argv: Vec<String>) {
        let environment = match self {
            Self::Run(run) => &mut run.environment,
            Self::Sweep(sweep) => &mut sweep.environment,
        };
        environment.generator_argv = std::mem::replace(&mut environment.argv, argv);
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        load: LoadArgs,
    }

    fn words_of(line: &[&str]) -> (String, String) {
        let parsed = Line::try_parse_from([&["benchmark"][..], line].concat()).expect("a good line");
        let profile = Profile::load("quick").expect("built in");
        let text = |words: Vec<OsString>| {
            let words: Vec<_> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
            words.join(" ")
        };
        let (verb, more) = parsed.load.run(&profile);
        (text(parsed.load.prepare(&profile)), format!("{verb} {}", text(more)))
    }

    #[test]
    fn each_kind_of_load_is_a_verb_of_the_generator() {
        for (line, prepare, run) in [
            (&[][..], "", "run "),
            (
                &[
                    "--rate",
                    "200",
                    "--seconds",
                    "3",
                    "--slo",
                    "p99<15ms",
                    "--arrivals",
                    "poisson",
                ],
                "--rate 200 --seconds 3",
                "run --rate 200 --slo p99<15ms --seconds 3 --arrivals poisson",
            ),
            (
                &["--curve", "1000,max", "--seconds", "1"],
                "--payments 380100",
                "curve --rates 1000,max --seconds 1",
            ),
            (
                &["--search", "p99<15ms"],
                "--payments 1440000",
                "search --slo p99<15ms --from 22500 --seconds 2",
            ),
        ] {
            assert_eq!(words_of(line), (prepare.to_owned(), run.to_owned()), "{line:?}");
        }
    }

    #[test]
    fn loads_exclude_each_other() {
        for line in [
            &["--rate", "5", "--curve", "1,2"][..],
            &["--search", "p99<1ms", "--curve", "1,2"],
            &["--search", "p99<1ms", "--slo", "p99<1ms"],
            &["--curve", "1,x"],
        ] {
            assert!(
                Line::try_parse_from([&["benchmark"][..], line].concat()).is_err(),
                "{line:?}"
            );
        }
    }
}
