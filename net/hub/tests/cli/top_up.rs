//! `channel top-up`: what it prints, what is refused, and that it goes on after a kill between any two of its steps.

use std::fs;
use std::sync::Arc;
use std::time::Duration;

use tidegate_channel::wallet::SettleOn;
use tidegate_client::key_file::Seed;
use tidegate_client::{Client, ConnectOptions, Connection, FileStore, HubAddress, KeyFile, SplicePlan};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::RealDisk;
use tidegate_types::{Amount, ChannelId};

use super::support::{Hub, Place, number, text, wallet};

const KEYS: [&str; 2] = ["alice.key", "bob.key"];

fn hub_of_two(place: &Place) -> Hub {
    KEYS.iter().for_each(|key| drop(place.key(key)));
    let funds = KEYS.map(|key| format!("{key}=2000000"));
    let [alice, bob] = [&funds[0], &funds[1]];
    place.good(&["format", "--data", "hub", "--fund", alice, "--fund", bob]);
    place.start("hub")
}

fn open(place: &Place, hub: &Hub, key: &str, own: &str) -> String {
    let opened = wallet(place, hub, key, &["open", "--capacity", "200000", "--own", own]);
    text(&opened, "channel").to_owned()
}

#[test]
fn a_channel_is_topped_up_and_pays_more_than_it_held() {
    let place = Place::new();
    let hub = hub_of_two(&place);
    let (from, to) = (
        open(&place, &hub, KEYS[0], "150000"),
        open(&place, &hub, KEYS[1], "20000"),
    );
    wallet(&place, &hub, KEYS[0], &["pay", "--to", &to, "--amount", "2500"]);
    let flags = ["--hub", &hub.address, "--key", KEYS[0], "--wallet", "wallet"];
    let refused = |words: &[&str], code: &str| place.bad(1, code, &[&["channel", "top-up"], words, &flags].concat());
    // Bob has not acknowledged it, so Alice's lock is open.
    let open_lock = refused(&["--amount", "50000"], "TG-0510");
    assert!(open_lock.contains("2500 sat are set aside"), "{open_lock}");
    refused(&["--amount", "0"], "TG-0110");
    refused(&["--amount", "9007199254740993"], "TG-0110");
    wallet(&place, &hub, KEYS[1], &["show"]);
    wallet(&place, &hub, KEYS[0], &["show"]);
    refused(&["--amount", "1848001"], "TG-0505");
    refused(&["--amount", "50000", "--fee", "1"], "TG-0502");
    refused(&["--amount", "50000", "--lifetime", "9"], "TG-0502");
    refused(&["--amount", "50000", "--channel", &to], "TG-0502");

    let words = ["top-up", "--channel", &from, "--amount", "50000"];
    let topped = wallet(&place, &hub, KEYS[0], &words);
    let next = text(&topped, "channel").to_owned();
    assert_eq!(
        (text(&topped, "replaced"), number(&topped, "capacity_sat")),
        (&*from, 250_000)
    );
    assert_eq!(number(&topped, "own_sat"), 197_500);
    // The wallet has one open channel again, and it is the successor.
    let paid = wallet(&place, &hub, KEYS[0], &["pay", "--to", &to, "--amount", "160000"]);
    assert_eq!((text(&paid, "channel"), text(&paid, "status")), (&*next, "delivered"));
    let moved = refused(&["--amount", "1", "--channel", &from], "TG-0510");
    assert!(moved.contains(&format!("goes on as {next}")), "{moved}");
    wallet(&place, &hub, KEYS[1], &["show"]);
    wallet(&place, &hub, KEYS[0], &["show", "--channel", &next]);
    let plain = place.good(&[&["channel", "top-up", "--amount", "7000"], &flags[..]].concat());
    assert!(plain.contains("topped up: 44 500 of 257 000 sat are yours"), "{plain}");
    hub.stop();
    assert_eq!(place.json(&["verify", "--data", "hub"])["ok"], true);
}

/// How far a wallet comes before it and its hub are killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gap {
    /// The request is in the journal.
    Noted,
    /// It is on its way.
    Asked,
    /// The final leaf has come; the transaction is signed and the successor noted.
    Signed,
    /// The hub has brought the transaction to its ledger.
    Brought,
    /// It is final.
    Final,
}

const GAPS: [Gap; 5] = [Gap::Noted, Gap::Asked, Gap::Signed, Gap::Brought, Gap::Final];

/// Alice's wallet by the library, so that it can be left in the middle.
struct Wallet {
    seed: Seed,
    options: ConnectOptions,
    client: Client<FileStore>,
}

impl Wallet {
    fn open(place: &Place, hub: &Hub) -> Self {
        let file = KeyFile::open(&place.path(KEYS[0])).expect("a key file");
        let seed = file.seed(None).expect("plain");
        let key = SecretKey::from_seed(*seed).public().bytes();
        let folder = place.path("wallet").join(key.to_string());
        let address: HubAddress = hub.address.parse().expect("an address");
        let note = folder.join(format!("ledger-of-{}", address.identity.bytes()));
        let ledger = fs::read_to_string(note).expect("a verb has noted it");
        let options = ConnectOptions {
            address,
            ledger: ledger.trim().parse().expect("64 hex digits"),
            push_ack_proofs: false,
            share_paths: false,
            timeout: Duration::from_secs(10),
        };
        let store = FileStore::open(Arc::new(RealDisk), &folder).expect("a wallet");
        let client = Client::connect(&options, &seed, store, SettleOn::PayeeAck).expect("the hub answers");
        Self { seed, options, client }
    }

    fn go_to(mut self, gap: Gap, channel: &ChannelId, plan: &SplicePlan) {
        self.client.sync(channel).expect("in date");
        if gap == Gap::Noted || gap == Gap::Asked {
            let asked = self.client.ask_splice(channel, plan).expect("at rest");
            if gap == Gap::Asked {
                let key = SecretKey::from_seed(*self.seed);
                let mut connection = Connection::connect(&self.options, key).expect("the hub answers");
                connection.send(&asked.message()).expect("sent");
            }
            return;
        }
        let (transaction, _) = self.client.prepare_splice(channel, plan).expect("the hub agrees");
        if gap != Gap::Signed {
            self.client.submit(&transaction).expect("the ledger takes it");
        }
        if gap == Gap::Final {
            let waited = self.client.wait_final(transaction.txid(), Duration::from_secs(10));
            waited.expect("final");
        }
    }
}

/// One top-up after the other, each with a kill of both ends further on; the verb finishes it, and the channel pays.
#[test]
fn a_top_up_goes_on_after_a_kill_between_any_two_steps() {
    let place = Place::new();
    let mut hub = hub_of_two(&place);
    let (mut from, to) = (
        open(&place, &hub, KEYS[0], "150000"),
        open(&place, &hub, KEYS[1], "20000"),
    );
    let sat = |n| Amount::from_sat(n).expect("small");
    let plan = SplicePlan {
        added: sat(10_000),
        taken: sat(0),
        fee: sat(2_000),
        dust: sat(330),
        lifetime: None,
        timeout: Duration::from_secs(10),
    };
    for (at, gap) in (1..).zip(GAPS) {
        Wallet::open(&place, &hub).go_to(gap, &from.parse().expect("an id"), &plan);
        hub.kill();
        hub = place.start("hub");
        let words = ["top-up", "--channel", &from, "--amount", "10000"];
        let topped = wallet(&place, &hub, KEYS[0], &words);
        assert_eq!(number(&topped, "capacity_sat"), 200_000 + 10_000 * at, "{gap:?}");
        assert_eq!(
            number(&topped, "own_sat"),
            150_000 + 10_000 * at - 1_000 * (at - 1),
            "{gap:?}"
        );
        text(&topped, "channel").clone_into(&mut from);
        let paid = wallet(
            &place,
            &hub,
            KEYS[0],
            &["pay", "--from", &from, "--to", &to, "--amount", "1000"],
        );
        assert_eq!(text(&paid, "status"), "delivered", "{gap:?}");
        wallet(&place, &hub, KEYS[1], &["show"]);
        wallet(&place, &hub, KEYS[0], &["show", "--channel", &from]);
    }
    wallet(&place, &hub, KEYS[0], &["close", "--channel", &from]);
    wallet(&place, &hub, KEYS[1], &["close", "--channel", &to]);
    let funds = |key: &str| number(&wallet(&place, &hub, key, &["list"]), "funds_sat");
    // Six fees for opening and topping up, one for closing; five payments.
    assert_eq!(funds(KEYS[0]), 2_000_000 - 6 * 2_000 - 1_000 - 5 * 1_000);
    assert_eq!(funds(KEYS[1]), 2_000_000 - 2_000 - 1_000 + 5 * 1_000);
    hub.stop();
    assert_eq!(place.json(&["verify", "--data", "hub"])["ok"], true);
}
