//! The table of traces in the README names tests that are there, and every trace.

use std::path::Path;

/// The cells of each row that begins with a number.
fn rows(text: &str) -> impl Iterator<Item = (u8, Vec<&str>)> {
    text.lines().filter_map(|line| {
        let cells: Vec<&str> = line.strip_prefix('|')?.split('|').map(str::trim).collect();
        Some((cells.first()?.parse().ok()?, cells))
    })
}

#[test]
fn every_test_that_is_named_for_a_trace_is_there() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(root.join("README.md")).expect("the README");
    let mut traces = Vec::new();
    for (trace, cells) in rows(&text) {
        traces.push(trace);
        let mut quoted = cells[2..].iter().flat_map(|cell| cell.split('`').skip(1).step_by(2));
        while let Some(file) = quoted.next() {
            let name = quoted
                .next()
                .unwrap_or_else(|| panic!("trace {trace}: no test in {file}"));
            let source = std::fs::read_to_string(root.join("../..").join(file));
            let source = source.unwrap_or_else(|error| panic!("trace {trace}: {file}: {error}"));
            let test = format!("#[test]\nfn {name}()");
            assert!(source.contains(&test), "trace {trace}: no test {name} in {file}");
        }
    }
    assert_eq!(traces, (1..=26).collect::<Vec<u8>>());
}
