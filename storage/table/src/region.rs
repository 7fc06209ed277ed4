//! Fixed-size slots in memory that never move, with the pages that changed.

use std::ops::Range;

use bytemuck::Pod;
use memmap2::{Advice, MmapMut, MmapOptions};

use crate::{PAGE_BYTES, PageSet, pages::pages_of};

/// Every slot begins at a multiple of this, in bytes: a cache line.
pub const SLOT_ALIGN: usize = 64;
/// Maps from this size on ask for huge pages; below, they would cost more memory than the table.
const HUGE_FROM_BYTES: usize = 2 << 20;

/// What a region is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RegionSpec {
    /// Its name, part of its file names: 1 to 24 of `a`–`z`, `0`–`9` and `-`.
    pub name: &'static str,
    /// The size of a slot: a multiple of [`SLOT_ALIGN`].
    pub slot_bytes: usize,
    /// The most slots it may ever have. Address space for them is reserved at once, memory is taken as they are used.
    pub slots_max: usize,
}

/// Why a region cannot be made or grown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// The name is empty, too long or has other characters.
    #[error("`{name}` is no name for a region")]
    BadName {
        /// The name.
        name: &'static str,
    },
    /// The slot size is zero or no multiple of [`SLOT_ALIGN`], or the whole size does not fit the address space.
    #[error("region {name}: {slots_max} slots of {slot_bytes} bytes cannot be laid out")]
    BadSize {
        /// The region.
        name: &'static str,
        /// The size of a slot.
        slot_bytes: usize,
        /// The most slots.
        slots_max: usize,
    },
    /// The kernel gives no address space.
    #[error("region {name}: no address space for {bytes} bytes (errno {errno})")]
    Map {
        /// The region.
        name: &'static str,
        /// The size asked for.
        bytes: usize,
        /// The operating system's number for the error.
        errno: i32,
    },
    /// The region has all the slots it may have.
    #[error("region {name} is full: {wanted} slots asked for, {slots_max} at most")]
    Full {
        /// The region.
        name: &'static str,
        /// The slots asked for.
        wanted: usize,
        /// The most slots.
        slots_max: usize,
    },
}

/// Slots of bytes in an anonymous map.
///
/// The whole address range is reserved when the region is made, so growing never moves a slot. Bytes that were never
/// written are zeros and take no memory.
#[derive(Debug)]
pub struct Region {
    spec: RegionSpec,
    map: MmapMut,
    slots: usize,
    dirty: PageSet,
}

impl RegionSpec {
    /// The bytes of a full region.
    ///
    /// # Errors
    /// [`RegionError::BadName`], [`RegionError::BadSize`].
    fn bytes_max(&self) -> Result<usize, RegionError> {
        let Self {
            name,
            slot_bytes,
            slots_max,
        } = *self;
        let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        if name.is_empty() || name.len() > 24 || !name.chars().all(fits) {
            return Err(RegionError::BadName { name });
        }
        let aligned = slot_bytes > 0 && slot_bytes.is_multiple_of(SLOT_ALIGN) && slots_max > 0;
        let bytes = slot_bytes
            .checked_mul(slots_max)
            .and_then(|bytes| bytes.checked_next_multiple_of(PAGE_BYTES));
        bytes.filter(|_| aligned).ok_or(RegionError::BadSize {
            name,
            slot_bytes,
            slots_max,
        })
    }
}

impl Region {
    /// A region without slots.
    ///
    /// # Errors
    /// [`RegionError`], all but `Full`.
    pub fn new(spec: RegionSpec) -> Result<Self, RegionError> {
        let bytes = spec.bytes_max()?;
        let failed = |e: std::io::Error| RegionError::Map {
            name: spec.name,
            bytes,
            errno: e.raw_os_error().unwrap_or_default(),
        };
        let map = MmapOptions::new()
            .len(bytes)
            .no_reserve_swap()
            .map_anon()
            .map_err(failed)?;
        if bytes >= HUGE_FROM_BYTES {
            // Only advice: a kernel built without huge pages refuses it, and everything works, slower.
            let _ = map.advise(Advice::HugePage);
        }
        Ok(Self {
            spec,
            map,
            slots: 0,
            dirty: PageSet::new(),
        })
    }

    /// What the region is.
    #[must_use]
    pub const fn spec(&self) -> &RegionSpec {
        &self.spec
    }

    /// How many slots there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.slots
    }

    /// True while there are no slots.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.slots == 0
    }

    /// How many pages the slots lie in.
    #[must_use]
    pub const fn pages(&self) -> usize {
        pages_of(self.slots * self.spec.slot_bytes)
    }

    fn range(&self, index: usize) -> Range<usize> {
        assert!(
            index < self.slots,
            "region {}: slot {index} of {}",
            self.spec.name,
            self.slots
        );
        let from = index * self.spec.slot_bytes;
        from..from + self.spec.slot_bytes
    }

    /// The bytes of a slot.
    ///
    /// # Panics
    /// If `index` is not below [`Region::len`].
    #[must_use]
    pub fn slot(&self, index: usize) -> &[u8] {
        &self.map[self.range(index)]
    }

    /// The bytes of a slot, to be changed; its pages are dirty from now on.
    ///
    /// # Panics
    /// If `index` is not below [`Region::len`].
    pub fn slot_mut(&mut self, index: usize) -> &mut [u8] {
        self.mark_dirty(index);
        let range = self.range(index);
        &mut self.map[range]
    }

    /// Marks the pages of a slot as changed since the last checkpoint.
    ///
    /// # Panics
    /// If `index` is not below [`Region::len`].
    pub fn mark_dirty(&mut self, index: usize) {
        let range = self.range(index);
        self.dirty.insert_range(range.start / PAGE_BYTES..pages_of(range.end));
    }

    /// The start of a slot as a value.
    ///
    /// # Panics
    /// If `index` is not below [`Region::len`], or `T` is longer than a slot or aligned to more than [`SLOT_ALIGN`].
    #[must_use]
    pub fn slot_as<T: Pod>(&self, index: usize) -> &T {
        const { assert!(align_of::<T>() <= SLOT_ALIGN, "slots are aligned to a cache line") };
        bytemuck::from_bytes(&self.slot(index)[..size_of::<T>()])
    }

    /// The start of a slot as a value, to be changed; its pages are dirty from now on.
    ///
    /// # Panics
    /// As [`Region::slot_as`].
    pub fn slot_as_mut<T: Pod>(&mut self, index: usize) -> &mut T {
        const { assert!(align_of::<T>() <= SLOT_ALIGN, "slots are aligned to a cache line") };
        bytemuck::from_bytes_mut(&mut self.slot_mut(index)[..size_of::<T>()])
    }

    /// Appends zeroed slots until there are `len`; fewer than now is no error and changes nothing.
    ///
    /// # Errors
    /// [`RegionError::Full`]; nothing has changed then.
    pub fn grow(&mut self, len: usize) -> Result<(), RegionError> {
        let RegionSpec {
            name,
            slots_max,
            slot_bytes,
        } = self.spec;
        if len > slots_max {
            return Err(RegionError::Full {
                name,
                wanted: len,
                slots_max,
            });
        }
        if len > self.slots {
            let from = self.slots * slot_bytes / PAGE_BYTES;
            self.slots = len;
            // Also pages of zeros are written: an image file then has every page below its length.
            self.dirty.insert_range(from..self.pages());
        }
        Ok(())
    }

    /// The bytes of one page; behind the last slot, zeros.
    ///
    /// # Panics
    /// If `page` is not below [`Region::pages`].
    #[must_use]
    pub fn page(&self, page: usize) -> &[u8] {
        assert!(
            page < self.pages(),
            "region {}: page {page} of {}",
            self.spec.name,
            self.pages()
        );
        &self.map[page * PAGE_BYTES..(page + 1) * PAGE_BYTES]
    }

    /// The pages changed since this was last called.
    #[must_use = "the pages are forgotten as dirty"]
    pub fn take_dirty(&mut self) -> PageSet {
        std::mem::take(&mut self.dirty)
    }

    /// The pages changed since [`Region::take_dirty`].
    #[must_use]
    pub const fn dirty(&self) -> &PageSet {
        &self.dirty
    }

    /// All bytes of pages `range`, to be filled from an image: not dirty by that.
    pub(crate) fn load_pages(&mut self, range: Range<usize>) -> &mut [u8] {
        &mut self.map[range.start * PAGE_BYTES..range.end * PAGE_BYTES]
    }

    /// Sets the length of a region that is being loaded.
    pub(crate) fn load_len(&mut self, len: usize) -> Result<(), RegionError> {
        assert!(self.is_empty(), "only a new region is loaded");
        self.grow(len)?;
        self.dirty.clear();
        Ok(())
    }
}
