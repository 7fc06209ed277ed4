//! The tables of the state, together.

use tidegate_channel::ChannelTerms;
use tidegate_types::{
    Amount, BatchNumber, ChannelId, ClientCounter, Digest, Fixed, Height, HubCounter, KeyBytes, LedgerId, OutPoint,
    Txid, UnixMillis,
};

use crate::record::{
    AnswerRecord, BodyRecord, ChannelRecord, CreditRecord, LeafRecord, LockRecord, MetaRecord, PageRecord, TermsRecord,
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

/// The tables of a [`Store`], in the order that [`Store::new`] takes them.
pub const TABLES: [TableSpec; 9] = [
    TableSpec {
        name: "meta",
        slot_bytes: size_of::<MetaRecord>(),
    },
    TableSpec {
        name: "channels",
        slot_bytes: size_of::<ChannelRecord>(),
    },
    TableSpec {
        name: "terms",
        slot_bytes: size_of::<TermsRecord>(),
    },
    TableSpec {
        name: "pages",
        slot_bytes: size_of::<PageRecord>(),
    },
    TableSpec {
        name: "locks",
        slot_bytes: size_of::<LockRecord>(),
    },
    TableSpec {
        name: "leaves",
        slot_bytes: size_of::<LeafRecord>(),
    },
    TableSpec {
        name: "bodies",
        slot_bytes: size_of::<BodyRecord>(),
    },
    TableSpec {
        name: "credits",
        slot_bytes: size_of::<CreditRecord>(),
    },
    TableSpec {
        name: "answers",
        slot_bytes: size_of::<AnswerRecord>(),
    },
];

/// The whole state of the engine, in the caller's memory.
#[derive(Clone, Debug)]
pub struct Store<S> {
    pub(crate) meta: Slab<MetaRecord, S>,
    pub(crate) channels: Slab<ChannelRecord, S>,
    pub(crate) terms: Slab<TermsRecord, S>,
    pub(crate) pages: Slab<PageRecord, S>,
    pub(crate) locks: Slab<LockRecord, S>,
    pub(crate) leaves: Slab<LeafRecord, S>,
    pub(crate) bodies: Slab<BodyRecord, S>,
    pub(crate) credits: Slab<CreditRecord, S>,
    pub(crate) answers: Slab<AnswerRecord, S>,
}

impl<S: Slots> Store<S> {
    /// The state in `tables`, which are those of [`TABLES`] in that order, empty or as they were left.
    #[must_use]
    pub fn new(tables: [S; 9]) -> Self {
        let [meta, channels, terms, pages, locks, leaves, bodies, credits, answers] = tables;
        Self {
            meta: Slab::new(meta),
            channels: Slab::new(channels),
            terms: Slab::new(terms),
            pages: Slab::new(pages),
            locks: Slab::new(locks),
            leaves: Slab::new(leaves),
            bodies: Slab::new(bodies),
            credits: Slab::new(credits),
            answers: Slab::new(answers),
        }
    }

    /// The tables by name, for a checkpoint.
    #[must_use]
    pub const fn tables(&self) -> [(&'static str, &S); 9] {
        [
            (TABLES[0].name, self.meta.slots()),
            (TABLES[1].name, self.channels.slots()),
            (TABLES[2].name, self.terms.slots()),
            (TABLES[3].name, self.pages.slots()),
            (TABLES[4].name, self.locks.slots()),
            (TABLES[5].name, self.leaves.slots()),
            (TABLES[6].name, self.bodies.slots()),
            (TABLES[7].name, self.credits.slots()),
            (TABLES[8].name, self.answers.slots()),
        ]
    }

    /// The tables to be written by a checkpoint, in the order of [`TABLES`].
    #[must_use]
    pub const fn tables_mut(&mut self) -> [&mut S; 9] {
        [
            self.meta.slots_mut(),
            self.channels.slots_mut(),
            self.terms.slots_mut(),
            self.pages.slots_mut(),
            self.locks.slots_mut(),
            self.leaves.slots_mut(),
            self.bodies.slots_mut(),
            self.credits.slots_mut(),
            self.answers.slots_mut(),
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
        self.terms.reserve(meta.channels, need.channels)?;
        self.pages.reserve(meta.pages.used, need.channels_touched)?;
        self.locks.reserve(meta.locks.used, need.adds)?;
        self.leaves.reserve(meta.leaves.used, need.channels_touched)?;
        self.bodies.reserve(meta.bodies.used, need.channels_touched)?;
        self.credits.reserve(meta.credits.used, need.adds)?;
        self.answers.reserve(meta.answers.used, need.operations)
    }
}

/// The most that a batch can add to each table.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Need {
    pub(crate) channels: usize,
    pub(crate) channels_touched: usize,
    pub(crate) adds: usize,
    pub(crate) operations: usize,
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

    pub(crate) const fn c(&self) -> ClientCounter {
        ClientCounter::new(self.c)
    }

    pub(crate) const fn h(&self) -> HubCounter {
        HubCounter::new(self.h)
    }

    /// How many leaves its client has not acknowledged.
    pub(crate) const fn unacked(&self) -> u64 {
        self.h - self.acked_h
    }
}

impl TermsRecord {
    /// The record of new terms.
    pub(crate) fn new(terms: &ChannelTerms, funding: &OutPoint) -> Self {
        let mut record: Self = bytemuck::Zeroable::zeroed();
        terms.encode_into(&mut bytemuck::bytes_of_mut(&mut record)[..ChannelTerms::LEN]);
        record.funding_txid = *funding.txid.as_bytes();
        record.funding_vout = funding.vout;
        record
    }

    pub(crate) fn terms(&self) -> ChannelTerms {
        ChannelTerms::decode(&bytemuck::bytes_of(self)[..ChannelTerms::LEN]).expect("terms are encoded by this engine")
    }

    /// Zero if the channel expires before its close could end.
    pub(crate) fn last_lock_expiry(&self) -> Height {
        let end = self.expiry.checked_sub(self.dispute_window);
        Height::new(end.and_then(|end| end.checked_sub(self.evidence_grace)).unwrap_or(0))
    }

    pub(crate) const fn funding(&self) -> OutPoint {
        OutPoint {
            txid: Txid::from_bytes(self.funding_txid),
            vout: self.funding_vout,
        }
    }
}
