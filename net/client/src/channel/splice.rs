//! A channel that moves into a successor (rule 22): what was asked for, what the final leaf must say, and the transaction that
//! completes it.
//!
//! A request is in the journal before it is sent, and every one of them stays there: whichever the final leaf names, its
//! transaction can be made again from it.

use tidegate_channel::{ChannelTerms, TermsError};
use tidegate_ledger::{Splice, Transaction, Witness};
use tidegate_types::{Amount, AmountError, ChannelId, Fixed as _, Height, OutPoint, Txid};
use tidegate_wire::WireError;
use tidegate_wire::messages::{self as wire, Body as _};

use super::{ClientChannel, Signer};
use crate::error::{CloseError, StepError};
use crate::store::{Opened, Record, WalletStore};

/// Why a channel does not move into a successor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SpliceError {
    /// Payments are under way, or the balances cannot be formed.
    #[error(transparent)]
    Rest(#[from] CloseError),
    /// Credits that the hub has not made firm.
    #[error("{0} were received and are not firm yet; the hub makes them so once they are acknowledged")]
    Unfirm(Amount),
    /// The amounts do not fit the channel.
    #[error("the channel cannot hold that: {0}")]
    Amount(#[from] AmountError),
    /// The successor would break a rule of its own.
    #[error("the successor's terms do not hold: {0}")]
    Terms(#[from] TermsError),
    /// The channel goes on as another.
    #[error("the channel has moved already, and goes on as {0}")]
    Moved(ChannelId),
    /// The final leaf has not come.
    #[error("the hub has not sent the final leaf")]
    NotFinal,
    /// The final leaf is that of a close.
    #[error("the final leaf closes the channel; close it instead")]
    NotASplice,
    /// This wallet has not asked for the transaction that the final leaf names, or has lost the request.
    #[error("the final leaf names transaction {0}, which this wallet has not asked for")]
    NotAsked(Txid),
    /// The final terms are another channel's, or name another fee or output than was asked for.
    #[error("the final terms are not those that were asked for")]
    OtherTerms,
    /// The final terms do not name the channel's balances.
    #[error("the final leaf says {client} and {hub}; {owed_client} and {owed_hub} are owed")]
    WrongBalances {
        /// The client's balance in the final terms.
        client: Amount,
        /// The hub's balance in the final terms.
        hub: Amount,
        /// The client's balance.
        owed_client: Amount,
        /// The hub's balance.
        owed_hub: Amount,
    },
}

/// What a client asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AskedSplice {
    /// The transaction's parts.
    pub splice: Splice,
    /// The ledger fee that it leaves.
    pub fee: Amount,
    /// The body of the request.
    body: Vec<u8>,
}

impl AskedSplice {
    /// A request of `channel`.
    fn new(channel: &ClientChannel, splice: Splice, fee: Amount) -> Self {
        let terms = splice.successor.to_vec();
        let request = wire::SpliceRequest {
            channel: channel.id(),
            fee,
            terms: &terms,
            coins: splice.coins[..].into(),
            change: splice.change,
        };
        let mut body = Vec::new();
        request.put(&mut body);
        Self { splice, fee, body }
    }

    /// The message that brings it to the hub.
    ///
    /// # Panics
    /// Never: the bytes were encoded here, or decoded once when the journal was read.
    #[must_use]
    pub fn message(&self) -> wire::SpliceRequest<'_> {
        wire::SpliceRequest::decode(&self.body).expect("encoded here, or decoded when the journal was read")
    }
}

impl ClientChannel {
    /// The balances of the client and the hub, if nothing is under way: what they bring into a successor.
    ///
    /// # Errors
    /// [`SpliceError::Rest`], [`SpliceError::Unfirm`].
    pub fn at_rest(&self) -> Result<(Amount, Amount), SpliceError> {
        let leaf = self.wallet.hub().leaf();
        if !leaf.in_locks_sum.is_zero() {
            return Err(CloseError::LocksOpen(leaf.in_locks_sum).into());
        }
        if !leaf.unfirm_credit.is_zero() {
            return Err(SpliceError::Unfirm(leaf.unfirm_credit));
        }
        self.check_closable()?;
        Ok(self.owed(leaf)?)
    }

    /// The terms of a successor whose client has `share`, with the hub's reserve of new channels.
    ///
    /// # Errors
    /// As [`ClientChannel::at_rest`]; [`SpliceError::Amount`], [`SpliceError::Terms`].
    pub fn successor_terms(
        &self,
        share: Amount,
        hub_reserve: Amount,
        expiry: Height,
        nonce: u32,
    ) -> Result<ChannelTerms, SpliceError> {
        let (_, hub) = self.at_rest()?;
        let old = &self.opened.terms;
        let terms = old.successor((share, hub), hub_reserve, expiry, nonce)?;
        terms.check()?;
        Ok(terms)
    }

    /// Notes what the hub is to be asked for. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Store`].
    pub fn ask_splice(
        &mut self,
        store: &mut dyn WalletStore,
        splice: Splice,
        fee: Amount,
    ) -> Result<AskedSplice, StepError> {
        let asked = AskedSplice::new(self, splice, fee);
        store.append(&self.id(), &Record::Splicing(asked.body.clone()))?;
        self.splices.push(asked.clone());
        Ok(asked)
    }

    /// As [`ClientChannel::ask_splice`], from the journal.
    pub(super) fn apply_splice(&mut self, body: &[u8]) -> Result<(), WireError> {
        let request = wire::SpliceRequest::decode(body)?;
        let splice = Splice {
            funding: self.opened.funding,
            successor: ChannelTerms::decode(request.terms)?,
            coins: request.coins.iter().collect(),
            change: request.change,
        };
        self.splices.push(AskedSplice {
            splice,
            fee: request.fee,
            body: body.to_vec(),
        });
        Ok(())
    }

    /// Coins that stand in what the hub has agreed to, until the channel has ended: spent elsewhere they would undo it. What was
    /// asked for in vain promises nothing.
    pub fn promised(&self) -> impl Iterator<Item = &OutPoint> {
        let open = self.closed.is_none();
        let agreed = self.agreed_splice().ok().filter(|_| open);
        agreed.into_iter().flat_map(|asked| &asked.splice.coins)
    }

    /// What the final leaf has agreed to, of all that was asked for, after a check that it says what is owed.
    ///
    /// # Errors
    /// [`SpliceError`].
    pub fn agreed_splice(&self) -> Result<&AskedSplice, SpliceError> {
        let last = self.final_leaf.as_ref().ok_or(SpliceError::NotFinal)?;
        let terms = &last.terms;
        if !terms.is_splice() {
            return Err(SpliceError::NotASplice);
        }
        let outpoint = terms.successor;
        let mut asked = self.splices.iter();
        let asked = asked.find(|asked| asked.splice.successor_outpoint().txid == outpoint.txid);
        let asked = asked.ok_or(SpliceError::NotAsked(outpoint.txid))?;
        if terms.channel != self.id() || terms.fee != asked.fee || outpoint != asked.splice.successor_outpoint() {
            return Err(SpliceError::OtherTerms);
        }
        self.check_closable()?;
        let (client, hub) = (terms.client_payout, terms.hub_payout);
        let (owed_client, owed_hub) = self.owed(&last.private)?;
        // The shares were made of the balances when it was asked for; the hub may have accepted something since.
        let (next, brought) = (&asked.splice.successor, self.opened.terms.capacity);
        let hub_share = next.capacity.sub(next.opening_share)?;
        if (client, hub) != (owed_client, owed_hub) || hub_share != owed_hub || client.add(hub)? != brought {
            return Err(SpliceError::WrongBalances {
                client,
                hub,
                owed_client,
                owed_hub,
            });
        }
        Ok(asked)
    }

    /// Checks that the channel has not moved yet.
    ///
    /// # Errors
    /// [`SpliceError::Moved`].
    pub fn check_not_moved(&self) -> Result<(), SpliceError> {
        match self.agreed_splice() {
            Ok(asked) if self.closed.is_some() => Err(SpliceError::Moved(asked.splice.channel())),
            _ => Ok(()),
        }
    }

    /// The transaction that moves the channel into its successor, signed, and the successor as it will begin.
    ///
    /// # Errors
    /// [`SpliceError`].
    pub fn splice_transaction(&self, signer: &Signer) -> Result<(Transaction, Opened), SpliceError> {
        let asked = self.agreed_splice()?;
        let last = self.final_leaf.as_ref().ok_or(SpliceError::NotFinal)?;
        let body = asked.splice.body();
        let signature = body.sign(&signer.ledger, &signer.key);
        let close = last.completed(signature);
        let coins = asked.splice.coins.iter().map(|_| Witness::Key(signature));
        let witnesses = core::iter::once(Witness::ChannelSplice(Box::new(close))).chain(coins);
        let transaction = Transaction {
            witnesses: witnesses.collect(),
            body,
        };
        let opened = Opened {
            channel: asked.splice.channel(),
            funding: asked.splice.successor_outpoint(),
            terms: asked.splice.successor,
            ..self.opened
        };
        Ok((transaction, opened))
    }
}
