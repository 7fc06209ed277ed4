//! Ed25519 keys: the secret half that signs, and the public half in its checked form (protocol rule 3).
//!
//! A [`PublicKey`] exists only for bytes that are the canonical encoding of a point of the prime-order subgroup other
//! than the identity. `ed25519_dalek::VerifyingKey::from_bytes` checks less: it takes encodings that are not canonical,
//! points of small order and points with a torsion part. So every key that comes from outside passes
//! [`PublicKey::register`] once, when it enters, and nobody else makes keys of bytes.
//!
//! # Who signs
//!
//! ed25519-dalek, in constant time, 13.6 µs for a batch header; aws-lc-rs takes 5.9 µs, graviola 5.8, ring 16.5
//! (`bench-harness run sign --peers`). The hub signs one header per batch, so the faster ones would save it 7.7 µs of a
//! batch: 2 ns of each of 4 096 updates, or 1 % of the millisecond that a lone payment may take. For that we would carry a
//! second implementation of the curve that sees secrets, a C compiler and a build of a minute (aws-lc-rs), or a library
//! that stops on processors without ADX (graviola). All of them make the same signatures, so that this can be changed.
//!
//! Nothing here makes randomness: a seed is an argument. Nothing here verifies a signature.

use core::fmt;
use core::hash::{Hash, Hasher};

use curve25519_dalek::edwards::CompressedEdwardsY;
use ed25519_dalek::{Signer as _, SigningKey, VerifyingKey};
use tidegate_types::{KeyBytes, SignatureBytes};
use zeroize::Zeroize as _;

/// Why bytes are not a public key that counts (rule 3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// No point of the curve has this encoding.
    #[error("the key is not a point of the curve")]
    NotAPoint,
    /// The bytes decode to a point whose encoding is another.
    #[error("the key is not in canonical form")]
    NotCanonical,
    /// The point's order divides 8: anyone can sign for it.
    #[error("the key is of small order")]
    SmallOrder,
    /// The point lies outside the prime-order subgroup.
    #[error("the key has a torsion part")]
    Torsion,
}

/// A public key that satisfies rule 3, decompressed, with exactly the bytes it came from.
///
/// Equality and hashing are by those bytes.
#[derive(Clone, Copy)]
pub struct PublicKey {
    bytes: KeyBytes,
    key: VerifyingKey,
}

impl PublicKey {
    /// Checks bytes that come from outside: canonical, not of small order, free of torsion. About as dear as verifying
    /// a signature.
    ///
    /// ```
    /// use tidegate_crypto::keys::{KeyError, PublicKey, SecretKey};
    /// use tidegate_types::KeyBytes;
    /// let bytes = SecretKey::from_seed([7; 32]).public().bytes();
    /// assert_eq!(PublicKey::register(bytes).map(|key| key.bytes()), Ok(bytes));
    /// assert_eq!(PublicKey::register(KeyBytes::ZERO), Err(KeyError::SmallOrder));
    /// ```
    ///
    /// # Errors
    /// [`KeyError`], the first of its variants that applies, in their order.
    pub fn register(bytes: KeyBytes) -> Result<Self, KeyError> {
        let key = decompress(bytes)?;
        let point = key.to_edwards();
        if point.is_small_order() {
            return Err(KeyError::SmallOrder);
        }
        if !point.is_torsion_free() {
            return Err(KeyError::Torsion);
        }
        Ok(Self { bytes, key })
    }

    /// Decompresses bytes that passed [`PublicKey::register`] before and have been in this program's own checksummed
    /// state since. Several times cheaper, since the torsion check is not repeated.
    ///
    /// # Errors
    /// [`KeyError::NotAPoint`] or [`KeyError::NotCanonical`]: the state is damaged. Small order and torsion go unnoticed.
    pub fn from_registered(bytes: KeyBytes) -> Result<Self, KeyError> {
        decompress(bytes).map(|key| Self { bytes, key })
    }

    /// The bytes it came from.
    #[must_use]
    pub const fn bytes(&self) -> KeyBytes {
        self.bytes
    }

    /// The decompressed key, for the verifier.
    #[must_use]
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.key
    }
}

/// The point whose canonical encoding is `bytes`.
fn decompress(bytes: KeyBytes) -> Result<VerifyingKey, KeyError> {
    let compressed = CompressedEdwardsY(*bytes.as_bytes());
    let point = compressed.decompress().ok_or(KeyError::NotAPoint)?;
    // Decompression reduces y ≥ p and lets the sign bit of x = 0 pass; encoding the point anew shows both.
    let key = VerifyingKey::from(point);
    if key.as_bytes() == bytes.as_bytes() {
        Ok(key)
    } else {
        Err(KeyError::NotCanonical)
    }
}

impl PartialEq for PublicKey {
    fn eq(&self, other: &Self) -> bool {
        self.bytes == other.bytes
    }
}

impl Eq for PublicKey {}

impl Hash for PublicKey {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bytes.hash(state);
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({})", self.bytes)
    }
}

/// A secret key. Wiped from memory when dropped; never shown.
pub struct SecretKey {
    key: SigningKey,
}

impl SecretKey {
    /// The key of a 32-byte seed (RFC 8032, 5.1.5), which the caller drew at random.
    #[must_use]
    pub fn from_seed(mut seed: [u8; 32]) -> Self {
        let key = SigningKey::from_bytes(&seed);
        seed.zeroize();
        Self { key }
    }

    /// The public half. It satisfies rule 3 by construction: a clamped scalar times the base point.
    #[must_use]
    pub fn public(&self) -> PublicKey {
        let key = self.key.verifying_key();
        let bytes = KeyBytes::from_bytes(key.to_bytes());
        PublicKey { bytes, key }
    }

    /// Signs exactly these bytes (RFC 8032, pure Ed25519, deterministic). Use [`crate::signed::sign`] for anything of
    /// the protocol: it adds the tag, the ledger and the kind.
    #[must_use]
    pub fn sign(&self, message: &[u8]) -> SignatureBytes {
        SignatureBytes::from_bytes(self.key.sign(message).to_bytes())
    }
}

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey(of {})", self.public().bytes())
    }
}

#[cfg(test)]
mod tests;
