//! A channel's whole life through a real hub in this process: real sockets, real files.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_batch::Policy;
use tidegate_channel::wallet::{LockStatus, SettleOn};
use tidegate_channel::{Condition, Lock};
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{
    Channels, Client, ConnectOptions, Connection, FileStore, HeaderCache, OpenPlan, Payment, Signer,
};
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::verify::Backend;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::keys::HubKeys;
use tidegate_hub::pipeline::{ChannelPolicy, ServeOptions, Serving, Settings, serve};
use tidegate_hub::state::{self, Params};
use tidegate_ledger::{Genesis, GenesisHeader, GenesisWriter, LedgerParams, NetworkName, Output};
use tidegate_settle::Node;
use tidegate_types::{Age, Amount, ChannelId, Height, LedgerId, PaymentId, UnixMillis};
use tidegate_wire::messages::Refresh;

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("test amounts are small")
}

fn settings() -> Settings {
    Settings {
        policy: Policy {
            margin: Age::new(6),
            ack_interval: Age::new(2),
            max_lock: Age::new(2_000),
            min_amount: sat(1),
            fee_base: sat(1),
            fee_ppm: 100,
            max_unfirm_credits: 4096,
        },
        channels: ChannelPolicy {
            dispute_window: Age::new(144),
            evidence_grace: Age::new(6),
            client_reserve: sat(1_000),
            hub_reserve: sat(1_000),
            max_capacity: sat(100_000_000),
            max_hub_share: sat(100_000_000),
            max_life: Age::new(1_000_000),
        },
        ack_interval_ms: 1_000,
        batch_inputs_max: 1024,
        batch_deadline: Duration::from_millis(1),
        batches_in_flight_max: 2,
        queue_groups_max: 64,
        checkpoint_log_bytes: 64 << 20,
        connections_max: 64,
        backend: std::env::var("TIDEGATE_CPU").map_or(Backend::Auto, |word| word.parse().expect("a back end")),
        verifier_memory_bytes: 1 << 20,
        verify_threads: 2,
    }
}

struct Hub {
    dir: TempDir,
    ledger: LedgerId,
}

impl Hub {
    /// A formatted data directory whose genesis pays these keys and the hub.
    fn format(clients: &[&Seed]) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let keys = HubKeys::generate().expect("random numbers");
        keys.save(&*disk, dir.path()).expect("a writable directory");
        let header = GenesisHeader {
            params: LedgerParams {
                block_interval_ms: 100,
                ..LedgerParams::default()
            },
            time: UnixMillis::new(1),
            validator: keys.public(),
            network: NetworkName::new("test").expect("a short name"),
        };
        let mut writer = GenesisWriter::new(&header);
        writer.push(&Output::to_key(sat(10_000_000), keys.public()));
        for seed in clients {
            let key = SecretKey::from_seed(***seed).public().bytes();
            writer.push(&Output::to_key(sat(5_000_000), key));
        }
        let bytes = writer.finish();
        let genesis = Genesis::parse(&bytes).expect("a good genesis");
        let ledger = Node::create(&disk, &dir.path().join("ledger"), &bytes, 7).expect("an empty directory");
        let params = Params {
            hub: keys.public(),
            ledger,
            policy: settings().policy,
            salt_secret: keys.salt_secret(),
            log_identity: 9,
            segment_bytes: 4 << 20,
        };
        let block = tidegate_types::Digest::from_bytes(*genesis.ledger().as_bytes());
        state::create(&disk, dir.path(), &params, block, UnixMillis::new(1), []).expect("an empty directory");
        Self { dir, ledger }
    }

    fn start(&self) -> Serving {
        let any = "127.0.0.1:0".parse().expect("an address");
        let keys = HubKeys::load(&RealDisk, self.dir.path()).expect("formatted");
        let options = ServeOptions {
            data: self.dir.path().to_owned(),
            listen: any,
            admin: any,
            keys,
            settings: settings(),
        };
        serve(options, &mut |_| {}).expect("the hub starts")
    }

    fn public(&self) -> PublicKey {
        HubKeys::load(&RealDisk, self.dir.path())
            .expect("formatted")
            .identity()
            .public()
    }

    /// The wallet of a key, in the hub's directory.
    fn wallet(&self, seed: &Seed) -> FileStore {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let name = format!("wallet-{}", SecretKey::from_seed(**seed).public().bytes());
        FileStore::open(disk, &self.dir.path().join(name)).expect("a wallet")
    }

    fn options(&self, serving: &Serving) -> ConnectOptions {
        let keys = HubKeys::load(&RealDisk, self.dir.path()).expect("formatted");
        ConnectOptions {
            address: keys.address("127.0.0.1", serving.listen.port()),
            ledger: self.ledger,
            push_ack_proofs: false,
            timeout: Duration::from_secs(10),
        }
    }

    fn connect(&self, serving: &Serving, seed: &Seed) -> Client<FileStore> {
        Client::connect(&self.options(serving), seed, self.wallet(seed), SettleOn::PayeeAck).expect("the hub answers")
    }
}

fn stop(serving: Serving) {
    serving.stop_handle().stop();
    serving.wait().expect("a clean end");
}

fn open(client: &mut Client<FileStore>, own: u64) -> ChannelId {
    let plan = OpenPlan {
        capacity: sat(2_000_000),
        own: sat(own),
        fee: sat(2_000),
        dust: sat(330),
        lifetime: Age::new(100_000),
        payout: None,
        timeout: Duration::from_secs(10),
    };
    client.open(&plan).expect("the hub opens channels")
}

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

fn copy_dir(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a directory") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            std::fs::create_dir(&target).expect("a new directory");
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a copy");
        }
    }
}
