//! Reading a workload: checked once front to back, then section by section as the run goes on.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_types::{Fixed, KeyBytes, LedgerId};

use super::{
    CRC_LEN, ChannelRow, Head, Layout, MAGIC, Part, RecordHead, SectionRow, WorkloadError, profile_crc, record_len,
};
use crate::profile::Profile;

/// Bytes read at once when the whole file is checked.
const CHECK_BYTES: usize = 1 << 20;

/// A workload whose checksums hold.
#[derive(Debug)]
pub struct Workload {
    /// What it was made for.
    pub head: Head,
    /// The channels that take part, in the order of the profile.
    pub channels: Vec<ChannelRow>,
    sections: Vec<SectionRow>,
    file: Arc<File>,
    layout: Layout,
    path: PathBuf,
}

impl Workload {
    /// Opens a workload and checks all of it.
    ///
    /// # Errors
    /// [`WorkloadError`].
    pub fn open(path: &Path) -> Result<Self, WorkloadError> {
        let io = |source| WorkloadError::io("read", path, source);
        let mut file = File::open(path).map_err(io)?;
        let found = file.metadata().map_err(io)?.len();
        let head = read_head(path, &mut file, found)?;
        let layout = Layout::new(head.channels, head.connections);
        let expected = layout.file_len(&head);
        if found != expected {
            return Err(WorkloadError::Length {
                path: path.to_owned(),
                found,
                expected,
            });
        }
        let channels = read_rows(path, &mut file, head.channels, "channels")?;
        let sections: Vec<SectionRow> = read_rows(path, &mut file, head.connections, "sections")?;
        check_records(path, &mut file, &head, &sections)?;
        Ok(Self {
            head,
            channels,
            sections,
            file: Arc::new(file),
            layout,
            path: path.to_owned(),
        })
    }

    /// Refuses a workload that was made for another profile or seed.
    ///
    /// # Errors
    /// [`WorkloadError::Other`].
    pub fn check_profile(&self, profile: &Profile, seed: Option<u64>) -> Result<(), WorkloadError> {
        let other = |what| {
            Err(WorkloadError::Other {
                path: self.path.clone(),
                what,
            })
        };
        let population = &profile.population;
        if self.head.profile != profile_crc(profile)
            || self.head.channels > population.channels
            || self.head.connections != population.connections
        {
            return other("profile");
        }
        if seed.is_some_and(|seed| seed != self.head.seed) {
            return other("seed");
        }
        Ok(())
    }

    /// Refuses a hub on another ledger, or one that signs with another key.
    ///
    /// # Errors
    /// [`WorkloadError::Other`].
    pub fn check_hub(&self, ledger: &LedgerId, hub: &KeyBytes) -> Result<(), WorkloadError> {
        let other = |what| {
            Err(WorkloadError::Other {
                path: self.path.clone(),
                what,
            })
        };
        if self.head.ledger != *ledger {
            return other("ledger");
        }
        if self.head.hub != *hub {
            return other("hub");
        }
        Ok(())
    }

    /// The states of each connection, to be read in order.
    #[must_use]
    pub fn sections(&self) -> Vec<Section> {
        let mut at = self.layout.records;
        let width = record_len(self.head.per_state);
        let buffered = (BUFFERS_BYTES / width / self.sections.len().max(1)).clamp(1, READ_RECORDS);
        let buffered = u32::try_from(buffered).expect("at most READ_RECORDS");
        let sections = self.sections.iter().map(|row| {
            let start = at;
            at += u64::from(row.states) * width as u64;
            Section {
                file: Arc::clone(&self.file),
                start,
                width,
                parts: self.head.per_state as usize,
                count: row.states,
                next: 0,
                buffered,
                buffer: Vec::new(),
                first: 0,
            }
        });
        sections.collect()
    }
}

fn read_head(path: &Path, file: &mut File, found: u64) -> Result<Head, WorkloadError> {
    let mut bytes = vec![0; Head::LEN + 4];
    if found < bytes.len() as u64 {
        let mut start = [0; MAGIC.len()];
        let known = file.read_exact(&mut start).is_ok() && start == MAGIC;
        let expected = bytes.len() as u64;
        return Err(if known {
            WorkloadError::Length {
                path: path.to_owned(),
                found,
                expected,
            }
        } else {
            WorkloadError::Magic(path.to_owned())
        });
    }
    file.read_exact(&mut bytes)
        .map_err(|source| WorkloadError::io("read", path, source))?;
    if !bytes.starts_with(&MAGIC) {
        return Err(WorkloadError::Magic(path.to_owned()));
    }
    let head = check_sum(path, &bytes, "head")?;
    Head::decode(head).map_err(|error| WorkloadError::Decode {
        path: path.to_owned(),
        error,
    })
}

/// `bytes` without the checksum behind them.
fn check_sum<'b>(path: &Path, bytes: &'b [u8], part: &'static str) -> Result<&'b [u8], WorkloadError> {
    let (summed, crc) = bytes.split_last_chunk::<CRC_LEN>().expect("read with its checksum");
    if crc32c::crc32c(summed).to_le_bytes() == *crc {
        Ok(summed)
    } else {
        Err(WorkloadError::Checksum {
            path: path.to_owned(),
            part,
        })
    }
}

fn read_rows<T: Fixed>(path: &Path, file: &mut File, count: u32, part: &'static str) -> Result<Vec<T>, WorkloadError> {
    let mut bytes = vec![0; count as usize * T::LEN + 4];
    file.read_exact(&mut bytes)
        .map_err(|source| WorkloadError::io("read", path, source))?;
    let rows = check_sum(path, &bytes, part)?.chunks_exact(T::LEN).map(T::decode);
    rows.collect::<Result<_, _>>().map_err(|error| WorkloadError::Decode {
        path: path.to_owned(),
        error,
    })
}

fn check_records(path: &Path, file: &mut File, head: &Head, sections: &[SectionRow]) -> Result<(), WorkloadError> {
    let bad = || WorkloadError::Checksum {
        path: path.to_owned(),
        part: "payments",
    };
    let total: u64 = sections.iter().map(|row| u64::from(row.states)).sum();
    if total != u64::from(head.states) {
        return Err(bad());
    }
    let width = record_len(head.per_state);
    let mut buffer = vec![0; CHECK_BYTES];
    for row in sections {
        let (mut left, mut crc) = (row.states as usize * width, 0);
        while left > 0 {
            let part = &mut buffer[..left.min(CHECK_BYTES)];
            file.read_exact(part)
                .map_err(|source| WorkloadError::io("read", path, source))?;
            crc = crc32c::crc32c_append(crc, part);
            left -= part.len();
        }
        if crc != row.crc {
            return Err(bad());
        }
    }
    Ok(())
}

/// Records of one section that are read at once, at most: 260 KB of single payments, so that a cold file is read in large pieces.
const READ_RECORDS: usize = 640;
/// Memory for the buffers of all sections.
const BUFFERS_BYTES: usize = 32 << 20;

/// The states of one connection, read in order.
#[derive(Clone, Debug)]
pub struct Section {
    file: Arc<File>,
    start: u64,
    width: usize,
    parts: usize,
    count: u32,
    next: u32,
    buffered: u32,
    buffer: Vec<u8>,
    /// The record that the buffer begins with.
    first: u32,
}

/// One signed state and what it pays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Record<'a> {
    /// Number, payer, length.
    pub head: RecordHead,
    parts: &'a [u8],
    /// The body of the `Pay`.
    pub body: &'a [u8],
}

impl Record<'_> {
    /// Its payments, in the order of their operations.
    ///
    /// # Panics
    /// If they do not decode, though their checksum held.
    pub fn parts(&self) -> impl Iterator<Item = Part> {
        let parts = self.parts.chunks_exact(Part::LEN);
        parts.map(|bytes| Part::decode(bytes).expect("its checksum held"))
    }
}

impl Section {
    /// How many states there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The place of the next state.
    #[must_use]
    pub const fn position(&self) -> u32 {
        self.next
    }

    /// The next state without taking it; `None` at the end.
    ///
    /// # Panics
    /// If the file cannot be read, though it could when the run began: a run that goes on without its payments measures
    /// nothing.
    pub fn peek(&mut self) -> Option<Record<'_>> {
        if self.next == self.count {
            return None;
        }
        let held = self.buffer.len() / self.width;
        if self.next as usize >= self.first as usize + held {
            let records = self.buffered.min(self.count - self.next) as usize;
            self.buffer.resize(records * self.width, 0);
            self.first = self.next;
            let at = self.start + u64::from(self.next) * self.width as u64;
            self.file
                .read_exact_at(&mut self.buffer, at)
                .expect("the workload stays readable");
        }
        let at = (self.next - self.first) as usize * self.width;
        Some(split(&self.buffer[at..at + self.width], self.parts))
    }

    /// Goes on behind the state that [`Section::peek`] showed.
    pub const fn advance(&mut self) {
        self.next += 1;
    }

    /// The bytes of any state of the section, read by themselves, for [`Section::split`].
    ///
    /// # Panics
    /// As [`Section::peek`], and when there is no such state.
    #[must_use]
    pub fn read(&self, position: u32) -> Vec<u8> {
        assert!(position < self.count, "state {position} of {}", self.count);
        let mut bytes = vec![0; self.width];
        let at = self.start + u64::from(position) * self.width as u64;
        self.file
            .read_exact_at(&mut bytes, at)
            .expect("the workload stays readable");
        bytes
    }

    /// The record in the bytes that [`Section::read`] gave.
    #[must_use]
    pub fn split<'b>(&self, bytes: &'b [u8]) -> Record<'b> {
        split(bytes, self.parts)
    }
}

fn split(record: &[u8], parts: usize) -> Record<'_> {
    let (head, rest) = record.split_at(RecordHead::LEN);
    let head = RecordHead::decode(head).expect("its checksum held");
    let (parts, body) = rest.split_at(parts * Part::LEN);
    Record {
        head,
        parts,
        body: &body[..head.body_len as usize],
    }
}
