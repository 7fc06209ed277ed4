//! `tidegate inspect wal|table|checkpoint`: of a running hub, of a stopped one, and of one in trouble.

use std::fs;
use std::time::Duration;

use serde_json::Value;

use super::support::{Hub, Place, number};

/// A running hub with a channel or two.
fn running(place: &Place) -> Hub {
    place.key("alice.key");
    place.good(&["format", "--data", "hub", "--fund", "alice.key=1000000"]);
    let hub = place.start("hub");
    open(place, &hub);
    open(place, &hub);
    // A channel is open once its block is final; the hub's batch follows, and so does the segment that is made ready.
    let settled = (0..200).any(|_| {
        let log = place.json(&["inspect", "wal", "--admin", &hub.admin]);
        let done = number(&log, "newest_lsn") >= 2 && log["segments"].as_array().is_some_and(|all| all.len() == 2);
        if !done {
            std::thread::sleep(Duration::from_millis(50));
        }
        done
    });
    assert!(settled, "two batches and a second segment");
    hub
}

fn open(place: &Place, hub: &Hub) {
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
    place.json(
        &[
            &["channel", "open", "--capacity", "200000", "--own", "150000"],
            &flags[..],
        ]
        .concat(),
    );
}

fn flip(place: &Place, name: &str, at: usize) {
    let path = place.path(name);
    let mut bytes = fs::read(&path).expect("a file");
    bytes[at] ^= 0x10;
    fs::write(&path, bytes).expect("writable");
}

#[test]
fn the_log_of_a_running_and_of_a_dead_hub() {
    let place = Place::new();
    let hub = running(&place);
    let live = place.json(&["inspect", "wal", "--admin", &hub.admin]);
    let newest = number(&live, "newest_lsn");
    assert!(newest >= 2, "{live}");
    assert_eq!(
        (&live["segments"][0]["state"], &live["checked"]),
        (&"active".into(), &false.into())
    );
    assert_eq!(number(&live["segments"][0], "records"), newest);
    hub.kill();

    let dead = place.json(&["inspect", "wal", "--data", "hub"]);
    assert_eq!(number(&dead, "newest_lsn"), newest);
    let first = &dead["segments"][0];
    assert_eq!((number(first, "first_lsn"), number(first, "last_lsn")), (1, newest));
    assert_eq!((number(first, "first_epoch"), number(first, "leftovers")), (1, 0));
    assert_eq!(dead["segments"][1]["state"], "ready");
    assert_eq!(number(first, "used_bytes"), number(&dead["end"], "offset"));
    assert_eq!((&dead["end"]["torn"], &dead["checked"]), (&false.into(), &true.into()));
    assert!(number(&dead["ledger"], "newest_lsn") >= 2, "{dead}");
    let lines = place.good(&["inspect", "wal", "--data", "hub"]);
    assert!(
        lines.contains("active") && lines.contains("ready") && lines.contains(", whole"),
        "{lines}"
    );

    // The second life of the hub writes with another epoch, behind a checkpoint.
    let hub = place.start("hub");
    open(&place, &hub);
    hub.stop();
    let stopped = place.json(&["inspect", "wal", "--data", "hub"]);
    assert_eq!(number(&stopped, "newest_lsn"), number(&stopped, "checkpoint_lsn"));
    assert_eq!(number(&stopped["segments"][0], "last_epoch"), 2);
}

#[test]
fn damage_of_the_log_is_named_with_what_can_still_be_read() {
    let place = Place::new();
    running(&place).kill();
    // The first record: the second says that it was durable.
    flip(&place, "hub/wal/log-0000000000000001.seg", 80);
    let ran = place.run(&["inspect", "wal", "--data", "hub", "--json"]);
    ran.assert_error(1, "TG-0212");
    let rows: Value = serde_json::from_str(&ran.out).expect("JSON all the same");
    assert_eq!(rows["newest_lsn"], Value::Null);
    assert!(number(&rows["segments"][0], "leftovers") >= 2, "{rows}");
    let problem = &rows["problems"][0];
    assert_eq!((number(problem, "offset"), number(problem, "lsn")), (0, 1));
    // Without a checkpoint that could be read, the log speaks for itself.
    flip(&place, "hub/wal/log-0000000000000001.seg", 80);
    fs::remove_file(place.path("hub/state/superblock")).expect("a file");
    let rows = place.json(&["inspect", "wal", "--data", "hub"]);
    assert_eq!(
        (&rows["checkpoint_lsn"], &rows["problems"]),
        (&Value::Null, &Value::Array(vec![]))
    );
    assert!(number(&rows, "newest_lsn") >= 2);
    // A segment that is missing is named, and the others are listed.
    fs::rename(
        place.path("hub/wal/log-0000000000000002.seg"),
        place.path("hub/wal/log-0000000000000003.seg"),
    )
    .expect("ours");
    let ran = place.run(&["inspect", "wal", "--data", "hub"]);
    ran.assert_error(1, "TG-0212");
    assert!(ran.out.contains("log-0000000000000002.seg is missing"), "{ran:?}");
}

#[test]
fn the_tables_of_a_running_and_of_a_dead_hub() {
    let place = Place::new();
    let hub = running(&place);
    let live = place.json(&["inspect", "table", "--admin", &hub.admin]);
    hub.kill();
    let dead = place.json(&["inspect", "table", "--data", "hub"]);
    // Blocks go on, and a batch of nothing else may come before the end.
    assert!(number(&live, "batch") <= number(&dead, "batch"));
    for (live, dead) in live["tables"]
        .as_array()
        .expect("a list")
        .iter()
        .zip(dead["tables"].as_array().expect("a list"))
    {
        for key in ["name", "record_bytes", "used", "capacity", "pages"] {
            assert_eq!(live[key], dead[key], "{key}");
        }
        // All of it is newer than the first checkpoint, also after a replay.
        assert!(number(live, "dirty_pages") <= number(dead, "dirty_pages"));
        assert_eq!(live["free"], Value::Null);
        assert!(number(dead, "free") <= number(dead, "used"));
    }
    let channels = &dead["tables"][1];
    assert_eq!((&channels["name"], number(channels, "used")), (&"channels".into(), 2));
    assert!(number(channels, "dirty_pages") > 0);
    let lines = place.good(&["inspect", "table", "--data", "hub"]);
    assert!(lines.contains("channels") && lines.contains("changed"), "{lines}");
}

#[test]
fn both_checkpoints_with_their_roots() {
    let place = Place::new();
    let hub = running(&place);
    let live = place.json(&["inspect", "checkpoint", "--admin", &hub.admin]);
    assert_eq!(
        (&live["slots"][0]["superblock"], &live["slots"][1]["superblock"]),
        (&"empty".into(), &"whole".into())
    );
    hub.stop();
    let rows = place.json(&["inspect", "checkpoint", "--data", "hub"]);
    let root = place.json(&["inspect", "root", "--data", "hub"]);
    let (newest, older) = (&rows["slots"][0], &rows["slots"][1]);
    assert_eq!((number(newest, "sequence"), number(older, "sequence")), (2, 1));
    assert_eq!(
        (&newest["newest"], &newest["state_root"]),
        (&true.into(), &root["state_root"])
    );
    assert_eq!((number(older, "lsn"), number(older, "batch")), (0, 1));
    assert_ne!(older["state_root"], newest["state_root"]);
    assert_eq!((number(newest, "bad_pages"), number(older, "bad_pages")), (0, 0));
    // Damage of the older image is shown and harms nobody; of the newest, exit code 1.
    flip(&place, "hub/state/image-b-meta.pages", 9);
    let rows = place.json(&["inspect", "checkpoint", "--data", "hub"]);
    assert_eq!(number(&rows["slots"][1], "bad_pages"), 1);
    assert_eq!(number(&rows["slots"][1]["problems"][0], "offset"), 0);
    flip(&place, "hub/state/image-a-terms.pages", 4096 * 3 + 9);
    let ran = place.run(&["inspect", "checkpoint", "--data", "hub"]);
    ran.assert_error(1, "TG-0212");
    assert!(ran.out.contains("1 ARE NOT WHAT WAS WRITTEN"), "{ran:?}");
    assert!(
        ran.out.contains("hub/state/image-a-terms.pages at offset 12288"),
        "{ran:?}"
    );
}

#[test]
fn a_source_is_needed_and_a_running_hub_is_asked() {
    let place = Place::new();
    place.good(&["format", "--data", "hub"]);
    let hub = place.start("hub");
    for kind in ["wal", "table", "checkpoint"] {
        place.bad(2, "TG-0100", &["inspect", kind]);
        place.bad(1, "TG-0202", &["inspect", kind, "--data", "hub"]);
        place.bad(1, "TG-0402", &["inspect", kind, "--admin", "127.0.0.1:1"]);
        place.bad(1, "TG-0203", &["inspect", kind, "--data", "none"]);
        place.good(&["inspect", kind, "--admin", &hub.admin]);
    }
    hub.stop();
}
