//! Every path against a slow, plainly written reference and against dalek's `verify_strict`, on signatures that are good,
//! bent, or made to sit at the edges of rule 4. `TIDEGATE_VERIFY_CASES` sets the number of cases against dalek; every
//! hundredth is judged by the reference too. The seed is printed and fixed.
#![allow(
    clippy::disallowed_methods,
    reason = "the number of cases is the caller's, by an environment variable"
)]

mod reference;

use curve25519_dalek::constants::EIGHT_TORSION;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::Scalar;
use ed25519_dalek::Signature;
use ed25519_dalek::hazmat::ExpandedSecretKey;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use sha2::{Digest as _, Sha512};
use tidegate_crypto::keys::PublicKey;
use tidegate_crypto::verify::{Backend, Item, KeyHandle, Verdict, Verifier, VerifierConfig, verify};
use tidegate_types::{KeyBytes, SignatureBytes};

const SEED: u64 = 0x7469_6465_6761_7465;
const BATCH: usize = 1000;
/// Cases that share one signed message.
const SHARED: usize = 8;

/// splitmix64.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let x = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let x = (x ^ x >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ x >> 31
    }

    fn below(&mut self, count: usize) -> usize {
        usize::try_from(self.next() % count as u64).expect("below a usize")
    }

    fn bytes<const N: usize>(&mut self) -> [u8; N] {
        [(); N].map(|()| self.next().to_le_bytes()[3])
    }
}

/// A key whose secret scalar is known, so that signatures can be made for any R.
struct Signer {
    secret: Scalar,
    public: PublicKey,
    expanded: ExpandedSecretKey,
}

impl Signer {
    fn new(numbers: &mut Numbers) -> Self {
        let expanded = ExpandedSecretKey::from_bytes(&numbers.bytes());
        let bytes = EdwardsPoint::mul_base(&expanded.scalar).compress().0;
        let public = PublicKey::register(KeyBytes::from_bytes(bytes)).expect("a multiple of the base point");
        Self {
            secret: expanded.scalar,
            public,
            expanded,
        }
    }

    fn challenge(&self, r: &[u8; 32], message: &[u8]) -> Scalar {
        let hash = Sha512::new()
            .chain_update(r)
            .chain_update(self.public.bytes().as_bytes())
            .chain_update(message);
        Scalar::from_bytes_mod_order_wide(&hash.finalize().into())
    }

    fn sign(&self, message: &[u8]) -> [u8; 64] {
        let key = self.public.verifying_key();
        ed25519_dalek::hazmat::raw_sign::<Sha512>(&self.expanded, message, key).to_bytes()
    }

    /// The S that fits these bytes of R, whose point without its torsion is `[r]B`.
    fn finish(&self, r: Scalar, r_bytes: [u8; 32], message: &[u8]) -> [u8; 64] {
        join(
            r_bytes,
            (r + self.challenge(&r_bytes, message) * self.secret).to_bytes(),
        )
    }
}

fn join(r: [u8; 32], s: [u8; 32]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(&r);
    bytes[32..].copy_from_slice(&s);
    bytes
}

/// `s + L·times` as bytes, wrapping at 2^256.
fn raised(s: &[u8; 32], times: u8) -> [u8; 32] {
    let l = reference::order() * times + reference::number(s);
    reference::bytes(&(l % (num_bigint::BigUint::from(1_u8) << 256)))
}

/// Kinds of signatures that [`make`] knows.
const KINDS: usize = 13;

/// A signature of `kind`; `good` is a good one.
fn make(kind: usize, signer: &Signer, message: &[u8], good: [u8; 64], numbers: &mut Numbers) -> [u8; 64] {
    let (r, s): ([u8; 32], [u8; 32]) = (*good.first_chunk().expect("64"), *good.last_chunk().expect("64"));
    let torsion = EIGHT_TORSION[1 + numbers.below(7)];
    let scalar = Scalar::from_bytes_mod_order_wide(&numbers.bytes());
    match kind {
        // Good, twice as often as the rest.
        0 | 1 => good,
        // One bit wrong anywhere.
        2 => {
            let mut bad = good;
            bad[numbers.below(64)] ^= 1 << numbers.below(8);
            bad
        }
        // S at and above L, to the same residue; and anything above.
        3 => join(r, raised(&s, 1)),
        4 => join(r, raised(&[0; 32], 1 + numbers.next().to_le_bytes()[0] % 15)),
        5 => join(r, numbers.bytes()),
        // R = identity with an S that fits, in its canonical form and in others.
        6 => signer.finish(Scalar::ZERO, EdwardsPoint::default().compress().0, message),
        7 => {
            let forms = reference::identity_forms();
            signer.finish(Scalar::ZERO, forms[numbers.below(forms.len())], message)
        }
        // R of small order, and of mixed order: the cofactored equation holds.
        8 => signer.finish(Scalar::ZERO, torsion.compress().0, message),
        9 => signer.finish(
            scalar,
            (EdwardsPoint::mul_base(&scalar) + torsion).compress().0,
            message,
        ),
        // The sign of x turned; R random bytes, mostly no point.
        10 => {
            let mut bad = good;
            bad[31] ^= 0x80;
            bad
        }
        11 => join(numbers.bytes(), s),
        // S = 0, 1, L − 1: the edges of the digits.
        _ => {
            let edges = [Scalar::ZERO, Scalar::ONE, -Scalar::ONE];
            join(r, edges[numbers.below(3)].to_bytes())
        }
    }
}

struct Case {
    signer: usize,
    message: Vec<u8>,
    signature: SignatureBytes,
}

fn verifiers(keys: &[Signer]) -> Vec<(Verifier, Vec<KeyHandle>, &'static str)> {
    // Without a budget all keys stay cold; with a small one some become warm, a few hot.
    let budgets = [
        (Backend::Auto, 0, "cold"),
        (Backend::Auto, 64 << 10, "mixed"),
        (Backend::Auto, 64 << 20, "tables"),
    ];
    let others = [
        (Backend::Avx2, 64 << 20, "avx2"),
        (Backend::Portable, 64 << 20, "portable"),
    ];
    let all = budgets.into_iter().chain(others);
    all.filter_map(|(backend, memory_budget_bytes, name)| {
        let verifier = Verifier::new(VerifierConfig {
            backend,
            memory_budget_bytes,
        })
        .ok()?;
        let handles = keys.iter().map(|key| verifier.register(&key.public)).collect();
        Some((verifier, handles, name))
    })
    .collect()
}

fn cases() -> usize {
    match std::env::var("TIDEGATE_VERIFY_CASES") {
        Ok(count) => count.parse().expect("TIDEGATE_VERIFY_CASES is a number"),
        Err(_) => 100_000,
    }
}

/// Some cases with one message.
fn draw(signers: &[Signer], numbers: &mut Numbers) -> Vec<Case> {
    // Some keys are used much more than others.
    let few = 1 + numbers.below(signers.len());
    let signer = numbers.below(few);
    let message: Vec<u8> = (0..numbers.below(300))
        .map(|_| numbers.next().to_le_bytes()[0])
        .collect();
    let good = signers[signer].sign(&message);
    let mut case = || {
        let kind = numbers.below(KINDS);
        let signature = SignatureBytes::from_bytes(make(kind, &signers[signer], &message, good, numbers));
        let message = message.clone();
        Case {
            signer,
            message,
            signature,
        }
    };
    (0..SHARED).map(|_| case()).collect()
}

/// What dalek says; where the rules coincide, on keys of rule 3, that is rule 4.
fn by_dalek(signer: &Signer, case: &Case) -> Verdict {
    let signature = Signature::from_bytes(case.signature.as_bytes());
    let key = signer.public.verifying_key();
    key.verify_strict(&case.message, &signature).is_ok().into()
}

fn check_batch(verifier: &Verifier, handles: &[KeyHandle], cases: &[Case], expected: &[Verdict], what: &str) {
    let items: Vec<Item<'_>> = cases
        .iter()
        .map(|case| Item {
            key: handles[case.signer],
            message: &case.message,
            signature: &case.signature,
        })
        .collect();
    let mut verdicts = vec![Verdict::Invalid; cases.len()];
    verifier.verify_batch(&items, &mut verdicts);
    let differs = verdicts.iter().zip(expected).position(|(ours, theirs)| ours != theirs);
    assert_eq!(differs, None, "{what}, backend {}", verifier.backend());
}

/// What one batch was.
#[derive(Default)]
struct Counts {
    valid: usize,
    by_reference: usize,
}

#[test]
fn all_paths_agree_with_dalek_and_with_the_reference() {
    let mut numbers = Numbers(SEED);
    let signers: Vec<Signer> = (0..40).map(|_| Signer::new(&mut numbers)).collect();
    let verifiers = verifiers(&signers);
    let batches = cases().div_ceil(BATCH);
    let counts: Vec<Counts> = (0..batches)
        .into_par_iter()
        .map(|batch| check_all(batch, &signers, &verifiers))
        .collect();
    let total = batches * BATCH;
    let valid: usize = counts.iter().map(|counts| counts.valid).sum();
    let by_reference: usize = counts.iter().map(|counts| counts.by_reference).sum();
    assert!(valid > 0 && valid < total, "both verdicts occur");
    println!(
        "{total} cases ({valid} valid) against verify_strict, {by_reference} against the reference, seed {SEED:#x}"
    );
}

fn check_all(batch: usize, signers: &[Signer], verifiers: &[(Verifier, Vec<KeyHandle>, &str)]) -> Counts {
    let mut numbers = Numbers(SEED.wrapping_mul(2 * batch as u64 + 3));
    let mut counts = Counts::default();
    let cases: Vec<Case> = (0..BATCH / SHARED).flat_map(|_| draw(signers, &mut numbers)).collect();
    let expected: Vec<Verdict> = cases.iter().map(|case| by_dalek(&signers[case.signer], case)).collect();
    counts.valid = expected.iter().filter(|verdict| verdict.is_valid()).count();
    for (case, expected) in cases.iter().zip(&expected).skip(batch % 100).step_by(100) {
        let key = &signers[case.signer].public;
        let verdict = reference::verdict(key.bytes().as_bytes(), &case.message, case.signature.as_bytes());
        assert_eq!(Verdict::from(verdict), *expected, "reference, batch {batch}");
        assert_eq!(
            verify(key, &case.message, &case.signature),
            *expected,
            "stateless, batch {batch}"
        );
        counts.by_reference += 1;
    }
    for (verifier, handles, name) in verifiers {
        // The slow paths see a part of the cases.
        if verifier.backend().starts_with("dalek") && !batch.is_multiple_of(4) {
            continue;
        }
        check_batch(verifier, handles, &cases, &expected, &format!("{name}, batch {batch}"));
        if batch.is_multiple_of(2) {
            verifier.maintain(7);
        }
    }
    counts
}

#[test]
fn the_reference_finds_the_edges() {
    let mut numbers = Numbers(3);
    let signer = Signer::new(&mut numbers);
    let key = *signer.public.bytes().as_bytes();
    let good = signer.sign(b"m");
    let judge =
        |kind: usize, numbers: &mut Numbers| reference::verdict(&key, b"m", &make(kind, &signer, b"m", good, numbers));
    assert!(judge(0, &mut numbers));
    for kind in 3..=10 {
        assert!(!judge(kind, &mut numbers), "kind {kind}");
    }
    // The identity as R satisfies the equation; only its name is refused.
    let identity = make(6, &signer, b"m", good, &mut numbers);
    assert!(
        signer
            .public
            .verifying_key()
            .verify_stream(&Signature::from_bytes(&identity))
            .is_ok()
    );
    use ed25519_dalek::Verifier as _;
    assert!(
        signer
            .public
            .verifying_key()
            .verify(b"m", &Signature::from_bytes(&identity))
            .is_ok()
    );
}
