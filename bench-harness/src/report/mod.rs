//! The result of a suite, for machines (`tidegate.bench/1`) and for people.
//!
//! ```text
//! {"schema":"tidegate.bench/1","suite":…,
//!  "rows":[{"name":"module::op/key=value","system":"tidegate","value":…,"unit":"ns","n":…,"spread":…}],
//!  "ratios":{"name":x},"not_run":{"name":"why"},"environment":{…}}
//! ```

mod env;

use std::{collections::BTreeMap, fmt};

use serde::{Deserialize, Serialize};

pub use env::Environment;

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
    /// Where it ran.
    pub environment: Environment,
}

impl Report {
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
            ..
        } in &self.rows
        {
            writeln!(
                f,
                "  {name:width$}  {value:>12.1} {unit}  ±{:>5.1} %  {system}",
                spread * 50.0
            )?;
        }
        for (name, why) in &self.not_run {
            writeln!(f, "  {name:width$}  {:>12}  {why}", "not run")?;
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
                name: "hash::hash/bytes=64".to_owned(),
                system: "tidegate".to_owned(),
                value: 70.5,
                unit: "ns".to_owned(),
                n: 11,
                spread: 0.04,
            }],
            ratios: [("one over many".to_owned(), 9.5)].into(),
            not_run: [("peer".to_owned(), "no compiler".to_owned())].into(),
            environment: Environment::capture(".".as_ref(), "system", "dalek-avx2"),
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
            "allocator",
            "backend",
            "argv",
        ] {
            assert!(json.pointer(&format!("/environment/{key}")).is_some(), "{key}");
        }
        assert_eq!(json.pointer("/rows/0/spread"), Some(&0.04.into()));
        assert_eq!(json.pointer("/ratios/one over many"), Some(&9.5.into()));
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
        assert!(table.contains("70.5 ns  ±  2.0 %"), "{table}");
        let peer = table
            .lines()
            .find(|line| line.contains("not run"))
            .expect("a line of its own");
        assert!(peer.starts_with("  peer ") && peer.ends_with("no compiler"), "{peer}");
    }
}
