//! `tidegate verify` names what is wrong, and never writes.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use super::support::Place;

/// Every file below a folder: its bytes, and when it and its folder were changed last.
pub(crate) fn snapshot(dir: &Path) -> BTreeMap<String, (Vec<u8>, i64, i64)> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(dir).expect("a folder") {
        let entry = entry.expect("an entry");
        let (path, meta) = (entry.path(), entry.metadata().expect("metadata"));
        let bytes = if meta.is_dir() {
            found.extend(snapshot(&path));
            Vec::new()
        } else {
            fs::read(&path).expect("readable")
        };
        found.insert(path.display().to_string(), (bytes, meta.mtime(), meta.mtime_nsec()));
    }
    found
}

/// A hub that was killed while it ran: its logs end as they ended, its lock file names a dead process.
fn killed_hub(place: &Place) {
    place.key("alice.key");
    place.good(&["format", "--data", "hub", "--fund", "alice.key=1000000"]);
    let hub = place.start("hub");
    let flags = [
        "--hub",
        &hub.address,
        "--admin",
        &hub.admin,
        "--key",
        "alice.key",
        "--wallet",
        "wallet",
    ];
    // Each is a batch at least: the first record is not the last, which no log could tell from a torn one.
    for _ in 0..2 {
        place.json(
            &[
                &["channel", "open", "--capacity", "200000", "--own", "150000"],
                &flags[..],
            ]
            .concat(),
        );
    }
    // A channel is open once its block is final; the hub's batch follows.
    let settled = (0..200).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        place.json(&["inspect", "root", "--admin", &hub.admin])["batch"].as_u64() >= Some(3)
    });
    assert!(settled, "the genesis's batch, and one for each channel");
    hub.kill();
}

/// The hub's newest log segment, with half a record behind its last whole one.
fn tear(place: &Place) {
    let path = place.path("hub/wal/log-0000000000000001.seg");
    let mut bytes = fs::read(&path).expect("a segment");
    let last = bytes
        .chunks(4096)
        .rposition(|page| page.starts_with(b"TGL1"))
        .expect("a record")
        * 4096;
    let copy = bytes[last..last + 64].to_vec();
    bytes[last + 4096..last + 4096 + 64].copy_from_slice(&copy);
    // The number after the last; the checksum cannot hold.
    bytes[last + 4096 + 24] += 1;
    fs::write(&path, bytes).expect("writable");
}

#[test]
fn nothing_is_changed_not_even_a_torn_tail() {
    let place = Place::new();
    killed_hub(&place);
    tear(&place);
    let before = snapshot(&place.path("hub"));
    let verdict = place.json(&["verify", "--data", "hub"]);
    assert_eq!(
        (&verdict["ok"], &verdict["torn_tail"]),
        (&true.into(), &true.into()),
        "{verdict}"
    );
    assert_eq!(verdict["problems"], Value::Array(vec![]));
    let lines = place.good(&["verify", "--data", "hub"]);
    assert!(lines.contains("nobody was promised it"), "{lines}");
    for words in [&["inspect", "root"][..], &["export"]] {
        place.good(&[words, &["--data", "hub"]].concat());
    }
    assert!(snapshot(&place.path("hub")) == before, "a file or its time has changed");
    // The start that follows finds and erases it.
    let hub = place.start("hub");
    hub.stop();
    let verdict = place.json(&["verify", "--data", "hub"]);
    assert_eq!(
        (&verdict["ok"], &verdict["torn_tail"]),
        (&true.into(), &false.into()),
        "{verdict}"
    );
}

#[test]
fn a_medium_that_cannot_be_written_is_verified() {
    let place = Place::new();
    killed_hub(&place);
    let dirs = ["hub", "hub/state", "hub/wal", "hub/ledger"];
    for dir in dirs {
        for entry in fs::read_dir(place.path(dir))
            .expect("a folder")
            .map(|e| e.expect("an entry"))
        {
            if entry.file_type().expect("a type").is_file() {
                fs::set_permissions(entry.path(), Permissions::from_mode(0o400)).expect("ours");
            }
        }
        fs::set_permissions(place.path(dir), Permissions::from_mode(0o500)).expect("ours");
    }
    let verdict = place.json(&["verify", "--data", "hub"]);
    assert_eq!(verdict["ok"], true, "{verdict}");
    // Permissions do not bind the superuser; a read-only mount does.
    let script =
        "mount --bind hub hub && mount -o remount,ro,bind hub && ! touch hub/x 2>/dev/null && \"$0\" verify --data hub";
    let mut mounted = Command::new("unshare");
    mounted.args(["-m", "sh", "-c", script, env!("CARGO_BIN_EXE_tidegate")]);
    match mounted.current_dir(place.path("")).output() {
        Ok(ran) if ran.status.success() => {
            let out = String::from_utf8_lossy(&ran.stdout).into_owned();
            assert!(out.starts_with("good: hub"), "{out}");
        }
        other => println!("skipped: no read-only mount without privileges: {other:?}"),
    }
    for dir in dirs {
        fs::set_permissions(place.path(dir), Permissions::from_mode(0o700)).expect("ours");
    }
}

#[test]
fn damage_is_named_by_file_offset_and_record() {
    let place = Place::new();
    killed_hub(&place);
    let damage = |name: &str, at: usize| {
        let path = place.path(name);
        let mut bytes = fs::read(&path).expect("a file");
        bytes[at] ^= 0x10;
        fs::write(&path, bytes).expect("writable");
    };
    let problems = || {
        let ran = place.run(&["verify", "--data", "hub", "--json"]);
        ran.assert_error(1, "TG-0212");
        let verdict: Value = serde_json::from_str(&ran.out).expect("JSON");
        assert_eq!(verdict["ok"], false);
        verdict["problems"].as_array().expect("a list").clone()
    };
    // A page of the newest image: one problem, not one for every step that meets it.
    damage("hub/state/image-b-meta.pages", 100);
    let found = problems();
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0]["file"], "hub/state/image-b-meta.pages");
    assert_eq!(found[0]["offset"], 0);
    damage("hub/state/image-b-meta.pages", 100);
    // The first record of the log, with others behind it that call it durable.
    damage("hub/wal/log-0000000000000001.seg", 70);
    let found = problems();
    assert_eq!(
        (&found[0]["offset"], &found[0]["lsn"]),
        (&0.into(), &1.into()),
        "{found:?}"
    );
    assert_eq!(found[0]["file"], "hub/wal/log-0000000000000001.seg");
    damage("hub/wal/log-0000000000000001.seg", 70);
    damage("hub/ledger/log-0000000000000001.seg", 70);
    let found = problems();
    assert_eq!(
        (&found[0]["offset"], &found[0]["lsn"]),
        (&0.into(), &1.into()),
        "{found:?}"
    );
    damage("hub/ledger/log-0000000000000001.seg", 70);
    damage("hub/hub.key", 40);
    assert_eq!(problems()[0]["file"], "hub/hub.key");
    damage("hub/hub.key", 40);
    assert_eq!(place.json(&["verify", "--data", "hub"])["ok"], true);
}

#[test]
fn a_running_hub_is_not_verified_and_a_verified_one_not_started() {
    let place = Place::new();
    place.good(&["format", "--data", "hub"]);
    let hub = place.start("hub");
    let line = place.bad(1, "TG-0202", &["verify", "--data", "hub"]);
    assert!(line.contains("in use by process"), "{line}");
    hub.stop();
    let held = fs::File::open(place.path("hub/LOCK")).expect("a lock file");
    held.lock_shared().expect("nobody owns it");
    place.good(&["verify", "--data", "hub"]);
    let line = place.bad(1, "TG-0202", &["start", "--data", "hub", "--dev"]);
    assert!(line.contains("in use by another process"), "{line}");
}
