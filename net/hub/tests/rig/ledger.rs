//! A ledger beside the hub, for hubs that follow one.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tempfile::TempDir;
use tidegate_client::{ConnectOptions, HubAddress, LedgerConnection};
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::keys::HubKeys;
use tidegate_settle::endpoint::{Endpoint, EndpointOptions};
use tidegate_settle::{Node, NodeOptions};

use super::Hub;

/// A ledger with an endpoint, whose validator is the hub's key.
pub(crate) struct Ledger {
    pub(crate) dir: TempDir,
    keys: HubKeys,
    endpoint: Option<Endpoint>,
    listen: SocketAddr,
}

impl Ledger {
    pub(crate) fn of(hub: &Hub) -> Self {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let dir = TempDir::new().expect("a temporary directory");
        let genesis = std::fs::read(hub.dir.path().join("genesis")).expect("formatted");
        Node::create(&disk, dir.path(), &genesis, 5).expect("an empty directory");
        let mut ledger = Self {
            dir,
            keys: HubKeys::load(&RealDisk, hub.dir.path()).expect("formatted"),
            endpoint: None,
            listen: "127.0.0.1:0".parse().expect("an address"),
        };
        ledger.start();
        ledger
    }

    pub(crate) fn start(&mut self) {
        self.serve(true);
    }

    /// As [`Ledger::start`]; blocks come when it is time, and not with what is brought.
    pub(crate) fn start_by_the_clock(&mut self) {
        self.serve(false);
    }

    fn serve(&mut self, mine_on_submit: bool) {
        let disk: Arc<dyn Disk> = Arc::new(RealDisk);
        let options = NodeOptions {
            mine_on_submit,
            ..NodeOptions::default()
        };
        let node = Node::open(&disk, self.dir.path(), Some(self.keys.identity()), options).expect("a ledger");
        let options = EndpointOptions {
            listen: self.listen,
            identity: self.keys.identity(),
            noise: self.keys.noise(),
            connections_max: 16,
        };
        let endpoint = Endpoint::start(node, options).expect("the ledger starts");
        self.listen = endpoint.listen;
        self.endpoint = Some(endpoint);
    }

    pub(crate) fn stop(&mut self) {
        let endpoint = self.endpoint.take().expect("it runs");
        endpoint.stop_handle().stop();
        endpoint.wait().expect("a clean end");
    }

    pub(crate) fn address(&self) -> HubAddress {
        self.keys.address("127.0.0.1", self.listen.port())
    }

    pub(crate) fn connect(&self, hub: &Hub) -> LedgerConnection {
        let options = ConnectOptions {
            address: self.address(),
            ledger: hub.ledger,
            push_ack_proofs: false,
            share_paths: false,
            timeout: Duration::from_secs(5),
        };
        LedgerConnection::connect(&options).expect("the ledger answers")
    }
}
