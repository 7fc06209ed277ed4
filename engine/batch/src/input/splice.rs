//! A client's wish to move its channel into a successor (rule 22).

use tidegate_channel::RefuseReason;
use tidegate_types::{Amount, AmountError, ChannelId, Txid, fixed_struct};

/// The channel's last leaf is to name this successor. Whoever brings it here has looked at the transaction: that its first
/// output is a channel of these shares, that the coins and the fee are those of its inputs and outputs, and that the hub
/// agrees to the successor's terms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SpliceInput {
    /// The channel.
    pub channel: ChannelId,
    /// The transaction whose output 0 funds the successor.
    pub transaction: Txid,
    /// What the client's other coins bring.
    pub coins: Amount,
    /// What the client takes out.
    pub change: Amount,
    /// The transaction's fee, out of the client's side.
    pub fee: Amount,
    /// The client's share of the successor.
    pub client_share: Amount,
    /// The hub's share of it.
    pub hub_share: Amount,
}
fixed_struct!(SpliceInput {
    channel: ChannelId,
    transaction: Txid,
    coins: Amount,
    change: Amount,
    fee: Amount,
    client_share: Amount,
    hub_share: Amount,
});

impl SpliceInput {
    /// Checks that each side has in the successor what it has in the channel: the hub all of it, the client with what it adds
    /// and without what it takes.
    pub(crate) fn check(&self, client: Amount, hub: Amount) -> Result<(), RefuseReason> {
        let moves = !self.coins.is_zero() || !self.change.is_zero();
        if !moves || self.transaction.is_zero() {
            return Err(RefuseReason::NotOffered);
        }
        // Beyond all money there is no transaction that could be meant.
        let share = self
            .client_share_of(client)
            .map_err(|_| RefuseReason::InsufficientBalance)?;
        if (self.client_share, self.hub_share) == (share, hub) {
            Ok(())
        } else {
            Err(RefuseReason::OtherShares)
        }
    }

    fn client_share_of(&self, balance: Amount) -> Result<Amount, AmountError> {
        balance.add(self.coins)?.sub(self.change)?.sub(self.fee)
    }
}
