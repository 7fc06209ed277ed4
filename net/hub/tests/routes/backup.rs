//! What a hub holds against its next hub is in its backup, and in what is restored from that.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use serde_json::Value;
use tidegate_client::FileStore;
use tidegate_disk::RealDisk;
use tidegate_table::{SealedItem, SealedReader, SealedWriter};

use super::payment::{End, Payee, Trial};
use super::stale::journals;
use super::world::{World, failing_verb, verb};

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

fn json(words: &[&str]) -> Value {
    serde_json::from_str(&verb(&[words, &["--json"]].concat())).expect("JSON")
}

/// The same content as the first format had it: without journals.
fn as_format_1(from: &Path, to: &Path) {
    let mut reader = SealedReader::open(&RealDisk, from).expect("a backup");
    let disk: Arc<dyn tidegate_disk::Disk> = Arc::new(RealDisk);
    let mut writer = SealedWriter::create(&disk, to).expect("a new file");
    let mut part = String::new();
    loop {
        match reader.next_item().expect("a whole backup") {
            SealedItem::Part(name) => {
                name.clone_into(&mut part);
                if part != "routes" {
                    writer.begin_part(name).expect("a writable folder");
                }
            }
            SealedItem::Unit(_) if part == "routes" => {}
            SealedItem::Unit(unit) if part == "about" => {
                let mut about: Value = serde_json::from_slice(unit).expect("JSON");
                about["format"] = 1.into();
                let unit = serde_json::to_vec(&about).expect("plain values");
                writer.unit(&unit).expect("a writable folder");
            }
            SealedItem::Unit(unit) => writer.unit(unit).expect("a writable folder"),
            SealedItem::End => break,
        }
    }
    writer.seal().expect("a writable folder");
}

#[test]
fn the_journals_of_routes_are_backed_up_and_restored() {
    let mut world = World::new();
    let paid = Trial::new(&world, 1, Payee::Fulfils).run(&mut world);
    assert_eq!(paid, End::PaidThrough);
    let (hub, next) = (&world.hubs[0], &world.hubs[1]);
    let file = |name: &str| world.folder.path().join(name);
    let (one, old, bad) = (file("one.backup"), file("old.backup"), file("bad.backup"));
    // While it serves: nobody waits for a backup.
    json(&["backup", "--data", text(&hub.dir), "--to", text(&one)]);
    let checked = json(&["backup", "verify", text(&one)]);
    assert_eq!(
        (&checked["ok"], &checked["journals"]),
        (&true.into(), &1.into()),
        "{checked}"
    );

    let (copy, copy_of_old) = (file("copy"), file("copy-of-old"));
    verb(&["restore", text(&one), "--data", text(&copy)]);
    hub.stop();
    let read = |dir: &Path| FileStore::copy(&RealDisk, &journals(dir, (hub, next))).expect("journals");
    let (restored, held) = (read(&copy), read(&hub.dir));
    assert_eq!((restored.len(), restored[0].0), (1, world.channels[1]));
    assert!(
        held[0].1.starts_with(&restored[0].1),
        "what stood there, and nothing else"
    );
    // The payment is in it: its journal is longer than a channel's that was never used.
    let shown = FileStore::look(&RealDisk, &journals(&copy, (hub, next))).expect("journals");
    let before = format!("{shown:?}");
    assert!(before.contains("State(") && before.contains("Receipt("), "{before}");

    as_format_1(&one, &old);
    let checked = json(&["backup", "verify", text(&old)]);
    assert_eq!(
        (&checked["ok"], &checked["journals"]),
        (&true.into(), &0.into()),
        "{checked}"
    );
    verb(&["restore", text(&old), "--data", text(&copy_of_old)]);
    assert!(!copy_of_old.join("routes").exists());

    // A flipped bit in the journal's bytes is found as anywhere else.
    let mut bytes = fs::read(&one).expect("a backup");
    let at = bytes
        .windows(64)
        .position(|part| *part == restored[0].1[..64])
        .expect("it holds the journal");
    bytes[at + 40] ^= 1;
    fs::write(&bad, &bytes).expect("a writable folder");
    assert!(failing_verb(&["backup", "verify", text(&bad)]).contains("TG-0222"));
}
