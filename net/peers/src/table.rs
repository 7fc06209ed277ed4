//! The addresses of hubs that were heard of, in buckets, so that nobody who tells many of them fills the table.
//!
//! ```text
//!  heard of ─▶ new:   256 buckets of 64, chosen by the groups of address and source: one source group reaches 16 of them
//!  linked to ─▶ tried: 64 buckets of 64, chosen by place and group: one address group reaches 4 of them
//! ```
//!
//! Which bucket, and which place in it, follows from a secret key: what stands there now is replaced only if it is good for
//! nothing, so that neither telling much nor telling often moves an honest address out. A place that has answered moves to
//! `tried`, and never displaces one there that has not failed since.
//!
//! The design is Bitcoin Core's address manager (`src/addrman.h`), as strengthened after Heilman, Kendler, Zohar and Goldberg,
//! "Eclipse Attacks on Bitcoin's Peer-to-Peer Network" (USENIX Security 2015), with smaller tables: there are fewer hubs than
//! Bitcoin nodes. One deviation: a place stands in one bucket, whoever tells of it.
//!
//! Nothing here is trusted: an identity is proved when it is dialled.

use std::net::{IpAddr, Ipv6Addr};

use hashbrown::HashMap;
use tidegate_crypto::hash::{Domain, hash};

use crate::Minute;
use crate::group::Group;
use crate::place::{Place, wide};
use crate::random::Random;

/// Buckets of places that were heard of.
const NEW_BUCKETS: usize = 256;
/// Of these, those that one source group reaches.
const NEW_BUCKETS_PER_SOURCE: u64 = 16;
/// Buckets of places that have answered.
const TRIED_BUCKETS: usize = 64;
/// Of these, those that one address group reaches.
const TRIED_BUCKETS_PER_GROUP: u64 = 4;
/// Places of a bucket.
const BUCKET: usize = 64;
const PLACES: usize = (NEW_BUCKETS + TRIED_BUCKETS) * BUCKET;

/// Minutes after which a place of which nothing was heard is good for nothing.
const HORIZON: u32 = 30 * 24 * 60;
/// Attempts after which a place that never answered is good for nothing.
const ATTEMPTS_NEVER: u8 = 3;
/// Attempts after which a place that has not answered for a week is good for nothing.
const ATTEMPTS_MAX: u8 = 10;
const WEEK: u32 = 7 * 24 * 60;
/// Minutes in which an attempt or an answer protects a place from being thought useless.
const FRESH: u32 = 10;
/// The most of the table that one answer tells, in percent.
const TELL_PERCENT: usize = 23;
/// Minutes by which what is told of a third party is thought older than it says.
const HEARSAY: u32 = 120;

/// Draws of one selection: who is linked with most of a small table meets nobody else, and asks again a second later.
const DRAWS: usize = 32;

/// What is known of a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    place: Place,
    /// Whoever told of it first.
    source: IpAddr,
    /// When it was last said to be there.
    seen: Minute,
    attempted: Minute,
    answered: Minute,
    /// Attempts since it last answered.
    attempts: u8,
    tried: bool,
}

impl Entry {
    /// True if nothing is lost with it.
    fn is_useless(&self, now: Minute) -> bool {
        if self.attempted.get() > 0 && now.since(self.attempted) < FRESH {
            return false;
        }
        let never = self.answered.get() == 0 && self.attempts >= ATTEMPTS_NEVER;
        let no_more = now.since(self.answered) > WEEK && self.attempts >= ATTEMPTS_MAX;
        now.since(self.seen) > HORIZON || never || no_more
    }

    /// One in so many draws that meet it takes it: what was tried in vain is tried less and less often.
    fn reluctance(&self, now: Minute) -> u64 {
        let lately = if self.attempted.get() > 0 && now.since(self.attempted) < FRESH {
            100
        } else {
            1
        };
        lately * (1 << self.attempts.min(8))
    }
}

/// The addresses, in their buckets.
pub struct Table {
    key: [u8; 32],
    slots: Vec<Option<Entry>>,
    index: HashMap<Place, usize>,
    tried: usize,
}

impl Table {
    /// An empty table. The key must be drawn at random, once, and be kept with the table.
    #[must_use]
    pub fn new(key: [u8; 32]) -> Self {
        Self {
            key,
            slots: vec![None; PLACES],
            index: HashMap::new(),
            tried: 0,
        }
    }

    /// Places that are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    /// True if none is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// Places that have answered.
    #[must_use]
    pub const fn tried(&self) -> usize {
        self.tried
    }

    /// True if the place is known.
    #[must_use]
    pub fn knows(&self, place: &Place) -> bool {
        self.index.contains_key(place)
    }

    /// Takes what `source` tells of a place. True if it is known now and was not.
    pub fn add(&mut self, place: Place, seen: Minute, source: IpAddr, now: Minute) -> bool {
        // A clock that is ahead, or a lie that is to look fresh, is thought to be five days old.
        let ahead = seen.get() > now.get().saturating_add(FRESH);
        let seen = if ahead { now.before(5 * 24 * 60) } else { seen };
        let direct = place.address.ip() == source;
        let seen = if direct { seen } else { seen.before(HEARSAY) };
        if let Some(entry) = self.entry_mut(&place) {
            entry.seen = entry.seen.max(seen);
            return false;
        }
        let entry = Entry {
            place,
            source,
            seen,
            attempted: Minute::default(),
            answered: Minute::default(),
            attempts: 0,
            tried: false,
        };
        self.put_new(entry, now)
    }

    /// A place is dialled.
    pub fn attempt(&mut self, place: &Place, now: Minute) {
        if let Some(entry) = self.entry_mut(place) {
            entry.attempted = now;
            entry.attempts = entry.attempts.saturating_add(1);
        }
    }

    /// A place has proved its identity.
    pub fn answered(&mut self, place: &Place, now: Minute) {
        let Some(&at) = self.index.get(place) else { return };
        let Some(mut entry) = self.slots[at] else { return };
        (entry.answered, entry.seen, entry.attempts) = (now, now, 0);
        self.slots[at] = Some(entry);
        if entry.tried {
            return;
        }
        let to = self.tried_slot(place);
        // Who stands there is told to go only if it has failed since it last answered.
        let stays = self.slots[to].is_some_and(|other| other.attempts == 0 && !other.is_useless(now));
        if stays {
            return;
        }
        self.take(at);
        let before = self.take(to);
        self.put(to, Entry { tried: true, ..entry });
        if let Some(before) = before {
            self.put_new(Entry { tried: false, ..before }, now);
        }
    }

    /// A place to be dialled that `wanted` takes, one that has answered before or one that was only heard of as the dice fall;
    /// `None` if none was met in many draws.
    pub fn select(&self, random: &mut Random, now: Minute, mut wanted: impl FnMut(&Place) -> bool) -> Option<Place> {
        if self.is_empty() {
            return None;
        }
        let new = NEW_BUCKETS * BUCKET;
        for _ in 0..DRAWS {
            let both = self.tried > 0 && self.len() > self.tried;
            let tried = if both { random.draw() & 1 == 0 } else { self.tried > 0 };
            let range = if tried { new..PLACES } else { 0..new };
            let Some(entry) = self.first_from(range.start + random.below(range.len()), range) else {
                continue;
            };
            let useful = entry.tried || !entry.is_useless(now);
            if useful && wanted(&entry.place) && random.draw().is_multiple_of(entry.reluctance(now)) {
                return Some(entry.place);
            }
        }
        None
    }

    /// The first entry at or behind `at`, round the range.
    fn first_from(&self, at: usize, range: core::ops::Range<usize>) -> Option<&Entry> {
        let behind = self.slots[at..range.end].iter();
        behind.chain(&self.slots[range.start..at]).flatten().next()
    }

    /// What is told to a peer that asks: some of what is useful and `tellable`, drawn at random, `most` at most.
    pub fn sample(
        &self,
        random: &mut Random,
        most: usize,
        now: Minute,
        tellable: impl Fn(&Place) -> bool,
    ) -> Vec<(Place, Minute)> {
        let mut all: Vec<&Entry> = self.slots.iter().flatten().collect();
        let count = most.min((all.len() * TELL_PERCENT).div_ceil(100));
        let mut told = Vec::with_capacity(count);
        while told.len() < count && !all.is_empty() {
            let entry = all.swap_remove(random.below(all.len()));
            if tellable(&entry.place) && !entry.is_useless(now) {
                told.push((entry.place, entry.seen));
            }
        }
        told
    }

    fn entry_mut(&mut self, place: &Place) -> Option<&mut Entry> {
        let at = *self.index.get(place)?;
        self.slots[at].as_mut()
    }

    /// Puts an entry where its source and group have it; false if something useful stands there.
    fn put_new(&mut self, entry: Entry, now: Minute) -> bool {
        let at = self.new_slot(&entry.place, entry.source);
        if self.slots[at].is_some_and(|other| !other.is_useless(now)) {
            return false;
        }
        self.take(at);
        self.put(at, entry);
        true
    }

    fn put(&mut self, at: usize, entry: Entry) {
        self.index.insert(entry.place, at);
        self.tried += usize::from(entry.tried);
        self.slots[at] = Some(entry);
    }

    fn take(&mut self, at: usize) -> Option<Entry> {
        let entry = self.slots[at].take()?;
        self.index.remove(&entry.place);
        self.tried -= usize::from(entry.tried);
        Some(entry)
    }

    fn new_slot(&self, place: &Place, source: IpAddr) -> usize {
        let (group, source) = (place.group(), Group::of(source));
        let row = self.number(1, group, source, &[]) % NEW_BUCKETS_PER_SOURCE;
        let bucket = self.number(2, source, source, &row.to_le_bytes());
        self.slot(0, bucket, NEW_BUCKETS, place)
    }

    fn tried_slot(&self, place: &Place) -> usize {
        let group = place.group();
        let row = self.number(3, group, group, &place.bytes()) % TRIED_BUCKETS_PER_GROUP;
        let bucket = self.number(4, group, group, &row.to_le_bytes());
        self.slot(NEW_BUCKETS, bucket, TRIED_BUCKETS, place)
    }

    /// The slot of a place in the bucket that a number chooses.
    fn slot(&self, first: usize, number: u64, buckets: usize, place: &Place) -> usize {
        let bucket = first + below(number, buckets);
        let group = place.group();
        let mut more = [0; 8 + Place::LEN];
        more[..8].copy_from_slice(&(bucket as u64).to_le_bytes());
        more[8..].copy_from_slice(&place.bytes());
        bucket * BUCKET + below(self.number(5, group, group, &more), BUCKET)
    }

    /// A number that follows from the key and everything else.
    fn number(&self, what: u8, a: Group, b: Group, more: &[u8]) -> u64 {
        let mut bytes = [0; 128];
        bytes[..32].copy_from_slice(&self.key);
        bytes[32] = what;
        bytes[33..38].copy_from_slice(&a.bytes());
        bytes[38..43].copy_from_slice(&b.bytes());
        bytes[43..43 + more.len()].copy_from_slice(more);
        let [a, b, c, d, e, f, g, h, ..] = *hash(Domain::PeerBucket, &bytes).as_bytes();
        u64::from_le_bytes([a, b, c, d, e, f, g, h])
    }
}

fn below(number: u64, end: usize) -> usize {
    usize::try_from(number % (end as u64)).expect("below a usize")
}

/// What is kept of one place: place 50 | source 16 | seen u32 | attempted u32 | answered u32 | attempts u8 | tried u8 | 0 × 1.
pub(crate) const ENTRY: usize = Place::LEN + 16 + 4 + 4 + 4 + 1 + 1 + 1;
/// The most places there are.
pub(crate) const PLACES_MAX: usize = PLACES;

impl Table {
    /// The key that chooses buckets.
    pub(crate) const fn key(&self) -> &[u8; 32] {
        &self.key
    }

    /// Appends every place as it is kept.
    pub(crate) fn append_to(&self, out: &mut Vec<u8>) {
        for entry in self.slots.iter().flatten() {
            out.extend_from_slice(&entry.place.bytes());
            out.extend_from_slice(&wide(entry.source).octets());
            for minute in [entry.seen, entry.attempted, entry.answered] {
                out.extend_from_slice(&minute.get().to_le_bytes());
            }
            out.extend_from_slice(&[entry.attempts, entry.tried.into(), 0]);
        }
    }

    /// Takes a place that was kept; false if it does not decode. Of two places that belong into one slot, which no table of ours
    /// has, the second is left out.
    pub(crate) fn take_kept(&mut self, bytes: &[u8; ENTRY]) -> bool {
        decode_entry(bytes).map(|entry| self.restore(entry)).is_some()
    }

    fn restore(&mut self, entry: Entry) {
        let at = if entry.tried {
            self.tried_slot(&entry.place)
        } else {
            self.new_slot(&entry.place, entry.source)
        };
        if self.slots[at].is_none() && !self.knows(&entry.place) {
            self.put(at, entry);
        }
    }
}

fn decode_entry(bytes: &[u8; ENTRY]) -> Option<Entry> {
    let (place, rest) = bytes.split_first_chunk::<{ Place::LEN }>()?;
    let (source, rest) = rest.split_first_chunk::<16>()?;
    let (minutes, flags) = rest.split_first_chunk::<12>()?;
    let minute = |at: usize| {
        let part = minutes.get(at * 4..at * 4 + 4)?;
        Some(Minute::new(u32::from_le_bytes(part.try_into().ok()?)))
    };
    let &[attempts, tried @ (0 | 1), 0] = flags else {
        return None;
    };
    Some(Entry {
        place: Place::from_bytes(place),
        source: IpAddr::from(Ipv6Addr::from(*source)).to_canonical(),
        seen: minute(0)?,
        attempted: minute(1)?,
        answered: minute(2)?,
        attempts,
        tried: tried == 1,
    })
}

/// Shows nothing of the key.
impl core::fmt::Debug for Table {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("Table")
            .field("places", &self.len())
            .field("tried", &self.tried)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
