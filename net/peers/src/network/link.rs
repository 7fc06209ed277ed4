//! What is noted of one link.

use std::net::IpAddr;

use tidegate_types::{BatchNumber, Digest, Height, KeyBytes};
use tidegate_wire::lengths::MAX_PEERS;

use crate::Moment;
use crate::keepalive::Keepalive;
use crate::limit::Limit;
use crate::place::Place;

/// A newest batch and a height, as they were told.
pub(super) type Told = (Option<BatchNumber>, Height);

#[derive(Debug)]
pub(super) struct Link {
    pub(super) identity: KeyBytes,
    pub(super) ip: IpAddr,
    /// What was dialled, if this hub began it.
    pub(super) outgoing: Option<Place>,
    pub(super) opened: Moment,
    pub(super) greeted: bool,
    pub(super) alive: Keepalive,
    /// Addresses that may come.
    pub(super) limit: Limit,
    /// Addresses were asked for and have not come.
    pub(super) asked: bool,
    /// When addresses were told.
    pub(super) told: Option<Moment>,
    /// When a place was last told unasked.
    pub(super) spread: Option<Moment>,
    pub(super) state_told: Option<(Moment, Told)>,
    pub(super) state_heard: Option<Moment>,
    /// The newest final block of the peer's ledger, as it says.
    pub(super) block: Option<(Height, Digest)>,
}

impl Link {
    pub(super) fn new(identity: KeyBytes, ip: IpAddr, outgoing: Option<Place>, now: Moment) -> Self {
        Self {
            identity,
            ip,
            outgoing,
            opened: now,
            greeted: false,
            alive: Keepalive::new(now),
            limit: Limit::new(u32::try_from(MAX_PEERS).expect("a cap of the wire"), now),
            asked: false,
            told: None,
            spread: None,
            state_told: None,
            state_heard: None,
            block: None,
        }
    }
}
