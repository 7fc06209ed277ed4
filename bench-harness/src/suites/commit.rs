//! What it costs to make a batch durable: the log's append and sync, beside a bare write and sync of the same bytes.

use std::{
    fs::{File, OpenOptions},
    hint::black_box,
    io,
    os::unix::fs::FileExt,
    path::Path,
    sync::Arc,
};

use tidegate_disk::RealDisk;
use tidegate_wal::{Log, LogConfig, Lsn};

use super::{Suite, SuiteError};
use crate::measure::{Bench, Unit};

/// The log, and the device below it.
pub(super) struct Commit;

/// A lone payment's record, and that of a batch of some 4 000.
const SIZES: [(&str, usize); 2] = [("4096", 4_096), ("716800", 700 << 10)];

impl Suite for Commit {
    fn name(&self) -> &'static str {
        "commit"
    }

    fn about(&self) -> &'static str {
        "append and sync of records of 4 KiB and 700 KiB, through the log and bare"
    }

    fn run(&self, bench: &mut Bench, folder: &Path) -> Result<(), SuiteError> {
        let count = bench.scale().pick(400, 3);
        let segment_bytes = bench.scale().pick(64 << 20, 1 << 20);
        let config = LogConfig {
            segment_bytes: segment_bytes as u64,
            ..LogConfig::new(0x5eed)
        };
        let mut log = Log::create(Arc::new(RealDisk), folder, config, Lsn::FIRST)?;
        let segments = log.segments();
        let mut bare = Bare::create(&folder.join("bare"), segment_bytes)?;
        for (label, bytes) in SIZES {
            let payload = vec![0xa5; bytes];
            let names = [
                format!("wal::append_sync/bytes={label}"),
                format!("file::write_sync/bytes={label}"),
            ];
            let [through, below] = names.each_ref().map(String::as_str);
            let mut synced = Lsn::ZERO;
            bench.measure_in_turns::<SuiteError>(
                &[through, below],
                Unit::Micros,
                count,
                |which| {
                    if which == 0 {
                        synced = log.append_sync(black_box(&[&payload]))?;
                    } else {
                        bare.write_sync(black_box(&payload))?;
                    }
                    Ok(())
                },
                // As the hub does beside its batches: no append waits for zeros.
                || Ok(segments.prepare()?),
            )?;
            segments.recycle(synced)?;
            bench.ratio(&format!("log / bare file, {label} bytes"), through, below);
        }
        Ok(())
    }
}

/// A file written with zeros beforehand and overwritten in turn: the least that durable bytes can cost here.
struct Bare {
    file: File,
    bytes: usize,
    offset: usize,
}

impl Bare {
    fn create(path: &Path, bytes: usize) -> io::Result<Self> {
        let file = OpenOptions::new().create_new(true).read(true).write(true).open(path)?;
        file.write_all_at(&vec![0; bytes], 0)?;
        file.sync_all()?;
        Ok(Self { file, bytes, offset: 0 })
    }

    fn write_sync(&mut self, payload: &[u8]) -> io::Result<()> {
        if self.offset + payload.len() > self.bytes {
            self.offset = 0;
        }
        self.file.write_all_at(payload, self.offset as u64)?;
        self.offset += payload.len().next_multiple_of(4_096);
        self.file.sync_data()
    }
}
