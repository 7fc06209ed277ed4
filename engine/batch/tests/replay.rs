//! The same log, the same bits: read from the genesis and from a snapshot half way, on 1, 2 and 8 threads.
//!
//! The long form: `TIDEGATE_LOGS=1000`.

mod rig;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rig::acts::{CLIENTS, act, inputs};
use rig::{Rig, policy, tables};
use tidegate_batch::{Engine, Executed, Input, Opened, VecSlots};
use tidegate_types::{Digest, Reader, UnixMillis};

/// Logs of the short form.
const LOGS: usize = 6;
const THREADS: [usize; 3] = [1, 2, 8];

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn logs_wanted() -> usize {
    let asked = std::env::var("TIDEGATE_LOGS").ok();
    asked.map_or(LOGS, |text| text.parse().expect("TIDEGATE_LOGS is a number"))
}

/// Executes the batches of `rig`'s log from number `first` on.
fn replay(rig: &Rig, engine: &mut Engine<VecSlots>, first: usize) {
    let (mut out, mut inputs) = (Executed::default(), Vec::<Input>::new());
    for (at, (expected, logged)) in rig.history.iter().zip(&rig.log).enumerate().skip(first) {
        let mut reader = Reader::new(logged);
        let count = u32::try_from(expected.len()).expect("few inputs");
        engine
            .read_logged(&mut reader, count, &mut inputs)
            .expect("the log's own form");
        let time = 1_010 + 10 * (at as u64);
        engine
            .execute(UnixMillis::new(time), &inputs, &mut out)
            .expect("the tables are large");
    }
}

fn genesis(rig: &Rig) -> Engine<VecSlots> {
    Engine::create(tables(), rig.hub.public().bytes(), rig.ledger, policy(), [3; 32]).expect("empty tables")
}

/// What a replay comes to: the state root, and what else the state says of itself; and the bytes of every table.
fn outcome(engine: &Engine<VecSlots>) -> (Digest, Opened, Vec<u64>) {
    let sums = engine
        .store()
        .tables()
        .iter()
        .map(|(_, slots)| rig::checksum(slots))
        .collect();
    (engine.state_root(), engine.opened(), sums)
}

#[test]
fn a_log_leads_to_the_same_bits_on_any_number_of_threads() {
    let mut random = TestRunner::deterministic();
    let batches = prop::collection::vec(prop::collection::vec(act(), 1..12), 4..24);
    let pools = THREADS.map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        pool.expect("threads can be started")
    });
    for log in 0..logs_wanted() {
        let batches = batches.new_tree(&mut random).expect("nothing is filtered").current();
        let mut rig = Rig::new(u32::try_from(CLIENTS).expect("few"));
        let half = batches.len() / 2;
        let mut snapshot = None;
        for (at, acts) in batches.into_iter().enumerate() {
            if at == half {
                snapshot = Some((rig.history.len(), rig.engine.store().clone()));
            }
            let inputs = inputs(&mut rig, acts);
            rig.batch(inputs);
        }
        let expected = outcome(&rig.engine);
        let (first, store) = snapshot.expect("there are four batches and more");
        for pool in &pools {
            pool.install(|| {
                let mut engine = genesis(&rig);
                replay(&rig, &mut engine, 0);
                assert_eq!(outcome(&engine), expected, "log {log} from its genesis");
                let mut engine = Engine::open(store.clone()).expect("a state");
                replay(&rig, &mut engine, first);
                assert_eq!(outcome(&engine), expected, "log {log} from a snapshot");
            });
        }
    }
}
