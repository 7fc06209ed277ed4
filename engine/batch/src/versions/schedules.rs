//! The engine with its log and its readers under schedules drawn by shuttle: longer stories than the model checker (`model`) can
//! go through, over tables as they are. One thread executes batches of payments, one publishes them later, as a log does,
//! and readers compute the root of what they see: it must be that of their snapshot's batch.
//!
//! Shuttle orders all accesses as if each were sequentially consistent; weak orders are the model's. The long form:
//! `TIDEGATE_SCHEDULES=100000`, schedules of each kind.

use std::collections::HashMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::sync::atomic::AtomicU64;
use shuttle::sync::mpsc::{Receiver, sync_channel};
use shuttle::{Config, Runner, thread};
use tidegate_channel::{ChannelEntry, ChannelTerms};
use tidegate_crypto::merkle::state_root;
use tidegate_types::{Age, Amount, Digest, Height, KeyBytes, LedgerId, OutPoint, Reader, Txid, UnixMillis};

use super::atomic::atomic_word;
use super::slab::{Shared, Writing};
use super::snapshot::Reading;
use crate::entries::{WORDS, entry, words};
use crate::executed::Changes;
use crate::{BlockInput, Engine, Executed, Input, Policy, Store, TABLES, VecSlots};

atomic_word!(AtomicU64, shuttle::sync::atomic::fence);

const CHANNELS: u8 = 5;
const BATCHES: usize = 6;
const READERS: usize = 2;
/// Batches that wait for the log.
const BEHIND: usize = 2;
/// Schedules of the short form, of each kind.
const SCHEDULES: usize = 120;
/// How many changes of priority a schedule of the second kind has.
const DEPTH: usize = 3;

/// The roots after each batch.
type Roots = Mutex<HashMap<u64, Digest>>;

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("small")
}

fn opening(number: u8) -> (ChannelTerms, OutPoint) {
    let key = |byte: u8| KeyBytes::from_bytes([byte; 32]);
    let terms = ChannelTerms {
        client: key(1),
        hub: key(7),
        client_payout: key(1),
        hub_payout: key(7),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(2_000),
        opening_share: sat(1_000),
        client_reserve: sat(10),
        hub_reserve: sat(10),
        dispute_window: Age::new(144),
        evidence_grace: Age::new(6),
        expiry: Height::new(1_000),
        nonce: number.into(),
    };
    let funding = OutPoint {
        txid: Txid::from_bytes([5; 32]),
        vout: number.into(),
    };
    (terms, funding)
}

/// The thread that executes: an engine whose channels pay each other in turns.
struct Hub {
    engine: Engine<VecSlots>,
    /// By channel: its counter, and its newest leaf's.
    counters: Vec<(u8, u8)>,
    inputs: Vec<Input>,
    out: Executed,
}

impl Hub {
    fn new() -> Self {
        let policy = Policy {
            margin: Age::new(2),
            ack_interval: Age::new(1),
            max_lock: Age::new(100),
            min_amount: Amount::ZERO,
            fee_base: Amount::ZERO,
            fee_ppm: 0,
            max_unfirm_credits: 100,
            max_in_locks: 64,
            max_in_locks_per_payer: 16,
            max_forwarded: 0,
        };
        let tables = Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, 1 << 12)));
        let hub = KeyBytes::from_bytes([7; 32]);
        let mut engine = Engine::create(tables, hub, LedgerId::ZERO, policy, [3; 32]).expect("empty tables");
        engine.note_changes(true);
        let opened: Vec<_> = (0..CHANNELS).map(opening).collect();
        let ids = opened.iter().map(|(terms, funding)| terms.channel_id(funding));
        let refresh: Vec<Input> = ids.map(Input::Refresh).collect();
        let block = Input::Block(BlockInput {
            opened,
            ..BlockInput::empty(Height::new(1), Digest::from_bytes([1; 32]))
        });
        let mut hub = Self {
            engine,
            counters: vec![(0, 0); refresh.len()],
            inputs: [block].into_iter().chain(refresh).collect(),
            out: Executed::default(),
        };
        hub.execute();
        hub
    }

    fn execute(&mut self) {
        self.engine
            .execute(UnixMillis::new(1), &self.inputs, &mut self.out)
            .expect("large tables");
        assert_eq!(self.out.refusals, []);
        for leaf in self.out.leaves() {
            self.counters[leaf.channel as usize].1 += 1;
        }
    }

    /// Most channels settle their last payment, make the next and acknowledge what they were paid, in the log's short form.
    fn pay(&mut self, batch: usize) {
        let (mut logged, mut count) = (Vec::new(), 0);
        for channel in (0..CHANNELS).filter(|channel| !(usize::from(*channel) + batch).is_multiple_of(3)) {
            let (counter, leaf) = &mut self.counters[usize::from(channel)];
            let settles = *counter > 0;
            *counter += 1;
            let (slot, before) = (*counter % 2, (*counter + 1) % 2);
            logged.extend([2, 1 + u8::from(settles), channel, 0, 0, 0, *counter, *leaf]);
            logged.extend([0; 64]);
            if settles {
                logged.push(1 << 6 | before);
            }
            logged.push(slot);
            logged.extend([*counter; 16]);
            // The next channel, 3 satoshi, without a fee, up to height 40.
            logged.extend([(channel + 1) % CHANNELS, 0, 0, 0, 3, 0, 40]);
            count += 1;
        }
        self.engine
            .read_logged(&mut Reader::new(&logged), count, &mut self.inputs)
            .expect("the log's own form");
        self.execute();
    }

    /// The newest batch, and its root among the others.
    fn note(&self, roots: &Roots) -> u64 {
        let batch = self.engine.opened().batch.get();
        let root = self.engine.state_root();
        roots.lock().expect("no thread fails").insert(batch, root);
        batch
    }
}

fn publish(writer: &mut Writing<AtomicU64, WORDS>, batch: u64, changes: &Changes) {
    writer.begin(batch);
    for (place, entry) in changes.placed() {
        writer.write(place as usize, &words(entry));
    }
    writer.shared.pins.publish(batch);
}

/// The thread of the log.
fn log(mut writer: Writing<AtomicU64, WORDS>, executed: &Receiver<(u64, Changes)>) {
    while let Ok((batch, changes)) = executed.recv() {
        publish(&mut writer, batch, &changes);
    }
}

/// A reader's thread: two snapshots, each of them looked at twice.
fn look(shared: &Arc<Shared<AtomicU64, WORDS>>, places: &[u32], roots: &Roots) {
    for _ in 0..2 {
        let snapshot = Reading::new(Arc::clone(shared)).expect("a pin for each");
        for _ in 0..2 {
            let read = |place: &u32| entry(&snapshot.read(*place as usize).expect("all channels are awake"));
            let entries: Vec<ChannelEntry> = places.iter().map(read).collect();
            let root = state_root(&entries.iter().map(ChannelEntry::digest).collect::<Vec<_>>());
            let expected = roots.lock().expect("no thread fails")[&snapshot.batch];
            assert_eq!(root, expected, "batch {}", snapshot.batch);
        }
    }
}

fn story() {
    let mut hub = Hub::new();
    let mut writer = Writing::<AtomicU64, WORDS>::new(8, READERS);
    let roots = Arc::new(Roots::default());
    let slots = 0..u32::from(CHANNELS);
    let places = slots.map(|slot| hub.engine.entry_place(slot).expect("all channels are awake"));
    let places: Vec<u32> = places.collect();
    publish(&mut writer, hub.note(&roots), &hub.out.changes);
    let shared = Arc::clone(&writer.shared);
    let (execute, executed) = sync_channel(BEHIND);
    let mut threads = vec![thread::spawn(move || log(writer, &executed))];
    threads.extend((0..READERS).map(|_| {
        let (shared, roots, places) = (Arc::clone(&shared), Arc::clone(&roots), places.clone());
        thread::spawn(move || look(&shared, &places, &roots))
    }));
    for batch in 0..BATCHES {
        hub.pay(batch);
        let number = hub.note(&roots);
        execute
            .send((number, hub.out.changes.clone()))
            .expect("the log waits for more");
    }
    drop(execute);
    for thread in threads {
        thread.join().expect("no thread fails");
    }
    look(&shared, &places, &roots);
}

fn run(scheduler: impl Scheduler + 'static) {
    let mut config = Config::new();
    // That weak orders are taken for strong ones is said above.
    config.silence_warnings = true;
    Runner::new(scheduler, config).run(story);
}

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn schedules() -> usize {
    let asked = std::env::var("TIDEGATE_SCHEDULES").ok();
    asked.map_or(SCHEDULES, |text| text.parse().expect("TIDEGATE_SCHEDULES is a number"))
}

#[test]
fn every_reader_sees_one_batch_whoever_runs_next() {
    run(RandomScheduler::new(schedules()));
}

#[test]
fn every_reader_sees_one_batch_whoever_runs_long() {
    run(PctScheduler::new(DEPTH, schedules()));
}
