//! Amounts at their ends, and locks that look alike.

use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Condition, FailReason, Lock, Operation, RefuseReason};
use tidegate_types::{Amount, ChannelId, Height, KeyBytes, LockSlot, PaymentId};
use tidegate_wire::messages::Fulfill;

use crate::rig::closes::own;
use crate::rig::{by_hash, open, payment, sat};
use crate::support::{Answer, CLOSING, FUNDS, OPENING, World, ask, bring, close, funds, next_state};

/// Adds of these amounts and fees, each its own payment.
fn adds(payee: KeyBytes, channel: ChannelId, amounts: &[(Amount, Amount)]) -> Vec<Operation> {
    let add = |(at, (amount, fee)): (u8, &(Amount, Amount))| Operation::Add {
        slot: LockSlot::new(at).expect("few"),
        lock: Lock {
            payment_id: PaymentId::from_bytes([at + 1; 16]),
            amount: *amount,
            fee: *fee,
            payee,
            payee_channel: channel,
            expiry: Height::new(500),
            condition: Condition::Ack,
        },
    };
    (0..).zip(amounts).map(add).collect()
}

/// Nothing, dust, all there is, more than there is, and sums beyond every range: a state that cannot be is refused whole, a lock
/// that cannot be is failed.
#[test]
fn amounts_at_their_ends_neither_pay_nor_break_anything() {
    let world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.sync(&from).expect("in date");
    let (alice, channel) = (world.signer(0), own(&a, &from));
    let mut raw = world.raw(0);
    let (max, zero) = (Amount::MAX, Amount::ZERO);
    let (poor, wrong) = (RefuseReason::InsufficientBalance, RefuseReason::WrongState);
    let too_much = [
        (vec![(sat(1_499_001), zero)], poor),
        (vec![(zero, sat(1_499_001))], poor),
        (vec![(sat(1_000_000), zero), (sat(1_000_000), zero)], poor),
        // With what the channel holds beside it no sum of this ledger.
        (vec![(max, zero)], wrong),
        (vec![(zero, max)], wrong),
    ];
    for (amounts, reason) in too_much {
        let operations = adds(b.key(), to, &amounts);
        let state = next_state(&channel, &operations, channel.wallet().hub().reference());
        let refused = bring(&mut raw, &alice, &state, &operations);
        assert_eq!(refused, Answer::Refused(reason), "{amounts:?}");
    }
    // Sums that do not exist: the state says what they would wrap to, or nothing at all.
    let beyond = [
        vec![(max, max)],
        vec![(max, sat(1))],
        vec![(max, zero), (max, zero)],
        vec![(max, zero), (sat(1), zero)],
    ];
    for amounts in beyond {
        let operations = adds(b.key(), to, &amounts);
        let wrapped = amounts.iter().fold(0_u64, |sum, (amount, fee)| {
            sum.wrapping_add(amount.to_sat()).wrapping_add(fee.to_sat())
        });
        for sum in [zero, Amount::from_sat(wrapped).unwrap_or(max), max] {
            let mut state = next_state(&channel, &[], channel.wallet().hub().reference());
            let mut encoded = Vec::new();
            tidegate_channel::encode_operations(&operations, &mut encoded);
            state.operations = tidegate_channel::operations_digest(&encoded);
            state.locks_sum = sum;
            let refused = bring(&mut raw, &alice, &state, &operations);
            assert_eq!(refused, Answer::Refused(wrong), "{amounts:?}");
        }
    }
    drop(raw);
    a.recover(&from).expect("nothing has changed");
    let failed = |a: &mut tidegate_client::Client<_>, amount, fee: u64| {
        let paid = a.pay(
            &from,
            &[tidegate_client::Payment {
                fee: Some(sat(fee)),
                ..payment(b.key(), to, amount)
            }],
        );
        let failure = paid.expect("answered")[0].failure();
        a.settle(&from).expect("taken back");
        failure
    };
    assert_eq!(failed(&mut a, 0, 10), Some(FailReason::AmountTooSmall));
    assert_eq!(failed(&mut a, 1, 1), Some(FailReason::FeeTooLow));
    assert_eq!(failed(&mut a, 1_498_000, 1_000), None, "all there is");
    b.sync(&to).expect("in date, and acknowledged");
    assert_eq!(a.settle(&from).expect("settled"), 0);
    close(&mut a, &from);
    close(&mut b, &to);
    assert_eq!(funds(&mut a), FUNDS - OPENING - CLOSING - 1_499_000);
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 1_498_000);
    drop((a, b));
    world.ends_with(1_000);
}

/// Two locks of one hash and one amount are two: each is credited once, and paid once.
#[test]
fn two_locks_of_one_hash_and_one_amount_are_two() {
    let world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    let preimage = [6; 32];
    let offer = by_hash(payment(b.key(), to, 10_000), &preimage, 100);
    let offered = a.pay(&from, &[offer, offer]).expect("offered");
    assert!(
        offered.iter().all(|paid| paid.status == LockStatus::Pending),
        "{offered:?}"
    );
    assert_ne!(offered[0].lock, offered[1].lock);
    b.sync(&to).expect("in date, and acknowledged");
    assert_eq!(own(&b, &to).wallet().hub().in_locks().len(), 2);
    b.fulfil(&to, &offered[0].lock, &preimage).expect("credited");
    assert_eq!(own(&b, &to).wallet().sums().firm_credit, sat(10_000), "one of them");
    let mut raw = world.raw(1);
    let again = Fulfill {
        channel: to,
        lock: offered[0].lock,
        preimage,
    };
    assert!(matches!(ask(&mut raw, &again), Answer::Error(..)), "not twice");
    drop(raw);
    assert_eq!(a.settle(&from).expect("one is owed"), 1);
    assert_eq!(own(&a, &from).wallet().sums().debit, offered[0].total);
    b.sync(&to).expect("in date");
    b.fulfil(&to, &offered[1].lock, &preimage).expect("credited");
    assert_eq!(own(&b, &to).wallet().sums().firm_credit, sat(20_000), "and the other");
    assert_eq!(a.settle(&from).expect("both are"), 0);
    close(&mut a, &from);
    close(&mut b, &to);
    let paid = offered[0].total.to_sat() * 2;
    assert_eq!(funds(&mut a), FUNDS - OPENING - CLOSING - paid);
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 20_000);
    drop((a, b));
    world.ends_with(i64::try_from(paid - 20_000).expect("small"));
}
