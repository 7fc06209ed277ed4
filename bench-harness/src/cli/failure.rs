//! Why a verb ends with exit code 1: one line with a stable code and what to do, in the form of the hub's program.
//!
//! ```text
//! error[TG-9010]: before.json: No such file or directory (os error 2); give a result that `bench-harness run --json` wrote
//! ```
//!
//! Codes are a contract: scripts match on them. A code is never given a second meaning, and never reused.

use std::io;
use std::path::PathBuf;

use crate::compare::CompareError;
use crate::compare::turns::TurnsError;
use crate::instructions::{BaselineError, CountError};
use crate::page::{PageError, readme};
use crate::report::FormError;
use crate::suites::SuiteError;

/// What went wrong; what to do.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("suite {suite}: {source}; `bench-harness run --help` says what it can be given")]
    Suite { suite: String, source: SuiteError },
    #[error("{}: {source}; give a file that can be written", path.display())]
    Write { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Count(#[from] CountError),
    #[error("{0}; `bench-harness instructions --record` makes one")]
    Baseline(#[from] BaselineError),
    #[error("{}; if it is meant, `bench-harness instructions --record`", .0.join(", "))]
    Grown(Vec<String>),
    #[error("{}: {source}; give a result that `bench-harness run --json` wrote", path.display())]
    Read { path: PathBuf, source: io::Error },
    #[error("{0}")]
    Compare(#[from] CompareError),
    #[error("{0}")]
    Turns(#[from] TurnsError),
    #[error("{variable} is `{value}`; give a percentage, from 0 to 100")]
    ExtraWork { variable: &'static str, value: String },
    #[error("{}: {source}", path.display())]
    Form { path: PathBuf, source: FormError },
    #[error("no row of suite {suite} begins with `{only}`{}; `bench-harness run {suite} --tiny` shows their names", not_run(.left))]
    NoRow {
        suite: String,
        only: String,
        left: Vec<String>,
    },
    #[error("{0}")]
    Page(#[from] PageError),
    #[error("{} has no place for figures; put `{}` and `{}` there", path.display(), readme::BEGIN, readme::END)]
    Marks { path: PathBuf },
}

impl Failure {
    /// The stable code.
    const fn code(&self) -> u16 {
        match self {
            Self::Suite { .. } => 9001,
            Self::Write { .. } => 9002,
            Self::Count(_) => 9003,
            Self::Baseline(_) => 9004,
            Self::Grown(_) => 9005,
            Self::Read { .. } => 9010,
            Self::Compare(CompareError::Machines(_)) => 9017,
            Self::Compare(_) => 9011,
            Self::Turns(_) => 9012,
            Self::ExtraWork { .. } => 9013,
            Self::Page(_) => 9014,
            Self::Marks { .. } => 9015,
            Self::Form { .. } => 9016,
            Self::NoRow { .. } => 9018,
        }
    }

    /// The whole line, without a line break.
    pub(super) fn line(&self) -> String {
        let what = self.to_string();
        let what: Vec<&str> = what.split_whitespace().collect();
        format!("error[TG-{}]: {}", self.code(), what.join(" "))
    }
}

/// A peer's row that was asked for and not measured is no misspelt name.
fn not_run(left: &[String]) -> String {
    if left.is_empty() {
        return String::new();
    }
    format!(", not run: {}", left.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_and_what_to_do_stand_on_one_line() {
        let failure = Failure::Write {
            path: "a.json".into(),
            source: io::Error::other("no\n  room"),
        };
        assert_eq!(
            failure.line(),
            "error[TG-9002]: a.json: no room; give a file that can be written"
        );
    }
}
