//! Records: what the ledger remembers beside money, as entries of its one table, each with no amount.
//!
//! ```text
//! CloseState (16)  channel 32 | opener 1 | corrected 1 | 0 × 2 | started 4 | deadline 4 | grace end 4 | batch 8 | bond 8
//!                  | c 8 | D 8 | Σ out-locks 8 | out slots 8 | h 8 | K 8 | U 8 | Σ in-locks 8 | in slots 8
//!                  | drawn by the client 8 | drawn by the hub 8 | ack by 4 | 0 × 4
//! OpenLock (17)    channel 32 | side 1 | slot 1 | refunded 1 | condition 1 | expiry 4 | amount 8 | lock id 32
//!                  | hash, or payee's channel 32
//! Preimage (18)    hash 32 | preimage 32
//! Ack (19)         channel 32 | h 8 | digest 32
//! StakeOf (20)     hub 32 | outpoint of its stake 36 | 0 × 4
//! Commitment (21)  digest 32
//! Ended (22)       channel 32 | hub 32 | client payout key 32 | paid to the hub 8 | until 4 | 0 × 4
//!
//! outpoint         txid = hash(LedgerRecord, kind 1 | side 1 | slot 1 | 0 × 5 | name 32 | counter 8 | digest 32 | 0 × 48), vout 0
//! ```
//!
//! A record stands under the root of the unspent outputs like everything else, is undone like everything else, and its
//! height is that of the entry: that of the block that made it.

use tidegate_channel::evidence::{Opener, Side};
use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{
    Amount, BatchNumber, ChannelId, ClientCounter, DecodeError, Digest, Fixed, Height, HubCounter, KeyBytes, LockId,
    LockSlot, OutPoint, Reader, Txid, Writer, fixed_struct,
};

use crate::condition::{BODY_LEN, unknown};
use crate::{Condition, LockCondition, LockTerms, Output};

/// One thing that the ledger remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Record {
    /// How far the close of a channel is.
    CloseState(CloseState),
    /// One lock of a close, with its content.
    OpenLock(OpenLock),
    /// A preimage that was revealed.
    Preimage(PreimageRecord),
    /// An ack that was revealed.
    Ack(AckRecord),
    /// Where a hub's stake is.
    StakeOf(StakeRecord),
    /// A fault report to come.
    Commitment(Digest),
    /// What a hub with a stake took out of a channel that has ended.
    Ended(EndedRecord),
}

/// The best client state that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct ClientBest {
    /// Its counter, c.
    pub counter: ClientCounter,
    /// Total debit, D.
    pub debit: Amount,
    /// Σ of its open locks, fees included.
    pub locks: Amount,
    /// Which slots have an [`OpenLock`] record, bit by slot.
    pub slots: u64,
}
fixed_struct!(ClientBest {
    counter: ClientCounter,
    debit: Amount,
    locks: Amount,
    slots: u64
});

/// The best leaf that was shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct HubBest {
    /// Its counter, h.
    pub counter: HubCounter,
    /// Total firm credit, K.
    pub firm: Amount,
    /// Credit that counts if the leaf's ack stands on the ledger in time, U.
    pub unfirm: Amount,
    /// Σ of its open locks.
    pub locks: Amount,
    /// Which slots have an [`OpenLock`] record, bit by slot.
    pub slots: u64,
}
fixed_struct!(HubBest {
    counter: HubCounter,
    firm: Amount,
    unfirm: Amount,
    locks: Amount,
    slots: u64
});

/// How far the close of a channel is (rules 24 to 27).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CloseState {
    /// The channel.
    pub channel: ChannelId,
    /// Who started it.
    pub opener: Opener,
    /// Whether evidence came that was newer than the opener's.
    pub corrected: bool,
    /// The height of its start.
    pub started: Height,
    /// The last height for pairs.
    pub deadline: Height,
    /// The last height for lock evidence; above it the close can be settled.
    pub grace_end: Height,
    /// The hub's last batch, if the hub started it.
    pub batch: BatchNumber,
    /// The most that the opener makes good of what the close cost the other side.
    pub bond: Amount,
    /// The newest client state.
    pub client: ClientBest,
    /// The newest leaf.
    pub hub: HubBest,
    /// Fees that were charged to the client's side.
    pub drawn_client: Amount,
    /// Fees that were charged to the hub's side.
    pub drawn_hub: Amount,
    /// By when an ack makes U count.
    pub ack_by: Height,
}

impl Fixed for CloseState {
    const LEN: usize = 32 + 4 + 3 * 4 + 8 + 8 + ClientBest::LEN + HubBest::LEN + 16 + 8;

    fn write(&self, w: &mut Writer<'_>) {
        self.channel.write(w);
        self.opener.write(w);
        u8::from(self.corrected).write(w);
        w.pad(2);
        self.started.write(w);
        self.deadline.write(w);
        self.grace_end.write(w);
        self.batch.write(w);
        self.bond.write(w);
        self.client.write(w);
        self.hub.write(w);
        self.drawn_client.write(w);
        self.drawn_hub.write(w);
        self.ack_by.write(w);
        w.pad(4);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (channel, opener, corrected) = (ChannelId::read(r)?, Opener::read(r)?, read_flag(r)?);
        r.pad(2)?;
        let state = Self {
            channel,
            opener,
            corrected,
            started: Height::read(r)?,
            deadline: Height::read(r)?,
            grace_end: Height::read(r)?,
            batch: BatchNumber::read(r)?,
            bond: Amount::read(r)?,
            client: ClientBest::read(r)?,
            hub: HubBest::read(r)?,
            drawn_client: Amount::read(r)?,
            drawn_hub: Amount::read(r)?,
            ack_by: Height::read(r)?,
        };
        r.pad(4)?;
        Ok(state)
    }
}

/// One lock of a close, with its content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenLock {
    /// The channel.
    pub channel: ChannelId,
    /// Who owes it.
    pub side: Side,
    /// Where it stood.
    pub slot: LockSlot,
    /// Whether evidence came that it was given up.
    pub refunded: bool,
    /// It is met at this height at the latest.
    pub expiry: Height,
    /// What it holds, the fee included.
    pub amount: Amount,
    /// Its name.
    pub lock: LockId,
    /// When it is met.
    pub condition: LockCondition,
}

impl Fixed for OpenLock {
    const LEN: usize = 32 + 4 + 4 + 8 + 32 + 32;

    fn write(&self, w: &mut Writer<'_>) {
        let (code, rest) = match self.condition {
            LockCondition::Ack { payee, .. } => (1_u8, *payee.as_bytes()),
            LockCondition::Hash(hash) => (2, hash),
        };
        self.channel.write(w);
        self.side.write(w);
        self.slot.write(w);
        u8::from(self.refunded).write(w);
        code.write(w);
        self.expiry.write(w);
        self.amount.write(w);
        self.lock.write(w);
        rest.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (channel, side, slot) = (ChannelId::read(r)?, Side::read(r)?, LockSlot::read(r)?);
        let (refunded, code) = (read_flag(r)?, u8::read(r)?);
        let (expiry, amount, lock) = (Height::read(r)?, Amount::read(r)?, LockId::read(r)?);
        let rest = r.array()?;
        let condition = match code {
            1 => LockCondition::Ack {
                lock,
                payee: ChannelId::from_bytes(rest),
            },
            2 => LockCondition::Hash(rest),
            other => return Err(unknown("lock condition", other)),
        };
        Ok(Self {
            channel,
            side,
            slot,
            refunded,
            expiry,
            amount,
            lock,
            condition,
        })
    }
}

impl OpenLock {
    /// The output that it becomes when the close is settled, given the payout keys of client and hub.
    #[must_use]
    pub const fn terms(&self, client: KeyBytes, hub: KeyBytes) -> LockTerms {
        let (claim, refund) = match self.side {
            Side::Client => (hub, client),
            Side::Hub => (client, hub),
        };
        LockTerms {
            condition: self.condition,
            claim,
            refund,
            expiry: self.expiry,
        }
    }
}

/// A preimage that was revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreimageRecord {
    /// Its SHA-256.
    pub hash: [u8; 32],
    /// The preimage.
    pub preimage: [u8; 32],
}
fixed_struct!(PreimageRecord {
    hash: [u8; 32],
    preimage: [u8; 32]
});

/// An ack that was revealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AckRecord {
    /// The channel.
    pub channel: ChannelId,
    /// The leaf's counter.
    pub counter: HubCounter,
    /// The leaf's digest.
    pub digest: Digest,
}
fixed_struct!(AckRecord {
    channel: ChannelId,
    counter: HubCounter,
    digest: Digest
});

/// Where a hub's stake is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StakeRecord {
    /// The hub.
    pub hub: KeyBytes,
    /// The stake.
    pub outpoint: OutPoint,
}
fixed_struct!(StakeRecord { hub: KeyBytes, outpoint: OutPoint, pad 4 });

/// What a hub with a stake took out of a channel that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndedRecord {
    /// The channel.
    pub channel: ChannelId,
    /// Its hub.
    pub hub: KeyBytes,
    /// Who is paid if the hub turns out to have cheated.
    pub client_payout: KeyBytes,
    /// What the hub was paid.
    pub hub_paid: Amount,
    /// The last height at which this is kept: as long as the hub's stake can be slashed for the channel.
    pub until: Height,
}
fixed_struct!(EndedRecord {
    channel: ChannelId,
    hub: KeyBytes,
    client_payout: KeyBytes,
    hub_paid: Amount,
    until: Height,
    pad 4,
});

const _: () = assert!(CloseState::LEN <= BODY_LEN && OpenLock::LEN <= BODY_LEN && EndedRecord::LEN <= BODY_LEN);

const KIND_CLOSE_STATE: u8 = 16;
const KIND_OPEN_LOCK: u8 = 17;
const KIND_PREIMAGE: u8 = 18;
const KIND_ACK: u8 = 19;
const KIND_STAKE_OF: u8 = 20;
const KIND_COMMITMENT: u8 = 21;
const KIND_ENDED: u8 = 22;

impl Record {
    pub(crate) const fn kind(&self) -> u8 {
        match self {
            Self::CloseState(_) => KIND_CLOSE_STATE,
            Self::OpenLock(_) => KIND_OPEN_LOCK,
            Self::Preimage(_) => KIND_PREIMAGE,
            Self::Ack(_) => KIND_ACK,
            Self::StakeOf(_) => KIND_STAKE_OF,
            Self::Commitment(_) => KIND_COMMITMENT,
            Self::Ended(_) => KIND_ENDED,
        }
    }

    pub(crate) const fn body_len(&self) -> usize {
        match self {
            Self::CloseState(_) => CloseState::LEN,
            Self::OpenLock(_) => OpenLock::LEN,
            Self::Preimage(_) => PreimageRecord::LEN,
            Self::Ack(_) => AckRecord::LEN,
            Self::StakeOf(_) => StakeRecord::LEN,
            Self::Commitment(_) => Digest::LEN,
            Self::Ended(_) => EndedRecord::LEN,
        }
    }

    pub(crate) fn write_body(&self, w: &mut Writer<'_>) {
        match self {
            Self::CloseState(state) => state.write(w),
            Self::OpenLock(lock) => lock.write(w),
            Self::Preimage(record) => record.write(w),
            Self::Ack(record) => record.write(w),
            Self::StakeOf(record) => record.write(w),
            Self::Commitment(digest) => digest.write(w),
            Self::Ended(record) => record.write(w),
        }
    }

    pub(crate) fn read_body(kind: u8, r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        Ok(match kind {
            KIND_CLOSE_STATE => Self::CloseState(CloseState::read(r)?),
            KIND_OPEN_LOCK => Self::OpenLock(OpenLock::read(r)?),
            KIND_PREIMAGE => Self::Preimage(PreimageRecord::read(r)?),
            KIND_ACK => Self::Ack(AckRecord::read(r)?),
            KIND_STAKE_OF => Self::StakeOf(StakeRecord::read(r)?),
            KIND_COMMITMENT => Self::Commitment(Digest::read(r)?),
            KIND_ENDED => Self::Ended(EndedRecord::read(r)?),
            other => return Err(unknown("condition", other)),
        })
    }

    /// The entry that holds it: where it stands, and an output without money.
    pub(crate) fn entry(self) -> (OutPoint, Output) {
        let output = Output {
            amount: Amount::ZERO,
            condition: Condition::Record(self),
        };
        (self.outpoint(), output)
    }

    /// Where it stands among the ledger's entries.
    #[must_use]
    pub fn outpoint(&self) -> OutPoint {
        match self {
            Self::CloseState(state) => close_outpoint(&state.channel),
            Self::OpenLock(lock) => lock_outpoint(&lock.channel, lock.side, lock.slot),
            Self::Preimage(record) => preimage_outpoint(&record.hash),
            Self::Ack(record) => ack_outpoint(record),
            Self::StakeOf(record) => stake_outpoint(&record.hub),
            Self::Commitment(digest) => commitment_outpoint(digest),
            Self::Ended(record) => ended_outpoint(&record.channel),
        }
    }
}

/// Where the [`CloseState`] of a channel stands.
#[must_use]
pub fn close_outpoint(channel: &ChannelId) -> OutPoint {
    place(KIND_CLOSE_STATE, [0; 2], channel.as_bytes(), 0, &Digest::ZERO)
}

/// Where the [`OpenLock`] of a slot stands.
#[must_use]
pub fn lock_outpoint(channel: &ChannelId, side: Side, slot: LockSlot) -> OutPoint {
    let mut head = [0; 2];
    side.encode_into(&mut head[..1]);
    slot.encode_into(&mut head[1..]);
    place(KIND_OPEN_LOCK, head, channel.as_bytes(), 0, &Digest::ZERO)
}

/// Where the record of a preimage stands.
#[must_use]
pub fn preimage_outpoint(hash: &[u8; 32]) -> OutPoint {
    place(KIND_PREIMAGE, [0; 2], hash, 0, &Digest::ZERO)
}

/// Where the record of an ack stands.
#[must_use]
pub fn ack_outpoint(ack: &AckRecord) -> OutPoint {
    place(KIND_ACK, [0; 2], ack.channel.as_bytes(), ack.counter.get(), &ack.digest)
}

/// Where the record of a hub's stake stands.
#[must_use]
pub fn stake_outpoint(hub: &KeyBytes) -> OutPoint {
    place(KIND_STAKE_OF, [0; 2], hub.as_bytes(), 0, &Digest::ZERO)
}

/// Where the record of a commitment stands.
#[must_use]
pub fn commitment_outpoint(digest: &Digest) -> OutPoint {
    place(KIND_COMMITMENT, [0; 2], digest.as_bytes(), 0, &Digest::ZERO)
}

/// Where the [`EndedRecord`] of a channel stands.
#[must_use]
pub fn ended_outpoint(channel: &ChannelId) -> OutPoint {
    place(KIND_ENDED, [0; 2], channel.as_bytes(), 0, &Digest::ZERO)
}

fn place(kind: u8, head: [u8; 2], name: &[u8; 32], counter: u64, digest: &Digest) -> OutPoint {
    let mut bytes = [0; 128];
    bytes[0] = kind;
    bytes[1..3].copy_from_slice(&head);
    bytes[8..40].copy_from_slice(name);
    bytes[40..48].copy_from_slice(&counter.to_le_bytes());
    bytes[48..80].copy_from_slice(digest.as_bytes());
    OutPoint {
        txid: Txid::from_bytes(*hash(Domain::LedgerRecord, &bytes).as_bytes()),
        vout: 0,
    }
}

fn read_flag(r: &mut Reader<'_>) -> Result<bool, DecodeError> {
    match u8::read(r)? {
        0 => Ok(false),
        1 => Ok(true),
        other => Err(unknown("flag", other)),
    }
}
