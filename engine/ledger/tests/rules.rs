//! What a transaction, a block and a genesis must not do.

mod common;

use common::{VALIDATOR, chain, genesis_bytes, key, sat, secret, solo, spend, terms};
use tidegate_channel::TermsError;
use tidegate_crypto::keys::KeyError;
use tidegate_ledger::{
    Block, BlockError, BlockSignatureError, Chain, Genesis, GenesisError, LedgerParams, MAX_OUTPUTS, MemoryStore,
    Mempool, MempoolError, Output, OutputError, ParamsError, SealError, Solo, Transaction, TransactionError, Trust,
    UndoError, UtxoStore, Witness,
};
use tidegate_types::{Age, Amount, DecodeError, Digest, Height, KeyBytes, LedgerId, OutPoint, Txid, UnixMillis};

/// Outputs 0 to 3 belong to the keys of their numbers, 10 000 each; output 4 is a channel.
fn world(params: LedgerParams) -> (Chain<MemoryStore>, impl Fn(u8) -> (OutPoint, u8)) {
    let mut outputs: Vec<_> = (0..4).map(|n| Output::to_key(sat(10_000), key(n))).collect();
    outputs.push(Output::to_channel(&terms(10, 20_000, 20_000)));
    let (chain, txid) = chain(params, &outputs);
    (chain, move |n| (OutPoint { txid, vout: n.into() }, n))
}

fn pay(chain: &Chain<MemoryStore>, from: (OutPoint, u8), to: u8, amount: u64) -> Transaction {
    spend(chain.ledger(), &[from], vec![Output::to_key(sat(amount), key(to))])
}

fn at(millis: u64) -> UnixMillis {
    UnixMillis::new(1_700_000_000_000 + millis)
}

fn seal(chain: &mut Chain<MemoryStore>, transactions: Vec<Transaction>) -> Block {
    let mut mempool = Mempool::new(1 << 20);
    for transaction in transactions {
        let checked = chain.check(transaction).expect("the transaction holds");
        mempool.insert(checked).expect("it fits the pool");
    }
    let time = chain.tip().time.max(at(0));
    solo()
        .seal(chain, &mut mempool, time)
        .expect("the validator seals")
        .block
}

#[test]
fn inputs_exist_once_and_are_signed_for() {
    let (mut chain, own) = world(LedgerParams::default());
    let to = || vec![Output::to_key(sat(9_000), key(7))];
    let ledger = chain.ledger();
    assert!(chain.check(pay(&chain, own(0), 7, 9_000)).is_ok());
    let twice = spend(ledger, &[own(0), own(0)], to());
    assert_eq!(chain.check(twice), Err(TransactionError::DuplicateInput(own(0).0)));
    let missing = OutPoint {
        txid: Txid::from_bytes([1; 32]),
        vout: 0,
    };
    let unknown = spend(ledger, &[(missing, 0)], to());
    assert_eq!(chain.check(unknown), Err(TransactionError::UnknownInput(missing)));
    let stolen = spend(ledger, &[own(0), (own(1).0, 0)], to());
    assert_eq!(chain.check(stolen), Err(TransactionError::BadSignature { input: 1 }));
    let elsewhere = spend(LedgerId::ZERO, &[own(0)], to());
    assert_eq!(chain.check(elsewhere), Err(TransactionError::BadSignature { input: 0 }));
}

#[test]
fn counts_are_within_their_limits() {
    let (mut chain, own) = world(LedgerParams::default());
    let good = pay(&chain, own(0), 7, 9_000);
    let mut changed = good.clone();
    changed.witnesses.push(good.witnesses[0].clone());
    assert_eq!(chain.check(changed), Err(TransactionError::Counts));
    let mut changed = good.clone();
    changed.body.outputs.clear();
    assert_eq!(chain.check(changed), Err(TransactionError::Counts));
    let mut changed = good;
    changed.body.inputs.clear();
    changed.witnesses.clear();
    assert_eq!(chain.check(changed), Err(TransactionError::Counts));
    let many = vec![Output::to_key(sat(1), key(7)); MAX_OUTPUTS + 1];
    let changed = spend(chain.ledger(), &[own(0)], many);
    assert_eq!(chain.check(changed), Err(TransactionError::Counts));
}

#[test]
fn value_is_not_made() {
    let (mut chain, own) = world(LedgerParams::default());
    let inflation = TransactionError::Inflation {
        inputs: sat(10_000),
        outputs: sat(10_001),
    };
    assert_eq!(chain.check(pay(&chain, own(0), 7, 10_001)), Err(inflation));
    let huge = vec![Output::to_key(Amount::MAX, key(7)); 2];
    let overflow = spend(chain.ledger(), &[own(0)], huge);
    assert!(matches!(chain.check(overflow), Err(TransactionError::Sum(_))));
    let free = chain.check(pay(&chain, own(0), 7, 10_000));
    let body = pay(&chain, own(0), 7, 10_000).cost();
    let least = chain.params().fee_min(body);
    assert!(least > Amount::ZERO);
    let refused = TransactionError::FeeTooLow {
        fee: Amount::ZERO,
        least,
    };
    assert_eq!(free, Err(refused));
    let exact = 10_000 - least.to_sat();
    assert!(chain.check(pay(&chain, own(0), 7, exact)).is_ok());
    assert!(chain.check(pay(&chain, own(0), 7, exact + 1)).is_err());
}

#[test]
fn outputs_are_sound() {
    let (mut chain, own) = world(LedgerParams::default());
    let ledger = chain.ledger();
    let mut refusal = |output: Output| {
        let rest = Output::to_key(sat(400), key(7));
        match chain.check(spend(ledger, &[own(0)], vec![rest, output])) {
            Err(TransactionError::Output { index: 1, error }) => error,
            other => panic!("expected a refused output, got {other:?}"),
        }
    };
    let dust = OutputError::Dust {
        amount: sat(329),
        dust: sat(330),
    };
    assert_eq!(refusal(Output::to_key(sat(329), key(7))), dust);
    let small_order = OutputError::Key(KeyError::SmallOrder);
    assert_eq!(refusal(Output::to_key(sat(400), KeyBytes::ZERO)), small_order);
    let good = terms(10, 5_000, 5_000);
    let mut channel = good;
    channel.opening_share = sat(5_001);
    let error = OutputError::Terms(TermsError::ShareAboveCapacity);
    assert_eq!(refusal(Output::to_channel(&channel)), error);
    let error = OutputError::NotTheCapacity {
        amount: sat(4_999),
        capacity: sat(5_000),
    };
    let mut output = Output::to_channel(&good);
    output.amount = sat(4_999);
    assert_eq!(refusal(output), error);
    let mut channel = good;
    channel.dispute_window = Age::new(143);
    let error = OutputError::DisputeWindow {
        window: Age::new(143),
        least: Age::new(144),
    };
    assert_eq!(refusal(Output::to_channel(&channel)), error);
}

/// Rule 3 holds for every key that a channel names; absent ones are zero.
#[test]
fn every_key_of_a_channel_counts() {
    let (mut chain, own) = world(LedgerParams::default());
    let no_key = KeyBytes::from_bytes([2; 32]);
    let places: [fn(&mut tidegate_channel::ChannelTerms) -> &mut KeyBytes; 6] = [
        |t| &mut t.client,
        |t| &mut t.hub,
        |t| &mut t.client_payout,
        |t| &mut t.hub_payout,
        |t| &mut t.emergency,
        |t| &mut t.delegate,
    ];
    for (number, place) in places.into_iter().enumerate() {
        let mut channel = terms(10, 5_000, 5_000);
        *place(&mut channel) = no_key;
        let transaction = spend(chain.ledger(), &[own(0)], vec![Output::to_channel(&channel)]);
        let refused = chain.check(transaction);
        let by_key = matches!(
            refused,
            Err(TransactionError::Output {
                error: OutputError::Key(_),
                ..
            })
        );
        assert!(by_key, "key {number}: {refused:?}");
        *place(&mut channel) = key(77);
        let transaction = spend(chain.ledger(), &[own(0)], vec![Output::to_channel(&channel)]);
        assert!(chain.check(transaction).is_ok(), "key {number}");
    }
}

#[test]
fn a_transaction_keeps_to_size_and_cost() {
    let small = LedgerParams {
        transaction_bytes_max: 200,
        ..LedgerParams::default()
    };
    let (mut chain, own) = world(small);
    assert!(chain.check(pay(&chain, own(0), 7, 9_000)).is_ok());
    let outputs = vec![Output::to_key(sat(1_000), key(7)); 4];
    let wide = spend(chain.ledger(), &[own(0)], outputs);
    let bytes = wide.encoded_len();
    assert_eq!(bytes, wide.encode().len() as u64);
    assert_eq!(chain.check(wide), Err(TransactionError::TooLarge { bytes, max: 200 }));
    let cheap = LedgerParams {
        block_cost_max: 200,
        dispute_window_min: Age::new(144),
        ..LedgerParams::default()
    };
    let outputs: Vec<_> = (0..2).map(|n| Output::to_key(sat(10_000), key(n))).collect();
    let (mut chain, txid) = common::chain(cheap, &outputs);
    let dear = pay(&chain, (OutPoint { txid, vout: 0 }, 0), 7, 9_000);
    let cost = dear.cost();
    assert_eq!(chain.check(dear), Err(TransactionError::TooDear { cost, max: 150 }));
}

/// Rule 28, and what it counts: openings, less closes.
#[test]
fn no_more_channels_are_open_than_could_be_disputed() {
    let params = LedgerParams {
        block_cost_max: LedgerParams::DISPUTE_COST,
        dispute_window_min: Age::new(4),
        ..LedgerParams::default()
    };
    assert_eq!(params.open_channels_max(), 2);
    let (mut chain, own) = world(params);
    let open = |chain: &Chain<MemoryStore>, n: u8| {
        let output = Output::to_channel(&terms(40 + n, 9_000, 9_000));
        spend(chain.ledger(), &[own(n)], vec![output])
    };
    let (first, second) = (open(&chain, 0), open(&chain, 1));
    let both = [first, second].map(|tx| chain.check(tx).expect("one more may open"));
    let mut mempool = Mempool::new(1 << 20);
    for checked in both {
        mempool.insert(checked).expect("it fits");
    }
    let sealed = solo().seal(&mut chain, &mut mempool, at(0)).expect("it seals");
    assert_eq!(sealed.block.transactions.len(), 1, "the second would be one too many");
    assert!(mempool.is_empty(), "and leaves the pool");
    assert_eq!(chain.open_channels(), 2);
    let limit = TransactionError::ChannelLimit { max: 2 };
    assert_eq!(chain.check(open(&chain, 2)), Err(limit));
    let outputs = [0, 1, 2].map(|n| Output::to_channel(&terms(40 + n, 9_000, 9_000)));
    let bytes = genesis_bytes(params, &outputs);
    let genesis = Genesis::parse(&bytes).expect("it parses");
    let refused = GenesisError::ChannelLimit { channels: 3, max: 2 };
    assert_eq!(genesis.check(), Err(refused));
}

fn refuse(chain: &mut Chain<MemoryStore>, block: &Block) -> BlockError {
    let before = (chain.tip(), chain.supply(), chain.store().clone(), chain.utxos_root());
    let error = chain.apply(block, Trust::Nothing).expect_err("the block is bad");
    let after = (chain.tip(), chain.supply(), chain.store().clone(), chain.utxos_root());
    assert_eq!(before, after, "a refused block changes nothing");
    error
}

fn resign(block: &mut Block, ledger: LedgerId) {
    block.signature = block.header.sign(&ledger, &secret(VALIDATOR));
}

#[test]
fn a_block_is_the_next_one_whole_and_signed() {
    let (mut chain, own) = world(LedgerParams::default());
    let ledger = chain.ledger();
    let mut other = chain.clone();
    let block = seal(&mut other, vec![pay(&chain, own(0), 7, 9_000)]);

    let mut bad = block.clone();
    bad.header.height = Height::new(2);
    resign(&mut bad, ledger);
    assert_eq!(refuse(&mut chain, &bad), BlockError::NotNext);
    let mut bad = block.clone();
    bad.header.previous = Digest::ZERO;
    resign(&mut bad, ledger);
    assert_eq!(refuse(&mut chain, &bad), BlockError::NotNext);
    let mut bad = block.clone();
    bad.header.time = UnixMillis::ZERO;
    resign(&mut bad, ledger);
    assert_eq!(refuse(&mut chain, &bad), BlockError::TimeBackwards);
    let mut bad = block.clone();
    bad.header.utxos = Digest::ZERO;
    resign(&mut bad, ledger);
    assert_eq!(refuse(&mut chain, &bad), BlockError::UtxosRoot);
    let mut bad = block.clone();
    bad.header.transactions = Digest::ZERO;
    resign(&mut bad, ledger);
    assert_eq!(refuse(&mut chain, &bad), BlockError::TransactionsRoot);
    let mut bad = block.clone();
    bad.transactions.clear();
    assert_eq!(refuse(&mut chain, &bad), BlockError::Count);
    let mut bad = block.clone();
    bad.header.time = bad.header.time.next().expect("in range");
    assert_eq!(refuse(&mut chain, &bad), BlockError::Signature(BlockSignatureError));
    let mut bad = block.clone();
    bad.signature = bad.header.sign(&ledger, &secret(1));
    assert_eq!(refuse(&mut chain, &bad), BlockError::Signature(BlockSignatureError));

    chain.apply(&block, Trust::Nothing).expect("the block is good");
    assert_eq!(chain.tip(), other.tip());
    assert_eq!(refuse(&mut chain, &block), BlockError::NotNext);
}

#[test]
fn a_block_commits_to_its_witnesses() {
    let (mut chain, own) = world(LedgerParams::default());
    let mut other = chain.clone();
    let mut block = seal(&mut other, vec![pay(&chain, own(0), 7, 9_000)]);
    let Witness::Key(signature) = &mut block.transactions[0].witnesses[0] else {
        panic!("a key was spent");
    };
    common::flip(signature, 5);
    let bad = BlockError::Transaction {
        index: 0,
        error: TransactionError::BadSignature { input: 0 },
    };
    assert_eq!(refuse(&mut chain, &block), bad);
    let trusted = chain.apply(&block, Trust::OwnRecords);
    assert_eq!(trusted, Err(BlockError::TransactionsRoot));
}

#[test]
fn a_double_spend_is_refused_in_a_block_and_across_blocks() {
    let (mut chain, own) = world(LedgerParams::default());
    let ledger = chain.ledger();
    let (first, second) = (pay(&chain, own(0), 7, 9_000), pay(&chain, own(0), 8, 9_000));
    let mut other = chain.clone();
    let mut block = seal(&mut other, vec![first.clone()]);
    block.transactions.push(second.clone());
    block.header.count = 2;
    resign(&mut block, ledger);
    let spent = |index| BlockError::Transaction {
        index,
        error: TransactionError::UnknownInput(own(0).0),
    };
    assert_eq!(refuse(&mut chain, &block), spent(1));
    seal(&mut chain, vec![first]);
    let mut block = seal(&mut chain.clone(), Vec::new());
    block.transactions.push(second);
    block.header.count = 1;
    resign(&mut block, ledger);
    assert_eq!(refuse(&mut chain, &block), spent(0));
}

#[test]
fn a_block_keeps_to_its_size() {
    let params = LedgerParams {
        transaction_bytes_max: 200,
        block_bytes_max: 660,
        ..LedgerParams::default()
    };
    let (mut chain, own) = world(params);
    let mut roomy = world(LedgerParams::default()).0;
    let payments: Vec<_> = (0..3).map(|n| pay(&chain, own(n), 7, 9_000)).collect();
    let mut mempool = Mempool::new(1 << 20);
    for transaction in &payments {
        let checked = chain.check(transaction.clone()).expect("it holds");
        mempool.insert(checked).expect("it fits");
    }
    let mut other = chain.clone();
    let sealed = solo().seal(&mut other, &mut mempool, at(0)).expect("it seals");
    assert_eq!(sealed.block.transactions.len(), 2, "two fit");
    assert!(sealed.block.encode().len() <= 495, "a quarter is kept for disputes");
    assert_eq!(mempool.len(), 1, "the third waits on");
    let mut block = sealed.block;
    block.transactions.push(payments[2].clone());
    block.header.count = 3;
    resign(&mut block, chain.ledger());
    assert_eq!(refuse(&mut chain, &block), BlockError::TooLarge);
    assert!(
        roomy.apply(&block, Trust::Nothing).is_err(),
        "another ledger has another name"
    );
}

#[test]
fn blocks_are_undone_down_to_the_final_one() {
    let params = LedgerParams {
        finality_depth: Age::new(2),
        ..LedgerParams::default()
    };
    let (mut chain, own) = world(params);
    let states: Vec<_> = (0..4)
        .map(|n| {
            let before = (chain.tip(), chain.supply(), chain.store().clone(), chain.utxos_root());
            let transaction = pay(&chain, own(n), n + 20, 9_000);
            seal(&mut chain, vec![transaction]);
            before
        })
        .collect();
    assert_eq!(chain.tip().final_height, Height::new(2));
    for before in states[2..].iter().rev() {
        chain.undo_tip().expect("it is not final");
        let now = (chain.tip(), chain.supply(), chain.store().clone(), chain.utxos_root());
        let mut before = before.clone();
        before.0.final_height = Height::new(2);
        assert_eq!(now, before);
    }
    assert_eq!(chain.undo_tip(), Err(UndoError(Height::new(2))));
    let transaction = pay(&chain, own(3), 23, 9_000);
    seal(&mut chain, vec![transaction]);
    assert_eq!(chain.tip().height, Height::new(3));
    assert_eq!(chain.tip().final_height, Height::new(2), "what was final stays final");
    let depth_zero = &mut world(LedgerParams::default()).0;
    seal(depth_zero, Vec::new());
    assert_eq!(depth_zero.undo_tip(), Err(UndoError(Height::new(1))));
}

#[test]
fn only_the_validator_seals_and_time_never_falls() {
    let (mut chain, _) = world(LedgerParams::default());
    let mut mempool = Mempool::new(1 << 20);
    let stranger = Solo::new(secret(1)).seal(&mut chain, &mut mempool, at(0));
    assert_eq!(stranger.map(|_| ()), Err(SealError::NotTheValidator));
    solo().seal(&mut chain, &mut mempool, at(5)).expect("it seals");
    let sealed = solo().seal(&mut chain, &mut mempool, at(3)).expect("it seals");
    assert_eq!(sealed.block.header.time, at(5), "the clock ran backwards");
}

#[test]
fn the_mempool_keeps_what_pays_best() {
    let (mut chain, own) = world(LedgerParams::default());
    let mut at_fee = |n: u8, fee: u64| {
        let transaction = pay(&chain, own(n), 7, 10_000 - fee);
        chain.check(transaction).expect("it holds")
    };
    let (low, middle, high) = (at_fee(0, 100), at_fee(1, 200), at_fee(2, 300));
    let rival = at_fee(1, 900);
    let (low_again, higher) = (at_fee(3, 100), at_fee(3, 400));
    let mut pool = Mempool::new(2 * low.bytes());
    assert_eq!(pool.insert(low.clone()), Ok(Vec::new()));
    assert_eq!(pool.insert(low.clone()), Err(MempoolError::Known));
    assert_eq!(pool.insert(middle.clone()), Ok(Vec::new()));
    let conflict = MempoolError::Conflict {
        input: own(1).0,
        with: middle.txid(),
    };
    assert_eq!(pool.insert(rival), Err(conflict));
    assert_eq!(pool.insert(low_again), Err(MempoolError::Full));
    assert_eq!(pool.insert(high.clone()), Ok(vec![low]));
    assert_eq!(pool.insert(higher.clone()), Ok(vec![middle]));
    let order: Vec<_> = pool.iter().map(tidegate_ledger::CheckedTransaction::txid).collect();
    assert_eq!(order, [higher.txid(), high.txid()]);
    assert_eq!(pool.bytes(), high.bytes() + higher.bytes());
    assert_eq!(pool.spender(&own(1).0), None, "what was dropped spends nothing");
    assert_eq!(pool.remove_spenders([&own(2).0]), std::slice::from_ref(&high));
    assert_eq!((pool.len(), pool.bytes()), (1, higher.bytes()));
}

#[test]
fn a_genesis_is_sound() {
    let params = LedgerParams::default();
    let check = |outputs: &[Output]| {
        let bytes = genesis_bytes(params, outputs);
        Genesis::parse(&bytes).expect("it parses").check()
    };
    assert_eq!(check(&[Output::to_key(sat(330), key(1))]), Ok(()));
    let dust = check(&[Output::to_key(sat(330), key(1)), Output::to_key(sat(329), key(1))]);
    assert!(matches!(dust, Err(GenesisError::Output { index: 1, .. })));
    let bad_key = KeyBytes::from_bytes([2; 32]);
    let refused = check(&[Output::to_key(sat(330), key(1)), Output::to_key(sat(330), bad_key)]);
    assert!(matches!(refused, Err(GenesisError::Key { key, .. }) if key == bad_key));
    let zero = LedgerParams {
        block_interval_ms: 0,
        ..params
    };
    let bytes = genesis_bytes(zero, &[]);
    let refused = Genesis::parse(&bytes).map(|_| ());
    assert_eq!(refused, Err(GenesisError::Params(ParamsError::Zero)));

    let mut bytes = genesis_bytes(params, &[Output::to_key(sat(330), key(1))]);
    bytes.push(0);
    let trailing = GenesisError::Decode(DecodeError::TrailingBytes { count: 1 });
    assert_eq!(Genesis::parse(&bytes).expect("the head is good").check(), Err(trailing));
    bytes.truncate(bytes.len() - 2);
    let short = GenesisError::Decode(DecodeError::Truncated);
    assert_eq!(Genesis::parse(&bytes).expect("the head is good").check(), Err(short));
    assert_eq!(Genesis::parse(b"TGGENES2").map(|_| ()), Err(GenesisError::Magic));
}

#[test]
fn a_store_is_never_asked_for_one_outpoint_twice() {
    let (chain, own) = world(LedgerParams::default());
    let mut store = chain.store().clone();
    let utxo = store.remove(&own(0).0).expect("it is unspent");
    assert_eq!(store.remove(&own(0).0), None);
    store.insert(own(0).0, &utxo);
    assert_eq!(&store, chain.store());
}
