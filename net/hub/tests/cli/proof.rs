//! Proofs of a channel's state under the state root, from a running hub and from its directory.

use std::fs;

use serde_json::Value;
use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::merkle::state_root;
use tidegate_types::Digest;

use super::support::{Hub, Place, wallet};

fn text<'a>(value: &'a Value, path: &str) -> &'a str {
    let found = value.pointer(path).and_then(Value::as_str);
    found.unwrap_or_else(|| panic!("no {path} in {value}"))
}

/// A hub with three channels, one of which has paid another. Their ids.
fn paid(place: &Place) -> (Hub, Vec<String>) {
    for key in ["alice.key", "bob.key", "carol.key"] {
        place.key(key);
    }
    let funds = ["alice", "bob", "carol"].map(|name| format!("{name}.key=500000"));
    let funds = funds.iter().flat_map(|fund| ["--fund", fund]);
    place.good(&["format", "--data", "hub"].into_iter().chain(funds).collect::<Vec<_>>());
    let hub = place.start("hub");
    let open = |key: &str| {
        let opened = wallet(place, &hub, key, &["open", "--capacity", "200000", "--own", "50000"]);
        text(&opened, "/channel").to_owned()
    };
    let ids = vec![open("alice.key"), open("bob.key"), open("carol.key")];
    let pay = ["pay", "--to", &ids[1], "--amount", "2500"];
    wallet(place, &hub, "alice.key", &pay);
    (hub, ids)
}

#[test]
fn a_proof_holds_for_whoever_has_the_root_and_for_nothing_else() {
    let place = Place::new();
    let (hub, ids) = paid(&place);
    let root = place.json(&["inspect", "root", "--admin", &hub.admin]);
    let root = text(&root, "/state_root").to_owned();
    for (slot, id) in ids.iter().enumerate() {
        let made = place.json(&["inspect", "proof", id, "--admin", &hub.admin]);
        assert_eq!(
            (text(&made, "/state_root"), text(&made, "/entry/channel")),
            (&*root, &**id)
        );
        assert_eq!(
            (made["slot"].as_u64(), made["count"].as_u64()),
            (Some(slot as u64), Some(3))
        );
        fs::write(place.path("proof.json"), made.to_string()).expect("writable");
        let good = place.good(&["inspect", "proof", "--check", "proof.json", "--root", &root]);
        assert!(good.contains("good:") && good.contains(&**id), "{good}");
    }
    let locked = place.json(&["inspect", "proof", &ids[0], "--admin", &hub.admin]);
    assert_eq!(locked["entry"]["out_locks_sat"], 2500, "{locked}");

    let other = "0".repeat(64);
    place.bad(
        1,
        "TG-0215",
        &["inspect", "proof", "--check", "proof.json", "--root", &other],
    );
    let bent = fs::read_to_string(place.path("proof.json")).expect("there");
    fs::write(
        place.path("bent.json"),
        bent.replace("\"debit_sat\":0", "\"debit_sat\":1"),
    )
    .expect("writable");
    let said = place.bad(
        1,
        "TG-0215",
        &["inspect", "proof", "--check", "bent.json", "--root", &root],
    );
    assert!(said.contains("does not lead to the root"), "{said}");
    fs::write(place.path("bent.json"), "{}").expect("writable");
    place.bad(1, "TG-0215", &["inspect", "proof", "--check", "bent.json"]);
    place.bad(1, "TG-0213", &["inspect", "proof", &other, "--admin", &hub.admin]);
    place.bad(
        2,
        "TG-0100",
        &["inspect", "proof", "--check", "proof.json", "--admin", &hub.admin],
    );
    place.bad(2, "TG-0100", &["inspect", "proof", "--admin", &hub.admin]);
    hub.stop();

    let made = place.json(&["inspect", "proof", &ids[1], "--data", "hub"]);
    assert_eq!(text(&made, "/state_root"), root);
    fs::write(place.path("proof.json"), made.to_string()).expect("writable");
    place.good(&["inspect", "proof", "--check", "proof.json", "--root", &root]);
    place.bad(1, "TG-0213", &["inspect", "proof", &other, "--data", "hub"]);
}

/// The root as somebody finds it who has the export and the documentation of an entry's bytes.
#[test]
fn the_export_leads_to_the_root() {
    let place = Place::new();
    let (hub, _) = paid(&place);
    hub.stop();
    let root = place.json(&["verify", "--data", "hub"]);
    let mut digests = Vec::new();
    for line in place.good(&["export", "--data", "hub"]).lines() {
        let row: Value = serde_json::from_str(line).expect("JSON lines");
        if row["type"] == "channel" {
            digests.push(hash(Domain::StateLeaf, &entry(&row)));
        }
    }
    assert_eq!(digests.len(), 3);
    assert_eq!(state_root(&digests).to_string(), text(&root, "/state_root"));
}

fn entry(row: &Value) -> Vec<u8> {
    let mut bytes = Vec::new();
    for path in ["/id", "/state/digest", "/leaf/digest", "/ack/digest"] {
        let zero = Digest::ZERO.to_string();
        let digits = row.pointer(path).and_then(Value::as_str).unwrap_or(&zero);
        bytes.extend(hex::decode(digits).expect("hex"));
    }
    let numbers = [
        "/state/counter",
        "/leaf/counter",
        "/acknowledged_leaf",
        "/ack/counter",
        "/firm_credit_sat",
        "/unfirm_credit_sat",
        "/debit_sat",
        "/out_locks_sat",
        "/in_locks_sat",
        "/terms/capacity_sat",
        "/terms/opening_share_sat",
    ];
    for path in numbers {
        let number = row.pointer(path).and_then(Value::as_u64).unwrap_or(0);
        bytes.extend(number.to_le_bytes());
    }
    let status = ["ACTIVE", "CLOSING", "SETTLED"]
        .iter()
        .position(|name| row["status"] == *name);
    let status = u32::try_from(status.expect("a status") + 1).expect("small");
    bytes.extend(status.to_le_bytes());
    bytes.resize(256, 0);
    bytes
}
