//! Signing: what the hub does once per batch, beside those that could replace it.

use std::{hint::black_box, path::Path};

use tidegate_crypto::keys::SecretKey;

use super::{Suite, SuiteError};
use crate::{
    measure::{Bench, Unit},
    peers,
    signatures::{HEADER, SEED},
};

/// Signing.
pub(super) struct Sign;

impl Suite for Sign {
    fn name(&self) -> &'static str {
        "sign"
    }

    fn about(&self) -> &'static str {
        "one signature with a kept key: the project's own (ed25519-dalek) beside ring"
    }

    fn run(&self, bench: &mut Bench, _folder: &Path) -> Result<(), SuiteError> {
        let count = bench.scale().pick(200, 2);
        let own = "keys::SecretKey::sign/bytes=250";
        let key = SecretKey::from_seed(SEED);
        bench.measure(own, Unit::Micros, count, || {
            for _ in 0..count {
                black_box(key.sign(black_box(&HEADER)));
            }
        });
        let theirs = "ring::sign/bytes=250";
        let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&SEED).expect("any 32 bytes are a seed");
        assert_eq!(
            pair.sign(&HEADER).as_ref(),
            key.sign(&HEADER).as_bytes(),
            "one signature per key and message"
        );
        bench.measure_of("ring", theirs, Unit::Micros, count, || {
            for _ in 0..count {
                black_box(pair.sign(black_box(&HEADER)));
            }
        });
        peers::run(bench, "peer-signatures", &["sign"]);
        bench.ratio("ring sign / own", theirs, own);
        bench.ratio_to_peer("aws-lc-rs sign / own", "aws-lc-rs::sign/bytes=250", own);
        bench.ratio_to_peer("graviola sign / own", "graviola::sign/bytes=250", own);
        Ok(())
    }
}
