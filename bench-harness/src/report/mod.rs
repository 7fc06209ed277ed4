//! The result of a suite, for machines (`tidegate.bench/1`) and for people.
//!
//! ```text
//! {"schema":"tidegate.bench/1","suite":…,
//!  "rows":[{"name":"module::op/key=value","system":"tidegate","value":…,"unit":"ns","n":…,"spread":…}],
//!  "ratios":{"name":x},"not_run":{"name":"why"},"environment":{…}}
//! ```

mod form;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

use crate::stats::{Outliers, Summary};

pub use form::FormError;
pub use tidegate_loadgen::environment::Environment;

/// The name of the form.
pub const SCHEMA: &str = "tidegate.bench/1";

/// One measured operation.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// `module::op/key=value`.
    pub name: String,
    /// Whose operation it is: `tidegate`, or a peer's name.
    pub system: String,
    /// The median of all repetitions.
    pub value: f64,
    /// `ns` or `us` per operation, `ms`, `s`, `B` per operation, `MB`, `/s`, or none for a share.
    pub unit: String,
    /// How many repetitions.
    pub n: u64,
    /// (90 % quantile − 10 % quantile) / median of the repetitions.
    pub spread: f64,
    /// Every repetition, in the order of measuring: what `compare` judges by. In a paired run, one value for each turn.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<f64>,
    /// The same repetitions in processor time of all threads, of a row that waits for nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub cpu_values: Vec<f64>,
    /// How many of `values` lie outside.
    #[serde(default)]
    pub outliers: Outliers,
}

impl Row {
    /// A row without repetitions: a count, or what a single long run came to. `n` is of how many it tells.
    #[must_use]
    pub fn counted(system: &str, name: &str, unit: &str, value: f64, n: u64) -> Self {
        Self {
            name: name.to_owned(),
            system: system.to_owned(),
            value,
            unit: unit.to_owned(),
            n,
            spread: 0.0,
            values: Vec::new(),
            cpu_values: Vec::new(),
            outliers: Outliers::default(),
        }
    }

    /// A row of repetitions that were timed one by one.
    ///
    /// # Panics
    /// Without values.
    #[must_use]
    pub fn of(system: &str, name: &str, unit: &str, values: &[f64]) -> Self {
        let Summary {
            median,
            spread,
            outliers,
        } = Summary::of(values);
        Self {
            name: name.to_owned(),
            system: system.to_owned(),
            value: median,
            unit: unit.to_owned(),
            n: values.len() as u64,
            spread,
            values: values.to_vec(),
            cpu_values: Vec::new(),
            outliers,
        }
    }
}

/// That a result is one side of a run in turns.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Paired {
    /// The same for both sides.
    pub id: String,
    /// `a` or `b`.
    pub side: String,
    /// How many turns.
    pub rounds: u64,
}

/// The result of one suite.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// The suite's name.
    pub suite: String,
    /// In the order of measuring.
    pub rows: Vec<Row>,
    /// Rows of this run compared, by name.
    pub ratios: BTreeMap<String, f64>,
    /// What there is no row of, and why: peers that were not asked for or could not be had.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub not_run: BTreeMap<String, String>,
    /// The other side was measured in turns with this one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paired: Option<Paired>,
    /// Percent of work that was added on purpose, to see whether `compare` finds it: such a result is worth nothing else.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub extra_work_percent: u64,
    /// Where it ran.
    pub environment: Environment,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl Report {
    /// Whether there is a row whose name begins so.
    #[must_use]
    pub fn has_row(&self, beginning: &str) -> bool {
        self.rows.iter().any(|row| row.name.starts_with(beginning))
    }

    /// As one JSON document.
    #[must_use]
    pub fn to_json(&self) -> String {
        serde_json::to_string_pretty(self).expect("texts, numbers and lists have a JSON form")
    }
}

/// A table; ratios come last.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Environment {
            cpu,
            cores,
            kernel,
            filesystem,
            backend,
            git,
            ..
        } = &self.environment;
        writeln!(
            f,
            "{}: {cpu}, {cores} cores, Linux {kernel}, {filesystem}, {backend}, commit {git}",
            self.suite
        )?;
        let width = self
            .rows
            .iter()
            .map(|row| row.name.len())
            .chain(self.ratios.keys().chain(self.not_run.keys()).map(String::len))
            .max();
        let width = width.unwrap_or(0);
        for Row {
            name,
            system,
            value,
            unit,
            spread,
            outliers,
            n,
            ..
        } in &self.rows
        {
            let outside = match outliers.count() {
                0 => String::new(),
                count => format!("  ({count} of {n} lie outside)"),
            };
            writeln!(
                f,
                "  {name:width$}  {value:>12.1} {unit}  ±{:>5.1} %  {system}{outside}",
                spread * 50.0
            )?;
        }
        for (name, why) in &self.not_run {
            writeln!(f, "  {name:width$}  {:>12}  {why}", "not run")?;
        }
        if self.extra_work_percent > 0 {
            writeln!(f, "  {} % of extra work was added on purpose", self.extra_work_percent)?;
        }
        for (name, ratio) in &self.ratios {
            writeln!(f, "  {name:width$}  {ratio:>12.2} ×")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn example() -> Report {
        Report {
            schema: SCHEMA.to_owned(),
            suite: "merkle".to_owned(),
            rows: vec![Row {
                spread: 0.04,
                outliers: Outliers { mild: 1, severe: 1 },
                ..Row::of("tidegate", "hash::hash/bytes=64", "ns", &[70.5; 11])
            }],
            ratios: [("one over many".to_owned(), 9.5)].into(),
            not_run: [("peer".to_owned(), "no compiler".to_owned())].into(),
            paired: None,
            extra_work_percent: 0,
            environment: Environment::capture(None, "system", "dalek-avx2", vec!["bench-harness".to_owned()]),
        }
    }

    #[test]
    fn the_form_has_every_key_of_the_contract() {
        let json: serde_json::Value = serde_json::from_str(&example().to_json()).expect("valid JSON");
        for key in [
            "/schema",
            "/suite",
            "/rows/0/name",
            "/rows/0/system",
            "/rows/0/value",
            "/rows/0/unit",
            "/rows/0/n",
            "/rows/0/values/10",
            "/rows/0/outliers/severe",
        ] {
            assert!(json.pointer(key).is_some(), "{key}");
        }
        for key in [
            "git",
            "dirty",
            "cpu",
            "cores",
            "kernel",
            "filesystem",
            "device",
            "governor",
            "cpu_features",
            "allocator",
            "backend",
            "fsync",
            "argv",
        ] {
            assert!(json.pointer(&format!("/environment/{key}")).is_some(), "{key}");
        }
        assert_eq!(json.pointer("/rows/0/spread"), Some(&0.04.into()));
        assert_eq!(json.pointer("/ratios/one over many"), Some(&9.5.into()));
    }

    /// A result of an earlier version, without what was added since.
    #[test]
    fn an_older_result_reads() {
        let text = r#"{"schema":"tidegate.bench/1","suite":"merkle","rows":[{"name":"a::b/c=1","system":"tidegate","value":1.5,
            "unit":"ns","n":11,"spread":0.1}],"ratios":{},"environment":{"git":"x","dirty":false,"cpu":"c","cores":2,
            "kernel":"k","filesystem":"ext4","allocator":"m","backend":"b","argv":[]}}"#;
        let report: Report = serde_json::from_str(text).expect("the keys of the contract");
        assert!(report.rows[0].values.is_empty() && report.paired.is_none());
    }

    #[test]
    fn it_reads_what_it_wrote() {
        let report: Report = serde_json::from_str(&example().to_json()).expect("the same form");
        assert_eq!(report, example());
    }

    #[test]
    fn a_person_sees_ratios_last() {
        let table = example().to_string();
        assert!(table.trim_end().ends_with("9.50 ×"), "{table}");
        assert!(
            table.contains("70.5 ns  ±  2.0 %  tidegate  (2 of 11 lie outside)"),
            "{table}"
        );
        let peer = table
            .lines()
            .find(|line| line.contains("not run"))
            .expect("a line of its own");
        assert!(peer.starts_with("  peer ") && peer.ends_with("no compiler"), "{peer}");
    }
}
