//! Making a backup, and going on with one that was interrupted.

use std::fs::{File, TryLockError};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;

use tidegate_disk::{Disk, DiskError, Lsn, Op};
use tidegate_table::{PAGE_BYTES, Sealed, SealedError, SealedItem, SealedWriter, SuperblockInfo, unfinished};

use super::content::{join_record, split_record};
use super::source::{Source, Stop};
use super::{
    About, AboutRegion, BackupError, End, FORMAT, PART_ABOUT, PART_CONFIG, PART_END, PART_GENESIS, PART_LEDGER,
    PART_LOG, PART_ROUTES, region_part, routes,
};
use crate::check::{OnStep, Step};
use crate::state::Meta;

/// How often a copying may start over because the hub was faster.
const ATTEMPTS_MAX: u32 = 8;

/// A backup that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Made {
    /// Of what it is.
    pub about: About,
    /// The last log record in it.
    pub lsn: u64,
    /// How many records of the log it holds.
    pub records: u64,
    /// How many blocks of the ledger it holds.
    pub ledger_height: u64,
    /// Its length.
    pub bytes: u64,
    /// BLAKE3 of the file, as `b3sum` prints it.
    pub hash: [u8; 32],
    /// Bytes that an interrupted backup had written already.
    pub resumed_bytes: u64,
    /// How often the hub was faster and the copying started over.
    pub overtaken: u32,
}

/// Makes a backup of the data directory `data`, whose hub may be running, in the file `to`, which does not exist. What an
/// interrupted call left in the unfinished file is used if the hub still has the same image.
///
/// # Errors
/// [`BackupError`]. The unfinished file stays: calling again goes on.
pub fn write(
    disk: &Arc<dyn Disk>,
    data: &Path,
    to: &Path,
    begun_ms: u64,
    on_step: OnStep<'_>,
) -> Result<Made, BackupError> {
    let source = Source::open(disk, data)?;
    for overtaken in 0..ATTEMPTS_MAX {
        match copy(disk, &source, to, begun_ms, overtaken, on_step) {
            Ok(made) => return Ok(Made { overtaken, ..made }),
            Err(Stop::Overtaken) => {}
            Err(Stop::Failed(error)) => return Err(error),
        }
    }
    Err(BackupError::Overtaken { attempts: ATTEMPTS_MAX })
}

/// Keeps a second backup out of the unfinished file, as long as the result lives.
///
/// # Errors
/// [`BackupError::Busy`] while another process holds it, [`BackupError::Sealed`] if the backup is there already,
/// [`BackupError::Disk`].
pub fn lock_unfinished(to: &Path) -> Result<File, BackupError> {
    let path = unfinished(to);
    let failed = |error: &std::io::Error| DiskError::Io {
        op: Op::Open,
        path: path.clone(),
        errno: error.raw_os_error().unwrap_or_default(),
    };
    if to.exists() {
        return Err(SealedError::Exists { path: to.to_owned() }.into());
    }
    let mut options = File::options();
    options.write(true).create(true).truncate(false).mode(0o600);
    let file = options.open(&path).map_err(|error| failed(&error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(BackupError::Busy { path }),
        Err(TryLockError::Error(error)) => Err(failed(&error).into()),
    }
}

fn copy(
    disk: &Arc<dyn Disk>,
    source: &Source,
    to: &Path,
    begun_ms: u64,
    overtaken: u32,
    on_step: OnStep<'_>,
) -> Result<Made, Stop> {
    let checkpoints = source.checkpoints()?;
    // An image that is being written over is named by its superblock to the end, and its pages are gone all the same.
    let lasting = if overtaken == 0 { 2 } else { 1 };
    let mut there = There::default();
    let resumed = SealedWriter::resume(disk, to, &mut |item| there.see(&item))?;
    let same = |found: &&SuperblockInfo| {
        let of_it = there
            .about
            .as_ref()
            .is_some_and(|about| about.is_of(&source.ledger, found));
        of_it && there.is_still_so(source, found)
    };
    let (mut job, found) = match (resumed, checkpoints.iter().take(lasting).find(same)) {
        (Some(writer), Some(found)) => (Job::new(writer, there), found),
        // What is there is of an image that is gone.
        (_, _) => (
            Job::new(SealedWriter::create(disk, to)?, There::default()),
            &checkpoints[0],
        ),
    };
    let resumed_bytes = if job.there.parts.is_empty() {
        0
    } else {
        job.writer.bytes()
    };
    let about = job.about(source, found, begun_ms)?;
    job.once(PART_GENESIS, &source.genesis)?;
    job.once(PART_CONFIG, &source.config)?;
    job.regions(source, found, on_step)?;
    let (lsn, records) = job.log(source, found, on_step)?;
    let ledger_height = job.ledger(source, on_step)?;
    job.routes(source)?;
    let end = End {
        lsn: lsn.get(),
        ledger_height,
    };
    job.once(PART_END, &serde_json::to_vec(&end).expect("plain numbers"))?;
    let Sealed { bytes, hash } = job.writer.seal()?;
    Ok(Made {
        about,
        lsn: lsn.get(),
        records,
        ledger_height,
        bytes,
        hash,
        resumed_bytes,
        overtaken: 0,
    })
}

/// What an unfinished file holds.
#[derive(Debug, Default)]
struct There {
    about: Option<About>,
    parts: Vec<PartThere>,
    /// The name of the last part, and its last unit.
    part: String,
    unit: Vec<u8>,
}

#[derive(Clone, Copy, Debug, Default)]
struct PartThere {
    units: u64,
    bytes: u64,
    /// The record in the last unit, if this is the log.
    lsn: Option<Lsn>,
}

impl There {
    fn see(&mut self, item: &SealedItem<'_>) {
        match item {
            SealedItem::Part(name) => {
                self.parts.push(PartThere::default());
                (*name).clone_into(&mut self.part);
                self.unit.clear();
            }
            SealedItem::Unit(unit) => {
                (*unit).clone_into(&mut self.unit);
                if self.parts.len() == 1 {
                    self.about = serde_json::from_slice(unit).ok();
                }
                if let Some(part) = self.parts.last_mut() {
                    part.units += 1;
                    part.bytes += unit.len() as u64;
                    part.lsn = split_record(unit).map(|(lsn, _)| lsn);
                }
            }
            SealedItem::End => {}
        }
    }
}

impl There {
    /// Whether the newest record, or block, that is there is still the hub's. Until its part is whole nobody has synced it: the hub
    /// may have lost it with the power and made another one of its number. Each names the one before it by digest, so if the
    /// newest is the same, so are those before.
    fn is_still_so(&self, source: &Source, found: &SuperblockInfo) -> bool {
        match (self.part.as_str(), self.parts.last()) {
            (_, None | Some(PartThere { units: 0, .. })) => true,
            (PART_LOG, Some(_)) => {
                split_record(&self.unit).is_some_and(|(lsn, payload)| source.has_record(found, lsn, payload))
            }
            (PART_LEDGER, Some(part)) => source.has_block(part.units, &self.unit),
            // Journals have grown meanwhile.
            (PART_ROUTES, Some(_)) => false,
            _ => true,
        }
    }
}

/// A backup that is being written: parts that are there are passed over.
struct Job {
    writer: SealedWriter,
    there: There,
    /// How many parts were entered.
    entered: usize,
}

impl Job {
    const fn new(writer: SealedWriter, there: There) -> Self {
        Self {
            writer,
            there,
            entered: 0,
        }
    }

    /// Enters the next part: what is there of it, and whether another one follows it, so that it is complete.
    fn enter(&mut self, name: &str) -> Result<(PartThere, bool), SealedError> {
        let found = self.there.parts.get(self.entered).copied();
        self.entered += 1;
        if found.is_none() {
            self.writer.begin_part(name)?;
        }
        Ok((found.unwrap_or_default(), self.there.parts.len() > self.entered))
    }

    /// A part of one unit.
    fn once(&mut self, name: &str, bytes: &[u8]) -> Result<(), SealedError> {
        if self.enter(name)?.0.units == 0 {
            self.writer.unit(bytes)?;
        }
        Ok(())
    }

    fn about(&mut self, source: &Source, found: &SuperblockInfo, begun_ms: u64) -> Result<About, Stop> {
        let regions = found.regions.iter().map(|region| AboutRegion {
            name: region.name.clone(),
            slot_bytes: region.slot_bytes,
            slots: region.slots,
            sums_crc: region.sums_crc,
        });
        let about = About {
            format: FORMAT,
            made_by: concat!("tidegate ", env!("CARGO_PKG_VERSION")).to_owned(),
            begun_ms,
            ledger: source.ledger.clone(),
            checkpoint: found.sequence,
            lsn: found.lsn.get(),
            segment_bytes: Meta::decode(&found.meta)?.segment_bytes,
            regions: regions.collect(),
        };
        let about = self.there.about.clone().unwrap_or(about);
        self.once(PART_ABOUT, &serde_json::to_vec(&about).expect("plain values"))?;
        Ok(about)
    }

    fn regions(&mut self, source: &Source, found: &SuperblockInfo, on_step: OnStep<'_>) -> Result<(), Stop> {
        let total = (found.pages() * PAGE_BYTES) as u64;
        let mut before = 0;
        for (at, region) in found.regions.iter().enumerate() {
            let (there, complete) = self.enter(&region_part(&region.name))?;
            let mut done = there.bytes;
            let from = usize::try_from(there.bytes).expect("a table fits the address space") / PAGE_BYTES;
            if !complete {
                source.pages(found, at, from, &mut |bytes| {
                    self.writer.unit(bytes)?;
                    done += bytes.len() as u64;
                    on_step(Step {
                        what: "copying the tables",
                        done: before + done,
                        total: Some(total),
                        unit: "bytes",
                    });
                    Ok(())
                })?;
            }
            before += (region.pages() * PAGE_BYTES) as u64;
        }
        Ok(())
    }

    /// The last record, and how many there are.
    fn log(&mut self, source: &Source, found: &SuperblockInfo, on_step: OnStep<'_>) -> Result<(Lsn, u64), Stop> {
        let (there, complete) = self.enter(PART_LOG)?;
        let after = there.lsn.unwrap_or(found.lsn);
        let mut last = after;
        if !complete {
            let mut unit = Vec::new();
            last = source.records(found, after, &mut |lsn, target, payload| {
                join_record(lsn, payload, &mut unit);
                self.writer.unit(&unit)?;
                on_step(Step {
                    what: "copying the log",
                    done: lsn.get().saturating_sub(found.lsn.get()),
                    total: Some(target.get().saturating_sub(found.lsn.get())),
                    unit: "batches",
                });
                Ok(())
            })?;
        }
        Ok((last, last.get() - found.lsn.get()))
    }

    fn ledger(&mut self, source: &Source, on_step: OnStep<'_>) -> Result<u64, Stop> {
        let (there, complete) = self.enter(PART_LEDGER)?;
        if complete {
            return Ok(there.units);
        }
        let blocks = source.blocks(there.units, &mut |done, block| {
            self.writer.unit(block)?;
            on_step(Step {
                what: "copying the ledger",
                done,
                total: None,
                unit: "blocks",
            });
            Ok(())
        })?;
        Ok(blocks)
    }

    fn routes(&mut self, source: &Source) -> Result<(), Stop> {
        let (_, complete) = self.enter(PART_ROUTES)?;
        if complete {
            return Ok(());
        }
        for journal in source.journals()? {
            for unit in routes::units(&journal) {
                self.writer.unit(&unit)?;
            }
        }
        Ok(())
    }
}
