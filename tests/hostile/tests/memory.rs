//! R9: a peer costs bounded memory, however many there are: 4 KiB before it is known, 512 KiB after, and 5 % of all of it.
//!
//! The hub stands under a limit of the system where one can be set (a control group), which ends it if it takes more; else its peak
//! is held against the same bound. `TIDEGATE_HOSTILE_LONG=1` makes the peers many.

use std::io::Write as _;
use std::net::TcpStream;
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use tidegate_test_hostile::memory::{Cap, forget_peak, peak_bytes};
use tidegate_test_hostile::peer::{Peer, socket};
use tidegate_test_hostile::target::Target;
use tidegate_wire::messages::{Body as _, Ping};

/// What one peer may cost before it is known, and after.
const UNKNOWN_BYTES: u64 = 4 << 10;
const KNOWN_BYTES: u64 = 512 << 10;
/// What all of them may cost is a twentieth more than that.
const MORE: u64 = 20;
/// Strangers: as many as may be half open, nearly.
const STRANGERS: usize = 500;
/// A first handshake message but for its last byte.
const FIRST_PART: [u8; 97] = {
    let mut bytes = [7; 97];
    (bytes[0], bytes[1]) = (96, 0);
    bytes
};
/// What one peer asks for: more than both kernels and the hub hold of the answers.
const ASKED_BYTES: usize = 4 << 20;
const PIECE_BYTES: usize = 16 << 10;
/// How long the hub may take to close all of them.
const PATIENCE: Duration = Duration::from_secs(60);

fn with_more(budget: u64) -> u64 {
    budget + budget / MORE
}

/// A hub that has done everything once, so that what it needs in any case is there.
fn warm(seed: u64) -> Target {
    let mut target = Target::new(seed);
    target.assert_serves("nothing yet");
    target.assert_serves("little");
    target
}

#[test]
fn a_stranger_costs_no_more_than_its_share() {
    let mut target = warm(51);
    let before = target.usage().anonymous_bytes;
    let mut strangers: Vec<TcpStream> = (0..STRANGERS).map(|_| socket(&target.hub.address)).collect();
    for stranger in &mut strangers {
        stranger.write_all(&FIRST_PART).expect("the hub reads");
    }
    let all = || target.metric("tidegate_connections_half_open") == STRANGERS as u64;
    // They have 5 s from the first to the last.
    while !all() {
        thread::sleep(Duration::from_millis(5));
    }
    thread::sleep(Duration::from_millis(100));
    let grown = target.usage().anonymous_bytes.saturating_sub(before);
    let budget = STRANGERS as u64 * UNKNOWN_BYTES;
    println!(
        "{STRANGERS} strangers: {grown} bytes, {} each",
        grown / STRANGERS as u64
    );
    assert!(all(), "they are still there");
    assert!(grown <= with_more(budget), "{grown} bytes of {budget}");
    drop(strangers);
    target.assert_serves("strangers");
}

/// All of them ask at once for far more than is kept for them, and read nothing.
#[test]
fn peers_that_never_read_cost_no_more_than_their_shares_together() {
    let count = if std::env::var_os("TIDEGATE_HOSTILE_LONG").is_some() {
        400
    } else {
        48
    };
    let mut target = warm(52);
    let peers: Vec<Peer> = (0..count).map(|number| peer(&target, number)).collect();
    thread::sleep(Duration::from_millis(100));
    let (pid, budget) = (target.hub.pid(), count as u64 * KNOWN_BYTES);
    let before = target.usage().rss_bytes;
    forget_peak(pid);
    let cap = Cap::beyond_now(pid, with_more(budget));
    match &cap {
        Ok(_) => println!("the hub ends if it takes more than {} bytes", with_more(budget)),
        Err(error) => println!("no limit by a control group ({error}): its peak is looked at"),
    }
    let peers = flood(peers);
    let began = Instant::now();
    loop {
        assert!(target.hub.is_running(), "the limit has ended the hub");
        let open = target.metric("tidegate_connections");
        if open == 0 {
            break;
        }
        assert!(began.elapsed() < PATIENCE, "{open} are not closed at their bound");
        thread::sleep(Duration::from_millis(20));
    }
    let grown = peak_bytes(pid).saturating_sub(before);
    println!(
        "{count} peers that do not read: {grown} bytes at the peak, {} each",
        grown / count as u64
    );
    // Nobody leaves before the last one is closed: what is kept for it stays kept.
    drop(peers);
    assert!(grown <= with_more(budget), "{grown} bytes of {budget}");
    target.assert_serves("peers that never read");
    drop(cap);
}

fn peer(target: &Target, number: usize) -> Peer {
    let peer = target.unknown_peer(0x88, number as u64).greeted();
    peer.read_little();
    peer
}

/// Has all of them ask at once, and returns them once each has asked for everything, or can ask no more.
fn flood(peers: Vec<Peer>) -> Vec<Peer> {
    let mut ping = Vec::new();
    let body = Ping {
        answer: false,
        token: [1; 8],
    };
    body.append(1, &mut ping).expect("short");
    let piece = ping.repeat(PIECE_BYTES / ping.len());
    let begin = Barrier::new(peers.len());
    let ask = |mut peer: Peer| {
        begin.wait();
        let mut pieces = 0..ASKED_BYTES / piece.len();
        let _cut = pieces.all(|_| peer.push(&piece, Duration::from_secs(1)));
        peer
    };
    thread::scope(|scope| {
        let threads: Vec<_> = peers.into_iter().map(|peer| scope.spawn(|| ask(peer))).collect();
        let asked = threads.into_iter().map(|thread| thread.join().expect("no peer panics"));
        asked.collect()
    })
}
