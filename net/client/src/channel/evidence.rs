//! What this wallet can show on the ledger: its best pair, the start of a close, and what a tower needs.

use tidegate_channel::evidence::{
    Acknowledged, ClientEvidence, HubEvidence, LeafNaming, Mandate, MandateSubject, OpenedIn, OpenedOut, Opener, Pair,
    ProvenLeaf, Side, SignedStart, SignedState as EvidenceState, StartClose, StateNaming,
};
use tidegate_channel::wallet::{OpenInLock, OpenLock};
use tidegate_channel::{Ack, ClientState};
use tidegate_crypto::hash::payment_hash;
use tidegate_ledger::{Action, LockPlace, Payer, Transaction, TransactionBody, Witness};
use tidegate_types::{BatchNumber, ClientCounter, Height, HubCounter, LockSlot, SignatureBytes};

use super::{ClientChannel, Signer};

/// Why there is no evidence to show.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvidenceError {
    /// No leaf of the channel was acknowledged here.
    #[error("no leaf of the channel is acknowledged here; bring the channel up to date first")]
    Unacknowledged,
    /// The state that the leaf acknowledges is not here.
    #[error("state {}, which the leaf acknowledges, is not here", .0.get())]
    NoState(ClientCounter),
}

/// A leaf that the client has acknowledged, with the locks that waited in it.
#[derive(Clone, Debug)]
pub(super) struct ShownLeaf {
    pub(super) leaf: ProvenLeaf,
    locks: Vec<OpenedIn>,
}

impl ClientChannel {
    /// Keeps the newest leaf for disputes, if it has been acknowledged.
    pub(super) fn note_acknowledged(&mut self) {
        let hub = self.wallet.hub();
        let newest = self.proven.as_ref().filter(|leaf| leaf.private == *hub.leaf());
        let Some(leaf) = newest.filter(|_| hub.acked() == hub.leaf().counter) else {
            return;
        };
        let opened = |open: &OpenInLock| OpenedIn {
            slot: open.slot,
            lock: open.lock,
        };
        self.shown = Some(ShownLeaf {
            leaf: leaf.clone(),
            locks: hub.in_locks().iter().map(opened).collect(),
        });
        self.forget_states();
    }

    /// The best pair that this wallet can show: the newest leaf that it has acknowledged, and the state which that leaf
    /// acknowledges. A later leaf is acknowledged first ([`ClientChannel::ack`]), as long as that is allowed: an ack is the
    /// proof of a payer, whoever shows it. A newer state of its own that the hub has not named counts for nothing.
    ///
    /// # Errors
    /// [`EvidenceError`].
    pub fn pair(&self, signer: &Signer) -> Result<Pair, EvidenceError> {
        let Some(ShownLeaf { leaf, locks }) = &self.shown else {
            return if self.wallet.hub().leaf().counter == HubCounter::ZERO {
                Ok(Pair::default())
            } else {
                Err(EvidenceError::Unacknowledged)
            };
        };
        let named = leaf.private.ack.counter;
        let client = if named == ClientCounter::ZERO {
            None
        } else {
            Some(Box::new(self.client_evidence(named)?))
        };
        let ack = Ack {
            channel: self.id(),
            leaf: leaf.reference(),
        };
        let hub = HubEvidence {
            // The same bytes as those that were sent: a signature follows from key and message.
            named: LeafNaming::ByAck(ack.sign(&signer.ledger, &signer.key)),
            leaf: leaf.clone(),
            locks: locks.clone(),
        };
        Ok(Pair {
            client,
            hub: Some(Box::new(hub)),
        })
    }

    /// The state of a counter with its open locks, named by the pair's leaf.
    fn client_evidence(&self, counter: ClientCounter) -> Result<ClientEvidence, EvidenceError> {
        let found = self.sent.iter().find(|sent| sent.state.counter == counter);
        let sent = found.ok_or(EvidenceError::NoState(counter))?;
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
            locks: sent.left_open.iter().map(opened).collect(),
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

    /// The transaction that puts the client's ack of the leaf that is shown on the ledger, its fee paid by the client's side: what
    /// waits in that leaf counts only by it (rule 26). With it the height up to which it does; `None` if nothing waits there.
    #[must_use]
    pub fn reveal_ack(&self, signer: &Signer) -> Option<(Transaction, Height)> {
        let leaf = &self
            .shown
            .as_ref()
            .filter(|shown| !shown.leaf.private.unfirm_credit.is_zero())?
            .leaf;
        let ack = Ack {
            channel: self.id(),
            leaf: leaf.reference(),
        };
        let action = Action::RevealAck {
            funding: self.opened().funding,
            word: Box::new(Acknowledged::ByAck(ack, ack.sign(&signer.ledger, &signer.key))),
            payer: Payer::Side(Side::Client, self.ack_mandate(signer)?),
        };
        Some((self.of_action(action), leaf.private.ack_by))
    }

    /// The transaction that reveals a preimage on the ledger for a lock that it meets in the leaf that is shown, its fee paid by
    /// the client's side, and the last height at which that counts; it meets every lock on its hash. The ledger must have been shown that leaf before: else
    /// the preimage would be given away for nothing.
    #[must_use]
    pub fn reveal_preimage(&self, signer: &Signer, preimage: &[u8; 32]) -> Option<(Transaction, Height)> {
        let open = self.met_by(preimage)?;
        let (slot, mandate) = self.preimage_mandate(signer, preimage)?;
        let action = Action::RevealPreimage {
            preimage: *preimage,
            place: Some(LockPlace {
                channel: self.id(),
                side: Side::Hub,
                slot,
            }),
            payer: Payer::Side(Side::Client, mandate),
        };
        Some((self.of_action(action), open.lock.expiry))
    }

    /// The mandate by which a tower puts the ack of the leaf that is shown on the ledger; `None` if nothing waits in the leaf.
    #[must_use]
    pub fn ack_mandate(&self, signer: &Signer) -> Option<SignatureBytes> {
        let leaf = &self.shown.as_ref()?.leaf.private;
        let subject = MandateSubject::Ack(leaf.counter);
        (!leaf.unfirm_credit.is_zero()).then(|| self.mandate_for(signer, subject))
    }

    /// The lock of the leaf that is shown which a preimage meets, and the mandate by which a tower reveals it.
    #[must_use]
    pub fn preimage_mandate(&self, signer: &Signer, preimage: &[u8; 32]) -> Option<(LockSlot, SignatureBytes)> {
        let open = self.met_by(preimage)?;
        let subject = MandateSubject::Lock(open.lock.lock);
        Some((open.slot, self.mandate_for(signer, subject)))
    }

    /// Of the locks of the leaf that is shown the one which the preimage meets, the latest of several: it may still be in time
    /// where others are not.
    fn met_by(&self, preimage: &[u8; 32]) -> Option<&OpenedIn> {
        let hash = payment_hash(preimage);
        let locks = &self.shown.as_ref()?.locks;
        let meets = locks.iter().filter(|open| open.lock.hash == hash);
        meets.max_by_key(|open| open.lock.expiry)
    }

    fn mandate_for(&self, signer: &Signer, subject: MandateSubject) -> SignatureBytes {
        let mandate = Mandate {
            channel: self.id(),
            side: Side::Client,
            subject,
        };
        mandate.sign(&signer.ledger, &signer.key)
    }

    /// The client's signature by which whoever shows this pair, a tower say, has the fee charged to the client's side.
    #[must_use]
    pub fn mandate(&self, signer: &Signer, pair: &Pair) -> SignatureBytes {
        let (client, hub) = pair.counters();
        self.mandate_for(signer, MandateSubject::Pair(client, hub))
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
