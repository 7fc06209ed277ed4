//! The files of a log: prepared ahead, used in order, recycled by rename.

use std::{
    collections::VecDeque,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tidegate_disk::{Disk, DiskError, DiskFile, Lsn, OpenMode};

use crate::{LogConfig, LogError};

const PREFIX: &str = "log-";
const SUFFIX: &str = ".seg";
/// A segment that is being prepared: no part of the log until it is renamed.
const UNFINISHED: &str = "log-unfinished.tmp";
/// Zeros are written and synced in pieces of this size, so that they never stand long before a commit's sync.
const ZEROS_BYTES: u64 = 1 << 20;

/// The name of segment `number`.
pub(crate) fn file_name(number: u64) -> String {
    format!("{PREFIX}{number:016x}{SUFFIX}")
}

/// The numbers of the segments in `dir`, ascending.
pub(crate) fn list_segments(disk: &dyn Disk, dir: &Path) -> Result<Vec<u64>, DiskError> {
    let number = |name: &String| {
        let digits = name.strip_prefix(PREFIX)?.strip_suffix(SUFFIX)?;
        let number = u64::from_str_radix(digits, 16).ok()?;
        // Exactly one name for each number.
        (file_name(number) == *name).then_some(number)
    };
    let mut numbers: Vec<u64> = disk.list(dir)?.iter().filter_map(number).collect();
    numbers.sort_unstable();
    Ok(numbers)
}

/// A segment that holds no record of its present life.
#[derive(Debug)]
pub(crate) struct ReadySegment {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
}

/// What has been done to a log since it was opened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counters {
    /// Records appended.
    pub records: u64,
    /// Bytes of payload appended.
    pub payload_bytes: u64,
    /// Bytes written for records: headers, payloads and padding. Zeros written ahead are not in it.
    pub bytes: u64,
    /// Syncs of record data.
    pub syncs: u64,
    /// Segments filled with zeros.
    pub prepared: u64,
    /// Segments renamed to serve again.
    pub recycled: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) records: AtomicU64,
    pub(crate) payload_bytes: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) syncs: AtomicU64,
    prepared: AtomicU64,
    recycled: AtomicU64,
}

#[derive(Debug, Default)]
struct Shelf {
    /// Segments with records, oldest first, the active one last: number and first record.
    live: VecDeque<(u64, Lsn)>,
    ready: VecDeque<ReadySegment>,
}

/// The segments of an open log, shared between the writer and whoever prepares and recycles for it.
#[derive(Debug)]
pub struct Segments {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) dir: PathBuf,
    pub(crate) config: LogConfig,
    pub(crate) tally: Tally,
    poisoned: AtomicBool,
    /// The last record that is durable.
    synced: AtomicU64,
    /// Held by whoever makes or renames files, so that numbers are given in order. Taken before `shelf`.
    work: Mutex<()>,
    /// Held for moments only: the writer takes it when it begins a segment.
    shelf: Mutex<Shelf>,
}

impl Segments {
    pub(crate) fn new(
        disk: Arc<dyn Disk>,
        dir: &Path,
        config: LogConfig,
        live: VecDeque<(u64, Lsn)>,
        ready: VecDeque<ReadySegment>,
        synced: Lsn,
    ) -> Self {
        Self {
            disk,
            dir: dir.to_owned(),
            config,
            tally: Tally::default(),
            poisoned: AtomicBool::new(false),
            synced: AtomicU64::new(synced.get()),
            work: Mutex::new(()),
            shelf: Mutex::new(Shelf { live, ready }),
        }
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().expect("nothing panics while it holds the shelf")
    }

    fn work(&self) -> MutexGuard<'_, ()> {
        self.work.lock().expect("nothing panics while it prepares or recycles")
    }

    pub(crate) fn check(&self) -> Result<(), LogError> {
        if self.poisoned.load(Ordering::Acquire) {
            Err(LogError::Poisoned)
        } else {
            Ok(())
        }
    }

    /// Stops the log for good.
    pub(crate) fn poison(&self, error: DiskError) -> LogError {
        self.poisoned.store(true, Ordering::Release);
        LogError::Failed(error)
    }

    /// Tells other threads up to where the log is durable.
    pub(crate) fn note_synced(&self, lsn: Lsn) {
        self.synced.store(lsn.get(), Ordering::Release);
    }

    /// The last record that is durable, as [`Log::synced_lsn`](crate::Log::synced_lsn), for any thread.
    #[must_use]
    pub fn synced_lsn(&self) -> Lsn {
        Lsn::new(self.synced.load(Ordering::Acquire))
    }

    /// Makes sure that a segment is ready beyond the active one, so that the writer never waits for zeros. Call it
    /// from another thread after the log has begun a segment, and again after [`LogError::NoSpace`].
    ///
    /// # Errors
    /// [`LogError::NoSpace`] without harm to the log; [`LogError::Failed`] or [`LogError::Poisoned`] for good.
    pub fn prepare(&self) -> Result<(), LogError> {
        self.check()?;
        let _work = self.work();
        if !self.shelf().ready.is_empty() {
            return Ok(());
        }
        let number = self.next_number();
        let ready = match make_segment(&*self.disk, &self.dir, self.config.segment_bytes, number) {
            Ok(ready) => ready,
            Err(full) if full.is_no_space() => {
                // The part that was written would keep the room that others need.
                return match remove_unfinished(&*self.disk, &self.dir) {
                    Ok(()) => Err(LogError::NoSpace(full)),
                    Err(other) => Err(self.poison(other)),
                };
            }
            Err(other) => return Err(self.poison(other)),
        };
        self.tally.prepared.fetch_add(1, Ordering::Relaxed);
        self.shelf().ready.push_back(ready);
        Ok(())
    }

    /// Gives up the segments whose records all have numbers under `below`, which a durable checkpoint must cover.
    /// They are renamed to be ready again, or removed when enough are.
    ///
    /// # Errors
    /// [`LogError::Failed`] or [`LogError::Poisoned`], for good.
    pub fn recycle(&self, below: Lsn) -> Result<(), LogError> {
        while self.recycle_next(below)? {}
        Ok(())
    }

    /// As [`Segments::recycle`], but the oldest of them only: false when there is none. Each takes a sync of the folder, so
    /// that whoever has many to give up may leave time between them.
    ///
    /// # Errors
    /// As [`Segments::recycle`].
    pub fn recycle_next(&self, below: Lsn) -> Result<bool, LogError> {
        let _work = self.work();
        let Some(number) = self.oldest_under(below) else {
            return Ok(false);
        };
        self.check()?;
        self.recycle_one(number).map_err(|error| self.poison(error))?;
        Ok(true)
    }

    /// The oldest segment, when another one with records follows and begins at or under `below`.
    fn oldest_under(&self, below: Lsn) -> Option<u64> {
        let shelf = self.shelf();
        let (_, next_first) = shelf.live.get(1)?;
        (*next_first <= below).then(|| shelf.live[0].0)
    }

    fn recycle_one(&self, number: u64) -> Result<(), DiskError> {
        let from = self.dir.join(file_name(number));
        if self.shelf().ready.len() >= self.config.ready_max {
            self.disk.remove(&from)?;
            self.disk.sync_dir(&self.dir)?;
            self.shelf().live.pop_front();
            return Ok(());
        }
        let next = self.next_number();
        let to = self.dir.join(file_name(next));
        self.disk.rename(&from, &to)?;
        // One at a time: after a power loss the numbers still follow each other without a hole.
        self.disk.sync_dir(&self.dir)?;
        let file = self.disk.open(&to, OpenMode::Write)?;
        let bytes = file.len()?;
        self.tally.recycled.fetch_add(1, Ordering::Relaxed);
        let mut shelf = self.shelf();
        shelf.live.pop_front();
        shelf.ready.push_back(ReadySegment {
            number: next,
            file,
            bytes,
        });
        Ok(())
    }

    /// The number after the highest given; the caller holds `work`.
    fn next_number(&self) -> u64 {
        let shelf = self.shelf();
        let highest = shelf
            .ready
            .back()
            .map(|ready| ready.number)
            .or_else(|| shelf.live.back().map(|live| live.0));
        highest.unwrap_or(0) + 1
    }

    /// Takes the next segment for records from `first` on, preparing one when none is ready.
    pub(crate) fn begin(&self, first: Lsn) -> Result<ReadySegment, LogError> {
        loop {
            {
                let mut shelf = self.shelf();
                if let Some(ready) = shelf.ready.pop_front() {
                    shelf.live.push_back((ready.number, first));
                    return Ok(ready);
                }
            }
            self.prepare()?;
        }
    }

    /// The segments in order: number, file, and the first record in it; those behind the last that has one are ready for
    /// use.
    #[must_use]
    pub fn files(&self) -> Vec<(u64, PathBuf, Option<Lsn>)> {
        let shelf = self.shelf();
        let live = shelf.live.iter().map(|(number, first)| (*number, Some(*first)));
        let ready = shelf.ready.iter().map(|ready| (ready.number, None));
        live.chain(ready)
            .map(|(number, first)| (number, self.dir.join(file_name(number)), first))
            .collect()
    }

    /// How many segments are ready beyond the active one.
    #[must_use]
    pub fn ready(&self) -> usize {
        self.shelf().ready.len()
    }

    /// How many segments hold records, the active one included: times the segment's length, the log's size.
    #[must_use]
    pub fn live(&self) -> usize {
        self.shelf().live.len()
    }

    /// What has been done since the log was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        let tally = &self.tally;
        let get = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counters {
            records: get(&tally.records),
            payload_bytes: get(&tally.payload_bytes),
            bytes: get(&tally.bytes),
            syncs: get(&tally.syncs),
            prepared: get(&tally.prepared),
            recycled: get(&tally.recycled),
        }
    }
}

/// Writes zeros over `from..to`, durably, in pieces.
pub(crate) fn write_zeros(file: &dyn DiskFile, from: u64, to: u64) -> Result<(), DiskError> {
    let zeros = vec![0; usize::try_from((to - from).min(ZEROS_BYTES)).expect("a piece fits the memory")];
    let mut offset = from;
    while offset < to {
        let bytes = (to - offset).min(ZEROS_BYTES);
        file.write_at(
            offset,
            &zeros[..usize::try_from(bytes).expect("a piece fits the memory")],
        )?;
        file.sync_data()?;
        offset += bytes;
    }
    Ok(())
}

/// Makes segment `number`, full of zeros and durable, name and all.
pub(crate) fn make_segment(disk: &dyn Disk, dir: &Path, bytes: u64, number: u64) -> Result<ReadySegment, DiskError> {
    remove_unfinished(disk, dir)?;
    let unfinished = dir.join(UNFINISHED);
    let file = disk.open(&unfinished, OpenMode::CreateNew)?;
    // Reserving says at once when there is no room; the zeros then make the blocks plain, so that an overwrite changes
    // no metadata that a sync would have to carry.
    file.allocate(bytes)?;
    write_zeros(&*file, 0, bytes)?;
    disk.rename(&unfinished, &dir.join(file_name(number)))?;
    disk.sync_dir(dir)?;
    Ok(ReadySegment { number, file, bytes })
}

/// Removes what an interrupted preparation left.
pub(crate) fn remove_unfinished(disk: &dyn Disk, dir: &Path) -> Result<(), DiskError> {
    let unfinished = dir.join(UNFINISHED);
    if disk.exists(&unfinished)? {
        disk.remove(&unfinished)?;
    }
    Ok(())
}
