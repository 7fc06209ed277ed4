//! What a loss of power may leave behind the end of a log, written there by hand.
//!
//! ```text
//! segment   │ record │ record │ record │ record │ zeros, or an earlier life's │      │ the next segments │
//!                      newest that anybody ▲    └──────────── here sectors of 512 B are changed ────────┘
//!                      was promised
//! ```
//!
//! The kernel loses less than a disk may: after a real loss of power any of the sectors that no sync had covered may hold its old
//! content, its new one or nonsense. What no disk does by losing its power is to write a sector elsewhere: a whole record of this
//! life at another place is damage, and refused. Where that begins is found here without the log's own reader, from the layout that
//! `storage/README.md` describes: behind the newest record that a client holds a receipt of, that another record calls durable, or
//! that a checkpoint covers.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use rand::{Rng as _, RngExt as _};
use rand_chacha::ChaCha8Rng;
use tidegate_channel::BatchHeader;
use tidegate_types::{Fixed as _, Reader};

const PAGE: usize = 4_096;
const SECTOR: usize = 512;
const HEADER: usize = 64;
const MAGIC: [u8; 4] = *b"TGL1";
/// Most changes fall so near behind the end, where a torn write would be.
const NEAR: usize = 16 * PAGE;

/// The part of a log that nobody was promised.
#[derive(Debug)]
pub struct Tail {
    /// Every segment, in order.
    segments: Vec<PathBuf>,
    /// The one in which the promised part ends.
    at: usize,
    /// Where it ends, in bytes.
    from: usize,
}

/// What a record says in its header.
#[derive(Clone, Copy, Debug)]
struct Seen {
    at: usize,
    end: usize,
    lsn: u64,
    synced: u64,
    batch: u64,
}

/// How the tail is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Change {
    Flip,
    Zero,
    Garbage,
    /// What an earlier life of the file has left there: the bytes of another segment.
    Stale,
    /// They came in another order than they were written: any of them are there, and the others hold what was there before.
    Reorder,
    /// The file ends earlier.
    Truncate,
}
const CHANGES: [Change; 6] = [
    Change::Flip,
    Change::Zero,
    Change::Garbage,
    Change::Stale,
    Change::Reorder,
    Change::Truncate,
];

impl Tail {
    /// The tail of the log in `wal`, where somebody was promised everything up to the batch `promised`, and a checkpoint covers
    /// all up to the record `covered`. `None` if no record of that is left, so that the end cannot be told.
    ///
    /// # Errors
    /// What reading the files says.
    pub fn find(wal: &Path, promised: u64, covered: u64) -> io::Result<Option<Self>> {
        let names = std::fs::read_dir(wal)?.map(|entry| Ok(entry?.path()));
        let mut segments: Vec<PathBuf> = names.collect::<io::Result<_>>()?;
        segments.retain(|path| number(path).is_some());
        segments.sort();
        let mut seen = Vec::new();
        for (at, path) in segments.iter().enumerate() {
            let number = number(path).expect("kept for that");
            records(&std::fs::read(path)?, at, number, &mut seen);
        }
        let answered = seen
            .iter()
            .filter(|record| record.batch <= promised)
            .map(|record| record.lsn);
        let proved = seen.iter().map(|record| record.synced);
        let newest = answered.chain(proved).chain([covered]).max().unwrap_or(0);
        let last = seen.iter().find(|record| record.lsn == newest).copied();
        Ok(last.map(|Seen { at, end, .. }| Self {
            segments,
            at,
            from: end,
        }))
    }

    /// Changes one to four places of it. What was done, for whoever has to repeat it.
    ///
    /// # Errors
    /// What reading or writing the files says.
    pub fn change(&self, random: &mut ChaCha8Rng) -> io::Result<Vec<String>> {
        (0..random.random_range(1..=4))
            .map(|_| self.change_one(random))
            .collect()
    }

    fn change_one(&self, random: &mut ChaCha8Rng) -> io::Result<String> {
        let next = self.at + 1 < self.segments.len() && random.random_ratio(1, 5);
        let (path, from) = if next {
            (&self.segments[random.random_range(self.at + 1..self.segments.len())], 0)
        } else {
            (&self.segments[self.at], self.from)
        };
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        let end = usize::try_from(file.metadata()?.len()).expect("a small file");
        let mut change = CHANGES[random.random_range(0..CHANGES.len())];
        if from + 2 * SECTOR > end {
            return Ok("no room".to_owned());
        }
        // Whole files seldom end early, and a log whose segments are all gone is another test.
        if change == Change::Truncate && random.random() {
            change = Change::Zero;
        }
        let near = from..if random.random_ratio(3, 4) {
            end.min(from + NEAR)
        } else {
            end
        };
        let sectors = sectors(random, &near);
        self.apply(change, &file, &sectors, random)?;
        file.sync_all()?;
        Ok(format!("{change:?} {sectors:?} of {}", path.display()))
    }

    fn apply(&self, change: Change, file: &File, sectors: &Range<usize>, random: &mut ChaCha8Rng) -> io::Result<()> {
        let mut bytes = vec![0; sectors.len()];
        match change {
            Change::Zero => {}
            Change::Garbage => random.fill_bytes(&mut bytes),
            Change::Flip => {
                file.read_exact_at(&mut bytes, sectors.start as u64)?;
                let bit = random.random_range(0..8 * bytes.len());
                bytes[bit / 8] ^= 1 << (bit % 8);
            }
            Change::Stale => self.earlier(&mut bytes, sectors.start, random)?,
            Change::Reorder => {
                let mut before = bytes.clone();
                self.earlier(&mut before, sectors.start, random)?;
                file.read_exact_at(&mut bytes, sectors.start as u64)?;
                let pairs = bytes.chunks_mut(SECTOR).zip(before.chunks(SECTOR));
                pairs
                    .filter(|_| random.random())
                    .for_each(|(new, old)| new.copy_from_slice(old));
            }
            Change::Truncate => return file.set_len(sectors.start as u64),
        }
        file.write_all_at(&bytes, sectors.start as u64)
    }
}

impl Tail {
    /// What the place `at` may have held before: zeros, or what another segment has there.
    fn earlier(&self, bytes: &mut [u8], at: usize, random: &mut ChaCha8Rng) -> io::Result<()> {
        bytes.fill(0);
        let other = random.random_range(0..self.segments.len());
        if other != self.at {
            let content = std::fs::read(&self.segments[other])?;
            if let Some(content) = content.get(at..at + bytes.len()) {
                bytes.copy_from_slice(content);
            }
        }
        Ok(())
    }
}

/// One to sixteen whole sectors within `near`, which begins at a sector and holds two.
fn sectors(random: &mut ChaCha8Rng, near: &Range<usize>) -> Range<usize> {
    let count = near.len() / SECTOR;
    let first = random.random_range(0..count);
    let many = random.random_range(1..=16).min(count - first);
    near.start + first * SECTOR..near.start + (first + many) * SECTOR
}

/// The number in a segment's name.
fn number(path: &Path) -> Option<u64> {
    let name = path.file_name()?.to_str()?;
    u64::from_str_radix(name.strip_prefix("log-")?.strip_suffix(".seg")?, 16).ok()
}

/// The records that begin at pages of a segment and carry its number.
fn records(bytes: &[u8], at: usize, number: u64, seen: &mut Vec<Seen>) {
    let word = |page: &[u8], from: usize| u64::from_le_bytes(page[from..from + 8].try_into().expect("eight bytes"));
    let mut offset = 0;
    while let Some(page) = bytes.get(offset..offset + PAGE) {
        if page[..4] != MAGIC || word(page, 16) != number {
            offset += PAGE;
            continue;
        }
        let length = u32::from_le_bytes(page[40..44].try_into().expect("four bytes")) as usize;
        let end = offset + (HEADER + length).next_multiple_of(PAGE);
        let header = BatchHeader::read(&mut Reader::new(&page[HEADER..]));
        seen.push(Seen {
            at,
            end: end.min(bytes.len()),
            lsn: word(page, 24),
            synced: word(page, 32),
            batch: header.map_or(u64::MAX, |header| header.number.get()),
        });
        offset = end;
    }
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;

    use super::*;
    use crate::mount::folder;

    fn record(segment: u64, lsn: u64, synced: u64) -> Vec<u8> {
        let mut page = vec![0; PAGE];
        page[..4].copy_from_slice(&MAGIC);
        page[16..24].copy_from_slice(&segment.to_le_bytes());
        page[24..32].copy_from_slice(&lsn.to_le_bytes());
        page[32..40].copy_from_slice(&synced.to_le_bytes());
        page[40..44].copy_from_slice(&200_u32.to_le_bytes());
        // The number of the batch stands behind the hub's key.
        page[HEADER + 32..HEADER + 40].copy_from_slice(&(lsn + 100).to_le_bytes());
        page
    }

    fn log(folder: &Path) -> Vec<PathBuf> {
        let one = [record(1, 1, 0), record(1, 2, 1), record(1, 3, 1), vec![0; 4 * PAGE]].concat();
        let paths = [1, 2].map(|number| folder.join(format!("log-{number:016x}.seg")));
        std::fs::write(&paths[0], one).expect("written");
        std::fs::write(&paths[1], vec![0; 4 * PAGE]).expect("written");
        paths.into()
    }

    #[test]
    fn the_tail_begins_behind_all_that_was_promised() {
        let folder = folder().expect("a folder");
        log(folder.path());
        let from = |promised, covered| {
            let tail = Tail::find(folder.path(), promised, covered).expect("read");
            tail.map(|tail| (tail.at, tail.from / PAGE))
        };
        assert_eq!(
            from(0, 0),
            Some((0, 1)),
            "another record says that the first is durable"
        );
        assert_eq!(from(102, 0), Some((0, 2)), "a client holds a receipt of the second");
        assert_eq!(from(102, 3), Some((0, 3)), "a checkpoint covers the third");
        assert_eq!(from(102, 9), None, "that record is gone");
    }

    #[test]
    fn nothing_before_the_tail_is_ever_changed() {
        let folder = folder().expect("a folder");
        let mut random = ChaCha8Rng::seed_from_u64(5);
        let mut kinds = std::collections::BTreeSet::new();
        for _ in 0..400 {
            let paths = log(folder.path());
            let before = std::fs::read(&paths[0]).expect("read");
            let tail = Tail::find(folder.path(), 102, 0).expect("read").expect("it ends");
            for line in tail.change(&mut random).expect("changed") {
                kinds.insert(line.split(' ').next().unwrap_or("").to_owned());
            }
            let after = std::fs::read(&paths[0]).expect("read");
            assert_eq!(before[..2 * PAGE], after[..2 * PAGE]);
        }
        assert!(kinds.len() >= CHANGES.len(), "{kinds:?}");
    }
}
