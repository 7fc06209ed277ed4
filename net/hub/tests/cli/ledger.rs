//! The ledger as a process of its own: `tidegate ledger`, `start --ledger`, and wallets over both.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Hub, Place, number, text, wallet};

fn ledger(place: &Place, listen: &str, first: bool) -> Hub {
    let start = ["ledger", "--data", "ledger", "--listen", listen];
    let make = ["--genesis", "hub/genesis", "--key", "ledger.key"];
    place.serve(&[&start[..], if first { &make } else { &[] }].concat())
}

fn hub(place: &Place, ledger: &Hub) -> Hub {
    let any = "127.0.0.1:0";
    place.serve(&[
        "start",
        "--data",
        "hub",
        "--ledger",
        &ledger.address,
        "--listen",
        any,
        "--admin",
        any,
    ])
}

fn status(place: &Place, hub: &Hub) -> Value {
    place.json(&["inspect", "root", "--admin", &hub.admin])
}

/// What `list` says once the wallet's money is where it should be.
#[track_caller]
fn wait_funds(place: &Place, hub: &Hub, key: &str, funds: u64) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let found = number(&wallet(place, hub, key, &["list"]), "funds_sat");
        if found == funds {
            return;
        }
        assert!(Instant::now() < deadline, "{key} has {found}, not {funds}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Paid by a request, and a request that is damaged or of another amount is not.
fn pays_by_request(place: &Place, serving: &Hub, to: &str) {
    let request = wallet(
        place,
        serving,
        "bob.key",
        &["request", "--amount", "2500", "--expires", "600"],
    );
    let asked = text(&request, "request").to_owned();
    assert_eq!(text(&request, "channel"), to);
    let flags = [
        "--hub",
        &serving.address,
        "--admin",
        &serving.admin,
        "--key",
        "alice.key",
        "--wallet",
        "wallet",
    ];
    let other_amount = ["channel", "pay", "--request", &asked, "--amount", "2501"];
    place.bad(1, "TG-0116", &[&other_amount[..], &flags].concat());
    let damaged = format!("{}q", &asked[..asked.len() - 1]);
    place.bad(
        1,
        "TG-0116",
        &[&["channel", "pay", "--request", &damaged][..], &flags].concat(),
    );
    let paid = wallet(place, serving, "alice.key", &["pay", "--request", &asked]);
    assert_eq!((text(&paid, "to"), number(&paid, "amount_sat")), (to, 2_500));
    wallet(place, serving, "bob.key", &["show"]);
}

/// Keys, and a hub's directory whose genesis names another validator than the hub.
fn format(place: &Place) {
    for key in ["alice.key", "bob.key", "ledger.key"] {
        place.key(key);
    }
    place.good(&[
        "format",
        "--data",
        "hub",
        "--validator",
        "ledger.key",
        "--fund",
        "alice.key=1000000",
        "--fund",
        "bob.key=500000",
        "--set",
        "ledger.block_interval_ms=100",
        "--set",
        "ledger.finality_depth_blocks=3",
    ]);
    place.bad(1, "TG-0225", &["ledger", "--data", "ledger"]);
    let foreign = [
        "ledger",
        "--data",
        "ledger",
        "--genesis",
        "hub/genesis",
        "--key",
        "alice.key",
    ];
    place.bad(1, "TG-0226", &foreign);
}

#[test]
fn hub_and_wallets_live_on_a_ledger_of_its_own_whatever_is_killed() {
    let place = Place::new();
    format(&place);
    let mut running = ledger(&place, "127.0.0.1:0", true);
    let listen = running.address.split('@').nth(1).expect("a place").to_owned();
    let mut serving = hub(&place, &running);
    let open = |serving: &Hub, key: &str, own: &str| {
        let opened = wallet(&place, serving, key, &["open", "--capacity", "200000", "--own", own]);
        text(&opened, "channel").to_owned()
    };
    let (from, to) = (
        open(&serving, "alice.key", "150000"),
        open(&serving, "bob.key", "50000"),
    );

    pays_by_request(&place, &serving, &to);

    // Each is killed in turn, then both; nothing that was told is lost.
    running.kill();
    running = ledger(&place, &listen, false);
    serving.kill();
    serving = hub(&place, &running);
    running.kill();
    serving.kill();
    running = ledger(&place, &listen, false);
    serving = hub(&place, &running);

    // Alice's wallet is lost with everything in it but her key.
    std::fs::remove_dir_all(place.path("wallet")).expect("the wallets");
    let found = wallet(&place, &serving, "alice.key", &["show"]);
    assert_eq!(
        (text(&found, "channel"), number(&found, "debit_sat")),
        (from.as_str(), 2_500)
    );
    wallet(&place, &serving, "alice.key", &["pay", "--to", &to, "--amount", "1000"]);
    wallet(&place, &serving, "bob.key", &["show"]);
    wallet(&place, &serving, "alice.key", &["show"]);
    wallet(&place, &serving, "alice.key", &["close"]);
    wallet(&place, &serving, "bob.key", &["close"]);
    wait_funds(&place, &serving, "alice.key", 1_000_000 - 2_000 - 3_500 - 1_000);
    wait_funds(&place, &serving, "bob.key", 500_000 - 2_000 + 3_500 - 1_000);
    assert!(!text(&status(&place, &serving), "state_root").is_empty());
    serving.stop();
    running.stop();
    let verdict = place.json(&["verify", "--data", "hub"]);
    assert_eq!(verdict["ok"], true, "{verdict}");
}
