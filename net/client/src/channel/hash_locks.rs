//! Hash locks of one channel: what is written to the journal before it is shown to anyone.

use std::collections::BTreeSet;

use tidegate_types::{Fixed as _, Height, LockId};
use tidegate_wire::messages as wire;

use super::{ClientChannel, Signer};
use crate::error::StepError;
use crate::store::{Record, WalletStore};

impl ClientChannel {
    /// The message that shows the hub the preimage of an in-lock. Nothing is written: whoever has the preimage can show it
    /// again, and it does no harm twice.
    ///
    /// # Errors
    /// [`StepError::InLock`].
    pub fn fulfil(&self, lock: &LockId, preimage: &[u8; 32], height: Height) -> Result<wire::Fulfill, StepError> {
        self.wallet.may_fulfil(lock, preimage, height)?;
        Ok(wire::Fulfill {
            channel: self.id(),
            lock: *lock,
            preimage: *preimage,
        })
    }

    /// Signs the release of an in-lock, which binds for ever. Durable on return.
    ///
    /// # Errors
    /// [`StepError::InLock`], [`StepError::Store`].
    pub fn release(
        &mut self,
        signer: &Signer,
        store: &mut dyn WalletStore,
        lock: &LockId,
    ) -> Result<wire::Release, StepError> {
        let mut wallet = self.wallet.clone();
        let release = wallet.release(lock)?;
        let message = wire::Release {
            channel: release.channel,
            lock: release.lock,
            signature: release.sign(&signer.ledger, &signer.key),
        };
        store.append(&self.id(), &Record::Released(message.to_vec()))?;
        self.wallet = wallet;
        Ok(message)
    }

    /// Takes the preimage of an open out-lock: it is owed, and the next state settles it. Durable on return.
    ///
    /// # Errors
    /// [`StepError::NoLock`], [`StepError::WrongPreimage`], [`StepError::Store`].
    pub fn prove_preimage(&mut self, store: &mut dyn WalletStore, shown: &wire::Fulfill) -> Result<(), StepError> {
        let lock = shown.lock;
        self.lock(&lock).ok_or(StepError::NoLock(lock))?;
        let mut wallet = self.wallet.clone();
        if !wallet.prove_preimage(&lock, &shown.preimage) {
            return Err(StepError::WrongPreimage(lock));
        }
        store.append(&self.id(), &Record::Preimage(lock, shown.preimage))?;
        self.wallet = wallet;
        Ok(())
    }

    /// As [`tidegate_channel::wallet::Wallet::settle_only`]. Nothing is written: it is said anew whenever the wallet is opened.
    pub fn settle_only(&mut self, locks: Option<BTreeSet<LockId>>) {
        self.wallet.settle_only(locks);
    }

    /// Notes that the preimage of an in-lock stands on the ledger: no leaf may drop it any more. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Store`].
    pub fn note_revealed(&mut self, store: &mut dyn WalletStore, lock: &LockId) -> Result<(), StepError> {
        store.append(&self.id(), &Record::Revealed(*lock))?;
        self.wallet.note_revealed(lock);
        Ok(())
    }
}
