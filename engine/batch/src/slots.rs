//! Memory that the engine does not own: fixed-size slots, and records in them.

use core::marker::PhantomData;
use core::ops::Range;

use bytemuck::Pod;

/// The caller's memory could not grow.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a table has reached its capacity of {capacity} slots")]
pub struct SlotsFull {
    /// How many slots it can hold.
    pub capacity: usize,
}

/// A table of slots of one size, aligned to at least 8 bytes, zeroed when new.
///
/// The hub implements this over mapped tables whose dirty pages a checkpoint collects; tests use [`VecSlots`].
pub trait Slots: Sync {
    /// How many slots there are.
    fn len(&self) -> usize;

    /// True while there are none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes of a slot.
    ///
    /// # Panics
    /// If `index` is not below [`Slots::len`].
    fn slot(&self, index: usize) -> &[u8];

    /// The bytes of a slot, to be changed; the slot counts as dirty from now on.
    ///
    /// # Panics
    /// As [`Slots::slot`].
    fn slot_mut(&mut self, index: usize) -> &mut [u8];

    /// A slot as the record that it holds. Whoever knows how its slots lie finds one faster when the width is a constant.
    ///
    /// # Panics
    /// As [`Slots::slot`], or if a slot is no `R`.
    #[inline]
    fn record<R: Pod>(&self, index: usize) -> &R {
        bytemuck::from_bytes(self.slot(index))
    }

    /// A slot as the record that it holds, to be changed; it counts as dirty from now on.
    ///
    /// # Panics
    /// As [`Slots::record`].
    #[inline]
    fn record_mut<R: Pod>(&mut self, index: usize) -> &mut R {
        bytemuck::from_bytes_mut(self.slot_mut(index))
    }

    /// Asks the processor to fetch a part of a slot that will soon be looked at: a hint that changes nothing.
    ///
    /// # Panics
    /// May panic if `index` is not below [`Slots::len`] or the part ends behind the slot.
    fn prefetch(&self, index: usize, part: Range<usize>) {
        let _nothing_to_ask = (index, part);
    }

    /// As [`Slots::prefetch`], for the whole record of a slot.
    ///
    /// # Panics
    /// May panic as [`Slots::record`] does.
    #[inline]
    fn prefetch_record<R: Pod>(&self, index: usize) {
        self.prefetch(index, 0..size_of::<R>());
    }

    /// Appends zeroed slots until there are `len`.
    ///
    /// # Errors
    /// [`SlotsFull`]; nothing has changed then.
    fn grow(&mut self, len: usize) -> Result<(), SlotsFull>;
}

/// Slots on the heap, for tests and for programs that keep nothing.
#[derive(Clone, Debug)]
pub struct VecSlots {
    words: Vec<u64>,
    words_per_slot: usize,
    capacity: usize,
}

impl VecSlots {
    /// No slots of `slot_bytes` each, at most `capacity` of them later.
    ///
    /// # Panics
    /// If `slot_bytes` is zero or not a multiple of 8.
    #[must_use]
    pub fn new(slot_bytes: usize, capacity: usize) -> Self {
        assert!(
            slot_bytes > 0 && slot_bytes.is_multiple_of(8),
            "records are whole words"
        );
        Self {
            words: Vec::new(),
            words_per_slot: slot_bytes / 8,
            capacity,
        }
    }
}

impl Slots for VecSlots {
    fn len(&self) -> usize {
        self.words.len() / self.words_per_slot
    }

    fn slot(&self, index: usize) -> &[u8] {
        bytemuck::cast_slice(&self.words[index * self.words_per_slot..][..self.words_per_slot])
    }

    fn slot_mut(&mut self, index: usize) -> &mut [u8] {
        bytemuck::cast_slice_mut(&mut self.words[index * self.words_per_slot..][..self.words_per_slot])
    }

    fn grow(&mut self, len: usize) -> Result<(), SlotsFull> {
        if len > self.capacity {
            return Err(SlotsFull {
                capacity: self.capacity,
            });
        }
        self.words.resize(len.max(self.len()) * self.words_per_slot, 0);
        Ok(())
    }
}

/// A link to a record of one table: its index plus one, zero for none.
pub(crate) type Link = u32;

/// A record that can stand in the list of free records of its table.
pub(crate) trait Linked: Pod {
    fn next(&self) -> Link;
    fn set_next(&mut self, next: Link);
}

/// Where a table's next record comes from. Part of the state, so that a replay takes the same records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(crate) struct Allocation {
    /// How many records were ever used.
    pub(crate) used: u32,
    /// The first free one among them.
    pub(crate) free: Link,
}

/// Records of one type in one table.
#[derive(Clone, Debug)]
pub(crate) struct Slab<R, S> {
    slots: S,
    record: PhantomData<R>,
}

/// Tables grow by this many records at a time.
const GROWTH: usize = 1024;

/// A payment looks at some thirty records. Where the look itself was left a call, a payment took 4 % more instructions; so it
/// is not left to how often each place calls it.
impl<R: Pod, S: Slots> Slab<R, S> {
    pub(crate) const fn new(slots: S) -> Self {
        Self {
            slots,
            record: PhantomData,
        }
    }

    #[inline(always)]
    pub(crate) fn get(&self, index: u32) -> &R {
        self.slots.record(index as usize)
    }

    /// Asks for a record that will soon be looked at.
    #[inline]
    pub(crate) fn prefetch(&self, index: u32) {
        self.slots.prefetch_record::<R>(index as usize);
    }

    #[inline(always)]
    pub(crate) fn get_mut(&mut self, index: u32) -> &mut R {
        self.slots.record_mut(index as usize)
    }

    /// Makes sure that `more` records beyond `used` can be taken without growing.
    pub(crate) fn reserve(&mut self, used: u32, more: usize) -> Result<(), SlotsFull> {
        let need = used as usize + more;
        if need <= self.slots.len() {
            return Ok(());
        }
        self.slots
            .grow(need.next_multiple_of(GROWTH))
            .or_else(|_| self.slots.grow(need))
    }

    /// Asks for a linked record, if there is one.
    #[inline]
    pub(crate) fn prefetch_at(&self, link: Link) {
        if link != 0 {
            self.prefetch(link - 1);
        }
    }

    /// As [`Slab::prefetch_at`], for some bytes of the record.
    #[inline]
    pub(crate) fn prefetch_part_at(&self, link: Link, part: Range<usize>) {
        if link != 0 {
            self.slots.prefetch((link - 1) as usize, part);
        }
    }

    #[inline(always)]
    pub(crate) fn at(&self, link: Link) -> &R {
        self.get(link - 1)
    }

    #[inline(always)]
    pub(crate) fn at_mut(&mut self, link: Link) -> &mut R {
        self.get_mut(link - 1)
    }

    pub(crate) const fn slots(&self) -> &S {
        &self.slots
    }

    pub(crate) const fn slots_mut(&mut self) -> &mut S {
        &mut self.slots
    }
}

impl<R: Linked, S: Slots> Slab<R, S> {
    /// The link behind `count` others of a list; zero behind its end.
    pub(crate) fn behind(&self, first: Link, count: u32) -> Link {
        (0..count).fold(first, |link, _| if link == 0 { 0 } else { self.at(link).next() })
    }

    /// Takes a free record, or a new one that [`Slab::reserve`] has made room for, and writes `record` there.
    pub(crate) fn take(&mut self, allocation: &mut Allocation, record: R) -> Link {
        let link = if allocation.free == 0 {
            allocation.used += 1;
            allocation.used
        } else {
            let link = allocation.free;
            allocation.free = self.at(link).next();
            // The next one taken has lain for long.
            self.prefetch_at(allocation.free);
            link
        };
        *self.at_mut(link) = record;
        link
    }

    /// Gives a record back.
    pub(crate) fn give(&mut self, allocation: &mut Allocation, link: Link) {
        let record = self.at_mut(link);
        *record = R::zeroed();
        record.set_next(allocation.free);
        allocation.free = link;
    }
}
