//! Which code runs: a choice of the caller, limited by the processor and by what was compiled in.

use core::fmt;
use core::str::FromStr;

use thiserror::Error;

/// The path that a [`super::Verifier`] is to take. The verdicts are the same on every path.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Backend {
    /// The fastest that this processor has.
    #[default]
    Auto,
    /// AVX-512 with IFMA and VBMI2: eight signatures at a time.
    Avx512,
    /// AVX2: the same as [`Backend::Portable`]; there is no vector code of our own for it.
    Avx2,
    /// ed25519-dalek, which chooses its vector code at run time by what the processor has and cannot be told; for keys in
    /// use, combs over its points.
    Portable,
}

/// Why a backend cannot be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BackendError {
    /// The word is none of `auto`, `avx512`, `avx2`, `portable`.
    #[error("unknown backend: expected auto, avx512, avx2 or portable")]
    Unknown,
    /// This processor lacks the instructions of the backend that was asked for.
    #[error("this processor has no {0}")]
    Missing(Backend),
}

impl Backend {
    /// The backend's name in settings: `auto`, `avx512`, `avx2`, `portable`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Avx512 => "avx512",
            Self::Avx2 => "avx2",
            Self::Portable => "portable",
        }
    }

    /// Refuses a backend whose instructions are missing; `Auto` and `Portable` are always there.
    pub(super) fn check(self) -> Result<(), BackendError> {
        let there = match self {
            Self::Auto | Self::Portable => true,
            Self::Avx512 => has_avx512(),
            Self::Avx2 => has_avx2(),
        };
        if there {
            Ok(())
        } else {
            Err(BackendError::Missing(self))
        }
    }
}

impl fmt::Display for Backend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Backend {
    type Err = BackendError;

    /// Reads the value of `TIDEGATE_CPU`, which the binaries pass in.
    fn from_str(word: &str) -> Result<Self, BackendError> {
        [Self::Auto, Self::Avx512, Self::Avx2, Self::Portable]
            .into_iter()
            .find(|backend| backend.name() == word)
            .ok_or(BackendError::Unknown)
    }
}

/// What ed25519-dalek runs here: compiled in by a flag of `.cargo/config.toml`, then chosen by the processor.
pub(super) fn dalek_name() -> &'static str {
    if !has_avx2() {
        "dalek-serial"
    } else if !cfg!(dalek_avx512_compiled) {
        "dalek-avx2 (built without the avx512 flag)"
    } else if has_avx512_for_dalek() {
        "dalek-avx512"
    } else {
        "dalek-avx2"
    }
}

#[cfg(target_arch = "x86_64")]
fn has_avx512_for_dalek() -> bool {
    is_x86_feature_detected!("avx512ifma") && is_x86_feature_detected!("avx512vl")
}

#[cfg(target_arch = "x86_64")]
fn has_avx512() -> bool {
    super::lanes::Cpu::detect().is_some()
}

#[cfg(target_arch = "x86_64")]
fn has_avx2() -> bool {
    is_x86_feature_detected!("avx2")
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512_for_dalek() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx512() -> bool {
    false
}

#[cfg(not(target_arch = "x86_64"))]
fn has_avx2() -> bool {
    false
}
