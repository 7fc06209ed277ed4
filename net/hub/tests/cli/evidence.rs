//! What a wallet exports: all the evidence it has, and nothing that it must not give away.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tidegate_channel::ChannelTerms;
use tidegate_channel::codec::Canonical as _;
use tidegate_channel::evidence::{LeafNaming, Pair};
use tidegate_crypto::keys::PublicKey;
use tidegate_types::{ChannelId, Fixed as _, KeyBytes, LedgerId};

use super::support::{Hub, Place, number, text, wallet};

const HASH: &str = "2cf2c6077769e8f910ed119ac8fa288d12817d4fdcef245576c752a076d3217a";

fn rows(lines: &str) -> Vec<Value> {
    let row = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
    lines.lines().map(row).collect()
}

fn count(rows: &[Value]) -> BTreeMap<&str, usize> {
    rows.iter().fold(BTreeMap::new(), |mut counts, row| {
        *counts.entry(text(row, "type")).or_default() += 1;
        counts
    })
}

fn one<'a>(rows: &'a [Value], kind: &str) -> &'a Value {
    let mut found = rows.iter().filter(|row| row["type"] == kind);
    let first = found.next().unwrap_or_else(|| panic!("no {kind}"));
    assert!(found.next().is_none(), "more than one {kind}");
    first
}

fn bytes(value: &Value, key: &str) -> Vec<u8> {
    hex::decode(text(value, key)).expect("hex")
}

/// Alice has paid Bob by his acknowledgement, and offered him as much by hash; Bob's channel.
fn paid(place: &Place, hub: &Hub) -> String {
    let open = |key: &str, own: &str| wallet(place, hub, key, &["open", "--capacity", "200000", "--own", own]);
    open("alice.key", "150000");
    let to = text(&open("bob.key", "50000"), "channel").to_owned();
    let pay = |more: &[&str]| {
        let words = ["pay", "--to", &to, "--amount", "2500"];
        wallet(place, hub, "alice.key", &[&words[..], more].concat())
    };
    pay(&[]);
    wallet(place, hub, "bob.key", &["show"]);
    pay(&["--hash", HASH]);
    to
}

fn formatted() -> Place {
    let place = Place::new();
    for key in ["alice.key", "bob.key"] {
        place.key(key);
    }
    let fund = ["--fund", "alice.key=1000000", "--fund", "bob.key=500000"];
    place.good(&[&["format", "--data", "hub"], &fund[..]].concat());
    place
}

#[test]
fn an_export_holds_what_a_dispute_needs_and_signs_nothing_new() {
    let place = formatted();
    let hub = place.start("hub");
    let to = paid(&place, &hub);
    let flags = |key: &'static str| ["--hub", &hub.address, "--key", key, "--wallet", "wallet"].map(str::to_owned);
    let (alice, bob) = (flags("alice.key"), flags("bob.key"));
    wallet(&place, &hub, "bob.key", &["show"]);
    // Bob's wallet has acknowledged the first credit and the lock; this one it has not seen yet.
    wallet(&place, &hub, "alice.key", &["pay", "--to", &to, "--amount", "70"]);
    hub.stop();
    let export = |flags: &[String], more: &[&str]| {
        let words: Vec<&str> = flags.iter().map(String::as_str).collect();
        place.good(&[&["channel", "export"], &words[..], more].concat())
    };
    let before = journals(&place);
    let found = rows(&export(&bob, &[]));
    assert_eq!(rows(&export(&bob, &["--channel", &to])), found, "he has one");
    export(&bob, &["--json", "bob.jsonl"]);
    let written = fs::read_to_string(place.path("bob.jsonl")).expect("a file");
    assert_eq!(rows(&written), found);
    let mode = fs::metadata(place.path("bob.jsonl"))
        .expect("a file")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(journals(&place), before, "nothing was signed for it");

    let counts = count(&found);
    let expected = [("channel", 1), ("in_lock", 1), ("leaf", 1), ("pair", 1), ("wallet", 1)];
    assert!(
        expected.iter().all(|(kind, n)| counts.get(kind) == Some(n)),
        "{counts:?}"
    );
    let (about, pair) = (one(&found, "channel"), one(&found, "pair"));
    assert_eq!(text(one(&found, "in_lock"), "hash"), HASH);
    assert_eq!(number(pair, "leaf_counter"), number(about, "acknowledged_leaf"));
    check_pair(one(&found, "wallet"), about, pair);

    let of_alice = rows(&export(&alice, &[]));
    let counts = count(&of_alice);
    assert!(counts["state"] >= 1 && counts["out_lock"] == 2, "{counts:?}");
    assert!(
        of_alice
            .iter()
            .any(|row| row["type"] == "out_lock" && row["hash"] == HASH)
    );
    for (key, lines) in [("alice.key", &of_alice), ("bob.key", &found)] {
        let secret = fs::read_to_string(place.path(key)).expect("a key file");
        let secret = secret.lines().find_map(|line| line.strip_prefix("seed"));
        let secret = secret.expect("a plain seed").trim();
        assert_eq!(secret.len(), 64);
        assert!(
            lines.iter().all(|row| !row.to_string().contains(secret)),
            "a secret of {key}"
        );
    }
    let words: Vec<&str> = bob.iter().map(String::as_str).collect();
    let unknown = [&["channel", "export", "--channel", HASH], &words[..]].concat();
    place.bad(1, "TG-0213", &unknown);
}

/// By the bytes in the lines alone, with no wallet: the ledger would take the pair.
fn check_pair(wallet: &Value, about: &Value, pair: &Value) {
    let terms = ChannelTerms::decode(&bytes(about, "terms_bytes")).expect("terms");
    let evidence = Pair::decode(&bytes(pair, "pair")).expect("a pair");
    let id: ChannelId = text(about, "channel").parse().expect("an id");
    let ledger: LedgerId = text(wallet, "ledger").parse().expect("an id");
    let key = |name: &str| {
        let bytes: KeyBytes = text(wallet, name).parse().expect("a key");
        PublicKey::register(bytes).expect("a good key")
    };
    let facts = evidence
        .check(&ledger, &id, &terms, (&key("client"), &key("hub")))
        .expect("it stands");
    let hub = evidence.hub.expect("a leaf");
    assert_eq!((facts.sums.in_locks.to_sat(), hub.locks.len()), (2_500, 1));
    assert!(matches!(hub.named, LeafNaming::ByAck(_)));
}

fn journals(place: &Place) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for key in fs::read_dir(place.path("wallet")).expect("wallets") {
        for file in fs::read_dir(key.expect("an entry").path()).expect("a wallet") {
            let path = file.expect("an entry").path();
            if path.extension().is_some_and(|kind| kind == "journal") {
                found.insert(path.display().to_string(), fs::read(&path).expect("readable"));
            }
        }
    }
    found
}
