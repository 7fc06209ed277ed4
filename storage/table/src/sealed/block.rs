//! One block: header, payload, checksum.

use bytemuck::{Pod, Zeroable};
use tidegate_disk::DiskFile;

use super::SealedFault;

pub(super) const HEAD_BYTES: usize = size_of::<Head>();
pub(super) const HEADER_BYTES: usize = size_of::<BlockHeader>();
/// The longest payload of one block; longer units take several.
pub(super) const PAYLOAD_BYTES_MAX: usize = 1 << 20;
pub(super) const HASH_BYTES: usize = 32;

const MAGIC: u64 = u64::from_le_bytes(*b"TGSEAL\r\n");
const VERSION: u32 = 1;
const HEAD_CHECKED_FROM: usize = 12;
const CHECKED_FROM: usize = 4;

const _: () = assert!(HEAD_BYTES == 64 && HEADER_BYTES == 32, "the layout has no gaps");

#[derive(Clone, Copy, Pod, Zeroable)]
#[repr(C)]
struct Head {
    magic: u64,
    crc: u32,
    version: u32,
    zeros: [u8; 48],
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
pub(super) struct BlockHeader {
    crc: u32,
    length: u32,
    number: u64,
    kind: u32,
    zeros: [u8; 12],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Part,
    Piece,
    Last,
    End,
}

impl Kind {
    const fn number(self) -> u32 {
        match self {
            Self::Part => 1,
            Self::Piece => 2,
            Self::Last => 3,
            Self::End => 4,
        }
    }

    const fn of(number: u32) -> Option<Self> {
        match number {
            1 => Some(Self::Part),
            2 => Some(Self::Piece),
            3 => Some(Self::Last),
            4 => Some(Self::End),
            _ => None,
        }
    }
}

/// The bytes at the start of every snapshot.
pub(super) fn head() -> [u8; HEAD_BYTES] {
    let mut head = Head {
        magic: MAGIC,
        crc: 0,
        version: VERSION,
        zeros: [0; 48],
    };
    head.crc = crc32c::crc32c(&bytemuck::bytes_of(&head)[HEAD_CHECKED_FROM..]);
    bytemuck::cast(head)
}

impl BlockHeader {
    /// The header of a block that holds `payload`, which is at most [`PAYLOAD_BYTES_MAX`] long.
    pub(super) fn seal(kind: Kind, number: u64, payload: &[u8]) -> Self {
        let mut header = Self {
            crc: 0,
            length: u32::try_from(payload.len()).expect("a payload is at most 1 MiB"),
            number,
            kind: kind.number(),
            zeros: [0; 12],
        };
        let start = crc32c::crc32c(&bytemuck::bytes_of(&header)[CHECKED_FROM..]);
        header.crc = crc32c::crc32c_append(start, payload);
        header
    }

    pub(super) fn bytes(&self) -> &[u8] {
        bytemuck::bytes_of(self)
    }
}

/// A block that was read: header and payload lie in the buffer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    pub(super) kind: Kind,
    pub(super) bytes: u64,
}

/// Why a block was not read.
#[derive(Debug)]
pub(super) enum Unread {
    Fault(SealedFault),
    Disk(tidegate_disk::DiskError),
}

/// Reads block `number`, which begins at `offset` of a file of `file_bytes`, into `buffer`.
pub(super) fn read(
    file: &dyn DiskFile,
    file_bytes: u64,
    offset: u64,
    number: u64,
    buffer: &mut Vec<u8>,
) -> Result<Found, Unread> {
    let fault = |fault| Err(Unread::Fault(fault));
    let rest = file_bytes.saturating_sub(offset);
    if rest < HEADER_BYTES as u64 {
        return fault(SealedFault::Cut);
    }
    buffer.resize(HEADER_BYTES, 0);
    file.read_at(offset, buffer).map_err(Unread::Disk)?;
    let header: BlockHeader = bytemuck::pod_read_unaligned(buffer);
    let length = header.length as usize;
    // Not believed before the checksum: nothing longer than a block may be is ever allocated for it.
    if length > PAYLOAD_BYTES_MAX {
        return fault(SealedFault::Checksum);
    }
    let bytes = (HEADER_BYTES + length) as u64;
    if rest < bytes {
        return fault(SealedFault::Cut);
    }
    buffer.resize(HEADER_BYTES + length, 0);
    file.read_at(offset + HEADER_BYTES as u64, &mut buffer[HEADER_BYTES..])
        .map_err(Unread::Disk)?;
    if crc32c::crc32c(&buffer[CHECKED_FROM..]) != header.crc {
        return fault(SealedFault::Checksum);
    }
    match Kind::of(header.kind) {
        Some(kind) if header.number == number => Ok(Found { kind, bytes }),
        _ => fault(SealedFault::Order),
    }
}
