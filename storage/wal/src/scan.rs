//! Reading a log in order, and judging the place where it stops.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use tidegate_disk::{Disk, DiskError, DiskFile, Lsn, OpenMode};

use crate::{
    LogError,
    record::{HEADER_BYTES, Header, PAGE_BYTES},
    segments::{file_name, list_segments},
};

/// How much is read at a time when looking for later records.
const LOOK_BYTES: usize = 1 << 20;

/// Where a record begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The number of the segment.
    pub segment: u64,
    /// Bytes from the start of its file.
    pub offset: u64,
}

impl Place {
    /// The file of the segment, in the log's folder `dir`.
    #[must_use]
    pub fn file(&self, dir: &Path) -> PathBuf {
        dir.join(file_name(self.segment))
    }
}

/// One whole record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Its number.
    pub lsn: Lsn,
    /// Where it begins.
    pub place: Place,
    /// What was appended.
    pub payload: &'a [u8],
}

/// How the log ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tail {
    /// The number of the next record.
    pub next: Lsn,
    /// The place behind the last whole record.
    pub place: Place,
    /// Whether a record that nobody was promised lies there in part.
    pub torn: bool,
    /// The first place where a record that the checkpoint covers cannot be read. Nothing is missing, but the medium fails.
    pub covered_damage: Option<Place>,
}

/// A segment that is open for reading (or more, in recovery).
#[derive(Clone, Debug)]
pub(crate) struct OpenSegment {
    pub(crate) number: u64,
    pub(crate) file: Arc<dyn DiskFile>,
    pub(crate) bytes: u64,
    /// The first record in it, once it is known.
    pub(crate) first: Option<Lsn>,
}

/// A page that begins like a record of this log and this life of its segment, but is not in the chain.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Leftover {
    /// Index of the segment.
    pub(crate) at: usize,
    pub(crate) offset: u64,
    /// The number in its header, which need not be whole.
    claims: Lsn,
}

/// The last record that was read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Last {
    pub(crate) lsn: Lsn,
    pub(crate) synced: Lsn,
    pub(crate) crc: u32,
    pub(crate) epoch: u32,
}

/// The segments of a log and a place in them.
#[derive(Debug)]
pub(crate) struct Scan {
    pub(crate) dir: PathBuf,
    pub(crate) identity: u64,
    pub(crate) segments: Vec<OpenSegment>,
    /// Index of the segment that was read first.
    start: usize,
    /// Index of the segment that is read.
    pub(crate) at: usize,
    pub(crate) offset: u64,
    pub(crate) last: Option<Last>,
    from: Lsn,
    /// See [`Tail::covered_damage`].
    covered_damage: Option<Place>,
    buffer: Vec<u8>,
}

impl Scan {
    /// Opens all segments of `dir`.
    pub(crate) fn open(
        disk: &dyn Disk,
        dir: &Path,
        identity: u64,
        from: Lsn,
        mode: OpenMode,
    ) -> Result<Self, LogError> {
        let numbers = list_segments(disk, dir).map_err(LogError::Read)?;
        if numbers.is_empty() {
            return Err(LogError::NoLog { dir: dir.to_owned() });
        }
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0].checked_add(1) != Some(pair[1])) {
            return Err(LogError::MissingSegment {
                file: dir.join(file_name(pair[0].wrapping_add(1))),
            });
        }
        let open = |number: u64| -> Result<OpenSegment, DiskError> {
            let file = disk.open(&dir.join(file_name(number)), mode)?;
            let bytes = file.len()?;
            Ok(OpenSegment {
                number,
                file,
                bytes,
                first: None,
            })
        };
        let segments = numbers
            .into_iter()
            .map(open)
            .collect::<Result<_, _>>()
            .map_err(LogError::Read)?;
        Ok(Self {
            dir: dir.to_owned(),
            identity,
            segments,
            start: 0,
            at: 0,
            offset: 0,
            last: None,
            from,
            covered_damage: None,
            buffer: Vec::new(),
        })
    }

    /// The number that the next record must have.
    pub(crate) fn expected(&self) -> Lsn {
        self.last.map_or(self.from, |last| last.lsn.next())
    }

    /// The place where the next record is looked for.
    pub(crate) fn place(&self) -> Place {
        Place {
            segment: self.segments[self.at].number,
            offset: self.offset,
        }
    }

    /// Before the first record is read: moves on to the last segment whose first record is `from` or before it.
    pub(crate) fn skip_below(&mut self, from: Lsn) -> Result<(), LogError> {
        for at in (0..self.segments.len()).rev() {
            if self.probe(at, 0)?.is_some_and(|header| header.lsn() <= from) {
                (self.at, self.start) = (at, at);
                return Ok(());
            }
        }
        Ok(())
    }

    /// Makes durable what was read.
    pub(crate) fn sync(&self) -> Result<(), LogError> {
        let read = &self.segments[self.start..=self.at];
        read.iter()
            .try_for_each(|segment| segment.file.sync_data())
            .map_err(LogError::Read)
    }

    /// Moves over the next record of the chain and returns its header and place; its bytes are in the buffer.
    pub(crate) fn advance(&mut self) -> Result<Option<(Header, Place)>, LogError> {
        let here = self
            .probe(self.at, self.offset)?
            .filter(|header| self.continues(header));
        let found = match here {
            Some(header) => Some((self.at, self.offset, header)),
            // A record that does not fit in the rest of a segment begins the next one.
            None if self.offset > 0 && self.at + 1 < self.segments.len() => {
                let next = self.probe(self.at + 1, 0)?.filter(|header| self.continues(header));
                next.map(|header| (self.at + 1, 0, header))
            }
            None => None,
        };
        let Some((at, offset, header)) = found else {
            return Ok(None);
        };
        if self.last.is_none() && header.lsn() > self.from {
            return Err(LogError::Gap {
                wanted: self.from,
                found: header.lsn(),
            });
        }
        self.segments[at].first.get_or_insert(header.lsn());
        (self.at, self.offset) = (at, offset + header.footprint());
        self.last = Some(Last {
            lsn: header.lsn(),
            synced: header.synced(),
            crc: header.crc,
            epoch: header.epoch,
        });
        Ok(Some((
            header,
            Place {
                segment: self.segments[at].number,
                offset,
            },
        )))
    }

    /// When the chain has stopped at a record that the checkpoint covers: goes on at the next whole one, if none that is
    /// needed lies before it. False where there is none, and then the end is to be judged.
    ///
    /// A page that is whole by its checksum and of this life of its segment is a record of this log: a repair erases all
    /// others.
    pub(crate) fn pass_covered(&mut self) -> Result<bool, LogError> {
        let below = self.last.map_or(Lsn::ZERO, |last| last.lsn);
        if self.last.is_some() && self.expected() >= self.from {
            return Ok(false);
        }
        let leftovers = self.leftovers()?;
        let damaged = match self.last {
            Some(last) => self.place_of(last.lsn.next(), &leftovers),
            None => self.place(),
        };
        let began = self.at;
        for left in leftovers {
            let whole = self.probe(left.at, left.offset)?;
            let Some(header) = whole.filter(|header| header.lsn() > below && header.lsn() <= self.from) else {
                continue;
            };
            // Where a segment begins that was passed over is not known; so late at the latest.
            for segment in &mut self.segments[began..=left.at] {
                segment.first.get_or_insert(header.lsn());
            }
            self.covered_damage.get_or_insert(damaged);
            (self.at, self.offset, self.last) = (left.at, left.offset, None);
            return Ok(true);
        }
        Ok(false)
    }

    /// The payload of the record that [`Scan::advance`] has just moved over.
    pub(crate) fn payload(&self, header: &Header) -> &[u8] {
        &self.buffer[HEADER_BYTES..HEADER_BYTES + header.length()]
    }

    /// Whether a whole record is the next one after the last. The first record of a log may have any number.
    fn continues(&self, header: &Header) -> bool {
        header.synced() < header.lsn()
            && self.last.is_none_or(|last| {
                header.lsn() == last.lsn.next()
                    && header.previous == last.crc
                    && header.epoch >= last.epoch
                    && header.synced() >= last.synced
            })
    }

    /// Reads the record that begins at `offset` of segment `at` into the buffer; `None` when none is whole there.
    fn probe(&mut self, at: usize, offset: u64) -> Result<Option<Header>, LogError> {
        let segment = &self.segments[at];
        let rest = segment.bytes.saturating_sub(offset);
        if rest < PAGE_BYTES as u64 {
            return Ok(None);
        }
        self.buffer.resize(PAGE_BYTES, 0);
        segment.file.read_at(offset, &mut self.buffer).map_err(LogError::Read)?;
        let Some(header) = Header::read(&self.buffer, self.identity, segment.number) else {
            return Ok(None);
        };
        let footprint = header.footprint();
        if footprint > rest {
            return Ok(None);
        }
        self.buffer
            .resize(usize::try_from(footprint).expect("a length of 32 bits fits"), 0);
        let behind = offset + PAGE_BYTES as u64;
        segment
            .file
            .read_at(behind, &mut self.buffer[PAGE_BYTES..])
            .map_err(LogError::Read)?;
        Ok(header.covers(&self.buffer).then_some(header))
    }

    /// Judges the place where the chain stops: a torn tail is returned with its leftovers, damage refused.
    pub(crate) fn judge_end(&mut self) -> Result<(Tail, Vec<Leftover>), LogError> {
        let (expected, place) = (self.expected(), self.place());
        let leftovers = self.leftovers()?;
        if expected < self.from {
            // A checkpoint is taken of durable records only, so the log had them.
            return Err(self.damaged(expected, self.from.before(), &leftovers));
        }
        for left in &leftovers {
            let Some(later) = self.probe(left.at, left.offset)? else {
                continue;
            };
            // It says that the bad record was durable, or it stands where only a later record may.
            if later.synced() >= expected || later.lsn() <= expected {
                return Err(self.damaged(expected, later.lsn(), &leftovers));
            }
        }
        Ok((
            Tail {
                next: expected,
                place,
                torn: !leftovers.is_empty(),
                covered_damage: self.covered_damage,
            },
            leftovers,
        ))
    }

    /// Names record `lsn`, which cannot be read: where its header still stands, else directly behind the record before.
    fn damaged(&self, lsn: Lsn, witness: Lsn, leftovers: &[Leftover]) -> LogError {
        let place = self.place_of(lsn, leftovers);
        LogError::Damaged {
            file: place.file(&self.dir),
            offset: place.offset,
            lsn,
            witness,
        }
    }

    fn place_of(&self, lsn: Lsn, leftovers: &[Leftover]) -> Place {
        let header = leftovers.iter().find(|left| left.claims == lsn);
        let (at, offset) = header.map_or_else(|| self.behind(leftovers), |left| (left.at, left.offset));
        Place {
            segment: self.segments[at].number,
            offset,
        }
    }

    /// Where a record without a header must have been: here, or, when records go on in the next segment behind its first
    /// place, there.
    fn behind(&self, leftovers: &[Leftover]) -> (usize, u64) {
        let next = self.at + 1;
        let here = leftovers.iter().any(|left| left.at == self.at);
        let there = leftovers.iter().any(|left| left.at == next);
        let first_is_free = !leftovers.iter().any(|left| (left.at, left.offset) == (next, 0));
        let is_full = self.segments[self.at].bytes.saturating_sub(self.offset) < PAGE_BYTES as u64;
        if there && (is_full || (first_is_free && !here)) {
            (next, 0)
        } else {
            (self.at, self.offset)
        }
    }

    /// Every page behind the end of the chain that begins like a record.
    pub(crate) fn leftovers(&self) -> Result<Vec<Leftover>, LogError> {
        let mut found = Vec::new();
        let mut chunk = vec![0; LOOK_BYTES];
        for (at, segment) in self.segments.iter().enumerate().skip(self.at) {
            let mut offset = if at == self.at { self.offset } else { 0 };
            while offset < segment.bytes {
                let bytes = usize::try_from(segment.bytes - offset).map_or(LOOK_BYTES, |rest| rest.min(LOOK_BYTES));
                segment
                    .file
                    .read_at(offset, &mut chunk[..bytes])
                    .map_err(LogError::Read)?;
                for (page, bytes) in (0_u64..).zip(chunk[..bytes].chunks(PAGE_BYTES)) {
                    if let Some(header) = Header::read(bytes, self.identity, segment.number) {
                        let offset = offset + page * PAGE_BYTES as u64;
                        found.push(Leftover {
                            at,
                            offset,
                            claims: header.lsn(),
                        });
                    }
                }
                offset += bytes as u64;
            }
        }
        Ok(found)
    }
}
