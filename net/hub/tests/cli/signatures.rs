//! `tidegate inspect signatures`: every path of this machine, one verdict each.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};
use tidegate_crypto::keys::SecretKey;

use super::support::Place;

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[test]
fn good_and_bent_signatures_get_one_verdict_on_every_path() {
    let place = Place::new();
    let key = SecretKey::from_seed([5; 32]);
    let message = b"a message";
    let signature = key.sign(message);
    let mut bent = *signature.as_bytes();
    bent[40] ^= 1;
    let line = |signature: &[u8]| {
        let key = key.public().bytes().to_string();
        json!({"key": key, "message": hex(message), "signature": hex(signature)}).to_string()
    };
    fs::write(
        place.path("s.jsonl"),
        format!("{}\n{}\n", line(signature.as_bytes()), line(&bent)),
    )
    .expect("a file");
    let value = place.json(&["inspect", "signatures", "s.jsonl"]);
    assert_eq!((&value["checked"], &value["disagreements"]), (&2.into(), &0.into()));
    assert_eq!(value["signatures"][0]["verdict"], "valid");
    assert_eq!(value["signatures"][1]["verdict"], "invalid");
    let paths = value["paths"].as_array().expect("a list").len();
    assert!(paths >= 4, "{value}");
    // A person sees the verdict of each path, for each signature.
    let ran = place.run(&["inspect", "signatures", "s.jsonl"]);
    let lines = |word: &str| {
        ran.out
            .lines()
            .filter(|line| line.trim_start().starts_with(word))
            .count()
    };
    assert_eq!((lines("valid"), lines("invalid")), (paths, paths), "{}", ran.out);
}

#[test]
fn the_edge_cases_of_speccheck_agree() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/ed25519_speccheck.json");
    let Ok(text) = fs::read_to_string(file) else {
        println!("skipped: no ../shared/data");
        return;
    };
    let cases: Vec<Value> = serde_json::from_str(&text).expect("a list");
    let lines: Vec<String> = cases.iter().map(Value::to_string).collect();
    let place = Place::new();
    fs::write(place.path("s.jsonl"), lines.join("\n")).expect("a file");
    let value = place.json(&["inspect", "signatures", "s.jsonl"]);
    assert_eq!(
        (&value["checked"], &value["disagreements"]),
        (&12.into(), &0.into()),
        "{value}"
    );
}

#[test]
fn a_line_that_is_none_is_named() {
    let place = Place::new();
    fs::write(place.path("s.jsonl"), "{\"key\":\"00\"}\n").expect("a file");
    let ran = place.run(&["inspect", "signatures", "s.jsonl"]);
    assert_eq!(ran.code, 1);
    assert!(ran.err.contains("TG-0115") && ran.err.contains("line 1"), "{ran:?}");
}
