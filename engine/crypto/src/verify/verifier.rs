//! Many signatures, keys remembered.
//!
//! Every method takes `&self`, so one verifier in an `Arc` serves the hub's verification stage, the sequencer that
//! registers keys and the rayon task that maintains tables, all at once; [`super::pool`] says why that is sound. Verdicts
//! never depend on what `maintain` has or has not done.

use tidegate_types::{KeyBytes, SignatureBytes};

#[cfg(target_arch = "x86_64")]
use super::lanes::Lanes8;
use super::pool::Pool;
use super::portable::Portable;
use super::store::KeyHandle;
use super::{Backend, BackendError, Verdict};
use crate::keys::PublicKey;

/// Settings of a [`Verifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VerifierConfig {
    /// The path to take.
    pub backend: Backend,
    /// The most bytes that tables of keys may take together; 0 for none. The cached keys themselves come on top.
    pub memory_budget_bytes: usize,
}

impl Default for VerifierConfig {
    fn default() -> Self {
        Self {
            backend: Backend::Auto,
            memory_budget_bytes: 256 << 20,
        }
    }
}

/// One signature to judge.
#[derive(Clone, Copy, Debug)]
pub struct Item<'a> {
    /// The key, registered with the verifier that is asked.
    pub key: KeyHandle,
    /// The signed bytes.
    pub message: &'a [u8],
    /// The signature as it came.
    pub signature: &'a SignatureBytes,
}

/// What one call of [`Verifier::maintain`] did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Maintenance {
    /// Tables built.
    pub built: usize,
    /// Tables given up to stay within the memory budget.
    pub evicted: usize,
    /// Bytes of all tables after the call.
    pub table_bytes: usize,
}

/// Judges signatures of registered keys by rule 4.
pub struct Verifier {
    path: Path,
}

/// The path that was chosen.
enum Path {
    #[cfg(target_arch = "x86_64")]
    Lanes(Pool<Lanes8>),
    Portable(Pool<Portable>),
}

/// The same call on whichever path.
macro_rules! on_path {
    ($verifier:expr, $pool:ident => $call:expr) => {
        match &$verifier.path {
            #[cfg(target_arch = "x86_64")]
            Path::Lanes($pool) => $call,
            Path::Portable($pool) => $call,
        }
    };
}

impl Verifier {
    /// A verifier without keys.
    ///
    /// # Errors
    /// [`BackendError::Missing`] if this processor cannot run the backend that `config` forces.
    pub fn new(config: VerifierConfig) -> Result<Self, BackendError> {
        config.backend.check()?;
        Ok(Self {
            path: Path::new(config),
        })
    }

    /// The handle of a key that was registered before, by its bytes: for whoever has these alone, since decompressing them
    /// costs more than all else that is done with a handle.
    #[must_use]
    pub fn known(&self, key: &KeyBytes) -> Option<KeyHandle> {
        on_path!(self, pool => pool.known(key))
    }

    /// Remembers `key` and gives the handle that [`Item`]s name it by; the same handle each time for equal keys.
    /// Handles are numbered from 0 without gaps and never reused.
    pub fn register(&self, key: &PublicKey) -> KeyHandle {
        on_path!(self, pool => pool.register(key))
    }

    /// Judges each item: `verdicts[i]` becomes the verdict on `items[i]`, whatever the other items are. Runs on the
    /// current rayon pool; a few dozen items on the calling thread.
    ///
    /// # Panics
    /// If the slices differ in length, or a handle was never given out here. (A handle of another verifier may name a key
    /// of this one: keep one verifier's handles with it.)
    pub fn verify_batch(&self, items: &[Item<'_>], verdicts: &mut [Verdict]) {
        assert_eq!(items.len(), verdicts.len(), "one verdict per item");
        on_path!(self, pool => pool.verify_batch(items, verdicts));
    }

    /// The verdict on one signature, on the calling thread.
    ///
    /// # Panics
    /// If the handle was never given out here.
    #[must_use]
    pub fn verify_one(&self, item: &Item<'_>) -> Verdict {
        let mut verdict = [Verdict::Invalid];
        on_path!(self, pool => pool.verify_chunk(&[*item], &mut verdict));
        verdict[0]
    }

    /// Builds at most `budget` tables for the keys that were used most of late, giving up others if the memory budget
    /// demands it. Its work is bounded by `budget`, not by the number of keys. May run at any time beside the other methods, on any thread; a call during another one does nothing.
    pub fn maintain(&self, budget: usize) -> Maintenance {
        on_path!(self, pool => pool.maintain(budget))
    }

    /// The code that really runs, for reports: `avx512ifma-8lane`, `dalek-avx512`, …
    #[must_use]
    pub fn backend(&self) -> &'static str {
        on_path!(self, pool => pool.name())
    }
}

impl Path {
    fn new(config: VerifierConfig) -> Self {
        let budget = config.memory_budget_bytes;
        #[cfg(target_arch = "x86_64")]
        if matches!(config.backend, Backend::Auto | Backend::Avx512)
            && let Some(lanes) = Lanes8::detect()
        {
            return Self::Lanes(Pool::new(lanes, budget));
        }
        Self::Portable(Pool::new(Portable::new(), budget))
    }
}
