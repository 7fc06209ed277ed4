//! The command line: exit codes and one clear line for what cannot be done.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use tempfile::TempDir;

fn loadgen(folder: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_loadgen");
    Command::new(program)
        .current_dir(folder)
        .args(arguments)
        .output()
        .expect("the program runs")
}

/// The one line on standard error of a command that must end with `code`.
#[track_caller]
fn complaint(arguments: &[&str], code: i32) -> String {
    let folder = TempDir::new().expect("a folder");
    fs::write(folder.path().join("not-a-workload"), [7; 400]).expect("written");
    fs::write(folder.path().join("not-an-address"), "x").expect("written");
    let output = loadgen(folder.path(), arguments);
    let error = String::from_utf8(output.stderr).expect("text");
    assert_eq!(output.status.code(), Some(code), "{error}");
    error.trim_end().to_owned()
}

const HUB: &str = "tg1cc9f3ug88rzqhhglx09umkfmthtmx9ye94yrcx84wcexn58c7sfpv3cwwutl7egfkyc6desc82zapm4pegt2pc9waem4xdhggwaqqmcxdsdfv@127.0.0.1:1";

#[test]
fn every_verb_has_an_example() {
    let folder = TempDir::new().expect("a folder");
    for verb in [
        &["--help"][..],
        &["prepare", "--help"],
        &["prepare", "channels", "--help"],
        &["run", "--help"],
        &["search", "--help"],
        &["curve", "--help"],
    ] {
        let output = loadgen(folder.path(), verb);
        assert_eq!(output.status.code(), Some(0), "{verb:?}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("Example"), "{verb:?}");
    }
}

#[test]
fn the_command_line_is_checked_first() {
    for arguments in [
        &["run"][..],
        &["prepare"],
        &["fly"],
        &["run", "--rate", "fast"],
        &["search", "--slo", "p99<15"],
        &["curve", "--rates", "1,x"],
        &["prepare", "channels"],
        &[
            "prepare",
            "--profile",
            "quick",
            "--genesis",
            "g",
            "--out",
            "w",
            "--seconds",
            "4294967295",
        ],
    ] {
        complaint(arguments, 2);
    }
}

#[test]
fn what_cannot_be_done_is_one_line_with_a_code() {
    let run = |workload, hub| ["run", "--hub", hub, "--profile", "quick", "--workload", workload];
    for (arguments, start) in [
        (
            &["prepare", "channels", "--profile", "slow", "--out", "c"][..],
            "error[TG-8001]: no profile `slow`",
        ),
        (
            &["prepare", "channels", "--profile", "quick", "--out", "no/c"],
            "error[TG-8002]: cannot write no/c",
        ),
        (
            &["prepare", "--profile", "quick", "--genesis", "nothing", "--out", "w"],
            "error[TG-8003]: cannot read nothing",
        ),
        (
            &[
                "prepare",
                "--profile",
                "quick",
                "--genesis",
                "not-a-workload",
                "--out",
                "w",
            ],
            "error[TG-8003]: not-a-workload: not a genesis file",
        ),
        (&run("nothing", HUB), "error[TG-8003]: cannot read nothing"),
        (
            &run("not-a-workload", HUB),
            "error[TG-8003]: not-a-workload is no workload of this version",
        ),
        (&run("not-a-workload", "tg1@nowhere"), "error[TG-8004]: "),
        (
            &[
                "prepare",
                "channels",
                "--profile",
                "quick",
                "--topology",
                "not-a-workload",
                "--out",
                "c",
            ],
            "error[TG-8008]: not-a-workload:1: ",
        ),
    ] {
        let error = complaint(arguments, 1);
        assert!(error.starts_with(start) && error.lines().count() == 1, "{error}");
    }
}

#[test]
fn figures_out_of_range_are_refused_before_anything_is_done() {
    let words = |line: &'static str| line.split(' ').collect::<Vec<_>>();
    let search = words("search --profile quick --workload w --slo p99<15ms --from 0 --hub");
    let error = complaint(&[search, vec![HUB]].concat(), 2);
    assert!(
        error.starts_with("error[TG-8009]: --from must be between 1 and"),
        "{error}"
    );
    let prepare = "prepare --profile quick --genesis g --out w --rate 1000000 --seconds 3600";
    let error = complaint(&words(prepare), 1);
    assert!(error.starts_with("error[TG-8010]: the run would need 36"), "{error}");
}

#[test]
fn what_was_prepared_is_told_as_json() {
    let folder = TempDir::new().expect("a folder");
    let output = loadgen(
        folder.path(),
        &["prepare", "channels", "--profile", "quick", "--out", "c", "--json"],
    );
    let told = String::from_utf8(output.stdout).expect("text");
    assert!(
        told.contains(r#""channels": 256"#) && told.contains(r#""out": "c""#),
        "{told}"
    );
}

#[test]
fn a_channels_file_is_the_same_each_time() {
    let folder = TempDir::new().expect("a folder");
    for (file, seed) in [("a", "5"), ("b", "5"), ("c", "6")] {
        let output = loadgen(
            folder.path(),
            &[
                "prepare",
                "channels",
                "--profile",
                "quick",
                "--out",
                file,
                "--seed",
                seed,
            ],
        );
        assert_eq!(output.status.code(), Some(0));
        assert!(String::from_utf8_lossy(&output.stdout).starts_with(&format!("{file}: 256 channels")));
    }
    let read = |file| fs::read(folder.path().join(file)).expect("written");
    assert_eq!(read("a"), read("b"));
    assert_ne!(read("a"), read("c"));
}
