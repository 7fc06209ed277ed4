//! Running the program in a folder of its own.

use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use tempfile::TempDir;

/// A folder in which verbs are run.
pub(crate) struct Place {
    folder: TempDir,
}

/// What a verb printed and how it ended.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Place {
    pub(crate) fn new() -> Self {
        Self {
            folder: TempDir::new().expect("a temporary folder"),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// The names in the folder, sorted.
    pub(crate) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).expect("a folder");
        let mut names: Vec<String> = entries
            .map(|e| e.expect("an entry").file_name().into_string().expect("UTF-8"))
            .collect();
        names.sort();
        names
    }

    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
        let foreign = std::env::vars_os().map(|(name, _)| name);
        for name in foreign.filter(|name| name.to_string_lossy().starts_with("TIDEGATE_")) {
            command.env_remove(name);
        }
        command.args(words).current_dir(self.folder.path()).stdin(Stdio::null());
        command
            .env("HOME", self.folder.path())
            .env("TMPDIR", self.folder.path());
        command
    }

    pub(crate) fn run(&self, words: &[&str]) -> Ran {
        Ran::of(&self.command(words).output().expect("the program runs"))
    }

    /// Runs a verb that must succeed; what it printed.
    #[track_caller]
    pub(crate) fn good(&self, words: &[&str]) -> String {
        let ran = self.run(words);
        assert_eq!(ran.code, 0, "{words:?}: {ran:?}");
        ran.out
    }

    /// Runs a verb that must succeed, with `--json`.
    #[track_caller]
    pub(crate) fn json(&self, words: &[&str]) -> Value {
        let out = self.good(&[words, &["--json"]].concat());
        serde_json::from_str(&out).unwrap_or_else(|error| panic!("{words:?}: {error}: {out}"))
    }

    /// Runs a verb that must fail with this exit code, and say so in one line with this code.
    #[track_caller]
    pub(crate) fn bad(&self, exit: i32, code: &str, words: &[&str]) -> String {
        let ran = self.run(words);
        ran.assert_error(exit, code);
        ran.err
    }

    /// A plain key file.
    pub(crate) fn key(&self, name: &str) -> String {
        let out = self.good(&["key", "new", "--out", name, "--plain"]);
        out.lines().next().expect("the public key").to_owned()
    }

    /// Starts a hub on free ports and waits until it serves.
    pub(crate) fn start(&self, data: &str) -> Hub {
        self.serve(&[
            "start",
            "--data",
            data,
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ])
    }

    /// Starts a verb that serves, and waits until it does.
    pub(crate) fn serve(&self, words: &[&str]) -> Hub {
        let mut command = self.command(&[words, &["--json"]].concat());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("the program runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable output");
        let value: Value = serde_json::from_str(&line).expect("one JSON line when the hub is ready");
        let text = |key: &str| value[key].as_str().unwrap_or_default().to_owned();
        Hub {
            address: text("address"),
            admin: text("admin"),
            child,
        }
    }
}

impl Ran {
    pub(crate) fn of(output: &Output) -> Self {
        Self {
            code: output.status.code().unwrap_or(-1),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    #[track_caller]
    pub(crate) fn assert_error(&self, exit: i32, code: &str) {
        assert_eq!(self.code, exit, "{self:?}");
        let lines: Vec<&str> = self.err.lines().collect();
        assert_eq!(lines.len(), 1, "one line, not {self:?}");
        let line = lines[0];
        assert!(
            line.starts_with(&format!("error[{code}]: ")) && line.contains("; "),
            "{code}: {line}"
        );
    }
}

/// A running hub; killed if the test ends before it.
pub(crate) struct Hub {
    pub(crate) address: String,
    pub(crate) admin: String,
    child: Child,
}

impl Hub {
    /// Ends it as an operator would.
    #[track_caller]
    pub(crate) fn stop(mut self) {
        signal(&self.child, Signal::TERM);
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}");
    }
}

impl Hub {
    /// Ends it as a failure would: nothing is finished.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child");
        self.child.wait().expect("a child");
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

pub(crate) fn signal(child: &Child, signal: Signal) {
    let pid = i32::try_from(child.id())
        .ok()
        .and_then(Pid::from_raw)
        .expect("a process number");
    kill_process(pid, signal).expect("the child lives");
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a new folder");
    for entry in fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).expect("a copy");
        }
    }
}

/// Runs a verb of the wallet against a hub.
#[track_caller]
pub(crate) fn wallet(place: &Place, hub: &Hub, key: &str, words: &[&str]) -> Value {
    let flags = [
        "--hub",
        &hub.address,
        "--admin",
        &hub.admin,
        "--key",
        key,
        "--wallet",
        "wallet",
        "--timeout",
        "10",
    ];
    place.json(&[&["channel"], words, &flags].concat())
}

/// A text that must stand in `value` under `key`.
#[track_caller]
pub(crate) fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value[key].as_str().unwrap_or_else(|| panic!("no {key} in {value}"))
}

/// A whole number that must stand in `value` under `key`.
#[track_caller]
pub(crate) fn number(value: &Value, key: &str) -> u64 {
    value[key].as_u64().unwrap_or_else(|| panic!("no {key} in {value}"))
}
