//! The program as its users call it.

use std::{path::Path, process::Command};

use tidegate_bench_harness::page::readme::{BEGIN, END};

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
    assert!(report.environment.allocator.starts_with("mimalloc 2."));
}

#[test]
fn json_alone_goes_to_standard_output() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, _) = harness(&["run", "merkle", "--tiny", "--json"], folder.path());
    assert_eq!(code, 0);
    serde_json::from_str::<serde_json::Value>(&out).expect("nothing but JSON");
}

#[test]
fn every_verb_has_an_example_and_speaks_to_machines() {
    for verb in [
        &["--help"][..],
        &["list", "--help"],
        &["run", "--help"],
        &["compare", "--help"],
        &["report", "--help"],
        &["readme", "--help"],
        &["instructions", "--help"],
    ] {
        let (code, out, _) = harness(verb, Path::new("."));
        assert_eq!(code, 0);
        assert!(out.contains("Example"), "{verb:?}: {out}");
        assert!(verb.len() == 1 || out.contains("--json"), "{verb:?}: {out}");
    }
}

/// A program that does half as much work again in each row, beside the program itself: in turns, saved, and compared again.
#[test]
fn turns_find_a_slower_program_and_are_compared_again_from_their_files() {
    let folder = tempfile::tempdir().expect("a folder");
    let program = env!("CARGO_BIN_EXE_bench-harness");
    let slower = folder.path().join("slower");
    let script = format!("#!/bin/sh\nTIDEGATE_BENCH_EXTRA_PERCENT=50 exec '{program}' \"$@\"\n");
    std::fs::write(&slower, script).expect("written");
    std::fs::set_permissions(&slower, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("made executable");
    let slower = slower.to_str().expect("a plain path");
    let common = [
        "--run",
        "merkle",
        "--only",
        "hash::hash/",
        "--tiny",
        "--rounds",
        "9",
        "--save",
        "kept",
        "--json",
        "c.json",
    ];
    let (code, out, error) = harness(&[&["compare"][..], &common, &[program, slower]].concat(), folder.path());
    assert!(error.is_empty(), "{error}");
    assert_eq!(code, 1, "{out}");
    assert!(
        out.contains("REGRESSION") && out.contains("B did 50 % more work on purpose"),
        "{out}"
    );
    let text = std::fs::read_to_string(folder.path().join("c.json")).expect("written");
    let json: serde_json::Value = serde_json::from_str(&text).expect("JSON");
    assert_eq!(
        (&json["schema"], &json["method"], &json["regression"]),
        (&"tidegate.compare/1".into(), &"paired".into(), &true.into())
    );
    let (code, again, _) = harness(&["compare", "kept/a.json", "kept/b.json"], folder.path());
    assert_eq!((code, again), (1, out));
    // The other way round it is the other way round.
    let (code, better, _) = harness(&["compare", "kept/b.json", "kept/a.json"], folder.path());
    assert!(code == 0 && better.contains("better"), "{better}");
}

#[test]
fn a_folder_of_results_becomes_one_page() {
    let folder = tempfile::tempdir().expect("a folder");
    assert_eq!(
        harness(
            &["run", "merkle", "--tiny", "--json", "results/merkle.json"],
            folder.path()
        )
        .0,
        0
    );
    std::fs::write(folder.path().join("results/other.json"), "{}").expect("written");
    let (code, out, error) = harness(
        &["report", "results", "--out", "o/r.html", "--plots", "plots"],
        folder.path(),
    );
    assert_eq!(code, 0, "{error}");
    assert!(
        out.starts_with("o/r.html: 0 runs, 0 curves and searches, 1 suites"),
        "{out}"
    );
    assert_eq!(error, "left out: other.json: not a result of this project\n");
    let page = std::fs::read_to_string(folder.path().join("o/r.html")).expect("written");
    assert!(page.contains("hash::hash/bytes=64") && page.trim_end().ends_with("</html>"));
    let plots = std::fs::read_dir(folder.path().join("plots")).expect("made");
    assert!(plots.count() >= 2);
}

/// What must not end with "no regression": another form, another machine, a row that is not there, a name that no row has.
#[test]
fn compare_refuses_what_says_nothing() {
    let folder = tempfile::tempdir().expect("a folder");
    let run = [
        "run",
        "merkle",
        "--tiny",
        "--only",
        "hash::",
        "--repetitions",
        "5",
        "--quiet",
        "--json",
        "a.json",
    ];
    assert_eq!(harness(&run, folder.path()).0, 0);
    let good = std::fs::read_to_string(folder.path().join("a.json")).expect("written");
    let write = |name: &str, change: &dyn Fn(&mut serde_json::Value)| {
        let mut value = serde_json::from_str(&good).expect("JSON");
        change(&mut value);
        std::fs::write(folder.path().join(name), value.to_string()).expect("written");
    };
    write("form.json", &|value| value["schema"] = "tidegate.bench/2".into());
    write("cores.json", &|value| value["environment"]["cores"] = 1_000.into());
    write("fewer.json", &|value| {
        drop(value["rows"].as_array_mut().expect("rows").pop())
    });
    let result = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/conformance/data/result-good.json"
    );
    for (b, start, part) in [
        (
            "form.json",
            "error[TG-9016]: form.json: ",
            "it is tidegate.bench/2, and tidegate.bench/1 is wanted",
        ),
        (result, "error[TG-9016]: ", "`bench-harness run e2e --json FILE`"),
        ("cores.json", "error[TG-9017]: ", "1000 cores"),
    ] {
        let (code, out, error) = harness(&["compare", "a.json", b], folder.path());
        assert_eq!((code, out.as_str(), error.lines().count()), (1, "", 1), "{error}");
        assert!(error.starts_with(start) && error.contains(part), "{error}");
    }
    let (code, out, error) = harness(&["compare", "a.json", "cores.json", "--across-machines"], folder.path());
    assert!(code == 0 && out.contains("note  two machines"), "{out}{error}");
    assert!(out.contains("not interleaved"), "{out}");
    let (code, out, _) = harness(&["compare", "a.json", "fewer.json"], folder.path());
    assert!(code == 1 && out.contains("MISSING in B  hash::hash_many/"), "{out}");
    assert!(!out.contains("no regression"), "{out}");
    assert_eq!(harness(&["compare", "a.json", "a.json"], folder.path()).0, 0);
}

#[test]
fn a_name_that_no_row_has_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let (code, out, error) = harness(&["run", "merkle", "--tiny", "--only", "nosuch::"], folder.path());
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(
        error.starts_with("error[TG-9018]: no row of suite merkle begins with `nosuch::`"),
        "{error}"
    );
    let program = env!("CARGO_BIN_EXE_bench-harness");
    let compare = [
        "compare", "--run", "merkle", "--only", "nosuch::", "--tiny", program, program,
    ];
    let (code, _, error) = harness(&compare, folder.path());
    assert_eq!(code, 1);
    assert_eq!(
        error.matches("error[TG-9018]").count(),
        1,
        "the first turn is the last: {error}"
    );
    assert!(error.contains("error[TG-9012]"), "{error}");
}

/// When no file is a result, why each is none is all that helps.
#[test]
fn a_folder_where_all_is_left_out_says_why() {
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("a.json"), "{}").expect("written");
    std::fs::write(folder.path().join("b.json"), r#"{"schema":"tidegate.result/1"}"#).expect("written");
    let (code, _, error) = harness(&["report", ".", "--out", "r.html"], folder.path());
    let lines: Vec<&str> = error.lines().collect();
    assert_eq!((code, lines.len()), (1, 3), "{error}");
    assert_eq!(lines[0], "left out: a.json: not a result of this project");
    assert!(
        lines[1].starts_with("left out: b.json: missing field `profile`"),
        "{error}"
    );
    assert!(lines[2].starts_with("error[TG-9014]: . holds no result; "), "{error}");
}

fn json(text: &str) -> serde_json::Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

#[test]
fn report_and_readme_tell_machines_what_they_wrote() {
    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    std::fs::create_dir(at("r")).expect("made");
    let good = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../tests/conformance/data/result-good.json"
    );
    std::fs::copy(good, at("r/good.json")).expect("copied");
    std::fs::write(at("r/other.json"), "{}").expect("written");
    let report = ["report", "r", "--out", "r.html", "--plots", "plots", "--json"];
    let (code, out, _) = harness(&report, folder.path());
    let made = json(&out);
    assert_eq!((code, &made["runs"], &made["suites"]), (0, &1.into(), &0.into()));
    assert_eq!(made["bytes"], std::fs::metadata(at("r.html")).expect("written").len());
    assert_eq!(made["plots"], serde_json::json!(["plots/latency-percentiles.svg"]));
    assert_eq!(made["left_out"][0], "other.json: not a result of this project");

    std::fs::write(at("README.md"), format!("{BEGIN}\n{END}\n")).expect("written");
    let readme = |more: &[&str]| {
        let (code, out, error) = harness(&[&["readme", "--recorded", "r"][..], more].concat(), folder.path());
        assert_eq!(error, "");
        let shown = json(&out);
        (
            code,
            shown["same"] == true,
            shown["written"] == true,
            shown["runs"].clone(),
        )
    };
    assert_eq!(readme(&["--check", "--json"]), (1, false, false, 1.into()));
    assert_eq!(readme(&["--json"]), (0, false, true, 1.into()));
    assert_eq!(readme(&["--check", "--json"]), (0, true, false, 1.into()));
    let (code, out, _) = harness(&["readme", "--recorded", "r", "--json", "f.json"], folder.path());
    assert_eq!((code, out.as_str()), (0, "README.md shows what was recorded\n"));
    assert_eq!(
        json(&std::fs::read_to_string(at("f.json")).expect("written"))["same"],
        true
    );
}

#[test]
fn bad_calls_have_their_codes() {
    let here = Path::new(".");
    assert_eq!(harness(&["run", "nothing"], here).0, 2);
    let (code, _, error) = harness(&["run", "merkle", "--tiny", "--json", "/dev/null/r.json"], here);
    assert_eq!(code, 1);
    assert!(error.starts_with("error[TG-9002]: /dev/null/r.json: "), "{error}");
    let (code, _, error) = harness(&["run", "commit", "--tiny", "--dir", "/nowhere"], here);
    assert_eq!(code, 1);
    assert!(error.starts_with("error[TG-9001]: suite commit: "), "{error}");
    for (arguments, start) in [
        (
            &["compare", "/nowhere/a.json", "b.json"][..],
            "error[TG-9010]: /nowhere/a.json: ",
        ),
        (
            &["compare", "--run", "merkle", "/nowhere/a", "b", "--tiny"],
            "error[TG-9012]: /nowhere/a does not start: ",
        ),
        (&["report", "/nowhere", "--out", "r.html"], "error[TG-9014]: /nowhere: "),
    ] {
        let (code, _, error) = harness(arguments, here);
        assert!(
            code == 1 && error.starts_with(start) && error.contains("; ") && error.lines().count() == 1,
            "{error}"
        );
    }
    assert_eq!(harness(&["compare", "a.json"], here).0, 2);
    assert_eq!(harness(&["compare", "a.json", "b.json", "--only", "hash::"], here).0, 2);
}
