//! General stores at the work of the suite `storage`.
//!
//! ```text
//! peer-stores fjall|lmdb|redb|sqlite TASK [--tiny]        rows on standard output, one JSON object a line
//! ```
//!
//! Each store is used as its own documentation advises for durable batches: every batch is one transaction or one batch of
//! the store, and its call returns after a sync. What else is set stands at the top of each module, with its reason.

mod fjall;
mod lmdb;
mod redb;
mod sqlite;

use std::{env, process::ExitCode};

use tidegate_bench_harness::suites::storage::run_peer;

/// Memory that a store may use to keep pages, where it has such a setting: more than the data of the largest run here.
const CACHE_BYTES: usize = 2 << 30;

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).filter(|argument| argument != "--tiny").collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let Some((&store, rest)) = arguments.split_first() else {
        return usage();
    };
    let result = match store {
        "fjall" => run_peer::<fjall::Fjall>(store, rest),
        "lmdb" => run_peer::<lmdb::Lmdb>(store, rest),
        "redb" => run_peer::<redb::Redb>(store, rest),
        "sqlite" => run_peer::<sqlite::Sqlite>(store, rest),
        _ => return usage(),
    };
    match result {
        Some(Ok(())) => ExitCode::SUCCESS,
        Some(Err(error)) => {
            eprintln!("{store}: {error}");
            ExitCode::FAILURE
        }
        None => usage(),
    }
}

fn usage() -> ExitCode {
    eprintln!("expected: peer-stores fjall|lmdb|redb|sqlite TASK");
    ExitCode::from(2)
}
