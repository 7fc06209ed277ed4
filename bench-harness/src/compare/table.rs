//! A comparison for people.

use std::fmt;

use super::rows::label;
use super::{ALPHA, Clock, Compared, Comparison, THRESHOLD, Verdict};

impl Verdict {
    const fn word(self) -> &'static str {
        match self {
            Self::Regression => "REGRESSION",
            Self::Better => "better",
            Self::Same => "same",
            Self::Unclear => "unclear",
        }
    }
}

/// A table; what it comes to stands last.
impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let width = self.rows.iter().map(|row| label(&row.name, &row.system).len()).max();
        let width = width.unwrap_or(0);
        writeln!(
            f,
            "{:width$}  {:>10}  {:>10}      {:>8}  {:>19}  {:>8}  verdict",
            self.suite, "A", "B", "B / A", "99 % interval", "p"
        )?;
        for row in &self.rows {
            let Compared {
                name,
                system,
                unit,
                a,
                b,
                ratio,
                interval: [low, high],
                p_adjusted,
                verdict,
                clock,
                ..
            } = row;
            let name = label(name, system);
            let cpu = if *clock == Clock::Cpu { "" } else { "  (wall)" };
            writeln!(
                f,
                "{name:width$}  {a:>10.2}  {b:>10.2} {unit:<3}  {:>+7.2} %  {:>+7.2} … {:>+7.2} %  {p_adjusted:>8.1e}  {}{cpu}",
                percent(*ratio),
                percent(*low),
                percent(*high),
                verdict.word()
            )?;
        }
        for what in &self.missing {
            writeln!(f, "MISSING in B  {what}")?;
        }
        for what in &self.not_compared {
            writeln!(f, "not compared  {what}")?;
        }
        for note in &self.notes {
            writeln!(f, "note  {note}")?;
        }
        writeln!(f, "{}", self.verdict())
    }
}

impl Comparison {
    /// What it comes to, in one line.
    fn verdict(&self) -> String {
        let slower = self.rows.iter().filter(|row| row.verdict == Verdict::Regression);
        let (slower, rows, missing) = (slower.count(), self.rows.len(), self.missing.len());
        let what = format!("slower by more than {} % with p < {ALPHA}", THRESHOLD * 100.0);
        match (slower, missing) {
            (0, 0) => format!("no regression: of {rows} rows none is {what}"),
            (_, 0) => format!("{slower} of {rows} rows are {what}"),
            (0, _) => format!("rows missing in B: {missing}; of {rows} others none is {what}"),
            _ => format!("{slower} of {rows} rows are {what}; rows missing in B: {missing}"),
        }
    }
}

fn percent(ratio: f64) -> f64 {
    (ratio - 1.0) * 100.0
}
