//! Locks as outputs of their own: who may take one (rule 26).

use tidegate_crypto::hash::payment_hash;
use tidegate_types::{Age, Height, HubCounter};

use crate::check::Checker;
use crate::record::{ack_outpoint, preimage_outpoint};
use crate::{AckRecord, LockCondition, LockProof, LockTerms, UtxoStore};

/// Why a lock is not to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LockError {
    /// What is shown does not meet the lock's condition.
    #[error("the lock is not met by what is shown")]
    NotMet,
    /// It was met too late: the last height was this.
    #[error("the lock was to be met at height {0}")]
    MetTooLate(Height),
    /// The way from the acknowledged leaf to the credit does not hold.
    #[error("the lock was not credited: {0}")]
    NotCredited(tidegate_channel::evidence::AckProofError),
    /// It is not refunded yet: only above this height.
    #[error("the lock is refunded above height {0}")]
    NotExpired(Height),
    /// It is met, and belongs to its claimer.
    #[error("the lock is met, and belongs to its claimer")]
    Met,
}

impl<S: UtxoStore> Checker<'_, S> {
    /// Whether `proof` shows that a lock is met.
    pub(crate) fn check_claim(&self, terms: &LockTerms, proof: &LockProof) -> Result<(), LockError> {
        match (&terms.condition, proof) {
            (LockCondition::Hash(hash), LockProof::Recorded) => self.in_time(preimage_outpoint(hash), terms.expiry),
            (LockCondition::Hash(hash), LockProof::Preimage(preimage)) => {
                if payment_hash(preimage) != *hash {
                    Err(LockError::NotMet)
                } else if self.height > terms.expiry {
                    Err(LockError::MetTooLate(terms.expiry))
                } else {
                    Ok(())
                }
            }
            (LockCondition::Ack { lock, payee }, LockProof::Acked(leaf, proof)) => {
                let record = AckRecord {
                    channel: *payee,
                    counter: leaf.counter,
                    digest: leaf.digest,
                };
                self.in_time(ack_outpoint(&record), terms.expiry)?;
                proof.check(&leaf.digest, lock).map_err(LockError::NotCredited)
            }
            (LockCondition::Hash(_), LockProof::Acked(..))
            | (LockCondition::Ack { .. }, LockProof::Recorded | LockProof::Preimage(_)) => Err(LockError::NotMet),
        }
    }

    fn in_time(&self, record: tidegate_types::OutPoint, expiry: Height) -> Result<(), LockError> {
        match self.entries().stands_by(&record, expiry) {
            Some(true) => Ok(()),
            Some(false) => Err(LockError::MetTooLate(expiry)),
            None => Err(LockError::NotMet),
        }
    }

    /// Whether a lock that nobody met goes back.
    ///
    /// That a preimage was revealed in time settles the matter for ever. That some ack of the payee's channel was, does
    /// not: whether its leaf credited this lock is shown with the claim. So its claimer has a dispute window more.
    pub(crate) fn check_refund(&self, terms: &LockTerms) -> Result<(), LockError> {
        if self.height <= terms.expiry {
            return Err(LockError::NotExpired(terms.expiry));
        }
        match terms.condition {
            LockCondition::Hash(hash) => match self.in_time(preimage_outpoint(&hash), terms.expiry) {
                Ok(()) => Err(LockError::Met),
                Err(_) => Ok(()),
            },
            LockCondition::Ack { payee, .. } => {
                let acked = self.lookup.acked(&payee, HubCounter::ZERO, terms.expiry);
                let grace = if acked {
                    self.params.dispute_window_min
                } else {
                    Age::ZERO
                };
                let last = terms.expiry.plus(grace).unwrap_or(Height::MAX);
                if self.height > last {
                    Ok(())
                } else {
                    Err(LockError::NotExpired(last))
                }
            }
        }
    }
}
