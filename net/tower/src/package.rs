//! What a party gives a tower: a pair, and the leave to charge its fee to the party's side.
//!
//! ```text
//! package   channel 32 | funding outpoint 36 | side 1 | 0 × 3 | mandate 64 | terms length 4 | pair length 4 | terms | pair
//! ```

use tidegate_channel::ChannelTerms;
use tidegate_channel::codec::Canonical as _;
use tidegate_channel::evidence::{Mandate, MandateSubject, Pair, PairError, Side};
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_ledger::{Action, Payer, Transaction, TransactionBody, Witness};
use tidegate_types::{
    ChannelId, ClientCounter, DecodeError, Fixed, HubCounter, KeyBytes, LedgerId, OutPoint, SignatureBytes,
};
use tidegate_wire::messages::TowerPackage;

/// One channel's best evidence, for one of its sides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// The channel.
    pub channel: ChannelId,
    /// Its funding output.
    pub funding: OutPoint,
    /// Its terms.
    pub terms: ChannelTerms,
    /// Whose evidence it is: who pays for showing it.
    pub side: Side,
    /// The pair.
    pub pair: Pair,
    /// That side's signature under the mandate for this pair: the tower has neither keys nor coins.
    pub mandate: SignatureBytes,
}

/// Why a package would be of no use on the ledger.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PackageError {
    /// It does not decode.
    #[error("the package does not decode: {0}")]
    Decode(#[from] DecodeError),
    /// The channel's name does not follow from terms and funding output.
    #[error("the channel's name is not that of its terms and funding output")]
    OtherName,
    /// A key of the terms is none that counts.
    #[error("a key of the channel is not valid: {0}")]
    Key(#[from] KeyError),
    /// The pair does not stand.
    #[error("the pair does not stand: {0}")]
    Pair(#[from] PairError),
    /// The mandate is not signed by the side.
    #[error("the mandate is not signed by the side that is to pay")]
    Mandate,
}

impl Package {
    /// Reads a package as it travels.
    ///
    /// # Errors
    /// [`PackageError::Decode`].
    pub fn decode(message: &TowerPackage<'_>) -> Result<Self, PackageError> {
        Ok(Self {
            channel: message.channel,
            funding: message.funding,
            terms: ChannelTerms::decode(message.terms)?,
            side: Side::decode(&[message.side])?,
            pair: Pair::decode(message.pair)?,
            mandate: *message.mandate,
        })
    }

    /// The parts of the message that brings it: its terms and its pair.
    #[must_use]
    pub fn parts(&self) -> (Vec<u8>, Vec<u8>) {
        (self.terms.to_vec(), self.pair.to_bytes())
    }

    /// The message that brings it, over its [`Package::parts`].
    #[must_use]
    pub fn message<'a>(&'a self, parts: &'a (Vec<u8>, Vec<u8>)) -> TowerPackage<'a> {
        TowerPackage {
            channel: self.channel,
            funding: self.funding,
            side: self.side.to_vec()[0],
            mandate: &self.mandate,
            terms: &parts.0,
            pair: &parts.1,
        }
    }

    /// The counters of both halves.
    #[must_use]
    pub fn counters(&self) -> (ClientCounter, HubCounter) {
        self.pair.counters()
    }

    /// Whose package it is.
    #[must_use]
    pub const fn owner(&self) -> KeyBytes {
        match self.side {
            Side::Client => self.terms.client,
            Side::Hub => self.terms.hub,
        }
    }

    /// What the side signs so that the fee is charged to it.
    #[must_use]
    pub fn subject(&self) -> Mandate {
        let (client, hub) = self.counters();
        Mandate {
            channel: self.channel,
            side: self.side,
            subject: MandateSubject::Pair(client, hub),
        }
    }

    /// Checks everything that the ledger will check of it.
    ///
    /// # Errors
    /// [`PackageError`], the first that applies.
    pub fn check(&self, ledger: &LedgerId) -> Result<(), PackageError> {
        if self.terms.channel_id(&self.funding) != self.channel {
            return Err(PackageError::OtherName);
        }
        let (client, hub) = (
            PublicKey::register(self.terms.client)?,
            PublicKey::register(self.terms.hub)?,
        );
        self.pair.check(ledger, &self.channel, &self.terms, (&client, &hub))?;
        let payer = match self.side {
            Side::Client => &client,
            Side::Hub => &hub,
        };
        if self.subject().verify(ledger, payer, &self.mandate).is_valid() {
            Ok(())
        } else {
            Err(PackageError::Mandate)
        }
    }

    /// The transaction that shows the pair on the ledger.
    #[must_use]
    pub fn transaction(&self) -> Transaction {
        let action = Action::Evidence {
            channel: self.channel,
            payer: Payer::Side(self.side, self.mandate),
            pair: Box::new(self.pair.clone()),
        };
        Transaction {
            body: TransactionBody::of_action(vec![self.funding], Vec::new(), action),
            witnesses: vec![Witness::Action],
        }
    }
}
