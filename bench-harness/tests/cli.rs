//! The program as its users call it.

use std::{path::Path, process::Command};

fn harness(arguments: &[&str], folder: &Path) -> (i32, String, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_bench-harness"))
        .args(arguments)
        .current_dir(folder)
        .output()
        .expect("the program was built for this test");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (
        output.status.code().expect("not killed"),
        text(&output.stdout),
        text(&output.stderr),
    )
}

#[test]
fn list_names_every_suite() {
    let (code, out, _) = harness(&["list"], Path::new("."));
    assert_eq!(code, 0);
    for suite in tidegate_bench_harness::suites::ALL {
        assert!(out.lines().any(|line| line.starts_with(suite.name())), "{out}");
    }
}

#[test]
fn run_prints_a_table_and_writes_json() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, error) = harness(&["run", "merkle", "--tiny", "--json", "r.json"], folder.path());
    assert_eq!((code, error.as_str()), (0, ""));
    assert!(out.trim_end().ends_with('×'), "ratios come last: {out}");
    let text = std::fs::read_to_string(folder.path().join("r.json")).expect("written");
    let report: tidegate_bench_harness::report::Report = serde_json::from_str(&text).expect("the documented form");
    assert_eq!(
        (report.schema.as_str(), report.suite.as_str()),
        ("tidegate.bench/1", "merkle")
    );
    assert_eq!(report.environment.allocator, "mimalloc");
}

#[test]
fn json_alone_goes_to_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, _) = harness(&["run", "merkle", "--tiny", "--json"], folder.path());
    assert_eq!(code, 0);
    serde_json::from_str::<serde_json::Value>(&out).expect("nothing but JSON");
}

#[test]
fn bad_calls_have_their_codes() {
    let here = Path::new(".");
    assert_eq!(harness(&["run", "nothing"], here).0, 2);
    let (code, _, error) = harness(&["run", "merkle", "--tiny", "--json", "/nowhere/r.json"], here);
    assert_eq!(code, 1);
    assert!(error.starts_with("TG-9002: /nowhere/r.json: "), "{error}");
    let (code, _, error) = harness(&["run", "commit", "--tiny", "--dir", "/nowhere"], here);
    assert_eq!(code, 1);
    assert!(error.starts_with("TG-9001: suite commit: "), "{error}");
}
