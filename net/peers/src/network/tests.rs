//! Links by hand, and a small world of hubs that find each other over links without sockets.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;

use proptest::prelude::*;
use tidegate_channel::BatchHeader;
use tidegate_crypto::keys::SecretKey;
use tidegate_types::{BatchNumber, Fixed};
use tidegate_wire::frame::{HEADER_LEN, MAX_BODY};

use super::*;
use crate::lists::Rule;

const LEDGER: LedgerId = LedgerId::from_bytes([9; 32]);
const START: (Moment, Minute) = (Moment::new(1_000_000), Minute::new(30_000_000));

fn at(millis: u64) -> (Moment, Minute) {
    let minutes = u32::try_from(millis / 60_000).unwrap();
    (START.0.after(millis), Minute::new(START.1.get() + minutes))
}

fn secret(number: u8) -> SecretKey {
    SecretKey::from_seed([number; 32])
}

fn identity(number: u8) -> KeyBytes {
    secret(number).public().bytes()
}

/// Each hub has a network of its own.
fn place(number: u8) -> Place {
    Place::new(identity(number), IpAddr::from([number.max(11), 7, 1, 1]), 7411)
}

fn setup(number: u8, seeds: &[u8]) -> Setup {
    Setup {
        own: identity(number),
        port: 7411,
        ledger: LEDGER,
        seed: [number; 32],
        kept: Kept::new([number; 32]),
        seeds: seeds.iter().map(|seed| place(*seed)).collect(),
        lists: Lists::default(),
        bounds: Bounds {
            outgoing: 3,
            incoming_max: 4,
        },
        private_networks: false,
    }
}

fn message<'a>(body: &impl Body<'a>) -> (Header, Vec<u8>) {
    let mut bytes = Vec::new();
    body.append(0, &mut bytes).unwrap();
    split(&bytes)
}

fn split(bytes: &[u8]) -> (Header, Vec<u8>) {
    let head = bytes.first_chunk::<HEADER_LEN>().unwrap();
    (
        Header::decode_strict(head, MAX_BODY).unwrap(),
        bytes[HEADER_LEN..].to_vec(),
    )
}

/// A hub and one link from hub 20, which has greeted.
struct One {
    network: Network,
    out: Vec<Action>,
}

const LINK: LinkId = LinkId(1);
const PEER: u8 = 20;

impl One {
    fn new() -> Self {
        let mut one = Self::ungreeted(setup(11, &[]));
        one.give(&greeting(), 0);
        one.out.clear();
        one
    }

    fn ungreeted(setup: Setup) -> Self {
        let mut network = Network::new(setup);
        let mut out = Vec::new();
        let peer = place(PEER);
        network
            .opened(LINK, peer.identity, peer.address.ip(), None, START, &mut out)
            .unwrap();
        Self { network, out }
    }

    fn give<'a>(&mut self, body: &impl Body<'a>, millis: u64) {
        let (header, body) = message(body);
        self.network.received(LINK, &header, &body, at(millis), &mut self.out);
    }

    fn tick(&mut self, millis: u64) {
        let (moment, minute) = at(millis);
        self.network.tick(moment, minute, &mut self.out);
    }

    /// What was sent since the last look, by kind and first byte.
    fn sent(&mut self) -> Vec<(u16, u8)> {
        let sent = self.out.drain(..).filter_map(|action| match action {
            Action::Send(_, bytes) => {
                let (header, body) = split(&bytes);
                Some((header.kind, body[0]))
            }
            _ => None,
        });
        sent.collect()
    }

    fn is_closed(&self) -> bool {
        self.out.iter().any(|action| matches!(action, Action::Close(LINK)))
    }

    fn is_banned(&self) -> bool {
        self.network.kept().scores.is_banned(&identity(PEER), at(0).1)
    }
}

const fn greeting() -> Peers<'static> {
    Peers::Greeting {
        version: LINK_VERSION,
        port: 7411,
    }
}

#[test]
fn the_greeting_comes_first_and_once_and_in_time() {
    let mut early = One::ungreeted(setup(11, &[]));
    early.give(&Peers::Ask { most: 1 }, 0);
    assert_eq!(early.network.kept().scores.points(&identity(PEER), START.0), 50);
    let mut twice = One::new();
    twice.give(&greeting(), 0);
    assert!(!twice.is_closed());
    twice.give(&greeting(), 0);
    assert!(twice.is_closed() && twice.is_banned());
    let mut silent = One::ungreeted(setup(11, &[]));
    silent.tick(9_999);
    assert!(!silent.is_closed());
    silent.tick(10_000);
    assert!(silent.is_closed() && !silent.is_banned());
    let mut other = One::ungreeted(setup(11, &[]));
    other.give(&Peers::Greeting { version: 2, port: 0 }, 0);
    assert!(other.is_closed() && !other.is_banned());
}

#[test]
fn a_greeting_tells_where_the_peer_listens() {
    let one = One::new();
    assert!(one.network.kept().table.knows(&place(PEER)));
    let mut none = One::ungreeted(setup(11, &[]));
    none.give(&Peers::Greeting { version: 1, port: 0 }, 0);
    assert!(none.network.kept().table.is_empty());
}

#[test]
fn a_question_is_answered_once_an_hour() {
    let mut one = One::new();
    one.give(&Peers::Ask { most: 5 }, 0);
    assert_eq!(one.sent(), [(24, 3)]);
    for _ in 0..3 {
        one.give(&Peers::Ask { most: 5 }, 3_599_999);
    }
    assert_eq!(one.sent(), []);
    assert_eq!(one.network.kept().scores.points(&identity(PEER), at(3_599_999).0), 30);
    one.give(&Peers::Ask { most: 5 }, 3_600_000);
    assert_eq!(one.sent(), [(24, 3)]);
}

/// A hub that knows few places would else answer with nothing but who asks.
#[test]
fn whoever_asks_is_not_told_of_itself() {
    let mut one = One::new();
    one.give(&Peers::Ask { most: 5 }, 0);
    let Some(Action::Send(_, bytes)) = one.out.pop() else {
        panic!("no answer")
    };
    let (header, body) = split(&bytes);
    let answer = ToPeer::decode(&header, &body).unwrap();
    assert!(matches!(answer, ToPeer::Peers(Peers::Addresses([]))), "{answer:?}");
}

fn entries(count: u16, from: u16) -> Vec<PeerEntry> {
    let entry = |n: u16| {
        let [a, b] = (n + from).to_le_bytes();
        let mut identity = [3; 32];
        (identity[0], identity[1]) = (a, b);
        PeerEntry::new(
            KeyBytes::from_bytes(identity),
            IpAddr::from([50 + b, a, 1, 1]),
            7411,
            START.1.get(),
        )
    };
    (0..count).map(entry).collect()
}

#[test]
fn addresses_that_nobody_asked_for_are_few_and_then_an_offence() {
    let mut one = One::new();
    one.give(&Peers::Addresses(&entries(100, 0)), 0);
    // The peer itself, and the one address that may come unasked.
    assert_eq!(one.network.kept().table.len(), 2);
    assert_eq!(one.network.kept().scores.points(&identity(PEER), START.0), 20);
    one.network.ask(LINK, &mut one.out);
    one.give(&Peers::Addresses(&entries(256, 1_000)), 0);
    assert!(one.network.kept().table.len() > 200, "what was asked for comes whole");
    for batch in 0..4 {
        one.give(&Peers::Addresses(&entries(100, 2_000 + batch * 100)), 0);
    }
    assert!(one.is_closed() && one.is_banned());
}

#[test]
fn local_addresses_are_nobodys_to_tell() {
    let mut one = One::new();
    one.network.ask(LINK, &mut one.out);
    let local = [[10, 0, 0, 1], [127, 0, 0, 1], [192, 168, 1, 1]]
        .map(|ip| PeerEntry::new(identity(40), IpAddr::from(ip), 7411, START.1.get()));
    let own = PeerEntry::new(identity(11), IpAddr::from([77, 7, 7, 7]), 7411, START.1.get());
    one.give(&Peers::Addresses(&[&local[..], &[own]].concat()), 0);
    assert_eq!(one.network.kept().table.len(), 1);
    assert_eq!(one.network.kept().scores.points(&identity(PEER), START.0), 0);
}

#[test]
fn what_does_not_decode_is_answered_and_ends_the_link() {
    let mut one = One::new();
    let (header, mut body) = message(&Peers::Ask { most: 1 });
    body[1] = 1;
    one.network.received(LINK, &header, &body, at(0), &mut one.out);
    assert!(one.is_closed() && one.is_banned());
    assert_eq!(one.sent()[0].0, 27, "an error says why");
    let peer = place(PEER);
    let again = one
        .network
        .opened(LinkId(2), peer.identity, peer.address.ip(), None, at(0), &mut one.out);
    assert_eq!(again, Err(Ended::Banned));
    let day = at(24 * 3_600_000);
    let again = one
        .network
        .opened(LinkId(2), peer.identity, peer.address.ip(), None, day, &mut one.out);
    assert_eq!(again, Ok(()));
}

#[test]
fn who_does_not_answer_is_gone_and_who_answers_stays() {
    let mut one = One::new();
    one.tick(60_000);
    let Some(Action::Send(_, ping)) = one
        .out
        .iter()
        .find(|action| matches!(action, Action::Send(_, bytes) if bytes[4] == 25))
    else {
        panic!("no ping")
    };
    let (_, body) = split(ping);
    let token: [u8; 8] = body[8..].try_into().unwrap();
    one.give(&Ping { answer: true, token }, 79_000);
    one.tick(80_000);
    assert!(!one.is_closed());
    one.tick(139_000);
    one.tick(159_000);
    assert!(one.is_closed() && !one.is_banned());
    let mut liar = One::new();
    liar.give(&Ping { answer: true, token }, 1_000);
    assert_eq!(liar.network.kept().scores.points(&identity(PEER), at(1_000).0), 50);
    liar.out.clear();
    liar.give(&Ping { answer: false, token }, 1_000);
    assert_eq!(liar.sent(), [(25, 1)]);
}

fn header_of(hub: u8, number: u64, leaves: u32) -> SignedHeader {
    let zero = BatchHeader::decode(&[0; BatchHeader::LEN]).unwrap();
    let header = BatchHeader {
        hub: identity(hub),
        number: BatchNumber::new(number),
        leaf_count: leaves,
        ..zero
    };
    header.sign(&LEDGER, &secret(hub))
}

fn state(headers: &[[u8; SignedHeader::LEN]]) -> Peers<'_> {
    Peers::State {
        height: Height::new(7),
        block: Digest::ZERO,
        headers,
    }
}

fn bytes_of(header: SignedHeader) -> [u8; SignedHeader::LEN] {
    header.to_vec().try_into().unwrap()
}

/// Hub 30 has shown hub 20 one history and hub 11 another: the two compare, and hub 30 is nobody's peer any more.
#[test]
fn two_histories_of_a_third_hub_are_found() {
    let mut one = One::new();
    let third = place(30);
    one.network
        .opened(LinkId(3), third.identity, third.address.ip(), None, START, &mut one.out)
        .unwrap();
    let give = |one: &mut One, body: &Peers<'_>| {
        let (header, body) = message(body);
        one.network.received(LinkId(3), &header, &body, at(0), &mut one.out);
    };
    give(&mut one, &greeting());
    give(&mut one, &state(&[bytes_of(header_of(30, 5, 1))]));
    assert_eq!(
        one.network
            .links(START.0)
            .iter()
            .filter(|link| link.height == Some(Height::new(7)))
            .count(),
        1
    );
    one.give(
        &state(&[bytes_of(header_of(20, 1, 1)), bytes_of(header_of(30, 5, 2))]),
        0,
    );
    let fault = one.out.iter().find_map(|action| match action {
        Action::Fault(fault) => Some(fault),
        _ => None,
    });
    fault
        .expect("evidence")
        .check_signatures(&LEDGER, &secret(30).public())
        .unwrap();
    assert!(one.out.iter().any(|action| matches!(action, Action::Close(LinkId(3)))));
    assert!(!one.is_closed(), "who tells of it has done nothing");
}

#[test]
fn a_header_that_its_hub_has_not_signed_is_the_tellers_offence() {
    let mut one = One::new();
    let mut forged = header_of(30, 5, 1);
    forged.header.leaf_count = 2;
    one.give(&state(&[bytes_of(forged)]), 0);
    assert!(one.is_banned());
    assert!(!one.network.kept().scores.is_banned(&identity(30), START.1));
}

#[test]
fn the_newest_state_is_told_and_not_too_often() {
    let mut one = One::new();
    for (second, number) in (0..40).zip(1..) {
        let newest = header_of(11, number, 1);
        one.network.note_state(Some(newest), Height::new(1), Digest::ZERO);
        one.tick(1_000 * second);
    }
    let told = one.sent().into_iter().filter(|what| *what == (24, 4)).count();
    assert!((3..=4).contains(&told), "{told} in 40 s");
    one.tick(60_000);
    one.tick(75_000);
    let told = one.sent().into_iter().filter(|what| *what == (24, 4)).count();
    assert!(told <= 1, "nothing has changed since");
}

#[test]
fn links_that_others_begin_are_bounded_and_those_of_the_allowed_are_not() {
    let mut setup = setup(11, &[]);
    setup.lists.allow.push(Rule::Identity(identity(60)));
    setup.lists.deny.push(Rule::Identity(identity(61)));
    let mut network = Network::new(setup);
    let mut out = Vec::new();
    let mut open = |number: u8| {
        let peer = place(number);
        network.opened(
            LinkId(number.into()),
            peer.identity,
            peer.address.ip(),
            None,
            START,
            &mut out,
        )
    };
    for number in 20..24 {
        assert_eq!(open(number), Ok(()));
    }
    assert_eq!(open(24), Err(Ended::Full));
    assert_eq!(open(23), Err(Ended::Twice));
    assert_eq!(open(11), Err(Ended::Twice), "itself");
    assert_eq!(open(61), Err(Ended::Denied));
    assert_eq!(open(60), Ok(()));
}

/// Hubs, and the links between them: what one sends the other gets, one message after the other.
struct World {
    hubs: BTreeMap<u8, Network>,
    /// Link → its two ends, the one that began it first.
    links: BTreeMap<u64, (u8, u8)>,
    mail: VecDeque<(u8, u64, Vec<u8>)>,
    next: u64,
    banned: usize,
}

impl World {
    /// Everybody knows the seeds, and the first of them takes links of all.
    fn new(count: u8, seeds: &[u8]) -> Self {
        let hub = |number: u8| {
            let mut setup = setup(number, seeds);
            if number == seeds[0] {
                setup.bounds.incoming_max = usize::from(count);
            }
            (number, Network::new(setup))
        };
        Self {
            hubs: (11..11 + count).map(hub).collect(),
            links: BTreeMap::new(),
            mail: VecDeque::new(),
            next: 1,
            banned: 0,
        }
    }

    fn number_of(&self, address: SocketAddr) -> Option<u8> {
        self.hubs
            .keys()
            .copied()
            .find(|number| place(*number).address == address)
    }

    fn run(&mut self, millis: u64) {
        let numbers: Vec<u8> = self.hubs.keys().copied().collect();
        for number in numbers {
            let mut out = Vec::new();
            let (moment, minute) = at(millis);
            self.hub(number).tick(moment, minute, &mut out);
            self.carry_out(number, out, millis);
        }
        while let Some((to, link, bytes)) = self.mail.pop_front() {
            let mut out = Vec::new();
            let (header, body) = split(&bytes);
            self.hub(to)
                .received(LinkId(link), &header, &body, at(millis), &mut out);
            self.carry_out(to, out, millis);
        }
    }

    fn hub(&mut self, number: u8) -> &mut Network {
        self.hubs.get_mut(&number).unwrap()
    }

    fn carry_out(&mut self, number: u8, actions: Vec<Action>, millis: u64) {
        for action in actions {
            match action {
                Action::Dial(to) => self.dial(number, to, millis),
                Action::Send(link, bytes) => {
                    if let Some((a, b)) = self.links.get(&link.0) {
                        let to = if *a == number { *b } else { *a };
                        self.mail.push_back((to, link.0, bytes));
                    }
                }
                Action::Close(link) => self.close(link.0, millis),
                Action::Banned(_) => self.banned += 1,
                Action::Fault(_) => panic!("nobody here has done wrong"),
            }
        }
    }

    fn close(&mut self, link: u64, millis: u64) {
        let (now, _) = at(millis);
        if let Some((a, b)) = self.links.remove(&link) {
            self.hub(a).closed(LinkId(link), now);
            self.hub(b).closed(LinkId(link), now);
        }
    }

    fn dial(&mut self, from: u8, to: Place, millis: u64) {
        let reached = self
            .number_of(to.address)
            .filter(|number| identity(*number) == to.identity);
        let Some(number) = reached else {
            return self.hub(from).not_reached(&to);
        };
        let link = self.next;
        self.next += 1;
        self.links.insert(link, (from, number));
        let (mut near, mut far) = (Vec::new(), Vec::new());
        let id = LinkId(link);
        let (own, other) = (place(from), to.address.ip());
        let accepted = self
            .hub(number)
            .opened(id, own.identity, own.address.ip(), None, at(millis), &mut far);
        let begun = self
            .hub(from)
            .opened(id, to.identity, other, Some(to), at(millis), &mut near);
        self.carry_out(number, far, millis);
        self.carry_out(from, near, millis);
        if accepted.is_err() || begun.is_err() {
            self.close(link, millis);
        }
    }

    fn check(&self) -> Result<(), TestCaseError> {
        for (number, network) in &self.hubs {
            let links = network.links(START.0);
            let begun = links.iter().filter(|link| link.outgoing).count();
            let most = network.setup.bounds.incoming_max;
            prop_assert!(begun <= 3 && links.len() - begun <= most, "hub {number}: {links:?}");
            let mut identities: Vec<KeyBytes> = links.iter().map(|link| link.identity).collect();
            identities.dedup();
            prop_assert_eq!(identities.len(), links.len(), "two links with one hub");
            for link in &links {
                prop_assert!(!network.kept().scores.is_banned(&link.identity, START.1));
            }
        }
        Ok(())
    }
}

/// Twelve hubs know one seed. After some minutes each is linked with others than the seed and knows most of them; nobody was
/// banned on the way.
#[test]
fn hubs_find_each_other_from_one_seed() {
    let mut world = World::new(12, &[11]);
    for second in 0..600 {
        world.run(second * 1_000);
    }
    world.check().unwrap();
    assert_eq!(world.banned, 0);
    for (number, network) in &world.hubs {
        let links = network.links(START.0);
        assert!(links.len() >= 2, "hub {number} is linked with {}", links.len());
        assert!(links.iter().any(|link| link.identity != identity(11)), "hub {number}");
        assert!(
            network.kept().table.len() >= 3,
            "hub {number} knows {}",
            network.kept().table.len()
        );
    }
}

/// The seed is started an hour after the hub that knows nobody else, and is killed and started anew: it is found both times.
#[test]
fn a_seed_that_comes_late_or_anew_is_linked_with() {
    let mut world = World::new(2, &[11]);
    let run = |world: &mut World, from: u64, to: u64| {
        let seconds = (from..to).step_by(if to - from > 60 { 20 } else { 1 });
        seconds.for_each(|second| world.run(second * 1_000));
    };
    let seed = world.hubs.remove(&11).unwrap();
    run(&mut world, 0, 3_600);
    assert_eq!(world.hub(12).links(START.0), []);
    world.hubs.insert(11, seed);
    run(&mut world, 3_600, 4_600);
    assert_eq!(
        world.hub(12).links(START.0).len(),
        1,
        "the longest wait is fifteen minutes"
    );
    let link = *world.links.keys().next().unwrap();
    world.close(link, 4_600_000);
    world.hubs.insert(11, Network::new(setup(11, &[])));
    run(&mut world, 4_600, 4_604);
    assert_eq!(world.hub(12).links(START.0).len(), 1);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]

    /// Hubs come, links break, clocks jump: the bounds hold at every step.
    #[test]
    fn bounds_hold_whatever_happens(count in 2..10_u8, events in prop::collection::vec((0..60_u64, 0..4_u8), 1..120)) {
        let mut world = World::new(count, &[11, 12]);
        let mut millis = 0;
        for (seconds, what) in events {
            millis += seconds * 1_000;
            if what == 0 && let Some(link) = world.links.keys().next().copied() {
                world.close(link, millis);
            }
            world.run(millis);
            world.check()?;
        }
    }

    /// Any bytes as a message, in any order with good ones, never panic and never let more be known than may come.
    #[test]
    fn any_bytes_are_borne(messages in prop::collection::vec((0..30_u16, prop::collection::vec(any::<u8>(), 0..80)), 0..40)) {
        let mut one = One::new();
        for (kind, body) in messages {
            let header = Header { len: u32::try_from(body.len()).unwrap(), kind, version: 1, request: 7 };
            one.network.received(LINK, &header, &body, at(0), &mut one.out);
            prop_assert!(one.network.kept().table.len() <= 2);
        }
    }
}
