//! Hash locks from both ends: a payer takes a preimage for its proof, a payee shows it or gives the lock up (rules 11, 13).

use tidegate_crypto::hash::payment_hash;
use tidegate_types::{Height, LockId};

use super::{InMark, LeafFault, LockStatus, Wallet};
use crate::{Condition, InLock, OpKind, OpOutcome, Outcome, Release};

/// Why a client does not show the preimage of an in-lock to the hub, or gives it up no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InLockError {
    /// No such lock waits.
    #[error("no lock {0} waits for a preimage here")]
    Unknown(LockId),
    /// The preimage is another's.
    #[error("the preimage does not meet the hash of lock {0}")]
    WrongPreimage(LockId),
    /// Off the ledger nobody takes it any more: it belongs on the ledger, at or before the expiry.
    #[error("too few blocks are left before height {}: reveal the preimage on the ledger", expiry.get())]
    TooLate {
        /// The lock's expiry.
        expiry: Height,
    },
    /// The leaf that offered it has not been acknowledged: in a dispute the lock could be kept out.
    #[error("lock {0} stands in no leaf that was acknowledged")]
    Unacknowledged(LockId),
    /// What was done about the lock before rules it out.
    #[error("lock {0} was released or revealed before")]
    Decided(LockId),
}

impl Wallet {
    /// A hash lock is met by its preimage and by nothing else, whatever the hub says.
    pub(super) fn check_preimages(&self, outcomes: &[Outcome]) -> Result<(), LeafFault> {
        let met = outcomes
            .iter()
            .filter(|o| o.kind == OpKind::Add && o.outcome == OpOutcome::Delivered);
        for outcome in met {
            let open = self.client.lock(outcome.slot).filter(|open| open.id == outcome.lock);
            if let Some(Condition::Hash(hash)) = open.map(|open| open.lock.condition)
                && payment_hash(&outcome.preimage) != hash
            {
                return Err(LeafFault::WrongPreimage { lock: outcome.lock });
            }
        }
        Ok(())
    }

    /// Notes a preimage that was seen anywhere, if it meets the lock; false if it does not, or there is no such lock.
    pub fn prove_preimage(&mut self, lock: &LockId, preimage: &[u8; 32]) -> bool {
        let open = self.client.locks().iter().find(|open| open.id == *lock);
        let meets = open.filter(|open| open.lock.condition == Condition::Hash(payment_hash(preimage)));
        meets
            .map(|open| self.status[open.slot.index()] = Some(LockStatus::Fulfilled(*preimage)))
            .is_some()
    }

    /// The in-lock that `preimage` is to be shown for, to the hub, at `height`. Shown twice it does no harm.
    ///
    /// Whoever sees the preimage can take the payer's money by it, so it is given away only for a lock that a dispute cannot
    /// leave out: one in a leaf that was acknowledged.
    ///
    /// # Errors
    /// [`InLockError`].
    pub fn may_fulfil(&self, lock: &LockId, preimage: &[u8; 32], height: Height) -> Result<InLock, InLockError> {
        let open = self.hub.in_locks().iter().find(|open| open.lock.lock == *lock);
        let open = open.ok_or(InLockError::Unknown(*lock))?;
        if open.mark == InMark::Released {
            return Err(InLockError::Decided(*lock));
        }
        if payment_hash(preimage) != open.lock.hash {
            return Err(InLockError::WrongPreimage(*lock));
        }
        let expiry = open.lock.expiry;
        if expiry.minus(self.hub.margin()).is_none_or(|last| height > last) {
            return Err(InLockError::TooLate { expiry });
        }
        if open.offered_in > self.hub.acked() {
            return Err(InLockError::Unacknowledged(*lock));
        }
        Ok(open.lock)
    }

    /// The release of an in-lock, to be stored durably, signed and sent; it binds from now on.
    ///
    /// # Errors
    /// [`InLockError::Unknown`], [`InLockError::Decided`] if the preimage was revealed.
    pub fn release(&mut self, lock: &LockId) -> Result<Release, InLockError> {
        let open = self.hub.in_locks().iter().find(|open| open.lock.lock == *lock);
        match open.ok_or(InLockError::Unknown(*lock))?.mark {
            InMark::Revealed => return Err(InLockError::Decided(*lock)),
            InMark::Open | InMark::Released => {}
        }
        self.hub.mark_in_lock(lock, InMark::Released);
        Ok(Release {
            channel: self.hub.leaf().channel,
            lock: *lock,
        })
    }

    /// Notes that the preimage of an in-lock stands on the ledger: from now on no leaf may drop it.
    pub fn note_revealed(&mut self, lock: &LockId) {
        self.hub.mark_in_lock(lock, InMark::Revealed);
    }
}
