//! What a block did to channels, locks and stakes.

use tidegate_channel::evidence::{FaultKind, Opener, Side};
use tidegate_channel::{Ack, ChannelTerms};
use tidegate_types::{
    Amount, BatchNumber, ChannelId, ClientCounter, Height, HubCounter, KeyBytes, LockId, OutPoint, Txid,
};

/// One thing that a block did, in the order of its transactions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a block has few of them, and most are openings"
)]
pub enum Event {
    /// A funding output was created.
    ChannelOpened {
        /// The channel's name.
        channel: ChannelId,
        /// The funding output.
        outpoint: OutPoint,
        /// The channel's terms.
        terms: ChannelTerms,
    },
    /// A funding output was spent by a cooperative close.
    ChannelClosed {
        /// The channel's name.
        channel: ChannelId,
        /// The closing transaction.
        txid: Txid,
        /// Paid to the client's payout key.
        client_payout: Amount,
        /// Paid to the hub's payout key.
        hub_payout: Amount,
        /// Burned.
        fee: Amount,
    },
    /// A funding output was spent by a splice; the successor's own opening is an event beside this one.
    ChannelSpliced {
        /// The channel's name.
        channel: ChannelId,
        /// The splicing transaction.
        txid: Txid,
        /// The successor's funding output.
        successor: OutPoint,
    },
    /// The close of a channel has begun.
    CloseStarted {
        /// The channel's name.
        channel: ChannelId,
        /// Its funding output, which stands on.
        outpoint: OutPoint,
        /// Who started it.
        opener: Opener,
        /// The hub's last batch, if the hub did.
        batch: BatchNumber,
        /// The counter of the state that was shown.
        client: ClientCounter,
        /// The counter of the leaf that was shown.
        hub: HubCounter,
        /// The last height for newer evidence.
        deadline: Height,
    },
    /// Newer evidence was shown in a close.
    EvidenceTaken {
        /// The channel's name.
        channel: ChannelId,
        /// The counter of the newest state.
        client: ClientCounter,
        /// The counter of the newest leaf.
        hub: HubCounter,
    },
    /// An open lock of a close was shown to be given up.
    LockRefunded {
        /// The channel's name.
        channel: ChannelId,
        /// Who owed it.
        side: Side,
        /// The lock.
        lock: LockId,
    },
    /// A close was settled: the channel is no more.
    ChannelSettled {
        /// The channel's name.
        channel: ChannelId,
        /// The settling transaction.
        txid: Txid,
        /// Paid to the client's payout key.
        client_payout: Amount,
        /// Paid to the hub's payout key.
        hub_payout: Amount,
        /// How many locks are outputs now.
        locks: u8,
        /// Burned.
        fee: Amount,
    },
    /// A preimage stands on the ledger.
    PreimageRevealed {
        /// Its SHA-256.
        hash: [u8; 32],
        /// The preimage.
        preimage: [u8; 32],
        /// Since when.
        height: Height,
    },
    /// An ack stands on the ledger.
    AckRevealed {
        /// The ack.
        ack: Ack,
        /// Since when.
        height: Height,
    },
    /// A channel's whole output went to its client, since its hub was proved to have cheated in it.
    Forfeited {
        /// The channel's name.
        channel: ChannelId,
        /// The transaction.
        txid: Txid,
        /// What the hub did.
        kind: FaultKind,
        /// Paid to the client's payout key.
        client_payout: Amount,
    },
    /// A hub's stake was slashed.
    HubFault {
        /// The hub.
        hub: KeyBytes,
        /// What it did.
        kind: FaultKind,
        /// In which channel, if in one.
        channel: Option<ChannelId>,
    },
    /// A hub has begun to take its stake back.
    StakeUnbonding {
        /// The hub.
        hub: KeyBytes,
        /// From this height on it can be spent.
        release: Height,
    },
    /// A slashed stake paid a victim.
    VictimPaid {
        /// The hub.
        hub: KeyBytes,
        /// The victim's channel.
        channel: ChannelId,
        /// How much.
        amount: Amount,
    },
    /// What was left of a slashed stake burned.
    StakeBurned {
        /// The hub.
        hub: KeyBytes,
        /// Paid to the reporter.
        reward: Amount,
    },
}

impl Event {
    /// The channel that it concerns, if it concerns one.
    #[must_use]
    pub const fn channel(&self) -> Option<ChannelId> {
        match self {
            Self::ChannelOpened { channel, .. }
            | Self::ChannelClosed { channel, .. }
            | Self::ChannelSpliced { channel, .. }
            | Self::CloseStarted { channel, .. }
            | Self::EvidenceTaken { channel, .. }
            | Self::LockRefunded { channel, .. }
            | Self::ChannelSettled { channel, .. }
            | Self::Forfeited { channel, .. }
            | Self::VictimPaid { channel, .. } => Some(*channel),
            Self::AckRevealed { ack, .. } => Some(ack.channel),
            Self::HubFault { channel, .. } => *channel,
            Self::PreimageRevealed { .. } | Self::StakeUnbonding { .. } | Self::StakeBurned { .. } => None,
        }
    }
}
