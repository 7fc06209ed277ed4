//! Both halves together: a wallet's view of one channel.

use std::collections::BTreeSet;

use tidegate_types::{Age, Amount, ChannelId, Height, LockId, LockSlot};

use super::{ClientHalf, HubHalf, InMark, LeafFault, LeafView, OpenLock, ProposeError};
use crate::{
    Ack, ChannelTerms, ClientState, Condition, FailReason, HalfSums, InChange, InChangeKind, LeafKind, LeafRef, Lock,
    MAX_OPERATIONS, OpKind, OpOutcome, Operation, client_balance, opening_state,
};

/// What settles an `Ack` lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SettleOn {
    /// The payee's own signed ack (rule 11); the default.
    PayeeAck,
    /// The hub's signed word that it credited the payee. Trusts the hub with the payment; for load generation.
    Delivered,
}

/// What the payer knows of an open lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LockStatus {
    /// No leaf has told its outcome.
    Sent,
    /// The hub has offered it to the payee, who has not shown the preimage yet.
    Pending,
    /// The hub has credited the payee.
    Delivered,
    /// The payee has acknowledged; the lock is owed.
    Proved,
    /// The preimage is known, which is the proof of payment; the lock is owed.
    Fulfilled([u8; 32]),
    /// The hub has failed it; it may be dropped.
    Failed(FailReason),
}

/// What a leaf told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeafEvents {
    /// Locks whose outcome is now known.
    pub outcomes: Vec<(LockId, LockStatus)>,
    /// What the leaf credited in all.
    pub credited: Amount,
    /// What happened to the locks that wait for this client's preimages.
    pub in_changes: Vec<InChange>,
    /// True if an ack is due at once: half of the 64 leaves wait for one.
    pub ack_due: bool,
}

/// One channel, as its client keeps it.
#[derive(Clone, Debug)]
pub struct Wallet {
    terms: ChannelTerms,
    pub(super) client: ClientHalf,
    pub(super) hub: HubHalf,
    /// Parallel to `client.locks()`: what is known of each, by slot.
    pub(super) status: [Option<LockStatus>; LockSlot::COUNT],
    settle_on: SettleOn,
    pub(super) closing: bool,
    /// True if a leaf has credited something since the last `Ack`: a payer may need one, whatever states have named.
    pub(super) ack_owed: bool,
    /// See [`Wallet::settle_only`].
    chosen: Option<BTreeSet<LockId>>,
}

impl Wallet {
    /// The wallet of a channel that has just become active. `margin` is the hub's announced margin in blocks.
    #[must_use]
    pub fn new(channel: ChannelId, terms: ChannelTerms, margin: Age, settle_on: SettleOn) -> Self {
        Self {
            terms,
            client: ClientHalf::new(opening_state(channel)),
            hub: HubHalf::new(channel, margin),
            status: [None; LockSlot::COUNT],
            settle_on,
            closing: false,
            ack_owed: false,
            chosen: None,
        }
    }

    /// The parameters.
    #[must_use]
    pub const fn terms(&self) -> &ChannelTerms {
        &self.terms
    }

    /// What the client owes.
    #[must_use]
    pub const fn client(&self) -> &ClientHalf {
        &self.client
    }

    /// What the hub owes.
    #[must_use]
    pub const fn hub(&self) -> &HubHalf {
        &self.hub
    }

    /// The sums of both halves: the newest state against the newest leaf.
    #[must_use]
    pub const fn sums(&self) -> HalfSums {
        let (state, leaf) = (self.client.state(), self.hub.leaf());
        HalfSums {
            firm_credit: leaf.firm_credit,
            unfirm_credit: leaf.unfirm_credit,
            debit: state.debit,
            out_locks: state.locks_sum,
            in_locks: leaf.in_locks_sum,
        }
    }

    /// What the client can spend above its reserve.
    #[must_use]
    pub fn spendable(&self) -> Amount {
        let balance = client_balance(&self.terms, &self.sums()).unwrap_or(Amount::ZERO);
        balance.sub(self.terms.client_reserve).unwrap_or(Amount::ZERO)
    }

    /// The open locks with what is known of each.
    pub fn locks(&self) -> impl Iterator<Item = (&OpenLock, LockStatus)> {
        self.client
            .locks()
            .iter()
            .map(|open| (open, self.status[open.slot.index()].unwrap_or(LockStatus::Sent)))
    }

    /// The next state: pays `locks`, and settles and drops what can be (rule 11). To be stored durably, signed and sent.
    ///
    /// # Errors
    /// [`ProposeError`]; nothing has changed then.
    pub fn pay(&mut self, locks: &[Lock], height: Height) -> Result<(ClientState, Vec<Operation>), ProposeError> {
        if self.closing {
            return Err(ProposeError::Closing);
        }
        let mut operations = self.due_operations(height);
        operations.truncate(MAX_OPERATIONS.saturating_sub(locks.len()));
        let mut probe = self.client.clone();
        for lock in locks {
            let slot = probe.free_slot().ok_or(ProposeError::Full)?;
            probe.propose(&[Operation::Add { slot, lock: *lock }], probe.state().ack)?;
            operations.push(Operation::Add { slot, lock: *lock });
        }
        let due = Amount::sum(locks.iter().map(Lock::total).collect::<Result<Vec<_>, _>>()?)?;
        if due > self.spendable() {
            return Err(ProposeError::InsufficientBalance);
        }
        self.propose(operations, self.ack_to_name(height))
    }

    /// From now on these locks alone are settled, whatever is known of the others: for a hub, which settles with the next hub
    /// what its own payer owes it. `None`: all that are due, as at the beginning.
    pub fn settle_only(&mut self, chosen: Option<BTreeSet<LockId>>) {
        self.chosen = chosen;
    }

    /// The settles and drops that are due, at most 32 at once.
    #[must_use]
    pub fn due_operations(&self, height: Height) -> Vec<Operation> {
        let due = self.locks().filter_map(|(open, status)| {
            let slot = open.slot;
            let may_settle = self.chosen.as_ref().is_none_or(|chosen| chosen.contains(&open.id));
            match (status, self.settle_on) {
                (LockStatus::Proved | LockStatus::Fulfilled(_), _) | (LockStatus::Delivered, SettleOn::Delivered)
                    if !may_settle =>
                {
                    None
                }
                (LockStatus::Proved | LockStatus::Fulfilled(_), _) | (LockStatus::Delivered, SettleOn::Delivered) => {
                    Some(Operation::Settle { slot })
                }
                (LockStatus::Failed(_), _) => Some(Operation::Drop { slot }),
                // By the header height of the leaf that this state acknowledges.
                (LockStatus::Sent | LockStatus::Pending | LockStatus::Delivered, _)
                    if self.named_height(height) > open.lock.expiry =>
                {
                    Some(Operation::Drop { slot })
                }
                (LockStatus::Sent | LockStatus::Pending | LockStatus::Delivered, _) => None,
            }
        });
        due.take(MAX_OPERATIONS).collect()
    }

    /// The height by which a drop of this state is judged.
    fn named_height(&self, height: Height) -> Height {
        if self.ack_to_name(height) == self.hub.reference() {
            self.hub.leaf().height
        } else {
            Height::ZERO
        }
    }

    /// A state with the given operations; for those that settle, drop or release on their own.
    ///
    /// # Errors
    /// [`ProposeError`]; nothing has changed then.
    pub fn propose(
        &mut self,
        operations: Vec<Operation>,
        ack: LeafRef,
    ) -> Result<(ClientState, Vec<Operation>), ProposeError> {
        let state = self.client.propose(&operations, ack)?;
        for operation in &operations {
            match operation {
                Operation::Add { slot, .. } => self.status[slot.index()] = Some(LockStatus::Sent),
                Operation::Settle { slot } | Operation::Drop { slot } => self.status[slot.index()] = None,
                Operation::Release { lock } => self.hub.mark_in_lock(lock, InMark::Released),
            }
        }
        if ack == self.hub.reference() {
            self.hub.mark_acked();
        }
        Ok((state, operations))
    }

    /// The leaf that the next state names: the newest, unless rule 12 forbids an ack of it now.
    #[must_use]
    pub fn ack_to_name(&self, height: Height) -> LeafRef {
        if self.hub.may_ack(height) {
            self.hub.reference()
        } else {
            self.client.state().ack
        }
    }

    /// Takes a leaf whose header, signature and path the caller has checked.
    ///
    /// # Errors
    /// [`LeafFault`]; nothing has changed then.
    pub fn accept(&mut self, view: LeafView<'_>) -> Result<LeafEvents, LeafFault> {
        if view.private.ack.counter > self.client.state().counter {
            return Err(LeafFault::AckFell);
        }
        let outcomes = view.outcomes.unwrap_or_default();
        self.check_preimages(outcomes)?;
        self.hub.accept(view)?;
        self.closing |= view.private.kind == LeafKind::Final;
        self.ack_owed |= !view.credits.is_empty() || !view.in_changes.is_empty();
        let mut events = LeafEvents {
            ack_due: self.hub.unacked_count() >= 32,
            ..LeafEvents::default()
        };
        let fulfilled = view.in_changes.iter().filter(|c| c.kind == InChangeKind::Fulfilled);
        let credited = view.credits.iter().map(|c| c.amount);
        events.credited = Amount::sum(credited.chain(fulfilled.map(|c| c.lock.amount))).unwrap_or(Amount::MAX);
        events.in_changes = view.in_changes.to_vec();
        for outcome in outcomes.iter().filter(|o| o.kind == OpKind::Add) {
            let Some(open) = self.client.lock(outcome.slot).filter(|open| open.id == outcome.lock) else {
                continue;
            };
            let status = match (outcome.outcome, open.lock.condition) {
                (OpOutcome::Delivered, Condition::Ack) => LockStatus::Delivered,
                (OpOutcome::Delivered, Condition::Hash(_)) => LockStatus::Fulfilled(outcome.preimage),
                (OpOutcome::Failed(reason), _) => LockStatus::Failed(reason),
                (OpOutcome::Pending, _) => LockStatus::Pending,
                (OpOutcome::Done, _) => LockStatus::Sent,
            };
            self.status[outcome.slot.index()] = Some(status);
            events.outcomes.push((outcome.lock, status));
        }
        Ok(events)
    }

    /// Notes what the hub says became of a lock whose leaf was missed. Unlike a leaf this proves nothing: it lets the
    /// wallet ask for the payee's ack, or take back what failed. A lock whose outcome is known keeps it.
    pub fn note_answer(&mut self, lock: &LockId, outcome: OpOutcome) {
        let found = self
            .client
            .locks()
            .iter()
            .find(|open| open.id == *lock)
            .map(|open| (open.slot.index(), open.lock.condition != Condition::Ack));
        let Some((slot, waits)) =
            found.filter(|&(slot, _)| matches!(self.status[slot], None | Some(LockStatus::Sent | LockStatus::Pending)))
        else {
            return;
        };
        match outcome {
            // Without its preimage a hash lock is not met: the wallet has still to ask for it.
            OpOutcome::Delivered if waits => self.status[slot] = Some(LockStatus::Pending),
            OpOutcome::Delivered => self.status[slot] = Some(LockStatus::Delivered),
            OpOutcome::Failed(reason) => self.status[slot] = Some(LockStatus::Failed(reason)),
            OpOutcome::Pending => self.status[slot] = Some(LockStatus::Pending),
            OpOutcome::Done => {}
        }
    }

    /// Notes that the payee's ack of this lock has been seen and checked.
    pub fn prove(&mut self, lock: &LockId) {
        if let Some(open) = self.client.locks().iter().find(|open| open.id == *lock) {
            self.status[open.slot.index()] = Some(LockStatus::Proved);
        }
    }

    /// The ack of the newest leaf, if it waits for one and may be signed at `height`.
    pub fn ack(&mut self, height: Height) -> Option<Ack> {
        if (self.hub.unacked_count() == 0 && !self.ack_owed) || !self.hub.may_ack(height) {
            return None;
        }
        self.hub.mark_acked();
        self.ack_owed = false;
        Some(Ack {
            channel: self.hub.leaf().channel,
            leaf: self.hub.reference(),
        })
    }
}
