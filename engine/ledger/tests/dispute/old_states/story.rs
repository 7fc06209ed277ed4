//! The honest life of a channel, drawn from a seed: what each side has signed, and what each of them knows.

use tidegate_channel::evidence::{OpenedIn, OpenedOut};
use tidegate_channel::{Condition, FailReason, InLock, Lock, OpKind, OpOutcome, Outcome, failed_root, leaf_digest};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::{ClientCounter, Digest, Height, LockSlot, PaymentId};

use super::Dice;
use crate::common::{key, sat};
use crate::world::{C, Channel, H};

/// Large beside all that a close can cost, so that no loss hides in the fees.
pub(super) const AMOUNT: u64 = 40_000;
pub(super) const FEE: u64 = 400;

/// One lock of the story.
#[derive(Clone, Debug)]
pub(super) struct Told {
    pub(super) preimage: [u8; 32],
    pub(super) expiry: u32,
    /// The leaf that failed it, or from which it is gone by a release; zero for none.
    pub(super) ended: usize,
}

/// What both sides have signed.
#[derive(Clone, Debug)]
pub(super) struct Story {
    pub(super) states: Vec<C>,
    pub(super) leaves: Vec<H>,
    /// The client's locks, by slot.
    pub(super) outs: Vec<(OpenedOut, Told)>,
    /// The hub's locks, by slot; `ended` by a release.
    pub(super) ins: Vec<(OpenedIn, Told)>,
}

/// The slot `n`.
pub(super) fn slot(n: usize) -> LockSlot {
    LockSlot::new(u8::try_from(n).expect("few")).expect("below 64")
}

fn told(dice: &mut Dice, number: u8) -> (Told, Condition) {
    let preimage = [number; 32];
    let told = Told {
        preimage,
        expiry: 8 + u32::try_from(dice.below(14)).expect("small"),
        ended: 0,
    };
    (told, Condition::Hash(payment_hash(&preimage)))
}

impl Story {
    pub(super) fn draw(dice: &mut Dice, channel: &Channel, other: &Channel) -> Self {
        let mut story = Self {
            states: Vec::new(),
            leaves: Vec::new(),
            outs: Vec::new(),
            ins: Vec::new(),
        };
        for _ in 0..4 + dice.below(8) {
            if dice.below(2) == 0 {
                story.sign_state(dice, channel, other);
            } else {
                story.sign_leaf(dice, channel, other);
            }
        }
        story
    }

    /// The place of the leaf that a state acknowledges, counted from one.
    pub(super) fn acked_by_state(&self, state: usize) -> usize {
        state
            .checked_sub(1)
            .map_or(0, |place| at(self.states[place].ack.counter.get()))
    }

    /// The place of the state that a leaf acknowledges.
    pub(super) fn acked_by_leaf(&self, leaf: usize) -> usize {
        leaf.checked_sub(1)
            .map_or(0, |place| at(self.leaves[place].ack.counter.get()))
    }

    fn sign_state(&mut self, dice: &mut Dice, channel: &Channel, other: &Channel) {
        let counter = self.states.len() + 1;
        let lowest = self.acked_by_state(counter - 1);
        let ack = lowest + dice.below(self.leaves.len() + 1 - lowest);
        let mut state = self.states.last().cloned().unwrap_or_else(|| channel.c(0, 0));
        state.counter = counter as u64;
        if let Some(place) = ack.checked_sub(1) {
            state.ack = channel.reference(&self.leaves[place]);
        }
        match dice.below(3) {
            0 if self.outs.len() < 4 => {
                let number = self.outs.len();
                let (told, condition) = told(dice, 1 + u8::try_from(number).expect("few"));
                let out = OpenedOut {
                    slot: slot(number),
                    added: ClientCounter::new(counter as u64),
                    lock: lock(number, other, told.expiry, condition),
                };
                state.locks.push(out);
                self.outs.push((out, told));
            }
            1 if !state.locks.is_empty() => {
                state.locks.remove(dice.below(state.locks.len()));
                state.debit += AMOUNT + FEE;
            }
            _ => {}
        }
        self.states.push(state);
    }

    fn sign_leaf(&mut self, dice: &mut Dice, channel: &Channel, other: &Channel) {
        let counter = self.leaves.len() + 1;
        let lowest = self.acked_by_leaf(counter - 1);
        let ack = lowest + dice.below(self.states.len() + 1 - lowest);
        let mut leaf = self.leaves.last().cloned().unwrap_or_else(|| channel.h(0, 0));
        leaf.previous = self.leaves.last().map_or(leaf.previous, |last| {
            let (private, public) = channel.parts(last);
            leaf_digest(&private.digest(), &public.digest())
        });
        (leaf.counter, leaf.batch, leaf.failed) = (counter as u64, counter as u64, Digest::ZERO);
        if let Some(place) = ack.checked_sub(1) {
            leaf.ack = channel.state(&self.states[place]).state.reference();
        }
        match dice.below(5) {
            0 if leaf.firm < 4 * AMOUNT => leaf.firm += AMOUNT,
            1 if self.ins.len() < 4 => self.offer(dice, &mut leaf, other),
            2 if !leaf.locks.is_empty() => {
                leaf.locks.remove(dice.below(leaf.locks.len()));
                leaf.firm += AMOUNT;
            }
            3 if !leaf.locks.is_empty() => {
                let gone = leaf.locks.remove(dice.below(leaf.locks.len()));
                self.ins[gone.slot.index()].1.ended = counter;
            }
            4 => self.fail(dice, &mut leaf, channel, ack),
            _ => {}
        }
        self.leaves.push(leaf);
    }

    fn offer(&mut self, dice: &mut Dice, leaf: &mut H, other: &Channel) {
        let number = self.ins.len();
        let (told, condition) = told(dice, 0x81 + u8::try_from(number).expect("few"));
        let lock = lock(number, other, told.expiry, condition);
        let id = lock.id(&other.id, ClientCounter::new(1), slot(number));
        let open = OpenedIn {
            slot: slot(number),
            lock: InLock::of(&lock, id).expect("a hash lock"),
        };
        leaf.locks.push(open);
        self.ins.push((open, told));
    }

    /// Fails a lock of the state that the leaf acknowledges.
    fn fail(&mut self, dice: &mut Dice, leaf: &mut H, channel: &Channel, ack: usize) {
        let open: Vec<OpenedOut> = match ack.checked_sub(1) {
            Some(place) => self.states[place].locks.clone(),
            None => Vec::new(),
        };
        // What the client has settled since is paid; nobody fails that.
        let newest = self.states.last().map_or(&[][..], |state| &state.locks);
        let fresh = |out: &&OpenedOut| self.outs[out.slot.index()].1.ended == 0 && newest.contains(out);
        let fresh: Vec<OpenedOut> = open.iter().filter(fresh).copied().collect();
        if fresh.is_empty() {
            return;
        }
        let out = fresh[dice.below(fresh.len())];
        leaf.failed = failed_root(&[failure(channel, &out)]);
        self.outs[out.slot.index()].1.ended = at(leaf.counter);
    }
}

/// The outcome that fails a lock, with a salt of zeros.
fn failure(channel: &Channel, out: &OpenedOut) -> Outcome {
    Outcome {
        counter: out.added,
        kind: OpKind::Add,
        slot: out.slot,
        outcome: OpOutcome::Failed(FailReason::UnknownPayee),
        lock: out.id(&channel.id),
        salt: [0; 16],
        preimage: [0; 32],
    }
}

fn lock(number: usize, other: &Channel, expiry: u32, condition: Condition) -> Lock {
    Lock {
        payment_id: PaymentId::from_bytes([u8::try_from(number).expect("few"); 16]),
        amount: sat(AMOUNT),
        fee: sat(FEE),
        payee: key(20),
        payee_channel: other.id,
        expiry: Height::new(expiry),
        condition,
    }
}

fn at(counter: u64) -> usize {
    usize::try_from(counter).expect("few")
}
