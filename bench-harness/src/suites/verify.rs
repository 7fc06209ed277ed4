//! Signature verification: the hub's verifier by number of keys, tier and cores, beside ed25519-dalek and ring.
//!
//! A row's value is the time of one signature: on one core its cost, on two the inverse of the throughput. Each row of the
//! verifier goes through 16 different batches of 4 096, so that as many keys are touched as that has signatures.

use std::{hint::black_box, path::Path};

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use rayon::{ThreadPool, ThreadPoolBuilder};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::verify::{Backend, Item, KeyHandle, Verdict, Verifier, VerifierConfig};
use tidegate_types::SignatureBytes;

use super::{Suite, SuiteError};
use crate::measure::{Bench, Scale, Unit};

/// Verification.
pub(super) struct Verify;

/// Bytes that are signed: about a client state with its domain.
const MESSAGE: usize = 200;
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
                    peers(bench, &work);
                }
            }
        }
        ratios(bench);
        Ok(())
    }
}

/// How keys are drawn.
#[derive(Clone, Copy, Debug)]
enum Draw {
    Uniform,
    /// Key of rank r as often as 1/r.
    Zipf,
}

impl Draw {
    const fn name(self) -> &'static str {
        match self {
            Self::Uniform => "uniform",
            Self::Zipf => "zipf",
        }
    }

    /// A key below `count`, from 32 random bits. Zipf by inverting the logarithm that its sum approaches.
    fn key(self, random: u32, count: u32) -> usize {
        let part = f64::from(random) / (f64::from(u32::MAX) + 1.0);
        let count = f64::from(count);
        let key = match self {
            Self::Uniform => part * count,
            Self::Zipf => (count + 1.0).powf(part) - 1.0,
        };
        #[allow(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            reason = "0 ≤ key < count ≤ 2^32"
        )]
        {
            key as usize
        }
    }
}

/// Signed messages and their keys.
struct Workload {
    name: String,
    keys: Vec<SecretKey>,
    batches: Vec<Vec<Signed>>,
}

struct Signed {
    key: usize,
    message: [u8; MESSAGE],
    signature: SignatureBytes,
}

impl Workload {
    fn new(count: u32, draw: Draw, scale: Scale) -> Self {
        let seed = |number: u32| {
            let mut seed = [7; 32];
            seed[..4].copy_from_slice(&number.to_le_bytes());
            seed
        };
        let keys: Vec<SecretKey> = (0..count).map(|number| SecretKey::from_seed(seed(number))).collect();
        let mut state = 0x9e37_79b9_u64;
        let mut random = || {
            // xorshift64*, upper half.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            u32::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).expect("32 bits")
        };
        let mut sign = || {
            let key = draw.key(random(), count);
            let mut message = [0x3c; MESSAGE];
            message[..4].copy_from_slice(&random().to_le_bytes());
            let signature = keys[key].sign(&message);
            Signed {
                key,
                message,
                signature,
            }
        };
        let batches = (0..scale.pick(16, 1))
            .map(|_| (0..scale.pick(4_096, 64)).map(|_| sign()).collect())
            .collect();
        let name = format!("keys={count},draw={}", draw.name());
        Self { name, keys, batches }
    }

    fn count(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }

    fn register(&self, verifier: &Verifier) -> Vec<KeyHandle> {
        self.keys.iter().map(|key| verifier.register(&key.public())).collect()
    }

    fn items<'a>(&'a self, handles: &[KeyHandle]) -> Vec<Vec<Item<'a>>> {
        let items = |batch: &'a Vec<Signed>| batch.iter().map(|signed| signed.item(handles)).collect();
        self.batches.iter().map(items).collect()
    }
}

impl Signed {
    fn item(&self, handles: &[KeyHandle]) -> Item<'_> {
        Item {
            key: handles[self.key],
            message: &self.message,
            signature: &self.signature,
        }
    }
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
    let items = work.items(handles);
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
    let handles = work.register(&verifier);
    let items = work.items(&handles);
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
    let handles = work.register(&verifier);
    let items = work.items(&handles);
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
    let handles = work.register(&verifier);
    on_pools(bench, pools, &verifier, work, &handles, "no");
    Ok(())
}

/// One signature at a time: the latency of a lone payment.
fn single(bench: &mut Bench, work: &Workload) -> Result<(), SuiteError> {
    for (budget, what) in [(BUDGET, "yes"), (0, "no")] {
        let verifier = verifier(budget)?;
        let handles = work.register(&verifier);
        let items = work.items(&handles);
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

/// Other implementations, on one core, with the key kept decompressed where they can.
fn peers(bench: &mut Bench, work: &Workload) {
    let keys: Vec<VerifyingKey> = work.keys.iter().map(|key| *key.public().verifying_key()).collect();
    let batch = &work.batches[0];
    let signatures: Vec<Signature> = batch
        .iter()
        .map(|signed| Signature::from_bytes(signed.signature.as_bytes()))
        .collect();
    let some = bench.scale().pick(500, 4);
    let mut each = |name: &str, judge: &dyn Fn(&Signed, &Signature) -> bool| {
        bench.measure(name, Unit::Micros, some, || {
            for (signed, signature) in batch.iter().zip(&signatures).take(some) {
                assert!(judge(black_box(signed), black_box(signature)));
            }
        });
    };
    each("dalek::verify/cores=1", &|signed, signature| {
        keys[signed.key].verify(&signed.message, signature).is_ok()
    });
    each("dalek::verify_strict/cores=1", &|signed, signature| {
        keys[signed.key].verify_strict(&signed.message, signature).is_ok()
    });
    each("ring::verify/cores=1", &|signed, signature| {
        let key = ring::signature::UnparsedPublicKey::new(&ring::signature::ED25519, keys[signed.key].as_bytes());
        key.verify(&signed.message, &signature.to_bytes()).is_ok()
    });
    let messages: Vec<&[u8]> = batch.iter().map(|signed| &signed.message[..]).collect();
    let their_keys: Vec<VerifyingKey> = batch.iter().map(|signed| keys[signed.key]).collect();
    bench.measure("dalek::verify_batch/cores=1", Unit::Micros, batch.len(), || {
        ed25519_dalek::verify_batch(black_box(&messages), &signatures, &their_keys).expect("good signatures are valid");
    });
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
}
