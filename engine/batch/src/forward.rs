//! Hash locks that wait for another hub (rule 15), as the caller sees them: what is to be forwarded, and what became of it.
//!
//! ```text
//! end       payer's channel 32 | lock 32 | preimage 32 | end 1 | reason 1 | 0 × 2
//! ```

use tidegate_channel::FailReason;
use tidegate_types::{Amount, ChannelId, DecodeError, Fixed, Height, KeyBytes, LockId, Reader, Writer, fixed_struct};

/// A payer's lock whose payee's channel is with another hub. It waits here until that hub has decided it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Forwarded {
    /// The payer's channel.
    pub payer: ChannelId,
    /// The lock.
    pub lock: LockId,
    /// The payee's key.
    pub payee: KeyBytes,
    /// The payee's channel, with whichever hub.
    pub payee_channel: ChannelId,
    /// What the payee is to receive.
    pub amount: Amount,
    /// What all hubs on the way keep together.
    pub fee: Amount,
    /// The expiry, the same on all hops.
    pub expiry: Height,
    /// The payment hash, the same on all hops.
    pub hash: [u8; 32],
}

/// How a forwarded lock ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ForwardEnd {
    /// The next hub has shown the preimage.
    Met([u8; 32]),
    /// It was never forwarded, or the next hub has acknowledged a state in which it is gone: nobody can claim it there.
    Failed(FailReason),
    /// A block above the expiry is final, no reveal is recorded, and nothing is open at the next hub. The payer drops it by rule 11.
    Expired,
}

/// What became of a lock that waits for another hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardInput {
    /// The payer's channel.
    pub payer: ChannelId,
    /// The lock.
    pub lock: LockId,
    /// How it ends.
    pub end: ForwardEnd,
}

const MET: u8 = 1;
const FAILED: u8 = 2;
const EXPIRED: u8 = 3;

#[derive(Clone, Copy)]
struct Plain {
    payer: ChannelId,
    lock: LockId,
    preimage: [u8; 32],
    end: u8,
    reason: u8,
}
fixed_struct!(Plain { payer: ChannelId, lock: LockId, preimage: [u8; 32], end: u8, reason: u8, pad 2 });

impl Fixed for ForwardInput {
    const LEN: usize = Plain::LEN;

    fn write(&self, w: &mut Writer<'_>) {
        let (preimage, end, reason) = match self.end {
            ForwardEnd::Met(preimage) => (preimage, MET, 0),
            ForwardEnd::Failed(reason) => ([0; 32], FAILED, reason.code()),
            ForwardEnd::Expired => ([0; 32], EXPIRED, 0),
        };
        Plain {
            payer: self.payer,
            lock: self.lock,
            preimage,
            end,
            reason,
        }
        .write(w);
    }

    fn read(r: &mut Reader<'_>) -> Result<Self, DecodeError> {
        let plain = <Plain as Fixed>::read(r)?;
        let end = match (plain.end, plain.reason) {
            (MET, 0) => ForwardEnd::Met(plain.preimage),
            (FAILED, code) => ForwardEnd::Failed(FailReason::from_code(code)?),
            (EXPIRED, 0) => ForwardEnd::Expired,
            (MET | EXPIRED, _) => return Err(DecodeError::NonZeroPadding),
            (other, _) => {
                return Err(DecodeError::UnknownValue {
                    field: "forward end",
                    value: other.into(),
                });
            }
        };
        if plain.end != MET && plain.preimage != [0; 32] {
            return Err(DecodeError::NonZeroPadding);
        }
        Ok(Self {
            payer: plain.payer,
            lock: plain.lock,
            end,
        })
    }
}
