//! Where a result was measured. What the system does not tell is `unknown`, never guessed.
//!
//! The load generator and `bench-harness` share it: a figure of one can be laid beside a figure of the other.
//!
//! Nothing here measures, and nothing here changes a setting: `scripts/tune-host` does.

mod cpu;
mod disk;

use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;
use std::{env, fs, thread};

use serde::{Deserialize, Serialize};

/// What a reader needs to judge a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The commit of the source tree, shortened.
    pub git: String,
    /// Whether files differed from that commit when the run ended.
    pub dirty: bool,
    /// Whether the program is older than that commit: then it may have been built from another.
    #[serde(default)]
    pub built_before_commit: bool,
    /// `release`, or `debug`: built for tests, not to be measured.
    #[serde(default)]
    pub build: String,
    /// The processor's name.
    pub cpu: String,
    /// What it has of the instruction sets that the program asks for.
    #[serde(default)]
    pub cpu_features: Vec<String>,
    /// Cores that this process may use.
    pub cores: usize,
    /// How the kernel sets their clock; `unknown` in most virtual machines, which do not see it.
    #[serde(default)]
    pub governor: String,
    /// Memory of the machine.
    #[serde(default)]
    pub memory_bytes: u64,
    /// The kernel's release.
    pub kernel: String,
    /// The kind of filesystem that holds the data.
    pub filesystem: String,
    /// The block device below it, and whether it says that it caches writes.
    #[serde(default)]
    pub device: String,
    /// The allocator, and its version.
    pub allocator: String,
    /// The code that judges signatures.
    pub backend: String,
    /// True: what is durable is synced before it is answered; there is no other way.
    #[serde(default)]
    pub fsync: bool,
    /// The command line, word for word.
    pub argv: Vec<String>,
    /// That of the generator, if a command of another name started it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub generator_argv: Vec<String>,
}

impl Environment {
    /// Looks around. `folder` is where files of the run lie, the working folder unless said; `allocator` and `backend` are
    /// what only the caller knows.
    #[must_use]
    pub fn capture(folder: Option<&Path>, allocator: &str, backend: &str, argv: Vec<String>) -> Self {
        let commit = git(&["rev-parse", "--short=12", "HEAD"]);
        let unknown = || "unknown".to_owned();
        let read = |path| fs::read_to_string(path).ok();
        let folder = match folder {
            Some(folder) => fs::canonicalize(folder).ok(),
            None => env::current_dir().ok(),
        };
        let folder = folder.as_deref();
        let cpuinfo = read("/proc/cpuinfo").unwrap_or_default();
        Self {
            dirty: commit.is_some() && git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty()),
            built_before_commit: commit.is_some() && is_older_than_commit().unwrap_or(false),
            git: commit.unwrap_or_else(unknown),
            build: if cfg!(debug_assertions) { "debug" } else { "release" }.to_owned(),
            cpu: cpu::name(&cpuinfo).unwrap_or_else(unknown),
            cpu_features: cpu::features(&cpuinfo),
            cores: thread::available_parallelism().map_or(1, Into::into),
            governor: read(cpu::GOVERNOR).map_or_else(unknown, |text| text.trim().to_owned()),
            memory_bytes: read("/proc/meminfo").as_deref().and_then(cpu::memory).unwrap_or(0),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            filesystem: folder.and_then(disk::filesystem).unwrap_or_else(unknown),
            device: folder.and_then(disk::device).unwrap_or_else(unknown),
            allocator: allocator.to_owned(),
            backend: backend.to_owned(),
            fsync: true,
            argv,
            generator_argv: Vec::new(),
        }
    }
}

/// The name and version of mimalloc, of a program that has it.
#[must_use]
pub fn mimalloc_name() -> String {
    if cfg!(feature = "system-alloc") {
        return "system".to_owned();
    }
    // 2.3.2 is told as 20302 (mimalloc.h).
    let version = mimalloc::MiMalloc.version();
    format!(
        "mimalloc {}.{}.{}",
        version / 10_000,
        version / 100 % 100,
        version % 100
    )
}

/// What git says of the source tree that this was built from, if that is still there.
fn git(arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    let output = command
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args(arguments)
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    output.status.success().then(|| text.trim().to_owned())
}

fn is_older_than_commit() -> Option<bool> {
    let committed: u64 = git(&["log", "-1", "--format=%ct"])?.parse().ok()?;
    let program = env::current_exe().ok()?;
    let built = fs::metadata(program).ok()?.modified().ok()?;
    Some(built.duration_since(UNIX_EPOCH).ok()?.as_secs() < committed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let here = Environment::capture(None, "system", "x", vec!["a".to_owned()]);
        assert!(here.cores > 0 && here.memory_bytes > 1 << 28, "{here:?}");
        assert_ne!(here.filesystem, "unknown");
        assert_eq!((here.build.as_str(), here.argv.len()), ("debug", 1));
        assert!(!here.kernel.is_empty() && !here.device.is_empty() && !here.governor.is_empty());
    }

    #[test]
    fn an_older_environment_reads() {
        let text = r#"{"git":"x","dirty":false,"cpu":"c","cores":2,"kernel":"k","filesystem":"ext4","allocator":"m",
            "backend":"b","argv":[]}"#;
        let read: Environment = serde_json::from_str(text).expect("the keys of the contract");
        assert_eq!((read.cores, read.device.as_str()), (2, ""));
    }

    #[test]
    fn the_allocator_has_a_version() {
        let name = mimalloc_name();
        let numbers: Vec<&str> = name["mimalloc ".len()..].split('.').collect();
        assert!(numbers.len() == 3 && numbers[0] == "2", "{name}");
    }
}
