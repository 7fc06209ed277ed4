//! Two hubs' ends of links over loopback.

use std::net::SocketAddr;
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use tidegate_crypto::keys::SecretKey;
use tidegate_disk::RealDisk;
use tidegate_reactor::{CloseReason, Config, Handler, Reactor, Sender};
use tidegate_session::{Limits, Millis, NoiseSecret};
use tidegate_types::LedgerId;

use super::*;

struct Ends(Links);

impl Handler for Ends {
    fn on_ready(&mut self, conn: ConnId, _: &PublicKey, out: &mut Outbox<'_>) {
        out.close(conn);
    }

    fn on_link_ready(&mut self, conn: ConnId, peer: &PublicKey, from: IpAddr, out: &mut Outbox<'_>) {
        self.0.opened(conn, peer, from, out);
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        self.0.received(conn, &header, body, out);
    }

    fn on_closed(&mut self, conn: ConnId, _: &CloseReason, out: &mut Outbox<'_>) {
        self.0.closed(conn, out);
    }

    fn on_tick(&mut self, _: Millis, out: &mut Outbox<'_>) {
        self.0.tick(out);
    }
}

struct Hub {
    heard: Arc<Heard>,
    address: SocketAddr,
    sender: Sender,
    thread: JoinHandle<()>,
    keeper: JoinHandle<()>,
    dir: tempfile::TempDir,
}

impl Hub {
    fn start(number: u8, seeds: Vec<Place>, dir: tempfile::TempDir) -> Self {
        let own = Arc::new(ServerConfig {
            ledger: LedgerId::from_bytes([9; 32]),
            noise: NoiseSecret::from_bytes([number; 32]),
            identity: SecretKey::from_seed([number; 32]),
            links: true,
            limits: Limits::default(),
        });
        let mut reactor = Reactor::new(Config {
            tick_millis: Some(20),
            ..Config::default()
        })
        .unwrap();
        let address = reactor
            .listen(SocketAddr::from(([127, 0, 0, 1], 0)), Arc::clone(&own))
            .unwrap();
        let settings = LinkSettings {
            outgoing: 2,
            incoming_max: 4,
            seeds,
            private_networks: true,
            ..LinkSettings::default()
        };
        let heard = Arc::<Heard>::default();
        let (keeper, keeping) = Keeper::start(Arc::new(RealDisk), dir.path()).unwrap();
        let kept = load(dir.path(), [number; 32]);
        let links = Links::new(
            settings,
            address.port(),
            own,
            [number; 32],
            Arc::clone(&heard),
            (kept, keeper),
        );
        let sender = reactor.sender();
        let thread = std::thread::spawn(move || reactor.run(&mut Ends(links)).unwrap());
        Self {
            heard,
            address,
            sender,
            thread,
            keeper: keeping,
            dir,
        }
    }

    fn place(&self, number: u8) -> Place {
        let identity = SecretKey::from_seed([number; 32]).public().bytes();
        Place::new(identity, self.address.ip(), self.address.port())
    }

    fn wait_for(&self, links: usize) {
        let began = Instant::now();
        while self.heard.rows.lock().links.len() != links {
            assert!(
                began.elapsed() < Duration::from_secs(10),
                "{:?}",
                self.heard.rows.lock()
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn stop(self) -> tempfile::TempDir {
        self.sender.stop(0).unwrap();
        self.thread.join().unwrap();
        self.keeper.join().unwrap();
        self.dir
    }
}

fn dir() -> tempfile::TempDir {
    tempfile::TempDir::new().unwrap()
}

/// The third hub knows the first alone, and is linked with both; after a restart it knows them without a seed.
#[test]
fn hubs_are_linked_through_each_other_and_remember_it() {
    let first = Hub::start(61, Vec::new(), dir());
    let second = Hub::start(62, vec![first.place(61)], dir());
    second.wait_for(1);
    let third = Hub::start(63, vec![first.place(61)], dir());
    third.wait_for(2);
    first.wait_for(2);
    let kept = third.stop();
    first.wait_for(1);
    let again = Hub::start(63, Vec::new(), kept);
    again.wait_for(2);
    for hub in [again, second, first] {
        drop(hub.stop());
    }
}

#[test]
fn a_place_with_another_hub_behind_it_is_no_link() {
    let first = Hub::start(61, Vec::new(), dir());
    let other = Place {
        identity: SecretKey::from_seed([64; 32]).public().bytes(),
        ..first.place(61)
    };
    let second = Hub::start(62, vec![other], dir());
    std::thread::sleep(Duration::from_millis(300));
    assert!(second.heard.rows.lock().links.is_empty() && first.heard.rows.lock().links.is_empty());
    drop((second.stop(), first.stop()));
}
