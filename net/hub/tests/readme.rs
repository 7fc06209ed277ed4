//! Every command of the README is run here, as it stands there.

use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

fn readme() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../README.md");
    std::fs::read_to_string(path).expect("the project has a README")
}

fn binary() -> PathBuf {
    PathBuf::from(env!("CARGO_BIN_EXE_tidegate"))
}

/// The code blocks whose fence says `sh` and then `word`, one behind the other.
fn blocks(text: &str, word: &str) -> String {
    let fence = format!("```sh {word}");
    let mut script = String::new();
    let mut inside = false;
    for line in text.lines() {
        if line.trim_end() == fence {
            inside = true;
        } else if line.starts_with("```") {
            inside = false;
        } else if inside {
            script += line;
            script.push('\n');
        }
    }
    script
}

fn explain(output: &Output) -> String {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    format!("{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr))
}

/// Runs the commands under a fence in a folder of their own; what they print must show each sign.
fn run_as_it_stands(word: &str, verbs: &[&str], signs: &[&str]) {
    let script = blocks(&readme(), word);
    for verb in verbs {
        assert!(script.contains(verb), "the README shows `{verb}`");
    }
    let place = TempDir::new().expect("a temporary directory");
    let folder = binary().parent().expect("the binary lies in a folder").to_owned();
    let path = format!("{}:{}", folder.display(), std::env::var("PATH").expect("a PATH"));
    // Whatever fails, what is started ends with the script.
    let guarded = format!("set -euo pipefail\ntrap 'kill $(jobs -p) 2>/dev/null || true' EXIT\n{script}");
    // Both scripts use the hub's own ports: one at a time.
    let _alone = PORTS.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let run = Command::new("bash")
        .arg("-c")
        .arg(guarded)
        .env("PATH", path)
        .current_dir(place.path())
        .output();
    let output = run.expect("bash is there");
    assert!(output.status.success(), "{}", explain(&output));
    let told = String::from_utf8_lossy(&output.stdout);
    for sign in signs {
        assert!(told.contains(sign), "`{sign}` is missing:\n{}", explain(&output));
    }
}

static PORTS: std::sync::Mutex<()> = std::sync::Mutex::new(());

#[test]
fn the_tour_works_word_for_word() {
    let verbs = ["key new", "format", "start", "open", "pay", "top-up", "close", "verify"];
    let signs = ["delivered: 2 500 sat", "2 500 sat settled", "good: hub"];
    run_as_it_stands("tour", &verbs, &signs);
}

#[test]
fn the_cheat_is_corrected_word_for_word() {
    let verbs = [
        "ledger --data",
        "start --data hub --ledger",
        "tower --data",
        "guard",
        "export",
        "--unilateral",
        "dispute",
    ];
    let signs = [
        "the tower watches",
        "closing ",
        "it was corrected by newer evidence",
        "good: hub",
    ];
    run_as_it_stands("cheat", &verbs, &signs);
}

#[test]
fn a_payment_over_two_hubs_works_word_for_word() {
    let verbs = [
        "--identity",
        "--genesis",
        "[[routes]]",
        "request",
        "--fee",
        "inspect forwards",
        "fulfil",
    ];
    let signs = [
        "pending: 2 500 sat, fee 5 sat",
        "1 locks wait for other hubs",
        "received 2 500 sat in 1 locks",
        "2 505 sat settled",
        "good: one",
        "good: two",
    ];
    run_as_it_stands("hops", &verbs, &signs);
}

#[test]
fn the_operators_section_works_word_for_word() {
    let verbs = [
        "backup --data",
        "backup verify",
        "restore",
        "verify --data",
        "inspect wal",
        "inspect checkpoint",
    ];
    let signs = [
        "backed up to hub.backup",
        "good: hub.backup",
        "good: hub\n",
        "good: restored",
        "never signs again",
    ];
    run_as_it_stands("operators", &verbs, &signs);
}

/// The same at rates that a program built for tests can follow.
fn gently(mut words: Vec<String>) -> Vec<String> {
    for (option, rates) in [("--rate", "1000"), ("--curve", "500,1000")] {
        if let Some(at) = words.iter().position(|word| word == option) {
            rates.clone_into(&mut words[at + 1]);
        }
    }
    words
}

/// The arguments of every benchmark that the README shows, without how long it takes and where its result goes.
fn benchmarks(text: &str) -> Vec<Vec<String>> {
    const COMMAND: &str = "cargo run --release --bin tidegate -- ";
    let mut found: Vec<Vec<String>> = Vec::new();
    for (at, _) in text.match_indices(COMMAND) {
        let rest = text[at + COMMAND.len()..].split(['`', '\n']).next().unwrap_or("");
        let words: Vec<String> = rest.split_whitespace().map(str::to_owned).collect();
        let words = ["--seconds", "--json"].iter().fold(words, |words, left_out| {
            match words.iter().position(|word| word == left_out) {
                Some(at) => [&words[..at], &words[at + 2..]].concat(),
                None => words,
            }
        });
        let words = gently(words);
        if !found.contains(&words) {
            found.push(words);
        }
    }
    found
}

#[test]
fn each_benchmark_of_the_readme_ends_valid() {
    let commands = benchmarks(&readme());
    assert!(commands.len() >= 2, "the README shows benchmarks: {commands:?}");
    for words in commands {
        let place = TempDir::new().expect("a temporary directory");
        let json = place.path().join("result.json");
        let run = Command::new(binary())
            .args(&words)
            .args(["--seconds", "1", "--json"])
            .arg(&json)
            .output();
        let output = run.expect("the binary starts");
        // By schedule, a machine that is busy with other tests may hold up the generator; then its exit code says so.
        let open = words.iter().any(|word| word == "--rate" || word == "--curve");
        let held_up = open && output.status.code() == Some(4);
        assert!(output.status.success() || held_up, "{words:?}: {}", explain(&output));
        let result = std::fs::read_to_string(&json).expect("a result");
        assert!(result.contains("\"valid\":true") || held_up, "{words:?}: {result}");
    }
}

#[test]
fn a_block_is_found_only_under_its_own_fence() {
    let text = "```sh\nno\n```\n```sh tour\nyes\n```\nno\n";
    assert_eq!(blocks(text, "tour"), "yes\n");
    let commands = benchmarks(
        "`cargo run --release --bin tidegate -- benchmark --seconds 5 --profile x --json r.json` and more, \
         `cargo run --release --bin tidegate -- benchmark --curve 50000,60000`",
    );
    let commands: Vec<String> = commands.iter().map(|words| words.join(" ")).collect();
    assert_eq!(commands, ["benchmark --profile x", "benchmark --curve 500,1000"]);
}
