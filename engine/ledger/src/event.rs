//! What a block did to channels.

use tidegate_channel::ChannelTerms;
use tidegate_types::{Amount, ChannelId, OutPoint, Txid};

/// One thing that a block did to a channel, in the order of its transactions.
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
}
