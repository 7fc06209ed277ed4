//! Reading a workload: checked once front to back, then section by section as the run goes on.

use std::fs::File;
use std::io::Read as _;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tidegate_types::{Fixed, KeyBytes, LedgerId};

use super::{CRC_LEN, ChannelRow, Head, Layout, MAGIC, RECORD_LEN, RecordHead, SectionRow, WorkloadError, profile_crc};
use crate::profile::Profile;

/// Bytes read at once when the whole file is checked.
const CHECK_BYTES: usize = 1 << 20;

/// A workload whose checksums hold.
#[derive(Debug)]
pub struct Workload {
    /// What it was made for.
    pub head: Head,
    /// Its channels, in the order of the profile.
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
        let expected = layout.file_len(head.payments);
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
            || self.head.channels != population.channels
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

    /// The payments of each connection, to be read in order.
    #[must_use]
    pub fn sections(&self) -> Vec<Section> {
        let mut at = self.layout.records;
        let sections = self.sections.iter().map(|row| {
            let start = at;
            at += u64::from(row.payments) * RECORD_LEN as u64;
            Section {
                file: Arc::clone(&self.file),
                start,
                count: row.payments,
                next: 0,
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
    let total: u64 = sections.iter().map(|row| u64::from(row.payments)).sum();
    if total != u64::from(head.payments) {
        return Err(bad());
    }
    let mut buffer = vec![0; CHECK_BYTES];
    for row in sections {
        let (mut left, mut crc) = (row.payments as usize * RECORD_LEN, 0);
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

/// Records read at once: 26 KB.
const READ_RECORDS: u32 = 64;

/// The payments of one connection, read in order.
#[derive(Debug)]
pub struct Section {
    file: Arc<File>,
    start: u64,
    count: u32,
    next: u32,
    buffer: Vec<u8>,
    /// The record that the buffer begins with.
    first: u32,
}

impl Section {
    /// How many payments there are.
    #[must_use]
    pub const fn count(&self) -> u32 {
        self.count
    }

    /// The place of the next payment.
    #[must_use]
    pub const fn position(&self) -> u32 {
        self.next
    }

    /// The next payment without taking it; `None` at the end.
    ///
    /// # Panics
    /// If the file cannot be read, though it could when the run began: a run that goes on without its payments measures
    /// nothing.
    pub fn peek(&mut self) -> Option<(RecordHead, &[u8])> {
        if self.next == self.count {
            return None;
        }
        let buffered = u32::try_from(self.buffer.len() / RECORD_LEN).expect("at most 64");
        if self.next >= self.first + buffered {
            let records = READ_RECORDS.min(self.count - self.next);
            self.buffer.resize(records as usize * RECORD_LEN, 0);
            self.first = self.next;
            let at = self.start + u64::from(self.next) * RECORD_LEN as u64;
            self.file
                .read_exact_at(&mut self.buffer, at)
                .expect("the workload stays readable");
        }
        let at = (self.next - self.first) as usize * RECORD_LEN;
        Some(split(&self.buffer[at..at + RECORD_LEN]))
    }

    /// Goes on behind the payment that [`Section::peek`] showed.
    pub const fn advance(&mut self) {
        self.next += 1;
    }

    /// Any payment of the section, read by itself.
    ///
    /// # Panics
    /// As [`Section::peek`], and when there is no such payment.
    #[must_use]
    pub fn record(&self, position: u32) -> (RecordHead, Vec<u8>) {
        assert!(position < self.count, "payment {position} of {}", self.count);
        let mut bytes = vec![0; RECORD_LEN];
        let at = self.start + u64::from(position) * RECORD_LEN as u64;
        self.file
            .read_exact_at(&mut bytes, at)
            .expect("the workload stays readable");
        let (head, body) = split(&bytes);
        (head, body.to_vec())
    }
}

fn split(record: &[u8]) -> (RecordHead, &[u8]) {
    let (head, body) = record.split_at(RecordHead::LEN);
    let head = RecordHead::decode(head).expect("its checksum held");
    (head, &body[..head.body_len as usize])
}
