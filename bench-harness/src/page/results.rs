//! Reading a folder of results. What is none is left alone and named.

use std::path::Path;
use std::{fs, io};

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

/// The environment of a flame graph stands beside it and holds no figures.
fn is_of_a_picture(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().ends_with(".flame.json"))
}

impl Results {
    /// Reads every `.json` of `folder`.
    ///
    /// # Errors
    /// [`PageError`] when the folder cannot be read, or holds no result.
    pub fn read(folder: &Path) -> Result<Self, PageError> {
        let entries = fs::read_dir(folder).map_err(|source| PageError::Read {
            path: folder.to_owned(),
            source,
        })?;
        let (mut results, mut paths) = (Self::default(), Vec::new());
        for entry in entries {
            match entry {
                Ok(entry) => paths.push(entry.path()),
                Err(error) => results
                    .skipped
                    .push(format!("an entry of {}: {error}", folder.display())),
            }
        }
        paths.retain(|path| path.extension().is_some_and(|ending| ending == "json") && !is_of_a_picture(path));
        paths.sort();
        for path in paths {
            let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
            if let Err(why) = text_of(&path).and_then(|text| results.take(&name, &text)) {
                results.skipped.push(format!("{name}.json: {why}"));
            }
        }
        if results.runs.is_empty() && results.sweeps.is_empty() && results.suites.is_empty() {
            return Err(PageError::Empty {
                folder: folder.to_owned(),
                skipped: results.skipped,
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

/// The text of a file. One that cannot be read must not keep a reader from all the others.
fn text_of(path: &Path) -> Result<String, String> {
    let read = || {
        // Of a pipe there is no end.
        if !fs::metadata(path)?.is_file() {
            return Err(io::Error::other("no file"));
        }
        fs::read_to_string(path)
    };
    read().map_err(|error| error.to_string())
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
        let error = Results::read(folder.path()).expect_err("nothing");
        assert!(error.to_string().contains("tidegate benchmark --json"), "{error}");
        let PageError::Empty { skipped, .. } = error else {
            panic!("the folder can be read: {error}")
        };
        assert_eq!(skipped, ["x.json: not a result of this project"]);
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

    const GOOD: &str = include_str!("../../../tests/conformance/data/result-good.json");

    #[test]
    fn what_cannot_be_read_is_named_and_the_rest_is_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        fs::write(at("good.json"), GOOD).expect("written");
        fs::write(at("bytes.json"), b"{\"schema\":\"\xff\"}").expect("written");
        fs::create_dir(at("folder.json")).expect("made");
        fs::write(at("good.flame.json"), "{}").expect("written");
        std::os::unix::fs::symlink("nowhere", at("link.json")).expect("made");
        let results = Results::read(folder.path()).expect("one result");
        assert_eq!(results.runs.len(), 1);
        let starts = [
            "bytes.json: stream did not",
            "folder.json: no file",
            "link.json: No such file",
        ];
        assert_eq!(results.skipped.len(), starts.len());
        for (why, start) in results.skipped.iter().zip(starts) {
            assert!(why.starts_with(start), "{why}");
        }
    }

    /// The keys that another program's results have too: nothing that is only ours may be asked for.
    #[test]
    fn a_result_with_the_keys_of_the_contract_alone_becomes_a_page() {
        let mut results = Results::default();
        results.take("good", GOOD).expect("the keys of the contract");
        let page = crate::page::html(&results, Path::new("results"));
        for part in [
            "10\u{202f}000",
            "good (load not told)",
            "id=\"latency-percentiles\"",
            "valid",
        ] {
            assert!(page.contains(part), "{part} is not in the page");
        }
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
