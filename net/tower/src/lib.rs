//! The watchtower: keeps a party's best evidence, and knows when the ledger is shown worse.
//!
//! ```text
//! party ── Package { channel, C + signature, leaf + header + path, ack } ──▶ Tower      one per channel, newest only
//! ledger ─ "a close shows (c, h)" ─▶ Tower::answer ─▶ the kept package, if it is newer
//! ```
//!
//! A tower holds no keys and O(1) per channel: each package replaces the one before it (protocol, sections 1 and 25).
//! What it is given it checks, so that a package that would not stand on the ledger never displaces one that would.
//!
//! Nothing here does I/O or reads a clock. The process and its endpoint come with the dispute protocol.

mod package;

use std::collections::BTreeMap;

use tidegate_crypto::keys::PublicKey;
use tidegate_types::{ChannelId, ClientCounter, HubCounter, LedgerId};

pub use package::{NamedAck, Package, PackageError, Proof};

/// The best evidence of many channels of one hub.
#[derive(Debug)]
pub struct Tower {
    ledger: LedgerId,
    hub: PublicKey,
    kept: BTreeMap<ChannelId, Package>,
}

/// What became of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taken {
    /// It is the channel's evidence now.
    Kept,
    /// What is kept is as new or newer in both halves.
    Older,
}

impl Tower {
    /// A tower for channels of this hub on this ledger.
    #[must_use]
    pub const fn new(ledger: LedgerId, hub: PublicKey) -> Self {
        Self {
            ledger,
            hub,
            kept: BTreeMap::new(),
        }
    }

    /// Takes a package, if it holds and is newer than what is kept in one half and not older in the other.
    ///
    /// # Errors
    /// [`PackageError`] if it would not stand on the ledger.
    pub fn take(&mut self, client: &PublicKey, package: Package) -> Result<Taken, PackageError> {
        package.check(&self.ledger, &self.hub, client)?;
        let channel = package.state.channel;
        if let Some(kept) = self.kept.get(&channel)
            && (package.counters().0 < kept.counters().0
                || package.counters().1 < kept.counters().1
                || package.counters() == kept.counters())
        {
            return Ok(Taken::Older);
        }
        self.kept.insert(channel, package);
        Ok(Taken::Kept)
    }

    /// The evidence to bring when a close of `channel` shows the halves `(c, h)`: what is kept, if either is older.
    #[must_use]
    pub fn answer(&self, channel: &ChannelId, shown: (ClientCounter, HubCounter)) -> Option<&Package> {
        let newer = |kept: &&Package| kept.counters().0 > shown.0 || kept.counters().1 > shown.1;
        self.kept.get(channel).filter(newer)
    }

    /// How many channels are watched.
    #[must_use]
    pub fn len(&self) -> usize {
        self.kept.len()
    }

    /// True if no channel is watched.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }
}

#[cfg(test)]
mod tests;
