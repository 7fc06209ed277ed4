//! From the files that a stopped process left to a log that can be written again.

use std::{
    collections::{BTreeSet, VecDeque},
    path::Path,
    sync::Arc,
};

use tidegate_disk::{Disk, DiskError, Lsn, OpenMode};

use crate::{
    Log, LogConfig, LogError, PAGE_BYTES, Record, Segments, Tail,
    log::check_config,
    record::PADDING,
    scan::{Leftover, Place, Scan},
    segments::{ReadySegment, remove_unfinished, write_zeros},
};

/// A log that is being replayed. [`Replay::finish`] turns it into a [`Log`].
#[derive(Debug)]
pub struct Replay {
    disk: Arc<dyn Disk>,
    config: LogConfig,
    scan: Scan,
    from: Lsn,
    /// Records that no later record calls durable, oldest first.
    unproved: VecDeque<Unproved>,
}

#[derive(Debug)]
struct Unproved {
    lsn: Lsn,
    /// Index of the segment.
    at: usize,
    offset: u64,
    bytes: u64,
}

impl Replay {
    pub(crate) fn open(disk: Arc<dyn Disk>, dir: &Path, config: LogConfig, from: Lsn) -> Result<Self, LogError> {
        check_config(&config)?;
        let scan = Scan::open(&*disk, dir, config.identity, from, OpenMode::Write)?;
        Ok(Self {
            disk,
            config,
            scan,
            from,
            unproved: VecDeque::new(),
        })
    }

    /// The next record from `from` on, or `None` where the chain of whole records stops.
    ///
    /// # Errors
    /// [`LogError::Gap`] when the log begins after `from`, [`LogError::Read`].
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, LogError> {
        loop {
            let Some((header, place)) = self.scan.advance()? else {
                if self.scan.pass_covered()? {
                    continue;
                }
                return Ok(None);
            };
            while self
                .unproved
                .front()
                .is_some_and(|record| record.lsn <= header.synced())
            {
                self.unproved.pop_front();
            }
            let (at, bytes) = (self.scan.at, header.footprint());
            self.unproved.push_back(Unproved {
                lsn: header.lsn(),
                at,
                offset: place.offset,
                bytes,
            });
            if header.lsn() >= self.from {
                return Ok(Some(Record {
                    lsn: header.lsn(),
                    place,
                    payload: self.scan.payload(&header),
                }));
            }
        }
    }

    /// Where the next record is looked for: how far the replay has come.
    #[must_use]
    pub fn place(&self) -> Place {
        self.scan.place()
    }

    /// Ends the replay (records not yet taken are passed over), erases a torn tail and makes what was replayed durable,
    /// so that the caller may answer for it.
    ///
    /// # Errors
    /// [`LogError::Damaged`] when a durable record is not whole, and then nothing is changed; [`LogError::Gap`],
    /// [`LogError::Read`]; [`LogError::NoSpace`] and [`LogError::Failed`] while repairing.
    pub fn finish(mut self) -> Result<(Log, Tail), LogError> {
        while self.next_record()?.is_some() {}
        let (tail, leftovers) = self.scan.judge_end()?;
        self.repair(&leftovers).map_err(LogError::of_repair)?;
        Ok((self.into_log(), tail))
    }

    fn repair(&mut self, leftovers: &[Leftover]) -> Result<(), DiskError> {
        let mut touched = BTreeSet::new();
        for left in leftovers {
            self.scan.segments[left.at].file.write_at(left.offset, &PADDING)?;
            touched.insert(left.at);
        }
        // A record that was read may be in the cache only, even after a sync that failed and was forgotten with its
        // process. Writing the same bytes again makes the sync below answer for them.
        for Unproved { at, offset, bytes, .. } in &self.unproved {
            let file = &self.scan.segments[*at].file;
            let mut record = vec![0; usize::try_from(*bytes).expect("it has been read before")];
            file.read_at(*offset, &mut record)?;
            file.write_at(*offset, &record)?;
            touched.insert(*at);
        }
        for at in touched {
            self.scan.segments[at].file.sync_data()?;
        }
        remove_unfinished(&*self.disk, &self.scan.dir)?;
        // A smaller segment of an earlier configuration must not be too short for a record.
        for segment in &mut self.scan.segments[self.scan.at + 1..] {
            if segment.bytes < self.config.segment_bytes {
                let from = segment.bytes / PAGE_BYTES as u64 * PAGE_BYTES as u64;
                write_zeros(&*segment.file, from, self.config.segment_bytes)?;
                segment.bytes = self.config.segment_bytes;
            }
        }
        // Names that the stopped process had not yet made durable are used from now on.
        self.disk.sync_dir(&self.scan.dir)
    }

    fn into_log(self) -> Log {
        let next = self.scan.expected();
        let Self { disk, config, scan, .. } = self;
        let mut numbered = scan.segments.into_iter();
        let mut live: VecDeque<_> = numbered.by_ref().take(scan.at).collect();
        let active = numbered.next().expect("the scan stands in a segment");
        live.push_back(active.clone());
        let live = live
            .into_iter()
            .map(|segment| (segment.number, segment.first.unwrap_or(next)))
            .collect();
        let ready = numbered
            .map(|s| ReadySegment {
                number: s.number,
                file: s.file,
                bytes: s.bytes,
            })
            .collect();
        let segments = Arc::new(Segments::new(disk, &scan.dir, config, live, ready, next.before()));
        Log {
            segments,
            active: ReadySegment {
                number: active.number,
                file: active.file,
                bytes: active.bytes,
            },
            offset: scan.offset,
            next,
            synced: next.before(),
            previous: scan.last.map_or(0, |last| last.crc),
            epoch: scan.last.map_or(1, |last| last.epoch.saturating_add(1)),
        }
    }
}
