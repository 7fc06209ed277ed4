//! Every kind of condition, record, action and witness has one encoding, and the bytes are frozen.

use proptest::prelude::*;
use tidegate_channel::Condition as LockTerms;
use tidegate_channel::codec::Canonical;
use tidegate_channel::evidence::{
    Acknowledged, EntryPath, Fault, LockEvidence, MandateSubject, Opener, Pair, Side, StateNaming, StateNote,
};
use tidegate_ledger::{
    Action, After, Inner, LockCondition, LockPlace, MultiKeys, Output, Payer, Timelock, Transaction, TransactionBody,
    Utxo, Witness,
};
use tidegate_types::{Age, ChannelId, DecodeError, Digest, Fixed, Height, LockId, LockSlot};

use crate::common::{HUB, key, sat, secret};
use crate::stakes::faults;
use crate::world::{Channel, World, alone, in_lock, out_lock};

/// One transaction with each action.
#[expect(clippy::too_many_lines, reason = "a list, one action after the other")]
fn actions(world: &World) -> Vec<(&'static str, Transaction)> {
    let channel = world.channel(0);
    let mut c = channel.c(3, 50_000);
    c.locks.push(out_lock(5, LockTerms::Ack, channel.id, 300));
    let mut h = channel.h(4, 20_000);
    h.locks.push(in_lock(
        4,
        &world.channel(1),
        &out_lock(3, LockTerms::Hash([6; 32]), channel.id, 300),
    ));
    let pair = channel.pair(&c, &h);
    let note = StateNote {
        channel: channel.id,
        state: channel.state(&c).state.reference(),
    };
    let noted = Pair {
        client: Some(channel.client_half(&c, StateNaming::ByNote(note.sign(&channel.ledger, &secret(HUB))))),
        hub: None,
    };
    let place = LockPlace {
        channel: channel.id,
        side: Side::Client,
        slot: LockSlot::new(5).expect("below 64"),
    };
    let payer = channel.payer(Side::Hub, MandateSubject::Lock(LockId::from_bytes([1; 32])));
    let entry = EntryPath {
        index: 0,
        count: 1,
        salt: [1; 16],
        path: vec![Digest::from_bytes([2; 32])],
    };
    let leaf = Box::new(channel.leaf(&h));
    let evidence = Box::new(LockEvidence::Failed { leaf, entry });
    let (ack, signature) = channel.ack(channel.leaf(&h).reference());
    let word = Box::new(Acknowledged::ByAck(ack, signature));
    let (funding, hub, id) = (channel.outpoint, key(HUB), channel.id);
    let fault: Vec<Fault> = faults(&channel).into_iter().map(|(_, fault)| fault).collect();
    let boxed = |at: usize| Box::new(fault[at].clone());
    let preimage = [9; 32];
    let of = |name, action| (name, alone(funding, action));
    vec![
        ("start", channel.start(Opener::Hub, Some(pair))),
        ("emergency", channel.start(Opener::Emergency, None)),
        ("evidence", channel.evidence(Side::Client, noted)),
        of("lock evidence", Action::LockEvidence { place, payer, evidence }),
        of("settle", Action::Settle { channel: id }),
        of(
            "preimage",
            Action::RevealPreimage {
                preimage,
                place: Some(place),
                payer,
            },
        ),
        of(
            "ack",
            Action::RevealAck {
                funding,
                word,
                payer: Payer::Coins,
            },
        ),
        of("unbond", Action::unbond(&funding, &channel.ledger, &secret(HUB))),
        of(
            "commit",
            Action::Commit {
                digest: Digest::from_bytes([3; 32]),
            },
        ),
        of(
            "report",
            Action::ReportFault {
                hub,
                reward: key(1),
                fault: boxed(0),
            },
        ),
        of(
            "forfeit",
            Action::Forfeit {
                channel: id,
                fault: boxed(2),
            },
        ),
        of(
            "claim",
            Action::ClaimStake {
                channel: id,
                hub,
                fault: boxed(6),
            },
        ),
        of("distribute", Action::Distribute { hub }),
        ("outputs", outputs(&channel)),
    ]
}

/// A transaction with each output that has no action of its own.
fn outputs(channel: &Channel) -> Transaction {
    let keys = MultiKeys::new(2, vec![key(1), key(2), key(3)]).expect("a threshold");
    let amount = sat(1_000);
    let output = |condition| Output { amount, condition };
    let (claim, refund, expiry) = (key(1), key(2), Height::new(9));
    let lock = |condition| {
        output(tidegate_ledger::Condition::Lock(tidegate_ledger::LockTerms {
            condition,
            claim,
            refund,
            expiry,
        }))
    };
    let after = After::Age(Age::new(5));
    let inner = Inner::Key(key(4));
    let mut body = TransactionBody::plain(
        vec![channel.outpoint],
        vec![
            output(tidegate_ledger::Condition::Multi(keys.condition())),
            output(tidegate_ledger::Condition::Timelocked(Timelock { after, inner })),
            lock(LockCondition::Hash([5; 32])),
            lock(LockCondition::Ack {
                lock: LockId::from_bytes([6; 32]),
                payee: ChannelId::from_bytes([7; 32]),
            }),
            Output::to_stake(amount, key(HUB), key(5), Age::new(77)),
        ],
    );
    body.keys = vec![keys];
    Transaction {
        body,
        witnesses: vec![Witness::Action],
    }
}

/// The records of a close, in the order of their places, as tables hold them.
fn records() -> Vec<Utxo> {
    let mut world = World::new();
    let channel = world.channel(0);
    let mut c = channel.c(3, 50_000);
    c.locks.push(out_lock(5, LockTerms::Ack, channel.id, 300));
    world.put(channel.start(Opener::Client, Some(channel.pair(&c, &channel.h(4, 20_000)))));
    let action = Action::RevealPreimage {
        preimage: [9; 32],
        place: None,
        payer: Payer::Coins,
    };
    let reveal = world.by_coin(2, None, action);
    world.put(reveal);
    let commit = world.by_coin(3, None, Action::Commit { digest: Digest::ZERO });
    world.put(commit);
    let records = world
        .chain
        .store()
        .iter()
        .filter(|(_, utxo)| utxo.is_record() || utxo.is_closing());
    records.map(|(_, utxo)| *utxo).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn each_value_has_one_encoding(which in any::<prop::sample::Index>(), at in any::<prop::sample::Index>(), mask in 1_u8..) {
        let world = World::new();
        let all = actions(&world);
        let (name, transaction) = &all[which.index(all.len())];
        let good = transaction.encode();
        prop_assert_eq!(&Transaction::decode(&good), &Ok(transaction.clone()), "{}", name);
        prop_assert_eq!(transaction.encoded_len(), good.len() as u64);
        let at = at.index(good.len());
        prop_assert!(Transaction::decode(&good[..at]).is_err());
        let longer = [&good[..], &[0]].concat();
        prop_assert_eq!(Transaction::decode(&longer), Err(DecodeError::TrailingBytes { count: 1 }));
        let mut bent = good;
        bent[at] ^= mask;
        if let Ok(other) = Transaction::decode(&bent) {
            prop_assert_eq!(other.encode(), bent);
        }
    }
}

#[test]
fn a_record_has_one_encoding_too() {
    for utxo in records() {
        let good = utxo.to_vec();
        assert_eq!(Utxo::decode(&good), Ok(utxo));
        for at in 0..good.len() {
            let mut bent = good.clone();
            bent[at] ^= 1 << (at % 8);
            if let Ok(other) = Utxo::decode(&bent) {
                assert_eq!(other.to_vec(), bent, "byte {at}");
            }
        }
    }
    let nothing = Pair::decode(&[0]);
    assert!(nothing.is_err(), "a pair has a half");
}

/// Frozen bytes: whoever changes a layout changes these, knowingly. The digests are BLAKE3 of the encodings.
#[test]
fn encodings_are_frozen() {
    let world = World::new();
    let mut found: Vec<(&str, String)> = actions(&world)
        .iter()
        .map(|(name, transaction)| (*name, blake3::hash(&transaction.encode()).to_hex()[..16].to_owned()))
        .collect();
    let bytes: Vec<u8> = records().iter().flat_map(Fixed::to_vec).collect();
    found.push(("records", blake3::hash(&bytes).to_hex()[..16].to_owned()));
    let found: Vec<_> = found.iter().map(|(name, digest)| (*name, digest.as_str())).collect();
    assert_eq!(found, GOLDEN);
}

const GOLDEN: [(&str, &str); 15] = [
    ("start", "267cb6c2467a586f"),
    ("emergency", "bb52283cbe28d281"),
    ("evidence", "dffd50743d6e0793"),
    ("lock evidence", "5c469992ece71ecb"),
    ("settle", "c349104c613cc254"),
    ("preimage", "674acae3b220ebab"),
    ("ack", "e8a507951e0a9e6c"),
    ("unbond", "0d1c8b4d39641185"),
    ("commit", "27103d1a59d0f3e0"),
    ("report", "dcef7302a6767cf3"),
    ("forfeit", "98a260ae24d5337b"),
    ("claim", "079644ce734694dc"),
    ("distribute", "d9d998cd16170f6f"),
    ("outputs", "d140a455b4f6ae27"),
    ("records", "47b331773eee2af9"),
];
