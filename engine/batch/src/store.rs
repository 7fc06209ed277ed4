//! The tables of the state, together.

use tidegate_channel::ChannelTerms;
use tidegate_types::{
    Age, Amount, BatchNumber, ChannelId, ClientCounter, Digest, Height, HubCounter, KeyBytes, LedgerId, OutPoint, Txid,
    UnixMillis,
};

use crate::record::in_lock::{InChangeRecord, InLockRecord, InPageRecord};
use crate::record::kept::KeptRecord;
use crate::record::{
    AnswerRecord, BodyRecord, ChannelRecord, CreditRecord, LeafRecord, LiveRecord, LockRecord, MetaRecord, NamedRecord,
    PageRecord, SignedRecord, TermsRecord, WidePageRecord,
};
use crate::slots::{Slab, Slots, SlotsFull};

/// One table that the caller provides: its name in checkpoints, and the size of its slots.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSpec {
    /// The name; never changes.
    pub name: &'static str,
    /// Bytes per slot.
    pub slot_bytes: usize,
}

const fn spec<R>(name: &'static str) -> TableSpec {
    TableSpec {
        name,
        slot_bytes: size_of::<R>(),
    }
}

/// The tables of a [`Store`], in the order that [`Store::new`] takes them.
pub const TABLES: [TableSpec; 17] = [
    spec::<MetaRecord>("meta"),
    spec::<ChannelRecord>("channels"),
    spec::<TermsRecord>("terms"),
    spec::<LiveRecord>("live"),
    spec::<SignedRecord>("signed"),
    spec::<PageRecord>("pages"),
    spec::<LockRecord>("locks"),
    spec::<NamedRecord>("named"),
    spec::<LeafRecord>("leaves"),
    spec::<BodyRecord>("bodies"),
    spec::<CreditRecord>("credits"),
    spec::<AnswerRecord>("answers"),
    spec::<InPageRecord>("in-pages"),
    spec::<InLockRecord>("in-locks"),
    spec::<InChangeRecord>("in-changes"),
    spec::<WidePageRecord>("wide-pages"),
    spec::<KeptRecord>("kept"),
];

/// The whole state of the engine, in the caller's memory.
#[derive(Clone, Debug)]
pub struct Store<S> {
    pub(crate) meta: Slab<MetaRecord, S>,
    pub(crate) channels: Slab<ChannelRecord, S>,
    pub(crate) terms: Slab<TermsRecord, S>,
    pub(crate) live: Slab<LiveRecord, S>,
    pub(crate) signed: Slab<SignedRecord, S>,
    pub(crate) pages: Slab<PageRecord, S>,
    pub(crate) locks: Slab<LockRecord, S>,
    pub(crate) named: Slab<NamedRecord, S>,
    pub(crate) leaves: Slab<LeafRecord, S>,
    pub(crate) bodies: Slab<BodyRecord, S>,
    pub(crate) credits: Slab<CreditRecord, S>,
    pub(crate) answers: Slab<AnswerRecord, S>,
    pub(crate) in_pages: Slab<InPageRecord, S>,
    pub(crate) in_locks: Slab<InLockRecord, S>,
    pub(crate) in_changes: Slab<InChangeRecord, S>,
    pub(crate) wide_pages: Slab<WidePageRecord, S>,
    pub(crate) kept: Slab<KeptRecord, S>,
}

impl<S: Slots> Store<S> {
    /// The state in `tables`, which are those of [`TABLES`] in that order, empty or as they were left.
    #[must_use]
    pub fn new(tables: [S; TABLES.len()]) -> Self {
        let [
            meta,
            channels,
            terms,
            live,
            signed,
            pages,
            locks,
            named,
            leaves,
            bodies,
            credits,
            answers,
            in_pages,
            in_locks,
            in_changes,
            wide_pages,
            kept,
        ] = tables;
        Self {
            meta: Slab::new(meta),
            channels: Slab::new(channels),
            terms: Slab::new(terms),
            live: Slab::new(live),
            signed: Slab::new(signed),
            pages: Slab::new(pages),
            locks: Slab::new(locks),
            named: Slab::new(named),
            leaves: Slab::new(leaves),
            bodies: Slab::new(bodies),
            credits: Slab::new(credits),
            answers: Slab::new(answers),
            in_pages: Slab::new(in_pages),
            in_locks: Slab::new(in_locks),
            in_changes: Slab::new(in_changes),
            wide_pages: Slab::new(wide_pages),
            kept: Slab::new(kept),
        }
    }

    /// The tables by name, for a checkpoint.
    #[must_use]
    pub const fn tables(&self) -> [(&'static str, &S); TABLES.len()] {
        [
            (TABLES[0].name, self.meta.slots()),
            (TABLES[1].name, self.channels.slots()),
            (TABLES[2].name, self.terms.slots()),
            (TABLES[3].name, self.live.slots()),
            (TABLES[4].name, self.signed.slots()),
            (TABLES[5].name, self.pages.slots()),
            (TABLES[6].name, self.locks.slots()),
            (TABLES[7].name, self.named.slots()),
            (TABLES[8].name, self.leaves.slots()),
            (TABLES[9].name, self.bodies.slots()),
            (TABLES[10].name, self.credits.slots()),
            (TABLES[11].name, self.answers.slots()),
            (TABLES[12].name, self.in_pages.slots()),
            (TABLES[13].name, self.in_locks.slots()),
            (TABLES[14].name, self.in_changes.slots()),
            (TABLES[15].name, self.wide_pages.slots()),
            (TABLES[16].name, self.kept.slots()),
        ]
    }

    /// The tables to be written by a checkpoint, in the order of [`TABLES`].
    #[must_use]
    pub const fn tables_mut(&mut self) -> [&mut S; TABLES.len()] {
        [
            self.meta.slots_mut(),
            self.channels.slots_mut(),
            self.terms.slots_mut(),
            self.live.slots_mut(),
            self.signed.slots_mut(),
            self.pages.slots_mut(),
            self.locks.slots_mut(),
            self.named.slots_mut(),
            self.leaves.slots_mut(),
            self.bodies.slots_mut(),
            self.credits.slots_mut(),
            self.answers.slots_mut(),
            self.in_pages.slots_mut(),
            self.in_locks.slots_mut(),
            self.in_changes.slots_mut(),
            self.wide_pages.slots_mut(),
            self.kept.slots_mut(),
        ]
    }

    pub(crate) fn meta(&self) -> &MetaRecord {
        self.meta.get(0)
    }

    pub(crate) fn meta_mut(&mut self) -> &mut MetaRecord {
        self.meta.get_mut(0)
    }

    /// True if no engine has been created here.
    pub(crate) fn is_vacant(&self) -> bool {
        self.meta.slots().is_empty() || self.meta().hub == [0; 32]
    }

    /// Makes room for all that a batch of this size can add, so that nothing fails half way.
    pub(crate) fn reserve(&mut self, need: Need) -> Result<(), SlotsFull> {
        let meta = *self.meta();
        self.channels.reserve(meta.channels, need.channels)?;
        self.terms.reserve(meta.terms, need.channels)?;
        self.live.reserve(meta.live, need.channels_touched)?;
        self.signed.reserve(meta.live, need.channels_touched)?;
        self.pages.reserve(meta.pages.used, need.channels_touched)?;
        self.locks.reserve(meta.locks.used, need.adds)?;
        self.named.reserve(meta.named.used, need.adds)?;
        self.leaves.reserve(meta.leaves.used, need.channels_touched)?;
        self.bodies.reserve(meta.bodies.used, need.channels_touched)?;
        self.credits.reserve(meta.credits.used, need.adds)?;
        self.answers.reserve(meta.answers.used, need.operations)?;
        if need.hash_adds > 0 {
            self.in_pages.reserve(meta.in_pages.used, need.hash_adds)?;
            self.in_locks.reserve(meta.in_locks.used, need.hash_adds)?;
        }
        self.wide_pages.reserve(meta.wide_pages.used, need.wide_adds)?;
        self.kept.reserve(meta.kept.used, need.kept())?;
        // What a leaf does to an in-lock is that it comes, or that one which was there goes.
        let gone = need.hash_adds + meta.in_open as usize;
        let changes = need.hash_adds + gone.min(need.channels_touched * 64);
        self.in_changes.reserve(meta.in_changes.used, changes)
    }
}

/// The most that a batch can add to each table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Need {
    pub(crate) channels: usize,
    pub(crate) channels_touched: usize,
    pub(crate) adds: usize,
    pub(crate) hash_adds: usize,
    /// Beyond the first slots.
    pub(crate) wide_adds: usize,
    pub(crate) operations: usize,
}

impl Need {
    /// See `engine/kept`: by two words before a newer one, by one that a block reveals, and by two where leaves are forgotten.
    const fn kept(&self) -> usize {
        5 * self.channels_touched
    }
}

/// The newtypes of the words in the records. What stands in a record was checked when it was written.
pub(crate) fn amount(sat: u64) -> Amount {
    Amount::from_sat(sat).expect("amounts are checked before they are stored")
}

pub(crate) const fn digest(bytes: &[u8; 32]) -> Digest {
    Digest::from_bytes(*bytes)
}

impl MetaRecord {
    pub(crate) const fn hub(&self) -> KeyBytes {
        KeyBytes::from_bytes(self.hub)
    }

    pub(crate) const fn ledger(&self) -> LedgerId {
        LedgerId::from_bytes(self.ledger)
    }

    pub(crate) const fn batch(&self) -> BatchNumber {
        BatchNumber::new(self.batch)
    }

    pub(crate) const fn time(&self) -> UnixMillis {
        UnixMillis::new(self.time)
    }

    pub(crate) const fn height(&self) -> Height {
        Height::new(self.height)
    }
}

impl ChannelRecord {
    pub(crate) const fn id(&self) -> ChannelId {
        ChannelId::from_bytes(self.id)
    }
}

impl LiveRecord {
    pub(crate) const fn c(&self) -> ClientCounter {
        ClientCounter::new(self.c)
    }

    pub(crate) const fn h(&self) -> HubCounter {
        HubCounter::new(self.h)
    }

    /// The leaf that the hub shows in a dispute: the newest that the client has named, by its newest state or by an ack. No
    /// state that is shown with it acknowledges a later one. Zero for the opening leaf.
    pub(crate) const fn shown_h(&self) -> u64 {
        if self.ack_message_h > self.ack_h {
            self.ack_message_h
        } else {
            self.ack_h
        }
    }

    /// How many leaves its client has not acknowledged.
    pub(crate) const fn unacked(&self) -> u64 {
        self.h - self.acked_h
    }
}

impl TermsRecord {
    /// What of new terms is shared.
    pub(crate) fn new(terms: &ChannelTerms, funding: &OutPoint) -> Self {
        let mut record = Self {
            keys: [[0; 32]; 5],
            client_reserve: terms.client_reserve.to_sat(),
            hub_reserve: terms.hub_reserve.to_sat(),
            dispute_window: terms.dispute_window.get(),
            evidence_grace: terms.evidence_grace.get(),
            expiry: terms.expiry.get(),
            own: 0,
            funding_txid: *funding.txid.as_bytes(),
        };
        let keys = [
            terms.hub,
            terms.client_payout,
            terms.hub_payout,
            terms.emergency,
            terms.delegate,
        ];
        for (at, key) in keys.iter().enumerate() {
            if *key == terms.client {
                record.own |= 1 << at;
            } else {
                record.keys[at] = *key.as_bytes();
            }
        }
        record
    }

    fn key(&self, at: usize, client: &[u8; 32]) -> KeyBytes {
        let own = self.own & (1 << at) != 0;
        KeyBytes::from_bytes(if own { *client } else { self.keys[at] })
    }

    /// The whole terms of a channel that has these.
    pub(crate) fn terms(&self, channel: &ChannelRecord) -> ChannelTerms {
        let client = &channel.client;
        ChannelTerms {
            client: KeyBytes::from_bytes(*client),
            hub: self.key(0, client),
            client_payout: self.key(1, client),
            hub_payout: self.key(2, client),
            emergency: self.key(3, client),
            delegate: self.key(4, client),
            capacity: amount(channel.capacity),
            opening_share: amount(channel.opening_share),
            client_reserve: amount(self.client_reserve),
            hub_reserve: amount(self.hub_reserve),
            dispute_window: Age::new(self.dispute_window),
            evidence_grace: Age::new(self.evidence_grace),
            expiry: Height::new(self.expiry),
            nonce: channel.nonce,
        }
    }

    /// Zero if the channel expires before its close could end.
    pub(crate) fn last_lock_expiry(&self) -> Height {
        let end = self.expiry.checked_sub(self.dispute_window);
        Height::new(end.and_then(|end| end.checked_sub(self.evidence_grace)).unwrap_or(0))
    }

    pub(crate) const fn funding(&self, channel: &ChannelRecord) -> OutPoint {
        OutPoint {
            txid: Txid::from_bytes(self.funding_txid),
            vout: channel.funding_vout,
        }
    }
}
