//! Rule 4 by ed25519-dalek: the path of clients and of the ledger, and of every processor without a faster one.

use ed25519_dalek::{Signature, Verifier as _, VerifyingKey};
use tidegate_types::SignatureBytes;

use super::Verdict;
use crate::keys::PublicKey;

/// The encoding of the group's identity, the one `R` that equals `[S]B − [k]A` for somebody who never hashed a message:
/// rule 4 refuses it by name.
pub(super) const IDENTITY: [u8; 32] = {
    let mut bytes = [0; 32];
    bytes[0] = 1;
    bytes
};

/// The verdict of rule 4 on one signature, with no state: for clients and the ledger.
///
/// One call costs a full double-scalar multiplication; a [`super::Verifier`] is several times faster on many.
#[must_use]
pub fn verify(key: &PublicKey, message: &[u8], signature: &SignatureBytes) -> Verdict {
    verdict(key.verifying_key(), message, signature).into()
}

/// Dalek's `verify` refuses `S ≥ L` and compares the bytes of `R` with the encoding of the recomputed point; it lacks
/// only the refusal of the identity.
pub(super) fn verdict(key: &VerifyingKey, message: &[u8], signature: &SignatureBytes) -> bool {
    let bytes = signature.as_bytes();
    bytes[..32] != IDENTITY && key.verify(message, &Signature::from_bytes(bytes)).is_ok()
}
