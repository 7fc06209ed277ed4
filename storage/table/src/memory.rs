//! Anonymous memory that one owner changes while other threads may copy from it.
//!
//! Who may do what:
//!
//! - The one owner ([`Region`](crate::Region), or the writer's end of a pin) makes references, shared ones from `&self` and
//!   exclusive ones from `&mut self`, so Rust's rules hold between them.
//! - Everybody else only calls [`Memory::copy_out`], which makes no reference: it loads words one by one. When the owner
//!   writes at the same time the copy is garbage, and the protocol of [`pin`](crate::pin) finds that out before a byte of
//!   it is looked at. No page is read in this way *and* used while anybody writes it.
//!
//! A load that races with a plain store is outside of what Rust's model defines. What is relied on: the compiler cannot
//! tell that anybody else stores there, so it emits the loads as they stand; LLVM gives such a load an undefined *value*,
//! not undefined behaviour; and on every processor a load of a mapped, aligned word is harmless. Sequence locks
//! (crossbeam's `AtomicCell`, the kernel's seqcount) stand on the same ground.

use std::{
    io,
    ops::Range,
    sync::atomic::{AtomicU32, AtomicU64, Ordering},
};

use memmap2::{Advice, MmapMut, MmapOptions, MmapRaw};

/// A line of the processor's caches.
const LINE_BYTES: usize = 64;

/// From so many used bytes on huge pages are asked for.
const HUGE_FROM_BYTES: usize = 2 << 20;

/// A reserved range of addresses, zeros at first. Memory is taken as pages are first written.
#[derive(Debug)]
pub(crate) struct Memory {
    map: MmapRaw,
}

fn reserve(bytes: usize) -> io::Result<MmapMut> {
    MmapOptions::new().len(bytes).no_reserve_swap().map_anon()
}

impl Memory {
    /// Reserves `bytes`, which is not zero.
    pub(crate) fn reserve(bytes: usize) -> io::Result<Self> {
        Ok(Self {
            map: reserve(bytes)?.into(),
        })
    }

    /// Asks for huge pages, if `bytes` are to be used soon: for less they would cost more memory, and time to clear it, than the
    /// table. True if they were asked for.
    pub(crate) fn advise_huge(&self, bytes: usize) -> bool {
        let wanted = bytes >= HUGE_FROM_BYTES;
        if wanted {
            // Only advice: a kernel built without huge pages refuses it, and everything works, slower.
            let _ = self.map.advise(Advice::HugePage);
        }
        wanted
    }

    /// Has the kernel give the memory of the pages in `range` now, so that no write waits for it later.
    ///
    /// # Panics
    /// If `range` ends behind the memory.
    pub(crate) fn populate(&self, range: Range<usize>) {
        let _ = self.start(&range);
        // Only advice: a kernel before 5.14 refuses it, and the memory is given page by page as it is written.
        let _ = self.map.advise_range(Advice::PopulateWrite, range.start, range.len());
    }

    #[inline]
    fn start(&self, range: &Range<usize>) -> *mut u8 {
        assert!(
            range.start <= range.end && range.end <= self.map.len(),
            "{range:?} of {} bytes",
            self.map.len()
        );
        // SAFETY: `range.start` is within the map or at its end, as was just asserted.
        unsafe { self.map.as_mut_ptr().add(range.start) }
    }

    /// The bytes in `range`.
    ///
    /// # Safety
    /// Nobody writes to them while the reference lives.
    ///
    /// # Panics
    /// If `range` ends behind the memory.
    #[inline]
    pub(crate) unsafe fn bytes(&self, range: Range<usize>) -> &[u8] {
        let start = self.start(&range);
        // SAFETY: the range lies in the map, which lives as long as `self`; every byte of it is initialised, to zero by
        // the kernel at first; nobody writes meanwhile, by the caller's word.
        unsafe { std::slice::from_raw_parts(start, range.len()) }
    }

    /// The bytes in `range`, to be changed.
    ///
    /// # Safety
    /// No other reference to any of them lives as long as this one. [`Memory::copy_out`] makes none.
    ///
    /// # Panics
    /// If `range` ends behind the memory.
    #[inline]
    #[expect(clippy::mut_from_ref, reason = "the caller vouches for being the only one")]
    pub(crate) unsafe fn bytes_mut(&self, range: Range<usize>) -> &mut [u8] {
        let start = self.start(&range);
        // SAFETY: as in `bytes`, and this is the only reference, by the caller's word.
        unsafe { std::slice::from_raw_parts_mut(start, range.len()) }
    }

    /// Asks the processor to fetch the cache lines of the bytes in `range`: a hint that changes nothing.
    ///
    /// # Panics
    /// If `range` ends behind the memory.
    #[inline]
    pub(crate) fn prefetch(&self, range: Range<usize>) {
        let start = self.start(&range);
        #[cfg(target_arch = "x86_64")]
        // From the first line on, which may begin before the range.
        for offset in (0..start as usize % LINE_BYTES + range.len()).step_by(LINE_BYTES) {
            // SAFETY: every x86-64 has the instruction, and it faults at no address; the address is that of a byte of the range,
            // or of one behind it in the line of its last.
            unsafe {
                std::arch::x86_64::_mm_prefetch(
                    start.cast::<i8>().wrapping_add(offset),
                    std::arch::x86_64::_MM_HINT_T0,
                );
            }
        }
        #[cfg(not(target_arch = "x86_64"))]
        let _unused = start;
    }

    /// Copies whole words from byte `at` on, a multiple of eight, at any time. Where the owner writes meanwhile, what comes
    /// is worth nothing.
    ///
    /// # Panics
    /// If `at` is no multiple of eight or the words end behind the memory.
    pub(crate) fn copy_out(&self, at: usize, into: &mut [u64]) {
        let start = self.start(&(at..at + size_of_val(into))).cast::<u64>();
        assert!(start.is_aligned(), "words are copied");
        for (index, word) in into.iter_mut().enumerate() {
            // SAFETY: word `index` lies in the map, as was asserted, and is aligned. The head of the module says why a store
            // that races with this load does no harm.
            let source = unsafe { AtomicU64::from_ptr(start.add(index)) };
            *word = source.load(Ordering::Relaxed);
        }
    }
}

/// Many counters that are zero at first and take memory only where they are touched.
#[derive(Debug)]
pub(crate) struct Words {
    map: MmapRaw,
    len: usize,
}

impl Words {
    /// `len` zeros.
    pub(crate) fn new(len: usize) -> io::Result<Self> {
        let bytes = len.max(1) * size_of::<AtomicU32>();
        Ok(Self {
            map: reserve(bytes)?.into(),
            len,
        })
    }

    /// All of them.
    pub(crate) fn get(&self) -> &[AtomicU32] {
        // SAFETY: the map holds so many aligned words, initialised to zero by the kernel, lives as long as `self`, and is
        // reached in no other way than as these atomics.
        unsafe { std::slice::from_raw_parts(self.map.as_mut_ptr().cast::<AtomicU32>(), self.len) }
    }
}
