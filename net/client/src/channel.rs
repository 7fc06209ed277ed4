//! One channel of a wallet: what was signed and believed, and what may be signed next.
//!
//! Each step is made on a copy, written to the journal, and only then taken over: what is sent is durable, and a disk that
//! fails leaves the channel as it was. Nothing here speaks to a hub.

mod evidence;
mod hash_locks;
mod replay;
mod restore;
mod splice;

use tidegate_channel::evidence::{LeafProof, ProvenLeaf};
use tidegate_channel::wallet::{Base, LeafEvents, OpenLock, ProposeError, Wallet};
use tidegate_channel::{
    Ack, ClientState, FinalTerms, Lock, MAX_ADDS, OpOutcome, Operation, SignedHeader, encode_operations, opening_state,
};
use tidegate_crypto::keys::SecretKey;
use tidegate_types::{ChannelId, Fixed, Height, LedgerId, LockId, Txid};
use tidegate_wire::Item as _;
use tidegate_wire::lengths::{ACK_LEN, STATE_LEN};
use tidegate_wire::messages::{self as wire, Body as _};

pub use evidence::EvidenceError;
use evidence::ShownLeaf;
pub use splice::{AskedSplice, SpliceError};

use crate::close::FinalLeaf;
use crate::error::{AdoptError, StepError};
use crate::headers::{HeaderCache, VerifiedHeader};
use crate::proof::check_proof;
use crate::receipt::{Leaf, Proofs, ReceiptError};
use crate::store::{Opened, Record, WalletStore};

/// Who signs, and for which ledger.
#[derive(Debug)]
pub struct Signer {
    /// The ledger.
    pub ledger: LedgerId,
    /// The client's key.
    pub key: SecretKey,
}

/// A signed state, ready to be sent, byte for byte as often as it takes.
#[derive(Clone, Debug)]
pub struct SignedState {
    /// The state.
    pub state: ClientState,
    /// The body of its `Pay`.
    body: Vec<u8>,
    /// What it was made on top of, to go back to if the hub never accepts it.
    base: Option<Base>,
    /// The locks that it leaves open, by slot.
    left_open: Vec<OpenLock>,
}

/// By what was signed: what it was made on top of shows in that.
impl PartialEq for SignedState {
    fn eq(&self, other: &Self) -> bool {
        (&self.state, &self.body) == (&other.state, &other.body)
    }
}

impl Eq for SignedState {}

impl SignedState {
    /// The message that brings it to the hub.
    ///
    /// # Panics
    /// Never: the bytes were encoded here, or decoded once when the journal was read.
    #[must_use]
    pub fn message(&self) -> wire::Pay<'_> {
        wire::Pay::decode(&self.body).expect("encoded here, or decoded when the journal was read")
    }
}

/// A signed ack, ready to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignedAck {
    /// The ack.
    pub ack: Ack,
    /// The body of its message.
    body: Vec<u8>,
}

impl SignedAck {
    /// The message that brings it to the hub.
    ///
    /// # Panics
    /// Never: the bytes were encoded here.
    #[must_use]
    pub fn message(&self) -> wire::Ack<'_> {
        wire::Ack::decode(&self.body).expect("encoded here")
    }
}

/// One channel, as its client keeps it.
#[derive(Clone, Debug)]
pub struct ClientChannel {
    opened: Opened,
    wallet: Wallet,
    /// Signed states from the newest that a leaf has acknowledged, or the one that `shown` does; oldest first.
    sent: Vec<SignedState>,
    /// The newest leaf that came with its receipt.
    proven: Option<ProvenLeaf>,
    /// The newest leaf that was acknowledged: what is shown in a dispute.
    shown: Option<ShownLeaf>,
    pub(crate) final_leaf: Option<FinalLeaf>,
    closing: Option<Vec<u8>>,
    closed: Option<Txid>,
    /// Successors that the hub was asked for.
    splices: Vec<AskedSplice>,
}

impl ClientChannel {
    /// A channel that has just become active, checked to be one of `signer`'s with the hub that signs by `hub`.
    ///
    /// # Errors
    /// [`AdoptError`].
    pub fn new(opened: Opened, signer: &Signer, headers: &HeaderCache) -> Result<Self, AdoptError> {
        if opened.terms.client != signer.key.public().bytes() {
            return Err(AdoptError::OtherClient);
        }
        if opened.terms.hub != headers.hub().bytes() {
            return Err(AdoptError::OtherHub);
        }
        if opened.terms.channel_id(&opened.funding) != opened.channel {
            return Err(AdoptError::OtherName);
        }
        opened.terms.check()?;
        Ok(Self {
            opened,
            wallet: Wallet::new(opened.channel, opened.terms, opened.margin, opened.settle_on),
            sent: Vec::new(),
            proven: None,
            shown: None,
            final_leaf: None,
            closing: None,
            closed: None,
            splices: Vec::new(),
        })
    }

    /// Its name.
    #[must_use]
    pub const fn id(&self) -> ChannelId {
        self.opened.channel
    }

    /// How it began.
    #[must_use]
    pub const fn opened(&self) -> &Opened {
        &self.opened
    }

    /// Both halves, balances, open locks.
    #[must_use]
    pub const fn wallet(&self) -> &Wallet {
        &self.wallet
    }

    /// The closing transaction, once it is signed.
    #[must_use]
    pub fn closing(&self) -> Option<&[u8]> {
        self.closing.as_deref()
    }

    /// The transaction that ended the channel.
    #[must_use]
    pub const fn closed(&self) -> Option<Txid> {
        self.closed
    }

    /// True once the final leaf has come: nothing more is paid.
    #[must_use]
    pub const fn is_final(&self) -> bool {
        self.final_leaf.is_some()
    }

    /// The newest state, if the hub has not acknowledged it in a leaf: it may have been lost, and can be sent again.
    #[must_use]
    pub fn unanswered(&self) -> Option<&SignedState> {
        let acknowledged = self.wallet.hub().leaf().ack.counter;
        self.sent.last().filter(|newest| newest.state.counter > acknowledged)
    }

    /// The state that the newest leaf acknowledges.
    #[must_use]
    pub fn acknowledged(&self) -> ClientState {
        let named = self.wallet.hub().leaf().ack.counter;
        let signed = self.sent.iter().find(|sent| sent.state.counter == named);
        signed.map_or_else(|| opening_state(self.id()), |sent| sent.state)
    }

    /// The signed states that may still have to be shown, the oldest first.
    pub fn states(&self) -> impl Iterator<Item = &SignedState> {
        self.sent.iter()
    }

    /// The newest leaf with the proof that the hub signed it; `None` before the first one, and while leaves that were missed
    /// have not been made up for.
    #[must_use]
    pub const fn newest_leaf(&self) -> Option<&ProvenLeaf> {
        self.proven.as_ref()
    }

    /// How the channel ends, once the final leaf has come.
    #[must_use]
    pub fn final_terms(&self) -> Option<FinalTerms> {
        self.final_leaf.as_ref().map(|last| last.terms)
    }

    /// An open lock by its name.
    #[must_use]
    pub fn lock(&self, id: &LockId) -> Option<&OpenLock> {
        self.wallet.client().locks().iter().find(|open| open.id == *id)
    }

    /// Signs the next state: it adds `locks`, and settles and drops what is due. Durable on return.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn pay(
        &mut self,
        signer: &Signer,
        store: &mut dyn WalletStore,
        locks: &[Lock],
        height: Height,
    ) -> Result<SignedState, StepError> {
        if locks.len() > MAX_ADDS {
            return Err(StepError::TooManyLocks);
        }
        self.sign_state(signer, store, |wallet| wallet.pay(locks, height))
    }

    /// Signs a state that settles and drops what is due; `None` if nothing is. Durable on return.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn settle(
        &mut self,
        signer: &Signer,
        store: &mut dyn WalletStore,
        height: Height,
    ) -> Result<Option<SignedState>, StepError> {
        if self.wallet.due_operations(height).is_empty() {
            return Ok(None);
        }
        self.sign_state(signer, store, |wallet| wallet.pay(&[], height))
            .map(Some)
    }

    fn sign_state(
        &mut self,
        signer: &Signer,
        store: &mut dyn WalletStore,
        next: impl FnOnce(&mut Wallet) -> Result<(ClientState, Vec<Operation>), ProposeError>,
    ) -> Result<SignedState, StepError> {
        let mut wallet = self.wallet.clone();
        let base = Some(wallet.base());
        let (state, operations) = next(&mut wallet)?;
        let signed = SignedState {
            state,
            body: pay_body(signer, &state, &operations),
            base,
            left_open: wallet.client().locks().to_vec(),
        };
        store.append(&self.id(), &Record::State(signed.body.clone()))?;
        self.wallet = wallet;
        self.sent.push(signed.clone());
        self.note_acknowledged();
        Ok(signed)
    }

    /// Takes the leaf of the next entry of a receipt. `None` for a leaf that is here already. Durable on return, with its whole
    /// path.
    ///
    /// # Errors
    /// [`StepError`]; [`tidegate_channel::wallet::LeafFault::OutOfOrder`] in it means that leaves were missed: sync.
    pub fn accept(
        &mut self,
        store: &mut dyn WalletStore,
        proofs: &mut Proofs,
        entry: &wire::ReceiptEntry<'_>,
    ) -> Result<Option<LeafEvents>, StepError> {
        let leaf = Leaf::decode(entry)?;
        // Also of one that is here: the next entry's path may rest on it.
        proofs.check(&leaf, entry)?;
        if leaf.private.counter <= self.wallet.hub().leaf().counter {
            return Ok(None);
        }
        let path = proofs.path();
        let (header, entry) = (
            proofs.header(),
            wire::ReceiptEntry {
                path: &path,
                shared: false,
                ..*entry
            },
        );
        let mut next = self.clone();
        let events = next.take_leaf(&leaf)?;
        next.take_final(header.signed(), &entry, &leaf);
        store.append(&self.id(), &receipt_record(header, &entry))?;
        *self = next;
        Ok(Some(events))
    }

    /// Takes what was missed: the leaves by their chain of digests, the newest by its receipt. Durable on return.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn accept_sync(
        &mut self,
        store: &mut dyn WalletStore,
        headers: &HeaderCache,
        answer: &wire::SyncAnswer<'_>,
    ) -> Result<Vec<LeafEvents>, StepError> {
        if answer.channel != self.id() {
            return Err(StepError::OtherChannel);
        }
        let mut next = self.clone();
        let (mut records, mut events) = (Vec::new(), Vec::new());
        let known = self.wallet.hub().leaf().counter;
        for synced in answer.leaves {
            let leaf = Leaf::decode_synced(&synced)?;
            if leaf.private.counter > known {
                events.push(next.take_leaf(&leaf)?);
                let mut body = Vec::new();
                synced.put_item(&mut body);
                records.push(Record::SyncedLeaf(body));
            }
        }
        if let Some(fresh) = &answer.fresh {
            let leaf = Leaf::decode(&fresh.entry)?;
            let header = headers.verify(fresh.header).map_err(ReceiptError::from)?;
            leaf.check_proof(&header, &fresh.entry)?;
            if leaf.private.counter > next.wallet.hub().leaf().counter {
                events.push(next.take_leaf(&leaf)?);
                next.take_final(header.signed(), &fresh.entry, &leaf);
                records.push(receipt_record(&header, &fresh.entry));
            } else if leaf.reference() != next.wallet.hub().reference() {
                return Err(StepError::Unproved);
            }
        } else if !records.is_empty() {
            return Err(StepError::Unproved);
        }
        next.note_answers(answer)?;
        for record in &records {
            store.append(&self.id(), record)?;
        }
        *self = next;
        Ok(events)
    }

    /// Outcomes do not come with synced leaves; what the hub remembers of open locks stands in for them. Not journalled:
    /// whoever opens the wallet again syncs again.
    fn note_answers(&mut self, answer: &wire::SyncAnswer<'_>) -> Result<(), StepError> {
        for stored in answer.answers {
            let outcome = OpOutcome::decode(&stored.outcome).map_err(|error| StepError::Wire(error.into()))?;
            self.wallet.note_answer(&stored.lock, outcome);
        }
        Ok(())
    }

    fn take_leaf(&mut self, leaf: &Leaf) -> Result<LeafEvents, StepError> {
        self.check_named_state(leaf)?;
        let events = self.wallet.accept(leaf.view()).map_err(ReceiptError::from)?;
        self.forget_states();
        Ok(events)
    }

    /// Forgets the states before the one that the newest leaf acknowledges, but for what `shown` needs.
    fn forget_states(&mut self) {
        let newest = self.wallet.hub().leaf().ack.counter;
        let shown = self.shown.as_ref().map(|shown| shown.leaf.private.ack.counter);
        let first = shown.map_or(newest, |shown| shown.min(newest));
        self.sent.retain(|sent| sent.state.counter >= first);
    }

    /// The state that a leaf acknowledges is one that was signed here.
    fn check_named_state(&self, leaf: &Leaf) -> Result<(), StepError> {
        let named = leaf.private.ack;
        let unchanged = named == self.wallet.hub().leaf().ack;
        if unchanged || self.sent.iter().any(|sent| sent.state.reference() == named) {
            Ok(())
        } else {
            Err(StepError::ForeignState(named.counter))
        }
    }

    /// Notes the proof of the newest leaf, and what it promises if it is the final one.
    fn take_final(&mut self, header: &SignedHeader, entry: &wire::ReceiptEntry<'_>, leaf: &Leaf) {
        self.proven = Some(ProvenLeaf {
            proof: LeafProof::Batch {
                header: Box::new(*header),
                index: entry.index,
                path: entry.path.to_vec(),
            },
            private: leaf.private,
            public: leaf.public,
        });
        if let Some(terms) = leaf.final_terms {
            self.final_leaf = Some(FinalLeaf {
                header: *header,
                index: entry.index,
                path: entry.path.to_vec(),
                private: leaf.private,
                public: leaf.public,
                terms,
            });
        }
    }

    /// Signs an ack of the newest leaf, if it waits for one and rule 12 allows it at `height`. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Store`].
    pub fn ack(
        &mut self,
        signer: &Signer,
        store: &mut dyn WalletStore,
        height: Height,
    ) -> Result<Option<SignedAck>, StepError> {
        let mut wallet = self.wallet.clone();
        let Some(ack) = wallet.ack(height) else { return Ok(None) };
        let mut bytes = [0; ACK_LEN];
        ack.encode_into(&mut bytes);
        let message = wire::Ack {
            ack: &bytes,
            signature: &ack.sign(&signer.ledger, &signer.key),
        };
        let mut body = Vec::new();
        message.put(&mut body);
        store.append(&self.id(), &Record::Ack(body.clone()))?;
        self.wallet = wallet;
        self.note_acknowledged();
        Ok(Some(SignedAck { ack, body }))
    }

    /// Takes a payee's ack: the lock is owed, and the next state settles it. False if the answer says that there is none
    /// yet. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Proof`], [`StepError::NoLock`], [`StepError::Store`].
    pub fn prove(
        &mut self,
        signer: &Signer,
        store: &mut dyn WalletStore,
        answer: &wire::AckProof<'_>,
    ) -> Result<bool, StepError> {
        let Some(proof) = &answer.proof else { return Ok(false) };
        let open = *self.lock(&answer.lock).ok_or(StepError::NoLock(answer.lock))?;
        check_proof(&signer.ledger, &open.id, &open.lock, proof)?;
        let mut body = Vec::new();
        answer.put(&mut body);
        store.append(&self.id(), &Record::Proved(open.id, body))?;
        self.wallet.prove(&open.id);
        Ok(true)
    }

    /// Notes the signed closing transaction. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Store`].
    pub fn note_closing(&mut self, store: &mut dyn WalletStore, transaction: Vec<u8>) -> Result<(), StepError> {
        store.append(&self.id(), &Record::Closing(transaction.clone()))?;
        self.closing = Some(transaction);
        Ok(())
    }

    /// Notes that the channel has ended. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Store`].
    pub fn note_closed(&mut self, store: &mut dyn WalletStore, txid: Txid) -> Result<(), StepError> {
        store.append(&self.id(), &Record::Closed(txid))?;
        self.closed = Some(txid);
        Ok(())
    }
}

fn pay_body(signer: &Signer, state: &ClientState, operations: &[Operation]) -> Vec<u8> {
    let mut bytes = [0; STATE_LEN];
    state.encode_into(&mut bytes);
    let mut encoded = Vec::new();
    encode_operations(operations, &mut encoded);
    let mut body = Vec::new();
    let message = wire::Pay {
        state: &bytes,
        signature: &state.sign(&signer.ledger, &signer.key),
        operations: &encoded,
    };
    message.put(&mut body);
    body
}

/// The receipt of one leaf, without the requests that it answered.
fn receipt_record(header: &VerifiedHeader, entry: &wire::ReceiptEntry<'_>) -> Record {
    let mut signed = [0; tidegate_wire::lengths::SIGNED_HEADER_LEN];
    header.signed().encode_into(&mut signed);
    let entry = wire::ReceiptEntry {
        answers: tidegate_wire::Items::default(),
        ..*entry
    };
    let mut body = Vec::new();
    let receipt = wire::Receipt {
        header: &signed,
        entries: core::slice::from_ref(&entry).into(),
    };
    receipt.put(&mut body);
    Record::Receipt(body)
}
