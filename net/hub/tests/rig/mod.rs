//! A real hub in this process: real sockets, real files.
#![allow(dead_code, reason = "each test uses its part")]

pub(crate) mod closes;
pub(crate) mod ledger;

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_batch::Policy;
use tidegate_channel::wallet::SettleOn;
use tidegate_client::key_file::Seed;
use tidegate_client::{Client, ConnectOptions, FileStore, HashLock, HubAddress, OpenPlan, Payment};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_crypto::verify::Backend;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::config::Config;
use tidegate_hub::keys::HubKeys;
use tidegate_hub::pipeline::{ChannelPolicy, ServeOptions, Serving, Settings, serve};
use tidegate_hub::state::{self, Params};
use tidegate_ledger::{Genesis, GenesisHeader, GenesisWriter, LedgerParams, NetworkName, Output};
use tidegate_settle::Node;
use tidegate_types::{Age, Amount, ChannelId, KeyBytes, LedgerId, UnixMillis};

pub(crate) fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("test amounts are small")
}

pub(crate) fn settings() -> Settings {
    Settings {
        policy: Policy {
            margin: Age::new(6),
            ack_interval: Age::new(2),
            max_lock: Age::new(2_000),
            min_amount: sat(1),
            fee_base: sat(1),
            fee_ppm: 100,
            max_unfirm_credits: 4096,
            max_in_locks: 64,
            max_in_locks_per_payer: 16,
            max_forwarded: 0,
        },
        channels: ChannelPolicy {
            dispute_window: Age::new(144),
            evidence_grace: Age::new(6),
            client_reserve: sat(1_000),
            hub_reserve: sat(1_000),
            max_capacity: sat(100_000_000),
            max_hub_share: sat(100_000_000),
            max_life: Age::new(1_000_000),
            close_patience: Age::new(40),
            ledger_use_percent: 100,
        },
        ack_interval_ms: 1_000,
        batch_inputs_max: 1024,
        batch_deadline: Duration::from_millis(1),
        batches_in_flight_max: 2,
        queue_groups_max: 64,
        checkpoint_log_bytes: 64 << 20,
        connections_max: 64,
        admission: Default::default(),
        requests_waiting_per_peer: 4_096,
        bad_signature_cpu_percent: 10,
        links: None,
        routes: Vec::new(),
        backend: std::env::var("TIDEGATE_CPU").map_or(Backend::Auto, |word| word.parse().expect("a back end")),
        verifier_memory_bytes: 1 << 20,
        verify_threads: 2,
    }
}

/// Sizes and times of a hub's directory.
#[derive(Clone, Copy)]
pub(crate) struct Shape {
    pub(crate) segment_bytes: u64,
    pub(crate) checkpoint_log_bytes: u64,
    pub(crate) block_bytes_max: u32,
    pub(crate) block_cost_max: u64,
    pub(crate) block_interval_ms: u32,
    pub(crate) finality_depth: u32,
    pub(crate) dispute_window: u32,
    pub(crate) ledger_use_percent: u8,
    /// Blocks until the hub's stake could be spent; none for no stake.
    pub(crate) unbonding: Option<u32>,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            segment_bytes: 4 << 20,
            checkpoint_log_bytes: 64 << 20,
            block_bytes_max: LedgerParams::default().block_bytes_max,
            block_cost_max: LedgerParams::default().block_cost_max,
            block_interval_ms: 100,
            finality_depth: 0,
            dispute_window: LedgerParams::default().dispute_window_min.get(),
            ledger_use_percent: settings().channels.ledger_use_percent,
            unbonding: None,
        }
    }
}

pub(crate) struct Hub {
    pub(crate) dir: TempDir,
    pub(crate) ledger: LedgerId,
    shape: Shape,
    wallets: TempDir,
    /// The ledger that the hub follows, if it is a process, or endpoint, of its own.
    pub(crate) follows: Option<HubAddress>,
}

impl Hub {
    /// A formatted data directory whose genesis pays these keys and the hub.
    pub(crate) fn format(clients: &[&Seed]) -> Self {
        Self::format_as(clients, Shape::default())
    }

    /// As [`Hub::format`], of another shape.
    pub(crate) fn format_as(clients: &[&Seed], shape: Shape) -> Self {
        let dir = TempDir::new().expect("a temporary directory");
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let keys = HubKeys::generate().expect("random numbers");
        keys.save(&*disk, dir.path()).expect("a writable directory");
        let header = GenesisHeader {
            params: LedgerParams {
                block_interval_ms: shape.block_interval_ms,
                finality_depth: Age::new(shape.finality_depth),
                dispute_window_min: Age::new(shape.dispute_window),
                block_bytes_max: shape.block_bytes_max,
                block_cost_max: shape.block_cost_max,
                transaction_bytes_max: LedgerParams::default()
                    .transaction_bytes_max
                    .min(shape.block_bytes_max / 2),
                ..LedgerParams::default()
            },
            time: UnixMillis::new(1),
            validator: keys.public(),
            network: NetworkName::new("test").expect("a short name"),
        };
        let mut writer = GenesisWriter::new(&header);
        writer.push(&Output::to_key(sat(10_000_000), keys.public()));
        if let Some(blocks) = shape.unbonding {
            let hub = keys.public();
            writer.push(&Output::to_stake(sat(100_000), hub, hub, Age::new(blocks)));
        }
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
            segment_bytes: shape.segment_bytes,
        };
        let block = tidegate_types::Digest::from_bytes(*genesis.ledger().as_bytes());
        state::create(&disk, dir.path(), &params, block, UnixMillis::new(1), []).expect("an empty directory");
        std::fs::write(dir.path().join("genesis"), &bytes).expect("a writable directory");
        std::fs::write(dir.path().join("config.toml"), Config::default().to_toml()).expect("a writable directory");
        Self {
            dir,
            ledger,
            shape,
            wallets: TempDir::new().expect("a temporary directory"),
            follows: None,
        }
    }

    /// The same hub under other settings.
    pub(crate) fn reshaped(self, shape: Shape) -> Self {
        Self { shape, ..self }
    }

    /// The same keys and state again, as they are now, without any wallet: what an operator has that runs a copy.
    pub(crate) fn twin(&self) -> Self {
        let (dir, wallets) = (TempDir::new(), TempDir::new());
        let dir = dir.expect("a temporary directory");
        copy_dir(self.dir.path(), dir.path());
        Self {
            dir,
            ledger: self.ledger,
            shape: self.shape,
            wallets: wallets.expect("a temporary directory"),
            follows: self.follows.clone(),
        }
    }

    pub(crate) fn start(&self) -> Serving {
        let any = "127.0.0.1:0".parse().expect("an address");
        let keys = HubKeys::load(&RealDisk, self.dir.path()).expect("formatted");
        let options = ServeOptions {
            data: self.dir.path().to_owned(),
            listen: any,
            admin: any,
            ledger: self.follows.clone(),
            keys,
            settings: Settings {
                checkpoint_log_bytes: self.shape.checkpoint_log_bytes,
                channels: ChannelPolicy {
                    dispute_window: Age::new(self.shape.dispute_window),
                    ledger_use_percent: self.shape.ledger_use_percent,
                    ..settings().channels
                },
                ..settings()
            },
        };
        serve(options, &mut |_| {}).expect("the hub starts")
    }

    pub(crate) fn public(&self) -> PublicKey {
        HubKeys::load(&RealDisk, self.dir.path())
            .expect("formatted")
            .identity()
            .public()
    }

    /// The wallet of a key.
    pub(crate) fn wallet(&self, seed: &Seed) -> FileStore {
        FileStore::open(Arc::new(RealDisk), &self.wallet_dir(seed)).expect("a wallet")
    }

    /// Its folder.
    pub(crate) fn wallet_dir(&self, seed: &Seed) -> PathBuf {
        let name = format!("wallet-{}", SecretKey::from_seed(**seed).public().bytes());
        self.wallets.path().join(name)
    }

    pub(crate) fn options(&self, serving: &Serving) -> ConnectOptions {
        let keys = HubKeys::load(&RealDisk, self.dir.path()).expect("formatted");
        ConnectOptions {
            address: keys.address("127.0.0.1", serving.listen.port()),
            ledger: self.ledger,
            push_ack_proofs: false,
            share_paths: false,
            timeout: Duration::from_secs(10),
        }
    }

    pub(crate) fn connect(&self, serving: &Serving, seed: &Seed) -> Client<FileStore> {
        Client::connect(&self.options(serving), seed, self.wallet(seed), SettleOn::PayeeAck).expect("the hub answers")
    }
}

pub(crate) fn stop(serving: Serving) {
    serving.stop_handle().stop();
    serving.wait().expect("a clean end");
}

pub(crate) fn open(client: &mut Client<FileStore>, own: u64) -> ChannelId {
    open_with(client, 2_000_000, own)
}

pub(crate) fn open_with(client: &mut Client<FileStore>, capacity: u64, own: u64) -> ChannelId {
    let plan = OpenPlan {
        capacity: sat(capacity),
        own: sat(own),
        fee: sat(2_000),
        dust: sat(330),
        lifetime: Age::new(100_000),
        payout: None,
        timeout: Duration::from_secs(10),
    };
    client.open(&plan).expect("the hub opens channels")
}

pub(crate) fn payment(payee: KeyBytes, payee_channel: ChannelId, amount: u64) -> Payment {
    Payment {
        payee,
        payee_channel,
        amount: sat(amount),
        fee: None,
        payment_id: None,
        hash: None,
    }
}

/// A payment to whoever shows the preimage, up to so many blocks from now.
pub(crate) fn by_hash(payment: Payment, preimage: &[u8; 32], blocks: u32) -> Payment {
    Payment {
        hash: Some(HashLock {
            hash: payment_hash(preimage),
            blocks: Some(Age::new(blocks)),
        }),
        ..payment
    }
}

pub(crate) fn copy_dir(from: &Path, to: &Path) {
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

/// Code and body of an answer of the admin endpoint.
pub(crate) fn get(serving: &Serving, path: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(serving.admin).expect("the endpoint listens");
    write!(stream, "GET {path} HTTP/1.1\r\n\r\n").expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let code = text
        .split(' ')
        .nth(1)
        .and_then(|code| code.parse().ok())
        .expect("a status line");
    (code, text.split("\r\n\r\n").nth(1).unwrap_or_default().to_owned())
}
