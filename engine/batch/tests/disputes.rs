//! Channels that close on the ledger: frozen by the block that begins the close, with the evidence that the hub shows then; acks
//! that are revealed there.

mod rig;

use rig::{MARGIN, Rig, sat};
use tidegate_batch::{AckInput, BlockInput, Input, ReleaseInput, RevealedAck};
use tidegate_channel::evidence::{LeafNaming, Pair};
use tidegate_channel::{Ack, FailReason, LeafKind, OpOutcome, Operation, RefuseReason, Release};
use tidegate_types::{Amount, Height, LockId, SignatureBytes};

/// The next block, in which the closes of these clients' channels begin.
fn closing(rig: &mut Rig, clients: &[usize]) -> BlockInput {
    let Input::Block(block) = rig.mine(1) else {
        unreachable!()
    };
    BlockInput {
        closing: clients.iter().map(|&n| rig.clients[n].id).collect(),
        ..block
    }
}

/// The first client pays the second by an ack lock, which waits.
fn credited(rig: &mut Rig, amount: u64) -> LockId {
    let lock = rig.lock(1, amount);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    rig.view(0).locks[0].id
}

/// What the ledger would check of the hub's evidence, signatures and all.
fn checked(rig: &Rig, client: usize) -> Pair {
    let (own, view) = (&rig.clients[client], rig.view(client));
    let pair = rig.shown(client).expect("it is not settled");
    pair.check(
        &rig.ledger,
        &own.id,
        &view.terms,
        (&own.key.public(), &rig.hub.public()),
    )
    .expect("the ledger takes it");
    pair
}

#[test]
fn the_block_that_begins_a_close_freezes_the_channel() {
    let mut rig = Rig::new(3);
    credited(&mut rig, 500);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let before = rig.view(0);
    let block = closing(&mut rig, &[0]);
    // In the very batch of the block nothing moves any more.
    let late = rig.pay(0, &[]);
    rig.batch(vec![Input::Block(block.clone()), late.clone()]);
    assert_eq!(rig.refusal(), Some(RefuseReason::Closing));
    assert_eq!(rig.view(0).status, "DISPUTED");
    assert!(rig.out.leaves().is_empty(), "a frozen channel makes no leaf");
    for input in [late, rig.close(0, 5), Input::Refresh(rig.clients[0].id)] {
        rig.batch(vec![input]);
        assert_eq!(rig.refusal(), Some(RefuseReason::Closing));
    }
    let to = rig.lock(0, 5);
    let pay = rig.pay(2, &[to]);
    rig.batch(vec![pay]);
    assert_eq!(
        rig.view(2).locks[0].outcome,
        OpOutcome::Failed(FailReason::PayeeClosing)
    );
    let after = rig.view(0);
    assert_eq!(
        (after.state, after.leaf, after.sums),
        (before.state, before.leaf, before.sums)
    );
    // The same block, as a hub that starts again feeds it.
    let root = rig.engine.state_root();
    rig.batch(vec![Input::Block(block)]);
    assert_eq!(rig.engine.state_root(), root);
    rig.replay();
    let settled = rig.clients[0].id;
    let Input::Block(mut block) = rig.mine(200) else {
        unreachable!()
    };
    block.closed = vec![settled];
    rig.batch(vec![Input::Block(block)]);
    assert!(rig.view(0).is_settled());
    rig.replay();
}

#[test]
fn the_hub_shows_the_newest_state_and_the_leaf_that_was_named_last() {
    let mut rig = Rig::new(2);
    assert_eq!(checked(&rig, 0), Pair::default(), "nothing but the opening");
    credited(&mut rig, 500);
    let pair = checked(&rig, 0);
    assert_eq!((pair.counters().0.get(), pair.counters().1.get()), (1, 0));
    // The payee has acknowledged by a message alone, then by a state too.
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let pair = checked(&rig, 1);
    assert_eq!((pair.counters().0.get(), pair.counters().1.get()), (0, 1));
    let named = |pair: &Pair| pair.hub.as_ref().map(|half| half.named.clone());
    assert!(matches!(named(&pair), Some(LeafNaming::ByAck(_))), "{pair:?}");
    for round in 2..200 {
        let back = rig.lock(0, 1);
        let pay = rig.pay(1, &[back]);
        rig.batch(vec![pay]);
        let ack = rig.ack(0);
        rig.batch(vec![ack]);
        let pair = checked(&rig, 1);
        assert_eq!(pair.counters().0, rig.view(1).state.counter);
        assert_eq!(named(&pair), Some(LeafNaming::ByState), "round {round}");
        let settle = rig.pay(1, &[]);
        rig.batch(vec![settle]);
    }
    rig.replay();
}

/// A client that names one leaf for ever: however many leaves come behind it, the hub can show it.
#[test]
fn a_leaf_that_was_named_last_is_never_forgotten() {
    let mut rig = Rig::new(3);
    credited(&mut rig, 5);
    let named = rig.view(0).state;
    for _ in 0..60 {
        let lock = rig.lock(0, 1);
        let pay = rig.pay(2, &[lock]);
        rig.batch(vec![pay]);
    }
    for _ in 0..100 {
        rig.batch(vec![Input::Refresh(rig.clients[0].id)]);
    }
    assert!(rig.view(0).leaf.counter.get() > 64);
    assert_eq!(checked(&rig, 0).client.expect("a state").signed.state, named);
    // One that has named a leaf by an ack.
    let mut rig = Rig::new(3);
    credited(&mut rig, 5);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let locks: Vec<_> = (0..16).map(|_| rig.hash_lock(1, 1, &[7; 32])).collect();
    let pay = rig.pay(2, &locks);
    rig.batch(vec![pay]);
    for _ in 0..60 {
        let lock = rig.lock(1, 1);
        let pay = rig.pay(0, &[lock]);
        rig.batch(vec![pay]);
        let settle = rig.pay(0, &[]);
        rig.batch(vec![settle]);
    }
    for n in 0..16 {
        let fulfil = rig.fulfil(1, rig.view(1).in_locks[0].lock.lock, [7; 32]);
        rig.batch(vec![fulfil]);
        let pair = checked(&rig, 1);
        assert_eq!(pair.counters().1.get(), 1, "after {n}");
        assert!(
            pair.hub.expect("a leaf").locks.is_empty(),
            "the leaf was before all in-locks"
        );
    }
    for _ in 0..100 {
        rig.batch(vec![Input::Refresh(rig.clients[1].id)]);
    }
    checked(&rig, 1);
    rig.replay();
}

#[test]
fn the_in_locks_of_the_leaf_are_shown_as_they_were() {
    let mut rig = Rig::new(2);
    let locks: Vec<_> = (1..=3).map(|n| rig.hash_lock(1, 10 * n, &[7; 32])).collect();
    let pay = rig.pay(0, &locks);
    rig.batch(vec![pay]);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let ids: Vec<LockId> = rig.view(1).in_locks.iter().map(|open| open.lock.lock).collect();
    let (fulfil, release) = (rig.fulfil(1, ids[0], [7; 32]), rig.release(1, ids[1]));
    rig.batch(vec![fulfil, release]);
    let again = rig.hash_lock(1, 77, &[7; 32]);
    let pay = rig.pay(0, &[again]);
    rig.batch(vec![pay]);
    let shown = |pair: Pair| -> Vec<u64> {
        let half = pair.hub.expect("a leaf");
        half.locks.iter().map(|open| open.lock.amount.to_sat()).collect()
    };
    assert_eq!(shown(checked(&rig, 1)), [10, 20, 30]);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    assert_eq!(shown(checked(&rig, 1)), [77, 30]);
    rig.replay();
}

#[test]
fn a_close_that_its_client_did_not_complete_keeps_its_final_leaf() {
    let mut rig = Rig::new(2);
    credited(&mut rig, 500);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let settle = rig.pay(0, &[]);
    rig.batch(vec![settle]);
    let close = rig.close(0, 9);
    rig.batch(vec![close]);
    assert_eq!(rig.refusal(), None);
    let slot = rig.engine.channel(&rig.clients[0].id).expect("open");
    let (terms, leaves) = (rig.engine.final_terms(slot).expect("a final leaf"), rig.view(0).leaf);
    let block = closing(&mut rig, &[0]);
    rig.batch(vec![Input::Block(block)]);
    assert_eq!(rig.engine.final_terms(slot), Some(terms));
    let stored = rig.engine.leaves_above(slot, rig.view(0).acked);
    let last = stored.last().expect("the final leaf");
    assert_eq!(
        (last.private.kind, last.private.terms),
        (LeafKind::Final, terms.digest())
    );
    let digest = tidegate_channel::leaf_digest(&last.private.digest(), &last.public.digest());
    assert_eq!(digest, leaves.digest);
    checked(&rig, 0);
}

/// The payer's lock is owed once its payee's ack stands on the ledger in time, and only then.
#[test]
fn an_ack_on_the_ledger_counts_by_its_own_block() {
    for (frozen, late, by_state) in [
        (false, false, false),
        (false, false, true),
        (true, false, false),
        (false, true, false),
        (true, true, true),
    ] {
        let mut rig = Rig::new(2);
        let lock = credited(&mut rig, 500);
        let Input::Ack(message) = rig.ack(1) else {
            unreachable!()
        };
        let ack_by = rig.view(0).locks[0].lock.expiry.get() - 2 * MARGIN;
        if frozen {
            let block = closing(&mut rig, &[1]);
            rig.batch(vec![Input::Block(block)]);
        }
        // The batch takes it with a block far above the expiry.
        let Input::Block(mut block) = rig.mine(100) else {
            unreachable!()
        };
        block.acked = vec![RevealedAck {
            height: Height::new(ack_by + u32::from(late)),
            ack: message.ack,
            signature: if by_state {
                SignatureBytes::ZERO
            } else {
                message.signature
            },
        }];
        let refresh = Input::Refresh(rig.clients[0].id);
        rig.batch(vec![Input::Block(block), refresh]);
        let (payee, case) = (rig.view(1), (frozen, late, by_state));
        let credit = if late { Amount::ZERO } else { sat(500) };
        assert_eq!(payee.sums.firm_credit, credit, "{case:?}");
        if late {
            assert_ne!(rig.view(0).locks[0].credit, "firm", "{case:?}");
        } else {
            assert_eq!(rig.view(0).locks[0].credit, "firm", "{case:?}");
            assert_eq!(payee.sums.unfirm_credit, Amount::ZERO, "{case:?}");
            let leaves = rig.out.leaves().iter().filter(|leaf| leaf.private.channel == payee.id);
            assert_eq!(leaves.count(), usize::from(!frozen), "{case:?}");
        }
        let ack = rig.clients[0].wallet.hub().reference();
        let slot = rig.view(0).locks[0].slot;
        let (state, operations) = rig.clients[0]
            .wallet
            .propose(vec![Operation::Drop { slot }], ack)
            .expect("an open slot");
        let drop = rig.sign(0, state, operations);
        rig.batch(vec![drop]);
        let refused = (!late).then_some(RefuseReason::NotDroppable);
        assert_eq!(rig.refusal(), refused, "{case:?}");
        let proof = rig.engine.channel(&rig.clients[0].id).map(|payer| {
            (
                rig.engine.payment_proof(payer, &lock),
                rig.engine.debt_proof(payer, &lock),
            )
        });
        let (shown, held) = proof.expect("the payer has a channel");
        assert_eq!(shown.is_some(), !late && !by_state, "{case:?}");
        assert_eq!(held.is_some(), !late, "{case:?}: the block has its word");
        rig.replay();
    }
}

/// The table of the README: from each state by each input.
#[test]
fn the_table_of_states_is_what_the_engine_does() {
    let readme = include_str!("../README.md");
    let rows: Vec<Vec<&str>> = readme
        .lines()
        .filter(|line| {
            ["ACTIVE", "CLOSING", "DISPUTED", "SETTLED"]
                .iter()
                .any(|s| line.starts_with(&format!("| {s} |")))
        })
        .map(|line| line.trim_matches('|').split('|').map(str::trim).collect())
        .collect();
    assert_eq!(rows.len(), 4, "a row for each state");
    for row in rows {
        for (column, to) in row[1..].iter().enumerate() {
            for input in inputs_of(column) {
                let mut rig = Rig::new(2);
                // Made before, since a wallet makes none once its channel closes; blocks are made when their time comes.
                let message = (column < 3).then(|| input(&mut rig));
                reach(&mut rig, row[0]);
                assert_eq!(rig.view(0).status, row[0]);
                let before = rig.engine.state_root();
                let input = message.unwrap_or_else(|| input(&mut rig));
                rig.batch(vec![input.clone()]);
                let (refused, case) = (rig.refusal() == Some(RefuseReason::Closing), (row[0], &input));
                assert_eq!(refused, *to == "refused", "{case:?}");
                if refused {
                    assert_eq!(rig.engine.state_root(), before, "{case:?}");
                } else {
                    assert_eq!(rig.view(0).status, *to, "{case:?}");
                }
                rig.replay();
            }
        }
    }
}

/// Brings the first client's channel into a state.
fn reach(rig: &mut Rig, status: &str) {
    let input = match status {
        "ACTIVE" => return,
        "CLOSING" => rig.close(0, 5),
        "DISPUTED" => Input::Freeze(rig.clients[0].id),
        _ => ended(rig),
    };
    rig.batch(vec![input]);
}

fn ended(rig: &mut Rig) -> Input {
    let Input::Block(block) = rig.mine(1) else {
        unreachable!()
    };
    Input::Block(BlockInput {
        closed: vec![rig.clients[0].id],
        ..block
    })
}

type MakeInput = fn(&mut Rig) -> Input;

/// The inputs of a column, for the first client's channel.
fn inputs_of(column: usize) -> Vec<MakeInput> {
    match column {
        0 => vec![
            |rig| rig.pay(0, &[]),
            |rig| {
                let ack = Ack {
                    channel: rig.clients[0].id,
                    leaf: rig.view(0).leaf,
                };
                let signature = ack.sign(&rig.ledger, &rig.clients[0].key);
                Input::Ack(AckInput { ack, signature })
            },
            |rig| rig.fulfil(0, LockId::from_bytes([1; 32]), [7; 32]),
            |rig| {
                let release = Release {
                    channel: rig.clients[0].id,
                    lock: LockId::from_bytes([1; 32]),
                };
                let signature = release.sign(&rig.ledger, &rig.clients[0].key);
                Input::Release(ReleaseInput { release, signature })
            },
        ],
        1 => vec![|rig| Input::Refresh(rig.clients[0].id)],
        2 => vec![|rig| rig.close(0, 5), |rig| Input::Splice(rig.splice(0, 5, 0, 0))],
        3 => vec![|rig| Input::Freeze(rig.clients[0].id)],
        4 => vec![|rig| Input::Block(closing(rig, &[0]))],
        5 => vec![ended],
        _ => panic!("a column more than the test knows"),
    }
}
