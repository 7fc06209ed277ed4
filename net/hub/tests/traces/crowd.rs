//! Many channels closed at once, each by an old state, while others fill the blocks: the hub corrects every one in time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use tidegate_channel::evidence::Pair;
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{Client, FileStore};
use tidegate_ledger::{Action, LedgerParams, Output, Transaction, TransactionBody};
use tidegate_settle::Node;
use tidegate_types::{Amount, Height, OutPoint};
use tidegate_wire::messages::{LedgerQuery, LedgerResult};

use crate::rig::closes::{PATIENCE, actions, at_rest, coins, own, signer, wait};
use crate::rig::ledger::Ledger;
use crate::rig::{Hub, Shape, open_with, payment, sat, stop};

/// Closes in CI; `TIDEGATE_CROWD=900` makes them as many as Alice has money for.
const CLOSES: u64 = 60;
const SHARE: u64 = 3_000;
const PAID: u64 = 500;
const FEE: u64 = 2;
const WINDOW: u32 = 40;

/// As many blocks as could just hold the disputes of so many channels and one more.
fn shape(closes: u64) -> Shape {
    Shape {
        block_interval_ms: 100,
        dispute_window: WINDOW,
        block_cost_max: (closes + 1).div_ceil(u64::from(WINDOW / 2)) * LedgerParams::DISPUTE_COST,
        ..Shape::default()
    }
}

/// What a key may spend, the largest coin first.
fn largest(client: &mut Client<FileStore>) -> (OutPoint, Amount) {
    let coins = client.funds().expect("the ledger answers").into_iter();
    let coin = coins.max_by_key(|utxo| utxo.amount).expect("a coin");
    (coin.outpoint, coin.amount)
}

/// Somebody with much money in many coins, each of which fills some of a block.
fn spam(hub: &Hub, client: &mut Client<FileStore>, seed: &Seed, count: u64) -> Vec<Transaction> {
    let signer = signer(hub, seed);
    let (coin, amount) = largest(client);
    let each = sat(amount.to_sat() / count - 1_000);
    let outputs = vec![Output::to_key(each, client.key()); usize::try_from(count).expect("few")];
    let split = TransactionBody::plain(vec![coin], outputs).sign_all(&signer.ledger, &[&signer.key]);
    client.submit(&split).expect("the ledger takes it");
    client.wait_final(split.txid(), PATIENCE).expect("it is final");
    let spend = |vout| {
        let small = sat((each.to_sat() - 5_000) / 20);
        let outputs = vec![Output::to_key(small, client.key()); 20];
        let coin = OutPoint {
            txid: split.txid(),
            vout,
        };
        TransactionBody::plain(vec![coin], outputs).sign_all(&signer.ledger, &[&signer.key])
    };
    (0..u32::try_from(count).expect("few")).map(spend).collect()
}

fn are_open(client: &mut Client<FileStore>) -> bool {
    let key = client.key();
    let found = client.query(LedgerQuery::ChannelsOf(key), |answer| match &answer.result {
        LedgerResult::Channels { channels, .. } => Ok(channels.iter().count()),
        _ => panic!("another answer"),
    });
    // Who asks for that too often is told to come again.
    !found.is_ok_and(|count| count == 0)
}

/// What the fullest block holds in which a close begins.
fn fullest(node: &Node) -> u64 {
    let blocks = node.final_blocks_above(Height::ZERO, usize::MAX).expect("readable");
    let begins =
        |transaction: &Transaction| matches!(transaction.body.action.as_deref(), Some(Action::StartClose { .. }));
    let with_starts = blocks.iter().filter(|block| block.transactions.iter().any(begins));
    let costs = with_starts.map(|block| block.transactions.iter().map(Transaction::cost).sum());
    costs.max().expect("closes have begun")
}

#[test]
fn channels_closed_at_once_in_full_blocks_are_all_corrected() {
    let closes = std::env::var("TIDEGATE_CROWD").map_or(CLOSES, |text| text.parse().expect("a number"));
    let [alice, bob, third] = [(); 3].map(|()| random_seed().expect("random"));
    let mut hub = Hub::format_as(&[&alice, &bob, &third], shape(closes));
    let mut ledger = Ledger::of(&hub);
    hub.follows = Some(ledger.address());
    let serving = hub.start();
    let (mut a, mut b, mut c) = (
        hub.connect(&serving, &alice),
        hub.connect(&serving, &bob),
        hub.connect(&serving, &third),
    );
    let to = open_with(&mut b, 2_000_000, 100_000);
    let starts: Vec<Transaction> = (0..closes)
        .map(|_| {
            let channel = open_with(&mut a, 5_000, SHARE);
            let bare = own(&a, &channel).start_close(&signer(&hub, &alice), Pair::default());
            a.pay(&channel, &[payment(b.key(), to, PAID)]).expect("paid");
            b.sync(&to).expect("in date, and acknowledged");
            assert_eq!(a.settle(&channel).expect("settled"), 0);
            bare
        })
        .collect();
    let filling = spam(&hub, &mut c, &third, 200);
    ledger.stop();
    ledger.start_by_the_clock();

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let mut brings = ledger.connect(&hub);
            for transaction in &filling {
                if done.load(Ordering::Relaxed) {
                    break;
                }
                brings.submit(&transaction.encode()).expect("it pays its fee");
            }
        });
        let mut brings = ledger.connect(&hub);
        for start in &starts {
            brings.submit(&start.encode()).expect("the ledger takes it");
        }
        wait("the ledger pays all of them", || !are_open(&mut a));
        done.store(true, Ordering::Relaxed);
    });
    drop((a, b, c));
    stop(serving);
    ledger.stop();
    let (node, _) = at_rest(&hub);
    let shown = actions(&node, |action| matches!(action, Action::Evidence { .. }));
    assert_eq!(shown, usize::try_from(closes).expect("few"), "each is corrected once");
    let fullest = fullest(&node);
    let most = shape(closes).block_cost_max;
    assert!(fullest * 10 > most * 9, "blocks were full: {fullest} of {most}");
    let put = 2_000_000 - 100_000;
    let has = coins(&node, hub.public().bytes());
    assert_eq!(
        has,
        10_000_000 - put + closes * (PAID + FEE),
        "each pays what it owes, and what the hub's evidence cost"
    );
}
