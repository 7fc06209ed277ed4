//! The protocol of a block under the model checker: every interleaving, every outcome that the weak orders allow.
//!
//! The live bytes are atomics with relaxed orders, since a copy that is dropped may race with writes. Two cells have their
//! accesses watched by the checker, and fail the model when two threads could meet in them: the saved copy, and one that
//! stands for the live bytes wherever the checkpointer *uses* what it read of them. (The checker lets no load see a store that
//! comes later in its interleaving, as a processor may; without that cell the orders on this path would go unchecked.)

use std::sync::atomic::Ordering;

use loom::{
    cell::UnsafeCell,
    sync::{Arc, atomic::AtomicU32},
    thread,
};

use super::word::{self, AtomicWord, Source};

impl AtomicWord for AtomicU32 {
    fn load(&self, order: Ordering) -> u32 {
        self.load(order)
    }

    fn compare_exchange(&self, current: u32, new: u32, success: Ordering, failure: Ordering) -> Result<u32, u32> {
        self.compare_exchange(current, new, success, failure)
    }

    fn fetch_or(&self, bits: u32, order: Ordering) -> u32 {
        self.fetch_or(bits, order)
    }
}

/// A block of two words, [1, 1] at the pin.
struct Block {
    word: AtomicU32,
    live: [AtomicU32; 2],
    copy: UnsafeCell<[u32; 2]>,
    live_watched: UnsafeCell<()>,
}

// SAFETY: the model checker watches the fields that are no atomics, and fails where two threads could meet in them.
unsafe impl Sync for Block {}

impl Block {
    fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
            live: [AtomicU32::new(1), AtomicU32::new(1)],
            copy: UnsafeCell::new([0, 0]),
            live_watched: UnsafeCell::new(()),
        }
    }

    fn read_live(&self) -> [u32; 2] {
        self.live.each_ref().map(|word| word.load(Ordering::Relaxed))
    }

    /// The writer: saves if it must, then changes one word after the other.
    fn write(&self, value: u32) {
        word::save(&self.word, || {
            let now = self.read_live();
            // SAFETY: watched by the model checker.
            self.copy.with_mut(|copy| unsafe { *copy = now });
            0
        });
        // Whether the block was saved is settled now. If it was not, the checkpointer uses what it read.
        if self.word.load(Ordering::Relaxed) == word::TAKEN {
            self.live_watched.with_mut(|_| ());
        }
        for word in &self.live {
            word.store(value, Ordering::Relaxed);
        }
    }

    /// The checkpointer: what it takes for the block at the pin.
    fn take(&self) -> [u32; 2] {
        let live = self.read_live();
        self.live_watched.with(|_| ());
        match word::take(&self.word) {
            Source::Live => live,
            // SAFETY: watched by the model checker.
            Source::Saved(_) => self.copy.with(|copy| unsafe { *copy }),
        }
    }
}

#[test]
fn the_checkpointer_gets_the_block_at_the_pin() {
    loom::model(|| {
        let block = Arc::new(Block::new());
        let writer = {
            let block = Arc::clone(&block);
            thread::spawn(move || {
                block.write(2);
                block.write(3);
            })
        };
        assert_eq!(block.take(), [1, 1]);
        writer.join().expect("the writer ends");
        assert_eq!(block.read_live(), [3, 3], "nothing of the writer's is lost");
    });
}

/// Two blocks of one page, written in the other order than they are taken.
#[test]
fn blocks_do_not_disturb_each_other() {
    loom::model(|| {
        let page = Arc::new([Block::new(), Block::new()]);
        let writer = {
            let page = Arc::clone(&page);
            thread::spawn(move || {
                page[1].write(2);
                page[0].write(2);
            })
        };
        for block in page.iter() {
            assert_eq!(block.take(), [1, 1]);
        }
        writer.join().expect("the writer ends");
    });
}

/// The checkpointer hands over to another thread half way, as when its store is sent back and forth.
#[test]
fn a_second_thread_may_go_on_taking() {
    loom::model(|| {
        let page = Arc::new([Block::new(), Block::new()]);
        let (writing, taking) = (Arc::clone(&page), Arc::clone(&page));
        let writer = thread::spawn(move || {
            writing[0].write(2);
            writing[1].write(2);
        });
        let taker = thread::spawn(move || taking[0].take());
        assert_eq!(page[1].take(), [1, 1]);
        assert_eq!(taker.join().expect("it ends"), [1, 1]);
        writer.join().expect("the writer ends");
    });
}
