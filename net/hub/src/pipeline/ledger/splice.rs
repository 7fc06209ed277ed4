//! The hub's part in moving a channel into a successor (rule 22), before the sequencer freezes the channel.
//!
//! ```text
//! SpliceRequest ─▶ here: terms, coins, fee, by the ledger ─▶ sequencer: at rest? shares? final leaf ─▶ Receipt
//! SpliceFinal ───▶ the ledger ─▶ final block: the channel is SETTLED, the successor ACTIVE
//! ```
//!
//! The hub brings no coins and signs no transaction: its word is the final leaf. A leaf that named a transaction which the ledger
//! cannot take would leave the client with a close, so all that can be known is looked at before.

use hashbrown::HashSet;
use tidegate_batch::SpliceInput;
use tidegate_channel::ChannelTerms;
use tidegate_crypto::keys::PublicKey;
use tidegate_ledger::{Condition, Splice, Transaction, Witness};
use tidegate_types::{Amount, ChannelId, Fixed, KeyBytes, OutPoint};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::SpliceRequest;

use super::{LedgerThread, Refusal};
use crate::pipeline::front::error_message;
use crate::pipeline::work::{Origin, Request, Work};

/// What a client asks for.
#[derive(Debug)]
pub(crate) struct Proposed {
    channel: ChannelId,
    fee: Amount,
    successor: ChannelTerms,
    coins: Vec<OutPoint>,
    change: Option<(Amount, KeyBytes)>,
}

impl Proposed {
    pub(crate) fn of(request: &SpliceRequest<'_>) -> Result<Self, ErrorCode> {
        Ok(Self {
            channel: request.channel,
            fee: request.fee,
            successor: ChannelTerms::decode(request.terms).map_err(|_| ErrorCode::Malformed)?,
            coins: request.coins.iter().collect(),
            change: request.change,
        })
    }
}

/// True if a splice in this transaction makes a successor of this output: the final leaf of a hub has named it.
pub(super) fn names(transaction: &Transaction, output: OutPoint) -> bool {
    let mut witnesses = transaction.witnesses.iter();
    witnesses.any(|witness| matches!(witness, Witness::ChannelSplice(splice) if splice.terms.successor == output))
}

fn refused(text: impl Into<String>) -> Refusal {
    (ErrorCode::TermsRefused, text.into())
}

impl LedgerThread {
    /// Looks at a request and hands it on; one that is refused is answered here.
    pub(super) fn splice(&mut self, origin: Origin, identity: KeyBytes, proposed: Proposed) {
        match self.check_splice(identity, proposed) {
            Ok(input) => {
                let work = Work::Request(origin, Request::Splice(input));
                // If the sequencer has ended, so will this thread.
                let _ended = self.groups.send(vec![work]);
            }
            Err((code, text)) => self.send(origin.conn, error_message(origin, code, &text)),
        }
    }

    fn check_splice(&self, identity: KeyBytes, proposed: Proposed) -> Result<SpliceInput, Refusal> {
        let (funding, terms) = self.spliced(identity, &proposed.channel)?;
        // It takes the place of one that counts already.
        self.check_ledger_use(0)?;
        let last = self.node.tip().final_height.plus(self.policy.close_patience);
        if last.is_none_or(|last| last >= terms.expiry) {
            let text = "the channel expires before the hub would wait long enough for its end";
            return Err((ErrorCode::Expiring, text.to_owned()));
        }
        let hub_share = self.check_successor(&terms, &proposed.successor)?;
        let coins = self.check_coins(identity, &proposed.coins)?;
        let splice = Splice {
            funding,
            successor: proposed.successor,
            coins: proposed.coins,
            change: proposed.change,
        };
        self.check_outputs(&splice, proposed.fee, (terms.capacity, coins))?;
        Ok(SpliceInput {
            channel: proposed.channel,
            transaction: splice.successor_outpoint().txid,
            coins,
            change: splice.change_amount(),
            fee: proposed.fee,
            client_share: splice.successor.opening_share,
            hub_share,
        })
    }

    /// The funding output and the terms of a channel that this client has with this hub.
    fn spliced(&self, identity: KeyBytes, channel: &ChannelId) -> Result<(OutPoint, ChannelTerms), Refusal> {
        // Whether it exists is not said.
        let stranger = || (ErrorCode::NotAttached, String::new());
        let (funding, utxo) = self.node.channel_output(channel).ok_or_else(stranger)?;
        let (terms, closing) = match utxo.output.condition {
            Condition::Channel(terms) => (terms, false),
            Condition::Closing(terms) => (terms, true),
            _ => return Err(stranger()),
        };
        if terms.hub != self.hub.public().bytes() {
            return Err(stranger());
        }
        if terms.client != identity && terms.delegate == identity {
            let text = "only the channel's client splices it";
            return Err((ErrorCode::Refused, text.to_owned()));
        }
        if terms.client != identity {
            return Err(stranger());
        }
        if closing {
            let text = "the channel is closing on the ledger";
            return Err((ErrorCode::Closing, text.to_owned()));
        }
        Ok((funding, terms))
    }

    /// The hub's share of a successor on whose terms it agrees. Limits on what the hub brings do not count: it brings nothing.
    fn check_successor(&self, terms: &ChannelTerms, next: &ChannelTerms) -> Result<Amount, Refusal> {
        let share = next.capacity.sub(next.opening_share);
        let share = share.map_err(|error| refused(error.to_string()))?;
        let shares = (next.opening_share, share);
        let agreed = terms.successor(shares, self.policy.hub_reserve, next.expiry, next.nonce);
        if agreed != Ok(*next) {
            return Err(refused("the successor's terms do not follow from the channel's"));
        }
        next.check().map_err(|error| refused(error.to_string()))?;
        if next.capacity > self.policy.max_capacity {
            return Err(refused("the capacity is above the hub's limit"));
        }
        if next.dispute_window < self.policy.dispute_window || next.evidence_grace < self.policy.evidence_grace {
            return Err(refused("the channel's windows are shorter than those of new channels"));
        }
        self.check_life(next).map_err(refused)?;
        let (height, params) = (self.node.tip().height, self.node.params());
        let stake = self.node.stake(&next.hub);
        if stake.is_some_and(|stake| !stake.backs(next, height, params)) {
            return Err(refused("the hub's stake does not back a channel that lives so long"));
        }
        Ok(share)
    }

    /// The sum of a client's own coins, that nothing else is about to spend.
    fn check_coins(&self, identity: KeyBytes, coins: &[OutPoint]) -> Result<Amount, Refusal> {
        self.check_inputs(identity, coins).map_err(refused)?;
        if coins.iter().collect::<HashSet<_>>().len() < coins.len() {
            return Err(refused("an input stands there twice"));
        }
        if coins.iter().any(|coin| self.node.spender(coin).is_some()) {
            return Err(refused("an input is just being spent"));
        }
        let amounts = coins.iter().filter_map(|coin| self.node.utxo(coin));
        Amount::sum(amounts.map(|utxo| utxo.output.amount)).map_err(|error| refused(error.to_string()))
    }

    fn check_outputs(
        &self,
        splice: &Splice,
        asked: Amount,
        (capacity, coins): (Amount, Amount),
    ) -> Result<(), Refusal> {
        let params = self.node.params();
        if let Some((amount, key)) = splice.change {
            if amount < params.dust {
                return Err(refused(format!("the ledger takes no output below {}", params.dust)));
            }
            PublicKey::register(key).map_err(|error| refused(error.to_string()))?;
        }
        let fee = splice
            .fee(capacity, coins)
            .map_err(|error| refused(error.to_string()))?;
        if fee != asked {
            return Err(refused(format!("the transaction leaves a fee of {fee}, not {asked}")));
        }
        let least = splice.fee_min(params);
        if fee < least {
            let text = format!("the fee is {fee}, the ledger takes {least} at least");
            return Err((ErrorCode::TransactionRefused, text));
        }
        Ok(())
    }
}
