//! The memory of a process: its peak, and a limit beyond which the system ends it.

use std::path::{Path, PathBuf};
use std::{fs, io};

/// Has the system forget the largest memory that a process has had so far.
///
/// # Panics
/// If the process is gone, or another user's.
pub fn forget_peak(pid: u32) {
    fs::write(format!("/proc/{pid}/clear_refs"), "5").expect("the process is ours");
}

/// The largest resident memory of a process, in bytes, since it began or [`forget_peak`].
///
/// # Panics
/// If the process is gone.
#[must_use]
pub fn peak_bytes(pid: u32) -> u64 {
    status_bytes(pid, "VmHWM:")
}

/// A size that the system tells of a process, in bytes.
pub(crate) fn status_bytes(pid: u32, key: &str) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).expect("the process lives");
    let line = status.lines().find_map(|line| line.strip_prefix(key));
    let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.expect("a size") << 10
}

/// A control group of one process with a limit on its memory. It goes with this value; the process goes back to the group above.
#[derive(Debug)]
pub struct Cap {
    group: PathBuf,
}

impl Cap {
    /// Limits a process to `bytes` beyond what it has now, its files in memory included (the system can do without these).
    ///
    /// # Errors
    /// Where there are no control groups, or none that this user may make: in a container, or for want of rights.
    pub fn beyond_now(pid: u32, bytes: u64) -> io::Result<Self> {
        let own = fs::read_to_string(format!("/proc/{pid}/cgroup"))?;
        let mut last = io::Error::from(io::ErrorKind::NotFound);
        // The first version of control groups, and the second. The group is made below the one that the process is in.
        for (mark, home, limit) in [
            (":memory:/", "/sys/fs/cgroup/memory", "memory.limit_in_bytes"),
            ("0::/", "/sys/fs/cgroup", "memory.max"),
        ] {
            let Some((_, path)) = own.lines().find_map(|line| line.split_once(mark)) else {
                continue;
            };
            match Self::below(&Path::new(home).join(path), limit, pid, bytes) {
                Ok(cap) => return Ok(cap),
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    fn below(above: &Path, limit: &str, pid: u32, bytes: u64) -> io::Result<Self> {
        let group = above.join(format!("tidegate-hostile-{pid}"));
        fs::create_dir(&group)?;
        let cap = Self { group };
        // What it has already stays on the account of the group it came from, so that all it takes from here on is on this one's.
        fs::write(cap.group.join(limit), bytes.to_string())?;
        fs::write(cap.group.join("cgroup.procs"), pid.to_string())?;
        Ok(cap)
    }
}

impl Drop for Cap {
    fn drop(&mut self) {
        let above = self
            .group
            .parent()
            .expect("a group stands in another")
            .join("cgroup.procs");
        let members = fs::read_to_string(self.group.join("cgroup.procs")).unwrap_or_default();
        for pid in members.lines() {
            // Who has ended meanwhile needs no other group.
            let _ended = fs::write(&above, pid);
        }
        if let Err(error) = fs::remove_dir(&self.group) {
            eprintln!("warning: {} could not be removed: {error}", self.group.display());
        }
    }
}
