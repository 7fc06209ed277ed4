//! Traces 1 and 13: what its signer alone vouches for, and acks of what the hub has not signed.

use tidegate_channel::evidence::{HubEvidence, LeafNaming, LeafProof, Pair, StateNaming};
use tidegate_channel::{Ack, ClientState, LeafRef, RefuseReason, opening_state};
use tidegate_client::{Client, FileStore, Incoming};
use tidegate_crypto::merkle::LockTree;
use tidegate_types::{Amount, ChannelId, ClientCounter, Digest, Fixed as _, HubCounter};
use tidegate_wire::messages::{AckProofQuery, Body as _, Receipt, Refresh};
use tidegate_wire::{ErrorCode, ToClient};

use crate::rig::closes::{PATIENCE, close_of, locks, own, pair_of, refusal, start_of};
use crate::rig::{by_hash, open, payment, sat};
use crate::support::{Answer, CLOSING, FUNDS, OPENING, World, ack, assert_paid, bring, close, funds, start_by_hub};

/// Neither the ledger nor the hub takes a state of Alice's that owes nothing.
fn a_forged_state_is_refused(world: &World, a: &mut Client<FileStore>, from: ChannelId) {
    let (alice, channel) = (world.signer(0), own(a, &from));
    let honest = pair_of(&channel, &alice, a.height());
    let forged = ClientState {
        counter: ClientCounter::new(1_000_000),
        ack: channel.acknowledged().ack,
        ..opening_state(from)
    };
    let own_word = forged.sign(&alice.ledger, &alice.key);
    let leaf = Box::new(honest.hub.as_ref().expect("a leaf").leaf.clone());
    let namings = [
        (StateNaming::ByLeaf, "the hub has not named the state"),
        (StateNaming::ByOtherLeaf(leaf), "the hub has not named the state"),
        (StateNaming::ByNote(own_word), "a signature of the hub is not valid"),
    ];
    for (named, word) in namings {
        let mut pair = honest.clone();
        let half = pair.client.as_mut().expect("a state");
        (half.signed.state, half.signed.signature, half.named) = (forged, own_word, named);
        half.locks.clear();
        let alone = Pair {
            hub: None,
            ..pair.clone()
        };
        for (pair, word) in [(pair, word), (alone, "which is not behind the leaf of the pair")] {
            let (code, text) = refusal(a.submit(&channel.start_close(&alice, pair)));
            assert!(code == ErrorCode::TransactionRefused && text.contains(word), "{text}");
        }
    }
    let mut raw = world.raw(0);
    let refused = bring(&mut raw, &alice, &forged, &[]);
    assert_eq!(
        refused,
        Answer::Refused(RefuseReason::WrongState),
        "nor does the hub itself take it"
    );
    drop(raw);
    a.sync(&from).expect("it goes on");
}

/// The ledger takes no leaf of the hub's without what it owes and offers to Bob.
fn a_forged_leaf_is_refused(world: &World, b: &mut Client<FileStore>, to: ChannelId) {
    let (channel, key) = (own(b, &to), world.hub_key());
    let honest = pair_of(&channel, &world.signer(1), b.height());
    let mut leaf = honest.hub.expect("a leaf").leaf;
    assert_eq!(
        (leaf.private.firm_credit, leaf.private.in_locks_sum),
        (sat(70_000), sat(20_000))
    );
    leaf.private.counter = HubCounter::new(1_000_000);
    (leaf.private.firm_credit, leaf.private.in_locks_sum) = (Amount::ZERO, Amount::ZERO);
    leaf.private.in_locks_root = LockTree::empty_root();
    leaf.proof = LeafProof::Note(leaf.note().sign(&world.hub.ledger, &key));
    let word = Ack {
        channel: to,
        leaf: leaf.reference(),
    };
    let namings = [
        (LeafNaming::ByState, "the client has not named the leaf"),
        (
            LeafNaming::ByAck(word.sign(&world.hub.ledger, &key)),
            "a signature of the client is not valid",
        ),
    ];
    for (named, word) in namings {
        let half = HubEvidence {
            leaf: leaf.clone(),
            named,
            locks: Vec::new(),
        };
        let pair = Pair {
            client: None,
            hub: Some(Box::new(half)),
        };
        let start = start_by_hub(&channel, &key, &world.hub.ledger, pair);
        let (code, text) = refusal(b.submit(&start));
        assert!(code == ErrorCode::TransactionRefused && text.contains(word), "{text}");
    }
}

/// Trace 1: a client's own state that owes nothing, and a hub's own leaf without the lock that it offers and the credit that it owes.
#[test]
fn a_half_that_only_its_signer_vouches_for_counts_for_nothing() {
    let mut world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.pay(&from, &[payment(b.key(), to, 70_000)]).expect("paid");
    b.sync(&to).expect("in date, and acknowledged");
    b.sync(&to).expect("and firm");
    a.settle(&from).expect("settled");
    a.pay(&from, &[by_hash(payment(b.key(), to, 20_000), &[7; 32], 400)])
        .expect("offered");
    b.sync(&to).expect("in date, and acknowledged");

    a_forged_state_is_refused(&world, &mut a, from);
    a_forged_leaf_is_refused(&world, &mut b, to);
    // The newest pairs, each half named by the other side, are what both channels end with.
    let before = [funds(&mut a), funds(&mut b)];
    let starts = [
        start_of(&own(&a, &from), &world.signer(0), a.height()),
        start_of(&own(&b, &to), &world.signer(1), b.height()),
    ];
    a.submit(&starts[0]).expect("the ledger takes it");
    b.submit(&starts[1]).expect("the ledger takes it");
    world.until_settled(&mut a, from);
    world.until_settled(&mut b, to);
    assert!(close_of(&mut a, from).is_none() && close_of(&mut b, to).is_none());
    let fees = 8 + 3;
    assert_paid(funds(&mut a) - before[0], 1_500_000 - 70_000 - 20_000 - fees);
    assert_paid(funds(&mut b) - before[1], 500_000 + 70_000);
    drop((a, b));
    let node = world.ends();
    let waiting: u64 = locks(&node).iter().sum();
    assert_eq!(waiting, 2 * 20_000 + 3, "both halves of the lock wait");
}

/// Trace 13: one ack is the proof of every payment up to its leaf, and tells the payer nothing else of the payee.
#[test]
fn one_ack_proves_every_payment_up_to_its_leaf() {
    let world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    let paid: Vec<_> = (1..=3)
        .map(|n| a.pay(&from, &[payment(b.key(), to, n * 1_000)]).expect("paid")[0])
        .collect();
    b.sync(&to).expect("in date, and acknowledged");
    b.sync(&to).expect("and firm");
    let leaf = own(&b, &to).newest_leaf().expect("with its receipt").private.to_vec();
    let mut raw = world.raw(0);
    let mut links = Vec::new();
    for paid in &paid {
        let ask = AckProofQuery {
            channel: from,
            lock: paid.lock,
        };
        let incoming = raw.request(&ask).expect("an answer");
        let Ok(ToClient::AckProof(answer)) = incoming.message() else {
            panic!("{incoming:?}")
        };
        let proof = answer.proof.expect("it is acknowledged");
        links.push(proof.links.len());
        let mut told = Vec::new();
        answer.put(&mut told);
        assert!(
            !told.windows(leaf.len()).any(|part| part == leaf),
            "nothing of the payee's sums"
        );
    }
    drop(raw);
    // From the leaf that was acknowledged down to the one that credited each payment.
    assert!(
        links.is_sorted_by(|first, next| *first == next + 1) && links[2] > 1,
        "{links:?}"
    );
    assert_eq!(a.settle(&from).expect("settled"), 0);
    let total: u64 = paid.iter().map(|paid| paid.total.to_sat()).sum();
    assert_eq!(own(&a, &from).wallet().sums().debit, sat(total));
    for (client, channel) in [(&mut a, from), (&mut b, to)] {
        close(client, &channel);
    }
    assert_eq!(funds(&mut a), FUNDS - OPENING - total - CLOSING);
    assert_eq!(funds(&mut b), FUNDS - OPENING + 6_000 - CLOSING);
    drop((a, b));
    world.ends_with(i64::try_from(total).expect("small") - 6_000);
}

/// Trace 13: an ack of a leaf that the hub has not signed makes nothing firm, and no wallet signs one.
#[test]
fn an_ack_of_what_the_hub_has_not_signed_is_none() {
    let world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.pay(&from, &[payment(b.key(), to, 1_000)]).expect("paid");
    let mut silent = world.silent(1, to);
    let (bob, mut raw) = (world.signer(1), world.raw(1));
    let good = silent.get(&to).expect("held").wallet().hub().reference();
    let next = good.counter.next().expect("small");
    let leaves = [
        LeafRef { counter: next, ..good },
        LeafRef {
            counter: HubCounter::new(u64::MAX),
            ..good
        },
        LeafRef {
            digest: Digest::from_bytes([9; 32]),
            ..good
        },
        LeafRef {
            digest: Digest::ZERO,
            ..good
        },
    ];
    for leaf in leaves {
        let refused = ack(&mut raw, &bob, Ack { channel: to, leaf });
        let text = RefuseReason::UnknownLeaf.to_string();
        assert_eq!(refused, Answer::Error(ErrorCode::AckRefused, text), "{leaf:?}");
    }
    // Nor is it believed under a signature that is not the hub's, whichever bit is bent.
    raw.send(&Refresh { channel: to }).expect("sent");
    let is_receipt = |incoming: &Incoming| matches!(incoming.message(), Ok(ToClient::Receipt(_)));
    let incoming = raw.wait_for(PATIENCE, is_receipt).expect("a receipt");
    let Ok(ToClient::Receipt(receipt)) = incoming.message() else {
        unreachable!("only a receipt was wanted")
    };
    for bit in (0..receipt.header.len() * 8).step_by(37) {
        let mut header = *receipt.header;
        header[bit / 8] ^= 1 << (bit % 8);
        let bent = Receipt {
            header: &header,
            ..receipt
        };
        silent.accept_receipt(&bent).expect_err("not the hub's");
        assert_eq!(silent.get(&to).expect("held").wallet().hub().reference(), good);
    }
    silent.accept_receipt(&receipt).expect("it is the hub's");
    assert_eq!(a.settle(&from).expect("nothing is proved"), 1);
    assert_eq!(
        ack(
            &mut raw,
            &bob,
            Ack {
                channel: to,
                leaf: good
            }
        )
        .leaf()
        .firm_credit,
        sat(1_000)
    );
    drop(raw);
    assert_eq!(a.settle(&from).expect("settled"), 0);
    b.recover(&to).expect("taken up");
    for (client, channel) in [(&mut a, from), (&mut b, to)] {
        close(client, &channel);
    }
    assert_eq!(funds(&mut b), FUNDS - OPENING + 1_000 - CLOSING);
    drop((a, b));
    world.ends_with(2);
}
