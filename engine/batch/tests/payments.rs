//! Payments between a few channels, judged by the wallets of both ends.

mod rig;

use rig::{CAPACITY, Rig, sat};
use tidegate_batch::{Engine, Input, PayInput, Screen};
use tidegate_channel::{ClientState, FailReason, LeafKind, OpOutcome, Operation, RefuseReason, encode_operations};
use tidegate_types::{Amount, Fixed, Height, LockSlot};

#[test]
fn a_payment_is_delivered_acknowledged_and_settled() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 500);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    assert_eq!(rig.view(1).sums.unfirm_credit, sat(500));
    assert_eq!(rig.view(1).sums.firm_credit, Amount::ZERO, "not firm before the ack");
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    assert_eq!(
        (rig.view(1).sums.firm_credit, rig.view(1).sums.unfirm_credit),
        (sat(500), Amount::ZERO)
    );
    let settle = rig.pay(0, &[]);
    rig.batch(vec![settle]);
    let payer = rig.view(0);
    assert_eq!((payer.sums.debit, payer.sums.out_locks), (sat(500), Amount::ZERO));
    assert_eq!(payer.client_balance, sat(CAPACITY / 2 - 500));
    assert!(payer.locks.is_empty());
}

#[test]
fn a_proof_of_payment_leads_from_the_lock_to_the_ack() {
    let mut rig = Rig::new(3);
    let locks = [rig.lock(2, 10), rig.lock(2, 20)];
    let (first, second) = (rig.pay(0, &locks[..1]), rig.pay(1, &locks[1..]));
    rig.batch(vec![first, second]);
    let id = rig.view(0).locks[0].id;
    let payer = rig.engine.channel(&rig.clients[0].id).expect("open");
    assert!(rig.engine.payment_proof(payer, &id).is_none(), "no ack yet");
    for _ in 0..3 {
        let lock = rig.lock(2, 1);
        let pay = rig.pay(1, &[lock]);
        rig.batch(vec![pay]);
    }
    let ack = rig.ack(2);
    rig.batch(vec![ack]);
    let proof = rig.engine.payment_proof(payer, &id).expect("acknowledged");
    assert_eq!(proof.links.len(), 4);
    assert!(
        proof
            .ack
            .verify(&rig.ledger, &rig.clients[2].key.public(), &proof.signature)
            .is_valid()
    );
    // Each link is the one that the next names, and the last is the acknowledged one.
    let digest = |link: &tidegate_batch::ProofLink| tidegate_channel::leaf_digest(&link.private, &link.public.digest());
    for pair in proof.links.windows(2) {
        assert_eq!(pair[1].public.previous, digest(&pair[0]));
    }
    assert_eq!(digest(proof.links.last().expect("four links")), proof.ack.leaf.digest);
    let opening = tidegate_channel::opening_leaf(rig.clients[2].id);
    let opening = tidegate_channel::leaf_digest(&opening.0.digest(), &opening.1.digest());
    assert_eq!(
        proof.links[0].public.previous, opening,
        "the first leaf names the opening one"
    );
}

#[test]
fn one_state_pays_many_and_settles_in_a_later_batch_only() {
    let mut rig = Rig::new(3);
    let locks: Vec<_> = (0..16).map(|i| rig.lock(1 + i % 2, 10)).collect();
    let pay = rig.pay(0, &locks);
    rig.batch(vec![pay]);
    assert_eq!(rig.view(0).locks.len(), 16);
    assert_eq!(rig.view(1).sums.unfirm_credit, sat(80));

    let lock = rig.lock(1, 7);
    let slot = LockSlot::new(40).expect("below 64");
    let reference = rig.clients[0].wallet.client().state().ack;
    let wallet = &mut rig.clients[0].wallet;
    let (one, ops_one) = wallet
        .propose(vec![Operation::Add { slot, lock }], reference)
        .expect("a free slot");
    let (two, ops_two) = wallet
        .propose(vec![Operation::Settle { slot }], reference)
        .expect("an open slot");
    let (one, two) = (rig.sign(0, one, ops_one), rig.sign(0, two, ops_two));
    rig.batch(vec![one, two]);
    assert_eq!(
        rig.refusal(),
        Some(RefuseReason::BadOperation),
        "added in the same batch"
    );
}

#[test]
fn credits_of_a_batch_are_not_spendable_and_room_is_counted_from_its_start() {
    let mut rig = Rig::new(3);
    // The hub has half of channel 1, less its reserve: the second payment finds no room, though channel 1 pays meanwhile.
    let (big, small) = (rig.lock(1, CAPACITY / 2 - 1_500), rig.lock(1, 600));
    let back = rig.lock(2, 600);
    let settle_first = rig.lock(2, 100);
    let first = rig.pay(1, &[settle_first]);
    rig.batch(vec![first]);
    let (pay_big, pay_small, pay_back) = (rig.pay(0, &[big]), rig.pay(2, &[small]), rig.pay(1, &[back]));
    rig.batch(vec![pay_back, pay_big, pay_small]);
    assert_eq!(
        rig.view(2).locks[0].outcome,
        OpOutcome::Failed(FailReason::NoInboundCapacity)
    );
    // The failed lock does not break what follows, and is dropped.
    let drop = rig.pay(2, &[]);
    rig.batch(vec![drop]);
    assert!(rig.view(2).locks.is_empty());
    assert_eq!(rig.view(2).sums.debit, Amount::ZERO);
}

#[test]
fn a_payee_cannot_spend_what_it_has_not_acknowledged() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 400_000);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let own = CAPACITY / 2 - 1_000;
    let back = rig.lock(0, own + 1);
    let height = Height::new(rig.height);
    assert!(
        rig.clients[1].wallet.pay(&[back], height).is_err(),
        "the wallet refuses"
    );
    // A wallet that does not care is refused by the hub.
    let ack = rig.clients[1].wallet.ack_to_name(height);
    let slot = LockSlot::new(0).expect("slot 0");
    let (state, operations) = rig.clients[1]
        .wallet
        .propose(vec![Operation::Add { slot, lock: back }], ack)
        .expect("a free slot");
    let forced = rig.sign(1, state, operations);
    rig.batch(vec![forced]);
    assert_eq!(rig.refusal(), Some(RefuseReason::InsufficientBalance));
}

#[test]
fn counters_and_ids_are_idempotent() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 5);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay.clone()]);
    let root = rig.engine.state_root();
    rig.batch(vec![pay.clone()]);
    assert_eq!(
        (rig.out.refusals.len(), rig.refusal()),
        (1, None),
        "its stored answer stands"
    );
    assert_eq!(rig.engine.state_root(), root);
    let Input::Pay(known) = &pay else { unreachable!() };
    let other = ClientState {
        debit: sat(1),
        ..known.state
    };
    rig.batch(vec![Input::Pay(PayInput {
        state: other,
        ..known.clone()
    })]);
    assert_eq!(rig.refusal(), Some(RefuseReason::Conflict));

    // The same id again: while open, after the settle, and with other content.
    let again = rig.pay(0, &[lock]);
    rig.batch(vec![again]);
    assert_eq!(
        rig.refusal(),
        Some(RefuseReason::Duplicate),
        "once settled by the same state"
    );
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 5);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let more = tidegate_channel::Lock { amount: sat(6), ..lock };
    let again = rig.pay(0, &[more]);
    rig.batch(vec![again]);
    assert_eq!(rig.refusal(), Some(RefuseReason::Conflict));
}

/// Sixteen payments a state are more closed ones than are looked through one by one.
#[test]
fn a_busy_payers_closed_ids_are_known_as_long_as_anyones() {
    let mut rig = Rig::new(2);
    let mut paid: Vec<Vec<tidegate_channel::Lock>> = Vec::new();
    for round in 0..150 {
        let locks: Vec<_> = (0..16).map(|_| rig.lock(1, 1)).collect();
        let pay = rig.pay(0, &locks);
        rig.batch(vec![pay]);
        assert_eq!(rig.refusal(), None);
        let ack = rig.ack(1);
        rig.batch(vec![ack]);
        paid.push(locks);
        if round % 15 != 0 {
            continue;
        }
        // A payment is closed by the state after the one that added it, and known for 64 states more.
        for age in [1, 2, 10, 30, 63, 64] {
            let Some(&lock) = paid.len().checked_sub(1 + age).map(|at| &paid[at][round % 16]) else {
                continue;
            };
            let wallet = rig.clients[0].wallet.clone();
            let again = rig.pay(0, &[lock]);
            rig.batch(vec![again]);
            assert_eq!(
                rig.refusal(),
                Some(RefuseReason::Duplicate),
                "round {round}, {age} states ago"
            );
            rig.clients[0].wallet = wallet;
        }
    }
    // The engine that has just been opened knows them too, and the one that reads its log.
    rig.replay();
}

#[test]
fn states_that_are_not_what_they_say_change_nothing() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 5);
    let Input::Pay(good) = rig.pay(0, &[lock]) else {
        unreachable!()
    };
    let root = rig.engine.state_root();
    let bends: [fn(&mut ClientState); 6] = [
        |s| s.debit = sat(1),
        |s| s.locks_sum = sat(4),
        |s| s.locks_root = tidegate_types::Digest::ZERO,
        |s| s.operations = tidegate_types::Digest::ZERO,
        |s| s.ack.digest = tidegate_types::Digest::ZERO,
        |s| s.ack.counter = tidegate_types::HubCounter::new(1),
    ];
    for bend in bends {
        let mut state = good.state;
        bend(&mut state);
        rig.batch(vec![Input::Pay(PayInput { state, ..good.clone() })]);
        let reason = rig.refusal().expect("refused");
        assert!(
            matches!(reason, RefuseReason::WrongState | RefuseReason::UnknownLeaf),
            "{reason:?}"
        );
        assert_eq!(rig.engine.state_root(), root, "a refusal changes nothing");
    }
    rig.batch(vec![Input::Pay(good)]);
    assert_eq!(rig.refusal(), None);
}

#[test]
fn each_failure_has_its_reason() {
    let mut rig = Rig::new(2);
    let base = rig.lock(1, 5);
    let stranger = rig.clients[0].key.public().bytes();
    let cases = [
        (
            tidegate_channel::Lock {
                payee: stranger,
                ..base
            },
            FailReason::UnknownPayee,
        ),
        (
            tidegate_channel::Lock {
                payee_channel: tidegate_types::ChannelId::ZERO,
                ..base
            },
            FailReason::UnknownPayee,
        ),
        (
            tidegate_channel::Lock {
                expiry: Height::new(rig.height + 7),
                ..base
            },
            FailReason::ExpiryTooNear,
        ),
        (
            tidegate_channel::Lock {
                expiry: Height::new(rig.height + 101),
                ..base
            },
            FailReason::ExpiryTooFar,
        ),
        (
            tidegate_channel::Lock {
                amount: Amount::ZERO,
                ..base
            },
            FailReason::AmountTooSmall,
        ),
        (
            tidegate_channel::Lock {
                payee: stranger,
                payee_channel: rig.clients[0].id,
                ..base
            },
            FailReason::SelfPayment,
        ),
    ];
    for (n, (mut lock, reason)) in cases.into_iter().enumerate() {
        lock.payment_id = tidegate_types::PaymentId::from_bytes([0x40 + u8::try_from(n).expect("few"); 16]);
        let pay = rig.pay(0, &[lock]);
        rig.batch(vec![pay]);
        let locks = rig.view(0).locks;
        assert_eq!(
            locks.len(),
            1,
            "the failed lock before this one is dropped by this state"
        );
        assert_eq!(locks[0].outcome, OpOutcome::Failed(reason));
    }
}

#[test]
fn silence_stops_credits_and_an_ack_heals_it() {
    let mut rig = Rig::new(2);
    for _ in 0..64 {
        let lock = rig.lock(1, 1);
        let pay = rig.pay(0, &[lock]);
        rig.batch(vec![pay]);
    }
    let lock = rig.lock(1, 1);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let failed = rig.view(0).locks.last().expect("an open lock").outcome;
    assert_eq!(failed, OpOutcome::Failed(FailReason::PayeeSilent));
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    assert_eq!(rig.view(1).sums.firm_credit, sat(64));
    let lock = rig.lock(1, 1);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    assert_eq!(rig.view(1).sums.unfirm_credit, sat(1));
}

#[test]
fn an_unacknowledged_credit_is_void_after_its_expiry_and_the_payer_takes_it_back() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let block = rig.mine(51);
    rig.batch(vec![block]);
    // The payee is too late, and its wallet knows.
    assert!(rig.clients[1].wallet.ack(Height::new(rig.height)).is_none());
    let refresh = Input::Refresh(rig.clients[1].id);
    rig.batch(vec![refresh]);
    assert_eq!(
        (rig.view(1).sums.unfirm_credit, rig.view(1).sums.firm_credit),
        (Amount::ZERO, Amount::ZERO)
    );
    // The payer needs a leaf above the expiry to judge the drop by.
    let refresh = Input::Refresh(rig.clients[0].id);
    rig.batch(vec![refresh]);
    let ack = rig.clients[0].wallet.ack_to_name(Height::new(rig.height));
    let slot = rig.clients[0].wallet.client().locks()[0].slot;
    let (state, operations) = rig.clients[0]
        .wallet
        .propose(vec![Operation::Drop { slot }], ack)
        .expect("an open lock");
    let drop = rig.sign(0, state, operations);
    rig.batch(vec![drop]);
    assert_eq!(rig.refusal(), None);
    assert_eq!(rig.view(0).client_balance, sat(CAPACITY / 2));
}

#[test]
fn an_acknowledged_credit_is_owed_even_after_its_expiry() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let block = rig.mine(51);
    let refresh = Input::Refresh(rig.clients[0].id);
    rig.batch(vec![block, refresh]);
    let ack = rig.clients[0].wallet.ack_to_name(Height::new(rig.height));
    let slot = rig.clients[0].wallet.client().locks()[0].slot;
    let (state, operations) = rig.clients[0]
        .wallet
        .propose(vec![Operation::Drop { slot }], ack)
        .expect("an open lock");
    let drop = rig.sign(0, state, operations);
    rig.batch(vec![drop]);
    assert_eq!(rig.refusal(), Some(RefuseReason::NotDroppable));
}

#[test]
fn a_close_needs_an_empty_channel_and_freezes_it() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let early = rig.close(0, 10);
    rig.batch(vec![early]);
    assert_eq!(rig.refusal(), Some(RefuseReason::BadOperation), "a lock is open");
    let (ack, settle) = (rig.ack(1), rig.pay(0, &[]));
    rig.batch(vec![ack, settle]);
    let (first, second) = (rig.close(0, 10), rig.close(1, 10));
    rig.batch(vec![first, second]);
    let finals: Vec<_> = rig
        .out
        .leaves()
        .iter()
        .map(|leaf| (leaf.private.kind, leaf.terms.expect("final terms")))
        .collect();
    assert!(finals.iter().all(|(kind, _)| *kind == LeafKind::Final));
    assert_eq!(finals[0].1.client_payout, sat(CAPACITY / 2 - 300 - 10));
    assert_eq!(finals[1].1.client_payout, sat(CAPACITY / 2 + 300 - 10));
    for (_, terms) in &finals {
        let paid = terms.client_payout.to_sat() + terms.hub_payout.to_sat() + terms.fee.to_sat();
        assert_eq!(paid, CAPACITY);
    }
    let slot = rig.engine.channel(&rig.clients[0].id).expect("known");
    assert_eq!(rig.engine.final_terms(slot), Some(finals[0].1));
    let again = rig.close(0, 10);
    rig.batch(vec![again]);
    assert_eq!(rig.refusal(), Some(RefuseReason::Closing));
}

#[test]
fn a_reopened_engine_and_a_replay_meet_the_same_state() {
    let mut rig = Rig::new(4);
    for round in 0..40_usize {
        let (payer, payee) = (round % 4, (round * 3 + 1) % 4);
        let lock = rig.lock(payee, 10);
        let pay = rig.pay(payer, &[lock]);
        let mut inputs = vec![pay];
        if round % 7 == 0 && rig.clients[payee].wallet.hub().unacked_count() > 0 {
            inputs.push(rig.ack(payee));
        }
        if round % 11 == 0 {
            inputs.insert(0, rig.mine(1));
        }
        rig.batch(inputs);
    }
    let root = rig.engine.state_root();
    let newest = rig.engine.opened();
    let again = Engine::open(rig.engine.store().clone()).expect("a used store");
    assert_eq!((again.state_root(), again.opened()), (root, newest));

    rig.replay();
    let (held, logged) = (
        rig.log.last().expect("40 batches"),
        rig.log.iter().map(Vec::len).sum::<usize>(),
    );
    assert!(
        !held.is_empty() && logged < 40 * 150,
        "{logged} bytes for 40 payments and some acks"
    );
}

#[test]
fn a_first_look_agrees_with_the_verdict() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 5);
    let pay = rig.pay(0, &[lock]);
    let Input::Pay(inner) = pay.clone() else { unreachable!() };
    let slot = rig.engine.channel(&inner.state.channel).expect("open");
    assert_eq!(rig.engine.screen(slot, &inner), Screen::Verify);
    rig.batch(vec![pay]);
    assert_eq!(rig.engine.screen(slot, &inner), Screen::Known);
    assert_eq!(
        PayInput::decode(&{
            let mut bytes = inner.state.to_vec();
            inner.signature.append_to(&mut bytes);
            encode_operations(&inner.operations, &mut bytes);
            bytes
        }),
        Ok(inner)
    );
}

#[test]
fn a_lock_of_nothing_is_open_too() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 0);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    assert_eq!(rig.refusal(), None, "the state is good, its lock failed");
    let close = rig.close(0, 10);
    rig.batch(vec![close]);
    assert_eq!(rig.refusal(), Some(RefuseReason::BadOperation));
}
