//! What an operator is shown of other hubs: links now, and what is kept.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use tidegate_peers::{Kept, LinkView, Minute};
use tidegate_types::Height;

/// A link in `/status` and `/peers`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LinkRow {
    /// The other hub's identity, hex.
    pub identity: String,
    /// Its address.
    pub ip: IpAddr,
    /// True if this hub began the link.
    pub outgoing: bool,
    /// The height of its ledger's newest final block, as it says.
    pub height: Option<u32>,
    /// What it has done wrong, in points; 100 are a ban.
    pub points: u64,
}

impl LinkRow {
    pub(super) fn of(view: &LinkView) -> Self {
        Self {
            identity: view.identity.to_string(),
            ip: view.ip,
            outgoing: view.outgoing,
            height: view.height.map(Height::get),
            points: view.points,
        }
    }
}

/// A hub that is banned.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct BanRow {
    /// Its identity, hex.
    pub(crate) identity: String,
    /// When the ban ends, in seconds of Unix time.
    pub(crate) until_s: u64,
}

/// Everything about other hubs.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(crate) struct PeerRows {
    /// False if the hub has no links at all (`peers.links` is 0), or is not running.
    pub(crate) on: bool,
    pub(crate) links: Vec<LinkRow>,
    /// Hubs that were turned away since the start: denied, banned, or one too many.
    pub(crate) turned_away: u64,
    /// Addresses that are known.
    pub(crate) known: usize,
    /// Of these, those that have answered.
    pub(crate) answered: usize,
    pub(crate) bans: Vec<BanRow>,
}

impl PeerRows {
    /// What is kept, without links.
    pub(crate) fn of_kept(kept: &Kept, minute: Minute) -> Self {
        let ban = |(identity, until): (tidegate_types::KeyBytes, Minute)| BanRow {
            identity: identity.to_string(),
            until_s: u64::from(until.get()) * 60,
        };
        let mut bans: Vec<BanRow> = kept.scores.banned(minute).map(ban).collect();
        bans.sort_unstable_by(|a, b| a.identity.cmp(&b.identity));
        Self {
            known: kept.table.len(),
            answered: kept.table.tried(),
            bans,
            ..Self::default()
        }
    }
}
