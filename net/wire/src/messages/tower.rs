//! `TowerPackage`, `DisputeNotice`: evidence for a watchtower, and what it or a hub tells of a close.

use tidegate_types::{ChannelId, ClientCounter, Fixed, Height, HubCounter, OutPoint, SignatureBytes, fixed_struct};

use super::Body;
use crate::cursor::{Put, Take};
use crate::lengths::{MAX_PAIR_LEN, MAX_TERMS_LEN, MAX_TOWER_REVEALS};
use crate::{Items, Kind, Reader, WireError};

/// What a tower puts on the ledger beside a pair: `what 1 | slot 1 | 0 × 6 | preimage 32 | mandate 64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TowerReveal {
    /// 1 the ack of the pair's leaf, 2 a preimage.
    pub what: u8,
    /// Of a preimage: where the lock stands in the leaf; else zero.
    pub slot: u8,
    /// The preimage, or zeros.
    pub preimage: [u8; 32],
    /// The side's signature under the mandate by which it pays for this.
    pub mandate: SignatureBytes,
}
fixed_struct!(TowerReveal {
    what: u8,
    slot: u8,
    pad 6,
    preimage: [u8; 32],
    mandate: SignatureBytes,
});

/// A party's best evidence of one channel: `channel 32 | funding outpoint 36 | side 1 | reveals 1 | 0 × 2 | mandate 64 | terms length u32
/// | pair length u32 | terms | pair | reveals × 104`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TowerPackage<'a> {
    /// The channel.
    pub channel: ChannelId,
    /// Its funding output.
    pub funding: OutPoint,
    /// Whose evidence it is: 1 the client's, 2 the hub's.
    pub side: u8,
    /// That side's signature under the mandate by which it pays for showing the pair.
    pub mandate: &'a SignatureBytes,
    /// The channel's terms.
    pub terms: &'a [u8],
    /// The pair.
    pub pair: &'a [u8],
    /// What goes to the ledger once the pair's leaf stands there.
    pub reveals: Items<'a, TowerReveal>,
}

impl<'a> Body<'a> for TowerPackage<'a> {
    const KIND: Kind = Kind::TowerPackage;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        let (channel, funding, side) = (ChannelId::read(r)?, OutPoint::read(r)?, u8::read(r)?);
        let reveals = u8::read(r)?;
        r.pad(2)?;
        let mandate = r.view()?;
        let (terms, pair) = (u32::read(r)?, u32::read(r)?);
        Ok(Self {
            channel,
            funding,
            side,
            mandate,
            terms: r.blob(terms, "bytes of terms", MAX_TERMS_LEN)?,
            pair: r.blob(pair, "bytes of a pair", MAX_PAIR_LEN)?,
            reveals: Items::read(r, reveals.into(), "reveals", MAX_TOWER_REVEALS)?,
        })
    }

    fn put(&self, out: &mut Vec<u8>) {
        out.put(&self.channel);
        out.put(&self.funding);
        out.put(&self.side);
        let reveals = u8::try_from(self.reveals.len()).unwrap_or(u8::MAX);
        assert!(
            usize::from(reveals) <= MAX_TOWER_REVEALS,
            "a leaf has one ack and 64 locks"
        );
        out.put(&reveals);
        out.pad(2);
        out.put(self.mandate);
        out.count(self.terms.len(), "bytes of terms", MAX_TERMS_LEN);
        out.count(self.pair.len(), "bytes of a pair", MAX_PAIR_LEN);
        out.list(self.terms);
        out.list(self.pair);
        self.reveals.put(out);
    }
}

/// What the tower keeps of the channel now, durably: `channel 32 | c u64 | h u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TowerKept {
    /// The channel.
    pub channel: ChannelId,
    /// The counter of the client state in the pair.
    pub state: ClientCounter,
    /// The counter of the leaf in the pair.
    pub leaf: HubCounter,
}
fixed_struct!(TowerKept {
    channel: ChannelId,
    state: ClientCounter,
    leaf: HubCounter
});

/// A close has begun on the ledger: `channel 32 | height u32 | deadline u32 | c u64 | h u64`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DisputeNotice {
    /// The channel.
    pub channel: ChannelId,
    /// The height of the block that began it.
    pub started: Height,
    /// The last height at which pairs count.
    pub deadline: Height,
    /// The counter of the client state that was shown.
    pub state: ClientCounter,
    /// The counter of the leaf that was shown.
    pub leaf: HubCounter,
}
fixed_struct!(DisputeNotice {
    channel: ChannelId,
    started: Height,
    deadline: Height,
    state: ClientCounter,
    leaf: HubCounter
});

impl<'a> Body<'a> for TowerKept {
    const KIND: Kind = Kind::TowerPackage;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(<Self as Fixed>::read(r)?)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }
}

impl<'a> Body<'a> for DisputeNotice {
    const KIND: Kind = Kind::DisputeNotice;

    fn read(r: &mut Reader<'a>) -> Result<Self, WireError> {
        Ok(<Self as Fixed>::read(r)?)
    }

    fn put(&self, out: &mut Vec<u8>) {
        self.append_to(out);
    }
}
