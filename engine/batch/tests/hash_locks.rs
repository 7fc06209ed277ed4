//! Hash locks within one hub, judged by the wallets of both ends (rules 9 to 14).

mod rig;

use rig::{CAPACITY, MARGIN, Rig, policy, sat};
use tidegate_batch::{Input, Policy, Reveal, ShownRelease};
use tidegate_channel::wallet::{InLockError, InMark, LeafFault, LeafView, LockStatus};
use tidegate_channel::{FailReason, InChangeKind, Lock, OpOutcome, Operation, RefuseReason};
use tidegate_types::{Amount, Height, LockId, LockSlot};

const PREIMAGE: [u8; 32] = [0x51; 32];

/// Client 0 pays client 1 by hash locks, which are pending then.
fn offered(rig: &mut Rig, amounts: &[u64]) -> Vec<LockId> {
    let locks: Vec<Lock> = amounts.iter().map(|&n| rig.hash_lock(1, n, &PREIMAGE)).collect();
    let pay = rig.pay(0, &locks);
    rig.batch(vec![pay]);
    let open = rig.view(0).locks;
    let new = &open[open.len() - amounts.len()..];
    assert!(new.iter().all(|lock| lock.outcome == OpOutcome::Pending));
    new.iter().map(|lock| lock.id).collect()
}

fn status(rig: &Rig, client: usize, lock: LockId) -> LockStatus {
    let mut locks = rig.clients[client].wallet.locks();
    locks.find(|(open, _)| open.id == lock).expect("an open lock").1
}

/// A state of client `n` that drops its first open lock, whatever its wallet thinks of it.
fn force_drop(rig: &mut Rig, n: usize) -> Input {
    let wallet = &mut rig.clients[n].wallet;
    let slot = wallet.client().locks()[0].slot;
    let ack = wallet.hub().reference();
    let (state, operations) = wallet
        .propose(vec![Operation::Drop { slot }], ack)
        .expect("an open slot");
    rig.sign(n, state, operations)
}

#[test]
fn a_preimage_pays_the_payee_and_is_the_payers_proof() {
    let mut rig = Rig::new(2);
    let [lock] = offered(&mut rig, &[500])[..] else {
        unreachable!()
    };
    let payee = rig.view(1);
    assert_eq!((payee.sums.in_locks, payee.sums.firm_credit), (sat(500), Amount::ZERO));
    assert_eq!(status(&rig, 0, lock), LockStatus::Pending);
    assert!(
        rig.clients[0].wallet.due_operations(Height::new(rig.height)).is_empty(),
        "nothing is owed before the preimage is there"
    );

    let fulfil = rig.fulfil(1, lock, PREIMAGE);
    rig.batch(vec![fulfil]);
    let payee = rig.view(1);
    assert_eq!((payee.sums.in_locks, payee.sums.firm_credit), (Amount::ZERO, sat(500)));
    assert_eq!(payee.sums.unfirm_credit, Amount::ZERO, "a preimage needs no ack");
    assert_eq!(status(&rig, 0, lock), LockStatus::Fulfilled(PREIMAGE));
    let payer = rig.engine.channel(&rig.clients[0].id).expect("open");
    assert_eq!(rig.engine.preimage(payer, &lock), Some(PREIMAGE));
    assert!(
        rig.engine.payment_proof(payer, &lock).is_none(),
        "an ack proves nothing here"
    );

    let settle = rig.pay(0, &[]);
    rig.batch(vec![settle]);
    assert_eq!(rig.view(0).client_balance, sat(CAPACITY / 2 - 500));
    assert!(rig.view(0).locks.is_empty());
    // What was credited can be spent once its leaf is acknowledged.
    let back = rig.lock(0, CAPACITY / 2 - 1_000 + 500);
    let pay = rig.pay(1, &[back]);
    rig.batch(vec![pay]);
    assert_eq!(rig.refusal(), None);
    rig.replay();
    assert_eq!(rig.engine.free_records()[12..14], [1, 1], "nothing of it is left");
}

/// A hub that pays the next one settles there what it has chosen, whatever else its wallet knows.
#[test]
fn a_wallet_settles_what_is_chosen_and_drops_the_rest_as_ever() {
    let mut rig = Rig::new(2);
    let locks = offered(&mut rig, &[500, 20, 3]);
    let (fulfil, other) = (rig.fulfil(1, locks[0], PREIMAGE), rig.fulfil(1, locks[1], PREIMAGE));
    let release = rig.release(1, locks[2]);
    rig.batch(vec![fulfil, other, release]);
    let due = |rig: &Rig| rig.clients[0].wallet.due_operations(Height::new(rig.height));
    let slot = |n| LockSlot::new(n).expect("a slot");
    assert_eq!(due(&rig).len(), 3);
    rig.clients[0].wallet.settle_only(Some([].into()));
    assert_eq!(due(&rig), [Operation::Drop { slot: slot(2) }]);
    rig.clients[0].wallet.settle_only(Some([locks[1]].into()));
    let pay = rig.pay(0, &[]);
    rig.batch(vec![pay]);
    assert_eq!((rig.refusal(), rig.view(0).sums.debit), (None, sat(20)));
    assert_eq!(due(&rig), [], "it stays chosen");
    rig.clients[0].wallet.settle_only(None);
    assert_eq!(due(&rig), [Operation::Settle { slot: slot(0) }]);
}

#[test]
fn two_locks_of_one_hash_and_amount_are_two_locks() {
    let mut rig = Rig::new(2);
    let locks = offered(&mut rig, &[500, 500]);
    assert_ne!(locks[0], locks[1]);
    let fulfil = rig.fulfil(1, locks[0], PREIMAGE);
    rig.batch(vec![fulfil.clone()]);
    let payee = rig.view(1);
    assert_eq!((payee.sums.firm_credit, payee.sums.in_locks), (sat(500), sat(500)));
    assert_eq!(status(&rig, 0, locks[1]), LockStatus::Pending);
    rig.batch(vec![fulfil]);
    assert_eq!(rig.refusal(), Some(RefuseReason::UnknownLock), "the same lock again");
    let other = rig.fulfil(1, locks[1], PREIMAGE);
    rig.batch(vec![other]);
    assert_eq!(rig.view(1).sums.firm_credit, sat(1_000));
}

#[test]
fn what_meets_no_lock_changes_nothing() {
    let mut rig = Rig::new(3);
    let [lock] = offered(&mut rig, &[500])[..] else {
        unreachable!()
    };
    let root = rig.engine.state_root();
    let cases = [
        (rig.fulfil(1, lock, [0x52; 32]), RefuseReason::WrongPreimage),
        (rig.fulfil(2, lock, PREIMAGE), RefuseReason::UnknownLock),
        (rig.fulfil(0, lock, PREIMAGE), RefuseReason::UnknownLock),
        (
            rig.fulfil(1, LockId::from_bytes([1; 32]), PREIMAGE),
            RefuseReason::UnknownLock,
        ),
    ];
    for (input, reason) in cases {
        rig.batch(vec![input]);
        assert_eq!(rig.refusal(), Some(reason));
        assert_eq!(rig.engine.state_root(), root);
    }
    // Offered and met in one batch: nobody was told of the lock yet.
    let more = rig.hash_lock(1, 7, &PREIMAGE);
    let pay = rig.pay(0, &[more]);
    let Input::Pay(inner) = &pay else { unreachable!() };
    let slot = LockSlot::new(1).expect("slot 1");
    let early = rig.fulfil(1, more.id(&inner.state.channel, inner.state.counter, slot), PREIMAGE);
    rig.batch(vec![pay, early]);
    assert_eq!(rig.refusal(), Some(RefuseReason::UnknownLock));
}

#[test]
fn neither_side_ends_a_lock_that_waits() {
    let mut rig = Rig::new(2);
    offered(&mut rig, &[500]);
    let before = rig.clients[0].wallet.clone();
    let drop = force_drop(&mut rig, 0);
    rig.batch(vec![drop]);
    assert_eq!(rig.refusal(), Some(RefuseReason::NotDroppable));
    rig.clients[0].wallet = before.clone();
    let slot = LockSlot::new(0).expect("slot 0");
    let wallet = &mut rig.clients[0].wallet;
    let ack = wallet.hub().reference();
    let (state, operations) = wallet
        .propose(vec![Operation::Settle { slot }], ack)
        .expect("an open slot");
    let settle = rig.sign(0, state, operations);
    rig.batch(vec![settle]);
    assert_eq!(rig.refusal(), Some(RefuseReason::NotDelivered));
    rig.clients[0].wallet = before;
    let close = rig.close(1, 10);
    rig.batch(vec![close]);
    assert_eq!(
        rig.refusal(),
        Some(RefuseReason::BadOperation),
        "a lock waits for its preimage"
    );
}

#[test]
fn a_release_fails_the_payers_lock() {
    let mut rig = Rig::new(2);
    let locks = offered(&mut rig, &[500, 500]);
    let release = rig.release(1, locks[0]);
    rig.batch(vec![release.clone()]);
    assert_eq!(status(&rig, 0, locks[0]), LockStatus::Failed(FailReason::Released));
    assert_eq!(rig.view(1).sums.in_locks, sat(500));
    rig.batch(vec![release]);
    assert_eq!(rig.refusal(), Some(RefuseReason::UnknownLock));
    let late = rig.fulfil(1, locks[0], PREIMAGE);
    rig.batch(vec![late]);
    assert_eq!(rig.refusal(), Some(RefuseReason::UnknownLock), "given up for good");

    // By a state: nothing is kept of it by which the ledger would believe the release, so the hub does not take it.
    let before = rig.clients[1].wallet.clone();
    let release = Operation::Release { lock: locks[1] };
    let wallet = &mut rig.clients[1].wallet;
    let ack = wallet.hub().reference();
    let (state, operations) = wallet.propose(vec![release], ack).expect("a state");
    let by_state = rig.sign(1, state, operations);
    rig.batch(vec![by_state]);
    assert_eq!(rig.refusal(), Some(RefuseReason::BadOperation));
    rig.clients[1].wallet = before;
    let (release, drop) = (rig.release(1, locks[1]), rig.pay(0, &[]));
    rig.batch(vec![drop, release]);
    assert!(rig.out.refusals.is_empty());
    assert_eq!(status(&rig, 0, locks[1]), LockStatus::Failed(FailReason::Released));
    let drop = rig.pay(0, &[]);
    rig.batch(vec![drop]);
    assert!(rig.view(0).locks.is_empty());
    assert_eq!(rig.view(0).client_balance, sat(CAPACITY / 2));
    rig.replay();
}

/// Until the payee names the leaf without it, it can close with the one before, and the preimage with it.
#[test]
fn what_was_given_up_can_be_shown_until_the_leaf_without_it_is_acknowledged() {
    let mut rig = Rig::new(2);
    let locks = offered(&mut rig, &[500, 20]);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let release = rig.release(1, locks[0]);
    let Input::Release(signed) = &release else {
        unreachable!()
    };
    let signature = signed.signature;
    rig.batch(vec![release]);
    let releases = |rig: &Rig| {
        let slot = rig.engine.channel(&rig.clients[1].id).expect("open");
        rig.engine.shown(slot).expect("it lives").releases
    };
    let in_shown = |rig: &Rig| rig.shown(1).expect("a pair").hub.expect("a leaf").locks.len();
    let lock = locks[0];
    assert_eq!(
        (releases(&rig), in_shown(&rig)),
        (vec![ShownRelease { lock, signature }], 2)
    );
    // Whatever else happens: the payer has dropped it, and more leaves have come.
    let (drop, refresh) = (rig.pay(0, &[]), Input::Refresh(rig.clients[1].id));
    rig.batch(vec![drop, refresh]);
    assert_eq!(
        (releases(&rig), in_shown(&rig)),
        (vec![ShownRelease { lock, signature }], 2)
    );
    rig.replay();
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    assert_eq!((releases(&rig), in_shown(&rig)), (vec![], 1));
}

/// A hub that holds a release must not take the payer's money for another lock's reveal on the same hash.
#[test]
fn a_released_lock_is_not_met_by_a_reveal_of_its_hash() {
    let mut rig = Rig::new(2);
    let locks = offered(&mut rig, &[500, 20]);
    let release = rig.release(1, locks[0]);
    rig.batch(vec![release]);
    let Input::Block(mut block) = rig.mine(1) else {
        unreachable!()
    };
    block.revealed = vec![Reveal {
        height: Height::new(rig.height),
        preimage: PREIMAGE,
    }];
    rig.batch(vec![Input::Block(block)]);
    assert_eq!(status(&rig, 0, locks[0]), LockStatus::Failed(FailReason::Released));
    assert_eq!(status(&rig, 0, locks[1]), LockStatus::Fulfilled(PREIMAGE));
    let pay = rig.pay(0, &[]);
    rig.batch(vec![pay]);
    assert_eq!(rig.view(0).sums.debit, sat(20));
}

/// A leaf that was not acknowledged can be kept from every dispute, and the lock with it: its preimage would pay the hub and
/// nobody else. The hub may even see to it that the leaf is never acknowledged, by a credit in it whose time is past.
#[test]
fn a_preimage_is_given_away_only_for_a_lock_in_an_acknowledged_leaf() {
    let mut rig = Rig::new(3);
    let credit = rig.lock(1, 30);
    let pay = rig.pay(2, &[credit]);
    rig.batch(vec![pay]);
    let block = rig.mine(50 - 3 * MARGIN + 1);
    rig.batch(vec![block]);
    let [lock] = offered(&mut rig, &[500])[..] else {
        unreachable!()
    };
    let may = |rig: &Rig| {
        let height = Height::new(rig.height);
        rig.clients[1].wallet.may_fulfil(&lock, &PREIMAGE, height).map(|_| ())
    };
    assert_eq!(
        rig.clients[1].wallet.ack(Height::new(rig.height)),
        None,
        "too late for the credit"
    );
    assert_eq!(may(&rig), Err(InLockError::Unacknowledged(lock)));
    // Above the credit's expiry it is gone, and the leaf without it can be named.
    let (block, refresh) = (rig.mine(3 * MARGIN), Input::Refresh(rig.clients[1].id));
    rig.batch(vec![block, refresh]);
    assert_eq!(rig.view(1).sums.unfirm_credit, Amount::ZERO);
    assert_eq!(may(&rig), Err(InLockError::Unacknowledged(lock)));
    let ack = rig.ack(1);
    assert_eq!(may(&rig), Ok(()));
    let fulfil = rig.fulfil(1, lock, PREIMAGE);
    rig.batch(vec![ack, fulfil]);
    assert_eq!(rig.view(1).sums.firm_credit, sat(500));
}

/// A later lock does not take the first one's acknowledgement away, and does not share it.
#[test]
fn each_lock_needs_its_own_acknowledgement() {
    let mut rig = Rig::new(2);
    let first = offered(&mut rig, &[500])[0];
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let second = offered(&mut rig, &[20])[0];
    let height = Height::new(rig.height);
    let wallet = &rig.clients[1].wallet;
    assert!(wallet.may_fulfil(&first, &PREIMAGE, height).is_ok());
    assert_eq!(
        wallet.may_fulfil(&second, &PREIMAGE, height),
        Err(InLockError::Unacknowledged(second))
    );
}

#[test]
fn preimages_are_taken_until_a_margin_before_the_expiry() {
    for (blocks, taken) in [(50 - MARGIN, true), (50 - MARGIN + 1, false)] {
        let mut rig = Rig::new(2);
        let [lock] = offered(&mut rig, &[500])[..] else {
            unreachable!()
        };
        let ack = rig.ack(1);
        rig.batch(vec![ack]);
        let block = rig.mine(blocks);
        let fulfil = rig.fulfil(1, lock, PREIMAGE);
        let allowed = rig.clients[1]
            .wallet
            .may_fulfil(&lock, &PREIMAGE, Height::new(rig.height));
        rig.batch(vec![block, fulfil]);
        if taken {
            assert!(allowed.is_ok());
            assert_eq!((rig.refusal(), rig.view(1).sums.firm_credit), (None, sat(500)));
        } else {
            assert_eq!(rig.refusal(), Some(RefuseReason::TooLate));
            assert!(matches!(allowed, Err(InLockError::TooLate { .. })), "{allowed:?}");
        }
    }
}

#[test]
fn an_expired_lock_leaves_both_sides_above_its_expiry_and_never_at_it() {
    let mut rig = Rig::new(2);
    offered(&mut rig, &[500]);
    let block = rig.mine(50);
    let refresh = Input::Refresh(rig.clients[1].id);
    rig.batch(vec![block, refresh]);
    assert_eq!(rig.view(1).sums.in_locks, sat(500), "the expiry itself still counts");
    let block = rig.mine(1);
    let refreshes = [1, 0].map(|n| Input::Refresh(rig.clients[n].id));
    rig.batch([vec![block], refreshes.to_vec()].concat());
    assert_eq!(rig.view(1).sums.in_locks, Amount::ZERO);
    let drop = rig.pay(0, &[]);
    rig.batch(vec![drop]);
    assert_eq!(rig.refusal(), None);
    assert_eq!(rig.view(0).client_balance, sat(CAPACITY / 2));
    rig.replay();
}

#[test]
fn a_reveal_on_the_ledger_meets_every_lock_on_its_hash_up_to_the_expiry() {
    for (blocks, met) in [(50, true), (51, false)] {
        let mut rig = Rig::new(3);
        let locks = offered(&mut rig, &[500, 20]);
        let other = rig.hash_lock(2, 30, &[9; 32]);
        let pay = rig.pay(0, &[other]);
        rig.batch(vec![pay]);
        let height = rig.height + blocks;
        let Input::Block(mut block) = rig.mine(blocks + 3) else {
            unreachable!()
        };
        // The batch takes it only with a later block: what counts is the block that holds it.
        block.revealed = vec![Reveal {
            height: Height::new(height),
            preimage: PREIMAGE,
        }];
        let refreshes = [1, 0].map(|n| Input::Refresh(rig.clients[n].id));
        rig.batch([vec![Input::Block(block)], refreshes.to_vec()].concat());
        let credited = if met { sat(520) } else { Amount::ZERO };
        assert_eq!(
            (rig.view(1).sums.firm_credit, rig.view(1).sums.in_locks),
            (credited, Amount::ZERO)
        );
        let expected = if met {
            LockStatus::Fulfilled(PREIMAGE)
        } else {
            LockStatus::Pending
        };
        assert!(locks.iter().all(|&lock| status(&rig, 0, lock) == expected));
        let drop = force_drop(&mut rig, 0);
        rig.batch(vec![drop]);
        let refused = met.then_some(RefuseReason::NotDroppable);
        assert_eq!(rig.refusal(), refused, "a met lock is owed, whatever the height");
        rig.replay();
    }
}

/// The hub puts a block in front of what clients send. A caller who does not is told what holds of a shown preimage: the lock
/// was not there yet.
#[test]
fn a_reveal_behind_the_state_meets_no_lock_of_its_own_batch() {
    let mut rig = Rig::new(2);
    let lock = rig.hash_lock(1, 500, &PREIMAGE);
    let pay = rig.pay(0, &[lock]);
    let Input::Block(mut block) = rig.mine(1) else {
        unreachable!()
    };
    block.revealed = vec![Reveal {
        height: block.height,
        preimage: PREIMAGE,
    }];
    rig.batch(vec![pay, Input::Block(block.clone())]);
    assert_eq!(rig.view(1).sums.in_locks, sat(500));
    let id = rig.view(0).locks[0].id;
    assert_eq!(status(&rig, 0, id), LockStatus::Pending);
    // The same block once more, in a later batch.
    rig.batch(vec![Input::Block(block)]);
    assert_eq!(status(&rig, 0, id), LockStatus::Fulfilled(PREIMAGE));
    assert_eq!(rig.view(1).sums.firm_credit, sat(500));
    rig.replay();
}

#[test]
fn limits_of_slots_and_shares_hold() {
    let mut rig = Rig::new(6);
    // One payer holds its share, four fill the slots.
    for payer in [0, 2, 3, 4] {
        let locks: Vec<Lock> = (0..16).map(|_| rig.hash_lock(1, 1, &PREIMAGE)).collect();
        let pay = rig.pay(payer, &locks);
        rig.batch(vec![pay]);
        let more = rig.hash_lock(1, 1, &PREIMAGE);
        let pay = rig.pay(payer, &[more]);
        rig.batch(vec![pay]);
        let reason = if payer == 4 {
            FailReason::PayeeLocksFull
        } else {
            FailReason::PayerLimit
        };
        let last = rig.view(payer).locks[16];
        assert_eq!(last.outcome, OpOutcome::Failed(reason));
    }
    let more = rig.hash_lock(1, 1, &PREIMAGE);
    let pay = rig.pay(5, &[more]);
    rig.batch(vec![pay]);
    let last = rig.view(5).locks[0];
    assert_eq!(last.outcome, OpOutcome::Failed(FailReason::PayeeLocksFull));
    // An ack lock needs no slot, and a free slot is used again.
    let ack = rig.lock(1, 5);
    let (pay, freed) = (rig.pay(5, &[ack]), rig.view(1).in_locks[17]);
    let fulfil = rig.fulfil(1, freed.lock.lock, PREIMAGE);
    rig.batch(vec![pay, fulfil]);
    let again = rig.hash_lock(1, 1, &PREIMAGE);
    let pay = rig.pay(5, &[again]);
    rig.batch(vec![pay]);
    let found = rig.view(1).in_locks[17];
    assert_eq!((found.slot, found.payer), (freed.slot, 5));
    rig.replay();
}

#[test]
fn each_failure_of_a_hash_lock_has_its_reason() {
    let mut rig = Rig::new(2);
    let base = rig.hash_lock(1, 5, &PREIMAGE);
    let near = Height::new(rig.height + 3 * MARGIN);
    let cases = [
        (Lock { expiry: near, ..base }, None),
        (
            Lock {
                expiry: Height::new(near.get() - 1),
                ..base
            },
            Some(FailReason::ExpiryTooNear),
        ),
        (
            Lock {
                expiry: Height::new(rig.height + 101),
                ..base
            },
            Some(FailReason::ExpiryTooFar),
        ),
        (
            Lock {
                amount: sat(CAPACITY / 2),
                ..base
            },
            Some(FailReason::NoInboundCapacity),
        ),
    ];
    for (n, (mut lock, reason)) in (1_u8..).zip(cases) {
        lock.payment_id = tidegate_types::PaymentId::from_bytes([n; 16]);
        let pay = if reason == Some(FailReason::NoInboundCapacity) {
            // More than the payer has would be refused: client 1 is shown another's money.
            lock.amount = sat(CAPACITY / 2 - 999);
            let slot = rig.clients[0].wallet.client().free_slot().expect("a free slot");
            let ack = rig.clients[0].wallet.hub().reference();
            let mut probe = rig.clients[0].wallet.clone();
            let (state, operations) = probe
                .propose(vec![Operation::Add { slot, lock }], ack)
                .expect("a state");
            let pay = rig.sign(0, state, operations);
            rig.batch(vec![pay]);
            assert_eq!(rig.refusal(), Some(RefuseReason::InsufficientBalance));
            continue;
        } else {
            rig.pay(0, &[lock])
        };
        rig.batch(vec![pay]);
        let outcome = rig.view(0).locks.last().expect("an open lock").outcome;
        assert_eq!(outcome, reason.map_or(OpOutcome::Pending, OpOutcome::Failed));
    }
    let none = Policy {
        max_in_locks: 0,
        max_in_locks_per_payer: 0,
        ..policy()
    };
    rig.batch(vec![Input::Policy(none)]);
    let lock = rig.hash_lock(1, 5, &PREIMAGE);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let outcome = rig.view(0).locks.last().expect("an open lock").outcome;
    assert_eq!(outcome, OpOutcome::Failed(FailReason::ConditionNotOffered));
}

#[test]
fn an_in_lock_takes_the_hubs_room() {
    let mut rig = Rig::new(3);
    let big = rig.hash_lock(1, CAPACITY / 2 - 1_500, &PREIMAGE);
    let small = rig.lock(1, 600);
    let (first, second) = (rig.pay(0, &[big]), rig.pay(2, &[small]));
    rig.batch(vec![first, second]);
    assert_eq!(
        rig.view(2).locks[0].outcome,
        OpOutcome::Failed(FailReason::NoInboundCapacity)
    );
    let again = rig.lock(1, 600);
    let pay = rig.pay(2, &[again]);
    rig.batch(vec![pay]);
    let outcome = rig.view(2).locks.last().expect("a lock").outcome;
    assert_eq!(
        outcome,
        OpOutcome::Failed(FailReason::NoInboundCapacity),
        "in later batches too"
    );
}

/// What a payee refuses to believe, from a hub that bends one thing of an honest leaf.
#[test]
fn a_payee_believes_no_leaf_that_takes_an_in_lock_from_it() {
    let mut rig = Rig::new(2);
    offered(&mut rig, &[500]);
    let before = rig.clients[1].wallet.clone();
    let block = rig.mine(51);
    let refresh = Input::Refresh(rig.clients[1].id);
    rig.batch(vec![block, refresh]);
    let leaf = rig.out.leaves()[0].clone();
    assert_eq!(leaf.in_changes[0].kind, InChangeKind::Expired);
    let judge = |mut wallet: tidegate_channel::wallet::Wallet, private: &_, in_changes: &_| {
        let view = LeafView {
            private,
            public: &leaf.public,
            credits: &[],
            outcomes: Some(&[]),
            in_changes,
        };
        wallet.accept(view).map(|_| ())
    };
    assert_eq!(judge(before.clone(), &leaf.private, &leaf.in_changes), Ok(()));
    let lock = leaf.in_changes[0].lock.lock;
    let dropped = Err(LeafFault::InLockDropped { lock });
    // At the expiry, or as a release that nobody has signed, or after the preimage stands on the ledger.
    let mut early = leaf.private;
    early.height = Height::new(rig.height - 1);
    assert_eq!(judge(before.clone(), &early, &leaf.in_changes), dropped);
    let mut released = leaf.in_changes.clone();
    released[0].kind = InChangeKind::Released;
    assert_eq!(judge(before.clone(), &leaf.private, &released), dropped);
    let mut revealed = before.clone();
    revealed.note_revealed(&lock);
    assert_eq!(revealed.hub().in_locks()[0].mark, InMark::Revealed);
    assert_eq!(judge(revealed, &leaf.private, &leaf.in_changes), dropped);
    // Without a word, with another sum, or as a payment that adds nothing to K.
    let wrong = Err(LeafFault::WrongInLocks);
    assert_eq!(judge(before.clone(), &leaf.private, &Vec::new()), wrong);
    let mut sum = leaf.private;
    sum.in_locks_sum = sat(1);
    assert_eq!(judge(before.clone(), &sum, &leaf.in_changes), wrong);
    let mut paid = leaf.in_changes.clone();
    paid[0].kind = InChangeKind::Fulfilled;
    assert_eq!(judge(before, &leaf.private, &paid), Err(LeafFault::WrongFirmCredit));
}

#[test]
fn a_payer_believes_no_preimage_that_does_not_meet_its_hash() {
    let mut rig = Rig::new(2);
    let [lock] = offered(&mut rig, &[500])[..] else {
        unreachable!()
    };
    let mut before = rig.clients[0].wallet.clone();
    let fulfil = rig.fulfil(1, lock, PREIMAGE);
    rig.batch(vec![fulfil]);
    let leaf = rig
        .out
        .leaves()
        .iter()
        .find(|leaf| leaf.private.channel == rig.clients[0].id)
        .expect("the payer's leaf")
        .clone();
    let mut outcomes = leaf.outcomes.clone();
    outcomes[0].preimage[31] ^= 1;
    let view = LeafView {
        private: &leaf.private,
        public: &leaf.public,
        credits: &[],
        outcomes: Some(&outcomes),
        in_changes: &[],
    };
    assert_eq!(before.accept(view), Err(LeafFault::WrongPreimage { lock }));
    assert!(!before.prove_preimage(&lock, &[0; 32]));
    assert!(before.prove_preimage(&lock, &PREIMAGE));
}

#[test]
fn a_frozen_channel_makes_no_leaf_and_takes_no_state_and_its_locks_are_the_ledgers() {
    let mut rig = Rig::new(3);
    let locks = offered(&mut rig, &[500]);
    let credit = rig.lock(1, 40);
    let pay = rig.pay(2, &[credit]);
    rig.batch(vec![pay]);
    let (leaf, value) = (rig.view(1).leaf, rig.engine.value());
    let (ack, refresh, close) = (rig.ack(1), Input::Refresh(rig.clients[1].id), rig.close(1, 10));
    let freeze = Input::Freeze(rig.clients[1].id);
    rig.batch(vec![freeze.clone()]);
    assert_eq!((rig.out.leaves().len(), rig.view(1).status), (0, "DISPUTED"));
    // Whatever comes, in this batch and later ones, makes no leaf above the one that stands.
    let fulfil = rig.fulfil(1, locks[0], PREIMAGE);
    let state = rig.pay(1, &[]);
    for input in [ack, refresh, close, fulfil, state, freeze] {
        rig.batch(vec![input]);
        assert_eq!(rig.refusal(), Some(RefuseReason::Closing));
    }
    let more = [rig.lock(1, 1), rig.hash_lock(1, 1, &PREIMAGE)];
    let pay = rig.pay(0, &more);
    let Input::Block(mut block) = rig.mine(51) else {
        unreachable!()
    };
    block.revealed = vec![Reveal {
        height: Height::new(rig.height - 1),
        preimage: PREIMAGE,
    }];
    rig.batch(vec![pay, Input::Block(block)]);
    let outcomes: Vec<_> = rig.view(0).locks.iter().map(|lock| lock.outcome).collect();
    let closing = OpOutcome::Failed(FailReason::PayeeClosing);
    assert_eq!(
        outcomes,
        [OpOutcome::Delivered, closing, closing],
        "the reveal meets the payer's lock"
    );
    assert_eq!((rig.view(1).leaf, rig.engine.value()), (leaf, value));
    assert_eq!(
        rig.view(1).sums.in_locks,
        sat(500),
        "the ledger pays it, by its record of the reveal"
    );
    rig.replay();
}
