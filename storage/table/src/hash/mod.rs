//! A hash table of plain keys and values whose whole state is the bytes of its region, and which grows without a stop.
//!
//! ```text
//! slot 0       1 … 255               256      257 … 511
//! ┌──────────┬─────────────────────┐┌───────┬─────────────────────┐
//! │ head     │ places of chunk 0   ││ head  │ places of chunk 1   │ …
//! └──────────┴─────────────────────┘└───────┴─────────────────────┘
//! head:   which hashes the chunk has: their first `depth` bits are `prefix`; in chunk 0 also seed and length of the table
//! place:  used u64 │ key │ value │ zeros         an unused place is all zeros
//! ```
//!
//! Extendible hashing (Fagin, Nievergelt, Pippenger and Strong, ACM TODS 4/3, 1979). Within a chunk: open addressing, linear
//! probing, at most seven eighths full; a removal moves the entries behind it back, so no tombstones gather. A chunk that is
//! full is split: one bit more of the hash says which entries go to a new one. So an insertion moves the entries of one chunk at
//! most, some 10 µs, however large the table is; the region grows by one chunk at a time, and a checkpoint finds two chunks
//! changed where a table that doubles is changed everywhere. What is doubled, now and then, is the directory in memory: 4 bytes
//! per chunk and bit of luck, 0.1 ms at ten million entries. It is made again when a table is opened.
//!
//! The order of entries depends on the history: whoever needs a canonical order sorts. Chunks are never joined.

mod directory;

use std::marker::PhantomData;

use bytemuck::{Pod, Zeroable};

use crate::{Region, RegionError, RegionSpec, SLOT_ALIGN};
use directory::{DEPTH_MAX, Directory};

/// The slots of a chunk, its head included.
const CHUNK_SLOTS: usize = 256;
/// The places of a chunk.
const PLACES: usize = CHUNK_SLOTS - 1;
/// A chunk of so many entries is split before it takes another.
const FULL: u16 = 223;
/// Chunks are split at different times, so some are full when others have just been split: on average they hold more than this.
const ENTRIES_MEAN_MIN: usize = 96;
/// Chunks that a small table may have beyond what the mean says.
const CHUNKS_SPARE: usize = 8;
/// "TGHT" and the version of this layout.
const MAGIC: u64 = u64::from_le_bytes(*b"TGHT0002");
/// An entry is used when its first word is this, and free when it is zero.
const USED: u64 = 1;
/// Where the key begins in a slot.
const KEY_AT: usize = 8;

#[derive(Clone, Copy, Debug, Pod, Zeroable)]
#[repr(C)]
struct Head {
    magic: u64,
    prefix: u64,
    depth: u32,
    key_bytes: u32,
    value_bytes: u32,
    zeros: u32,
    /// In chunk 0; else zero.
    seed: u64,
    /// In chunk 0; else zero.
    length: u64,
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
    seed: u64,
    directory: Directory,
    /// How many entries each chunk has.
    used: Vec<u16>,
    _entries: PhantomData<(K, V)>,
}

/// Where a key is, or would be.
#[derive(Clone, Copy, Debug)]
struct Spot {
    chunk: usize,
    place: usize,
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

    /// The region that a table of at least `entries_max` entries needs. Only address space is taken for them.
    ///
    /// # Panics
    /// If the number does not fit the address space.
    #[must_use]
    pub fn spec(name: &'static str, entries_max: usize) -> RegionSpec {
        let chunks = entries_max.div_ceil(ENTRIES_MEAN_MIN) + CHUNKS_SPARE;
        RegionSpec {
            name,
            slot_bytes: Self::SLOT_BYTES,
            slots_max: chunks.checked_mul(CHUNK_SLOTS).expect("a table fits the address space"),
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
        region.grow(CHUNK_SLOTS)?;
        *region.slot_as_mut(0) = Head {
            seed,
            ..Self::new_head(0, 0)
        };
        Ok(Self {
            region,
            seed,
            directory: Directory::new(),
            used: vec![0],
            _entries: PhantomData,
        })
    }

    /// Takes over a region that a checkpoint has given back.
    ///
    /// # Errors
    /// [`HashTableError::NotATable`] when its heads are not those of such a table, or its entries not as many as it says.
    pub fn open(region: Region) -> Result<Self, HashTableError> {
        let Some((directory, used)) = Self::parts(&region) else {
            return Err(Self::not_a_table(&region));
        };
        Ok(Self {
            seed: region.slot_as::<Head>(0).seed,
            region,
            directory,
            used,
            _entries: PhantomData,
        })
    }

    /// What the heads of a region's chunks say, if they are those of a table.
    fn parts(region: &Region) -> Option<(Directory, Vec<u16>)> {
        let shaped = region.spec().slot_bytes == Self::SLOT_BYTES && region.len().is_multiple_of(CHUNK_SLOTS);
        let count = shaped.then(|| region.len() / CHUNK_SLOTS).filter(|count| *count > 0)?;
        let head = |chunk: usize| region.slot_as::<Head>(chunk * CHUNK_SLOTS);
        let chunk = |chunk| {
            let Head { depth, prefix, .. } = *head(chunk);
            let like = Head {
                seed: head(chunk).seed,
                length: head(chunk).length,
                ..Self::new_head(depth, prefix)
            };
            (bytemuck::bytes_of(&like) == bytemuck::bytes_of(head(chunk))).then_some((depth, prefix))
        };
        let directory = Directory::of(&(0..count).map(chunk).collect::<Option<Vec<_>>>()?)?;
        let is_used = |slot: &usize| *region.slot_as::<u64>(*slot) == USED;
        let used = |chunk: usize| {
            let slots = chunk * CHUNK_SLOTS + 1..(chunk + 1) * CHUNK_SLOTS;
            u16::try_from(slots.filter(is_used).count()).expect("at most 255")
        };
        let used: Vec<u16> = (0..count).map(used).collect();
        let length: u64 = used.iter().map(|used| u64::from(*used)).sum();
        (length == head(0).length && used.iter().all(|used| *used <= FULL)).then_some((directory, used))
    }

    fn new_head(depth: u32, prefix: u64) -> Head {
        Head {
            magic: MAGIC,
            prefix,
            depth,
            key_bytes: Self::bytes_u32(size_of::<K>()),
            value_bytes: Self::bytes_u32(size_of::<V>()),
            zeros: 0,
            seed: 0,
            length: 0,
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

    /// How many entries there are.
    #[must_use]
    pub fn len(&self) -> usize {
        usize::try_from(self.region.slot_as::<Head>(0).length).expect("entries are in memory")
    }

    /// True while there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Asks the processor to fetch the place of `key`. A caller that has many keys at hand does this some ten keys ahead:
    /// in a table larger than the caches, waiting for memory is most of what a call costs.
    pub fn prefetch(&self, key: &K) {
        let hash = self.hash(key);
        self.region.prefetch(slot(Spot {
            chunk: self.directory.chunk(hash),
            place: home(hash),
        }));
    }

    /// The value of `key`.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        Some(self.value(self.find(key).ok()?))
    }

    /// The value of `key`, to be changed; its pages are dirty from now on.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let spot = self.find(key).ok()?;
        let slot = self.region.slot_mut(slot(spot));
        Some(bytemuck::from_bytes_mut(
            &mut slot[Self::VALUE_AT..Self::VALUE_AT + size_of::<V>()],
        ))
    }

    /// Sets the value of `key` and returns the one before. A chunk is split first where it must: that moves its entries, and
    /// no others.
    ///
    /// # Errors
    /// [`RegionError::Full`] when the table would have to grow beyond its region; nothing is lost or changed then.
    pub fn insert(&mut self, key: K, value: V) -> Result<Option<V>, RegionError> {
        let mut free = match self.find(&key) {
            Ok(spot) => {
                let before = *self.value(spot);
                self.put(spot, &key, &value);
                return Ok(Some(before));
            }
            Err(free) => free,
        };
        while self.used[free.chunk] >= FULL {
            self.split(free.chunk)?;
            free = self.find(&key).expect_err("the key is new");
        }
        self.put(free, &key, &value);
        self.used[free.chunk] += 1;
        self.region.slot_as_mut::<Head>(0).length += 1;
        Ok(None)
    }

    /// Removes `key` and returns its value.
    pub fn remove(&mut self, key: &K) -> Option<V> {
        let mut hole = self.find(key).ok()?;
        let removed = *self.value(hole);
        let mut spot = after(hole);
        // Backward shift (Knuth 6.4, algorithm R): an entry moves into the hole unless its home lies behind the hole.
        while self.is_used(spot) {
            let moved = distance(home(self.hash(self.key(spot))), spot.place);
            if moved >= distance(hole.place, spot.place) {
                let (key, value) = (*self.key(spot), *self.value(spot));
                self.put(hole, &key, &value);
                hole = spot;
            }
            spot = after(spot);
        }
        self.region.slot_mut(slot(hole)).fill(0);
        self.used[hole.chunk] -= 1;
        self.region.slot_as_mut::<Head>(0).length -= 1;
        Some(removed)
    }

    /// All entries, in slot order.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &V)> {
        (0..self.used.len())
            .flat_map(|chunk| (0..PLACES).map(move |place| Spot { chunk, place }))
            .filter(|spot| self.is_used(*spot))
            .map(|spot| (self.key(spot), self.value(spot)))
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

    fn is_used(&self, spot: Spot) -> bool {
        *self.region.slot_as::<u64>(slot(spot)) == USED
    }

    fn key(&self, spot: Spot) -> &K {
        bytemuck::from_bytes(&self.region.slot(slot(spot))[KEY_AT..KEY_AT + size_of::<K>()])
    }

    fn value(&self, spot: Spot) -> &V {
        bytemuck::from_bytes(&self.region.slot(slot(spot))[Self::VALUE_AT..Self::VALUE_AT + size_of::<V>()])
    }

    fn put(&mut self, spot: Spot, key: &K, value: &V) {
        let slot = self.region.slot_mut(slot(spot));
        slot[..KEY_AT].copy_from_slice(&USED.to_le_bytes());
        slot[KEY_AT..KEY_AT + size_of::<K>()].copy_from_slice(bytemuck::bytes_of(key));
        slot[Self::VALUE_AT..Self::VALUE_AT + size_of::<V>()].copy_from_slice(bytemuck::bytes_of(value));
    }

    fn hash(&self, key: &K) -> u64 {
        hash(self.seed, bytemuck::bytes_of(key))
    }

    /// The place of `key`, or else the free place where it would stand. A chunk is never full, so there is one.
    fn find(&self, key: &K) -> Result<Spot, Spot> {
        let hash = self.hash(key);
        let mut spot = Spot {
            chunk: self.directory.chunk(hash),
            place: home(hash),
        };
        while self.is_used(spot) {
            if self.key(spot) == key {
                return Ok(spot);
            }
            spot = after(spot);
        }
        Err(spot)
    }

    /// Gives the half of a chunk's entries whose next bit is one to a new chunk.
    fn split(&mut self, chunk: usize) -> Result<(), RegionError> {
        let (slots, number) = (self.region.len(), self.used.len());
        let Head { depth, prefix, .. } = *self.region.slot_as::<Head>(chunk * CHUNK_SLOTS);
        let number_u32 = u32::try_from(number).ok().filter(|_| depth < DEPTH_MAX);
        let number_u32 = number_u32.ok_or_else(|| self.region.full(slots + CHUNK_SLOTS))?;
        self.region.grow(slots + CHUNK_SLOTS)?;
        *self.region.slot_as_mut(number * CHUNK_SLOTS) = Self::new_head(depth + 1, prefix << 1 | 1);
        let head: &mut Head = self.region.slot_as_mut(chunk * CHUNK_SLOTS);
        (head.depth, head.prefix) = (depth + 1, prefix << 1);
        self.directory.set(depth + 1, prefix << 1 | 1, number_u32);
        let spots = (0..PLACES).map(|place| Spot { chunk, place });
        let used: Vec<Spot> = spots.filter(|spot| self.is_used(*spot)).collect();
        let entries: Vec<(K, V)> = used.iter().map(|spot| (*self.key(*spot), *self.value(*spot))).collect();
        for spot in used {
            self.region.slot_mut(slot(spot)).fill(0);
        }
        self.used[chunk] = 0;
        self.used.push(0);
        for (key, value) in entries {
            let free = self.find(&key).expect_err("every key was there once");
            self.put(free, &key, &value);
            self.used[free.chunk] += 1;
        }
        Ok(())
    }
}

/// The region's slot of a place.
const fn slot(spot: Spot) -> usize {
    spot.chunk * CHUNK_SLOTS + 1 + spot.place
}

/// The next place of the same chunk, the first behind the last.
const fn after(spot: Spot) -> Spot {
    let place = spot.place + 1;
    Spot {
        place: if place == PLACES { 0 } else { place },
        ..spot
    }
}

/// How many places lie between, going forward from `from`.
const fn distance(from: usize, to: usize) -> usize {
    (to + PLACES - from) % PLACES
}

/// Where in its chunk a hash is looked for first: by the low bits, since the high ones chose the chunk.
fn home(hash: u64) -> usize {
    let low = hash & u64::from(u32::MAX);
    // In proportion (Lemire, ACM TOMACS 29/1, 2019), for a number of places that is no power of two.
    usize::try_from((low * PLACES as u64) >> 32).expect("below 255")
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
