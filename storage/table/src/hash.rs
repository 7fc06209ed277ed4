//! A hash table of plain keys and values whose whole state is the bytes of its region.
//!
//! ```text
//! slot 0: head       slot 1 + i: entry i of a power of two
//! ┌──────────────┐   ┌─────────────┬─────┬───────┬───────┐
//! │ seed, length │   │ used u64    │ key │ value │ zeros │   an unused entry is all zeros
//! └──────────────┘   └─────────────┴─────┴───────┴───────┘
//! ```
//!
//! Open addressing, linear probing, at most three quarters full. A removal moves the entries behind it back, so no
//! tombstones gather. The order of entries depends on the history: whoever needs a canonical order sorts.

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use crate::{Region, RegionError, RegionSpec, SLOT_ALIGN};

/// The entries of a new table.
const ENTRIES_MIN: usize = 64;
/// "TGHT" and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"TGHT0001");
/// An entry is used when its first word is this, and free when it is zero.
const USED: u64 = 1;
/// Where the key begins in a slot.
const KEY_AT: usize = 8;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Head {
    magic: u64,
    seed: u64,
    length: u64,
    key_bytes: u32,
    value_bytes: u32,
}

/// Why a region is not opened as a hash table.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HashTableError {
    /// The region cannot be made or grown.
    #[error(transparent)]
    Region(#[from] RegionError),
    /// The region does not hold a table of these keys and values.
    #[error("region {name} holds no table of {key_bytes} B keys and {value_bytes} B values")]
    NotATable {
        /// The region.
        name: &'static str,
        /// The size of a key.
        key_bytes: usize,
        /// The size of a value.
        value_bytes: usize,
    },
}

/// A hash table over a [`Region`].
#[derive(Debug)]
pub struct HashTable<K, V> {
    region: Region,
    _entries: PhantomData<(K, V)>,
}

impl<K: Pod + Eq, V: Pod> HashTable<K, V> {
    /// Where the value begins in a slot.
    const VALUE_AT: usize = (KEY_AT + size_of::<K>()).next_multiple_of(align_of::<V>());

    /// The size of a slot, in bytes.
    pub const SLOT_BYTES: usize = {
        assert!(align_of::<K>() <= KEY_AT, "keys stand behind one word");
        assert!(align_of::<V>() <= SLOT_ALIGN, "slots are aligned to a cache line");
        let used = Self::VALUE_AT + size_of::<V>();
        let needed = if used > size_of::<Head>() {
            used
        } else {
            size_of::<Head>()
        };
        needed.next_multiple_of(SLOT_ALIGN)
    };

    /// The region that a table of at least `entries_max` entries needs.
    ///
    /// # Panics
    /// If the number does not fit the address space.
    #[must_use]
    pub fn spec(name: &'static str, entries_max: usize) -> RegionSpec {
        let places = entries_max
            .max(ENTRIES_MIN)
            .checked_mul(4)
            .expect("a table fits the address space")
            / 3
            + 1;
        RegionSpec {
            name,
            slot_bytes: Self::SLOT_BYTES,
            slots_max: 1 + places.next_power_of_two(),
        }
    }

    /// Makes an empty table in `region`, which is empty and of the shape [`HashTable::spec`] says.
    ///
    /// `seed` makes the places of keys unknown to those who choose keys: draw it at random once. It is kept in the
    /// region, so that a reloaded table finds its entries.
    ///
    /// # Errors
    /// [`HashTableError::NotATable`] for a region of another shape or with slots, [`HashTableError::Region`].
    pub fn create(mut region: Region, seed: u64) -> Result<Self, HashTableError> {
        if region.spec().slot_bytes != Self::SLOT_BYTES || !region.is_empty() {
            return Err(Self::not_a_table(&region));
        }
        region.grow(1 + ENTRIES_MIN)?;
        *region.slot_as_mut(0) = Head {
            magic: MAGIC,
            seed,
            length: 0,
            key_bytes: Self::bytes_u32(size_of::<K>()),
            value_bytes: Self::bytes_u32(size_of::<V>()),
        };
        Ok(Self {
            region,
            _entries: PhantomData,
        })
    }

    /// Takes over a region that a checkpoint has given back.
    ///
    /// # Errors
    /// [`HashTableError::NotATable`] when its head is not that of such a table.
    pub fn open(region: Region) -> Result<Self, HashTableError> {
        let shaped = region.spec().slot_bytes == Self::SLOT_BYTES
            && region
                .len()
                .checked_sub(1)
                .is_some_and(|n| n >= ENTRIES_MIN && n.is_power_of_two());
        let head: Option<&Head> = shaped.then(|| region.slot_as(0));
        let good = head.is_some_and(|head| {
            head.magic == MAGIC
                && head.key_bytes == Self::bytes_u32(size_of::<K>())
                && head.value_bytes == Self::bytes_u32(size_of::<V>())
                && head.length <= (region.len() - 1) as u64 * 3 / 4
        });
        if good {
            Ok(Self {
                region,
                _entries: PhantomData,
            })
        } else {
            Err(Self::not_a_table(&region))
        }
    }

    fn not_a_table(region: &Region) -> HashTableError {
        let (key_bytes, value_bytes) = (size_of::<K>(), size_of::<V>());
        HashTableError::NotATable {
            name: region.spec().name,
            key_bytes,
            value_bytes,
        }
    }

    fn bytes_u32(bytes: usize) -> u32 {
        u32::try_from(bytes).expect("keys and values are short")
    }

    fn head(&self) -> &Head {
        self.region.slot_as(0)
    }

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.head().length).expect("entries are in memory")
    }

    /// True while there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks the processor to fetch the place of `key`. A caller that has many keys at hand does this some ten keys ahead:
    /// in a table larger than the caches, waiting for memory is most of what a call costs.
    pub fn prefetch(&self, key: &K) {
        self.region.prefetch(1 + self.home(key));
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        Some(self.value(self.find(key).ok()?))
    }

    /// The value of `key`, to be changed; its pages are dirty from now on.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let place = self.find(key).ok()?;
        let slot = self.region.slot_mut(1 + place);
        Some(bytemuck::from_bytes_mut(
            &mut slot[Self::VALUE_AT..Self::VALUE_AT + size_of::<V>()],
        ))
    }

    /// Sets the value of `key` and returns the one before.
    ///
    /// # Errors
    /// [`RegionError::Full`] when the table would have to grow beyond its region; nothing has changed then.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V>, RegionError> {
        let place = match self.find(&key) {
            Ok(place) => {
                let before = *self.value(place);
                self.put(place, &key, &value);
                return Ok(Some(before));
            }
            Err(free) => free,
        };
        let place = if (self.len() + 1) * 4 > self.places() * 3 {
            self.double()?;
            self.find(&key).expect_err("the key is new")
        } else {
            place
        };
        self.put(place, &key, &value);
        self.region.slot_as_mut::<Head>(0).length += 1;
        Ok(None)
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let mut hole = self.find(key).ok()?;
        let removed = *self.value(hole);
        let mut place = self.after(hole);
        // Backward shift (Knuth 6.4, algorithm R): an entry moves into the hole unless its home lies behind the hole.
        while self.is_used(place) {
            let home = self.home(self.key(place));
            let moved = place.wrapping_sub(home) & (self.places() - 1);
            let gap = place.wrapping_sub(hole) & (self.places() - 1);
            if moved >= gap {
                let (key, value) = (*self.key(place), *self.value(place));
                self.put(hole, &key, &value);
                hole = place;
            }
            place = self.after(place);
        }
        self.region.slot_mut(1 + hole).fill(0);
        self.region.slot_as_mut::<Head>(0).length -= 1;
        Some(removed)
    }

    /// All entries, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        (0..self.places())
            .filter(|place| self.is_used(*place))
            .map(|place| (self.key(place), self.value(place)))
    }

    /// The region, to be written in a checkpoint.
    #[must_use]
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The region, to be written in a checkpoint. To change its slots is to destroy the table.
    pub const fn region_mut(&mut self) -> &mut Region {
        &mut self.region
    }

    fn places(&self) -> usize {
        self.region.len() - 1
    }

    fn after(&self, place: usize) -> usize {
        (place + 1) & (self.places() - 1)
    }

    fn is_used(&self, place: usize) -> bool {
        *self.region.slot_as::<u64>(1 + place) == USED
    }

    fn key(&self, place: usize) -> &K {
        bytemuck::from_bytes(&self.region.slot(1 + place)[KEY_AT..KEY_AT + size_of::<K>()])
    }

    fn value(&self, place: usize) -> &V {
        bytemuck::from_bytes(&self.region.slot(1 + place)[Self::VALUE_AT..Self::VALUE_AT + size_of::<V>()])
    }

    fn put(&mut self, place: usize, key: &K, value: &V) {
        let slot = self.region.slot_mut(1 + place);
        slot[..KEY_AT].copy_from_slice(&USED.to_le_bytes());
        slot[KEY_AT..KEY_AT + size_of::<K>()].copy_from_slice(bytemuck::bytes_of(key));
        slot[Self::VALUE_AT..Self::VALUE_AT + size_of::<V>()].copy_from_slice(bytemuck::bytes_of(value));
    }

    fn home(&self, key: &K) -> usize {
        let hash = hash(self.head().seed, bytemuck::bytes_of(key));
        // The high bits, which the multiplication has mixed best.
        let bits = self.places().trailing_zeros();
        usize::try_from(hash >> (u64::BITS - bits)).expect("places are in memory")
    }

    /// The place of `key`, or else the free place where it would stand.
    fn find(&self, key: &K) -> Result<usize, usize> {
        let mut place = self.home(key);
        while self.is_used(place) {
            if self.key(place) == key {
                return Ok(place);
            }
            place = self.after(place);
        }
        Err(place)
    }

    /// Doubles the places and puts all entries at their new ones.
    fn double(&mut self) -> Result<(), RegionError> {
        let old = self.places();
        self.region.grow(1 + 2 * old)?;
        let used: Vec<usize> = (1..=old)
            .filter(|slot| *self.region.slot_as::<u64>(*slot) == USED)
            .collect();
        let entries: Vec<(K, V)> = used
            .iter()
            .map(|slot| (*self.key(slot - 1), *self.value(slot - 1)))
            .collect();
        for slot in used {
            self.region.slot_mut(slot).fill(0);
        }
        for (key, value) in entries {
            let free = self.find(&key).expect_err("every key was there once");
            self.put(free, &key, &value);
        }
        Ok(())
    }
}

/// A keyed hash for placing, by folded multiplication (as in wyhash by Wang Yi). Not for integrity.
fn hash(seed: u64, bytes: &[u8]) -> u64 {
    let fold = |a: u64, b: u64| {
        let product = u128::from(a) * u128::from(b);
        let low = u64::try_from(product & u128::from(u64::MAX)).expect("masked");
        low ^ u64::try_from(product >> 64).expect("shifted")
    };
    let (words, rest) = bytes.as_chunks::<8>();
    let mut last = [0; 8];
    last[..rest.len()].copy_from_slice(rest);
    let start = fold(seed ^ 0xa076_1d64_78bd_642f, bytes.len() as u64 ^ 0xe703_7ed1_a0b4_28db);
    let state = words.iter().chain([&last]).fold(start, |state, word| {
        fold(state ^ u64::from_le_bytes(*word), seed ^ 0x8ebc_6af0_9c88_c6e3)
    });
    fold(state, 0x5899_65cc_7537_4cc3)
}
