//! The probes that the binary carries, as `readelf` lists them.

use std::process::Command;

#[test]
fn the_binary_names_its_probes() {
    let program = env!("CARGO_BIN_EXE_tidegate");
    let Ok(said) = Command::new("readelf").args(["--notes", "--wide", program]).output() else {
        eprintln!("skipped: no readelf (apt-get install binutils)");
        return;
    };
    assert!(said.status.success(), "readelf reads its own platform's programs");
    let notes = String::from_utf8_lossy(&said.stdout);
    let mut lines = notes.lines().map(str::trim);
    let mut names = Vec::new();
    while let Some(line) = lines.next() {
        if line.ends_with("Provider: tidegate") {
            let name = lines.next().and_then(|line| line.strip_prefix("Name: "));
            names.push(name.expect("a provider's probe has a name").to_owned());
        }
    }
    names.sort();
    names.dedup();
    let expected = ["batch__sealed", "frame__in", "receipt__out", "sync__begin", "sync__end"];
    assert_eq!(names, expected);
}
