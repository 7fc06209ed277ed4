//! Backup of a running hub, its check, its restoration, and a restored directory that never signs.

use std::fs;

use serde_json::Value;
use tidegate_disk::RealDisk;
use tidegate_table::{SealedItem, SealedReader};

use super::support::{Hub, Place, copy_dir};
use super::verify::snapshot;

struct World {
    place: Place,
    hub: Hub,
    payee: String,
}

impl World {
    /// A running hub with two channels, and one payment between them.
    fn new() -> Self {
        let place = Place::new();
        for name in ["alice.key", "bob.key"] {
            place.key(name);
        }
        let funds = ["--fund", "alice.key=1000000", "--fund", "bob.key=1000000"];
        place.good(&[&["format", "--data", "hub"], &funds[..]].concat());
        let hub = place.start("hub");
        let open = |key: &str| wallet(&place, &hub, key, &["open", "--capacity", "400000", "--own", "200000"]);
        open("alice.key");
        let payee = open("bob.key")["channel"].as_str().expect("an id").to_owned();
        let world = Self { place, hub, payee };
        world.pay(2_500);
        world
    }

    fn pay(&self, amount: u64) {
        let words = ["pay", "--to", &self.payee, "--amount", &amount.to_string()];
        wallet(&self.place, &self.hub, "alice.key", &words);
    }

    fn root(&self) -> Value {
        self.place.json(&["inspect", "root", "--admin", &self.hub.admin])["state_root"].clone()
    }

    fn backup(&self, to: &str) -> Value {
        self.place.json(&["backup", "--data", "hub", "--to", to])
    }
}

fn wallet(place: &Place, hub: &Hub, key: &str, words: &[&str]) -> Value {
    let flags = [
        "--hub",
        &hub.address,
        "--admin",
        &hub.admin,
        "--key",
        key,
        "--wallet",
        "wallet",
    ];
    place.json(&[&["channel"], words, &flags].concat())
}

#[test]
fn a_running_hub_is_backed_up_and_its_copy_never_signs() {
    let world = World::new();
    let place = &world.place;
    let (root, made) = (world.root(), world.backup("one.backup"));
    world.pay(100);
    let checked = place.json(&["backup", "verify", "one.backup"]);
    assert_eq!(
        (&checked["ok"], &checked["state_root"]),
        (&Value::Bool(true), &root),
        "{checked}"
    );
    assert_eq!((&checked["lsn"], &checked["blake3"]), (&made["lsn"], &made["blake3"]));
    let later = world.backup("two.backup");
    assert!(later["lsn"].as_u64() > made["lsn"].as_u64(), "{later}");

    let told = place.good(&["restore", "one.backup", "--data", "copy"]);
    assert!(told.contains("never signs again") && told.contains("new key"), "{told}");
    let verdict = place.json(&["verify", "--data", "copy"]);
    assert_eq!(
        (&verdict["ok"], &verdict["state_root"]),
        (&Value::Bool(true), &root),
        "{verdict}"
    );
    assert_eq!(
        (&verdict["restored"], &verdict["lsn"]),
        (&Value::Bool(true), &made["lsn"])
    );
    let start = [
        "start",
        "--dev",
        "--listen",
        "127.0.0.1:0",
        "--admin",
        "127.0.0.1:0",
        "--data",
        "copy",
    ];
    place.bad(1, "TG-0221", &start);
    // Not with the key put back either, and nothing is touched by trying.
    fs::copy(place.path("hub/hub.key"), place.path("copy/hub.key")).expect("a copy");
    let before = snapshot(&place.path("copy"));
    place.bad(1, "TG-0221", &start);
    assert!(
        snapshot(&place.path("copy")) == before,
        "the refused start has changed something"
    );
    world.hub.stop();
    let verdict = place.json(&["verify", "--data", "hub"]);
    assert_eq!(
        (&verdict["ok"], &verdict["restored"]),
        (&Value::Bool(true), &Value::Bool(false))
    );
}

#[test]
fn what_is_there_is_not_overwritten() {
    let world = World::new();
    let place = &world.place;
    world.backup("one.backup");
    let bytes = fs::read(place.path("one.backup")).expect("a backup");
    place.bad(1, "TG-0223", &["backup", "--data", "hub", "--to", "one.backup"]);
    assert!(fs::read(place.path("one.backup")).expect("a backup") == bytes);
    let held = fs::File::create(place.path("two.backup.part")).expect("a new file");
    held.lock().expect("nobody holds it");
    place.bad(1, "TG-0223", &["backup", "--data", "hub", "--to", "two.backup"]);
    for used in ["hub", "wallet"] {
        let before = snapshot(&place.path("wallet"));
        let ran = place.run(&["restore", "one.backup", "--data", used]);
        assert!(ran.err.starts_with("error[TG-020"), "{ran:?}");
        assert!(snapshot(&place.path("wallet")) == before);
    }
    place.bad(1, "TG-0203", &["backup", "--data", "wallet", "--to", "three.backup"]);
    place.bad(
        1,
        "TG-0205",
        &["backup", "--data", "hub", "--to", "nowhere/three.backup"],
    );
    assert!(
        !place.names().iter().any(|name| name.starts_with("three")),
        "{:?}",
        place.names()
    );
}

#[test]
fn damage_is_named_and_nothing_is_restored_from_it() {
    let world = World::new();
    let place = &world.place;
    world.backup("one.backup");
    let bytes = fs::read(place.path("one.backup")).expect("a backup");
    let last = bytes.len() - 1;
    for at in [0, 70, 400, bytes.len() / 2, last] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 4;
        fs::write(place.path("bad.backup"), &damaged).expect("writable");
        let line = place.bad(1, "TG-0222", &["backup", "verify", "bad.backup"]);
        assert!(line.contains("bad.backup at offset "), "{line}");
        place.bad(1, "TG-0222", &["restore", "bad.backup", "--data", "copy"]);
        assert!(!place.path("copy").exists(), "byte {at} left a directory behind");
    }
    fs::write(place.path("bad.backup"), &bytes[..last]).expect("writable");
    place.bad(1, "TG-0222", &["backup", "verify", "bad.backup"]);
    fs::write(place.path("bad.backup"), &bytes).expect("writable");
    place.good(&["backup", "verify", "bad.backup"]);
}

/// A backup that was interrupted at any byte goes on, and is in the end the one that was not.
#[test]
fn an_interrupted_backup_goes_on() {
    let world = World::new();
    let place = &world.place;
    world.backup("whole.backup");
    let bytes = fs::read(place.path("whole.backup")).expect("a backup");
    for (at, length) in [100, bytes.len() / 3, bytes.len() / 2, bytes.len() - 10]
        .into_iter()
        .enumerate()
    {
        let name = format!("{at}.backup");
        fs::write(place.path(&format!("{name}.part")), &bytes[..length]).expect("writable");
        let made = world.backup(&name);
        assert_eq!(made["resumed_bytes"].as_u64() > Some(64), length > 100, "{made}");
        assert_eq!(place.json(&["backup", "verify", &name])["ok"], true);
        if length == bytes.len() - 10 {
            assert!(
                fs::read(place.path(&name)).expect("a backup") == bytes,
                "the same to the byte"
            );
        }
        assert!(!place.path(&format!("{name}.part")).exists());
    }
    // What is left of a backup of an image that has been overwritten since is of no use: it begins again.
    world.hub.stop();
    place.start("hub").stop();
    fs::write(place.path("old.backup.part"), &bytes[..bytes.len() / 2]).expect("writable");
    let made = place.json(&["backup", "--data", "hub", "--to", "old.backup"]);
    assert_eq!(made["resumed_bytes"], 0, "{made}");
    assert_eq!(place.json(&["backup", "verify", "old.backup"])["ok"], true, "{made}");
}

/// The bytes of a backup up to the end of the last record of the log.
fn up_to_the_log(place: &Place, name: &str) -> Vec<u8> {
    let path = place.path(name);
    let mut reader = SealedReader::open(&RealDisk, &path).expect("a backup");
    let (mut in_log, mut end) = (false, 0);
    loop {
        match reader.next_item().expect("a whole backup") {
            SealedItem::Part(name) => in_log = name == "log",
            SealedItem::Unit(_) if in_log => end = usize::try_from(reader.progress().0).expect("small"),
            SealedItem::Unit(_) => {}
            SealedItem::End => break,
        }
    }
    fs::read(path).expect("a backup")[..end].to_vec()
}

/// A backup reads records that the hub has not synced yet. If it is interrupted there and the power goes, the hub may have other
/// records of the same numbers when the backup goes on.
#[test]
fn records_that_the_hub_has_lost_are_not_taken_from_an_interrupted_backup() {
    let world = World::new();
    let place = &world.place;
    let alice = wallet(place, &world.hub, "alice.key", &["list"])["channels"][0]["channel"].clone();
    copy_dir(&place.path("hub"), &place.path("before"));
    world.pay(111);
    let first = world.backup("first.backup");
    let World { place, hub, payee } = world;
    hub.kill();
    fs::remove_dir_all(place.path("hub")).expect("the hub is gone");
    fs::rename(place.path("before"), place.path("hub")).expect("a folder");
    let hub = place.start("hub");
    for amount in ["7", "8", "9", "10"] {
        let words = ["pay", "--to", alice.as_str().expect("an id"), "--amount", amount];
        wallet(&place, &hub, "bob.key", &words);
    }
    fs::write(place.path("second.backup.part"), up_to_the_log(&place, "first.backup")).expect("writable");
    let made = place.json(&["backup", "--data", "hub", "--to", "second.backup"]);
    assert!(made["lsn"].as_u64() > first["lsn"].as_u64(), "{first}, then {made}");
    let checked = place.json(&["backup", "verify", "second.backup"]);
    assert_eq!(
        (&checked["ok"], &made["resumed_bytes"]),
        (&Value::Bool(true), &Value::from(0)),
        "{checked} {made} {payee}"
    );
}
