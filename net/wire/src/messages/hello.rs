//! `Hello`: the first message of each side.

use tidegate_types::{Age, Amount, Fixed, Height, KeyBytes, LedgerId, fixed_struct};

use super::Body;
use crate::cursor::{Put, Take};
use crate::{Kind, Reader, WireError};

/// The version of the whole protocol that this build speaks.
pub const PROTOCOL_VERSION: u32 = 1;

const PUSH_ACK_PROOFS: u32 = 1;
const SHARE_PATHS: u32 = 2;

/// The client's first message: `version u32 | flags u32 | 0 × 8`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hello {
    /// [`PROTOCOL_VERSION`] of the client.
    pub version: u32,
    /// Flag bit 0: the hub sends an `AckProof` by itself when a payee's ack covers a payment of this session.
    pub push_ack_proofs: bool,
    /// Flag bit 1: a receipt's paths may be [shared](super::ReceiptEntry::shared). For whoever carries many channels, of
    /// which one batch changes several.
    pub share_paths: bool,
}

impl<'a> Body<'a> for Hello {
    const KIND: Kind = Kind::Hello;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let version = u32::read(r)?;
        let flags = r.flags(PUSH_ACK_PROOFS | SHARE_PATHS)?;
        r.pad(8)?;
        Ok(Self {
            version,
            push_ack_proofs: flags & PUSH_ACK_PROOFS != 0,
            share_paths: flags & SHARE_PATHS != 0,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.version);
        let flag = |set, bit| if set { bit } else { 0 };
        out.put(&(flag(self.push_ack_proofs, PUSH_ACK_PROOFS) | flag(self.share_paths, SHARE_PATHS)));
        out.pad(8);
    }
}

/// The hub's answer: who it is, and what it offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HelloAnswer {
    /// The settlement ledger.
    pub ledger: LedgerId,
    /// The key that signs batch headers.
    pub hub: KeyBytes,
    /// Height of the newest final block that the hub knows.
    pub height: Height,
    /// Blocks that a transaction may take to become final, at worst.
    pub margin: Age,
    /// Milliseconds in which a credited client acks at least once.
    pub ack_interval_ms: u32,
    /// The most blocks from now to a lock's expiry.
    pub max_lock: Age,
    /// Δ of new channels in blocks.
    pub dispute_window: Age,
    /// δ of new channels in blocks.
    pub evidence_grace: Age,
    /// The client's reserve in new channels.
    pub client_reserve: Amount,
    /// The hub's reserve in new channels.
    pub hub_reserve: Amount,
    /// The smallest payment.
    pub min_amount: Amount,
    /// The fixed part of a payment's fee.
    pub fee_base: Amount,
    /// The proportional part in millionths of the amount.
    pub fee_ppm: u32,
    /// Milliseconds from block to block, about.
    pub block_interval_ms: u32,
    /// The largest channel.
    pub max_capacity: Amount,
    /// How many channels this session carries.
    pub channel_count: u32,
}
fixed_struct!(HelloAnswer {
    ledger: LedgerId,
    hub: KeyBytes,
    height: Height,
    margin: Age,
    ack_interval_ms: u32,
    max_lock: Age,
    dispute_window: Age,
    evidence_grace: Age,
    client_reserve: Amount,
    hub_reserve: Amount,
    min_amount: Amount,
    fee_base: Amount,
    fee_ppm: u32,
    block_interval_ms: u32,
    max_capacity: Amount,
    channel_count: u32,
    pad 4,
});

impl<'a> Body<'a> for HelloAnswer {
    const KIND: Kind = Kind::Hello;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(<Self as Fixed>::read(r)?)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }
}

impl HelloAnswer {
    /// The least fee of a payment of `amount`: the fixed part and the proportional part, rounded up; `None` past the range.
    #[must_use]
    pub fn fee(&self, amount: Amount) -> Option<Amount> {
        let parts = u128::from(amount.to_sat()) * u128::from(self.fee_ppm);
        let proportional = u64::try_from(parts.div_ceil(1_000_000)).ok()?;
        self.fee_base.add(Amount::from_sat(proportional)?).ok()
    }
}
