//! A log, segment by segment.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tidegate_disk::Disk;
use tidegate_table::SlotInfo;
use tidegate_wal::{LogError, Lsn, SegmentInfo, Segments, survey};

use crate::check::Finding;
use crate::state::{Meta, newest_checkpoint, wal_dir};

/// What a log holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogRows {
    /// Its segments, in order.
    pub segments: Vec<SegmentRow>,
    /// The newest whole record; of a running hub, the newest durable one.
    pub newest_lsn: Option<u64>,
    /// The last record that the newest checkpoint covers; a start replays those behind it.
    pub checkpoint_lsn: Option<u64>,
    /// How it ends, if it was read to the end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub end: Option<LogEnd>,
    /// True if every record was read and its checksum held.
    pub checked: bool,
    /// What is wrong.
    pub problems: Vec<Finding>,
}

/// One segment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SegmentRow {
    /// Its file.
    pub file: String,
    /// The number that each record in it carries.
    pub number: Option<u64>,
    /// The length of the file.
    pub bytes: Option<u64>,
    /// Bytes that records take.
    pub used_bytes: Option<u64>,
    /// How many records there are.
    pub records: Option<u64>,
    /// Bytes of their payloads.
    pub payload_bytes: Option<u64>,
    /// The first of them.
    pub first_lsn: Option<u64>,
    /// The last of them.
    pub last_lsn: Option<u64>,
    /// How often the log had been opened when the first was written.
    pub first_epoch: Option<u32>,
    /// The same of the last.
    pub last_epoch: Option<u32>,
    /// Pages behind the last that begin like a record, and are none of the chain.
    pub leftovers: Option<u64>,
    /// `full`, `active`, or `ready`.
    pub state: String,
}

/// How a log ends.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogEnd {
    /// The file that the next record will be written to, unless it does not fit there.
    pub file: String,
    /// Where, in bytes.
    pub offset: u64,
    /// True if a record lies there in part.
    pub torn: bool,
}

impl LogRows {
    /// Of the hub's log in the data directory `data`, which nobody uses.
    ///
    /// # Errors
    /// [`LogError`] if there is no log, or its files cannot be read.
    pub fn of_hub(disk: &dyn Disk, data: &Path) -> Result<Self, LogError> {
        // Without a checkpoint the log speaks for itself.
        let newest = newest_checkpoint(disk, data);
        let log = newest
            .as_ref()
            .map(|(found, meta): &(_, Meta)| (meta.log_identity, found.lsn.next()));
        let mut rows = Self::of_dir(disk, &wal_dir(data), log)?;
        rows.checkpoint_lsn = newest.map(|(found, _)| found.lsn.get());
        Ok(rows)
    }

    /// Of any log in the folder `dir`, which nobody uses.
    ///
    /// # Errors
    /// As [`LogRows::of_hub`].
    pub fn of_dir(disk: &dyn Disk, dir: &Path, log: Option<(u64, Lsn)>) -> Result<Self, LogError> {
        let found = survey(disk, dir, log)?;
        let last = found.segments.iter().rposition(|segment| segment.records > 0);
        let segments = found.segments.iter().enumerate();
        let mut rows = Self {
            segments: segments
                .map(|(at, segment)| SegmentRow::of(segment, at, last))
                .collect(),
            newest_lsn: found.newest.map(Lsn::get),
            checkpoint_lsn: None,
            end: None,
            checked: true,
            problems: Vec::new(),
        };
        match found.tail {
            Ok(tail) => {
                rows.end = Some(LogEnd {
                    file: tail.place.file(dir).display().to_string(),
                    offset: tail.place.offset,
                    torn: tail.torn,
                });
            }
            Err(error) => rows.problems.push(Finding::of_log(&error)),
        }
        Ok(rows)
    }

    /// Of a log that is being written, without reading it.
    #[must_use]
    pub fn of_running(segments: &Segments, checkpoints: &[SlotInfo]) -> Self {
        let (files, newest) = (segments.files(), segments.synced_lsn());
        let firsts: Vec<Option<Lsn>> = files.iter().map(|(_, _, first)| *first).collect();
        let last = firsts.iter().rposition(Option::is_some);
        let row = |(at, (number, file, first)): (usize, &(u64, PathBuf, Option<Lsn>))| {
            let next = firsts.get(at + 1).copied().flatten();
            // The newest record that is durable may still be in the segment before.
            let end = next.map_or(newest, Lsn::before);
            let last_lsn = first.filter(|first| *first <= end).map(|_| end.get());
            SegmentRow {
                file: file.display().to_string(),
                number: Some(*number),
                bytes: std::fs::metadata(file).ok().map(|meta| meta.len()),
                used_bytes: None,
                records: first.map(|first| (end.get() + 1).saturating_sub(first.get())),
                payload_bytes: None,
                first_lsn: first.filter(|first| *first <= end).map(Lsn::get),
                last_lsn,
                first_epoch: None,
                last_epoch: None,
                leftovers: None,
                state: state_of(at, last, first.is_some()).to_owned(),
            }
        };
        let covered = checkpoints
            .iter()
            .filter_map(SlotInfo::whole)
            .map(|found| found.lsn.get());
        Self {
            segments: files.iter().enumerate().map(row).collect(),
            newest_lsn: Some(newest.get()),
            checkpoint_lsn: covered.max(),
            end: None,
            checked: false,
            problems: Vec::new(),
        }
    }
}

const fn state_of(at: usize, last: Option<usize>, has_records: bool) -> &'static str {
    match last {
        Some(last) if at == last => "active",
        // The first segment of a log without records is the one that will be written.
        None if at == 0 => "active",
        _ if has_records => "full",
        _ => "ready",
    }
}

impl SegmentRow {
    fn of(segment: &SegmentInfo, at: usize, last: Option<usize>) -> Self {
        Self {
            file: segment.file.display().to_string(),
            number: Some(segment.number),
            bytes: Some(segment.bytes),
            used_bytes: Some(segment.used_bytes),
            records: Some(segment.records),
            payload_bytes: Some(segment.payload_bytes),
            first_lsn: segment.first.map(Lsn::get),
            last_lsn: segment.last.map(Lsn::get),
            first_epoch: segment.epochs.map(|(first, _)| first),
            last_epoch: segment.epochs.map(|(_, last)| last),
            leftovers: Some(segment.leftovers),
            state: state_of(at, last, segment.records > 0).to_owned(),
        }
    }
}
