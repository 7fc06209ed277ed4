//! Hash locks for payees at other hubs: taken, listed, and ended once, however they end (rules 13 and 15).

mod rig;

use rig::acts::end_of;
use rig::{CAPACITY, MARGIN, Rig, policy, sat};
use tidegate_batch::{Engine, ForwardEnd, Forwarded, Input, Policy, Reveal};
use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Condition, FailReason, Lock, OpOutcome, RefuseReason};
use tidegate_types::{Amount, Height};

const PREIMAGE: [u8; 32] = [0x51; 32];

/// Client 0 pays somebody at another hub; what is to be forwarded.
fn sent(rig: &mut Rig, amount: u64) -> Forwarded {
    let lock = Lock {
        fee: sat(3),
        ..rig.away_lock(amount, &PREIMAGE)
    };
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let listed = rig.out.forwarded.clone();
    assert_eq!(listed.len(), 1, "{listed:?}");
    let waiting = listed[0];
    assert_eq!((waiting.payee, waiting.payee_channel), (lock.payee, lock.payee_channel));
    assert_eq!(
        (waiting.amount, waiting.fee, waiting.expiry),
        (lock.amount, lock.fee, lock.expiry)
    );
    assert_eq!(Condition::Hash(waiting.hash), lock.condition);
    assert_eq!(status(rig, &waiting), LockStatus::Pending);
    waiting
}

fn status(rig: &Rig, waiting: &Forwarded) -> LockStatus {
    let mut locks = rig.clients[0].wallet.locks();
    locks.find(|(open, _)| open.id == waiting.lock).expect("an open lock").1
}

/// The payer settles or drops what is due; nothing of the lock is left anywhere.
fn is_over(rig: &mut Rig, paid: u64) {
    let pay = rig.pay(0, &[]);
    rig.batch(vec![pay]);
    assert_eq!(rig.refusal(), None);
    assert!(rig.view(0).locks.is_empty());
    assert_eq!(rig.view(0).client_balance, sat(CAPACITY / 2 - paid));
    assert_eq!(rig.engine.forwards(), []);
    let (free, usage) = (rig.engine.free_records(), rig.engine.usage());
    assert_eq!(free[13], usage[13].used, "{}", usage[13].name);
    rig.replay();
}

#[test]
fn a_preimage_from_the_next_hub_is_the_payers_proof() {
    let mut rig = Rig::new(2);
    let waiting = sent(&mut rig, 500);
    let wrong = end_of(&waiting, ForwardEnd::Met([1; 32]));
    rig.batch(vec![wrong]);
    assert_eq!(rig.refusal(), Some(RefuseReason::WrongPreimage));
    assert_eq!(rig.engine.forwards(), [waiting]);
    let met = end_of(&waiting, ForwardEnd::Met(PREIMAGE));
    rig.batch(vec![met.clone()]);
    assert_eq!((rig.refusal(), rig.out.forwarded.len()), (None, 0));
    assert_eq!(status(&rig, &waiting), LockStatus::Fulfilled(PREIMAGE));
    let payer = rig.engine.channel(&waiting.payer).expect("open");
    assert_eq!(rig.engine.preimage(payer, &waiting.lock), Some(PREIMAGE));
    for again in [met, end_of(&waiting, ForwardEnd::Failed(FailReason::Released))] {
        rig.batch(vec![again]);
        assert_eq!(rig.refusal(), Some(RefuseReason::UnknownLock), "it ends once");
    }
    is_over(&mut rig, 503);
}

#[test]
fn what_the_next_hub_failed_is_the_payers_again() {
    let mut rig = Rig::new(2);
    let waiting = sent(&mut rig, 500);
    let failed = end_of(&waiting, ForwardEnd::Failed(FailReason::PayeeClosing));
    rig.batch(vec![failed]);
    assert_eq!(status(&rig, &waiting), LockStatus::Failed(FailReason::PayeeClosing));
    // The hub has said so by a leaf: no preimage takes it from the payer any more.
    let Input::Block(mut block) = rig.mine(1) else {
        unreachable!()
    };
    block.revealed = vec![Reveal {
        height: block.height,
        preimage: PREIMAGE,
    }];
    rig.batch(vec![Input::Block(block), end_of(&waiting, ForwardEnd::Met(PREIMAGE))]);
    assert_eq!(rig.refusal(), Some(RefuseReason::UnknownLock));
    assert_eq!(status(&rig, &waiting), LockStatus::Failed(FailReason::PayeeClosing));
    is_over(&mut rig, 0);
}

#[test]
fn a_late_preimage_belongs_on_the_ledger_and_meets_the_lock_there() {
    for (blocks, taken) in [(50 - MARGIN, true), (50 - MARGIN + 1, false)] {
        let mut rig = Rig::new(2);
        let waiting = sent(&mut rig, 500);
        let block = rig.mine(blocks);
        rig.batch(vec![block, end_of(&waiting, ForwardEnd::Met(PREIMAGE))]);
        if taken {
            assert_eq!(rig.refusal(), None);
        } else {
            assert_eq!(rig.refusal(), Some(RefuseReason::TooLate));
            assert_eq!(rig.engine.forwards(), [waiting]);
            let Input::Block(mut block) = rig.mine(MARGIN - 1) else {
                unreachable!()
            };
            block.revealed = vec![Reveal {
                height: waiting.expiry,
                preimage: PREIMAGE,
            }];
            rig.batch(vec![Input::Block(block)]);
        }
        assert_eq!(status(&rig, &waiting), LockStatus::Fulfilled(PREIMAGE));
        is_over(&mut rig, 503);
    }
}

#[test]
fn an_expired_lock_is_the_payers_above_its_expiry() {
    let mut rig = Rig::new(2);
    let waiting = sent(&mut rig, 500);
    let expired = end_of(&waiting, ForwardEnd::Expired);
    let block = rig.mine(50);
    rig.batch(vec![block, expired.clone()]);
    assert_eq!(
        rig.refusal(),
        Some(RefuseReason::NotDroppable),
        "the expiry itself still counts"
    );
    let (block, refresh) = (rig.mine(1), Input::Refresh(rig.clients[0].id));
    rig.batch(vec![block, expired, refresh]);
    assert_eq!((rig.refusal(), rig.engine.forwards()), (None, Vec::new()));
    assert_eq!(status(&rig, &waiting), LockStatus::Pending);
    is_over(&mut rig, 0);
    // The payer does not wait for the hub to notice.
    let waiting = sent(&mut rig, 500);
    let (block, refresh) = (rig.mine(51), Input::Refresh(rig.clients[0].id));
    rig.batch(vec![block, refresh]);
    assert_eq!(rig.engine.forwards(), [waiting]);
    is_over(&mut rig, 0);
}

#[test]
fn only_hash_locks_for_unknown_channels_go_on_and_as_many_as_agreed() {
    let outcome = |rig: &mut Rig, lock: Lock| {
        let pay = rig.pay(0, &[lock]);
        rig.batch(vec![pay]);
        rig.view(0).locks.last().expect("just added").outcome
    };
    let failed = OpOutcome::Failed;
    let mut rig = Rig::new(4);
    let away = rig.away_lock(5, &PREIMAGE);
    let by_ack = Lock {
        condition: Condition::Ack,
        ..away
    };
    assert_eq!(outcome(&mut rig, by_ack), failed(FailReason::UnknownPayee));
    let wrong_key = Lock {
        payee: away.payee,
        ..rig.hash_lock(1, 5, &PREIMAGE)
    };
    assert_eq!(outcome(&mut rig, wrong_key), failed(FailReason::UnknownPayee));
    let near = Lock {
        expiry: Height::new(rig.height + 3 * MARGIN - 1),
        ..rig.away_lock(5, &PREIMAGE)
    };
    assert_eq!(outcome(&mut rig, near), failed(FailReason::ExpiryTooNear));
    let far = Lock {
        expiry: Height::new(rig.height + 101),
        ..rig.away_lock(5, &PREIMAGE)
    };
    assert_eq!(outcome(&mut rig, far), failed(FailReason::ExpiryTooFar));
    assert_eq!(rig.engine.forwards(), []);

    // Each payer its share, and all together as many as the policy says.
    let few = Policy {
        max_forwarded: 20,
        ..policy()
    };
    rig.batch(vec![Input::Policy(few)]);
    for (payer, taken) in [(1, 16), (2, 4)] {
        for _ in 0..2 {
            let locks: Vec<Lock> = (0..10).map(|_| rig.away_lock(1, &PREIMAGE)).collect();
            let pay = rig.pay(payer, &locks);
            rig.batch(vec![pay]);
        }
        let open = rig.view(payer).locks;
        let pending = open.iter().filter(|lock| lock.outcome == OpOutcome::Pending).count();
        assert_eq!(pending, taken);
        let reason = if payer == 1 {
            FailReason::PayerLimit
        } else {
            FailReason::PayeeLocksFull
        };
        assert_eq!(open.last().map(|lock| lock.outcome), Some(failed(reason)));
    }
    let none = Policy {
        max_forwarded: 0,
        ..policy()
    };
    rig.batch(vec![Input::Policy(none)]);
    let away = rig.away_lock(5, &PREIMAGE);
    assert_eq!(outcome(&mut rig, away), failed(FailReason::UnknownPayee));
    assert_eq!(rig.view(1).sums.in_locks, Amount::ZERO);
    rig.replay();
    // The list follows from the tables.
    let again = Engine::open(rig.engine.store().clone()).expect("a used store");
    assert_eq!((again.forwards(), again.forwards().len()), (rig.engine.forwards(), 20));
}

/// What is ended in the batch that took it was never to be forwarded.
#[test]
fn an_end_in_the_batch_of_the_lock_meets_nothing() {
    let mut rig = Rig::new(2);
    let waiting = sent(&mut rig, 500);
    let lock = rig.away_lock(20, &PREIMAGE);
    let pay = rig.pay(0, &[lock]);
    let Input::Pay(inner) = &pay else { unreachable!() };
    let slot = tidegate_types::LockSlot::new(1).expect("slot 1");
    let early = Forwarded {
        lock: lock.id(&inner.state.channel, inner.state.counter, slot),
        ..waiting
    };
    rig.batch(vec![pay, end_of(&early, ForwardEnd::Met(PREIMAGE))]);
    assert_eq!(rig.refusal(), Some(RefuseReason::UnknownLock));
    assert_eq!(rig.engine.forwards().len(), 2);
    rig.replay();
}
