//! The tree kept from batches against the tree of all entries; the thread from its queue.

use crossbeam::channel::bounded;
use tidegate_batch::VecSlots;
use tidegate_batch::{Policy, Store, TABLES};
use tidegate_types::{Age, Amount, KeyBytes, LedgerId};

use super::*;

/// Small numbers without a pattern.
struct Draw(u64);

impl Draw {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }
}

fn empty() -> Commitment {
    let policy = Policy {
        margin: Age::new(2),
        ack_interval: Age::new(1),
        max_lock: Age::new(100),
        min_amount: Amount::ZERO,
        fee_base: Amount::ZERO,
        fee_ppm: 0,
        max_unfirm_credits: 1000,
        max_in_locks: 64,
        max_in_locks_per_payer: 16,
        max_forwarded: 0,
    };
    let tables = Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, 4)));
    let hub = KeyBytes::from_bytes([1; 32]);
    let engine = Engine::create(tables, hub, LedgerId::ZERO, policy, [0; 32]).expect("empty tables");
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(1)
        .build()
        .expect("a thread");
    Commitment::build(&engine, Lsn::ZERO, &pool, &mut |_, _| {})
}

fn as_of(n: u64) -> AsOf {
    AsOf {
        batch: BatchNumber::new(n),
        lsn: Lsn::new(n + 5),
    }
}

/// An entry that holds its capacity, or, now and then, does not.
fn entry(draw: &mut Draw, status: u32) -> ChannelEntry {
    let debit_sat = draw.below(400);
    let overdrawn = draw.below(50) == 0;
    ChannelEntry {
        client_counter: draw.below(1 << 30),
        debit_sat: if overdrawn { 5_000 } else { debit_sat },
        firm_credit_sat: draw.below(300),
        unfirm_credit_sat: draw.below(100),
        capacity_sat: 1_000,
        opening_share_sat: 500,
        status,
        ..ChannelEntry::ZERO
    }
}

fn expected(entries: &[ChannelEntry], as_of: AsOf) -> StateRoot {
    let open = || entries.iter().filter(|entry| entry.status != ChannelEntry::SETTLED);
    StateRoot {
        root: tidegate_crypto::merkle::state_root(&entries.iter().map(ChannelEntry::digest).collect::<Vec<_>>()),
        as_of,
        channels: u32::try_from(entries.len()).expect("few"),
        held: open().map(ChannelEntry::held_sat).sum(),
        capacity: open().map(|entry| u128::from(entry.capacity_sat)).sum(),
    }
}

/// A batch over the channels there are and some new ones, some of them named twice as blocks and payments together do.
fn batch(draw: &mut Draw, entries: &mut Vec<ChannelEntry>) -> Changes {
    let mut slots: Vec<usize> = (0..draw.below(40))
        .map(|_| usize::try_from(draw.below(entries.len() as u64 + 1)).expect("few"))
        .collect();
    let first = entries.len();
    entries.extend((0..draw.below(6)).map(|_| entry(draw, ChannelEntry::ACTIVE)));
    slots.retain(|slot| *slot < first);
    slots.extend(first..entries.len());
    for &slot in &slots {
        if entries[slot].status != ChannelEntry::SETTLED {
            let status = if draw.below(20) == 0 {
                ChannelEntry::SETTLED
            } else {
                ChannelEntry::ACTIVE
            };
            entries[slot] = entry(draw, status);
        }
    }
    let mut changes = Changes::default();
    slots
        .iter()
        .for_each(|&slot| changes.push(u32::try_from(slot).expect("few"), entries[slot]));
    changes
}

#[test]
fn what_is_kept_is_what_a_count_of_everything_finds() {
    for seed in 0..40 {
        let (mut draw, mut kept, mut entries) = (Draw(seed), empty(), Vec::new());
        let mut strayed = false;
        for n in 1..=120 {
            let changes = batch(&mut draw, &mut entries);
            kept.take(&changes, as_of(n));
            // Several batches are gathered before some of the questions.
            if draw.below(4) == 0 {
                let root = kept.root();
                assert_eq!(root, expected(&entries, as_of(n)), "seed {seed}, batch {n}");
                strayed |= root.held != root.capacity;
                assert!(kept.is_settled());
            }
        }
        assert!(strayed, "the test draws channels that hold too much or too little");
    }
}

#[test]
fn a_round_begins_by_itself_when_much_is_gathered() {
    let (mut draw, mut kept) = (Draw(1), empty());
    let entries: Vec<_> = (0..100).map(|_| entry(&mut draw, ChannelEntry::ACTIVE)).collect();
    let mut changes = Changes::default();
    for _ in 0..GATHERED_MAX / 100 {
        entries
            .iter()
            .zip(0..)
            .for_each(|(entry, slot)| changes.push(slot, *entry));
    }
    kept.take(&changes, as_of(1));
    assert!(!kept.is_settled());
    kept.take(&changes, as_of(2));
    assert!(kept.is_settled());
    assert_eq!(kept.root(), expected(&entries, as_of(2)));
}

#[test]
fn a_proof_is_of_the_newest_entry_or_of_none() {
    let (mut draw, mut kept, mut entries) = (Draw(2), empty(), Vec::new());
    for n in 1..=50 {
        let changes = batch(&mut draw, &mut entries);
        kept.take(&changes, as_of(n));
    }
    let root = kept.root().root;
    for (entry, slot) in entries.iter().zip(0..) {
        let proof = kept.prove(slot, *entry).expect("the newest entry");
        assert_eq!(proof.verify(&root), Ok(()));
        let older = ChannelEntry {
            client_counter: entry.client_counter ^ 1,
            ..*entry
        };
        assert_eq!(kept.prove(slot, older), None);
    }
    assert_eq!(
        kept.prove(u32::try_from(entries.len()).expect("few"), ChannelEntry::ZERO),
        None
    );
}

#[test]
fn the_thread_answers_in_the_order_of_its_queue_and_ends_with_it() {
    let (mut feed, thread) = CommitmentThread::new(empty());
    let work = feed.work.clone();
    let thread = std::thread::spawn(move || thread.run());
    let (mut draw, mut entries) = (Draw(3), Vec::new());
    for n in 1..=200 {
        let mut changes = batch(&mut draw, &mut entries);
        feed.batch(as_of(n), &mut changes);
        assert!(changes.is_empty());
        let (asker, answer) = bounded(1);
        work.send(CommitWork::Root(asker)).expect("it runs");
        let root = answer.recv().expect("an answer");
        assert_eq!(root, expected(&entries, as_of(n)));
        if let Some(entry) = entries.last() {
            let (asker, answer) = bounded(1);
            let slot = root.channels - 1;
            work.send(CommitWork::Prove(slot, Box::new(*entry), asker))
                .expect("it runs");
            let proved = answer.recv().expect("an answer").expect("a proof");
            assert_eq!((proved.root, proved.proof.verify(&root.root)), (root, Ok(())));
        }
    }
    drop((work, feed));
    thread.join().expect("it ends");
}

/// A tree that does not move at all holds up nobody; when it does move it is soon where it should be.
#[test]
fn a_tree_that_lags_holds_up_nobody_and_catches_up() {
    let (mut feed, thread) = CommitmentThread::new(empty());
    let (mut draw, mut entries, mut asked) = (Draw(4), Vec::new(), Vec::new());
    // The thread sleeps: the queue is full after sixteen of these.
    for n in 1..=300 {
        let mut changes = batch(&mut draw, &mut entries);
        feed.batch(as_of(n), &mut changes);
        assert!(changes.is_empty());
        if n % 50 == 0 {
            let (asker, answer) = bounded(1);
            feed.work.send(CommitWork::Root(asker)).expect("it will run");
            asked.push((n, answer));
        }
    }
    let work = feed.work.clone();
    let thread = std::thread::spawn(move || thread.run());
    for (n, answer) in asked {
        let root = answer.recv().expect("an answer");
        assert!(root.as_of.batch.get() >= n, "a root is never older than its question");
        assert_eq!(root, expected(&entries, as_of(300)), "all of these were merged");
    }
    // And then as if nothing had been.
    let mut changes = batch(&mut draw, &mut entries);
    feed.batch(as_of(301), &mut changes);
    let (asker, answer) = bounded(1);
    work.send(CommitWork::Root(asker)).expect("it runs");
    assert_eq!(answer.recv().expect("an answer"), expected(&entries, as_of(301)));
    drop((work, feed));
    thread.join().expect("it ends");
}

/// Under a race of one who feeds and one who works, every root is of a batch that was, and none older than its question.
#[test]
fn every_root_is_of_one_batch_however_far_the_tree_lags() {
    let (mut feed, thread) = CommitmentThread::new(empty());
    let thread = std::thread::spawn(move || thread.run());
    let (mut draw, mut entries, mut asked) = (Draw(5), Vec::new(), Vec::new());
    let mut truth = vec![expected(&entries, as_of(0))];
    for n in 1..=400 {
        let mut changes = batch(&mut draw, &mut entries);
        truth.push(expected(&entries, as_of(n)));
        feed.batch(as_of(n), &mut changes);
        if draw.below(3) == 0 {
            let (asker, answer) = bounded(1);
            feed.work.send(CommitWork::Root(asker)).expect("it runs");
            asked.push((n, answer));
        }
    }
    for (n, answer) in asked {
        let root = answer.recv().expect("an answer");
        let batch = root.as_of.batch.get();
        assert!(batch >= n);
        assert_eq!(root, truth[usize::try_from(batch).expect("few")]);
    }
    drop(feed);
    thread.join().expect("it ends");
}
