//! `write-vectors DIR`: writes the test vectors into a folder, `tests/conformance/data/vectors` for those that are kept.

use std::{env, fs, path::Path, process::ExitCode};

use tidegate_test_conformance::vectors;

fn main() -> ExitCode {
    let Some(folder) = env::args().nth(1).filter(|arg| !arg.starts_with('-')) else {
        eprintln!("usage: write-vectors DIR   writes keys.json, hashes.json and channel.json");
        return ExitCode::from(2);
    };
    for (name, text) in vectors::files() {
        if let Err(error) = fs::write(Path::new(&folder).join(name), text) {
            eprintln!("{folder}/{name}: {error}");
            return ExitCode::FAILURE;
        }
    }
    ExitCode::SUCCESS
}
