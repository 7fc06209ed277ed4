//! Splices that are half made: kept back, completed late, or never.

use tidegate_channel::evidence::Opener;
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{Client, FileStore};
use tidegate_hub::pipeline::Serving;
use tidegate_ledger::{CloseState, Transaction};
use tidegate_types::ChannelId;
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::Refresh;

use crate::rig::{Hub, Shape, open, sat, stop};
use crate::support::{
    PATIENCE, Raw, at_rest, close_of, error_code, funds, pay, payment, plan, splices, status, terms, wait,
};

/// A hub whose closes end within seconds, a channel of Alice's with something paid, and her splice half made: she holds the final
/// leaf and has brought nothing.
fn half_made() -> (Hub, Serving, [Seed; 2], [ChannelId; 2], Transaction, ChannelId) {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let shape = Shape {
        block_interval_ms: 50,
        dispute_window: 20,
        ..Shape::default()
    };
    let hub = Hub::format_as(&[&alice, &bob], shape);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    pay(&mut a, &from, &mut b, &to, 70_000);
    let (transaction, successor) = a.prepare_splice(&from, &plan(300_000, 0)).expect("the hub agrees");
    // Nothing is signed above the final leaf, and no state is taken.
    let refused = a.pay(&from, &[payment(b.key(), to, 5)]).expect_err("frozen");
    assert!(refused.to_string().contains("clos"), "{refused}");
    let failed = b.pay(&to, &[payment(a.key(), from, 5)]).expect("answered");
    assert!(failed[0].failure().is_some(), "{failed:?}");
    b.settle(&to).expect("taken back");
    let last = *a.channels().get(&from).expect("known").wallet().hub().leaf();
    drop((a, b));
    let mut raw = Raw::new(&hub, &serving, &alice);
    raw.connection.send(&Refresh { channel: from }).expect("sent");
    assert_eq!(raw.leaf(&from), last, "no leaf above it");
    drop(raw);
    (hub, serving, [alice, bob], [from, to], transaction, successor)
}

fn hub_close(client: &mut Client<FileStore>, channel: ChannelId) -> Option<CloseState> {
    close_of(client, channel).filter(|close| close.opener == Opener::Hub)
}

/// Rule 22: the client does not complete it in time, the hub starts the close; completed after all it beats the close.
#[test]
fn a_splice_that_is_completed_during_the_close_makes_its_successor() {
    let (hub, serving, [alice, bob], [from, to], _, successor) = half_made();
    stop(serving);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    wait("the hub starts the close", || hub_close(&mut a, from).is_some());
    let spliced = a
        .splice(&from, &plan(1, 0))
        .expect("the plan is that of the call before");
    assert_eq!(spliced.successor, successor);
    assert_eq!(terms(&a, &successor).capacity, sat(2_300_000));
    assert!(close_of(&mut a, from).is_none(), "the close is over");
    let mut b = hub.connect(&serving, &bob);
    pay(&mut a, &successor, &mut b, &to, 1_700_000);
    drop((a, b));
    stop(serving);
    let (node, channels) = at_rest(&hub);
    assert_eq!(status(&channels, &from), Some("SETTLED"));
    assert_eq!(status(&channels, &successor), Some("ACTIVE"));
    assert_eq!(splices(&node), 1);
}

/// Trace 6: kept back until the money is elsewhere, it spends nothing twice.
#[test]
fn a_splice_that_is_kept_back_until_the_close_has_ended_is_nothing() {
    let (hub, serving, [alice, bob], [from, to], transaction, successor) = half_made();
    let mut a = hub.connect(&serving, &alice);
    wait("the hub starts the close", || hub_close(&mut a, from).is_some());
    wait("the ledger pays both sides", || close_of(&mut a, from).is_none());
    let before = funds(&mut a);
    let refused = a.submit(&transaction);
    assert_eq!(error_code(refused), ErrorCode::TransactionRefused);
    let again = a.splice(&from, &plan(300_000, 0));
    assert_eq!(error_code(again), ErrorCode::TransactionRefused);
    // The coins are hers again: with another channel the successor's name leads to nothing.
    assert_eq!(funds(&mut a), before);
    let mut b = hub.connect(&serving, &bob);
    let lost = b.pay(&to, &[payment(a.key(), successor, 5)]).expect("answered");
    assert!(lost[0].failure().is_some(), "{lost:?}");
    drop((a, b));
    stop(serving);
    let (node, channels) = at_rest(&hub);
    assert_eq!(
        (status(&channels, &from), status(&channels, &successor)),
        (Some("SETTLED"), None)
    );
    assert_eq!(splices(&node), 0);
}

/// The client itself begins a close with an older state, and completes the splice later: one of both ends the channel.
#[test]
fn a_splice_beats_the_close_of_its_own_client() {
    let (hub, serving, [alice, _], [from, _], transaction, successor) = half_made();
    let mut a = hub.connect(&serving, &alice);
    let own = a.channels().get(&from).expect("known").clone();
    let bare = own.start_close(a.channels().signer(), Default::default());
    a.submit(&bare).expect("the ledger takes it");
    wait("the close has begun", || close_of(&mut a, from).is_some());
    a.submit(&transaction).expect("the ledger takes it");
    wait("the close is over", || close_of(&mut a, from).is_none());
    a.wait_final(transaction.txid(), PATIENCE).expect("final");
    let spliced = a.splice(&from, &plan(1, 0)).expect("it is there already");
    assert_eq!((spliced.successor, spliced.txid), (successor, transaction.txid()));
    a.close(&successor, sat(500), PATIENCE).expect("closed");
    stop(serving);
    let (node, channels) = at_rest(&hub);
    assert_eq!(status(&channels, &successor), Some("SETTLED"));
    assert_eq!(splices(&node), 1);
}
