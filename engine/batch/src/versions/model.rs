//! The model checker goes through all interleavings of a writer and its readers, with the atomics' weak orders.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use loom::sync::atomic::AtomicU64;
use loom::thread;

use super::atomic::atomic_word;
use super::slab::Writing;
use super::snapshot::Reading;

atomic_word!(AtomicU64, loom::sync::atomic::fence);

type Words<const W: usize> = Writing<AtomicU64, W>;

/// Writes `batches` one after the other, each of which puts its number into every word of every slot.
fn write<const W: usize>(writer: &mut Words<W>, slots: usize, batches: std::ops::RangeInclusive<u64>) {
    for batch in batches {
        writer.begin(batch);
        (0..slots).for_each(|slot| writer.write(slot, &[batch; W]));
        writer.shared.pins.publish(batch);
    }
}

/// What a reader must find, whichever snapshot it gets.
fn check<const W: usize>(snapshot: &Reading<AtomicU64, W>, slots: usize) {
    let expected = (snapshot.batch > 0).then_some([snapshot.batch; W]);
    (0..slots).for_each(|slot| assert_eq!(snapshot.read(slot), expected));
}

/// Runs a writer that has written `before`, and so many readers beside it, each with `reads` looks at its snapshot.
fn run<const W: usize>(before: u64, last: u64, slots: usize, readers: usize, looks: usize) {
    loom::model(move || {
        let mut writer = Words::<W>::new(1, readers);
        write(&mut writer, slots, 1..=before);
        let threads: Vec<_> = (0..readers)
            .map(|_| {
                let shared = Arc::clone(&writer.shared);
                thread::spawn(move || {
                    let snapshot = Reading::new(shared).expect("a pin for each");
                    (0..looks).for_each(|_| check(&snapshot, slots));
                })
            })
            .collect();
        write(&mut writer, slots, before + 1..=last);
        for thread in threads {
            thread.join().expect("no reader fails");
        }
        check(
            &Reading::new(Arc::clone(&writer.shared)).expect("all pins are free"),
            slots,
        );
    });
}

/// One reader, two words: nothing is torn.
#[test]
fn a_version_is_read_whole() {
    run::<2>(2, 4, 1, 1, 1);
}

/// Two slots: both are of one batch.
#[test]
fn slots_are_of_one_batch() {
    run::<1>(1, 2, 2, 1, 1);
}

/// Two readers beside the writer, which moves a version to the pool while both may want it.
#[test]
fn two_readers_beside_the_writer() {
    run::<1>(2, 3, 1, 2, 1);
}

/// The pool is used again: the version that is kept for a reader is not the one that is written over. The long form,
/// `TIDEGATE_LOOM=long`, begins a batch earlier, so that an entry is freed and taken again while a reader walks.
#[test]
#[expect(clippy::disallowed_methods, reason = "the long form is asked for by the environment")]
fn entries_are_used_again_after_their_readers() {
    let long = std::env::var("TIDEGATE_LOOM").is_ok_and(|form| form == "long");
    run::<1>(if long { 1 } else { 2 }, 4, 1, 1, 1);
}
