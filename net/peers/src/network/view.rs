//! What an operator is shown.

use std::net::IpAddr;

use tidegate_types::{Height, KeyBytes};

use super::Network;
use crate::Moment;

/// One link.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkView {
    /// The other hub.
    pub identity: KeyBytes,
    /// Where it is.
    pub ip: IpAddr,
    /// True if this hub began it.
    pub outgoing: bool,
    /// True once it has greeted.
    pub greeted: bool,
    /// The height of its ledger's newest final block, if it has said so.
    pub height: Option<Height>,
    /// Its points.
    pub points: u64,
}

impl Network {
    /// All links, by identity.
    #[must_use]
    pub fn links(&self, now: Moment) -> Vec<LinkView> {
        let view = |link: &super::Link| LinkView {
            identity: link.identity,
            ip: link.ip,
            outgoing: link.outgoing.is_some(),
            greeted: link.greeted,
            height: link.block.map(|(height, _)| height),
            points: self.setup.kept.scores.points(&link.identity, now),
        };
        let mut views: Vec<LinkView> = self.links.values().map(view).collect();
        views.sort_unstable_by_key(|view| view.identity);
        views
    }
}
