//! Where a result was measured. What the system does not tell is `unknown`, never guessed.

use std::{env, fs, path::Path, process::Command, thread};

use serde::{Deserialize, Serialize};

/// What a reader needs to judge a number.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Environment {
    /// The commit of the source tree, shortened.
    pub git: String,
    /// Whether files differ from that commit.
    pub dirty: bool,
    /// The processor's name.
    pub cpu: String,
    /// Cores that this process may use.
    pub cores: usize,
    /// The kernel's release.
    pub kernel: String,
    /// The kind of filesystem under the working folder.
    pub filesystem: String,
    /// The allocator of this process.
    pub allocator: String,
    /// Which code judges signatures.
    pub backend: String,
    /// The command line.
    pub argv: Vec<String>,
}

impl Environment {
    /// Looks around. `folder` is where files of the run lie; `allocator` and `backend` are what only the caller knows.
    #[must_use]
    pub fn capture(folder: &Path, allocator: &str, backend: &str) -> Self {
        let git = git(&["rev-parse", "--short=12", "HEAD"]);
        Self {
            dirty: git.is_some() && self::git(&["status", "--porcelain"]).is_some_and(|changes| !changes.is_empty()),
            git: git.unwrap_or_else(unknown),
            cpu: fs::read_to_string("/proc/cpuinfo")
                .ok()
                .and_then(|text| cpu_name(&text))
                .unwrap_or_else(unknown),
            cores: thread::available_parallelism().map_or(1, Into::into),
            kernel: rustix::system::uname().release().to_string_lossy().into_owned(),
            filesystem: filesystem_of(folder).unwrap_or_else(unknown),
            allocator: allocator.to_owned(),
            backend: backend.to_owned(),
            argv: env::args().collect(),
        }
    }
}

fn unknown() -> String {
    "unknown".to_owned()
}

/// What git says about the source tree that this was built from, if that is still there.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git")
        .args(["-C", env!("CARGO_MANIFEST_DIR")])
        .args(arguments)
        .output()
        .ok()?;
    output
        .status
        .success()
        .then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn cpu_name(cpuinfo: &str) -> Option<String> {
    let line = cpuinfo.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn filesystem_of(folder: &Path) -> Option<String> {
    let folder = folder.canonicalize().ok()?;
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    kind_of_mount(&mounts, &folder)
}

/// The kind of the mount that holds `folder`: of those whose point is above it, the deepest; of equals, the last.
fn kind_of_mount(mounts: &str, folder: &Path) -> Option<String> {
    let fields = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ').skip(1);
        Some((fields.next()?, fields.next()?))
    });
    let above = fields.filter(|(point, _)| folder.starts_with(point));
    above
        .max_by_key(|(point, _)| Path::new(point).components().count())
        .map(|(_, kind)| kind.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_deepest_mount_counts() {
        let mounts = "/dev/a / ext4 rw 0 0\ntmpfs /tmp tmpfs rw 0 0\n/dev/b /tmp/x/y xfs rw 0 0\n";
        let kind = |folder: &str| kind_of_mount(mounts, Path::new(folder)).expect("the root is mounted");
        assert_eq!(
            ["/home", "/tmp/x", "/tmp/x/y/z", "/tmpx"].map(kind),
            ["ext4", "tmpfs", "xfs", "ext4"]
        );
        assert_eq!(kind_of_mount("", Path::new("/")), None);
    }

    #[test]
    fn the_processor_has_a_name() {
        assert_eq!(
            cpu_name("processor\t: 0\nmodel name\t: Some CPU\n").as_deref(),
            Some("Some CPU")
        );
        assert_eq!(cpu_name("processor : 0"), None);
    }

    #[test]
    fn this_machine_is_described() {
        let here = Environment::capture(Path::new("."), "system", "x");
        assert!(here.cores > 0 && !here.argv.is_empty());
        assert_ne!(here.kernel, "");
        assert_ne!(here.filesystem, "unknown");
    }
}
