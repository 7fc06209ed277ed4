//! Many signatures of one key at once: a tenth of what they cost one by one.
//!
//! ```text
//! R of signature i     (r + i)·B: one addition of a point, where a nonce of its own would take a multiplication
//! their bytes          64 points share one inversion
//! the rest             k = SHA-512(R ‖ A ‖ M), S = r + i + k·a, as RFC 8032 has it
//! ```
//!
//! The signatures are as good as any to whoever verifies them, and take as long. But nonces that follow from each other give
//! the secret key away to everyone who sees two signatures. So this is for keys that are no secret at all: those of a
//! workload follow from a seed that stands in its profile. Nothing else may ever sign so.

use curve25519_dalek::Scalar;
use curve25519_dalek::constants::ED25519_BASEPOINT_POINT;
use curve25519_dalek::edwards::EdwardsPoint;
use curve25519_dalek::scalar::clamp_integer;
use rand::Rng as _;
use sha2::{Digest as _, Sha512};
use tidegate_types::{KeyBytes, SignatureBytes};

use crate::keys::{Purpose, client_seed, stream};

/// Points that are brought to bytes together.
const TOGETHER: usize = 64;

/// A key that is no secret, and the next nonce.
pub(super) struct QuickSigner {
    secret: Scalar,
    public: KeyBytes,
    nonce: Scalar,
    point: EdwardsPoint,
}

impl QuickSigner {
    /// The signer of client key `key`, whose public half is `public`; `chain` tells its nonces from those of others.
    pub(super) fn new(seed: u64, key: u32, public: KeyBytes, chain: u32) -> Self {
        let hashed: [u8; 64] = Sha512::digest(client_seed(seed, key)).into();
        let half: [u8; 32] = *hashed.first_chunk().expect("64 bytes are more than 32");
        let mut wide = [0; 64];
        stream(seed, Purpose::Nonces, chain.into()).fill_bytes(&mut wide);
        let nonce = Scalar::from_bytes_mod_order_wide(&wide);
        Self {
            secret: Scalar::from_bytes_mod_order(clamp_integer(half)),
            public,
            nonce,
            point: EdwardsPoint::mul_base(&nonce),
        }
    }

    /// Signs each of `messages`, and hands each signature to `take`, in order.
    pub(super) fn sign_all<M: AsRef<[u8]>>(&mut self, messages: &[M], mut take: impl FnMut(SignatureBytes)) {
        for messages in messages.chunks(TOGETHER) {
            let mut points = [self.point; TOGETHER];
            for point in &mut points[..messages.len()] {
                *point = self.point;
                self.point += ED25519_BASEPOINT_POINT;
            }
            let points = EdwardsPoint::compress_batch(&points);
            for (message, point) in messages.iter().zip(&points) {
                let hash = Sha512::new()
                    .chain_update(point.as_bytes())
                    .chain_update(self.public.as_bytes())
                    .chain_update(message);
                let challenge = Scalar::from_bytes_mod_order_wide(&hash.finalize().into());
                let response = self.nonce + challenge * self.secret;
                self.nonce += Scalar::ONE;
                let mut signature = [0; 64];
                signature[..32].copy_from_slice(point.as_bytes());
                signature[32..].copy_from_slice(response.as_bytes());
                take(SignatureBytes::from_bytes(signature));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use tidegate_crypto::verify::{Verdict, verify};

    use super::*;
    use crate::keys::client_key;

    #[test]
    fn every_signature_holds_and_no_other_message_has_it() {
        let public = client_key(3, 7).public();
        let mut signer = QuickSigner::new(3, 7, public.bytes(), 11);
        let messages: Vec<[u8; 40]> = (0..150).map(|n| [n; 40]).collect();
        let mut signatures = Vec::new();
        // Chains go on where they ended.
        for part in [&messages[..1], &messages[1..130], &messages[130..]] {
            signer.sign_all(part, |signature| signatures.push(signature));
        }
        assert_eq!(signatures.len(), messages.len());
        for (index, (message, signature)) in messages.iter().zip(&signatures).enumerate() {
            assert_eq!(verify(&public, message, signature), Verdict::Valid, "{index}");
            assert_eq!(verify(&public, &[200; 40], signature), Verdict::Invalid, "{index}");
        }
        let points: std::collections::BTreeSet<_> = signatures.iter().map(|s| s.as_bytes()[..32].to_vec()).collect();
        assert_eq!(points.len(), messages.len(), "no nonce is used twice");
    }
}
