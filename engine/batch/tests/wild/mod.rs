//! Batches in which much goes wrong, with a slow model of what must come of them: who has what balance and what room, in the order
//! of the inputs, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;
use tidegate_batch::{Executed, Input, PayInput};
use tidegate_channel::wallet::Wallet;
use tidegate_channel::{FailReason, Lock, OpKind, OpOutcome, Operation, RefuseReason};
use tidegate_types::{ClientCounter, Digest, Height, LockSlot};

use crate::rig::{CAPACITY, Rig, sat};

const CLIENTS: usize = 5;
const RESERVE: u64 = 1_000;

/// One thing that a client does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// Its next state, which pays so often.
    Pay {
        payer: usize,
        payee: usize,
        amount: u64,
        adds: usize,
    },
    Ack(usize),
    Refresh(usize),
    /// Its newest state again, or one before.
    Repeat {
        payer: usize,
        back: usize,
    },
    /// Its newest counter with other content.
    Conflict(usize),
    /// Its next state, which is not what its operations lead to.
    Bent(usize),
    /// Its next state, which spends more than it has.
    Overspent(usize),
    /// Its next state, which pays what an earlier one has paid.
    Twice(usize),
}

/// Half of all is done by one client, and two thirds of all are paid to one.
pub(crate) fn act() -> impl Strategy<Value = Act> {
    let payer = || prop_oneof![1 => Just(0_usize), 1 => 0..CLIENTS];
    let payee = || prop_oneof![2 => Just(1_usize), 1 => 0..CLIENTS];
    let amount = prop_oneof![4 => 1_u64..2_000, 1 => 50_000_u64..300_000];
    prop_oneof![
        12 => (payer(), payee(), amount, 1_usize..4)
            .prop_map(|(payer, payee, amount, adds)| Act::Pay { payer, payee, amount, adds }),
        4 => (0..CLIENTS).prop_map(Act::Ack),
        1 => (0..CLIENTS).prop_map(Act::Refresh),
        2 => (payer(), 0_usize..3).prop_map(|(payer, back)| Act::Repeat { payer, back }),
        1 => payer().prop_map(Act::Conflict),
        2 => payer().prop_map(Act::Bent),
        1 => payer().prop_map(Act::Overspent),
        1 => payer().prop_map(Act::Twice),
    ]
}

/// What the model knows of one client.
#[derive(Clone, Debug, Default)]
struct Known {
    debit: u64,
    /// Firm or not.
    credited: u64,
    /// Open locks by slot: the amount.
    locks: BTreeMap<usize, u64>,
    /// Accepted states, oldest first.
    states: Vec<PayInput>,
    /// What the hub may still promise in this batch.
    room: u64,
}

impl Known {
    fn room_now(&self) -> u64 {
        CAPACITY / 2 + self.debit - self.credited - RESERVE
    }
}

/// What must become of an input.
#[derive(Clone, Debug, PartialEq)]
enum Fate {
    Taken,
    Refused(Option<RefuseReason>),
}

pub(crate) struct Wild {
    pub(crate) rig: Rig,
    known: Vec<Known>,
    /// What must become of the adds of the newest batch: by payer, counter and slot.
    adds: BTreeMap<(usize, u64, usize), OpOutcome>,
    /// By input of the newest batch.
    fates: Vec<Fate>,
    /// What has been seen so far.
    pub(crate) seen: BTreeSet<String>,
}

impl Wild {
    pub(crate) fn new() -> Self {
        Self {
            rig: Rig::new(u32::try_from(CLIENTS).expect("few")),
            known: vec![Known::default(); CLIENTS],
            adds: BTreeMap::new(),
            fates: Vec::new(),
            seen: BTreeSet::new(),
        }
    }

    /// Executes a batch of what clients do, and says what the inputs were.
    pub(crate) fn batch(&mut self, acts: &[Act]) -> Vec<Input> {
        self.adds.clear();
        self.fates.clear();
        self.known.iter_mut().for_each(|known| known.room = known.room_now());
        let mut inputs = Vec::new();
        for act in acts {
            if let Some((input, fate)) = self.input(*act) {
                inputs.push(input);
                self.fates.push(fate);
            }
        }
        self.rig.batch(inputs.clone());
        inputs
    }

    /// What an act comes to, if its client can do it.
    fn input(&mut self, act: Act) -> Option<(Input, Fate)> {
        let refused = |reason| Fate::Refused(Some(reason));
        match act {
            Act::Pay {
                payer,
                payee,
                amount,
                adds,
            } => {
                let locks: Vec<Lock> = (0..adds).map(|n| self.rig.lock(payee, amount + n as u64)).collect();
                let height = Height::new(self.rig.height);
                let (state, operations) = self.rig.clients[payer].wallet.pay(&locks, height).ok()?;
                let input = self.rig.sign(payer, state, operations);
                self.take(payer, &input);
                Some((input, Fate::Taken))
            }
            Act::Ack(client) => {
                let ack = self.rig.clients[client].wallet.ack(Height::new(self.rig.height))?;
                let signature = ack.sign(&self.rig.ledger, &self.rig.clients[client].key);
                Some((Input::Ack(tidegate_batch::AckInput { ack, signature }), Fate::Taken))
            }
            Act::Refresh(client) => Some((Input::Refresh(self.rig.clients[client].id), Fate::Taken)),
            Act::Repeat { payer, back } => {
                let states = &self.known[payer].states;
                let at = states.len().checked_sub(1 + back)?;
                let reason = (back > 0).then_some(RefuseReason::StaleCounter);
                Some((Input::Pay(states[at].clone()), Fate::Refused(reason)))
            }
            Act::Conflict(payer) => {
                let mut pay = self.known[payer].states.last()?.clone();
                pay.state.debit = sat(pay.state.debit.to_sat() + 1);
                Some((Input::Pay(pay), refused(RefuseReason::Conflict)))
            }
            Act::Bent(payer) => {
                let lock = self.rig.lock((payer + 1) % CLIENTS, 1);
                let mut pay = self.poison(payer, lock)?;
                pay.state.locks_root = Digest::ZERO;
                Some((Input::Pay(pay), refused(RefuseReason::WrongState)))
            }
            Act::Overspent(payer) => {
                let lock = self.rig.lock((payer + 1) % CLIENTS, 2 * CAPACITY);
                let pay = self.poison(payer, lock)?;
                Some((Input::Pay(pay), refused(RefuseReason::InsufficientBalance)))
            }
            Act::Twice(payer) => {
                let paid = self.known[payer].states.iter().rev().take(8);
                let lock = paid
                    .flat_map(|pay| &pay.operations)
                    .find_map(|operation| match operation {
                        Operation::Add { lock, .. } => Some(*lock),
                        _ => None,
                    })?;
                let pay = self.poison(payer, lock)?;
                Some((Input::Pay(pay), refused(RefuseReason::Duplicate)))
            }
        }
    }

    /// A next state of a client that opens `lock`, of which its wallet knows nothing.
    fn poison(&mut self, payer: usize, lock: Lock) -> Option<PayInput> {
        let mut wallet: Wallet = self.rig.clients[payer].wallet.clone();
        let slot: LockSlot = wallet.client().free_slot()?;
        let ack = wallet.ack_to_name(Height::new(self.rig.height));
        let (state, operations) = wallet.propose(vec![Operation::Add { slot, lock }], ack).ok()?;
        let Input::Pay(pay) = self.rig.sign(payer, state, operations) else {
            unreachable!("a signed state")
        };
        Some(pay)
    }

    /// The model takes a state that must be accepted.
    fn take(&mut self, payer: usize, input: &Input) {
        let Input::Pay(pay) = input else {
            unreachable!("a state")
        };
        let counter = pay.state.counter;
        if self.known[payer]
            .states
            .last()
            .is_some_and(|last| last.state.ack == pay.state.ack)
        {
            self.seen.insert("chained".into());
        }
        for operation in &pay.operations {
            match operation {
                Operation::Settle { slot } => {
                    let known = &mut self.known[payer];
                    known.debit += known.locks.remove(&slot.index()).expect("an open lock");
                }
                Operation::Drop { slot } => {
                    self.known[payer].locks.remove(&slot.index()).expect("an open lock");
                }
                Operation::Add { slot, lock } => {
                    let outcome = self.deliver(payer, lock);
                    self.known[payer].locks.insert(slot.index(), lock.amount.to_sat());
                    self.adds.insert((payer, counter.get(), slot.index()), outcome);
                }
                Operation::Release { .. } => unreachable!("nobody is offered a lock"),
            }
        }
        self.known[payer].states.push(pay.clone());
    }

    fn deliver(&mut self, payer: usize, lock: &Lock) -> OpOutcome {
        let payee = self
            .rig
            .clients
            .iter()
            .position(|client| client.id == lock.payee_channel);
        let payee = payee.expect("all payees are clients");
        if payee == payer {
            return OpOutcome::Failed(FailReason::SelfPayment);
        }
        let (known, amount) = (&mut self.known[payee], lock.amount.to_sat());
        if known.room < amount {
            self.seen.insert("no room".into());
            return OpOutcome::Failed(FailReason::NoInboundCapacity);
        }
        known.room -= amount;
        known.credited += amount;
        self.seen.insert("delivered".into());
        OpOutcome::Delivered
    }

    /// Holds the newest batch to the model.
    pub(crate) fn check(&mut self) {
        let out: &Executed = &self.rig.out;
        let mut refusals = out.refusals.iter().peekable();
        for (at, expected) in (0_u32..).zip(&self.fates) {
            let refusal = refusals.next_if(|refusal| refusal.input == at);
            let fate = refusal.map_or(Fate::Taken, |refusal| Fate::Refused(refusal.reason));
            assert_eq!(&fate, expected, "input {at}");
            if let Fate::Refused(reason) = fate {
                self.seen
                    .insert(reason.map_or("known".into(), |reason| format!("{reason:?}")));
            }
        }
        let mut adds = BTreeMap::new();
        for leaf in out.leaves() {
            let payer = leaf.channel as usize;
            for outcome in leaf.outcomes.iter().filter(|outcome| outcome.kind == OpKind::Add) {
                adds.insert((payer, outcome.counter.get(), outcome.slot.index()), outcome.outcome);
            }
        }
        assert_eq!(adds, self.adds, "what became of every payment");
        for (client, known) in self.known.iter().enumerate() {
            let sums = self.rig.view(client).sums;
            assert_eq!(sums.debit.to_sat(), known.debit, "D of {client}");
            assert_eq!(
                sums.out_locks.to_sat(),
                known.locks.values().sum::<u64>(),
                "locks of {client}"
            );
            let credited = sums.firm_credit.to_sat() + sums.unfirm_credit.to_sat();
            assert_eq!(credited, known.credited, "K and U of {client}");
            let newest = known.states.last().map_or(ClientCounter::ZERO, |pay| pay.state.counter);
            assert_eq!(self.rig.view(client).state.counter, newest);
        }
    }
}
