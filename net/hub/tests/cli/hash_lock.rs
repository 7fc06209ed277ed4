//! Payments by hash at the command line: pending, fulfilled, released, and what is refused.

use serde_json::Value;

use super::support::{Place, number, text, wallet};

const PREIMAGE: &str = "5151515151515151515151515151515151515151515151515151515151515151";

/// The SHA-256 of [`PREIMAGE`], made by another program: `printf '\x51%.0s' $(seq 32) | sha256sum`.
const HASH: &str = "2cf2c6077769e8f910ed119ac8fa288d12817d4fdcef245576c752a076d3217a";

#[test]
fn a_payment_by_hash_waits_for_its_preimage_which_proves_it() {
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
    open("alice.key", "150000");
    let to = text(&open("bob.key", "50000"), "channel").to_owned();
    let pay = |amount: &str| {
        let words = ["pay", "--to", &to, "--amount", amount, "--hash", HASH];
        wallet(&place, &hub, "alice.key", &words)
    };
    let paid = pay("2500");
    assert_eq!((text(&paid, "status"), &paid["preimage"]), ("pending", &Value::Null));
    pay("2500");
    pay("900");

    let bob = wallet(&place, &hub, "bob.key", &["show"]);
    assert_eq!(
        (number(&bob, "in_locks_sat"), number(&bob, "firm_credit_sat")),
        (5_900, 0)
    );
    let waiting = bob["in_locks"].as_array().expect("a list");
    assert!(
        waiting.len() == 3 && waiting.iter().all(|lock| lock["hash"] == HASH),
        "{bob}"
    );
    let flags = ["--hub", &hub.address, "--key", "bob.key", "--wallet", "wallet"];
    let refused = |words: &[&str], code: &str| {
        let ran = place.run(&[&["channel"], words, &flags].concat());
        ran.assert_error(1, code);
    };
    refused(&["fulfil", "--preimage", HASH, "--amount", "1"], "TG-0508");
    refused(&["fulfil", "--preimage", PREIMAGE, "--amount", "2501"], "TG-0508");
    refused(&["release", "--lock", HASH], "TG-0508");
    // Two locks of one hash and amount are two; the third is worth less than was asked.
    let got = wallet(
        &place,
        &hub,
        "bob.key",
        &["fulfil", "--preimage", PREIMAGE, "--amount", "2500"],
    );
    assert_eq!(number(&got, "received_sat"), 5_000);
    let bob = wallet(&place, &hub, "bob.key", &["show"]);
    assert_eq!(
        (number(&bob, "in_locks_sat"), number(&bob, "firm_credit_sat")),
        (900, 5_000)
    );
    let lock = text(&bob["in_locks"][0], "lock").to_owned();
    wallet(&place, &hub, "bob.key", &["release", "--lock", &lock]);

    let alice = wallet(&place, &hub, "alice.key", &["show"]);
    assert_eq!((number(&alice, "debit_sat"), number(&alice, "open_locks")), (5_000, 0));
    assert_eq!(number(&alice, "spendable_sat"), 150_000 - 1_000 - 5_000);
    let words = ["pay", "--to", &to, "--amount", "70", "--hash", "zz"];
    let flags = ["--hub", &hub.address, "--key", "alice.key", "--wallet", "wallet"];
    let ran = place.run(&[&["channel"], &words[..], &flags].concat());
    assert_eq!(ran.code, 1, "{ran:?}");
    hub.stop();
    assert_eq!(place.json(&["verify", "--data", "hub"])["ok"], true);
}
