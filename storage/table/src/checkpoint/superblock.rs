//! The root of a checkpoint: which image, at which log number, with which sums.
//!
//! ```text
//! head, 64 B:  0 magic u64   8 crc32c u32 of all that follows   12 version u32   16 sequence u64   24 lsn u64
//!             32 regions u32   36 meta length u32   40 zeros
//! entry, 64 B: 0 name, zeros behind   24 slot bytes u64   32 slots u64   40 crc32c u32 of the sums   44 zeros
//! meta
//! ```

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use bytemuck::{Pod, Zeroable};
use tidegate_disk::{Disk, DiskError, DiskFile, Lsn, OpenMode};

use super::{CheckpointError, META_BYTES_MAX, Problem};

const FILE: &str = "superblock";
const UNFINISHED: &str = "superblock-unfinished.tmp";
const MAGIC: u64 = u64::from_le_bytes(*b"TGCKPT\r\n");
const VERSION: u32 = 1;
const SLOT_BYTES: usize = 128 << 10;
/// Where the second slot begins.
pub(super) const SECOND_AT: u64 = SLOT_BYTES as u64;
const REGIONS_MAX: usize = 64;
const CHECKED_FROM: usize = 12;
const NAME_BYTES: usize = 24;

const _: () = assert!(
    size_of::<Head>() == 64 && size_of::<RawEntry>() == 64,
    "the layout has no gaps"
);
const _: () = assert!(
    size_of::<Head>() + REGIONS_MAX * size_of::<RawEntry>() + META_BYTES_MAX <= SLOT_BYTES,
    "the longest superblock fits its slot"
);

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Head {
    magic: u64,
    crc: u32,
    version: u32,
    sequence: u64,
    lsn: u64,
    regions: u32,
    meta_bytes: u32,
    zeros: [u8; 24],
}

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct RawEntry {
    name: [u8; NAME_BYTES],
    slot_bytes: u64,
    slots: u64,
    sums_crc: u32,
    zeros: [u8; 20],
}

/// One region in the directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) slot_bytes: usize,
    pub(super) slots: usize,
    pub(super) sums_crc: u32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Superblock {
    pub(super) sequence: u64,
    pub(super) lsn: Lsn,
    pub(super) directory: Vec<Entry>,
    pub(super) meta: Vec<u8>,
}

/// What lies in one of the two slots.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Slot {
    /// Never written.
    Empty,
    /// Written, but not whole.
    Broken,
    Whole(Superblock),
}

pub(super) fn file(dir: &Path) -> PathBuf {
    dir.join(FILE)
}

/// The slot, and the image, of a checkpoint.
pub(super) fn slot_of(sequence: u64) -> usize {
    usize::from(!sequence.is_multiple_of(2))
}

/// Makes the file with two empty slots, durable.
pub(super) fn create(disk: &dyn Disk, dir: &Path) -> Result<Arc<dyn DiskFile>, DiskError> {
    let unfinished = dir.join(UNFINISHED);
    if disk.exists(&unfinished)? {
        disk.remove(&unfinished)?;
    }
    let new = disk.open(&unfinished, OpenMode::CreateNew)?;
    let slot = vec![0; SLOT_BYTES];
    new.write_parts_at(0, &[&slot, &slot])?;
    new.sync_data()?;
    disk.rename(&unfinished, &file(dir))?;
    disk.sync_dir(dir)?;
    Ok(new)
}

pub(super) fn open(disk: &dyn Disk, dir: &Path, mode: OpenMode) -> Result<Arc<dyn DiskFile>, CheckpointError> {
    disk.open(&file(dir), mode).map_err(|error| match error {
        DiskError::NotFound { .. } => CheckpointError::NoStore { dir: dir.to_owned() },
        other => CheckpointError::Read(other),
    })
}

/// Reads both slots. A file that ends early has broken slots.
pub(super) fn read_slots(file: &dyn DiskFile) -> Result<[Slot; 2], DiskError> {
    let read = |offset| {
        let mut bytes = vec![0; SLOT_BYTES];
        match file.read_at(offset, &mut bytes) {
            Ok(()) => Ok(parse(&bytes)),
            Err(DiskError::UnexpectedEnd { .. }) => Ok(Slot::Broken),
            Err(other) => Err(other),
        }
    };
    let slots = [read(0)?, read(SECOND_AT)?];
    // A superblock of the other slot's sequence was not written here.
    Ok([0, 1].map(|at: usize| match &slots[at] {
        Slot::Whole(block) if slot_of(block.sequence) != at => Slot::Broken,
        slot => slot.clone(),
    }))
}

/// The newest whole superblock; `None` when no checkpoint was ever finished.
pub(super) fn newest<'a>(slots: &'a [Slot; 2], dir: &Path) -> Result<Option<&'a Superblock>, CheckpointError> {
    let whole = slots.iter().filter_map(|slot| match slot {
        Slot::Whole(block) => Some(block),
        Slot::Empty | Slot::Broken => None,
    });
    let newest = whole.max_by_key(|block| block.sequence);
    // The first checkpoint goes to slot 1, and slot 0 is written only after it: alone it may be torn.
    if newest.is_none() && slots[0] != Slot::Empty {
        let problem = Problem::Superblock {
            file: file(dir),
            second: SECOND_AT,
        };
        return Err(CheckpointError::Damaged(problem));
    }
    Ok(newest)
}

/// Writes a superblock into its slot and makes it durable.
pub(super) fn write(file: &dyn DiskFile, block: &Superblock) -> Result<(), DiskError> {
    let offset = if slot_of(block.sequence) == 0 { 0 } else { SECOND_AT };
    file.write_at(offset, &encode(block))?;
    file.sync_data()
}

fn encode(block: &Superblock) -> Vec<u8> {
    assert!(
        block.directory.len() <= REGIONS_MAX && block.meta.len() <= META_BYTES_MAX,
        "checked by the caller"
    );
    let mut head = Head {
        magic: MAGIC,
        crc: 0,
        version: VERSION,
        sequence: block.sequence,
        lsn: block.lsn.get(),
        regions: u32::try_from(block.directory.len()).expect("at most 64"),
        meta_bytes: u32::try_from(block.meta.len()).expect("at most 64 KiB"),
        zeros: [0; 24],
    };
    let mut rest = Vec::new();
    for entry in &block.directory {
        let mut name = [0; NAME_BYTES];
        name[..entry.name.len()].copy_from_slice(entry.name.as_bytes());
        let (slot_bytes, slots) = (entry.slot_bytes as u64, entry.slots as u64);
        let raw = RawEntry {
            name,
            slot_bytes,
            slots,
            sums_crc: entry.sums_crc,
            zeros: [0; 20],
        };
        rest.extend_from_slice(bytemuck::bytes_of(&raw));
    }
    rest.extend_from_slice(&block.meta);
    head.crc = crc32c::crc32c_append(crc32c::crc32c(&bytemuck::bytes_of(&head)[CHECKED_FROM..]), &rest);
    [bytemuck::bytes_of(&head), &rest].concat()
}

fn parse(slot: &[u8]) -> Slot {
    if slot[..size_of::<Head>()].iter().all(|byte| *byte == 0) {
        return Slot::Empty;
    }
    parse_whole(slot).map_or(Slot::Broken, Slot::Whole)
}

fn parse_whole(slot: &[u8]) -> Option<Superblock> {
    let (head, rest) = slot.split_at_checked(size_of::<Head>())?;
    let crc = crc32c::crc32c(&head[CHECKED_FROM..]);
    let head: Head = bytemuck::pod_read_unaligned(head);
    let regions = usize::try_from(head.regions).ok().filter(|n| *n <= REGIONS_MAX)?;
    let meta_bytes = usize::try_from(head.meta_bytes).ok().filter(|n| *n <= META_BYTES_MAX)?;
    let (directory, rest) = rest.split_at_checked(regions * size_of::<RawEntry>())?;
    let meta = rest.get(..meta_bytes)?;
    let sum = crc32c::crc32c_append(crc32c::crc32c_append(crc, directory), meta);
    if head.magic != MAGIC || head.version != VERSION || head.crc != sum {
        return None;
    }
    let entries = directory.chunks_exact(size_of::<RawEntry>());
    let directory = entries
        .map(|raw| parse_entry(&bytemuck::pod_read_unaligned(raw)))
        .collect::<Option<_>>()?;
    Some(Superblock {
        sequence: head.sequence,
        lsn: Lsn::new(head.lsn),
        directory,
        meta: meta.to_vec(),
    })
}

fn parse_entry(raw: &RawEntry) -> Option<Entry> {
    let length = raw.name.iter().position(|byte| *byte == 0).unwrap_or(NAME_BYTES);
    let name = std::str::from_utf8(&raw.name[..length]).ok()?.to_owned();
    let (slot_bytes, slots) = (usize::try_from(raw.slot_bytes).ok()?, usize::try_from(raw.slots).ok()?);
    slot_bytes.checked_mul(slots)?;
    Some(Entry {
        name,
        slot_bytes,
        slots,
        sums_crc: raw.sums_crc,
    })
}
