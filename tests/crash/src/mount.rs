//! File systems of the rigs' own, mounted as root and gone with their value.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use crate::ioctl;

/// Why a rig cannot be had here, in words for whoever reads the test's output.
pub type Missing = String;

/// A mounted file system.
#[derive(Debug)]
pub struct Mount {
    folder: TempDir,
    /// The file behind a loop device.
    image: Option<PathBuf>,
}

impl Mount {
    /// A disk in memory of `mebibytes`.
    ///
    /// # Errors
    /// [`Missing`] where this process may not mount.
    pub fn small(mebibytes: u32) -> Result<Self, Missing> {
        let mount = Self {
            folder: folder()?,
            image: None,
        };
        fs::create_dir(mount.path()).map_err(|error| error.to_string())?;
        let size = format!("size={mebibytes}m");
        tool(
            "mount",
            &[
                "-t".as_ref(),
                "tmpfs".as_ref(),
                "-o".as_ref(),
                size.as_ref(),
                "tmpfs".as_ref(),
                mount.path().as_ref(),
            ],
        )?;
        Ok(mount)
    }

    /// An ext4 of its own behind a loop device.
    ///
    /// # Errors
    /// [`Missing`] where this process may not mount, or has no loop devices or no `mkfs.ext4`.
    pub fn ext4(mebibytes: u64) -> Result<Self, Missing> {
        let folder = folder()?;
        let image = folder.path().join("image");
        let mount = Self {
            folder,
            image: Some(image.clone()),
        };
        fs::create_dir(mount.path()).map_err(|error| error.to_string())?;
        let file = fs::File::create(&image).map_err(|error| error.to_string())?;
        file.set_len(mebibytes << 20).map_err(|error| error.to_string())?;
        tool("mkfs.ext4", &["-q".as_ref(), "-F".as_ref(), image.as_ref()])?;
        mount.mount_image()?;
        Ok(mount)
    }

    /// Where it is mounted.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    fn mount_image(&self) -> Result<(), Missing> {
        let image = self.image.as_deref().expect("only what has an image is mounted again");
        tool("mount", &["-o".as_ref(), "loop".as_ref(), image, self.path().as_ref()])
    }

    /// Stops the file system as if its power had gone.
    ///
    /// # Errors
    /// [`Missing`] if the kernel does not do so.
    pub fn cut_power(&self) -> Result<(), Missing> {
        ioctl::cut_power(&self.path()).map_err(|error| format!("EXT4_IOC_SHUTDOWN: {error}"))
    }

    /// Mounts it again, as after a start: the kernel replays the file system's own journal.
    ///
    /// # Panics
    /// If it cannot be mounted any more.
    pub fn power_on(&self) {
        tool("umount", &[self.path().as_ref()]).expect("nobody has a file open there");
        self.mount_image().expect("it was mounted before");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily, so that nothing stays mounted after a test that failed.
        let _ = tool("umount", &["--lazy".as_ref(), self.path().as_ref()]);
    }
}

/// A folder in memory where that can be had. What is lost with the power is decided above a disk's image, so the disk that the image
/// is on would only cost time.
pub(crate) fn folder() -> Result<TempDir, Missing> {
    let shared = Path::new("/dev/shm");
    let folder = if shared.is_dir() {
        TempDir::new_in(shared)
    } else {
        TempDir::new()
    };
    folder.map_err(|error| error.to_string())
}

fn tool(name: &str, arguments: &[&Path]) -> Result<(), Missing> {
    let run = Command::new(name).args(arguments).output();
    let output = run.map_err(|error| format!("{name}: {error}"))?;
    if output.status.success() {
        Ok(())
    } else {
        Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr).trim()))
    }
}
