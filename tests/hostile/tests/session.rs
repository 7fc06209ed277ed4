//! Misdeeds before there is a session, and to the session itself: the hub closes, says nothing, and serves on.

use std::io::Write as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::{Rng as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_client::HubAddress;
use tidegate_crypto::keys::SecretKey;
use tidegate_session::{Buffer, Millis, NoiseSecret, Session, SessionError};
use tidegate_test_hostile::peer::{Got, PATIENCE, Peer, PeerError, config, drain, socket};
use tidegate_test_hostile::target::{HANDSHAKE, HOSTILE, Target};
use tidegate_types::LedgerId;

/// Bytes that are no handshake, each with its name.
fn garbage() -> Vec<(&'static str, Vec<u8>)> {
    let mut random = vec![0; 5_000];
    ChaCha8Rng::seed_from_u64(1).fill_bytes(&mut random);
    // The right length, and nothing in it that the hub's key opens.
    let sealed = [&96_u16.to_le_bytes(), &random[..96]].concat();
    vec![
        ("zeros", vec![0; 200]),
        ("ones", vec![0xff; 200]),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: hub\r\n\r\n".to_vec()),
        ("random bytes", random),
        ("a frame of 0 bytes", 0_u16.to_le_bytes().to_vec()),
        ("a frame of 95 bytes", [&95_u16.to_le_bytes()[..], &[7; 95]].concat()),
        ("the longest frame", [&u16::MAX.to_le_bytes()[..], &[7; 200]].concat()),
        ("a random handshake", sealed),
    ]
}

#[test]
fn garbage_instead_of_a_handshake_is_closed_without_a_word() {
    let mut target = Target::new(1);
    for (name, bytes) in garbage() {
        let mut stream = socket(&target.hub.address);
        // The hub may close before all of it is written.
        let _closed = stream.write_all(&bytes);
        let began = Instant::now();
        assert_eq!(drain(&mut stream, PATIENCE), (Vec::new(), true), "{name}");
        assert!(
            began.elapsed() < HANDSHAKE,
            "{name}: closed for what it is, not by the deadline"
        );
        target.assert_serves(name);
    }
}

#[test]
fn garbage_in_a_session_closes_it() {
    let mut target = Target::new(2);
    for (name, bytes) in garbage() {
        let mut peer = target.peer();
        peer.send_raw(&bytes);
        assert_eq!(peer.next(PATIENCE), Got::Closed, "{name}");
        target.assert_serves(name);
    }
}

#[test]
fn a_stranger_to_the_hubs_key_or_ledger_gets_no_session() {
    let mut target = Target::new(3);
    let (ledger, secret) = (target.site.ledger, target.secret(HOSTILE));
    let address = target.hub.address.clone();

    let other_noise = HubAddress {
        noise: NoiseSecret::from_bytes([5; 32]).public(),
        ..address.clone()
    };
    let refused = Peer::connect(&address, config(&other_noise, ledger, secret)).expect_err("the hub cannot open it");
    assert!(matches!(refused, PeerError::Closed), "wrong Noise key: {refused}");
    target.assert_serves("a wrong Noise key");

    let other = LedgerId::from_bytes([6; 32]);
    let refused =
        Peer::connect(&address, config(&address, other, target.secret(HOSTILE))).expect_err("another prologue");
    assert!(matches!(refused, PeerError::Closed), "wrong ledger: {refused}");
    target.assert_serves("a wrong ledger");

    // Here the client is the one to refuse: whoever has the Noise key is not yet the hub that it means.
    let other_identity = HubAddress {
        identity: SecretKey::from_seed([9; 32]).public(),
        ..address.clone()
    };
    let refused = Peer::connect(&address, config(&other_identity, ledger, target.secret(HOSTILE)))
        .expect_err("another hub's identity");
    assert!(
        matches!(refused, PeerError::Session(SessionError::Identity(_))),
        "wrong identity: {refused}"
    );
    target.assert_serves("a wrong identity");
}

#[test]
fn half_open_connections_are_closed_by_the_deadline() {
    let mut target = Target::new(4);
    let address = target.hub.address.clone();
    let mut first = Buffer::new();
    let config = Arc::new(config(&address, target.site.ledger, target.secret(HOSTILE)));
    let _session = Session::client(config, Millis::new(0), &mut first).expect("good keys");

    let began = Instant::now();
    let mut nothing = socket(&address);
    let mut half = socket(&address);
    half.write_all(&first.bytes()[..40]).expect("the hub reads");
    let mut unproved = socket(&address);
    unproved.write_all(first.bytes()).expect("the hub reads");

    target.assert_serves("three half-open connections");
    assert!(
        began.elapsed() < HANDSHAKE,
        "they are still open while others are served"
    );
    let patience = HANDSHAKE + Duration::from_secs(5);
    assert_eq!(drain(&mut nothing, patience), (Vec::new(), true), "nothing sent");
    assert!(
        began.elapsed() >= HANDSHAKE - Duration::from_millis(500),
        "not before the deadline"
    );
    assert_eq!(drain(&mut half, patience), (Vec::new(), true), "half a handshake");
    let (answer, closed) = drain(&mut unproved, patience);
    assert!(
        closed && !answer.is_empty(),
        "a handshake without the proof: answered, then closed"
    );
    assert!(began.elapsed() < patience);
    target.assert_serves("their end");
}
