//! Reading a snapshot with every sum checked.

use std::{path::Path, path::PathBuf, sync::Arc};

use tidegate_disk::{Disk, DiskFile, OpenMode};

use super::{
    SealedError, SealedFault,
    block::{self, HEAD_BYTES, HEADER_BYTES, Kind, Unread},
};

/// What comes next in a snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedItem<'a> {
    /// A part of this name begins; the units up to the next are its.
    Part(&'a str),
    /// One unit, as it was given.
    Unit(&'a [u8]),
    /// The end: every sum held, and so did the hash of the whole.
    End,
}

/// Reads a snapshot from its start to its end.
#[derive(Debug)]
pub struct SealedReader {
    path: PathBuf,
    file: Arc<dyn DiskFile>,
    bytes: u64,
    pub(super) offset: u64,
    pub(super) number: u64,
    pub(super) hasher: blake3::Hasher,
    in_part: bool,
    block: Vec<u8>,
    unit: Vec<u8>,
    hash: Option<[u8; 32]>,
}

enum Step {
    Part,
    Unit,
    End,
}

impl SealedReader {
    /// Opens a snapshot and checks its head.
    ///
    /// # Errors
    /// [`SealedError::Disk`], [`SealedError::Damaged`] at offset 0 of a file that is none.
    pub fn open(disk: &dyn Disk, path: &Path) -> Result<Self, SealedError> {
        let file = disk.open(path, OpenMode::Read)?;
        let bytes = file.len()?;
        let mut head = [0; HEAD_BYTES];
        if bytes >= HEAD_BYTES as u64 {
            file.read_at(0, &mut head)?;
        }
        if head != block::head() {
            return Err(SealedError::Damaged {
                path: path.to_owned(),
                offset: 0,
                fault: SealedFault::Head,
            });
        }
        let mut hasher = blake3::Hasher::new();
        hasher.update(&head);
        Ok(Self {
            path: path.to_owned(),
            file,
            bytes,
            offset: HEAD_BYTES as u64,
            number: 0,
            hasher,
            in_part: false,
            block: Vec::new(),
            unit: Vec::new(),
            hash: None,
        })
    }

    /// What comes next. After [`SealedItem::End`], that again.
    ///
    /// # Errors
    /// [`SealedError::Damaged`] with the offset of the first block that is not whole, [`SealedError::Disk`].
    pub fn next_item(&mut self) -> Result<SealedItem<'_>, SealedError> {
        match self.step()? {
            Step::Part => {
                let name = std::str::from_utf8(&self.block[HEADER_BYTES..]);
                Ok(SealedItem::Part(name.expect("checked when it was read")))
            }
            Step::Unit => Ok(SealedItem::Unit(&self.unit)),
            Step::End => Ok(SealedItem::End),
        }
    }

    fn step(&mut self) -> Result<Step, SealedError> {
        if self.hash.is_some() {
            return Ok(Step::End);
        }
        self.unit.clear();
        let start = (self.offset, self.number);
        loop {
            let kind = self.read_block()?;
            let payload = &self.block[HEADER_BYTES..];
            let in_unit = self.number - start.1 > 1;
            match kind {
                Kind::Part if !in_unit && std::str::from_utf8(payload).is_ok() => {
                    self.in_part = true;
                    return Ok(Step::Part);
                }
                Kind::Piece | Kind::Last if self.in_part => {
                    self.unit.extend_from_slice(payload);
                    if kind == Kind::Last {
                        return Ok(Step::Unit);
                    }
                }
                Kind::End if !in_unit => {
                    self.finish()?;
                    return Ok(Step::End);
                }
                _ => return Err(self.damaged(start.0, SealedFault::Order)),
            }
        }
    }

    /// Reads the next block into the buffer.
    fn read_block(&mut self) -> Result<Kind, SealedError> {
        let found = block::read(&*self.file, self.bytes, self.offset, self.number, &mut self.block);
        let found = found.map_err(|unread| match unread {
            Unread::Fault(fault) => self.damaged(self.offset, fault),
            Unread::Disk(error) => error.into(),
        })?;
        // The end holds the hash of what is before it.
        if found.kind != Kind::End {
            self.hasher.update(&self.block);
        }
        self.offset += found.bytes;
        self.number += 1;
        Ok(found.kind)
    }

    fn finish(&mut self) -> Result<(), SealedError> {
        if self.block[HEADER_BYTES..] != *self.hasher.finalize().as_bytes() {
            return Err(self.damaged(self.offset - self.block.len() as u64, SealedFault::Hash));
        }
        if self.offset != self.bytes {
            return Err(self.damaged(self.offset, SealedFault::Trailing));
        }
        self.hasher.update(&self.block);
        self.hash = Some(*self.hasher.finalize().as_bytes());
        Ok(())
    }

    fn damaged(&self, offset: u64, fault: SealedFault) -> SealedError {
        SealedError::Damaged {
            path: self.path.clone(),
            offset,
            fault,
        }
    }

    /// BLAKE3 of the file, as `b3sum` prints it, once its end was reached.
    #[must_use]
    pub const fn hash(&self) -> Option<[u8; 32]> {
        self.hash
    }

    /// How many bytes have been read, and how many there are.
    #[must_use]
    pub const fn progress(&self) -> (u64, u64) {
        (self.offset, self.bytes)
    }
}
