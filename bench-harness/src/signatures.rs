//! The signatures that the suites `verify` and `sign` and their peers work on: the same in the harness and in a peer's process.

use std::sync::Arc;

use rayon::iter::{IntoParallelIterator as _, ParallelIterator as _};
use tidegate_crypto::keys::SecretKey;
use tidegate_types::SignatureBytes;

use crate::measure::Scale;

/// Bytes that are signed by a client: about a client state with its domain.
pub const MESSAGE: usize = 200;

/// What the hub signs: about a batch header with its domain.
pub const HEADER: [u8; 250] = [0x3c; 250];

/// The seed of the key that signs [`HEADER`].
pub const SEED: [u8; 32] = [7; 32];

/// How keys are drawn.
#[derive(Clone, Copy, Debug)]
pub enum Draw {
    /// All alike.
    Uniform,
    /// Key of rank r as often as 1/r.
    Zipf,
}

impl Draw {
    /// The word in a row's name.
    #[must_use]
    pub const fn name(self) -> &'static str {
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
#[derive(Debug)]
pub struct Workload {
    /// `keys=…,draw=…`, for a row's name.
    pub name: String,
    /// The keys that may occur.
    pub keys: Arc<[SecretKey]>,
    /// Batches of 4 096.
    pub batches: Vec<Vec<Signed>>,
}

/// One signed message.
#[derive(Debug)]
pub struct Signed {
    /// The index of its key.
    pub key: usize,
    /// What is signed.
    pub message: [u8; MESSAGE],
    /// A good signature.
    pub signature: SignatureBytes,
}

/// The keys number 0 to `count` − 1; the same ones in every process.
#[must_use]
pub fn keys(count: u32) -> Arc<[SecretKey]> {
    let seed = |number: u32| {
        let mut seed = [7; 32];
        seed[..4].copy_from_slice(&number.to_le_bytes());
        seed
    };
    let keys = (0..count).into_par_iter();
    keys.map(|number| SecretKey::from_seed(seed(number))).collect()
}

impl Workload {
    /// Signatures of keys drawn by `draw`; the same ones in every process.
    ///
    /// # Panics
    /// If there are 2^32 keys or more.
    #[must_use]
    pub fn new(keys: Arc<[SecretKey]>, draw: Draw, scale: Scale) -> Self {
        let count = u32::try_from(keys.len()).expect("fewer than 2^32 keys");
        let mut state = 0x9e37_79b9_u64;
        let mut random = || {
            // xorshift64*, upper half.
            state ^= state >> 12;
            state ^= state << 25;
            state ^= state >> 27;
            u32::try_from(state.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32).expect("32 bits")
        };
        let mut draft = || (draw.key(random(), count), random());
        let drafts: Vec<Vec<(usize, u32)>> = (0..scale.pick(16, 1))
            .map(|_| (0..scale.pick(4_096, 64)).map(|_| draft()).collect())
            .collect();
        let sign = |(key, number): (usize, u32)| {
            let mut message = [0x3c; MESSAGE];
            message[..4].copy_from_slice(&number.to_le_bytes());
            let signature = keys[key].sign(&message);
            Signed {
                key,
                message,
                signature,
            }
        };
        let batches = drafts
            .into_par_iter()
            .map(|batch| batch.into_iter().map(sign).collect());
        Self {
            name: format!("keys={count},draw={}", draw.name()),
            batches: batches.collect(),
            keys,
        }
    }

    /// How many signatures there are in all.
    #[must_use]
    pub fn count(&self) -> usize {
        self.batches.iter().map(Vec::len).sum()
    }

    /// The encodings of the public keys.
    #[must_use]
    pub fn public_keys(&self) -> Vec<[u8; 32]> {
        self.keys.iter().map(|key| *key.public().bytes().as_bytes()).collect()
    }
}
