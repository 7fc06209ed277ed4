//! Stakes: who may bond, what slashes them, and who is paid.

use tidegate_channel::evidence::{Fault, FaultError, FaultKind, LeafProof, Opener, ProvenLeaf};
use tidegate_channel::{LeafKind, SignedHeader};
use tidegate_ledger::{
    Action, ActionError, Condition, Event, GenesisError, LedgerParams, Output, StakeState, Transaction,
    TransactionBody, TransactionError, Witness,
};
use tidegate_types::{Age, Digest, Height, KeyBytes, OutPoint};

use crate::closes::{burned, refused};
use crate::common::{HUB, HUB_PAYOUT, genesis_bytes, key, sat, secret, spend};
use crate::world::{CAPACITY, Channel, GRACE, SHARE, WINDOW, World, alone, params, terms};

const STAKE: u64 = 500_000;
const UNBONDING: u32 = 300;
const REPORTER: u8 = 4;
const THIEF: u8 = 5;

fn staked() -> (World, OutPoint) {
    let world = World::with(
        params(),
        &[Output::to_stake(sat(STAKE), key(HUB), key(99), Age::new(UNBONDING))],
    );
    let stake = world.chain.stake(&key(HUB)).expect("the genesis bonds it").0;
    (world, stake)
}

fn header(leaf: &ProvenLeaf) -> SignedHeader {
    match &leaf.proof {
        LeafProof::Batch { header, .. } => **header,
        LeafProof::Note(_) => panic!("the leaf stands in a batch"),
    }
}

/// Every fault of rule 27 in channel 0, with what it is.
pub(crate) fn faults(channel: &Channel) -> Vec<(FaultKind, Fault)> {
    let plain = channel.leaf(&channel.h(4, 9_000));
    let reference = plain.reference();
    let after = |counter, firm, previous| {
        let mut h = channel.h(counter, firm);
        h.previous = previous;
        channel.leaf(&h)
    };
    let mut last = channel.h(4, 9_000);
    last.kind = LeafKind::Final;
    let mut other = header(&plain);
    other.header.time = tidegate_types::UnixMillis::new(7);
    let other = other.header.sign(&channel.ledger, &secret(HUB));
    let mut next = header(&plain);
    next.header.number = next.header.number.next().expect("small");
    let next = next.header.sign(&channel.ledger, &secret(HUB));
    let mut known = channel.h(6, 9_000);
    (known.batch, known.ack) = (9, channel.state(&channel.c(5, 0)).state.reference());
    let old = (
        tidegate_types::ClientCounter::new(4),
        tidegate_types::HubCounter::new(4),
    );
    let start = channel.signed_start(Opener::Hub, 9, Some(old));
    let leaves = |a: &ProvenLeaf, b: &ProvenLeaf| Fault::in_leaves(b, a).expect("a fault");
    vec![
        (
            FaultKind::TwoHeaders,
            Fault::in_headers(other, header(&plain)).expect("a fault"),
        ),
        (
            FaultKind::HeaderChain,
            Fault::in_headers(next, header(&plain)).expect("a fault"),
        ),
        (FaultKind::TwoLeaves, leaves(&plain, &after(4, 9_001, Digest::ZERO))),
        (FaultKind::LeafChain, leaves(&plain, &after(5, 9_000, Digest::ZERO))),
        (FaultKind::TotalFell, leaves(&plain, &after(5, 8_999, reference.digest))),
        (
            FaultKind::AfterFinal,
            leaves(&channel.leaf(&last), &after(9, 9_000, Digest::ZERO)),
        ),
        (
            FaultKind::OldState,
            Fault::in_start(start, channel.leaf(&known)).expect("a fault"),
        ),
    ]
}

/// What an honest hub signs proves nothing, in either order.
#[test]
fn honest_objects_are_no_fault() {
    let channel = World::new().channel(0);
    let first = channel.leaf(&channel.h(4, 9_000));
    let mut second = channel.h(5, 9_000);
    second.previous = first.reference().digest;
    let second = channel.leaf(&second);
    assert_eq!(Fault::in_leaves(&first, &second), None);
    assert_eq!(Fault::in_leaves(&second, &first), None);
    assert_eq!(Fault::in_leaves(&first, &first), None);
    assert_eq!(
        Fault::in_leaves(&first, &channel.leaf(&channel.h(6, 9_000))),
        None,
        "a leaf between is missing"
    );
    // A final leaf that is told again, under the header of a later batch.
    let mut last = channel.h(4, 9_000);
    last.kind = LeafKind::Final;
    let told = channel.leaf(&last);
    last.batch += 1;
    let again = channel.leaf(&last);
    assert_ne!(header(&told).header, header(&again).header);
    assert_eq!(Fault::in_leaves(&told, &again), None);
    let other = World::new().channel(1);
    assert_eq!(Fault::in_leaves(&first, &other.leaf(&other.h(4, 1))), None);
    let mut next = header(&first);
    (next.header.number, next.header.previous) = (
        next.header.number.next().expect("small"),
        header(&first).header.digest(),
    );
    assert_eq!(Fault::in_headers(header(&first), next), None);
    assert_eq!(Fault::in_headers(next, next), None);
    // Trace 7: the state was acknowledged after the batch that the start names; or the start had no evidence.
    let mut later = channel.h(6, 9_000);
    (later.batch, later.ack) = (10, channel.state(&channel.c(5, 0)).state.reference());
    let old = (
        tidegate_types::ClientCounter::new(4),
        tidegate_types::HubCounter::new(4),
    );
    let start = channel.signed_start(Opener::Hub, 9, Some(old));
    assert_eq!(Fault::in_start(start, channel.leaf(&later)), None);
    later.batch = 9;
    assert_eq!(
        Fault::in_start(channel.signed_start(Opener::Hub, 9, None), channel.leaf(&later)),
        None
    );
    let client = channel.signed_start(Opener::Client, 0, Some(old));
    assert_eq!(
        Fault::in_start(client, channel.leaf(&later)),
        None,
        "a client commits no fault by age"
    );
    let mut noted = channel.leaf(&later);
    noted.proof = LeafProof::Note(noted.note().sign(&channel.ledger, &secret(HUB)));
    assert_eq!(Fault::in_start(start, noted), None, "a note tells no batch");
}

fn report(stake: OutPoint, reward: KeyBytes, fault: &Fault) -> Transaction {
    let fault = Box::new(fault.clone());
    let hub = key(HUB);
    alone(stake, Action::ReportFault { hub, reward, fault })
}

fn commit(world: &mut World, coin: u8, fault: &Fault) {
    let digest = fault.commitment(&key(coin));
    let transaction = world.by_coin(coin, None, Action::Commit { digest });
    world.put(transaction);
}

/// Each fault slashes the stake and, if it is one of a channel, gives the channel to its client.
#[test]
fn each_fault_slashes_and_forfeits() {
    for (number, kind) in FaultKind::ALL.into_iter().enumerate() {
        let (mut world, stake) = staked();
        let channel = world.channel(0);
        let (found, fault) = faults(&channel).swap_remove(number);
        assert_eq!((found, fault.kind()), (kind, Some(kind)));
        let events = world.put(report(stake, KeyBytes::ZERO, &fault));
        let hub_fault = Event::HubFault {
            hub: key(HUB),
            kind,
            channel: fault.channel(),
        };
        assert_eq!(events, [hub_fault]);
        assert_eq!(
            refused(&mut world, report(stake, KeyBytes::ZERO, &fault)),
            ActionError::NotBonded
        );
        let (_, terms) = world.chain.stake(&key(HUB)).expect("it is there still");
        assert!(matches!(terms.state, StakeState::Slashed { .. }));
        let before = burned(&world);
        let forfeited = forfeit(&world, &channel, &fault);
        if fault.channel().is_none() {
            assert_eq!(refused(&mut world, forfeited), ActionError::OtherChannel);
        } else {
            world.put(forfeited);
            let cost = burned(&world) - before;
            assert_eq!(
                world.held(channel.terms.client_payout),
                CAPACITY - cost,
                "the whole output"
            );
        }
    }
}

fn forfeit(world: &World, channel: &Channel, fault: &Fault) -> Transaction {
    let action = Action::Forfeit {
        channel: channel.id,
        fault: Box::new(fault.clone()),
    };
    let mut transaction = alone(channel.outpoint, action);
    let amount = world
        .chain
        .store()
        .iter()
        .find(|(o, _)| **o == channel.outpoint)
        .expect("it is open")
        .1
        .output
        .amount;
    let to = |amount| vec![Output::to_key(amount, channel.terms.client_payout)];
    transaction.body.outputs = to(amount);
    let fee = world.chain.params().fee_min(transaction.cost());
    transaction.body.outputs = to(amount.sub(fee).expect("more"));
    transaction
}

/// A fault found during a dispute takes the channel with all its records, and nothing goes to the hub.
#[test]
fn a_channel_is_forfeited_during_its_close() {
    let mut world = World::new();
    let channel = world.channel(0);
    let mut c = channel.c(2, 0);
    c.locks.push(crate::world::out_lock(
        1,
        tidegate_channel::Condition::Hash([1; 32]),
        channel.id,
        40,
    ));
    world.put(channel.start(Opener::Hub, Some(channel.pair(&c, &channel.h(1, 0)))));
    let (_, fault) = faults(&channel).swap_remove(2);
    let forfeited = forfeit(&world, &channel, &fault);
    let mut elsewhere = forfeited.clone();
    elsewhere.body.outputs[0].condition = Condition::Key(key(1));
    assert_eq!(refused(&mut world, elsewhere), ActionError::OtherOutputs);
    let events = world.put(forfeited);
    assert!(matches!(
        events[..],
        [Event::Forfeited {
            kind: FaultKind::TwoLeaves,
            ..
        }]
    ));
    assert_eq!(world.held(channel.terms.client_payout), CAPACITY - burned(&world));
    assert!(world.chain.store().iter().all(|(_, utxo)| !utxo.is_record()));
}

/// Objects that another key signed, or that no batch holds, prove nothing.
#[test]
fn a_fault_is_the_hubs_own() {
    let (mut world, stake) = staked();
    let channel = world.channel(0);
    for (kind, fault) in faults(&channel) {
        let mut bent = fault.clone();
        let error = match &mut bent {
            Fault::Headers(both) => {
                both[1].signature = both[0].signature;
                ActionError::Fault(FaultError::Header(tidegate_channel::HeaderError::BadSignature))
            }
            Fault::Leaves(both) => {
                let LeafProof::Batch { index, .. } = &mut both[0].proof else {
                    unreachable!("it stands in a batch")
                };
                *index = 3;
                ActionError::Fault(FaultError::Header(tidegate_channel::HeaderError::BadPath))
            }
            Fault::Start(start, _) => {
                start.signature = tidegate_types::SignatureBytes::from_bytes([1; 64]);
                ActionError::Fault(FaultError::StartSignature)
            }
        };
        assert_eq!(
            refused(&mut world, report(stake, KeyBytes::ZERO, &bent)),
            error,
            "{kind:?}"
        );
    }
    let honest = channel.leaf(&channel.h(4, 9_000));
    let none = Fault::Leaves(Box::new([honest.clone(), honest]));
    assert_eq!(
        refused(&mut world, report(stake, KeyBytes::ZERO, &none)),
        ActionError::Fault(FaultError::NoFault)
    );
}

/// Trace 17: whoever copies a report gets nothing, since its commitment comes too late; and a hub that reports itself loses all but
/// the small reward.
#[test]
fn the_reward_is_the_committed_reporters() {
    let (mut world, stake) = staked();
    let channel = world.channel(0);
    let (_, fault) = faults(&channel).swap_remove(0);
    let own = report(stake, key(REPORTER), &fault);
    assert_eq!(refused(&mut world, own.clone()), ActionError::NotCommitted);
    commit(&mut world, REPORTER, &fault);
    // The thief sees the report wait, and commits in the block that could hold it at the earliest.
    let digest = fault.commitment(&key(THIEF));
    let late = world.by_coin(THIEF, None, Action::Commit { digest });
    world.submit(late).expect("anyone may commit");
    let copied = report(stake, key(THIEF), &fault);
    assert_eq!(refused(&mut world, copied), ActionError::NotCommitted);
    world.put(own);
    let again = report(stake, key(THIEF), &fault);
    assert_eq!(refused(&mut world, again), ActionError::NotBonded);

    let until = match world.chain.stake(&key(HUB)).expect("it is there").1.state {
        StakeState::Slashed { until, reward } => {
            assert_eq!(reward, key(REPORTER));
            until
        }
        other => panic!("{other:?}"),
    };
    let share = STAKE / LedgerParams::REWARD_DIVISOR;
    let mut end = alone(stake, Action::Distribute { hub: key(HUB) });
    end.body.outputs = vec![Output::to_key(sat(share), key(REPORTER))];
    assert_eq!(refused(&mut world, end.clone()), ActionError::TooEarly(until));
    world.until(until.get());
    let mut greedy = end.clone();
    greedy.body.outputs[0].amount = sat(share + 1);
    assert_eq!(refused(&mut world, greedy), ActionError::OtherOutputs);
    let (held, gone) = (world.held(key(REPORTER)), burned(&world));
    world.put(end);
    assert_eq!(world.held(key(REPORTER)), held + share);
    assert!(burned(&world) > gone + STAKE - share - 2_000, "the rest burned");
    assert_eq!(world.chain.stake(&key(HUB)), None);
}

/// A client whose channel has ended before the fault was known is paid what the hub took out of it, up to the stake.
#[test]
fn victims_come_first_even_after_their_channel_has_ended() {
    let (mut world, stake) = staked();
    let (channel, other) = (world.channel(0), world.channel(1));
    world.put(channel.start(Opener::Client, None));
    world.settle_in_time(&channel);
    let took = world.held(key(HUB_PAYOUT));
    assert_eq!(took, CAPACITY - SHARE);
    let (_, fault) = faults(&channel).swap_remove(2);
    let claim = |paid: u64| {
        let fault = Box::new(fault.clone());
        let (channel, hub) = (channel.id, key(HUB));
        let mut transaction = alone(stake, Action::ClaimStake { channel, hub, fault });
        transaction.body.outputs = vec![Output::to_key(sat(paid), terms(10).client_payout)];
        transaction
    };
    let early = claim(took);
    assert_eq!(refused(&mut world, early), ActionError::NotSlashed);
    world.put(report(stake, KeyBytes::ZERO, &fault));
    let greedy = claim(took + 1);
    assert_eq!(refused(&mut world, greedy), ActionError::OtherOutputs);
    let before = world.held(channel.terms.client_payout);
    let events = world.put(claim(took));
    assert!(matches!(events[..], [Event::VictimPaid { .. }]));
    assert_eq!(world.held(channel.terms.client_payout), before + took);
    let again = claim(took);
    assert_eq!(refused(&mut world, again), ActionError::NoVictim);
    // A channel that is open takes its own output; the stake has nothing to make good.
    let (_, fault) = faults(&other).swap_remove(2);
    world.put(forfeit(&world, &other, &fault));
    let until = world.height() + WINDOW + 1;
    world.until(until);
    let mut end = alone(stake, Action::Distribute { hub: key(HUB) });
    end.body.outputs = vec![];
    world.put(end);
    assert_eq!(world.chain.stake(&key(HUB)), None);
}

/// Trace 12: no channel outlives its hub's stake, and a hub that takes its stake back opens none.
#[test]
fn no_channel_outlives_the_stake() {
    let (mut world, stake) = staked();
    let open = |world: &World, expiry: u32| {
        let mut own = crate::common::terms(40, 50_000, 50_000);
        (own.dispute_window, own.evidence_grace) = (Age::new(WINDOW), Age::new(GRACE));
        own.expiry = Height::new(expiry);
        spend(world.ledger, &[(world.coin(2), 2)], vec![Output::to_channel(&own)])
    };
    // Expiry, dispute window, grace and the time for claims lie within the unbonding delay of the next block.
    let latest = 1 + UNBONDING - WINDOW - GRACE - WINDOW;
    let outlives = TransactionError::OutlivesStake {
        index: 0,
        latest: Height::new(1 + UNBONDING),
    };
    assert_eq!(world.submit(open(&world, latest + 1)), Err(outlives));
    assert!(world.chain.check(open(&world, latest)).is_ok());
    let waiting = open(&world, latest);
    world.submit(waiting.clone()).expect("the stake covers it");

    let unbond = alone(stake, Action::unbond(&stake, &world.ledger, &secret(HUB)));
    let forged = alone(
        stake,
        Action::Unbond {
            hub: key(HUB),
            signature: tidegate_types::SignatureBytes::from_bytes([1; 64]),
        },
    );
    assert_eq!(refused(&mut world, forged), ActionError::UnbondSignature);
    world.pool = tidegate_ledger::Mempool::new(1 << 20);
    let events = world.put(unbond.clone());
    let release = Height::new(1 + UNBONDING);
    assert_eq!(events, [Event::StakeUnbonding { hub: key(HUB), release }]);
    assert_eq!(refused(&mut world, unbond), ActionError::NotBonded);
    assert_eq!(world.submit(waiting), Err(TransactionError::HubNotBonded { index: 0 }));

    let left = world
        .chain
        .store()
        .iter()
        .find(|(o, _)| **o == stake)
        .expect("it is there")
        .1
        .output
        .amount;
    let take = |signer: u8| {
        let mut body = TransactionBody::plain(vec![stake], vec![Output::to_key(left, key(99))]);
        let fee = params().fee_min(body.cost_by_keys());
        body.outputs[0].amount = left.sub(fee).expect("more");
        let signature = body.sign(&world.ledger, &secret(signer));
        Transaction {
            body,
            witnesses: vec![Witness::Key(signature)],
        }
    };
    let (payout, hub) = (take(99), take(HUB));
    world.until(release.get() - 2);
    let locked = TransactionError::Locked {
        input: 0,
        first: release,
    };
    assert_eq!(world.submit(payout.clone()), Err(locked));
    // It backs its hub as long as it is not spent.
    let channel = world.channel(0);
    let (_, fault) = faults(&channel).swap_remove(1);
    assert!(world.chain.check(report(stake, KeyBytes::ZERO, &fault)).is_ok());
    world.seal();
    assert_eq!(world.submit(hub), Err(TransactionError::BadSignature { input: 0 }));
    world.put(payout);
    assert_eq!(world.chain.stake(&key(HUB)), None);
}

/// A stake is its hub's own, and a hub has one.
#[test]
fn a_stake_is_funded_by_its_hub_alone() {
    let mut world = World::with(params(), &[Output::to_key(sat(90_000), key(HUB))]);
    let stake = |amount| Output::to_stake(sat(amount), key(HUB), key(99), Age::new(UNBONDING));
    let stranger = spend(world.ledger, &[(world.coin(2), 2)], vec![stake(90_000)]);
    let error = Err(TransactionError::StakeOfAnother { index: 0 });
    assert_eq!(world.submit(stranger), error);
    let coin = (world.coin(6), HUB);
    let twice = spend(world.ledger, &[coin], vec![stake(40_000), stake(40_000)]);
    assert_eq!(world.submit(twice), Err(TransactionError::StakeOfAnother { index: 1 }));
    let good = spend(
        world.ledger,
        &[coin],
        vec![stake(50_000), Output::to_key(sat(39_000), key(HUB))],
    );
    let txid = good.txid();
    world.put(good);
    assert_eq!(
        world.chain.stake(&key(HUB)).map(|(outpoint, _)| outpoint),
        Some(OutPoint { txid, vout: 0 })
    );
    let more = spend(world.ledger, &[(OutPoint { txid, vout: 1 }, HUB)], vec![stake(38_000)]);
    assert_eq!(world.submit(more), error);

    let check = |outputs: &[Output]| {
        let bytes = genesis_bytes(params(), outputs);
        tidegate_ledger::Genesis::parse(&bytes).expect("it parses").check()
    };
    assert_eq!(check(&[stake(500), stake(500)]), Err(GenesisError::TwoStakes(key(HUB))));
    let brief = Output::to_stake(sat(500), key(HUB), key(99), Age::new(100));
    let outlives = check(&[Output::to_channel(&terms(10)), brief]);
    assert!(
        matches!(outlives, Err(GenesisError::OutlivesStake { index: 0, .. })),
        "{outlives:?}"
    );
    assert_eq!(check(&[Output::to_channel(&terms(10)), stake(500)]), Ok(()));
}

/// A commitment that leads to nothing is forgotten.
#[test]
fn commitments_and_ends_are_forgotten_in_time() {
    let (mut world, _) = staked();
    let channel = world.channel(0);
    commit(&mut world, REPORTER, &faults(&channel)[0].1);
    world.put(channel.start(Opener::Client, None));
    world.settle_in_time(&channel);
    let ended = world.height();
    let records = |world: &World| world.chain.store().iter().filter(|(_, utxo)| utxo.is_record()).count();
    assert_eq!(
        records(&world),
        3,
        "the commitment, the end of the channel, the stake's place"
    );
    world.until(ended + UNBONDING);
    assert_eq!(records(&world), 3);
    world.seal();
    assert_eq!(records(&world), 2, "the stake cannot be slashed for it any more");
}
