//! Traces 10, 15, 21 and 25: locks that freeze nothing and fill nothing, and the last heights at which they are met.

use tidegate_channel::evidence::Pair;
use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{Ack, FailReason, Operation, RefuseReason};
use tidegate_client::{Client, FileStore, LockOutput, Payment, Standing};
use tidegate_ledger::LockProof;
use tidegate_types::{ChannelId, Height, LockId};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{Fulfill, LedgerQuery, LedgerResult};

use crate::rig::closes::{close_of, coins, locks, own, pair_of, refusal, start_of};
use crate::rig::{by_hash, open, open_with, payment, sat};
use crate::support::{
    Answer, CLOSING, DISPUTE, FUNDS, OPENING, World, ack, ask, assert_paid, bring, close, funds, last_expiry,
    next_state,
};

/// Offers whose preimages nobody knows yet, each of its own hash.
fn offers(payee: &Client<FileStore>, channel: ChannelId, amount: u64, family: u8, count: u8) -> Vec<Payment> {
    let offer = |n| {
        by_hash(
            payment(payee.key(), channel, amount),
            &[family, n].repeat(16).try_into().expect("32"),
            60,
        )
    };
    (0..count).map(offer).collect()
}

/// Trace 10: a client that has put its last coin into its channel closes it, though dust is locked there; and shows every lock.
#[test]
fn a_client_without_coins_closes_a_channel_full_of_dust() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let own_share = FUNDS - OPENING;
    let (from, to) = (open_with(&mut a, 6_000_000, own_share), open(&mut b, 500_000));
    assert_eq!(funds(&mut a), 0);
    let paid = a.pay(&from, &offers(&b, to, 1, 1, 10)).expect("offered");
    assert!(paid.iter().all(|paid| paid.status == LockStatus::Pending), "{paid:?}");
    let locked: u64 = paid.iter().map(|paid| paid.total.to_sat()).sum();
    b.sync(&to).expect("in date");
    let expiry = last_expiry(&a, &from);

    let (alice, channel) = (world.signer(0), own(&a, &from));
    let honest = pair_of(&channel, &alice, a.height());
    let bends: [fn(&mut Pair); 3] = [
        |pair| pair.client.as_mut().expect("a state").locks.truncate(9),
        |pair| pair.client.as_mut().expect("a state").locks.clear(),
        |pair| {
            let locks = &mut pair.client.as_mut().expect("a state").locks;
            locks[1] = locks[0];
        },
    ];
    for bend in bends {
        let mut pair = honest.clone();
        bend(&mut pair);
        let (code, text) = refusal(a.submit(&channel.start_close(&alice, pair)));
        assert_eq!(code, ErrorCode::TransactionRefused);
        assert!(text.contains("the locks shown are not those of the state"), "{text}");
    }
    a.submit(&channel.start_close(&alice, honest))
        .expect("no coin is needed");
    world.until_settled(&mut a, from);
    assert_paid(funds(&mut a), own_share - locked);
    world.until(expiry + 1);
    b.sync(&to).expect("nobody has claimed them");
    close(&mut b, &to);
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING);
    drop((a, b));
    let node = world.ends_with(0);
    assert_eq!(locks(&node), [locked / 10; 10], "each is an output of its own");
}

/// Trace 15: a payer has its share of a payee's slots and no more, nobody has one for ever, and who pays by ack needs none.
#[test]
fn slots_are_shared_and_come_back() {
    let mut world = World::new(6);
    let mut b = world.client(5);
    let to = open(&mut b, 500_000);
    let mut payers: Vec<_> = (0..5).map(|n| world.client(n)).collect();
    let channels: Vec<_> = payers.iter_mut().map(|payer| open(payer, 1_900_000)).collect();
    let one = |family| offers(&b, to, 1_000, family, 1)[0];
    let within = |blocks| by_hash(payment(b.key(), to, 1_000), &[9; 32], blocks);
    for (blocks, reason) in [(2_100, FailReason::ExpiryTooFar), (17, FailReason::ExpiryTooNear)] {
        let failed = payers[0].pay(&channels[0], &[within(blocks)]).expect("answered");
        assert_eq!(failed[0].failure(), Some(reason));
    }
    for (number, (payer, channel)) in payers.iter_mut().zip(&channels).enumerate().take(4) {
        let family = u8::try_from(number).expect("few");
        let offered = payer.pay(channel, &offers(&b, to, 1_000, family, 16)).expect("offered");
        assert!(
            offered.iter().all(|offered| offered.status == LockStatus::Pending),
            "{offered:?}"
        );
        let more = payer.pay(channel, &[one(100 + family)]).expect("answered");
        let reason = if number < 3 {
            FailReason::PayerLimit
        } else {
            FailReason::PayeeLocksFull
        };
        assert!(
            [reason, FailReason::PayerLimit].contains(&more[0].failure().expect("no slot")),
            "{more:?}"
        );
    }
    let full = payers[4].pay(&channels[4], &[one(110)]).expect("answered");
    assert_eq!(full[0].failure(), Some(FailReason::PayeeLocksFull));
    let paid = payers[4]
        .pay(&channels[4], &[payment(b.key(), to, 5_000)])
        .expect("paid");
    assert_eq!(paid[0].status, LockStatus::Delivered);
    b.sync(&to).expect("in date, and acknowledged");
    assert_eq!(own(&b, &to).wallet().hub().in_locks().len(), 64);
    assert_eq!(payers[4].settle(&channels[4]).expect("settled"), 0);

    let last = payers
        .iter()
        .zip(&channels)
        .take(4)
        .map(|(payer, channel)| last_expiry(payer, channel));
    let last = last.filter(|expiry| *expiry < 1_000).max();
    world.until(last.expect("locks are open") + 1);
    b.sync(&to).expect("in date");
    assert_eq!(
        own(&b, &to).wallet().hub().in_locks().len(),
        0,
        "every slot is free again"
    );
    for (payer, channel) in payers.iter_mut().zip(&channels) {
        payer.sync(channel).expect("in date");
        assert_eq!(payer.settle(channel).expect("taken back"), 0);
        close(payer, channel);
    }
    close(&mut b, &to);
    for (number, payer) in payers.iter_mut().enumerate() {
        let paid = if number == 4 { 5_002 } else { 0 };
        assert_eq!(funds(payer), FUNDS - OPENING - CLOSING - paid);
    }
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 5_000);
    drop((payers, b));
    world.ends_with(2);
}

/// The operations of a client that takes one lock back.
fn drops(client: &Client<FileStore>, channel: &ChannelId, lock: LockId) -> Vec<Operation> {
    let channel = own(client, channel);
    let slot = channel.lock(&lock).expect("open").slot;
    vec![Operation::Drop { slot }]
}

/// Trace 21, in the hub: an ack counts at `ack_by`, a preimage a margin before its lock's expiry, a lock is its payer's above it;
/// and none of these one block away.
#[test]
fn a_hub_takes_each_thing_at_its_last_height_and_not_above() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    let (bob, mut raw) = (world.signer(1), world.raw(1));
    for late in [false, true] {
        a.sync(&from).expect("in date");
        let paid = a.pay(&from, &[payment(b.key(), to, 1_000)]).expect("paid")[0];
        let wallet = world.silent(1, to);
        let held = wallet.get(&to).expect("held").wallet().hub();
        let (leaf, ack_by) = (held.reference(), held.leaf().ack_by.get());
        world.until(ack_by + u32::from(late));
        let answer = ack(&mut raw, &bob, Ack { channel: to, leaf });
        if late {
            let text = RefuseReason::AckOverdue.to_string();
            assert_eq!(answer, Answer::Error(ErrorCode::AckRefused, text));
            taken_back_above_the_expiry(&mut world, &mut a, from, paid.lock);
        } else {
            assert_eq!(answer.leaf().firm_credit, sat(1_000));
            assert_eq!(a.settle(&from).expect("settled"), 0);
        }
    }
    let offered = a.pay(&from, &offers(&b, to, 2_000, 3, 2)).expect("offered");
    let margin = 6;
    let expiry = last_expiry(&a, &from);
    for (late, offered) in offered.iter().enumerate() {
        let late = u8::try_from(late).expect("two");
        world.until(expiry - margin + u32::from(late));
        let shown = Fulfill {
            channel: to,
            lock: offered.lock,
            preimage: [3, late].repeat(16).try_into().expect("32"),
        };
        match ask(&mut raw, &shown) {
            Answer::Leaf(leaf) => {
                assert_eq!((late, leaf.firm_credit), (0, sat(3_000)));
                // Else the hub would put the preimage on the ledger, for a fee.
                a.sync(&from).expect("in date");
                assert_eq!(a.settle(&from).expect("settled"), 1);
            }
            other => assert_eq!(
                (late, other),
                (1, Answer::Error(ErrorCode::Refused, RefuseReason::TooLate.to_string()))
            ),
        }
    }
    drop(raw);
    taken_back_above_the_expiry(&mut world, &mut a, from, offered[1].lock);
    b.recover(&to).expect("taken up");
    close(&mut a, &from);
    close(&mut b, &to);
    assert_eq!(funds(&mut a), FUNDS - OPENING - CLOSING - 3_000 - 4);
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 3_000);
    drop((a, b));
    world.ends_with(4);
}

/// At its expiry the payer does not get a lock back, above it does.
fn taken_back_above_the_expiry(world: &mut World, a: &mut Client<FileStore>, from: ChannelId, lock: LockId) {
    let expiry = own(a, &from).lock(&lock).expect("open").lock.expiry.get();
    world.until(expiry);
    a.sync(&from).expect("in date");
    let operations = drops(a, &from, lock);
    let channel = own(a, &from);
    let state = next_state(&channel, &operations, channel.wallet().hub().reference());
    let (alice, mut raw) = (world.signer(0), world.raw(0));
    let early = bring(&mut raw, &alice, &state, &operations);
    assert_eq!(early, Answer::Refused(RefuseReason::NotDroppable));
    drop(raw);
    world.until(expiry + 1);
    a.sync(&from).expect("in date");
    a.settle(&from).expect("taken back");
    assert!(own(a, &from).lock(&lock).is_none(), "it is taken back");
}

/// The lock outputs that concern a client, and the height they were told at.
fn outputs(client: &mut Client<FileStore>) -> (Height, Vec<LockOutput>) {
    let told = client.query(LedgerQuery::LocksOf(client.key()), |answer| match &answer.result {
        LedgerResult::Locks { locks, .. } => {
            let read = locks.iter().map(|told| LockOutput::of(&told).expect("a lock"));
            Ok((answer.height, read.collect()))
        }
        _ => panic!("another answer"),
    });
    told.expect("the ledger answers")
}

/// Trace 21, on the ledger: a preimage counts in the block at the lock's expiry and in none above, with the hub killed
/// before, between and after; and a close is settled above δ, not at it.
#[test]
fn a_preimage_counts_in_the_block_at_its_expiry_and_in_none_above() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    let payments = offers(&b, to, 20_000, 4, 2);
    a.pay(&from, &payments).expect("offered");
    let expiry = last_expiry(&a, &from);
    b.sync(&to).expect("in date, and acknowledged");
    let before = funds(&mut b);
    world.until(expiry - DISPUTE / 2);
    let (bob, channel) = (world.signer(1), own(&b, &to));
    b.submit(&start_of(&channel, &bob, channel.wallet().hub().leaf().height))
        .expect("the ledger takes it");
    world.until(expiry - 1);
    let grace_end = close_of(&mut b, to).expect("it stands").grace_end.get();
    for (n, height) in [(0_u8, expiry), (1, expiry + 1)] {
        drop((a, b));
        world.kill();
        (a, b) = (world.client(0), world.client(1));
        let preimage = [4, n].repeat(16).try_into().expect("32");
        let (reveal, last) = channel.reveal_preimage(&bob, &preimage).expect("a lock of that hash");
        assert_eq!(last.get(), expiry);
        b.submit(&reveal).expect("the ledger takes it");
        assert_eq!(world.height(), height, "the block that holds it");
    }
    world.until(grace_end);
    assert!(close_of(&mut b, to).is_some(), "not at δ");
    world.tick();
    assert!(close_of(&mut b, to).is_none(), "above it");

    drop((a, b));
    world.kill();
    (a, b) = (world.client(0), world.client(1));
    let (height, found) = outputs(&mut b);
    // The other is the hub's again, which has not waited.
    let [met] = found[..] else { panic!("{found:?}") };
    assert_eq!(met.revealed.map(|(_, at)| at.get()), Some(expiry));
    let standing = met.standing(&b.key(), &[], height).expect("it is his");
    assert_eq!(standing, Standing::Claim(LockProof::Recorded));
    let claim = met
        .spend(&bob.ledger, &bob.key, &standing, sat(CLOSING))
        .expect("it pays");
    b.submit(&claim).expect("it is his");
    assert_paid(funds(&mut b) - before, 500_000 + 20_000);
    // The payer owes the one, and has the other back.
    a.sync(&from).expect("in date");
    assert_eq!(a.settle(&from).expect("settled, and taken back"), 0);
    assert_eq!(own(&a, &from).wallet().sums().debit, sat(20_003));
    close(&mut a, &from);
    assert_eq!(funds(&mut a), FUNDS - OPENING - CLOSING - 20_003);
    drop((a, b));
    let node = world.ends();
    assert!(locks(&node).is_empty(), "nothing is left to be claimed");
    // The fee of the one, less what it cost to take the other back.
    assert_paid(coins(&node, world.hub.public().bytes()), 10_000_000 + 3);
}

/// Trace 25: the record of a preimage outlives every channel, as long as a lock that it met is to be had.
#[test]
fn a_met_lock_is_its_claimers_without_time_limit() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.pay(&from, &offers(&b, to, 20_000, 5, 1)).expect("offered");
    let expiry = last_expiry(&a, &from);
    b.sync(&to).expect("in date, and acknowledged");
    let before = funds(&mut b);
    let (bob, channel) = (world.signer(1), own(&b, &to));
    b.submit(&start_of(&channel, &bob, b.height()))
        .expect("the ledger takes it");
    let preimage = [5, 0].repeat(16).try_into().expect("32");
    let (reveal, _) = channel.reveal_preimage(&bob, &preimage).expect("a lock of that hash");
    b.submit(&reveal).expect("the ledger takes it");
    world.until_settled(&mut b, to);
    a.sync(&from).expect("in date");
    assert_eq!(a.settle(&from).expect("the hub shows the preimage"), 0);
    close(&mut a, &from);
    assert_eq!(funds(&mut a), FUNDS - OPENING - CLOSING - 20_003);
    // No channel is left, and everything that could be forgotten is.
    world.until(expiry + 3 * DISPUTE);
    drop((a, b));
    world.restart();
    let (_, found) = outputs(&mut world.client(1));
    let [lock] = found[..] else { panic!("{found:?}") };
    let mut b = world.client(1);
    let refund = lock
        .spend(&bob.ledger, &world.hub_key(), &Standing::Refund, sat(CLOSING))
        .expect("it would pay");
    let (code, text) = refusal(b.submit(&refund));
    assert_eq!(code, ErrorCode::TransactionRefused);
    assert!(text.contains("the lock is met"), "{text}");
    let standing = Standing::Claim(LockProof::Recorded);
    let claim = lock
        .spend(&bob.ledger, &bob.key, &standing, sat(CLOSING))
        .expect("it pays");
    b.submit(&claim).expect("it is his");
    assert_paid(funds(&mut b) - before, 500_000 + 20_000);
    drop(b);
    let node = world.ends_with(3);
    assert!(locks(&node).is_empty());
}
