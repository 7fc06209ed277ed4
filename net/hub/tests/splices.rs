//! Channels that move into successors, with a real hub in this process: real sockets, real files, a real ledger.

mod rig;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rig::{Hub, Shape, open, sat, stop};
use tidegate_channel::evidence::Opener;
use tidegate_channel::wallet::LockStatus;
use tidegate_channel::{ChannelTerms, LeafPrivate};
use tidegate_client::key_file::{Seed, random_seed};
use tidegate_client::{Client, ClientError, Connection, ConnectionError, FileStore, Incoming, Payment, SplicePlan};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::{Disk, RealDisk};
use tidegate_hub::pipeline::Serving;
use tidegate_hub::state;
use tidegate_ledger::{CloseState, LedgerParams, Splice, Transaction, Witness};
use tidegate_settle::Node;
use tidegate_types::{Age, Amount, ChannelId, Fixed as _, Height, KeyBytes, OutPoint, Txid};
use tidegate_wire::messages::{CloseRequest, LedgerQuery, LedgerResult, Refresh, SpliceRequest};
use tidegate_wire::{ErrorCode, ToClient};

const FEE: u64 = 2_000;
const FUNDS: u64 = 5_000_000;
const PATIENCE: Duration = Duration::from_secs(20);

fn plan(added: u64, taken: u64) -> SplicePlan {
    SplicePlan {
        added: sat(added),
        taken: sat(taken),
        fee: sat(FEE),
        dust: sat(330),
        lifetime: None,
        timeout: Duration::from_secs(10),
    }
}

fn funds(client: &mut Client<FileStore>) -> u64 {
    let funds = client.funds().expect("an answer");
    funds.iter().map(|utxo| utxo.amount.to_sat()).sum()
}

fn terms(client: &Client<FileStore>, channel: &ChannelId) -> ChannelTerms {
    client.channels().get(channel).expect("taken up").opened().terms
}

fn payment(payee: KeyBytes, channel: ChannelId, amount: u64) -> Payment {
    Payment {
        payee,
        payee_channel: channel,
        amount: sat(amount),
        fee: None,
        payment_id: None,
        hash: None,
    }
}

/// Pays, and settles against the payee's own ack; the fee of it.
fn pay(a: &mut Client<FileStore>, from: &ChannelId, b: &mut Client<FileStore>, to: &ChannelId, amount: u64) -> u64 {
    let paid = a.pay(from, &[payment(b.key(), *to, amount)]).expect("paid");
    assert_eq!(paid[0].status, LockStatus::Delivered);
    let credited = (0..4).any(|_| {
        let news = b.poll(Duration::from_secs(5)).expect("news");
        news.iter().any(|leaf| leaf.events.credited == sat(amount))
    });
    assert!(credited, "the payee is told");
    let settled = (0..50).any(|_| {
        std::thread::sleep(Duration::from_millis(20));
        a.settle(from).expect("the hub answers") == 0
    });
    assert!(settled, "the payee's ack arrives");
    paid[0].total.to_sat() - amount
}

fn wait(what: &str, mut holds: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < deadline, "not in time: {what}");
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn close_of(client: &mut Client<FileStore>, channel: ChannelId) -> Option<CloseState> {
    let found = client.query(LedgerQuery::Close(channel), |answer| match answer.result {
        LedgerResult::Close([]) => Ok(None),
        LedgerResult::Close(record) => Ok(Some(CloseState::decode(record).expect("a close"))),
        _ => panic!("another answer"),
    });
    found.expect("the hub answers")
}

/// What a hub that has ended and its ledger hold: the books hold, and value is conserved.
fn at_rest(hub: &Hub) -> (Node, Vec<(ChannelId, &'static str)>) {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let (mut node, _) = Node::look(&disk, &hub.dir.path().join("ledger")).expect("a ledger");
    node.audit().expect("the books hold");
    let state = state::inspect(&disk, hub.dir.path(), &mut |_| {}).expect("a good state");
    let (held, capacity) = state.engine.value();
    assert_eq!(held, capacity, "no value is made or lost");
    let funded: u128 = node
        .channels()
        .map(|(_, _, terms)| u128::from(terms.capacity.to_sat()))
        .sum();
    assert_eq!(capacity, funded, "channels hold what their outputs hold");
    let channels = state.channels().map(|view| (view.id, view.status)).collect();
    (node, channels)
}

fn status(channels: &[(ChannelId, &'static str)], channel: &ChannelId) -> Option<&'static str> {
    channels.iter().find(|(id, _)| id == channel).map(|(_, status)| *status)
}

/// How many inputs of the ledger were spent by a splice.
fn splices(node: &Node) -> usize {
    let blocks = node.final_blocks_above(Height::ZERO, usize::MAX).expect("readable");
    let transactions = blocks.iter().flat_map(|block| &block.transactions);
    let witnesses = transactions.flat_map(|transaction| &transaction.witnesses);
    witnesses
        .filter(|witness| matches!(witness, Witness::ChannelSplice(_)))
        .count()
}

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

/// A raw session, which asks for anything.
struct Raw {
    connection: Connection,
}

impl Raw {
    fn new(hub: &Hub, serving: &Serving, seed: &Seed) -> Self {
        let key = SecretKey::from_seed(**seed);
        let connection = Connection::connect(&hub.options(serving), key).expect("the hub answers");
        Self { connection }
    }

    fn coins(&mut self, key: KeyBytes) -> Vec<(OutPoint, Amount)> {
        let incoming = self.connection.request(&LedgerQuery::UtxosOf(key)).expect("an answer");
        match incoming.message() {
            Ok(ToClient::LedgerAnswer(answer)) => match answer.result {
                LedgerResult::Utxos { outputs, .. } => {
                    outputs.iter().map(|utxo| (utxo.outpoint, utxo.amount)).collect()
                }
                other => panic!("{other:?}"),
            },
            other => panic!("{other:?}"),
        }
    }

    fn send(&mut self, channel: ChannelId, splice: &Splice, fee: Amount) -> u64 {
        let terms = splice.successor.to_vec();
        let request = SpliceRequest {
            channel,
            fee,
            terms: &terms,
            coins: splice.coins[..].into(),
            change: splice.change,
        };
        self.connection.send(&request).expect("sent")
    }

    /// The next leaf of a channel.
    fn leaf(&mut self, channel: &ChannelId) -> LeafPrivate {
        let is_receipt = |incoming: &Incoming| matches!(incoming.message(), Ok(ToClient::Receipt(_)));
        let incoming = self.connection.wait_for(PATIENCE, is_receipt).expect("a receipt");
        let Ok(ToClient::Receipt(receipt)) = incoming.message() else {
            unreachable!("only a receipt was wanted")
        };
        let mut leaves = receipt
            .entries
            .iter()
            .map(|entry| LeafPrivate::decode(entry.private).expect("a leaf"));
        leaves.find(|leaf| leaf.channel == *channel).expect("of this channel")
    }

    /// Asks, and is refused.
    fn refused(&mut self, channel: ChannelId, splice: &Splice, fee: Amount) -> (ErrorCode, String) {
        let asked = self.send(channel, splice, fee);
        let is_answer = |incoming: &Incoming| incoming.header.request == asked;
        let incoming = self.connection.wait_for(PATIENCE, is_answer).expect("an answer");
        match incoming.message() {
            Ok(ToClient::Error(error)) => (error.code, error.text.to_owned()),
            other => panic!("{other:?}"),
        }
    }
}

type Bend = fn(&mut Splice, &mut Amount);

/// Everything that can be known is looked at before the channel is frozen.
#[test]
fn what_the_hub_does_not_agree_to_changes_nothing() {
    let (alice, bob) = (random_seed().expect("random"), random_seed().expect("random"));
    let hub = Hub::format(&[&alice, &bob]);
    let serving = hub.start();
    let (mut a, mut b) = (hub.connect(&serving, &alice), hub.connect(&serving, &bob));
    let (from, to) = (open(&mut a, 1_500_000), open(&mut b, 100_000));
    let (old, key) = (*a.channels().get(&from).expect("open").opened(), a.key());
    let mut raw = Raw::new(&hub, &serving, &alice);
    let coins = raw.coins(key);
    let [(coin, amount)] = coins[..] else {
        panic!("{coins:?}")
    };
    let shares = (sat(1_600_000), sat(500_000));
    let (reserve, expiry) = (old.terms.hub_reserve, old.terms.expiry);
    let good = Splice {
        funding: old.funding,
        successor: old.terms.successor(shares, reserve, expiry, 7).expect("small"),
        coins: vec![coin],
        change: Some((amount.sub(sat(100_000 + FEE)).expect("more"), key)),
    };
    let refused = ErrorCode::TermsRefused;
    let cases: [(Bend, ErrorCode, &str); 16] = [
        (
            |s, _| s.successor.dispute_window = Age::new(145),
            refused,
            "do not follow",
        ),
        (
            |s, _| s.successor.client_payout = s.successor.hub,
            refused,
            "do not follow",
        ),
        (|s, _| s.successor.emergency = s.successor.hub, refused, "do not follow"),
        (|s, _| s.successor.hub_reserve = sat(999), refused, "do not follow"),
        (|s, _| s.successor.opening_share = sat(2_100_001), refused, "below zero"),
        (|s, _| s.successor.expiry = Height::new(140), refused, "would expire"),
        (|s, _| s.successor.expiry = Height::MAX, refused, "too far"),
        (|s, _| s.coins.push(s.coins[0]), refused, "twice"),
        (|s, _| s.coins[0].vout += 1, refused, "does not exist"),
        (|s, _| s.coins[0] = s.funding, refused, "not the client's own"),
        (
            |s, _| s.change = s.change.map(|(_, key)| (sat(1), key)),
            refused,
            "no output below",
        ),
        (
            |s, _| s.change = s.change.map(|(amount, _)| (amount, KeyBytes::from_bytes([1; 32]))),
            refused,
            "key",
        ),
        (
            |s, _| s.change = s.change.map(|(_, key)| (Amount::MAX, key)),
            refused,
            "maximum",
        ),
        (|_, fee| *fee = sat(FEE + 1), refused, "leaves a fee"),
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
    for (at, (bend, code, word)) in cases.into_iter().enumerate() {
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
    drop((raw, stranger));

    // Nothing of it has changed the channel. A lock is open, a credit waits.
    let paid = a.pay(&from, &[payment(b.key(), to, 1_000)]).expect("paid");
    assert_eq!(paid[0].status, LockStatus::Delivered);
    let mut raw = Raw::new(&hub, &serving, &alice);
    let (code, text) = raw.refused(from, &good, sat(FEE));
    assert!(code == ErrorCode::Unsettled && text.contains("locks"), "{code}: {text}");
    let mut raw = Raw::new(&hub, &serving, &bob);
    let theirs = *b.channels().get(&to).expect("open").opened();
    let shares = (sat(100_001), sat(1_900_000));
    let (coin, amount) = raw.coins(b.key())[0];
    let of_bob = Splice {
        funding: theirs.funding,
        successor: theirs
            .terms
            .successor(shares, reserve, theirs.terms.expiry, 7)
            .expect("small"),
        coins: vec![coin],
        change: Some((amount.sub(sat(1 + FEE)).expect("more"), b.key())),
    };
    let (code, text) = raw.refused(to, &of_bob, sat(FEE));
    assert!(
        code == ErrorCode::Unsettled && text.contains("credits"),
        "{code}: {text}"
    );
    drop(raw);
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

fn error_code(result: Result<impl core::fmt::Debug, ClientError>) -> ErrorCode {
    match result {
        Err(ClientError::Connection(ConnectionError::Remote { code, .. })) => code,
        other => panic!("{other:?}"),
    }
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
    assert_ne!(spliced.txid, Txid::ZERO);
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
