//! One record: its header, its checksum, its place in pages.

use bytemuck::{Pod, Zeroable};
use tidegate_disk::{Lsn, SECTOR_BYTES};

/// Records begin at multiples of this, in bytes: the page of the operating system's cache.
pub const PAGE_BYTES: usize = 4096;
/// The length of a record's header.
pub const HEADER_BYTES: usize = size_of::<Header>();

/// "TGL" and the version of this layout.
const MAGIC: u32 = u32::from_le_bytes(*b"TGL1");
/// The checksum covers everything behind its own field.
const CHECKED_FROM: usize = 8;

const _: () = assert!(HEADER_BYTES == 64, "the layout has no gaps");
const _: () = assert!(HEADER_BYTES <= SECTOR_BYTES, "a header is never torn");
const _: () = assert!(PAGE_BYTES.is_multiple_of(SECTOR_BYTES), "records share no sector");
const _: () = assert!(
    cfg!(target_endian = "little"),
    "the layout is the memory's on little-endian machines"
);

/// The drawing is in the crate's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Header {
    magic: u32,
    pub(crate) crc: u32,
    pub(crate) identity: u64,
    pub(crate) segment: u64,
    lsn: u64,
    synced: u64,
    length: u32,
    pub(crate) previous: u32,
    pub(crate) epoch: u32,
    zeros: [u8; 12],
}

/// What the writer knows of a record beside its payload.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Links {
    pub(crate) identity: u64,
    pub(crate) segment: u64,
    pub(crate) lsn: Lsn,
    pub(crate) synced: Lsn,
    pub(crate) previous: u32,
    pub(crate) epoch: u32,
}

impl Header {
    /// The header of a record of `length` bytes of payload that is the concatenation of `parts`.
    pub(crate) fn seal(links: Links, length: u32, parts: &[&[u8]]) -> Self {
        let mut header = Self {
            magic: MAGIC,
            crc: 0,
            identity: links.identity,
            segment: links.segment,
            lsn: links.lsn.get(),
            synced: links.synced.get(),
            length,
            previous: links.previous,
            epoch: links.epoch,
            zeros: [0; 12],
        };
        let start = crc32c::crc32c(&bytemuck::bytes_of(&header)[CHECKED_FROM..]);
        let payload = parts.iter().fold(start, |crc, part| crc32c::crc32c_append(crc, part));
        header.crc = crc32c::crc32c_append(payload, &PADDING[..padding(length)]);
        header
    }

    /// Reads the header at the start of `page`; `None` unless it is one of this log and this life of the segment.
    pub(crate) fn read(page: &[u8], identity: u64, segment: u64) -> Option<Self> {
        let header: Self = bytemuck::pod_read_unaligned(page.get(..HEADER_BYTES)?);
        (header.magic == MAGIC && header.identity == identity && header.segment == segment).then_some(header)
    }

    /// The log and the number that a record at the start of `page` claims, whatever the log; nothing of it is checked.
    pub(crate) fn claimed(page: &[u8], segment: u64) -> Option<(u64, Lsn)> {
        let header: Self = bytemuck::pod_read_unaligned(page.get(..HEADER_BYTES)?);
        (header.magic == MAGIC && header.segment == segment).then(|| (header.identity, header.lsn()))
    }

    /// Whether `record`, header, payload and padding, has the checksum that this header says.
    pub(crate) fn covers(&self, record: &[u8]) -> bool {
        crc32c::crc32c(&record[CHECKED_FROM..]) == self.crc
    }

    pub(crate) fn lsn(&self) -> Lsn {
        Lsn::new(self.lsn)
    }

    pub(crate) fn synced(&self) -> Lsn {
        Lsn::new(self.synced)
    }

    pub(crate) fn length(&self) -> usize {
        self.length as usize
    }

    /// Bytes of the record on disk, padding included.
    pub(crate) fn footprint(&self) -> u64 {
        footprint(self.length)
    }
}

/// Zeros to fill a page with.
pub(crate) static PADDING: [u8; PAGE_BYTES] = [0; PAGE_BYTES];

/// Bytes on disk of a record with `length` bytes of payload.
pub(crate) fn footprint(length: u32) -> u64 {
    (HEADER_BYTES as u64 + u64::from(length)).next_multiple_of(PAGE_BYTES as u64)
}

/// Bytes that a record with `payload` bytes of payload takes in the log: its header and whole pages.
#[must_use]
pub const fn record_bytes(payload: usize) -> u64 {
    (HEADER_BYTES + payload).next_multiple_of(PAGE_BYTES) as u64
}

/// Zeros behind a payload of `length` bytes.
pub(crate) fn padding(length: u32) -> usize {
    let used = (HEADER_BYTES + length as usize) % PAGE_BYTES;
    (PAGE_BYTES - used) % PAGE_BYTES
}
