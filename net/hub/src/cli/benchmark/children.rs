//! The benchmark's processes: this program under other verbs. All are ended and waited for, also after a signal.

use std::ffi::OsString;
use std::io::{self, BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::thread::{self, sleep};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;
use signal_hook::consts::{SIGINT, SIGTERM};

use crate::error::Error;
use crate::files::GENESIS_FILE;
use crate::keys::HUB_KEYS_FILE;

/// How often a child is looked after.
const GLANCE: Duration = Duration::from_millis(20);
/// Opening a large state takes long; a hub that says nothing for so long hangs.
const START_PATIENCE: Duration = Duration::from_secs(300);
/// A checkpoint of a large state takes long.
const STOP_PATIENCE: Duration = Duration::from_secs(120);

/// Starts children, and knows whether the user wants to end.
#[derive(Debug)]
pub(super) struct Children {
    program: PathBuf,
    interrupted: Arc<AtomicBool>,
}

impl Children {
    pub(super) fn new() -> Result<Self, Error> {
        let failed = |action, path: &str| {
            let path = PathBuf::from(path);
            move |source| Error::Io { action, path, source }
        };
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            signal_hook::flag::register(signal, Arc::clone(&interrupted)).map_err(failed("watch", "signals"))?;
        }
        Ok(Self {
            program: std::env::current_exe().map_err(failed("find", "this program"))?,
            interrupted,
        })
    }

    pub(super) fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    fn command(&self, words: &[OsString]) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words).stdin(Stdio::null()).stdout(Stdio::null());
        command
    }

    /// Runs a verb to its end; anything but exit code 0 is an error.
    pub(super) fn run(&self, what: &'static str, words: &[OsString]) -> Result<(), Error> {
        let status = self.finish(what, words)?;
        if status.success() {
            Ok(())
        } else {
            Err(Error::Child { what, status })
        }
    }

    /// Runs the measurement. Exit codes up to 4 other than 2 come with a result that says why.
    pub(super) fn run_measured(&self, what: &'static str, words: &[OsString]) -> Result<u8, Error> {
        let status = self.finish(what, words)?;
        match status.code().and_then(|code| u8::try_from(code).ok()) {
            Some(code @ (0 | 1 | 3 | 4)) => Ok(code),
            _ => Err(Error::Child { what, status }),
        }
    }

    fn finish(&self, what: &'static str, words: &[OsString]) -> Result<ExitStatus, Error> {
        let child = self
            .command(words)
            .spawn()
            .map_err(|source| self.failed("start", source))?;
        let mut guard = Guard { child };
        loop {
            if self.is_interrupted() {
                return Err(Error::Interrupted);
            }
            if let Some(status) = guard.poll().map_err(|source| self.failed("wait for", source))? {
                tracing::debug!(what, %status, "child ended");
                return Ok(status);
            }
            sleep(GLANCE);
        }
    }

    fn failed(&self, action: &'static str, source: io::Error) -> Error {
        Error::Io {
            action,
            path: self.program.clone(),
            source,
        }
    }
}

/// A child that does not outlive this value.
#[derive(Debug)]
struct Guard {
    child: Child,
}

impl Guard {
    fn poll(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Asks the child to end in good order.
    fn terminate(&self) {
        let pid = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        if let Some(pid) = pid {
            // A child that has just ended needs no word; it is not waited for yet, so the number is still its own.
            let _ = kill_process(pid, Signal::TERM);
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only for a child that has been waited for.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The hub under measurement, or the ledger that it follows.
#[derive(Debug)]
pub(super) struct Server {
    verb: &'static str,
    guard: Guard,
    /// Its address, `tg1…@HOST:PORT`.
    pub(super) address: String,
    /// A hub's endpoint for its operator.
    pub(super) admin: String,
}

/// Any free port.
const ANY: &str = "127.0.0.1:0";

impl Server {
    /// Starts a hub, which follows the ledger at that address, or else makes the blocks itself.
    pub(super) fn hub(children: &Children, data: &Path, ledger: Option<&str>) -> Result<Self, Error> {
        let mut words = vec!["--admin", ANY];
        match ledger {
            Some(address) => words.extend(["--ledger", address]),
            None => words.push("--dev"),
        }
        Self::start(children, "start", data, words.into_iter().map(Into::into))
    }

    /// Starts the ledger of a hub's directory, in one of its own.
    pub(super) fn ledger(children: &Children, data: &Path, hub: &Path) -> Result<Self, Error> {
        let (genesis, key) = (hub.join(GENESIS_FILE), hub.join(HUB_KEYS_FILE));
        let words = ["--genesis".into(), genesis.into(), "--key".into(), key.into()];
        Self::start(children, "ledger", data, words.into_iter())
    }

    /// Starts a server on any free port and waits until it serves. It ends by itself if this process does.
    fn start(
        children: &Children,
        verb: &'static str,
        data: &Path,
        more: impl Iterator<Item = OsString>,
    ) -> Result<Self, Error> {
        let mut words: Vec<OsString> = [verb, "--json", "--until-stdin-closes", "--listen", ANY, "--data"]
            .iter()
            .map(Into::into)
            .collect();
        words.push(data.as_os_str().to_owned());
        words.extend(more);
        let mut command = children.command(&words);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().map_err(|source| children.failed("start", source))?;
        let stdout = child.stdout.take().expect("its output is piped");
        let mut guard = Guard { child };
        let line = first_line(children, &mut guard, verb, stdout)?;
        let value: Value = serde_json::from_str(&line).unwrap_or_default();
        let text = |key: &str| value[key].as_str().map(ToOwned::to_owned);
        match (text("address"), text("admin")) {
            (Some(address), admin) if admin.is_some() || verb == "ledger" => Ok(Self {
                verb,
                guard,
                address,
                admin: admin.unwrap_or_default(),
            }),
            _ => Err(Error::BenchmarkHub("did not say where it listens")),
        }
    }

    /// Ends the server as an operator would, and waits for what it still writes.
    pub(super) fn stop(mut self, children: &Children) -> Result<(), Error> {
        let deadline = Instant::now() + STOP_PATIENCE;
        self.guard.terminate();
        while Instant::now() < deadline {
            if children.is_interrupted() {
                return Err(Error::Interrupted);
            }
            match self
                .guard
                .poll()
                .map_err(|source| children.failed("wait for", source))?
            {
                Some(status) if status.success() => return Ok(()),
                Some(status) => {
                    return Err(Error::Child {
                        what: self.verb,
                        status,
                    });
                }
                None => sleep(GLANCE),
            }
        }
        Err(Error::BenchmarkHub("does not end when it is told to"))
    }
}

/// The line by which a server says that it is ready.
fn first_line(
    children: &Children,
    guard: &mut Guard,
    verb: &'static str,
    stdout: impl io::Read + Send + 'static,
) -> Result<String, Error> {
    let (sender, receiver) = channel();
    let read = move || {
        let mut line = String::new();
        // An error is an empty line: the hub has ended.
        let _ = BufReader::new(stdout).read_line(&mut line);
        let _ = sender.send(line);
    };
    thread::Builder::new()
        .name("hub-output".into())
        .spawn(read)
        .map_err(|source| children.failed("read from", source))?;
    let deadline = Instant::now() + START_PATIENCE;
    loop {
        match receiver.recv_timeout(GLANCE) {
            Ok(line) if !line.is_empty() => return Ok(line),
            Ok(_) | Err(RecvTimeoutError::Disconnected) => {
                return Err(Error::BenchmarkHub("ended before it was ready"));
            }
            Err(RecvTimeoutError::Timeout) => {}
        }
        if children.is_interrupted() {
            return Err(Error::Interrupted);
        }
        if let Some(status) = guard.poll().map_err(|source| children.failed("wait for", source))? {
            return Err(Error::Child { what: verb, status });
        }
        if Instant::now() > deadline {
            return Err(Error::BenchmarkHub("is not ready after five minutes"));
        }
    }
}
