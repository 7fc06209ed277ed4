//! Every path against dalek's `verify_strict` and against a slow, plainly written reference.
//!
//! Cases come in pieces of a million, each with keys, verifiers and a sequence of numbers of its own, so that a long run can be
//! cut and gone on with. Everything is judged by dalek and by the lanes with tables and without; every hundredth case by
//! the reference, and by everything that judges one signature alone; every tenth batch by the portable paths.
//!
//! `TIDEGATE_VERIFY_CASES` sets the number of cases, `TIDEGATE_VERIFY_FIRST` the first piece. 10^8 cases:
//!
//! ```text
//! TIDEGATE_VERIFY_CASES=100000000 cargo test --release -p tidegate-crypto --test verify_differential -- --nocapture
//! ```
#![allow(
    clippy::disallowed_methods,
    reason = "the number of cases is the caller's, by an environment variable"
)]

mod differential;
#[allow(dead_code, reason = "each test program uses a part")]
mod paths;
mod reference;

use std::collections::BTreeMap;

use ed25519_dalek::Signature;
use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use tidegate_crypto::verify::{Backend, Item, KeyHandle, Verdict, Verifier, VerifierConfig, verify};

use differential::{Case, KINDS, Kind, Numbers, Signer, draw, signers};

const SEED: u64 = 0x7469_6465_6761_7465;
const PIECE: usize = 1_000_000;
const BATCH: usize = 1000;
const KEYS: usize = 40;
/// One batch in so many goes through the portable paths.
const PORTABLE: usize = 10;
/// One case in so many goes through the reference and through what judges one at a time.
const REFERENCE: usize = 100;

/// A verifier that is to agree.
struct Judge {
    verifier: Verifier,
    handles: Vec<KeyHandle>,
    name: &'static str,
    /// It sees one batch in so many.
    share: usize,
}

fn judges(keys: &[Signer]) -> Vec<Judge> {
    // Without a budget all keys stay cold; with a small one some become warm, one hot.
    let all = [
        (Backend::Auto, 0, "cold", 1),
        (Backend::Auto, 64 << 20, "tables", 1),
        (Backend::Auto, 64 << 10, "mixed", 4),
        (Backend::Avx2, 64 << 20, "avx2", PORTABLE),
        (Backend::Portable, 64 << 20, "portable", PORTABLE),
        (Backend::Portable, 0, "portable, cold", PORTABLE),
    ];
    // Under `TIDEGATE_CPU` all of them take that path.
    all.into_iter()
        .map(|(backend, budget, name, share)| (paths::forced().unwrap_or(backend), budget, name, share))
        .filter_map(|(backend, memory_budget_bytes, name, share)| {
            let verifier = Verifier::new(VerifierConfig {
                backend,
                memory_budget_bytes,
            })
            .ok()?;
            let handles = keys.iter().map(|key| verifier.register(&key.public)).collect();
            Some(Judge {
                verifier,
                handles,
                name,
                share,
            })
        })
        .collect()
}

impl Judge {
    fn item<'a>(&self, case: &'a Case) -> Item<'a> {
        Item {
            key: self.handles[case.signer],
            message: &case.message,
            signature: &case.signature,
        }
    }

    /// Judges the cases as two batches, cut at `cut`.
    fn check(&self, cases: &[Case], cut: usize, expected: &[Verdict], place: &str) {
        let items: Vec<Item<'_>> = cases.iter().map(|case| self.item(case)).collect();
        let mut verdicts = vec![Verdict::Invalid; cases.len()];
        let (first, second) = verdicts.split_at_mut(cut);
        self.verifier.verify_batch(&items[..cut], first);
        self.verifier.verify_batch(&items[cut..], second);
        let differs = verdicts.iter().zip(expected).position(|(ours, theirs)| ours != theirs);
        let kind = differs.map(|at| cases[at].kind);
        let backend = self.verifier.backend();
        assert_eq!(differs, None, "{} ({backend}), {place}, {kind:?}", self.name);
    }
}

/// What dalek says; where the rules coincide, on keys of rule 3, that is rule 4.
fn by_dalek(signer: &Signer, case: &Case) -> Verdict {
    let signature = Signature::from_bytes(case.signature.as_bytes());
    let key = signer.public.verifying_key();
    key.verify_strict(&case.message, &signature).is_ok().into()
}

fn setting(name: &str) -> Option<usize> {
    let value = std::env::var(name).ok()?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number")),
    )
}

/// Cases by who agreed on them.
type Counts = BTreeMap<&'static str, usize>;

fn add(mut all: Counts, more: Counts) -> Counts {
    more.into_iter()
        .for_each(|(name, count)| *all.entry(name).or_default() += count);
    all
}

fn line(counts: &Counts) -> String {
    let words: Vec<String> = counts.iter().map(|(name, count)| format!("{name} {count}")).collect();
    words.join(", ")
}

#[test]
fn all_paths_agree_with_dalek_and_with_the_reference() {
    let cases = setting("TIDEGATE_VERIFY_CASES").unwrap_or(100_000);
    let first = setting("TIDEGATE_VERIFY_FIRST").unwrap_or(0);
    let pieces = cases.div_ceil(PIECE);
    let mut total = Counts::new();
    for piece in first..first + pieces {
        let batches = (cases - (piece - first) * PIECE).min(PIECE).div_ceil(BATCH);
        let counts = check_piece(piece, batches);
        println!("piece {piece}: {}", line(&counts));
        total = add(total, counts);
    }
    let dalek = total["verify_strict"];
    assert!(dalek >= cases && total["reference"] * REFERENCE >= cases);
    assert!(
        total["valid"] * 20 > dalek && total["valid"] * 2 < dalek,
        "both verdicts occur"
    );
    println!(
        "no disagreement in pieces {first}..{}, seed {SEED:#x}: {}",
        first + pieces,
        line(&total)
    );
}

fn check_piece(piece: usize, batches: usize) -> Counts {
    let seed = Numbers(SEED ^ piece as u64).next();
    let signers = signers(KEYS, &mut Numbers(seed));
    let judges = judges(&signers);
    (0..batches)
        .into_par_iter()
        .map(|batch| check_batch(seed, piece, batch, &signers, &judges))
        .reduce(Counts::new, add)
}

fn check_batch(seed: u64, piece: usize, batch: usize, signers: &[Signer], judges: &[Judge]) -> Counts {
    let place = format!("piece {piece}, batch {batch}");
    let mut numbers = Numbers(seed.wrapping_mul(2 * batch as u64 + 3));
    let kinds: Vec<Kind> = (0..BATCH).map(|_| KINDS[numbers.below(KINDS.len())]).collect();
    let cases = draw(&kinds, signers, &mut numbers);
    let expected: Vec<Verdict> = cases.iter().map(|case| by_dalek(&signers[case.signer], case)).collect();
    let valid = expected.iter().filter(|verdict| verdict.is_valid()).count();
    let mut counts = Counts::from([("verify_strict", BATCH), ("valid", valid)]);
    for (case, expected) in cases.iter().zip(&expected).skip(batch % REFERENCE).step_by(REFERENCE) {
        check_alone(case, *expected, signers, judges, &place);
        *counts.entry("reference").or_default() += 1;
    }
    let cut = numbers.below(BATCH);
    for judge in judges.iter().filter(|judge| batch.is_multiple_of(judge.share)) {
        judge.check(&cases, cut, &expected, &place);
        counts.insert(judge.name, BATCH);
        if batch.is_multiple_of(2) {
            judge.verifier.maintain(7);
        }
    }
    counts
}

/// The reference, the stateless verdict and every `verify_one`.
fn check_alone(case: &Case, expected: Verdict, signers: &[Signer], judges: &[Judge], place: &str) {
    let Signer { public, powers, .. } = &signers[case.signer];
    let slow = powers.verdict(&case.message, case.signature.as_bytes());
    assert_eq!(Verdict::from(slow), expected, "reference, {place}, {:?}", case.kind);
    let stateless = verify(public, &case.message, &case.signature);
    assert_eq!(stateless, expected, "stateless, {place}, {:?}", case.kind);
    for judge in judges {
        let verdict = judge.verifier.verify_one(&judge.item(case));
        assert_eq!(verdict, expected, "{} alone, {place}, {:?}", judge.name, case.kind);
    }
}

#[test]
fn each_kind_is_what_it_says() {
    let mut numbers = Numbers(3);
    let signers = signers(8, &mut numbers);
    let judge = |case: &Case| {
        signers[case.signer]
            .powers
            .verdict(&case.message, case.signature.as_bytes())
    };
    let identity = reference::identity_forms()[0];
    for case in draw(&[Kind::Good; 8], &signers, &mut numbers) {
        // The smallest nonce of all is 0.
        assert_eq!(judge(&case), case.signature.as_bytes()[..32] != identity);
    }
    for kind in KINDS.into_iter().filter(|kind| !matches!(kind, Kind::Good)) {
        for case in draw(&[kind; 8], &signers, &mut numbers) {
            let own = kind == Kind::Stranger && judge(&case);
            assert!(own || !judge(&case), "{kind:?}");
        }
    }
    // The identity as R satisfies the equation; only its name is refused.
    use ed25519_dalek::Verifier as _;
    for case in draw(&[Kind::Identity; 8], &signers, &mut numbers) {
        let signature = Signature::from_bytes(case.signature.as_bytes());
        let key = signers[case.signer].public.verifying_key();
        assert!(key.verify(&case.message, &signature).is_ok());
        assert_eq!(by_dalek(&signers[case.signer], &case), Verdict::Invalid);
    }
}
