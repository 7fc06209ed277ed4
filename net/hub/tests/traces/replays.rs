//! What was signed once, shown again: on another channel, to another hub, under another ledger, as another message, under another
//! counter, and after the channel's end to the next one between the same two.

use tidegate_channel::{Ack, ClientState, LeafRef, RefuseReason, Release, encode_operations};
use tidegate_client::{ClientChannel, Connection, Signer};
use tidegate_types::{ClientCounter, Digest, Fixed as _, HubCounter, LedgerId, LockId, SignatureBytes};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages as wire;

use crate::rig::closes::{own, pair_of, refusal};
use crate::rig::{open, payment};
use crate::support::{Answer, CLOSING, FUNDS, OPENING, World, ack, ask, bring, close, funds, next_state};

/// The next state of a channel, which adds nothing.
fn plain_state(channel: &ClientChannel) -> ClientState {
    next_state(channel, &[], channel.wallet().hub().reference())
}

#[test]
fn nothing_that_was_signed_counts_anywhere_else() {
    let (world, other) = (World::new(2), World::new(2));
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (from, second, to) = (open(&mut a, 1_000_000), open(&mut a, 1_000_000), open(&mut b, 500_000));
    a.pay(&from, &[payment(b.key(), to, 1_000)]).expect("paid");
    b.sync(&to).expect("in date, and acknowledged");
    a.settle(&from).expect("settled");
    let (alice, channel) = (world.signer(0), own(&a, &from));
    let mut raw = world.raw(0);
    let state = plain_state(&channel);
    let good = state.sign(&alice.ledger, &alice.key);
    // The same client's other channel: the state names it, the signature does not.
    let moved = ClientState {
        channel: second,
        ..state
    };
    // Another ledger, and what is signed as something else.
    let elsewhere = Signer {
        ledger: LedgerId::from_bytes([7; 32]),
        key: world.signer(0).key,
    };
    let leaf = channel.wallet().hub().reference();
    let word = Ack { channel: from, leaf };
    let release = Release {
        channel: from,
        lock: LockId::ZERO,
    };
    let signatures = [
        (moved, good),
        (state, state.sign(&elsewhere.ledger, &elsewhere.key)),
        (state, word.sign(&alice.ledger, &alice.key)),
        (state, release.sign(&alice.ledger, &alice.key)),
        (state, state.sign(&alice.ledger, &world.signer(1).key)),
    ];
    for (at, (state, signature)) in signatures.into_iter().enumerate() {
        let bytes = state.to_vec().try_into().expect("160 bytes");
        let answer = bring_signed(&mut raw, &bytes, &signature);
        assert_eq!(answer, Answer::Refused(RefuseReason::BadSignature), "signature {at}");
    }
    let bytes = word.to_vec().try_into().expect("72 bytes");
    let as_ack = wire::Ack {
        ack: &bytes,
        signature: &good,
    };
    assert!(matches!(
        ask(&mut raw, &as_ack),
        Answer::Error(ErrorCode::AckRefused, _)
    ));
    // Another hub knows no such channel, and tells nothing of it.
    let bytes: [u8; 160] = state.to_vec().try_into().expect("160 bytes");
    let mut foreign = other.raw_as(&world, 0);
    assert_eq!(
        bring_signed(&mut foreign, &bytes, &good),
        Answer::Error(ErrorCode::NotAttached, String::new())
    );
    drop(foreign);
    // It was good all the time, once.
    bring(&mut raw, &alice, &state, &[]).leaf();
    drop(raw);
    a.recover(&from).expect("taken up");
    for (client, channel) in [(&mut a, from), (&mut b, to)] {
        close(client, &channel);
    }
    close(&mut a, &second);
    assert_eq!(funds(&mut a), FUNDS - 2 * OPENING - 2 * CLOSING - 1_002);
    drop((a, b));
    world.ends_with(2);
    other.ends_with(0);
}

fn bring_signed(raw: &mut Connection, state: &[u8; 160], signature: &SignatureBytes) -> Answer {
    let mut operations = Vec::new();
    encode_operations(&[], &mut operations);
    let pay = wire::Pay {
        state,
        signature,
        operations: &operations,
    };
    ask(raw, &pay)
}

/// One counter is one state: again, changed, behind, skipped, and the last one there is.
#[test]
fn a_counter_is_taken_once() {
    let world = World::new(1);
    let mut a = world.client(0);
    let from = open(&mut a, 1_000_000);
    a.sync(&from).expect("in date");
    let (alice, channel) = (world.signer(0), own(&a, &from));
    let mut raw = world.raw(0);
    let first = plain_state(&channel);
    bring(&mut raw, &alice, &first, &[]).leaf();
    assert_eq!(
        bring(&mut raw, &alice, &first, &[]),
        Answer::Refused(RefuseReason::Duplicate),
        "again"
    );
    let other = ClientState {
        ack: LeafRef {
            counter: HubCounter::ZERO,
            digest: Digest::ZERO,
        },
        ..first
    };
    assert_eq!(
        bring(&mut raw, &alice, &other, &[]),
        Answer::Refused(RefuseReason::Conflict),
        "another of its number"
    );
    let numbered = |n| ClientState {
        counter: ClientCounter::new(n),
        ..first
    };
    bring(&mut raw, &alice, &numbered(10), &[]).leaf();
    for behind in [1, 2, 9] {
        assert_eq!(
            bring(&mut raw, &alice, &numbered(behind), &[]),
            Answer::Refused(RefuseReason::StaleCounter),
            "{behind}"
        );
    }
    bring(&mut raw, &alice, &numbered(u64::MAX), &[]).leaf();
    assert_eq!(
        bring(&mut raw, &alice, &numbered(u64::MAX), &[]),
        Answer::Refused(RefuseReason::Duplicate)
    );
    for behind in [0, 11, u64::MAX - 1] {
        assert_eq!(
            bring(&mut raw, &alice, &numbered(behind), &[]),
            Answer::Refused(RefuseReason::StaleCounter),
            "{behind}"
        );
    }
    drop(raw);
    // Nothing more can be signed, and the money is to be had all the same.
    a.recover(&from).expect("taken up");
    close(&mut a, &from);
    assert_eq!(funds(&mut a), FUNDS - OPENING - CLOSING);
    drop(a);
    world.ends_with(0);
}

/// The same two, the same terms, another channel: nothing of the first one counts in it, at the hub or on the ledger.
#[test]
fn a_second_channel_of_the_same_two_owes_nothing_of_the_first() {
    let world = World::new(2);
    let (mut a, mut b) = (world.client(0), world.client(1));
    let (first, to) = (open(&mut a, 1_500_000), open(&mut b, 500_000));
    a.pay(&first, &[payment(b.key(), to, 100_000)]).expect("paid");
    b.sync(&to).expect("in date, and acknowledged");
    a.settle(&first).expect("settled");
    let (alice, old) = (world.signer(0), own(&a, &first));
    let pair = pair_of(&old, &alice, a.height());
    let state = plain_state(&old);
    close(&mut a, &first);
    let second = open(&mut a, 1_300_000);
    a.sync(&second).expect("in date");
    let new = own(&a, &second);
    let mut raw = world.raw(0);
    assert_eq!(
        bring(&mut raw, &alice, &state, &[]),
        Answer::Refused(RefuseReason::Closing)
    );
    let renamed = ClientState {
        channel: second,
        ..pair.client.as_ref().expect("a state").signed.state
    };
    let bytes = renamed.to_vec().try_into().expect("160 bytes");
    let signature = pair.client.as_ref().expect("a state").signed.signature;
    assert_eq!(
        bring_signed(&mut raw, &bytes, &signature),
        Answer::Refused(RefuseReason::BadSignature)
    );
    let leaf = pair.hub.as_ref().expect("a leaf").leaf.reference();
    let refused = ack(&mut raw, &alice, Ack { channel: second, leaf });
    assert!(
        matches!(refused, Answer::Error(ErrorCode::AckRefused, _)),
        "{refused:?}"
    );
    drop(raw);
    let (code, text) = refusal(a.submit(&new.start_close(&alice, pair.clone())));
    assert!(
        code == ErrorCode::TransactionRefused && text.contains("belongs to another channel"),
        "{text}"
    );
    let (code, _) = refusal(a.submit(&old.start_close(&alice, pair)));
    assert_eq!(code, ErrorCode::TransactionRefused, "its output is spent");
    a.sync(&second).expect("in date");
    a.pay(&second, &[payment(b.key(), to, 1_000)]).expect("paid");
    b.sync(&to).expect("in date, and acknowledged");
    assert_eq!(a.settle(&second).expect("settled"), 0);
    close(&mut a, &second);
    close(&mut b, &to);
    assert_eq!(funds(&mut a), FUNDS - 2 * (OPENING + CLOSING) - 100_011 - 1_002);
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 101_000);
    drop((a, b));
    world.ends_with(11 + 2);
}
