//! The processes, and how they are killed, restarted, and given another past.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tidegate_channel::wallet::SettleOn;
use tidegate_client::{Client, ConnectOptions, LedgerConnection, MemoryStore};
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::keys::HubKeys;
use tidegate_ledger::{Action, Block};
use tidegate_settle::Node;
use tidegate_test_crash::hub::{Hub, Site};
use tidegate_types::{ChannelId, Height};

/// Milliseconds from block to block; one more comes whenever a transaction does.
const BLOCK_MS: u32 = 20;
/// Blocks that may be undone.
pub(crate) const DEPTH: u32 = 8;
/// Δ, in blocks.
pub(crate) const WINDOW: u32 = 240;
/// δ.
pub(crate) const GRACE: u32 = 6;
const MARGIN: u32 = 12;

/// All of it. The last client of the site is the till, which pays and is paid by all others.
pub(crate) struct World {
    pub(crate) site: Site,
    pub(crate) keys: HubKeys,
    hub: Option<Hub>,
    tower: Option<Hub>,
    ledger: Option<Hub>,
    ports: [u16; 3],
}

fn disk() -> Arc<dyn Disk> {
    Arc::new(RealDisk)
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("bound").port()
}

fn text(path: &Path) -> &str {
    path.to_str().expect("UTF-8")
}

impl World {
    /// Formats and starts everything, with so many clients beside the till.
    pub(crate) fn new(clients: usize, seed: u64) -> Self {
        let settings = [
            format!("channels.dispute_window_blocks={WINDOW}"),
            format!("channels.evidence_grace_blocks={GRACE}"),
            format!("ledger.finality_depth_blocks={DEPTH}"),
            format!("payments.margin_blocks={MARGIN}"),
        ];
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let site = Site::format_as(clients + 1, seed, BLOCK_MS, (None, &settings));
        let keys = HubKeys::load(&RealDisk, &site.data()).expect("formatted");
        let mut world = Self {
            site,
            keys,
            hub: None,
            tower: None,
            ledger: None,
            ports: [free_port(), free_port(), free_port()],
        };
        world.start_ledger();
        world.start_tower();
        world.start_hub();
        world
    }

    fn ledger_dir(&self) -> PathBuf {
        self.site.path("ledger")
    }

    /// Where its node has its files.
    pub(crate) fn node_dir(&self) -> PathBuf {
        self.ledger_dir().join("ledger")
    }

    fn listen(&self, which: usize) -> String {
        format!("127.0.0.1:{}", self.ports[which])
    }

    fn start_ledger(&mut self) {
        let (genesis, key) = (self.site.data().join("genesis"), self.site.data().join("hub.key"));
        let (data, listen) = (self.ledger_dir(), self.listen(0));
        let words = ["ledger", "--data", text(&data), "--listen", &listen];
        let first = ["--genesis", text(&genesis), "--key", text(&key)];
        self.ledger = Some(self.site.start_verb(&[words.as_slice(), &first].concat()));
    }

    fn ledger_address(&self) -> String {
        self.ledger.as_ref().expect("it is up").address.to_string()
    }

    pub(crate) fn start_tower(&mut self) {
        let (data, listen, ledger) = (self.site.path("tower"), self.listen(1), self.ledger_address());
        let id = self.site.ledger.to_string();
        let words = [
            "tower",
            "--data",
            text(&data),
            "--listen",
            &listen,
            "--ledger",
            &ledger,
            "--ledger-id",
            &id,
        ];
        self.tower = Some(self.site.start_verb(&words));
    }

    pub(crate) fn start_hub(&mut self) {
        let (data, listen, ledger) = (self.site.data(), self.listen(2), self.ledger_address());
        let admin = "127.0.0.1:0";
        let words = [
            "start",
            "--data",
            text(&data),
            "--listen",
            &listen,
            "--ledger",
            &ledger,
            "--admin",
            admin,
        ];
        self.hub = Some(self.site.start_verb(&words));
    }

    pub(crate) fn kill_hub(&mut self) {
        if let Some(mut hub) = self.hub.take() {
            hub.kill();
        }
    }

    pub(crate) fn kill_tower(&mut self) {
        if let Some(mut tower) = self.tower.take() {
            tower.kill();
        }
    }

    /// A copy of the ledger's files as they are now.
    pub(crate) fn copy_ledger(&self, to: &Path) {
        copy_dir(&self.node_dir(), to);
    }

    /// Kills the ledger and starts it again, from the copy if that holds all that was final; how many blocks that undoes, and how
    /// much evidence with them.
    pub(crate) fn restart_ledger(&mut self, copy: &Path) -> (u32, usize) {
        self.ledger.take().expect("it is up").kill();
        let (now, then) = (open(&self.node_dir()), open(copy));
        let undone = now.as_ref().zip(then.as_ref()).and_then(|(now, then)| {
            let (now_tip, then_tip) = (now.tip(), then.tip());
            let is_branch = then_tip.height >= now_tip.final_height && then_tip.height < now_tip.height;
            is_branch.then(|| {
                (
                    now_tip.height.get() - then_tip.height.get(),
                    evidence_above(now, then_tip.height),
                )
            })
        });
        if undone.is_some() {
            std::fs::remove_dir_all(self.node_dir()).expect("its folder");
            copy_dir(copy, &self.node_dir());
        }
        self.start_ledger();
        undone.unwrap_or_default()
    }

    /// Looks at the ledger while nobody writes there.
    pub(crate) fn look(&mut self, look: impl FnOnce(Node)) {
        self.ledger.take().expect("it is up").kill();
        look(open(&self.node_dir()).expect("a ledger"));
        self.start_ledger();
    }

    fn connect_options(&self, process: Option<&Hub>) -> ConnectOptions {
        ConnectOptions {
            address: process.expect("it is up").address.clone(),
            ledger: self.site.ledger,
            push_ack_proofs: false,
            share_paths: false,
            timeout: Duration::from_secs(10),
        }
    }

    /// How the tower is reached.
    pub(crate) fn tower_options(&self) -> ConnectOptions {
        self.connect_options(self.tower.as_ref())
    }

    /// A question to the ledger's own endpoint.
    pub(crate) fn ledger(&self) -> LedgerConnection {
        LedgerConnection::connect(&self.connect_options(self.ledger.as_ref())).expect("the ledger answers")
    }

    /// A client of the hub, its channel up to date.
    pub(crate) fn client(&self, number: usize) -> Client<MemoryStore> {
        let options = self.connect_options(self.hub.as_ref());
        let store = MemoryStore::default();
        let client = Client::connect(&options, &self.site.seeds[number], store, SettleOn::Delivered);
        let mut client = client.expect("the hub answers");
        let channel = self.channel(number);
        match client.sync(&channel) {
            Err(tidegate_client::ClientError::Behind { .. }) => client.recover(&channel),
            other => other,
        }
        .expect("the hub answers");
        client
    }

    /// A client's channel.
    pub(crate) fn channel(&self, number: usize) -> ChannelId {
        self.site.channels[number]
    }

    /// The number of the till.
    pub(crate) fn till(&self) -> usize {
        self.site.channels.len() - 1
    }
}

/// The ledger's node as the files of a folder hold it; `None` if they were copied in the middle of a write.
fn open(dir: &Path) -> Option<Node> {
    Some(Node::look(&disk(), dir).ok()?.0)
}

/// How much evidence stands in the blocks above a height.
fn evidence_above(node: &Node, height: Height) -> usize {
    let mut count = 0;
    let from = height.next().expect("a low height");
    let visited = node.visit_blocks(from, |bytes| {
        let block = Block::decode(bytes).expect("its own blocks");
        let actions = block.transactions.iter().filter_map(|done| done.body.action.as_deref());
        count += actions
            .filter(|action| matches!(action, Action::Evidence { .. }))
            .count();
        true
    });
    visited.expect("its own blocks");
    count
}

fn copy_dir(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a writable folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let entry = entry.expect("an entry");
        let target = to.join(entry.file_name());
        if entry.file_type().expect("a type").is_dir() {
            copy_dir(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).expect("a writable folder");
        }
    }
}
