//! What this wallet can show on the ledger: its best pair, the start of a close, and what a tower needs.

use tidegate_channel::evidence::{
    ClientEvidence, HubEvidence, LeafNaming, Mandate, MandateSubject, OpenedOut, Opener, Pair, Side, SignedStart,
    SignedState as EvidenceState, StartClose, StateNaming,
};
use tidegate_channel::wallet::OpenLock;
use tidegate_channel::{Ack, ClientState};
use tidegate_ledger::{Action, Payer, Transaction, TransactionBody, Witness};
use tidegate_types::{BatchNumber, ClientCounter, Height, SignatureBytes};

use super::{ClientChannel, Signer};

/// Why there is no evidence to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// No leaf with a receipt is here: sync first.
    #[error("no leaf with its receipt is here; bring the channel up to date first")]
    NoProof,
    /// The newest leaf holds credits whose time to be acknowledged is past, and may not be named any more.
    #[error("the newest leaf may not be acknowledged any more at height {0}")]
    TooLate(Height),
    /// The state that the leaf acknowledges is not here.
    #[error("state {}, which the newest leaf acknowledges, is not here", .0.get())]
    NoState(ClientCounter),
    /// The leaf holds locks whose contents are not here.
    #[error("the contents of the locks in the newest leaf are not here")]
    NoLocks,
}

impl ClientChannel {
    /// The best pair that this wallet can show: the newest leaf, and the state that it acknowledges. A newer state of its own
    /// that the hub has not named counts for nothing.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn pair(&self, signer: &Signer, height: Height) -> Result<Pair, EvidenceError> {
        let hub = self.wallet.hub();
        if hub.leaf().counter == tidegate_types::HubCounter::ZERO {
            return Ok(Pair::default());
        }
        let leaf = self.proven.clone().ok_or(EvidenceError::NoProof)?;
        if leaf.reference() != hub.reference() {
            return Err(EvidenceError::NoProof);
        }
        if !hub.may_ack(height) {
            return Err(EvidenceError::TooLate(height));
        }
        let named = leaf.private.ack.counter;
        let client = if named == ClientCounter::ZERO {
            None
        } else {
            Some(Box::new(self.client_evidence(named)?))
        };
        if !leaf.private.in_locks_sum.is_zero() {
            return Err(EvidenceError::NoLocks);
        }
        let ack = Ack {
            channel: self.id(),
            leaf: leaf.reference(),
        };
        let hub = HubEvidence {
            named: LeafNaming::ByAck(ack.sign(&signer.ledger, &signer.key)),
            leaf,
            locks: Vec::new(),
        };
        Ok(Pair {
            client,
            hub: Some(Box::new(hub)),
        })
    }

    /// The state of a counter with its open locks, named by the pair's leaf.
    fn client_evidence(&self, counter: ClientCounter) -> Result<ClientEvidence, EvidenceError> {
        let missing = EvidenceError::NoState(counter);
        let at = self
            .sent
            .iter()
            .position(|sent| sent.state.counter == counter)
            .ok_or(missing)?;
        let sent = &self.sent[at];
        // What the next state was made on top of, if there is one, is what this one left open.
        let locks = match self.sent.get(at + 1) {
            Some(next) => next.base.as_ref().ok_or(missing)?.locks(),
            None => self.wallet.client().locks(),
        };
        let opened = |open: &OpenLock| OpenedOut {
            slot: open.slot,
            added: open.added,
            lock: open.lock,
        };
        Ok(ClientEvidence {
            signed: EvidenceState {
                state: sent.state,
                signature: *sent.message().signature,
            },
            named: StateNaming::ByLeaf,
            locks: locks.iter().map(opened).collect(),
        })
    }

    /// The transaction that starts the close of this channel with a pair, its fee paid by the client's side of the channel.
    #[must_use]
    pub fn start_close(&self, signer: &Signer, pair: Pair) -> Transaction {
        let (client, hub) = pair.counters();
        let has_evidence = pair != Pair::default();
        let start = StartClose {
            channel: self.id(),
            opener: Opener::Client,
            has_evidence,
            batch: BatchNumber::ZERO,
            client,
            hub,
        };
        let action = Action::StartClose {
            start: SignedStart {
                start,
                signature: start.sign(&signer.ledger, &signer.key),
            },
            pair: has_evidence.then(|| Box::new(pair)),
        };
        self.of_action(action)
    }

    /// The transaction that shows a pair while the channel is closing, its fee paid by the client's side.
    #[must_use]
    pub fn show_evidence(&self, signer: &Signer, pair: Pair) -> Transaction {
        let mandate = self.mandate(signer, &pair);
        self.of_action(Action::Evidence {
            channel: self.id(),
            payer: Payer::Side(Side::Client, mandate),
            pair: Box::new(pair),
        })
    }

    /// The client's signature by which whoever shows this pair, a tower say, has the fee charged to the client's side.
    #[must_use]
    pub fn mandate(&self, signer: &Signer, pair: &Pair) -> SignatureBytes {
        let (client, hub) = pair.counters();
        let mandate = Mandate {
            channel: self.id(),
            side: Side::Client,
            subject: MandateSubject::Pair(client, hub),
        };
        mandate.sign(&signer.ledger, &signer.key)
    }

    fn of_action(&self, action: Action) -> Transaction {
        Transaction {
            body: TransactionBody::of_action(vec![self.opened().funding], Vec::new(), action),
            witnesses: vec![Witness::Action],
        }
    }

    /// The newest state that a leaf acknowledges, for whoever wants to see what would be shown.
    #[must_use]
    pub fn shown_state(&self) -> ClientState {
        self.acknowledged()
    }
}
