//! fjall: a log-structured merge tree. Each batch is one atomic batch with `PersistMode::SyncData`, which is an
//! `fdatasync` of its journal; compaction runs on its own threads, as many as there are cores. The values do
//! not compress, so nothing tries to; reads find what they look for, so the last level needs no filters.

use std::path::Path;

use fjall::{CompressionType, Database, Keyspace, KeyspaceCreateOptions, PersistMode, config::CompressionPolicy};
use tidegate_bench_harness::suites::storage::{Key, Operation, Reader, Store, StoreError, Value};

use crate::CACHE_BYTES;

pub struct Fjall {
    database: Database,
    records: Keyspace,
}

impl Fjall {
    fn write(&self, operations: &[Operation], durability: Option<PersistMode>) -> Result<(), StoreError> {
        let mut batch = self.database.batch().durability(durability);
        for operation in operations {
            match operation {
                Operation::Put(key, value) => batch.insert(&self.records, key, value),
                Operation::Delete(key) => batch.remove(&self.records, key),
            }
        }
        Ok(batch.commit()?)
    }
}

impl Store for Fjall {
    fn open(folder: &Path, _records: u64) -> Result<Self, StoreError> {
        let database = Database::builder(folder)
            .cache_size(CACHE_BYTES as u64)
            .journal_compression(CompressionType::None)
            .open()?;
        let options = || {
            KeyspaceCreateOptions::default()
                .data_block_compression_policy(CompressionPolicy::disabled())
                .expect_point_read_hits(true)
        };
        let records = database.keyspace("records", options)?;
        Ok(Self { database, records })
    }

    fn load(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.write(operations, None)
    }

    fn loaded(&mut self) -> Result<(), StoreError> {
        Ok(self.database.persist(PersistMode::SyncAll)?)
    }

    fn commit(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.write(operations, Some(PersistMode::SyncData))
    }

    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        Ok(Box::new(|key| Ok(self.records.get(key)?.is_some())))
    }

    fn scan(&self, each: &mut dyn FnMut(&Key, &Value)) -> Result<(), StoreError> {
        for item in self.records.iter() {
            let (key, value) = item.into_inner()?;
            each(key.as_ref().try_into()?, value.as_ref().try_into()?);
        }
        Ok(())
    }
}
