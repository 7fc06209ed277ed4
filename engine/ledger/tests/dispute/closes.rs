//! Start, evidence, settle: who gets what.

use tidegate_channel::evidence::{
    LeafNaming, LeafProof, MandateSubject, Opener, Pair, PairError, Side, StateNaming, StateNote,
};
use tidegate_channel::{BalanceError, Condition as LockTerms, HeaderError};
use tidegate_ledger::{Action, ActionError, Event, Payer, Transaction, TransactionError, Witness};
use tidegate_types::{ChannelId, ClientCounter, Height, HubCounter, OutPoint, SignatureBytes, Txid};

use crate::common::{CloseKit, HUB, HUB_PAYOUT, key, sat, secret};
use crate::world::{CAPACITY, GRACE, SHARE, WINDOW, World, alone, out_lock, payouts};

pub(crate) fn refused(world: &mut World, transaction: Transaction) -> ActionError {
    match world.submit(transaction) {
        Err(TransactionError::Action(error)) => error,
        other => panic!("expected a refused action, got {other:?}"),
    }
}

pub(crate) fn burned(world: &World) -> u64 {
    u64::try_from(world.chain.supply().burned).expect("small")
}

/// Both sides get what the newest pair says; what the close cost comes out of its opener's side, without any coin.
#[test]
fn a_close_with_the_newest_pair_pays_both_sides() {
    for opener in [Opener::Client, Opener::Hub, Opener::Emergency, Opener::Anyone] {
        let mut world = World::new();
        let channel = world.channel(0);
        if opener == Opener::Anyone {
            world.until(199);
        }
        let pair = channel.pair(&channel.c(3, 50_000), &channel.h(4, 20_000));
        let events = world.put(channel.start(opener, Some(pair)));
        let deadline = Height::new(world.height() + WINDOW);
        let started = Event::CloseStarted {
            channel: channel.id,
            outpoint: channel.outpoint,
            opener,
            batch: tidegate_types::BatchNumber::new(if opener == Opener::Hub { 9 } else { 0 }),
            client: ClientCounter::new(3),
            hub: HubCounter::new(4),
            deadline,
        };
        assert_eq!(events, [started]);
        let events = world.settle_in_time(&channel);
        assert!(matches!(events[..], [Event::ChannelSettled { locks: 0, .. }]));
        let (client, hub) = payouts(&world, &channel);
        let cost = burned(&world);
        let due = (SHARE + 20_000 - 50_000, CAPACITY - SHARE - 20_000 + 50_000);
        match opener.side() {
            Some(Side::Client) => assert_eq!((client, hub), (due.0 - cost, due.1)),
            Some(Side::Hub) => assert_eq!((client, hub), (due.0, due.1 - cost)),
            None => {
                assert_eq!(client + hub, CAPACITY - cost);
                assert!(due.0 - client <= cost / 2 + 1 && due.1 - hub <= cost / 2 + 2);
            }
        }
        assert!(cost < 1_000, "{cost}");
        assert_eq!(world.chain.open_channels(), 1);
        assert_eq!(world.chain.close_of(&channel.outpoint), None, "no record is left");
        assert!(world.chain.store().iter().all(|(_, utxo)| !utxo.is_record()));
    }
}

/// Trace 10: an emergency closure needs neither evidence nor coins; then the other side shows what it has.
#[test]
fn an_emergency_closure_is_completed_by_the_other_side() {
    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Emergency, None));
    let pair = channel.pair(&channel.c(8, 90_000), &channel.h(5, 1_000));
    let events = world.put(channel.evidence(Side::Hub, pair));
    let taken = Event::EvidenceTaken {
        channel: channel.id,
        client: ClientCounter::new(8),
        hub: HubCounter::new(5),
    };
    assert_eq!(events, [taken]);
    world.settle_in_time(&channel);
    // The hub's evidence was charged to the hub, and made good by the opener that it corrected.
    let cost = burned(&world);
    let due = (SHARE + 1_000 - 90_000, CAPACITY - SHARE - 1_000 + 90_000);
    assert_eq!(payouts(&world, &channel), (due.0 - cost, due.1));
}

/// Trace 11: a client that restored a backup and starts with an old pair loses what the close cost, and nothing else. A side
/// that corrects itself is made good by nobody.
#[test]
fn a_corrected_opener_pays_only_what_the_close_cost_the_other() {
    let mut world = World::new();
    let channel = world.channel(0);
    let old = channel.pair(&channel.c(2, 0), &channel.h(2, 9_000));
    world.put(channel.start(Opener::Client, Some(old)));
    let newest = channel.pair(&channel.c(7, 80_000), &channel.h(7, 9_500));
    world.put(channel.evidence(Side::Hub, newest));
    world.settle_in_time(&channel);
    let cost = burned(&world);
    let due = (SHARE + 9_500 - 80_000, CAPACITY - SHARE - 9_500 + 80_000);
    assert_eq!(payouts(&world, &channel), (due.0 - cost, due.1));

    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Hub, None));
    let newest = channel.pair(&channel.c(7, 80_000), &channel.h(7, 9_500));
    world.put(channel.evidence(Side::Hub, newest));
    world.settle_in_time(&channel);
    assert_eq!(payouts(&world, &channel), (due.0, due.1 - burned(&world)));
}

/// The bond bounds what an opener makes good: the other side's steps beyond it are its own affair.
#[test]
fn evidence_in_steps_beyond_the_bond_is_paid_by_who_takes_them() {
    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Client, None));
    let bond = world
        .chain
        .close_of(&channel.outpoint)
        .expect("it is closing")
        .0
        .bond
        .to_sat();
    let mut drawn = 0;
    for step in 1..=16 {
        let before = burned(&world);
        let pair = channel.pair(&channel.c(step, 1_000), &channel.h(step, 0));
        world
            .submit(channel.evidence(Side::Hub, pair))
            .expect("each is newer than the block before");
        if step % 4 == 0 {
            world.seal();
        }
        drawn += burned(&world) - before;
    }
    assert!(drawn > bond, "{drawn} of {bond}");
    let before = burned(&world);
    world.settle_in_time(&channel);
    let settle = burned(&world) - before;
    let start = burned(&world) - settle - drawn;
    let due = (SHARE - 1_000, CAPACITY - SHARE + 1_000);
    let expected = (due.0 - start - settle - bond, due.1 - (drawn - bond));
    assert_eq!(payouts(&world, &channel), expected);
}

/// Trace 1: what only its signer vouches for counts for nothing.
#[test]
fn a_half_that_the_other_has_not_named_is_no_evidence() {
    let mut world = World::new();
    let channel = world.channel(0);
    let forged = Pair {
        client: Some(channel.client_half(&channel.c(1_000_000, 0), StateNaming::ByLeaf)),
        hub: None,
    };
    let error = ActionError::Pair(PairError::StateUnnamed);
    assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(forged))), error);
    let unnamed = |named| Pair {
        client: Some(channel.client_half(&channel.c(1_000_000, 0), named)),
        hub: Some(channel.hub_half(&channel.h(1, 0))),
    };
    let pair = unnamed(StateNaming::ByLeaf);
    assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(pair))), error);
    let other = StateNaming::ByOtherLeaf(Box::new(channel.leaf(&channel.h(3, 0))));
    assert_eq!(
        refused(&mut world, channel.start(Opener::Client, Some(unnamed(other)))),
        error
    );
    let own_note = StateNaming::ByNote(SignatureBytes::from_bytes([1; 64]));
    let error = ActionError::Pair(PairError::HubSignature);
    assert_eq!(
        refused(&mut world, channel.start(Opener::Client, Some(unnamed(own_note)))),
        error
    );

    let mut half = channel.hub_half(&channel.h(1_000_000, 0));
    half.named = LeafNaming::ByState;
    let forged = Pair {
        client: None,
        hub: Some(half.clone()),
    };
    let error = ActionError::Pair(PairError::LeafUnnamed);
    assert_eq!(refused(&mut world, channel.start(Opener::Hub, Some(forged))), error);
    half.named = LeafNaming::ByAck(SignatureBytes::from_bytes([1; 64]));
    let forged = Pair {
        client: None,
        hub: Some(half),
    };
    let error = ActionError::Pair(PairError::ClientSignature);
    assert_eq!(refused(&mut world, channel.start(Opener::Hub, Some(forged))), error);
}

/// The other ways of naming: by a note of the hub, by another leaf, by another state; and a leaf proved by a note.
#[test]
fn each_way_of_naming_holds() {
    let mut world = World::new();
    let channel = world.channel(0);
    let c = channel.c(5, 70_000);
    let reference = channel.state(&c).state.reference();
    let note = StateNote {
        channel: channel.id,
        state: reference,
    };
    let by_note = StateNaming::ByNote(note.sign(&channel.ledger, &secret(HUB)));
    let mut later = channel.h(9, 0);
    later.ack = reference;
    let by_other = StateNaming::ByOtherLeaf(Box::new(channel.leaf(&later)));
    for (named, batch) in [(by_note, true), (by_other, false)] {
        let mut half = channel.hub_half(&channel.h(4, 20_000));
        let mut names_it = channel.c(9, 0);
        names_it.ack = half.leaf.reference();
        half.named = LeafNaming::ByOtherState(Box::new(channel.state(&names_it)));
        if !batch {
            half.leaf.proof = LeafProof::Note(half.leaf.note().sign(&channel.ledger, &secret(HUB)));
        }
        let pair = Pair {
            client: Some(channel.client_half(&c, named)),
            hub: Some(half),
        };
        let decoded = Pair::check(
            &pair,
            &world.ledger,
            &channel.id,
            &channel.terms,
            (&secret(channel.client).public(), &secret(HUB).public()),
        );
        assert_eq!(decoded.expect("it holds").sums.debit, sat(70_000));
        assert!(world.chain.check(channel.start(Opener::Client, Some(pair))).is_ok());
    }
    let mut half = channel.hub_half(&channel.h(4, 20_000));
    half.leaf.proof = LeafProof::Note(half.leaf.note().sign(&channel.ledger, &secret(1)));
    let pair = Pair {
        client: None,
        hub: Some(half),
    };
    let error = ActionError::Pair(PairError::Leaf(HeaderError::BadSignature));
    assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(pair))), error);
}

/// Trace 2: halves that do not fit each other are no pair, and no balance goes below zero.
#[test]
fn a_pair_fits() {
    let mut world = World::new();
    let channel = world.channel(0);
    let newer = channel.leaf(&channel.h(2, 5_000)).reference();
    let mut c = channel.c(3, 0);
    c.ack = newer;
    let pair = channel.pair(&c, &channel.h(1, 1_000));
    let error = ActionError::Pair(PairError::StateAhead(HubCounter::new(2)));
    assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(pair))), error);
    let mut h = channel.h(2, 5_000);
    h.ack = channel.state(&channel.c(9, 1)).state.reference();
    let pair = Pair {
        client: Some(channel.client_half(&channel.c(8, 0), StateNaming::ByOtherLeaf(Box::new(channel.leaf(&h))))),
        hub: Some(channel.hub_half(&h)),
    };
    let error = ActionError::Pair(PairError::LeafAhead(ClientCounter::new(9)));
    assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(pair))), error);
    // One counter, two digests.
    let mut h = channel.h(2, 5_000);
    h.ack = channel.state(&channel.c(8, 1)).state.reference();
    let pair = Pair {
        client: Some(channel.client_half(&channel.c(8, 0), StateNaming::ByLeaf)),
        hub: Some(channel.hub_half(&h)),
    };
    let error = ActionError::Pair(PairError::LeafAhead(ClientCounter::new(8)));
    assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(pair))), error);
    let below = ActionError::Pair(PairError::Balance(BalanceError::BelowReserve));
    for (debit, firm) in [(SHARE + 1, 0), (0, CAPACITY - SHARE + 1)] {
        let pair = channel.pair(&channel.c(3, debit), &channel.h(1, firm));
        assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(pair))), below);
    }
    let other = world.channel(1);
    let pair = other.pair(&other.c(1, 0), &other.h(1, 0));
    let error = ActionError::Pair(PairError::OtherChannel);
    assert_eq!(refused(&mut world, channel.start(Opener::Client, Some(pair))), error);
}

/// Over all pairs the highest c and the highest h count, whoever shows them and in whatever order.
#[test]
fn the_highest_counters_over_all_pairs_win() {
    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Client, None));
    // The leaf is new, the state old; then the other way round.
    let first = channel.pair(&channel.c(1, 10_000), &channel.h(9, 30_000));
    let second = channel.pair(&channel.c(6, 40_000), &channel.h(2, 5_000));
    world.put(channel.evidence(Side::Client, first.clone()));
    world.put(channel.evidence(Side::Hub, second.clone()));
    for stale in [first, second] {
        assert_eq!(
            refused(&mut world, channel.evidence(Side::Hub, stale)),
            ActionError::NotNewer
        );
    }
    let (state, _) = world.chain.close_of(&channel.outpoint).expect("it is closing");
    assert_eq!((state.client.counter.get(), state.hub.counter.get()), (6, 9));
    let costs = (state.drawn_client.to_sat(), state.drawn_hub.to_sat());
    let before = burned(&world);
    world.settle_in_time(&channel);
    let settle = burned(&world) - before;
    let (client, hub) = payouts(&world, &channel);
    let due = (SHARE + 30_000 - 40_000, CAPACITY - SHARE - 30_000 + 40_000);
    assert_eq!((client, hub), (due.0 - costs.0 - settle - costs.1, due.1));
}

/// Trace 21: each height is inclusive.
#[test]
fn evidence_counts_at_its_last_height_and_not_above() {
    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Client, None));
    let start = world.height();
    world.until(start + WINDOW - 1);
    let pair = |n| channel.pair(&channel.c(n, 100), &channel.h(n, 0));
    world.put(channel.evidence(Side::Hub, pair(1)));
    assert_eq!(world.height(), start + WINDOW);
    let late = ActionError::TooLate(Height::new(start + WINDOW));
    assert_eq!(refused(&mut world, channel.evidence(Side::Hub, pair(2))), late);
    world.until(start + WINDOW + GRACE - 1);
    let settle = world.chain.settlement(&channel.outpoint).expect("it is closing");
    let early = ActionError::TooEarly(Height::new(start + WINDOW + GRACE));
    assert_eq!(refused(&mut world, settle), early);
    world.seal();
    world.settle(&channel);
    assert_eq!(world.height(), start + WINDOW + GRACE + 1);

    let mut world = World::new();
    let channel = world.channel(0);
    world.until(198);
    let error = ActionError::NotExpired(Height::new(200));
    assert_eq!(refused(&mut world, channel.start(Opener::Anyone, None)), error);
    world.seal();
    world.put(channel.start(Opener::Anyone, None));
    assert_eq!(world.height(), 200);
}

/// The deadline is that of the first start: nobody begins a close twice, or evidence before it.
#[test]
fn a_close_begins_once() {
    let mut world = World::new();
    let channel = world.channel(0);
    let pair = channel.pair(&channel.c(1, 0), &channel.h(1, 0));
    assert_eq!(
        refused(&mut world, channel.evidence(Side::Hub, pair.clone())),
        ActionError::NotClosing
    );
    let settle = alone(channel.outpoint, Action::Settle { channel: channel.id });
    assert_eq!(refused(&mut world, settle), ActionError::NotClosing);
    world.put(channel.start(Opener::Client, None));
    let again = channel.start(Opener::Hub, Some(pair));
    assert_eq!(refused(&mut world, again), ActionError::AlreadyClosing);
}

/// Only who may start a close does, and what it signs binds: its role, its counters, its channel.
#[test]
fn a_start_is_signed_by_its_opener() {
    let mut world = World::new();
    let (channel, other) = (world.channel(0), world.channel(1));
    let swap = |opener, signer| {
        let mut start = channel.signed_start(opener, if opener == Opener::Hub { 9 } else { 0 }, None);
        start.signature = start.start.sign(&channel.ledger, &secret(signer));
        alone(channel.outpoint, Action::StartClose { start, pair: None })
    };
    for (opener, signer) in [
        (Opener::Client, HUB),
        (Opener::Hub, channel.client),
        (Opener::Emergency, channel.client),
    ] {
        assert_eq!(refused(&mut world, swap(opener, signer)), ActionError::StartSignature);
    }
    let mut elsewhere = channel.start(Opener::Client, None);
    elsewhere.body.inputs = vec![other.outpoint];
    assert_eq!(refused(&mut world, elsewhere), ActionError::OtherChannel);
    let mut coin = channel.start(Opener::Client, None);
    coin.body.inputs = vec![world.coin(2)];
    assert_eq!(refused(&mut world, coin), ActionError::OtherInput);
    let start = channel.signed_start(Opener::Client, 0, Some((ClientCounter::new(2), HubCounter::new(1))));
    let pair = Some(Box::new(channel.pair(&channel.c(1, 0), &channel.h(1, 0))));
    let lies = alone(channel.outpoint, Action::StartClose { start, pair });
    assert_eq!(refused(&mut world, lies), ActionError::OtherCounters);
    // A hub whose own evidence stands in a later batch than the one it names.
    let mut late = channel.h(1, 0);
    late.batch = 10;
    let pair = channel.pair(&channel.c(1, 0), &late);
    assert_eq!(
        refused(&mut world, channel.start(Opener::Hub, Some(pair))),
        ActionError::OtherCounters
    );
}

/// Nobody spends another's money: a side pays by its own mandate for this very evidence, out of what it is due.
#[test]
fn a_side_pays_by_its_own_mandate() {
    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Client, None));
    let pair = channel.pair(&channel.c(2, 0), &channel.h(2, 0));
    let with = |payer| {
        let action = Action::Evidence {
            channel: channel.id,
            payer,
            pair: Box::new(pair.clone()),
        };
        alone(channel.outpoint, action)
    };
    let (c, h) = pair.counters();
    let own = channel.payer(Side::Client, MandateSubject::Pair(c, h));
    let Payer::Side(_, signature) = own else {
        unreachable!("a side pays")
    };
    let stolen = Payer::Side(Side::Hub, signature);
    let older = channel.payer(Side::Hub, MandateSubject::Pair(ClientCounter::new(1), h));
    let other = channel.payer(Side::Hub, MandateSubject::Ack(h));
    for payer in [stolen, older, other] {
        assert_eq!(refused(&mut world, with(payer)), ActionError::Mandate);
    }
    assert_eq!(refused(&mut world, with(Payer::Coins)), ActionError::WrongPayer);
    let mut with_coin = world.by_coin(
        3,
        Some(channel.outpoint),
        with(own).body.action.map(|a| *a).expect("one"),
    );
    assert_eq!(refused(&mut world, with_coin.clone()), ActionError::WrongPayer);
    // Coins pay for anyone, and leave the channel alone.
    let Some(Action::Evidence { payer, .. }) = with_coin.body.action.as_deref_mut() else {
        unreachable!("it is evidence")
    };
    *payer = Payer::Coins;
    let action = *with_coin.body.action.expect("one");
    let by_coin = world.by_coin(3, Some(channel.outpoint), action);
    world.put(by_coin);
    let (state, _) = world.chain.close_of(&channel.outpoint).expect("it is closing");
    assert_eq!(
        state.drawn_hub.to_sat() + state.drawn_client.to_sat(),
        burned(&world) - coin_fee(&world)
    );

    // A client that owns nothing pays nothing out of the hub's side.
    let poor = channel.pair(&channel.c(9, SHARE), &channel.h(9, 0));
    let error = refused(&mut world, channel.evidence(Side::Client, poor.clone()));
    assert!(matches!(error, ActionError::CannotPay(_)), "{error}");
    world.put(channel.evidence(Side::Hub, poor));
}

/// What coin 3 has paid.
fn coin_fee(world: &World) -> u64 {
    100_000 - world.held(key(3))
}

/// Trace 6: a cooperative close that was kept back beats every pair until the close is settled, and nothing after it.
#[test]
fn a_cooperative_close_is_completed_during_a_dispute() {
    let mut world = World::new();
    let channel = world.channel(0);
    let kit = CloseKit::new(
        world.ledger,
        channel.outpoint,
        channel.client,
        channel.terms,
        550_000,
        400,
    );
    let kept = kit.transaction();
    assert!(world.chain.check(kept.clone()).is_ok());
    world.put(channel.start(Opener::Client, None));
    let newest = channel.pair(&channel.c(2, 77), &channel.h(2, 0));
    world.put(channel.evidence(Side::Hub, newest));
    let (state, _) = world.chain.close_of(&channel.outpoint).expect("it is closing");
    let mut completed = kept.clone();
    for (output, drawn) in completed
        .body
        .outputs
        .iter_mut()
        .zip([state.drawn_client, state.drawn_hub])
    {
        output.amount = output.amount.sub(drawn).expect("more than the fees");
    }
    assert!(
        world.chain.check(kept).is_err(),
        "the outputs are those less what was drawn"
    );
    let events = world.put(completed.clone());
    assert!(matches!(events[..], [Event::ChannelClosed { .. }]));
    let expected = (
        550_000 - 400 - state.drawn_client.to_sat(),
        450_000 - state.drawn_hub.to_sat(),
    );
    assert_eq!(payouts(&world, &channel), expected);
    assert!(world.chain.store().iter().all(|(_, utxo)| !utxo.is_record()));

    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Hub, None));
    world.settle_in_time(&channel);
    let spent = world.submit(completed);
    assert_eq!(spent, Err(TransactionError::UnknownInput(channel.outpoint)));
}

/// Trace 10: a lock of one satoshi, 64 of them, or one whose content is withheld: none of them freezes a close.
#[test]
fn locks_neither_freeze_a_close_nor_can_be_withheld() {
    let mut world = World::new();
    let channel = world.channel(0);
    let mut c = channel.c(2, 0);
    for slot in 0..64 {
        let mut lock = out_lock(slot, LockTerms::Hash([slot; 32]), ChannelId::ZERO, 50);
        (lock.lock.amount, lock.lock.fee) = (sat(1), sat(0));
        c.locks.push(lock);
    }
    let mut hidden = channel.pair(&c, &channel.h(1, 0));
    hidden.client.as_mut().expect("it has one").locks.pop();
    let error = ActionError::Pair(PairError::WrongLocks("state"));
    assert_eq!(refused(&mut world, channel.start(Opener::Hub, Some(hidden))), error);
    let mut twice = channel.pair(&c, &channel.h(1, 0));
    let locks = &mut twice.client.as_mut().expect("it has one").locks;
    locks[1] = locks[0];
    assert_eq!(refused(&mut world, channel.start(Opener::Hub, Some(twice))), error);
    world.put(channel.start(Opener::Hub, Some(channel.pair(&c, &channel.h(1, 0)))));
    let events = world.settle_in_time(&channel);
    assert!(matches!(events[..], [Event::ChannelSettled { locks: 64, .. }]));
    let (client, hub) = payouts(&world, &channel);
    assert_eq!(client + hub + 64 + burned(&world), CAPACITY);
    assert_eq!(client, SHARE - 64);
}

/// A splice moves the channel's value into a successor, with coins in and out, under one final leaf.
#[test]
fn a_splice_makes_a_successor_and_nothing_else() {
    let mut world = World::new();
    let channel = world.channel(0);
    let splice = splice(&world, 3);
    let events = world.put(splice.clone());
    let successor = OutPoint {
        txid: splice.txid(),
        vout: 0,
    };
    let [
        Event::ChannelSpliced {
            channel: old,
            txid,
            successor: named,
        },
        Event::ChannelOpened { outpoint, terms, .. },
    ] = events[..]
    else {
        panic!("{events:?}")
    };
    assert_eq!(
        (old, txid, named, outpoint),
        (channel.id, splice.txid(), successor, successor)
    );
    assert_eq!(terms.capacity, sat(CAPACITY + 50_000));
    assert_eq!(world.chain.open_channels(), 2);

    // Without the client, without the hub, or with another successor than the leaf names.
    let mut world = World::new();
    let refuse = |world: &mut World, transaction: Transaction| match world.submit(transaction) {
        Err(TransactionError::Close { error, .. }) => error,
        other => panic!("{other:?}"),
    };
    let mut unsigned = super::closes::splice(&world, 3);
    crate::common::splice_of(&mut unsigned).signature = SignatureBytes::ZERO;
    assert_eq!(
        refuse(&mut world, unsigned),
        tidegate_ledger::CloseError::ClientSignature
    );
    let mut elsewhere = super::closes::splice(&world, 3);
    crate::common::splice_of(&mut elsewhere).terms.successor.txid = Txid::ZERO;
    assert_eq!(refuse(&mut world, elsewhere), tidegate_ledger::CloseError::OtherTerms);
    let mut close = super::closes::splice(&world, 3);
    let inner = match close.witnesses.remove(0) {
        Witness::ChannelSplice(inner) => inner,
        other => panic!("{other:?}"),
    };
    close.witnesses.insert(0, Witness::ChannelClose(inner));
    assert_eq!(refuse(&mut world, close), tidegate_ledger::CloseError::NotAlone);
}

/// Channel 0 topped up by 50 000 out of coin `n`, the rest of which goes back.
pub(crate) fn splice(world: &World, n: u8) -> Transaction {
    let channel = world.channel(0);
    let mut next = channel.terms;
    next.capacity = sat(CAPACITY + 50_000);
    next.opening_share = sat(SHARE + 50_000);
    let fee = 1_000;
    let outputs = vec![
        tidegate_ledger::Output::to_channel(&next),
        tidegate_ledger::Output::to_key(sat(50_000 - fee), key(n)),
    ];
    let body = tidegate_ledger::TransactionBody::plain(vec![channel.outpoint, world.coin(n)], outputs);
    let mut kit = CloseKit::new(world.ledger, channel.outpoint, channel.client, channel.terms, SHARE, 0);
    kit.terms.fee = sat(fee);
    kit.terms.successor = OutPoint {
        txid: body.txid(),
        vout: 0,
    };
    kit.private.terms = kit.terms.digest();
    let mut close = kit.transaction();
    let mut close = *crate::common::take_close(&mut close);
    close.signature = body.sign(&world.ledger, &secret(channel.client));
    let own = Witness::Key(body.sign(&world.ledger, &secret(n)));
    Transaction {
        witnesses: vec![Witness::ChannelSplice(Box::new(close)), own],
        body,
    }
}

/// What a hub is paid goes to its payout key, and to no other.
#[test]
fn payouts_go_to_the_keys_of_the_terms() {
    let mut world = World::new();
    let channel = world.channel(0);
    world.put(channel.start(Opener::Client, None));
    let (state, _) = world.chain.close_of(&channel.outpoint).expect("it is closing");
    world.until(state.grace_end.get());
    let mut bent = world.chain.settlement(&channel.outpoint).expect("it is closing");
    bent.body.outputs[1] = tidegate_ledger::Output::to_key(bent.body.outputs[1].amount, key(1));
    assert_eq!(refused(&mut world, bent), ActionError::OtherOutputs);
    let mut generous = world.chain.settlement(&channel.outpoint).expect("it is closing");
    generous.body.outputs[0].amount = generous.body.outputs[0].amount.sub(sat(5_000)).expect("more");
    assert_eq!(refused(&mut world, generous), ActionError::OtherOutputs);
    assert_eq!(world.held(key(HUB_PAYOUT)), 0);
    world.settle(&channel);
    assert_eq!(world.held(key(HUB_PAYOUT)), CAPACITY - SHARE);
}
