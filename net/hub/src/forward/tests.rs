//! Every case of the decision, one by one.

use tidegate_batch::{ForwardEnd, Forwarded};
use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Condition, FailReason};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::{Age, Amount, ChannelId, Height, KeyBytes, LockId};

use super::decide::{Bounds, Memory, Outgoing, Plan, decide};
use super::payment_id;
use super::route::{Route, route_of};
use crate::keys::HubKeys;

const PREIMAGE: [u8; 32] = [5; 32];
const EXPIRY: u32 = 100;
const MARGIN: u32 = 6;

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("small")
}

fn route() -> Route {
    Route {
        to: HubKeys::generate().expect("random").address("127.0.0.1", 1),
        channel: None,
        payees: None,
        fee_base: sat(2),
        fee_ppm: 1_000,
        margin: Age::new(4),
    }
}

fn bounds(height: u32) -> Bounds {
    Bounds {
        height: Height::new(height),
        margin: Age::new(MARGIN),
        next_margin: Age::new(MARGIN + 1),
        spendable: sat(10_000),
        slots: 64,
        is_closing: false,
    }
}

fn waiting(id: u8) -> Forwarded {
    Forwarded {
        payer: ChannelId::from_bytes([1; 32]),
        lock: LockId::from_bytes([id; 32]),
        payee: KeyBytes::from_bytes([2; 32]),
        payee_channel: ChannelId::from_bytes([3; 32]),
        amount: sat(1_000),
        fee: sat(10),
        expiry: Height::new(EXPIRY),
        hash: payment_hash(&PREIMAGE),
    }
}

/// What was sent for it, as far as the next hub has told.
fn outgoing(lock: &Forwarded, status: LockStatus) -> Outgoing {
    let sent = decide(&[*lock], &[], &mut Memory::default(), &route(), bounds(0)).send;
    Outgoing {
        id: LockId::from_bytes([9; 32]),
        lock: sent[0],
        status,
    }
}

fn alone(height: u32, waiting: &[Forwarded], open: &[Outgoing], memory: &mut Memory) -> Plan {
    decide(waiting, open, memory, &route(), bounds(height))
}

fn end(plan: &Plan) -> Option<ForwardEnd> {
    assert!(plan.ends.len() <= 1 && plan.send.is_empty());
    plan.ends.first().map(|end| end.end)
}

#[test]
fn what_is_sent_is_the_same_payment_for_less() {
    let lock = waiting(1);
    let plan = alone(0, &[lock], &[], &mut Memory::default());
    let sent = plan.send[0];
    assert_eq!(plan.ends, []);
    assert_eq!(
        (sent.amount, sent.fee),
        (lock.amount, sat(10 - 2 - 1)),
        "base and a thousandth"
    );
    assert_eq!((sent.payee, sent.payee_channel), (lock.payee, lock.payee_channel));
    assert_eq!((sent.expiry, sent.condition), (lock.expiry, Condition::Hash(lock.hash)));
    assert_eq!(sent.payment_id, payment_id(&lock.lock));
    assert_ne!(sent.payment_id, payment_id(&waiting(2).lock));
}

#[test]
fn what_cannot_be_sent_fails_and_says_why() {
    let mut memory = Memory::default();
    let why = |lock: Forwarded, bounds: Bounds| {
        let plan = decide(&[lock], &[], &mut Memory::default(), &route(), bounds);
        match end(&plan) {
            Some(ForwardEnd::Failed(reason)) => reason,
            other => panic!("{other:?}"),
        }
    };
    let lock = waiting(1);
    let least = EXPIRY - 3 * (MARGIN + 1) - 4;
    assert_eq!(why(Forwarded { fee: sat(2), ..lock }, bounds(0)), FailReason::FeeTooLow);
    assert_eq!(alone(least, &[lock], &[], &mut memory).send.len(), 1);
    assert_eq!(why(lock, bounds(least + 1)), FailReason::ExpiryTooNear);
    let poor = Bounds {
        spendable: sat(1_006),
        ..bounds(0)
    };
    assert_eq!(why(lock, poor), FailReason::NoInboundCapacity);
    assert_eq!(why(lock, Bounds { slots: 0, ..bounds(0) }), FailReason::PayeeLocksFull);
    let closing = Bounds {
        is_closing: true,
        ..bounds(0)
    };
    assert_eq!(why(lock, closing), FailReason::PayeeClosing);
    // Together they may not take more than there is, and one state takes sixteen.
    let many: Vec<Forwarded> = (1..=20).map(waiting).collect();
    let plan = alone(0, &many, &[], &mut memory);
    assert_eq!((plan.send.len(), plan.ends.len()), (9, 11), "9 times 1007 of 10 000");
    let rich = Bounds {
        spendable: sat(1_000_000),
        ..bounds(0)
    };
    let plan = decide(&many, &[], &mut memory, &route(), rich);
    assert_eq!((plan.send.len(), plan.ends.len()), (16, 0), "the others go next");
}

#[test]
fn a_preimage_goes_to_the_engine_in_time_to_the_ledger_late_and_is_settled_only_then() {
    let lock = waiting(1);
    let open = outgoing(&lock, LockStatus::Fulfilled(PREIMAGE));
    let mut memory = Memory::default();
    let plan = alone(EXPIRY - MARGIN, &[lock], &[open], &mut memory);
    assert_eq!(end(&plan), Some(ForwardEnd::Met(PREIMAGE)));
    assert!(plan.settle.is_empty() && !plan.is_due, "not before the engine has it");
    for height in [EXPIRY - MARGIN + 1, EXPIRY] {
        let plan = alone(height, &[lock], &[open], &mut memory);
        assert_eq!((end(&plan), plan.reveals.len()), (None, 1), "at {height}");
        assert_eq!(
            (plan.reveals[0].preimage, plan.reveals[0].expiry),
            (PREIMAGE, lock.expiry)
        );
        assert!(plan.settle.is_empty() && !plan.is_due);
    }
    let late = alone(EXPIRY + 1, &[lock], &[open], &mut memory);
    assert_eq!((end(&late), late.reveals.len(), late.is_due), (None, 0, false));

    // It waits no more: it was met, as long as nothing else can have ended it.
    let plan = alone(EXPIRY, &[], &[open], &mut memory);
    assert!(plan.settle.contains(&open.id) && plan.is_due);
    let plan = alone(EXPIRY + 1, &[], &[open], &mut memory);
    assert!(plan.settle.is_empty() && !plan.is_due);
    assert_eq!(plan.doubtful.len(), 1, "the payer may have dropped it");
    memory.met.insert(open.lock.payment_id);
    let plan = alone(EXPIRY + 1, &[], &[open], &mut memory);
    assert!(plan.settle.contains(&open.id) && plan.is_due && plan.doubtful.is_empty());
}

#[test]
fn a_failure_is_dropped_there_before_it_is_told_here() {
    let lock = waiting(1);
    let open = outgoing(&lock, LockStatus::Failed(FailReason::PayeeSilent));
    let mut memory = Memory::default();
    let plan = alone(0, &[lock], &[open], &mut memory);
    assert_eq!((end(&plan), plan.is_due), (None, true), "it is open there yet");
    let plan = alone(0, &[lock], &[], &mut memory);
    assert_eq!(end(&plan), Some(ForwardEnd::Failed(FailReason::PayeeSilent)));
    // The other payment is another one.
    assert_eq!(alone(0, &[waiting(2)], &[], &mut memory).send.len(), 1);
}

#[test]
fn what_expired_is_dropped_there_before_it_is_told_here_and_never_sent() {
    let lock = waiting(1);
    let open = outgoing(&lock, LockStatus::Pending);
    let mut memory = Memory::default();
    let plan = alone(EXPIRY, &[lock], &[open], &mut memory);
    assert_eq!(
        (end(&plan), plan.is_due),
        (None, false),
        "the expiry itself still counts"
    );
    for both in [&[lock][..], &[]] {
        let plan = alone(EXPIRY + 1, both, &[open], &mut memory);
        assert_eq!((end(&plan), plan.is_due, plan.needs_fresh_leaf), (None, true, true));
    }
    let plan = alone(EXPIRY + 1, &[lock], &[], &mut memory);
    assert_eq!(end(&plan), Some(ForwardEnd::Expired));
}

#[test]
fn a_payee_has_the_route_that_names_it_or_the_one_for_all() {
    let key = |n: u8| KeyBytes::from_bytes([n; 32]);
    let named = |n: u8| Route {
        payees: Some([key(n)].into()),
        ..route()
    };
    assert_eq!(route_of(&[named(1), named(2)], &key(2)), Some(1));
    assert_eq!(route_of(&[named(1), named(2)], &key(3)), None);
    assert_eq!(route_of(&[route(), named(2)], &key(2)), Some(1));
    assert_eq!(route_of(&[route(), named(2)], &key(3)), Some(0));
}

/// A hub forwards for years: what is remembered is bounded by what is under way.
#[test]
fn what_has_ended_on_both_sides_is_forgotten() {
    let (lock, other) = (waiting(1), waiting(2));
    let open = outgoing(&lock, LockStatus::Pending);
    let mut memory = Memory::default();
    for lock in [lock, other] {
        memory.failed.insert(lock.lock, FailReason::Released);
        memory.met.insert(payment_id(&lock.lock));
    }
    memory.forget(&[other], &[open]);
    assert_eq!(memory.failed.keys().collect::<Vec<_>>(), [&other.lock]);
    assert_eq!(memory.met.iter().collect::<Vec<_>>(), [&open.lock.payment_id]);
    memory.forget(&[], &[]);
    assert!(memory.failed.is_empty() && memory.met.is_empty());
}
