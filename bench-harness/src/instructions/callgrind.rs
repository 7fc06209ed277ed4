//! Runs the kernels below callgrind and reads what it counted.
//!
//! Callgrind collects nothing but what runs inside the counted function, and writes a file each time that function ends:
//! `counts.1`, `counts.2`, …, in the order in which the child names its kernels.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use super::{Row, WORK, kernels::COUNTED};

/// Why nothing was counted.
#[derive(Debug, thiserror::Error)]
pub enum CountError {
    /// Callgrind could not be started.
    #[error("valgrind: {0}; install it (apt-get install valgrind)")]
    Tool(io::Error),
    /// The kernels did not come to their end.
    #[error("the kernels failed below callgrind: {0}; `bench-harness instructions-work` runs them alone")]
    Failed(String),
    /// A file could not be read or made.
    #[error("{}: {source}; give TMPDIR a folder with room", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A line of the child, or a file of callgrind, that says no number.
    #[error("no count in {0}; another version of valgrind may tell it")]
    Unreadable(String),
}

/// Counts the instructions of every kernel of `program`, which is this program itself.
///
/// # Errors
/// [`CountError`] if the tool is missing or its output cannot be read.
pub fn count(program: &Path) -> Result<Vec<Row>, CountError> {
    let folder = tempfile::tempdir().map_err(|source| CountError::File {
        path: std::env::temp_dir(),
        source,
    })?;
    let out = folder.path().join("counts");
    let run = Command::new("valgrind")
        .arg("--tool=callgrind")
        .arg("--collect-atstart=no")
        // A pattern here and the whole name below: of two equal ones callgrind keeps only what was said last.
        .arg(format!(
            "--toggle-collect=*{}*",
            COUNTED.rsplit("::").next().unwrap_or(COUNTED)
        ))
        .arg(format!("--dump-after={COUNTED}"))
        .arg(format!("--callgrind-out-file={}", out.display()))
        .arg(program)
        .arg(WORK)
        .stdin(Stdio::null())
        .output()
        .map_err(CountError::Tool)?;
    if !run.status.success() {
        let text = String::from_utf8_lossy(&run.stderr);
        return Err(CountError::Failed(
            text.lines().last().unwrap_or("no word of why").to_owned(),
        ));
    }
    let names = String::from_utf8_lossy(&run.stdout);
    let dump = |number: usize| {
        let path = out.with_extension(number.to_string());
        fs::read_to_string(&path).map_err(|source| CountError::File { path, source })
    };
    names
        .lines()
        .enumerate()
        .map(|(index, line)| row(line, &dump(index + 1)?))
        .collect()
}

/// From the child's line `name operations` and callgrind's file.
fn row(line: &str, dump: &str) -> Result<Row, CountError> {
    let unreadable = || CountError::Unreadable(line.to_owned());
    let (name, operations) = line.rsplit_once(' ').ok_or_else(unreadable)?;
    let operations: f64 = operations.parse().map_err(|_| unreadable())?;
    let total = dump.lines().find_map(|line| line.strip_prefix("totals: "));
    let total: f64 = total.and_then(|n| n.trim().parse().ok()).ok_or_else(unreadable)?;
    if total <= 0.0 || operations <= 0.0 {
        return Err(unreadable());
    }
    Ok(Row {
        name: name.to_owned(),
        instructions: (total / operations * 10.0).round() / 10.0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_is_the_total_by_the_operations() {
        let dump = "version: 1\nevents: Ir\nsummary: 4100\n\nfn=(1) x\n1 4100\n\ntotals: 4100\n";
        let good = row("hash::many/bytes=64 40", dump).expect("both numbers are there");
        assert_eq!((good.name.as_str(), good.instructions), ("hash::many/bytes=64", 102.5));
    }

    #[test]
    fn nothing_counted_is_no_row() {
        for (line, dump) in [
            ("name 40", "totals: 0\n"),
            ("name 40", "events: Ir\n"),
            ("name 0", "totals: 5\n"),
            ("name", "totals: 5\n"),
        ] {
            assert!(row(line, dump).is_err(), "{line}, {dump}");
        }
    }
}
