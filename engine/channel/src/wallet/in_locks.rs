//! The in-locks of a channel, as its client believes them, and what it refuses to believe (rules 13 and 14).

use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Amount, Digest, HubCounter, LockId, LockSlot};

use super::LeafFault;
use crate::{InChange, InChangeKind, InLock, LeafPrivate};

/// What the client has done about an in-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum InMark {
    /// Nothing: the hub may drop it above its expiry.
    Open,
    /// It has signed a release: the hub may drop it.
    Released,
    /// It has revealed the preimage on the ledger in time: the hub may never drop it.
    Revealed,
}

/// One lock that waits for the client's preimage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenInLock {
    /// Where.
    pub slot: LockSlot,
    /// What.
    pub lock: InLock,
    /// The leaf that offered it: what acknowledges this one, or a later one, names the lock. Of a restored channel the leaf
    /// that it was taken up with.
    pub offered_in: HubCounter,
    /// What the client has done about it.
    pub mark: InMark,
}

/// The open in-locks with their tree. A channel without any keeps none of this.
#[derive(Clone, Debug)]
pub(super) struct InLocks {
    tree: LockTree,
    /// Sorted by slot, at most 64.
    open: Vec<OpenInLock>,
}

impl InLocks {
    pub(super) fn empty() -> Self {
        Self {
            tree: LockTree::empty(),
            open: Vec::new(),
        }
    }

    pub(super) fn open(&self) -> &[OpenInLock] {
        &self.open
    }

    pub(super) fn find_mut(&mut self, lock: &LockId) -> Option<&mut OpenInLock> {
        self.open.iter_mut().find(|open| open.lock.lock == *lock)
    }

    /// Takes over what a leaf says, and returns what it credits. The caller keeps the old ones if it fails.
    pub(super) fn follow(&mut self, changes: &[InChange], new: &LeafPrivate) -> Result<Amount, LeafFault> {
        let mut credited = Amount::ZERO;
        let mut touched = 0_u64;
        for change in changes {
            touched |= 1 << change.slot.index();
            let amount = self.apply(change, new)?;
            credited = credited.add(amount).map_err(|_| LeafFault::WrongFirmCredit)?;
        }
        self.rehash(touched);
        let sum = Amount::sum(self.open.iter().map(|open| open.lock.amount)).map_err(|_| LeafFault::WrongInLocks)?;
        if sum != new.in_locks_sum || self.tree.root() != new.in_locks_root {
            return Err(LeafFault::WrongInLocks);
        }
        Ok(credited)
    }

    /// What the change credits.
    fn apply(&mut self, change: &InChange, new: &LeafPrivate) -> Result<Amount, LeafFault> {
        let at = self.open.binary_search_by_key(&change.slot, |open| open.slot);
        if change.kind == InChangeKind::Offered {
            let known = self.open.iter().any(|open| open.lock.lock == change.lock.lock);
            let (Err(at), false) = (at, known) else {
                return Err(LeafFault::WrongInLocks);
            };
            let offered = OpenInLock {
                slot: change.slot,
                lock: change.lock,
                offered_in: new.counter,
                mark: InMark::Open,
            };
            self.open.insert(at, offered);
            return Ok(Amount::ZERO);
        }
        let at = at.map_err(|_| LeafFault::WrongInLocks)?;
        let OpenInLock { lock, mark, .. } = self.open[at];
        if lock != change.lock {
            return Err(LeafFault::WrongInLocks);
        }
        let may_go = match change.kind {
            InChangeKind::Offered | InChangeKind::Fulfilled => true,
            InChangeKind::Released => mark == InMark::Released,
            InChangeKind::Expired => new.height > lock.expiry && mark != InMark::Revealed,
        };
        if !may_go {
            return Err(LeafFault::InLockDropped { lock: lock.lock });
        }
        self.open.remove(at);
        let fulfilled = change.kind == InChangeKind::Fulfilled;
        Ok(if fulfilled { lock.amount } else { Amount::ZERO })
    }

    /// Hashes anew the groups of the touched slots.
    fn rehash(&mut self, touched: u64) {
        let slots = (0..64_u8).filter_map(LockSlot::new);
        let changes: Vec<_> = slots
            .filter(|slot| touched & (1 << slot.index()) != 0)
            .map(|slot| (slot, self.group(slot)))
            .collect();
        self.tree.update_many(&changes);
    }

    fn group(&self, slot: LockSlot) -> [Digest; 4] {
        let first = slot.index() / 4 * 4;
        core::array::from_fn(|i| {
            let open = self.open.iter().find(|open| open.slot.index() == first + i);
            open.map_or(Digest::ZERO, |open| open.lock.digest())
        })
    }
}
