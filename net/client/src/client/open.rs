//! Opening a channel: terms are proposed, the hub adds its part, the client checks all of it and signs.

use std::time::Duration;

use tidegate_channel::ChannelTerms;
use tidegate_ledger::{Condition, Output, Transaction, TransactionBody, Witness};
use tidegate_types::{Age, Amount, ChannelId, Fixed, KeyBytes, OutPoint};
use tidegate_wire::ToClient;
use tidegate_wire::lengths::MAX_OPEN_INPUTS;
use tidegate_wire::messages::{LedgerResult, OpenAccept, OpenPropose, OutputKind, SubmitTx};

use super::{Client, ClientError, OpenFault};
use crate::connection::ConnectionError;
use crate::key_file::KeyFileError;
use crate::store::{Opened, WalletStore};

/// A channel to be opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenPlan {
    /// The channel's value.
    pub capacity: Amount,
    /// The client's share of it.
    pub own: Amount,
    /// The ledger fee, which the client pays.
    pub fee: Amount,
    /// Change below this is given to the fee: the ledger takes no smaller output.
    pub dust: Amount,
    /// Blocks until anyone may close the channel.
    pub lifetime: Age,
    /// Where the client's money goes in the end; `None` for the client's own key.
    pub payout: Option<KeyBytes>,
    /// How long to wait until the channel is active.
    pub timeout: Duration,
}

/// What was proposed, and what the answer must therefore hold.
struct Proposal {
    terms: ChannelTerms,
    inputs: Vec<OutPoint>,
    change: Option<(Amount, KeyBytes)>,
}

impl<S: WalletStore> Client<S> {
    /// Opens a channel and waits until its funding output is final.
    ///
    /// # Errors
    /// [`ClientError`]. Once the wallet has noted the channel, an error leaves it there: it may become active yet.
    pub fn open(&mut self, plan: &OpenPlan) -> Result<ChannelId, ClientError> {
        let proposal = self.propose_open(plan)?;
        let incoming = self.connection.request(&OpenPropose {
            terms: &proposal.terms.to_vec(),
            inputs: proposal.inputs[..].into(),
            change: proposal.change,
        })?;
        let ToClient::OpenAccept(accept) = incoming.message()? else {
            return Err(ConnectionError::Unexpected(incoming.message()?.kind()).into());
        };
        let (mut transaction, opened) = self.check_funding(&proposal, &accept)?;
        self.sign_inputs(&proposal, &mut transaction);
        self.channels.adopt(opened)?;
        self.submit(&transaction)?;
        self.wait_final(transaction.txid(), plan.timeout)?;
        Ok(opened.channel)
    }

    fn propose_open(&mut self, plan: &OpenPlan) -> Result<Proposal, ClientError> {
        let (inputs, change) = self.choose_inputs(plan)?;
        let hello = *self.hello();
        let mut nonce = [0; 4];
        getrandom::fill(&mut nonce).map_err(KeyFileError::Random)?;
        let key = self.key();
        let terms = ChannelTerms {
            client: key,
            hub: hello.hub,
            client_payout: plan.payout.unwrap_or(key),
            // The hub's to choose; it stands in the answer.
            hub_payout: KeyBytes::ZERO,
            emergency: KeyBytes::ZERO,
            delegate: KeyBytes::ZERO,
            capacity: plan.capacity,
            opening_share: plan.own,
            client_reserve: hello.client_reserve,
            hub_reserve: hello.hub_reserve,
            dispute_window: hello.dispute_window,
            evidence_grace: hello.evidence_grace,
            expiry: self
                .height
                .plus(plan.lifetime)
                .ok_or(ClientError::Range("the lifetime"))?,
            nonce: u32::from_le_bytes(nonce),
        };
        Ok(Proposal { terms, inputs, change })
    }

    /// Coins that cover the share and the fee, and what is left of them.
    #[expect(clippy::type_complexity, reason = "inputs and change, named where they are taken")]
    fn choose_inputs(&mut self, plan: &OpenPlan) -> Result<(Vec<OutPoint>, Option<(Amount, KeyBytes)>), ClientError> {
        let needed = plan.own.add(plan.fee).map_err(|_| ClientError::Range("the share"))?;
        let (inputs, left) = self.choose_coins(needed)?;
        let change = (!left.is_zero() && left >= plan.dust).then_some((left, self.key()));
        Ok((inputs, change))
    }

    /// The largest outputs of the key that together cover `needed`, and what is left of them; none of those that a splice is
    /// waiting for.
    pub(super) fn choose_coins(&mut self, needed: Amount) -> Result<(Vec<OutPoint>, Amount), ClientError> {
        let mut funds = self.funds()?;
        let promised: Vec<OutPoint> = self.channels.iter().flat_map(|own| own.promised()).copied().collect();
        funds.retain(|utxo| utxo.kind == OutputKind::Key && !promised.contains(&utxo.outpoint));
        funds.sort_by_key(|utxo| core::cmp::Reverse(utxo.amount));
        let (mut inputs, mut found) = (Vec::new(), Amount::ZERO);
        for utxo in funds.iter().take(MAX_OPEN_INPUTS) {
            if found >= needed {
                break;
            }
            inputs.push(utxo.outpoint);
            found = found
                .add(utxo.amount)
                .map_err(|_| ClientError::Range("the sum of outputs"))?;
        }
        let left = found.sub(needed).map_err(|_| ClientError::NoFunds { needed, found })?;
        Ok((inputs, left))
    }

    /// Checks that the hub's transaction does what was proposed, and nothing else with the client's money.
    fn check_funding(
        &self,
        proposal: &Proposal,
        accept: &OpenAccept<'_>,
    ) -> Result<(Transaction, Opened), ClientError> {
        let transaction = Transaction::decode(accept.transaction).map_err(OpenFault::Decode)?;
        let (funding, terms) = find_channel(&transaction.body, &proposal.terms).ok_or(OpenFault::Terms)?;
        if terms.channel_id(&funding) != accept.channel {
            return Err(OpenFault::Name.into());
        }
        let spent = |input: &OutPoint| transaction.body.inputs.contains(input);
        if !proposal.inputs.iter().all(spent) {
            return Err(OpenFault::Inputs.into());
        }
        let has_change = |(amount, key)| transaction.body.outputs.contains(&Output::to_key(amount, key));
        if !proposal.change.is_none_or(has_change) {
            return Err(OpenFault::Change.into());
        }
        let opened = Opened {
            channel: accept.channel,
            funding,
            terms,
            margin: self.hello().margin,
            settle_on: self.settle_on,
        };
        Ok((transaction, opened))
    }

    /// Puts the client's signature where the client pays.
    fn sign_inputs(&self, proposal: &Proposal, transaction: &mut Transaction) {
        let signer = self.channels.signer();
        let signature = transaction.body.sign(&signer.ledger, &signer.key);
        for (input, witness) in transaction.body.inputs.iter().zip(&mut transaction.witnesses) {
            if proposal.inputs.contains(input) {
                *witness = Witness::Key(signature);
            }
        }
    }

    /// Brings a transaction to the ledger.
    ///
    /// # Errors
    /// [`ClientError`].
    pub fn submit(&mut self, transaction: &Transaction) -> Result<(), ClientError> {
        let bytes = transaction.encode();
        let incoming = self.connection.request(&SubmitTx { transaction: &bytes })?;
        match incoming.message()? {
            ToClient::LedgerAnswer(answer) if answer.result == LedgerResult::Accepted(transaction.txid()) => Ok(()),
            other => Err(ConnectionError::Unexpected(other.kind()).into()),
        }
    }
}

/// The only output with the proposed terms, in which the hub may choose its payout key alone.
fn find_channel(body: &TransactionBody, proposed: &ChannelTerms) -> Option<(OutPoint, ChannelTerms)> {
    let txid = body.txid();
    let mut found = (0..)
        .zip(&body.outputs)
        .filter_map(|(vout, output)| match output.condition {
            Condition::Channel(terms) => {
                let expected = ChannelTerms {
                    hub_payout: terms.hub_payout,
                    ..*proposed
                };
                let fits = terms == expected && output.amount == terms.capacity && !terms.hub_payout.is_zero();
                fits.then_some((OutPoint { txid, vout }, terms))
            }
            _ => None,
        });
    let first = found.next()?;
    found.next().is_none().then_some(first)
}

#[cfg(test)]
mod tests {
    use tidegate_types::{Height, Txid};

    use super::*;

    fn sat(n: u64) -> Amount {
        Amount::from_sat(n).unwrap()
    }

    fn terms(nonce: u32) -> ChannelTerms {
        ChannelTerms {
            client: KeyBytes::from_bytes([1; 32]),
            hub: KeyBytes::from_bytes([2; 32]),
            client_payout: KeyBytes::from_bytes([1; 32]),
            hub_payout: KeyBytes::ZERO,
            emergency: KeyBytes::ZERO,
            delegate: KeyBytes::ZERO,
            capacity: sat(1000),
            opening_share: sat(600),
            client_reserve: sat(10),
            hub_reserve: sat(10),
            dispute_window: Age::new(144),
            evidence_grace: Age::new(10),
            expiry: Height::new(10_000),
            nonce,
        }
    }

    #[test]
    fn a_channel_is_found_only_with_the_proposed_terms() {
        let chosen = ChannelTerms {
            hub_payout: KeyBytes::from_bytes([3; 32]),
            ..terms(7)
        };
        let output = |terms: ChannelTerms, amount| Output {
            amount,
            condition: Condition::Channel(terms),
        };
        let nowhere = OutPoint {
            txid: Txid::ZERO,
            vout: 0,
        };
        let body = |outputs| TransactionBody::plain(vec![nowhere], outputs);
        let good = body(vec![Output::to_key(sat(5), chosen.client), output(chosen, sat(1000))]);
        let (outpoint, found) = find_channel(&good, &terms(7)).unwrap();
        assert_eq!((outpoint.txid, outpoint.vout, found), (good.txid(), 1, chosen));
        let richer = ChannelTerms {
            opening_share: sat(599),
            ..chosen
        };
        let bad = [
            vec![output(richer, sat(1000))],
            vec![output(chosen, sat(999))],
            vec![output(terms(7), sat(1000))],
            vec![output(chosen, sat(1000)), output(chosen, sat(1000))],
            vec![],
        ];
        for outputs in bad {
            assert_eq!(find_channel(&body(outputs), &terms(7)), None);
        }
    }
}
