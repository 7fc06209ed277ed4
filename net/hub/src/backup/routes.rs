//! The journals of channels with next hubs, piece by piece.

use tidegate_types::{ChannelId, Fixed as _, KeyBytes, fixed_struct};

use crate::forward::JournalCopy;

/// Bytes of a journal in one unit, at most.
const PIECE_BYTES: usize = 1 << 20;

/// Where a piece belongs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    /// The next hub.
    pub(super) hub: KeyBytes,
    /// Whose wallet it is.
    pub(super) own: KeyBytes,
    /// The channel.
    pub(super) channel: ChannelId,
    /// Where in the journal the piece begins.
    pub(super) offset: u64,
}
fixed_struct!(Place {
    hub: KeyBytes,
    own: KeyBytes,
    channel: ChannelId,
    offset: u64
});

impl Place {
    /// The journal, without the place in it.
    pub(super) const fn journal(&self) -> (KeyBytes, KeyBytes, ChannelId) {
        (self.hub, self.own, self.channel)
    }
}

/// The units of a journal.
pub(super) fn units(journal: &JournalCopy) -> impl Iterator<Item = Vec<u8>> {
    let pieces = journal.bytes.chunks(PIECE_BYTES).enumerate();
    pieces.map(|(number, piece)| {
        let place = Place {
            hub: journal.hub,
            own: journal.own,
            channel: journal.channel,
            offset: (number * PIECE_BYTES) as u64,
        };
        let mut unit = place.to_vec();
        unit.extend_from_slice(piece);
        unit
    })
}

/// Place and bytes of a unit.
pub(super) fn split(unit: &[u8]) -> Option<(Place, &[u8])> {
    let (place, piece) = unit.split_at_checked(Place::LEN)?;
    Some((Place::decode(place).ok()?, piece))
}
