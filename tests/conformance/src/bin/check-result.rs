//! `check-result FILE…`: exit 0 when every file is a whole and good result, 1 with all that is wrong, 2 without a file.

use std::{env, fs, process::ExitCode};

use tidegate_test_conformance::result;

fn main() -> ExitCode {
    let files: Vec<String> = env::args().skip(1).collect();
    if files.is_empty() || files[0].starts_with('-') {
        eprintln!("usage: check-result FILE…   checks results of the form tidegate.result/1");
        return ExitCode::from(2);
    }
    let mut good = true;
    for file in files {
        let problems = match fs::read_to_string(&file) {
            Ok(text) => result::check(&text),
            Err(error) => vec![error.to_string()],
        };
        good &= problems.is_empty();
        for problem in problems {
            eprintln!("{file}: {problem}");
        }
    }
    if good { ExitCode::SUCCESS } else { ExitCode::from(1) }
}
