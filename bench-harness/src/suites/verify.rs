//! Signature verification: the hub's verifier by number of keys, tier and cores, beside ed25519-dalek and ring.
//!
//! A row's value is the time of one signature: on one core its cost, on two the inverse of the throughput. Each row of the
//! verifier goes through 16 different batches of 4 096, so that as many keys are touched as that has signatures.

use std::{hint::black_box, path::Path, sync::Arc};

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tidegate_crypto::verify::{Backend, Item, KeyHandle, Verdict, Verifier, VerifierConfig};

use super::{Suite, SuiteError};
use crate::{
    measure::{Bench, Scale, Unit},
    peers,
    signatures::{self, Draw, Signed, Workload},
};

/// Verification.
pub(super) struct Verify;

/// Numbers of keys that the portable path is measured with.
const PORTABLE_KEYS: [u32; 3] = [32, 1_024, 32_768];
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
            let all = signatures::keys(*keys);
            for draw in draws {
                let work = Workload::new(Arc::clone(&all), *draw, scale);
                tables(bench, &pools, &work)?;
                if matches!(draw, Draw::Uniform) && PORTABLE_KEYS.contains(keys) {
                    portable(bench, &work)?;
                }
                if matches!(draw, Draw::Uniform) && *keys == 32 {
                    cold(bench, &pools, &work)?;
                    libraries(bench, &work);
                    few(bench, Backend::Auto, &work)?;
                    few(bench, Backend::Portable, &work)?;
                }
            }
        }
        peers::run(bench, "peer-signatures", &["verify"]);
        ratios(bench);
        Ok(())
    }
}

/// A few busy keys, hot and cold, beside the libraries: what the suite `peers` shows of signatures.
pub(super) fn beside_libraries(bench: &mut Bench) -> Result<(), SuiteError> {
    if !bench.wants("verify::") && !bench.wants("dalek::") && !bench.wants("ring::") {
        return Ok(());
    }
    let work = Workload::new(signatures::keys(32), Draw::Uniform, bench.scale());
    let pools = [pool(1), pool(2)];
    tables(bench, &pools, &work)?;
    cold(bench, &pools, &work)?;
    libraries(bench, &work);
    peers::run(bench, "peer-signatures", &["verify"]);
    ratios_to_libraries(bench);
    Ok(())
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

fn verifier(backend: Backend, budget: usize) -> Result<Verifier, SuiteError> {
    Ok(Verifier::new(VerifierConfig {
        backend,
        memory_budget_bytes: budget,
    })?)
}

/// What a processor without AVX-512 IFMA would run, in use for a while, and dalek with as many keys.
fn portable(bench: &mut Bench, work: &Workload) -> Result<(), SuiteError> {
    let verifier = verifier(Backend::Portable, BUDGET)?;
    let handles = register(work, &verifier);
    let mut items = items_of(work, &handles);
    items.truncate(1);
    let one = pool(1);
    let mut verdicts = Vec::new();
    for _ in 0..20 {
        verify_all(&one, &verifier, &items, &mut verdicts);
        verifier.maintain(usize::MAX);
    }
    let count = items.iter().map(Vec::len).sum();
    let name = format!("verify::batch/{},tables=portable,cores=1", work.name);
    bench.measure(&name, Unit::Micros, count, || {
        verify_all(&one, &verifier, &items, &mut verdicts);
    });
    let keys: Vec<VerifyingKey> = work.keys.iter().map(|key| *key.public().verifying_key()).collect();
    let name = format!("dalek::verify/{},cores=1", work.name);
    bench.measure_of("ed25519-dalek", &name, Unit::Micros, count, || {
        for signed in work.batches.iter().take(1).flatten() {
            let signature = Signature::from_bytes(signed.signature.as_bytes());
            assert!(keys[signed.key].verify(black_box(&signed.message), &signature).is_ok());
        }
    });
    Ok(())
}

/// Keys that have been in use for a while.
fn tables(bench: &mut Bench, pools: &[ThreadPool], work: &Workload) -> Result<(), SuiteError> {
    let verifier = verifier(Backend::Auto, BUDGET)?;
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
    let verifier = verifier(Backend::Auto, 0)?;
    let handles = register(work, &verifier);
    on_pools(bench, pools, &verifier, work, &handles, "no");
    Ok(())
}

/// How much the keys were used, and maintained, before a measurement.
#[derive(Clone, Copy, Debug)]
enum Use {
    /// Registered, never maintained.
    New,
    /// A few times each, then maintained.
    Little,
    /// Maintained as often as it changes anything.
    Much,
}

impl Use {
    const ALL: [Self; 3] = [Self::New, Self::Little, Self::Much];

    /// The tier in which that leaves them, where there are three.
    const fn tier(self) -> &'static str {
        match self {
            Self::New => "cold",
            Self::Little => "warm",
            Self::Much => "hot",
        }
    }

    /// Uses them so.
    fn bring(self, verifier: &Verifier, items: &[Vec<Item<'_>>], keys: usize) {
        let (rounds, uses) = match self {
            Self::New => return,
            Self::Little => (1, 6 * keys),
            Self::Much => (6, 40 * keys),
        };
        for _ in 0..rounds {
            for item in items.iter().flatten().take(uses) {
                assert!(verifier.verify_one(item).is_valid(), "good signatures are valid");
            }
            verifier.maintain(usize::MAX);
        }
    }
}

/// A few signatures at a time: the latency of a lone payment, and how soon a batch pays.
fn few(bench: &mut Bench, backend: Backend, work: &Workload) -> Result<(), SuiteError> {
    let one = pool(1);
    for used in Use::ALL {
        let verifier = verifier(backend, BUDGET)?;
        let handles = register(work, &verifier);
        let items = items_of(work, &handles);
        used.bring(&verifier, &items, work.keys.len());
        let some: Vec<Item<'_>> = items
            .iter()
            .flatten()
            .copied()
            .take(bench.scale().pick(504, 8))
            .collect();
        let name = |batch: usize| few_name(backend, &work.name, used.tier(), batch);
        bench.measure(&name(1), Unit::Micros, some.len(), || {
            for item in &some {
                assert!(verifier.verify_one(black_box(item)).is_valid());
            }
        });
        let mut verdicts = [Verdict::Invalid; 8];
        for batch in FEW.into_iter().skip(1) {
            bench.measure(&name(batch), Unit::Micros, some.len(), || {
                one.install(|| {
                    for items in some.chunks(batch) {
                        verifier.verify_batch(black_box(items), &mut verdicts[..items.len()]);
                    }
                });
            });
        }
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

/// How many signatures come at once in the rows of [`few`].
const FEW: [usize; 3] = [1, 2, 8];

fn few_name(backend: Backend, work: &str, tier: &str, batch: usize) -> String {
    format!(
        "verify::few/{work},backend={},tier={tier},batch={batch}",
        backend.name()
    )
}

/// The row of a batch of the verifier's own.
fn batch_name(keys: u32, tables: &str) -> String {
    format!("verify::batch/keys={keys},draw=uniform,tables={tables},cores=1")
}

fn ratios_to_libraries(bench: &mut Bench) {
    let (hot, cold) = (batch_name(32, "yes"), batch_name(32, "no"));
    let (one, batch) = ("dalek::verify/cores=1", "dalek::verify_batch/cores=1");
    bench.ratio("dalek verify / hot", one, &hot);
    bench.ratio("dalek verify_batch / hot", batch, &hot);
    bench.ratio("dalek verify_batch / cold", batch, &cold);
    bench.ratio("dalek verify / cold", one, &cold);
    bench.ratio("ring verify / hot", "ring::verify/cores=1", &hot);
    bench.ratio_to_peer("aws-lc-rs verify / hot", "aws-lc-rs::verify/cores=1", &hot);
    bench.ratio_to_peer("graviola verify / hot", "graviola::verify/cores=1", &hot);
    bench.ratio_to_peer("ed25519-zebra batch / cold", "ed25519-zebra::batch/cores=1", &cold);
}

fn ratios(bench: &mut Bench) {
    ratios_to_libraries(bench);
    let dalek = "dalek::verify/cores=1";
    for keys in PORTABLE_KEYS {
        let theirs = format!("dalek::verify/keys={keys},draw=uniform,cores=1");
        if bench.value(&theirs).is_some() {
            let name = format!("dalek verify / portable, {keys} keys");
            bench.ratio(&name, &theirs, &batch_name(keys, "portable"));
        }
    }
    for backend in [Backend::Auto, Backend::Portable] {
        for used in Use::ALL {
            for count in FEW {
                let name = format!("dalek verify / {}, {}, {count} at once", backend.name(), used.tier());
                bench.ratio(
                    &name,
                    dalek,
                    &few_name(backend, "keys=32,draw=uniform", used.tier(), count),
                );
            }
        }
    }
}
