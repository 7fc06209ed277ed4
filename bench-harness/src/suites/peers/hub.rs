//! The hub itself, by `tidegate benchmark`: the program of that name beside this one.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tidegate_loadgen::result::RunResult;

use super::super::SuiteError;
use crate::measure::{Bench, OWN, Scale};
use crate::report::Row;

/// Payments a second.
pub(super) const PAYMENTS: &str = "hub::payments/profile=hot-keys,loop=closed";

/// The profile that is as near as a hub comes to a ledger of transfers: few busy accounts.
const PROFILE: &str = "hot-keys";

pub(super) fn run(bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
    if !bench.wants("hub::") {
        return Ok(());
    }
    if bench.scale() == Scale::Tiny {
        bench.not_run("tidegate", "a hub under load is nothing tiny");
        return Ok(());
    }
    let Some(program) = beside(bench) else {
        bench.not_run(
            "tidegate",
            "build it beside this program: cargo build --release --bin tidegate",
        );
        return Ok(());
    };
    let json = folder.join("hot-keys.json");
    let mut command = Command::new(&program);
    command
        .args(["benchmark", "--profile", PROFILE, "--json"])
        .arg(&json)
        .arg("--dir")
        .arg(folder);
    let status = command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::inherit())
        .status()?;
    let text = std::fs::read_to_string(&json);
    let result = text.and_then(|text| Ok(serde_json::from_str::<RunResult>(&text)?));
    match result {
        Ok(result) if result.valid => rows(&result).into_iter().for_each(|row| bench.adopt(row)),
        Ok(result) => bench.not_run(
            "tidegate",
            &format!("its result is not valid: {}", result.notes.join("; ")),
        ),
        Err(_) => bench.not_run("tidegate", &format!("`tidegate benchmark` ended with {status}")),
    }
    Ok(())
}

/// The program `tidegate` in this program's folder.
fn beside(bench: &Bench) -> Option<PathBuf> {
    let program = bench.program()?.with_file_name("tidegate");
    program.is_file().then_some(program)
}

fn rows(result: &RunResult) -> Vec<Row> {
    let keys = PAYMENTS.split_once('/').expect("module::op/keys").1;
    let row = |name: &str, unit: &str, value: f64| {
        Row::counted(OWN, &format!("hub::{name}/{keys}"), unit, value, result.delivered)
    };
    vec![
        row("payments", "/s", result.payments_per_s),
        row("cpu", "us", result.hub.cpu_us_per_payment),
        row("latency_p50", "us", result.latency_us.p50),
        row("log", "B", result.hub.log_bytes_per_payment),
        row("resident", "MB", result.hub.rss_bytes_max as f64 / 1e6),
    ]
}
