//! What is to be done, from what waits here and what is open at the next hub. A function of what it is told.

use std::collections::{BTreeMap, BTreeSet};

use tidegate_batch::{ForwardEnd, ForwardInput, Forwarded, OwedPreimage};
use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Condition, FailReason, Lock};
use tidegate_types::{Age, Amount, Height, LockId, PaymentId};

use super::{Route, payment_id};

/// A lock of this hub that is open at the next one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Outgoing {
    pub(super) id: LockId,
    pub(super) lock: Lock,
    pub(super) status: LockStatus,
}

/// What a worker knows beside the two sides. None of it has to outlive the process.
#[derive(Debug, Default)]
pub(super) struct Memory {
    /// Incoming locks whose outgoing lock failed, and why.
    pub(super) failed: BTreeMap<LockId, FailReason>,
    /// Outgoing locks whose incoming lock was met: by the engine's word, or by a reveal on the ledger in time.
    pub(super) met: BTreeSet<PaymentId>,
}

impl Memory {
    /// Keeps only what may still be asked for: of incoming locks that wait, and of outgoing ones that are open.
    pub(super) fn forget(&mut self, waiting: &[Forwarded], open: &[Outgoing]) {
        self.failed.retain(|id, _| waiting.iter().any(|lock| lock.lock == *id));
        self.met
            .retain(|id| open.iter().any(|open| open.lock.payment_id == *id));
    }
}

/// The bounds that hold at the moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// The newest final block that the engine has taken.
    pub(super) height: Height,
    /// This hub's margin.
    pub(super) margin: Age,
    /// The next hub's.
    pub(super) next_margin: Age,
    /// What the channel can carry.
    pub(super) spendable: Amount,
    /// Lock slots that are free there.
    pub(super) slots: usize,
    /// Nothing is taken there any more.
    pub(super) is_closing: bool,
}

/// What is to be done.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// For the engine.
    pub(super) ends: Vec<ForwardInput>,
    /// For the ledger: preimages that came too late for the engine.
    pub(super) reveals: Vec<OwedPreimage>,
    /// Locks to be sent.
    pub(super) send: Vec<Lock>,
    /// Outgoing locks that may be settled: what they paid for is owed here, durably.
    pub(super) settle: BTreeSet<LockId>,
    /// Outgoing locks with their preimage after the expiry, of which it is not known whether the incoming one was met.
    pub(super) doubtful: Vec<Outgoing>,
    /// Outgoing locks that are due at the next hub: to be settled or dropped.
    pub(super) is_due: bool,
    /// Something has expired: what is dropped is judged by a leaf above its expiry.
    pub(super) needs_fresh_leaf: bool,
}

/// Locks that one state adds, at most.
const SEND_MAX: usize = tidegate_channel::MAX_ADDS;

/// Decides what is next. `waiting` holds all that waits for this route as of a durable batch; `open` is the wallet after the
/// next hub has acknowledged its newest state.
pub(super) fn decide(
    waiting: &[Forwarded],
    open: &[Outgoing],
    memory: &mut Memory,
    route: &Route,
    bounds: Bounds,
) -> Plan {
    let mut plan = Plan::default();
    let outgoing: BTreeMap<PaymentId, &Outgoing> = open.iter().map(|open| (open.lock.payment_id, open)).collect();
    let mut room = bounds;
    for lock in waiting {
        let end = match outgoing.get(&payment_id(&lock.lock)) {
            Some(open) => plan.follow(lock, open, memory, bounds),
            None if bounds.height > lock.expiry => Some(ForwardEnd::Expired),
            None => match memory.failed.get(&lock.lock) {
                Some(reason) => Some(ForwardEnd::Failed(*reason)),
                None => plan.send(lock, route, &mut room).err().map(ForwardEnd::Failed),
            },
        };
        plan.ends.extend(end.map(|end| ForwardInput {
            payer: lock.payer,
            lock: lock.lock,
            end,
        }));
    }
    let waits: BTreeSet<PaymentId> = waiting.iter().map(|lock| payment_id(&lock.lock)).collect();
    for open in open.iter().filter(|open| !waits.contains(&open.lock.payment_id)) {
        plan.finish(open, memory, bounds);
    }
    plan
}

impl Plan {
    /// Both sides are open: what the next hub says of it.
    fn follow(&mut self, lock: &Forwarded, open: &Outgoing, memory: &mut Memory, bounds: Bounds) -> Option<ForwardEnd> {
        match open.status {
            LockStatus::Fulfilled(preimage) => {
                let in_time = bounds
                    .height
                    .plus(bounds.margin)
                    .is_some_and(|then| then <= lock.expiry);
                if in_time {
                    return Some(ForwardEnd::Met(preimage));
                }
                if bounds.height <= lock.expiry {
                    self.reveals.push(OwedPreimage {
                        hash: lock.hash,
                        preimage,
                        expiry: lock.expiry,
                        payer: lock.payer,
                    });
                }
            }
            LockStatus::Failed(reason) => {
                memory.failed.insert(lock.lock, reason);
                self.is_due = true;
            }
            LockStatus::Sent | LockStatus::Pending | LockStatus::Delivered | LockStatus::Proved => {
                self.drop_if_expired(open, bounds);
            }
        }
        None
    }

    /// The incoming side has ended.
    fn finish(&mut self, open: &Outgoing, memory: &Memory, bounds: Bounds) {
        match open.status {
            LockStatus::Fulfilled(_) => {
                // Up to its expiry nothing else ends the incoming lock while this one is open.
                if bounds.height <= open.lock.expiry || memory.met.contains(&open.lock.payment_id) {
                    self.settle.insert(open.id);
                    self.is_due = true;
                } else {
                    self.doubtful.push(*open);
                }
            }
            LockStatus::Failed(_) => self.is_due = true,
            LockStatus::Sent | LockStatus::Pending | LockStatus::Delivered | LockStatus::Proved => {
                self.drop_if_expired(open, bounds);
            }
        }
    }

    fn drop_if_expired(&mut self, open: &Outgoing, bounds: Bounds) {
        if bounds.height > open.lock.expiry {
            self.is_due = true;
            self.needs_fresh_leaf = true;
        }
    }

    /// Adds the outgoing lock, or says why there is none.
    fn send(&mut self, lock: &Forwarded, route: &Route, room: &mut Bounds) -> Result<(), FailReason> {
        if room.is_closing {
            return Err(FailReason::PayeeClosing);
        }
        // Rule 7: what is passed on is at most what comes in.
        let fee = lock
            .fee
            .sub(route.fee(lock.amount))
            .map_err(|_| FailReason::FeeTooLow)?;
        let least = Age::new(room.margin.get().max(room.next_margin.get()).saturating_mul(3));
        let first = room.height.plus(least).and_then(|first| first.plus(route.margin));
        if first.is_none_or(|first| lock.expiry < first) {
            return Err(FailReason::ExpiryTooNear);
        }
        let total = lock.amount.add(fee).map_err(|_| FailReason::NoInboundCapacity)?;
        let spendable = room.spendable.sub(total).map_err(|_| FailReason::NoInboundCapacity)?;
        let slots = room.slots.checked_sub(1).ok_or(FailReason::PayeeLocksFull)?;
        if self.send.len() < SEND_MAX {
            (room.spendable, room.slots) = (spendable, slots);
            self.send.push(Lock {
                payment_id: payment_id(&lock.lock),
                amount: lock.amount,
                fee,
                payee: lock.payee,
                payee_channel: lock.payee_channel,
                expiry: lock.expiry,
                condition: Condition::Hash(lock.hash),
            });
        }
        Ok(())
    }
}
