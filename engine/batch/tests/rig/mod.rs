//! A hub without I/O and its clients: the engine, and a wallet for each channel that checks every leaf.
#![allow(dead_code, reason = "each test file uses its part")]

pub(crate) mod acts;

use tidegate_batch::{
    AckInput, BlockInput, CloseInput, Engine, Executed, FulfilInput, Input, PayInput, Policy, ReleaseInput, Slots,
    SpliceInput, Store, TABLES, VecSlots,
};
use tidegate_channel::evidence::{
    AckProof, ClientEvidence, EntryPath, HubEvidence, LeafLink, LeafProof, Pair, ProvenLeaf, StateNaming, StateNote,
};
use tidegate_channel::wallet::{LeafView, SettleOn, Wallet};
use tidegate_channel::{ChannelTerms, Condition, LeafKind, Lock, Operation};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::merkle::StateTree;
use tidegate_types::{
    Age, Amount, ChannelId, Digest, Height, HubCounter, KeyBytes, LedgerId, LockId, OutPoint, PaymentId,
    SignatureBytes, Txid, UnixMillis,
};

pub(crate) const MARGIN: u32 = 2;
pub(crate) const CAPACITY: u64 = 1_000_000;

pub(crate) fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("test amounts are small")
}

pub(crate) struct Client {
    pub(crate) key: SecretKey,
    pub(crate) id: ChannelId,
    pub(crate) wallet: Wallet,
}

pub(crate) struct Rig {
    pub(crate) engine: Engine<VecSlots>,
    pub(crate) hub: SecretKey,
    pub(crate) ledger: LedgerId,
    pub(crate) clients: Vec<Client>,
    pub(crate) out: Executed,
    pub(crate) height: u32,
    pub(crate) now: u64,
    pub(crate) next_payment: u64,
    /// Every input of every batch, and the batches as the log holds them, for a replay.
    pub(crate) history: Vec<Vec<Input>>,
    pub(crate) log: Vec<Vec<u8>>,
    /// Kept from what each batch says it changed.
    pub(crate) tree: StateTree,
}

pub(crate) fn policy() -> Policy {
    Policy {
        margin: Age::new(MARGIN),
        ack_interval: Age::new(1),
        max_lock: Age::new(100),
        min_amount: sat(1),
        fee_base: sat(0),
        fee_ppm: 0,
        max_unfirm_credits: 1000,
        max_in_locks: 64,
        max_in_locks_per_payer: 16,
        max_forwarded: 40,
    }
}

pub(crate) fn tables() -> Store<VecSlots> {
    Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, 1 << 20)))
}

pub(crate) fn terms(client: &SecretKey, hub: &SecretKey, nonce: u32) -> ChannelTerms {
    ChannelTerms {
        client: client.public().bytes(),
        hub: hub.public().bytes(),
        client_payout: client.public().bytes(),
        hub_payout: hub.public().bytes(),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(CAPACITY),
        opening_share: sat(CAPACITY / 2),
        client_reserve: sat(1000),
        hub_reserve: sat(1000),
        dispute_window: Age::new(144),
        evidence_grace: Age::new(6),
        expiry: Height::new(1_000_000),
        nonce,
    }
}

impl Rig {
    pub(crate) fn new(clients: u32) -> Self {
        let hub = SecretKey::from_seed([7; 32]);
        let ledger = LedgerId::from_bytes([9; 32]);
        let mut engine =
            Engine::create(tables(), hub.public().bytes(), ledger, policy(), [3; 32]).expect("empty tables");
        engine.note_changes(true);
        let mut rig = Self {
            engine,
            hub,
            ledger,
            clients: Vec::new(),
            out: Executed::default(),
            height: 0,
            now: 1_000,
            next_payment: 1,
            history: Vec::new(),
            log: Vec::new(),
            tree: StateTree::default(),
        };
        let mut opened = Vec::new();
        for n in 0..clients {
            let mut seed = [1; 32];
            seed[..4].copy_from_slice(&n.to_le_bytes());
            let key = SecretKey::from_seed(seed);
            let terms = terms(&key, &rig.hub, n);
            let funding = OutPoint {
                txid: Txid::from_bytes([5; 32]),
                vout: n,
            };
            let id = terms.channel_id(&funding);
            let wallet = Wallet::new(id, terms, Age::new(MARGIN), SettleOn::Delivered);
            rig.clients.push(Client { key, id, wallet });
            opened.push((terms, funding));
        }
        let block = BlockInput {
            opened,
            ..BlockInput::empty(Height::new(1), Digest::from_bytes([1; 32]))
        };
        rig.height = 1;
        rig.batch(vec![Input::Block(block)]);
        rig
    }

    /// Executes a batch; every client checks its leaf.
    pub(crate) fn batch(&mut self, inputs: Vec<Input>) {
        self.now += 10;
        self.engine
            .execute(UnixMillis::new(self.now), &inputs, &mut self.out)
            .expect("the tables are large");
        let mut logged = Vec::new();
        self.engine.append_logged(&inputs, &self.out, &mut logged);
        self.log.push(logged);
        self.accept_leaves();
        self.history.push(inputs);
        self.check_in_locks();
        self.check_shown();
        self.check_owed();
        let (held, capacity) = self.engine.value();
        assert_eq!(held, capacity, "value is conserved");
        let (slots, digests): (Vec<_>, Vec<_>) = self.out.changes.iter().map(|(s, e)| (s, e.digest())).unzip();
        self.tree.update(&slots, &digests);
        let rebuilt = self.engine.state_root();
        assert_eq!(self.tree.root(), rebuilt, "a batch says all that it changes");
    }

    /// Every client checks its leaf of the newest batch.
    pub(crate) fn accept_leaves(&mut self) {
        let signed = self.out.header.sign(&self.ledger, &self.hub);
        signed
            .verify(&self.ledger, &self.hub.public())
            .expect("the hub's own signature");
        for (index, leaf) in self.out.leaves().iter().enumerate() {
            let view = LeafView {
                private: &leaf.private,
                public: &leaf.public,
                credits: &leaf.credits,
                outcomes: Some(&leaf.outcomes),
                in_changes: &leaf.in_changes,
            };
            let index = u32::try_from(index).expect("few leaves");
            let path: Vec<Digest> = self.out.tree.path(index).collect();
            signed
                .check_path(&view.digest(), index, &path)
                .expect("the leaf is in the tree");
            let client = self
                .clients
                .iter_mut()
                .find(|c| c.id == leaf.private.channel)
                .expect("a known channel");
            let known = client.wallet.hub();
            if known.leaf().kind == LeafKind::Final {
                assert_eq!(&leaf.private, known.leaf(), "the final leaf again, and no other");
                assert_eq!(known.reference().digest, view.digest());
                continue;
            }
            assert_eq!(leaf.private.height, self.out.header.height);
            client
                .wallet
                .accept(view)
                .expect("an honest hub's leaf follows from the one before");
        }
    }

    /// Every client believes those in-locks that the hub holds for it, and a come-back would be told of every change. What
    /// becomes of them once the channel has ended is the ledger's.
    fn check_in_locks(&self) {
        for (n, client) in self.clients.iter().enumerate() {
            let view = self.view(n);
            if view.is_settled() {
                continue;
            }
            let held: Vec<_> = view.in_locks.iter().map(|l| (l.slot, l.lock)).collect();
            let believed: Vec<_> = client
                .wallet
                .hub()
                .in_locks()
                .iter()
                .map(|l| (l.slot, l.lock))
                .collect();
            assert_eq!(held, believed);
        }
    }

    /// After every batch the hub could show its newest evidence of every channel, and the ledger would take it.
    fn check_shown(&self) {
        for (n, client) in self.clients.iter().enumerate() {
            let view = self.view(n);
            let Some(pair) = self.shown(n) else {
                assert!(view.is_settled());
                continue;
            };
            pair.check_content(&client.id, &view.terms)
                .unwrap_or_else(|error| panic!("client {n}: {error} of {pair:?}"));
            let named = view
                .state
                .ack
                .counter
                .max(view.ack.map_or(HubCounter::ZERO, |(ack, _)| ack.leaf.counter));
            assert_eq!(pair.counters(), (view.state.counter, named));
        }
    }

    /// Of all that is owed by a payee's ack the hub holds a proof that the ledger would take, whatever became of the payee.
    fn check_owed(&self) {
        for (n, client) in self.clients.iter().enumerate() {
            let payer = self.engine.channel(&client.id).expect("an open channel");
            let open = self.view(n).locks.into_iter();
            for lock in open.filter(|lock| lock.credit == "firm" && lock.lock.condition == Condition::Ack) {
                let proof = self.engine.debt_proof(payer, &lock.id).expect("what is owed is proved");
                let links = proof.links.iter().rev();
                let way = AckProof {
                    links: links
                        .map(|link| LeafLink {
                            private: link.private,
                            public: link.public,
                        })
                        .collect(),
                    entry: EntryPath {
                        index: proof.index,
                        count: proof.count,
                        salt: proof.salt,
                        path: proof.path,
                    },
                };
                assert!(way.links.len() <= AckProof::LINKS_MAX, "{} links", way.links.len());
                way.check(&proof.ack.leaf.digest, &lock.id)
                    .expect("the way leads from the acknowledged leaf to the credit");
            }
        }
    }

    /// What the hub can show of a client's channel, with its own signatures.
    pub(crate) fn shown(&self, client: usize) -> Option<Pair> {
        let slot = self.engine.channel(&self.clients[client].id).expect("an open channel");
        let shown = self.engine.shown(slot)?;
        let channel = shown.channel;
        let client = shown.state.map(|(signed, locks)| {
            let state = signed.state.reference();
            let note = StateNote { channel, state }.sign(&self.ledger, &self.hub);
            Box::new(ClientEvidence {
                signed,
                named: StateNaming::ByNote(note),
                locks,
            })
        });
        let hub = shown.leaf.map(|half| {
            let mut leaf = ProvenLeaf {
                proof: LeafProof::Note(SignatureBytes::ZERO),
                private: half.private,
                public: half.public,
            };
            leaf.proof = LeafProof::Note(leaf.note().sign(&self.ledger, &self.hub));
            Box::new(HubEvidence {
                leaf,
                named: half.named,
                locks: half.locks,
            })
        });
        Some(Pair { client, hub })
    }

    /// Reads the log into a new engine, and executes it there: the same inputs, the same state.
    pub(crate) fn replay(&self) {
        let hub = self.hub.public().bytes();
        let mut engine = Engine::create(tables(), hub, self.ledger, policy(), [3; 32]).expect("empty tables");
        let (mut out, mut now, mut inputs) = (Executed::default(), 1_000, Vec::new());
        for (expected, logged) in self.history.iter().zip(&self.log) {
            let mut reader = tidegate_types::Reader::new(logged);
            let count = u32::try_from(expected.len()).expect("few inputs");
            engine
                .read_logged(&mut reader, count, &mut inputs)
                .expect("the log's own form");
            reader.finish().expect("nothing else");
            assert_eq!(&inputs, expected);
            now += 10;
            engine
                .execute(UnixMillis::new(now), &inputs, &mut out)
                .expect("the tables are large");
        }
        assert_eq!(
            (engine.state_root(), engine.opened()),
            (self.engine.state_root(), self.engine.opened())
        );
    }

    pub(crate) fn mine(&mut self, blocks: u32) -> Input {
        self.height += blocks;
        let hash = Digest::from_bytes([u8::try_from(self.height % 251).expect("a byte") + 1; 32]);
        Input::Block(BlockInput::empty(Height::new(self.height), hash))
    }

    pub(crate) fn lock(&mut self, payee: usize, amount: u64) -> Lock {
        let mut payment_id = [0; 16];
        payment_id[..8].copy_from_slice(&self.next_payment.to_le_bytes());
        self.next_payment += 1;
        Lock {
            payment_id: PaymentId::from_bytes(payment_id),
            amount: sat(amount),
            fee: sat(0),
            payee: self.clients[payee].key.public().bytes(),
            payee_channel: self.clients[payee].id,
            expiry: Height::new(self.height + 50),
            condition: Condition::Ack,
        }
    }

    /// A lock that waits for `preimage`.
    pub(crate) fn hash_lock(&mut self, payee: usize, amount: u64, preimage: &[u8; 32]) -> Lock {
        Lock {
            condition: Condition::Hash(payment_hash(preimage)),
            ..self.lock(payee, amount)
        }
    }

    /// A lock that waits for `preimage`, for a payee at another hub.
    pub(crate) fn away_lock(&mut self, amount: u64, preimage: &[u8; 32]) -> Lock {
        Lock {
            payee: KeyBytes::from_bytes([0xaa; 32]),
            payee_channel: ChannelId::from_bytes([0xbb; 32]),
            ..self.hash_lock(0, amount, preimage)
        }
    }

    pub(crate) fn fulfil(&self, payee: usize, lock: LockId, preimage: [u8; 32]) -> Input {
        let channel = self.clients[payee].id;
        Input::Fulfil(FulfilInput {
            channel,
            lock,
            preimage,
        })
    }

    /// The payee's wallet gives a lock up, and signs so.
    pub(crate) fn release(&mut self, payee: usize, lock: LockId) -> Input {
        let client = &mut self.clients[payee];
        let release = client.wallet.release(&lock).expect("an open in-lock");
        let signature = release.sign(&self.ledger, &client.key);
        Input::Release(ReleaseInput { release, signature })
    }

    pub(crate) fn sign(&self, payer: usize, state: tidegate_channel::ClientState, operations: Vec<Operation>) -> Input {
        let signature = state.sign(&self.ledger, &self.clients[payer].key);
        Input::Pay(PayInput {
            state,
            signature,
            operations,
        })
    }

    pub(crate) fn pay(&mut self, payer: usize, locks: &[Lock]) -> Input {
        let height = Height::new(self.height);
        let (state, operations) = self.clients[payer]
            .wallet
            .pay(locks, height)
            .expect("the test's payers can pay");
        self.sign(payer, state, operations)
    }

    pub(crate) fn ack(&mut self, client: usize) -> Input {
        let ack = self.clients[client]
            .wallet
            .ack(Height::new(self.height))
            .expect("something to acknowledge");
        let signature = ack.sign(&self.ledger, &self.clients[client].key);
        Input::Ack(AckInput { ack, signature })
    }

    /// True if the client has a leaf that it has not acknowledged.
    pub(crate) fn has_leaf(&self, client: usize) -> bool {
        let view = self.view(client);
        view.acked < view.leaf.counter
    }

    pub(crate) fn close(&self, client: usize, fee: u64) -> Input {
        Input::Close(CloseInput {
            channel: self.clients[client].id,
            fee: sat(fee),
        })
    }

    /// A client's wish for a successor, as its balances come to.
    pub(crate) fn splice(&self, client: usize, coins: u64, change: u64, fee: u64) -> SpliceInput {
        let view = self.view(client);
        let share = view.client_balance.to_sat() + coins - change - fee;
        SpliceInput {
            channel: view.id,
            transaction: Txid::from_bytes([6; 32]),
            coins: sat(coins),
            change: sat(change),
            fee: sat(fee),
            client_share: sat(share),
            hub_share: view.hub_balance,
        }
    }

    pub(crate) fn view(&self, client: usize) -> tidegate_batch::ChannelView {
        let slot = self.engine.channel(&self.clients[client].id).expect("an open channel");
        self.engine.view(slot).expect("an open channel")
    }

    /// The reason of the only refusal of the last batch.
    pub(crate) fn refusal(&self) -> Option<tidegate_channel::RefuseReason> {
        assert!(self.out.refusals.len() <= 1);
        self.out.refusals.first().and_then(|refusal| refusal.reason)
    }
}

pub(crate) const NO_SIGNATURE: SignatureBytes = SignatureBytes::ZERO;

/// A sum over all bytes of a table.
pub(crate) fn checksum(slots: &VecSlots) -> u64 {
    let bytes = (0..slots.len()).flat_map(|slot| slots.slot(slot));
    bytes.fold(slots.len() as u64, |sum, byte| {
        (sum.rotate_left(7) ^ u64::from(*byte)).wrapping_mul(0x9e37_79b9_7f4a_7c15)
    })
}
