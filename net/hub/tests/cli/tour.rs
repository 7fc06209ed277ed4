//! A hub's whole life at the command line: format, start, open, pay, close, verify, export.

use std::fs;

use serde_json::Value;

use super::support::{Place, copy_dir, number, text, wallet};

#[test]
fn two_wallets_pay_and_close_and_every_satoshi_is_found_again() {
    let place = Place::new();
    place.key("alice.key");
    place.key("bob.key");
    place.good(&[
        "format",
        "--data",
        "hub",
        "--fund",
        "alice.key=1000000",
        "--fund",
        "bob.key=500000",
    ]);
    let hub = place.start("hub");
    let open = |key: &str, own: &str| wallet(&place, &hub, key, &["open", "--capacity", "200000", "--own", own]);
    let (alice, bob) = (open("alice.key", "150000"), open("bob.key", "50000"));
    let (from, to) = (text(&alice, "channel").to_owned(), text(&bob, "channel").to_owned());

    let paid = wallet(&place, &hub, "alice.key", &["pay", "--to", &to, "--amount", "2500"]);
    assert_eq!((text(&paid, "status"), number(&paid, "fee_sat")), ("delivered", 0));
    let received = wallet(&place, &hub, "bob.key", &["show"]);
    assert_eq!(
        number(&received, "firm_credit_sat") + number(&received, "unfirm_credit_sat"),
        2_500
    );
    // Bob's wallet has acknowledged it: now it is settled.
    let settled = wallet(&place, &hub, "alice.key", &["show", "--channel", &from]);
    assert_eq!(
        (number(&settled, "debit_sat"), number(&settled, "open_locks")),
        (2_500, 0)
    );

    let more_than_all = ["pay", "--to", &to, "--amount", "150000"];
    let flags = ["--hub", &hub.address, "--key", "alice.key", "--wallet", "wallet"];
    let refused = place.run(&[&["channel"], &more_than_all[..], &flags].concat());
    assert_eq!(refused.code, 1, "{refused:?}");

    wallet(&place, &hub, "alice.key", &["close"]);
    wallet(&place, &hub, "bob.key", &["close", "--channel", &to]);
    let funds = |key: &str| number(&wallet(&place, &hub, key, &["list"]), "funds_sat");
    assert_eq!(funds("alice.key"), 1_000_000 - 2_000 - 2_500 - 1_000);
    assert_eq!(funds("bob.key"), 500_000 - 2_000 + 2_500 - 1_000);

    let root = place.json(&["inspect", "root", "--admin", &hub.admin]);
    hub.stop();
    check_what_is_left(&place, text(&root, "state_root"), &[&from, &to]);
}

/// The directory, a copy of it, and their export agree with the hub that has ended.
fn check_what_is_left(place: &Place, root: &str, channels: &[&str]) {
    copy_dir(&place.path("hub"), &place.path("copy"));
    for data in ["hub", "copy"] {
        let verdict = place.json(&["verify", "--data", data]);
        assert_eq!(verdict["ok"], true, "{verdict}");
        assert_eq!(text(&verdict, "state_root"), root);
        assert_eq!(
            text(&place.json(&["inspect", "root", "--data", data]), "state_root"),
            root
        );
    }
    let export = place.good(&["export", "--data", "hub"]);
    let rows: Vec<Value> = export
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON lines"))
        .collect();
    let of_type = |kind: &str| rows.iter().filter(|row| row["type"] == kind).count();
    assert_eq!((of_type("channel"), of_type("supply")), (2, 1));
    assert!(of_type("block") > 2 && of_type("output") > 2, "{export}");
    let outputs = rows.iter().filter(|row| row["type"] == "output");
    let unspent: u64 = outputs.map(|row| number(row, "amount_sat")).sum();
    let supply = rows.last().expect("rows");
    assert_eq!(unspent, number(supply, "unspent_sat"));
    assert_eq!(unspent + number(supply, "burned_sat"), number(supply, "genesis_sat"));
    for id in channels {
        let channel = place.json(&["inspect", "channel", id, "--data", "copy"]);
        assert_eq!((text(&channel, "id"), text(&channel, "status")), (*id, "SETTLED"));
    }
}

#[test]
fn a_changed_byte_is_found() {
    let place = Place::new();
    place.good(&["format", "--data", "hub"]);
    let path = place.path("hub/state/image-b-meta.pages");
    let mut bytes = fs::read(&path).expect("an image");
    bytes[100] ^= 1;
    fs::write(&path, bytes).expect("writable");
    let ran = place.run(&["verify", "--data", "hub", "--json"]);
    ran.assert_error(1, "TG-0212");
    let verdict: Value = serde_json::from_str(&ran.out).expect("JSON");
    assert_eq!(verdict["ok"], false);
    assert!(
        verdict["problems"].as_array().is_some_and(|all| !all.is_empty()),
        "{verdict}"
    );
}
