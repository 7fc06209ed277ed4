//! The hub's half state `H`: one leaf of a batch (section 3, rules 12 and 17).
//!
//! ```text
//! private  channel 32 | h 8 | K 8 | U 8 | Σ in-locks 8 | root of in-locks 32 | outcomes 32 | final terms 32
//!          ack: c 8, digest 32 | ack by 4 | height 4 | kind 1 | 0 × 7                                      216 bytes
//! public   previous leaf 32 | credited 32 | failed 32                                                       96 bytes
//! digest   node(private digest, public digest)
//! ```
//!
//! The public part is all that a payer's proof of payment shows of its payee's channel.

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::merkle::{self, LockTree, TreeKind};
use tidegate_types::{
    Amount, ChannelId, ClientCounter, DecodeError, Digest, Fixed, Height, HubCounter, LockId, PaymentId, Reader,
    Writer, fixed_struct,
};

use crate::{StateRef, opening_state};

/// Whether a leaf is a channel's last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeafKind {
    /// More may follow.
    Update,
    /// Nothing follows: the channel is frozen, and `terms` names how it ends.
    Final,
}

impl Fixed for LeafKind {
    const LEN: usize = 1;

    fn write(&self, w: &mut Writer<'_>) {
        match self {
            Self::Update => 0_u8.write(w),
            Self::Final => 1_u8.write(w),
        }
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            0 => Ok(Self::Update),
            1 => Ok(Self::Final),
            other => Err(DecodeError::UnknownValue {
                field: "leaf kind",
                value: other.into(),
            }),
        }
    }
}

/// The part of a leaf that only the two ends of the channel see.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafPrivate {
    /// The channel.
    pub channel: ChannelId,
    /// The counter `h`.
    pub counter: HubCounter,
    /// Total firm credit `K`; never falls.
    pub firm_credit: Amount,
    /// `U`: credits by `Ack` locks whose ack the hub has not taken yet. No total: it falls as credits become firm or void.
    pub unfirm_credit: Amount,
    /// Σ of the open in-locks.
    pub in_locks_sum: Amount,
    /// Root of the open in-locks by slot.
    pub in_locks_root: Digest,
    /// Root of the outcomes of the states that this leaf acknowledges; zero for none.
    pub outcomes_root: Digest,
    /// Digest of the [`crate::FinalTerms`] of a final leaf; zero otherwise.
    pub terms: Digest,
    /// The newest client state that the hub has accepted.
    pub ack: StateRef,
    /// The lowest height by which an ack makes all of `U` firm; zero when `U` is.
    pub ack_by: Height,
    /// The ledger height of the batch.
    pub height: Height,
    /// Whether it is the last.
    pub kind: LeafKind,
}
fixed_struct!(LeafPrivate {
    channel: ChannelId,
    counter: HubCounter,
    firm_credit: Amount,
    unfirm_credit: Amount,
    in_locks_sum: Amount,
    in_locks_root: Digest,
    outcomes_root: Digest,
    terms: Digest,
    ack: StateRef,
    ack_by: Height,
    height: Height,
    kind: LeafKind,
    pad 7,
});

/// The part of a leaf that a proof of payment shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LeafPublic {
    /// Digest of the channel's previous leaf; zero before the first.
    pub previous: Digest,
    /// Root of the locks credited by this leaf; zero for none.
    pub credited_root: Digest,
    /// Root of the locks failed by this leaf; zero for none.
    pub failed_root: Digest,
}
fixed_struct!(LeafPublic {
    previous: Digest,
    credited_root: Digest,
    failed_root: Digest
});

pub(crate) const PRIVATE_HASHED_LEN: usize = 256;
const PUBLIC_HASHED_LEN: usize = 128;
const _: () = assert!(LeafPrivate::LEN <= PRIVATE_HASHED_LEN && LeafPublic::LEN <= PUBLIC_HASHED_LEN);

impl LeafPrivate {
    /// The private half of the leaf's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::LeafPrivate, &self.preimage())
    }

    /// What [`LeafPrivate::digest`] hashes.
    pub(crate) fn preimage(&self) -> [u8; PRIVATE_HASHED_LEN] {
        let mut bytes = [0; PRIVATE_HASHED_LEN];
        self.encode_into(&mut bytes[..Self::LEN]);
        bytes
    }
}

impl LeafPublic {
    /// The public half of the leaf's digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::LeafPublic, &self.preimage())
    }

    /// What [`LeafPublic::digest`] hashes.
    pub(crate) fn preimage(&self) -> [u8; PUBLIC_HASHED_LEN] {
        let mut bytes = [0; PUBLIC_HASHED_LEN];
        self.encode_into(&mut bytes[..Self::LEN]);
        bytes
    }
}

/// A leaf's digest, from the digests of its two parts.
#[must_use]
pub fn leaf_digest(private: &Digest, public: &Digest) -> Digest {
    hash(Domain::Leaf, &pair(private, public))
}

pub(crate) fn pair(first: &Digest, second: &Digest) -> [u8; 64] {
    let mut bytes = [0; 2 * Digest::LEN];
    bytes[..Digest::LEN].copy_from_slice(first.as_bytes());
    bytes[Digest::LEN..].copy_from_slice(second.as_bytes());
    bytes
}

/// `H(0)`: what follows from the funding output alone. No batch holds it.
#[must_use]
pub fn opening_leaf(channel: ChannelId) -> (LeafPrivate, LeafPublic) {
    let state = opening_state(channel).digest();
    (opening_private(channel, state), opening_public())
}

/// The private part of `H(0)`, of which `state` is the digest of the opening state.
pub(crate) fn opening_private(channel: ChannelId, state: Digest) -> LeafPrivate {
    LeafPrivate {
        channel,
        counter: HubCounter::ZERO,
        firm_credit: Amount::ZERO,
        unfirm_credit: Amount::ZERO,
        in_locks_sum: Amount::ZERO,
        in_locks_root: LockTree::empty_root(),
        outcomes_root: Digest::ZERO,
        terms: Digest::ZERO,
        ack: StateRef {
            counter: ClientCounter::ZERO,
            digest: state,
        },
        ack_by: Height::ZERO,
        height: Height::ZERO,
        kind: LeafKind::Update,
    }
}

pub(crate) const fn opening_public() -> LeafPublic {
    LeafPublic {
        previous: Digest::ZERO,
        credited_root: Digest::ZERO,
        failed_root: Digest::ZERO,
    }
}

/// One payment that a leaf credits, as the payee is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Credit {
    /// The payer's lock.
    pub lock: LockId,
    /// Hides the lock among its neighbours in a proof (rule 12).
    pub salt: [u8; 16],
    /// The payer's name for the payment.
    pub payment_id: PaymentId,
    /// What was credited.
    pub amount: Amount,
    /// The lock's expiry: above it an unacknowledged credit is void.
    pub expiry: Height,
}
fixed_struct!(Credit { lock: LockId, salt: [u8; 16], payment_id: PaymentId, amount: Amount, expiry: Height, pad 4 });

impl Credit {
    /// The entry that stands under the credited root.
    #[must_use]
    pub fn entry(&self) -> Digest {
        lock_entry(&self.lock, &self.salt)
    }
}

/// A lock's entry under a credited or failed root.
pub(crate) fn lock_entry(lock: &LockId, salt: &[u8; 16]) -> Digest {
    hash(Domain::CreditEntry, &lock_entry_preimage(lock, salt))
}

/// What [`lock_entry`] hashes.
pub(crate) fn lock_entry_preimage(lock: &LockId, salt: &[u8; 16]) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(lock.as_bytes());
    bytes[32..48].copy_from_slice(salt);
    bytes
}

/// The salt of `lock`, from the hub's secret: equal on every replay, unknown to everyone who is not told.
#[must_use]
pub fn credit_salt(secret: &[u8; 32], lock: &LockId) -> [u8; 16] {
    salt_of(&hash(Domain::CreditSalt, &salt_preimage(secret, lock)))
}

/// What [`credit_salt`] hashes.
pub(crate) fn salt_preimage(secret: &[u8; 32], lock: &LockId) -> [u8; 64] {
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(secret);
    bytes[32..].copy_from_slice(lock.as_bytes());
    bytes
}

/// The salt in its digest.
pub(crate) fn salt_of(digest: &Digest) -> [u8; 16] {
    *digest.as_bytes().first_chunk().expect("a digest is longer than a salt")
}

/// The credited root of a leaf: zero for none, else a Merkle root in the order given.
#[must_use]
pub fn credited_root(credits: &[Credit]) -> Digest {
    list_root(merkle::LIST, &credits.iter().map(Credit::entry).collect::<Vec<_>>())
}

/// The root of a short list: zero when it is empty.
pub(crate) fn list_root(kind: TreeKind, entries: &[Digest]) -> Digest {
    if entries.is_empty() {
        Digest::ZERO
    } else {
        merkle::root(kind, entries)
    }
}
