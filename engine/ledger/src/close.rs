//! The cooperative close of a channel (rule 23): what a witness must show.

use tidegate_channel::{ChannelTerms, HeaderError, LeafKind, leaf_digest};
use tidegate_crypto::keys::{KeyError, PublicKey};
use tidegate_crypto::verify::{Verdict, verify};
use tidegate_types::{Amount, ChannelId, KeyBytes, LedgerId, OutPoint, Txid};

use crate::{ChannelClose, Condition, Output, Transaction, TransactionBody};

/// Why a witness does not close a channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CloseError {
    /// The transaction has other inputs: its outputs would not be the channel's payouts alone.
    #[error("a close spends the channel's output and nothing else")]
    NotAlone,
    /// The leaf is of another channel.
    #[error("the leaf belongs to another channel")]
    OtherChannel,
    /// More leaves may follow this one.
    #[error("the leaf is not a final one")]
    NotFinal,
    /// The leaf has open locks.
    #[error("the final leaf has open locks")]
    OpenLocks,
    /// The terms shown are not those of the leaf, or of another channel.
    #[error("the terms are not those of the final leaf")]
    OtherTerms,
    /// The terms name a successor: the channel was spliced, not closed.
    #[error("the terms are those of a splice")]
    Splice,
    /// The terms name no channel of the same two keys in this transaction.
    #[error("the final terms name no successor in this transaction")]
    NoSuccessor,
    /// The outputs are not the payouts of the terms.
    #[error("the outputs are not the payouts of the final terms")]
    OtherOutputs,
    /// The fee is not that of the terms.
    #[error("the fee is {fee}, the final terms say {terms}")]
    OtherFee {
        /// The fee that the transaction leaves.
        fee: Amount,
        /// The fee in the terms.
        terms: Amount,
    },
    /// The header or the path to the leaf proves nothing.
    #[error("the hub's evidence does not hold: {0}")]
    Header(#[from] HeaderError),
    /// A key in the channel's terms does not decode.
    #[error("a key of the channel is damaged: {0}")]
    Key(#[from] KeyError),
    /// The client did not sign the transaction.
    #[error("the client's signature over the transaction is not valid")]
    ClientSignature,
}

impl ChannelClose {
    /// The transaction that closes the channel funded at `outpoint` by these final terms: what the client signs.
    #[must_use]
    pub fn body(outpoint: OutPoint, channel: &ChannelTerms, client: Amount, hub: Amount) -> TransactionBody {
        TransactionBody::plain(vec![outpoint], payouts(channel, client, hub).collect())
    }

    /// Checks all of a cooperative close but the signatures. `expected` is the body that pays the final terms.
    pub(crate) fn check_content(
        &self,
        id: &ChannelId,
        body: &TransactionBody,
        expected: &TransactionBody,
        fee: Amount,
    ) -> Result<(), CloseError> {
        let terms = &self.terms;
        self.check_leaf(id)?;
        if terms.is_splice() {
            return Err(CloseError::Splice);
        }
        if body.outputs != expected.outputs {
            return Err(CloseError::OtherOutputs);
        }
        self.check_fee(fee)?;
        self.check_path()
    }

    /// Checks all of a splice but the signatures: that the successor which the final terms name stands in the transaction.
    /// All else of it is under the txid, which the hub has named and the client signs.
    pub(crate) fn check_splice(
        &self,
        id: &ChannelId,
        channel: &ChannelTerms,
        tx: &Transaction,
        txid: &Txid,
        fee: Amount,
    ) -> Result<(), CloseError> {
        self.check_leaf(id)?;
        let OutPoint { txid: named, vout } = self.terms.successor;
        let successor = usize::try_from(vout).ok().and_then(|vout| tx.body.outputs.get(vout));
        let good = successor.is_some_and(|output| match &output.condition {
            Condition::Channel(terms) => terms.client == channel.client && terms.hub == channel.hub,
            _ => false,
        });
        if named != *txid || !good {
            return Err(CloseError::NoSuccessor);
        }
        self.check_fee(fee)?;
        self.check_path()
    }

    fn check_leaf(&self, id: &ChannelId) -> Result<(), CloseError> {
        let (leaf, terms) = (&self.private, &self.terms);
        if leaf.channel != *id {
            return Err(CloseError::OtherChannel);
        }
        if leaf.kind != LeafKind::Final {
            return Err(CloseError::NotFinal);
        }
        if !leaf.in_locks_sum.is_zero() {
            return Err(CloseError::OpenLocks);
        }
        if terms.channel != *id || leaf.terms != terms.digest() {
            return Err(CloseError::OtherTerms);
        }
        Ok(())
    }

    fn check_fee(&self, fee: Amount) -> Result<(), CloseError> {
        let terms = self.terms.fee;
        if fee == terms {
            Ok(())
        } else {
            Err(CloseError::OtherFee { fee, terms })
        }
    }

    fn check_path(&self) -> Result<(), CloseError> {
        let (leaf, terms) = (&self.private, &self.terms);
        debug_assert_eq!(leaf.terms, terms.digest(), "check_leaf comes first");
        let digest = leaf_digest(&leaf.digest(), &self.public.digest());
        Ok(self.header.check_path(&digest, self.index, &self.path)?)
    }

    /// Checks the hub's signature under the header and the client's over the transaction.
    pub(crate) fn check_signatures(
        &self,
        ledger: &LedgerId,
        channel: &ChannelTerms,
        txid: &Txid,
    ) -> Result<(), CloseError> {
        self.header.verify(ledger, &registered(channel.hub)?)?;
        let message = TransactionBody::message(txid, ledger);
        match verify(&registered(channel.client)?, message.as_slice(), &self.signature) {
            Verdict::Valid => Ok(()),
            Verdict::Invalid => Err(CloseError::ClientSignature),
        }
    }
}

/// The outputs of a close: the client's, then the hub's, without those of zero.
fn payouts(channel: &ChannelTerms, client: Amount, hub: Amount) -> impl Iterator<Item = Output> + use<> {
    [
        Output::to_key(client, channel.client_payout),
        Output::to_key(hub, channel.hub_payout),
    ]
    .into_iter()
    .filter(|output| !output.amount.is_zero())
}

/// A key of an unspent output, which was checked by rule 3 when the output was created.
pub(crate) fn registered(key: KeyBytes) -> Result<PublicKey, KeyError> {
    PublicKey::from_registered(key)
}
