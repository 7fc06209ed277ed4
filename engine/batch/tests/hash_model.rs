//! Hash locks against a slow model that knows nothing of pages, slots, trees or leaves: only who owes whom until when.

mod rig;

use proptest::prelude::*;
use rig::acts::end_of;
use rig::{MARGIN, Rig, sat};
use tidegate_batch::{ForwardEnd, ForwardInput, Input, Reveal};
use tidegate_channel::{FailReason, OpOutcome, Operation};
use tidegate_types::{Amount, Height, LockId};

/// How long the locks of the rig live.
const LIFE: u32 = 50;
/// The share of one payer in a payee's locks, by the rig's policy, and in those that wait for other hubs.
const SHARE: usize = 16;
/// Who stands for all payees at other hubs, and how many locks may wait for them.
const AWAY: usize = 3;
const AWAY_LOCKS: usize = 40;

#[derive(Clone, Copy, Debug)]
enum Move {
    /// A state that adds locks on one secret, and settles and drops what is due.
    Pay {
        payer: usize,
        payee: usize,
        secret: u8,
        locks: usize,
    },
    /// The payee of some lock, or the next hub, shows its preimage, or another.
    Fulfil { which: usize, right: bool },
    /// The payee of some lock gives it up, or the next hub has failed it.
    Release { which: usize },
    /// Blocks, the last of which may reveal a secret.
    Blocks { count: u32, reveals: Option<u8> },
}

fn a_move() -> impl Strategy<Value = Move> {
    let pay = (0_usize..3, 1_usize..4, 0_u8..4, 0_usize..6).prop_map(|(payer, other, secret, locks)| Move::Pay {
        payer,
        payee: (payer + other) % 4,
        secret,
        locks,
    });
    prop_oneof![
        4 => pay,
        3 => (any::<usize>(), prop::bool::weighted(0.8)).prop_map(|(which, right)| Move::Fulfil { which, right }),
        1 => any::<usize>().prop_map(|which| Move::Release { which }),
        1 => (1_u32..30, prop::option::of(0_u8..4)).prop_map(|(count, reveals)| Move::Blocks { count, reveals }),
    ]
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    Waits,
    Met,
    Failed(FailReason),
    Expired,
}

#[derive(Clone, Copy, Debug)]
struct Owed {
    id: LockId,
    payer: usize,
    payee: usize,
    amount: u64,
    secret: u8,
    expiry: u32,
    /// The batch that offered it.
    batch: usize,
    fate: Fate,
}

struct Model {
    locks: Vec<Owed>,
    batch: usize,
    height: u32,
}

impl Model {
    fn add(&mut self, owed: Owed) {
        let waits = |l: &&Owed| l.payee == owed.payee && l.fate == Fate::Waits;
        let of_payer = self
            .locks
            .iter()
            .filter(waits)
            .filter(|l| l.payer == owed.payer)
            .count();
        let all = self.locks.iter().filter(waits).count();
        let fate = if owed.payee == AWAY && all >= AWAY_LOCKS {
            Fate::Failed(FailReason::PayeeLocksFull)
        } else if of_payer >= SHARE {
            Fate::Failed(FailReason::PayerLimit)
        } else {
            Fate::Waits
        };
        self.locks.push(Owed { fate, ..owed });
    }

    /// True if the preimage is taken.
    fn fulfil(&mut self, at: usize, right: bool) -> bool {
        let (batch, height) = (self.batch, self.height);
        let lock = &mut self.locks[at];
        let taken = right && lock.fate == Fate::Waits && lock.batch < batch && height + MARGIN <= lock.expiry;
        if taken {
            lock.fate = Fate::Met;
        }
        taken
    }

    /// True if the failure at another hub is taken.
    fn fail_away(&mut self, at: usize) -> bool {
        let lock = &mut self.locks[at];
        let waits = lock.fate == Fate::Waits && lock.batch < self.batch;
        if waits {
            lock.fate = Fate::Failed(FailReason::Released);
        }
        waits
    }

    fn blocks(&mut self, count: u32, reveals: Option<u8>) {
        self.height += count;
        for lock in self.locks.iter_mut().filter(|l| l.fate == Fate::Waits) {
            if reveals == Some(lock.secret) && self.height <= lock.expiry {
                lock.fate = Fate::Met;
            } else if self.height > lock.expiry {
                lock.fate = Fate::Expired;
            }
        }
    }

    fn sum(&self, wanted: impl Fn(&Owed) -> bool) -> Amount {
        sat(self.locks.iter().filter(|l| wanted(l)).map(|l| l.amount).sum())
    }
}

const fn preimage(secret: u8) -> [u8; 32] {
    [secret + 1; 32]
}

/// A payment of as many hash locks as fit, which the model notes.
fn pay(rig: &mut Rig, model: &mut Model, (payer, payee): (usize, usize), secret: u8, locks: usize) -> Input {
    // A payer has 64 slots.
    let full = rig.clients[payer].wallet.client().locks().len() > 56;
    let locks = if full { 0 } else { locks };
    let locks: Vec<_> = (0..locks)
        .map(|n| match payee {
            AWAY => rig.away_lock(3 + n as u64, &preimage(secret)),
            payee => rig.hash_lock(payee, 3 + n as u64, &preimage(secret)),
        })
        .collect();
    let Input::Pay(pay) = rig.pay(payer, &locks) else {
        unreachable!()
    };
    for operation in &pay.operations {
        if let Operation::Add { slot, lock } = operation {
            model.add(Owed {
                id: lock.id(&pay.state.channel, pay.state.counter, *slot),
                payer,
                payee,
                amount: lock.amount.to_sat(),
                secret,
                expiry: lock.expiry.get(),
                batch: model.batch,
                fate: Fate::Waits,
            });
        }
    }
    Input::Pay(pay)
}

/// The end of a lock that waits for another hub.
fn end(rig: &Rig, lock: &Owed, end: ForwardEnd) -> Input {
    Input::Forward(ForwardInput {
        payer: rig.clients[lock.payer].id,
        lock: lock.id,
        end,
    })
}

/// The inputs of one batch, and the places of those that are refused.
fn inputs(rig: &mut Rig, model: &mut Model, moves: &[Move]) -> (Vec<Input>, Vec<u32>) {
    let (mut inputs, mut refused) = (Vec::new(), Vec::new());
    // A hub puts one block first: what has expired is dropped when a batch first touches a channel.
    let (blocks, others): (Vec<Move>, Vec<Move>) = moves.iter().partition(|what| matches!(what, Move::Blocks { .. }));
    for what in blocks.into_iter().take(1).chain(others) {
        let at = u32::try_from(inputs.len()).expect("few inputs");
        match what {
            Move::Pay {
                payer,
                payee,
                secret,
                locks,
            } => inputs.push(pay(rig, model, (payer, payee), secret, locks)),
            Move::Fulfil { which, right } if !model.locks.is_empty() => {
                let place = which % model.locks.len();
                let lock = model.locks[place];
                let shown = if right { preimage(lock.secret) } else { [0xee; 32] };
                inputs.push(if lock.payee == AWAY {
                    end(rig, &lock, ForwardEnd::Met(shown))
                } else {
                    rig.fulfil(lock.payee, lock.id, shown)
                });
                if !model.fulfil(place, right) {
                    refused.push(at);
                }
            }
            Move::Release { which } if !model.locks.is_empty() => {
                let place = which % model.locks.len();
                let lock = model.locks[place];
                if lock.payee == AWAY {
                    inputs.push(end(rig, &lock, ForwardEnd::Failed(FailReason::Released)));
                    refused.extend((!model.fail_away(place)).then_some(at));
                    continue;
                }
                let told = rig.clients[lock.payee].wallet.hub().in_locks();
                if told.iter().any(|open| open.lock.lock == lock.id) {
                    inputs.push(rig.release(lock.payee, lock.id));
                    if lock.fate == Fate::Waits {
                        model.locks[place].fate = Fate::Failed(FailReason::Released);
                    } else {
                        refused.push(at);
                    }
                }
            }
            Move::Fulfil { .. } | Move::Release { .. } => {}
            Move::Blocks { count, reveals } => {
                let Input::Block(mut block) = rig.mine(count) else {
                    unreachable!()
                };
                let reveal = |secret| Reveal {
                    height: Height::new(rig.height),
                    preimage: preimage(secret),
                };
                block.revealed = reveals.map(reveal).into_iter().collect();
                inputs.push(Input::Block(block));
                model.blocks(count, reveals);
                // Whoever forwards says at once what has expired.
                let waiting = rig.engine.forwards();
                let expired = waiting.iter().filter(|lock| lock.expiry < Height::new(rig.height));
                inputs.extend(expired.map(|lock| end_of(lock, ForwardEnd::Expired)));
            }
        }
    }
    // Every payee looks, so that what has expired leaves now; and acks, so that nobody is overdue.
    for n in 0..rig.clients.len() {
        if rig.clients[n].wallet.hub().unacked_count() > 0 {
            inputs.push(rig.ack(n));
        }
        inputs.push(Input::Refresh(rig.clients[n].id));
    }
    (inputs, refused)
}

fn check(rig: &Rig, model: &Model) {
    for n in 0..rig.clients.len() {
        let view = rig.view(n);
        assert_eq!(
            view.sums.firm_credit,
            model.sum(|l| l.payee == n && l.fate == Fate::Met),
            "K of {n}"
        );
        assert_eq!(
            view.sums.in_locks,
            model.sum(|l| l.payee == n && l.fate == Fate::Waits),
            "in-locks of {n}"
        );
        for open in &view.locks {
            let lock = model
                .locks
                .iter()
                .find(|l| l.id == open.id)
                .expect("a lock that was added");
            let expected = match lock.fate {
                Fate::Waits | Fate::Expired => OpOutcome::Pending,
                Fate::Met => OpOutcome::Delivered,
                Fate::Failed(reason) => OpOutcome::Failed(reason),
            };
            assert_eq!(open.outcome, expected, "{lock:?}");
        }
        // What is settled was met, and what is gone without was not.
        let open = |l: &Owed| view.locks.iter().any(|o| o.id == l.id);
        let settled = model.sum(|l| l.payer == n && l.fate == Fate::Met && !open(l));
        assert_eq!(view.sums.debit, settled, "D of {n}");
        assert!(
            model
                .locks
                .iter()
                .all(|l| l.payer != n || l.fate != Fate::Waits || open(l))
        );
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn the_engine_owes_what_the_model_owes(
        batches in prop::collection::vec(prop::collection::vec(a_move(), 0..9), 1..14),
    ) {
        let mut rig = Rig::new(3);
        let mut model = Model { locks: Vec::new(), batch: 1, height: rig.height };
        for moves in &batches {
            let (inputs, expected) = inputs(&mut rig, &mut model, moves);
            rig.batch(inputs);
            let refused: Vec<u32> = rig.out.refusals.iter().map(|refusal| refusal.input).collect();
            prop_assert_eq!(refused, expected);
            check(&rig, &model);
            model.batch += 1;
        }
        // In the end everything that waits expires, and everybody settles: nothing is left in any table.
        let (last, _) = inputs(&mut rig, &mut model, &[Move::Blocks { count: LIFE + 1, reveals: None }]);
        rig.batch(last);
        for _ in 0..4 {
            for n in 0..3 {
                let pay = rig.pay(n, &[]);
                rig.batch(vec![pay]);
                prop_assert!(rig.out.refusals.is_empty());
            }
        }
        check(&rig, &model);
        prop_assert!((0..3).all(|n| rig.view(n).locks.is_empty()));
        let (free, usage) = (rig.engine.free_records(), rig.engine.usage());
        for table in [5, 6, 7, 12, 13] {
            prop_assert_eq!(free[table], usage[table].used, "{} are all free", usage[table].name);
        }
        rig.replay();
    }
}
