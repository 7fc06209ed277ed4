//! The one verdict on an Ed25519 signature.
//!
//! A signature `R ‖ S` of a message `M` under a key `A` of rule 3 (canonical, not of small order, torsion free) is
//! valid iff (protocol rule 4)
//!
//! ```text
//! S < L    and    R = encode([S]B − [k]A)    and    R ≠ encode(identity)      where k = SHA-512(R ‖ A ‖ M) mod L
//! ```
//!
//! `R` is compared as bytes, so a non-canonical `R` is invalid, and so is one with a torsion component: on keys of
//! rule 3 the right-hand side has none. [`verify`] judges one signature with nothing but the key; [`Verifier`] judges
//! many, remembers keys, and gives exactly the same verdict on every path.
//!
//! Everything here is variable time: keys, messages and signatures are public. Secret keys never come here.

mod backend;
mod comb;
#[cfg(target_arch = "x86_64")]
mod decompressed;
mod engine;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "vector instructions")]
mod lanes;
mod pool;
mod portable;
#[allow(unsafe_code, reason = "an instruction that asks for memory")]
mod prefetch;
mod scalar;
mod single;
mod store;
mod tier;
mod verifier;

#[cfg(test)]
mod tests;

pub use backend::{Backend, BackendError};
pub use single::verify;
pub use store::KeyHandle;
pub use verifier::{Item, Maintenance, Verifier, VerifierConfig};

/// What is to be said of one signature; there is nothing between the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verdict {
    /// Valid by rule 4.
    Valid,
    /// Anything else.
    Invalid,
}

impl Verdict {
    /// True for [`Verdict::Valid`].
    #[must_use]
    pub const fn is_valid(self) -> bool {
        matches!(self, Self::Valid)
    }
}

impl From<bool> for Verdict {
    fn from(valid: bool) -> Self {
        if valid { Self::Valid } else { Self::Invalid }
    }
}
