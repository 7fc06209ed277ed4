//! A comparison for people.

use std::fmt;

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
        let width = self.rows.iter().map(|row| row.name.len()).max().unwrap_or(0);
        writeln!(
            f,
            "{:width$}  {:>10}  {:>10}      {:>8}  {:>19}  {:>8}  verdict",
            self.suite, "A", "B", "B / A", "99 % interval", "p"
        )?;
        for row in &self.rows {
            let Compared {
                name,
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
        for what in &self.not_compared {
            writeln!(f, "not compared  {what}")?;
        }
        for note in &self.notes {
            writeln!(f, "note  {note}")?;
        }
        let count = self
            .rows
            .iter()
            .filter(|row| row.verdict == Verdict::Regression)
            .count();
        let limit = THRESHOLD * 100.0;
        if count == 0 {
            writeln!(
                f,
                "no regression: nothing is slower by more than {limit} % with p < {ALPHA}"
            )
        } else {
            writeln!(
                f,
                "{count} of {} rows are slower by more than {limit} % with p < {ALPHA}",
                self.rows.len()
            )
        }
    }
}

fn percent(ratio: f64) -> f64 {
    (ratio - 1.0) * 100.0
}
