//! A state put together again from what was kept of one: pages of its tables, and the records behind them.

use std::path::Path;
use std::sync::Arc;

use tidegate_disk::Disk;
use tidegate_table::{CheckpointError, CheckpointStore, ImageReader, Lsn, PAGE_BYTES, Region, SuperblockInfo};
use tidegate_types::Height;
use tidegate_wal::{Log, Place, Tail};

use super::recover::Replayer;
use super::{HubEngine, Inspected, Meta, StateError, slots, state_dir, wal_dir};

/// The tables, being filled.
#[derive(Debug)]
pub(crate) struct Tables(Vec<Region>);

/// The name, the slot size and the number of slots of one table.
pub(crate) type TableSize<'a> = (&'a str, usize, usize);

impl Tables {
    /// Empty tables of these sizes, which are those of a checkpoint in `origin`.
    ///
    /// # Errors
    /// [`StateError::Checkpoint`] if they are another program's.
    pub(crate) fn new(origin: &Path, sizes: &[TableSize<'_>]) -> Result<Self, StateError> {
        let specs = slots::specs();
        let same = |((name, slot_bytes, _), spec): (&TableSize<'_>, &tidegate_table::RegionSpec)| {
            *name == spec.name && *slot_bytes == spec.slot_bytes
        };
        if sizes.len() != specs.len() || !sizes.iter().zip(&specs).all(same) {
            return Err(StateError::Checkpoint(CheckpointError::OtherRegions {
                dir: origin.to_owned(),
                found: sizes.iter().map(|(name, ..)| (*name).to_owned()).collect(),
            }));
        }
        let region = |(spec, (_, _, slots)): (_, &TableSize<'_>)| {
            let mut region = Region::new(spec)?;
            region.grow(*slots)?;
            Ok(region)
        };
        let regions: Result<Vec<_>, CheckpointError> = specs.into_iter().zip(sizes).map(region).collect();
        Ok(Self(regions?))
    }

    /// The tables of one checkpoint in the folder `dir`.
    ///
    /// # Errors
    /// [`StateError::Checkpoint`].
    pub(crate) fn of_image(disk: &dyn Disk, dir: &Path, found: &SuperblockInfo) -> Result<Self, StateError> {
        let sizes = found
            .regions
            .iter()
            .map(|region| (region.name.as_str(), region.slot_bytes, region.slots));
        let mut tables = Self::new(dir, &sizes.collect::<Vec<_>>())?;
        for at in 0..found.regions.len() {
            let mut image = ImageReader::open(disk, dir, found, at, 0)?;
            while let Some((first, bytes)) = image.next_run()? {
                tables.fill(at, first, bytes);
            }
        }
        Ok(tables)
    }

    /// Whether table `at` has these whole pages.
    pub(crate) fn takes(&self, at: usize, first: usize, bytes: &[u8]) -> bool {
        self.0
            .get(at)
            .is_some_and(|region| first + bytes.len() / PAGE_BYTES <= region.pages())
    }

    /// Fills whole pages of table `at`.
    pub(crate) fn fill(&mut self, at: usize, first: usize, bytes: &[u8]) {
        self.0[at].write_pages(first, bytes);
    }

    /// The engine in these tables, as of log record `lsn`.
    pub(crate) fn replay(self, lsn: Lsn) -> Result<Replayed, StateError> {
        Ok(Replayed {
            engine: HubEngine::open(slots::store(self.0))?,
            replayer: Replayer::keeping_headers(),
            lsn,
        })
    }

    /// Makes these tables, as of log record `lsn`, the first checkpoint of a state in `data`, which has none: one that is
    /// marked as a copy and never signs.
    pub(crate) fn write_copy(mut self, disk: &Arc<dyn Disk>, data: &Path, copy: CopyOf) -> Result<Copying, StateError> {
        let (state, wal) = (state_dir(data), wal_dir(data));
        if disk.exists(&state)? || disk.exists(&wal)? {
            return Err(StateError::Exists { dir: data.to_owned() });
        }
        disk.create_dir_all(&state)?;
        disk.create_dir_all(&wal)?;
        let meta = Meta {
            log_identity: copy.log_identity,
            segment_bytes: copy.segment_bytes,
            is_copy: true,
        };
        let mut checkpoints = CheckpointStore::create(Arc::clone(disk), &state, &slots::specs())?;
        let mut regions: Vec<&mut Region> = self.0.iter_mut().collect();
        checkpoints.write(&mut regions, copy.lsn, &meta.encode(), &mut |_| {})?;
        let log = Log::create(Arc::clone(disk), &wal, meta.log_config(), copy.lsn.next())?;
        Ok(Copying { log })
    }
}

/// What a copy starts from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CopyOf {
    /// The log record up to which the tables go.
    pub(crate) lsn: Lsn,
    /// The new log's own number: bytes of another log never look like records of it.
    pub(crate) log_identity: u64,
    /// The length of its segments.
    pub(crate) segment_bytes: u64,
}

/// A copy whose log is being filled.
#[derive(Debug)]
pub(crate) struct Copying {
    log: Log,
}

impl Copying {
    /// Appends the next record.
    pub(crate) fn record(&mut self, payload: &[u8]) -> Result<(), StateError> {
        self.log.append(&[payload])?;
        Ok(())
    }

    /// Makes all of them durable.
    pub(crate) fn finish(mut self) -> Result<(), StateError> {
        self.log.sync()?;
        Ok(())
    }
}

/// An engine that recorded batches are executed on again.
#[derive(Debug)]
pub(crate) struct Replayed {
    engine: HubEngine,
    replayer: Replayer,
    lsn: Lsn,
}

impl Replayed {
    /// Executes the next record, which must meet its own header.
    pub(crate) fn record(&mut self, lsn: Lsn, payload: &[u8]) -> Result<(), StateError> {
        self.replayer.take(&mut self.engine, lsn, payload)?;
        self.lsn = lsn;
        Ok(())
    }

    /// The newest final block that it knows.
    pub(crate) fn height(&self) -> Height {
        self.engine.opened().height
    }

    /// The state after the last.
    pub(crate) fn finish(self) -> Inspected {
        let place = Place { segment: 0, offset: 0 };
        let tail = Tail {
            covered_damage: None,
            next: self.lsn.next(),
            place,
            torn: false,
        };
        self.replayer.inspected(self.engine, self.lsn, tail, true)
    }
}
