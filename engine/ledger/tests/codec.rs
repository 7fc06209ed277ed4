//! Encodings: what is written is read back, and nothing else is read.

mod common;

use common::{CloseKit, genesis_bytes, key, sat, secret, spend, terms};
use proptest::prelude::*;
use tidegate_ledger::{Block, BlockHeader, Genesis, LedgerParams, Output, Transaction, TransactionBody, Utxo, Witness};
use tidegate_types::{
    Amount, DecodeError, Digest, Fixed, Height, KeyBytes, LedgerId, OutPoint, SignatureBytes, Txid, UnixMillis,
};

fn amounts() -> impl Strategy<Value = Amount> {
    (0..=Amount::MAX.to_sat()).prop_map(sat)
}

fn outputs() -> impl Strategy<Value = Output> {
    let to_key = (amounts(), any::<[u8; 32]>()).prop_map(|(a, k)| Output::to_key(a, KeyBytes::from_bytes(k)));
    let to_channel = (0..=1_000_000_u64, any::<u32>(), any::<[u8; 32]>()).prop_map(|(capacity, nonce, k)| {
        let mut terms = terms(3, capacity, 0);
        (terms.nonce, terms.delegate) = (nonce, KeyBytes::from_bytes(k));
        Output::to_channel(&terms)
    });
    prop_oneof![to_key, to_channel]
}

fn outpoints() -> impl Strategy<Value = OutPoint> {
    (any::<[u8; 32]>(), any::<u32>()).prop_map(|(txid, vout)| OutPoint {
        txid: Txid::from_bytes(txid),
        vout,
    })
}

fn close() -> Transaction {
    let outpoint = OutPoint {
        txid: Txid::from_bytes([8; 32]),
        vout: 1,
    };
    CloseKit::new(LedgerId::ZERO, outpoint, 3, terms(3, 9_000, 9_000), 5_000, 400).transaction()
}

fn transactions() -> impl Strategy<Value = Transaction> {
    let inputs = prop::collection::vec((outpoints(), any::<bool>(), any::<u8>()), 1..5);
    (inputs, prop::collection::vec(outputs(), 1..5)).prop_map(|(inputs, outputs)| {
        let witness = |&(_, is_key, byte): &(OutPoint, bool, u8)| match is_key {
            true => Witness::Key(SignatureBytes::from_bytes([byte; 64])),
            false => close().witnesses.remove(0),
        };
        Transaction {
            witnesses: inputs.iter().map(witness).collect(),
            body: TransactionBody::plain(inputs.iter().map(|i| i.0).collect(), outputs),
        }
    })
}

fn block(transactions: Vec<Transaction>) -> Block {
    Block {
        header: BlockHeader {
            height: Height::new(7),
            count: u32::try_from(transactions.len()).expect("few"),
            time: UnixMillis::new(8),
            previous: Digest::from_bytes([1; 32]),
            transactions: Digest::from_bytes([2; 32]),
            utxos: Digest::from_bytes([3; 32]),
        },
        signature: SignatureBytes::from_bytes([4; 64]),
        transactions,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn what_is_written_is_read_back(transactions in prop::collection::vec(transactions(), 0..4)) {
        for transaction in &transactions {
            let bytes = transaction.encode();
            prop_assert_eq!(bytes.len() as u64, transaction.encoded_len());
            prop_assert_eq!(Transaction::decode(&bytes), Ok(transaction.clone()));
        }
        let block = block(transactions);
        prop_assert_eq!(Block::decode(&block.encode()), Ok(block));
    }

    /// One encoding per value: bytes that decode at all are the encoding of what they decode to.
    #[test]
    fn changed_bytes_are_refused_or_are_another_value(
        transaction in transactions(),
        changes in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..4),
        cut in any::<prop::sample::Index>(),
    ) {
        let good = block(vec![transaction]).encode();
        let mut bytes = good.clone();
        for (at, mask) in changes {
            bytes[at.index(good.len())] ^= mask;
        }
        if let Ok(block) = Block::decode(&bytes) {
            prop_assert_eq!(block.encode(), bytes);
        }
        prop_assert!(Block::decode(&good[..cut.index(good.len())]).is_err());
        let longer = [&good[..], &[0]].concat();
        prop_assert_eq!(Block::decode(&longer), Err(DecodeError::TrailingBytes { count: 1 }));
    }

    #[test]
    fn a_table_record_has_one_encoding(output in outputs(), height: u32, position: u32, at: prop::sample::Index, mask in 1_u8..) {
        let utxo = Utxo { output, height: Height::new(height), position };
        let mut bytes = utxo.to_vec();
        prop_assert_eq!(bytes.len(), 264);
        prop_assert_eq!(Utxo::decode(&bytes), Ok(utxo));
        bytes[at.index(264)] ^= mask;
        if let Ok(other) = Utxo::decode(&bytes) {
            prop_assert_eq!(other.to_vec(), bytes);
        }
    }

    /// The txid covers the whole body and nothing of the witnesses.
    #[test]
    fn the_txid_is_of_the_body(transaction in transactions(), other in transactions()) {
        prop_assert_eq!(transaction.txid() == other.txid(), transaction.body == other.body);
        let mut resigned = transaction.clone();
        resigned.witnesses[0] = Witness::Key(SignatureBytes::from_bytes([0xee; 64]));
        prop_assert_eq!(resigned.txid(), transaction.txid());
    }

    #[test]
    fn random_bytes_never_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _ = Transaction::decode(&bytes);
        let _ = Block::decode(&bytes);
        if let Ok(genesis) = Genesis::parse(&bytes) {
            let _ = genesis.check();
        }
    }
}

/// Every bit of the signed body: the flipped transaction is refused, whatever it says then.
#[test]
fn every_flipped_bit_of_a_signed_body_is_refused() {
    let outputs = [1, 2].map(|n| Output::to_key(sat(10_000), key(n)));
    let (mut chain, txid) = common::chain(LedgerParams::default(), &outputs);
    let inputs = [(OutPoint { txid, vout: 0 }, 1), (OutPoint { txid, vout: 1 }, 2)];
    let outputs = vec![
        Output::to_key(sat(9_000), key(3)),
        Output::to_channel(&terms(3, 9_000, 8_000)),
    ];
    let good = spend(chain.ledger(), &inputs, outputs).encode();
    assert!(chain.check(Transaction::decode(&good).expect("it decodes")).is_ok());
    for bit in 0..good.len() * 8 {
        let mut bytes = good.clone();
        bytes[bit / 8] ^= 1 << (bit % 8);
        if let Ok(transaction) = Transaction::decode(&bytes) {
            assert!(chain.check(transaction).is_err(), "bit {bit} makes no difference");
        }
    }
}

/// Counts are judged before anything is allocated for them.
#[test]
fn a_count_is_no_promise() {
    let mut bytes = vec![1, 0, 1, 1, 0];
    assert_eq!(Transaction::decode(&bytes), Err(DecodeError::Truncated));
    bytes[1..3].copy_from_slice(&257_u16.to_le_bytes());
    let refused = DecodeError::OutOfRange { field: "input count" };
    assert_eq!(Transaction::decode(&bytes), Err(refused));
    bytes[1..3].copy_from_slice(&0_u16.to_le_bytes());
    assert_eq!(Transaction::decode(&bytes), Err(refused));
    let wide = vec![0; LedgerParams::TRANSACTION_BYTES_LIMIT as usize + 1];
    let refused = DecodeError::OutOfRange {
        field: "transaction size",
    };
    assert_eq!(Transaction::decode(&wide), Err(refused));
    let mut long = close();
    common::close_of(&mut long).path = vec![Digest::ZERO; 33];
    let refused = DecodeError::OutOfRange { field: "path length" };
    assert_eq!(Transaction::decode(&long.encode()), Err(refused));
    let mut head = block(Vec::new());
    head.header.count = u32::MAX;
    let mut bytes = head.header.to_vec();
    head.signature.append_to(&mut bytes);
    assert_eq!(Block::decode(&bytes), Err(DecodeError::Truncated));
}

/// Frozen bytes: whoever changes a layout changes these, knowingly. The digests are BLAKE3 of the encodings.
#[test]
fn encodings_are_frozen() {
    let params = LedgerParams::default();
    let outputs = [
        Output::to_key(sat(10_000), key(1)),
        Output::to_channel(&terms(3, 9_000, 8_000)),
    ];
    let genesis = genesis_bytes(params, &outputs);
    let (mut chain, txid) = common::chain(params, &outputs);
    let paid = spend(
        chain.ledger(),
        &[(OutPoint { txid, vout: 0 }, 1)],
        vec![Output::to_key(sat(9_000), key(2))],
    );
    let kit = CloseKit::new(
        chain.ledger(),
        OutPoint { txid, vout: 1 },
        3,
        terms(3, 9_000, 8_000),
        5_000,
        400,
    );
    let closed = kit.transaction();
    let mut mempool = tidegate_ledger::Mempool::new(1 << 20);
    for transaction in [&paid, &closed] {
        let checked = chain.check(transaction.clone()).expect("it holds");
        mempool.insert(checked).expect("it fits");
    }
    let genesis_hash = chain.tip().hash;
    let sealed = common::solo().seal(&mut chain, &mut mempool, UnixMillis::new(1_700_000_000_000));
    let block = sealed.expect("it seals").block;
    assert_eq!(secret(1).public().bytes(), key(1));
    let found = [
        ("genesis", digest(&genesis)),
        ("ledger id", chain.ledger().to_string()),
        ("genesis txid", txid.to_string()),
        ("genesis hash", genesis_hash.to_string()),
        ("payment", digest(&paid.encode())),
        ("payment txid", paid.txid().to_string()),
        ("close", digest(&closed.encode())),
        ("close txid", closed.txid().to_string()),
        ("block", digest(&block.encode())),
        ("block hash", block.hash().to_string()),
    ];
    let found: Vec<_> = found.iter().map(|(name, hex)| (*name, hex.as_str())).collect();
    assert_eq!(found, GOLDEN);
}

fn digest(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

const GOLDEN: [(&str, &str); 10] = [
    (
        "genesis",
        "db857d8478f2c919138a4603a75759ecbe7aa400b39bae3858203f45746c14ae",
    ),
    (
        "ledger id",
        "979efb5449c58e8c750bb87a221054988c8d51e9bc3f85a91fa71d15d1d985a0",
    ),
    (
        "genesis txid",
        "ce07595400030bbe4f9c3fae5db8e22760afba621a7ce7178c94148be87af689",
    ),
    (
        "genesis hash",
        "9910d92e7512c8dc5afca32f22395a464adee9d23c8622ee28f32cb1d737562a",
    ),
    (
        "payment",
        "cd33dacd0822cd3f71a8ccfa764e3a1e388b151d75144b7d6ec9c7c9c81e90eb",
    ),
    (
        "payment txid",
        "a0bbb91d0cd410f25303139265d8f161022d11ac811602d9911dbecfe54c7241",
    ),
    (
        "close",
        "3c4450707b2a75e02e175bf10cba00101ff74c548c494bebdc1fc3ebe2d7cc65",
    ),
    (
        "close txid",
        "5b225888cbc695be0c062afddc8ab72b096aa8d4bd7ecf7f5da9c2064313ea39",
    ),
    (
        "block",
        "2c4a56499a034a501e313e5252aadda26487a24127c6a457ce3d37a79024b01c",
    ),
    (
        "block hash",
        "d88d723e3bcfdf14bc7352d5f250271e1a0864c63628e97427c6bad1603e8abe",
    ),
];
