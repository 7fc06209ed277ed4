//! A region as it was at one moment, while its writer goes on.
//!
//! A checkpoint is taken of one batch boundary, and takes seconds to write. So at the boundary the region is *pinned*: the
//! set of pages that the checkpoint needs is put aside, nothing is copied. From then on two threads meet, for each block of
//! 512 B of those pages, over one word:
//!
//! ```text
//!                  writer, before its first write to the block
//!                  copies it aside, then compare-exchange
//!        pending ────────────────────────────────────────────► saved
//!           │                                                    │
//!           │ checkpointer, after copying                        │ checkpointer
//!           │ the live block: fetch-or                           │ uses the copy: fetch-or
//!           ▼                                                    ▼
//!         taken   (the writer changes the block as it likes)    saved and taken
//!
//!        clean: a block of no pending page. It has no word, and the checkpointer never looks at it.
//! ```
//!
//! Only the writer moves a word from pending to saved, only the checkpointer sets its taken bit, and no word ever moves back:
//! the next pin has new words. Neither waits for the other: each does one atomic operation per block, which either succeeds
//! or finds that the other one was there, and then there is nothing left to do. A stopped checkpointer costs memory, never
//! time.
//!
//! # Why what the checkpointer gets is the state at the pin
//!
//! The bytes of a block change only in the writer's hands, after its `save` for that block has returned. The checkpointer
//! first copies the live block, then does its `fetch_or`. In the order of the operations on the word, either
//!
//! 1. `fetch_or` comes before the writer's compare-exchange, or there is none. It finds *pending* and the copy of the live
//!    block is used. The writer's load or its failing compare-exchange finds *taken*; that is an acquire of what `fetch_or`
//!    released, so all reads of that copy happened before all writes that follow. It is the block at the pin. No data race:
//!    reads and writes are ordered. Or
//! 2. the compare-exchange comes first. `fetch_or` finds *saved*, an acquire of the writer's release: the saved copy is
//!    whole, and it was made before the block's first change. The copy of the live block, which may have raced with writes,
//!    is dropped without being looked at.
//!
//! `word::model` has the model checker go through all interleavings of this, with the atomics' weak orders; the tests of the
//! crate hold images to a slow model under any sequence of writes, growth and steps.
//!
//! # What it costs
//!
//! Without a pin a write costs one load and a branch that is not taken. With one: a bit of the pending set, a word, and for
//! the first write to a block that is still pending, a copy of 512 B. The memory for saved blocks is at worst that of the
//! pending pages, and is given back when the pin ends. A block is smaller than a page because the records of the hub are: a
//! page of 4 KiB saved for each record of 500 B would cost eight times the copying, just in the first batches after a pin,
//! when nearly every touched block is pending.
//!
//! Nothing here writes a file or knows when a pin is due.

#[cfg(test)]
mod model;
mod word;

use std::{
    io,
    ops::Range,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    PAGE_BYTES, PageSet,
    memory::{Memory, Words},
};
use word::Source;

/// What is saved at a time, in bytes.
const BLOCK_BYTES: usize = 512;
const BLOCKS_PER_PAGE: usize = PAGE_BYTES / BLOCK_BYTES;
/// A page in words, as it is copied.
pub(crate) const PAGE_WORDS: usize = PAGE_BYTES / size_of::<u64>();

/// One region at the moment of its pin, shared between its writer and the checkpointer.
#[derive(Debug)]
pub(crate) struct PinnedRegion {
    memory: Arc<Memory>,
    slots: usize,
    /// The pages that the checkpointer will take.
    pending: PageSet,
    /// One word per block.
    words: Words,
    /// Saved blocks, by number.
    copies: Memory,
    /// How many were saved: a counter of the writer alone, atomic so that others may read it.
    saved: AtomicU32,
}

impl PinnedRegion {
    /// Pins the region in `memory`, which has so many slots in so many pages; those in `pending` will be taken.
    pub(crate) fn new(memory: Arc<Memory>, slots: usize, pages: usize, pending: PageSet) -> io::Result<Self> {
        let bytes = pending.count().max(1) * PAGE_BYTES;
        let copies = Memory::reserve(bytes)?;
        copies.advise_huge(bytes);
        Ok(Self {
            memory,
            slots,
            pending,
            words: Words::new(pages * BLOCKS_PER_PAGE)?,
            copies,
            saved: AtomicU32::new(0),
        })
    }

    /// How many slots the region had.
    pub(crate) const fn slots(&self) -> usize {
        self.slots
    }

    /// The pages to be taken.
    pub(crate) const fn pending(&self) -> &PageSet {
        &self.pending
    }

    /// Bytes of blocks that the writer has saved.
    pub(crate) fn saved_bytes(&self) -> u64 {
        u64::from(self.saved.load(Ordering::Relaxed)) * BLOCK_BYTES as u64
    }

    /// The writer's side: saves what the checkpointer still needs of the bytes in `range`, which are about to change.
    ///
    /// # Safety
    /// Only the region that owns the memory calls this, from `&mut self`: nobody refers to its bytes meanwhile, and no other
    /// call runs.
    #[cold]
    pub(crate) unsafe fn save(&self, range: Range<usize>) {
        let (first, end) = (range.start / BLOCK_BYTES, range.end.div_ceil(BLOCK_BYTES));
        // Behind the last word lies what has grown since the pin.
        for (block, word) in self.words.get().iter().enumerate().take(end).skip(first) {
            if self.pending.contains(block / BLOCKS_PER_PAGE) {
                // SAFETY: by the caller's word.
                word::save(word, || unsafe { self.copy_aside(block) });
            }
        }
    }

    /// Copies a block to the next free place and returns its number.
    ///
    /// # Safety
    /// As for [`PinnedRegion::save`].
    unsafe fn copy_aside(&self, block: usize) -> u32 {
        let number = self.saved.load(Ordering::Relaxed);
        self.saved.store(number + 1, Ordering::Relaxed);
        let (from, to) = (span(block), span(number as usize));
        // SAFETY: the writer is here, so nobody writes to the block.
        let source = unsafe { self.memory.bytes(from) };
        // SAFETY: this number has not been published: nobody else knows the place. Each block of a pending page is saved at
        // most once, so there is a place for every number.
        unsafe { self.copies.bytes_mut(to) }.copy_from_slice(source);
        number
    }

    /// The checkpointer's side: the page as it was at the pin; behind the last slot, zeros. Each pending page once.
    pub(crate) fn take_page(&self, page: usize, into: &mut [u64; PAGE_WORDS]) {
        debug_assert!(self.pending.contains(page), "page {page} was not asked for");
        let first = page * BLOCKS_PER_PAGE;
        let words = &self.words.get()[first..first + BLOCKS_PER_PAGE];
        if !words.iter().all(word::is_saved) {
            self.memory.copy_out(page * PAGE_BYTES, into);
        }
        for (word, into) in words.iter().zip(into.as_chunks_mut::<{ BLOCK_BYTES / 8 }>().0) {
            if let Source::Saved(number) = word::take(word) {
                // SAFETY: the copy was finished before its number was published, and nobody writes to it again.
                let copy = unsafe { self.copies.bytes(span(number as usize)) };
                bytemuck::cast_slice_mut(into).copy_from_slice(copy);
            }
        }
    }
}

/// Where a block lies, in bytes.
const fn span(block: usize) -> Range<usize> {
    block * BLOCK_BYTES..(block + 1) * BLOCK_BYTES
}
