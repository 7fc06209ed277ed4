//! Other people's code, measured by programs of a workspace of its own (`bench-harness/peers`), so that the project builds
//! without it.
//!
//! ```text
//! parent   run(bench, "peer-signatures", ["verify"])        cargo run --release --bin peer-signatures -- verify [--tiny]
//! child    finish(bench): one row a line of standard output        {"name":…,"system":…,"value":…,"unit":…,"n":…,"spread":…}
//! parent   adds the rows to its own; or, when there are none, the word "not run" and why
//! ```
//!
//! A peer that cannot be had is never an error of the suite, and never a number.

use std::{
    env, io,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use crate::{
    measure::{Bench, Scale},
    report::Row,
};

/// Whether a run is to measure peers too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Peers {
    /// Builds and runs them: minutes when it is the first time.
    Run,
    /// Runs the programs in this folder, which were built before: a quiet measurement has no room for a build.
    Built(PathBuf),
    /// Leaves them out; the result says so.
    Leave,
}

/// Why a peer gave no rows.
#[derive(Debug, thiserror::Error)]
enum PeerError {
    #[error("give --peers to build and run it")]
    NotAsked,
    #[error("it does not start: {0}")]
    Start(io::Error),
    #[error("it was not built or failed ({0}); what it said stands above")]
    Failed(std::process::ExitStatus),
    #[error("a line that is no row: {0}")]
    Line(#[from] serde_json::Error),
    #[error("it printed no row")]
    Silent,
}

/// Builds `program` of the peers' workspace, runs it with `arguments` (and `--tiny` if that is the scale), and adds its
/// rows; or adds under `program` why there are none. Paths among the arguments must be absolute.
pub fn run(bench: &mut Bench, program: &str, arguments: &[&str]) {
    run_as(bench, program, program, arguments);
}

/// [`run`] of a program that measures more than one peer: why there are no rows is added under `label`.
pub fn run_as(bench: &mut Bench, label: &str, program: &str, arguments: &[&str]) {
    match rows(bench, program, arguments) {
        Ok(rows) => rows.into_iter().for_each(|row| bench.adopt(row)),
        Err(error) => bench.not_run(label, &error.to_string()),
    }
}

fn rows(bench: &Bench, program: &str, arguments: &[&str]) -> Result<Vec<Row>, PeerError> {
    let mut command = match bench.peers() {
        Peers::Leave => return Err(PeerError::NotAsked),
        Peers::Built(folder) => Command::new(folder.join(program)),
        Peers::Run => {
            eprintln!("peer {program}: building and running it");
            build_and_run(program)
        }
    };
    let output = command
        .args(arguments)
        .args((bench.scale() == Scale::Tiny).then_some("--tiny"))
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()
        .map_err(PeerError::Start)?;
    if !output.status.success() {
        return Err(PeerError::Failed(output.status));
    }
    parse(&output.stdout)
}

fn build_and_run(program: &str) -> Command {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command
        .args(["run", "--release", "--quiet", "--bin", program, "--"])
        // Cargo looks for its configuration, with the flags that the project is built with, from here upwards.
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join("peers"));
    command
}

/// The rows that a child printed, one a line.
fn parse(printed: &[u8]) -> Result<Vec<Row>, PeerError> {
    let lines = printed.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    let rows = lines.map(serde_json::from_slice).collect::<Result<Vec<Row>, _>>()?;
    if rows.is_empty() {
        return Err(PeerError::Silent);
    }
    Ok(rows)
}

/// The child's part: prints what it measured for its parent.
///
/// # Panics
/// If standard output is closed.
pub fn finish(bench: Bench) {
    for row in bench.finish().rows {
        println!(
            "{}",
            serde_json::to_string(&row).expect("texts and numbers have a JSON form")
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_comes_through_and_anything_else_is_named() {
        let row =
            br#"{"name":"aws-lc-rs::verify/cores=1","system":"aws-lc-rs","value":24.5,"unit":"us","n":11,"spread":0.1}"#;
        let rows = parse(&[row.as_slice(), b"\n"].concat()).expect("a row");
        assert_eq!((rows[0].system.as_str(), rows[0].value), ("aws-lc-rs", 24.5));
        assert!(matches!(parse(b"thread panicked\n"), Err(PeerError::Line(_))));
        assert!(matches!(parse(b"\n"), Err(PeerError::Silent)));
    }

    #[test]
    fn a_program_that_was_not_built_is_no_number() {
        let mut bench = Bench::new(Scale::Tiny, Peers::Built("/nowhere".into()));
        run_as(&mut bench, "fjall", "peer-stores", &[]);
        let result = bench.finish();
        assert!(result.rows.is_empty());
        assert!(result.not_run["fjall"].starts_with("it does not start: "), "{result:?}");
    }

    #[test]
    fn a_peer_that_was_not_asked_for_is_no_number() {
        let mut bench = Bench::new(Scale::Tiny, Peers::Leave);
        run(&mut bench, "peer-signatures", &["verify"]);
        let result = bench.finish();
        assert!(result.rows.is_empty());
        assert_eq!(result.not_run["peer-signatures"], "give --peers to build and run it");
    }
}
