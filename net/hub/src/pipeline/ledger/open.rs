//! The hub's part in opening a channel: it checks the terms, adds its own coins to the funding transaction and signs for
//! them. The client signs last and brings the transaction to the ledger, so a proposal that is dropped costs nothing.

use std::time::{Duration, Instant};

use hashbrown::HashMap;
use tidegate_channel::ChannelTerms;
use tidegate_crypto::keys::PublicKey;
use tidegate_ledger::{Condition, Output, Transaction, TransactionBody, Witness};
use tidegate_types::{Amount, Fixed, KeyBytes, OutPoint, SignatureBytes};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{OpenAccept, OpenPropose};

use super::{LedgerThread, Refusal, message};
use crate::pipeline::options::ChannelPolicy;
use crate::pipeline::work::Origin;

/// A client's proposal.
#[derive(Debug)]
pub(crate) struct Proposal {
    terms: ChannelTerms,
    inputs: Vec<OutPoint>,
    change: Option<(Amount, KeyBytes)>,
}

/// How long the hub's coins are kept for a proposal.
const RESERVED_FOR: Duration = Duration::from_secs(30);

/// The hub's coins that stand in accepted proposals, one proposal for each client.
#[derive(Debug, Default)]
pub(crate) struct Reserved(HashMap<KeyBytes, (Instant, Vec<OutPoint>)>);

impl Reserved {
    fn is_free(&self, outpoint: &OutPoint) -> bool {
        let standing = self.0.values().filter(|(since, _)| since.elapsed() <= RESERVED_FOR);
        !standing.flat_map(|(_, coins)| coins).any(|coin| coin == outpoint)
    }

    /// A client's new proposal replaces its last one.
    fn keep(&mut self, client: KeyBytes, coins: Vec<OutPoint>) {
        self.0.retain(|_, (since, _)| since.elapsed() <= RESERVED_FOR);
        self.0.insert(client, (Instant::now(), coins));
    }

    fn release(&mut self, client: &KeyBytes) {
        self.0.remove(client);
    }
}

impl Proposal {
    pub(crate) fn of(propose: &OpenPropose<'_>) -> Result<Self, ErrorCode> {
        let terms = ChannelTerms::decode(propose.terms).map_err(|_| ErrorCode::Malformed)?;
        Ok(Self {
            terms,
            inputs: propose.inputs.iter().collect(),
            change: propose.change,
        })
    }
}

/// Why this hub does not agree to these terms, whenever they are shown to it; `None` if it does.
pub(super) fn breach(terms: &ChannelTerms, hub: KeyBytes, policy: &ChannelPolicy) -> Option<&'static str> {
    let hub_share = terms.capacity.sub(terms.opening_share).unwrap_or(Amount::MAX);
    let own = terms.hub == hub && terms.hub_payout == hub;
    let rules = [
        (
            terms.check().is_ok(),
            "the shares do not fit the capacity and the reserves",
        ),
        (own, "the hub's keys are not this hub's"),
        (
            terms.capacity <= policy.max_capacity,
            "the capacity is above the hub's limit",
        ),
        (hub_share <= policy.max_hub_share, "the hub's share is above its limit"),
        (
            terms.dispute_window >= policy.dispute_window,
            "the dispute window is too short",
        ),
        (
            terms.evidence_grace >= policy.evidence_grace,
            "the evidence grace is too short",
        ),
        (
            terms.client_reserve >= policy.client_reserve,
            "the client's reserve is too low",
        ),
        (
            terms.hub_reserve == policy.hub_reserve,
            "the hub's reserve is not its own",
        ),
    ];
    rules.iter().find(|(good, _)| !good).map(|(_, text)| *text)
}

impl LedgerThread {
    pub(super) fn propose(
        &mut self,
        origin: Origin,
        identity: KeyBytes,
        mut proposal: Proposal,
    ) -> Result<Vec<u8>, Refusal> {
        // Where the hub's share goes in the end is the hub's to say.
        if proposal.terms.hub_payout.is_zero() {
            proposal.terms.hub_payout = self.hub.public().bytes();
        }
        self.check_ledger_use(1)?;
        let terms = &proposal.terms;
        self.check_terms(identity, terms)
            .map_err(|text| (ErrorCode::TermsRefused, text.to_owned()))?;
        let share = terms
            .capacity
            .sub(terms.opening_share)
            .map_err(|e| (ErrorCode::TermsRefused, e.to_string()))?;
        self.check_inputs(identity, &proposal.inputs)
            .map_err(|text| (ErrorCode::TermsRefused, text.to_owned()))?;
        self.reserved.release(&identity);
        let coins = self
            .coins(share)
            .ok_or_else(|| (ErrorCode::Refused, "the hub has no coins left for its share".to_owned()))?;
        let (transaction, channel) = self.funding(&proposal, share, &coins)?;
        let coins = coins.iter().map(|(outpoint, _)| *outpoint).collect();
        self.reserved.keep(identity, coins);
        Ok(message(
            &OpenAccept {
                channel,
                transaction: &transaction.encode(),
            },
            origin,
        ))
    }

    /// Rule 28: what could be disputed at once is what blocks have room for in time. The ledger holds the bound itself; the hub
    /// tells before anybody signs. Proposals that nobody has completed do not count: they cost their proposers nothing, and
    /// would keep others out.
    pub(super) fn check_ledger_use(&self, more: u64) -> Result<(), Refusal> {
        let (open, settles) = (self.node.open_channels(), self.node.params().open_channels_max());
        let allowed = u128::from(settles) * u128::from(self.policy.ledger_use_percent) / 100;
        if u128::from(open) + u128::from(more) <= allowed {
            return Ok(());
        }
        let text = format!("{open} channels are open, of {settles} that the ledger could settle in time");
        Err((ErrorCode::LedgerFull, text))
    }

    fn check_terms(&self, identity: KeyBytes, terms: &ChannelTerms) -> Result<(), &'static str> {
        if terms.client != identity {
            return Err("the session's identity is not the client's key");
        }
        if let Some(text) = breach(terms, self.hub.public().bytes(), &self.policy) {
            return Err(text);
        }
        self.check_life(terms)?;
        let keys = [terms.client, terms.client_payout, terms.emergency, terms.delegate];
        let good = |key: &KeyBytes| key.is_zero() || PublicKey::register(*key).is_ok();
        if keys.iter().all(good) {
            Ok(())
        } else {
            Err("a key is not valid")
        }
    }

    pub(super) fn check_life(&self, terms: &ChannelTerms) -> Result<(), &'static str> {
        let height = self.node.tip().final_height;
        let life = terms.expiry.get().saturating_sub(height.get());
        if life <= terms.dispute_window.get() {
            return Err("the channel would expire before a dispute could end");
        }
        if life > self.policy.max_life.get() {
            return Err("the channel's expiry is too far away");
        }
        Ok(())
    }

    /// The client's inputs must be its own coins. The hub's above all may not be among them: a signature covers the whole
    /// transaction, so the one that the hub makes for its own coins would spend any further coin of its key. And coins of
    /// others would let anyone have the hub's coins set aside for a transaction that nobody can complete.
    pub(super) fn check_inputs(&self, identity: KeyBytes, inputs: &[OutPoint]) -> Result<(), &'static str> {
        for outpoint in inputs {
            let utxo = self.node.utxo(outpoint).ok_or("an input does not exist or is spent")?;
            if utxo.output.condition != Condition::Key(identity) || identity == self.hub.public().bytes() {
                return Err("an input is not the client's own coin");
            }
        }
        Ok(())
    }

    /// Coins of the hub that cover `share`, the largest first; none for no share.
    pub(super) fn coins(&self, share: Amount) -> Option<Vec<(OutPoint, Amount)>> {
        let mut free: Vec<_> = self
            .node
            .utxos_of(&self.hub.public().bytes())
            .into_iter()
            .map(|(o, u)| (o, u.output.amount))
            .collect();
        free.retain(|(outpoint, _)| self.reserved.is_free(outpoint) && self.node.spender(outpoint).is_none());
        free.sort_by_key(|(outpoint, amount)| (std::cmp::Reverse(*amount), *outpoint));
        let dust = self.node.params().dust;
        let mut sum = Amount::ZERO;
        let mut coins = Vec::new();
        for coin in free {
            // What is left must be nothing, or enough for an output.
            if sum == share || sum.sub(share).is_ok_and(|rest| rest >= dust) {
                break;
            }
            sum = sum.add(coin.1).ok()?;
            coins.push(coin);
        }
        let enough = sum == share || sum.sub(share).is_ok_and(|rest| rest >= dust);
        enough.then_some(coins)
    }

    /// The funding transaction with the hub's signatures; the client's places hold none yet.
    fn funding(
        &self,
        proposal: &Proposal,
        share: Amount,
        coins: &[(OutPoint, Amount)],
    ) -> Result<(Transaction, tidegate_types::ChannelId), Refusal> {
        let refused = |text: &str| (ErrorCode::TermsRefused, text.to_owned());
        let sum = Amount::sum(coins.iter().map(|(_, amount)| *amount)).map_err(|e| refused(&e.to_string()))?;
        let rest = sum.sub(share).map_err(|e| refused(&e.to_string()))?;
        let mut outputs = vec![Output::to_channel(&proposal.terms)];
        outputs.extend(proposal.change.map(|(amount, key)| Output::to_key(amount, key)));
        if !rest.is_zero() {
            outputs.push(Output::to_key(rest, self.hub.public().bytes()));
        }
        let inputs: Vec<OutPoint> = proposal
            .inputs
            .iter()
            .copied()
            .chain(coins.iter().map(|(outpoint, _)| *outpoint))
            .collect();
        if inputs.is_empty() {
            return Err(refused("nobody pays"));
        }
        let body = TransactionBody::plain(inputs, outputs);
        let channel = proposal.terms.channel_id(&OutPoint {
            txid: body.txid(),
            vout: 0,
        });
        let own = body.sign(&self.node.ledger(), &self.hub);
        let client_places = proposal.inputs.iter().map(|_| Witness::Key(SignatureBytes::ZERO));
        let witnesses = client_places.chain(coins.iter().map(|_| Witness::Key(own))).collect();
        Ok((Transaction { body, witnesses }, channel))
    }
}

#[cfg(test)]
mod tests {
    use tidegate_types::{Age, Height};

    use super::*;

    fn sat(n: u64) -> Amount {
        Amount::from_sat(n).expect("test amounts are small")
    }

    #[test]
    fn an_output_that_pays_the_hubs_share_to_another_is_no_channel_of_this_hub() {
        let (hub, client) = (KeyBytes::from_bytes([1; 32]), KeyBytes::from_bytes([2; 32]));
        let policy = ChannelPolicy {
            dispute_window: Age::new(144),
            evidence_grace: Age::new(6),
            client_reserve: sat(100),
            hub_reserve: sat(100),
            max_capacity: sat(10_000),
            max_hub_share: sat(5_000),
            max_life: Age::new(1_000),
            close_patience: Age::new(144),
            ledger_use_percent: 100,
        };
        let good = ChannelTerms {
            client,
            hub,
            client_payout: client,
            hub_payout: hub,
            emergency: KeyBytes::ZERO,
            delegate: KeyBytes::ZERO,
            capacity: sat(10_000),
            opening_share: sat(10_000),
            client_reserve: sat(100),
            hub_reserve: sat(100),
            dispute_window: Age::new(144),
            evidence_grace: Age::new(6),
            expiry: Height::new(900),
            nonce: 0,
        };
        assert_eq!(breach(&good, hub, &policy), None);
        let bends: [fn(&mut ChannelTerms); 7] = [
            |terms| terms.hub_payout = terms.client,
            |terms| terms.hub = terms.client,
            |terms| terms.capacity = sat(10_001),
            |terms| terms.opening_share = sat(4_999),
            |terms| terms.dispute_window = Age::new(143),
            |terms| terms.client_reserve = Amount::ZERO,
            |terms| terms.hub_reserve = Amount::ZERO,
        ];
        for bend in bends {
            let mut terms = good;
            bend(&mut terms);
            assert!(breach(&terms, hub, &policy).is_some(), "{terms:?}");
        }
    }
}
