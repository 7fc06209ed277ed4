//! Hubs of one ledger that link with each other, each a process of its own: found from a seed and by exchange, over a kill, past a
//! deny list and a ban.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::Value;
use tidegate_client::HubAddress;
use tidegate_crypto::keys::{PublicKey, SecretKey};
use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor, Sender};
use tidegate_session::{Limits, LinkConfig, Millis, NoiseSecret, ServerConfig};
use tidegate_types::LedgerId;
use tidegate_wire::Kind;
use tidegate_wire::frame::Header;

use super::support::{Hub, Place, number, text};

const ANY: &str = "127.0.0.1:0";

/// A ledger, and the directories of hubs on it.
struct World {
    place: Place,
    ledger: Hub,
    name: LedgerId,
}

impl World {
    /// One directory, `a`, whose genesis is that of all.
    fn new() -> (Self, String) {
        let place = Place::new();
        place.key("ledger.key");
        let a = place.json(&["format", "--data", "a", "--validator", "ledger.key"]);
        let start = ["ledger", "--data", "ledger", "--listen", ANY];
        let make = ["--genesis", "a/genesis", "--key", "ledger.key"];
        let ledger = place.serve(&[&start[..], &make].concat());
        let name = text(&a, "ledger").parse().expect("a ledger's id");
        (Self { place, ledger, name }, text(&a, "hub").to_owned())
    }

    /// Makes a further directory; the hub's identity.
    fn format(&self, data: &str) -> String {
        let made = self.place.json(&["format", "--data", data, "--genesis", "a/genesis"]);
        text(&made, "hub").to_owned()
    }

    /// Starts a hub that begins two links, and has these values in its configuration.
    fn start(&self, data: &str, listen: &str, values: &[(&str, &str)]) -> Hub {
        let always = [("peers.links", "2"), ("peers.private_networks", "true")];
        let sets: Vec<String> = [&always, values]
            .concat()
            .iter()
            .map(|(key, value)| format!("--set={key}={value}"))
            .collect();
        let start = ["start", "--data", data, "--ledger", &self.ledger.address];
        let listen = ["--listen", listen, "--admin", ANY];
        let sets: Vec<&str> = sets.iter().map(String::as_str).collect();
        self.place.serve(&[&start[..], &listen, &sets].concat())
    }

    fn peers(&self, hub: &Hub) -> Value {
        self.place.json(&["inspect", "peers", "--admin", &hub.admin])
    }

    /// Waits until each of these hubs, the identities beside them, is linked with all the others and with nobody else.
    #[track_caller]
    fn wait_linked(&self, hubs: &[(&Hub, &str)]) {
        for (hub, own) in hubs {
            let others: BTreeSet<&str> = hubs
                .iter()
                .map(|(_, other)| *other)
                .filter(|other| other != own)
                .collect();
            self.wait(hub, "linked with the others", |peers| linked(peers) == others);
        }
    }

    /// Waits until what a hub says of others is as it should be; what it says then.
    #[track_caller]
    fn wait(&self, hub: &Hub, what: &str, holds: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let peers = self.peers(hub);
            if holds(&peers) {
                return peers;
            }
            assert!(Instant::now() < deadline, "not in time: {what}: {peers}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }

    /// Waits until a hub has kept what it knows of others.
    #[track_caller]
    fn wait_kept(&self, data: &str) {
        let file = self.place.path(data).join("peers");
        let deadline = Instant::now() + Duration::from_secs(60);
        while !file.exists() {
            assert!(Instant::now() < deadline, "{data} keeps nothing");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The identities that a hub is linked with.
fn linked(peers: &Value) -> BTreeSet<&str> {
    let links = peers["links"].as_array().expect("a list of links");
    links.iter().map(|link| text(link, "identity")).collect()
}

fn port(hub: &Hub) -> &str {
    hub.address.split_once('@').expect("tg1…@HOST:PORT").1
}

/// B has A as its seed; C knows B alone and hears of A from it; D, whom A denies, is turned away. A is killed and started anew in
/// its place, and is linked with B and C again.
#[test]
fn hubs_find_each_other_and_again_after_a_kill() {
    let (world, a_id) = World::new();
    let [b_id, c_id, d_id] = ["b", "c", "d"].map(|data| world.format(data));
    let deny = [("peers.deny", d_id.as_str())];
    let a = world.start("a", ANY, &deny);
    let b = world.start("b", ANY, &[("peers.seeds", &a.address)]);
    world.wait_linked(&[(&a, &a_id), (&b, &b_id)]);
    let c = world.start("c", ANY, &[("peers.seeds", &b.address)]);
    world.wait_linked(&[(&a, &a_id), (&b, &b_id), (&c, &c_id)]);

    let d = world.start("d", ANY, &[("peers.seeds", &a.address)]);
    let seen = world.wait(&a, "D is turned away", |peers| number(peers, "turned_away") > 0);
    assert!(!linked(&seen).contains(d_id.as_str()), "{seen}");
    // It has proved to be there, and that is all.
    let refused = |peers: &Value| number(peers, "answered") == 1 && linked(peers).is_empty();
    world.wait(&d, "A answers D and takes no link", refused);
    d.stop();

    // Whoever began a link dials again: B and C by themselves, A once it has kept whom it was linked with.
    let began = |link: &Value| link["outgoing"] == true;
    if seen["links"].as_array().is_some_and(|links| links.iter().any(began)) {
        world.wait_kept("a");
    }
    let place = port(&a).to_owned();
    a.kill();
    world.wait_linked(&[(&b, &b_id), (&c, &c_id)]);
    let a = world.start("a", &place, &deny);
    world.wait_linked(&[(&a, &a_id), (&b, &b_id), (&c, &c_id)]);
    for process in [a, b, c, world.ledger] {
        process.stop();
    }
}

/// A stranger's end of a link: it says what no hub says, and waits for the end.
struct Offender {
    to: HubAddress,
    own: Arc<ServerConfig>,
    dialled: bool,
    ended: Sender,
}

impl Handler for Offender {
    fn on_ready(&mut self, _: ConnId, _: &PublicKey, _: &mut Outbox<'_>) {}

    fn on_link_ready(&mut self, conn: ConnId, _: &PublicKey, _: IpAddr, out: &mut Outbox<'_>) {
        let no_such_thing = |body: &mut Vec<u8>| body.extend_from_slice(&[0xff; 8]);
        out.message(conn, Kind::Peers.code(), 0, no_such_thing)
            .expect("an open link");
    }

    fn on_message(&mut self, _: ConnId, _: Header, _: &[u8], _: &mut Outbox<'_>) {}

    fn on_closed(&mut self, _: ConnId, _: &CloseReason, _: &mut Outbox<'_>) {
        self.ended.stop(0).expect("the reactor runs");
    }

    fn on_tick(&mut self, _: Millis, out: &mut Outbox<'_>) {
        if !std::mem::replace(&mut self.dialled, true) {
            let place = (self.to.host.parse::<IpAddr>().expect("an IP"), self.to.port);
            let config = LinkConfig {
                own: Arc::clone(&self.own),
                peer: self.to.identity,
            };
            out.connect_link(place.into(), Arc::new(config))
                .expect("the first connection");
        }
    }
}

/// Links with a hub under this key, offends, and returns when the hub has ended the link.
fn offend(ledger: LedgerId, key: u8, hub: &Hub) {
    let reactor = Reactor::new(Config {
        tick_millis: Some(10),
        ..Config::default()
    })
    .expect("a reactor");
    let own = Arc::new(ServerConfig {
        ledger,
        noise: NoiseSecret::from_bytes([key; 32]),
        identity: SecretKey::from_seed([key; 32]),
        links: true,
        limits: Limits::default(),
    });
    let mut offender = Offender {
        to: hub.address.parse().expect("a hub's address"),
        own,
        dialled: false,
        ended: reactor.sender(),
    };
    reactor.run(&mut offender).expect("a reactor that ends");
}

/// A hub that says nonsense is banned; neither a kill nor a start lets it in again, and its ban ends when it would have ended.
#[test]
fn a_ban_outlives_a_kill() {
    let (world, _) = World::new();
    let a = world.start("a", ANY, &[]);
    offend(world.name, 77, &a);
    let offender = SecretKey::from_seed([77; 32]).public().bytes().to_string();
    let banned = world.wait(&a, "a ban", |peers| {
        peers["bans"].as_array().is_some_and(|bans| bans.len() == 1)
    });
    assert_eq!(text(&banned["bans"][0], "identity"), offender);
    assert_eq!((number(&banned, "turned_away"), linked(&banned).len()), (0, 0));
    world.wait_kept("a");
    a.kill();

    let kept = world.place.json(&["inspect", "peers", "--data", "a"]);
    assert_eq!(kept["bans"], banned["bans"], "of the dead hub's directory");
    let a = world.start("a", ANY, &[]);
    offend(world.name, 77, &a);
    let refused = world.wait(&a, "it is turned away", |peers| number(peers, "turned_away") > 0);
    assert_eq!(refused["bans"], banned["bans"], "it is the same ban");
    offend(world.name, 78, &a);
    let other = world.wait(&a, "a further ban", |peers| {
        peers["bans"].as_array().is_some_and(|bans| bans.len() == 2)
    });
    assert_eq!(number(&other, "turned_away"), 1, "others are judged by what they do");
    a.stop();
    world.ledger.stop();
}
