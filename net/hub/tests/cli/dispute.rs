//! An old state on the ledger, and the tower that corrects it: real processes, killed in between.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::support::{Hub, Place, copy_dir, number, text, wallet};

const ANY: &str = "127.0.0.1:0";

pub(super) struct World {
    pub(super) place: Place,
    pub(super) ledger: Hub,
    pub(super) hub: Hub,
    name: String,
}

impl World {
    /// A ledger of short windows, a hub on it, and two keys with coins.
    pub(super) fn new(window: u32) -> Self {
        let place = Place::new();
        for key in ["alice.key", "bob.key", "ledger.key"] {
            place.key(key);
        }
        let window = format!("channels.dispute_window_blocks={window}");
        let format = [
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
            &window,
            "--set",
            "channels.evidence_grace_blocks=4",
        ];
        let formatted = place.json(&format);
        let start = [
            "ledger",
            "--data",
            "ledger",
            "--listen",
            ANY,
            "--genesis",
            "hub/genesis",
            "--key",
            "ledger.key",
        ];
        let ledger = place.serve(&start);
        let hub = serve_hub(&place, &ledger);
        Self {
            name: text(&formatted, "ledger").to_owned(),
            place,
            ledger,
            hub,
        }
    }

    /// The hub is killed and started again.
    pub(super) fn kill_hub(self) -> Self {
        let Self {
            place,
            ledger,
            hub,
            name,
        } = self;
        hub.kill();
        let hub = serve_hub(&place, &ledger);
        Self {
            place,
            ledger,
            hub,
            name,
        }
    }

    pub(super) fn tower(&self) -> Hub {
        let watch = [
            "tower",
            "--data",
            "tower",
            "--ledger",
            &self.ledger.address,
            "--ledger-id",
            &self.name,
        ];
        self.place.serve(&[&watch[..], &["--listen", ANY]].concat())
    }

    #[track_caller]
    pub(super) fn wallet(&self, key: &str, words: &[&str]) -> Value {
        wallet(&self.place, &self.hub, key, words)
    }

    /// A verb of Bob's that goes to the ledger, with the wallets in this folder.
    #[track_caller]
    fn on_ledger(&self, wallets: &str, words: &[&str]) -> Value {
        self.on_ledger_as("bob.key", wallets, words)
    }

    #[track_caller]
    pub(super) fn on_ledger_as(&self, key: &str, wallets: &str, words: &[&str]) -> Value {
        let flags = [
            "--hub",
            &self.hub.address,
            "--admin",
            &self.hub.admin,
            "--key",
            key,
            "--wallet",
            wallets,
            "--ledger",
            &self.ledger.address,
        ];
        self.place.json(&[&["channel"], words, &flags].concat())
    }

    pub(super) fn funds(&self, key: &str) -> u64 {
        number(&self.wallet(key, &["list"]), "funds_sat")
    }

    /// Alice and Bob have channels; Bob's wallet is copied after so many payments to him, then come the others.
    fn pays(&self, copied_after: usize, payments: usize) -> String {
        self.wallet("alice.key", &["open", "--capacity", "200000", "--own", "150000"]);
        let bob = self.wallet("bob.key", &["open", "--capacity", "200000", "--own", "50000"]);
        let to = text(&bob, "channel").to_owned();
        for n in 0..payments {
            if n == copied_after {
                copy_dir(&self.place.path("wallet"), &self.place.path("old"));
            }
            self.wallet("alice.key", &["pay", "--to", &to, "--amount", "2500"]);
            self.wallet("bob.key", &["show"]);
        }
        to
    }
}

fn serve_hub(place: &Place, ledger: &Hub) -> Hub {
    let start = ["start", "--data", "hub", "--ledger", &ledger.address];
    place.serve(&[&start[..], &["--listen", ANY, "--admin", ANY]].concat())
}

pub(super) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// Every old state of a short channel is published by whoever holds Bob's old wallet, and corrected by his tower, which is
/// killed at every turn; what Bob was paid he has.
fn published_and_corrected(copied_after: usize) {
    const PAYMENTS: usize = 3;
    let world = World::new(30);
    let channel = world.pays(copied_after, PAYMENTS);
    let before = world.funds("bob.key");
    let tower = world.tower();
    let kept = world.on_ledger("wallet", &["guard", "--tower", &tower.address]);
    assert_eq!(text(&kept, "channel"), channel);
    tower.kill();
    let tower = world.tower();
    let stale = world.on_ledger("old", &["close", "--unilateral"]);
    assert!(
        number(&stale, "leaf_counter") < number(&kept, "leaf_counter"),
        "{stale} beside {kept}"
    );
    tower.kill();
    let tower = world.tower();
    wait("the tower answers", || {
        let seen = world.on_ledger("old", &["dispute"]);
        number(&seen, "leaf_counter") == number(&kept, "leaf_counter")
    });
    let seen = world.on_ledger("wallet", &["dispute"]);
    assert_eq!(
        (seen["corrected"].as_bool(), seen["brought"].as_bool()),
        (Some(true), Some(false)),
        "{seen}"
    );
    wait("the ledger pays both sides", || world.funds("bob.key") > before);
    let paid = world.funds("bob.key") - before;
    let due = 50_000 + 2_500 * PAYMENTS as u64;
    assert!(
        paid <= due && paid + 2_500 > due,
        "{paid} of {due}: only fees are missing"
    );
    tower.stop();
    world.hub.stop();
    world.ledger.stop();
    let verdict = world.place.json(&["verify", "--data", "hub"]);
    assert_eq!(verdict["ok"], true, "{verdict}");
}

#[test]
fn an_old_state_is_corrected_by_the_tower() {
    published_and_corrected(1);
}

/// The long form: every old state, `TIDEGATE_DISPUTES=all`.
#[test]
fn every_old_state_is_corrected_by_the_tower() {
    if std::env::var_os("TIDEGATE_DISPUTES").is_none_or(|word| word != "all") {
        return;
    }
    for copied_after in 0..3 {
        published_and_corrected(copied_after);
    }
}

/// Whoever holds Alice's old wallet publishes an old state of hers; the hub, killed and started again before and after, shows the
/// newest one by itself. What she has paid she has paid, and the close is hers to bear.
#[test]
fn an_old_state_of_a_payer_is_punished_by_the_hub() {
    const PAYMENTS: usize = 3;
    let world = World::new(40);
    world.pays(1, PAYMENTS);
    let newest = number(&world.wallet("alice.key", &["show"]), "state_counter");
    let before = world.funds("alice.key");
    let stale = world.on_ledger_as("alice.key", "old", &["close", "--unilateral"]);
    let world = world.kill_hub();
    let shown = number(&stale, "state_counter");
    assert!(shown < newest, "{stale} beside {newest}");
    wait("the hub answers", || {
        let seen = world.on_ledger_as("alice.key", "old", &["dispute"]);
        number(&seen, "state_counter") == newest && seen["corrected"] == true
    });
    let world = world.kill_hub();
    wait("the ledger pays both sides", || world.funds("alice.key") > before);
    let paid = world.funds("alice.key") - before;
    let due = 150_000 - 2_500 * PAYMENTS as u64;
    assert!(
        paid < due && paid + 5_000 > due,
        "{paid} of {due}: the close is missing too"
    );
    world.hub.stop();
    world.ledger.stop();
    let verdict = world.place.json(&["verify", "--data", "hub"]);
    assert_eq!(verdict["ok"], true, "{verdict}");
}

/// Without a tower the wallet itself looks and corrects; the newest state needs no correction.
#[test]
fn a_wallet_closes_by_itself_and_corrects_by_itself() {
    let world = World::new(40);
    world.pays(0, 1);
    let none = world.on_ledger("wallet", &["dispute"]);
    assert_eq!(text(&none, "status"), "NONE");
    world.on_ledger("old", &["close", "--unilateral"]);
    let seen = world.on_ledger("wallet", &["dispute"]);
    assert_eq!(
        (seen["corrected"].as_bool(), seen["brought"].as_bool()),
        (Some(true), Some(true)),
        "{seen}"
    );
    let again = world.on_ledger("wallet", &["dispute"]);
    assert_eq!(again["brought"].as_bool(), Some(false), "{again}");
    world.hub.stop();
    world.ledger.stop();
}
