//! What happens at the edges of time and number: late acks, void credits, proofs of them, the last counters.

mod rig;

use rig::{CAPACITY, Rig, sat};
use tidegate_batch::{Executed, Input, PayInput};
use tidegate_channel::{ClientState, FailReason, OpOutcome, Operation};
use tidegate_types::{Amount, ClientCounter, Height, LockSlot, UnixMillis};

/// A state of a client's own making, which acknowledges its newest leaf whatever rule 12 says.
fn force(rig: &mut Rig, client: usize, operations: Vec<Operation>) -> Input {
    let leaf = rig.clients[client].wallet.hub().reference();
    let (state, operations) = rig.clients[client]
        .wallet
        .propose(operations, leaf)
        .expect("the operations fit");
    rig.sign(client, state, operations)
}

#[test]
fn a_late_acknowledgement_makes_nothing_firm_and_loses_nothing() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    // Above `ack_by`, below the expiry: the payee's state names the leaf too late.
    let block = rig.mine(48);
    let late = force(&mut rig, 1, Vec::new());
    rig.batch(vec![block, late]);
    assert_eq!((rig.refusal(), rig.view(1).sums.firm_credit), (None, Amount::ZERO));
    // Many leaves later the credit is still found when it becomes void, and the channel goes on.
    for _ in 0..70 {
        let refresh = Input::Refresh(rig.clients[1].id);
        rig.batch(vec![refresh]);
    }
    let (block, refresh) = (rig.mine(10), Input::Refresh(rig.clients[1].id));
    rig.batch(vec![block, refresh]);
    assert_eq!(
        (rig.view(1).sums.unfirm_credit, rig.view(1).sums.firm_credit),
        (Amount::ZERO, Amount::ZERO)
    );
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    let close = rig.close(1, 10);
    rig.batch(vec![close]);
    assert_eq!(rig.refusal(), None, "the channel can be closed");
}

#[test]
fn a_void_credit_has_no_proof_though_a_later_ack_covers_its_leaf() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let id = rig.view(0).locks[0].id;
    let (block, refresh) = (rig.mine(51), Input::Refresh(rig.clients[1].id));
    rig.batch(vec![block, refresh]);
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    assert_eq!(rig.refusal(), None, "nothing waits in that leaf");
    let payer = rig.engine.channel(&rig.clients[0].id).expect("open");
    assert!(rig.engine.payment_proof(payer, &id).is_none());
}

#[test]
fn an_ack_of_a_leaf_that_a_state_has_acknowledged_is_still_a_proof() {
    let mut rig = Rig::new(2);
    let lock = rig.lock(1, 300);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let id = rig.view(0).locks[0].id;
    let (leaf, named) = (rig.clients[1].wallet.hub().reference(), force(&mut rig, 1, Vec::new()));
    rig.batch(vec![named]);
    assert_eq!(
        rig.view(1).sums.firm_credit,
        sat(300),
        "a state's acknowledgement firms, too"
    );
    let payer = rig.engine.channel(&rig.clients[0].id).expect("open");
    assert!(
        rig.engine.payment_proof(payer, &id).is_none(),
        "but a state is not shown to a payer"
    );
    let ack = rig.ack(1);
    rig.batch(vec![ack]);
    assert_eq!(rig.refusal(), None);
    let proof = rig.engine.payment_proof(payer, &id).expect("acknowledged");
    assert!(proof.ack.leaf.counter >= leaf.counter);
}

#[test]
fn a_payee_that_is_overdue_is_credited_no_more() {
    let mut rig = Rig::new(3);
    let first = rig.lock(1, 300);
    let pay = rig.pay(0, &[first]);
    rig.batch(vec![pay]);
    let block = rig.mine(48);
    let second = rig.lock(1, 5);
    let pay = rig.pay(2, &[second]);
    rig.batch(vec![block, pay]);
    assert_eq!(rig.view(2).locks[0].outcome, OpOutcome::Failed(FailReason::PayeeSilent));
}

#[test]
fn expired_locks_are_dropped_by_states_that_name_one_leaf() {
    let mut rig = Rig::new(2);
    let locks = [rig.lock(1, 1), rig.lock(1, 2)];
    let pay = rig.pay(0, &locks);
    rig.batch(vec![pay]);
    let (block, refresh) = (rig.mine(51), Input::Refresh(rig.clients[0].id));
    rig.batch(vec![block, refresh]);
    let slots: Vec<LockSlot> = rig.clients[0]
        .wallet
        .client()
        .locks()
        .iter()
        .map(|open| open.slot)
        .collect();
    let drops: Vec<Input> = slots
        .iter()
        .map(|&slot| force(&mut rig, 0, vec![Operation::Drop { slot }]))
        .collect();
    rig.batch(drops);
    assert_eq!(rig.refusal(), None);
    assert_eq!(rig.view(0).client_balance, sat(CAPACITY / 2));
}

#[test]
fn the_last_counters_are_counters() {
    let mut rig = Rig::new(2);
    let mut lock = rig.lock(1, 5);
    lock.expiry = Height::new(rig.height + 1);
    let pay = rig.pay(0, &[lock]);
    rig.batch(vec![pay]);
    let Input::Pay(drop) = rig.pay(0, &[]) else {
        unreachable!()
    };
    let at = |state: ClientState, counter| ClientState {
        counter: ClientCounter::new(counter),
        ..state
    };
    let dropped = PayInput {
        state: at(drop.state, u64::MAX - 1),
        ..drop.clone()
    };
    let empty = ClientState {
        operations: tidegate_types::Digest::ZERO,
        ..drop.state
    };
    let last = PayInput {
        state: at(empty, u64::MAX),
        operations: Vec::new(),
        ..drop
    };
    let mut out = Executed::default();
    for (n, input) in [dropped, last].into_iter().enumerate() {
        let time = UnixMillis::new(9_000 + n as u64);
        rig.engine
            .execute(time, &[Input::Pay(input)], &mut out)
            .expect("the tables are large");
        assert!(out.refusals.is_empty(), "{:?}", out.refusals);
    }
    assert_eq!(rig.view(0).state.counter, ClientCounter::MAX);
}
