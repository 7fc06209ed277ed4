//! The other spend paths: thresholds, timelocks, and what a block keeps for disputes.

use tidegate_channel::evidence::Opener;
use tidegate_crypto::keys::KeyError;
use tidegate_ledger::{
    After, Condition, Inner, LedgerParams, LockCondition, LockTerms, MultiKeys, MultiWitness, Output, OutputError,
    Timelock, Transaction, TransactionBody, TransactionError, Witness,
};
use tidegate_types::{Age, Height, KeyBytes, OutPoint};

use crate::common::{key, sat, secret, spend};
use crate::world::{World, params};

fn multi(threshold: u8, keys: &[u8]) -> MultiKeys {
    MultiKeys::new(threshold, keys.iter().map(|&n| key(n)).collect()).expect("a threshold of distinct keys")
}

fn pay_to(world: &World, condition: Condition, keys: Vec<MultiKeys>) -> Transaction {
    let output = Output {
        amount: sat(90_000),
        condition,
    };
    let mut body = TransactionBody::plain(vec![world.coin(2)], vec![output]);
    body.keys = keys;
    body.sign_all(&world.ledger, &[&secret(2)])
}

/// Signatures by the keys numbered, in the order of the condition's keys.
fn signed(world: &World, outpoint: OutPoint, keys: &MultiKeys, signers: &[u8]) -> Transaction {
    let body = TransactionBody::plain(vec![outpoint], vec![Output::to_key(sat(80_000), key(7))]);
    let mut bits = 0;
    let mut signatures = Vec::new();
    for (bit, own) in keys.keys().iter().enumerate() {
        if let Some(&n) = signers.iter().find(|&&n| key(n) == *own) {
            bits |= 1 << bit;
            signatures.push(body.sign(&world.ledger, &secret(n)));
        }
    }
    let witness = MultiWitness {
        keys: keys.clone(),
        signers: bits,
        signatures,
    };
    Transaction {
        body,
        witnesses: vec![Witness::Multi(Box::new(witness))],
    }
}

fn out(transaction: &Transaction) -> OutPoint {
    OutPoint {
        txid: transaction.txid(),
        vout: 0,
    }
}

#[test]
fn a_threshold_of_sixteen_keys_is_met_by_exactly_as_many() {
    let mut world = World::new();
    let numbers: Vec<u8> = (100..116).collect();
    let keys = multi(3, &numbers);
    let paid = pay_to(&world, Condition::Multi(keys.condition()), vec![keys.clone()]);
    let outpoint = out(&paid);
    world.put(paid);
    let good = signed(&world, outpoint, &keys, &[101, 107, 115]);
    assert!(world.chain.check(good.clone()).is_ok());
    let wrong = Err(TransactionError::WrongWitness { input: 0 });
    for few in [&[101, 107][..], &[101, 102, 103, 104]] {
        assert_eq!(
            world.chain.check(signed(&world, outpoint, &keys, few)).map(|_| ()),
            wrong
        );
    }
    let lower = multi(1, &numbers);
    assert_eq!(
        world.chain.check(signed(&world, outpoint, &lower, &[101])).map(|_| ()),
        wrong
    );
    let mut twice = good.clone();
    let Witness::Multi(witness) = &mut twice.witnesses[0] else {
        unreachable!("it is one")
    };
    witness.signatures[1] = witness.signatures[0];
    let bad = Err(TransactionError::BadSignature { input: 0 });
    assert_eq!(world.chain.check(twice).map(|_| ()), bad);
    let by_key = {
        let body = good.body.clone();
        body.sign_all(&world.ledger, &[&secret(101)])
    };
    assert_eq!(world.chain.check(by_key).map(|_| ()), wrong);
    world.put(good);
}

/// Trace 19: a key that does not count enters by no side door.
#[test]
fn every_key_of_every_condition_counts() {
    let world = World::new();
    let mut chain = world.chain.clone();
    // Order 8, and a torsioned one: a good key plus a point of small order.
    let bad = KeyBytes::from_bytes([2; 32]);
    let refusal = |chain: &mut tidegate_ledger::Chain<_>, transaction| match chain.check(transaction) {
        Err(TransactionError::Output { index: 0, error }) => error,
        other => panic!("{other:?}"),
    };
    let shown = MultiKeys::new(1, vec![key(1), bad]).expect("distinct");
    let through_multi = pay_to(&world, Condition::Multi(shown.condition()), vec![shown.clone()]);
    assert!(matches!(refusal(&mut chain, through_multi), OutputError::Key(_)));
    let hidden = pay_to(&world, Condition::Multi(shown.condition()), Vec::new());
    assert_eq!(refusal(&mut chain, hidden), OutputError::KeysNotShown);
    let other = pay_to(&world, Condition::Multi(shown.condition()), vec![multi(1, &[1, 3])]);
    assert_eq!(refusal(&mut chain, other), OutputError::KeysNotShown);
    let after = After::Height(Height::new(3));
    let locked = |inner| Condition::Timelocked(Timelock { after, inner });
    let small = KeyBytes::ZERO;
    let through_timelock = pay_to(&world, locked(Inner::Key(small)), Vec::new());
    assert_eq!(
        refusal(&mut chain, through_timelock),
        OutputError::Key(KeyError::SmallOrder)
    );
    let through_both = pay_to(&world, locked(Inner::Multi(shown.condition())), vec![shown]);
    assert!(matches!(refusal(&mut chain, through_both), OutputError::Key(_)));
    for (claim, refund) in [(small, key(1)), (key(1), small)] {
        let condition = LockCondition::Hash([1; 32]);
        let expiry = Height::new(9);
        let lock = Condition::Lock(LockTerms {
            condition,
            claim,
            refund,
            expiry,
        });
        let through_lock = pay_to(&world, lock, Vec::new());
        assert_eq!(
            refusal(&mut chain, through_lock),
            OutputError::Key(KeyError::SmallOrder)
        );
    }
    assert!(MultiKeys::new(0, vec![key(1)]).is_none());
    assert!(MultiKeys::new(2, vec![key(1)]).is_none());
    assert!(MultiKeys::new(1, vec![key(1), key(1)]).is_none());
    assert!(MultiKeys::new(1, (0..17).map(key).collect()).is_none());
}

#[test]
fn timelocks_open_at_their_height_or_age() {
    let mut world = World::new();
    let inner = Inner::Key(key(50));
    let by_height = Timelock {
        after: After::Height(Height::new(5)),
        inner,
    };
    let keys = multi(1, &[50, 51]);
    let by_age = Timelock {
        after: After::Age(Age::new(3)),
        inner: Inner::Multi(keys.condition()),
    };
    let first = pay_to(&world, Condition::Timelocked(by_height), Vec::new());
    let height_locked = (out(&first), 50);
    world.put(first);
    let mut body = TransactionBody::plain(
        vec![world.coin(3)],
        vec![Output {
            amount: sat(90_000),
            condition: Condition::Timelocked(by_age),
        }],
    );
    body.keys = vec![keys.clone()];
    let second = body.sign_all(&world.ledger, &[&secret(3)]);
    let age_locked = out(&second);
    world.put(second);
    let take = spend(
        world.ledger,
        &[height_locked],
        vec![Output::to_key(sat(80_000), key(7))],
    );
    let by_multi = signed(&world, age_locked, &keys, &[51]);
    let locked = |first| {
        Err(TransactionError::Locked {
            input: 0,
            first: Height::new(first),
        })
    };
    world.until(3);
    assert_eq!(world.submit(take.clone()), locked(5));
    assert_eq!(world.submit(by_multi.clone()), locked(5), "created at height 2");
    world.seal();
    world.put(take);
    world.put(by_multi);
}

/// What the ledger makes itself nobody else makes.
#[test]
fn closing_channels_and_records_are_made_by_the_ledger() {
    let mut world = World::new();
    let channel = world.channel(0);
    let mut bent = Output::to_key(sat(90_000), key(7));
    bent.condition = Condition::Closing(channel.terms);
    let transaction = spend(world.ledger, &[(world.coin(2), 2)], vec![bent]);
    assert!(Transaction::decode(&transaction.encode()).is_err());
    let refused = world.chain.check(transaction);
    let made = OutputError::MadeByTheLedger;
    assert_eq!(
        refused.map(|_| ()),
        Err(TransactionError::Output { index: 0, error: made })
    );
    world.put(channel.start(Opener::Client, None));
    // A record is no output: nobody spends it.
    let record = tidegate_ledger::close_outpoint(&channel.id);
    let thief = spend(world.ledger, &[(record, 2)], vec![Output::to_key(sat(1_000), key(7))]);
    assert_eq!(world.submit(thief), Err(TransactionError::UnknownInput(record)));
}

/// Rule 15: ordinary transactions leave a quarter of a block, and disputes come first whatever others pay.
#[test]
fn disputes_find_room_in_a_block_that_others_have_filled() {
    let narrow = LedgerParams {
        block_cost_max: 20_000,
        transaction_bytes_max: 10_000,
        block_bytes_max: 20_000,
        dispute_window_min: Age::new(6),
        ..params()
    };
    let coins: Vec<_> = (0..70).map(|_| Output::to_key(sat(50_000), key(70))).collect();
    let mut world = World::with(narrow, &coins);
    for n in 0..70 {
        let outpoint = OutPoint {
            txid: world.genesis,
            vout: 6 + n,
        };
        // They pay a hundred times the least.
        let outputs = vec![Output::to_key(sat(45_000), key(71))];
        world
            .submit(spend(world.ledger, &[(outpoint, 70)], outputs))
            .expect("it holds");
    }
    let channel = world.channel(0);
    let start = channel.start(Opener::Client, None);
    let txid = start.txid();
    world.submit(start).expect("it holds");
    let (block, _) = world.seal();
    assert_eq!(block.transactions[0].txid(), txid, "first of all");
    let ordinary: u64 = block.transactions[1..].iter().map(Transaction::cost).sum();
    assert!(ordinary <= 15_000 && ordinary > 14_500, "{ordinary}");
    assert!(!world.pool.is_empty(), "the others wait");
    let pair = channel.pair(&channel.c(1, 0), &channel.h(1, 0));
    let evidence = channel.evidence(tidegate_channel::evidence::Side::Hub, pair);
    world.put(evidence);
}
