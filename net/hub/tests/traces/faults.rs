//! Trace 17: a hub that tells two stories, in batches whose numbers never meet; who copies the report of it; and a hub that reports
//! itself. The hub is its own twin: a copy of its directory serves too, which no operator may let happen.

use tidegate_channel::evidence::{Fault, FaultKind, ProvenLeaf};
use tidegate_client::{Client, ClientError, FileStore, Signer};
use tidegate_ledger::{Action, Condition, LedgerParams, Output, Transaction, TransactionBody, Witness};
use tidegate_types::{ChannelId, KeyBytes, OutPoint};
use tidegate_wire::messages::{LedgerQuery, LedgerResult, Refresh};

use crate::rig::closes::{ledger, own, refusal};
use crate::rig::{open, payment, sat};
use crate::support::{CLOSING, DISPUTE, FUNDS, OPENING, World, ask, close, funds};

/// What the hub pays to bring Bob's ack to the ledger before he leaves: Alice has not settled.
const REVEAL: i64 = 105;
const STAKE: u64 = 100_000;

/// Both stories: what the hub itself has told of Alice's channel and of Bob's, and what its twin has.
struct Stories {
    alices: [ProvenLeaf; 2],
    bobs: [ProvenLeaf; 2],
    stake: OutPoint,
    channels: [ChannelId; 2],
}

impl Stories {
    /// Alice pays Bob 1 000 at the hub, 2 000 at its twin, which is some batches ahead.
    fn of(world: &mut World) -> Self {
        let (mut a, mut b) = (world.client(0), world.client(1));
        let channels = [open(&mut a, 1_500_000), open(&mut b, 500_000)];
        drop((a, b));
        world.stop();
        let bonded = ledger(&world.hub)
            .outputs()
            .find(|(_, utxo)| matches!(utxo.output.condition, Condition::Stake(_)));
        let twin = world.hub.twin();
        let honest = std::mem::replace(&mut world.hub, twin);
        let other = Self::tell(world, channels, 2_000, 8);
        world.stop();
        world.hub = honest;
        let own = Self::tell(world, channels, 1_000, 0);
        Self {
            alices: [own[0].clone(), other[0].clone()],
            bobs: [own[1].clone(), other[1].clone()],
            stake: bonded.expect("the genesis bonds it").0,
            channels,
        }
    }

    /// The newest leaves of both after such a payment.
    fn tell(world: &mut World, [from, to]: [ChannelId; 2], amount: u64, ahead: usize) -> [ProvenLeaf; 2] {
        world.start();
        let (mut a, mut b) = (world.client(0), world.client(1));
        a.recover(&from).expect("taken up");
        b.recover(&to).expect("taken up");
        let mut raw = world.raw(1);
        for _ in 0..ahead {
            ask(&mut raw, &Refresh { channel: to }).leaf();
        }
        drop(raw);
        b.sync(&to).expect("in date");
        a.pay(&from, &[payment(b.key(), to, amount)]).expect("paid");
        for _ in 0..10 - ahead {
            b.sync(&to).expect("in date, and acknowledged");
        }
        let leaf = |client: &Client<FileStore>, channel| own(client, channel).newest_leaf().expect("proven").clone();
        [leaf(&a, &from), leaf(&b, &to)]
    }

    fn fault(both: &[ProvenLeaf; 2]) -> Fault {
        Fault::in_leaves(&both[0], &both[1]).expect("no honest hub signs both")
    }
}

/// A transaction with an action that a coin of the signer's pays for.
fn by_coin(client: &mut Client<FileStore>, signer: &Signer, action: Action) -> Transaction {
    let key = signer.key.public().bytes();
    let coin = client.query(LedgerQuery::UtxosOf(key), |answer| match &answer.result {
        LedgerResult::Utxos { outputs, .. } => Ok(outputs.iter().max_by_key(|utxo| utxo.amount).expect("a coin")),
        _ => panic!("another answer"),
    });
    let coin = coin.expect("the ledger answers");
    let change = vec![Output::to_key(
        coin.amount.sub(sat(CLOSING)).expect("a large coin"),
        key,
    )];
    let body = TransactionBody::of_action(vec![coin.outpoint], change, action);
    body.sign_all(&signer.ledger, &[&signer.key])
}

/// One whose input speaks for itself; what is over is its fee.
fn alone(input: OutPoint, outputs: Vec<Output>, action: Action) -> Transaction {
    Transaction {
        body: TransactionBody::of_action(vec![input], outputs, action),
        witnesses: vec![Witness::Action],
    }
}

/// As [`alone`]: it pays all of `amount` to a key, but the least fee; which is how much.
fn pays_out(input: OutPoint, amount: u64, key: KeyBytes, action: Action) -> (Transaction, u64) {
    let of = |amount| alone(input, vec![Output::to_key(sat(amount), key)], action.clone());
    let fee = LedgerParams::default().fee_min(of(amount).cost()).to_sat();
    (of(amount - fee), fee)
}

fn report(world: &World, stories: &Stories, reward: KeyBytes, fault: &Fault) -> Transaction {
    let action = Action::ReportFault {
        hub: world.hub.public().bytes(),
        reward,
        fault: Box::new(fault.clone()),
    };
    alone(stories.stake, Vec::new(), action)
}

fn distribute(world: &World, stories: &Stories, reward: KeyBytes) -> Transaction {
    let action = Action::Distribute {
        hub: world.hub.public().bytes(),
    };
    let share = STAKE / LedgerParams::REWARD_DIVISOR;
    alone(stories.stake, vec![Output::to_key(sat(share), reward)], action)
}

fn forfeit(channel: ChannelId, fault: &Fault) -> Action {
    Action::Forfeit {
        channel,
        fault: Box::new(fault.clone()),
    }
}

#[track_caller]
fn assert_refused(result: Result<(), ClientError>, word: &str) {
    let (_, text) = refusal(result);
    assert!(text.contains(word), "{text}");
}

/// The victim has the whole channel, and the reward that it has committed itself to first; who copies its report has nothing.
#[test]
fn two_stories_cost_a_hub_the_channel_and_its_stake() {
    let mut world = World::of(2, Some(200_000));
    let stories = Stories::of(&mut world);
    let [from, to] = stories.channels;
    let (mut a, mut b, alice) = (world.client(0), world.client(1), world.signer(0));
    let fault = Stories::fault(&stories.alices);
    assert_eq!(fault.kind(), Some(FaultKind::TwoLeaves));
    let [one, other] = &stories.alices;
    assert_ne!(one.batch(), other.batch(), "no two headers have one number");
    let none = Fault::Leaves(Box::new([stories.alices[0].clone(), stories.alices[0].clone()]));
    assert_refused(
        b.submit(&report(&world, &stories, KeyBytes::ZERO, &none)),
        "do not contradict each other",
    );
    let (of_alice, of_bob) = (a.key(), b.key());
    let digest = fault.commitment(&of_alice);
    let commitment = by_coin(&mut a, &alice, Action::Commit { digest });
    a.submit(&commitment).expect("anyone may");
    let copied = report(&world, &stories, of_bob, &fault);
    assert_refused(b.submit(&copied), "no commitment that is final");
    a.submit(&report(&world, &stories, of_alice, &fault))
        .expect("it is hers to report");
    let slashed = world.height();
    assert_refused(b.submit(&copied), "was slashed");

    let funding = own(&a, &from).opened().funding;
    let (forfeited, cost) = pays_out(funding, 2_000_000, of_alice, forfeit(from, &fault));
    let elsewhere = pays_out(funding, 2_000_000, of_bob, forfeit(from, &fault)).0;
    assert_refused(b.submit(&elsewhere), "the outputs are not those");
    let foreign = own(&b, &to).opened().funding;
    let foreign = pays_out(foreign, 2_000_000, of_alice, forfeit(to, &fault)).0;
    assert_refused(a.submit(&foreign), "names another channel");
    a.submit(&forfeited).expect("it is hers");
    b.sync(&to).expect("the hub goes on, and owes what it owes");
    close(&mut b, &to);
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 1_000);
    let last = distribute(&world, &stories, of_alice);
    world.until(slashed + 19);
    // Victims come first.
    assert_refused(a.submit(&last), "only above height");
    world.until(slashed + 20);
    a.submit(&last).expect("the rest burns");
    assert_eq!(funds(&mut a), FUNDS - OPENING + 500_000 - cost - CLOSING + STAKE / 100);
    drop((a, b));
    world.ends_with(-500_000 - 1_000 - REVEAL);
}

/// A hub that reports itself for the reward: a victim whose channel has ended already comes first, and nothing is left.
#[test]
fn a_hub_that_reports_itself_saves_nothing() {
    let mut world = World::of(2, Some(200_000));
    let stories = Stories::of(&mut world);
    let [from, to] = stories.channels;
    let (mut a, mut b) = (world.client(0), world.client(1));
    close(&mut b, &to);
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 1_000);
    let hub = world.hub.public().bytes();
    let operator = Signer {
        ledger: world.hub.ledger,
        key: world.hub_key(),
    };
    let fault = Stories::fault(&stories.alices);
    let digest = fault.commitment(&hub);
    let commitment = by_coin(&mut a, &operator, Action::Commit { digest });
    a.submit(&commitment).expect("anyone may");
    a.submit(&report(&world, &stories, hub, &fault)).expect("anyone may");
    let slashed = world.height();
    let own_fault = Stories::fault(&stories.bobs);
    let claim = |fault: &Fault| Action::ClaimStake {
        channel: to,
        hub,
        fault: Box::new(fault.clone()),
    };
    let report_cost = LedgerParams::default()
        .fee_min(report(&world, &stories, hub, &fault).cost())
        .to_sat();
    let left = STAKE - report_cost;
    let foreign = pays_out(stories.stake, left, b.key(), claim(&fault)).0;
    // By what was done in his own channel, and nothing else.
    assert_refused(b.submit(&foreign), "names another channel");
    let (claimed, cost) = pays_out(stories.stake, left, b.key(), claim(&own_fault));
    b.submit(&claimed)
        .expect("the hub took more out of his channel than it has bonded");
    assert_eq!(funds(&mut b), FUNDS - OPENING - CLOSING + 1_000 + left - cost);
    world.until(slashed + DISPUTE);
    assert_refused(
        a.submit(&distribute(&world, &stories, hub)),
        "does not exist or is spent",
    );
    let (forfeited, _) = pays_out(
        own(&a, &from).opened().funding,
        2_000_000,
        a.key(),
        forfeit(from, &fault),
    );
    a.submit(&forfeited).expect("it is hers");
    assert!(funds(&mut a) > FUNDS - OPENING + 499_000);
    drop((a, b));
    world.ends_with(-500_000 - 1_000 - REVEAL - i64::try_from(CLOSING).expect("small"));
}
