//! The bytes of each sample, frozen.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::samples;

/// One line for each sample: its name and the hex of the whole message.
const GOLDEN: &str = include_str!("../golden.txt");

/// SHA-256 of that file. A change of either is a new version of the protocol, or an addition at the end of the file.
const GOLDEN_SHA256: &str = "dab6fc3dd7fe7ea90551beb2fa3d4f98e91703085c4994b3c13813d7a3b04c44";

fn current() -> String {
    samples::all().iter().fold(String::new(), |mut text, sample| {
        writeln!(text, "{} {}", sample.name, hex::encode(&sample.bytes)).unwrap();
        text
    })
}

#[test]
fn the_bytes_of_every_message_are_frozen() {
    for (now, golden) in current().lines().zip(GOLDEN.lines()) {
        assert_eq!(now, golden);
    }
    assert_eq!(current(), GOLDEN, "a sample was added or taken away");
    assert_eq!(hex::encode(Sha256::digest(GOLDEN)), GOLDEN_SHA256);
}

#[test]
#[ignore = "writes the file that the other test checks; for whoever adds a message"]
fn write_golden() {
    std::fs::write(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden.txt"), current()).unwrap();
}
