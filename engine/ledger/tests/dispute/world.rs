//! One hub, channels with it, and everything that the two ends sign.

use tidegate_channel::evidence::{
    ClientEvidence, HubEvidence, LeafNaming, LeafProof, Mandate, MandateSubject, OpenedIn, OpenedOut, Opener, Pair,
    ProvenLeaf, Side, SignedStart, SignedState, StartClose, StateNaming,
};
use tidegate_channel::{
    Ack, BatchHeader, ChannelTerms, ClientState, Condition as LockTerms, InLock, LeafKind, LeafPrivate, LeafPublic,
    LeafRef, Lock, StateRef, leaf_digest, opening_leaf, opening_state,
};
use tidegate_crypto::merkle::{LockTree, RECEIPTS, Tree};
use tidegate_ledger::{
    Action, Block, Chain, Event, LedgerParams, MemoryStore, Mempool, Output, Payer, Transaction, TransactionBody,
    TransactionError, Witness,
};
use tidegate_types::{
    Age, Amount, BatchNumber, ChannelId, ClientCounter, Digest, Height, HubCounter, KeyBytes, LedgerId, LockSlot,
    OutPoint, PaymentId, SignatureBytes, Txid, UnixMillis,
};

use crate::common::{HUB, HUB_PAYOUT, key, sat, secret, solo};

pub(crate) const CLIENT: u8 = 10;
pub(crate) const EMERGENCY: u8 = 30;
pub(crate) const CAPACITY: u64 = 1_000_000;
pub(crate) const SHARE: u64 = 600_000;
pub(crate) const WINDOW: u32 = 6;
pub(crate) const GRACE: u32 = 3;

/// What the client owes, before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct C {
    pub(crate) counter: u64,
    pub(crate) debit: u64,
    pub(crate) locks: Vec<OpenedOut>,
    /// The leaf that it acknowledges.
    pub(crate) ack: LeafRef,
}

/// What the hub owes, before it is signed.
#[derive(Clone, Debug)]
pub(crate) struct H {
    pub(crate) counter: u64,
    pub(crate) firm: u64,
    pub(crate) unfirm: u64,
    pub(crate) ack_by: u32,
    pub(crate) locks: Vec<OpenedIn>,
    /// The state that it acknowledges.
    pub(crate) ack: StateRef,
    pub(crate) batch: u64,
    pub(crate) kind: LeafKind,
    pub(crate) previous: Digest,
    pub(crate) credited: Digest,
    pub(crate) failed: Digest,
}

/// A chain with channels of one hub, and the pool before it.
pub(crate) struct World {
    pub(crate) chain: Chain<MemoryStore>,
    pub(crate) pool: Mempool,
    pub(crate) ledger: LedgerId,
    pub(crate) genesis: Txid,
    clock: u64,
}

/// One channel of the world.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Channel {
    pub(crate) ledger: LedgerId,
    pub(crate) outpoint: OutPoint,
    pub(crate) id: ChannelId,
    pub(crate) terms: ChannelTerms,
    pub(crate) client: u8,
}

pub(crate) fn params() -> LedgerParams {
    LedgerParams {
        dispute_window_min: Age::new(WINDOW),
        ..LedgerParams::default()
    }
}

pub(crate) fn terms(client: u8) -> ChannelTerms {
    ChannelTerms {
        emergency: key(EMERGENCY),
        dispute_window: Age::new(WINDOW),
        evidence_grace: Age::new(GRACE),
        expiry: Height::new(200),
        ..crate::common::terms(client, CAPACITY, SHARE)
    }
}

impl World {
    /// Outputs 0 and 1 are channels of clients 10 and 20; 2 to 5 are coins of the keys of their numbers.
    pub(crate) fn new() -> Self {
        Self::with(params(), &[])
    }

    pub(crate) fn with(params: LedgerParams, more: &[Output]) -> Self {
        let mut outputs = vec![Output::to_channel(&terms(CLIENT)), Output::to_channel(&terms(20))];
        outputs.extend((2..6).map(|n| Output::to_key(sat(100_000), key(n))));
        outputs.extend(more);
        let (chain, _) = crate::common::chain(params, &outputs);
        Self {
            ledger: chain.ledger(),
            genesis: tidegate_ledger::genesis_outpoint(&chain.ledger(), 0).txid,
            chain,
            pool: Mempool::new(1 << 20),
            clock: 1_700_000_000_000,
        }
    }

    pub(crate) fn channel(&self, index: u32) -> Channel {
        let client = if index == 0 { CLIENT } else { 20 };
        let outpoint = OutPoint {
            txid: self.genesis,
            vout: index,
        };
        Channel {
            ledger: self.ledger,
            outpoint,
            id: terms(client).channel_id(&outpoint),
            terms: terms(client),
            client,
        }
    }

    pub(crate) fn coin(&self, n: u8) -> OutPoint {
        OutPoint {
            txid: self.genesis,
            vout: n.into(),
        }
    }

    pub(crate) fn height(&self) -> u32 {
        self.chain.tip().height.get()
    }

    pub(crate) fn submit(&mut self, transaction: Transaction) -> Result<(), TransactionError> {
        let decoded = Transaction::decode(&transaction.encode()).expect("what is sent decodes");
        assert_eq!(decoded, transaction);
        let checked = self.chain.check(transaction)?;
        self.pool.insert(checked).expect("the pool has room");
        Ok(())
    }

    pub(crate) fn seal(&mut self) -> (Block, Vec<Event>) {
        self.clock += 500;
        let before = self.chain.clone();
        let sealed = solo().seal(&mut self.chain, &mut self.pool, UnixMillis::new(self.clock));
        let sealed = sealed.expect("it seals");
        // Whoever checks everything comes to the same ledger, and whoever trusts its records too.
        for trust in [tidegate_ledger::Trust::Nothing, tidegate_ledger::Trust::OwnRecords] {
            let mut other = before.clone();
            let applied = other.apply(&sealed.block, trust).expect("the block holds");
            assert_eq!(applied, sealed.applied);
        }
        let supply = self.chain.supply();
        assert_eq!(supply.genesis, supply.unspent + supply.burned);
        (sealed.block, sealed.applied.events)
    }

    /// Submits and seals a block that holds it.
    pub(crate) fn put(&mut self, transaction: Transaction) -> Vec<Event> {
        let txid = transaction.txid();
        self.submit(transaction)
            .unwrap_or_else(|error| panic!("refused: {error}"));
        let (block, events) = self.seal();
        assert!(
            block.transactions.iter().any(|t| t.txid() == txid),
            "the block holds it"
        );
        events
    }

    /// Seals empty blocks until the tip has this height.
    pub(crate) fn until(&mut self, height: u32) {
        while self.height() < height {
            self.seal();
        }
    }

    /// What a key holds in `Key` outputs.
    pub(crate) fn held(&self, owner: KeyBytes) -> u64 {
        let outputs = self.chain.store().iter().map(|(_, utxo)| utxo.output);
        let own = outputs.filter(|o| o.condition == tidegate_ledger::Condition::Key(owner));
        own.map(|o| o.amount.to_sat()).sum()
    }

    /// Settles the channel as anyone may, in the next block.
    pub(crate) fn settle(&mut self, channel: &Channel) -> Vec<Event> {
        let transaction = self.chain.settlement(&channel.outpoint).expect("it is closing");
        self.put(transaction)
    }

    /// Settles as soon as it is allowed.
    pub(crate) fn settle_in_time(&mut self, channel: &Channel) -> Vec<Event> {
        let (state, _) = self.chain.close_of(&channel.outpoint).expect("it is closing");
        self.until(state.grace_end.get());
        self.settle(channel)
    }

    /// A transaction with an action that coins pay for: coin `n` in, the rest back.
    pub(crate) fn by_coin(&self, n: u8, first: Option<OutPoint>, action: Action) -> Transaction {
        let coin = self.coin(n);
        let inputs: Vec<_> = first.into_iter().chain([coin]).collect();
        let mut body = TransactionBody::of_action(inputs, vec![Output::to_key(sat(50_000), key(n))], action);
        let fee = self.chain.params().fee_min(body.cost_by_keys());
        body.outputs[0].amount = sat(100_000 - fee.to_sat());
        let own = Witness::Key(body.sign(&self.ledger, &secret(n)));
        let witnesses = first.map(|_| Witness::Action).into_iter().chain([own]).collect();
        Transaction { body, witnesses }
    }
}

/// A transaction with an action on an output that pays for itself.
pub(crate) fn alone(outpoint: OutPoint, action: Action) -> Transaction {
    Transaction {
        body: TransactionBody::of_action(vec![outpoint], Vec::new(), action),
        witnesses: vec![Witness::Action],
    }
}

impl Channel {
    pub(crate) fn c0(&self) -> StateRef {
        opening_state(self.id).reference()
    }

    pub(crate) fn h0(&self) -> LeafRef {
        let (private, public) = opening_leaf(self.id);
        LeafRef {
            counter: HubCounter::ZERO,
            digest: leaf_digest(&private.digest(), &public.digest()),
        }
    }

    /// The state `counter`, which acknowledges H(0) and owes `debit`.
    pub(crate) fn c(&self, counter: u64, debit: u64) -> C {
        C {
            counter,
            debit,
            locks: Vec::new(),
            ack: self.h0(),
        }
    }

    /// The leaf `counter`, which acknowledges C(0) and owes `firm`.
    pub(crate) fn h(&self, counter: u64, firm: u64) -> H {
        H {
            counter,
            firm,
            unfirm: 0,
            ack_by: 0,
            locks: Vec::new(),
            ack: self.c0(),
            batch: counter,
            kind: LeafKind::Update,
            previous: Digest::from_bytes([7; 32]),
            credited: Digest::ZERO,
            failed: Digest::ZERO,
        }
    }

    pub(crate) fn state(&self, c: &C) -> SignedState {
        let mut slots = [Digest::ZERO; LockSlot::COUNT];
        for open in &c.locks {
            slots[open.slot.index()] = Digest::from_bytes(*open.id(&self.id).as_bytes());
        }
        let state = ClientState {
            channel: self.id,
            counter: ClientCounter::new(c.counter),
            debit: sat(c.debit),
            locks_sum: Amount::sum(c.locks.iter().map(|open| open.lock.total().expect("small"))).expect("small"),
            locks_root: LockTree::root_of(&slots),
            ack: c.ack,
            operations: Digest::ZERO,
        };
        SignedState {
            state,
            signature: state.sign(&self.ledger, &secret(self.client)),
        }
    }

    pub(crate) fn parts(&self, h: &H) -> (LeafPrivate, LeafPublic) {
        let (private, _) = opening_leaf(self.id);
        let mut slots = [Digest::ZERO; LockSlot::COUNT];
        for open in &h.locks {
            slots[open.slot.index()] = open.lock.digest();
        }
        let private = LeafPrivate {
            counter: HubCounter::new(h.counter),
            firm_credit: sat(h.firm),
            unfirm_credit: sat(h.unfirm),
            ack_by: Height::new(h.ack_by),
            in_locks_sum: Amount::sum(h.locks.iter().map(|open| open.lock.amount)).expect("small"),
            in_locks_root: LockTree::root_of(&slots),
            ack: h.ack,
            kind: h.kind,
            ..private
        };
        let public = LeafPublic {
            previous: h.previous,
            credited_root: h.credited,
            failed_root: h.failed,
        };
        (private, public)
    }

    /// The leaf by counter and digest.
    pub(crate) fn reference(&self, h: &H) -> LeafRef {
        let (private, public) = self.parts(h);
        LeafRef {
            counter: private.counter,
            digest: leaf_digest(&private.digest(), &public.digest()),
        }
    }

    /// The leaf in a batch of five, signed by the hub.
    pub(crate) fn leaf(&self, h: &H) -> ProvenLeaf {
        let (private, public) = self.parts(h);
        let mut leaves = [Digest::from_bytes([9; 32]); 5];
        leaves[2] = leaf_digest(&private.digest(), &public.digest());
        let tree = Tree::build(RECEIPTS, &leaves);
        let header = BatchHeader {
            hub: key(HUB),
            number: BatchNumber::new(h.batch),
            previous: Digest::from_bytes([3; 32]),
            leaf_count: 5,
            height: Height::new(1),
            leaves_root: tree.root(),
            outcomes: Digest::from_bytes([4; 32]),
            block: Digest::from_bytes([5; 32]),
            time: UnixMillis::new(6),
        };
        let proof = LeafProof::Batch {
            header: Box::new(header.sign(&self.ledger, &secret(HUB))),
            index: 2,
            path: tree.path(2).collect(),
        };
        ProvenLeaf { proof, private, public }
    }

    pub(crate) fn ack(&self, leaf: LeafRef) -> (Ack, SignatureBytes) {
        let ack = Ack { channel: self.id, leaf };
        (ack, ack.sign(&self.ledger, &secret(self.client)))
    }

    /// The client's half, named as given.
    pub(crate) fn client_half(&self, c: &C, named: StateNaming) -> Box<ClientEvidence> {
        Box::new(ClientEvidence {
            signed: self.state(c),
            named,
            locks: c.locks.clone(),
        })
    }

    /// The hub's half, named by an ack of its own.
    pub(crate) fn hub_half(&self, h: &H) -> Box<HubEvidence> {
        let leaf = self.leaf(h);
        let (_, signature) = self.ack(leaf.reference());
        Box::new(HubEvidence {
            leaf,
            named: LeafNaming::ByAck(signature),
            locks: h.locks.clone(),
        })
    }

    /// The usual newest pair: the leaf acknowledges the state, an ack names the leaf.
    pub(crate) fn pair(&self, c: &C, h: &H) -> Pair {
        let h = H {
            ack: self.state(c).state.reference(),
            ..h.clone()
        };
        Pair {
            client: Some(self.client_half(c, StateNaming::ByLeaf)),
            hub: Some(self.hub_half(&h)),
        }
    }

    /// The start of a close; a hub names its batch 9.
    pub(crate) fn start(&self, opener: Opener, pair: Option<Pair>) -> Transaction {
        let batch = if opener == Opener::Hub { 9 } else { 0 };
        let start = self.signed_start(opener, batch, pair.as_ref().map(Pair::counters));
        let pair = pair.map(Box::new);
        alone(self.outpoint, Action::StartClose { start, pair })
    }

    pub(crate) fn signed_start(
        &self,
        opener: Opener,
        batch: u64,
        counters: Option<(ClientCounter, HubCounter)>,
    ) -> SignedStart {
        let (client, hub) = counters.unwrap_or_default();
        let start = StartClose {
            channel: self.id,
            opener,
            has_evidence: counters.is_some(),
            batch: BatchNumber::new(batch),
            client,
            hub,
        };
        let signature = match opener {
            Opener::Client => start.sign(&self.ledger, &secret(self.client)),
            Opener::Hub => start.sign(&self.ledger, &secret(HUB)),
            Opener::Emergency => start.sign(&self.ledger, &secret(EMERGENCY)),
            Opener::Anyone => SignatureBytes::ZERO,
        };
        SignedStart { start, signature }
    }

    pub(crate) fn payer(&self, side: Side, subject: MandateSubject) -> Payer {
        let mandate = Mandate {
            channel: self.id,
            side,
            subject,
        };
        let signer = match side {
            Side::Client => self.client,
            Side::Hub => HUB,
        };
        Payer::Side(side, mandate.sign(&self.ledger, &secret(signer)))
    }

    /// A pair, paid for by a side.
    pub(crate) fn evidence(&self, side: Side, pair: Pair) -> Transaction {
        let (c, h) = pair.counters();
        let payer = self.payer(side, MandateSubject::Pair(c, h));
        let action = Action::Evidence {
            channel: self.id,
            payer,
            pair: Box::new(pair),
        };
        alone(self.outpoint, action)
    }
}

/// An out-lock of 1 000 with a fee of 10.
pub(crate) fn out_lock(slot: u8, condition: LockTerms, payee: ChannelId, expiry: u32) -> OpenedOut {
    OpenedOut {
        slot: LockSlot::new(slot).expect("below 64"),
        added: ClientCounter::new(1),
        lock: Lock {
            payment_id: PaymentId::from_bytes([slot; 16]),
            amount: sat(1_000),
            fee: sat(10),
            payee: key(20),
            payee_channel: payee,
            expiry: Height::new(expiry),
            condition,
        },
    }
}

/// The in-lock that a payee holds against its hub for an out-lock of a payer.
pub(crate) fn in_lock(slot: u8, payer: &Channel, out: &OpenedOut) -> OpenedIn {
    OpenedIn {
        slot: LockSlot::new(slot).expect("below 64"),
        lock: InLock::of(&out.lock, out.id(&payer.id)).expect("a hash lock"),
    }
}

/// What client and hub of a channel got, given that each began with nothing in `Key` outputs of its payout key.
pub(crate) fn payouts(world: &World, channel: &Channel) -> (u64, u64) {
    (world.held(channel.terms.client_payout), world.held(key(HUB_PAYOUT)))
}
