//! The same by a person at a terminal: a request by hash, a payment of it over three hubs, the preimage.

use serde_json::Value;
use tidegate_crypto::hash::payment_hash;

use super::hex;
use super::payment::books;
use super::world::{HUBS, KEEPS, World, verb};

const PREIMAGE: [u8; 32] = [0x5a; 32];
const AMOUNT: u64 = 2_500;

/// A verb of the wallet of one end, with what it printed.
fn wallet(world: &World, name: &str, words: &[&str]) -> Value {
    let person = if name == "a" { &world.payer } else { &world.payee };
    let (hub, ledger) = (person.options.address.to_string(), person.options.ledger.to_string());
    let path = |end: &str| world.folder.path().join(format!("{name}{end}")).display().to_string();
    let (key, folder) = (path(".key"), path(""));
    let flags = [
        "--hub",
        &hub,
        "--ledger-id",
        &ledger,
        "--key",
        &key,
        "--wallet",
        &folder,
        "--json",
    ];
    let printed = verb(&[&["channel"], words, &flags].concat());
    serde_json::from_str(&printed).unwrap_or_else(|_| panic!("{words:?}: {printed}"))
}

#[test]
fn a_request_by_hash_is_paid_over_three_hubs_by_the_programs_own_verbs() {
    let mut world = World::new();
    world.payer.leave();
    world.payee.leave();
    let before = books(&world);
    let hash = hex(&payment_hash(&PREIMAGE));
    let amount = AMOUNT.to_string();
    let request = wallet(&world, "b", &["request", "--amount", &amount, "--hash", &hash]);
    let request = request["request"].as_str().expect("a text").to_owned();
    let fee: u64 = KEEPS.iter().sum();

    // The first hub asks for nothing itself; what the route costs has to be said.
    let failed = wallet(&world, "a", &["pay", "--request", &request, "--wait", "20"]);
    assert_eq!(
        (failed["status"].as_str(), failed["reason"].as_str()),
        (Some("failed"), Some("FeeTooLow"))
    );

    let paid = std::thread::scope(|scope| {
        let (world, fee) = (&world, fee.to_string());
        let request = &request;
        let payer = scope.spawn(move || {
            wallet(
                world,
                "a",
                &["pay", "--request", request, "--fee", &fee, "--wait", "20"],
            )
        });
        World::wait("B is offered it", || {
            let lock = world.channel(HUBS).expect("it lives");
            lock["in_locks"].as_array().is_some_and(|locks| !locks.is_empty())
        });
        let fulfil = ["fulfil", "--preimage", &hex(&PREIMAGE), "--amount", &amount];
        let received = wallet(world, "b", &fulfil);
        assert_eq!(received["received_sat"].as_u64(), Some(AMOUNT));
        payer.join().expect("it was paid")
    });
    assert_eq!(
        (paid["status"].as_str(), paid["preimage"].as_str()),
        (Some("fulfilled"), Some(hex(&PREIMAGE).as_str()))
    );
    assert_eq!(
        (paid["amount_sat"].as_u64(), paid["fee_sat"].as_u64()),
        (Some(AMOUNT), Some(fee))
    );
    World::wait("every hop has ended it", || super::payment::is_over(&world));
    let after = books(&world);
    assert_eq!(after[0] - before[0], AMOUNT + fee);
    assert_eq!(after[HUBS] - before[HUBS], AMOUNT);
    look_inside(&world, AMOUNT + fee - KEEPS[0]);
}

/// What waits, for an operator, and the wallet of the outgoing channel by the hub's own key.
fn look_inside(world: &World, paid: u64) {
    let data = world.hubs[0].dir.display().to_string();
    world.hubs[0].stop();
    let waiting = verb(&["inspect", "forwards", "--data", &data]);
    assert!(waiting.contains("0 locks wait for other hubs"), "{waiting}");
    let next = &world.hubs[1].keys;
    let (hub, key) = (
        next.address("127.0.0.1", world.links[1].port).to_string(),
        format!("{data}/hub.key"),
    );
    let folder = format!("{data}/routes/{}", next.public());
    let ledger = world.payer.options.ledger.to_string();
    let flags = [
        "--hub",
        &hub,
        "--ledger-id",
        &ledger,
        "--key",
        &key,
        "--wallet",
        &folder,
        "--json",
    ];
    let shown = verb(&[&["channel", "show"][..], &flags].concat());
    let shown: Value = serde_json::from_str(&shown).expect("JSON");
    assert_eq!(shown["debit_sat"].as_u64(), Some(paid), "{shown}");
    let verdict = verb(&["verify", "--data", &data, "--json"]);
    let verdict: Value = serde_json::from_str(&verdict).expect("JSON");
    assert_eq!(verdict["ok"], true, "{verdict}");
}
