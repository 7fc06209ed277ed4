//! The same log, the same bits: read from the genesis and from a snapshot half way, on 1, 2 and 8 threads (R7).
//!
//! Each pool executes in as many parts as it has threads. A log holds inputs of every kind, refused and repeated ones among them. What is compared is the header of every batch, the
//! state root, and every byte of every table. At the end the test prints one digest over all of it: a build with other
//! settings has to print the same.
//!
//! The long form: `TIDEGATE_LOGS=1000`, with `--nocapture` for the digest.

mod rig;

use std::collections::BTreeMap;
use std::sync::Arc;

use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;
use rig::acts::{CLIENTS, any_act, inputs};
use rig::{Rig, policy, tables};
use tidegate_batch::{Engine, Executed, Input, Opened, Slots as _, VecSlots};
use tidegate_crypto::merkle::state_root;
use tidegate_types::{Digest, Reader, UnixMillis};

/// Logs of the short form.
const LOGS: usize = 16;
const THREADS: [usize; 3] = [1, 2, 8];

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn logs_wanted() -> usize {
    let asked = std::env::var("TIDEGATE_LOGS").ok();
    asked.map_or(LOGS, |text| text.parse().expect("TIDEGATE_LOGS is a number"))
}

/// Executes the batches of `rig`'s log from number `first` on; each must end with the header that is given for it.
fn replay(rig: &Rig, engine: &mut Engine<VecSlots>, (first, headers): (usize, &[Digest])) {
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
        assert_eq!(out.header.digest(), headers[at], "the header of batch {}", at + 1);
    }
}

fn genesis(rig: &Rig) -> Engine<VecSlots> {
    Engine::create(tables(), rig.hub.public().bytes(), rig.ledger, policy(), [3; 32]).expect("empty tables")
}

/// What the state says of itself: the state root, and what else must not change between two openings.
fn summary(engine: &Engine<VecSlots>) -> (Digest, Opened) {
    (engine.state_root(), engine.opened())
}

fn assert_same(engine: &Engine<VecSlots>, expected: &Engine<VecSlots>, case: &str) {
    assert_eq!(summary(engine), summary(expected), "{case}");
    for ((name, table), (_, other)) in engine.store().tables().into_iter().zip(expected.store().tables()) {
        assert_eq!(table.len(), other.len(), "the length of {name}, {case}");
        for slot in 0..table.len() {
            assert!(
                table.slot(slot) == other.slot(slot),
                "slot {slot} of {name} differs, {case}"
            );
        }
    }
}

/// One digest for all that is compared of a log.
fn digest_of(engine: &Engine<VecSlots>, headers: &[Digest]) -> Digest {
    let sums = engine.store().tables().map(|(_, table)| {
        let mut sum = Digest::ZERO.as_bytes().to_owned();
        sum[..8].copy_from_slice(&rig::checksum(table).to_le_bytes());
        Digest::from_bytes(sum)
    });
    let all: Vec<Digest> = headers
        .iter()
        .copied()
        .chain([engine.state_root()])
        .chain(sums)
        .collect();
    state_root(&all)
}

/// What the logs held: inputs that took effect by their kind, refused ones, and repeated ones that were known.
#[derive(Debug, Default)]
struct Told {
    taken: BTreeMap<&'static str, usize>,
    refused: usize,
    known: usize,
}

const KINDS: [&str; 11] = [
    "pay", "ack", "block", "close", "refresh", "policy", "fulfil", "release", "freeze", "splice", "forward",
];

const fn kind(input: &Input) -> &'static str {
    KINDS[match input {
        Input::Pay(_) => 0,
        Input::Ack(_) => 1,
        Input::Block(_) => 2,
        Input::Close(_) => 3,
        Input::Refresh(_) => 4,
        Input::Policy(_) => 5,
        Input::Fulfil(_) => 6,
        Input::Release(_) => 7,
        Input::Freeze(_) => 8,
        Input::Splice(_) => 9,
        Input::Forward(_) => 10,
    }]
}

impl Told {
    fn note(&mut self, inputs: &[Input], out: &Executed) {
        let known = out.refusals.iter().filter(|refusal| refusal.reason.is_none()).count();
        self.known += known;
        self.refused += out.refusals.len() - known;
        for (at, input) in (0_u32..).zip(inputs) {
            if out.refusals.iter().all(|refusal| refusal.input != at) {
                *self.taken.entry(kind(input)).or_default() += 1;
            }
        }
    }

    /// A rig whose logs lack something would hold nothing to anything.
    fn check(&self) {
        let all = KINDS.iter().all(|kind| self.taken.contains_key(kind));
        assert!(all && self.refused > 0 && self.known > 0, "{self:?}");
    }
}

#[test]
fn a_log_leads_to_the_same_bits_on_any_number_of_threads() {
    let mut random = TestRunner::deterministic();
    let batches = prop::collection::vec(prop::collection::vec(any_act(), 1..16), 4..24);
    let pools = THREADS.map(|threads| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build();
        Arc::new(pool.expect("threads can be started"))
    });
    let (mut digests, mut told) = (Vec::new(), Told::default());
    for log in 0..logs_wanted() {
        let batches = batches.new_tree(&mut random).expect("nothing is filtered").current();
        let mut rig = Rig::new(u32::try_from(CLIENTS).expect("few"));
        let mut headers = vec![rig.out.header.digest()];
        let half = batches.len() / 2;
        let mut snapshot = None;
        for (at, acts) in batches.into_iter().enumerate() {
            if at == half {
                snapshot = Some((rig.history.len(), rig.engine.store().clone()));
            }
            let inputs = inputs(&mut rig, acts);
            rig.batch(inputs);
            headers.push(rig.out.header.digest());
            told.note(rig.history.last().expect("a batch"), &rig.out);
        }
        let (first, store) = snapshot.expect("there are four batches and more");
        for (pool, threads) in pools.iter().zip(THREADS) {
            pool.install(|| {
                let mut engine = genesis(&rig);
                engine.split(Arc::clone(pool), threads, 0);
                replay(&rig, &mut engine, (0, &headers));
                assert_same(
                    &engine,
                    &rig.engine,
                    &format!("log {log} from its genesis, {threads} threads"),
                );
                let mut engine = Engine::open(store.clone()).expect("a state");
                engine.split(Arc::clone(pool), threads, 0);
                replay(&rig, &mut engine, (first, &headers));
                assert_same(
                    &engine,
                    &rig.engine,
                    &format!("log {log} from a snapshot, {threads} threads"),
                );
            });
        }
        digests.push(digest_of(&rig.engine, &headers));
    }
    told.check();
    println!("{} logs, {told:?}: digest {}", digests.len(), state_root(&digests));
}
