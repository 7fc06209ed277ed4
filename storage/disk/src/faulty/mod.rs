//! A disk in memory that fails where a test asks it to, and that shows what a power loss may leave.
//!
//! Each file has two images: what processes see, and what the medium holds. A write changes the first and marks its
//! 512 B sectors as unsynced; a sync copies the marked sectors over. Names have two images in the same way.
//!
//! ```text
//! write ─► seen ─┬─ sync_data ─► medium          restart(): a process died, the kernel lives: `seen` stays
//!                └─ crash(seed): each unsynced    crash():   power loss: `medium` plus a seeded choice of
//!                   sector by a coin ─► medium               unsynced sectors, lengths and names
//! ```
//!
//! Every call that changes something is a *site*, numbered from 1. [`FaultyDisk::arm`] picks the site that fails and
//! how. A failed sync behaves as Linux does: some sectors are written, all are forgotten as unsynced, so that a second
//! sync succeeds over lost bytes. Calls that only look are counted apart, and [`FaultyDisk::arm_look`] picks one that fails;
//! [`FaultyDisk::flip`] damages what they return.
//!
//! Folders are durable as soon as they are made: what storage does there is make its own folder once.

mod image;
mod state;

use std::{
    collections::BTreeMap,
    fmt,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, MutexGuard},
};

use crate::{Disk, DiskError, DiskFile, OpenMode, error::Op, lock::DirLock};
use state::{NameChange, State};

/// What happens at the chosen site.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FaultKind {
    /// The process dies inside the call: a write may be partly done, and every later call fails.
    Kill,
    /// The call fails with `EIO` and may be partly done. Later calls work.
    Eio,
    /// The call fails for want of space and may be partly done. Later calls work.
    NoSpace,
}

/// A planned failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fault {
    /// The number of the call that fails, counted from 1 since the disk was made.
    pub site: u64,
    /// How it fails.
    pub kind: FaultKind,
    /// Chooses how much of the failing call is done.
    pub seed: u64,
}

/// How many sites of each kind have been passed.
pub type SiteCount = BTreeMap<Op, u64>;

/// A call that changed something, or tried to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Site {
    /// The call.
    pub op: Op,
    /// The file or folder; for a rename, its name before.
    pub path: PathBuf,
}

/// A disk in memory for tests. Copies (`clone`) are handles of the same disk.
#[derive(Clone)]
pub struct FaultyDisk {
    state: Arc<Mutex<State>>,
}

struct FaultyFile {
    disk: FaultyDisk,
    path: PathBuf,
    file: usize,
    writable: bool,
}

impl Default for FaultyDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl FaultyDisk {
    /// An empty disk without a plan to fail and without a limit of space.
    #[must_use]
    pub fn new() -> Self {
        Self::of(State::default())
    }

    fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("no call panics while it holds the state")
    }

    /// Plans a failure, in place of any planned before. A site that has been passed already never fails.
    pub fn arm(&self, fault: Fault) {
        self.state().faults = vec![fault];
    }

    /// Plans one more failure, beside those planned before.
    pub fn arm_also(&self, fault: Fault) {
        self.state().faults.push(fault);
    }

    /// Plans that the `look`-th call that changes nothing (open, read, length, list, exists), counted from 1, fails with
    /// `EIO`. Later ones work.
    pub fn arm_look(&self, look: u64) {
        self.state().blind = Some(look);
    }

    /// Limits the sum of all file lengths, in bytes; `None` lifts the limit.
    pub fn limit_space(&self, bytes: Option<u64>) {
        self.state().capacity = bytes;
    }

    /// How many sites have been passed.
    #[must_use]
    pub fn sites(&self) -> u64 {
        self.state().sites
    }

    /// How many sites of each kind have been passed.
    #[must_use]
    pub fn site_count(&self) -> SiteCount {
        let mut count = SiteCount::new();
        for site in &self.state().trace {
            *count.entry(site.op).or_default() += 1;
        }
        count
    }

    /// The sites that have been passed, in order: site n is at n - 1.
    #[must_use]
    pub fn trace(&self) -> Vec<Site> {
        self.state().trace.clone()
    }

    /// How many calls that change nothing have been passed.
    #[must_use]
    pub fn looks(&self) -> u64 {
        self.state().looks
    }

    /// Whether the planned failure has happened.
    #[must_use]
    pub fn has_failed(&self) -> bool {
        self.state().failed
    }

    /// The disk as a new process finds it after the old one died: everything written is seen, nothing is synced by
    /// that. The new disk counts its sites from 0 and has no plan; handles of the old one do not reach it.
    #[must_use]
    pub fn restart(&self) -> Self {
        Self::of(self.state().restarted())
    }

    /// The disk as it may look after a power loss. Each unsynced sector, length and name survives or not as `seed`
    /// says; two seeds in four keep nothing or everything.
    #[must_use]
    pub fn crash(&self, seed: u64) -> Self {
        Self::of(self.state().after_power_loss(seed))
    }

    /// The bytes of a file as processes see them.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] without that name.
    pub fn bytes(&self, path: &Path) -> Result<Vec<u8>, DiskError> {
        let state = self.state();
        let file = state.find(path)?;
        Ok(state.files[file].seen().to_vec())
    }

    /// Changes the bits of `mask` in one byte of a file, as decay of the medium would: seen and durable at once.
    ///
    /// # Errors
    /// [`DiskError::NotFound`] without that name, [`DiskError::UnexpectedEnd`] past its end.
    pub fn flip(&self, path: &Path, offset: u64, mask: u8) -> Result<(), DiskError> {
        let mut state = self.state();
        let file = state.find(path)?;
        let done = usize::try_from(offset).is_ok_and(|at| state.files[file].flip(at, mask));
        if done {
            Ok(())
        } else {
            Err(DiskError::UnexpectedEnd {
                path: path.to_owned(),
                end: offset.saturating_add(1),
            })
        }
    }
}

impl fmt::Debug for FaultyDisk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state();
        f.debug_struct("FaultyDisk")
            .field("names", &state.names)
            .field("sites", &state.sites)
            .finish_non_exhaustive()
    }
}

impl Disk for FaultyDisk {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, DiskError> {
        let mut state = self.state();
        let file = match mode {
            OpenMode::Read | OpenMode::Write => {
                state.look(Op::Open, path)?;
                state.find(path)?
            }
            OpenMode::CreateNew => state.create(path)?,
        };
        let writable = mode != OpenMode::Read;
        Ok(Arc::new(FaultyFile {
            disk: self.clone(),
            path: path.to_owned(),
            file,
            writable,
        }))
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<(), DiskError> {
        let mut state = self.state();
        state.alive(Op::Rename, from)?;
        let file = state.find(from)?;
        state.change_name(
            Op::Rename,
            NameChange {
                gone: Some(from.to_owned()),
                made: Some((to.to_owned(), file)),
            },
        )
    }

    fn remove(&self, path: &Path) -> Result<(), DiskError> {
        let mut state = self.state();
        state.alive(Op::Remove, path)?;
        state.find(path)?;
        state.change_name(
            Op::Remove,
            NameChange {
                gone: Some(path.to_owned()),
                made: None,
            },
        )
    }

    fn list(&self, dir: &Path) -> Result<Vec<String>, DiskError> {
        let mut state = self.state();
        state.look(Op::List, dir)?;
        if !state.dirs.contains(dir) {
            return Err(DiskError::NotFound { path: dir.to_owned() });
        }
        let names = state.names.keys().filter(|path| path.parent() == Some(dir));
        Ok(names
            .filter_map(|path| path.file_name()?.to_str().map(str::to_owned))
            .collect())
    }

    fn exists(&self, path: &Path) -> Result<bool, DiskError> {
        let mut state = self.state();
        state.look(Op::List, path)?;
        Ok(state.names.contains_key(path) || state.dirs.contains(path))
    }

    fn create_dir_all(&self, dir: &Path) -> Result<(), DiskError> {
        let mut state = self.state();
        state.alive(Op::MakeDir, dir)?;
        state.dirs.extend(dir.ancestors().map(Path::to_owned));
        Ok(())
    }

    fn sync_dir(&self, dir: &Path) -> Result<(), DiskError> {
        let mut state = self.state();
        match state.pass(Op::SyncDir, dir)? {
            None => {
                state.sync_names(dir);
                Ok(())
            }
            Some(fault) => Err(state.fail(fault, Op::SyncDir, dir)),
        }
    }

    fn lock_dir(&self, dir: &Path) -> Result<DirLock, DiskError> {
        let mut state = self.state();
        state.alive(Op::Lock, dir)?;
        if !state.dirs.contains(dir) {
            return Err(DiskError::NotFound { path: dir.to_owned() });
        }
        if state.readers.contains_key(dir) || !state.locks.insert(dir.to_owned()) {
            return Err(DiskError::Locked {
                path: dir.to_owned(),
                pid: Some(std::process::id()),
            });
        }
        Ok(DirLock::holding(Held {
            disk: self.clone(),
            dir: dir.to_owned(),
        }))
    }

    fn lock_dir_shared(&self, dir: &Path) -> Result<Option<DirLock>, DiskError> {
        let mut state = self.state();
        state.alive(Op::Lock, dir)?;
        if state.locks.contains(dir) {
            return Err(DiskError::Locked {
                path: dir.to_owned(),
                pid: Some(std::process::id()),
            });
        }
        *state.readers.entry(dir.to_owned()).or_default() += 1;
        Ok(Some(DirLock::holding(HeldToRead {
            disk: self.clone(),
            dir: dir.to_owned(),
        })))
    }
}

struct HeldToRead {
    disk: FaultyDisk,
    dir: PathBuf,
}

impl Drop for HeldToRead {
    fn drop(&mut self) {
        let mut state = self.disk.state();
        if let Some(readers) = state.readers.get_mut(&self.dir) {
            *readers -= 1;
            if *readers == 0 {
                state.readers.remove(&self.dir);
            }
        }
    }
}

struct Held {
    disk: FaultyDisk,
    dir: PathBuf,
}

impl Drop for Held {
    fn drop(&mut self) {
        self.disk.state().locks.remove(&self.dir);
    }
}

impl FaultyFile {
    /// Passes a site that changes this file, and hands on what is to fail there.
    fn pass(&self, state: &mut State, op: Op) -> Result<Option<Fault>, DiskError> {
        if !self.writable {
            return Err(DiskError::Io {
                op,
                path: self.path.clone(),
                errno: state::EBADF,
            });
        }
        state.pass(op, &self.path)
    }

    fn resize(&self, op: Op, bytes: u64, only_grow: bool) -> Result<(), DiskError> {
        let mut state = self.disk.state();
        if let Some(fault) = self.pass(&mut state, op)? {
            return Err(state.fail(fault, op, &self.path));
        }
        let now = state.files[self.file].seen().len() as u64;
        if only_grow && bytes <= now {
            return Ok(());
        }
        if bytes.saturating_sub(now) > state.room() {
            return Err(DiskError::NoSpace {
                op,
                path: self.path.clone(),
            });
        }
        state.files[self.file].set_len(usize::try_from(bytes).expect("test files fit the memory"));
        Ok(())
    }
}

impl fmt::Debug for FaultyFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FaultyFile({})", self.path.display())
    }
}

impl DiskFile for FaultyFile {
    fn write_parts_at(&self, offset: u64, parts: &[&[u8]]) -> Result<(), DiskError> {
        let bytes = parts.concat();
        let at = usize::try_from(offset).expect("test files fit the memory");
        let mut state = self.disk.state();
        if let Some(fault) = self.pass(&mut state, Op::Write)? {
            state.files[self.file].write_some(at, &bytes, fault.seed);
            return Err(state.fail(fault, Op::Write, &self.path));
        }
        let grows = (at + bytes.len()).saturating_sub(state.files[self.file].seen().len());
        let lacking = usize::try_from((grows as u64).saturating_sub(state.room())).expect("less than the write");
        state.files[self.file].write(at, &bytes[..bytes.len().saturating_sub(lacking)]);
        if lacking > 0 {
            Err(DiskError::NoSpace {
                op: Op::Write,
                path: self.path.clone(),
            })
        } else {
            Ok(())
        }
    }

    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        let mut state = self.disk.state();
        state.look(Op::Read, &self.path)?;
        let end = offset.saturating_add(into.len() as u64);
        let found = usize::try_from(offset)
            .ok()
            .and_then(|at| state.files[self.file].seen().get(at..)?.get(..into.len()));
        into.copy_from_slice(found.ok_or_else(|| DiskError::UnexpectedEnd {
            path: self.path.clone(),
            end,
        })?);
        Ok(())
    }

    fn sync_data(&self) -> Result<(), DiskError> {
        let mut state = self.disk.state();
        match state.pass(Op::Sync, &self.path)? {
            None => {
                state.files[self.file].sync();
                Ok(())
            }
            Some(fault) => {
                // A process that is killed loses nothing by it: the kernel still knows the sectors.
                if fault.kind != FaultKind::Kill {
                    state.files[self.file].sync_some_forget_all(fault.seed);
                }
                Err(state.fail(fault, Op::Sync, &self.path))
            }
        }
    }

    fn set_len(&self, bytes: u64) -> Result<(), DiskError> {
        self.resize(Op::SetLen, bytes, false)
    }

    fn allocate(&self, bytes: u64) -> Result<(), DiskError> {
        self.resize(Op::Allocate, bytes, true)
    }

    fn len(&self) -> Result<u64, DiskError> {
        let mut state = self.disk.state();
        state.look(Op::Read, &self.path)?;
        Ok(state.files[self.file].seen().len() as u64)
    }
}
