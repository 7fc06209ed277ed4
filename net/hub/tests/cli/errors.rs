//! Every class of error: one line, its code, what to do, exit code 1, nothing made.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use super::support::{Place, Ran};

const NOBODY: &str = "127.0.0.1:1";

#[test]
fn bad_amounts_and_keys() {
    let place = Place::new();
    place.key("alice.key");
    for fund in [
        "alice.key=-5",
        "alice.key=1.5",
        "alice.key=",
        "alice.key",
        "alice.key=9007199254740993",
        "hub=x",
    ] {
        place.bad(1, "TG-0110", &["format", "--data", "hub", "--fund", fund]);
    }
    let small_order = format!("{}=5", "00".repeat(32));
    for fund in ["nobody=5", &small_order] {
        place.bad(1, "TG-0111", &["format", "--data", "hub", "--fund", fund]);
    }
    place.bad(1, "TG-0207", &["format", "--data", "hub", "--fund", "alice.key=5"]);
    assert_eq!(place.names(), ["alice.key"]);
}

#[test]
fn bad_configurations() {
    let place = Place::new();
    fs::write(place.path("hub.toml"), "[fees]\nbase = 1\n").expect("writable");
    place.bad(1, "TG-0102", &["format", "--data", "hub", "--config", "hub.toml"]);
    place.bad(1, "TG-0102", &["format", "--data", "hub", "--set", "fees.base=1"]);
    place.bad(
        1,
        "TG-0103",
        &["format", "--data", "hub", "--set", "payments.max_lock_blocks=1"],
    );
    place.good(&["format", "--data", "hub"]);
    let start = |more: &[&str], code: &str| {
        place.bad(
            1,
            code,
            &[&["start", "--dev", "--data", "hub", "--listen", "127.0.0.1:0"], more].concat(),
        );
    };
    start(&["--set", "ledger.block_interval_ms=100"], "TG-0209");
    start(&["--set", "cpu.backend=z80"], "TG-0103");
    start(&["--admin", "192.0.2.1:7412"], "TG-0401");
}

#[test]
fn directories_without_a_whole_hub() {
    let place = Place::new();
    place.bad(1, "TG-0203", &["start", "--data", "none", "--dev"]);
    for verb in ["verify", "export"] {
        place.bad(1, "TG-0203", &[verb, "--data", "none"]);
    }
    place.good(&["format", "--data", "hub"]);
    let keys = fs::read_to_string(place.path("hub/hub.key")).expect("text");
    fs::write(place.path("hub/hub.key"), keys.replacen('0', "1", 1)).expect("writable");
    place.bad(1, "TG-0204", &["start", "--data", "hub", "--dev"]);
    fs::write(place.path("hub/hub.key"), &keys).expect("writable");
    let genesis = fs::read(place.path("hub/genesis")).expect("bytes");
    fs::write(place.path("hub/genesis"), &genesis[..40]).expect("writable");
    place.bad(1, "TG-0207", &["start", "--data", "hub", "--dev"]);
}

#[test]
fn bad_addresses_and_ids() {
    let place = Place::new();
    place.key("alice.key");
    let made = place.json(&["format", "--data", "hub", "--listen", NOBODY]);
    let address = made["address"].as_str().expect("a text");
    let list = |hub: &str, more: &[&str]| {
        let words = [
            &["channel", "list", "--hub", hub, "--key", "alice.key", "--timeout", "2"],
            more,
        ]
        .concat();
        place.run(&words)
    };
    let mistyped = address.replacen("tg1", "tg1q", 1);
    for bad in [
        "tg1",
        "127.0.0.1:1",
        &mistyped,
        address.split('@').next().expect("keys"),
    ] {
        list(bad, &[]).assert_error(1, "TG-0112");
    }
    list(address, &["--ledger-id", "12"]).assert_error(1, "TG-0114");
    list(address, &["--admin", NOBODY]).assert_error(1, "TG-0402");
    list(&address.replace("127.0.0.1", "192.0.2.1"), &[]).assert_error(1, "TG-0403");
    let ledger = made["ledger"].as_str().expect("a text");
    list(address, &["--ledger-id", ledger]).assert_error(1, "TG-0501");
    place.bad(1, "TG-0114", &["inspect", "channel", "abc", "--data", "hub"]);
    place.bad(1, "TG-0213", &["inspect", "channel", &"ab".repeat(32), "--data", "hub"]);
    place.bad(1, "TG-0402", &["inspect", "root", "--admin", NOBODY]);
}

#[test]
fn bad_profiles() {
    let place = Place::new();
    place.bad(1, "TG-0113", &["benchmark", "--profile", "slow"]);
    fs::write(place.path("mine.toml"), "about = 1\n").expect("writable");
    let line = place.bad(1, "TG-0113", &["benchmark", "--profile", "mine.toml"]);
    assert!(line.contains("mine.toml:1"), "{line}");
    assert_eq!(place.names(), ["mine.toml"]);
}

#[test]
fn key_files() {
    let place = Place::new();
    let public = place.key("alice.key");
    assert_eq!(
        place.json(&["key", "show", "alice.key"])["public"].as_str(),
        Some(public.as_str())
    );
    place.bad(1, "TG-0301", &["key", "new", "--out", "alice.key", "--plain"]);
    // No terminal, no file, no variable: nobody can say a password.
    place.bad(1, "TG-0303", &["key", "new", "--out", "bob.key"]);
    fs::write(place.path("password"), "open sesame\n").expect("writable");
    place.good(&["key", "new", "--out", "bob.key", "--password-file", "password"]);
    assert_eq!(place.json(&["key", "show", "bob.key"])["encrypted"], true);
    fs::set_permissions(place.path("alice.key"), fs::Permissions::from_mode(0o644)).expect("ours");
    place.bad(1, "TG-0302", &["key", "show", "alice.key"]);
    place.bad(1, "TG-0205", &["key", "new", "--out", "none/carol.key", "--plain"]);
    let made = place.json(&["format", "--data", "hub"]);
    let address = made["address"].as_str().expect("a text");
    let words = [
        "channel",
        "list",
        "--hub",
        address,
        "--key",
        "bob.key",
        "--ledger-id",
        &"ab".repeat(32),
    ];
    place.bad(1, "TG-0303", &words);
    let mut command = place.command(&words);
    let wrong = command
        .env("TIDEGATE_PASSWORD", "closed")
        .output()
        .expect("the program runs");
    Ran::of(&wrong).assert_error(1, "TG-0303");
}
