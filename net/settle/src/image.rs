//! Images: the whole state at one block, so that a node opens without reading every block that ever was.
//!
//! ```text
//! DIR/image-<height, 8 hex>    head 224 | untouched, a bit for each output of the genesis, in words of 8
//!                              | outputs × (outpoint 36, unspent output) | CRC-32C of all before 4
//! head                         magic 8 "TGIMAG02" | ledger 32 | log record 8 | height 4 | final height 4 | hash 32 | time 8
//!                              | genesis 16 | unspent 16 | burned 16 | outputs 8 | open channels 8 | width of an output 4
//!                              | outputs of the genesis 4 | 0 × 56
//! ```
//!
//! What is untouched stands in the genesis ([`crate::TieredStore`]); the outputs are all others. An image of the first version,
//! "TGIMAG01", counts no outputs of the genesis, and lists every output: it is read like one whose bits are none.
//!
//! An image can only be opened once its own block is final, since it does not say what the blocks below it changed: until
//! then the one before it, or the genesis, stands. Two are kept.

use std::path::{Path, PathBuf};

use crate::bits::Bits;
use tidegate_disk::{Disk, DiskError, DiskFile, OpenMode};
use tidegate_ledger::{Supply, Tip, Utxo};
use tidegate_types::{Digest, Fixed, Height, LedgerId, OutPoint, UnixMillis, fixed_struct};

const PREFIX: &str = "image-";
const NEW: &str = "image.new";
const MAGIC: [u8; 8] = *b"TGIMAG02";
const MAGIC_1: [u8; 8] = *b"TGIMAG01";
const ENTRY_LEN: usize = OutPoint::LEN + Utxo::LEN;
/// Outputs that are read or written at once.
const PIECE: usize = 4096;

/// What an image says beside the outputs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    magic: [u8; 8],
    pub(crate) ledger: LedgerId,
    /// The log record of its block: replay goes on behind it.
    pub(crate) lsn: u64,
    height: Height,
    final_height: Height,
    hash: Digest,
    time: UnixMillis,
    genesis: [u8; 16],
    unspent: [u8; 16],
    burned: [u8; 16],
    outputs: u64,
    pub(crate) open_channels: u64,
    output_len: u32,
    genesis_outputs: u32,
}
fixed_struct!(Head {
    magic: [u8; 8],
    ledger: LedgerId,
    lsn: u64,
    height: Height,
    final_height: Height,
    hash: Digest,
    time: UnixMillis,
    genesis: [u8; 16],
    unspent: [u8; 16],
    burned: [u8; 16],
    outputs: u64,
    open_channels: u64,
    output_len: u32,
    genesis_outputs: u32,
    pad 56,
});

impl Head {
    pub(crate) fn new(
        ledger: LedgerId,
        lsn: u64,
        tip: Tip,
        supply: Supply,
        (untouched, outputs): (&Bits, u64),
        open_channels: u64,
    ) -> Self {
        Self {
            magic: MAGIC,
            ledger,
            lsn,
            height: tip.height,
            final_height: tip.final_height,
            hash: tip.hash,
            time: tip.time,
            genesis: supply.genesis.to_le_bytes(),
            unspent: supply.unspent.to_le_bytes(),
            burned: supply.burned.to_le_bytes(),
            outputs,
            open_channels,
            output_len: u32::try_from(Utxo::LEN).expect("an output is some hundred bytes"),
            genesis_outputs: untouched.bound(),
        }
    }

    pub(crate) const fn tip(&self) -> Tip {
        Tip {
            height: self.height,
            hash: self.hash,
            time: self.time,
            final_height: self.final_height,
        }
    }

    pub(crate) const fn supply(&self) -> Supply {
        Supply {
            genesis: u128::from_le_bytes(self.genesis),
            unspent: u128::from_le_bytes(self.unspent),
            burned: u128::from_le_bytes(self.burned),
        }
    }

    const fn is_sound(&self) -> bool {
        let known = matches!(self.magic, MAGIC) || matches!(self.magic, MAGIC_1) && self.genesis_outputs == 0;
        known && self.output_len as usize == Utxo::LEN && self.lsn > 0 && self.final_height.get() <= self.height.get()
    }
}

/// The image of a block in `dir`.
pub(crate) fn path(dir: &Path, height: Height) -> PathBuf {
    dir.join(format!("{PREFIX}{:08x}", height.get()))
}

/// The images in `dir`, the newest first.
pub(crate) fn list(disk: &dyn Disk, dir: &Path) -> Result<Vec<PathBuf>, DiskError> {
    let mut names = disk.list(dir)?;
    names.retain(|name| name.strip_prefix(PREFIX).is_some_and(|digits| digits.len() == 8));
    names.sort_unstable_by(|a, b| b.cmp(a));
    Ok(names.iter().map(|name| dir.join(name)).collect())
}

/// The head of an image; `None` if it is none.
pub(crate) fn head(disk: &dyn Disk, path: &Path) -> Result<Option<Head>, DiskError> {
    let file = disk.open(path, OpenMode::Read)?;
    if file.len()? < Head::LEN as u64 {
        return Ok(None);
    }
    let mut bytes = [0; Head::LEN];
    file.read_at(0, &mut bytes)?;
    Ok(Head::decode(&bytes).ok().filter(Head::is_sound))
}

/// Writes an image; it has its name once it is whole and durable.
pub(crate) fn write(
    disk: &dyn Disk,
    dir: &Path,
    head: &Head,
    untouched: &Bits,
    outputs: impl Iterator<Item = (OutPoint, Utxo)>,
) -> Result<(), DiskError> {
    let new = dir.join(NEW);
    if disk.exists(&new)? {
        disk.remove(&new)?;
    }
    let file = disk.open(&new, OpenMode::CreateNew)?;
    let mut sink = Sink {
        file: &*file,
        offset: 0,
        crc: 0,
        bytes: head.to_vec(),
    };
    for word in untouched.words() {
        word.append_to(&mut sink.bytes);
    }
    for (outpoint, utxo) in outputs {
        outpoint.append_to(&mut sink.bytes);
        utxo.append_to(&mut sink.bytes);
        if sink.bytes.len() >= PIECE * ENTRY_LEN {
            sink.flush()?;
        }
    }
    sink.flush()?;
    file.write_at(sink.offset, &sink.crc.to_le_bytes())?;
    file.sync_data()?;
    disk.rename(&new, &path(dir, head.height))?;
    disk.sync_dir(dir)
}

struct Sink<'a> {
    file: &'a dyn DiskFile,
    offset: u64,
    crc: u32,
    bytes: Vec<u8>,
}

impl Sink<'_> {
    fn flush(&mut self) -> Result<(), DiskError> {
        self.crc = crc32c::crc32c_append(self.crc, &self.bytes);
        self.file.write_at(self.offset, &self.bytes)?;
        self.offset += self.bytes.len() as u64;
        self.bytes.clear();
        Ok(())
    }
}

/// What an image says of outputs.
pub(crate) enum Item<'a> {
    /// Which outputs of the genesis are untouched. It comes first, and once.
    Untouched(Bits),
    /// Another unspent output.
    Other(OutPoint, &'a Utxo),
}

/// Reads an image of a ledger whose genesis has so many outputs; `take` is told everything. `None` if the image is damaged: then
/// what it told is worth nothing.
pub(crate) fn read(
    disk: &dyn Disk,
    path: &Path,
    genesis_outputs: u32,
    mut take: impl FnMut(Item<'_>),
) -> Result<Option<Head>, DiskError> {
    let Some(head) = head(disk, path)? else { return Ok(None) };
    let file = disk.open(path, OpenMode::Read)?;
    let mut pieces = Pieces {
        file: &*file,
        offset: Head::LEN as u64,
        crc: crc32c::crc32c(&head.to_vec()),
        bytes: Vec::new(),
    };
    let words = Bits::words_for(head.genesis_outputs) * u64::LEN;
    let entries = head.outputs.checked_mul(ENTRY_LEN as u64);
    let Some(end) = entries.and_then(|bytes| bytes.checked_add((Head::LEN + words) as u64)) else {
        return Ok(None);
    };
    let counted = [0, genesis_outputs].contains(&head.genesis_outputs);
    if !counted || file.len()? != end + 4 {
        return Ok(None);
    }
    let words = pieces
        .next(words)?
        .as_chunks()
        .0
        .iter()
        .map(|word| u64::from_le_bytes(*word));
    let Some(untouched) = Bits::of_words(head.genesis_outputs, words.collect()) else {
        return Ok(None);
    };
    take(Item::Untouched(untouched));
    while pieces.offset < end {
        let len = (end - pieces.offset).min((PIECE * ENTRY_LEN) as u64);
        for entry in pieces
            .next(usize::try_from(len).expect("a piece fits the memory"))?
            .chunks_exact(ENTRY_LEN)
        {
            let (outpoint, utxo) = entry.split_at(OutPoint::LEN);
            let (Ok(outpoint), Ok(utxo)) = (OutPoint::decode(outpoint), Utxo::decode(utxo)) else {
                return Ok(None);
            };
            take(Item::Other(outpoint, &utxo));
        }
    }
    let mut last = [0; 4];
    file.read_at(end, &mut last)?;
    Ok((u32::from_le_bytes(last) == pieces.crc).then_some(head))
}

struct Pieces<'a> {
    file: &'a dyn DiskFile,
    offset: u64,
    crc: u32,
    bytes: Vec<u8>,
}

impl Pieces<'_> {
    fn next(&mut self, len: usize) -> Result<&[u8], DiskError> {
        self.bytes.resize(len, 0);
        self.file.read_at(self.offset, &mut self.bytes)?;
        self.crc = crc32c::crc32c_append(self.crc, &self.bytes);
        self.offset += len as u64;
        Ok(&self.bytes)
    }
}
