//! A channel's whole life through a real hub in this process: real sockets, real files.

mod rig;

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rig::{Hub, copy_dir, get, open, sat, stop};
use tempfile::TempDir;
use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Condition, Lock};
use tidegate_client::key_file::random_seed;
use tidegate_client::{Channels, Client, Connection, FileStore, HeaderCache, Payment, Signer};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::state;
use tidegate_types::{Height, PaymentId};
use tidegate_wire::messages::Refresh;

fn inspect(path: &Path) -> (String, u64) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let inspected = state::inspect(&disk, path, &mut |_| {}).expect("a whole state");
    let (held, capacity) = inspected.engine.value();
    assert_eq!(held, capacity);
    (
        inspected.engine.state_root().to_string(),
        inspected.engine.opened().batch.get(),
    )
}

#[test]
fn a_channel_opens_pays_is_acknowledged_settles_and_closes() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));

    let payment = Payment {
        payee: b.key(),
        payee_channel: to,
        amount: sat(70_000),
        fee: None,
        payment_id: None,
        hash: None,
    };
    let paid = a.pay(&from, &[payment]).expect("paid");
    assert_eq!(paid[0].status, LockStatus::Delivered);
    let news = b.poll(Duration::from_secs(5)).expect("news");
    assert_eq!(news[0].events.credited, sat(70_000));
    // The payer settles against the payee's own ack, fetched from the hub and checked.
    let settled = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        a.settle(&from).expect("the hub answers") == 0
    });
    assert!(settled, "the payee's ack arrives");

    // Both channels are in use; what they hold is read beside the sequencer, as of the newest durable batch.
    let json = |path| -> serde_json::Value { serde_json::from_str(&get(&serving, path).1).expect("JSON") };
    let (audit, status) = (json("/audit"), json("/status"));
    assert_eq!(audit["batch"], status["batch"]);
    assert_eq!(
        (&audit["channels_used"], &audit["channels_astray"]),
        (&2.into(), &0.into())
    );
    assert_eq!(audit["value_held"], audit["value_capacity"]);
    assert_eq!(audit["value_held"], status["value_held"]);
    let metrics = get(&serving, "/metrics").1;
    assert!(
        metrics.contains("tidegate_stage_us{stage=\"receipts\",quantile=\"0.99\"} "),
        "{metrics}"
    );
    assert!(
        metrics.contains("tidegate_queue_depth_count{queue=\"groups\"} "),
        "{metrics}"
    );

    drop((a, b));
    stop(serving);
    let (_, batches) = inspect(hub.dir.path());
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    a.sync(&from).expect("nothing was missed");
    b.sync(&to).expect("nothing was missed");
    a.close(&from, sat(500), Duration::from_secs(10)).expect("closed");
    b.close(&to, sat(500), Duration::from_secs(10)).expect("closed");
    let fee = 1 + 7;
    let funds = |client: &mut Client<FileStore>| {
        client
            .funds()
            .expect("an answer")
            .iter()
            .map(|u| u.amount.to_sat())
            .sum::<u64>()
    };
    assert_eq!(funds(&mut a), 5_000_000 - 2_000 - 70_000 - fee - 500);
    assert_eq!(funds(&mut b), 5_000_000 - 2_000 + 70_000 - 500);
    stop(serving);
    assert!(inspect(hub.dir.path()).1 > batches);
}

#[test]
fn a_payment_whose_answer_was_lost_is_settled_all_the_same() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.sync(&from).expect("nothing was missed");
    let (payee, height) = (b.key(), a.height());
    drop(a);
    // Alice's wallet pays, and her connection is lost before the answer comes.
    let lock = Lock {
        payment_id: PaymentId::from_bytes([7; 16]),
        amount: sat(5_000),
        fee: sat(2),
        payee,
        payee_channel: to,
        expiry: Height::new(height.get() + 1_000),
        condition: Condition::Ack,
    };
    let key = || SecretKey::from_seed(*alice);
    let signer = Signer {
        ledger: hub.ledger,
        key: key(),
    };
    let headers = Arc::new(HeaderCache::new(hub.ledger, hub.public()));
    let mut channels = Channels::open(signer, headers, hub.wallet(&alice)).expect("a wallet");
    let state = channels.pay(&from, &[lock], height).expect("money enough");
    let mut connection = Connection::connect(&hub.options(&serving), key()).expect("the hub answers");
    connection.send(&state.message()).expect("sent");
    drop((connection, channels));
    let credited = b.poll(Duration::from_secs(5)).expect("news");
    assert_eq!(credited[0].events.credited, sat(5_000));

    let mut a = hub.connect(&serving, &alice);
    a.sync(&from).expect("the leaf comes without its outcomes");
    let settled = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        a.settle(&from).expect("the hub answers") == 0
    });
    assert!(settled, "the stored answer leads to the payee's ack");
    assert_eq!(
        a.channels().get(&from).expect("known").wallet().sums().debit,
        sat(5_002)
    );
    stop(serving);
}

#[test]
fn thousands_of_requests_about_one_channel_at_once_are_too_many_for_one_receipt() {
    let alice = random_seed().expect("random");
    let hub = Hub::format(&[&alice]);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let channel = open(&mut a, 1_000_000);
    drop(a);
    let mut connection = Connection::connect(&hub.options(&serving), SecretKey::from_seed(*alice)).expect("an answer");
    for _ in 0..3_000 {
        connection.send(&Refresh { channel }).expect("sent");
    }
    drop(connection);
    // The hub has told most of them to come again, and goes on.
    let mut a = hub.connect(&serving, &alice);
    a.sync(&channel).expect("the hub answers");
    stop(serving);
    inspect(hub.dir.path());
}

#[test]
fn a_restart_replays_the_log_to_the_same_root() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    for amount in 1..=20 {
        let payment = Payment {
            payee: b.key(),
            payee_channel: to,
            amount: sat(amount),
            fee: None,
            payment_id: None,
            hash: None,
        };
        a.pay(&from, &[payment]).expect("paid");
        while b.poll(Duration::from_millis(1)).expect("news").is_empty() {}
        a.settle(&from).expect("the hub answers");
    }
    // A copy taken while the hub runs: what a crash would leave.
    let copy = TempDir::new().expect("a temporary directory");
    copy_dir(hub.dir.path(), copy.path());
    let (root_of_copy, batches) = inspect(copy.path());
    stop(serving);
    let (root, after) = inspect(hub.dir.path());
    assert_eq!(root, root_of_copy, "nothing has changed a channel since");
    assert!(after >= batches && batches > 20);
}
