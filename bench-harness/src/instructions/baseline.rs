//! The recorded counts, and what has changed since.

use std::{
    fmt, fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use super::Row;

/// Counts as they were recorded.
#[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Baseline {
    /// `tidegate.instructions/1`.
    pub schema: String,
    /// The compiler, since another one makes other instructions.
    pub compiler: String,
    /// Vector instructions of the processor: libraries choose their code by them.
    pub vectors: String,
    /// By kernel.
    pub rows: Vec<Row>,
}

/// Why a recorded file is of no use.
#[derive(Debug, thiserror::Error)]
pub enum BaselineError {
    /// It cannot be read or written.
    #[error("{}: {source}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It is not of the form.
    #[error("{}: {source}", path.display())]
    Form {
        /// Which.
        path: PathBuf,
        /// Why.
        source: serde_json::Error,
    },
}

impl Baseline {
    /// Counts of now.
    #[must_use]
    pub fn of(rows: Vec<Row>) -> Self {
        Self {
            schema: "tidegate.instructions/1".to_owned(),
            compiler: compiler(),
            vectors: vectors().to_owned(),
            rows,
        }
    }

    /// Reads a recorded file.
    ///
    /// # Errors
    /// [`BaselineError`] if it is missing or of another form.
    pub fn read(path: &Path) -> Result<Self, BaselineError> {
        let text = fs::read_to_string(path).map_err(|source| BaselineError::File {
            path: path.to_owned(),
            source,
        })?;
        serde_json::from_str(&text).map_err(|source| BaselineError::Form {
            path: path.to_owned(),
            source,
        })
    }

    /// Records these counts.
    ///
    /// # Errors
    /// [`BaselineError::File`] if the file cannot be written.
    pub fn write(&self, path: &Path) -> Result<(), BaselineError> {
        let text = serde_json::to_string_pretty(self).expect("numbers and words are JSON") + "\n";
        fs::write(path, text).map_err(|source| BaselineError::File {
            path: path.to_owned(),
            source,
        })
    }

    /// Why counts of `now` say nothing beside these, if they do not.
    #[must_use]
    pub fn incomparable(&self, now: &Self) -> Option<String> {
        let pairs = [(&self.compiler, &now.compiler), (&self.vectors, &now.vectors)];
        pairs
            .into_iter()
            .find(|(then, now)| then != now)
            .map(|(then, now)| format!("recorded with {then}, counted with {now}"))
    }

    /// What has changed.
    #[must_use]
    pub fn compare<'a>(&'a self, now: &'a Self, tolerance_percent: f64) -> Comparison<'a> {
        Comparison {
            then: self,
            now,
            tolerance_percent,
        }
    }
}

/// Two counts beside each other. Shown, it is a table.
#[derive(Clone, Copy, Debug)]
pub struct Comparison<'a> {
    then: &'a Baseline,
    now: &'a Baseline,
    tolerance_percent: f64,
}

/// One kernel then and now, of which a side may not know it.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize)]
pub struct Changed<'a> {
    /// The kernel.
    pub name: &'a str,
    /// Instructions of one operation as recorded.
    pub recorded: Option<f64>,
    /// As counted.
    pub now: Option<f64>,
    /// How many more they are.
    pub change_percent: Option<f64>,
}

impl<'a> Comparison<'a> {
    /// All kernels of either side.
    #[must_use]
    pub fn rows(&self) -> Vec<Changed<'a>> {
        let row = |(name, recorded, now): (&'a str, Option<f64>, Option<f64>)| Changed {
            name,
            recorded,
            now,
            change_percent: recorded.zip(now).map(|(recorded, now)| change(recorded, now)),
        };
        self.pairs().map(row).collect()
    }

    /// Kernels that take more than the tolerance more, and kernels that are on one side only.
    #[must_use]
    pub fn breaches(&self) -> Vec<String> {
        let grown = self.pairs().filter_map(|(name, then, now)| match (then, now) {
            (Some(then), Some(now)) => {
                let percent = change(then, now);
                (percent > self.tolerance_percent).then(|| format!("{name} takes {percent:+.1} % instructions"))
            }
            (None, _) => Some(format!("{name} is not recorded")),
            (_, None) => Some(format!("{name} was not counted")),
        });
        grown.collect()
    }

    /// Every kernel of either side: its name, then, now.
    fn pairs(&self) -> impl Iterator<Item = (&'a str, Option<f64>, Option<f64>)> + use<'a> {
        let Self { then, now, .. } = *self;
        let find = |rows: &[Row], name: &str| rows.iter().find(|row| row.name == name).map(|row| row.instructions);
        let known = then
            .rows
            .iter()
            .map(move |row| (row.name.as_str(), Some(row.instructions), find(&now.rows, &row.name)));
        let new = now.rows.iter().filter_map(move |row| {
            let then = find(&then.rows, &row.name);
            then.is_none()
                .then_some((row.name.as_str(), None, Some(row.instructions)))
        });
        known.chain(new)
    }
}

impl fmt::Display for Comparison<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:44} {:>12} {:>12} {:>8}",
            "instructions per operation", "recorded", "now", "change"
        )?;
        for (name, then, now) in self.pairs() {
            let text = |count: Option<f64>| count.map_or_else(|| "-".to_owned(), |count| format!("{count:.1}"));
            let changed = then.zip(now).map(|(then, now)| format!("{:+.1} %", change(then, now)));
            writeln!(
                f,
                "{name:44} {:>12} {:>12} {:>8}",
                text(then),
                text(now),
                changed.unwrap_or_default()
            )?;
        }
        Ok(())
    }
}

/// In percent.
fn change(then: f64, now: f64) -> f64 {
    (now / then - 1.0) * 100.0
}

/// The compiler that is here, by its own words.
fn compiler() -> String {
    let said = Command::new("rustc").arg("--version").output().ok();
    said.filter(|said| said.status.success()).map_or_else(
        || "unknown".to_owned(),
        |said| String::from_utf8_lossy(&said.stdout).trim().to_owned(),
    )
}

/// What the tool that counts lets the kernels see.
#[cfg(target_arch = "x86_64")]
fn vectors() -> &'static str {
    if is_x86_feature_detected!("avx2") {
        "x86-64 avx2"
    } else {
        "x86-64"
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn vectors() -> &'static str {
    std::env::consts::ARCH
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn counts(rows: &[(&str, f64)]) -> Baseline {
        let row = |(name, instructions): &(&str, f64)| Row {
            name: (*name).to_owned(),
            instructions: *instructions,
        };
        Baseline::of(rows.iter().map(row).collect())
    }

    #[test]
    fn more_than_the_tolerance_is_a_breach_and_less_is_none() {
        let then = counts(&[("a", 1000.0), ("b", 1000.0), ("c", 1000.0)]);
        let now = counts(&[("a", 1029.0), ("b", 1031.0), ("c", 500.0)]);
        let breaches = then.compare(&now, 3.0).breaches();
        assert_eq!(breaches, ["b takes +3.1 % instructions"]);
    }

    #[test]
    fn a_kernel_on_one_side_only_is_a_breach() {
        let (then, now) = (counts(&[("a", 1.0), ("b", 1.0)]), counts(&[("b", 1.0), ("c", 1.0)]));
        let breaches = then.compare(&now, 3.0).breaches();
        assert_eq!(breaches, ["a was not counted", "c is not recorded"]);
        let table = then.compare(&now, 3.0).to_string();
        assert_eq!(table.lines().count(), 4, "{table}");
    }

    #[test]
    fn another_compiler_makes_counts_incomparable() {
        let then = counts(&[]);
        assert_eq!(then.incomparable(&then), None);
        let other = Baseline {
            compiler: "rustc 2.0".to_owned(),
            ..then.clone()
        };
        assert!(then.incomparable(&other).is_some_and(|why| why.contains("rustc 2.0")));
    }

    #[test]
    fn what_is_written_is_read_and_what_is_not_of_the_form_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("counts.json");
        let counts = counts(&[("a", 12.5)]);
        counts.write(&path).expect("a new file");
        assert_eq!(Baseline::read(&path).expect("as written"), counts);
        fs::write(&path, "{\"schema\": 1}").expect("a file");
        assert!(matches!(Baseline::read(&path), Err(BaselineError::Form { .. })));
        assert!(matches!(
            Baseline::read(&folder.path().join("none")),
            Err(BaselineError::File { .. })
        ));
    }
}
