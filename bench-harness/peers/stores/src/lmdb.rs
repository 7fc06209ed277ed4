//! LMDB through heed: a copy-on-write B-tree in a map of its file. Each batch is one transaction, whose commit syncs; no
//! flag weakens that. Without `WRITEMAP`, which its documentation calls faster for data that fits the memory, it was no
//! slower here, and pages that are written by calls cannot be damaged by a stray pointer.

use std::{fs, path::Path};

use heed::{Database, Env, EnvOpenOptions, types::Bytes};
use tidegate_bench_harness::suites::storage::{Key, Operation, Reader, Store, StoreError, Value};

/// Addresses that the map may take; the file grows as it is filled.
const MAP_BYTES: usize = 64 << 30;

pub struct Lmdb {
    env: Env,
    records: Database<Bytes, Bytes>,
}

impl Store for Lmdb {
    fn open(folder: &Path, _records: u64) -> Result<Self, StoreError> {
        let folder = folder.join("lmdb");
        fs::create_dir_all(&folder)?;
        let mut options = EnvOpenOptions::new();
        options.map_size(MAP_BYTES);
        #[allow(unsafe_code, reason = "heed asks for a promise")]
        // SAFETY: no other process opens these files, and no flag is set.
        let env = unsafe { options.open(&folder) }?;
        let mut transaction = env.write_txn()?;
        let records = env.create_database(&mut transaction, None)?;
        transaction.commit()?;
        Ok(Self { env, records })
    }

    fn loaded(&mut self) -> Result<(), StoreError> {
        Ok(self.env.force_sync()?)
    }

    fn commit(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        let mut transaction = self.env.write_txn()?;
        for operation in operations {
            match operation {
                Operation::Put(key, value) => self.records.put(&mut transaction, key, value)?,
                Operation::Delete(key) => {
                    self.records.delete(&mut transaction, key)?;
                }
            }
        }
        Ok(transaction.commit()?)
    }

    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        let transaction = self.env.read_txn()?;
        Ok(Box::new(move |key| {
            let value = self.records.get(&transaction, key)?;
            // A value of a map is only read when a byte of it is.
            Ok(value.is_some_and(|value| std::hint::black_box(value[0]) == value[0]))
        }))
    }

    fn scan(&self, each: &mut dyn FnMut(&Key, &Value)) -> Result<(), StoreError> {
        let transaction = self.env.read_txn()?;
        for item in self.records.iter(&transaction)? {
            let (key, value) = item?;
            each(key.try_into()?, value.try_into()?);
        }
        Ok(())
    }
}
