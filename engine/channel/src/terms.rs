//! The parameters a channel is opened with, and those it ends with.

use tidegate_crypto::hash::{Domain, hash};
use tidegate_types::{Age, Amount, AmountError, ChannelId, Digest, Fixed, Height, KeyBytes, OutPoint, fixed_struct};

/// The parameters of a channel (rule 21). They stand in its funding output and never change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ChannelTerms {
    /// Signs the client's states and acks.
    pub client: KeyBytes,
    /// Signs the hub's batch headers.
    pub hub: KeyBytes,
    /// Receives the client's share at the end.
    pub client_payout: KeyBytes,
    /// Receives the hub's share at the end.
    pub hub_payout: KeyBytes,
    /// May start an emergency closure; zero for none.
    pub emergency: KeyBytes,
    /// A session with this identity may carry the channel (`Attach`, named at the opening); zero for none.
    pub delegate: KeyBytes,
    /// The value of the funding output, V.
    pub capacity: Amount,
    /// The client's share of it at the opening, d0.
    pub opening_share: Amount,
    /// The client balance never falls below this.
    pub client_reserve: Amount,
    /// The hub balance never falls below this.
    pub hub_reserve: Amount,
    /// Blocks between the start of a close and its deadline, Δ.
    pub dispute_window: Age,
    /// Blocks after the deadline in which lock evidence still counts, δ.
    pub evidence_grace: Age,
    /// From this height on anyone may start the close.
    pub expiry: Height,
    /// Distinguishes channels of equal terms in one transaction's plan; chosen by the opener.
    pub nonce: u32,
}
fixed_struct!(ChannelTerms {
    client: KeyBytes,
    hub: KeyBytes,
    client_payout: KeyBytes,
    hub_payout: KeyBytes,
    emergency: KeyBytes,
    delegate: KeyBytes,
    capacity: Amount,
    opening_share: Amount,
    client_reserve: Amount,
    hub_reserve: Amount,
    dispute_window: Age,
    evidence_grace: Age,
    expiry: Height,
    nonce: u32,
});

/// Why terms cannot be those of a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TermsError {
    /// The opening share exceeds the capacity.
    #[error("the client's opening share exceeds the capacity")]
    ShareAboveCapacity,
    /// A side starts below its reserve.
    #[error("a side starts below its reserve")]
    BelowReserve,
    /// The channel has no value.
    #[error("the capacity is zero")]
    Empty,
}

impl ChannelTerms {
    /// The name of the channel that `funding` creates: `channel_id = BLAKE3(tag, funding outpoint, parameters)`.
    #[must_use]
    pub fn channel_id(&self, funding: &OutPoint) -> ChannelId {
        let mut bytes = [0; OutPoint::LEN + Self::LEN];
        let (outpoint, terms) = bytes.split_at_mut(OutPoint::LEN);
        funding.encode_into(outpoint);
        self.encode_into(terms);
        ChannelId::from_bytes(*hash(Domain::ChannelId, &bytes).as_bytes())
    }

    /// The terms of a channel that takes this one's place (rule 22): with other shares, a name and a life of its own, and the
    /// hub's reserve of new channels, `hub_reserve`. All else stays, so no key enters.
    ///
    /// Where the hub holds less than its reserve it keeps that: it could not have spent it in this channel either.
    ///
    /// # Errors
    /// [`AmountError`] if the shares exceed all money.
    pub fn successor(
        &self,
        (client_share, hub_share): (Amount, Amount),
        hub_reserve: Amount,
        expiry: Height,
        nonce: u32,
    ) -> Result<Self, AmountError> {
        let hub_reserve = if hub_share.is_zero() {
            hub_reserve
        } else {
            hub_reserve.min(hub_share)
        };
        Ok(Self {
            capacity: client_share.add(hub_share)?,
            opening_share: client_share,
            hub_reserve,
            expiry,
            nonce,
            ..*self
        })
    }

    /// Checks the sums; keys are checked where they enter (rule 3).
    ///
    /// # Errors
    /// [`TermsError`], the first that applies.
    pub fn check(&self) -> Result<(), TermsError> {
        if self.capacity.is_zero() {
            return Err(TermsError::Empty);
        }
        let hub_share = self
            .capacity
            .sub(self.opening_share)
            .map_err(|_| TermsError::ShareAboveCapacity)?;
        // A side that brings nothing has nothing to keep in reserve until it is credited.
        let below = |share: Amount, reserve: Amount| !share.is_zero() && share < reserve;
        if below(self.opening_share, self.client_reserve) || below(hub_share, self.hub_reserve) {
            return Err(TermsError::BelowReserve);
        }
        Ok(())
    }
}

/// What a channel's final leaf promises: the payouts of a cooperative close, or the successor of a splice (rules 22, 23).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FinalTerms {
    /// The channel.
    pub channel: ChannelId,
    /// Paid to the client's payout key. Of a splice, the client's balance: what it brings into the transaction.
    pub client_payout: Amount,
    /// Paid to the hub's payout key. Of a splice, the hub's balance.
    pub hub_payout: Amount,
    /// The ledger fee of the closing transaction, out of the client's side: it asked for the close. Likewise of the splice.
    pub fee: Amount,
    /// The successor's funding outpoint for a splice; all zero for a close.
    pub successor: OutPoint,
}
fixed_struct!(FinalTerms { channel: ChannelId, client_payout: Amount, hub_payout: Amount, fee: Amount, successor: OutPoint, pad 4 });

impl FinalTerms {
    /// True if these are the terms of a splice.
    #[must_use]
    pub fn is_splice(&self) -> bool {
        !self.successor.txid.is_zero() || self.successor.vout != 0
    }

    /// The digest that stands in the final leaf.
    #[must_use]
    pub fn digest(&self) -> Digest {
        hash(Domain::FinalTerms, &self.to_vec())
    }
}
