//! Traces 5, 22 and 24: credits that their payees do not acknowledge are nobody's loss, nobody's money, and hold no room for ever.

use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Ack, Condition, FailReason, Lock, Operation, RefuseReason};
use tidegate_types::{Amount, Height, LockSlot, PaymentId};
use tidegate_wire::messages::{AckProofQuery, Refresh};
use tidegate_wire::{ErrorCode, ToClient};

use crate::rig::closes::own;
use crate::rig::{open, payment, sat};
use crate::support::{Answer, CLOSING, FUNDS, OPENING, World, ack, ask, bring, close, funds, last_expiry, next_state};

/// Trace 5: payer and payees are one. All are credited, none acknowledges in time, and the payer takes back what has expired.
#[test]
fn payees_that_never_acknowledge_cost_the_hub_nothing() {
    let mut world = World::new(3);
    let (mut a, mut b, mut c) = (world.client(0), world.client(1), world.client(2));
    let (from, to) = (open(&mut a, 1_500_000), [open(&mut b, 500_000), open(&mut c, 500_000)]);
    for (payee, channel) in [(&b, to[0]), (&c, to[1])] {
        let paid = a.pay(&from, &[payment(payee.key(), channel, 400_000)]).expect("paid");
        assert_eq!(paid[0].status, LockStatus::Delivered);
    }
    // Bob has his leaf, and does not say so. Past the last height for that he is credited no more.
    let mut raw = world.raw(1);
    let leaf = ask(&mut raw, &Refresh { channel: to[0] }).leaf();
    assert_eq!(leaf.unfirm_credit, sat(400_000));
    world.until(leaf.ack_by.get() + 1);
    a.sync(&from).expect("in date");
    let more = a.pay(&from, &[payment(b.key(), to[0], 1_000)]).expect("answered");
    assert_eq!(more[0].failure(), Some(FailReason::PayeeSilent));
    // Nor does he have it by saying so too late.
    let word = Ack {
        channel: to[0],
        leaf: world
            .silent(1, to[0])
            .get(&to[0])
            .expect("held")
            .wallet()
            .hub()
            .reference(),
    };
    let late = ack(&mut raw, &world.signer(1), word);
    assert!(matches!(late, Answer::Error(ErrorCode::AckRefused, _)), "{late:?}");
    world.until(last_expiry(&a, &from) + 1);
    a.sync(&from).expect("in date");
    assert_eq!(a.settle(&from).expect("taken back"), 0, "all of it");
    assert_eq!(own(&a, &from).wallet().sums().debit, Amount::ZERO);
    drop(raw);
    for (client, channel) in [(&mut b, to[0]), (&mut c, to[1]), (&mut a, from)] {
        close(client, &channel);
        let sums = own(client, &channel).wallet().sums();
        assert_eq!((sums.firm_credit, sums.unfirm_credit), (Amount::ZERO, Amount::ZERO));
        assert_eq!(funds(client), FUNDS - OPENING - CLOSING);
    }
    drop((a, b, c));
    world.ends_with(0);
}

/// Trace 22: what waits for an ack is not spent, and is once it is firm.
#[test]
fn a_credit_that_is_not_firm_is_not_spent() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    let alice = a.key();
    a.pay(&from, &[payment(b.key(), to, 70_000)]).expect("paid");
    let channels = world.silent(1, to);
    let bob = channels.get(&to).expect("held");
    assert_eq!(bob.wallet().sums().unfirm_credit, sat(70_000));
    // More than Bob has without it, less than he has with it; his state names the leaf that credits him.
    let lock = Lock {
        payment_id: PaymentId::from_bytes([3; 16]),
        amount: sat(150_000),
        fee: sat(100),
        payee: alice,
        payee_channel: from,
        expiry: Height::new(world.height() + 100),
        condition: Condition::Ack,
    };
    let add = [Operation::Add {
        slot: LockSlot::new(0).expect("the first"),
        lock,
    }];
    let (mut raw, signer) = (world.raw(1), world.signer(1));
    let spends = next_state(bob, &add, bob.wallet().hub().reference());
    let refused = bring(&mut raw, &signer, &spends, &add);
    assert_eq!(refused, Answer::Refused(RefuseReason::InsufficientBalance));
    // Firm, and named as firm, it is his to spend.
    let word = Ack {
        channel: to,
        leaf: bob.wallet().hub().reference(),
    };
    assert_eq!(ack(&mut raw, &signer, word).leaf().firm_credit, sat(70_000));
    assert_eq!(
        bring(&mut raw, &signer, &spends, &add),
        Answer::Refused(RefuseReason::InsufficientBalance)
    );
    let channels = world.silent(1, to);
    let bob = channels.get(&to).expect("held");
    let spends = next_state(bob, &add, bob.wallet().hub().reference());
    bring(&mut raw, &signer, &spends, &add).leaf();
    drop((raw, b));

    let mut b = world.client(1);
    b.recover(&to).expect("taken up");
    a.sync(&from).expect("in date, and acknowledged");
    assert_eq!(a.settle(&from).expect("settled"), 0);
    assert_eq!(b.settle(&to).expect("settled"), 0);
    close(&mut a, &from);
    close(&mut b, &to);
    assert_eq!(funds(&mut a), FUNDS - OPENING - 70_008 + 150_000 - CLOSING);
    assert_eq!(funds(&mut b), FUNDS - OPENING + 70_000 - 150_100 - CLOSING);
    drop((a, b));
    world.ends_with(8 + 100);
}

/// Trace 24: what is void is out of every sum. Its room is free again, it has no proof though a later ack covers its leaf, and its
/// payer does not owe it.
#[test]
fn a_void_credit_is_in_no_sum_and_holds_no_room() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_900_000), open(&mut b, 1_200_000));
    // The hub has 800 000 in Bob's channel.
    let large = payment(b.key(), to, 700_000);
    let void = a.pay(&from, &[large]).expect("paid")[0];
    assert_eq!(void.status, LockStatus::Delivered);
    let full = a.pay(&from, &[payment(b.key(), to, 200_000)]).expect("answered");
    assert_eq!(full[0].failure(), Some(FailReason::NoInboundCapacity));
    let expiry = last_expiry(&a, &from);
    world.until(expiry + 1);
    a.sync(&from).expect("in date");
    let again = a.pay(&from, &[large]).expect("paid")[0];
    assert_eq!(again.status, LockStatus::Delivered, "the room is free again");
    b.sync(&to).expect("in date, and acknowledged");
    b.sync(&to).expect("and firm");
    let sums = own(&b, &to).wallet().sums();
    assert_eq!((sums.firm_credit, sums.unfirm_credit), (sat(700_000), Amount::ZERO));
    let mut raw = world.raw(0);
    let mut proof = |lock| {
        let incoming = raw.request(&AckProofQuery { channel: from, lock }).expect("an answer");
        match incoming.message() {
            Ok(ToClient::AckProof(answer)) => answer.proof.is_some(),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!((proof(void.lock), proof(again.lock)), (false, true));
    drop(raw);
    assert_eq!(a.settle(&from).expect("settled, and taken back"), 0);
    assert_eq!(own(&a, &from).wallet().sums().debit, again.total);
    for (client, channel) in [(&mut a, from), (&mut b, to)] {
        close(client, &channel);
    }
    assert_eq!(funds(&mut a), FUNDS - OPENING - again.total.to_sat() - CLOSING);
    assert_eq!(funds(&mut b), FUNDS - OPENING + 700_000 - CLOSING);
    drop((a, b));
    world.ends_with(71);
}
