//! The proof that a payee has acknowledged a payment (rule 12): what a payer settles on.

use tidegate_channel::{Ack, Credit, LeafPublic, Lock, leaf_digest};
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_crypto::merkle;
use tidegate_crypto::verify::Verdict;
use tidegate_types::{Amount, DecodeError, Digest, Fixed, Height, LedgerId, LockId, PaymentId};
use tidegate_wire::messages::{Link, Proof};

/// Why a proof proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProofError {
    /// The ack or a leaf's public part does not decode.
    #[error("the proof does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// The ack is of another channel or another key than the lock's payee.
    #[error("the ack is not the payee's")]
    OtherPayee,
    /// The payee's key is none that counts.
    #[error("the payee's key is not valid: {0}")]
    Key(#[from] KeyError),
    /// The signature is not the payee's.
    #[error("the ack's signature is not the payee's")]
    Signature,
    /// The first leaf does not credit the lock.
    #[error("the leaf does not credit the lock")]
    NotCredited,
    /// The leaves do not follow from each other up to the one that was acknowledged.
    #[error("the leaves do not lead to the acknowledged one")]
    BrokenChain,
}

/// Checks that the payee of `lock`, whose id is `id`, has acknowledged a leaf that credits it, or a later one.
///
/// # Errors
/// [`ProofError`].
pub fn check_proof(ledger: &LedgerId, id: &LockId, lock: &Lock, proof: &Proof<'_>) -> Result<(), ProofError> {
    let ack = Ack::decode(proof.ack)?;
    if proof.payee != lock.payee || ack.channel != lock.payee_channel {
        return Err(ProofError::OtherPayee);
    }
    check_credit(id, proof)?;
    if chain_end(proof.links)? != ack.leaf.digest {
        return Err(ProofError::BrokenChain);
    }
    let payee = PublicKey::register(proof.payee)?;
    match ack.verify(ledger, &payee, proof.signature) {
        Verdict::Valid => Ok(()),
        Verdict::Invalid => Err(ProofError::Signature),
    }
}

/// Checks that the first leaf credits the lock.
fn check_credit(id: &LockId, proof: &Proof<'_>) -> Result<(), ProofError> {
    let first = proof.links.first().ok_or(ProofError::BrokenChain)?;
    let root = LeafPublic::decode(&first.public)?.credited_root;
    // An entry covers the lock's id and the salt alone.
    let credit = Credit {
        lock: *id,
        salt: *proof.salt,
        payment_id: PaymentId::ZERO,
        amount: Amount::ZERO,
        expiry: Height::ZERO,
    };
    let held = merkle::verify_path(
        merkle::LIST,
        &credit.entry(),
        proof.index,
        proof.count,
        proof.path,
        &root,
    );
    if held { Ok(()) } else { Err(ProofError::NotCredited) }
}

/// The digest of the last of `links`, each of which names the digest of the one before.
fn chain_end(links: &[Link]) -> Result<Digest, ProofError> {
    let mut end = None;
    for link in links {
        let public = LeafPublic::decode(&link.public)?;
        if end.is_some_and(|end| end != public.previous) {
            return Err(ProofError::BrokenChain);
        }
        end = Some(leaf_digest(&link.private, &public.digest()));
    }
    end.ok_or(ProofError::BrokenChain)
}
