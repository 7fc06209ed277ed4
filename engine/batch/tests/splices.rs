//! Channels that move into successors: when the final leaf is made, what it says, and what comes after it.

mod rig;

use rig::{CAPACITY, Rig, sat};
use tidegate_batch::{BlockInput, Input, SpliceInput};
use tidegate_channel::{ChannelTerms, FailReason, FinalTerms, LeafKind, OpOutcome, RefuseReason, TermsError};
use tidegate_types::{Amount, ChannelId, OutPoint, Txid};

const SHARE: u64 = CAPACITY / 2;

/// The only leaf of the last batch that has final terms.
fn final_leaf(rig: &Rig) -> (LeafKind, FinalTerms) {
    let mut finals = rig
        .out
        .leaves()
        .iter()
        .filter_map(|leaf| Some((leaf.private, leaf.terms?)));
    let (private, terms) = finals.next().expect("a final leaf");
    assert!(finals.next().is_none());
    assert_eq!(private.terms, terms.digest());
    assert!(private.in_locks_sum.is_zero() && private.unfirm_credit.is_zero());
    (private.kind, terms)
}

/// Client 0 pays client 1, and both are at rest.
fn paid(amount: u64) -> Rig {
    let mut rig = Rig::new(3);
    let lock = rig.lock(1, amount);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let (ack, settle) = (rig.ack(1), rig.pay(0, &[]));
    rig.batch(vec![ack, settle]);
    rig
}

fn try_splice(rig: &mut Rig, splice: SpliceInput) -> Option<RefuseReason> {
    rig.batch(vec![Input::Splice(splice)]);
    rig.refusal()
}

#[test]
fn the_final_leaf_names_the_successor_and_freezes_the_channel() {
    let mut rig = paid(300);
    let splice = rig.splice(0, 50_000, 0, 1_000);
    assert_eq!(splice.client_share, sat(SHARE - 300 + 49_000));
    assert_eq!(try_splice(&mut rig, splice), None);
    let successor = OutPoint {
        txid: Txid::from_bytes([6; 32]),
        vout: 0,
    };
    let expected = FinalTerms {
        channel: rig.clients[0].id,
        client_payout: sat(SHARE - 300),
        hub_payout: sat(SHARE + 300),
        fee: sat(1_000),
        successor,
    };
    assert_eq!(final_leaf(&rig), (LeafKind::Final, expected));
    assert_eq!(rig.view(0).status, "CLOSING");
    let slot = rig.engine.channel(&rig.clients[0].id).expect("open");
    assert_eq!(rig.engine.final_terms(slot), Some(expected));
    // No state above it, no leaf above it, no credit, no second end.
    let last = rig.view(0).leaf;
    for input in [rig.close(0, 5), Input::Splice(splice)] {
        rig.batch(vec![input]);
        assert_eq!(rig.refusal(), Some(RefuseReason::Closing));
    }
    let lock = rig.lock(0, 5);
    let pay = rig.pay(2, &[lock]);
    rig.batch(vec![pay]);
    let outcome = rig.view(2).locks[0].outcome;
    assert_eq!(outcome, OpOutcome::Failed(FailReason::PayeeClosing));
    assert_eq!(rig.view(0).leaf, last, "the hub signs no leaf above it");
    rig.replay();
}

#[test]
fn a_state_behind_the_final_leaf_is_refused_in_its_own_batch_too() {
    let mut rig = paid(300);
    let (splice, lock) = (rig.splice(0, 1, 0, 0), rig.lock(1, 5));
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![Input::Splice(splice), pay]);
    assert_eq!(rig.refusal(), Some(RefuseReason::Closing));
    assert_eq!(rig.view(0).client_balance, sat(SHARE - 300));
    rig.replay();
}

#[test]
fn nothing_may_be_under_way() {
    // The payer's lock, the payee's credit, an offered lock, a credit of the very batch.
    let mut rig = Rig::new(3);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    for (client, reason) in [(0, RefuseReason::LocksOpen), (1, RefuseReason::CreditsWaiting)] {
        let splice = rig.splice(client, 10, 0, 0);
        assert_eq!(try_splice(&mut rig, splice), Some(reason));
        assert_eq!(rig.view(client).status, "ACTIVE");
    }
    let splice = rig.splice(2, 10, 0, 0);
    let to = rig.lock(2, 5);
    let (ack, pay) = (rig.ack(1), rig.pay(0, &[to]));
    rig.batch(vec![ack, pay, Input::Splice(splice)]);
    assert_eq!(rig.refusal(), Some(RefuseReason::CreditsWaiting));
    let (ack, settle) = (rig.ack(2), rig.pay(0, &[]));
    rig.batch(vec![ack, settle]);
    let offered = rig.hash_lock(2, 7, &[7; 32]);
    let pay = rig.pay(0, &[offered]);
    rig.batch(vec![pay]);
    let splice = rig.splice(2, 10, 0, 0);
    assert_eq!(try_splice(&mut rig, splice), Some(RefuseReason::LocksOpen));
    rig.replay();
}

type Bend = fn(&mut SpliceInput);

#[test]
fn the_shares_are_the_balances() {
    let max = Amount::MAX;
    let cases: [(Bend, RefuseReason); 9] = [
        (|s| s.hub_share = sat(SHARE + 299), RefuseReason::OtherShares),
        (|s| s.hub_share = sat(SHARE + 301), RefuseReason::OtherShares),
        (|s| s.client_share = sat(SHARE - 300 + 9_991), RefuseReason::OtherShares),
        (|s| s.coins = sat(10_001), RefuseReason::OtherShares),
        (|s| s.fee = sat(9), RefuseReason::OtherShares),
        (|s| s.change = sat(1), RefuseReason::OtherShares),
        (|s| s.change = sat(SHARE + 20_000), RefuseReason::InsufficientBalance),
        (|s| s.coins = sat(0), RefuseReason::NotOffered),
        (|s| s.transaction = Txid::ZERO, RefuseReason::NotOffered),
    ];
    let mut rig = paid(300);
    let good = rig.splice(0, 10_000, 0, 10);
    let root = rig.engine.state_root();
    for (bend, reason) in cases {
        let mut splice = good;
        bend(&mut splice);
        assert_eq!(try_splice(&mut rig, splice), Some(reason), "{splice:?}");
    }
    for (coins, change, fee) in [
        (max, Amount::ZERO, Amount::ZERO),
        (max, max, max),
        (sat(1), Amount::ZERO, max),
    ] {
        let splice = SpliceInput {
            coins,
            change,
            fee,
            ..good
        };
        assert_eq!(try_splice(&mut rig, splice), Some(RefuseReason::InsufficientBalance));
    }
    let stranger = SpliceInput {
        channel: ChannelId::from_bytes([8; 32]),
        ..good
    };
    assert_eq!(try_splice(&mut rig, stranger), Some(RefuseReason::NotOffered));
    assert_eq!(rig.engine.state_root(), root, "nothing has changed");
    assert_eq!(try_splice(&mut rig, good), None);
    rig.replay();
}

#[test]
fn a_client_takes_out_all_that_it_has_and_no_more() {
    let mut rig = paid(300);
    let all = rig.splice(0, 0, SHARE - 300 - 10, 10);
    assert_eq!(all.client_share, Amount::ZERO);
    let more = SpliceInput {
        change: sat(SHARE - 300 - 9),
        ..all
    };
    assert_eq!(try_splice(&mut rig, more), Some(RefuseReason::InsufficientBalance));
    assert_eq!(try_splice(&mut rig, all), None);
    assert_eq!(final_leaf(&rig).1.client_payout, sat(SHARE - 300));
    rig.replay();
}

/// The block with the transaction ends the one channel and begins the other; a payment goes out of the successor.
#[test]
fn the_successor_is_active_once_its_block_is_final() {
    let mut rig = paid(300);
    let before = rig.engine.free_records();
    let splice = rig.splice(0, 50_000, 0, 1_000);
    assert_eq!(try_splice(&mut rig, splice), None);
    let (_, terms) = final_leaf(&rig);
    let old = rig.view(0).terms;
    let shares = (splice.client_share, splice.hub_share);
    let next = old.successor(shares, sat(1_000), old.expiry, 77).expect("amounts");
    let successor = next.channel_id(&terms.successor);
    let Input::Block(mut block) = rig.mine(1) else {
        unreachable!()
    };
    block.opened = vec![(next, terms.successor)];
    block.closed = vec![old_id(&rig)];
    rig.batch(vec![Input::Block(block)]);
    assert!(rig.view(0).is_settled());
    let slot = rig.engine.channel(&successor).expect("the block opened it");
    let view = rig.engine.view(slot).expect("open");
    assert_eq!(
        (view.status, view.client_balance, view.hub_balance),
        ("ACTIVE", shares.0, shares.1)
    );
    let held = rig.engine.value();
    assert_eq!(held, (3 * u128::from(CAPACITY) + 49_000, held.0));
    // What named the transaction is free again.
    let named = tidegate_batch::TABLES
        .iter()
        .position(|table| table.name == "named")
        .expect("a table");
    assert_eq!(rig.engine.free_records()[named], before[named] + 1);
    rig.replay();
}

fn old_id(rig: &Rig) -> ChannelId {
    rig.clients[0].id
}

#[test]
fn a_splice_that_its_client_does_not_complete_keeps_its_final_leaf() {
    let mut rig = paid(300);
    let splice = rig.splice(0, 50_000, 0, 1_000);
    assert_eq!(try_splice(&mut rig, splice), None);
    let (_, terms) = final_leaf(&rig);
    let slot = rig.engine.channel(&old_id(&rig)).expect("open");
    assert!(matches!(
        rig.engine.ending(slot),
        Some(tidegate_batch::Ending::Final(_))
    ));
    rig.batch(vec![Input::Freeze(old_id(&rig))]);
    assert_eq!(rig.view(0).status, "DISPUTED");
    assert_eq!(rig.engine.final_terms(slot), Some(terms));
    let stored = rig.engine.leaves_above(slot, rig.view(0).acked);
    let last = stored.last().expect("the final leaf");
    assert_eq!(
        (last.private.kind, last.private.terms),
        (LeafKind::Final, terms.digest())
    );
    // Completed after all: the ledger has the last word.
    let Input::Block(block) = rig.mine(1) else {
        unreachable!()
    };
    let block = BlockInput {
        closed: vec![old_id(&rig)],
        ..block
    };
    rig.batch(vec![Input::Block(block)]);
    assert!(rig.view(0).is_settled());
    rig.replay();
}

/// Reserves of a successor: the hub's own, or what it has if that is less.
#[test]
fn the_successors_terms_follow_from_the_channels() {
    let rig = Rig::new(1);
    let old = rig.view(0).terms;
    let next = |client, hub| old.successor((sat(client), sat(hub)), sat(500), old.expiry, 9);
    let expected = ChannelTerms {
        capacity: sat(900),
        opening_share: sat(300),
        hub_reserve: sat(500),
        nonce: 9,
        ..old
    };
    assert_eq!(next(300, 600), Ok(expected));
    assert_eq!(
        next(300, 600).map(|terms| terms.check()),
        Ok(Err(TermsError::BelowReserve)),
        "300 is below the client's reserve"
    );
    assert_eq!(
        next(2_000, 499).map(|terms| (terms.hub_reserve, terms.check())),
        Ok((sat(499), Ok(())))
    );
    assert_eq!(
        next(2_000, 0).map(|terms| (terms.hub_reserve, terms.check())),
        Ok((sat(500), Ok(())))
    );
    assert!(next(Amount::MAX.to_sat(), 1).is_err());
}

/// The receipt was lost: the very same leaf stands in a later batch too, however high.
#[test]
fn the_final_leaf_is_told_again() {
    for close in [false, true] {
        let mut rig = paid(300);
        let (splice, close) = (
            Input::Splice(rig.splice(0, 50_000, 0, 1_000)),
            close.then(|| rig.close(0, 10)),
        );
        // Not yet in its own batch.
        let refresh = Input::Refresh(rig.clients[0].id);
        rig.batch(vec![close.unwrap_or(splice), refresh.clone()]);
        assert_eq!(rig.refusal(), Some(RefuseReason::Closing));
        let leaf = |rig: &Rig| {
            let of_client = rig.out.leaves().iter().find(|leaf| leaf.channel == 0);
            of_client.map(|leaf| (leaf.private, leaf.public, leaf.terms, leaf.answers.len()))
        };
        let (private, public, terms, _) = leaf(&rig).expect("the final leaf");
        let root = rig.engine.state_root();
        for blocks in 0..3 {
            let block = rig.mine(blocks + 1);
            // Beside a leaf of another channel, and for two who ask.
            let other = Input::Refresh(rig.clients[2].id);
            rig.batch(vec![block, refresh.clone(), other, refresh.clone()]);
            assert_eq!(rig.refusal(), None);
            assert_eq!(leaf(&rig), Some((private, public, terms, 2)));
            assert!(rig.out.header.height > private.height);
            assert_eq!(rig.out.leaves().len(), 2);
        }
        assert_eq!(rig.view(0).leaf.counter, private.counter);
        assert_ne!(rig.engine.state_root(), root, "of the other channel alone");
        rig.batch(vec![Input::Freeze(rig.clients[0].id)]);
        rig.batch(vec![refresh]);
        assert_eq!(
            rig.refusal(),
            Some(RefuseReason::Closing),
            "nobody believes it any more"
        );
        rig.replay();
    }
}

#[test]
fn a_final_leaf_that_could_not_be_told_again_is_not_made() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let view = rig.view(0);
    let (settle, mut splice) = (rig.pay(0, &[]), rig.splice(0, 10, 0, 0));
    // As the balances are behind the settling.
    splice.hub_share = view.hub_balance.add(sat(300)).expect("small");
    rig.batch(vec![settle, Input::Splice(splice)]);
    assert_eq!(rig.refusal(), Some(RefuseReason::Busy), "it would answer the settling");
    let splice = rig.splice(0, 10, 0, 0);
    assert_eq!(try_splice(&mut rig, splice), None);
}
