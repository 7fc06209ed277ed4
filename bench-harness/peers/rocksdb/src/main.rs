//! RocksDB at the work of the suite `storage`: a log-structured merge tree. Each batch is one `WriteBatch` written with
//! `sync`, which is an `fdatasync` of its log.
//!
//! ```text
//! peer-rocksdb rocksdb TASK [--tiny]          rows on standard output, one JSON object a line
//! ```
//!
//! Set beside that: two background threads for two cores, a block cache that holds all, filters of 10 bits per key, no
//! compression (the values do not compress), log and tables written in steps of 1 MiB.

use std::{env, path::Path, process::ExitCode};

use rocksdb::{BlockBasedOptions, Cache, DB, DBCompressionType, IteratorMode, Options, WriteBatch, WriteOptions};
use tidegate_bench_harness::suites::storage::{Key, Operation, Reader, Store, StoreError, Value, run_peer};

/// Memory for blocks: more than the data of the largest run here.
const CACHE_BYTES: usize = 2 << 30;
const STEP_BYTES: u64 = 1 << 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--tiny").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match arguments.split_first() {
        Some((&"rocksdb", rest)) => run_peer::<RocksDb>("rocksdb", rest),
        _ => None,
    };
    match result {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("rocksdb: {error}");
            ExitCode::FAILURE
        }
        None => {
            eprintln!("expected: peer-rocksdb rocksdb TASK");
            ExitCode::from(2)
        }
    }
}

struct RocksDb {
    database: DB,
}

impl RocksDb {
    fn write(&self, operations: &[Operation], sync: bool) -> Result<(), StoreError> {
        let mut batch = WriteBatch::default();
        for operation in operations {
            match operation {
                Operation::Put(key, value) => batch.put(key, value),
                Operation::Delete(key) => batch.delete(key),
            }
        }
        let mut options = WriteOptions::default();
        options.set_sync(sync);
        Ok(self.database.write_opt(batch, &options)?)
    }
}

impl Store for RocksDb {
    fn open(folder: &Path, _records: u64) -> Result<Self, StoreError> {
        let mut blocks = BlockBasedOptions::default();
        blocks.set_bloom_filter(10.0, false);
        blocks.set_block_cache(&Cache::new_lru_cache(CACHE_BYTES)?);
        blocks.set_format_version(5);
        let mut options = Options::default();
        options.create_if_missing(true);
        options.increase_parallelism(2);
        options.set_block_based_table_factory(&blocks);
        options.set_compression_type(DBCompressionType::None);
        options.set_use_fsync(false);
        options.set_bytes_per_sync(STEP_BYTES);
        options.set_wal_bytes_per_sync(STEP_BYTES);
        let database = DB::open(&options, folder.join("rocksdb"))?;
        Ok(Self { database })
    }

    fn load(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.write(operations, false)
    }

    fn loaded(&mut self) -> Result<(), StoreError> {
        Ok(self.database.flush()?)
    }

    fn commit(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.write(operations, true)
    }

    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        Ok(Box::new(|key| Ok(self.database.get_pinned(key)?.is_some())))
    }

    fn scan(&self, each: &mut dyn FnMut(&Key, &Value)) -> Result<(), StoreError> {
        for item in self.database.iterator(IteratorMode::Start) {
            let (key, value) = item?;
            each(key.as_ref().try_into()?, value.as_ref().try_into()?);
        }
        Ok(())
    }
}
