//! Every byte of every object that is shown on the ledger, bent: nothing that was signed, proved or named can be altered.

use tidegate_channel::evidence::{
    AckProof, Acknowledged, EntryPath, LeafLink, LockEvidence, MandateSubject, Opener, Pair, Side, StateNaming,
};
use tidegate_channel::{
    Condition as LockTerms, Credit, Operation, credited_root, encode_operations, leaf_digest, operations_digest,
};
use tidegate_ledger::{Action, LockPlace, LockProof, Output, Payer, Transaction, TransactionBody, Witness};
use tidegate_types::{Age, ChannelId, KeyBytes, LockSlot};

use crate::common::{HUB, HUB_PAYOUT, key, sat, secret};
use crate::stakes::faults;
use crate::world::{World, alone, in_lock, out_lock, params};

/// Bends each byte of a transaction's encoding in one bit. What still decodes is refused.
fn every_byte_counts(world: &World, name: &str, good: &Transaction) {
    let mut chain = world.chain.clone();
    chain
        .check(good.clone())
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let bytes = good.encode();
    for at in 0..bytes.len() {
        let mut bent = bytes.clone();
        bent[at] ^= 1 << (at % 8);
        if let Ok(transaction) = Transaction::decode(&bent) {
            assert_eq!(transaction.encode(), bent, "{name}: one encoding for each value");
            assert!(
                chain.check(transaction).is_err(),
                "{name}: byte {at} makes no difference"
            );
        }
    }
}

const PREIMAGE: [u8; 32] = [42; 32];

/// A world in which channel 0 is closing with an out-lock and an in-lock.
fn closing() -> (World, Transaction, Transaction, Transaction) {
    let mut world = World::new();
    let (channel, other) = (world.channel(0), world.channel(1));
    let hash = LockTerms::Hash(tidegate_crypto::hash::payment_hash(&PREIMAGE));
    let lock = out_lock(5, hash, ChannelId::ZERO, 300);
    let offered = in_lock(4, &other, &out_lock(3, hash, channel.id, 300));
    let (mut c, mut h) = (channel.c(2, 0), channel.h(2, 0));
    c.locks.push(lock);
    h.locks.push(offered);
    world.put(channel.start(Opener::Client, Some(channel.pair(&c, &h))));

    let id = lock.id(&channel.id);
    let place = |side, slot| LockPlace {
        channel: channel.id,
        side,
        slot: LockSlot::new(slot).expect("below 64"),
    };
    let credit = Credit {
        lock: id,
        salt: [1; 16],
        payment_id: lock.lock.payment_id,
        amount: lock.lock.amount,
        expiry: lock.lock.expiry,
    };
    let mut failing = channel.h(9, 0);
    failing.failed = credited_root(&[credit]);
    let failed = Action::LockEvidence {
        place: place(Side::Client, 5),
        payer: channel.payer(Side::Client, MandateSubject::Lock(id)),
        evidence: Box::new(LockEvidence::Failed {
            leaf: Box::new(channel.leaf(&failing)),
            entry: EntryPath {
                index: 0,
                count: 1,
                salt: [1; 16],
                path: Vec::new(),
            },
        }),
    };
    let mut operations = Vec::new();
    encode_operations(
        &[Operation::Release {
            lock: offered.lock.lock,
        }],
        &mut operations,
    );
    let mut signed = channel.state(&channel.c(9, 0));
    signed.state.operations = operations_digest(&operations);
    signed.signature = signed.state.sign(&channel.ledger, &secret(channel.client));
    let released = Action::LockEvidence {
        place: place(Side::Hub, 4),
        payer: channel.payer(Side::Hub, MandateSubject::Lock(offered.lock.lock)),
        evidence: Box::new(LockEvidence::ReleasedByState {
            signed: Box::new(signed),
            operations,
        }),
    };
    let revealed = Action::RevealPreimage {
        preimage: PREIMAGE,
        place: Some(place(Side::Client, 5)),
        payer: channel.payer(Side::Hub, MandateSubject::Lock(id)),
    };
    let [failed, released, revealed] = [failed, released, revealed].map(|action| alone(channel.outpoint, action));
    (world, failed, released, revealed)
}

#[test]
fn every_byte_of_a_start_and_of_its_pair() {
    let world = World::new();
    let channel = world.channel(0);
    let mut c = channel.c(3, 50_000);
    c.locks
        .push(out_lock(5, LockTerms::Hash([5; 32]), ChannelId::ZERO, 300));
    let mut h = channel.h(4, 20_000);
    h.locks.push(in_lock(
        4,
        &world.channel(1),
        &out_lock(3, LockTerms::Hash([6; 32]), channel.id, 300),
    ));
    let pair = channel.pair(&c, &h);
    every_byte_counts(&world, "client", &channel.start(Opener::Client, Some(pair)));
    every_byte_counts(&world, "emergency", &channel.start(Opener::Emergency, None));
    let mut other = channel.h(9, 0);
    other.ack = channel.state(&c).state.reference();
    let named = Pair {
        client: Some(channel.client_half(&c, StateNaming::ByOtherLeaf(Box::new(channel.leaf(&other))))),
        hub: None,
    };
    every_byte_counts(&world, "hub", &channel.start(Opener::Hub, Some(named)));
}

#[test]
fn every_byte_of_evidence_in_a_dispute() {
    let (world, failed, released, revealed) = closing();
    let channel = world.channel(0);
    let pair = channel.pair(&channel.c(8, 1_000), &channel.h(8, 10));
    every_byte_counts(&world, "evidence", &channel.evidence(Side::Hub, pair));
    every_byte_counts(&world, "failed lock", &failed);
    every_byte_counts(&world, "released lock", &released);
    every_byte_counts(&world, "preimage", &revealed);
    let (ack, signature) = channel.ack(channel.leaf(&channel.h(1, 0)).reference());
    let mut c = channel.c(9, 0);
    c.ack = ack.leaf;
    let words = [
        Acknowledged::ByAck(ack, signature),
        Acknowledged::ByState(channel.state(&c)),
    ];
    for word in words {
        let action = Action::RevealAck {
            funding: channel.outpoint,
            word: Box::new(word),
            payer: channel.payer(Side::Client, MandateSubject::Ack(ack.leaf.counter)),
        };
        every_byte_counts(&world, "ack", &alone(channel.outpoint, action));
    }
}

#[test]
fn every_byte_of_a_settling_and_a_splice() {
    let (mut world, ..) = closing();
    let channel = world.channel(0);
    let (state, _) = world.chain.close_of(&channel.outpoint).expect("it is closing");
    every_byte_counts(&world, "splice", &crate::closes::splice(&world, 3));
    world.until(state.grace_end.get());
    let settle = world.chain.settlement(&channel.outpoint).expect("it is closing");
    every_byte_counts(&world, "settle", &settle);
}

#[test]
fn every_byte_of_a_fault() {
    let stake = Output::to_stake(sat(500_000), key(HUB), key(99), Age::new(300));
    let world = World::with(params(), &[stake]);
    let channel = world.channel(0);
    let (outpoint, _) = world.chain.stake(&key(HUB)).expect("it is bonded");
    for (kind, fault) in faults(&channel) {
        let report = Action::ReportFault {
            hub: key(HUB),
            reward: KeyBytes::ZERO,
            fault: Box::new(fault),
        };
        every_byte_counts(&world, &format!("{kind:?}"), &alone(outpoint, report));
    }
    let unbond = alone(outpoint, Action::unbond(&outpoint, &world.ledger, &secret(HUB)));
    every_byte_counts(&world, "unbond", &unbond);
}

#[test]
fn every_byte_of_a_claim_by_an_ack() {
    let mut world = World::new();
    let (channel, payee) = (world.channel(0), world.channel(1));
    let lock = out_lock(5, LockTerms::Ack, payee.id, 50);
    let mut c = channel.c(2, 0);
    c.locks.push(lock);
    world.put(channel.start(Opener::Client, Some(channel.pair(&c, &channel.h(1, 0)))));
    let credit = Credit {
        lock: lock.id(&channel.id),
        salt: [8; 16],
        payment_id: lock.lock.payment_id,
        amount: lock.lock.amount,
        expiry: lock.lock.expiry,
    };
    let mut crediting = payee.h(4, 0);
    crediting.credited = credited_root(&[credit]);
    let (private, public) = payee.parts(&crediting);
    let first = leaf_digest(&private.digest(), &public.digest());
    let mut later = payee.h(5, 0);
    later.previous = first;
    let (later_private, later_public) = payee.parts(&later);
    let leaf = payee.leaf(&later).reference();
    assert_eq!(
        leaf.digest,
        leaf_digest(&later_private.digest(), &later_public.digest())
    );
    let (ack, signature) = payee.ack(leaf);
    let action = Action::RevealAck {
        funding: payee.outpoint,
        word: Box::new(Acknowledged::ByAck(ack, signature)),
        payer: Payer::Coins,
    };
    let reveal = world.by_coin(2, None, action);
    world.put(reveal);
    world.settle_in_time(&channel);
    let proof = AckProof {
        links: vec![
            LeafLink {
                private: later_private.digest(),
                public: later_public,
            },
            LeafLink {
                private: private.digest(),
                public,
            },
        ],
        entry: EntryPath {
            index: 0,
            count: 1,
            salt: [8; 16],
            path: Vec::new(),
        },
    };
    let mut locks = world.chain.store().iter();
    let output = locks.find(|(_, utxo)| matches!(utxo.output.condition, tidegate_ledger::Condition::Lock(_)));
    let outpoint = *output.expect("the lock is an output").0;
    let body = TransactionBody::plain(vec![outpoint], vec![Output::to_key(sat(700), key(7))]);
    let claim = Transaction {
        witnesses: vec![Witness::LockClaim {
            proof: LockProof::Acked(leaf, Box::new(proof)),
            signature: body.sign(&world.ledger, &secret(HUB_PAYOUT)),
        }],
        body,
    };
    every_byte_counts(&world, "claim", &claim);
}
