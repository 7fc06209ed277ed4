//! What is refused, and that nothing has changed by it.

use std::time::Duration;

use tidegate_channel::wallet::LockStatus;
use tidegate_client::key_file::random_seed;
use tidegate_client::{Client, ClientError, FileStore, SplicePlan};
use tidegate_ledger::{LedgerParams, Splice};
use tidegate_types::{Age, Amount, ChannelId, Height, KeyBytes};
use tidegate_wire::ErrorCode;

use crate::rig::{Hub, Shape, open, sat, stop};
use crate::support::{
    FEE, FUNDS, PATIENCE, Raw, at_rest, close_of, error_code, funds, pay, payment, plan, splices, status, wait,
};

type Bend = fn(&mut Splice, &mut Amount);

const REFUSED: ErrorCode = ErrorCode::TermsRefused;

/// What is wrong with a request, its code, and a word of what is said.
const CASES: [(Bend, ErrorCode, &str); 16] = [
    (
        |s, _| s.successor.dispute_window = Age::new(145),
        REFUSED,
        "do not follow",
    ),
    (
        |s, _| s.successor.client_payout = s.successor.hub,
        REFUSED,
        "do not follow",
    ),
    (|s, _| s.successor.emergency = s.successor.hub, REFUSED, "do not follow"),
    (|s, _| s.successor.hub_reserve = sat(999), REFUSED, "do not follow"),
    (|s, _| s.successor.opening_share = sat(2_100_001), REFUSED, "below zero"),
    (|s, _| s.successor.expiry = Height::new(140), REFUSED, "would expire"),
    (|s, _| s.successor.expiry = Height::MAX, REFUSED, "too far"),
    (|s, _| s.coins.push(s.coins[0]), REFUSED, "twice"),
    (|s, _| s.coins[0].vout += 100, REFUSED, "does not exist"),
    (|s, _| s.coins[0] = s.funding, REFUSED, "not the client's own"),
    (
        |s, _| s.change = s.change.map(|(_, key)| (sat(1), key)),
        REFUSED,
        "no output below",
    ),
    (
        |s, _| s.change = s.change.map(|(amount, _)| (amount, KeyBytes::from_bytes([1; 32]))),
        REFUSED,
        "key",
    ),
    (
        |s, _| s.change = s.change.map(|(_, key)| (Amount::MAX, key)),
        REFUSED,
        "maximum",
    ),
    (|_, fee| *fee = sat(FEE + 1), REFUSED, "leaves a fee"),
    (
        |s, fee| {
            s.change = s
                .change
                .map(|(amount, key)| (amount.add(sat(FEE - 1)).expect("small"), key));
            *fee = sat(1);
        },
        ErrorCode::TransactionRefused,
        "at least",
    ),
    // The client's share may be wrong only where the hub's is.
    (
        |s, _| {
            let less = s.successor.opening_share.sub(sat(1)).expect("more");
            s.successor.opening_share = less;
        },
        ErrorCode::OtherShares,
        "balances",
    ),
];

/// A request that the hub would agree to: so much is added out of the client's first coin.
fn good(raw: &mut Raw, client: &Client<FileStore>, channel: &ChannelId, added: u64) -> Splice {
    let own = client.channels().get(channel).expect("open");
    let (old, (balance, hub)) = (*own.opened(), own.at_rest().expect("at rest"));
    let (coin, amount) = raw.coins(client.key())[0];
    let shares = (balance.add(sat(added)).expect("small"), hub);
    let next = old.terms.successor(shares, old.terms.hub_reserve, old.terms.expiry, 7);
    Splice {
        funding: old.funding,
        successor: next.expect("small"),
        coins: vec![coin],
        change: Some((amount.sub(sat(added + FEE)).expect("more"), client.key())),
    }
}

/// Everything that can be known is looked at before the channel is frozen.
#[test]
fn what_the_hub_does_not_agree_to_changes_nothing() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let from = open(&mut a, 1_500_000);
    let mut raw = Raw::new(&hub, &serving, &alice);
    let good = good(&mut raw, &a, &from, 100_000);
    for (at, (bend, code, word)) in CASES.into_iter().enumerate() {
        let (mut splice, mut fee) = (good.clone(), sat(FEE));
        bend(&mut splice, &mut fee);
        let (found, text) = raw.refused(from, &splice, fee);
        assert!(found == code && text.contains(word), "case {at}: {found}: {text}");
    }
    // Of a channel above the hub's limit, with coins that nobody has: the limit comes first.
    let mut large = good.clone();
    large.successor.capacity = sat(100_000_001);
    large.successor.opening_share = sat(99_500_001);
    assert!(raw.refused(from, &large, sat(FEE)).1.contains("limit"));
    // Another's channel, and one that does not exist.
    let mut stranger = Raw::new(&hub, &serving, &bob);
    for channel in [from, ChannelId::from_bytes([3; 32])] {
        let answer = stranger.refused(channel, &good, sat(FEE));
        assert_eq!(answer, (ErrorCode::NotAttached, String::new()));
    }
    stop(serving);
    let (node, channels) = at_rest(&hub);
    assert_eq!((status(&channels, &from), splices(&node)), (Some("ACTIVE"), 0));
}

/// Once a close has begun on the ledger, by whomever, nobody asks for a successor; and the close ends as it would have.
#[test]
fn a_channel_whose_close_has_begun_does_not_move() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let shape = Shape {
        block_interval_ms: 50,
        dispute_window: 40,
        ..Shape::default()
    };
    let hub = Hub::format_as(&[&alice, &bob], shape);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    let old = a.channels().get(&from).expect("open").clone();
    pay(&mut a, &from, &mut b, &to, 70_000);
    let mut raw = Raw::new(&hub, &serving, &alice);
    let splice = good(&mut raw, &a, &from, 100_000);
    let bare = old.start_close(a.channels().signer(), Default::default());
    a.submit(&bare).expect("the ledger takes it");
    wait("the hub has answered the old state", || {
        close_of(&mut a, from).is_some_and(|close| close.client.counter.get() > 0)
    });
    let (code, _) = raw.refused(from, &splice, sat(FEE));
    assert_eq!(code, ErrorCode::Closing);
    wait("the ledger pays both sides", || close_of(&mut a, from).is_none());
    let paid = funds(&mut a) - (FUNDS - 2_000 - 1_500_000);
    assert!(
        paid <= 1_500_000 - 70_008 && paid + 5_000 > 1_500_000 - 70_008,
        "{paid}"
    );
    drop((a, b, raw));
    stop(serving);
    let (node, channels) = at_rest(&hub);
    assert_eq!((status(&channels, &from), splices(&node)), (Some("SETTLED"), 0));
}

#[test]
fn a_channel_in_which_something_is_under_way_does_not_move() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    let of_alice = good(&mut Raw::new(&hub, &serving, &alice), &a, &from, 100_000);
    let of_bob = good(&mut Raw::new(&hub, &serving, &bob), &b, &to, 1);
    let paid = a.pay(&from, &[payment(b.key(), to, 1_000)]).expect("paid");
    assert_eq!(paid[0].status, LockStatus::Delivered);
    for (seed, channel, splice, word) in [(&alice, from, of_alice, "locks"), (&bob, to, of_bob, "credits")] {
        let mut raw = Raw::new(&hub, &serving, seed);
        let (code, text) = raw.refused(channel, &splice, sat(FEE));
        assert!(code == ErrorCode::Unsettled && text.contains(word), "{code}: {text}");
    }
    b.poll(Duration::from_secs(1)).expect("news");
    stop(serving);
    let (node, channels) = at_rest(&hub);
    assert_eq!((status(&channels, &from), splices(&node)), (Some("ACTIVE"), 0));
}

/// The wallet's own refusals come before the hub is asked.
#[test]
fn a_wallet_says_why_it_cannot_be() {
    let alice = random_seed().expect("random");
    let hub = Hub::format(&[&alice]);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let from = open(&mut a, 1_500_000);
    let no_funds = a.splice(&from, &plan(FUNDS, 0));
    assert!(matches!(no_funds, Err(ClientError::NoFunds { .. })), "{no_funds:?}");
    let dust = a.splice(&from, &plan(0, FEE + 329));
    assert!(matches!(dust, Err(ClientError::Range(_))), "{dust:?}");
    let all_money = a.splice(&from, &plan(Amount::MAX.to_sat(), 0));
    assert!(matches!(all_money, Err(ClientError::Range(_))), "{all_money:?}");
    let unknown = a.splice(&ChannelId::from_bytes([3; 32]), &plan(1_000, 0));
    assert!(matches!(unknown, Err(ClientError::Connection(_))), "{unknown:?}");
    a.close(&from, sat(500), PATIENCE).expect("nothing has changed it");
    let closed = a.splice(&from, &plan(1_000, 0));
    assert!(closed.is_err());
    stop(serving);
}

/// Rule 28: a splice takes the place of a channel that counts already, so it fits as long as that one does.
#[test]
fn a_full_ledger_lets_channels_move_and_an_overfull_one_does_not() {
    let alice = random_seed().expect("random");
    let mut shape = Shape {
        block_cost_max: 2 * LedgerParams::DISPUTE_COST - 1,
        dispute_window: 4,
        ..Shape::default()
    };
    let hub = Hub::format_as(&[&alice], shape);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let (first, _) = (open(&mut a, 1_500_000), open(&mut a, 500_000));
    let spliced = a.splice(&first, &plan(1_000, 0)).expect("two of two");
    drop(a);
    stop(serving);
    // The operator leaves half of the ledger to others.
    shape.ledger_use_percent = 50;
    let hub = hub.reshaped(shape);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let refused = a.splice(&spliced.successor, &plan(1_000, 0));
    assert_eq!(error_code(refused), ErrorCode::LedgerFull);
    stop(serving);
    at_rest(&hub);
}

#[test]
fn a_channel_at_the_end_of_its_life_does_not_move() {
    let alice = random_seed().expect("random");
    let shape = Shape {
        block_interval_ms: 50,
        dispute_window: 20,
        ..Shape::default()
    };
    let hub = Hub::format_as(&[&alice], shape);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    // The hub would wait forty blocks for the client.
    let short = tidegate_client::OpenPlan {
        capacity: sat(100_000),
        own: sat(50_000),
        fee: sat(FEE),
        dust: sat(330),
        lifetime: Age::new(35),
        payout: None,
        timeout: PATIENCE,
    };
    let channel = a.open(&short).expect("longer than a dispute");
    let refused = a.splice(&channel, &plan(1_000, 0));
    assert_eq!(error_code(refused), ErrorCode::Expiring);
    stop(serving);
}

/// Rule 21: the ledger would not take a successor that outlives what the hub has at stake, so the channel is not frozen for one.
#[test]
fn a_successor_does_not_outlive_the_stake() {
    let alice = random_seed().expect("random");
    let shape = Shape {
        unbonding: Some(110_000),
        ..Shape::default()
    };
    let hub = Hub::format_as(&[&alice], shape);
    let serving = hub.start();
    let mut a = hub.connect(&serving, &alice);
    let channel = open(&mut a, 1_500_000);
    let long = SplicePlan {
        lifetime: Some(Age::new(110_000)),
        ..plan(1_000, 0)
    };
    assert_eq!(error_code(a.splice(&channel, &long)), ErrorCode::TermsRefused);
    a.splice(&channel, &plan(1_000, 0)).expect("no longer than before");
    stop(serving);
    at_rest(&hub);
}
