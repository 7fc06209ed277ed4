//! The parallel form of a batch against the serial one, on 1, 2, 4 and 8 threads: every answer and every byte; and both against a
//! slow model that knows only balances and room.

mod rig;
mod wild;

use std::sync::Arc;

use proptest::prelude::*;
use rig::acts::{CLIENTS, any_act, inputs};
use rig::{Rig, policy, tables};
use tidegate_batch::{Engine, Executed, Input, Reveal, Slots as _, VecSlots};
use tidegate_channel::{Operation, RefuseReason};
use tidegate_types::{LockId, LockSlot, UnixMillis};
use wild::{Act, Wild, act};

const THREADS: [usize; 4] = [1, 2, 4, 8];
const PREIMAGE: [u8; 32] = [0x51; 32];

fn pools() -> Vec<Arc<rayon::ThreadPool>> {
    let pool = |threads| rayon::ThreadPoolBuilder::new().num_threads(threads).build();
    THREADS
        .map(|threads| Arc::new(pool(threads).expect("threads can be started")))
        .into()
}

/// A new engine for each pool, with as many parts as threads, which splits every batch.
fn engines(rig: &Rig) -> Vec<Engine<VecSlots>> {
    let engine = |pool: Arc<rayon::ThreadPool>| {
        let hub = rig.hub.public().bytes();
        let mut engine = Engine::create(tables(), hub, rig.ledger, policy(), [3; 32]).expect("empty tables");
        engine.note_changes(true);
        let threads = pool.current_num_threads();
        engine.split(pool, threads, 0);
        engine
    };
    pools().into_iter().map(engine).collect()
}

fn assert_same_bytes(engine: &Engine<VecSlots>, expected: &Engine<VecSlots>, threads: usize) {
    for ((name, table), (_, other)) in engine.store().tables().into_iter().zip(expected.store().tables()) {
        assert_eq!(table.len(), other.len(), "the length of {name}, {threads} threads");
        for slot in 0..table.len() {
            assert!(
                table.slot(slot) == other.slot(slot),
                "slot {slot} of {name}, {threads} threads"
            );
        }
    }
}

/// Everything that a batch says, but for the buffers behind its last leaf.
fn told(out: &Executed) -> String {
    let changes: Vec<_> = out.changes.iter().collect();
    format!("{:?} {:?} {:?} {:?}", out.header, out.leaves(), out.refusals, changes)
}

/// Executes a batch that the rig has executed in all engines.
fn follow(rig: &Rig, engines: &mut [Engine<VecSlots>], inputs: &[Input]) {
    let expected = told(&rig.out);
    for (engine, threads) in engines.iter_mut().zip(THREADS) {
        let mut out = Executed::default();
        engine
            .execute(UnixMillis::new(rig.now), inputs, &mut out)
            .expect("the tables are large");
        assert!(told(&out) == expected, "{threads} threads");
        let (mut logged, mut of_rig) = (Vec::new(), Vec::new());
        engine.append_logged(inputs, &out, &mut logged);
        rig.engine.append_logged(inputs, &rig.out, &mut of_rig);
        assert!(logged == of_rig, "the log, {threads} threads");
        assert_same_bytes(engine, &rig.engine, threads);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]

    /// Inputs of every kind, in every order.
    #[test]
    fn parts_come_to_what_the_whole_comes_to(
        batches in prop::collection::vec(prop::collection::vec(any_act(), 1..24), 2..12),
    ) {
        let mut rig = Rig::new(u32::try_from(CLIENTS).expect("few"));
        let mut engines = engines(&rig);
        follow(&rig, &mut engines, &rig.history[0]);
        for acts in batches {
            let inputs = inputs(&mut rig, acts);
            rig.batch(inputs);
            follow(&rig, &mut engines, rig.history.last().expect("a batch"));
        }
    }

    /// Hot payers with many states in a batch, hot payees, exhausted room, repeats, conflicts, and states that are poison.
    #[test]
    fn parts_and_the_whole_come_to_what_the_model_says(
        batches in prop::collection::vec(prop::collection::vec(act(), 1..40), 2..12),
    ) {
        let mut wild = Wild::new();
        let mut engines = engines(&wild.rig);
        follow(&wild.rig, &mut engines, &wild.rig.history[0]);
        for acts in batches {
            let inputs = wild.batch(&acts);
            follow(&wild.rig, &mut engines, &inputs);
            wild.check();
        }
    }
}

/// A state of client 0 or 1 with these operations, which names the leaf that its state before named.
fn forced(rig: &mut Rig, client: usize, operations: Vec<Operation>) -> Input {
    let wallet = &mut rig.clients[client].wallet;
    let named = wallet.client().state().ack;
    let (state, operations) = wallet.propose(operations, named).expect("the slots are right");
    rig.sign(client, state, operations)
}

/// Client 0 has paid client 1 by a hash lock, which waits; both have a state that names a leaf.
fn offered() -> (Rig, Vec<Engine<VecSlots>>, LockId) {
    let mut rig = Rig::new(3);
    let mut engines = engines(&rig);
    follow(&rig, &mut engines, &rig.history[0]);
    let lock = rig.hash_lock(1, 500, &PREIMAGE);
    let refresh = [0, 1].map(|client| Input::Refresh(rig.clients[client].id));
    step(&mut rig, &mut engines, refresh.into());
    let states = vec![rig.pay(0, &[lock]), rig.pay(1, &[])];
    step(&mut rig, &mut engines, states);
    let id = rig.view(0).locks[0].id;
    (rig, engines, id)
}

fn step(rig: &mut Rig, engines: &mut [Engine<VecSlots>], inputs: Vec<Input>) {
    rig.batch(inputs.clone());
    follow(rig, engines, &inputs);
}

/// What one input changes, a state behind it in the same batch is judged by: it is accepted for that alone.
#[test]
fn a_state_is_judged_by_what_is_before_it_in_the_batch() {
    let slot = LockSlot::new(0).expect("below 64");
    let (mut rig, mut engines, lock) = offered();
    let inputs = vec![
        Input::Refresh(rig.clients[2].id),
        rig.fulfil(1, lock, PREIMAGE),
        forced(&mut rig, 0, vec![Operation::Settle { slot }]),
    ];
    step(&mut rig, &mut engines, inputs);
    assert_eq!(rig.refusal(), None, "a preimage, then the settle");

    let (mut rig, mut engines, lock) = offered();
    let inputs = vec![
        Input::Refresh(rig.clients[2].id),
        rig.release(1, lock),
        forced(&mut rig, 0, vec![Operation::Drop { slot }]),
    ];
    step(&mut rig, &mut engines, inputs);
    assert_eq!(rig.refusal(), None, "a release, then the drop");

    let (mut rig, mut engines, _) = offered();
    let Input::Block(mut block) = rig.mine(1) else {
        unreachable!()
    };
    block.revealed = vec![Reveal {
        height: block.height,
        preimage: PREIMAGE,
    }];
    let inputs = vec![
        Input::Block(block),
        forced(&mut rig, 0, vec![Operation::Settle { slot }]),
    ];
    step(&mut rig, &mut engines, inputs);
    assert_eq!(rig.refusal(), None, "a reveal, then the settle");
}

/// 64 leaves wait for an ack, which comes with the state.
#[test]
fn a_state_is_judged_by_the_ack_before_it() {
    let (mut rig, mut engines, _) = offered();
    for _ in 0..64 {
        let refresh = Input::Refresh(rig.clients[1].id);
        step(&mut rig, &mut engines, vec![refresh]);
    }
    let state = forced(&mut rig, 1, Vec::new());
    step(&mut rig, &mut engines, vec![state.clone()]);
    assert_eq!(rig.refusal(), Some(RefuseReason::AckOverdue));
    let inputs = vec![rig.ack(1), state];
    step(&mut rig, &mut engines, inputs);
    assert_eq!(rig.refusal(), None);
}

/// What the strategies above draw holds what is interesting.
#[test]
fn the_wild_batches_hold_everything() {
    use proptest::strategy::ValueTree as _;
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let acts = prop::collection::vec(act(), 40);
    let mut wild = Wild::new();
    for _ in 0..40 {
        let drawn: Vec<Act> = acts.new_tree(&mut runner).expect("nothing is filtered").current();
        wild.batch(&drawn);
        wild.check();
    }
    let seen = &wild.seen;
    for wanted in [
        "delivered",
        "no room",
        "known",
        "Conflict",
        "StaleCounter",
        "WrongState",
        "InsufficientBalance",
        "Duplicate",
        "chained",
    ] {
        assert!(seen.contains(wanted), "{wanted} is not among {seen:?}");
    }
}
