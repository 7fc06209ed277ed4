//! Whose turn it is: peers with much to say do not hold up those who ask rarely, and who is to rest is not read.

mod support;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use support::*;
use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor};
use tidegate_session::PublicKey;
use tidegate_wire::frame::Header;

/// What one message of a flood takes the hub.
const WORK: Duration = Duration::from_micros(25);
/// Messages that one turn delivers.
const TURN: u64 = 256;

/// Takes its time for each message of a flood, and answers the others.
struct Busy {
    taken: Arc<AtomicU64>,
    /// At a message of the kind `CLOSE` it stands still until all floods are there.
    ready: Arc<Barrier>,
}

impl Handler for Busy {
    fn on_ready(&mut self, _: ConnId, _: &PublicKey, _: &mut Outbox<'_>) {}

    fn on_message(&mut self, conn: ConnId, header: Header, _: &[u8], out: &mut Outbox<'_>) {
        match header.kind {
            SINK => {
                let begin = Instant::now();
                while begin.elapsed() < WORK {}
                self.taken.fetch_add(1, Ordering::SeqCst);
            }
            CLOSE => drop(self.ready.wait()),
            _ => out.message(conn, ECHO, header.request, |_| ()).unwrap(),
        }
    }

    fn on_closed(&mut self, _: ConnId, _: &CloseReason, _: &mut Outbox<'_>) {}
}

/// Twenty peers have sent 2 000 messages each. Another one's question waits for a turn or two of theirs, not for a turn of each.
#[test]
fn who_asks_rarely_does_not_wait_for_every_flood() {
    let (taken, ready) = (Arc::new(AtomicU64::new(0)), Arc::new(Barrier::new(2)));
    let mut reactor = Reactor::new(Config::default()).unwrap();
    let address = reactor.listen(ANYWHERE, server_config(5_000)).unwrap();
    let sender = reactor.sender();
    let mut handler = Busy {
        taken: Arc::clone(&taken),
        ready: Arc::clone(&ready),
    };
    let thread = std::thread::spawn(move || reactor.run(&mut handler).unwrap());

    let mut rare = Blocking::connect(address, 1);
    let mut floods: Vec<Blocking> = (2..22).map(|number| Blocking::connect(address, number)).collect();
    let messages: Vec<&[u8]> = vec![b"a message of it"; 2_000];
    rare.send(CLOSE, &[b"wait"]);
    floods.iter_mut().for_each(|flood| flood.send(SINK, &messages));
    ready.wait();
    let mut waits: Vec<u64> = (0..5)
        .map(|_| {
            let before = taken.load(Ordering::SeqCst);
            rare.send(ECHO, &[b"a question"]);
            rare.receive().unwrap();
            taken.load(Ordering::SeqCst) - before
        })
        .collect();
    waits.sort_unstable();
    // The middle one: at first nobody is known to be heavy, and this thread may be held up while the hub goes on with the floods.
    assert!(
        waits[2] <= 3 * TURN,
        "messages that were taken before each answer: {waits:?}"
    );
    sender.stop(0).unwrap();
    thread.join().unwrap();
}

#[test]
fn who_is_to_rest_is_not_read_and_then_is_again() {
    // The hub's clock has whole milliseconds, and none of them is older than a round.
    const REST_MIN: Duration = Duration::from_millis(145);
    let hub = Hub::start(Config::default(), 5_000);
    let mut tired = Blocking::connect(hub.address, 1);
    let id = hub.ready().0;
    let mut other = Blocking::connect(hub.address, 2);
    let begin = Instant::now();
    hub.sender.rest(id, 150).unwrap();
    hub.sender.flush();
    // The command and this message race: the hub hears of the rest first, as it has answered another since.
    other.send(ECHO, &[b"x"]);
    assert_eq!(other.receive().unwrap().1, b"x");
    tired.send(ECHO, &[b"y"]);
    other.send(ECHO, &[b"z"]);
    assert_eq!(other.receive().unwrap().1, b"z", "others are read meanwhile");
    assert_eq!(tired.receive().unwrap().1, b"y");
    assert!(begin.elapsed() >= REST_MIN, "it was read after {:?}", begin.elapsed());
    tired.send(ECHO, &[b"again"]);
    assert_eq!(tired.receive().unwrap().1, b"again");
    hub.stop(0);
}
