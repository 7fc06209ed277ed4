//! Reading a log without holding, repairing or changing it.

use std::path::Path;

use tidegate_disk::{Disk, Lsn, OpenMode};

use crate::{
    LogError, Record, Tail,
    scan::{Place, Scan},
};

/// A log that is only read: for checks, exports and looking inside. Neither locks nor repairs.
#[derive(Debug)]
pub struct LogReader {
    scan: Scan,
}

impl LogReader {
    /// Opens the log `identity` in `dir` at its oldest record. `from` is the first record that is needed, the one
    /// after those that the checkpoint covers; older ones that are still there are read too.
    ///
    /// # Errors
    /// [`LogError::NoLog`], [`LogError::MissingSegment`], [`LogError::Read`].
    pub fn open(disk: &dyn Disk, dir: &Path, identity: u64, from: Lsn) -> Result<Self, LogError> {
        Ok(Self {
            scan: Scan::open(disk, dir, identity, from, OpenMode::Read)?,
        })
    }

    /// As [`LogReader::open`], but begins with the segment that holds record `from`: of a long log the rest is not read,
    /// and segments that another process recycles meanwhile are not missed.
    ///
    /// # Errors
    /// As there.
    pub fn open_near(disk: &dyn Disk, dir: &Path, identity: u64, from: Lsn) -> Result<Self, LogError> {
        let mut scan = Scan::open(disk, dir, identity, from, OpenMode::Read)?;
        scan.skip_below(from)?;
        Ok(Self { scan })
    }

    /// The newest whole record of the log `identity` in `dir`, which may be written meanwhile; `None` in an empty log.
    ///
    /// # Errors
    /// [`LogError::NoLog`], [`LogError::MissingSegment`], [`LogError::Read`].
    pub fn newest(disk: &dyn Disk, dir: &Path, identity: u64) -> Result<Option<Lsn>, LogError> {
        let beyond = Lsn::new(u64::MAX);
        let mut reader = Self::open_near(disk, dir, identity, beyond)?;
        let mut newest = None;
        while let Some(record) = reader.next_record()? {
            newest = Some(record.lsn);
        }
        Ok(newest)
    }

    /// Makes durable what was read, as the writer does: the segments from the one it was opened at up to the present one.
    ///
    /// # Errors
    /// [`LogError::Read`].
    pub fn sync(&self) -> Result<(), LogError> {
        self.scan.sync()
    }

    /// The next record, or `None` where the chain of whole records stops; [`LogReader::tail`] judges why.
    ///
    /// # Errors
    /// [`LogError::Gap`] when the log begins too late, [`LogError::Read`].
    pub fn next_record(&mut self) -> Result<Option<Record<'_>>, LogError> {
        let Some((header, place)) = self.scan.advance()? else {
            return Ok(None);
        };
        Ok(Some(Record {
            lsn: header.lsn(),
            place,
            payload: self.scan.payload(&header),
        }))
    }

    /// Reads on to the end and judges it.
    ///
    /// # Errors
    /// As [`LogReader::next_record`], and [`LogError::Damaged`].
    pub fn tail(mut self) -> Result<Tail, LogError> {
        while self.scan.advance()?.is_some() {}
        Ok(self.scan.judge_end()?.0)
    }

    /// The place where the next record is looked for.
    #[must_use]
    pub fn place(&self) -> Place {
        self.scan.place()
    }
}
