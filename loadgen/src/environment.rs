//! Where a result was measured. What the system does not tell is `unknown`, never guessed.

use std::path::Path;
use std::process::Command;
use std::{env, fs, thread};

use serde::{Deserialize, Serialize};

/// What a reader needs to judge a number.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The commit of the source tree that this was built from, shortened.
    pub git: String,
    /// Whether files differed from that commit when the run ended.
    pub dirty: bool,
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The kind of filesystem that holds the hub's data.
    pub filesystem: String,
    /// The allocator of hub and generator.
    pub allocator: String,
    /// The code that judges signatures.
    pub backend: String,
    /// True: a hub syncs its log before it answers; it has no other way.
    pub fsync: bool,
    /// The command line.
    pub argv: Vec<String>,
}

impl Environment {
    /// Looks around. `data` is the hub's data directory; the working folder stands in for it.
    #[must_use]
    pub fn capture(data: Option<&Path>, backend: &str, argv: Vec<String>) -> Self {
        let commit = git(&["rev-parse", "--short=12", "HEAD"]);
        Self {
            dirty: commit.is_some() && git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty()),
            git: commit.unwrap_or_else(unknown),
            cpu: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| cpu_name(&text))
                .unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, Into::into),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            filesystem: filesystem(data).unwrap_or_else(unknown),
            allocator: "mimalloc 2".to_owned(),
            backend: backend.to_owned(),
            fsync: true,
            argv,
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

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

fn cpu_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn filesystem(data: Option<&Path>) -> Option<String> {
    let folder = match data {
        Some(data) => fs::canonicalize(data).ok()?,
        None => env::current_dir().ok()?,
    };
    filesystem_in(&fs::read_to_string("/proc/self/mounts").ok()?, &folder)
}

/// The kind of the mount with the longest path above `folder`; of two on one path the later covers the other.
fn filesystem_in(mounts: &str, folder: &Path) -> Option<String> {
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (path, kind) = (fields.nth(1)?, fields.next()?);
        folder.starts_with(path).then_some((path.len(), kind))
    });
    above.max_by_key(|(len, _)| *len).map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filesystem_is_that_of_the_innermost_mount() {
        let mounts = "overlay / overlay rw 0 0\n/dev/a /data ext4 rw 0 0\n/dev/b /data xfs rw 0 0\ntmpfs /database tmpfs rw 0 0\n";
        let kind = |folder| filesystem_in(mounts, Path::new(folder));
        assert_eq!(kind("/data/hub").as_deref(), Some("xfs"));
        assert_eq!(kind("/home").as_deref(), Some("overlay"));
        assert_eq!(kind("/database").as_deref(), Some("tmpfs"));
    }

    #[test]
    fn the_processor_is_named() {
        assert_eq!(
            cpu_name("processor : 0\nmodel name\t: Some CPU 3\n").as_deref(),
            Some("Some CPU 3")
        );
        assert_eq!(cpu_name("processor : 0\n"), None);
    }
}
