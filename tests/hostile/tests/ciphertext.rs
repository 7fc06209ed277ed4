//! What can be done to a session's bytes without its keys: cuts, repetitions, other orders, other points, other versions.

use std::io::Write as _;

use tidegate_session::{Buffer, Millis, Session};
use tidegate_test_hostile::peer::{Got, PATIENCE, config, drain, socket};
use tidegate_test_hostile::target::{HOSTILE, Target};
use tidegate_wire::frame::{Header, VERSION};
use tidegate_wire::messages::{Body as _, Hello, PROTOCOL_VERSION, Ping};
use tidegate_wire::{ErrorCode, Kind, ToClient};

fn ping(token: u8) -> Vec<u8> {
    let mut bytes = Vec::new();
    let ping = Ping {
        answer: false,
        token: [token; 8],
    };
    ping.append(1, &mut bytes).expect("short");
    bytes
}

#[track_caller]
fn assert_pong(got: &Got, token: u8) {
    let answer = Ping {
        answer: true,
        token: [token; 8],
    };
    assert_eq!(got.message(), ToClient::Ping(answer));
}

#[test]
fn a_stream_cut_at_every_byte_is_the_same_stream() {
    let mut target = Target::new(31);
    let mut peer = target.peer();
    let sealed = [peer.sealed(&ping(1)), peer.sealed(&ping(2)), peer.sealed(&ping(3))].concat();
    for byte in sealed {
        peer.send_raw(&[byte]);
    }
    (1..=3).for_each(|token| assert_pong(&peer.next(PATIENCE), token));
    // And in two pieces, at each place.
    for cut in 1..ping(0).len() + 18 {
        let token = u8::try_from(cut % 256).expect("below 256");
        let sealed = peer.sealed(&ping(token));
        let (a, b) = sealed.split_at(cut);
        peer.send_raw(a);
        std::thread::yield_now();
        peer.send_raw(b);
        assert_pong(&peer.next(PATIENCE), token);
    }
    target.assert_serves("cuts at every byte");
}

#[test]
fn repeated_lost_and_reordered_frames_end_the_session() {
    let mut target = Target::new(32);
    let orders: [(&str, &[usize]); 4] = [
        ("a frame twice", &[0, 0]),
        ("a frame lost", &[1]),
        ("two frames swapped", &[1, 0]),
        ("an old frame", &[0, 1, 2, 0]),
    ];
    for (name, order) in orders {
        let mut peer = target.peer();
        let frames = [1, 2, 3].map(|token| peer.sealed(&ping(token)));
        let mut good = 0;
        for (place, &frame) in order.iter().enumerate() {
            peer.send_raw(&frames[frame]);
            if place == frame && good == place {
                good += 1;
                // What comes in one piece with a bad frame may be gone with it.
                assert_pong(&peer.next(PATIENCE), u8::try_from(good).expect("small"));
            }
        }
        assert_eq!(peer.next(PATIENCE), Got::Closed, "{name}");
    }
    target.assert_serves("frames in other orders");
}

#[test]
fn every_flipped_bit_of_a_frame_ends_the_session() {
    let mut target = Target::new(33);
    let before = target.root();
    let len = ping(0).len() + 18;
    for at in (0..len).step_by(3) {
        let mut peer = target.peer();
        let mut sealed = peer.sealed(&ping(9));
        sealed[at] ^= 1 << (at % 8);
        // A longer frame than was sent never ends: what comes behind it is taken for its end.
        let behind = peer.sealed(&ping(9).repeat(600));
        peer.send_raw(&sealed);
        peer.send_raw(&behind);
        assert_eq!(peer.next(PATIENCE), Got::Closed, "byte {at}");
    }
    assert_eq!(target.root(), before);
    target.assert_serves("flipped bits");
}

/// The canonical encodings of the points of small order on Curve25519 (RFC 7748, 6.1; the list of its security considerations).
fn points_of_small_order() -> Vec<[u8; 32]> {
    let hex = [
        "0000000000000000000000000000000000000000000000000000000000000000",
        "0100000000000000000000000000000000000000000000000000000000000000",
        "e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
        "5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
        "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
        "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    ];
    let byte = |text: &str, at: usize| u8::from_str_radix(&text[2 * at..2 * at + 2], 16).expect("hexadecimal");
    hex.iter()
        .map(|text| core::array::from_fn(|at| byte(text, at)))
        .collect()
}

#[test]
fn points_of_small_order_begin_no_session() {
    let mut target = Target::new(34);
    let address = target.hub.address.clone();
    let mut first = Buffer::new();
    let config = std::sync::Arc::new(config(&address, target.site.ledger, target.secret(HOSTILE)));
    let _session = Session::client(config, Millis::new(0), &mut first).expect("good keys");
    for point in points_of_small_order() {
        let mut bytes = first.bytes().to_vec();
        bytes[2..34].copy_from_slice(&point);
        let mut stream = socket(&address);
        stream.write_all(&bytes).expect("the hub reads");
        assert_eq!(drain(&mut stream, PATIENCE), (Vec::new(), true), "{point:02x?}");
    }
    target.assert_serves("points of small order");
}

#[test]
fn other_versions_are_named_and_refused() {
    let mut target = Target::new(35);
    let mut peer = target.silent_peer();
    let mut hello = Vec::new();
    let other = Hello {
        version: PROTOCOL_VERSION + 1,
        push_ack_proofs: false,
        share_paths: false,
    };
    other.append(1, &mut hello).expect("short");
    peer.send_plain(&hello);
    let got = peer.next(PATIENCE);
    let ToClient::Error(error) = got.message() else {
        panic!("{got:?}")
    };
    assert_eq!(error.code, ErrorCode::UnsupportedVersion, "of the protocol");
    assert_eq!(peer.next(PATIENCE), Got::Closed);

    let mut peer = target.peer();
    let header = Header {
        len: 16,
        kind: Kind::Ping.code(),
        version: VERSION + 1,
        request: 1,
    };
    peer.send_plain(&[&header.encode()[..], &[0; 16]].concat());
    let got = peer.next(PATIENCE);
    let ToClient::Error(error) = got.message() else {
        panic!("{got:?}")
    };
    assert_eq!(error.code, ErrorCode::UnsupportedVersion, "of a message");
    target.assert_serves("other versions");
}
