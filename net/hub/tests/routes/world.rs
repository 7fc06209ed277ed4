//! Three hubs, each a process, on one ledger, a process too: A has a channel with the first, B with the last, and each hub one
//! with the next. Every link leads through a proxy.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;
use tidegate_channel::wallet::SettleOn;
use tidegate_client::key_file::{KeyFile, Seed};
use tidegate_client::{Client, ClientError, ConnectOptions, FileStore, HubAddress, MemoryStore, OpenPlan};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::config::{Config, RouteEntry};
use tidegate_hub::keys::{HubKeys, LEDGER_KEYS_FILE};
use tidegate_hub::state::{self, Params};
use tidegate_ledger::{Genesis, GenesisHeader, GenesisWriter, NetworkName, Output};
use tidegate_settle::Node;
use tidegate_types::{Age, Amount, ChannelId, Digest, KeyBytes, LedgerId, PaymentId, UnixMillis};

use super::proxy::Proxy;

pub(crate) const HUBS: usize = 3;
pub(crate) const MARGIN: u32 = 6;
/// What each hub but the last keeps of a payment.
pub(crate) const KEEPS: [u64; HUBS - 1] = [2, 1];
pub(crate) const BLOCK_MS: u32 = 100;
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("test amounts are small")
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

/// A process that is killed when the test ends.
struct Process {
    child: Child,
    admin: String,
}

impl Process {
    fn start(words: &[&str]) -> (Self, Value) {
        let mut command = program(words);
        let log = std::env::var("TIDEGATE_ROUTES_LOG").unwrap_or_else(|_| "error".into());
        command.env("TIDEGATE_LOG", log);
        let mut child = command
            .arg("--json")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the program runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("piped");
        BufReader::new(out).read_line(&mut line).expect("readable output");
        let value: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("{words:?} did not start"));
        let admin = value["admin"].as_str().unwrap_or_default().to_owned();
        (Self { child, admin }, value)
    }

    /// SIGKILL; nothing is finished.
    fn kill(&mut self) {
        self.child.kill().expect("it lives");
        self.child.wait().expect("a child");
    }

    fn stop(&mut self) {
        let pid = i32::try_from(self.child.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        rustix::process::kill_process(pid.expect("a process number"), rustix::process::Signal::TERM).expect("it lives");
        let status = self.child.wait().expect("a child");
        assert!(status.success(), "{status}");
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ended = (self.child.kill(), self.child.wait());
    }
}

/// One hub.
pub(crate) struct Hub {
    pub(crate) dir: PathBuf,
    pub(crate) port: u16,
    ledger: String,
    process: Mutex<Option<Process>>,
    pub(crate) keys: HubKeys,
}

impl Hub {
    pub(crate) fn start(&self) {
        let listen = format!("127.0.0.1:{}", self.port);
        let data = self.dir.to_str().expect("UTF-8");
        let words = [
            "start",
            "--data",
            data,
            "--ledger",
            &self.ledger,
            "--listen",
            &listen,
            "--admin",
            "127.0.0.1:0",
        ];
        let (process, _) = Process::start(&words);
        *self.process.lock().expect("no panic") = Some(process);
    }

    /// Has it bring payments to the next hub from now on.
    fn lead_to(&self, next: &HubAddress, keeps: u64) {
        let mut config = config();
        config.routes = vec![RouteEntry {
            to: next.to_string(),
            fee_base_sat: keeps,
            ..RouteEntry::default()
        }];
        self.stop();
        std::fs::write(self.dir.join("config.toml"), config.to_toml()).expect("a writable folder");
        self.start();
    }

    /// Starts it without routes; what it says when it does not start.
    pub(crate) fn start_without_routes(&self) -> String {
        let file = self.dir.join("config.toml");
        let with = std::fs::read(&file).expect("a configuration");
        std::fs::write(&file, config().to_toml()).expect("a writable folder");
        let data = self.dir.to_str().expect("UTF-8");
        let any = "127.0.0.1:0";
        let words = [
            "start",
            "--data",
            data,
            "--ledger",
            &self.ledger,
            "--listen",
            any,
            "--admin",
            any,
        ];
        let mut command = program(&words);
        let mut child = command.stderr(Stdio::piped()).spawn().expect("the program runs");
        World::wait("it says why it does not start", || {
            child.try_wait().expect("a child").is_some()
        });
        let output = child.wait_with_output().expect("a child");
        std::fs::write(&file, with).expect("a writable folder");
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    pub(crate) fn kill(&self) {
        if let Some(mut process) = self.process.lock().expect("no panic").take() {
            process.kill();
        }
    }

    pub(crate) fn stop(&self) {
        if let Some(mut process) = self.process.lock().expect("no panic").take() {
            process.stop();
        }
    }

    /// What the admin endpoint says; `None` while the hub is away.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let admin = self.process.lock().expect("no panic").as_ref()?.admin.clone();
        let mut stream = TcpStream::connect(admin).ok()?;
        write!(stream, "GET {path} HTTP/1.1\r\n\r\n").ok()?;
        let mut text = String::new();
        stream.read_to_string(&mut text).ok()?;
        Some(text.split_once("\r\n\r\n")?.1.to_owned())
    }

    /// A counter or gauge of `/metrics`.
    pub(crate) fn metric(&self, name: &str) -> Option<u64> {
        let text = self.get("/metrics")?;
        let mut values = text
            .lines()
            .filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        values.next()?.parse().ok()
    }
}

/// A person with a wallet, at one end.
pub(crate) struct Person {
    seed: Seed,
    pub(crate) options: ConnectOptions,
    folder: PathBuf,
    client: Option<Client<FileStore>>,
    pub(crate) channel: ChannelId,
}

impl Person {
    /// Does something with the wallet; after a failure of the connection it is opened anew at the next call.
    pub(crate) fn with<T>(
        &mut self,
        act: impl FnOnce(&mut Client<FileStore>, ChannelId) -> Result<T, ClientError>,
    ) -> Result<T, ClientError> {
        if self.client.is_none() {
            let store = FileStore::open(disk(), &self.folder).expect("a wallet");
            let mut client = Client::connect(&self.options, &self.seed, store, SettleOn::PayeeAck)?;
            if self.channel != ChannelId::ZERO {
                match client.sync(&self.channel) {
                    // It has lost what it signed.
                    Err(ClientError::Behind { .. }) => client.recover(&self.channel)?,
                    other => other?,
                }
                client.fetch_proofs(&self.channel)?;
            }
            self.client = Some(client);
        }
        let client = self.client.as_mut().expect("just connected");
        act(client, self.channel).inspect_err(|_| self.client = None)
    }

    /// The ledger's name.
    pub(crate) const fn ledger(&self) -> LedgerId {
        self.options.ledger
    }

    /// Lets go of the wallet, so that another process may open it.
    pub(crate) fn leave(&mut self) {
        self.client = None;
    }

    /// The same person at the hub of another, without channels there; and its key.
    pub(crate) fn at(&self, other: &Self) -> (Client<MemoryStore>, SecretKey) {
        let store = MemoryStore::default();
        let client = Client::connect(&other.options, &self.seed, store, SettleOn::PayeeAck);
        (client.expect("the hub answers"), SecretKey::from_seed(*self.seed))
    }

    /// The wallet as it is now.
    pub(crate) fn copy_wallet(&mut self) -> TempDir {
        self.leave();
        let copy = TempDir::new().expect("a temporary folder");
        copy_files(&self.folder, copy.path());
        copy
    }

    /// The wallet is what it was: whatever was signed since is forgotten.
    pub(crate) fn restore_wallet(&mut self, copy: &TempDir) {
        self.leave();
        copy_files(copy.path(), &self.folder);
    }

    pub(crate) fn key(&self) -> KeyBytes {
        public(&self.seed)
    }
}

/// All of it. Dropped, every process is killed.
pub(crate) struct World {
    pub(crate) folder: TempDir,
    _ledger: Process,
    pub(crate) hubs: Vec<Arc<Hub>>,
    /// A's link, those between hubs, and B's.
    pub(crate) links: Vec<Proxy>,
    pub(crate) channels: Vec<ChannelId>,
    pub(crate) payer: Person,
    pub(crate) payee: Person,
    /// Payments of A that its wallet has held a lock of.
    pub(crate) open_once: BTreeSet<PaymentId>,
}

fn public(seed: &Seed) -> KeyBytes {
    SecretKey::from_seed(**seed).public().bytes()
}

/// A plain key file, and what is in it.
fn new_key(path: &Path) -> Seed {
    verb(&["key", "new", "--plain", "--out", path.to_str().expect("UTF-8")]);
    KeyFile::open(path).expect("just made").seed(None).expect("plain")
}

/// A verb of the program that must succeed; what it printed.
#[track_caller]
pub(crate) fn verb(words: &[&str]) -> String {
    let output = program(words).output().expect("the program runs");
    assert!(output.status.success(), "{words:?}: {output:?}");
    String::from_utf8(output.stdout).expect("UTF-8")
}

/// A verb of the program that must fail; what it said.
#[track_caller]
pub(crate) fn failing_verb(words: &[&str]) -> String {
    let output = program(words).output().expect("the program runs");
    assert!(!output.status.success(), "{words:?}: {output:?}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn program(words: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tidegate"));
    let foreign = std::env::vars_os().map(|(name, _)| name);
    for name in foreign.filter(|name| name.to_string_lossy().starts_with("TIDEGATE_")) {
        command.env_remove(name);
    }
    command.args(words).stdin(Stdio::null());
    command
}

fn copy_files(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        std::fs::copy(entry.path(), to.join(entry.file_name())).expect("a writable folder");
    }
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn config() -> Config {
    let mut config = Config::default();
    config.ledger.block_interval_ms = BLOCK_MS;
    config.payments.margin_blocks = MARGIN;
    config.channels.dispute_window_blocks = 144;
    config.channels.evidence_grace_blocks = 6;
    config.storage.segment_bytes = 1 << 20;
    config.storage.checkpoint_bytes = 1 << 20;
    config.cpu.threads = 1;
    config.cpu.verifier_memory_bytes = 1 << 20;
    config
}

/// The genesis: coins for all keys.
fn genesis(validator: &HubKeys, keys: &[KeyBytes]) -> Vec<u8> {
    let header = GenesisHeader {
        params: config().ledger_params(),
        time: UnixMillis::new(1),
        validator: validator.public(),
        network: NetworkName::new(&config().ledger.network).expect("a short name"),
    };
    let mut writer = GenesisWriter::new(&header);
    for key in keys {
        for _ in 0..4 {
            writer.push(&Output::to_key(sat(5_000_000), *key));
        }
    }
    writer.finish()
}

fn format(dir: &Path, keys: &HubKeys, bytes: &[u8]) -> LedgerId {
    std::fs::create_dir_all(dir).expect("a folder");
    keys.save(&RealDisk, dir).expect("a writable folder");
    let genesis = Genesis::parse(bytes).expect("a good genesis");
    let ledger = Node::create(&disk(), &dir.join("ledger"), bytes, 7).expect("an empty folder");
    let params = Params {
        hub: keys.public(),
        ledger,
        policy: config().policy(),
        salt_secret: keys.salt_secret(),
        log_identity: 9,
        segment_bytes: config().storage.segment_bytes,
    };
    let block = Digest::from_bytes(*genesis.ledger().as_bytes());
    state::create(&disk(), dir, &params, block, UnixMillis::new(1), []).expect("an empty folder");
    std::fs::write(dir.join("genesis"), bytes).expect("a writable folder");
    std::fs::write(dir.join("config.toml"), config().to_toml()).expect("a writable folder");
    ledger
}

fn start_ledger(folder: &Path, keys: &HubKeys, bytes: &[u8]) -> (Process, String) {
    let dir = folder.join("ledger");
    std::fs::create_dir_all(&dir).expect("a folder");
    std::fs::write(dir.join("genesis"), bytes).expect("a writable folder");
    Node::create(&disk(), &dir.join("ledger"), bytes, 5).expect("an empty folder");
    keys.save_as(&RealDisk, &dir, LEDGER_KEYS_FILE)
        .expect("a writable folder");
    let data = dir.to_str().expect("UTF-8");
    let (process, value) = Process::start(&["ledger", "--data", data, "--listen", "127.0.0.1:0"]);
    let address = value["address"].as_str().expect("an address").to_owned();
    (process, address)
}

fn options(address: HubAddress, ledger: LedgerId) -> ConnectOptions {
    ConnectOptions {
        address,
        ledger,
        push_ack_proofs: false,
        share_paths: false,
        timeout: Duration::from_secs(5),
    }
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

/// A channel of one hub with the next, in the wallet that the first one's route uses.
fn open_next(hub: &Hub, next: &Hub, address: HubAddress, ledger: LedgerId) -> ChannelId {
    let own = hub.keys.public().to_string();
    let wallet = hub.dir.join("routes").join(next.keys.public().to_string()).join(own);
    let store = FileStore::open(disk(), &wallet).expect("a wallet");
    let seed = hub.keys.identity_seed();
    let client = Client::connect(&options(address, ledger), &seed, store, SettleOn::PayeeAck);
    open(&mut client.expect("the hub answers"), 1_000_000)
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let validator = HubKeys::generate().expect("random numbers");
        let keys: Vec<HubKeys> = (0..HUBS)
            .map(|_| HubKeys::generate().expect("random numbers"))
            .collect();
        let seeds = ["a.key", "b.key"].map(|name| new_key(&folder.path().join(name)));
        let mut rich: Vec<_> = keys.iter().map(HubKeys::public).collect();
        rich.extend(seeds.iter().map(public));
        let bytes = genesis(&validator, &rich);
        let (ledger_process, ledger_address) = start_ledger(folder.path(), &validator, &bytes);
        let mut ledger = None;
        let hubs: Vec<Arc<Hub>> = keys
            .into_iter()
            .enumerate()
            .map(|(at, keys)| {
                let dir = folder.path().join(format!("hub{at}"));
                ledger = Some(format(&dir, &keys, &bytes));
                let hub = Hub {
                    dir,
                    port: free_port(),
                    ledger: ledger_address.clone(),
                    process: Mutex::new(None),
                    keys,
                };
                hub.start();
                Arc::new(hub)
            })
            .collect();
        let ledger = ledger.expect("there are hubs");
        let links: Vec<Proxy> = [0, 1, 2, 2].map(|hub: usize| Proxy::to(hubs[hub].port)).into();
        let address = |link: usize, hub: usize| hubs[hub].keys.address("127.0.0.1", links[link].port);
        let [a, b] = seeds;
        let person = |seed: Seed, link: usize, hub: usize, name: &str| Person {
            options: options(address(link, hub), ledger),
            // Where the program's own verbs look for it.
            folder: folder.path().join(name).join(public(&seed).to_string()),
            seed,
            client: None,
            channel: ChannelId::ZERO,
        };
        let (mut payer, mut payee) = (person(a, 0, 0, "a"), person(b, HUBS, HUBS - 1, "b"));
        payer.channel = payer.with(|client, _| Ok(open(client, 1_500_000))).expect("opened");
        payee.channel = payee.with(|client, _| Ok(open(client, 500_000))).expect("opened");
        let mut channels = vec![payer.channel];
        channels.extend((0..HUBS - 1).map(|at| open_next(&hubs[at], &hubs[at + 1], address(at + 1, at + 1), ledger)));
        channels.push(payee.channel);
        for at in 0..HUBS - 1 {
            hubs[at].lead_to(&address(at + 1, at + 1), KEEPS[at]);
        }
        Self {
            folder,
            _ledger: ledger_process,
            hubs,
            links,
            channels,
            payer,
            payee,
            open_once: BTreeSet::new(),
        }
    }

    /// The height of a hub's newest final block.
    pub(crate) fn height(&self, hub: usize) -> u64 {
        self.hubs[hub].metric("tidegate_height").unwrap_or(0)
    }

    /// Waits until something holds.
    #[track_caller]
    pub(crate) fn wait(what: &str, mut holds: impl FnMut() -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !holds() {
            assert!(Instant::now() < deadline, "not in time: {what}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// What the hub of a hop says of its channel; the first hop is A's, the last B's.
    pub(crate) fn channel(&self, hop: usize) -> Option<Value> {
        let hub = &self.hubs[hop.min(HUBS - 1)];
        serde_json::from_str(&hub.get(&format!("/channel/{}", self.channels[hop]))?).ok()
    }
}
