//! An allocator that counts what each thread asks for, so that a test can hold a decoder to its input's size.

#![allow(unsafe_code, reason = "the trait of an allocator is unsafe to implement")]

use std::{
    alloc::{GlobalAlloc, Layout, System},
    cell::Cell,
};

thread_local! {
    static ASKED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting. For `#[global_allocator]` of a test.
#[derive(Debug)]
pub struct Counting;

/// Bytes that this thread has asked for since it began, wrapping; frees are not taken off.
#[must_use]
pub fn asked() -> usize {
    ASKED.try_with(Cell::get).unwrap_or(0)
}

fn count(bytes: usize) {
    // A thread that is ending may allocate after its counter is gone: that is nobody's measurement.
    let _ = ASKED.try_with(|asked| asked.set(asked.get().wrapping_add(bytes)));
}

// SAFETY: every call is passed on unchanged to `System`, which keeps the trait's promises; counting allocates nothing.
unsafe impl GlobalAlloc for Counting {
    // SAFETY: as the trait demands of its caller.
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        count(layout.size());
        // SAFETY: the caller gives a layout of non-zero size.
        unsafe { System.alloc(layout) }
    }

    // SAFETY: as the trait demands of its caller.
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the block came from `System` by `alloc` or `realloc` above, with this layout.
        unsafe { System.dealloc(block, layout) }
    }

    // SAFETY: as the trait demands of its caller.
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, new_size: usize) -> *mut u8 {
        count(new_size);
        // SAFETY: the block came from `System` with this layout, and the caller gives a non-zero size.
        unsafe { System.realloc(block, layout, new_size) }
    }
}
