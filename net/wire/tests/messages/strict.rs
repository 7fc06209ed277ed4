//! What is refused.

use tidegate_types::DecodeError;
use tidegate_wire::frame::Header;
use tidegate_wire::{Kind, ToClient, ToHub, ToPeer, WireError};

use crate::samples::{Sample, Way, again, all};

fn sample(name: &str) -> (Way, Header, Vec<u8>) {
    let sample = all().into_iter().find(|s| s.name == name).unwrap();
    let (header, body) = sample.parts();
    (sample.way, header, body)
}

fn refusal(name: &str, change: impl FnOnce(&mut Vec<u8>)) -> WireError {
    let (way, header, mut body) = sample(name);
    change(&mut body);
    again(way, &header, &body).expect_err(name)
}

#[test]
fn every_message_reads_back() {
    for sample in all() {
        let (header, body) = sample.parts();
        assert_eq!(
            again(sample.way, &header, &body).as_ref(),
            Ok(&sample.bytes),
            "{}",
            sample.name
        );
    }
}

/// If padding were ignored, or a value had two encodings, what is read would not encode to the bytes that were there.
#[test]
fn each_flipped_bit_is_refused_or_kept() {
    for Sample { name, way, bytes } in all() {
        let (header, body) = Sample { name, way, bytes }.parts();
        let mut refused = 0;
        for at in 0..body.len() * 8 {
            let mut changed = body.clone();
            changed[at / 8] ^= 1 << (at % 8);
            match again(way, &header, &changed) {
                Ok(bytes) => assert_eq!(bytes[16..], changed, "{name}, bit {at}"),
                Err(_) => refused += 1,
            }
        }
        let all_bits_mean_something = [
            "sync",
            "refresh",
            "ack",
            "ack-proof-query",
            "close-done",
            "splice-done",
            "fulfill",
            "preimage",
            "release",
            "tower-kept",
            "dispute-notice",
        ]
        .contains(&name);
        assert_eq!(refused == 0, all_bits_mean_something, "{name}");
    }
}

#[test]
fn every_byte_of_padding_is_checked() {
    let cases: &[(&str, &[(usize, usize)])] = &[
        ("hello", &[(8, 16)]),
        ("hello-answer", &[(140, 144)]),
        ("open-accept", &[(36, 40)]),
        ("pay", &[(228, 232)]),
        ("pay-answer", &[(42, 48), (122, 128)]),
        ("receipt", &[(252, 256)]),
        ("ack-proof", &[(1, 8)]),
        ("sync-answer", &[(33, 36)]),
        ("close-final", &[(36, 40)]),
        ("splice-final", &[(36, 40)]),
        ("query-tip", &[(1, 40)]),
        ("query-utxos", &[(1, 8)]),
        ("answer-utxos", &[(5, 8), (85, 88)]),
        ("answer-transaction-unknown", &[(5, 8), (41, 48)]),
        ("answer-transaction-final", &[(41, 44)]),
        ("answer-channel", &[(41, 48), (85, 88), (100, 104)]),
        ("submit-tx", &[(4, 8)]),
        ("ping", &[(4, 8)]),
        ("busy", &[(4, 8)]),
        ("error", &[(2, 4)]),
    ];
    for (name, ranges) in cases {
        for at in ranges.iter().flat_map(|(from, to)| *from..*to) {
            let error = refusal(name, |body| body[at] = 1);
            assert_eq!(error, WireError::Decode(DecodeError::NonZeroPadding), "{name} at {at}");
        }
    }
}

#[test]
fn every_truncation_and_every_trailing_byte_is_refused() {
    for sample in all() {
        let (header, mut body) = sample.parts();
        for len in 0..body.len() {
            assert!(
                again(sample.way, &header, &body[..len]).is_err(),
                "{} cut at {len}",
                sample.name
            );
        }
        body.push(0);
        let trailing = WireError::Decode(DecodeError::TrailingBytes { count: 1 });
        assert_eq!(again(sample.way, &header, &body), Err(trailing), "{}", sample.name);
    }
}

#[test]
fn counts_above_their_caps_are_refused_before_anything_is_read() {
    // Where each count stands, and its cap.
    let cases = [
        ("open-propose", 0, 1024),
        ("open-propose", 4, 64),
        ("open-accept", 32, 65536),
        ("pay", 224, 2816),
        ("receipt", 248, 3120),
        ("receipt", 260, 32),
        ("receipt", 264, 8192),
        ("receipt", 268, 2048),
        ("receipt", 272, 1024),
        ("ack-proof", 264, 32),
        ("ack-proof", 268, 64),
        ("sync-answer", 40, 1024),
        ("sync-answer", 44, 2816),
        ("sync-answer", 48, 64),
        ("sync-answer", 52, 64),
        ("sync-answer", 56, 1088),
        ("close-final", 32, 65536),
        ("splice-request", 40, 1024),
        ("splice-request", 44, 64),
        ("splice-final", 32, 65536),
        ("answer-utxos", 40, 4096),
        ("answer-channel", 96, 1024),
        ("submit-tx", 0, 65536),
        ("error", 4, 256),
    ];
    for (name, at, cap) in cases {
        for count in [cap + 1, u32::MAX] {
            let error = refusal(name, |body| body[at..at + 4].copy_from_slice(&count.to_le_bytes()));
            let WireError::TooMany { count: found, max, .. } = error else {
                panic!("{name} at {at}: {error}");
            };
            assert_eq!((found, max), (count.into(), cap.into()), "{name} at {at}");
        }
        // A count within its cap is believed only as far as there are bytes.
        refusal(name, |body| body[at..at + 4].copy_from_slice(&cap.to_le_bytes()));
    }
}

#[test]
fn values_that_mean_nothing_are_refused() {
    assert_eq!(
        refusal("pay-answer", |b| b[40] = 0),
        DecodeError::OutOfRange { field: "refusal" }.into()
    );
    for (name, at) in [
        ("hello", 4),
        ("ping", 0),
        ("receipt", 274),
        ("sync-answer", 34),
        ("answer-utxos", 44),
    ] {
        let unknown = refusal(name, |body| body[at + 3] = 0x80);
        assert!(
            matches!(
                unknown,
                WireError::Decode(DecodeError::UnknownValue { field: "flags", .. })
            ),
            "{name}"
        );
    }
    assert_eq!(refusal("error", |b| b[8] = 0xff), WireError::Text);
    assert_eq!(refusal("error", |b| b[8] = 0x1b), WireError::Text, "an escape sequence");
    let changes = refusal("receipt", |b| b[278..280].copy_from_slice(&129_u16.to_le_bytes()));
    assert!(
        matches!(
            changes,
            WireError::TooMany {
                count: 129,
                max: 128,
                ..
            }
        ),
        "{changes}"
    );
    for (name, amount) in [("open-propose", 8..16), ("splice-request", 48..56)] {
        let no_change = refusal(name, |b| b[amount].fill(0));
        let padding = DecodeError::NonZeroPadding.into();
        assert_eq!(no_change, padding, "a key for change that is not there, {name}");
    }
    let above_all_money = refusal("splice-request", |b| b[39] = 1);
    assert!(matches!(above_all_money, WireError::Decode(_)), "{above_all_money}");
}

#[test]
fn messages_go_one_way_and_every_code_is_taken_somewhere() {
    let (_, header, body) = sample("receipt");
    assert_eq!(
        ToHub::decode(&header, &body),
        Err(WireError::Unsupported(Kind::Receipt))
    );
    let (_, pay, body) = sample("pay");
    assert_eq!(ToClient::decode(&pay, &body), Err(WireError::Unsupported(Kind::Pay)));
    for code in 1..=27 {
        let kind = Kind::from_code(code).unwrap();
        let header = Header { kind: code, ..header };
        let unsupported = Err(WireError::Unsupported(kind));
        let nowhere = ToHub::decode(&header, &[]).map(drop) == unsupported
            && ToClient::decode(&header, &[]).map(drop) == unsupported
            && ToPeer::decode(&header, &[]).map(drop) == unsupported;
        assert!(!nowhere, "{kind}");
    }
    let header = |kind, version| Header {
        kind,
        version,
        ..header
    };
    assert_eq!(ToHub::decode(&header(28, 1), &[]), Err(WireError::UnknownKind(28)));
    let other_version = WireError::Version {
        kind: Kind::Ping,
        version: 2,
    };
    assert_eq!(ToHub::decode(&header(25, 2), &[]), Err(other_version));
}
