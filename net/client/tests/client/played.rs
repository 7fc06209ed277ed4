//! A hub played by the test: leaves and headers by the rules' own functions, one batch for each call.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use tidegate_channel::wallet::SettleOn;
use tidegate_channel::{
    Ack, BatchHeader, ChannelTerms, ClientState, Condition, Credit, FinalTerms, LeafKind, LeafPrivate, LeafPublic,
    LeafRef, Lock, OpKind, OpOutcome, Operation, Outcome, credit_salt, credited_root, decode_operations, leaf_digest,
    opening_leaf, outcomes_root,
};
use tidegate_client::{Channels, HeaderCache, MemoryStore, Opened, SignedAck, SignedState, Signer, WalletStore};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::merkle;
use tidegate_types::{
    Age, Amount, BatchNumber, ChannelId, Digest, Fixed, Height, KeyBytes, LedgerId, LockId, LockSlot, OutPoint,
    PaymentId, SignatureBytes, Txid, UnixMillis,
};
use tidegate_wire::Items;
use tidegate_wire::messages::{
    AckProof, Body as _, ChannelStatus, FreshReceipt, Link, Proof, Receipt, ReceiptEntry, SyncAnswer, SyncLeaf,
};

pub(crate) const LEDGER: LedgerId = LedgerId::from_bytes([9; 32]);
pub(crate) const MARGIN: u32 = 5;
const EXPIRY: Height = Height::new(1000);

pub(crate) fn sat(n: u64) -> Amount {
    Amount::from_sat(n).unwrap()
}

pub(crate) fn signer(seed: u8) -> Signer {
    Signer {
        ledger: LEDGER,
        key: SecretKey::from_seed([seed; 32]),
    }
}

fn key(seed: u8) -> KeyBytes {
    SecretKey::from_seed([seed; 32]).public().bytes()
}

/// Client 1 brings 600 of 1000, every other client nothing.
pub(crate) fn terms(hub: &PlayedHub, seed: u8) -> ChannelTerms {
    ChannelTerms {
        client: key(seed),
        hub: hub.key.public().bytes(),
        client_payout: key(seed),
        hub_payout: hub.key.public().bytes(),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(1000),
        opening_share: sat(if seed == 1 { 600 } else { 0 }),
        client_reserve: sat(10),
        hub_reserve: sat(10),
        dispute_window: Age::new(144),
        evidence_grace: Age::new(10),
        expiry: Height::new(100_000),
        nonce: 0,
    }
}

pub(crate) fn opened(hub: &PlayedHub, seed: u8, vout: u32) -> Opened {
    let funding = OutPoint {
        txid: Txid::from_bytes([seed; 32]),
        vout,
    };
    let terms = terms(hub, seed);
    Opened {
        channel: terms.channel_id(&funding),
        funding,
        terms,
        margin: Age::new(MARGIN),
        settle_on: SettleOn::PayeeAck,
    }
}

pub(crate) fn empty_client(hub: &PlayedHub, seed: u8) -> Channels<MemoryStore> {
    with_store(hub, seed, MemoryStore::default())
}

pub(crate) fn with_store<S: WalletStore>(hub: &PlayedHub, seed: u8, store: S) -> Channels<S> {
    let headers = Arc::new(HeaderCache::new(LEDGER, hub.key.public()));
    Channels::open(signer(seed), headers, store).unwrap()
}

pub(crate) fn client(hub: &PlayedHub, seed: u8, vout: u32) -> Channels<MemoryStore> {
    let mut wallet = empty_client(hub, seed);
    wallet.adopt(opened(hub, seed, vout)).unwrap();
    wallet
}

/// A lock that pays client `payee`, with a fee of 1.
pub(crate) fn lock(hub: &PlayedHub, payee: u8, amount: u64, id: u8) -> Lock {
    Lock {
        payment_id: PaymentId::from_bytes([id; 16]),
        amount: sat(amount),
        fee: sat(1),
        payee: key(payee),
        payee_channel: opened(hub, payee, 0).channel,
        expiry: EXPIRY,
        condition: Condition::Ack,
    }
}

#[derive(Clone, Debug)]
struct Content {
    private: LeafPrivate,
    public: LeafPublic,
    credits: Vec<Credit>,
    outcomes: Vec<Outcome>,
    terms: Option<FinalTerms>,
}

impl Content {
    fn digest(&self) -> Digest {
        leaf_digest(&self.private.digest(), &self.public.digest())
    }
}

/// One signed batch, as the body of the receipt with all its leaves.
#[derive(Clone, Debug)]
pub(crate) struct Batch {
    pub(crate) body: Vec<u8>,
}

impl Batch {
    pub(crate) fn receipt(&self) -> Receipt<'_> {
        Receipt::decode(&self.body).unwrap()
    }

    /// Where in the body the leaf of `channel` stands.
    pub(crate) fn entry_of(&self, channel: &ChannelId) -> Range<usize> {
        let mut at = 256;
        for entry in self.receipt().entries {
            let end = at + entry.shape().entry_len();
            if entry.private.starts_with(channel.as_bytes()) {
                return at..end;
            }
            at = end;
        }
        panic!("the batch has no leaf of this channel");
    }

    pub(crate) fn synced(&self, channel: &ChannelId) -> SyncLeaf<'_> {
        let entry = self
            .receipt()
            .entries
            .iter()
            .find(|e| e.private.starts_with(channel.as_bytes()))
            .unwrap();
        SyncLeaf {
            private: entry.private,
            public: entry.public,
            credits: Some(entry.credits),
            outcomes: Some(entry.outcomes),
            in_changes: entry.in_changes,
            final_terms: entry.final_terms,
        }
    }
}

/// An `AckProof` as its body.
#[derive(Clone, Debug)]
pub(crate) struct ProofBytes {
    pub(crate) bytes: Vec<u8>,
}

impl ProofBytes {
    pub(crate) fn message(&self) -> AckProof<'_> {
        self.try_message().unwrap()
    }

    pub(crate) fn try_message(&self) -> Option<AckProof<'_>> {
        AckProof::decode(&self.bytes).ok()
    }
}

#[derive(Debug)]
pub(crate) struct PlayedHub {
    pub(crate) key: SecretKey,
    number: u64,
    /// Of the newest state that was accepted.
    pub(crate) debit: Amount,
    leaves: BTreeMap<ChannelId, Vec<Content>>,
    acks: BTreeMap<ChannelId, (Ack, SignatureBytes)>,
    /// Locks that were delivered, with the payee's channel.
    delivered: Vec<(ChannelId, LockId, ChannelId)>,
}

impl Clone for PlayedHub {
    fn clone(&self) -> Self {
        Self {
            key: SecretKey::from_seed([200; 32]),
            number: self.number,
            debit: self.debit,
            leaves: self.leaves.clone(),
            acks: self.acks.clone(),
            delivered: self.delivered.clone(),
        }
    }
}

impl PlayedHub {
    pub(crate) fn new() -> Self {
        Self {
            key: SecretKey::from_seed([200; 32]),
            number: 0,
            debit: Amount::ZERO,
            leaves: BTreeMap::new(),
            acks: BTreeMap::new(),
            delivered: Vec::new(),
        }
    }

    fn next_leaf(&self, channel: ChannelId) -> Content {
        let (private, public) = match self.leaves.get(&channel).and_then(|leaves| leaves.last()) {
            Some(last) => (last.private, last.public),
            None => opening_leaf(channel),
        };
        let previous = leaf_digest(&private.digest(), &public.digest());
        Content {
            private: LeafPrivate {
                counter: private.counter.next().unwrap(),
                height: Height::new(100),
                outcomes_root: Digest::ZERO,
                ..private
            },
            public: LeafPublic {
                previous,
                credited_root: Digest::ZERO,
                failed_root: Digest::ZERO,
            },
            credits: Vec::new(),
            outcomes: Vec::new(),
            terms: None,
        }
    }

    /// Signs a batch of these leaves.
    fn batch(&mut self, mut leaves: Vec<Content>) -> Batch {
        for leaf in &mut leaves {
            leaf.private.outcomes_root = outcomes_root(&leaf.outcomes);
            leaf.public.credited_root = credited_root(&leaf.credits);
            leaf.private.terms = leaf.terms.map_or(Digest::ZERO, |terms| terms.digest());
        }
        self.number += 1;
        let digests: Vec<_> = leaves.iter().map(Content::digest).collect();
        let tree = merkle::Tree::build(merkle::RECEIPTS, &digests);
        let header = BatchHeader {
            hub: self.key.public().bytes(),
            number: BatchNumber::new(self.number),
            previous: Digest::ZERO,
            leaf_count: u32::try_from(leaves.len()).unwrap(),
            height: Height::new(100),
            leaves_root: merkle::root(merkle::RECEIPTS, &digests),
            outcomes: Digest::ZERO,
            block: Digest::ZERO,
            time: UnixMillis::new(self.number),
        };
        let signed: [u8; 248] = header.sign(&LEDGER, &self.key).to_vec().try_into().unwrap();
        let body = encode_batch(&signed, &leaves, &tree);
        for leaf in leaves {
            self.leaves.entry(leaf.private.channel).or_default().push(leaf);
        }
        Batch { body }
    }

    /// Accepts a state whose operations are all adds, and credits its locks to `payee` in the same batch.
    pub(crate) fn deliver(&mut self, state: &SignedState, payee: ChannelId) -> Batch {
        self.deliver_bytes(&state.state, state.message().operations, payee)
    }

    /// As [`PlayedHub::deliver`], from what a `Pay` holds.
    pub(crate) fn deliver_bytes(&mut self, state: &ClientState, operations: &[u8], payee: ChannelId) -> Batch {
        let mut paying = self.accept(state);
        let mut paid = self.next_leaf(payee);
        for (slot, lock) in adds(operations) {
            let id = lock.id(&state.channel, state.counter, slot);
            paying
                .outcomes
                .push(outcome(state, OpKind::Add, slot, OpOutcome::Delivered, id));
            paid.credits.push(Credit {
                lock: id,
                salt: credit_salt(&[3; 32], &id),
                payment_id: lock.payment_id,
                amount: lock.amount,
                expiry: lock.expiry,
            });
            paid.private.unfirm_credit = paid.private.unfirm_credit.add(lock.amount).unwrap();
            paid.private.ack_by = lock.expiry.minus(Age::new(2 * MARGIN)).unwrap();
            self.delivered.push((state.channel, id, payee));
        }
        self.batch(vec![paying, paid])
    }

    fn accept(&mut self, state: &ClientState) -> Content {
        let mut leaf = self.next_leaf(state.channel);
        leaf.private.ack = state.reference();
        self.debit = state.debit;
        leaf
    }

    /// Accepts a state that settles the lock at slot 0.
    pub(crate) fn settle(&mut self, state: &SignedState) -> Batch {
        self.settle_state(&state.state)
    }

    /// As [`PlayedHub::settle`], from what a `Pay` holds.
    pub(crate) fn settle_state(&mut self, state: &ClientState) -> Batch {
        let mut leaf = self.accept(state);
        let id = self.delivered[0].1;
        let slot = LockSlot::new(0).unwrap();
        leaf.outcomes
            .push(outcome(state, OpKind::Settle, slot, OpOutcome::Done, id));
        self.batch(vec![leaf])
    }

    /// An ack of the newest leaf, as client `seed` signs it.
    pub(crate) fn ack_as(&mut self, seed: u8, channel: ChannelId) {
        let newest = self.leaves[&channel].last().unwrap();
        let ack = Ack {
            channel,
            leaf: LeafRef {
                counter: newest.private.counter,
                digest: newest.digest(),
            },
        };
        let signature = ack.sign(&LEDGER, &SecretKey::from_seed([seed; 32]));
        self.acks.insert(channel, (ack, signature));
    }

    pub(crate) fn take_ack(&mut self, ack: &SignedAck) {
        self.acks.insert(ack.ack.channel, (ack.ack, *ack.message().signature));
    }

    /// Makes all credit firm, after an ack.
    pub(crate) fn firm(&mut self, channel: ChannelId) -> Batch {
        assert!(self.acks.contains_key(&channel), "an ack was taken");
        self.firm_unacked(channel)
    }

    /// Makes all credit firm, ack or not.
    pub(crate) fn firm_unacked(&mut self, channel: ChannelId) -> Batch {
        let mut leaf = self.next_leaf(channel);
        leaf.private.firm_credit = leaf.private.firm_credit.add(leaf.private.unfirm_credit).unwrap();
        leaf.private.unfirm_credit = Amount::ZERO;
        leaf.private.ack_by = Height::ZERO;
        self.batch(vec![leaf])
    }

    pub(crate) fn refresh(&mut self, channel: ChannelId) -> Batch {
        let leaf = self.next_leaf(channel);
        self.batch(vec![leaf])
    }

    /// The final leaf, by which the client has paid `debit` in all.
    pub(crate) fn close(&mut self, channel: ChannelId, debit: Amount, fee: Amount) -> Batch {
        let terms = FinalTerms {
            channel,
            client_payout: sat(600).sub(debit).unwrap().sub(fee).unwrap(),
            hub_payout: sat(400).add(debit).unwrap(),
            fee,
            successor: OutPoint {
                txid: Txid::ZERO,
                vout: 0,
            },
        };
        self.finish(channel, terms)
    }

    /// The final leaf with these terms.
    pub(crate) fn finish(&mut self, channel: ChannelId, terms: FinalTerms) -> Batch {
        let mut leaf = self.next_leaf(channel);
        leaf.private.kind = LeafKind::Final;
        leaf.terms = Some(terms);
        self.batch(vec![leaf])
    }

    /// The proof that the payee of the delivered lock `which` has acknowledged it.
    pub(crate) fn proof(&self, payer: ChannelId, which: usize) -> ProofBytes {
        let (from, id, payee) = self.delivered[which];
        assert_eq!(from, payer);
        let (ack, signature) = &self.acks[&payee];
        let leaves = &self.leaves[&payee];
        let first = leaves
            .iter()
            .position(|leaf| leaf.credits.iter().any(|c| c.lock == id))
            .unwrap();
        let acked = leaves
            .iter()
            .position(|leaf| leaf.private.counter == ack.leaf.counter)
            .unwrap();
        let entries: Vec<_> = leaves[first].credits.iter().map(Credit::entry).collect();
        let at = leaves[first].credits.iter().position(|c| c.lock == id).unwrap();
        let index = u32::try_from(at).unwrap();
        let path: Vec<_> = merkle::Tree::build(merkle::LIST, &entries).path(index).collect();
        let links: Vec<_> = leaves[first..=acked].iter().map(link).collect();
        let answer = AckProof {
            channel: payer,
            lock: id,
            proof: Some(Proof {
                payee: key(2),
                ack: &ack.to_vec().try_into().unwrap(),
                signature,
                salt: &leaves[first].credits[at].salt,
                index,
                count: u32::try_from(entries.len()).unwrap(),
                path: &path,
                links: &links,
            }),
        };
        let mut bytes = Vec::new();
        answer.put(&mut bytes);
        ProofBytes { bytes }
    }

    pub(crate) fn sync_answer<'a>(
        &self,
        channel: ChannelId,
        leaves: &'a [SyncLeaf<'a>],
        fresh: Option<&'a Batch>,
    ) -> SyncAnswer<'a> {
        assert!(self.leaves.contains_key(&channel));
        SyncAnswer {
            channel,
            status: ChannelStatus::Active,
            funding: opened(self, 1, 0).funding,
            terms: &[],
            state: None,
            operations: &[],
            locks: Items::default(),
            leaves: leaves.into(),
            answers: Items::default(),
            fresh: fresh.map(|batch| FreshReceipt {
                header: batch.receipt().header,
                entry: batch.receipt().entries.iter().next().unwrap(),
            }),
            in_locks: &[],
        }
    }
}

fn link(leaf: &Content) -> Link {
    Link {
        public: leaf.public.to_vec().try_into().unwrap(),
        private: leaf.private.digest(),
    }
}

fn adds(encoded: &[u8]) -> Vec<(LockSlot, Lock)> {
    let mut operations = Vec::new();
    decode_operations(encoded, &mut operations).unwrap();
    let adds = operations.into_iter().map(|operation| match operation {
        Operation::Add { slot, lock } => (slot, lock),
        other => panic!("{other:?} is no add"),
    });
    adds.collect()
}

fn outcome(state: &ClientState, kind: OpKind, slot: LockSlot, outcome: OpOutcome, lock: LockId) -> Outcome {
    Outcome {
        counter: state.counter,
        kind,
        slot,
        outcome,
        lock,
        salt: [0; 16],
        preimage: [0; 32],
    }
}

fn encode_batch(header: &[u8; 248], leaves: &[Content], tree: &merkle::Tree) -> Vec<u8> {
    let arrays: Vec<_> = leaves
        .iter()
        .map(|leaf| {
            let credits: Vec<[u8; 80]> = leaf.credits.iter().map(|c| c.to_vec().try_into().unwrap()).collect();
            let outcomes: Vec<[u8; 96]> = leaf.outcomes.iter().map(|o| o.to_vec().try_into().unwrap()).collect();
            let private: [u8; 216] = leaf.private.to_vec().try_into().unwrap();
            let public: [u8; 96] = leaf.public.to_vec().try_into().unwrap();
            let terms: Option<[u8; 96]> = leaf.terms.map(|terms| terms.to_vec().try_into().unwrap());
            (credits, outcomes, private, public, terms)
        })
        .collect();
    let paths: Vec<Vec<Digest>> = (0..).zip(leaves).map(|(at, _)| tree.path(at).collect()).collect();
    let entries: Vec<_> = (0..)
        .zip(&arrays)
        .zip(&paths)
        .map(
            |((index, (credits, outcomes, private, public, terms)), path)| ReceiptEntry {
                index,
                private,
                public,
                path,
                shared: false,
                credits,
                outcomes,
                answers: Items::default(),
                in_changes: &[],
                final_terms: terms.as_ref(),
            },
        )
        .collect();
    let mut body = Vec::new();
    let receipt = Receipt {
        header,
        entries: entries[..].into(),
    };
    receipt.put(&mut body);
    body
}
