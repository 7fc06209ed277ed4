//! redb: a copy-on-write B-tree with fixed widths of keys and values. Each batch is one transaction of
//! `Durability::Immediate`, its default: the commit returns after a sync.

use std::path::Path;

use redb::{Database, Durability, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use tidegate_bench_harness::suites::storage::{Key, Operation, Reader, Store, StoreError, Value};

use crate::CACHE_BYTES;

const RECORDS: TableDefinition<'_, &Key, &Value> = TableDefinition::new("records");

pub struct Redb {
    database: Database,
}

impl Redb {
    fn write(&self, operations: &[Operation], durability: Durability) -> Result<(), StoreError> {
        let mut transaction = self.database.begin_write()?;
        transaction.set_durability(durability)?;
        {
            let mut records = transaction.open_table(RECORDS)?;
            for operation in operations {
                match operation {
                    Operation::Put(key, value) => {
                        records.insert(key, value)?;
                    }
                    Operation::Delete(key) => {
                        records.remove(key)?;
                    }
                }
            }
        }
        Ok(transaction.commit()?)
    }
}

impl Store for Redb {
    fn open(folder: &Path, _records: u64) -> Result<Self, StoreError> {
        let database = Database::builder()
            .set_cache_size(CACHE_BYTES)
            .create(folder.join("records.redb"))?;
        Ok(Self { database })
    }

    fn load(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.write(operations, Durability::None)
    }

    fn loaded(&mut self) -> Result<(), StoreError> {
        self.write(&[], Durability::Immediate)
    }

    fn commit(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        self.write(operations, Durability::Immediate)
    }

    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        let records = self.database.begin_read()?.open_table(RECORDS)?;
        Ok(Box::new(move |key| {
            let value = records.get(key)?;
            Ok(value.is_some_and(|value| std::hint::black_box(value.value()[0]) == value.value()[0]))
        }))
    }

    fn scan(&self, each: &mut dyn FnMut(&Key, &Value)) -> Result<(), StoreError> {
        let records = self.database.begin_read()?.open_table(RECORDS)?;
        for item in records.iter()? {
            let (key, value) = item?;
            each(key.value(), value.value());
        }
        Ok(())
    }
}
