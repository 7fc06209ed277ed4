//! Misdeeds inside a session: each is answered with its own code, changes nothing, and the hub serves on.

use std::time::Duration;

use tidegate_channel::RefuseReason;
use tidegate_test_hostile::peer::{Got, PATIENCE, Peer};
use tidegate_test_hostile::target::{HOSTILE, Target};
use tidegate_types::{Amount, ClientCounter, Digest, Fixed as _, HubCounter, LockId, SignatureBytes};
use tidegate_wire::frame::{HEADER_LEN, Header, VERSION};
use tidegate_wire::messages::{
    Ack, AckProofQuery, CloseFinal, CloseRequest, Fulfill, Ping, Refresh, Release, SpliceFinal, SpliceRequest,
    SubmitTx, Sync,
};
use tidegate_wire::{ErrorCode, Kind, ToClient};

/// What is done, and its name.
type Misdeed<'a> = (&'a str, &'a dyn Fn(&mut Peer));

/// The code of the error that comes next.
#[track_caller]
fn error(peer: &mut Peer) -> ErrorCode {
    let got = peer.next(PATIENCE);
    match got.message() {
        ToClient::Error(error) => error.code,
        other => panic!("no error but {other:?}"),
    }
}

fn header(kind: u16, len: u32) -> [u8; HEADER_LEN] {
    let version = VERSION;
    Header {
        len,
        kind,
        version,
        request: 9,
    }
    .encode()
}

#[test]
fn what_comes_before_hello_is_answered_so_and_closed() {
    let mut target = Target::new(11);
    let state = target.first_state(HOSTILE);
    let channel = target.site.channels[HOSTILE];
    let before = target.root();
    let misdeeds: [Misdeed<'_>; 3] = [
        ("a Pay before Hello", &|peer| peer.send(&state.message())),
        ("a Sync before Hello", &|peer| {
            peer.send(&Sync {
                channel,
                state: ClientCounter::ZERO,
                leaf: HubCounter::ZERO,
            });
        }),
        ("a Ping before Hello", &|peer| {
            peer.send(&Ping {
                answer: false,
                token: [1; 8],
            });
        }),
    ];
    for (name, misdeed) in misdeeds {
        let mut peer = target.silent_peer();
        misdeed(&mut peer);
        assert_eq!(error(&mut peer), ErrorCode::HelloFirst, "{name}");
        assert_eq!(peer.next(PATIENCE), Got::Closed, "{name}");
    }
    assert_eq!(target.root(), before);
    target.assert_serves("messages before Hello");
}

#[test]
fn another_clients_channel_is_not_attached() {
    let mut target = Target::new(12);
    let before = target.root();
    // Well made and well signed, but brought by another.
    let state = target.first_state(0);
    let channel = target.site.channels[0];
    let fee = Amount::from_sat(500).expect("small");
    let (lock, owner, ledger) = (LockId::from_bytes([1; 32]), target.secret(0), target.site.ledger);
    let ack = tidegate_channel::Ack {
        channel,
        leaf: tidegate_channel::LeafRef {
            counter: HubCounter::new(1),
            digest: Digest::from_bytes([2; 32]),
        },
    };
    let ack_bytes = ack.to_vec().try_into().expect("72 bytes");
    let misdeeds: [&dyn Fn(&mut Peer); 9] = [
        &|peer| peer.send(&state.message()),
        &|peer| {
            peer.send(&Ack {
                ack: &ack_bytes,
                signature: &ack.sign(&ledger, &owner),
            })
        },
        &|peer| {
            peer.send(&Fulfill {
                channel,
                lock,
                preimage: [3; 32],
            })
        },
        &|peer| {
            let signature = tidegate_channel::Release { channel, lock }.sign(&ledger, &owner);
            peer.send(&Release {
                channel,
                lock,
                signature,
            })
        },
        &|peer| {
            peer.send(&Sync {
                channel,
                state: ClientCounter::ZERO,
                leaf: HubCounter::ZERO,
            })
        },
        &|peer| peer.send(&Refresh { channel }),
        &|peer| peer.send(&CloseRequest { channel, fee }),
        &|peer| {
            peer.send(&SpliceRequest {
                channel,
                fee,
                terms: &[0; 240],
                coins: (&[][..]).into(),
                change: None,
            })
        },
        &|peer| {
            peer.send(&AckProofQuery {
                channel,
                lock: LockId::from_bytes([1; 32]),
            })
        },
    ];
    for (number, misdeed) in misdeeds.iter().enumerate() {
        let mut peer = target.peer();
        misdeed(&mut peer);
        assert_eq!(error(&mut peer), ErrorCode::NotAttached, "misdeed {number}");
    }
    assert_eq!(target.root(), before, "nothing has changed");
    target.assert_serves("nine requests for a channel of another");
}

#[test]
fn what_is_no_transaction_is_refused() {
    let mut target = Target::new(17);
    let (before, channel) = (target.root(), target.site.channels[0]);
    // A transaction says itself who signed it: whoever brings one that is none is told so.
    let finals: [&dyn Fn(&mut Peer); 3] = [
        &|peer| {
            let transaction = &[0; 64];
            peer.send(&CloseFinal { channel, transaction })
        },
        &|peer| {
            let transaction = &[0; 64];
            peer.send(&SpliceFinal { channel, transaction })
        },
        &|peer| peer.send(&SubmitTx { transaction: &[0; 64] }),
    ];
    for (number, bring) in finals.iter().enumerate() {
        let mut peer = target.peer();
        bring(&mut peer);
        assert_eq!(error(&mut peer), ErrorCode::TransactionRefused, "transaction {number}");
    }
    assert_eq!(target.root(), before, "nothing has changed");
    target.assert_serves("three transactions that are none");
}

#[test]
fn a_flipped_signature_changes_nothing() {
    let mut target = Target::new(13);
    let good = target.first_state(HOSTILE);
    let before = target.root();
    let mut peer = target.peer();
    for bit in [0, 7, 100, 255, 256, 300, 504, 511] {
        let mut bytes = *good.signature.as_bytes();
        bytes[bit / 8] ^= 1 << (bit % 8);
        let mut bad = good.clone();
        bad.signature = SignatureBytes::from_bytes(bytes);
        peer.send(&bad.message());
        let got = peer.next(PATIENCE);
        let ToClient::PayAnswer(answer) = got.message() else {
            panic!("bit {bit}: {got:?}")
        };
        assert_eq!(answer.refusal, RefuseReason::BadSignature.code(), "bit {bit}");
        assert_eq!(answer.newest_state, ClientCounter::ZERO, "bit {bit}");
    }
    assert_eq!(target.root(), before, "nothing has changed");
    target.assert_serves("flipped signatures");
    // The state was refused for its signature and for nothing else.
    let between = target.root();
    peer.send(&good.message());
    let got = peer.next(PATIENCE);
    assert!(matches!(got.message(), ToClient::Receipt(_)), "{got:?}");
    assert_ne!(target.root(), between, "the root shows an accepted state");
}

#[test]
fn lengths_that_no_honest_peer_writes_close_the_session() {
    let mut target = Target::new(14);
    let pay = Kind::Pay.code();
    // What the hub takes at most is far below the protocol's longest body.
    for (name, bytes) in [
        ("a body of 2^32 - 1 bytes", header(pay, u32::MAX)),
        ("a body of 2^31 bytes", header(pay, 1 << 31)),
        ("a body just over the protocol's longest", header(pay, (4 << 20) + 1)),
        ("kind 0", header(0, 0)),
    ] {
        let mut peer = target.peer();
        peer.send_plain(&bytes);
        assert_eq!(peer.next(PATIENCE), Got::Closed, "{name}");
        target.assert_serves(name);
    }
}

#[test]
fn bodies_that_are_none_are_answered_and_closed() {
    let mut target = Target::new(15);
    let before = target.root();
    for (name, kind, body, expected) in [
        ("a Pay of 0 bytes", Kind::Pay.code(), vec![], ErrorCode::Malformed),
        ("a Pay of zeros", Kind::Pay.code(), vec![0; 400], ErrorCode::Malformed),
        (
            "a Sync with a byte more",
            Kind::Sync.code(),
            vec![1; 49],
            ErrorCode::Malformed,
        ),
        ("an unknown kind", 999, vec![1; 10], ErrorCode::UnknownKind),
    ] {
        let mut peer = target.peer();
        let len = u32::try_from(body.len()).expect("short");
        peer.send_plain(&[&header(kind, len)[..], &body].concat());
        assert_eq!(error(&mut peer), expected, "{name}");
        assert_eq!(peer.next(PATIENCE), Got::Closed, "{name}");
    }
    // Reserved and foreign kinds are no offence: the session goes on.
    let mut peer = target.peer();
    for kind in [Kind::Peers, Kind::Receipt] {
        peer.send_plain(&header(kind.code(), 0));
        assert_eq!(error(&mut peer), ErrorCode::Unsupported, "{kind}");
    }
    peer.send(&Ping {
        answer: false,
        token: [3; 8],
    });
    let got = peer.next(PATIENCE);
    assert_eq!(
        got.message(),
        ToClient::Ping(Ping {
            answer: true,
            token: [3; 8]
        })
    );
    assert_eq!(target.root(), before, "nothing has changed");
    target.assert_serves("bodies that are none");
}

#[test]
fn a_message_that_never_ends_holds_nobody_up() {
    let mut target = Target::new(16);
    let mut peer = target.peer();
    peer.send_plain(&header(Kind::Pay.code(), 100_000));
    peer.send_plain(&[0; 10_000]);
    assert_eq!(peer.next(Duration::from_millis(300)), Got::Silence, "the rest may come");
    target.assert_serves("half a message");
}
