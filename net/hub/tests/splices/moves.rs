//! Channels that are topped up, and out of which something is taken.

use std::time::Duration;

use tidegate_channel::ChannelTerms;
use tidegate_client::key_file::random_seed;
use tidegate_client::{ClientError, SplicePlan};
use tidegate_types::{Age, Amount};
use tidegate_wire::messages::CloseRequest;

use crate::rig::{Hub, open, sat, stop};
use crate::support::{FEE, FUNDS, PATIENCE, Raw, at_rest, funds, pay, plan, splices, status, terms};

#[test]
fn a_channel_is_topped_up_and_pays_on() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    let first = pay(&mut a, &from, &mut b, &to, 70_000);
    let spliced = a.splice(&from, &plan(300_000, 0)).expect("spliced");
    let next = terms(&a, &spliced.successor);
    let expected = ChannelTerms {
        capacity: sat(2_300_000),
        opening_share: sat(1_800_000 - 70_000 - first),
        nonce: next.nonce,
        ..terms(&a, &from)
    };
    assert_eq!(next, expected);
    assert_eq!(a.channels().get(&from).expect("known").closed(), Some(spliced.txid));
    // More than the channel held before.
    let second = pay(&mut a, &spliced.successor, &mut b, &to, 1_700_000);
    // The payee's channel moves too: what it was credited is its balance.
    b.sync(&to).expect("in date");
    let moved = b.splice(&to, &plan(5_000, 0)).expect("spliced");
    assert_eq!(
        terms(&b, &moved.successor).opening_share,
        sat(100_000 + 1_770_000 + 5_000)
    );
    let back = pay(&mut b, &moved.successor, &mut a, &spliced.successor, 1_000_000);
    drop((a, b));
    stop(serving);
    let (_, channels) = at_rest(&hub);
    for (old, new) in [(from, spliced.successor), (to, moved.successor)] {
        assert_eq!(status(&channels, &old), Some("SETTLED"));
        assert_eq!(status(&channels, &new), Some("ACTIVE"));
    }
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    a.close(&spliced.successor, sat(500), PATIENCE).expect("closed");
    b.close(&moved.successor, sat(500), PATIENCE).expect("closed");
    let fees = first + second;
    assert_eq!(funds(&mut a), FUNDS - 2 * FEE - 1_770_000 - fees + 1_000_000 - 500);
    assert_eq!(funds(&mut b), FUNDS - 2 * FEE + 1_770_000 - 1_000_000 - back - 500);
    stop(serving);
    assert_eq!(splices(&at_rest(&hub).0), 2);
}

#[test]
fn money_is_taken_out_of_a_channel_that_goes_on() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    let before = funds(&mut a);
    let long = SplicePlan {
        lifetime: Some(Age::new(200_000)),
        ..plan(0, 400_000)
    };
    let spliced = a.splice(&from, &long).expect("spliced");
    let next = terms(&a, &spliced.successor);
    assert_eq!((next.capacity, next.opening_share), (sat(1_600_000), sat(1_100_000)));
    assert!(next.expiry.get() > 200_000, "it lives longer");
    assert_eq!(funds(&mut a), before + 400_000 - FEE);
    pay(&mut a, &spliced.successor, &mut b, &to, 1_000_000);
    // All of it, and a satoshi more than that.
    let left = a
        .channels()
        .get(&spliced.successor)
        .expect("known")
        .at_rest()
        .expect("at rest")
        .0;
    let beyond = plan(0, left.to_sat() + 1);
    assert!(matches!(
        a.splice(&spliced.successor, &beyond),
        Err(ClientError::Step(_))
    ));
    let empty = a.splice(&spliced.successor, &plan(0, left.to_sat())).expect("spliced");
    assert_eq!(terms(&a, &empty.successor).opening_share, Amount::ZERO);
    pay(&mut b, &to, &mut a, &empty.successor, 5_000);
    drop((a, b));
    stop(serving);
    assert_eq!(splices(&at_rest(&hub).0), 2);
}

/// A hub that holds less than its reserve keeps that, in the successor too.
#[test]
fn a_channel_in_which_little_was_paid_is_topped_up() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 2_000_000), open(&mut b, 100_000));
    let fee = pay(&mut a, &from, &mut b, &to, 50);
    let spliced = a.splice(&from, &plan(1_000, 0)).expect("spliced");
    let next = terms(&a, &spliced.successor);
    assert_eq!((next.hub_reserve, next.capacity), (sat(50 + fee), sat(2_001_000)));
    pay(&mut a, &spliced.successor, &mut b, &to, 20_000);
    // Back at the next splice, since the hub has it now.
    let again = a.splice(&spliced.successor, &plan(1_000, 0)).expect("spliced");
    assert_eq!(terms(&a, &again.successor).hub_reserve, terms(&a, &from).hub_reserve);
    stop(serving);
    at_rest(&hub);
}

/// The final leaf went out and was lost, blocks ago: it is told again, for a splice and for a close.
#[test]
fn a_final_leaf_that_was_lost_is_told_again() {
    let alice = random_seed().expect("random");
    let hub = Hub::format(&[&alice]);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let from = open(&mut a, 1_500_000);
    let asked = a.ask_splice(&from, &plan(300_000, 0)).expect("at rest");
    drop(a);
    let mut raw = Raw::new(&hub, &serving, &alice);
    raw.connection.send(&asked.message()).expect("sent");
    let lost = raw.leaf(&from);
    drop(raw);
    std::thread::sleep(Duration::from_millis(300));
    stop(serving);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    assert!(a.height() > lost.height);
    let spliced = a.splice(&from, &plan(1, 0)).expect("what was asked for before");
    assert_eq!(spliced.successor, asked.splice.channel());
    drop(a);
    let mut raw = Raw::new(&hub, &serving, &alice);
    let close = CloseRequest {
        channel: spliced.successor,
        fee: sat(500),
    };
    raw.connection.send(&close).expect("sent");
    raw.leaf(&spliced.successor);
    drop(raw);
    std::thread::sleep(Duration::from_millis(300));
    let mut a = hub.connect(&serving, &alice);
    a.close(&spliced.successor, sat(500), PATIENCE)
        .expect("with the same fee");
    assert_eq!(funds(&mut a), FUNDS - 2 * FEE - 500);
    stop(serving);
    at_rest(&hub);
}
