//! SQLite through rusqlite, compiled with it. `journal_mode=WAL` with `synchronous=FULL`: a commit syncs the log, which
//! `NORMAL` would not. A table `WITHOUT ROWID`, so that a record lies in one tree; pages are read from a map.

use std::{
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

use rusqlite::{Connection, OptionalExtension as _};
use tidegate_bench_harness::suites::storage::{Key, Operation, Reader, Store, StoreError, Value};

use crate::CACHE_BYTES;

pub struct Sqlite {
    writer: Mutex<Connection>,
    file: PathBuf,
}

fn connect(file: &Path) -> Result<Connection, StoreError> {
    let connection = Connection::open(file)?;
    connection.execute_batch(&format!(
        "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-{}; PRAGMA mmap_size={};
         PRAGMA wal_autocheckpoint=16384;
         CREATE TABLE IF NOT EXISTS records (key BLOB PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;",
        CACHE_BYTES / 1024,
        16_u64 << 30
    ))?;
    Ok(connection)
}

impl Store for Sqlite {
    fn open(folder: &Path, _records: u64) -> Result<Self, StoreError> {
        let file = folder.join("records.sqlite");
        Ok(Self {
            writer: Mutex::new(connect(&file)?),
            file,
        })
    }

    fn loaded(&mut self) -> Result<(), StoreError> {
        Ok(())
    }

    fn commit(&mut self, operations: &[Operation]) -> Result<(), StoreError> {
        let writer = self.writer.get_mut().unwrap_or_else(PoisonError::into_inner);
        let transaction = writer.transaction()?;
        {
            let mut put = transaction.prepare_cached(
                "INSERT INTO records VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
            )?;
            let mut delete = transaction.prepare_cached("DELETE FROM records WHERE key = ?1")?;
            for operation in operations {
                match operation {
                    Operation::Put(key, value) => put.execute((key, value.as_slice()))?,
                    Operation::Delete(key) => delete.execute((key,))?,
                };
            }
        }
        Ok(transaction.commit()?)
    }

    fn reader(&self) -> Result<Reader<'_>, StoreError> {
        let reader = connect(&self.file)?;
        reader.execute_batch("BEGIN")?;
        Ok(Box::new(move |key| {
            let mut select = reader.prepare_cached("SELECT value FROM records WHERE key = ?1")?;
            let first = select.query_row((key,), |row| Ok(row.get_ref(0)?.as_blob()?[0]));
            Ok(first.optional()?.is_some())
        }))
    }

    fn scan(&self, each: &mut dyn FnMut(&Key, &Value)) -> Result<(), StoreError> {
        let reader = connect(&self.file)?;
        let mut select = reader.prepare("SELECT key, value FROM records")?;
        let mut rows = select.query(())?;
        while let Some(row) = rows.next()? {
            let (key, value) = (row.get_ref(0)?.as_blob()?, row.get_ref(1)?.as_blob()?);
            each(key.try_into()?, value.try_into()?);
        }
        Ok(())
    }
}
