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
//! behind the other, between which the machine may have changed. Results of two machines are not compared, unless somebody
//! asks for it; and what B lacks is no "no regression".
//!
//! Rows that only compute on one thread are compared by processor time, which what else runs on the machine moves least;
//! all others by the clock.

mod machines;
mod rows;
mod table;
pub mod turns;

use serde::{Deserialize, Serialize};

use crate::report::{Report, Row};
use crate::stats::holm;
use rows::{Matched, label};

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

/// How two results are to be compared.
#[derive(Clone, Copy, Debug, Default)]
pub struct Terms {
    /// All rows by this time, instead of each by what fits it.
    pub clock: Option<Clock>,
    /// Also if the results are of two machines.
    pub across_machines: bool,
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
    /// Rows of A that B lacks, or has in another unit: nothing is known of them.
    #[serde(default)]
    pub missing: Vec<String>,
    /// What else of A or B was not compared, and why.
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
    /// They are of two machines.
    #[error(
        "A and B are of two machines: {}; measure both on one, best in turns (`compare --run SUITE A B`), or say --across-machines",
        .0.join(", ")
    )]
    Machines(Vec<String>),
    /// There is not one row to judge; why, in groups.
    #[error("no row can be compared: {}; measure the same rows on both sides, or `compare --run SUITE A B`", .0.join(", "))]
    Nothing(Vec<String>),
}

impl Comparison {
    /// Whether B may be called no slower than A: there is no regression, and every row was there to be judged.
    #[must_use]
    pub const fn holds(&self) -> bool {
        !self.regression && self.missing.is_empty()
    }
}

/// Compares two results.
///
/// # Errors
/// [`CompareError`].
pub fn judge(a: &Report, b: &Report, terms: Terms) -> Result<Comparison, CompareError> {
    if a.suite != b.suite {
        return Err(CompareError::Suites {
            a: a.suite.clone(),
            b: b.suite.clone(),
        });
    }
    let paired = matches!((&a.paired, &b.paired), (Some(a), Some(b)) if a.id == b.id && a.side != b.side);
    // What was measured in turns was measured on one machine, even if an older program knows less of it.
    let apart = if paired {
        Vec::new()
    } else {
        machines::apart(&a.environment, &b.environment)
    };
    if !apart.is_empty() && !terms.across_machines {
        return Err(CompareError::Machines(apart));
    }
    let Matched {
        pairs,
        missing,
        mut others,
    } = rows::matched(a, b);
    let mut compared = Vec::new();
    for (row, other) in pairs {
        match rows::compare(row, other, terms.clock, paired) {
            Ok(row) => compared.push(row),
            Err(why) => others.push((label(&row.name, &row.system), why)),
        }
    }
    if compared.is_empty() {
        return Err(CompareError::Nothing(rows::reasons(missing.iter().chain(&others))));
    }
    let adjusted = holm(&compared.iter().map(|row| row.p).collect::<Vec<_>>());
    for (row, p) in compared.iter_mut().zip(adjusted) {
        row.p_adjusted = p;
        row.verdict = rows::verdict(row);
    }
    let told = |rows: Vec<(String, String)>| rows.into_iter().map(|(row, why)| format!("{row}: {why}")).collect();
    Ok(Comparison {
        schema: SCHEMA.to_owned(),
        suite: a.suite.clone(),
        method: if paired { "paired" } else { "unpaired" }.to_owned(),
        threshold: THRESHOLD,
        alpha: ALPHA,
        regression: compared.iter().any(|row| row.verdict == Verdict::Regression),
        rows: compared,
        missing: told(missing),
        not_compared: told(others),
        notes: notes(a, b, paired, &apart),
    })
}

fn notes(a: &Report, b: &Report, paired: bool, apart: &[String]) -> Vec<String> {
    let mut notes = Vec::new();
    if !apart.is_empty() {
        let apart = apart.join(", ");
        notes.push(format!(
            "two machines ({apart}): the ratios tell of these as much as of the programs"
        ));
    }
    notes.extend(machines::differences(&a.environment, &b.environment));
    if !paired {
        notes.push(
            "not interleaved: A and B are two runs, one behind the other, and what the machine did in between counts too; \
             what holds is `compare --run SUITE A B`, which takes turns"
                .to_owned(),
        );
    }
    for (side, report) in [("A", a), ("B", b)] {
        if report.extra_work_percent > 0 {
            let percent = report.extra_work_percent;
            notes.push(format!("{side} did {percent} % more work on purpose"));
        }
    }
    notes
}

#[cfg(test)]
mod tests;
