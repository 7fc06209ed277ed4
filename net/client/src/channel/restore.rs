//! A channel that is taken up in the middle: from what the hub holds of it, when this wallet has lost its records or has
//! fallen behind.

use tidegate_channel::wallet::{Held, OpenLock, Unfirm, Wallet};
use tidegate_channel::{ClientState, LeafRef, Operation, decode_operations};
use tidegate_types::{Fixed, SignatureBytes};
use tidegate_wire::messages::{self as wire, Body as _};

use super::{ClientChannel, SignedState, Signer};
use crate::error::StepError;
use crate::headers::HeaderCache;
use crate::receipt::{Leaf, ReceiptError, decode_all};
use crate::store::{Record, WalletStore};

impl ClientChannel {
    /// Takes the channel up from what the hub holds of it, whatever was known here. The state must bear this client's
    /// signature, its locks must be those that it commits to, and the newest leaf must be proved. Durable on return.
    ///
    /// A state of this wallet that the hub has not seen is given up by it: its counter may be used again, so a wallet does this
    /// only when it has lost its records, or when the hub shows a newer state of its own.
    ///
    /// # Errors
    /// [`StepError`].
    pub fn restore(
        &mut self,
        signer: &Signer,
        store: &mut dyn WalletStore,
        headers: &HeaderCache,
        answer: &wire::SyncAnswer<'_>,
    ) -> Result<(), StepError> {
        if answer.channel != self.id() {
            return Err(StepError::OtherChannel);
        }
        if let Some(held) = &answer.state {
            let state = ClientState::decode(held.state).map_err(|error| StepError::Wire(error.into()))?;
            if !state
                .verify(&signer.ledger, &signer.key.public(), held.signature)
                .is_valid()
            {
                return Err(StepError::NotOurs(state.counter));
            }
        }
        let fresh = answer.fresh.as_ref().ok_or(StepError::Unproved)?;
        let leaf = Leaf::decode(&fresh.entry)?;
        let header = headers.verify(fresh.header).map_err(ReceiptError::from)?;
        leaf.check_proof(&header, &fresh.entry)?;
        let next = self.restored(answer)?;
        let mut body = Vec::new();
        answer.put(&mut body);
        store.append(&self.id(), &Record::Restored(body))?;
        *self = next;
        Ok(())
    }

    /// The channel that an answer leads to. Signatures are not checked here.
    pub(super) fn restored(&self, answer: &wire::SyncAnswer<'_>) -> Result<Self, StepError> {
        let wire_error = |error: tidegate_types::DecodeError| StepError::Wire(error.into());
        let fresh = answer.fresh.as_ref().ok_or(StepError::Unproved)?;
        let leaf = Leaf::decode(&fresh.entry)?;
        let state = match &answer.state {
            Some(held) => ClientState::decode(held.state).map_err(wire_error)?,
            None => tidegate_channel::opening_state(self.id()),
        };
        let held = Held {
            state,
            locks: open_locks(answer)?,
            leaf: leaf.private,
            reference: leaf.reference(),
            credits: credits(answer, &leaf)?,
            in_locks: decode_all(answer.in_locks).map_err(wire_error)?,
        };
        let opened = *self.opened();
        let wallet = Wallet::restore(self.id(), opened.terms, opened.margin, opened.settle_on, held)?;
        let mut next = Self {
            wallet,
            sent: Vec::new(),
            proven: None,
            shown: None,
            final_leaf: None,
            closing: None,
            closed: self.closed,
            ..self.clone()
        };
        if let Some(held) = &answer.state {
            next.sent.push(SignedState {
                state,
                body: pay_body(held, answer.operations),
                base: None,
                left_open: next.wallet.client().locks().to_vec(),
            });
        }
        next.take_final(&header_of(fresh)?, &fresh.entry, &leaf);
        next.note_answers(answer)?;
        Ok(next)
    }

    /// Gives up every state that no leaf has acknowledged: the next one follows from the last that was, under a counter above
    /// them all (rule 10). Until the hub has accepted that next one they all count, and none of their payments is made another
    /// way. False if there is nothing to give up. Durable on return.
    ///
    /// # Errors
    /// [`StepError::Store`].
    pub fn supersede(&mut self, store: &mut dyn WalletStore) -> Result<bool, StepError> {
        if self.unanswered().is_none() {
            return Ok(false);
        }
        store.append(&self.id(), &Record::Superseded)?;
        self.give_up();
        Ok(true)
    }

    /// [`ClientChannel::supersede`], in memory.
    pub(super) fn give_up(&mut self) {
        let acknowledged = self.wallet.hub().leaf().ack.counter;
        let above = self.sent.iter().position(|sent| sent.state.counter > acknowledged);
        let Some(first) = above else { return };
        // The first of them was made on top of what the leaf acknowledges. A state that a restored wallet holds is acknowledged.
        if let Some(base) = self.sent[first].base.clone() {
            self.wallet.supersede(&base);
        }
        // They stay among what was signed: the hub may accept one of them yet, as long as nothing above it is accepted.
    }
}

fn header_of(fresh: &wire::FreshReceipt<'_>) -> Result<tidegate_channel::SignedHeader, StepError> {
    tidegate_channel::SignedHeader::decode(fresh.header).map_err(|error| StepError::Wire(error.into()))
}

fn pay_body(held: &wire::HeldState<'_>, operations: &[u8]) -> Vec<u8> {
    let signature: &SignatureBytes = held.signature;
    let mut body = Vec::new();
    wire::Pay {
        state: held.state,
        signature,
        operations,
    }
    .put(&mut body);
    body
}

fn open_locks(answer: &wire::SyncAnswer<'_>) -> Result<Vec<OpenLock>, StepError> {
    let mut locks = Vec::new();
    for held in answer.locks {
        let mut operations = Vec::new();
        decode_operations(&held.add, &mut operations).map_err(|_| StepError::Unproved)?;
        let [Operation::Add { slot, lock }] = operations[..] else {
            return Err(StepError::Unproved);
        };
        locks.push(OpenLock {
            slot,
            id: lock.id(&answer.channel, held.added, slot),
            added: held.added,
            lock,
        });
    }
    Ok(locks)
}

/// The credits of the leaves that came and of the newest, oldest first; each leaf names the one before.
fn credits(answer: &wire::SyncAnswer<'_>, fresh: &Leaf) -> Result<Vec<Unfirm>, StepError> {
    let mut credits = Vec::new();
    let mut before: Option<LeafRef> = None;
    let mut take = |leaf: &Leaf| {
        let is_next = before.is_none_or(|before| {
            leaf.public.previous == before.digest && Some(leaf.private.counter) == before.counter.next()
        });
        before = Some(leaf.reference());
        credits.extend(leaf.credits.iter().map(|credit| Unfirm {
            leaf: leaf.private.counter,
            expiry: credit.expiry,
            amount: credit.amount,
        }));
        is_next
    };
    for synced in answer.leaves {
        // Of a leaf whose credits are firm the hub no longer holds them; its place in the chain is all that is needed of it.
        let known = wire::SyncLeaf {
            credits: Some(synced.credits.unwrap_or_default()),
            ..synced
        };
        if !take(&Leaf::decode_synced(&known)?) {
            return Err(StepError::Unproved);
        }
    }
    if take(fresh) {
        Ok(credits)
    } else {
        Err(StepError::Unproved)
    }
}
