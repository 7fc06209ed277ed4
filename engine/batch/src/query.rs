//! What can be asked of the state: one channel, its leaves for a client that comes back, the proof of a payment.
//!
//! Answers are of the newest executed batch; the caller lets them out only when that batch is durable.

use tidegate_channel::evidence::{Acknowledged, SignedState};
use tidegate_channel::{
    Ack, ChannelTerms, ClientState, Condition, Credit, FinalTerms, HalfSums, InChange, InChangeKind, InLock, LeafKind,
    LeafPrivate, LeafPublic, LeafRef, Lock, OpOutcome, StateRef, client_balance, credit_salt, credited_root,
    hub_balance,
};
use tidegate_crypto::merkle::{self, Tree};
use tidegate_types::{
    Amount, ChannelId, ClientCounter, Digest, Fixed, Height, HubCounter, KeyBytes, LockId, LockSlot, OutPoint,
    PaymentId, SignatureBytes,
};

use crate::Engine;
use crate::engine::ACK;
use crate::record::in_lock::MET;
use crate::record::kept::KeptRecord;
use crate::record::{ACTIVE, DISPUTED, FIRM, FROZEN, LeafRecord, LockRecord, VOID};
use crate::slots::Slots;
use crate::store::{amount, digest};

/// One channel as the hub has it.
#[derive(Clone, Debug)]
pub struct ChannelView {
    /// Its name.
    pub id: ChannelId,
    /// Its funding output.
    pub funding: OutPoint,
    /// Its terms.
    pub terms: ChannelTerms,
    /// `ACTIVE`, `CLOSING` (the final leaf is made), `DISPUTED` (it is closed on the ledger) or `SETTLED`.
    pub status: &'static str,
    /// The newest accepted state.
    pub state: ClientState,
    /// The client's signature over it; zero for `C(0)`.
    pub signature: SignatureBytes,
    /// The newest leaf.
    pub leaf: LeafRef,
    /// The newest leaf that the client has acknowledged.
    pub acked: HubCounter,
    /// The newest ack message with its signature, if there was one.
    pub ack: Option<(Ack, SignatureBytes)>,
    /// The sums of both halves.
    pub sums: HalfSums,
    /// The client's balance: spendable and reserve.
    pub client_balance: Amount,
    /// The hub's balance.
    pub hub_balance: Amount,
    /// The open out-locks.
    pub locks: Vec<LockView>,
    /// The open in-locks.
    pub in_locks: Vec<InLockView>,
}

impl ChannelView {
    /// True once the ledger has paid both sides.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.status == "SETTLED"
    }

    /// All that the channel holds, part by part: equal to its capacity if nothing was made or lost.
    #[must_use]
    pub fn value(&self) -> u128 {
        let parts = [
            self.client_balance,
            self.hub_balance,
            self.sums.unfirm_credit,
            self.sums.out_locks,
            self.sums.in_locks,
        ];
        parts.iter().map(|part| u128::from(part.to_sat())).sum()
    }
}

/// One open lock of a payer.
#[derive(Clone, Copy, Debug)]
pub struct LockView {
    /// Where.
    pub slot: LockSlot,
    /// Its name.
    pub id: LockId,
    /// The counter of the state that added it.
    pub counter: ClientCounter,
    /// What it holds.
    pub lock: Lock,
    /// What became of it.
    pub outcome: OpOutcome,
    /// What became of the payee's credit: `waiting`, `firm` or `void`.
    pub credit: &'static str,
}

/// One lock that waits for its payee's preimage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InLockView {
    /// Where.
    pub slot: LockSlot,
    /// What the payee was offered.
    pub lock: InLock,
    /// The number of the payer's channel.
    pub payer: u32,
}

impl InLockView {
    /// The change by which it came, for a client that has lost its own records.
    #[must_use]
    pub const fn offered(&self) -> InChange {
        InChange {
            kind: InChangeKind::Offered,
            slot: self.slot,
            lock: self.lock,
        }
    }
}

/// A leaf that its client has not acknowledged.
#[derive(Clone, Debug)]
pub struct StoredLeaf {
    /// The private part.
    pub private: LeafPrivate,
    /// The public part.
    pub public: LeafPublic,
    /// Its credits.
    pub credits: Vec<Credit>,
    /// What it did to in-locks.
    pub in_changes: Vec<InChange>,
}

/// The links of a proof of payment: one per leaf from the crediting one up to the acknowledged one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ProofLink {
    /// The digest of the leaf's private part.
    pub private: Digest,
    /// Its public part.
    pub public: LeafPublic,
}

/// Proof for a payer that its payee holds the credit (rule 12).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PaymentProof {
    /// The payee's key.
    pub payee: KeyBytes,
    /// The payee's ack of the last link's leaf.
    pub ack: Ack,
    /// The payee's signature over it; zero if it was given by a state, or seen on the ledger alone.
    pub signature: SignatureBytes,
    /// The lock's salt under the credited root.
    pub salt: [u8; 16],
    /// The lock's place under the credited root.
    pub index: u32,
    /// How many entries stand there.
    pub count: u32,
    /// The path to the credited root of the first link.
    pub path: Vec<Digest>,
    /// The links, from the crediting leaf on.
    pub links: Vec<ProofLink>,
}

impl<S: Slots> Engine<S> {
    /// The channel of this number.
    #[must_use]
    pub fn view(&self, slot: u32) -> Option<ChannelView> {
        if slot >= self.store.meta().channels {
            return None;
        }
        let (record, signed) = self.look(slot);
        let (terms, sums) = (self.terms_of(slot), record.sums());
        let id = self.channel_id(slot);
        let state = ClientState {
            channel: id,
            counter: record.c(),
            debit: amount(record.debit),
            locks_sum: amount(record.out_locks),
            locks_root: self.locks_root(slot),
            ack: LeafRef {
                counter: HubCounter::new(record.ack_h),
                digest: if record.c == 0 {
                    Digest::ZERO
                } else {
                    digest(&signed.ack_digest)
                },
            },
            operations: digest(&signed.operations),
        };
        let message = Ack {
            channel: id,
            leaf: LeafRef {
                counter: HubCounter::new(record.ack_message_h),
                digest: digest(&record.ack_message_digest),
            },
        };
        let balance = "every batch leaves both balances in range";
        Some(ChannelView {
            id,
            funding: self.shared(slot).funding(self.store.channels.get(slot)),
            status: match record.status {
                ACTIVE => "ACTIVE",
                FROZEN => "CLOSING",
                DISPUTED => "DISPUTED",
                _ => "SETTLED",
            },
            state,
            signature: SignatureBytes::from_bytes(signed.state_signature),
            leaf: LeafRef {
                counter: record.h(),
                digest: digest(&record.leaf_digest),
            },
            acked: HubCounter::new(record.acked_h),
            ack: (record.ack_message_h > 0)
                .then(|| (message, SignatureBytes::from_bytes(signed.ack_message_signature))),
            sums,
            client_balance: client_balance(&terms, &sums).expect(balance),
            hub_balance: hub_balance(&terms, &sums).expect(balance),
            locks: self.locks_of(slot),
            in_locks: self.in_locks_of(slot),
            terms,
        })
    }

    /// The channel's name, and the newest counters of both halves.
    #[must_use]
    pub fn counters(&self, slot: u32) -> (ChannelId, ClientCounter, HubCounter) {
        let (state, leaf) = self.counters_of(slot);
        (self.channel_id(slot), state, leaf)
    }

    /// The key, the delegate and the activity of a channel: what routing needs.
    #[must_use]
    pub fn parties(&self, slot: u32) -> (KeyBytes, KeyBytes, bool) {
        let terms = self.terms_of(slot);
        (terms.client, terms.delegate, self.status(slot) == ACTIVE)
    }

    pub(crate) fn locks_of(&self, slot: u32) -> Vec<LockView> {
        let open = self.open_locks(slot);
        let view = |slot: LockSlot| self.lock_view(slot, self.store.locks.at(open.link(slot.index())));
        open.slots().map(view).collect()
    }

    /// How many credits of a channel wait for an ack: what its leaves above the acknowledged one name at most.
    #[must_use]
    pub fn credits_waiting(&self, slot: u32) -> u32 {
        self.look(slot).0.unfirm_count
    }

    /// The leaves above `above` that the client has not acknowledged, oldest first, at most 64.
    #[must_use]
    pub fn leaves_above(&self, slot: u32, above: HubCounter) -> Vec<StoredLeaf> {
        let mut leaves = Vec::new();
        let (record, signed) = self.look(slot);
        let (mut link, mut previous) = (record.leaf_oldest, digest(&signed.leaf_before));
        while link != 0 {
            let leaf = self.store.leaves.at(link);
            if leaf.h > above.get().max(record.acked_h) && leaf.body != 0 {
                let credits = self.credits_from(leaf.credits);
                leaves.push(StoredLeaf {
                    private: self.private_part_of(slot, leaf),
                    public: self.public_part_of(leaf, previous, &credits),
                    credits,
                    in_changes: self.in_changes_from(leaf.in_changes),
                });
            }
            previous = digest(&leaf.digest);
            link = leaf.next;
        }
        let skip = leaves.len().saturating_sub(64);
        leaves.split_off(skip)
    }

    /// The private part of a leaf whose rest is kept.
    pub(crate) fn private_part_of(&self, slot: u32, leaf: &LeafRecord) -> LeafPrivate {
        let body = self.store.bodies.at(leaf.body);
        let terms = (body.is_final != 0).then(|| self.final_terms(slot)).flatten();
        LeafPrivate {
            channel: self.channel_id(slot),
            counter: HubCounter::new(leaf.h),
            firm_credit: amount(leaf.firm),
            unfirm_credit: amount(body.unfirm),
            in_locks_sum: amount(body.in_locks),
            in_locks_root: digest(&body.in_locks_root),
            outcomes_root: digest(&body.outcomes_root),
            terms: terms.map_or(Digest::ZERO, |terms| terms.digest()),
            ack: StateRef {
                counter: ClientCounter::new(body.c),
                digest: digest(&body.state_digest),
            },
            ack_by: Height::new(leaf.ack_by),
            height: Height::new(leaf.height),
            kind: if body.is_final == 0 {
                LeafKind::Update
            } else {
                LeafKind::Final
            },
        }
    }

    /// The public part of a leaf with these credits.
    pub(crate) fn public_part_of(&self, leaf: &LeafRecord, previous: Digest, credits: &[Credit]) -> LeafPublic {
        let failed_root = match leaf.body {
            0 => Digest::ZERO,
            body => digest(&self.store.bodies.at(body).failed_root),
        };
        LeafPublic {
            previous,
            credited_root: credited_root(credits),
            failed_root,
        }
    }

    pub(crate) fn in_locks_of(&self, slot: u32) -> Vec<InLockView> {
        let page = self.in_page(slot);
        let links = page.into_iter().flat_map(|page| page.locks).filter(|&link| link != 0);
        links
            .map(|link| {
                let record = self.store.in_locks.at(link);
                InLockView {
                    slot: record.payee_slot(),
                    lock: record.content(),
                    payer: record.payer,
                }
            })
            .collect()
    }

    pub(crate) fn in_changes_from(&self, first: u32) -> Vec<InChange> {
        let mut changes = Vec::new();
        let mut link = first;
        while link != 0 {
            let record = self.store.in_changes.at(link);
            changes.push(InChange::decode(&record.change).expect("changes are encoded by this engine"));
            link = record.next;
        }
        changes
    }

    /// The preimage that has met an open lock of a payer, if one has.
    #[must_use]
    pub fn preimage(&self, payer: u32, lock: &LockId) -> Option<[u8; 32]> {
        let found = self.out_lock(payer, lock)?;
        let in_lock = found.in_lock();
        (in_lock != 0)
            .then(|| self.store.in_locks.at(in_lock))
            .filter(|record| record.fate == MET)
            .map(|record| record.preimage)
    }

    fn out_lock(&self, payer: u32, lock: &LockId) -> Option<&LockRecord> {
        let open = self.open_locks(payer);
        let mut locks = open.slots().map(|slot| self.store.locks.at(open.link(slot.index())));
        locks.find(|l| l.id() == *lock)
    }

    pub(crate) fn credits_from(&self, first: u32) -> Vec<Credit> {
        let mut credits = Vec::new();
        let mut link = first;
        while link != 0 {
            let record = self.store.credits.at(link);
            let lock = LockId::from_bytes(record.id);
            credits.push(Credit {
                lock,
                salt: credit_salt(&self.salt_secret, &lock),
                payment_id: PaymentId::from_bytes(record.payment_id),
                amount: amount(record.amount),
                expiry: Height::new(record.expiry),
            });
            link = record.next;
        }
        credits
    }

    /// What the hub remembers of a channel's closed payments: id, outcome and the counter of the closing.
    #[must_use]
    pub fn answers(&self, slot: u32) -> Vec<(PaymentId, OpOutcome, ClientCounter)> {
        let mut answers = Vec::new();
        let mut link = self.live(slot).map_or(0, |live| live.answer_oldest);
        while link != 0 {
            let page = self.store.answers.at(link);
            answers.extend(
                page.payments[page.first as usize..page.end as usize]
                    .iter()
                    .map(|closed| {
                        let outcome = OpOutcome::decode(&closed.outcome).expect("outcomes are encoded by this engine");
                        (
                            PaymentId::from_bytes(closed.payment_id),
                            outcome,
                            ClientCounter::new(closed.c),
                        )
                    }),
            );
            link = page.next;
        }
        answers
    }

    /// The proof that the payee of an open lock holds its credit, once the payee has acknowledged it by an `Ack`.
    #[must_use]
    pub fn payment_proof(&self, payer: u32, lock: &LockId) -> Option<PaymentProof> {
        let proof = self.debt_proof(payer, lock)?;
        (proof.signature != SignatureBytes::ZERO).then_some(proof)
    }

    /// As [`Engine::payment_proof`], also if the payee has acknowledged it by a state or on the ledger: there its word stands, or can
    /// be brought, without an `Ack`.
    #[must_use]
    pub fn debt_proof(&self, payer: u32, lock: &LockId) -> Option<PaymentProof> {
        let found = self.out_lock(payer, lock)?;
        // A later ack covers the leaf of a void credit too, but not the credit. A hash lock's proof is its preimage.
        if u32::from(found.fate) != FIRM || found.condition != ACK {
            return None;
        }
        let payee = found.payee_link.checked_sub(1)?;
        let word = match found.kept {
            0 => self.covering_word(payee, found.credited_h)?,
            kept => *self.store.kept.at(kept),
        };
        let (credits, links) = self.links(payee, &word, found.credited_h)?;
        let entries: Vec<Digest> = credits.iter().map(Credit::entry).collect();
        let index = credits.iter().position(|credit| credit.lock == *lock)?;
        let tree = Tree::build(merkle::LIST, &entries);
        let index = u32::try_from(index).ok()?;
        Some(PaymentProof {
            payee: self.terms_of(payee).client,
            ack: Ack {
                channel: self.channel_id(payee),
                leaf: word.leaf(),
            },
            signature: word.ack_signature(),
            salt: credits[index as usize].salt,
            index,
            count: tree.count(),
            path: tree.path(index).collect(),
            links,
        })
    }

    /// The credits of leaf `from`, and the links from it up to the leaf of a word: first those that the word has, then those of the
    /// channel's list.
    fn links(&self, slot: u32, word: &KeptRecord, from: u64) -> Option<(Vec<Credit>, Vec<ProofLink>)> {
        let (mut credits, mut links) = (None, Vec::new());
        let (listed, before) = self
            .live(slot)
            .map(|record| (record.leaf_oldest, self.signed(slot).leaf_before))?;
        let (mut link, mut previous) = match word.first {
            0 => (listed, digest(&before)),
            first => (first, digest(&word.before)),
        };
        let mut in_list = word.first == 0;
        while link != 0 {
            let leaf = self.store.leaves.at(link);
            if (from..=word.h).contains(&leaf.h) {
                let of_leaf = self.credits_from(leaf.credits);
                links.push(ProofLink {
                    private: digest(&leaf.private_digest),
                    public: self.public_part_of(leaf, previous, &of_leaf),
                });
                if leaf.h == from {
                    credits = Some(of_leaf);
                }
            }
            previous = digest(&leaf.digest);
            link = leaf.next;
            if link == 0 && !in_list && leaf.h < word.h {
                (link, in_list) = (listed, true);
            }
        }
        let whole = links.len() as u64 == word.h + 1 - from;
        credits.filter(|_| whole).map(|credits| (credits, links))
    }

    /// How a channel ends whose final leaf is made: by that leaf, until the ledger has paid otherwise.
    #[must_use]
    pub fn final_terms(&self, slot: u32) -> Option<FinalTerms> {
        let newest = self.live(slot)?.leaf_newest;
        let body = (newest != 0)
            .then(|| self.store.leaves.at(newest).body)
            .filter(|&body| body != 0)?;
        if self.store.bodies.at(body).is_final == 0 {
            return None;
        }
        let view = self.view(slot)?;
        let fee = amount(self.look(slot).1.closing_fee);
        let mut terms = FinalTerms {
            channel: view.id,
            client_payout: view.client_balance,
            hub_payout: view.hub_balance,
            fee,
            successor: self.successor_of(slot),
        };
        if !terms.is_splice() {
            let payout = terms.client_payout.sub(fee);
            terms.client_payout = payout.expect("checked when the channel was frozen");
        }
        Some(terms)
    }

    fn lock_view(&self, slot: LockSlot, record: &LockRecord) -> LockView {
        let (payee, payee_channel, hash) = match (record.named, record.payee_link) {
            (0, link) => {
                let channel = self.store.channels.get(link - 1);
                (channel.client, channel.id, [0; 32])
            }
            (named, _) => {
                let named = self.store.named.at(named);
                (named.payee, named.payee_channel, named.hash)
            }
        };
        let lock = Lock {
            payment_id: PaymentId::from_bytes(record.payment_id),
            amount: amount(record.amount),
            fee: amount(record.fee),
            payee: KeyBytes::from_bytes(payee),
            payee_channel: ChannelId::from_bytes(payee_channel),
            expiry: record.expiry(),
            condition: if record.condition == ACK {
                Condition::Ack
            } else {
                Condition::Hash(hash)
            },
        };
        let credit = match u32::from(record.fate) {
            FIRM => "firm",
            VOID => "void",
            _ => "waiting",
        };
        LockView {
            slot,
            id: record.id(),
            counter: ClientCounter::new(record.c),
            lock,
            outcome: record.outcome(),
            credit,
        }
    }
}

impl KeptRecord {
    /// The acknowledged leaf.
    pub(crate) const fn leaf(&self) -> LeafRef {
        LeafRef {
            counter: HubCounter::new(self.h),
            digest: digest(&self.digest),
        }
    }

    /// The signature under the ack; zero if it is none.
    const fn ack_signature(&self) -> SignatureBytes {
        if self.c == 0 {
            SignatureBytes::from_bytes(self.signature)
        } else {
            SignatureBytes::ZERO
        }
    }

    /// The word as the ledger takes it; `None` if it is known from there alone.
    pub(crate) fn said(&self, channel: ChannelId) -> Option<Acknowledged> {
        let leaf = self.leaf();
        let signature = SignatureBytes::from_bytes(self.signature);
        if self.c == 0 {
            let ack = Ack { channel, leaf };
            return (signature != SignatureBytes::ZERO).then_some(Acknowledged::ByAck(ack, signature));
        }
        let state = ClientState {
            channel,
            counter: ClientCounter::new(self.c),
            debit: amount(self.debit),
            locks_sum: amount(self.locks_sum),
            locks_root: digest(&self.locks_root),
            ack: leaf,
            operations: digest(&self.operations),
        };
        Some(Acknowledged::ByState(SignedState { state, signature }))
    }
}
