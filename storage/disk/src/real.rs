//! The operating system's files, by positioned calls.

use std::{
    fs::File,
    io::{self, IoSlice},
    os::{fd::OwnedFd, unix::fs::FileExt},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use rustix::{
    fs::{FallocateFlags, FlockOperation, Mode, OFlags},
    io::Errno,
};

use crate::{Disk, DiskError, DiskFile, OpenMode, error::Op, lock::DirLock, lock::LOCK_FILE};

/// Most parts that one gathered write may have (`IOV_MAX` of Linux).
const PARTS_MAX: usize = 1024;

/// How long a folder's lock is waited for: far longer than a child takes from `fork` to `exec`, and no wait to a person.
const PASSING: Duration = Duration::from_millis(300);
/// Between two looks at a lock that is held.
const NAP: Duration = Duration::from_millis(2);

/// New files are for their owner alone: a log may hold what only the operator should read.
const FILE_MODE: Mode = Mode::RUSR.union(Mode::WUSR);

/// The disk of this machine. It has no state: all copies are the same disk.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealDisk;

#[derive(Debug)]
struct RealFile {
    file: File,
    path: PathBuf,
}

fn failed(op: Op, path: &Path, errno: Errno) -> DiskError {
    let path = path.to_owned();
    match errno {
        Errno::NOSPC | Errno::DQUOT => DiskError::NoSpace { op, path },
        Errno::NOENT => DiskError::NotFound { path },
        Errno::EXIST => DiskError::AlreadyExists { path },
        other => DiskError::Io {
            op,
            path,
            errno: other.raw_os_error(),
        },
    }
}

fn failed_io(op: Op, path: &Path, error: &io::Error) -> DiskError {
    failed(op, path, Errno::from_io_error(error).unwrap_or(Errno::IO))
}

fn open_fd(path: &Path, flags: OFlags, op: Op) -> Result<OwnedFd, DiskError> {
    rustix::fs::open(path, flags | OFlags::CLOEXEC, FILE_MODE).map_err(|e| failed(op, path, e))
}

impl Disk for RealDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let (flags, op) = match mode {
            OpenMode::Read => (OFlags::RDONLY, Op::Open),
            OpenMode::Write => (OFlags::RDWR, Op::Open),
            OpenMode::CreateNew => (OFlags::RDWR | OFlags::CREATE | OFlags::EXCL, Op::Create),
        };
        let fd = open_fd(path, flags, op)?;
        Ok(Arc::new(RealFile {
            file: File::from(fd),
            path: path.to_owned(),
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        rustix::fs::rename(from, to).map_err(|e| failed(Op::Rename, from, e))
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        rustix::fs::unlink(path).map_err(|e| failed(Op::Remove, path, e))
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError> {
        let fail = |e: io::Error| failed_io(Op::List, dir, &e);
        let mut names = Vec::new();
        for entry in std::fs::read_dir(dir).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            if entry.file_type().map_err(fail)?.is_file()
                && let Ok(name) = entry.file_name().into_string()
            {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        std::fs::exists(path).map_err(|e| failed_io(Op::List, path, &e))
    }

    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        if dir.as_os_str().is_empty() || self.exists(dir)? {
            return Ok(());
        }
        let above = dir
            .parent()
            .filter(|p| !p.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        self.create_dir_all(above)?;
        match rustix::fs::mkdir(dir, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => self.sync_dir(above),
            Err(e) => Err(failed(Op::MakeDir, dir, e)),
        }
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let fd = open_fd(dir, OFlags::RDONLY | OFlags::DIRECTORY, Op::SyncDir)?;
        rustix::fs::fsync(fd).map_err(|e| failed(Op::SyncDir, dir, e))
    }

    fn lock_dir(&self, dir: &Path) -> Result<DirLock, DiskError> {
        let path = dir.join(LOCK_FILE);
        let file = File::from(open_fd(&path, OFlags::RDWR | OFlags::CREATE, Op::Lock)?);
        match flock_soon(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::AGAIN) => return Err(locked(dir, &file)),
            Err(e) => return Err(failed(Op::Lock, &path, e)),
        }
        let pid = format!("{}\n", std::process::id());
        file.set_len(0)
            .and_then(|()| file.write_all_at(pid.as_bytes(), 0))
            .map_err(|e| failed_io(Op::Lock, &path, &e))?;
        // The file stays when the lock goes: removing it could unlink a file that another owner has just locked.
        Ok(DirLock::holding(file))
    }

    fn lock_dir_shared(&self, dir: &Path) -> Result<Option<DirLock>, DiskError> {
        let path = dir.join(LOCK_FILE);
        let file = match open_fd(&path, OFlags::RDONLY, Op::Lock) {
            Ok(fd) => File::from(fd),
            Err(DiskError::NotFound { .. }) => return Ok(None),
            Err(other) => return Err(other),
        };
        match flock_soon(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => Ok(Some(DirLock::holding(file))),
            Err(Errno::AGAIN) => Err(locked(dir, &file)),
            Err(e) => Err(failed(Op::Lock, &path, e)),
        }
    }
}

/// Takes a lock that is free, or that comes free within [`PASSING`].
///
/// A lock belongs to an open file, which a child shares between `fork` and `exec`: an owner that starts another program
/// at the moment in which it lets go keeps the folder locked for as long as the child takes to become that program.
fn flock_soon(file: &File, operation: FlockOperation) -> Result<(), Errno> {
    let began = Instant::now();
    loop {
        match rustix::fs::flock(file, operation) {
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) if began.elapsed() < PASSING => std::thread::sleep(NAP),
            other => return other,
        }
    }
}

/// Who holds a folder: the owner's process number is in the file, unless it is just being written. Readers leave none,
/// and what an earlier owner left is not theirs.
fn locked(dir: &Path, file: &File) -> DiskError {
    let only_readers = rustix::fs::flock(file, FlockOperation::NonBlockingLockShared).is_ok();
    DiskError::Locked {
        path: dir.to_owned(),
        pid: if only_readers { None } else { read_pid(file) },
    }
}

fn read_pid(file: &File) -> Option<u32> {
    let mut text = [0_u8; 16];
    let read = file.read_at(&mut text, 0).ok()?;
    std::str::from_utf8(text.get(..read)?).ok()?.trim().parse().ok()
}

impl RealFile {
    fn fail(&self, op: Op) -> impl FnOnce(Errno) -> DiskError + '_ {
        move |errno| failed(op, &self.path, errno)
    }

    /// Writes up to [`PARTS_MAX`] parts, all of their bytes.
    fn write_gathered(&self, mut offset: u64, parts: &[&[u8]]) -> Result<u64, DiskError> {
        let mut slices: Vec<IoSlice<'_>> = parts.iter().map(|part| IoSlice::new(part)).collect();
        let mut rest = slices.as_mut_slice();
        IoSlice::advance_slices(&mut rest, 0);
        while !rest.is_empty() {
            let written = match rustix::io::pwritev(&self.file, rest, offset) {
                Ok(0) => return Err(self.fail(Op::Write)(Errno::IO)),
                Ok(written) => written,
                Err(Errno::INTR) => continue,
                Err(e) => return Err(self.fail(Op::Write)(e)),
            };
            IoSlice::advance_slices(&mut rest, written);
            offset += written as u64;
        }
        Ok(offset)
    }
}

impl DiskFile for RealFile {
    fn write_parts_at(&self, mut offset: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        for group in parts.chunks(PARTS_MAX) {
            offset = self.write_gathered(offset, group)?;
        }
        Ok(())
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        self.file.read_exact_at(into, offset).map_err(|e| match e.kind() {
            io::ErrorKind::UnexpectedEof => DiskError::UnexpectedEnd {
                path: self.path.clone(),
                end: offset.saturating_add(into.len() as u64),
            },
            _ => failed_io(Op::Read, &self.path, &e),
        })
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        // Not `File::sync_data`, which would call again after an interruption: a sync is asked for once.
        rustix::fs::fdatasync(&self.file).map_err(self.fail(Op::Sync))
    }

    fn set_len(&self, bytes: u64) -> Result<(), DiskError> {
        rustix::fs::ftruncate(&self.file, bytes).map_err(self.fail(Op::SetLen))
    }

    fn allocate(&self, bytes: u64) -> Result<(), DiskError> {
        match rustix::fs::fallocate(&self.file, FallocateFlags::empty(), 0, bytes) {
            // A file system without reservations: the later writes themselves will say when there is no room.
            Err(Errno::OPNOTSUPP) if self.len()? < bytes => self.set_len(bytes),
            Err(Errno::OPNOTSUPP) => Ok(()),
            other => other.map_err(self.fail(Op::Allocate)),
        }
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.file
            .metadata()
            .map(|m| m.len())
            .map_err(|e| failed_io(Op::Read, &self.path, &e))
    }
}
