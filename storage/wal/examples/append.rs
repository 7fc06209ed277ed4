//! What one durable record costs: append and sync by size, on the disk of the given folder (default: the current one).
//!
//! `cargo run --release -p tidegate-wal --example append -- DIR`. The log is made in a new folder in DIR and removed.

use std::{path::PathBuf, sync::Arc, time::Instant};

use tidegate_disk::{Disk, RealDisk};
use tidegate_wal::{Log, LogConfig, LogError, Lsn};

const SIZES: [(usize, usize); 4] = [(100, 2000), (4000, 2000), (64 << 10, 1000), (700 << 10, 600)];

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let base = std::env::args()
        .nth(1)
        .map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folder = tempfile::tempdir_in(base)?;
    println!(
        "{:>9}  {:>7}  {:>9}  {:>9}  {:>9}  {:>9}  {:>9}",
        "bytes", "records", "mean us", "p50 us", "p99 us", "max us", "append us"
    );
    for (bytes, records) in SIZES {
        let dir = folder.path().join(bytes.to_string());
        RealDisk.create_dir_all(&dir)?;
        measure(&dir, bytes, records)?;
        std::fs::remove_dir_all(&dir)?;
    }
    Ok(())
}

fn measure(dir: &std::path::Path, bytes: usize, records: usize) -> Result<(), LogError> {
    let config = LogConfig::new(0x5eed);
    let mut log = Log::create(Arc::new(RealDisk), dir, config, Lsn::FIRST)?;
    let segments = log.segments();
    let payload: Vec<u8> = (0..bytes).map(|i| (i * 31).to_le_bytes()[0]).collect();
    let (mut took, mut appending) = (Vec::with_capacity(records), 0.0);
    for _ in 0..records {
        if segments.ready() == 0 {
            // Another thread's work in the hub: not in the figures.
            segments.prepare()?;
        }
        let start = Instant::now();
        log.append(&[&payload])?;
        appending += start.elapsed().as_secs_f64() * 1e6;
        log.sync()?;
        took.push(start.elapsed().as_secs_f64() * 1e6);
        // As behind a checkpoint: what is not needed serves again.
        segments.recycle(log.next_lsn())?;
    }
    took.sort_by(f64::total_cmp);
    let count = f64::from(u32::try_from(records).expect("few"));
    let mean = took.iter().sum::<f64>() / count;
    let (p50, p99, max) = (took[records / 2], took[records * 99 / 100], took[records - 1]);
    println!(
        "{bytes:9}  {records:7}  {mean:9.1}  {p50:9.1}  {p99:9.1}  {max:9.1}  {:9.1}",
        appending / count
    );
    Ok(())
}
