//! `Attach`: a client lends channels to a session of another key, so that a gateway carries many clients' channels.

use tidegate_types::{ChannelId, DecodeError, Fixed, Height, KeyBytes, SignatureBytes, fixed_struct};

use super::Body;
use crate::cursor::{Put, Take};
use crate::lengths::MAX_ATTACHED;
use crate::{Kind, Reader, WireError};

/// `client's key 32 | identity 32 | expiry u32 | channels u32 | signature 64 | channels × 32`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attach<'a> {
    /// Whose channels they are.
    pub client: KeyBytes,
    /// The identity of the session that may carry them: the one that brings this.
    pub identity: KeyBytes,
    /// The last height at which it may.
    pub expiry: Height,
    /// The client's signature over all of it.
    pub signature: &'a SignatureBytes,
    /// The channels; one at least.
    pub channels: &'a [ChannelId],
}

impl<'a> Body<'a> for Attach<'a> {
    const KIND: Kind = Kind::Attach;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (client, identity) = (KeyBytes::read(r)?, KeyBytes::read(r)?);
        let expiry = Height::read(r)?;
        let count = u32::read(r)?;
        if count == 0 {
            return Err(DecodeError::UnknownValue {
                field: "channels of an Attach",
                value: 0,
            }
            .into());
        }
        Ok(Self {
            client,
            identity,
            expiry,
            signature: r.view()?,
            channels: r.list(count, "channels", MAX_ATTACHED)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.client);
        out.put(&self.identity);
        out.put(&self.expiry);
        out.count(self.channels.len(), "channels", MAX_ATTACHED);
        out.put(self.signature);
        out.list(self.channels);
    }
}

/// The session carries them: `channels u32 | 0 × 4`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attached {
    /// How many.
    pub channels: u32,
}
fixed_struct!(Attached { channels: u32, pad 4 });

impl<'a> Body<'a> for Attached {
    const KIND: Kind = Kind::Attach;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(<Self as Fixed>::read(r)?)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }
}
