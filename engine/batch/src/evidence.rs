//! What the hub can show of a channel in a dispute (rule 25): its newest evidence, but for the hub's own signatures.
//!
//! The client's newest state C, and the newest leaf H that the client has named, by C itself or by an `Ack`: C acknowledges no
//! later one, and H acknowledges no state behind C, so they are a pair. A later leaf would count for nothing, being named by
//! the hub alone, and would only raise what the hub owes.
//!
//! The in-locks of H are those of now, with all undone that later leaves did: nobody has acknowledged those, so their changes
//! are kept.

use tidegate_channel::evidence::{LeafNaming, OpenedIn, OpenedOut, SignedState};
use tidegate_channel::{ChannelTerms, InChange, InChangeKind, InLock, LeafPrivate, LeafPublic};
use tidegate_types::{BatchNumber, ChannelId, Fixed as _, LockId, LockSlot, OutPoint, SignatureBytes};

use crate::record::DISPUTED;
use crate::slots::{Link, Slots};
use crate::store::digest;
use crate::{Engine, PaymentProof};

/// The leaf that the hub shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownLeaf {
    /// Its private part.
    pub private: LeafPrivate,
    /// Its public part.
    pub public: LeafPublic,
    /// How the client has named it.
    pub named: LeafNaming,
    /// Its open locks, by slot.
    pub locks: Vec<OpenedIn>,
}

/// What the hub can show of a channel.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// The channel.
    pub channel: ChannelId,
    /// Its funding output.
    pub funding: OutPoint,
    /// Its terms.
    pub terms: ChannelTerms,
    /// The newest batch: no leaf of the channel is in a later one, if it is frozen.
    pub batch: BatchNumber,
    /// True if the channel is frozen for a close on the ledger: nothing newer will come.
    pub is_frozen: bool,
    /// The client's newest state, with its open locks; `None` for C(0).
    pub state: Option<(SignedState, Vec<OpenedOut>)>,
    /// The leaf; `None` for H(0).
    pub leaf: Option<ShownLeaf>,
    /// What the client has given up in leaves that it has not acknowledged: where an earlier leaf is shown, by this.
    pub releases: Vec<ShownRelease>,
}

/// A release that the hub can show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ShownRelease {
    /// The lock that was given up.
    pub lock: LockId,
    /// The client's signature under its [`tidegate_channel::Release`].
    pub signature: SignatureBytes,
}

impl<S: Slots> Engine<S> {
    /// What the hub can show of the channel of this number. `None` if there is none, or if the ledger has paid it.
    #[must_use]
    pub fn shown(&self, slot: u32) -> Option<Shown> {
        let view = self.view(slot).filter(|view| !view.is_settled())?;
        let opened = |open: &crate::LockView| OpenedOut {
            slot: open.slot,
            added: open.counter,
            lock: open.lock,
        };
        let signed = SignedState {
            state: view.state,
            signature: view.signature,
        };
        let is_opening = view.state.counter.get() == 0;
        Some(Shown {
            channel: view.id,
            funding: view.funding,
            terms: view.terms,
            batch: self.store.meta().batch(),
            is_frozen: self.status(slot) == DISPUTED,
            state: (!is_opening).then(|| (signed, view.locks.iter().map(opened).collect())),
            leaf: self.shown_leaf(slot),
            releases: self.shown_releases(slot),
        })
    }

    fn shown_leaf(&self, slot: u32) -> Option<ShownLeaf> {
        let record = *self.live(slot)?;
        let counter = record.shown_h();
        if counter == 0 {
            return None;
        }
        let (link, previous) = self.leaf_with_previous(slot, counter);
        let leaf = self.store.leaves.at(link);
        let named = if counter == record.ack_h {
            LeafNaming::ByState
        } else {
            LeafNaming::ByAck(SignatureBytes::from_bytes(self.signed(slot).ack_message_signature))
        };
        Some(ShownLeaf {
            private: self.private_part_of(slot, leaf),
            public: self.public_part_of(leaf, digest(&previous), &self.credits_from(leaf.credits)),
            named,
            locks: self.in_locks_as_of(slot, leaf.next),
        })
    }

    /// For each open lock of the client that its payee has acknowledged the proof of that.
    #[must_use]
    pub fn payment_proofs(&self, slot: u32) -> Vec<(LockId, PaymentProof)> {
        let locks = self.view(slot).map(|view| view.locks).unwrap_or_default();
        let proofs = locks
            .iter()
            .map(|open| Some((open.id, self.debt_proof(slot, &open.id)?)));
        proofs.flatten().collect()
    }

    /// The releases of all leaves whose changes are kept.
    fn shown_releases(&self, slot: u32) -> Vec<ShownRelease> {
        let oldest = self.live(slot).map_or(0, |live| live.leaf_oldest);
        let (mut releases, mut link) = (Vec::new(), oldest);
        while link != 0 {
            let leaf = self.store.leaves.at(link);
            let mut change = leaf.in_changes;
            while change != 0 {
                let record = self.store.in_changes.at(change);
                let decoded = InChange::decode(&record.change).expect("changes are encoded by this engine");
                if decoded.kind == InChangeKind::Released {
                    releases.push(ShownRelease {
                        lock: decoded.lock.lock,
                        signature: SignatureBytes::from_bytes(record.release),
                    });
                }
                change = record.next;
            }
            link = leaf.next;
        }
        releases
    }

    /// The leaf of a counter, and the digest of the one before it.
    ///
    /// # Panics
    /// If it was forgotten; the one that is shown never is.
    pub(crate) fn leaf_with_previous(&self, slot: u32, counter: u64) -> (Link, [u8; 32]) {
        let (mut link, mut previous) = (self.record(slot).leaf_oldest, self.signed(slot).leaf_before);
        while self.store.leaves.at(link).h < counter {
            let leaf = self.store.leaves.at(link);
            (link, previous) = (leaf.next, leaf.digest);
        }
        assert_eq!(self.store.leaves.at(link).h, counter, "the leaf that is shown is kept");
        (link, previous)
    }

    /// The open in-locks before the leaf `later` and those behind it.
    fn in_locks_as_of(&self, slot: u32, later: Link) -> Vec<OpenedIn> {
        let mut slots: [Option<InLock>; LockSlot::COUNT] = [None; LockSlot::COUNT];
        for open in self.in_locks_of(slot) {
            slots[open.slot.index()] = Some(open.lock);
        }
        let (mut changes, mut link) = (Vec::new(), later);
        while link != 0 {
            let leaf = self.store.leaves.at(link);
            changes.extend(self.in_changes_from(leaf.in_changes));
            link = leaf.next;
        }
        for change in changes.iter().rev() {
            slots[change.slot.index()] = match change.kind {
                InChangeKind::Offered => None,
                InChangeKind::Fulfilled | InChangeKind::Released | InChangeKind::Expired => Some(change.lock),
            };
        }
        let places = (0_u8..).zip(slots);
        let open = places.filter_map(|(place, lock)| Some((LockSlot::new(place)?, lock?)));
        open.map(|(slot, lock)| OpenedIn { slot, lock }).collect()
    }
}
