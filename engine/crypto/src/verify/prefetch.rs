//! Rows of tables, asked for before they are used: a table is far larger than a cache, and which rows are needed is known
//! from the scalar long before.

/// Asks for the cache lines at these offsets within `item` to be brought near. Changes nothing that a program can see; does
/// nothing on processors other than x86-64.
#[inline(always)]
pub(super) fn prefetch<T>(item: &T, offsets: &[usize]) {
    debug_assert!(offsets.iter().all(|offset| *offset < size_of::<T>()), "inside the item");
    #[cfg(target_arch = "x86_64")]
    for offset in offsets {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        let line = core::ptr::from_ref(item).cast::<i8>().wrapping_add(*offset);
        // SAFETY: every x86-64 has the instruction; it reads nothing as far as the program can tell and never faults,
        // whatever the address; `wrapping_add` asks nothing of it either.
        unsafe { _mm_prefetch::<_MM_HINT_T0>(line) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (item, offsets);
}
