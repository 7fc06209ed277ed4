//! What strangers may take: places, handshakes, processor time; and what is kept for others meanwhile.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc;

use support::*;
use tidegate_reactor::{Admission, CloseReason, Config, ConnId, Handler, Outbox, Reactor};
use tidegate_session::{Buffer, Millis, PublicKey, Session, SessionError};
use tidegate_wire::frame::Header;

/// Loopback is treated as any network.
fn strict(admission: Admission) -> Config {
    Config {
        admission: Admission {
            exempt_loopback: false,
            ..admission
        },
        ..Config::default()
    }
}

/// True if the other end has closed; nothing was said.
fn is_closed(stream: &mut TcpStream) -> bool {
    matches!(stream.read(&mut [0; 1]), Ok(0) | Err(_))
}

#[test]
fn the_ninth_half_open_connection_of_a_prefix_is_closed_as_it_comes() {
    let hub = Hub::start(strict(Admission::default()), 5_000);
    let silent: Vec<TcpStream> = (0..8).map(|_| TcpStream::connect(hub.address).unwrap()).collect();
    wait_until("eight are half open", || hub.stats.half_open.get() == 8);
    let mut ninth = TcpStream::connect(hub.address).unwrap();
    assert!(is_closed(&mut ninth));
    assert_eq!(hub.stats.refused_by_prefix.get(), 1);
    drop(silent);
    wait_until("they are gone", || hub.stats.half_open.get() == 0);
    let mut honest = Blocking::connect(hub.address, 1);
    honest.send(ECHO, &[b"x"]);
    assert_eq!(honest.receive().unwrap().1, b"x");
    hub.stop(0);
}

#[test]
fn many_strangers_must_show_a_cookie_and_who_shows_it_gets_in() {
    let admission = Admission {
        cookies_from: 1,
        ..Admission::default()
    };
    let hub = Hub::start(strict(admission), 5_000);
    let _silent = TcpStream::connect(hub.address).unwrap();
    wait_until("one is half open", || hub.stats.half_open.get() == 1);

    let (mut first, mut plain, mut out) = (Buffer::new(), Buffer::new(), Buffer::new());
    let mut session = Session::client(client_config(1), Millis::new(0), &mut first).unwrap();
    let mut stream = TcpStream::connect(hub.address).unwrap();
    stream.write_all(first.bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    assert_eq!(answer.len(), 42, "a cookie, and the end");
    let Err(SessionError::Retry(retry)) = session.receive(Millis::new(0), &answer, &mut plain, &mut out) else {
        panic!("it is asked to come again");
    };
    assert_eq!(hub.stats.sent_away.get(), 1);

    let mut client = Blocking::connect_with(hub.address, |out| {
        Session::client_again(client_config(1), &retry.cookie, Millis::new(0), out).unwrap()
    })
    .expect("the cookie lets it in");
    client.send(ECHO, &[b"x"]);
    assert_eq!(client.receive().unwrap().1, b"x");
    hub.stop(0);
}

/// Reports what it is told of one connection that it begins.
struct Caller {
    told: mpsc::Sender<Option<String>>,
}

impl Handler for Caller {
    fn on_ready(&mut self, conn: ConnId, _: &PublicKey, out: &mut Outbox<'_>) {
        out.message(conn, ECHO, 1, |to| to.extend_from_slice(b"x")).unwrap();
    }

    fn on_message(&mut self, _: ConnId, _: Header, _: &[u8], _: &mut Outbox<'_>) {
        let _ = self.told.send(None);
    }

    fn on_closed(&mut self, _: ConnId, reason: &CloseReason, _: &mut Outbox<'_>) {
        let _ = self.told.send(Some(reason.to_string()));
    }
}

/// A reactor's own connection shows the cookie that it is asked for, and its handler hears of nothing but the end of it.
#[test]
fn a_connection_that_is_asked_for_a_cookie_brings_it() {
    let admission = Admission {
        cookies_from: 1,
        ..Admission::default()
    };
    let hub = Hub::start(strict(admission), 5_000);
    let _silent = TcpStream::connect(hub.address).unwrap();
    wait_until("one is half open", || hub.stats.half_open.get() == 1);
    let mut reactor = Reactor::new(Config::default()).unwrap();
    reactor.connect(hub.address, client_config(1)).unwrap();
    let (told, hear) = mpsc::channel();
    let (sender, stats) = (reactor.sender(), reactor.stats());
    let thread = std::thread::spawn(move || reactor.run(&mut Caller { told }).unwrap());
    assert_eq!(hear.recv_timeout(PATIENCE).unwrap(), None, "it is answered");
    assert_eq!((stats.redialled.get(), hub.stats.sent_away.get()), (1, 1));
    sender.stop(0).unwrap();
    thread.join().unwrap();
    hub.stop(0);
}

/// A hub that never lets anyone in is asked four times in all, and then the handler hears why.
#[test]
fn a_hub_that_asks_again_and_again_is_given_up() {
    let listener = TcpListener::bind(ANYWHERE).unwrap();
    let address = listener.local_addr().unwrap();
    let hub = std::thread::spawn(move || {
        let mut cookies = Vec::new();
        for attempt in 0..4_u8 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut frame = [0; 2];
            stream.read_exact(&mut frame).unwrap();
            let mut message = vec![0; usize::from(u16::from_le_bytes(frame))];
            stream.read_exact(&mut message).unwrap();
            cookies.push((message.len() > 96).then(|| message[0]));
            let mut retry = vec![40, 0, 1, 0, 0, 0, 0, 0, 0, 0];
            retry.extend([attempt; 32]);
            stream.write_all(&retry).unwrap();
        }
        cookies
    });
    let mut reactor = Reactor::new(Config::default()).unwrap();
    reactor.connect(address, client_config(1)).unwrap();
    let (told, hear) = mpsc::channel();
    let sender = reactor.sender();
    let thread = std::thread::spawn(move || reactor.run(&mut Caller { told }).unwrap());
    let reason = hear.recv_timeout(PATIENCE).unwrap().expect("it is not let in");
    assert!(reason.contains("come again"), "{reason}");
    assert_eq!(hub.join().unwrap(), [None, Some(0), Some(1), Some(2)]);
    sender.stop(0).unwrap();
    thread.join().unwrap();
}

/// Without processor time for strangers, a peer that is known is served and the strangers wait until their deadline.
#[test]
fn strangers_without_processor_time_wait_and_peers_do_not() {
    let admission = Admission {
        handshake_cpu_percent: 0,
        prefix_burst: 10_000,
        half_open_per_prefix_max: 10_000,
        cookies_from: 10_000,
        ..Admission::default()
    };
    let hub = Hub::start(strict(admission), 1_000);
    let mut known = Blocking::connect(hub.address, 1);
    // What was saved up is used up by handshakes; then nobody new gets in.
    let mut refused = 0;
    for _ in 0..2_000 {
        if Blocking::try_connect(hub.address, 2).is_none() {
            refused += 1;
            if refused == 3 {
                break;
            }
        }
    }
    assert_eq!(refused, 3, "the time is used up some time");
    assert!(hub.stats.handshakes_deferred.get() > 0 || hub.stats.sent_away.get() > 0);
    known.send(ECHO, &[b"served"]);
    assert_eq!(known.receive().unwrap().1, b"served");
    hub.stop(0);
}

/// Of four places two are kept. The handler of the test keeps them for the client whose key is made of nines.
#[test]
fn the_last_places_are_kept_for_those_with_something_at_stake() {
    let config = Config {
        connections_max: 4,
        admission: Admission {
            reserved: 2,
            ..Admission::default()
        },
        ..Config::default()
    };
    let hub = Hub::start(config, 5_000);
    let mut inside = vec![Blocking::connect(hub.address, 1), Blocking::connect(hub.address, 2)];
    inside.iter_mut().for_each(|client| {
        client.send(ECHO, &[b"x"]);
        assert!(client.receive().is_some());
    });
    if let Some(mut third) = Blocking::try_connect(hub.address, 3) {
        third.send(ECHO, &[b"x"]);
        assert!(third.receive().is_none(), "it is closed once it is known");
    }
    assert!(matches!(hub.closed().1, CloseReason::NoPlace));
    for _ in 0..2 {
        let mut kept = Blocking::connect(hub.address, PLACED);
        kept.send(ECHO, &[b"x"]);
        assert_eq!(kept.receive().unwrap().1, b"x");
        inside.push(kept);
    }
    assert!(
        Blocking::try_connect(hub.address, PLACED).is_none(),
        "there is no fifth place"
    );
    assert_eq!(hub.stats.connections.get(), 4);
    hub.stop(0);
}

/// Whoever is gone before its handshake is looked at costs no handshake.
#[test]
fn nothing_is_computed_for_a_peer_that_is_gone() {
    let hub = Hub::start(Config::default(), 5_000);
    let mut first = Buffer::new();
    let _session = Session::client(client_config(1), Millis::new(0), &mut first).unwrap();
    let mut stream = TcpStream::connect(hub.address).unwrap();
    stream.write_all(first.bytes()).unwrap();
    stream.shutdown(std::net::Shutdown::Write).unwrap();
    let mut answer = Vec::new();
    let ended = stream.read_to_end(&mut answer);
    // Whether the end came together with the bytes is the kernel's to decide; if it did, there is no answer.
    assert!(ended.is_err() || answer.len() % 164 == 0, "{} bytes", answer.len());
    assert!(matches!(hub.closed().1, CloseReason::EndedInHandshake));
    hub.stop(0);
}

#[test]
fn silence_keeps_no_place_while_others_wait_for_it() {
    let config = Config {
        half_open_max: 4,
        ..Config::default()
    };
    let hub = Hub::start(config, 60_000);
    let _silent: Vec<TcpStream> = (0..12).map(|_| TcpStream::connect(hub.address).unwrap()).collect();
    // Twelve silent ones stand before it, four places at half a second each, and it does not wait for their minute.
    let mut honest = Blocking::connect(hub.address, 1);
    honest.send(ECHO, &[b"x"]);
    assert_eq!(honest.receive().unwrap().1, b"x");
    assert!(matches!(hub.closed().1, CloseReason::NoPlace));
    hub.stop(0);
}
