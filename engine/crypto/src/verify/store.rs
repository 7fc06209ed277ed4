//! The keys that a verifier knows, and the tables that it keeps for some of them.
//!
//! A handle is an index given out once: it is never reused, so whatever is kept for it (a decompressed point, a table) can
//! never serve another key. A table's place is reused, but a key's reference to it and the table itself only change
//! together, behind the verifier's write lock.
//!
//! ```text
//! cold   no table        every key: its point, decompressed
//! warm   a small table   keys used WARM_USES times lately
//! hot    a large table   keys used HOT_USES times lately
//! ```

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use tidegate_types::KeyBytes;

use super::engine::{Engine, Table};
use super::tier::{Slot, Tier, Uses};
use crate::keys::PublicKey;

/// A registered key of one [`super::Verifier`]: numbered from 0 in the order of registration.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyHandle(u32);

impl KeyHandle {
    /// The number.
    #[must_use]
    pub const fn index(self) -> u32 {
        self.0
    }
}

/// Where a key's table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    Cold,
    Warm(Slot),
    Hot(Slot),
}

/// What is kept beside the point.
struct Standing {
    place: Place,
    uses: Uses,
}

/// Uses that make a key a candidate for a table.
const WARM_USES: u32 = 2;
const HOT_USES: u32 = 16;

/// A table that a key is to get.
pub(super) struct Promotion {
    pub(super) key: u32,
    pub(super) uses: u32,
    pub(super) hot: bool,
}

/// Keys by handle and handles by key.
pub(super) struct Store<E: Engine> {
    keys: Vec<E::Key>,
    standings: Vec<Standing>,
    handles: HashTable<u32>,
    /// Keyed at random: the keys are chosen by strangers, who must not be able to make them collide. Only look-ups are
    /// made, so no result depends on it.
    hasher: RandomState,
    hot: Tier<E::Hot>,
    warm: Tier<E::Warm>,
}

impl<E: Engine> Store<E> {
    /// A store whose tables take at most `budget` bytes, half of them for hot keys.
    pub(super) fn new(budget: usize) -> Self {
        Self {
            keys: Vec::new(),
            standings: Vec::new(),
            handles: HashTable::new(),
            hasher: RandomState::new(),
            hot: Tier::new(budget / 2),
            warm: Tier::new(budget - budget / 2),
        }
    }

    /// The handle of a key that is known.
    pub(super) fn find(&self, bytes: &KeyBytes) -> Option<KeyHandle> {
        let hash = self.hasher.hash_one(bytes.as_bytes());
        self.handles
            .find(hash, |at| E::bytes(&self.keys[*at as usize]) == bytes.as_bytes())
            .copied()
            .map(KeyHandle)
    }

    /// The handle of `key`, an old one if its bytes are known. `kept` is what the engine keeps of it.
    pub(super) fn register(&mut self, key: &PublicKey, kept: E::Key) -> KeyHandle {
        if let Some(handle) = self.find(&key.bytes()) {
            return handle;
        }
        let handle = u32::try_from(self.keys.len()).expect("memory ends before 2^32 keys do");
        self.keys.push(kept);
        self.standings.push(Standing {
            place: Place::Cold,
            uses: Uses::default(),
        });
        let (keys, hasher) = (&self.keys, &self.hasher);
        let hash_of = |at: &u32| hasher.hash_one(E::bytes(&keys[*at as usize]));
        self.handles.insert_unique(hash_of(&handle), handle, hash_of);
        KeyHandle(handle)
    }

    /// Keys that are known.
    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// The key of a handle of this store.
    ///
    /// # Panics
    /// On a handle of another verifier that is out of range here.
    pub(super) fn key(&self, handle: KeyHandle) -> &E::Key {
        &self.keys[handle.0 as usize]
    }

    /// The best table of a key.
    pub(super) fn table(&self, handle: KeyHandle) -> Table<'_, E> {
        match self.standings[handle.0 as usize].place {
            Place::Hot(slot) => Table::Hot(self.hot.get(slot, handle.0)),
            Place::Warm(slot) => Table::Warm(self.warm.get(slot, handle.0)),
            Place::Cold => Table::None,
        }
    }

    /// Counts one use. True if the key has become a candidate for a better table: at each doubling of its uses, so that a
    /// candidate that was turned down comes back when it has earned more.
    pub(super) fn touch(&self, handle: KeyHandle, epoch: u8) -> bool {
        let standing = &self.standings[handle.0 as usize];
        let uses = standing.uses.touch(epoch);
        let least = match standing.place {
            Place::Cold => WARM_USES,
            Place::Warm(_) => HOT_USES,
            Place::Hot(_) => return false,
        };
        uses >= least && uses.is_power_of_two()
    }

    /// The uses of a candidate, if there is a better table than it has.
    pub(super) fn wish(&self, key: u32, epoch: u8) -> Option<u32> {
        let Standing { place, uses } = &self.standings[key as usize];
        let uses = uses.at(epoch);
        let least = match place {
            Place::Cold => WARM_USES,
            Place::Warm(_) => HOT_USES,
            Place::Hot(_) => return None,
        };
        (uses >= least).then_some(uses)
    }

    /// The table that a candidate is to get, if there is room for it.
    pub(super) fn promotion(&self, key: u32, uses: u32, epoch: u8) -> Option<Promotion> {
        let uses_of = |key: u32| self.standings[key as usize].uses.at(epoch);
        let cold = self.standings[key as usize].place == Place::Cold;
        if uses >= HOT_USES && self.hot.has_room(uses, uses_of) {
            Some(Promotion { key, uses, hot: true })
        } else if cold && self.warm.has_room(uses, uses_of) {
            Some(Promotion { key, uses, hot: false })
        } else {
            None
        }
    }

    /// Gives a key its hot table. False if no place could be had any more, else whether another key lost its own.
    pub(super) fn place_hot(&mut self, promotion: &Promotion, table: Box<E::Hot>, epoch: u8) -> Option<bool> {
        let standings = &self.standings;
        let uses_of = |key: u32| standings[key as usize].uses.at(epoch);
        let (slot, evicted) = self.hot.place(promotion.key, table, promotion.uses, uses_of)?;
        let old = core::mem::replace(&mut self.standings[promotion.key as usize].place, Place::Hot(slot));
        if let Place::Warm(slot) = old {
            self.warm.release(slot);
        }
        Some(self.demote(evicted))
    }

    /// Like [`Store::place_hot`].
    pub(super) fn place_warm(&mut self, promotion: &Promotion, table: Box<E::Warm>, epoch: u8) -> Option<bool> {
        let standings = &self.standings;
        let uses_of = |key: u32| standings[key as usize].uses.at(epoch);
        let (slot, evicted) = self.warm.place(promotion.key, table, promotion.uses, uses_of)?;
        self.standings[promotion.key as usize].place = Place::Warm(slot);
        Some(self.demote(evicted))
    }

    fn demote(&mut self, evicted: Option<u32>) -> bool {
        if let Some(key) = evicted {
            self.standings[key as usize].place = Place::Cold;
        }
        evicted.is_some()
    }

    /// Bytes of all tables.
    pub(super) fn table_bytes(&self) -> usize {
        self.hot.bytes() + self.warm.bytes()
    }

    /// The key of promotion `promotion`, for building its table.
    pub(super) fn promoted_key(&self, promotion: &Promotion) -> E::Key {
        self.keys[promotion.key as usize]
    }
}
