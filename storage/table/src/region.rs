//! Fixed-size slots in memory that never move, with the pages that changed.

use std::{ops::Range, sync::Arc};

use bytemuck::Pod;

use crate::{PAGE_BYTES, PageSet, memory::Memory, pages::pages_of, pin::PinnedRegion};

/// Every slot begins at a multiple of this, in bytes: a cache line.
pub const SLOT_ALIGN: usize = 64;

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
///
/// A region has one writer. While a checkpoint of it is written, in another thread, it is *pinned*: the first write to a
/// block that the checkpoint still needs saves that block first.
#[derive(Debug)]
pub struct Region {
    spec: RegionSpec,
    /// Changed only through `&mut self`.
    memory: Arc<Memory>,
    slots: usize,
    /// Huge pages were asked for: it is no small table any more.
    huge: bool,
    /// Bytes of all slots together.
    bytes: usize,
    dirty: PageSet,
    pin: Option<Arc<PinnedRegion>>,
}

impl RegionError {
    fn of_map(name: &'static str, bytes: usize, error: &std::io::Error) -> Self {
        let errno = error.raw_os_error().unwrap_or_default();
        Self::Map { name, bytes, errno }
    }
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
        let failed = |error| RegionError::of_map(spec.name, bytes, &error);
        Ok(Self {
            spec,
            memory: Arc::new(Memory::reserve(bytes).map_err(failed)?),
            slots: 0,
            huge: false,
            bytes: 0,
            dirty: PageSet::new(),
            pin: None,
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
        // SAFETY: the region's bytes are written only through `&mut self`, which `&self` excludes.
        unsafe { self.memory.bytes(self.range(index)) }
    }

    /// Asks the processor to fetch a slot that will soon be read or changed: a hint that changes nothing.
    ///
    /// # Panics
    /// If `index` is not below [`Region::len`].
    pub fn prefetch(&self, index: usize) {
        self.memory.prefetch(self.range(index));
    }

    /// As [`Region::prefetch`], for a part of a slot.
    ///
    /// # Panics
    /// As [`Region::part_mut`].
    pub fn prefetch_part(&self, index: usize, part: Range<usize>) {
        let slot = self.range(index);
        assert!(part.end <= slot.len(), "{part:?} of a slot of {} bytes", slot.len());
        self.memory.prefetch(slot.start + part.start..slot.start + part.end);
    }

    /// As [`Region::prefetch`], for the value at byte `at` of all slots together.
    ///
    /// # Panics
    /// As [`Region::value_at`].
    #[inline]
    pub fn prefetch_value<T: Pod>(&self, at: usize) {
        self.memory.prefetch(self.check_value::<T>(at));
    }

    /// The bytes of a slot, to be changed; its pages are dirty from now on.
    ///
    /// # Panics
    /// If `index` is not below [`Region::len`].
    pub fn slot_mut(&mut self, index: usize) -> &mut [u8] {
        self.bytes_mut(self.range(index))
    }

    /// A part of the bytes of a slot, to be changed; only the pages of that part are dirty from now on.
    ///
    /// # Panics
    /// If `index` is not below [`Region::len`], or `part` ends behind the slot.
    pub fn part_mut(&mut self, index: usize, part: Range<usize>) -> &mut [u8] {
        let slot = self.range(index);
        assert!(part.end <= slot.len(), "{part:?} of a slot of {} bytes", slot.len());
        self.bytes_mut(slot.start + part.start..slot.start + part.end)
    }

    /// The value at byte `at` of all slots together.
    ///
    /// # Panics
    /// If it ends behind the last slot, or lies at no multiple of its alignment.
    #[inline]
    #[must_use]
    pub fn value_at<T: Pod>(&self, at: usize) -> &T {
        let range = self.check_value::<T>(at);
        // SAFETY: the region's bytes are written only through `&mut self`, which `&self` excludes.
        bytemuck::from_bytes(unsafe { self.memory.bytes(range) })
    }

    /// The value at byte `at` of all slots together, to be changed; its pages are dirty from now on.
    ///
    /// # Panics
    /// As [`Region::value_at`].
    #[inline]
    #[must_use]
    pub fn value_at_mut<T: Pod>(&mut self, at: usize) -> &mut T {
        let range = self.check_value::<T>(at);
        bytemuck::from_bytes_mut(self.bytes_mut(range))
    }

    #[inline]
    fn check_value<T>(&self, at: usize) -> Range<usize> {
        let range = at..at + size_of::<T>();
        assert!(
            range.end <= self.bytes,
            "region {}: bytes {range:?} of {} slots",
            self.spec.name,
            self.slots
        );
        range
    }

    #[inline]
    fn bytes_mut(&mut self, range: Range<usize>) -> &mut [u8] {
        if let Some(pin) = &self.pin {
            // SAFETY: this region owns the memory, and `&mut self` says that nobody else is here.
            unsafe { pin.save(range.clone()) };
        }
        self.dirty.insert_range(range.start / PAGE_BYTES..pages_of(range.end));
        // SAFETY: `&mut self` excludes every other reference to the region's bytes.
        unsafe { self.memory.bytes_mut(range) }
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
        if len > self.spec.slots_max {
            return Err(self.full(len));
        }
        if len > self.slots {
            let from = self.slots * self.spec.slot_bytes / PAGE_BYTES;
            (self.slots, self.bytes) = (len, len * self.spec.slot_bytes);
            self.huge = self.huge || self.memory.advise_huge(len * self.spec.slot_bytes);
            // Also pages of zeros are written: an image file then has every page below its length.
            self.dirty.insert_range(from..self.pages());
        }
        Ok(())
    }

    /// Has the kernel give the memory of the next `bytes` behind the last slot, so that growth soon after does not wait for it: a
    /// huge page takes some 100 µs. Nothing changes by it but how much memory is resident. As much as the region may have is
    /// touched at most; how much that was, in bytes.
    pub fn pre_touch(&self, bytes: usize) -> usize {
        let RegionSpec {
            slot_bytes, slots_max, ..
        } = self.spec;
        let from = self.pages() * PAGE_BYTES;
        let end = (from + bytes).min(slot_bytes * slots_max) / PAGE_BYTES * PAGE_BYTES;
        if from < end {
            self.memory.populate(from..end);
        }
        end.saturating_sub(from)
    }

    /// That there are no `wanted` slots.
    pub(crate) const fn full(&self, wanted: usize) -> RegionError {
        RegionError::Full {
            name: self.spec.name,
            wanted,
            slots_max: self.spec.slots_max,
        }
    }

    /// The pages changed since [`Region::take_dirty`].
    #[must_use]
    pub const fn dirty(&self) -> &PageSet {
        &self.dirty
    }

    /// The pages changed since this was last called, or since a checkpoint was begun.
    #[must_use = "the pages are forgotten as dirty"]
    pub fn take_dirty(&mut self) -> PageSet {
        std::mem::take(&mut self.dirty)
    }

    /// Keeps what `pending` pages hold now for whoever has the pin, until [`Region::unpin`].
    ///
    /// # Panics
    /// If it is pinned already: the first checkpoint would see pages change.
    pub(crate) fn pin(&mut self, pending: PageSet) -> Result<Arc<PinnedRegion>, RegionError> {
        assert!(self.pin.is_none(), "a region is pinned by one checkpoint at a time");
        let bytes = pending.count() * PAGE_BYTES;
        let pin = PinnedRegion::new(Arc::clone(&self.memory), self.slots, self.pages(), pending);
        let pin = Arc::new(pin.map_err(|error| RegionError::of_map(self.spec.name, bytes, &error))?);
        self.pin = Some(Arc::clone(&pin));
        Ok(pin)
    }

    /// Writes cost nothing more from now on; what was saved is freed with the last who has the pin.
    pub(crate) fn unpin(&mut self) {
        self.pin = None;
    }

    /// Writes whole pages, as an image that is kept elsewhere has them; they are dirty from now on.
    ///
    /// # Panics
    /// If `bytes` are not whole pages, or end behind the last page of the region.
    pub fn write_pages(&mut self, first: usize, bytes: &[u8]) {
        let range = first * PAGE_BYTES..first * PAGE_BYTES + bytes.len();
        assert!(
            bytes.len().is_multiple_of(PAGE_BYTES) && range.end <= self.pages() * PAGE_BYTES,
            "region {}: bytes {range:?} of {} pages",
            self.spec.name,
            self.pages()
        );
        self.bytes_mut(range).copy_from_slice(bytes);
    }

    /// All bytes of pages `range`, to be filled from an image: not dirty by that.
    pub(crate) fn load_pages(&mut self, range: Range<usize>) -> &mut [u8] {
        assert!(self.pin.is_none(), "a region is loaded before anybody pins it");
        // SAFETY: `&mut self` excludes every other reference to the region's bytes.
        unsafe { self.memory.bytes_mut(range.start * PAGE_BYTES..range.end * PAGE_BYTES) }
    }

    /// Sets the length of a region that is being loaded.
    pub(crate) fn load_len(&mut self, len: usize) -> Result<(), RegionError> {
        assert!(self.is_empty(), "only a new region is loaded");
        self.grow(len)?;
        self.dirty.clear();
        Ok(())
    }
}
