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
