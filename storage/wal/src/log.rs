//! The writer's end of the log.

use std::{
    path::Path,
    sync::{Arc, atomic::Ordering},
};

use tidegate_disk::{Disk, Lsn};

use crate::{
    Counters, LogConfig, LogError, Place, Replay, Segments,
    record::{Header, Links, PADDING, PAGE_BYTES, footprint, padding},
    segments::{ReadySegment, list_segments, make_segment},
};

/// An open log with its one writer.
#[derive(Debug)]
pub struct Log {
    pub(crate) segments: Arc<Segments>,
    pub(crate) active: ReadySegment,
    /// Where the next record begins in the active segment.
    pub(crate) offset: u64,
    pub(crate) next: Lsn,
    pub(crate) synced: Lsn,
    /// The checksum of the last record.
    pub(crate) previous: u32,
    pub(crate) epoch: u32,
}

pub(crate) fn check_config(config: &LogConfig) -> Result<(), LogError> {
    let bytes = config.segment_bytes;
    if bytes == 0 || !bytes.is_multiple_of(PAGE_BYTES as u64) {
        return Err(LogError::BadSegmentBytes { bytes });
    }
    Ok(())
}

impl Log {
    /// Makes a new log in the folder `dir`, which exists. Its first record will be `first`.
    ///
    /// # Errors
    /// [`LogError::Exists`] when there is one, [`LogError::BadSegmentBytes`], [`LogError::NoSpace`],
    /// [`LogError::Failed`]. What an interrupted call leaves is a log without records, or nothing.
    pub fn create(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig, first: Lsn) -> Result<Self, LogError> {
        check_config(&config)?;
        if !list_segments(&*disk, dir).map_err(LogError::Read)?.is_empty() {
            return Err(LogError::Exists { dir: dir.to_owned() });
        }
        let active = make_segment(&*disk, dir, config.segment_bytes, 1).map_err(LogError::of_repair)?;
        let synced = first.before();
        let segments = Segments::new(disk, dir, config, [(1, first)].into(), [].into(), synced);
        Ok(Self {
            segments: Arc::new(segments),
            active,
            offset: 0,
            next: first,
            synced,
            previous: 0,
            epoch: 1,
        })
    }

    /// Opens the log in `dir` for replay and then writing. `from` is the first record that is needed: the one after
    /// those that the newest checkpoint covers. The caller holds the folder's lock.
    ///
    /// # Errors
    /// [`LogError::NoLog`], [`LogError::MissingSegment`], [`LogError::BadSegmentBytes`], [`LogError::Read`].
    pub fn open(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig, from: Lsn) -> Result<Replay, LogError> {
        Replay::open(disk, dir, config, from)
    }

    /// Appends one record, the concatenation of `parts`, by one write. It is durable after [`Log::sync`].
    ///
    /// # Errors
    /// [`LogError::TooLarge`] and [`LogError::NoSpace`] change nothing; [`LogError::Failed`] and
    /// [`LogError::Poisoned`] are for good.
    pub fn append(&mut self, parts: &[&[u8]]) -> Result<Lsn, LogError> {
        self.segments.check()?;
        let length = self.check_length(parts)?;
        let footprint = footprint(length);
        if self.active.bytes.saturating_sub(self.offset) < footprint {
            self.begin_segment()?;
        }
        let lsn = self.next;
        let header = Header::seal(self.links(), length, parts);
        let mut all = Vec::with_capacity(parts.len() + 2);
        all.push(bytemuck::bytes_of(&header));
        all.extend_from_slice(parts);
        all.push(&PADDING[..padding(length)]);
        self.active
            .file
            .write_parts_at(self.offset, &all)
            .map_err(|error| self.segments.poison(error))?;
        self.offset += footprint;
        self.next = lsn.next();
        self.previous = header.crc;
        let tally = &self.segments.tally;
        tally.records.fetch_add(1, Ordering::Relaxed);
        tally.payload_bytes.fetch_add(u64::from(length), Ordering::Relaxed);
        tally.bytes.fetch_add(footprint, Ordering::Relaxed);
        Ok(lsn)
    }

    fn check_length(&self, parts: &[&[u8]]) -> Result<u32, LogError> {
        let bytes = parts.iter().map(|part| part.len() as u64).sum();
        let max = self.segments.config.payload_max();
        u32::try_from(bytes)
            .ok()
            .filter(|_| bytes <= max)
            .ok_or(LogError::TooLarge { bytes, max })
    }

    fn links(&self) -> Links {
        Links {
            identity: self.segments.config.identity,
            segment: self.active.number,
            lsn: self.next,
            synced: self.synced,
            previous: self.previous,
            epoch: self.epoch,
        }
    }

    fn begin_segment(&mut self) -> Result<(), LogError> {
        // The segment that is left has no later sync.
        self.sync()?;
        self.active = self.segments.begin(self.next)?;
        self.offset = 0;
        Ok(())
    }

    /// Makes all appended records durable, by one `fdatasync` (none when nothing is waiting), and returns the last.
    ///
    /// # Errors
    /// [`LogError::Failed`] and [`LogError::Poisoned`], for good: what is durable is then unknown until the next open.
    pub fn sync(&mut self) -> Result<Lsn, LogError> {
        self.segments.check()?;
        if self.synced < self.next.before() {
            self.active
                .file
                .sync_data()
                .map_err(|error| self.segments.poison(error))?;
            self.segments.tally.syncs.fetch_add(1, Ordering::Relaxed);
            self.synced = self.next.before();
            self.segments.note_synced(self.synced);
        }
        Ok(self.synced)
    }

    /// Appends one record and makes it durable, with all before it.
    ///
    /// # Errors
    /// As [`Log::append`] and [`Log::sync`].
    pub fn append_sync(&mut self, parts: &[&[u8]]) -> Result<Lsn, LogError> {
        self.append(parts)?;
        self.sync()
    }

    /// The number of the next record.
    #[must_use]
    pub fn next_lsn(&self) -> Lsn {
        self.next
    }

    /// The last record that is durable.
    #[must_use]
    pub fn synced_lsn(&self) -> Lsn {
        self.synced
    }

    /// Where the next record begins, unless it needs a new segment.
    #[must_use]
    pub fn place(&self) -> Place {
        Place {
            segment: self.active.number,
            offset: self.offset,
        }
    }

    /// The segments, to prepare and recycle them from another thread.
    #[must_use]
    pub fn segments(&self) -> Arc<Segments> {
        Arc::clone(&self.segments)
    }

    /// What has been done since the log was opened.
    #[must_use]
    pub fn counters(&self) -> Counters {
        self.segments.counters()
    }
}
