//! Other Ed25519 implementations on the signatures of the suites `verify` and `sign`.
//!
//! ```text
//! peer-signatures verify|sign [--tiny]        rows on standard output, one JSON object a line
//! ```
//!
//! | system | what it is |
//! |---|---|
//! | aws-lc-rs | AWS-LC behind ring's interface; its Ed25519 is s2n-bignum's verified assembly |
//! | graviola | a library of its own around the same assembly |
//! | ed25519-zebra | curve25519-dalek by the rule ZIP 215; its batch says only whether all are valid |
//!
//! One signature at a time is judged with the key in the form that the library keeps, decompressed where it can.

use std::{env, hint::black_box, process::ExitCode};

use aws_lc_rs::signature::{ED25519, Ed25519KeyPair, ParsedPublicKey};
use graviola::signing::eddsa::{Ed25519SigningKey, Ed25519VerifyingKey};
use tidegate_bench_harness::{
    measure::{Bench, Scale, Unit},
    peers::{self, Peers},
    signatures::{Draw, HEADER, SEED, Signed, Workload, keys},
};

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    let scale = if arguments.iter().any(|argument| argument == "--tiny") {
        Scale::Tiny
    } else {
        Scale::Full
    };
    let mut bench = Bench::new(scale, Peers::Leave);
    match arguments.first().map(String::as_str) {
        Some("verify") => verify(&mut bench),
        Some("sign") => sign(&mut bench),
        _ => {
            eprintln!("expected: peer-signatures verify|sign [--tiny]");
            return ExitCode::from(2);
        }
    }
    peers::finish(bench);
    ExitCode::SUCCESS
}

fn verify(bench: &mut Bench) {
    let work = Workload::new(keys(32), Draw::Uniform, bench.scale());
    let public = work.public_keys();
    let batch = &work.batches[0];

    let parsed: Vec<ParsedPublicKey> = public
        .iter()
        .map(|key| ParsedPublicKey::new(&ED25519, key).expect("32 bytes of a key"))
        .collect();
    each(bench, "aws-lc-rs", batch, |signed| {
        let key = &parsed[signed.key];
        key.verify_sig(&signed.message, signed.signature.as_bytes()).is_ok()
    });

    let parsed: Vec<Ed25519VerifyingKey> = public
        .iter()
        .map(|key| Ed25519VerifyingKey::from_bytes(key).expect("a point"))
        .collect();
    each(bench, "graviola", batch, |signed| {
        let key = &parsed[signed.key];
        key.verify(signed.signature.as_bytes(), &signed.message).is_ok()
    });

    let parsed: Vec<ed25519_zebra::VerificationKey> =
        public.iter().map(|key| (*key).try_into().expect("a point")).collect();
    each(bench, "ed25519-zebra", batch, |signed| {
        let signature = ed25519_zebra::Signature::from(*signed.signature.as_bytes());
        parsed[signed.key].verify(&signature, &signed.message).is_ok()
    });
    zebra_batch(bench, &public, batch);
}

/// One row: some signatures, one at a time, on one core.
fn each(bench: &mut Bench, system: &str, batch: &[Signed], judge: impl Fn(&Signed) -> bool) {
    let some = bench.scale().pick(500, 4);
    let name = format!("{system}::verify/cores=1");
    bench.measure_of(system, &name, Unit::Micros, some, || {
        for signed in &batch[..some] {
            assert!(judge(black_box(signed)), "good signatures are valid");
        }
    });
}

fn zebra_batch(bench: &mut Bench, keys: &[[u8; 32]], batch: &[Signed]) {
    bench.measure_of(
        "ed25519-zebra",
        "ed25519-zebra::batch/cores=1",
        Unit::Micros,
        batch.len(),
        || {
            let mut verifier = ed25519_zebra::batch::Verifier::new();
            for signed in black_box(batch) {
                let signature = ed25519_zebra::Signature::from(*signed.signature.as_bytes());
                verifier.queue((keys[signed.key].into(), signature, &signed.message));
            }
            verifier.verify(rand::rng()).expect("good signatures are valid");
        },
    );
}

fn sign(bench: &mut Bench) {
    let count = bench.scale().pick(200, 2);
    let pair = Ed25519KeyPair::from_seed_unchecked(&SEED).expect("any 32 bytes are a seed");
    let graviola = Ed25519SigningKey::from_bytes(&SEED).expect("any 32 bytes are a seed");
    assert_eq!(
        pair.sign(&HEADER).as_ref(),
        graviola.sign(&HEADER),
        "one signature per key and message"
    );
    bench.measure_of("aws-lc-rs", "aws-lc-rs::sign/bytes=250", Unit::Micros, count, || {
        for _ in 0..count {
            black_box(pair.sign(black_box(&HEADER)));
        }
    });
    bench.measure_of("graviola", "graviola::sign/bytes=250", Unit::Micros, count, || {
        for _ in 0..count {
            black_box(graviola.sign(black_box(&HEADER)));
        }
    });
}
