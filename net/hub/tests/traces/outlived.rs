//! Trace 5 the other way round: a payee acknowledges, is paid, and its channel is no more what it was when the payer has to pay. The
//! hub has paid; it must have what the payer owes, on the ledger if need be (rule 13).

use tidegate_channel::{Condition, Lock, Operation};
use tidegate_client::{Client, FileStore};
use tidegate_types::{ChannelId, Height, LockSlot, PaymentId};

use crate::rig::closes::{coins, own, start_of};
use crate::rig::{open, payment, sat};
use crate::support::{World, bring, close, next_state};

const PAID: u64 = 70_000;

/// Alice pays Bob once, with a long expiry, and he acknowledges it; she never settles.
fn owing(world: &mut World) -> ([Client<FileStore>; 2], [ChannelId; 2]) {
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.sync(&from).expect("in date");
    let lock = Lock {
        payment_id: PaymentId::from_bytes([3; 16]),
        amount: sat(PAID),
        fee: sat(8),
        payee: b.key(),
        payee_channel: to,
        expiry: Height::new(world.height() + 300),
        condition: Condition::Ack,
    };
    let slot = LockSlot::new(0).expect("the first");
    let add = [Operation::Add { slot, lock }];
    let channel = own(&a, &from);
    let state = next_state(&channel, &add, channel.wallet().hub().reference());
    bring(&mut world.raw(0), &world.signer(0), &state, &add).leaf();
    a.recover(&from).expect("taken up");
    b.sync(&to).expect("in date, and acknowledged");
    b.sync(&to).expect("and firm");
    ([a, b], [from, to])
}

/// The payer closes with its lock open, and is not heard of again: the hub is paid all the same.
#[track_caller]
fn the_hub_is_paid(mut world: World, mut a: Client<FileStore>, from: ChannelId) {
    let start = start_of(&own(&a, &from), &world.signer(0), a.height());
    a.submit(&start).expect("the ledger takes it");
    world.until_settled(&mut a, from);
    let last = world.height() + 400;
    while world.height() < last {
        world.tick();
    }
    drop(a);
    let node = world.ends();
    let has = coins(&node, world.hub.public().bytes());
    assert!(has + 5_000 > 10_000_000, "the hub has lost {}", 10_000_000 - has);
}

#[test]
fn a_payee_that_closes_in_peace_leaves_the_payer_owing() {
    let mut world = World::new(2);
    let ([a, mut b], [from, to]) = owing(&mut world);
    close(&mut b, &to);
    drop(b);
    the_hub_is_paid(world, a, from);
}

#[test]
fn a_payee_that_closes_on_the_ledger_leaves_the_payer_owing() {
    let mut world = World::new(2);
    let ([a, mut b], [from, to]) = owing(&mut world);
    let start = start_of(&own(&b, &to), &world.signer(1), b.height());
    b.submit(&start).expect("the ledger takes it");
    world.until_settled(&mut b, to);
    drop(b);
    the_hub_is_paid(world, a, from);
}

#[test]
fn a_payer_owes_however_many_leaves_its_payee_has_since() {
    let mut world = World::new(3);
    let ([a, mut b], [from, to]) = owing(&mut world);
    let mut c = world.client(2);
    let other = open(&mut c, 1_500_000);
    for _ in 0..70 {
        c.pay(&other, &[payment(b.key(), to, 100)]).expect("paid");
        b.sync(&to).expect("in date, and acknowledged");
        c.settle(&other).expect("settled");
    }
    close(&mut c, &other);
    drop(c);
    let start = start_of(&own(&a, &from), &world.signer(0), a.height());
    let mut a = a;
    a.submit(&start).expect("the ledger takes it");
    world.until_settled(&mut a, from);
    let last = world.height() + 400;
    while world.height() < last {
        world.tick();
    }
    b.sync(&to).expect("in date");
    close(&mut b, &to);
    drop((a, b));
    let node = world.ends();
    let has = coins(&node, world.hub.public().bytes());
    assert!(has + 5_000 > 10_000_000, "the hub has lost {}", 10_000_000 - has);
}
