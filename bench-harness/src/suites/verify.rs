//! Signature verification: the hub's verifier by number of keys, tier and cores, beside ed25519-dalek and ring.
//!
//! A row's value is the time of one signature: on one core its cost, on two the inverse of the throughput. Each row of the
//! verifier goes through 16 different batches of 4 096, so that as many keys are touched as that has signatures.

use std::{hint::black_box, path::Path};

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tidegate_crypto::verify::{Backend, Item, KeyHandle, Verdict, Verifier, VerifierConfig};

use super::{Suite, SuiteError};
use crate::{
    measure::{Bench, Scale, Unit},
    peers,
    signatures::{Draw, Signed, Workload},
};

/// Verification.
pub(super) struct Verify;

/// Room for tables: a small one for each of a million keys.
const BUDGET: usize = 4 << 30;

impl Suite for Verify {
    fn name(&self) -> &'static str {
        "verify"
    }

    fn about(&self) -> &'static str {
        "signatures by number of keys, with and without tables, on one core and on two, beside ed25519-dalek and ring"
    }

    fn run(&self, bench: &mut Bench, _folder: &Path) -> Result<(), SuiteError> {
        let scale = bench.scale();
        let pools = [pool(1), pool(2)];
        let counts: &[u32] = match scale {
            Scale::Full => &[1, 32, 256, 1_024, 32_768, 1_000_000],
            Scale::Tiny => &[1, 32],
        };
        for keys in counts {
            let most = counts.last() == Some(keys);
            let draws: &[Draw] = if *keys > 1_024 || most {
                &[Draw::Uniform, Draw::Zipf]
            } else {
                &[Draw::Uniform]
            };
            for draw in draws {
                let work = Workload::new(*keys, *draw, scale);
                tables(bench, &pools, &work)?;
                if *keys == 32 && matches!(draw, Draw::Uniform) {
                    cold(bench, &pools, &work)?;
                    single(bench, &work)?;
                    portable(bench, &pools[..1], &work)?;
                    libraries(bench, &work);
                }
            }
        }
        peers::run(bench, "peer-signatures", &["verify"]);
        ratios(bench);
        Ok(())
    }
}

fn register(work: &Workload, verifier: &Verifier) -> Vec<KeyHandle> {
    work.keys.iter().map(|key| verifier.register(&key.public())).collect()
}

fn items_of<'a>(work: &'a Workload, handles: &[KeyHandle]) -> Vec<Vec<Item<'a>>> {
    let item = |signed: &'a Signed| Item {
        key: handles[signed.key],
        message: &signed.message,
        signature: &signed.signature,
    };
    work.batches
        .iter()
        .map(|batch| batch.iter().map(item).collect())
        .collect()
}

fn pool(threads: usize) -> ThreadPool {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .expect("threads can be started")
}

fn verify_all(pool: &ThreadPool, verifier: &Verifier, batches: &[Vec<Item<'_>>], verdicts: &mut Vec<Verdict>) {
    for batch in batches {
        verdicts.clear();
        verdicts.resize(batch.len(), Verdict::Invalid);
        pool.install(|| verifier.verify_batch(black_box(batch), verdicts));
        assert!(
            verdicts.iter().all(|verdict| verdict.is_valid()),
            "good signatures are valid"
        );
    }
}

fn on_pools(
    bench: &mut Bench,
    pools: &[ThreadPool],
    verifier: &Verifier,
    work: &Workload,
    handles: &[KeyHandle],
    what: &str,
) {
    let items = items_of(work, handles);
    let mut verdicts = Vec::new();
    for pool in pools {
        let cores = pool.current_num_threads();
        let name = format!("verify::batch/{},tables={what},cores={cores}", work.name);
        bench.measure(&name, Unit::Micros, work.count(), || {
            verify_all(pool, verifier, &items, &mut verdicts)
        });
    }
}

fn verifier(budget: usize) -> Result<Verifier, SuiteError> {
    Ok(Verifier::new(VerifierConfig {
        backend: Backend::Auto,
        memory_budget_bytes: budget,
    })?)
}

/// What a processor without AVX-512 IFMA would run, in use for a while.
fn portable(bench: &mut Bench, pools: &[ThreadPool], work: &Workload) -> Result<(), SuiteError> {
    let verifier = Verifier::new(VerifierConfig {
        backend: Backend::Portable,
        memory_budget_bytes: BUDGET,
    })?;
    let handles = register(work, &verifier);
    let items = items_of(work, &handles);
    let mut verdicts = Vec::new();
    for _ in 0..2 {
        verify_all(&pools[0], &verifier, &items, &mut verdicts);
        verifier.maintain(usize::MAX);
    }
    on_pools(bench, pools, &verifier, work, &handles, "portable");
    Ok(())
}

/// Keys that have been in use for a while.
fn tables(bench: &mut Bench, pools: &[ThreadPool], work: &Workload) -> Result<(), SuiteError> {
    let verifier = verifier(BUDGET)?;
    let handles = register(work, &verifier);
    let items = items_of(work, &handles);
    let mut verdicts = Vec::new();
    for _ in 0..6 {
        verify_all(&pools[1], &verifier, &items, &mut verdicts);
        verifier.maintain(usize::MAX);
    }
    on_pools(bench, pools, &verifier, work, &handles, "yes");
    Ok(())
}

/// The same keys, each met for the first time.
fn cold(bench: &mut Bench, pools: &[ThreadPool], work: &Workload) -> Result<(), SuiteError> {
    let verifier = verifier(0)?;
    let handles = register(work, &verifier);
    on_pools(bench, pools, &verifier, work, &handles, "no");
    Ok(())
}

/// One signature at a time: the latency of a lone payment.
fn single(bench: &mut Bench, work: &Workload) -> Result<(), SuiteError> {
    for (budget, what) in [(BUDGET, "yes"), (0, "no")] {
        let verifier = verifier(budget)?;
        let handles = register(work, &verifier);
        let items = items_of(work, &handles);
        let all = items.iter().flatten();
        for _ in 0..6 {
            all.clone()
                .take(1_000)
                .for_each(|item| assert!(verifier.verify_one(item).is_valid()));
            verifier.maintain(usize::MAX);
        }
        let some: Vec<&Item<'_>> = all.take(bench.scale().pick(500, 4)).collect();
        bench.measure(
            &format!("verify::one/{},tables={what}", work.name),
            Unit::Micros,
            some.len(),
            || {
                for item in &some {
                    black_box(verifier.verify_one(black_box(item)));
                }
            },
        );
    }
    Ok(())
}

/// The libraries that the project is built with, on one core, with the key kept decompressed where they can.
fn libraries(bench: &mut Bench, work: &Workload) {
    let keys: Vec<VerifyingKey> = work.keys.iter().map(|key| *key.public().verifying_key()).collect();
    let batch = &work.batches[0];
    let signatures: Vec<Signature> = batch
        .iter()
        .map(|signed| Signature::from_bytes(signed.signature.as_bytes()))
        .collect();
    let some = bench.scale().pick(500, 4);
    let mut each = |system: &str, name: &str, judge: &dyn Fn(&Signed, &Signature) -> bool| {
        bench.measure_of(system, name, Unit::Micros, some, || {
            for (signed, signature) in batch.iter().zip(&signatures).take(some) {
                assert!(judge(black_box(signed), black_box(signature)));
            }
        });
    };
    each("ed25519-dalek", "dalek::verify/cores=1", &|signed, signature| {
        keys[signed.key].verify(&signed.message, signature).is_ok()
    });
    each("ed25519-dalek", "dalek::verify_strict/cores=1", &|signed, signature| {
        keys[signed.key].verify_strict(&signed.message, signature).is_ok()
    });
    each("ring", "ring::verify/cores=1", &|signed, signature| {
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, keys[signed.key].as_bytes());
        key.verify(&signed.message, &signature.to_bytes()).is_ok()
    });
    let messages: Vec<&[u8]> = batch.iter().map(|signed| &signed.message[..]).collect();
    let their_keys: Vec<VerifyingKey> = batch.iter().map(|signed| keys[signed.key]).collect();
    bench.measure_of(
        "ed25519-dalek",
        "dalek::verify_batch/cores=1",
        Unit::Micros,
        batch.len(),
        || {
            ed25519_dalek::verify_batch(black_box(&messages), &signatures, &their_keys)
                .expect("good signatures are valid");
        },
    );
}

fn ratios(bench: &mut Bench) {
    let hot = "verify::batch/keys=32,draw=uniform,tables=yes,cores=1";
    let cold = "verify::batch/keys=32,draw=uniform,tables=no,cores=1";
    bench.ratio("dalek verify / hot", "dalek::verify/cores=1", hot);
    bench.ratio("dalek verify_batch / hot", "dalek::verify_batch/cores=1", hot);
    bench.ratio("dalek verify_batch / cold", "dalek::verify_batch/cores=1", cold);
    bench.ratio("dalek verify / cold", "dalek::verify/cores=1", cold);
    bench.ratio(
        "dalek verify / one, hot",
        "dalek::verify/cores=1",
        "verify::one/keys=32,draw=uniform,tables=yes",
    );
    bench.ratio(
        "dalek verify / one, cold",
        "dalek::verify/cores=1",
        "verify::one/keys=32,draw=uniform,tables=no",
    );
    bench.ratio("ring verify / hot", "ring::verify/cores=1", hot);
    bench.ratio_to_peer("aws-lc-rs verify / hot", "aws-lc-rs::verify/cores=1", hot);
    bench.ratio_to_peer("graviola verify / hot", "graviola::verify/cores=1", hot);
    bench.ratio_to_peer("ed25519-zebra batch / cold", "ed25519-zebra::batch/cores=1", cold);
}
