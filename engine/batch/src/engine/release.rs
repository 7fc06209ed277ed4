//! In-locks that end without a payment: released by their payee, or expired (rule 13).

use tidegate_channel::{FailReason, InChange, InChangeKind, OpOutcome, RefuseReason};

use super::Engine;
use crate::executed::Answer;
use crate::input::ReleaseInput;
use crate::record::ACTIVE;
use crate::record::in_lock::{BY_PAYER, RELEASED, WAITS};
use crate::slots::{Link, Slots};

impl<S: Slots> Engine<S> {
    /// Takes a signed release that came by itself.
    pub(super) fn release(&mut self, input: u32, message: &ReleaseInput) -> Result<(), RefuseReason> {
        let release = &message.release;
        let slot = self.channel(&release.channel).ok_or(RefuseReason::NotOffered)?;
        if self.status(slot) != ACTIVE {
            return Err(RefuseReason::Closing);
        }
        if self.find_in_lock(slot, &release.lock).is_none() {
            return Err(RefuseReason::UnknownLock);
        }
        self.touch(slot);
        self.release_in_lock(slot, message);
        let counter = self.record(slot).c();
        let touch = self.touched(slot);
        touch.leaf = true;
        touch.answers.push(Answer { input, counter });
        Ok(())
    }

    /// Withdraws an in-lock that its payee has given up: the payer's lock fails. One that has expired meanwhile is gone.
    ///
    /// The signature is kept as long as the payee has not acknowledged the leaf: until then it can close with an earlier one,
    /// in which the lock is open, and only the release keeps it from taking what its payer has back.
    fn release_in_lock(&mut self, slot: u32, message: &ReleaseInput) {
        let Some(link) = self.find_in_lock(slot, &message.release.lock) else {
            return;
        };
        self.store.in_locks.at_mut(link).fate = RELEASED;
        if self.store.in_locks.at(link).held & BY_PAYER != 0 {
            self.tell_payer(link, OpOutcome::Failed(FailReason::Released), [0; 32]);
        }
        let change = self.withdraw(link, InChangeKind::Released);
        let touch = self.touched(slot);
        touch.leaf = true;
        touch.in_changes.push(change);
        touch.releases.push((message.release.lock, message.signature));
    }

    /// Withdraws the in-locks whose expiry a final block has passed; no reveal of them is recorded, since a reveal is taken
    /// with its block. The payer's lock stays as it is: the payer drops it by rule 11.
    pub(super) fn expire_in_locks(&mut self, slot: u32) -> Vec<InChange> {
        let height = self.store.meta().height;
        let record = self.record(slot);
        if record.status != ACTIVE {
            return Vec::new();
        }
        let Some(page) = self.in_page(slot).filter(|page| page.expiry_min < height) else {
            return Vec::new();
        };
        let open: Vec<Link> = page.locks.iter().copied().filter(|&link| link != 0).collect();
        let expired = |&link: &Link| {
            let record = self.store.in_locks.at(link);
            record.expiry < height && record.fate == WAITS
        };
        let (gone, kept): (Vec<Link>, Vec<Link>) = open.into_iter().partition(expired);
        let lowest = kept.iter().map(|&link| self.store.in_locks.at(link).expiry).min();
        let changes = gone
            .into_iter()
            .map(|link| self.withdraw(link, InChangeKind::Expired))
            .collect();
        let page = self.record(slot).in_page;
        self.store.in_pages.at_mut(page).expiry_min = lowest.unwrap_or(u32::MAX);
        changes
    }

    /// The ledger has paid both sides of a channel: what its in-locks promised is the ledger's now.
    pub(super) fn free_in_locks(&mut self, slot: u32) {
        let Some(page) = self.in_page(slot) else { return };
        let open: Vec<Link> = page.locks.iter().copied().filter(|&link| link != 0).collect();
        for link in open {
            self.withdraw(link, InChangeKind::Expired);
        }
        self.free_empty_in_page(slot);
    }
}
