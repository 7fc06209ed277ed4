//! The transaction that moves a channel into a successor (rule 22), as both sides make it from the same parts.
//!
//! ```text
//! inputs   the channel's funding output | the client's coins …
//! outputs  the successor | what the client takes back or out
//! ```
//!
//! Its txid covers no witness, so it is known before the hub's final leaf names it and before the client signs it.

use tidegate_channel::ChannelTerms;
use tidegate_types::{Amount, AmountError, ChannelId, KeyBytes, OutPoint};

use crate::{LedgerParams, Output, TransactionBody, Witness};

/// The parts of a splice.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Splice {
    /// The funding output of the channel that ends.
    pub funding: OutPoint,
    /// The terms of its successor.
    pub successor: ChannelTerms,
    /// Coins of the client.
    pub coins: Vec<OutPoint>,
    /// What goes back to the client, or out to somebody.
    pub change: Option<(Amount, KeyBytes)>,
}

impl Splice {
    /// The transaction without its witnesses.
    #[must_use]
    pub fn body(&self) -> TransactionBody {
        let inputs = core::iter::once(self.funding).chain(self.coins.iter().copied());
        let change = self.change.map(|(amount, key)| Output::to_key(amount, key));
        let outputs = core::iter::once(Output::to_channel(&self.successor)).chain(change);
        TransactionBody::plain(inputs.collect(), outputs.collect())
    }

    /// The successor's funding output.
    #[must_use]
    pub fn successor_outpoint(&self) -> OutPoint {
        OutPoint {
            txid: self.body().txid(),
            vout: 0,
        }
    }

    /// What goes back or out; zero for nothing.
    #[must_use]
    pub fn change_amount(&self) -> Amount {
        self.change.map_or(Amount::ZERO, |(amount, _)| amount)
    }

    /// The successor's name.
    #[must_use]
    pub fn channel(&self) -> ChannelId {
        self.successor.channel_id(&self.successor_outpoint())
    }

    /// What the transaction leaves to the ledger, if the channel holds `capacity` and the coins `coins`.
    ///
    /// # Errors
    /// [`AmountError`] if it pays more than it spends, or if a sum exceeds all money.
    pub fn fee(&self, capacity: Amount, coins: Amount) -> Result<Amount, AmountError> {
        let outputs = self.successor.capacity.add(self.change_amount())?;
        capacity.add(coins)?.sub(outputs)
    }

    /// The least fee that the ledger takes for it.
    #[must_use]
    pub fn fee_min(&self, params: &LedgerParams) -> Amount {
        let body = self.body();
        // The first input is the channel's.
        let cost = body.cost_by_keys() - Witness::KEY_COST + Witness::CHANNEL_CLOSE_COST;
        params.fee_min(cost)
    }
}
