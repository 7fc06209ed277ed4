//! Whether B is slower than A: two results of one suite, row by row.
//!
//! ```text
//! A.json, B.json ─▶ judge ─▶ Comparison: a table, `tidegate.compare/1`, and whether there is a regression
//!                    ▲
//!      turns: A B B A A B …   two programs, one suite, each turn a process of its own
//! ```
//!
//! A row is a regression when it is slower by more than 3 % *and* that is no chance: a difference must be both large and
//! sure. Two results that were measured in turns are compared turn by turn; other results as what they are, two runs one
//! behind the other, between which the machine may have changed.
//!
//! Rows that only compute on one thread are compared by processor time, which what else runs on the machine moves least;
//! all others by the clock.

mod table;
pub mod turns;

use serde::{Deserialize, Serialize};

use crate::report::{Environment, Report, Row};
use crate::stats::ranks::{self, Difference};
use crate::stats::{holm, median};

/// The name of the form.
pub const SCHEMA: &str = "tidegate.compare/1";

/// What a difference must exceed to count, as a part.
pub const THRESHOLD: f64 = 0.03;

/// How likely a difference may be by chance, in the whole table, to count as sure.
pub const ALPHA: f64 = 0.01;

/// Fewer values of a side cannot be sure of anything.
pub const VALUES_MIN: usize = 5;

/// By which time a row is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum Clock {
    /// Processor time of all threads.
    Cpu,
    /// The clock on the wall.
    Wall,
}

impl Clock {
    /// That of a row, unless somebody says otherwise.
    #[must_use]
    pub fn of(row: &Row) -> Self {
        let many = row.name.split([',', '/']).any(|key| {
            let cores = key.strip_prefix("cores=").or_else(|| key.strip_prefix("threads="));
            cores.is_some_and(|count| count != "1")
        });
        if row.cpu_values.is_empty() || many {
            Self::Wall
        } else {
            Self::Cpu
        }
    }

    /// What a row has of it.
    #[must_use]
    pub fn values(self, row: &Row) -> &[f64] {
        match self {
            Self::Cpu => &row.cpu_values,
            Self::Wall => &row.values,
        }
    }
}

/// What became of a row.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Worse by more than [`THRESHOLD`], and surely so.
    Regression,
    /// Better by more than [`THRESHOLD`], and surely so.
    Better,
    /// Surely within [`THRESHOLD`].
    Same,
    /// Neither: the values lie too far apart to say.
    Unclear,
}

/// One row on both sides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Compared {
    /// As in both results.
    pub name: String,
    /// Whose operation.
    pub system: String,
    /// As in both results.
    pub unit: String,
    /// By which time.
    pub clock: Clock,
    /// The median of A by that time.
    pub a: f64,
    /// The median of B.
    pub b: f64,
    /// How many times as large B is, as estimated from all values.
    pub ratio: f64,
    /// Where that lies with 99 % confidence.
    pub interval: [f64; 2],
    /// How likely such a difference is by chance in this row.
    pub p: f64,
    /// The same in a table of so many rows: what is compared with [`ALPHA`].
    pub p_adjusted: f64,
    /// What became of it.
    pub verdict: Verdict,
}

/// Two results, compared.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// [`SCHEMA`].
    pub schema: String,
    /// The suite of both.
    pub suite: String,
    /// `paired` (turns) or `unpaired` (two runs).
    pub method: String,
    /// What a difference must exceed.
    pub threshold: f64,
    /// How unlikely by chance it must be.
    pub alpha: f64,
    /// In A's order.
    pub rows: Vec<Compared>,
    /// What of A or B was not compared, and why.
    pub not_compared: Vec<String>,
    /// What a reader should know.
    pub notes: Vec<String>,
    /// True if a row is a regression.
    pub regression: bool,
}

/// Why two results cannot be compared.
#[derive(Debug, thiserror::Error)]
pub enum CompareError {
    /// One is of another suite.
    #[error("A is of suite {a}, B of suite {b}: give two results of one suite")]
    Suites {
        /// A's.
        a: String,
        /// B's.
        b: String,
    },
    /// There is not one row to judge.
    #[error("no row of both has {VALUES_MIN} repetitions or more; run the suite again, or `compare --run SUITE A B`")]
    Nothing,
}

/// Compares two results; `clock` for all rows instead of each one's own.
///
/// # Errors
/// [`CompareError`].
pub fn judge(a: &Report, b: &Report, clock: Option<Clock>) -> Result<Comparison, CompareError> {
    if a.suite != b.suite {
        return Err(CompareError::Suites {
            a: a.suite.clone(),
            b: b.suite.clone(),
        });
    }
    let paired = matches!((&a.paired, &b.paired), (Some(a), Some(b)) if a.id == b.id && a.side != b.side);
    let (mut rows, mut not_compared) = (Vec::new(), Vec::new());
    for row in &a.rows {
        let other = b
            .rows
            .iter()
            .find(|other| (&other.name, &other.system) == (&row.name, &row.system));
        match other
            .ok_or("B has no such row")
            .and_then(|other| compare_row(row, other, clock, paired))
        {
            Ok(compared) => rows.push(compared),
            Err(why) => not_compared.push(format!("{}: {why}", row.name)),
        }
    }
    let strangers = b
        .rows
        .iter()
        .filter(|row| a.rows.iter().all(|other| other.name != row.name));
    not_compared.extend(strangers.map(|row| format!("{}: A has no such row", row.name)));
    if rows.is_empty() {
        return Err(CompareError::Nothing);
    }
    let adjusted = holm(&rows.iter().map(|row| row.p).collect::<Vec<_>>());
    for (row, p) in rows.iter_mut().zip(adjusted) {
        row.p_adjusted = p;
        row.verdict = verdict(row);
    }
    Ok(Comparison {
        schema: SCHEMA.to_owned(),
        suite: a.suite.clone(),
        method: if paired { "paired" } else { "unpaired" }.to_owned(),
        threshold: THRESHOLD,
        alpha: ALPHA,
        regression: rows.iter().any(|row| row.verdict == Verdict::Regression),
        rows,
        not_compared,
        notes: notes(a, b, paired),
    })
}

fn compare_row(a: &Row, b: &Row, clock: Option<Clock>, paired: bool) -> Result<Compared, &'static str> {
    if a.unit != b.unit {
        return Err("another unit");
    }
    let clock = clock.unwrap_or_else(|| Clock::of(a));
    let [of_a, of_b] = [a, b].map(|row| clock.values(row));
    if of_a.len().min(of_b.len()) < VALUES_MIN {
        return Err("too few repetitions");
    }
    if of_a.iter().chain(of_b).any(|value| *value <= 0.0) {
        return Err("a value of zero");
    }
    let Difference { ratio, interval, p } = if paired && of_a.len() == of_b.len() {
        ranks::paired(of_a, of_b)
    } else {
        ranks::unpaired(of_a, of_b)
    };
    Ok(Compared {
        name: a.name.clone(),
        system: a.system.clone(),
        unit: a.unit.clone(),
        clock,
        a: median(of_a),
        b: median(of_b),
        ratio,
        interval,
        p,
        p_adjusted: p,
        verdict: Verdict::Unclear,
    })
}

fn verdict(row: &Compared) -> Verdict {
    // Of a rate less is worse; of everything else, more.
    let rate = row.unit == "/s";
    let [low, high] = row.interval;
    let (ratio, low, high) = if rate {
        (1.0 / row.ratio, 1.0 / high, 1.0 / low)
    } else {
        (row.ratio, low, high)
    };
    let (least, most) = (1.0 / (1.0 + THRESHOLD), 1.0 + THRESHOLD);
    let sure = row.p_adjusted < ALPHA;
    if sure && ratio > most {
        Verdict::Regression
    } else if sure && ratio < least {
        Verdict::Better
    } else if low >= least && high <= most {
        Verdict::Same
    } else {
        Verdict::Unclear
    }
}

fn notes(a: &Report, b: &Report, paired: bool) -> Vec<String> {
    let (of_a, of_b) = (&a.environment, &b.environment);
    let same = |what: &str, of: fn(&Environment) -> &str| {
        (of(of_a) != of(of_b)).then(|| format!("{what}: A on {}, B on {}", of(of_a), of(of_b)))
    };
    let mut notes: Vec<String> = [
        same("another processor", |e| &e.cpu),
        same("another kernel", |e| &e.kernel),
        same("another filesystem", |e| &e.filesystem),
        same("another build", |e| &e.build),
        same("another verifier", |e| &e.backend),
    ]
    .into_iter()
    .flatten()
    .collect();
    if !paired {
        notes.push(
            "two runs, one behind the other: what changed on the machine in between counts too; `compare --run SUITE A B` takes turns"
                .to_owned(),
        );
    }
    for (side, report) in [("A", a), ("B", b)] {
        if report.extra_work_percent > 0 {
            notes.push(format!(
                "{side} did {} % more work on purpose",
                report.extra_work_percent
            ));
        }
    }
    notes
}

#[cfg(test)]
mod tests;
