//! The word that the writer and the checkpointer share for each block. The module above has the argument.

use std::sync::atomic::{AtomicU32, Ordering};

/// Neither side has done anything yet.
const PENDING: u32 = 0;
/// The checkpointer has what it needs of the block.
pub(super) const TAKEN: u32 = 1 << 31;

/// An atomic word: that of the standard library, or the model checker's.
pub(super) trait AtomicWord {
    fn load(&self, order: Ordering) -> u32;
    fn compare_exchange(&self, current: u32, new: u32, success: Ordering, failure: Ordering) -> Result<u32, u32>;
    fn fetch_or(&self, bits: u32, order: Ordering) -> u32;
}

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

/// Where the pinned bytes of a block are to be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    /// What was copied from the live block *before* [`take`] is right.
    Live,
    /// Copy number so much of the writer's; what was copied from the live block is worth nothing.
    Saved(u32),
}

/// The writer's side: to be called before the block's first byte is changed. `copy` copies the block to a place of its own
/// and returns the number of that, below 2³¹ − 1; it is called only if the checkpointer may still need the block.
pub(super) fn save(word: &impl AtomicWord, copy: impl FnOnce() -> u32) {
    // Acquire: if the checkpointer has taken the block, its reads of the live bytes come before our writes.
    if word.load(Ordering::Acquire) != PENDING {
        return;
    }
    let saved = copy() + 1;
    debug_assert!(saved < TAKEN, "numbers of copies leave the top bit free");
    // Release: whoever finds the number finds the whole copy. Acquire: as above, when the checkpointer was faster; the copy
    // is then of no use.
    let _taken_meanwhile = word.compare_exchange(PENDING, saved, Ordering::Release, Ordering::Acquire);
}

/// The checkpointer's side: to be called once per block, after the live block was copied.
pub(super) fn take(word: &impl AtomicWord) -> Source {
    // Release: the reads of the live bytes come before the writes of a writer that finds the block taken. Acquire: a copy
    // whose number is found is whole.
    match word.fetch_or(TAKEN, Ordering::AcqRel) {
        PENDING => Source::Live,
        saved => {
            assert!(saved < TAKEN, "a block is taken once");
            Source::Saved(saved - 1)
        }
    }
}

/// Whether the writer has saved the block already: copying it live is then of no use. Only a hint, but when it says yes,
/// [`take`] will say `Saved`.
pub(super) fn is_saved(word: &impl AtomicWord) -> bool {
    word.load(Ordering::Relaxed) != PENDING
}
