//! A signature that is made and then changed as the input says: every path gives the verdict of dalek's `verify_strict`,
//! and the good signatures beside it stay good.
//!
//! ```text
//! byte 0       the key
//!      1, 2    where the signature is changed, and what with
//!      3 …     the message
//! all bytes    stirred: what is done to the signature (see `change`), so that it varies with every byte; zeros do nothing
//! ```

use std::sync::OnceLock;

use ed25519_dalek::Signature;
use tidegate_crypto::{
    keys::SecretKey,
    verify::{Backend, Item, KeyHandle, Verdict, Verifier, VerifierConfig, verify},
};
use tidegate_types::SignatureBytes;

/// Bytes before the message.
const HEAD: usize = 3;
const KEYS: u8 = 4;
/// Signatures of one batch: one more than the lanes hold.
const BATCH: usize = 9;

/// L, the order of the base point, in little-endian bytes.
const L: [u8; 32] = [
    0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58, 0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14, 0, 0, 0, 0, 0, 0,
    0, 0, 0, 0, 0, 0, 0, 0, 0, 0x10,
];

/// One path with its keys brought to one tier.
struct Judge {
    verifier: Verifier,
    handles: Vec<KeyHandle>,
}

/// What all inputs share.
struct Bench {
    keys: Vec<SecretKey>,
    /// A good signature of each key, of its own number.
    good: Vec<SignatureBytes>,
    judges: Vec<Judge>,
}

impl Bench {
    fn new() -> Self {
        let keys: Vec<SecretKey> = (0..KEYS).map(|seed| SecretKey::from_seed([seed; 32])).collect();
        let good: Vec<SignatureBytes> = (0..KEYS).zip(&keys).map(|(at, key)| key.sign(&[at])).collect();
        let backends = [Backend::Avx512, Backend::Portable];
        // So many uses leave a key cold, make it warm, make it hot.
        let tiers = backends
            .into_iter()
            .flat_map(|backend| [0, 3, 40].map(|uses| (backend, uses)));
        let judges = tiers
            .filter_map(|(backend, uses)| Judge::new(backend, uses, &keys, &good))
            .collect();
        Self { keys, good, judges }
    }
}

impl Judge {
    /// Nothing where the processor lacks the path.
    fn new(backend: Backend, uses: usize, keys: &[SecretKey], good: &[SignatureBytes]) -> Option<Self> {
        let config = VerifierConfig {
            backend,
            memory_budget_bytes: 1 << 20,
        };
        let verifier = Verifier::new(config).ok()?;
        let handles: Vec<KeyHandle> = keys.iter().map(|key| verifier.register(&key.public())).collect();
        for (at, (key, signature)) in handles.iter().zip(good).enumerate() {
            let message = [u8::try_from(at).expect("a few keys")];
            let item = Item {
                key: *key,
                message: &message,
                signature,
            };
            for _ in 0..uses {
                assert!(verifier.verify_one(&item).is_valid(), "a good signature");
            }
        }
        verifier.maintain(usize::MAX);
        Some(Self { verifier, handles })
    }

    /// The verdict on one signature, alone and among good ones at the place `at`.
    fn judge(&self, bench: &Bench, key: usize, message: &[u8], signature: &SignatureBytes, at: usize) -> Verdict {
        let item = Item {
            key: self.handles[key],
            message,
            signature,
        };
        let alone = self.verifier.verify_one(&item);
        let numbers: Vec<[u8; 1]> = (0..KEYS).map(|number| [number]).collect();
        let mut items: Vec<Item<'_>> = (0..BATCH)
            .map(|index| index % bench.good.len())
            .map(|index| Item {
                key: self.handles[index],
                message: &numbers[index],
                signature: &bench.good[index],
            })
            .collect();
        items[at] = item;
        let mut verdicts = [Verdict::Invalid; BATCH];
        self.verifier.verify_batch(&items, &mut verdicts);
        for (index, verdict) in verdicts.into_iter().enumerate() {
            let expected = if index == at { alone } else { Verdict::Valid };
            assert_eq!(
                verdict,
                expected,
                "{}: index {index}, changed {at}",
                self.verifier.backend()
            );
        }
        alone
    }
}

/// Adds L to the number in `s`, wrapping.
fn add_l(s: &mut [u8]) {
    let mut carry = 0;
    for (byte, l) in s.iter_mut().zip(L) {
        let sum = u16::from(*byte) + u16::from(l) + carry;
        *byte = sum.to_le_bytes()[0];
        carry = sum >> 8;
    }
}

/// Changes a signature, or for `what` 0 nothing.
fn change(signature: &mut [u8; 64], what: u8, at: u8, with: u8) {
    let place = usize::from(at) % 64;
    match what % 8 {
        1 => signature[place] ^= with,
        2 => (0..with % 16).for_each(|_| add_l(&mut signature[32..])),
        // R as one byte among zeros or ones: y = 0, 1, 2^255 − 19 and others near them.
        3 => {
            signature[..32].fill(if at & 0x80 == 0 { 0 } else { 0xff });
            signature[usize::from(at) % 32] = with;
        }
        4 => {
            signature[32..].fill(if at & 0x80 == 0 { 0 } else { 0xff });
            signature[32 + usize::from(at) % 32] = with;
        }
        5 => {
            signature[32..].copy_from_slice(&L);
            signature[32] = signature[32].wrapping_add(with);
        }
        6 => signature[31] ^= 0x80,
        7 => signature.rotate_left(place),
        _ => {}
    }
}

/// A signature that every path judges alike. True if it is valid.
#[must_use]
pub fn judge_signature(data: &[u8]) -> bool {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    let Some((&[key, at, with], message)) = data.split_first_chunk::<HEAD>() else {
        return false;
    };
    let bench = BENCH.get_or_init(Bench::new);
    let key = usize::from(key) % bench.keys.len();
    let stirred = data.iter().fold(0_u32, |sum, byte| {
        sum.wrapping_mul(0x0100_0193).wrapping_add((*byte).into())
    });
    let [_, what, more_at, more_with] = stirred.to_le_bytes();
    let (at, with) = (at ^ more_at, with ^ more_with);
    let mut bytes = *bench.keys[key].sign(message).as_bytes();
    change(&mut bytes, what, at, with);
    let signature = SignatureBytes::from_bytes(bytes);
    let public = bench.keys[key].public();
    let strict = public
        .verifying_key()
        .verify_strict(message, &Signature::from_bytes(&bytes));
    let expected = Verdict::from(strict.is_ok());
    assert_eq!(verify(&public, message, &signature), expected, "stateless");
    for judge in &bench.judges {
        let verdict = judge.judge(bench, key, message, &signature, usize::from(at) % BATCH);
        assert_eq!(verdict, expected, "{}", judge.verifier.backend());
    }
    expected.is_valid()
}
