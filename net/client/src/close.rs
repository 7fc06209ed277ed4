//! The end of a channel, together with the hub: what the final leaf must promise, and the transaction that claims it.

use tidegate_channel::{
    BalanceError, FinalTerms, HalfSums, LeafPrivate, LeafPublic, SignedHeader, client_balance, hub_balance,
};
use tidegate_ledger::{ChannelClose, Transaction, Witness};
use tidegate_types::{Amount, Digest, SignatureBytes};

use crate::channel::{ClientChannel, Signer};
use crate::error::CloseError;

/// A channel's last leaf with all that proves it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FinalLeaf {
    /// The header of its batch.
    pub header: SignedHeader,
    /// Its place in the batch.
    pub index: u32,
    /// From it to the header's root.
    pub path: Vec<Digest>,
    /// The private part.
    pub private: LeafPrivate,
    /// The public part.
    pub public: LeafPublic,
    /// How the channel ends.
    pub terms: FinalTerms,
}

impl FinalLeaf {
    /// What claims the channel on the ledger: the leaf, and the client's signature of the transaction that it promises.
    pub(crate) fn completed(&self, signature: SignatureBytes) -> ChannelClose {
        ChannelClose {
            header: self.header,
            index: self.index,
            path: self.path.clone(),
            private: self.private,
            public: self.public,
            terms: self.terms,
            signature,
        }
    }
}

impl ClientChannel {
    /// Checks that the channel may be closed: no lock is open in the state that the newest leaf acknowledges.
    ///
    /// # Errors
    /// [`CloseError::LocksOpen`].
    pub fn check_closable(&self) -> Result<(), CloseError> {
        let set_aside = self.acknowledged().locks_sum;
        if set_aside.is_zero() {
            Ok(())
        } else {
            Err(CloseError::LocksOpen(set_aside))
        }
    }

    /// The transaction that closes the channel by its final leaf, signed, after a check that it pays what is owed.
    ///
    /// # Errors
    /// [`CloseError`].
    pub fn close_transaction(&self, signer: &Signer, fee: Amount) -> Result<Transaction, CloseError> {
        let last = self.final_leaf.as_ref().ok_or(CloseError::NotFinal)?;
        self.check_payouts(&last.private, &last.terms, fee)?;
        let opened = self.opened();
        let body = ChannelClose::body(
            opened.funding,
            &opened.terms,
            last.terms.client_payout,
            last.terms.hub_payout,
        );
        let close = last.completed(body.sign(&signer.ledger, &signer.key));
        Ok(Transaction {
            body,
            witnesses: vec![Witness::ChannelClose(Box::new(close))],
        })
    }

    fn check_payouts(&self, leaf: &LeafPrivate, found: &FinalTerms, fee: Amount) -> Result<(), CloseError> {
        if found.channel != self.id() || found.is_splice() {
            return Err(CloseError::NotAClose);
        }
        if found.fee != fee {
            return Err(CloseError::OtherFee {
                found: found.fee,
                asked: fee,
            });
        }
        self.check_closable()?;
        let (balance, owed_hub) = self.owed(leaf)?;
        let owed_client = balance.sub(fee).map_err(|_| BalanceError::BelowReserve)?;
        if (found.client_payout, found.hub_payout) == (owed_client, owed_hub) {
            Ok(())
        } else {
            Err(CloseError::WrongPayout {
                client: found.client_payout,
                hub: found.hub_payout,
                owed_client,
                owed_hub,
            })
        }
    }

    /// The balances of the client and the hub by a leaf and the state that it acknowledges: a newer one that the hub never
    /// accepted does not count.
    pub(crate) fn owed(&self, leaf: &LeafPrivate) -> Result<(Amount, Amount), CloseError> {
        let state = self.acknowledged();
        let sums = HalfSums {
            firm_credit: leaf.firm_credit,
            unfirm_credit: leaf.unfirm_credit,
            debit: state.debit,
            out_locks: state.locks_sum,
            in_locks: leaf.in_locks_sum,
        };
        let terms = &self.opened().terms;
        Ok((client_balance(terms, &sums)?, hub_balance(terms, &sums)?))
    }
}
