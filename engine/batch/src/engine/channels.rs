//! Channels by name and by number, and how one comes to life.
//!
//! A channel that no batch has touched is its [`ChannelRecord`] alone: its counters and sums are zero, and the digests of its
//! opening state and leaf follow from its name. The first batch that names it, as payer or as payee, gives it the records of
//! a live one; which channels those are follows from the inputs alone, so a replay takes the same records.

use core::hash::BuildHasher as _;

use hashbrown::HashTable;
use tidegate_channel::{ChannelTerms, many};
use tidegate_types::{ChannelId, ClientCounter, Digest, HubCounter, OutPoint};

use super::Engine;
use super::plan::Plan;
use crate::input::Input;
use crate::record::{ACTIVE, ChannelRecord, LiveRecord, SignedRecord, TermsRecord};
use crate::slots::{Link, Slab, Slots};
use crate::store::Store;

/// Numbers of channels by name. The names are in the records, not here.
#[derive(Debug, Default)]
pub(crate) struct Index {
    slots: HashTable<u32>,
    /// Nobody outside can tell which names meet in the table.
    secrets: Secrets,
}

/// What the names are mixed with. They are digests already, so a mix of half of one is enough.
#[derive(Debug)]
struct Secrets([u64; 2]);

impl Default for Secrets {
    fn default() -> Self {
        let random = foldhash::fast::RandomState::default();
        Self([random.hash_one(1_u8), random.hash_one(2_u8)])
    }
}

impl Secrets {
    fn mix(&self, id: &[u8; 32]) -> u64 {
        let [a, b] = [0, 1].map(|word| u64::from_le_bytes(id.as_chunks().0[word]));
        let product = u128::from(a ^ self.0[0]) * u128::from(b ^ self.0[1]);
        #[expect(clippy::cast_possible_truncation, reason = "both halves are taken")]
        let halves = (product as u64, (product >> 64) as u64);
        halves.0 ^ halves.1
    }
}

impl Index {
    /// Of all channels in the tables.
    pub(crate) fn of<S: Slots>(store: &Store<S>) -> Self {
        let mut index = Self::default();
        let channels = store.meta().channels;
        index.slots = HashTable::with_capacity(channels as usize);
        for slot in 0..channels {
            index.add(slot, &store.channels);
        }
        index
    }

    fn find<S: Slots>(&self, id: &ChannelId, channels: &Slab<ChannelRecord, S>) -> Option<u32> {
        let hash = self.secrets.mix(id.as_bytes());
        let same = |slot: &u32| channels.get(*slot).id == *id.as_bytes();
        self.slots.find(hash, same).copied()
    }

    /// Adds a channel that is not there yet.
    fn add<S: Slots>(&mut self, slot: u32, channels: &Slab<ChannelRecord, S>) {
        let hash_of = |slot: &u32| self.secrets.mix(&channels.get(*slot).id);
        self.slots.insert_unique(hash_of(&slot), slot, hash_of);
    }
}

/// Channels that a batch brings to life together, so that their digests are hashed together. Its memory is used again.
#[derive(Debug, Default)]
pub(crate) struct Waking {
    slots: Vec<u32>,
    ids: Vec<ChannelId>,
    states: Vec<Digest>,
    leaves: Vec<Digest>,
}

impl LiveRecord {
    pub(super) fn opening(state: Digest, leaf: Digest) -> Self {
        Self {
            state_digest: *state.as_bytes(),
            leaf_digest: *leaf.as_bytes(),
            status: ACTIVE,
            ..bytemuck::Zeroable::zeroed()
        }
    }
}

impl SignedRecord {
    fn opening(leaf: Digest) -> Self {
        Self {
            ack_digest: *leaf.as_bytes(),
            leaf_before: *leaf.as_bytes(),
            ..bytemuck::Zeroable::zeroed()
        }
    }
}

impl<S: Slots> Engine<S> {
    /// The number of a channel.
    #[must_use]
    pub fn channel(&self, id: &ChannelId) -> Option<u32> {
        self.index.find(id, &self.store.channels)
    }

    /// As [`Engine::channel`], by somebody who may know the number already.
    pub(super) fn channel_known(&self, id: &ChannelId, known: Option<u32>) -> Option<u32> {
        let is = |slot: &u32| self.holds(*slot) && self.channel_id(*slot) == *id;
        known.filter(is).or_else(|| self.channel(id))
    }

    /// True if there is a channel of this number.
    pub(super) fn holds(&self, slot: u32) -> bool {
        slot < self.store.meta().channels
    }

    pub(crate) fn channel_id(&self, slot: u32) -> ChannelId {
        self.store.channels.get(slot).id()
    }

    /// What changes of a channel, if a batch has touched it.
    #[inline]
    pub(crate) fn live(&self, slot: u32) -> Option<&LiveRecord> {
        match self.store.channels.get(slot).live {
            0 => None,
            link => Some(self.store.live.at(link)),
        }
    }

    /// What changes of a channel that is awake.
    ///
    /// # Panics
    /// If it sleeps.
    #[inline]
    pub(crate) fn record(&self, slot: u32) -> &LiveRecord {
        self.store.live.at(self.store.channels.get(slot).live)
    }

    #[inline]
    pub(crate) fn record_mut(&mut self, slot: u32) -> &mut LiveRecord {
        self.store.live.at_mut(self.store.channels.get(slot).live)
    }

    pub(crate) fn signed(&self, slot: u32) -> &SignedRecord {
        self.store.signed.at(self.store.channels.get(slot).live)
    }

    pub(crate) fn signed_mut(&mut self, slot: u32) -> &mut SignedRecord {
        self.store.signed.at_mut(self.store.channels.get(slot).live)
    }

    /// The newest counters of both halves.
    pub(crate) fn counters_of(&self, slot: u32) -> (ClientCounter, HubCounter) {
        self.live(slot)
            .map_or((ClientCounter::ZERO, HubCounter::ZERO), |live| (live.c(), live.h()))
    }

    pub(crate) fn status(&self, slot: u32) -> u32 {
        self.live(slot).map_or(ACTIVE, |live| live.status)
    }

    /// The records of a channel as they are, or as they would be if it were awake.
    pub(crate) fn look(&self, slot: u32) -> (LiveRecord, SignedRecord) {
        match self.live(slot) {
            Some(live) => (*live, *self.signed(slot)),
            None => {
                let (mut states, mut leaves) = (Vec::new(), Vec::new());
                many::opening_digests(&[self.channel_id(slot)], &mut states, &mut leaves);
                (
                    LiveRecord::opening(states[0], leaves[0]),
                    SignedRecord::opening(leaves[0]),
                )
            }
        }
    }

    /// Brings a channel to life, if it sleeps.
    pub(super) fn wake(&mut self, slot: u32) {
        if self.store.channels.get(slot).live == 0 {
            let (live, signed) = self.look(slot);
            let link = self.next_live(slot);
            *self.store.live.at_mut(link) = live;
            *self.store.signed.at_mut(link) = signed;
        }
    }

    /// Brings every channel to life that the planned inputs name.
    pub(super) fn wake_planned(&mut self, plan: &Plan, inputs: &[Input]) {
        let mut waking = core::mem::take(&mut self.waking);
        waking.slots.clear();
        waking.ids.clear();
        for slot in plan.named_channels(inputs) {
            if self.store.channels.get(slot).live == 0 {
                self.next_live(slot);
                waking.slots.push(slot);
                waking.ids.push(self.channel_id(slot));
            }
        }
        waking.states.clear();
        waking.leaves.clear();
        many::opening_digests(&waking.ids, &mut waking.states, &mut waking.leaves);
        for (&slot, (&state, &leaf)) in waking.slots.iter().zip(waking.states.iter().zip(&waking.leaves)) {
            *self.record_mut(slot) = LiveRecord::opening(state, leaf);
            *self.signed_mut(slot) = SignedRecord::opening(leaf);
        }
        self.waking = waking;
    }

    /// Gives a channel the next pair of records, still empty.
    fn next_live(&mut self, slot: u32) -> Link {
        let meta = self.store.meta_mut();
        meta.live += 1;
        let link = meta.live;
        self.store.channels.get_mut(slot).live = link;
        self.woken.push(slot);
        link
    }

    /// Enters a new channel.
    pub(super) fn enter(&mut self, id: ChannelId, terms: &ChannelTerms, funding: &OutPoint) -> u32 {
        let shared = self.shared_terms(TermsRecord::new(terms, funding));
        let slot = self.store.meta().channels;
        *self.store.channels.get_mut(slot) = ChannelRecord {
            id: *id.as_bytes(),
            client: *terms.client.as_bytes(),
            capacity: terms.capacity.to_sat(),
            opening_share: terms.opening_share.to_sat(),
            terms: shared,
            nonce: terms.nonce,
            funding_vout: funding.vout,
            live: 0,
        };
        self.store.meta_mut().channels = slot + 1;
        self.index.add(slot, &self.store.channels);
        slot
    }

    /// The terms in the dictionary that are these.
    fn shared_terms(&mut self, record: TermsRecord) -> Link {
        if let Some(&link) = self.dictionary.get(&record) {
            return link;
        }
        let meta = self.store.meta_mut();
        meta.terms += 1;
        let link = meta.terms;
        *self.store.terms.at_mut(link) = record;
        self.dictionary.insert(record, link);
        link
    }

    /// What a channel's terms share with others.
    pub(crate) fn shared(&self, slot: u32) -> &TermsRecord {
        self.store.terms.at(self.store.channels.get(slot).terms)
    }

    pub(crate) fn terms_of(&self, slot: u32) -> ChannelTerms {
        self.shared(slot).terms(self.store.channels.get(slot))
    }
}
