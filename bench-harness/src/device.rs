//! What the kernel counts: bytes that reached a block device, and the memory and time of this process.
//!
//! ```text
//! folder ─▶ the device of its filesystem (st_dev) ─▶ /sys/dev/block/MAJOR:MINOR/stat, field 7: sectors written
//! ```
//!
//! The device's counter sees everything that was written to it: journal, metadata, rewritten pages, and what other
//! processes wrote meanwhile. The kernel's count of one process (`write_bytes` in `/proc/self/io`) is no better: a page
//! cache of large folios counts the whole folio for each page that is changed.

use std::{fs, io, os::unix::fs::MetadataExt, path::Path};

/// The unit of the counter in `stat`, whatever the device's own sectors are (kernel: Documentation/block/stat.rst).
const SECTOR_BYTES: u64 = 512;

/// The counters of the block device under a folder.
#[derive(Debug)]
pub struct Device {
    stat: std::path::PathBuf,
    folder: fs::File,
}

impl Device {
    /// The device under `folder`.
    ///
    /// # Errors
    /// When the folder lies on no block device (a `tmpfs` or an overlay), or cannot be opened.
    pub fn under(folder: &Path) -> io::Result<Self> {
        let device = fs::metadata(folder)?.dev();
        let (major, minor) = (rustix::fs::major(device), rustix::fs::minor(device));
        let stat = std::path::PathBuf::from(format!("/sys/dev/block/{major}:{minor}/stat"));
        fs::metadata(&stat)?;
        Ok(Self {
            stat,
            folder: fs::File::open(folder)?,
        })
    }

    /// Bytes that were ever written to the device, once all that waits for this filesystem is written too.
    ///
    /// # Errors
    /// When the filesystem cannot be synced or the counter not be read.
    pub fn written(&self) -> io::Result<u64> {
        rustix::fs::syncfs(&self.folder)?;
        let text = fs::read_to_string(&self.stat)?;
        sectors_written(&text)
            .map(|sectors| sectors * SECTOR_BYTES)
            .ok_or_else(|| io::Error::other(format!("{} has no counter of written sectors", self.stat.display())))
    }
}

/// Field 7 of a `stat` file.
fn sectors_written(stat: &str) -> Option<u64> {
    stat.split_whitespace().nth(6)?.parse().ok()
}

/// Memory of this process that is in RAM, in bytes: its own and the pages of files that it has mapped.
///
/// # Errors
/// When `/proc` does not tell.
pub fn resident() -> io::Result<u64> {
    Ok(field("/proc/self/status", "VmRSS:")? * 1024)
}

/// As [`resident`], its own memory alone, without mapped files.
///
/// # Errors
/// When `/proc` does not tell.
pub fn resident_own() -> io::Result<u64> {
    Ok(field("/proc/self/status", "RssAnon:")? * 1024)
}

/// Seconds of processor time that all threads of this process have used: what is left of a duration when other
/// processes are taken out of it.
#[must_use]
pub fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 + time.tv_nsec as f64 / 1e9
}

/// Seconds of processor time of all processes that this one has started and that have ended, and of those that they had started
/// and waited for.
#[must_use]
pub fn cpu_seconds_of_children() -> f64 {
    // The last four of `utime stime cutime cstime`, counted behind the name, which may hold spaces: fields 14 to 17 of proc(5).
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let behind = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
    let ticks = behind.split_whitespace().skip(13).take(2);
    let ticks: u64 = ticks.filter_map(|field| field.parse::<u64>().ok()).sum();
    ticks as f64 / rustix::param::clock_ticks_per_second() as f64
}

fn field(path: &str, name: &str) -> io::Result<u64> {
    let text = fs::read_to_string(path)?;
    find(&text, name).ok_or_else(|| io::Error::other(format!("{path} has no {name}")))
}

/// The number behind `name` at the start of a line.
fn find(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    #[test]
    fn the_fields_are_those_of_the_kernel() {
        let stat = "  123  4  5678  9  1000  11  262144  13  0  15  16  17  18  19  20  21  22\n";
        assert_eq!(sectors_written(stat), Some(262_144));
        assert_eq!(sectors_written("1 2 3"), None);
        let status = "Name:\tx\nVmRSS:\t    2048 kB\nRssAnon:\t 12 kB\n";
        assert_eq!(
            (find(status, "VmRSS:"), find(status, "RssAnon:"), find(status, "Rss:")),
            (Some(2_048), Some(12), None)
        );
    }

    #[test]
    fn a_synced_file_is_counted() {
        let folder = tempfile::tempdir_in(".").expect("a folder");
        let Ok(device) = Device::under(folder.path()) else {
            println!("skipped: no block device under {}", folder.path().display());
            return;
        };
        let before = device.written().expect("counted");
        let mut file = fs::File::create(folder.path().join("f")).expect("made");
        file.write_all(&vec![7; 1 << 20]).expect("written");
        assert!(device.written().expect("counted") - before >= 1 << 20);
    }

    #[test]
    fn memory_that_is_touched_is_resident() {
        let before = resident_own().expect("told");
        let memory = std::hint::black_box(vec![1_u8; 64 << 20]);
        assert!(resident_own().expect("told") >= before + (60 << 20));
        assert!(resident().expect("told") >= resident_own().expect("told"));
        drop(memory);
    }
}
