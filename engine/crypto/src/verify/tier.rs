//! One tier of tables: a fixed number of places, given up by a clock to keys that are used more.
//!
//! A key's use is a count that is halved with every epoch (about once in as many verifications as there are keys, times
//! four), kept in one word and aged when it is looked at. A key takes the place of another only if it was used at least
//! twice as much in the same time: a flood of new keys, each used once or twice, evicts nothing that is hot.

use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

/// How often a key was used lately. Written by several threads without care for a lost count: verdicts do not depend on it.
#[derive(Debug, Default)]
pub(super) struct Uses(AtomicU32);

/// The count takes the low bits, the epoch of its last change the others.
const COUNT_BITS: u32 = 24;
const COUNT_MAX: u32 = (1 << COUNT_BITS) - 1;

impl Uses {
    /// The count as it stands in `epoch`.
    pub(super) fn at(&self, epoch: u8) -> u32 {
        self.seen_from(epoch).1
    }

    /// One more; the new count.
    pub(super) fn touch(&self, epoch: u8) -> u32 {
        let (epoch, count) = self.seen_from(epoch);
        let count = COUNT_MAX.min(count + 1);
        self.0.store(u32::from(epoch) << COUNT_BITS | count, Ordering::Relaxed);
        count
    }

    /// The epoch and count of this key for a thread that takes `epoch` for the present one. A chunk that began before the
    /// page was turned meets keys of the epoch after its own: those stay in theirs. (A key that nobody touched for 255
    /// epochs is taken for one of those and keeps what it had: at worst a table that is not missed.)
    fn seen_from(&self, epoch: u8) -> (u8, u32) {
        let word = self.0.load(Ordering::Relaxed);
        let changed = (word >> COUNT_BITS) as u8;
        match epoch.wrapping_sub(changed) {
            u8::MAX => (changed, word & COUNT_MAX),
            age => (epoch, (word & COUNT_MAX).checked_shr(age.into()).unwrap_or(0)),
        }
    }
}

/// A place in a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot(u32);

/// What stands in one place.
struct Entry<T> {
    /// The key it belongs to.
    owner: u32,
    table: Box<T>,
}

/// Places for tables of one kind.
pub(super) struct Tier<T> {
    entries: Vec<Option<Entry<T>>>,
    free: Vec<u32>,
    capacity: usize,
    /// Where the clock looks next. It goes on whenever it found nothing, so that tables which are used much hide none
    /// that are not.
    hand: AtomicUsize,
}

/// Places that the clock looks at before it gives up.
const LOOKS: usize = 16;

impl<T> Tier<T> {
    /// A tier of at most as many tables as fit into `bytes`; none of a type that has no values.
    pub(super) fn new(bytes: usize) -> Self {
        let capacity = bytes
            .checked_div(size_of::<T>())
            .unwrap_or(0)
            .min(u32::MAX as usize - 1);
        Self {
            entries: Vec::new(),
            free: Vec::new(),
            capacity,
            hand: AtomicUsize::new(0),
        }
    }

    /// Tables that are there.
    pub(super) fn len(&self) -> usize {
        self.entries.len() - self.free.len()
    }

    /// Bytes of the tables that are there.
    pub(super) fn bytes(&self) -> usize {
        self.len() * size_of::<T>()
    }

    /// The table in the place of the key `owner`.
    ///
    /// # Panics
    /// If another key's table stands there: a table never serves another key.
    pub(super) fn get(&self, slot: Slot, owner: u32) -> &T {
        let entry = self.entries[slot.0 as usize]
            .as_ref()
            .expect("a key's place holds its table");
        assert_eq!(
            entry.owner, owner,
            "a key's place changes hands together with its standing"
        );
        &entry.table
    }

    /// True if [`Tier::place`] would find a place for a key with so many uses, as far as the clock looks now.
    pub(super) fn has_room(&self, uses: u32, uses_of: impl Fn(u32) -> u32) -> bool {
        self.len() < self.capacity || self.victim(uses, uses_of).is_some()
    }

    /// Puts `table` of the key `owner` into a place: a free one, or that of a key which was used at most half as much.
    /// Gives the place and the key that lost it; `None` if no such key was found.
    pub(super) fn place(
        &mut self,
        owner: u32,
        table: Box<T>,
        uses: u32,
        uses_of: impl Fn(u32) -> u32,
    ) -> Option<(Slot, Option<u32>)> {
        let entry = Some(Entry { owner, table });
        if let Some(slot) = self.free.pop() {
            self.entries[slot as usize] = entry;
            return Some((Slot(slot), None));
        }
        if self.entries.len() < self.capacity {
            self.entries.push(entry);
            let slot = u32::try_from(self.entries.len() - 1).expect("the capacity is below 2^32");
            return Some((Slot(slot), None));
        }
        let slot = self.victim(uses, uses_of)?;
        self.turn();
        let old = core::mem::replace(&mut self.entries[slot], entry).map(|entry| entry.owner);
        Some((Slot(u32::try_from(slot).expect("the capacity is below 2^32")), old))
    }

    /// The least used of the next few places, if its key was used at most half of `uses`.
    fn victim(&self, uses: u32, uses_of: impl Fn(u32) -> u32) -> Option<usize> {
        let count = self.entries.len();
        let hand = self.hand.load(Ordering::Relaxed);
        let found = (0..LOOKS.min(count))
            .map(|look| (hand + look) % count)
            .filter_map(|slot| self.entries[slot].as_ref().map(|entry| (uses_of(entry.owner), slot)))
            .min()
            .filter(|(theirs, _)| *theirs <= uses / 2)
            .map(|(_, slot)| slot);
        if found.is_none() {
            self.turn();
        }
        found
    }

    /// Moves the clock's hand.
    fn turn(&self) {
        let next = (self.hand.load(Ordering::Relaxed) + LOOKS) % self.capacity.max(1);
        self.hand.store(next, Ordering::Relaxed);
    }

    /// Gives a place back.
    pub(super) fn release(&mut self, slot: Slot) {
        self.entries[slot.0 as usize] = None;
        self.free.push(slot.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn uses_are_halved_by_each_epoch() {
        let uses = Uses::default();
        for expected in 1..=8 {
            assert_eq!(uses.touch(250), expected);
        }
        assert_eq!((uses.at(250), uses.at(251), uses.at(253), uses.at(254)), (8, 4, 1, 0));
        assert_eq!(uses.touch(251), 5);
        assert_eq!(uses.at(251_u8.wrapping_add(40)), 0);
    }

    #[test]
    fn a_thread_that_is_an_epoch_behind_takes_nothing_away() {
        let uses = Uses::default();
        (0..8).for_each(|_| {
            uses.touch(4);
        });
        assert_eq!((uses.at(3), uses.touch(3), uses.at(4)), (8, 9, 9));
        assert_eq!(uses.at(2), 0, "two epochs behind is 254 ahead");
    }

    #[test]
    fn tables_that_are_used_much_hide_none_that_are_not() {
        // The clock first meets keys that are used much, as many as it looks at twice.
        let uses_of = |key: u32| if key < 32 { 1000 } else { 1 };
        let mut tier = Tier::<[u8; 10]>::new(10 * 48);
        for key in 0..48 {
            tier.place(key, Box::new([0; 10]), uses_of(key), uses_of)
                .expect("there is room");
        }
        let tries = (1..=3).find(|_| tier.has_room(50, uses_of));
        assert_eq!(tries, Some(3), "the third look is at places of keys used once");
        let placed = tier.place(48, Box::new([1; 10]), 50, uses_of);
        assert!(matches!(placed, Some((_, Some(32..)))), "{placed:?}");
    }

    #[test]
    fn rare_keys_do_not_evict_frequent_ones() {
        let uses = [100, 100, 100, 3];
        let uses_of = |key: u32| uses[key as usize];
        let mut tier = Tier::<[u8; 10]>::new(35);
        for key in 0..3 {
            assert!(tier.has_room(uses_of(key), uses_of));
            assert_eq!(
                tier.place(key, Box::new([0; 10]), uses_of(key), uses_of),
                Some((Slot(key), None))
            );
        }
        // 199 is not twice 100.
        assert_eq!(tier.place(3, Box::new([0; 10]), 199, uses_of), None);
        for _ in 0..100 {
            assert!(!tier.has_room(uses_of(3), uses_of));
            assert_eq!(tier.place(3, Box::new([0; 10]), uses_of(3), uses_of), None);
        }
        assert_eq!(tier.bytes(), 30);
    }

    #[test]
    fn a_key_used_twice_as_much_takes_the_least_used_place() {
        let uses = [9, 4, 7, 8];
        let uses_of = |key: u32| uses[key as usize];
        let mut tier = Tier::<[u8; 10]>::new(30);
        for key in 0..3 {
            tier.place(key, Box::new([0; 10]), uses_of(key), uses_of)
                .expect("there is room");
        }
        let (slot, evicted) = tier
            .place(3, Box::new([3; 10]), uses_of(3), uses_of)
            .expect("key 1 was used half as much");
        assert_eq!(evicted, Some(1));
        assert_eq!(tier.get(slot, 3), &[3; 10]);
        tier.release(slot);
        assert_eq!(tier.len(), 2);
        assert_eq!(tier.place(1, Box::new([1; 10]), 1, uses_of), Some((slot, None)));
    }
}
