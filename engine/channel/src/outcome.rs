//! What the hub answers: one outcome per operation of an accepted state, or one refusal of the whole state (rule 10).
//!
//! ```text
//! outcome  c 8 | operation 1 | slot 1 | result 1 | reason 1 | 0 × 4 | lock id 32 | salt 16 | preimage 32     96 bytes
//! ```

use tidegate_crypto::hash::{Domain, hash};
use tidegate_crypto::merkle;
use tidegate_types::{ClientCounter, DecodeError, Digest, Fixed, LockId, LockSlot, Reader, Writer, fixed_struct};

use crate::leaf::{list_root, lock_entry};

macro_rules! codes {
    ($(#[$doc:meta])* $name:ident: $field:literal { $($(#[$vdoc:meta])* $variant:ident = $code:literal $text:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(u8)]
        pub enum $name { $($(#[$vdoc])* $variant = $code),* }

        impl $name {
            /// Every value.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// The code on the wire.
            #[must_use]
            pub const fn code(self) -> u8 {
                self as u8
            }

            /// The value with this code.
            ///
            /// # Errors
            /// [`DecodeError::UnknownValue`].
            pub const fn from_code(code: u8) -> Result<Self, DecodeError> {
                match code {
                    $($code => Ok(Self::$variant),)*
                    _ => Err(DecodeError::UnknownValue { field: $field, value: code as u32 }),
                }
            }

            /// The name in results and metrics.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => stringify!($variant)),* }
            }
        }

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                f.write_str(match self { $(Self::$variant => $text),* })
            }
        }

        impl Fixed for $name {
            const LEN: usize = 1;

            fn write(&self, w: &mut Writer<'_>) {
                self.code().write(w);
            }

            fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
                Self::from_code(u8::read(r)?)
            }
        }
    };
}

codes! {
    /// Why a state was not accepted. Nothing changed; the state may be sent again byte for byte.
    RefuseReason: "refusal" {
        /// The signature is not the client's.
        BadSignature = 1 "the signature is not the client's",
        /// The counter is below the newest accepted one.
        StaleCounter = 2 "the counter is below the newest accepted one",
        /// A known counter or payment id with other content.
        Conflict = 3 "the counter or payment id is known with other content",
        /// The payment id is known with the same content; the stored answer stands.
        Duplicate = 4 "the payment id is known; its stored answer stands",
        /// The acknowledged leaf is not among the channel's last 64.
        UnknownLeaf = 5 "the acknowledged leaf is not among the channel's last 64",
        /// The acknowledged leaf is older than the predecessor's.
        AckFell = 6 "the acknowledgement fell",
        /// 64 leaves are not acknowledged.
        AckOverdue = 7 "64 leaves wait for an ack",
        /// Sums, root or debit are not what the operations lead to.
        WrongState = 8 "the state is not what its operations lead to",
        /// An operation names a taken or empty slot, or one that another operation of the batch made.
        BadOperation = 9 "an operation does not fit the open locks",
        /// A settled lock was neither delivered nor proved.
        NotDelivered = 10 "a lock cannot be settled before it is delivered",
        /// A dropped lock has neither failed nor expired.
        NotDroppable = 11 "a lock cannot be dropped before it failed or expired",
        /// The client balance would fall below its reserve.
        InsufficientBalance = 12 "the client balance would fall below its reserve",
        /// The channel is closing or closed.
        Closing = 13 "the channel is closing",
        /// The hub has no room for more open locks, answers or leaves.
        Busy = 14 "the hub is busy; send the same bytes again",
        /// Something that this hub does not offer.
        NotOffered = 15 "the hub does not offer this",
        /// No such lock is open towards this client.
        UnknownLock = 16 "no such lock is open towards this client",
        /// The preimage does not meet the lock's hash.
        WrongPreimage = 17 "the preimage does not meet the lock's hash",
        /// Too few blocks are left before the lock's expiry: the preimage belongs on the ledger now.
        TooLate = 18 "the preimage came too late; reveal it on the ledger before the lock's expiry",
        /// The channel's last leaf may have no locks, and locks are open.
        LocksOpen = 19 "locks are open; settle or drop them first",
        /// The channel's last leaf may have no credits that wait, and some do.
        CreditsWaiting = 20 "credits wait for an ack; acknowledge them first",
        /// The shares of a splice's successor are not what the channel's balances come to.
        OtherShares = 21 "the successor's shares are not what the channel's balances come to",
        /// A payer owes by the client's ack, and no final block holds that ack yet. It is brought there.
        AckUnproven = 22 "what a payer owes by this channel's ack is not proven on the ledger yet; ask again after a block or two",
    }
}

codes! {
    /// Why one added lock failed, though its state was accepted. It stays set aside until the payer drops it.
    FailReason: "failure" {
        /// No such channel, or the key is not its client's.
        UnknownPayee = 1 "the payee is unknown",
        /// The payee's channel is closing or closed.
        PayeeClosing = 2 "the payee's channel is closing",
        /// The hub's balance in the payee's channel does not cover the amount.
        NoInboundCapacity = 3 "the payee's channel has no inbound capacity",
        /// The fee is below the hub's.
        FeeTooLow = 4 "the fee is too low",
        /// The amount is below the minimum.
        AmountTooSmall = 5 "the amount is below the minimum",
        /// The expiry leaves too few blocks.
        ExpiryTooNear = 6 "the expiry is too near",
        /// The expiry is beyond the longest lock, or a channel's own expiry.
        ExpiryTooFar = 7 "the expiry is too far",
        /// The payee has not acknowledged its last 64 leaves.
        PayeeSilent = 8 "the payee does not acknowledge",
        /// Payer and payee are one channel.
        SelfPayment = 9 "payer and payee are one channel",
        /// The hub does not carry this condition.
        ConditionNotOffered = 10 "the hub does not carry this condition",
        /// The payee has too many credits waiting for its ack.
        PayeeLimit = 11 "the payee has too many unacknowledged credits",
        /// The payee gave up its claim.
        Released = 12 "the payee has released the lock",
        /// The payer holds its share of the payee's lock slots.
        PayerLimit = 13 "the payer has too many open locks with this payee",
        /// All lock slots of the payee that the hub offers are taken.
        PayeeLocksFull = 14 "the payee's lock slots are taken",
    }
}

codes! {
    /// The kind of an operation, in its outcome.
    OpKind: "operation" {
        /// A lock was added.
        Add = 1 "add",
        /// A lock was settled.
        Settle = 2 "settle",
        /// A lock was dropped.
        Drop = 3 "drop",
        /// An in-lock was released.
        Release = 4 "release",
    }
}

/// What became of one operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpOutcome {
    /// It took effect (settle, drop, release).
    Done,
    /// The payee was credited.
    Delivered,
    /// The payee was offered an in-lock.
    Pending,
    /// The lock failed.
    Failed(FailReason),
}

impl Fixed for OpOutcome {
    const LEN: usize = 2;

    fn write(&self, w: &mut Writer<'_>) {
        let (result, reason) = match self {
            Self::Done => (1_u8, 0_u8),
            Self::Delivered => (2, 0),
            Self::Pending => (3, 0),
            Self::Failed(reason) => (4, reason.code()),
        };
        result.write(w);
        reason.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (result, reason) = (u8::read(r)?, u8::read(r)?);
        match (result, reason) {
            (1, 0) => Ok(Self::Done),
            (2, 0) => Ok(Self::Delivered),
            (3, 0) => Ok(Self::Pending),
            (4, code) => FailReason::from_code(code).map(Self::Failed),
            (1..=3, _) => Err(DecodeError::NonZeroPadding),
            (other, _) => Err(DecodeError::UnknownValue {
                field: "outcome",
                value: other.into(),
            }),
        }
    }
}

/// The outcome of one operation of one accepted state, as it stands under a leaf's outcomes root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outcome {
    /// The state's counter.
    pub counter: ClientCounter,
    /// What the operation was.
    pub kind: OpKind,
    /// On which slot; zero for a release.
    pub slot: LockSlot,
    /// What became of it.
    pub outcome: OpOutcome,
    /// On which lock.
    pub lock: LockId,
    /// The lock's salt under the failed root, if it failed; else zero.
    pub salt: [u8; 16],
    /// The preimage, if one settled it; else zero.
    pub preimage: [u8; 32],
}
fixed_struct!(Outcome {
    counter: ClientCounter,
    kind: OpKind,
    slot: LockSlot,
    outcome: OpOutcome,
    pad 4,
    lock: LockId,
    salt: [u8; 16],
    preimage: [u8; 32],
});

const HASHED_LEN: usize = 128;
const _: () = assert!(Outcome::LEN <= HASHED_LEN);

impl Outcome {
    /// The entry that stands under the outcomes root.
    #[must_use]
    pub fn entry(&self) -> Digest {
        hash(Domain::Outcome, &self.preimage())
    }

    /// What [`Outcome::entry`] hashes.
    pub(crate) fn preimage(&self) -> [u8; HASHED_LEN] {
        let mut bytes = [0; HASHED_LEN];
        self.encode_into(&mut bytes[..Self::LEN]);
        bytes
    }

    /// True if this entry stands under the leaf's failed root too.
    #[must_use]
    pub const fn is_failed(&self) -> bool {
        matches!(self.outcome, OpOutcome::Failed(_))
    }
}

/// The outcomes root of a leaf: zero for none, else a Merkle root in the order given.
#[must_use]
pub fn outcomes_root(outcomes: &[Outcome]) -> Digest {
    list_root(
        merkle::OUTCOMES,
        &outcomes.iter().map(Outcome::entry).collect::<Vec<_>>(),
    )
}

/// The failed root of a leaf: zero for none, else a Merkle root over the failed outcomes in the order given.
#[must_use]
pub fn failed_root(outcomes: &[Outcome]) -> Digest {
    list_root(
        merkle::LIST,
        &outcomes
            .iter()
            .filter(|o| o.is_failed())
            .map(|o| lock_entry(&o.lock, &o.salt))
            .collect::<Vec<_>>(),
    )
}
