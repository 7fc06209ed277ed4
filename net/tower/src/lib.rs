//! The watchtower: keeps a party's best evidence, watches the ledger, and answers a stale close in time.
//!
//! ```text
//! party ── TowerPackage { channel, terms, pair, mandate } ──▶ Tower        one per channel, the newest only, durable
//! ledger ─ final blocks ──▶ Tower::on_block ──▶ Tower::answers ──▶ SubmitTx     until it stands or the deadline is past
//! ```
//!
//! A tower holds no keys and O(1) per channel: each package replaces the one before it (protocol, sections 1 and 25).
//! What it is given it checks as the ledger will, so that a package that would not stand never displaces one that would. The
//! fee of an answer is charged to the side whose evidence it is, by a mandate that this side has signed for this very pair.
//!
//! [`Tower`] does no I/O and reads no clock; [`store`] keeps its packages, [`server`] is the process around it.

mod package;
pub mod server;
pub mod store;

use std::collections::{BTreeMap, BTreeSet};

use tidegate_crypto::hash::payment_hash;
use tidegate_ledger::{Action, Block, LockProof, Transaction, Witness};
use tidegate_types::{ChannelId, ClientCounter, Height, HubCounter, KeyBytes, LedgerId};

pub use package::{DueReveal, Package, PackageError, Parts, Reveal};

/// How much a tower keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Channels of one owner.
    pub channels_per_owner: usize,
    /// Channels in all.
    pub channels: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            channels_per_owner: 1024,
            channels: 1 << 20,
        }
    }
}

/// The best evidence of many channels.
#[derive(Debug)]
pub struct Tower {
    ledger: LedgerId,
    limits: Limits,
    kept: BTreeMap<ChannelId, Kept>,
    owners: BTreeMap<KeyBytes, usize>,
}

#[derive(Debug)]
struct Kept {
    package: Package,
    close: Option<Close>,
    /// What was revealed since the close began, whoever did it: hashes of preimages, digests of leaves.
    revealed: BTreeSet<[u8; 32]>,
}

/// A close that stands on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Close {
    /// The block that started it.
    pub started: Height,
    /// The last height at which pairs count.
    pub deadline: Height,
    /// The newest halves that were shown.
    pub shown: (ClientCounter, HubCounter),
}

/// Why a package is not kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TakeError {
    /// It belongs to somebody else.
    #[error("the session's identity is not the key of the side whose evidence it is")]
    NotYours,
    /// It would not stand on the ledger.
    #[error(transparent)]
    Package(#[from] PackageError),
    /// What is kept is newer in one half.
    #[error("what is kept is newer")]
    Older,
    /// The owner has as many channels here as it may.
    #[error("this tower keeps {0} channels for one owner")]
    OwnerLimit(usize),
    /// The tower is full.
    #[error("this tower keeps no more channels")]
    Full,
}

/// What a block did to a channel that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happened {
    /// A close has begun.
    Started(Close),
    /// It has ended; nothing is kept of it any more.
    Ended,
}

impl Kept {
    /// What is to be revealed when the ledger's newest final block is at `height`. Only if the leaf stands there: a preimage whose
    /// lock is not in the close would be given away for nothing.
    fn due_reveals(&self, height: Height) -> Vec<DueReveal> {
        let Some(close) = self.close.filter(|close| close.shown.1 == self.package.counters().1) else {
            return Vec::new();
        };
        let grace = self.package.terms.evidence_grace;
        let mut due = self
            .package
            .due_reveals(close.deadline.plus(grace).unwrap_or(Height::MAX));
        due.retain(|reveal| height < reveal.last && !self.revealed.contains(&reveal.name));
        due
    }
}

impl Tower {
    /// A tower for channels on this ledger.
    #[must_use]
    pub const fn new(ledger: LedgerId, limits: Limits) -> Self {
        Self {
            ledger,
            limits,
            kept: BTreeMap::new(),
            owners: BTreeMap::new(),
        }
    }

    /// Whether a package that `owner` brings is to be kept: the caller then makes it durable, and calls [`Tower::keep`].
    /// False if the very same evidence is kept already.
    ///
    /// # Errors
    /// [`TakeError`].
    pub fn consider(&self, owner: &KeyBytes, package: &Package) -> Result<bool, TakeError> {
        if package.owner() != *owner {
            return Err(TakeError::NotYours);
        }
        package.check(&self.ledger)?;
        let Some(kept) = self.kept.get(&package.channel) else {
            if self.owners.get(owner).copied().unwrap_or_default() >= self.limits.channels_per_owner {
                return Err(TakeError::OwnerLimit(self.limits.channels_per_owner));
            }
            return if self.kept.len() < self.limits.channels {
                Ok(true)
            } else {
                Err(TakeError::Full)
            };
        };
        let (new, old) = (package.counters(), kept.package.counters());
        if new.0 < old.0 || new.1 < old.1 {
            return Err(TakeError::Older);
        }
        // The other side of the same channel may use this tower too: each by its own package would be two per channel.
        if kept.package.side != package.side {
            return Err(TakeError::NotYours);
        }
        Ok(new != old || package.reveals != kept.package.reveals)
    }

    /// Adds the preimages that are kept for locks which wait in this newer package too: they were given once, and for the lock.
    pub fn complete(&self, package: &mut Package) {
        if let Some(kept) = self.kept.get(&package.channel) {
            package.inherit(&kept.package);
        }
    }

    /// Keeps a package in the place of the channel's last one.
    pub fn keep(&mut self, package: Package) {
        let owner = package.owner();
        match self.kept.get_mut(&package.channel) {
            Some(kept) => kept.package = package,
            None => {
                *self.owners.entry(owner).or_default() += 1;
                let kept = Kept {
                    package,
                    close: None,
                    revealed: BTreeSet::new(),
                };
                self.kept.insert(kept.package.channel, kept);
            }
        }
    }

    /// True if something is kept of the channel.
    #[must_use]
    pub fn knows(&self, channel: &ChannelId) -> bool {
        self.kept.contains_key(channel)
    }

    /// The counters of what is kept of a channel.
    #[must_use]
    pub fn counters(&self, channel: &ChannelId) -> Option<(ClientCounter, HubCounter)> {
        self.kept.get(channel).map(|kept| kept.package.counters())
    }

    /// Whose evidence is kept of a channel.
    #[must_use]
    pub fn owner(&self, channel: &ChannelId) -> Option<KeyBytes> {
        self.kept.get(channel).map(|kept| kept.package.owner())
    }

    /// Notes a close that had begun before the channel was watched.
    pub fn note_close(&mut self, channel: &ChannelId, close: Close) {
        if let Some(kept) = self.kept.get_mut(channel) {
            kept.close.get_or_insert(close);
        }
    }

    /// Takes the next final block in; returns what it did to channels that are watched.
    pub fn on_block(&mut self, block: &Block) -> Vec<(ChannelId, Happened)> {
        let height = block.header.height;
        let mut happened = Vec::new();
        for transaction in &block.transactions {
            let done = match &transaction.body.action {
                Some(action) => self.on_action(action, height),
                None => self.on_spend(transaction),
            };
            happened.extend(done);
        }
        self.note_preimages(block);
        for (channel, _) in happened.iter().filter(|(_, what)| *what == Happened::Ended) {
            self.forget(channel);
        }
        happened
    }

    /// A preimage meets every lock on its hash, whoever brought it.
    fn note_preimages(&mut self, block: &Block) {
        let of_action = |transaction: &Transaction| match transaction.body.action.as_deref() {
            Some(Action::RevealPreimage { preimage, .. }) => Some(payment_hash(preimage)),
            _ => None,
        };
        let of_witness = |witness: &Witness| match witness {
            Witness::LockClaim {
                proof: LockProof::Preimage(preimage),
                ..
            } => Some(payment_hash(preimage)),
            _ => None,
        };
        let transactions = block.transactions.iter();
        let hashes: Vec<_> = transactions
            .flat_map(|transaction| {
                let claims = transaction.witnesses.iter().filter_map(of_witness);
                of_action(transaction).into_iter().chain(claims)
            })
            .collect();
        if hashes.is_empty() {
            return;
        }
        for kept in self.kept.values_mut().filter(|kept| kept.close.is_some()) {
            kept.revealed.extend(&hashes);
        }
    }

    fn on_action(&mut self, action: &Action, height: Height) -> Option<(ChannelId, Happened)> {
        let channel = action.channel()?;
        let kept = self.kept.get_mut(&channel)?;
        match action {
            Action::StartClose { start, .. } => {
                let window = kept.package.terms.dispute_window;
                let close = Close {
                    started: height,
                    deadline: height.plus(window).unwrap_or(Height::MAX),
                    shown: (start.start.client, start.start.hub),
                };
                kept.close = Some(close);
                Some((channel, Happened::Started(close)))
            }
            Action::Evidence { pair, .. } => {
                let (client, hub) = pair.counters();
                if let Some(close) = &mut kept.close {
                    close.shown = (close.shown.0.max(client), close.shown.1.max(hub));
                }
                None
            }
            Action::RevealAck { word, .. } => {
                kept.revealed.insert(*word.leaf().digest.as_bytes());
                None
            }
            Action::Settle { .. } | Action::Forfeit { .. } => Some((channel, Happened::Ended)),
            _ => None,
        }
    }

    /// A cooperative close, or a splice, spends the funding output without more ado.
    fn on_spend(&self, transaction: &Transaction) -> Option<(ChannelId, Happened)> {
        let spent = |kept: &Kept| transaction.body.inputs.contains(&kept.package.funding);
        // Most transactions spend no channel, and a close spends nothing else.
        if transaction.body.inputs.len() > 1 {
            return None;
        }
        let found = self.kept.iter().find(|(_, kept)| spent(kept));
        found.map(|(channel, _)| (*channel, Happened::Ended))
    }

    /// Forgets a channel.
    pub fn forget(&mut self, channel: &ChannelId) {
        let Some(kept) = self.kept.remove(channel) else { return };
        let owner = kept.package.owner();
        if let Some(count) = self.owners.get_mut(&owner) {
            *count -= 1;
            if *count == 0 {
                self.owners.remove(&owner);
            }
        }
    }

    /// What is to be brought to the ledger when its newest final block is at `height`: evidence for each close that was shown
    /// something older, as long as it can still count.
    #[must_use]
    pub fn answers(&self, height: Height) -> Vec<(ChannelId, Transaction)> {
        let due = self.kept.iter().filter(|(_, kept)| {
            kept.close.is_some_and(|close| {
                let (client, hub) = kept.package.counters();
                height < close.deadline && (client > close.shown.0 || hub > close.shown.1)
            })
        });
        let evidence = due.map(|(channel, kept)| (*channel, kept.package.transaction()));
        let reveals = self.kept.iter().flat_map(|(channel, kept)| {
            let due = kept.due_reveals(height).into_iter();
            due.map(move |reveal| (*channel, reveal.transaction))
        });
        evidence.chain(reveals).collect()
    }

    /// The height of the oldest block that has to be read again after a restart to know every close; `None` if there is no
    /// close.
    #[must_use]
    pub fn oldest_close(&self) -> Option<Height> {
        self.kept
            .values()
            .filter_map(|kept| kept.close)
            .map(|close| close.started)
            .min()
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
