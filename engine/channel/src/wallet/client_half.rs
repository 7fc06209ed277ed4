//! What the client owes, and how it changes.

use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Amount, AmountError, ClientCounter, Digest, LockId, LockSlot};

use crate::{ClientState, LeafRef, Lock, Operation, encode_operations, operations_digest};

/// One lock that the client has open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLock {
    /// Where.
    pub slot: LockSlot,
    /// Its name.
    pub id: LockId,
    /// The counter of the state that added it.
    pub added: ClientCounter,
    /// What it holds.
    pub lock: Lock,
}

/// The client's newest state, with the contents of its open locks.
#[derive(Clone, Debug)]
pub struct ClientHalf {
    state: ClientState,
    tree: LockTree,
    /// Sorted by slot, at most 64.
    locks: Vec<OpenLock>,
}

/// Why operations do not lead to a state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ProposeError {
    /// The slot is taken, or empty.
    #[error("lock slot {} does not fit the operation", slot.index())]
    Slot {
        /// Which.
        slot: LockSlot,
    },
    /// All 64 slots are taken.
    #[error("all 64 lock slots are taken")]
    Full,
    /// A sum is out of range.
    #[error("a sum is out of range: {0}")]
    Range(#[from] AmountError),
    /// The counter has reached its end.
    #[error("the counter has reached its end")]
    CounterEnd,
    /// The client balance would fall below its reserve.
    #[error("the balance does not cover it")]
    InsufficientBalance,
    /// The leaf to acknowledge is older than the one the last state named.
    #[error("an acknowledgement never falls")]
    AckFell,
    /// The channel has ended or is about to.
    #[error("the channel is closing")]
    Closing,
}

impl ClientHalf {
    /// The half that starts from `state` with no open locks: `C(0)`, or a state whose locks are all gone.
    #[must_use]
    pub fn new(state: ClientState) -> Self {
        Self {
            state,
            tree: LockTree::empty(),
            locks: Vec::new(),
        }
    }

    /// The half of a state with these open locks. Whether they are the state's is for the caller to check.
    pub(super) fn with_locks(state: ClientState, locks: Vec<OpenLock>) -> Self {
        let mut half = Self {
            state,
            tree: LockTree::empty(),
            locks,
        };
        for slot in half.locks.iter().map(|open| open.slot).collect::<Vec<_>>() {
            half.plant(slot);
        }
        half
    }

    /// The root over the open locks.
    pub(super) fn root(&self) -> Digest {
        self.tree.root()
    }

    pub(super) const fn set_counter(&mut self, counter: ClientCounter) {
        self.state.counter = counter;
    }

    /// The newest state.
    #[must_use]
    pub const fn state(&self) -> &ClientState {
        &self.state
    }

    /// The open locks, by slot.
    #[must_use]
    pub fn locks(&self) -> &[OpenLock] {
        &self.locks
    }

    /// The lock at `slot`, if one is open there.
    #[must_use]
    pub fn lock(&self, slot: LockSlot) -> Option<&OpenLock> {
        self.find(slot).ok().map(|at| &self.locks[at])
    }

    /// The lowest free slot.
    #[must_use]
    pub fn free_slot(&self) -> Option<LockSlot> {
        let taken = self
            .locks
            .iter()
            .enumerate()
            .take_while(|(at, open)| open.slot.index() == *at)
            .count();
        u8::try_from(taken).ok().and_then(LockSlot::new)
    }

    /// The state after `operations`, acknowledging `ack`; it becomes the newest. On an error nothing changes.
    ///
    /// # Errors
    /// [`ProposeError`]. The balance is the caller's to check: it depends on the leaf.
    pub fn propose(&mut self, operations: &[Operation], ack: LeafRef) -> Result<ClientState, ProposeError> {
        let before = self.clone();
        self.advance(operations, ack).inspect_err(|_| *self = before)
    }

    fn advance(&mut self, operations: &[Operation], ack: LeafRef) -> Result<ClientState, ProposeError> {
        if ack.counter < self.state.ack.counter {
            return Err(ProposeError::AckFell);
        }
        let counter = self.state.counter.next().ok_or(ProposeError::CounterEnd)?;
        for operation in operations {
            self.apply(operation, counter)?;
        }
        let mut encoded = Vec::new();
        encode_operations(operations, &mut encoded);
        self.state = ClientState {
            counter,
            ack,
            locks_root: self.tree.root(),
            operations: operations_digest(&encoded),
            ..self.state
        };
        Ok(self.state)
    }

    fn apply(&mut self, operation: &Operation, counter: ClientCounter) -> Result<(), ProposeError> {
        match operation {
            Operation::Add { slot, lock } => {
                let Err(at) = self.find(*slot) else {
                    return Err(ProposeError::Slot { slot: *slot });
                };
                self.state.locks_sum = self.state.locks_sum.add(lock.total()?)?;
                let id = lock.id(&self.state.channel, counter, *slot);
                self.locks.insert(
                    at,
                    OpenLock {
                        slot: *slot,
                        id,
                        added: counter,
                        lock: *lock,
                    },
                );
                self.plant(*slot);
            }
            Operation::Settle { slot } => {
                let total = self.remove(*slot)?;
                self.state.debit = self.state.debit.add(total)?;
            }
            Operation::Drop { slot } => {
                self.remove(*slot)?;
            }
            Operation::Release { .. } => {}
        }
        Ok(())
    }

    fn remove(&mut self, slot: LockSlot) -> Result<Amount, ProposeError> {
        let at = self.find(slot).map_err(|_| ProposeError::Slot { slot })?;
        let total = self.locks[at].lock.total()?;
        self.state.locks_sum = self.state.locks_sum.sub(total)?;
        self.locks.remove(at);
        self.plant(slot);
        Ok(total)
    }

    fn find(&self, slot: LockSlot) -> Result<usize, usize> {
        self.locks.binary_search_by_key(&slot, |open| open.slot)
    }

    /// Writes what stands at `slot` now into the tree.
    fn plant(&mut self, slot: LockSlot) {
        let first = slot.index() / 4 * 4;
        let group = core::array::from_fn(|i| {
            let at = u8::try_from(first + i)
                .ok()
                .and_then(LockSlot::new)
                .expect("a group of four lies within 64 slots");
            self.lock(at)
                .map_or(Digest::ZERO, |open| Digest::from_bytes(*open.id.as_bytes()))
        });
        self.tree.update(slot, &group);
    }
}
