//! `Fulfill`, `Release`: how a hash lock ends before its expiry.

use tidegate_types::{ChannelId, Fixed, LockId, SignatureBytes, fixed_struct};

use super::Body;
use crate::{Kind, Reader, WireError};

/// A preimage: `channel 32 | lock 32 | preimage 32`.
///
/// From a payee, with its own channel, it is answered by the `Receipt` whose leaf credits the amount. To a payer, with the
/// payer's channel, it is the answer to an `AckProof` query about a hash lock that was met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fulfill {
    /// The channel of whoever is on the client's end.
    pub channel: ChannelId,
    /// The lock.
    pub lock: LockId,
    /// Its SHA-256 is the lock's hash.
    pub preimage: [u8; 32],
}
fixed_struct!(Fulfill {
    channel: ChannelId,
    lock: LockId,
    preimage: [u8; 32]
});

/// A payee gives up an in-lock for good: `channel 32 | lock 32 | signature 64`. Answered by the `Receipt` without the lock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Release {
    /// The payee's channel.
    pub channel: ChannelId,
    /// The lock.
    pub lock: LockId,
    /// The payee's signature over both.
    pub signature: SignatureBytes,
}
fixed_struct!(Release {
    channel: ChannelId,
    lock: LockId,
    signature: SignatureBytes
});

macro_rules! fixed_body {
    ($name:ident) => {
        impl<'a> Body<'a> for $name {
            const KIND: Kind = Kind::$name;

            fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
                Ok(<Self as Fixed>::read(r)?)
            }

            fn put(&self, out: &mut Vec<u8>) {
                self.append_to(out);
            }
        }
    };
}
fixed_body!(Fulfill);
fixed_body!(Release);
