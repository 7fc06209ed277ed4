//! What lies in the files of a log, segment by segment: for an operator in trouble.

use std::path::{Path, PathBuf};

use tidegate_disk::{Disk, Lsn, OpenMode};

use crate::{
    LogError, Tail,
    record::PAGE_BYTES,
    scan::{Place, Scan},
    segments::{file_name, list_segments},
};

/// What one segment holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentInfo {
    /// Its number: each record in it carries it, so that bytes of an earlier life of the file never look fresh.
    pub number: u64,
    /// Its file.
    pub file: PathBuf,
    /// The length of the file.
    pub bytes: u64,
    /// Bytes from its start that records of its present life take.
    pub used_bytes: u64,
    /// Whole records in the chain.
    pub records: u64,
    /// Bytes of their payloads.
    pub payload_bytes: u64,
    /// The first of them.
    pub first: Option<Lsn>,
    /// The last of them.
    pub last: Option<Lsn>,
    /// How often the log had been opened when the first was written, and the last.
    pub epochs: Option<(u32, u32)>,
    /// Pages outside the chain that begin like a record of the segment's present life.
    pub leftovers: u64,
}

/// What lies in a folder's log.
#[derive(Debug)]
pub struct Survey {
    /// Its segments, in order. Those behind the one with the last record are ready for use.
    pub segments: Vec<SegmentInfo>,
    /// The newest whole record of the chain.
    pub newest: Option<Lsn>,
    /// How it ends, or what is wrong with it.
    pub tail: Result<Tail, LogError>,
}

/// Reads the whole log in `dir` and checks every record. `log` is its identity and the first record that is needed, the one
/// after those that the checkpoint covers; without, both are what the first whole record says.
///
/// Nothing is locked or changed. Damage is no error but in the result.
///
/// # Errors
/// [`LogError::NoLog`], [`LogError::Read`].
pub fn survey(disk: &dyn Disk, dir: &Path, log: Option<(u64, Lsn)>) -> Result<Survey, LogError> {
    let log = match log {
        Some(log) => Some(log),
        None => first_record(disk, dir)?,
    };
    let (identity, from) = log.unwrap_or((0, Lsn::FIRST));
    let mut scan = match Scan::open(disk, dir, identity, from, OpenMode::Read) {
        Ok(scan) => scan,
        Err(error @ LogError::MissingSegment { .. }) => {
            return Ok(Survey {
                segments: files(disk, dir)?,
                newest: None,
                tail: Err(error),
            });
        }
        Err(other) => return Err(other),
    };
    let mut segments: Vec<SegmentInfo> = scan.segments.iter().map(|s| vacant(dir, s.number, s.bytes)).collect();
    let mut newest = None;
    let tail = loop {
        match scan.advance() {
            Ok(Some((header, _))) => {
                newest = Some(header.lsn());
                let segment = &mut segments[scan.at];
                segment.records += 1;
                segment.payload_bytes += header.length() as u64;
                segment.used_bytes = scan.offset;
                segment.first.get_or_insert(header.lsn());
                segment.last = newest;
                let first_epoch = segment.epochs.map_or(header.epoch, |(first, _)| first);
                segment.epochs = Some((first_epoch, header.epoch));
            }
            Ok(None) => break scan.judge_end().map(|(tail, _)| tail),
            Err(error @ LogError::Read(_)) => return Err(error),
            Err(other) => break Err(other),
        }
    };
    for left in scan.leftovers()? {
        segments[left.at].leftovers += 1;
    }
    Ok(Survey { segments, newest, tail })
}

fn vacant(dir: &Path, number: u64, bytes: u64) -> SegmentInfo {
    let place = Place {
        segment: number,
        offset: 0,
    };
    SegmentInfo {
        number,
        file: place.file(dir),
        bytes,
        used_bytes: 0,
        records: 0,
        payload_bytes: 0,
        first: None,
        last: None,
        epochs: None,
        leftovers: 0,
    }
}

/// The segments as files, when they are no log together.
fn files(disk: &dyn Disk, dir: &Path) -> Result<Vec<SegmentInfo>, LogError> {
    let numbers = list_segments(disk, dir).map_err(LogError::Read)?;
    let info = |number: u64| {
        let file = disk.open(&dir.join(file_name(number)), OpenMode::Read);
        let bytes = file.and_then(|file| file.len()).map_err(LogError::Read)?;
        Ok(vacant(dir, number, bytes))
    };
    numbers.into_iter().map(info).collect()
}

/// The identity and the number in the first whole record that begins a segment.
fn first_record(disk: &dyn Disk, dir: &Path) -> Result<Option<(u64, Lsn)>, LogError> {
    for number in list_segments(disk, dir).map_err(LogError::Read)? {
        let file = disk.open(&dir.join(file_name(number)), OpenMode::Read);
        let file = file.map_err(LogError::Read)?;
        let mut page = vec![0; PAGE_BYTES];
        if file.read_at(0, &mut page).is_err() {
            continue;
        }
        if let Some(found) = crate::record::Header::claimed(&page, number) {
            return Ok(Some(found));
        }
    }
    Ok(None)
}
