//! Payments that are open when a channel closes: whoever they belong to in the end has them from the ledger, and the hub is a real
//! process beside it.

use serde_json::Value;

use super::dispute::{World, wait};
use super::support::{copy_dir, number, text};

const PREIMAGE: &str = "5151515151515151515151515151515151515151515151515151515151515151";
const HASH: &str = "2cf2c6077769e8f910ed119ac8fa288d12817d4fdcef245576c752a076d3217a";
const AMOUNT: u64 = 20_000;
/// What closes and claims cost together is below this.
const FEES: u64 = 5_000;

/// Alice has offered Bob a payment by hash, and his wallet has acknowledged the leaf with it.
fn offered(world: &World, blocks: &str) -> String {
    world.wallet("alice.key", &["open", "--capacity", "200000", "--own", "150000"]);
    let bob = world.wallet("bob.key", &["open", "--capacity", "200000", "--own", "50000"]);
    let to = text(&bob, "channel").to_owned();
    let pay = [
        "pay", "--to", &to, "--amount", "20000", "--hash", HASH, "--blocks", blocks,
    ];
    let paid = world.wallet("alice.key", &pay);
    assert_eq!(text(&paid, "status"), "pending");
    let shown = world.wallet("bob.key", &["show"]);
    assert_eq!(number(&shown, "in_locks_sat"), AMOUNT);
    to
}

fn settled(world: &World, key: &str) {
    wait("the ledger pays both sides", || {
        text(&world.on_ledger_as(key, "wallet", &["dispute"]), "status") == "NONE"
    });
}

/// Waits until the payer has seen its payment's proof, and owes it.
fn wait_until_proved(world: &World) {
    wait("the payer has its proof", || {
        number(&world.wallet("alice.key", &["show"]), "debit_sat") == AMOUNT
    });
}

fn claim(world: &World, key: &str, more: &[&str]) -> Value {
    world.on_ledger_as(key, "wallet", &[&["claim"], more].concat())
}

#[track_caller]
fn assert_paid(paid: u64, due: u64) {
    assert!(
        paid <= due && paid + FEES > due,
        "{paid} of {due}: only fees are missing"
    );
}

/// The hub's books hold, and no lock is left on the ledger.
fn ends_well(world: World, locks_left: usize) {
    world.hub.stop();
    world.ledger.stop();
    let verdict = world.place.json(&["verify", "--data", "hub"]);
    assert_eq!(verdict["ok"], true, "{verdict}");
    let export = world.place.good(&["export", "--data", "hub"]);
    let rows = export
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON lines"));
    let left = rows.filter(|row| row["type"] == "output" && row["condition"]["kind"] == "lock");
    assert_eq!(left.count(), locks_left);
}

/// The payee closes while the lock waits, shows the preimage in the dispute, and takes the output by its record; the payer's lock
/// is met by the same record, with the hub killed in between.
#[test]
fn a_payee_that_closes_is_paid_by_the_preimage_on_the_ledger() {
    let world = World::new(30);
    offered(&world, "600");
    let before = world.funds("bob.key");
    world.on_ledger_as("bob.key", "wallet", &["close", "--unilateral"]);
    let seen = world.on_ledger_as("bob.key", "wallet", &["dispute", "--preimage", PREIMAGE]);
    let revealed = &seen["revealed"][0];
    assert_eq!(
        (text(revealed, "what"), &revealed["brought"]),
        ("preimage", &true.into()),
        "{seen}"
    );
    let again = world.on_ledger_as("bob.key", "wallet", &["dispute", "--preimage", PREIMAGE]);
    assert_eq!(again["revealed"][0]["brought"], false, "once is enough: {again}");
    let world = world.kill_hub();
    settled(&world, "bob.key");
    let taken = claim(&world, "bob.key", &[]);
    assert_eq!(
        text(&taken["locks"][0], "status"),
        "claimed by the record of its preimage",
        "{taken}"
    );
    assert_paid(world.funds("bob.key") - before, 50_000 + AMOUNT);
    assert_eq!(
        claim(&world, "bob.key", &[])["locks"],
        serde_json::json!([]),
        "it is gone"
    );
    wait_until_proved(&world);
    ends_well(world, 0);
}

/// The preimage may also come when the lock is an output already. Whoever claims by it leaves the record, so the hub is not the
/// one who pays.
#[test]
fn a_payee_takes_an_output_by_the_preimage_itself() {
    let world = World::new(20);
    offered(&world, "600");
    let before = world.funds("bob.key");
    world.on_ledger_as("bob.key", "wallet", &["close", "--unilateral"]);
    settled(&world, "bob.key");
    let waits = claim(&world, "bob.key", &["--preimage", HASH]);
    assert_eq!(text(&waits["locks"][0], "status"), "waits for the preimage", "{waits}");
    let flags = ["--hub", &world.hub.address, "--key", "bob.key", "--wallet", "wallet"];
    let bad = world
        .place
        .run(&[&["channel", "claim", "--preimage", "zz"], &flags[..]].concat());
    bad.assert_error(1, "TG-0114");
    let taken = claim(&world, "bob.key", &["--preimage", PREIMAGE]);
    assert_eq!(text(&taken["locks"][0], "status"), "claimed by the preimage", "{taken}");
    assert_paid(world.funds("bob.key") - before, 50_000 + AMOUNT);
    wait_until_proved(&world);
    ends_well(world, 0);
}

/// Nobody shows the preimage: the payer that has closed takes the output back above the expiry, and not before.
#[test]
fn a_payer_that_closes_has_back_what_nobody_claimed() {
    let world = World::new(20);
    offered(&world, "90");
    let before = world.funds("alice.key");
    world.on_ledger_as("alice.key", "wallet", &["close", "--unilateral"]);
    settled(&world, "alice.key");
    let early = claim(&world, "alice.key", &[]);
    assert_eq!(text(&early["locks"][0], "status"), "waits for its expiry", "{early}");
    assert_eq!(early["locks"][0]["paying"], true);
    wait("it expires", || {
        number(&claim(&world, "alice.key", &[]), "taken_sat") > 0
    });
    assert_paid(world.funds("alice.key") - before, 150_000);
    ends_well(world, 0);
}

/// A credit that only an ack makes count: the wallet that closes before the hub has told it more puts its ack on the ledger.
#[test]
fn a_payee_that_closes_at_once_is_paid_by_its_ack_on_the_ledger() {
    let world = World::new(30);
    world.wallet("alice.key", &["open", "--capacity", "200000", "--own", "150000"]);
    let bob = world.wallet("bob.key", &["open", "--capacity", "200000", "--own", "50000"]);
    let to = text(&bob, "channel").to_owned();
    let before = world.funds("bob.key");
    world.wallet("alice.key", &["pay", "--to", &to, "--amount", "20000"]);
    let shown = world.wallet("bob.key", &["show"]);
    assert_eq!(number(&shown, "unfirm_credit_sat"), AMOUNT, "{shown}");
    let close = world.on_ledger_as("bob.key", "wallet", &["close", "--unilateral"]);
    let revealed = &close["revealed"][0];
    assert_eq!(
        (text(revealed, "what"), &revealed["brought"]),
        ("ack", &true.into()),
        "{close}"
    );
    settled(&world, "bob.key");
    assert_paid(world.funds("bob.key") - before, 50_000 + AMOUNT);
    ends_well(world, 0);
}

/// Bob is away while an old state of his is published: the tower shows the newest leaf, and after it the ack by which its credit
/// counts and the preimage by which its lock is met. It is killed at every turn.
#[test]
fn a_tower_reveals_what_the_leaf_that_it_shows_needs() {
    let world = World::new(40);
    let to = offered(&world, "600");
    let before = world.funds("bob.key");
    copy_dir(&world.place.path("wallet"), &world.place.path("old"));
    world.wallet("alice.key", &["pay", "--to", &to, "--amount", "20000"]);
    let shown = world.wallet("bob.key", &["show"]);
    assert_eq!(number(&shown, "unfirm_credit_sat"), AMOUNT, "{shown}");
    let tower = world.tower();
    let guard = |more: &[&str]| {
        let words = ["guard", "--tower", &tower.address];
        world.on_ledger_as("bob.key", "wallet", &[&words[..], more].concat())
    };
    assert_eq!(number(&guard(&["--preimage", PREIMAGE]), "reveals"), 2);
    // What was given once stays, though this package does not hold it.
    assert_eq!(number(&guard(&[]), "reveals"), 1);
    tower.kill();
    let tower = world.tower();
    world.on_ledger_as("bob.key", "old", &["close", "--unilateral"]);
    tower.kill();
    let tower = world.tower();
    wait("the tower answers", || {
        let seen = world.on_ledger_as("bob.key", "old", &["dispute"]);
        seen["leaf_counter"] == shown["leaf_counter"] && seen["corrected"] == true
    });
    settled(&world, "bob.key");
    let taken = claim(&world, "bob.key", &[]);
    assert_eq!(
        text(&taken["locks"][0], "status"),
        "claimed by the record of its preimage",
        "{taken}"
    );
    assert_paid(world.funds("bob.key") - before, 50_000 + 2 * AMOUNT);
    tower.stop();
    ends_well(world, 0);
}
