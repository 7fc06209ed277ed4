//! Two programs and one suite, in turns: what else happens on the machine meets both alike.
//!
//! ```text
//! turn    1    2    3    4 …
//!        A B  B A  A B  B A        each letter a process: `PROGRAM run SUITE --only … --repetitions … --json`
//! ```
//!
//! Each turn gives each side one value of each row: of a row that only computes the least of its repetitions, since all that
//! disturbs a computation makes it longer (Chen and Revels, Robust benchmarking in noisy environments, 2016); of a row that
//! waits for a device the median, since waits are part of it. A process of its own for every turn lets the places of code and
//! memory, which may be worth some percent as well, fall anew each time.
//!
//! On a machine that does other things some spans of time are so disturbed that a difference of 5 % is not sure after all turns.
//! So while a row's interval is wider than what a difference must exceed, more turns are taken. It is the width alone that decides
//! this, never where the interval lies, so that going on makes no chance difference more likely to be called one (an interval of
//! fixed width: Chow and Robbins, On the asymptotic theory of fixed-width sequential confidence intervals, 1965).

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{SystemTime, UNIX_EPOCH};

use super::{Clock, THRESHOLD, rows};
use crate::report::{FormError, Paired, Report, Row};
use crate::stats::median;

/// What is to be measured, by which programs.
#[derive(Clone, Debug)]
pub struct Turns {
    /// The suite.
    pub suite: String,
    /// Rows whose name begins so.
    pub only: Option<String>,
    /// How many turns.
    pub rounds: u32,
    /// How many at most, while a row is not sure enough.
    pub rounds_max: u32,
    /// Repetitions of a row in each.
    pub repetitions: u32,
    /// Small data: shows that it works.
    pub tiny: bool,
    /// Where files of the runs go.
    pub folder: PathBuf,
    /// The programs A and B.
    pub programs: [PathBuf; 2],
}

/// Why there is no result.
#[derive(Debug, thiserror::Error)]
pub enum TurnsError {
    /// A program does not start.
    #[error("{} does not start: {source}; give two programs that are `bench-harness`", program.display())]
    Start {
        /// Which.
        program: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// A program failed.
    #[error("{} ended with {status}; what it said stands above", program.display())]
    Failed {
        /// Which.
        program: PathBuf,
        /// How.
        status: ExitStatus,
    },
    /// A program printed something else than a result.
    #[error("{} printed no result of a suite: {source}", program.display())]
    Result {
        /// Which.
        program: PathBuf,
        /// What is wrong.
        source: FormError,
    },
    /// An older program measured nothing, and called it good.
    #[error("no row of {} begins with `{only}`; its `run SUITE --tiny` shows their names", program.display())]
    NoRow {
        /// Which.
        program: PathBuf,
        /// How names were to begin.
        only: String,
    },
    /// A row comes and goes.
    #[error("{} had other rows in turn {round} than in the first", program.display())]
    Rows {
        /// Which.
        program: PathBuf,
        /// When, from 1.
        round: u32,
    },
}

impl Turns {
    /// Takes all turns; `told` hears how many are done, and of how many.
    ///
    /// # Errors
    /// [`TurnsError`].
    pub fn run(&self, mut told: impl FnMut(u32, u32)) -> Result<[Report; 2], TurnsError> {
        let mut sides: [Option<Report>; 2] = [None, None];
        let (mut round, mut rounds) = (0, self.rounds);
        while round < rounds {
            round += 1;
            let order = if round % 2 == 1 { [0, 1] } else { [1, 0] };
            for side in order {
                let turn = self.turn(&self.programs[side])?;
                match &mut sides[side] {
                    Some(all) => join(all, turn).map_err(|Other| TurnsError::Rows {
                        program: self.programs[side].clone(),
                        round,
                    })?,
                    empty => *empty = Some(begin(turn)),
                }
            }
            if round == rounds && rounds < self.rounds_max && is_vague(&sides) {
                rounds = self.rounds_max.min(rounds + self.rounds.div_ceil(2));
            }
            told(round, rounds);
        }
        let id = self.id();
        let [a, b] = sides.map(|side| side.expect("there is at least one round"));
        Ok([("a", a), ("b", b)].map(|(side, report)| finish(report, &id, side, rounds)))
    }

    /// One process.
    fn turn(&self, program: &Path) -> Result<Report, TurnsError> {
        let mut command = Command::new(program);
        command.args(["run", &self.suite, "--repetitions", &self.repetitions.to_string()]);
        command.arg("--dir").arg(&self.folder);
        if let Some(only) = &self.only {
            command.args(["--only", only]);
        }
        command.args(self.tiny.then_some("--tiny"));
        // Rows are told on standard error as they come; here only what went wrong is wanted.
        command
            .arg("--quiet")
            .arg("--json")
            .stdin(Stdio::null())
            .stderr(Stdio::inherit());
        let output = command.output().map_err(|source| TurnsError::Start {
            program: program.to_owned(),
            source,
        })?;
        if !output.status.success() {
            return Err(TurnsError::Failed {
                program: program.to_owned(),
                status: output.status,
            });
        }
        let report = Report::from_json(&String::from_utf8_lossy(&output.stdout));
        let report = report.map_err(|source| TurnsError::Result {
            program: program.to_owned(),
            source,
        })?;
        match &self.only {
            Some(only) if !report.has_row(only) => Err(TurnsError::NoRow {
                program: program.to_owned(),
                only: only.clone(),
            }),
            _ => Ok(report),
        }
    }

    /// Different in every run.
    fn id(&self) -> String {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        format!("{}-{}-{}", self.suite, now.as_nanos(), std::process::id())
    }
}

fn finish(mut report: Report, id: &str, side: &str, rounds: u32) -> Report {
    for row in &mut report.rows {
        let cpu_values = std::mem::take(&mut row.cpu_values);
        *row = Row {
            cpu_values,
            ..Row::of(&row.system, &row.name, &row.unit, &row.values)
        };
    }
    report.paired = Some(Paired {
        id: id.to_owned(),
        side: side.to_owned(),
        rounds: rounds.into(),
    });
    report
}

/// True if the interval of some row is so wide that a difference which counts may hide in it.
fn is_vague(sides: &[Option<Report>; 2]) -> bool {
    let [Some(a), Some(b)] = sides else { return false };
    let wide = |(a, b): (&Row, &Row)| {
        let compared = rows::compare(a, b, None, true);
        compared.is_ok_and(|row| row.interval[1] / row.interval[0] > 1.0 + THRESHOLD)
    };
    a.rows.iter().zip(&b.rows).any(wide)
}

/// The rows of a turn are not those of the turns before.
struct Other;

/// The first turn: its rows with one value each; ratios of a single turn say nothing.
fn begin(mut turn: Report) -> Report {
    for row in &mut turn.rows {
        let value = value_of_turn(row, Clock::Wall);
        let cpu = (!row.cpu_values.is_empty()).then(|| value_of_turn(row, Clock::Cpu));
        (row.values, row.cpu_values) = (vec![value], cpu.into_iter().collect());
    }
    turn.ratios.clear();
    turn
}

fn join(all: &mut Report, turn: Report) -> Result<(), Other> {
    if all.rows.len() != turn.rows.len() {
        return Err(Other);
    }
    for (row, turn) in all.rows.iter_mut().zip(begin(turn).rows) {
        if (&row.name, &row.system, &row.unit) != (&turn.name, &turn.system, &turn.unit) {
            return Err(Other);
        }
        row.values.extend(turn.values);
        row.cpu_values.extend(turn.cpu_values);
    }
    Ok(())
}

fn value_of_turn(row: &Row, clock: Clock) -> f64 {
    match clock.values(row) {
        [] => row.value,
        values if row.cpu_values.is_empty() => median(values),
        values => values.iter().copied().fold(f64::INFINITY, f64::min),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Environment;

    fn turn(names: &[&str], values: &[f64], cpu: &[f64]) -> Report {
        let row = |name: &&str| Row {
            cpu_values: cpu.to_vec(),
            ..Row::of("tidegate", name, "ns", values)
        };
        Report {
            schema: crate::report::SCHEMA.to_owned(),
            suite: "s".to_owned(),
            rows: names.iter().map(row).collect(),
            ratios: [("r".to_owned(), 2.0)].into(),
            not_run: std::collections::BTreeMap::new(),
            paired: None,
            extra_work_percent: 0,
            environment: Environment::default(),
        }
    }

    #[test]
    fn a_turn_gives_each_row_one_value() {
        let mut all = begin(turn(&["a::b/c=1"], &[5.0, 3.0, 9.0], &[2.0, 4.0, 3.0]));
        assert!(join(&mut all, turn(&["a::b/c=1"], &[6.0, 4.0, 8.0], &[5.0, 7.0, 6.0])).is_ok());
        assert_eq!(
            (&all.rows[0].values, &all.rows[0].cpu_values),
            (&vec![3.0, 4.0], &vec![2.0, 5.0])
        );
        assert!(all.ratios.is_empty());
        // What waits for a device is not taken at its luckiest.
        assert_eq!(begin(turn(&["a::b/c=1"], &[5.0, 3.0, 9.0], &[])).rows[0].values, [5.0]);
    }

    #[test]
    fn it_goes_on_while_a_difference_may_hide_wherever_the_interval_lies() {
        let side = |values: &[f64]| Some(turn(&["a::b/c=1"], values, values));
        let even = [100.0; 9];
        assert!(!is_vague(&[side(&even), side(&[105.0; 9])]), "as sure as can be");
        let noisy = [100.0, 104.0, 96.0, 108.0, 92.0, 100.0, 105.0, 95.0, 101.0];
        for factor in [0.9, 1.0, 1.05] {
            assert!(
                is_vague(&[side(&even), side(&noisy.map(|value| value * factor))]),
                "{factor}"
            );
        }
    }

    #[test]
    fn rows_that_come_and_go_are_noticed() {
        let mut all = begin(turn(&["a::b/c=1"], &[5.0], &[]));
        assert!(join(&mut all, turn(&["a::b/c=2"], &[5.0], &[])).is_err());
        assert!(join(&mut all, turn(&["a::b/c=1", "a::b/c=2"], &[5.0], &[])).is_err());
    }

    #[test]
    fn what_is_no_program_is_named() {
        let turns = Turns {
            suite: "merkle".to_owned(),
            only: None,
            rounds: 1,
            rounds_max: 1,
            repetitions: 1,
            tiny: true,
            folder: ".".into(),
            programs: ["/nowhere/a".into(), "/bin/false".into()],
        };
        let error = turns.run(|_, _| ()).expect_err("no program");
        assert!(error.to_string().starts_with("/nowhere/a does not start: "), "{error}");
        let turns = Turns {
            programs: ["/bin/false".into(), "/bin/false".into()],
            ..turns
        };
        assert!(matches!(turns.run(|_, _| ()), Err(TurnsError::Failed { .. })));
        let turns = Turns {
            programs: ["/bin/true".into(), "/bin/true".into()],
            ..turns
        };
        assert!(matches!(turns.run(|_, _| ()), Err(TurnsError::Result { .. })));
    }

    /// Programs of before end well without a row: then 21 turns would measure nothing.
    #[test]
    fn a_program_without_such_a_row_ends_the_turns_at_the_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let program = folder.path().join("old");
        let said = turn(&["a::b/c=1"], &[5.0], &[]).to_json();
        std::fs::write(
            &program,
            format!("#!/bin/sh\necho x >>\"$0.turns\"\ncat <<'END'\n{said}\nEND\n"),
        )
        .expect("written");
        std::fs::set_permissions(&program, std::os::unix::fs::PermissionsExt::from_mode(0o755))
            .expect("made executable");
        let turns = |only: &str| Turns {
            suite: "s".to_owned(),
            only: Some(only.to_owned()),
            rounds: 5,
            rounds_max: 20,
            repetitions: 1,
            tiny: true,
            folder: ".".into(),
            programs: [program.clone(), program.clone()],
        };
        let error = turns("nosuch::").run(|_, _| ()).expect_err("no row");
        assert!(error.to_string().contains("begins with `nosuch::`"), "{error}");
        let count = std::fs::read_to_string(folder.path().join("old.turns")).expect("it ran");
        assert_eq!(count.lines().count(), 1);
        assert_eq!(turns("a::").run(|_, _| ()).expect("a row")[0].rows[0].values.len(), 5);
    }
}
