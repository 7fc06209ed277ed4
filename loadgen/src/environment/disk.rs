//! The filesystem and the device below a folder.

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

/// The kind of filesystem that holds `folder`, which is absolute.
pub(super) fn filesystem(folder: &Path) -> Option<String> {
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mount_of(&mounts, folder).map(|mount| mount.kind.to_owned())
}

/// The block device below `folder`; of a filesystem without one, what is mounted there.
pub(super) fn device(folder: &Path) -> Option<String> {
    let number = fs::metadata(folder).ok()?.dev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    let link = PathBuf::from(format!("/sys/dev/block/{major}:{minor}"));
    if let Ok(device) = fs::canonicalize(link) {
        return Some(describe(&device));
    }
    let mounts = fs::read_to_string("/proc/self/mounts").ok()?;
    mount_of(&mounts, folder).map(|mount| mount.source.to_owned())
}

/// `vda, virtio disk, write back cache`: name, model, and whether the device says that it caches writes.
fn describe(device: &Path) -> String {
    let name = device.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let read = |path: PathBuf| fs::read_to_string(path).ok().map(|text| text.trim().to_owned());
    // A partition has neither a queue nor a model of its own: its disk, the folder above, has.
    let of_disk = |what: &str| read(device.join(what)).or_else(|| read(device.join("..").join(what)));
    let mut words = vec![name];
    words.extend(of_disk("device/model").filter(|model| !model.is_empty()));
    words.extend(of_disk("queue/write_cache").map(|cache| format!("{cache} cache")));
    words.join(", ")
}

/// One line of `/proc/self/mounts`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Mount<'a> {
    source: &'a str,
    kind: &'a str,
}

/// The mount with the longest path above `folder`; of two on one path the later covers the other.
fn mount_of<'a>(mounts: &'a str, folder: &Path) -> Option<Mount<'a>> {
    let above = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (source, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        folder.starts_with(path).then_some((path.len(), Mount { source, kind }))
    });
    above.max_by_key(|(len, _)| *len).map(|(_, mount)| mount)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_filesystem_is_that_of_the_innermost_mount() {
        let mounts = "overlay / overlay rw 0 0\n/dev/a /data ext4 rw 0 0\n/dev/b /data xfs rw 0 0\ntmpfs /database tmpfs rw 0 0\n";
        let kind = |folder| mount_of(mounts, Path::new(folder)).map(|mount| (mount.source, mount.kind));
        assert_eq!(kind("/data/hub"), Some(("/dev/b", "xfs")));
        assert_eq!(kind("/home"), Some(("overlay", "overlay")));
        assert_eq!(kind("/database"), Some(("tmpfs", "tmpfs")));
        assert_eq!(mount_of("", Path::new("/")), None);
    }

    #[test]
    fn a_partition_is_told_with_its_disk() {
        let place = tempfile::tempdir().expect("a folder");
        let disk = place.path().join("sdx");
        fs::create_dir_all(disk.join("device")).expect("made");
        fs::create_dir_all(disk.join("queue")).expect("made");
        fs::create_dir_all(disk.join("sdx1")).expect("made");
        fs::write(disk.join("device/model"), "SOME DISK  \n").expect("written");
        fs::write(disk.join("queue/write_cache"), "write back\n").expect("written");
        assert_eq!(describe(&disk.join("sdx1")), "sdx1, SOME DISK, write back cache");
        assert_eq!(describe(&disk), "sdx, SOME DISK, write back cache");
        fs::remove_dir_all(disk.join("device")).expect("removed");
        assert_eq!(describe(&disk), "sdx, write back cache");
    }

    #[test]
    fn the_working_folder_has_a_device() {
        let folder = std::env::current_dir().expect("a folder");
        assert!(device(&folder).is_some_and(|device| !device.is_empty()));
        assert!(filesystem(&folder).is_some_and(|kind| !kind.is_empty()));
    }
}
