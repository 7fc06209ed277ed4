//! The locks that closes have turned into outputs (rule 26): the hub takes those that it claims and that are met, and takes back
//! those that it owed and that nobody met.
//!
//! The record that says whether one is met stands on the ledger, so nothing else is asked. What an ack has met is claimed by the
//! proof that was kept when the close began.

use std::collections::BTreeSet;

use tidegate_ledger::{LockCondition, LockProof, LockTerms, Output, Transaction, TransactionBody, Witness};
use tidegate_settle::Node;
use tidegate_types::{Amount, ChannelId, Height, KeyBytes, LockId, OutPoint, SignatureBytes};

use super::LedgerThread;
use super::proofs::Proof;

const CLAIM: &str = "the claim of a lock";
const REFUND: &str = "the return of a lock";

impl LedgerThread {
    /// Brings a claim, or a return, for each lock output that is the hub's now. One that waits here may have been lost by a ledger
    /// that is followed.
    pub(super) fn take_locks(&mut self) {
        let due: Vec<_> = self
            .node
            .locks()
            .filter(|(outpoint, ..)| self.bring.is_some() || self.node.spender(outpoint).is_none())
            .filter_map(|(outpoint, amount, terms)| Some((outpoint, amount, self.due(&terms)?)))
            .collect();
        for (outpoint, amount, (what, witness)) in due {
            if let Some(transaction) = self.spending(outpoint, amount, &witness) {
                // It has no name but its own: the channel is no more.
                self.bring_own(what, &ChannelId::ZERO, &transaction);
            }
        }
    }

    /// By what the hub may spend a lock now; the signature is still to be made.
    fn due(&self, terms: &LockTerms) -> Option<(&'static str, Witness)> {
        let hash = match &terms.condition {
            LockCondition::Hash(hash) => hash,
            LockCondition::Ack { lock, payee } if terms.claim == self.hub.public().bytes() => {
                let Proof { leaf, way, .. } = self.proofs.get(lock)?;
                self.node
                    .acked(*payee, *leaf)
                    .filter(|height| *height <= terms.expiry)?;
                let (proof, signature) = (LockProof::Acked(*leaf, Box::new(way.clone())), SignatureBytes::ZERO);
                return Some((CLAIM, Witness::LockClaim { proof, signature }));
            }
            LockCondition::Ack { .. } => {
                return self.is_refunded(terms, None).then_some((REFUND, unsigned_refund()));
            }
        };
        let met = self.node.revealed(hash).filter(|height| *height <= terms.expiry);
        if terms.claim == self.hub.public().bytes() && met.is_some() {
            let proof = LockProof::Recorded;
            let signature = SignatureBytes::ZERO;
            return Some((CLAIM, Witness::LockClaim { proof, signature }));
        }
        self.is_refunded(terms, met).then_some((REFUND, unsigned_refund()))
    }

    /// An ack lock waits a dispute window more, in which its claimer may show what an ack covers.
    fn is_refunded(&self, terms: &LockTerms, met: Option<Height>) -> bool {
        let grace = match terms.condition {
            LockCondition::Hash(_) => Some(terms.expiry),
            LockCondition::Ack { .. } => terms.expiry.plus(self.node.params().dispute_window_min),
        };
        let over = grace.is_some_and(|last| self.node.tip().height > last);
        terms.refund == self.hub.public().bytes() && met.is_none() && over
    }

    /// The transaction that pays a lock to the hub; `None` if its fee would take all of it.
    fn spending(&self, outpoint: OutPoint, amount: Amount, witness: &Witness) -> Option<Transaction> {
        let params = self.node.params();
        let pays = |paid| {
            let body = TransactionBody::plain(vec![outpoint], vec![Output::to_key(paid, self.hub.public().bytes())]);
            let signature = body.sign(&self.node.ledger(), &self.hub);
            let witness = match witness {
                Witness::LockClaim { proof, .. } => Witness::LockClaim {
                    proof: proof.clone(),
                    signature,
                },
                _ => Witness::LockRefund(signature),
            };
            Transaction {
                body,
                witnesses: vec![witness],
            }
        };
        // The cost does not depend on the amount.
        let left = amount.sub(params.fee_min(pays(amount).cost())).ok()?;
        (left >= params.dust).then(|| pays(left))
    }
}

/// Whether a lock may still be claimed by its ack: it is an output, or a close stands of which it may become one.
pub(crate) fn needed(node: &Node, hub: KeyBytes) -> impl Fn(&LockId) -> bool + use<> {
    let closes = node.closes().any(|(_, terms, _)| terms.hub == hub);
    let outputs = node.locks_of(&hub).filter_map(|(_, _, terms)| match terms.condition {
        LockCondition::Ack { lock, .. } => Some(lock),
        LockCondition::Hash(_) => None,
    });
    let outputs: BTreeSet<LockId> = outputs.collect();
    move |lock| closes || outputs.contains(lock)
}

const fn unsigned_refund() -> Witness {
    Witness::LockRefund(SignatureBytes::ZERO)
}
