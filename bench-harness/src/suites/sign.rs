//! Signing: what the hub does once per batch, beside the fastest that could replace it.

use std::{hint::black_box, path::Path};

use tidegate_crypto::keys::SecretKey;

use super::{Suite, SuiteError};
use crate::measure::{Bench, Unit};

/// Signing.
pub(super) struct Sign;

/// Bytes that are signed: about a batch header with its domain.
const MESSAGE: [u8; 250] = [0x3c; 250];
const SEED: [u8; 32] = [7; 32];

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
                black_box(key.sign(black_box(&MESSAGE)));
            }
        });
        let theirs = "ring::sign/bytes=250";
        let pair = ring::signature::Ed25519KeyPair::from_seed_unchecked(&SEED).expect("any 32 bytes are a seed");
        assert_eq!(
            pair.sign(&MESSAGE).as_ref(),
            key.sign(&MESSAGE).as_bytes(),
            "one signature per key and message"
        );
        bench.measure(theirs, Unit::Micros, count, || {
            for _ in 0..count {
                black_box(pair.sign(black_box(&MESSAGE)));
            }
        });
        bench.ratio("ring sign / own", theirs, own);
        Ok(())
    }
}
