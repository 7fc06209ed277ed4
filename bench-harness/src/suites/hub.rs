//! The hub itself, by `tidegate benchmark`: the program of that name beside this one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidegate_loadgen::result::RunResult;

use super::SuiteError;
use crate::measure::{Bench, Scale};

/// One run of a profile.
#[derive(Clone, Copy, Debug)]
pub(super) struct Load<'a> {
    pub(super) profile: &'a str,
    /// Payments a second by schedule; as fast as answers come without.
    pub(super) rate: Option<u64>,
    pub(super) seconds: Option<usize>,
    /// Instead of the profile's.
    pub(super) connections: Option<u32>,
}

/// The result of one run. `None`, with the reason noted under `name`, where there is none that may be believed.
pub(super) fn run(
    bench: &mut Bench,
    name: &str,
    load: &Load<'_>,
    folder: &Path,
) -> Result<Option<RunResult>, SuiteError> {
    if bench.scale() == Scale::Tiny {
        bench.not_run(name, "a hub under load is nothing tiny");
        return Ok(None);
    }
    let Some(program) = beside(bench) else {
        bench.not_run(
            name,
            "build it beside this program: cargo build --release --bin tidegate",
        );
        return Ok(None);
    };
    let json = folder.join("run.json");
    let status = command(&program, load, &json, folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()?;
    let text = std::fs::read_to_string(&json);
    let result = text.and_then(|text| Ok(serde_json::from_str::<RunResult>(&text)?));
    // What is read the next time is of the next run.
    let _none = std::fs::remove_file(&json);
    match result {
        Ok(result) if result.valid => return Ok(Some(result)),
        Ok(result) => bench.not_run(name, &format!("its result is not valid: {}", result.notes.join("; "))),
        Err(_) => bench.not_run(name, &format!("`tidegate benchmark` ended with {status}")),
    }
    Ok(None)
}

fn command(program: &Path, load: &Load<'_>, json: &Path, folder: &Path) -> Command {
    let mut command = Command::new(program);
    command
        .args(["benchmark", "--profile", load.profile, "--json"])
        .arg(json);
    command.arg("--dir").arg(folder);
    if let Some(rate) = load.rate {
        command.args(["--rate", &rate.to_string()]);
    }
    if let Some(seconds) = load.seconds {
        command.args(["--seconds", &seconds.to_string()]);
    }
    if let Some(connections) = load.connections {
        command.args(["--connections", &connections.to_string()]);
    }
    command
}

/// The program `tidegate` in this program's folder.
fn beside(bench: &Bench) -> Option<PathBuf> {
    let program = bench.program()?.with_file_name("tidegate");
    program.is_file().then_some(program)
}
