//! Locks: money set aside for a payee until a condition is met (rule 9).
//!
//! ```text
//! lock id = BLAKE3 over   payer channel 32 | c 8 | expiry 4 | slot 1 | condition 1 | 0 × 2
//!                         payment id 16 | amount 8 | fee 8 | payee key 32 | payee channel 32 | payment hash 32 | 0 × 16
//! ```

use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{
    Amount, AmountError, ChannelId, ClientCounter, DecodeError, Fixed, Height, KeyBytes, LockId, LockSlot, PaymentId,
    Reader, Writer,
};

/// What must happen for a lock to be paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Condition {
    /// The payee acknowledges the crediting leaf in time; within one hub.
    Ack,
    /// The payee shows the SHA-256 preimage of this hash.
    Hash([u8; 32]),
}

/// The content of one lock, without its slot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lock {
    /// The payer's idempotency key.
    pub payment_id: PaymentId,
    /// What the payee receives.
    pub amount: Amount,
    /// What the hub keeps.
    pub fee: Amount,
    /// The payee's key.
    pub payee: KeyBytes,
    /// The payee's channel.
    pub payee_channel: ChannelId,
    /// Above this height the lock may be dropped, unless it was met.
    pub expiry: Height,
    /// When it is paid.
    pub condition: Condition,
}

const HASHED_LEN: usize = 192;

impl Lock {
    /// Amount and fee together: what the lock takes from the payer's balance.
    ///
    /// # Errors
    /// [`AmountError`] if the sum is out of range.
    pub fn total(&self) -> Result<Amount, AmountError> {
        self.amount.add(self.fee)
    }

    /// The lock's name, when the client state `counter` of `payer` adds it at `slot` (rule 5).
    #[must_use]
    pub fn id(&self, payer: &ChannelId, counter: ClientCounter, slot: LockSlot) -> LockId {
        let digest = hash(Domain::LockId, &self.preimage(payer, counter, slot));
        LockId::from_bytes(*digest.as_bytes())
    }

    /// What [`Lock::id`] hashes.
    pub(crate) fn preimage(&self, payer: &ChannelId, counter: ClientCounter, slot: LockSlot) -> [u8; HASHED_LEN] {
        let mut bytes = [0; HASHED_LEN];
        let mut w = Writer::new(&mut bytes);
        payer.write(&mut w);
        counter.write(&mut w);
        self.expiry.write(&mut w);
        slot.write(&mut w);
        self.condition.code().write(&mut w);
        w.pad(2);
        self.put_content(&mut w);
        w.pad(16);
        assert!(w.is_full(), "the widths above add up");
        bytes
    }

    pub(crate) fn put_content(&self, w: &mut Writer<'_>) {
        self.payment_id.write(w);
        self.amount.write(w);
        self.fee.write(w);
        self.payee.write(w);
        self.payee_channel.write(w);
        self.condition.hash().write(w);
    }

    pub(crate) fn get_content(r: &mut Reader<'_>, expiry: Height, condition: u8) -> Result<Self, DecodeError> {
        let payment_id = PaymentId::read(r)?;
        let amount = Amount::read(r)?;
        let fee = Amount::read(r)?;
        let payee = KeyBytes::read(r)?;
        let payee_channel = ChannelId::read(r)?;
        let condition = Condition::from_parts(condition, r.array()?)?;
        Ok(Self {
            payment_id,
            amount,
            fee,
            payee,
            payee_channel,
            expiry,
            condition,
        })
    }

    pub(crate) const CONTENT_LEN: usize = PaymentId::LEN + 2 * Amount::LEN + KeyBytes::LEN + ChannelId::LEN + 32;
}

impl Condition {
    pub(crate) const fn code(&self) -> u8 {
        match self {
            Self::Ack => 1,
            Self::Hash(_) => 2,
        }
    }

    const fn hash(&self) -> [u8; 32] {
        match self {
            Self::Ack => [0; 32],
            Self::Hash(hash) => *hash,
        }
    }

    fn from_parts(code: u8, hash: [u8; 32]) -> Result<Self, DecodeError> {
        match code {
            1 if hash == [0; 32] => Ok(Self::Ack),
            1 => Err(DecodeError::NonZeroPadding),
            2 => Ok(Self::Hash(hash)),
            _ => Err(DecodeError::UnknownValue {
                field: "lock condition",
                value: code.into(),
            }),
        }
    }
}
