//! Rule 28: a hub opens no more channels than the ledger could settle in time, whoever opened those that are there.

mod rig;

use std::time::Duration;

use rig::{Hub, Shape, open, sat, stop};
use tidegate_client::key_file::random_seed;
use tidegate_client::{Client, ClientError, ConnectionError, FileStore, OpenPlan};
use tidegate_ledger::LedgerParams;
use tidegate_types::{Age, Amount, ChannelId};
use tidegate_wire::ErrorCode;

/// Two channels could be disputed within half of a window of four blocks.
const SHAPE: fn() -> Shape = || Shape {
    block_cost_max: 2 * LedgerParams::DISPUTE_COST - 1,
    dispute_window: 4,
    ..Shape::default()
};

fn try_open(client: &mut Client<FileStore>) -> Result<ChannelId, ClientError> {
    client.open(&OpenPlan {
        capacity: sat(100_000),
        own: sat(50_000),
        fee: sat(2_000),
        dust: sat(330),
        lifetime: Age::new(100_000),
        payout: None,
        timeout: Duration::from_secs(10),
    })
}

#[track_caller]
fn assert_full(refused: &Result<ChannelId, ClientError>, open: u64) {
    match refused {
        Err(ClientError::Connection(ConnectionError::Remote { code, text })) => {
            assert_eq!(*code, ErrorCode::LedgerFull, "{text}");
            assert!(text.starts_with(&format!("{open} channels are open, of 2 ")), "{text}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_hub_opens_no_more_than_the_ledger_could_settle() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format_as(&[&alice, &bob], SHAPE());
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let first = open(&mut a, 1_500_000);
    try_open(&mut b).expect("there is room for two");
    assert_full(&try_open(&mut b), 2);
    drop((a, b));
    stop(serving);
    // It is the ledger's state that says so: a hub that starts again says the same.
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    assert_full(&try_open(&mut b), 2);
    let coins = |client: &mut Client<FileStore>| {
        let funds = client.funds().expect("the hub answers");
        Amount::sum(funds.iter().map(|utxo| utxo.amount)).expect("small")
    };
    let before = coins(&mut b);
    a.close(&first, sat(1_000), Duration::from_secs(10))
        .expect("closed together");
    try_open(&mut b).expect("there is room again");
    assert_eq!(
        coins(&mut b).to_sat(),
        before.to_sat() - 52_000,
        "a refusal costs nothing"
    );
    stop(serving);
}

/// An operator may leave the ledger's room to others.
#[test]
fn a_hub_that_is_to_use_half_opens_half() {
    let alice = random_seed().expect("random");
    let shape = Shape {
        ledger_use_percent: 50,
        ..SHAPE()
    };
    let hub = Hub::format_as(&[&alice], shape);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    try_open(&mut a).expect("one is half of two");
    assert_full(&try_open(&mut a), 1);
    stop(serving);
}
