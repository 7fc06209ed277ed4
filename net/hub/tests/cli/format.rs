//! `tidegate format`: what it makes, what it refuses, and that a refusal leaves nothing.

use std::fs;
use std::path::Path;

use tidegate_client::channels_file::{ChannelsFile, PlannedChannel, PlannedTerms};
use tidegate_client::key_file::KeyFile;
use tidegate_ledger::{Condition, Genesis};
use tidegate_types::{Age, Amount, KeyBytes};

use super::support::Place;

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("small")
}

fn plan(place: &Place, reserve: u64) -> ChannelsFile {
    place.key("client.key");
    let client = KeyFile::open(&place.path("client.key")).expect("a key").public();
    let channel = PlannedChannel {
        client,
        payout: client,
        delegate: KeyBytes::ZERO,
        capacity: sat(100_000),
        opening_share: sat(40_000),
    };
    ChannelsFile {
        terms: PlannedTerms {
            block_interval_ms: 250,
            margin: Age::new(6),
            ack_interval_ms: 1_000,
            max_lock: Age::new(500),
            dispute_window: Age::new(200),
            reserve: sat(reserve),
            fee: sat(3),
        },
        channels: vec![channel; 3],
    }
}

#[test]
fn funds_and_channels_stand_in_the_genesis() {
    let place = Place::new();
    plan(&place, 100).write(&place.path("plan")).expect("writable");
    let public = place.key("alice.key");
    let fund = format!("{public}=5000");
    let made = place.json(&[
        "format",
        "--data",
        "hub",
        "--channels",
        "plan",
        "--fund",
        &fund,
        "--fund",
        "alice.key=600",
    ]);
    assert_eq!(
        (made["channels"].as_u64(), made["outputs"].as_u64()),
        (Some(3), Some(6))
    );
    assert_eq!(made["hub_funds_sat"], 10_000_000_000_u64);
    assert_eq!(made["supply_sat"], 10_000_000_000_u64 + 300_000 + 5_600);
    assert!(
        made["address"]
            .as_str()
            .is_some_and(|text| text.starts_with("tg1") && text.ends_with("@127.0.0.1:7411"))
    );
    let bytes = fs::read(place.path("hub/genesis")).expect("a genesis");
    let genesis = Genesis::parse(&bytes).expect("a good genesis");
    assert_eq!(genesis.ledger().to_string(), made["ledger"].as_str().expect("a text"));
    let (_, first) = genesis.outputs().next().expect("outputs").expect("they decode");
    let Condition::Channel(terms) = first.condition else {
        panic!("channels come first")
    };
    assert_eq!(
        (terms.nonce, terms.client_reserve, terms.dispute_window),
        (0, sat(100), Age::new(200))
    );
    assert_eq!(terms.hub.to_string(), made["hub"].as_str().expect("a text"));
    // The plan's terms are the hub's.
    let config = place.json(&["config", "show", "--data", "hub"]);
    assert_eq!(config["fees"]["base_sat"], 3);
    assert_eq!(config["ledger"]["block_interval_ms"], 250);
    let verdict = place.json(&["verify", "--data", "hub"]);
    assert_eq!(
        (verdict["ok"].as_bool(), verdict["channels"].as_u64()),
        (Some(true), Some(3))
    );
}

#[test]
fn the_hub_gets_what_is_said() {
    let place = Place::new();
    let made = place.json(&[
        "format",
        "--data",
        "hub",
        "--fund",
        "hub=12_345",
        "--listen",
        "127.0.0.1:9",
    ]);
    assert_eq!(
        (made["hub_funds_sat"].as_u64(), made["supply_sat"].as_u64()),
        (Some(12_345), Some(12_345))
    );
    assert!(
        made["address"]
            .as_str()
            .is_some_and(|text| text.ends_with("@127.0.0.1:9"))
    );
    let none = place.json(&["format", "--data", "poor", "--fund", "hub=0"]);
    assert_eq!(none["outputs"], 0);
}

#[test]
fn a_used_directory_is_left_as_it_is() {
    let place = Place::new();
    place.good(&["format", "--data", "hub"]);
    let before = fs::read(place.path("hub/hub.key")).expect("keys");
    let line = place.bad(1, "TG-0201", &["format", "--data", "hub"]);
    assert!(line.contains("it holds a hub"), "{line}");
    assert_eq!(fs::read(place.path("hub/hub.key")).expect("keys"), before);
    fs::create_dir(place.path("other")).expect("a folder");
    fs::write(place.path("other/letter"), "dear").expect("writable");
    place.bad(1, "TG-0201", &["format", "--data", "other"]);
    let names: Vec<_> = fs::read_dir(place.path("other")).expect("a folder").collect();
    assert_eq!(names.len(), 1, "no lock file among other people's files");
    // An empty directory, as a mount point is, will do.
    fs::create_dir(place.path("empty")).expect("a folder");
    place.good(&["format", "--data", "empty"]);
}

#[test]
fn a_locked_directory_names_its_owner() {
    let place = Place::new();
    place.good(&["format", "--data", "hub"]);
    let hub = place.start("hub");
    for words in [
        &["format", "--data", "hub"][..],
        &[
            "start",
            "--data",
            "hub",
            "--dev",
            "--listen",
            "127.0.0.1:0",
            "--admin",
            "127.0.0.1:0",
        ],
        &["verify", "--data", "hub"],
        &["export", "--data", "hub"],
        &["inspect", "root", "--data", "hub"],
    ] {
        let line = place.bad(1, "TG-0202", words);
        assert!(line.contains("in use by process"), "{line}");
    }
    hub.stop();
}

#[test]
fn a_failure_leaves_nothing_behind() {
    let place = Place::new();
    let file = plan(&place, 100);
    file.write(&place.path("good")).expect("writable");
    let bytes = fs::read(place.path("good")).expect("it is there");
    let mut damaged = bytes.clone();
    damaged[bytes.len() - 100] ^= 1;
    for (name, content) in [
        ("damaged", damaged.as_slice()),
        ("truncated", &bytes[..bytes.len() - 50]),
        ("header", &bytes[..20]),
        ("empty", &[][..]),
        (
            "other",
            &b"not a channels file at all, but long enough for a header of one....."[..],
        ),
    ] {
        fs::write(place.path(name), content).expect("writable");
        place.bad(1, "TG-0208", &["format", "--data", "hub", "--channels", name]);
    }
    place.bad(1, "TG-0208", &["format", "--data", "hub", "--channels", "none"]);
    // A side below its reserve: found only when the genesis is checked.
    plan_again(&place, 50_000).write(&place.path("poor")).expect("writable");
    let line = place.bad(1, "TG-0207", &["format", "--data", "hub", "--channels", "poor"]);
    assert!(line.contains("below its reserve"), "{line}");
    fs::write(place.path("genesis"), "TGGENES1 but not more").expect("writable");
    place.bad(1, "TG-0207", &["format", "--data", "hub", "--genesis", "genesis"]);
    assert!(!place.path("hub").exists());
}

fn plan_again(place: &Place, reserve: u64) -> ChannelsFile {
    fs::remove_file(place.path("client.key")).expect("it is there");
    plan(place, reserve)
}

#[test]
fn a_failure_half_way_clears_an_empty_directory() {
    let place = Place::new();
    let nested = place.path("file");
    fs::write(&nested, "").expect("writable");
    let below = nested.join("hub");
    let ran = place.run(&["format", "--data", below.to_str().expect("UTF-8")]);
    assert_eq!(ran.code, 1, "{ran:?}");
    // No log segment fits: the state fails after ledger and genesis were written.
    let mut command = place.command(&["format", "--data", "hub"]);
    let limited = limit_file_size(&mut command);
    limited.assert_error(1, "TG-0205");
    assert!(!Path::new(&place.path("hub")).exists(), "{:?}", place.names());
}

/// Runs a command that may write files of 4 MiB at most.
fn limit_file_size(command: &mut std::process::Command) -> super::support::Ran {
    let program = command.get_program().to_owned();
    let words: Vec<_> = command.get_args().map(ToOwned::to_owned).collect();
    let mut shell = std::process::Command::new("sh");
    // SIGXFSZ is ignored, so that the write fails with an error instead of ending the process.
    shell
        .args(["-c", "trap '' XFSZ; ulimit -f 8192; exec \"$0\" \"$@\""])
        .arg(program)
        .args(words);
    shell.current_dir(command.get_current_dir().expect("it was set"));
    super::support::Ran::of(&shell.output().expect("there is a shell"))
}
