//! Nothing without the right key (R13): every operation of a client with another key, with any bit of it changed, or with a
//! delegation that is not, or no longer, good. The hub takes none of them, and takes the unchanged one in the end.
//!
//! Single bits in CI; `TIDEGATE_HOSTILE_LONG=1` adds random changes up to a million attempts.

use std::time::{Duration, Instant};

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_channel::{Delegation, LeafRef, OpOutcome};
use tidegate_crypto::keys::SecretKey;
use tidegate_test_crash::hub::Site;
use tidegate_test_hostile::peer::{Got, PATIENCE, Peer, config};
use tidegate_test_hostile::target::{HOSTILE, Target};
use tidegate_types::{ChannelId, Digest, Fixed as _, Height, HubCounter, KeyBytes, LockId, SignatureBytes};
use tidegate_wire::frame::HEADER_LEN;
use tidegate_wire::messages::{Ack, AckProofQuery, Attach, Body, Refresh};
use tidegate_wire::{ErrorCode, ToClient};

/// Else only the first attempts of each test would have their signatures looked at.
const UNBOUNDED: &str = "limits.bad_signature_cpu_percent=0";
/// Attempts under way at one time.
const PIPELINE: usize = 32;

fn encoded<'a>(body: &impl Body<'a>) -> Vec<u8> {
    let mut bytes = Vec::new();
    body.append(1, &mut bytes).expect("short");
    bytes
}

/// Sends what was changed. Whatever answers it, it must not be `accepted`.
fn attempt(target: &Target, attempts: &[Vec<u8>], accepted: impl Fn(&ToClient<'_>) -> bool) {
    let mut peer = target.peer();
    // Not everything is answered (an ack that is merely late is not), but answers come no later than that of a question behind it.
    let question = encoded(&AckProofQuery {
        channel: target.site.channels[HOSTILE],
        lock: LockId::ZERO,
    });
    for part in attempts.chunks(PIPELINE) {
        peer.send_plain(&[part.concat(), question.clone()].concat());
        loop {
            match peer.next(PATIENCE) {
                Got::Message(header, body) => {
                    let message = ToClient::decode(&header, &body).expect("the hub's messages decode");
                    assert!(!accepted(&message), "it was taken: {message:?}");
                    assert!(!matches!(message, ToClient::Busy(_)), "it was not looked at");
                    if matches!(message, ToClient::AckProof(_)) {
                        break;
                    }
                }
                // A body that is none ends the session, and what stood behind it was not read.
                Got::Closed => {
                    peer = target.peer();
                    break;
                }
                Got::Silence => panic!("the question behind the attempts was not answered"),
            }
        }
    }
}

/// The message with each bit of its body changed, one at a time, and in the long form random changes behind those.
fn changed(message: &[u8], share: usize) -> Vec<Vec<u8>> {
    let flip = |bit: usize| {
        let mut bytes = message.to_vec();
        bytes[HEADER_LEN + bit / 8] ^= 1 << (bit % 8);
        bytes
    };
    let bits = (message.len() - HEADER_LEN) * 8;
    let mut all: Vec<Vec<u8>> = (0..bits).map(flip).collect();
    if std::env::var_os("TIDEGATE_HOSTILE_LONG").is_some() {
        let mut random = ChaCha8Rng::seed_from_u64(7);
        while all.len() < share {
            let mut bytes = message.to_vec();
            for _ in 0..random.random_range(1..=8) {
                let at = random.random_range(HEADER_LEN..bytes.len());
                bytes[at] = random.random();
            }
            if bytes != message {
                all.push(bytes);
            }
        }
    }
    all
}

#[test]
fn no_changed_state_is_accepted() {
    let mut target = Target::with(41, &[UNBOUNDED], None);
    let state = target.paying_state(HOSTILE, 0);
    let before = target.root();
    let attempts = changed(&encoded(&state.message()), 800_000);
    attempt(&target, &attempts, |answer| matches!(answer, ToClient::Receipt(_)));
    println!("{} changed states, none accepted", attempts.len());
    assert_eq!(target.root(), before, "nothing has changed");
    let mut other = state.clone();
    other.signature = target.signed_by(&state, &target.secret(0));
    attempt(&target, &[encoded(&other.message())], |answer| {
        matches!(answer, ToClient::Receipt(_))
    });
    assert_eq!(target.root(), before, "another client's key");
    let mut peer = target.peer();
    peer.send(&state.message());
    let got = peer.next(PATIENCE);
    assert!(
        matches!(got.message(), ToClient::Receipt(_)),
        "the unchanged one is good: {got:?}"
    );
    assert_ne!(target.root(), before);
    target.assert_serves("changed states");
}

/// Asserts that a payer's receipt says that its one payment was delivered. A state is taken whatever becomes of its payments,
/// so a receipt alone does not say that anybody was credited.
#[track_caller]
fn assert_delivered(got: &Got) {
    let ToClient::Receipt(receipt) = got.message() else {
        panic!("no receipt but {got:?}")
    };
    let entry = receipt.entries.iter().next().expect("a leaf");
    let leaf = tidegate_client::Leaf::decode(&entry).expect("a good leaf");
    let outcomes: Vec<OpOutcome> = leaf.outcomes.iter().flatten().map(|found| found.outcome).collect();
    assert_eq!(outcomes, [OpOutcome::Delivered]);
}

/// The credited channel's ack, changed in every bit: its credit does not become firm.
#[test]
fn no_changed_ack_is_accepted() {
    let mut target = Target::with(42, &[UNBOUNDED], None);
    let paying = target.paying_state(0, HOSTILE);
    let (address, ledger) = (target.hub.address.clone(), target.site.ledger);
    let mut payer = Peer::connect(&address, config(&address, ledger, target.secret(0)))
        .expect("the hub takes anyone")
        .greeted();
    payer.send(&paying.message());
    assert_delivered(&payer.next(PATIENCE));
    drop(payer);
    let channel = target.site.channels[HOSTILE];
    let mut peer = target.peer();
    peer.send(&Refresh { channel });
    let got = peer.next(PATIENCE);
    let ToClient::Receipt(receipt) = got.message() else {
        panic!("{got:?}")
    };
    let entry = receipt.entries.iter().next().expect("a leaf");
    let leaf = tidegate_client::Leaf::decode(&entry).expect("a good leaf");
    let ack = tidegate_channel::Ack {
        channel,
        leaf: leaf.reference(),
    };
    let bytes = ack.to_vec().try_into().expect("72 bytes");
    let signature = ack.sign(&ledger, &target.secret(HOSTILE));
    let message = encoded(&Ack {
        ack: &bytes,
        signature: &signature,
    });
    drop(peer);
    let before = target.root();
    let attempts = changed(&message, 100_000);
    attempt(&target, &attempts, |answer| matches!(answer, ToClient::Receipt(_)));
    let of_another = ack.sign(&ledger, &target.secret(0));
    let foreign = encoded(&Ack {
        ack: &bytes,
        signature: &of_another,
    });
    attempt(&target, &[foreign], |answer| matches!(answer, ToClient::Receipt(_)));
    println!("{} changed acks, none accepted", attempts.len());
    assert_eq!(target.root(), before, "nothing has changed");
    assert_ne!(
        leaf.reference(),
        LeafRef {
            counter: HubCounter::ZERO,
            digest: Digest::ZERO
        }
    );
    let mut peer = target.peer();
    peer.send_plain(&message);
    let got = peer.next(PATIENCE);
    assert!(
        matches!(got.message(), ToClient::Receipt(_)),
        "the unchanged one is good: {got:?}"
    );
    drop(peer);
    target.assert_serves("changed acks");
}

/// The identity of a gateway.
fn public(gateway: u8) -> KeyBytes {
    SecretKey::from_seed([gateway; 32]).public().bytes()
}

/// A delegation of the hostile client's channel to the gateway.
fn delegation(target: &Target, gateway: u8, expiry: u32, channels: &[ChannelId]) -> SignatureBytes {
    let delegation = Delegation::new(public(gateway), Height::new(expiry), channels);
    delegation.sign(&target.site.ledger, &target.secret(HOSTILE))
}

fn gateway_session(target: &Target, gateway: u8) -> Peer {
    let address = &target.hub.address;
    let config = config(address, target.site.ledger, SecretKey::from_seed([gateway; 32]));
    Peer::connect(address, config).expect("the hub takes anyone").greeted()
}

#[track_caller]
fn refusal(peer: &mut Peer) -> ErrorCode {
    let got = peer.next(PATIENCE);
    match got.message() {
        ToClient::Error(error) => error.code,
        other => panic!("no error but {other:?}"),
    }
}

#[test]
fn a_gateway_carries_what_was_lent_to_it_and_nothing_else() {
    let mut target = Target::with(43, &[UNBOUNDED], None);
    let gateway = 0x77;
    let channels = [target.site.channels[HOSTILE]];
    let signature = delegation(&target, gateway, 1_000, &channels);
    let attach = Attach {
        client: target.secret(HOSTILE).public().bytes(),
        identity: public(gateway),
        expiry: Height::new(1_000),
        signature: &signature,
        channels: &channels,
    };
    let state = target.first_state(HOSTILE);

    // Without it the gateway is a stranger; with any bit of it changed it stays one.
    let mut peer = gateway_session(&target, gateway);
    peer.send(&state.message());
    assert_eq!(refusal(&mut peer), ErrorCode::NotAttached);
    let message = encoded(&attach);
    for bytes in changed(&message, 20_000) {
        peer.send_plain(&bytes);
        match peer.next(PATIENCE) {
            Got::Message(header, body) => {
                let answer = ToClient::decode(&header, &body).expect("the hub's messages decode");
                assert!(matches!(answer, ToClient::Error(_)), "{answer:?}");
            }
            Got::Closed => peer = gateway_session(&target, gateway),
            Got::Silence => panic!("no answer"),
        }
    }
    peer.send(&state.message());
    assert_eq!(refusal(&mut peer), ErrorCode::NotAttached);

    // Another session gains nothing by it, and nobody lends what is not theirs.
    let mut other = gateway_session(&target, 0x70);
    other.send(&attach);
    assert_eq!(refusal(&mut other), ErrorCode::Refused);
    let foreign = [target.site.channels[0]];
    let signature = delegation(&target, gateway, 1_000, &foreign);
    peer.send(&Attach {
        signature: &signature,
        channels: &foreign,
        ..attach
    });
    assert_eq!(refusal(&mut peer), ErrorCode::NotAttached);

    peer.send(&attach);
    let got = peer.next(PATIENCE);
    let ToClient::Attach(attached) = got.message() else {
        panic!("{got:?}")
    };
    assert_eq!(attached.channels, 1);
    peer.send(&state.message());
    let got = peer.next(PATIENCE);
    assert!(matches!(got.message(), ToClient::Receipt(_)), "{got:?}");
    // It ends with the session.
    drop(peer);
    let mut peer = gateway_session(&target, gateway);
    peer.send(&Refresh { channel: channels[0] });
    assert_eq!(refusal(&mut peer), ErrorCode::NotAttached);
    target.assert_serves("a gateway");
}

/// The client's own session keeps its receipts, whoever else may carry the channel.
#[test]
fn a_delegate_takes_nothing_over_from_the_clients_own_session() {
    let target = Target::with(44, &[UNBOUNDED], None);
    let gateway = 0x79;
    let channels = [target.site.channels[HOSTILE]];
    let mut own = target.peer();
    let mut delegate = gateway_session(&target, gateway);
    let signature = delegation(&target, gateway, 1_000, &channels);
    delegate.send(&Attach {
        client: target.secret(HOSTILE).public().bytes(),
        identity: public(gateway),
        expiry: Height::new(1_000),
        signature: &signature,
        channels: &channels,
    });
    assert!(matches!(delegate.next(PATIENCE).message(), ToClient::Attach(_)));
    // It may ask, and the client hears of what comes of it.
    delegate.send(&Refresh { channel: channels[0] });
    assert!(matches!(own.next(PATIENCE).message(), ToClient::Receipt(_)));
    // Somebody pays the channel: its client hears of it, the gateway does not.
    let (address, ledger) = (&target.hub.address, target.site.ledger);
    let mut payer = Peer::connect(address, config(address, ledger, target.secret(0)))
        .expect("the hub takes anyone")
        .greeted();
    payer.send(&target.paying_state(0, HOSTILE).message());
    assert_delivered(&payer.next(PATIENCE));
    assert!(matches!(own.next(PATIENCE).message(), ToClient::Receipt(_)));
    assert_eq!(delegate.next(Duration::from_millis(300)), Got::Silence);
    // When the client is gone, the gateway may ask, and hears from then on.
    drop(own);
    let began = Instant::now();
    while target.metric("tidegate_connections") > 2 {
        assert!(began.elapsed() < PATIENCE, "the client's session ends");
        std::thread::sleep(Duration::from_millis(10));
    }
    delegate.send(&Refresh { channel: channels[0] });
    assert!(matches!(delegate.next(PATIENCE).message(), ToClient::Receipt(_)));
}

#[test]
fn a_delegation_ends_at_its_height() {
    let site = Site::format(3, 45, 50);
    let hub = site.start();
    let target = Target { site, hub };
    let gateway = 0x7a;
    let channels = [target.site.channels[HOSTILE]];
    let mut peer = gateway_session(&target, gateway);
    let expiry = 40;
    let signature = delegation(&target, gateway, expiry, &channels);
    let attach = Attach {
        client: target.secret(HOSTILE).public().bytes(),
        identity: public(gateway),
        expiry: Height::new(expiry),
        signature: &signature,
        channels: &channels,
    };
    peer.send(&attach);
    assert!(
        matches!(peer.next(PATIENCE).message(), ToClient::Attach(_)),
        "blocks come every 50 ms"
    );
    while target.metric("tidegate_height") <= u64::from(expiry) {
        std::thread::sleep(Duration::from_millis(20));
    }
    peer.send(&Refresh { channel: channels[0] });
    assert_eq!(refusal(&mut peer), ErrorCode::NotAttached);
    peer.send(&attach);
    assert_eq!(refusal(&mut peer), ErrorCode::Refused);
}
