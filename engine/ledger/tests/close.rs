//! A cooperative close is accepted with exactly the right evidence, and with nothing else.

mod common;

use common::{CloseKit, HUB_PAYOUT, chain, close_of, flip, key, sat, secret, solo, spend, terms};
use tidegate_channel::{HeaderError, LeafKind};
use tidegate_crypto::signed::{SignedKind, sign};
use tidegate_ledger::{
    Chain, CloseError, Event, LedgerParams, MemoryStore, Mempool, Output, Transaction, TransactionError, Witness,
};
use tidegate_types::{Amount, ChannelId, Digest, HubCounter, LedgerId, OutPoint, Txid, UnixMillis};

const CLIENT: u8 = 10;

fn world() -> (Chain<MemoryStore>, CloseKit) {
    let channel = terms(CLIENT, 100_000, 60_000);
    let outputs = [
        Output::to_channel(&channel),
        Output::to_channel(&terms(20, 50_000, 50_000)),
        Output::to_key(sat(9_000), key(1)),
    ];
    let (chain, txid) = chain(LedgerParams::default(), &outputs);
    let outpoint = OutPoint { txid, vout: 0 };
    let kit = CloseKit::new(chain.ledger(), outpoint, CLIENT, channel, 55_000, 400);
    (chain, kit)
}

fn refusal(chain: &mut Chain<MemoryStore>, transaction: Transaction) -> CloseError {
    match chain.check(transaction) {
        Err(TransactionError::Close { input: 0, error }) => error,
        other => panic!("expected a refused close, got {other:?}"),
    }
}

#[test]
fn the_right_evidence_closes_the_channel() {
    let (mut chain, kit) = world();
    let transaction = kit.transaction();
    let txid = transaction.txid();
    let mut mempool = Mempool::new(1 << 20);
    let checked = chain.check(transaction).expect("the evidence is right");
    mempool.insert(checked).expect("the pool is empty");
    let sealed = solo()
        .seal(&mut chain, &mut mempool, UnixMillis::new(1_700_000_000_000))
        .expect("the validator seals");
    let expected = Event::ChannelClosed {
        channel: kit.private.channel,
        txid,
        client_payout: sat(54_600),
        hub_payout: sat(45_000),
        fee: sat(400),
    };
    assert_eq!(sealed.applied.events, [expected]);
    let paid = |vout| {
        let found = chain.store().iter().find(|(o, _)| **o == OutPoint { txid, vout });
        found.map(|(_, utxo)| utxo.output)
    };
    assert_eq!(paid(0), Some(Output::to_key(sat(54_600), key(CLIENT + 1))));
    assert_eq!(paid(1), Some(Output::to_key(sat(45_000), key(HUB_PAYOUT))));
    assert_eq!(chain.open_channels(), 1);
    assert_eq!(chain.supply().burned, 400);
}

#[test]
fn a_side_that_gets_nothing_has_no_output_and_little_is_not_dust() {
    let (mut chain, mut kit) = world();
    kit = CloseKit::new(kit.ledger, kit.outpoint, CLIENT, kit.channel, 100_000, 400);
    assert_eq!(kit.transaction().body.outputs.len(), 1);
    assert!(chain.check(kit.transaction()).is_ok());
    kit = CloseKit::new(kit.ledger, kit.outpoint, CLIENT, kit.channel, 401, 400);
    assert_eq!(kit.transaction().body.outputs[0].amount, sat(1));
    assert!(chain.check(kit.transaction()).is_ok());
}

#[test]
fn each_wrong_piece_signed_by_all_is_refused() {
    type Case = (fn(&mut CloseKit), CloseError);
    let cases: [Case; 9] = [
        (|k| k.private.channel = ChannelId::ZERO, CloseError::OtherChannel),
        (|k| k.private.kind = LeafKind::Update, CloseError::NotFinal),
        (|k| k.private.in_locks_sum = sat(1), CloseError::OpenLocks),
        (|k| k.private.terms = Digest::ZERO, CloseError::OtherTerms),
        (
            |k| {
                k.terms.channel = ChannelId::ZERO;
                k.private.terms = k.terms.digest();
            },
            CloseError::OtherTerms,
        ),
        (
            |k| {
                k.terms.successor.vout = 1;
                k.private.terms = k.terms.digest();
            },
            CloseError::Splice,
        ),
        (
            |k| {
                k.terms.successor.txid = Txid::from_bytes([1; 32]);
                k.private.terms = k.terms.digest();
            },
            CloseError::Splice,
        ),
        (
            |k| {
                k.terms.fee = sat(401);
                k.private.terms = k.terms.digest();
            },
            CloseError::OtherFee {
                fee: Amount::from_sat(400).expect("small"),
                terms: Amount::from_sat(401).expect("small"),
            },
        ),
        (|k| k.header_hub = key(1), CloseError::Header(HeaderError::OtherHub)),
    ];
    for (number, (spoil, expected)) in cases.into_iter().enumerate() {
        let (mut chain, mut kit) = world();
        spoil(&mut kit);
        assert_eq!(refusal(&mut chain, kit.transaction()), expected, "case {number}");
    }
}

#[test]
fn each_wrong_signer_is_refused() {
    let (mut chain, mut kit) = world();
    kit.hub = 1;
    let error = CloseError::Header(HeaderError::BadSignature);
    assert_eq!(refusal(&mut chain, kit.transaction()), error);
    let (_, mut kit) = world();
    kit.client = common::HUB;
    assert_eq!(refusal(&mut chain, kit.transaction()), CloseError::ClientSignature);
    let (_, mut kit) = world();
    kit.ledger = LedgerId::ZERO;
    let error = CloseError::Header(HeaderError::BadSignature);
    assert_eq!(refusal(&mut chain, kit.transaction()), error);
}

#[test]
fn outputs_are_the_payouts_and_nothing_else() {
    let (mut chain, kit) = world();
    let resign = |change: fn(&mut Vec<Output>)| {
        let mut transaction = kit.transaction();
        change(&mut transaction.body.outputs);
        let signature = transaction.body.sign(&kit.ledger, &secret(CLIENT));
        close_of(&mut transaction).signature = signature;
        transaction
    };
    let changes: [fn(&mut Vec<Output>); 5] = [
        |outputs| outputs.swap(0, 1),
        |outputs| outputs[0].condition = Output::to_key(Amount::ZERO, key(1)).condition,
        |outputs| {
            outputs[0].amount = sat(54_599);
            outputs[1].amount = sat(45_001);
        },
        |outputs| outputs.truncate(1),
        |outputs| {
            outputs[0].amount = sat(54_000);
            outputs.push(Output::to_key(sat(600), key(1)));
        },
    ];
    for change in changes {
        assert_eq!(refusal(&mut chain, resign(change)), CloseError::OtherOutputs);
    }
}

#[test]
fn a_close_spends_nothing_else() {
    let (mut chain, kit) = world();
    for close_first in [true, false] {
        let mut transaction = kit.transaction();
        let other = OutPoint {
            vout: 2,
            ..kit.outpoint
        };
        transaction.body.inputs.push(other);
        transaction.body.outputs.push(Output::to_key(sat(9_000), key(1)));
        let txid = transaction.txid();
        let witness = sign(&secret(1), &kit.ledger, SignedKind::Transaction, txid.as_bytes());
        transaction.witnesses.push(Witness::Key(witness));
        let signature = transaction.body.sign(&kit.ledger, &secret(CLIENT));
        close_of(&mut transaction).signature = signature;
        if !close_first {
            transaction.body.inputs.reverse();
            transaction.witnesses.reverse();
        }
        assert_eq!(refusal(&mut chain, transaction), CloseError::NotAlone);
    }
}

#[test]
fn evidence_of_one_channel_closes_no_other() {
    let (mut chain, kit) = world();
    let other = OutPoint {
        vout: 1,
        ..kit.outpoint
    };
    let mut transaction = kit.transaction();
    transaction.body.inputs = vec![other];
    transaction.body.outputs[0].amount = sat(4_600);
    assert_eq!(refusal(&mut chain, transaction), CloseError::OtherChannel);
}

#[test]
fn a_key_signature_opens_no_channel_and_a_close_no_key() {
    let (mut chain, kit) = world();
    let outputs = vec![Output::to_key(sat(99_000), key(CLIENT))];
    let stolen = spend(chain.ledger(), &[(kit.outpoint, CLIENT)], outputs);
    let wrong = Err(TransactionError::WrongWitness { input: 0 });
    assert_eq!(chain.check(stolen), wrong);
    let mut transaction = kit.transaction();
    transaction.body.inputs[0].vout = 2;
    transaction.body.outputs = vec![Output::to_key(sat(8_000), key(1))];
    assert_eq!(chain.check(transaction), wrong);
}

/// Every single bit of the witness, in its encoding: no flip leaves a close that is accepted.
#[test]
fn every_flipped_bit_of_the_evidence_is_refused() {
    let (mut chain, kit) = world();
    let good = kit.transaction().encode();
    assert!(chain.check(Transaction::decode(&good).expect("decodes")).is_ok());
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(transaction) = Transaction::decode(&bytes) {
            assert!(chain.check(transaction).is_err(), "bit {bit} makes no difference");
        }
    }
}

#[test]
fn a_path_of_another_length_or_index_is_refused() {
    let (mut chain, kit) = world();
    let spoil = |change: fn(&mut tidegate_ledger::ChannelClose)| {
        let mut transaction = kit.transaction();
        change(close_of(&mut transaction));
        transaction
    };
    let changes: [fn(&mut tidegate_ledger::ChannelClose); 4] = [
        |close| close.path.truncate(2),
        |close| close.path.push(Digest::ZERO),
        |close| close.index = 2,
        |close| close.index = u32::MAX,
    ];
    for change in changes {
        let error = CloseError::Header(HeaderError::BadPath);
        assert_eq!(refusal(&mut chain, spoil(change)), error);
    }
    let changed = spoil(|close| close.private.counter = HubCounter::new(8));
    assert_eq!(refusal(&mut chain, changed), CloseError::Header(HeaderError::BadPath));
    let changed = spoil(|close| close.public.previous = Digest::from_bytes([1; 32]));
    assert_eq!(refusal(&mut chain, changed), CloseError::Header(HeaderError::BadPath));
    let changed = spoil(|close| flip(&mut close.signature, 3));
    assert_eq!(refusal(&mut chain, changed), CloseError::ClientSignature);
}

#[test]
fn a_close_pays_the_least_fee() {
    let (mut chain, kit) = world();
    let least = Transaction::close_fee_min(chain.params());
    let cheap = least.to_sat() - 1;
    let kit = CloseKit::new(kit.ledger, kit.outpoint, CLIENT, kit.channel, 50_000, cheap);
    let refused = TransactionError::FeeTooLow { fee: sat(cheap), least };
    assert_eq!(chain.check(kit.transaction()), Err(refused));
    let kit = CloseKit::new(kit.ledger, kit.outpoint, CLIENT, kit.channel, 50_000, least.to_sat());
    assert!(chain.check(kit.transaction()).is_ok());
    assert!(kit.transaction().encoded_len() < u64::from(LedgerParams::default().transaction_bytes_max));
}
