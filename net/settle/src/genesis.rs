//! The outputs of a genesis where they lie: in its file, read when somebody asks for one.
//!
//! ```text
//! genesis file   head | output 0 … 31 | output 32 … 63 | …      see `tidegate_ledger::Genesis`
//! in memory      for each group of 32 outputs where it begins 8 and its CRC-32C 4; which of all are stakes
//! ```
//!
//! Outputs have their own widths, so a group is read whole and decoded up to the one that is asked for: one read of 8 KiB at
//! most. The file is read and not mapped: pages of a map count as the process's memory, and a medium that fails would end the
//! process by a signal.
//!
//! The whole file is hashed when it is opened, and the hash is the ledger's name. Each later read is held to the sum of its group
//! as it was then.

use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use tidegate_crypto::hash::{Domain, Hasher};
use tidegate_disk::{Disk, DiskError, DiskFile, OpenMode};
use tidegate_ledger::{Condition, GenesisError, GenesisHead, Output, Utxo};
use tidegate_types::{DecodeError, Height, LedgerId, OutPoint, Reader, Txid};

use crate::OpenError;
use crate::bits::Bits;

/// Bytes that are read at once when the whole file is.
const PIECE: usize = 1 << 20;

/// Where the bytes are.
#[derive(Debug)]
enum Source {
    File(Arc<dyn DiskFile>),
    /// Of a ledger without files.
    Memory(Box<[u8]>),
}

impl Source {
    fn len(&self) -> Result<u64, DiskError> {
        match self {
            Self::File(file) => file.len(),
            Self::Memory(bytes) => Ok(bytes.len() as u64),
        }
    }

    /// Fills `into` from `offset`; the caller knows the length.
    fn read_at(&self, offset: u64, into: &mut [u8]) -> Result<(), DiskError> {
        match self {
            Self::File(file) => file.read_at(offset, into),
            Self::Memory(bytes) => {
                let from = usize::try_from(offset).expect("what is in memory has an address");
                into.copy_from_slice(&bytes[from..from + into.len()]);
                Ok(())
            }
        }
    }
}

/// A genesis whose outputs can be asked for by number.
#[derive(Debug)]
pub(crate) struct GenesisOutputs {
    source: Source,
    head: GenesisHead,
    txid: Txid,
    /// Where each group begins, and where the last one ends.
    bounds: Vec<u64>,
    /// The CRC-32C of each group.
    sums: Vec<u32>,
    /// The numbers of the stakes, ascending: behind each the ledger puts a record, so all later outputs stand one position
    /// further.
    stakes: Vec<u32>,
    channels: usize,
}

/// Outputs that are read together.
const GROUP: u32 = GenesisOutputs::GROUP;

impl GenesisOutputs {
    /// Outputs that are read together.
    pub(crate) const GROUP: u32 = 32;

    /// Reads the whole genesis file at `path`. `None` if it is not that of the ledger `expected`.
    ///
    /// # Errors
    /// [`OpenError::Disk`], [`OpenError::Genesis`].
    pub(crate) fn open(disk: &dyn Disk, path: &Path, expected: LedgerId) -> Result<Option<Self>, OpenError> {
        let (ledger, found) = Survey::of(Source::File(disk.open(path, OpenMode::Read)?))?;
        if ledger != expected {
            return Ok(None);
        }
        found.map(Some)
    }

    /// The genesis in these bytes.
    ///
    /// # Errors
    /// [`OpenError::Genesis`].
    pub(crate) fn in_memory(bytes: &[u8]) -> Result<Self, OpenError> {
        Survey::of(Source::Memory(bytes.into()))?.1
    }

    pub(crate) const fn head(&self) -> &GenesisHead {
        &self.head
    }

    /// How many outputs there are.
    pub(crate) const fn count(&self) -> u32 {
        self.head.count
    }

    /// How many of them are channels.
    pub(crate) const fn channels(&self) -> usize {
        self.channels
    }

    /// The number of the output that the genesis created at `outpoint`.
    pub(crate) fn index_of(&self, outpoint: &OutPoint) -> Option<u32> {
        (outpoint.txid == self.txid && outpoint.vout < self.count()).then_some(outpoint.vout)
    }

    /// Output `index` as the ledger created it.
    ///
    /// # Panics
    /// As [`GenesisOutputs::group`].
    pub(crate) fn utxo(&self, index: u32) -> Utxo {
        let bytes = self.group_bytes(index / GROUP);
        let mut r = Reader::new(&bytes);
        let mut output = next_output(&mut r);
        for _ in 0..index % GROUP {
            output = next_output(&mut r);
        }
        self.created(index, output)
    }

    /// The outputs from `index` on to the end of its group, `index` being the first of one, as the ledger created them.
    ///
    /// # Panics
    /// If the file cannot be read any more or has changed. What the ledger holds is not known then: the process ends, like one
    /// whose log fails, and the next start says what is wrong with the file.
    pub(crate) fn group(&self, index: u32) -> Vec<Utxo> {
        let bytes = self.group_bytes(index / GROUP);
        let mut r = Reader::new(&bytes);
        let indices = index..self.count().min(index.saturating_add(GROUP));
        indices.map(|at| self.created(at, next_output(&mut r))).collect()
    }

    /// The outputs whose numbers are in a set, in order, as the ledger created them.
    ///
    /// # Panics
    /// As [`GenesisOutputs::group`].
    pub(crate) fn chosen(&self, numbers: &Bits) -> impl Iterator<Item = (OutPoint, Utxo)> {
        let wanted = |&first: &u32| (first..first.saturating_add(GROUP)).any(|number| numbers.contains(number));
        self.groups().filter(wanted).flat_map(|first| {
            let outputs = (first..).zip(self.group(first));
            let chosen = outputs.filter(|(number, _)| numbers.contains(*number));
            chosen.map(|(number, utxo)| (self.outpoint(number), utxo))
        })
    }

    /// The outputs that the ledger created at these positions, in order; the records behind stakes are left out.
    ///
    /// # Panics
    /// As [`GenesisOutputs::group`].
    pub(crate) fn at_positions(&self, positions: Range<u32>) -> Vec<(OutPoint, Utxo)> {
        // No output stands below its number, and none further above it than there are stakes.
        let stakes = u32::try_from(self.stakes.len()).unwrap_or(u32::MAX);
        let (from, to) = (positions.start.saturating_sub(stakes), positions.end.min(self.count()));
        let groups = (from - from % GROUP..to).step_by(GROUP as usize);
        let found = groups.flat_map(|first| (first..).zip(self.group(first)));
        found
            .filter(|(_, utxo)| positions.contains(&utxo.position))
            .map(|(number, utxo)| (self.outpoint(number), utxo))
            .collect()
    }

    /// The numbers that groups begin with.
    fn groups(&self) -> impl Iterator<Item = u32> + use<> {
        (0..self.count()).step_by(GROUP as usize)
    }

    fn created(&self, index: u32, output: Output) -> Utxo {
        let records = self.stakes.partition_point(|&stake| stake < index);
        let records = u32::try_from(records).expect("stakes are outputs, which are counted in 32 bits");
        Utxo {
            output,
            height: Height::ZERO,
            position: index + records,
        }
    }

    fn group_bytes(&self, group: u32) -> Vec<u8> {
        let group = group as usize;
        let (from, to) = (self.bounds[group], self.bounds[group + 1]);
        let mut bytes = vec![0; usize::try_from(to - from).expect("a group is some KiB")];
        if let Err(error) = self.source.read_at(from, &mut bytes) {
            panic!("the ledger's genesis cannot be read any more: {error}");
        }
        let sum = crc32c::crc32c(&bytes);
        assert_eq!(
            sum, self.sums[group],
            "the ledger's genesis file has changed at byte {from}"
        );
        bytes
    }

    /// All outputs as the genesis lists them, for [`tidegate_ledger::Chain::from_outputs`].
    ///
    /// # Panics
    /// As [`GenesisOutputs::group`].
    pub(crate) fn listed(&self) -> impl Iterator<Item = Result<(OutPoint, Output), GenesisError>> {
        self.groups().flat_map(|first| {
            let outputs = (first..).zip(self.group(first));
            outputs.map(|(index, utxo)| Ok((self.outpoint(index), utxo.output)))
        })
    }

    /// The outpoint of output `index`.
    pub(crate) const fn outpoint(&self, index: u32) -> OutPoint {
        OutPoint {
            txid: self.txid,
            vout: index,
        }
    }
}

fn next_output(r: &mut Reader<'_>) -> Output {
    Output::read_from(r).expect("the same bytes were decoded when the file was opened")
}

/// Reading the whole of a genesis once.
struct Survey {
    source: Source,
    hasher: Hasher,
    /// What was read and not yet decoded begins here.
    start: usize,
    buffer: Vec<u8>,
    /// Where in the file the next piece begins, and where the file ends.
    next: u64,
    end: u64,
}

impl Survey {
    /// The name that follows from all bytes, and what they are. A file that does not decode has a name too.
    fn of(source: Source) -> Result<(LedgerId, Result<GenesisOutputs, OpenError>), OpenError> {
        let mut survey = Self {
            end: source.len()?,
            source,
            hasher: Hasher::new(Domain::LedgerId),
            start: 0,
            buffer: Vec::new(),
            next: 0,
        };
        survey.fill()?;
        let (header, count) = GenesisHead::read_front(&survey.buffer)?;
        survey.start = GenesisHead::LEN;
        let listed = survey.list(count);
        while survey.next < survey.end {
            survey.start = survey.buffer.len();
            survey.fill()?;
        }
        let ledger = LedgerId::from_bytes(*survey.hasher.finish().as_bytes());
        let head = GenesisHead { header, count, ledger };
        let found = listed.map(|list| GenesisOutputs {
            source: survey.source,
            head,
            txid: head.outpoint(0).txid,
            bounds: list.bounds,
            sums: list.sums,
            stakes: list.stakes,
            channels: list.channels,
        });
        Ok((ledger, found))
    }

    /// Has a whole output in the buffer, unless the file ends before that.
    fn fill(&mut self) -> Result<(), DiskError> {
        if self.buffer.len() - self.start >= Output::LEN_MAX || self.next == self.end {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        let kept = self.buffer.len();
        let piece = usize::try_from(self.end - self.next).map_or(PIECE, |left| left.min(PIECE));
        self.buffer.resize(kept + piece, 0);
        self.source.read_at(self.next, &mut self.buffer[kept..])?;
        self.hasher.update(&self.buffer[kept..]);
        self.next += piece as u64;
        Ok(())
    }

    /// Where in the file the next output begins.
    const fn place(&self) -> u64 {
        self.next - (self.buffer.len() - self.start) as u64
    }

    fn list(&mut self, count: u32) -> Result<List, OpenError> {
        let mut list = List::default();
        for index in 0..count {
            self.fill()?;
            if index.is_multiple_of(GROUP) {
                list.bounds.push(self.place());
                list.sums.push(0);
            }
            let mut r = Reader::new(&self.buffer[self.start..]);
            let output = Output::read_from(&mut r).map_err(GenesisError::Decode)?;
            let end = self.buffer.len() - r.remaining();
            list.add(index, &output, &self.buffer[self.start..end]);
            self.start = end;
        }
        list.bounds.push(self.place());
        match usize::try_from(self.end - self.place()) {
            Ok(0) => Ok(list),
            left => {
                let count = left.unwrap_or(usize::MAX);
                Err(GenesisError::Decode(DecodeError::TrailingBytes { count }).into())
            }
        }
    }
}

/// What a survey finds.
#[derive(Default)]
struct List {
    bounds: Vec<u64>,
    sums: Vec<u32>,
    stakes: Vec<u32>,
    channels: usize,
}

impl List {
    fn add(&mut self, index: u32, output: &Output, encoded: &[u8]) {
        if let Some(sum) = self.sums.last_mut() {
            *sum = crc32c::crc32c_append(*sum, encoded);
        }
        match &output.condition {
            Condition::Stake(_) => self.stakes.push(index),
            Condition::Channel(_) => self.channels += 1,
            _ => {}
        }
    }
}
