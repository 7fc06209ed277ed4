//! In-locks: what the hub has set aside for a payee until the payee shows the preimage (rules 9, 13, 14).
//!
//! ```text
//! in-lock  lock id 32 | payment id 16 | amount 8 | expiry 4 | condition 1 | 0 × 3 | payment hash 32         96 bytes
//!          hashed with 0 × 32 behind it: what stands in its slot under the leaf's in-locks root
//! change   kind 1 | slot 1 | 0 × 6 | in-lock 96                                                             104 bytes
//! ```
//!
//! The payer's out-lock stands in the payer's tree by its id, which binds channel, counter, fee and payee. A payee is
//! told of none of these: its in-lock holds the id, which a `Release` or a failed leaf names, and what the payee needs to
//! be paid. Each offered lock has a slot of its own, so two of one hash and amount are two.

use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{
    Amount, DecodeError, Digest, Fixed, Height, LockId, LockSlot, PaymentId, Reader, Writer, fixed_struct,
};

use crate::{Condition, Lock};

/// A hash lock, as its payee is told of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InLock {
    /// The payer's lock.
    pub lock: LockId,
    /// The payer's name for the payment.
    pub payment_id: PaymentId,
    /// What the payee receives.
    pub amount: Amount,
    /// Above this height it may be dropped, unless the preimage was revealed.
    pub expiry: Height,
    /// The SHA-256 of the preimage that is asked for.
    pub hash: [u8; 32],
}

/// The code of `Hash` among the conditions: no other stands in an in-lock.
const HASH: u8 = 2;
const HASHED_LEN: usize = 128;
const _: () = assert!(InLock::LEN <= HASHED_LEN);

impl Fixed for InLock {
    const LEN: usize = LockId::LEN + PaymentId::LEN + Amount::LEN + Height::LEN + 4 + 32;

    fn write(&self, w: &mut Writer<'_>) {
        self.lock.write(w);
        self.payment_id.write(w);
        self.amount.write(w);
        self.expiry.write(w);
        HASH.write(w);
        w.pad(3);
        self.hash.write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let (lock, payment_id) = (LockId::read(r)?, PaymentId::read(r)?);
        let (amount, expiry) = (Amount::read(r)?, Height::read(r)?);
        let condition = u8::read(r)?;
        if condition != HASH {
            return Err(DecodeError::UnknownValue {
                field: "in-lock condition",
                value: condition.into(),
            });
        }
        r.pad(3)?;
        Ok(Self {
            lock,
            payment_id,
            amount,
            expiry,
            hash: r.array()?,
        })
    }
}

impl InLock {
    /// What the payee of `lock`, whose name is `id`, is offered; `None` unless it waits for a preimage.
    #[must_use]
    pub const fn of(lock: &Lock, id: LockId) -> Option<Self> {
        match lock.condition {
            Condition::Ack => None,
            Condition::Hash(hash) => Some(Self {
                lock: id,
                payment_id: lock.payment_id,
                amount: lock.amount,
                expiry: lock.expiry,
                hash,
            }),
        }
    }

    /// What stands in its slot under the in-locks root.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::LockLeaf, &self.preimage())
    }

    /// What [`InLock::digest`] hashes.
    pub(crate) fn preimage(&self) -> [u8; HASHED_LEN] {
        let mut bytes = [0; HASHED_LEN];
        self.encode_into(&mut bytes[..Self::LEN]);
        bytes
    }
}

/// What a leaf does to an in-lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum InChangeKind {
    /// It is there from this leaf on.
    Offered = 1,
    /// Its preimage is known to the hub: it leaves, and K grows by its amount.
    Fulfilled = 2,
    /// The payee has given it up.
    Released = 3,
    /// A block above its expiry is final and no reveal is recorded.
    Expired = 4,
}

impl Fixed for InChangeKind {
    const LEN: usize = 1;

    fn write(&self, w: &mut Writer<'_>) {
        (*self as u8).write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        match u8::read(r)? {
            1 => Ok(Self::Offered),
            2 => Ok(Self::Fulfilled),
            3 => Ok(Self::Released),
            4 => Ok(Self::Expired),
            other => Err(DecodeError::UnknownValue {
                field: "in-lock change",
                value: other.into(),
            }),
        }
    }
}

/// One step from the in-locks of one leaf to those of the next, in the order in which the hub made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InChange {
    /// What happens.
    pub kind: InChangeKind,
    /// In which slot.
    pub slot: LockSlot,
    /// To which lock.
    pub lock: InLock,
}
fixed_struct!(InChange { kind: InChangeKind, slot: LockSlot, pad 6, lock: InLock });

#[cfg(test)]
mod tests {
    use tidegate_types::KeyBytes;

    use super::*;

    fn lock() -> Lock {
        Lock {
            payment_id: PaymentId::from_bytes([1; 16]),
            amount: Amount::from_sat(50).expect("small"),
            fee: Amount::from_sat(2).expect("small"),
            payee: KeyBytes::from_bytes([2; 32]),
            payee_channel: tidegate_types::ChannelId::from_bytes([3; 32]),
            expiry: Height::new(77),
            condition: Condition::Hash([4; 32]),
        }
    }

    #[test]
    fn the_layouts_are_those_of_the_module_and_every_byte_counts() {
        let in_lock = InLock::of(&lock(), LockId::from_bytes([9; 32])).expect("a hash lock");
        let bytes = in_lock.to_vec();
        assert_eq!((InLock::LEN, InChange::LEN), (96, 104));
        assert_eq!(bytes[..32], [9; 32]);
        assert_eq!(bytes[32..48], [1; 16]);
        assert_eq!(bytes[48..64], [50, 0, 0, 0, 0, 0, 0, 0, 77, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(bytes[64..], [4; 32]);
        for at in 0..bytes.len() {
            let mut bent = bytes.clone();
            bent[at] ^= 1;
            if let Ok(other) = InLock::decode(&bent) {
                assert_ne!(other.digest(), in_lock.digest(), "byte {at}");
            } else {
                // The highest byte of an amount, and what is fixed.
                assert!(at == 55 || (60..64).contains(&at), "byte {at}");
            }
        }
    }

    #[test]
    fn a_lock_that_waits_for_an_ack_is_no_in_lock() {
        let ack = Lock {
            condition: Condition::Ack,
            ..lock()
        };
        assert_eq!(InLock::of(&ack, LockId::from_bytes([9; 32])), None);
    }

    #[test]
    fn changes_have_one_encoding_each() {
        let lock = InLock::of(&lock(), LockId::from_bytes([9; 32])).expect("a hash lock");
        let slot = LockSlot::new(63).expect("below 64");
        for kind in 1..=4 {
            let mut bytes = InChange {
                kind: InChangeKind::Offered,
                slot,
                lock,
            }
            .to_vec();
            bytes[0] = kind;
            let change = InChange::decode(&bytes).expect("a kind");
            assert_eq!((change.to_vec(), change.slot, change.lock), (bytes, slot, lock));
        }
        let mut bytes = [0; InChange::LEN];
        assert!(InChange::decode(&bytes).is_err(), "no kind is zero");
        bytes[0] = 5;
        assert!(InChange::decode(&bytes).is_err());
    }
}
