//! Reading a folder of results. What is none is left alone and named.

use std::fs;
use std::path::Path;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use tidegate_loadgen::environment::Environment;
use tidegate_loadgen::result::{CURVE_SCHEMA, RunResult, SCHEMA as RUN_SCHEMA, SEARCH_SCHEMA, SweepResult};

use super::PageError;
use crate::report::{Report, SCHEMA as BENCH_SCHEMA};

/// A result and the name of its file, without the ending.
#[derive(Clone, Debug)]
pub struct Named<T> {
    /// `quick` of `quick.json`.
    pub name: String,
    /// What it says.
    pub result: T,
}

/// All results of a folder, in the order of their names.
#[derive(Debug, Default)]
pub struct Results {
    /// Of `tidegate benchmark` and `loadgen run`.
    pub runs: Vec<Named<RunResult>>,
    /// Of `loadgen curve` and `loadgen search`.
    pub sweeps: Vec<Named<SweepResult>>,
    /// Of `bench-harness run`.
    pub suites: Vec<Named<Report>>,
    /// Files that are none, and why.
    pub skipped: Vec<String>,
}

#[derive(Deserialize)]
struct Head {
    schema: String,
}

impl Results {
    /// Reads every `.json` of `folder`.
    ///
    /// # Errors
    /// [`PageError`] when it cannot be read, or holds no result.
    pub fn read(folder: &Path) -> Result<Self, PageError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| PageError::Read { path, source }
        };
        let entries = fs::read_dir(folder).map_err(failed(folder))?;
        let mut paths: Vec<_> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json"));
        paths.sort();
        let mut results = Self::default();
        for path in paths {
            let text = fs::read_to_string(&path).map_err(failed(&path))?;
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Err(why) = results.take(&name, &text) {
                results.skipped.push(format!("{name}.json: {why}"));
            }
        }
        if results.runs.is_empty() && results.sweeps.is_empty() && results.suites.is_empty() {
            return Err(PageError::Empty {
                folder: folder.to_owned(),
            });
        }
        Ok(results)
    }

    /// Takes one file; why it is no result otherwise.
    ///
    /// # Errors
    /// In words.
    pub fn take(&mut self, name: &str, text: &str) -> Result<(), String> {
        let head: Head = serde_json::from_str(text).map_err(|_| "not a result of this project".to_owned())?;
        match head.schema.as_str() {
            RUN_SCHEMA => self.runs.push(parse(name, text)?),
            CURVE_SCHEMA | SEARCH_SCHEMA => self.sweeps.push(parse(name, text)?),
            BENCH_SCHEMA => self.suites.push(parse(name, text)?),
            other => return Err(format!("the form {other} has no place in a report")),
        }
        Ok(())
    }

    /// Where they were measured, each place once, with the names of its results.
    #[must_use]
    pub fn environments(&self) -> Vec<(Environment, Vec<&str>)> {
        let runs = self.runs.iter().map(|run| (&run.result.environment, run.name.as_str()));
        let sweeps = self
            .sweeps
            .iter()
            .map(|sweep| (&sweep.result.environment, sweep.name.as_str()));
        let suites = self
            .suites
            .iter()
            .map(|suite| (&suite.result.environment, suite.name.as_str()));
        let mut places: Vec<(Environment, Vec<&str>)> = Vec::new();
        for (environment, name) in runs.chain(sweeps).chain(suites) {
            let place = Environment {
                argv: Vec::new(),
                ..environment.clone()
            };
            match places.iter_mut().find(|(known, _)| *known == place) {
                Some((_, names)) => names.push(name),
                None => places.push((place, vec![name])),
            }
        }
        places
    }
}

fn parse<T: DeserializeOwned>(name: &str, text: &str) -> Result<Named<T>, String> {
    let result = serde_json::from_str(text).map_err(|error| error.to_string())?;
    Ok(Named {
        name: name.to_owned(),
        result,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_results_says_how_to_get_one() {
        let folder = tempfile::tempdir().expect("a folder");
        fs::write(folder.path().join("x.json"), "{}").expect("written");
        let error = Results::read(folder.path()).expect_err("nothing").to_string();
        assert!(error.contains("tidegate benchmark --json"), "{error}");
        assert!(matches!(
            Results::read(Path::new("/nowhere")),
            Err(PageError::Read { .. })
        ));
    }

    #[test]
    fn what_is_no_result_is_named_and_left_alone() {
        let mut results = Results::default();
        assert!(results.take("a", "nothing").is_err());
        assert_eq!(
            results.take("a", r#"{"schema":"tidegate.other/9"}"#),
            Err("the form tidegate.other/9 has no place in a report".to_owned())
        );
        assert!(
            results
                .take("a", r#"{"schema":"tidegate.bench/1"}"#)
                .is_err_and(|why| why.contains("missing field"))
        );
    }

    #[test]
    fn recorded_results_are_read() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../profiles/recorded");
        let results = Results::read(&folder).expect("recorded results");
        assert!(results.runs.len() >= 2 && !results.suites.is_empty(), "{results:?}");
        let places = results.environments();
        let names: usize = places.iter().map(|(_, names)| names.len()).sum();
        assert_eq!(names, results.runs.len() + results.sweeps.len() + results.suites.len());
    }
}
