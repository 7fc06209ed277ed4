//! One small story with fixed keys, told in real objects: what vectors show and what tests bend.
//!
//! A payer's channel and a payee's at one hub. The payer's first state adds two locks, one by `Ack` and one by `Hash`; the hub
//! credits the first and offers the second in batch 2; the payee acknowledges; the payer settles the first in its second state.

use tidegate_channel::evidence::{
    EntryPath, LeafProof, Mandate, MandateSubject, Opener, ProvenLeaf, Side, StartClose, StateNote,
};
use tidegate_channel::{
    Ack, BatchHeader, ChannelTerms, ClientState, Condition, Credit, FinalTerms, InLock, LeafKind, LeafPrivate,
    LeafPublic, Lock, OpKind, OpOutcome, Operation, Outcome, Release, SignedHeader, credit_salt, credited_root,
    encode_operations, leaf_digest, opening_leaf, opening_state, operations_digest, outcomes_root,
};
use tidegate_crypto::hash::{Domain, hash, payment_hash};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::merkle::{self, LockTree, Tree};
use tidegate_types::{
    Age, Amount, BatchNumber, ChannelId, ClientCounter, Digest, Height, HubCounter, KeyBytes, LedgerId, LockId,
    LockSlot, OutPoint, PaymentId, Txid, UnixMillis,
};

/// The keys: seed of 32 equal bytes each.
pub const HUB: u8 = 1;
/// The payer's key.
pub const PAYER: u8 = 2;
/// The payee's key.
pub const PAYEE: u8 = 3;
/// Where payouts go.
pub const PAYOUT: u8 = 4;

/// The preimage that the second lock asks for.
pub const PREIMAGE: [u8; 32] = [0x5a; 32];
/// The hub's secret, from which it salts the entries of its lists.
pub const SALT_SECRET: [u8; 32] = [0x77; 32];
/// Blocks by which everybody acts before a deadline.
pub const MARGIN: u32 = 6;
/// The height of the batch.
pub const HEIGHT: u32 = 100;

/// The key made from this seed byte.
#[must_use]
pub fn key(seed: u8) -> SecretKey {
    SecretKey::from_seed([seed; 32])
}

fn public(seed: u8) -> KeyBytes {
    key(seed).public().bytes()
}

/// The ledger that everything is signed for.
#[must_use]
pub fn ledger() -> LedgerId {
    LedgerId::from_bytes([0xee; 32])
}

fn sat(amount: u64) -> Amount {
    Amount::from_sat(amount).expect("below the supply")
}

fn slot(index: u8) -> LockSlot {
    LockSlot::new(index).expect("below 64")
}

/// The whole story.
#[derive(Clone, Debug)]
pub struct Cast {
    /// The payer's channel: funding outpoint, parameters, name.
    pub payer: (OutPoint, ChannelTerms, ChannelId),
    /// The payee's channel.
    pub payee: (OutPoint, ChannelTerms, ChannelId),
    /// The locks that the first state adds, in slots 0 and 1, with their names.
    pub locks: [(Lock, LockId); 2],
    /// The payer's states: `C(0)` to `C(2)`.
    pub states: [ClientState; 3],
    /// The operations of `C(1)` and `C(2)`.
    pub operations: [Vec<Operation>; 2],
    /// The credit that the payee is told of.
    pub credit: Credit,
    /// The in-lock that the payee is offered.
    pub in_lock: InLock,
    /// What became of the first state's operations.
    pub outcomes: [Outcome; 2],
    /// Batch 2, signed.
    pub header: SignedHeader,
    /// The payer's leaf and the payee's, both `H(1)`, in that batch.
    pub leaves: [ProvenLeaf; 2],
    /// The payee's acknowledgement.
    pub ack: Ack,
    /// The way from that acknowledgement to the credited lock.
    pub entry: EntryPath,
    /// A release of the in-lock.
    pub release: Release,
    /// A start of the payer's close by the hub.
    pub start: StartClose,
    /// The hub's word that it has accepted `C(2)`.
    pub note: StateNote,
    /// A mandate of the payer's side.
    pub mandate: Mandate,
    /// The terms of a cooperative close of the payer's channel.
    pub last: FinalTerms,
}

fn channel(client: u8, vout: u32) -> (OutPoint, ChannelTerms, ChannelId) {
    let funding = OutPoint {
        txid: Txid::from_bytes([0xf0; 32]),
        vout,
    };
    let terms = ChannelTerms {
        client: public(client),
        hub: public(HUB),
        client_payout: public(PAYOUT),
        hub_payout: public(HUB),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(1_000_000),
        opening_share: sat(600_000),
        client_reserve: sat(1_000),
        hub_reserve: sat(1_000),
        dispute_window: Age::new(144),
        evidence_grace: Age::new(18),
        expiry: Height::new(50_000),
        nonce: 7,
    };
    let id = terms.channel_id(&funding);
    (funding, terms, id)
}

fn lock(payee: ChannelId, number: u8, condition: Condition) -> Lock {
    Lock {
        payment_id: PaymentId::from_bytes([number; 16]),
        amount: sat(1_000 * u64::from(number)),
        fee: sat(10),
        payee: public(PAYEE),
        payee_channel: payee,
        expiry: Height::new(HEIGHT + 40),
        condition,
    }
}

fn tree_over(digests: &[(LockSlot, Digest)]) -> Digest {
    let mut slots = [Digest::ZERO; LockSlot::COUNT];
    for (slot, digest) in digests {
        slots[slot.index()] = *digest;
    }
    LockTree::root_of(&slots)
}

fn as_digest(lock: LockId) -> Digest {
    Digest::from_bytes(*lock.as_bytes())
}

fn operations(list: &[Operation]) -> Digest {
    let mut bytes = Vec::new();
    encode_operations(list, &mut bytes);
    operations_digest(&bytes)
}

impl Cast {
    /// The story, the same every time.
    #[must_use]
    #[expect(
        clippy::too_many_lines,
        reason = "one story told once in its order: a split would hand each value through three signatures"
    )]
    pub fn new() -> Self {
        let (payer, payee) = (channel(PAYER, 0), channel(PAYEE, 1));
        let (one, two) = (slot(0), slot(1));
        let first = ClientCounter::new(1);
        let locks = [
            (one, lock(payee.2, 1, Condition::Ack)),
            (two, lock(payee.2, 2, Condition::Hash(payment_hash(&PREIMAGE)))),
        ]
        .map(|(slot, lock)| (lock, lock.id(&payer.2, first, slot)));
        let added = locks.map(|(lock, _)| lock);
        let lists = [
            vec![
                Operation::Add {
                    slot: one,
                    lock: added[0],
                },
                Operation::Add {
                    slot: two,
                    lock: added[1],
                },
            ],
            vec![Operation::Settle { slot: one }],
        ];
        let opening = opening_state(payer.2);
        let state = ClientState {
            counter: first,
            locks_sum: sat(1_010 + 2_010),
            locks_root: tree_over(&[(one, as_digest(locks[0].1)), (two, as_digest(locks[1].1))]),
            operations: operations(&lists[0]),
            ..opening
        };
        let credit = Credit {
            lock: locks[0].1,
            salt: credit_salt(&SALT_SECRET, &locks[0].1),
            payment_id: added[0].payment_id,
            amount: added[0].amount,
            expiry: added[0].expiry,
        };
        let in_lock = InLock::of(&added[1], locks[1].1).expect("it waits for a preimage");
        let outcomes = [
            (one, locks[0].1, OpOutcome::Delivered),
            (two, locks[1].1, OpOutcome::Pending),
        ]
        .map(|(slot, lock, outcome)| Outcome {
            counter: first,
            kind: OpKind::Add,
            slot,
            outcome,
            lock,
            salt: [0; 16],
            preimage: [0; 32],
        });
        let (header, leaves) = leaves(&payer.2, &payee.2, &state, &credit, &in_lock, &outcomes);
        let settled = ClientState {
            counter: ClientCounter::new(2),
            debit: sat(1_010),
            locks_sum: sat(2_010),
            locks_root: tree_over(&[(two, as_digest(locks[1].1))]),
            ack: leaves[0].reference(),
            operations: operations(&lists[1]),
            ..state
        };
        Self {
            states: [opening, state, settled],
            operations: lists,
            credit,
            in_lock,
            outcomes,
            ack: Ack {
                channel: payee.2,
                leaf: leaves[1].reference(),
            },
            entry: EntryPath {
                index: 0,
                count: 1,
                salt: credit.salt,
                path: Vec::new(),
            },
            release: Release {
                channel: payee.2,
                lock: locks[1].1,
            },
            start: StartClose {
                channel: payer.2,
                opener: Opener::Hub,
                has_evidence: true,
                batch: BatchNumber::new(2),
                client: ClientCounter::new(2),
                hub: HubCounter::new(1),
            },
            note: StateNote {
                channel: payer.2,
                state: settled.reference(),
            },
            mandate: Mandate {
                channel: payer.2,
                side: Side::Client,
                subject: MandateSubject::Pair(ClientCounter::new(2), HubCounter::new(1)),
            },
            last: FinalTerms {
                channel: payer.2,
                client_payout: sat(590_000),
                hub_payout: sat(409_000),
                fee: sat(1_000),
                successor: OutPoint {
                    txid: Txid::ZERO,
                    vout: 0,
                },
            },
            header,
            leaves,
            locks,
            payer,
            payee,
        }
    }
}

impl Default for Cast {
    fn default() -> Self {
        Self::new()
    }
}

/// Both leaves of batch 2, in one signed header.
fn leaves(
    payer: &ChannelId,
    payee: &ChannelId,
    state: &ClientState,
    credit: &Credit,
    in_lock: &InLock,
    outcomes: &[Outcome],
) -> (SignedHeader, [ProvenLeaf; 2]) {
    let follow = |channel: &ChannelId| {
        let (private, public) = opening_leaf(*channel);
        let previous = leaf_digest(&private.digest(), &public.digest());
        let private = LeafPrivate {
            counter: HubCounter::new(1),
            height: Height::new(HEIGHT),
            kind: LeafKind::Update,
            ..private
        };
        (private, LeafPublic { previous, ..public })
    };
    let (mut own, own_public) = follow(payer);
    own.ack = state.reference();
    own.outcomes_root = outcomes_root(outcomes);
    let (mut other, mut other_public) = follow(payee);
    other.unfirm_credit = credit.amount;
    other.ack_by = credit.expiry.minus(Age::new(2 * MARGIN)).expect("above zero");
    other.in_locks_sum = in_lock.amount;
    other.in_locks_root = tree_over(&[(slot(0), in_lock.digest())]);
    other_public.credited_root = credited_root(&[*credit]);
    let parts = [(own, own_public), (other, other_public)];
    let digests = parts.map(|(private, public)| leaf_digest(&private.digest(), &public.digest()));
    let tree = Tree::build(merkle::RECEIPTS, &digests);
    let header = BatchHeader {
        hub: public(HUB),
        number: BatchNumber::new(2),
        previous: hash(Domain::Header, b"the header before"),
        leaf_count: 2,
        height: Height::new(HEIGHT),
        leaves_root: tree.root(),
        outcomes: hash(Domain::OutcomeDigest, b"all outcomes of the batch"),
        block: hash(Domain::Block, b"the final block"),
        time: UnixMillis::new(1_700_000_000_000),
    }
    .sign(&ledger(), &key(HUB));
    let proven = [0_u32, 1].map(|index| ProvenLeaf {
        proof: LeafProof::Batch {
            header: Box::new(header),
            index,
            path: tree.path(index).collect(),
        },
        private: parts[index as usize].0,
        public: parts[index as usize].1,
    });
    (header, proven)
}
