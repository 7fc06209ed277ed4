//! The reactor over loopback: what peers do, good and bad, and what comes of it.

mod support;

use std::io::{Read as _, Write as _};
use std::net::{Shutdown, TcpStream};
use std::sync::mpsc;
use std::time::Duration;

use support::*;
use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor};
use tidegate_session::{Millis, PublicKey, SecretKey};
use tidegate_wire::frame::{Header, write_message};

/// Sends numbered messages over each of its connections and checks that they come back in order.
struct Chatter {
    per_connection: u64,
    next: Vec<u64>,
    finished: usize,
    done: mpsc::Sender<()>,
}

const WINDOW: u64 = 100;

impl Chatter {
    fn say(&self, conn: ConnId, number: u64, out: &mut Outbox<'_>) {
        if number < self.per_connection {
            let body = [number.to_le_bytes(); 25];
            out.message(conn, ECHO, number, |to| to.extend_from_slice(body.as_flattened()))
                .unwrap();
        }
    }
}

impl Handler for Chatter {
    fn on_ready(&mut self, conn: ConnId, peer: &PublicKey, out: &mut Outbox<'_>) {
        assert_eq!(*peer, SecretKey::from_seed([22; 32]).public());
        (0..WINDOW).for_each(|number| self.say(conn, number, out));
    }

    fn on_message(&mut self, conn: ConnId, header: Header, body: &[u8], out: &mut Outbox<'_>) {
        let number = self.next[conn.slot()];
        assert_eq!(
            (header.request, body),
            (number, [number.to_le_bytes(); 25].as_flattened())
        );
        self.next[conn.slot()] += 1;
        self.say(conn, number + WINDOW, out);
        if number + 1 == self.per_connection {
            out.close(conn);
        }
    }

    fn on_closed(&mut self, _: ConnId, reason: &CloseReason, _: &mut Outbox<'_>) {
        assert!(matches!(reason, CloseReason::Closed), "{reason}");
        self.finished += 1;
        if self.finished == self.next.len() {
            self.done.send(()).unwrap();
        }
    }
}

fn echo_over(connections: usize, per_connection: u64) {
    let hub = Hub::start(Config::default(), 5_000);
    let mut reactor = Reactor::new(Config::default()).unwrap();
    for _ in 0..connections {
        reactor.connect(hub.address, client_config(1)).unwrap();
    }
    let (done, wait) = mpsc::channel();
    let mut chatter = Chatter {
        per_connection,
        next: vec![0; connections],
        finished: 0,
        done,
    };
    let sender = reactor.sender();
    let thread = std::thread::spawn(move || {
        reactor.run(&mut chatter).unwrap();
        chatter.next
    });
    wait.recv_timeout(PATIENCE).unwrap();
    sender.stop(0).unwrap();
    assert_eq!(thread.join().unwrap(), vec![per_connection; connections]);
    let messages = connections as u64 * per_connection;
    wait_until("all counted", || hub.stats.messages_in.get() == messages);
    assert!(hub.stats.frames_out.get() < messages / 2, "answers share frames");
    assert!(hub.stats.syscalls.get() < messages, "answers share writes");
    hub.stop(50);
}

#[test]
fn ten_thousand_messages_come_back_over_one_connection() {
    echo_over(1, 10_000);
}

#[test]
fn ten_thousand_messages_come_back_over_fifty_connections() {
    echo_over(50, 200);
}

#[test]
fn a_peer_that_never_reads_is_closed_at_its_bound_while_others_go_on() {
    let config = Config {
        send_bytes_max: 1 << 20,
        socket_send_bytes: 64 * 1024,
        ..Config::default()
    };
    let hub = Hub::start(config, 5_000);
    let mut good = Blocking::connect(hub.address, 1);
    let mut bad = Blocking::connect(hub.address, 2);
    let (good_id, bad_id) = (hub.ready().0, hub.ready().0);
    let requests: Vec<&[u8]> = vec![b"more"; 400];
    bad.send(FLOOD, &requests);
    for _ in 0..50 {
        good.send(ECHO, &[b"still here"]);
        assert_eq!(good.receive().unwrap().1, b"still here");
    }
    let (id, reason) = hub.closed();
    assert!(matches!(reason, CloseReason::SendQueueFull), "{reason}");
    assert_eq!(id, bad_id);
    good.send(ECHO, &[b"and now"]);
    assert_eq!(good.receive().unwrap().1, b"and now");
    assert_ne!(good_id, bad_id);
    hub.stop(50);
}

#[test]
fn a_connection_that_ends_inside_a_message_is_truncated() {
    let hub = Hub::start(Config::default(), 5_000);
    let mut whole = Blocking::connect(hub.address, 1);
    let frame = whole.sealed(SINK, &[b"a message of some length"]);
    for cut in [1, 2, 10, frame.len() - 1] {
        let mut client = Blocking::connect(hub.address, 1);
        let frame = client.sealed(SINK, &[b"a message of some length"]);
        client.stream.write_all(&frame[..cut]).unwrap();
        drop(client);
        let (_, reason) = hub.closed();
        assert!(matches!(reason, CloseReason::Truncated), "cut at {cut}: {reason}");
    }
    // A whole frame with half a message in it.
    let mut client = Blocking::connect(hub.address, 1);
    let mut plain = Vec::new();
    write_message(&mut plain, SINK, 1, |to| to.extend_from_slice(&[1; 100])).unwrap();
    let mut out = tidegate_session::Buffer::new();
    client.session.send(&plain[..50], &mut out).unwrap();
    client.stream.write_all(out.bytes()).unwrap();
    drop(client);
    assert!(matches!(hub.closed().1, CloseReason::Truncated));
    hub.stop(50);
}

#[test]
fn a_peer_that_has_said_all_still_gets_its_answers() {
    let hub = Hub::start(Config::default(), 5_000);
    let mut client = Blocking::connect(hub.address, 1);
    let bodies: Vec<&[u8]> = vec![b"a question"; 1000];
    client.send(ECHO, &bodies);
    client.stream.shutdown(Shutdown::Write).unwrap();
    for number in 0..1000 {
        let (header, body) = client.receive().unwrap();
        assert_eq!((header.request, &body[..]), (number, &b"a question"[..]));
    }
    assert!(client.receive().is_none());
    assert!(matches!(hub.closed().1, CloseReason::Closed));
    hub.stop(50);
}

#[test]
fn a_peer_that_is_closed_while_it_sends_still_gets_what_was_meant_for_it() {
    let config = Config {
        send_bytes_max: 4 << 20,
        ..Config::default()
    };
    let hub = Hub::start(config, 5_000);
    let mut client = Blocking::connect(hub.address, 1);
    client.send(FLOOD, &[b"more".as_slice(); 32]);
    client.send(CLOSE, &[b"enough"]);
    // These the hub reads no more as messages. Left unread, they would reset the connection under the answers.
    client.send(SINK, &[[1; 1000].as_slice(); 100]);
    std::thread::sleep(Duration::from_millis(100));
    for _ in 0..32 {
        assert_eq!(client.receive().unwrap().1.len(), 65_536);
    }
    assert!(client.receive().is_none());
    drop(client);
    assert!(matches!(hub.closed().1, CloseReason::Closed));
    assert_eq!(hub.stats.messages_in.get(), 33);
    hub.stop(50);
}

#[test]
fn a_stale_id_never_reaches_the_next_connection() {
    let hub = Hub::start(Config::default(), 5_000);
    let first = Blocking::connect(hub.address, 1);
    let (old, _) = hub.ready();
    drop(first);
    assert_eq!(hub.closed().0, old);
    let mut second = Blocking::connect(hub.address, 2);
    let (new, peer) = hub.ready();
    assert_eq!(peer, SecretKey::from_seed([2; 32]).public());
    assert_eq!(old.slot(), new.slot());
    assert_ne!(old, new);
    let message = |body: &[u8]| {
        let mut plain = Vec::new();
        write_message(&mut plain, SINK, 0, |to| to.extend_from_slice(body)).unwrap();
        plain
    };
    hub.sender.send(old, message(b"for the first")).unwrap();
    hub.sender.close(old).unwrap();
    hub.sender.send(new, message(b"for the second")).unwrap();
    assert_eq!(second.receive().unwrap().1, b"for the second");
    hub.stop(50);
}

#[test]
fn an_idle_loop_sleeps() {
    let hub = Hub::start(Config::default(), 5_000);
    let mut clients: Vec<Blocking> = (0..20).map(|number| Blocking::connect(hub.address, number)).collect();
    clients[7].send(ECHO, &[b"one"]);
    clients[7].receive().unwrap();
    let before = hub.stats.turns.get();
    std::thread::sleep(Duration::from_millis(500));
    let turns = hub.stats.turns.get() - before;
    assert!(turns <= 30, "{turns} turns in half a second of nothing");
    hub.stop(50);
}

#[test]
fn whoever_is_not_known_in_time_is_closed() {
    let hub = Hub::start(Config::default(), 200);
    let mut silent = TcpStream::connect(hub.address).unwrap();
    let mut slow = TcpStream::connect(hub.address).unwrap();
    // The right length, then nothing of it: neither silent nor known.
    slow.write_all(&[96, 0, 7]).unwrap();
    for _ in 0..2 {
        let (_, reason) = hub.closed();
        assert!(reason.to_string().contains("longer than 200 ms"), "{reason}");
    }
    assert_eq!(silent.read(&mut [0; 1]).unwrap_or(0), 0);
    wait_until("nobody half open", || hub.stats.half_open.get() == 0);
    hub.stop(50);
}

#[test]
fn garbage_closes_the_connection_with_a_reason() {
    let hub = Hub::start(Config::default(), 5_000);
    let cases: [&[u8]; 4] = [b"GET / HTTP/1.1\r\n\r\n", &[0; 64], &[0xff; 64], &[96, 0]];
    for bytes in cases {
        let mut stream = TcpStream::connect(hub.address).unwrap();
        stream.write_all(bytes).unwrap();
        stream.write_all(&[0x55; 200]).unwrap();
        let (_, reason) = hub.closed();
        assert!(matches!(reason, CloseReason::Socket(_)), "{reason}");
        assert!(
            reason.to_string().contains("a frame of") || reason.to_string().contains("handshake failed"),
            "{reason}"
        );
    }
    // Garbage behind a handshake, and sealed garbage.
    let mut client = Blocking::connect(hub.address, 1);
    client.stream.write_all(&[0x55; 30_000]).unwrap();
    let (_, reason) = hub.closed();
    assert!(reason.to_string().contains("a frame"), "{reason}");
    let mut client = Blocking::connect(hub.address, 1);
    let mut out = tidegate_session::Buffer::new();
    client.session.send(&[0xff; 100], &mut out).unwrap();
    client.stream.write_all(out.bytes()).unwrap();
    assert!(matches!(hub.closed().1, CloseReason::Message(_)));
    hub.stop(50);
}

#[test]
fn there_is_room_for_so_many_and_no_more() {
    let config = Config {
        connections_max: 3,
        ..Config::default()
    };
    let hub = Hub::start(config, 5_000);
    let mut clients: Vec<Blocking> = (0..3).map(|number| Blocking::connect(hub.address, number)).collect();
    let mut fourth = TcpStream::connect(hub.address).unwrap();
    assert_eq!(fourth.read(&mut [0; 1]).unwrap_or(0), 0);
    wait_until("one refused", || hub.stats.refused.get() == 1);
    clients.pop();
    hub.closed();
    Blocking::connect(hub.address, 9);
    hub.stop(50);
}

#[test]
fn so_many_may_be_unknown_and_the_others_wait() {
    let config = Config {
        half_open_max: 2,
        ..Config::default()
    };
    let hub = Hub::start(config, 400);
    let _silent: Vec<TcpStream> = (0..2).map(|_| TcpStream::connect(hub.address).unwrap()).collect();
    wait_until("two half open", || hub.stats.half_open.get() == 2);
    let mut waiting = TcpStream::connect(hub.address).unwrap();
    waiting.write_all(b"GET / HTTP/1.1").unwrap();
    let before = hub.stats.turns.get();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(hub.stats.accepted.get(), 2);
    assert!(hub.stats.turns.get() - before < 10, "a full house is no reason to spin");
    // The silent ones are given up, and those who waited have their turn, one after the other.
    let known: Vec<Blocking> = (0..4).map(|number| Blocking::connect(hub.address, number)).collect();
    wait_until("four known peers", || {
        (hub.stats.half_open.get(), hub.stats.connections.get()) == (0, 4)
    });
    assert_eq!((hub.stats.accepted.get(), hub.stats.refused.get()), (7, 0));
    drop(known);
    hub.stop(50);
}

/// Counts who gets ready.
struct Crowd {
    missing: usize,
    done: mpsc::Sender<()>,
}

impl Handler for Crowd {
    fn on_ready(&mut self, _: ConnId, _: &PublicKey, _: &mut Outbox<'_>) {
        self.missing -= 1;
        if self.missing == 0 {
            self.done.send(()).unwrap();
        }
    }

    fn on_message(&mut self, _: ConnId, _: Header, _: &[u8], _: &mut Outbox<'_>) {}

    fn on_closed(&mut self, conn: ConnId, reason: &CloseReason, _: &mut Outbox<'_>) {
        assert!(matches!(reason, CloseReason::Stopped), "{conn:?}: {reason}");
    }
}

#[test]
fn a_crowd_that_comes_at_once_gets_in() {
    let config = Config {
        half_open_max: 16,
        ..Config::default()
    };
    let hub = Hub::start(config, 5_000);
    let mut reactor = Reactor::new(Config::default()).unwrap();
    for _ in 0..300 {
        reactor.connect(hub.address, client_config(1)).unwrap();
    }
    let (done, wait) = mpsc::channel();
    let sender = reactor.sender();
    let thread = std::thread::spawn(move || reactor.run(&mut Crowd { missing: 300, done }).unwrap());
    wait.recv_timeout(PATIENCE).unwrap();
    wait_until("all known", || {
        (hub.stats.half_open.get(), hub.stats.connections.get()) == (0, 300)
    });
    sender.stop(1_000).unwrap();
    thread.join().unwrap();
    hub.stop(50);
}

#[test]
fn a_known_peer_is_closed_when_nothing_comes_or_goes() {
    let config = Config {
        idle_millis: Some(300),
        ..Config::default()
    };
    let hub = Hub::start(config, 5_000);
    let mut lively = Blocking::connect(hub.address, 1);
    let (lively_id, _) = hub.ready();
    let _idle = Blocking::connect(hub.address, 2);
    let (idle_id, _) = hub.ready();
    for _ in 0..12 {
        std::thread::sleep(Duration::from_millis(50));
        lively.send(ECHO, &[b"hello"]);
        lively.receive().unwrap();
    }
    let (id, reason) = hub.closed();
    assert!(matches!(reason, CloseReason::Idle), "{reason}");
    assert_eq!(id, idle_id);
    assert_eq!(hub.closed().0, lively_id);
    hub.stop(50);
}

/// Notes in which order the messages of two peers are delivered.
struct Order {
    seen: Vec<ConnId>,
    done: mpsc::Sender<Vec<ConnId>>,
    expected: usize,
}

impl Handler for Order {
    fn on_ready(&mut self, _: ConnId, _: &PublicKey, out: &mut Outbox<'_>) {
        out.pause_all();
    }

    fn on_message(&mut self, conn: ConnId, _: Header, _: &[u8], _: &mut Outbox<'_>) {
        self.seen.push(conn);
        if self.seen.len() == self.expected {
            self.done.send(core::mem::take(&mut self.seen)).unwrap();
        }
    }

    fn on_closed(&mut self, _: ConnId, _: &CloseReason, _: &mut Outbox<'_>) {}

    fn on_wake(&mut self, out: &mut Outbox<'_>) {
        out.resume_all();
    }
}

#[test]
fn a_greedy_peer_has_its_turn_and_then_the_others_have_theirs() {
    let config = Config {
        turn_messages: 10,
        ..Config::default()
    };
    let mut reactor = Reactor::new(config).unwrap();
    let address = reactor.listen(ANYWHERE, server_config(5_000)).unwrap();
    let (done, wait) = mpsc::channel();
    let (sender, stats) = (reactor.sender(), reactor.stats());
    let mut order = Order {
        seen: Vec::new(),
        done,
        expected: 5_000 + 10,
    };
    let thread = std::thread::spawn(move || reactor.run(&mut order).unwrap());
    let mut greedy = Blocking::connect(address, 1);
    // Everyone is held back since the first was ready; handshakes go on.
    let mut modest = Blocking::connect(address, 2);
    let bodies: Vec<&[u8]> = vec![b"more and more"; 5_000];
    greedy.send(SINK, &bodies);
    modest.send(SINK, &bodies[..10]);
    // Everything waits in the hub's kernel before the first message is delivered.
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!((stats.connections.get(), stats.messages_in.get()), (2, 0));
    sender.wake().unwrap();
    let seen = wait.recv_timeout(PATIENCE).unwrap();
    let greedy = seen[5_009];
    let turns: Vec<&[ConnId]> = seen.chunk_by(|a, b| a == b).collect();
    let modest = turns.iter().position(|turn| turn[0] != greedy).unwrap();
    assert_eq!(turns[modest].len(), 10, "the modest peer has all in one turn");
    let before: usize = turns[..modest].iter().map(|turn| turn.len()).sum();
    assert!(before <= 20, "{before} messages of the greedy peer came first");
    sender.stop(0).unwrap();
    thread.join().unwrap();
}

#[test]
fn many_threads_send_and_nothing_is_lost() {
    let config = Config {
        commands_max: 8,
        ..Config::default()
    };
    let hub = Hub::start(config, 5_000);
    let mut client = Blocking::connect(hub.address, 1);
    let (conn, _) = hub.ready();
    let threads: Vec<_> = (0..4u64)
        .map(|thread| {
            let sender = hub.sender.clone();
            std::thread::spawn(move || {
                for number in 0..2_000 {
                    let mut plain = Vec::new();
                    write_message(&mut plain, SINK, thread << 32 | number, |_| {}).unwrap();
                    sender.send(conn, plain).unwrap();
                }
            })
        })
        .collect();
    let mut next = [0u64; 4];
    for _ in 0..8_000 {
        let request = client.receive().unwrap().0.request;
        let expected = &mut next[usize::try_from(request >> 32).unwrap()];
        assert_eq!(request & 0xffff_ffff, *expected);
        *expected += 1;
    }
    threads.into_iter().for_each(|thread| thread.join().unwrap());
    hub.stop(50);
}

#[test]
fn a_stop_sends_what_waits() {
    let hub = Hub::start(Config::default(), 5_000);
    let mut client = Blocking::connect(hub.address, 1);
    let (conn, _) = hub.ready();
    let mut plain = Vec::new();
    for request in 0..1000 {
        write_message(&mut plain, SINK, request, |to| to.extend_from_slice(&[3; 1000])).unwrap();
    }
    hub.sender.send(conn, plain).unwrap();
    let sender = hub.sender.clone();
    let stopping = std::thread::spawn(move || hub.stop(10_000));
    for request in 0..1000 {
        assert_eq!(client.receive().unwrap().0.request, request);
    }
    assert!(client.receive().is_none());
    drop(client);
    stopping.join().unwrap();
    assert!(sender.wake().is_err());
}

/// Refuses to take more than `most` messages until it is woken.
struct Reluctant {
    most: usize,
    taken: mpsc::Sender<usize>,
    count: usize,
}

impl Handler for Reluctant {
    fn on_ready(&mut self, _: ConnId, _: &PublicKey, _: &mut Outbox<'_>) {}

    fn on_message(&mut self, _: ConnId, _: Header, _: &[u8], out: &mut Outbox<'_>) {
        assert!(!out.is_paused_all(), "nothing is delivered during a pause");
        self.count += 1;
        if self.count.is_multiple_of(self.most) {
            out.pause_all();
            self.taken.send(self.count).unwrap();
        }
    }

    fn on_closed(&mut self, _: ConnId, _: &CloseReason, _: &mut Outbox<'_>) {}

    fn on_wake(&mut self, out: &mut Outbox<'_>) {
        out.resume_all();
    }

    fn on_tick(&mut self, _: Millis, out: &mut Outbox<'_>) {
        assert!(!out.is_paused_all() || self.count.is_multiple_of(self.most));
    }
}

#[test]
fn a_pause_holds_everything_back_and_loses_nothing() {
    let mut reactor = Reactor::new(Config {
        tick_millis: Some(5),
        ..Config::default()
    })
    .unwrap();
    let address = reactor.listen(ANYWHERE, server_config(5_000)).unwrap();
    let (taken, wait) = mpsc::channel();
    let (sender, stats) = (reactor.sender(), reactor.stats());
    let mut handler = Reluctant {
        most: 70,
        taken,
        count: 0,
    };
    let thread = std::thread::spawn(move || reactor.run(&mut handler).unwrap());
    let mut client = Blocking::connect(address, 1);
    // More than a turn's bytes, in messages of which many share a frame.
    let bodies: Vec<&[u8]> = vec![&[9; 500]; 700];
    client.send(SINK, &bodies);
    for round in 1..=10 {
        assert_eq!(wait.recv_timeout(PATIENCE).unwrap(), round * 70);
        let before = stats.turns.get();
        std::thread::sleep(Duration::from_millis(30));
        assert!(stats.turns.get() - before < 30, "a pause is no reason to spin");
        wait_until("a turn's count", || stats.messages_in.get() == round as u64 * 70);
        sender.wake().unwrap();
    }
    sender.stop(0).unwrap();
    thread.join().unwrap();
}
