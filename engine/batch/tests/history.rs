//! Readers beside the engine: each sees the state as one batch left it, and no other.
//!
//! The writer executes batches and publishes each some batches later, as a log does. It notes the state root after each. A
//! reader takes snapshots and computes the root of what it sees: equal to that of the snapshot's batch, or the history is
//! broken. The long form: `TIDEGATE_READS=10000000`, entries read in all.

mod rig;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hashbrown::HashMap;
use rig::Rig;
use tidegate_batch::{EntryReader, EntrySnapshot, Input};
use tidegate_channel::ChannelEntry;
use tidegate_crypto::merkle::state_root;
use tidegate_types::Digest;

const CLIENTS: usize = 24;
/// Batches that are executed before the first of them is published.
const BEHIND: usize = 2;
/// The short form.
const READS: u64 = 60_000;

/// The roots after each batch. A reader waits for none: it looks its own up when it has seen all.
type Roots = Mutex<HashMap<u64, Digest>>;

#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn reads_wanted() -> u64 {
    let asked = std::env::var("TIDEGATE_READS").ok();
    asked.map_or(READS, |text| text.parse().expect("TIDEGATE_READS is a number"))
}

/// `places` are those of the channels in the order of their numbers, which is that of the state tree.
fn root_of(snapshot: &EntrySnapshot, places: &[u32]) -> (u64, Digest) {
    let entry = |place: &u32| snapshot.entry(*place).expect("all channels are awake");
    let entries: Vec<ChannelEntry> = places.iter().map(entry).collect();
    let mut digests = vec![Digest::ZERO; entries.len()];
    ChannelEntry::digests(&entries, &mut digests);
    (entries.len() as u64, state_root(&digests))
}

/// Looks at snapshots until enough was read. Some are kept over several looks, as a long reader keeps them.
fn look(reader: &EntryReader, places: &[u32], roots: &Roots, reads: &AtomicU64, done: &AtomicBool) {
    let (mut newest, _end) = (0, End(done));
    while !done.load(Ordering::Relaxed) {
        let snapshot = reader.snapshot().expect("few readers");
        assert!(snapshot.batch() >= newest, "published batches only rise");
        newest = snapshot.batch();
        for _ in 0..1 + newest % 4 {
            let (count, root) = root_of(&snapshot, places);
            reads.fetch_add(count, Ordering::Relaxed);
            let expected = roots.lock().expect("no thread fails")[&snapshot.batch()];
            assert_eq!(root, expected, "batch {}", snapshot.batch());
        }
    }
}

/// Tells all others to end, also when this thread fails.
struct End<'a>(&'a AtomicBool);

impl Drop for End<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Some pay, some acknowledge; most batches touch some channels only.
fn inputs(rig: &mut Rig, round: usize) -> Vec<Input> {
    let mut inputs = Vec::new();
    for client in (0..CLIENTS).filter(|client| !(client * 7 + round).is_multiple_of(3)) {
        let lock = rig.lock((client + 1 + round) % CLIENTS, 1);
        if round > 3 && (client + round).is_multiple_of(5) && rig.has_leaf(client) {
            inputs.push(rig.ack(client));
        }
        if (client + 1 + round) % CLIENTS != client {
            inputs.push(rig.pay(client, &[lock]));
        }
    }
    inputs
}

#[test]
fn every_reader_sees_one_batch_boundary() {
    let mut rig = Rig::new(u32::try_from(CLIENTS).expect("few"));
    // Every channel is awake before the readers begin, so that the entries are all channels'.
    for round in 0..3 {
        let inputs = inputs(&mut rig, round);
        rig.batch(inputs);
    }
    let mut publisher = rig.engine.publish_entries();
    let reader = publisher.reader();
    let slots = 0..rig.engine.opened().channels;
    let places = slots.map(|slot| rig.engine.entry_place(slot).expect("all channels are awake"));
    let places: Vec<u32> = places.collect();
    let roots = Roots::default();
    let note = |rig: &Rig| {
        let root = rig.engine.state_root();
        let batch = rig.engine.opened().batch.get();
        roots.lock().expect("no thread fails").insert(batch, root);
        batch
    };
    note(&rig);
    let mut waiting = std::collections::VecDeque::new();
    let (reads, done) = (AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| look(&reader, &places, &roots, &reads, &done));
        }
        let _end = End(&done);
        for round in 3.. {
            let enough = reads.load(Ordering::Relaxed) >= reads_wanted() && round > 50;
            if enough || done.load(Ordering::Relaxed) {
                break;
            }
            let inputs = inputs(&mut rig, round);
            rig.batch(inputs);
            waiting.push_back((note(&rig), rig.out.changes.clone()));
            if waiting.len() > BEHIND {
                let (batch, changes) = waiting.pop_front().expect("there are some");
                publisher.publish(batch, &changes);
            }
        }
    });
    assert!(reads.load(Ordering::Relaxed) >= reads_wanted());
}
