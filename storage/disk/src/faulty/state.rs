//! The whole state of a faulty disk: files, names, the plan to fail.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::{Path, PathBuf},
};

use super::{Fault, FaultKind, Site, image::Image};
use crate::{DiskError, error::Op};

/// `EIO` of Linux.
const EIO: i32 = 5;
/// `EBADF` of Linux: a write through a handle that only reads.
pub(super) const EBADF: i32 = 9;

/// One change of the names of a folder: all of it becomes durable, or nothing.
#[derive(Clone, Debug)]
pub(super) struct NameChange {
    pub(super) gone: Option<PathBuf>,
    pub(super) made: Option<(PathBuf, usize)>,
}

impl NameChange {
    fn touches(&self, dir: &Path) -> bool {
        let made = self.made.as_ref().map(|(path, _)| path);
        self.gone.iter().chain(made).any(|path| path.parent() == Some(dir))
    }

    fn apply(&self, names: &mut BTreeMap<PathBuf, usize>) {
        if let Some(gone) = &self.gone {
            names.remove(gone);
        }
        if let Some((path, file)) = &self.made {
            names.insert(path.clone(), *file);
        }
    }
}

#[derive(Clone, Default)]
pub(super) struct State {
    pub(super) files: Vec<Image>,
    pub(super) names: BTreeMap<PathBuf, usize>,
    durable_names: BTreeMap<PathBuf, usize>,
    pending: Vec<NameChange>,
    pub(super) dirs: BTreeSet<PathBuf>,
    pub(super) locks: BTreeSet<PathBuf>,
    /// How many hold each folder to read.
    pub(super) readers: BTreeMap<PathBuf, usize>,
    pub(super) faults: Vec<Fault>,
    pub(super) capacity: Option<u64>,
    pub(super) sites: u64,
    pub(super) trace: Vec<Site>,
    pub(super) looks: u64,
    pub(super) blind: Option<u64>,
    pub(super) failed: bool,
    dead: bool,
}

impl State {
    /// Refuses every call once the process is dead.
    pub(super) fn alive(&self, op: Op, path: &Path) -> Result<(), DiskError> {
        if self.dead {
            Err(DiskError::Io {
                op,
                path: path.to_owned(),
                errno: EIO,
            })
        } else {
            Ok(())
        }
    }

    /// Passes one call that changes nothing, which fails if it is the planned one.
    pub(super) fn look(&mut self, op: Op, path: &Path) -> Result<(), DiskError> {
        self.alive(op, path)?;
        self.looks += 1;
        if self.blind == Some(self.looks) {
            self.failed = true;
            return Err(DiskError::Io {
                op,
                path: path.to_owned(),
                errno: EIO,
            });
        }
        Ok(())
    }

    /// Passes one site; `Some` when it is the one that fails.
    pub(super) fn pass(&mut self, op: Op, path: &Path) -> Result<Option<Fault>, DiskError> {
        self.alive(op, path)?;
        self.sites += 1;
        self.trace.push(Site {
            op,
            path: path.to_owned(),
        });
        Ok(self.faults.iter().copied().find(|fault| fault.site == self.sites))
    }

    /// The error of the failing site.
    pub(super) fn fail(&mut self, fault: Fault, op: Op, path: &Path) -> DiskError {
        self.failed = true;
        let path = path.to_owned();
        match fault.kind {
            FaultKind::NoSpace => DiskError::NoSpace { op, path },
            FaultKind::Eio => DiskError::Io { op, path, errno: EIO },
            FaultKind::Kill => {
                self.dead = true;
                DiskError::Io { op, path, errno: EIO }
            }
        }
    }

    pub(super) fn find(&self, path: &Path) -> Result<usize, DiskError> {
        self.names
            .get(path)
            .copied()
            .ok_or_else(|| DiskError::NotFound { path: path.to_owned() })
    }

    pub(super) fn create(&mut self, path: &Path) -> Result<usize, DiskError> {
        if self.names.contains_key(path) {
            return Err(DiskError::AlreadyExists { path: path.to_owned() });
        }
        if !path.parent().is_some_and(|dir| self.dirs.contains(dir)) {
            return Err(DiskError::NotFound { path: path.to_owned() });
        }
        let file = self.files.len();
        self.files.push(Image::default());
        self.change_name(
            Op::Create,
            NameChange {
                gone: None,
                made: Some((path.to_owned(), file)),
            },
        )?;
        Ok(file)
    }

    /// Changes names. A kill falls before or after the change, as the plan's seed says; an error falls before it.
    pub(super) fn change_name(&mut self, op: Op, change: NameChange) -> Result<(), DiskError> {
        let path = change
            .gone
            .clone()
            .or_else(|| Some(change.made.as_ref()?.0.clone()))
            .expect("a change names a file");
        let fault = self.pass(op, &path)?;
        if fault.is_none_or(|f| f.kind == FaultKind::Kill && Coin::new(f.seed).heads()) {
            change.apply(&mut self.names);
            self.pending.push(change);
        }
        fault.map_or(Ok(()), |f| Err(self.fail(f, op, &path)))
    }

    pub(super) fn sync_names(&mut self, dir: &Path) {
        let (durable, rest): (Vec<_>, Vec<_>) = self.pending.drain(..).partition(|change| change.touches(dir));
        self.pending = rest;
        for change in durable {
            change.apply(&mut self.durable_names);
        }
    }

    /// Bytes that may still be taken.
    pub(super) fn room(&self) -> u64 {
        let used: u64 = self
            .names
            .values()
            .map(|file| self.files[*file].seen().len() as u64)
            .sum();
        self.capacity.map_or(u64::MAX, |capacity| capacity.saturating_sub(used))
    }

    pub(super) fn restarted(&self) -> Self {
        let mut next = self.clone();
        next.locks.clear();
        next.readers.clear();
        next.faults.clear();
        next.blind = None;
        (next.sites, next.looks, next.failed, next.dead) = (0, 0, false, false);
        next.trace.clear();
        next.forget_removed();
        next
    }

    /// Frees the bytes of files that no name leads to, now or after a power loss.
    fn forget_removed(&mut self) {
        let pending = self.pending.iter().filter_map(|change| Some(change.made.as_ref()?.1));
        let names = self.names.values().chain(self.durable_names.values()).copied();
        let kept: BTreeSet<usize> = names.chain(pending).collect();
        for (file, image) in self.files.iter_mut().enumerate() {
            if !kept.contains(&file) {
                *image = Image::default();
            }
        }
    }

    pub(super) fn after_power_loss(&self, seed: u64) -> Self {
        let mut next = self.restarted();
        let mut coin = Coin::new(seed);
        next.files = self.files.iter().map(|file| file.after_power_loss(&mut coin)).collect();
        for change in std::mem::take(&mut next.pending) {
            if coin.survives() {
                change.apply(&mut next.durable_names);
            }
        }
        next.names.clone_from(&next.durable_names);
        next
    }
}

/// Reproducible choices: SplitMix64 (Steele, Lea and Flood, 2014).
pub(super) struct Coin {
    state: u64,
    mood: u64,
}

impl Coin {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            mood: seed % 4,
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    pub(super) fn heads(&mut self) -> bool {
        self.next() & 1 == 1
    }

    /// Whether one unsynced thing survives: never, always, or by the toss, as the seed's last two bits say.
    pub(super) fn survives(&mut self) -> bool {
        match self.mood {
            0 => false,
            1 => true,
            _ => self.heads(),
        }
    }
}
