//! The generator: clients with wallets, and the batches that they fill. All of it follows from a seed.

use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_batch::{AckInput, BlockInput, CloseInput, Executed, Input, PayInput, Policy};
use tidegate_channel::wallet::{LeafView, SettleOn, Wallet};
use tidegate_channel::{ChannelTerms, ClientState, Condition, Lock};
use tidegate_crypto::keys::SecretKey;
use tidegate_hub::state::Params;
use tidegate_types::{
    Age, Amount, ChannelId, Digest, Height, KeyBytes, LedgerId, OutPoint, PaymentId, Txid, UnixMillis,
};

/// When the first batch is sealed.
pub const GENESIS_TIME: UnixMillis = UnixMillis::new(1);
/// The hash of the first block.
const GENESIS_BLOCK: Digest = Digest::from_bytes([1; 32]);
const MARGIN: u32 = 2;
const CAPACITY_SAT: u64 = 1_000_000;
/// A multiple of 4096 and small, so that segments are often begun, recycled, and removed when there are too many.
const SEGMENT_BYTES: u64 = 12 << 10;

struct Client {
    key: SecretKey,
    id: ChannelId,
    funding: OutPoint,
    wallet: Wallet,
}

/// Clients, a ledger's height, and chance.
pub struct World {
    random: ChaCha8Rng,
    hub: SecretKey,
    ledger: LedgerId,
    clients: Vec<Client>,
    height: u32,
    next_payment: u64,
    /// Some of what was sent before: a client may send anything again.
    sent: Vec<Input>,
}

impl core::fmt::Debug for World {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("World")
            .field("height", &self.height)
            .finish_non_exhaustive()
    }
}

/// A state that is not what its client has signed, or could be.
fn bent(mut pay: PayInput, bend: impl FnOnce(&mut ClientState)) -> PayInput {
    bend(&mut pay.state);
    pay
}

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("the amounts here are small")
}

impl World {
    /// The world of a seed, with this many clients of one channel each.
    #[must_use]
    pub fn new(seed: u64, clients: u32) -> Self {
        let mut world = Self {
            random: ChaCha8Rng::seed_from_u64(seed),
            hub: SecretKey::from_seed([7; 32]),
            ledger: LedgerId::from_bytes([9; 32]),
            clients: Vec::new(),
            height: 0,
            next_payment: 1,
            sent: Vec::new(),
        };
        for nonce in 0..clients {
            let client = world.client(nonce);
            world.clients.push(client);
        }
        world
    }

    fn client(&mut self, nonce: u32) -> Client {
        let key = SecretKey::from_seed(self.random.random());
        let terms = ChannelTerms {
            client: key.public().bytes(),
            hub: self.hub.public().bytes(),
            client_payout: key.public().bytes(),
            hub_payout: self.hub.public().bytes(),
            emergency: KeyBytes::ZERO,
            delegate: KeyBytes::ZERO,
            capacity: sat(CAPACITY_SAT),
            opening_share: sat(CAPACITY_SAT / 2),
            client_reserve: sat(1_000),
            hub_reserve: sat(1_000),
            dispute_window: Age::new(144),
            evidence_grace: Age::new(6),
            expiry: Height::new(1_000_000),
            nonce,
        };
        let funding = OutPoint {
            txid: Txid::from_bytes([5; 32]),
            vout: nonce,
        };
        let id = terms.channel_id(&funding);
        Client {
            key,
            id,
            funding,
            wallet: Wallet::new(id, terms, Age::new(MARGIN), SettleOn::Delivered),
        }
    }

    /// What the hub's state starts from.
    #[must_use]
    pub fn params(&self) -> Params {
        Params {
            hub: self.hub.public().bytes(),
            ledger: self.ledger,
            policy: Policy {
                margin: Age::new(MARGIN),
                ack_interval: Age::new(1),
                max_lock: Age::new(100),
                min_amount: sat(1),
                fee_base: sat(1),
                fee_ppm: 0,
                max_unfirm_credits: 1_000,
                max_in_locks: 64,
                max_in_locks_per_payer: 16,
                max_forwarded: 0,
            },
            salt_secret: [3; 32],
            log_identity: 11,
            segment_bytes: SEGMENT_BYTES,
        }
    }

    /// The block that opens every channel.
    #[must_use]
    pub fn genesis(&self) -> BlockInput {
        let opened = self
            .clients
            .iter()
            .map(|client| (*client.wallet.terms(), client.funding));
        BlockInput {
            opened: opened.collect(),
            ..BlockInput::empty(Height::ZERO, GENESIS_BLOCK)
        }
    }

    /// A number below `end`.
    pub fn below(&mut self, end: u64) -> u64 {
        self.random.random_range(0..end)
    }

    /// True once in `of` times.
    pub fn once_in(&mut self, of: u64) -> bool {
        self.below(of) == 0
    }

    /// The inputs of the next batch: payments, acks, now and then a block, things that were sent before, and in half of the
    /// batches one at any place that must be refused.
    pub fn inputs(&mut self) -> Vec<Input> {
        let mut inputs = Vec::new();
        if self.once_in(4) {
            inputs.push(self.block());
        }
        for payer in 0..self.clients.len() {
            match self.below(4) {
                0 => {}
                1 => inputs.extend(self.ack(payer)),
                _ => inputs.extend(self.pay(payer)),
            }
        }
        if self.once_in(5) && !self.sent.is_empty() {
            let again = self.random.random_range(0..self.sent.len());
            inputs.push(self.sent[again].clone());
        }
        let signed = inputs.iter().filter(|input| !matches!(input, Input::Block(_)));
        self.sent.extend(signed.take(2).cloned());
        if self.once_in(2) {
            let at = self.random.random_range(0..=inputs.len());
            self.poison(&mut inputs, at);
        }
        inputs
    }

    /// Puts one input at place `at` that the hub must refuse without touching those around it.
    ///
    /// # Panics
    /// If `at` is behind the end.
    pub fn poison(&mut self, inputs: &mut Vec<Input>, at: usize) {
        let pays: Vec<&PayInput> = inputs
            .iter()
            .filter_map(|input| match input {
                Input::Pay(pay) => Some(pay),
                _ => None,
            })
            .collect();
        let pay = (!pays.is_empty()).then(|| pays[self.random.random_range(0..pays.len())].clone());
        let stranger = ChannelId::from_bytes(self.random.random());
        let poison = match (self.random.random_range(0..7), pay) {
            (0, Some(pay)) => Input::Pay(bent(pay, |state| state.debit = sat(10 * CAPACITY_SAT))),
            (1, Some(pay)) => Input::Pay(bent(pay, |state| state.locks_root = Digest::from_bytes([8; 32]))),
            (2, Some(pay)) => Input::Pay(bent(pay, |state| state.operations = Digest::ZERO)),
            (3, Some(pay)) => Input::Pay(bent(pay, |state| state.channel = stranger)),
            (4, _) => Input::Block(BlockInput {
                closing: vec![stranger],
                closed: vec![stranger],
                ..BlockInput::empty(Height::ZERO, Digest::from_bytes([8; 32]))
            }),
            (5, _) => Input::Close(CloseInput {
                channel: stranger,
                fee: sat(1),
            }),
            _ => Input::Refresh(stranger),
        };
        inputs.insert(at, poison);
    }

    fn block(&mut self) -> Input {
        self.height += 1;
        let hash = Digest::from_bytes(self.random.random());
        Input::Block(BlockInput::empty(Height::new(self.height), hash))
    }

    fn ack(&mut self, client: usize) -> Option<Input> {
        let height = Height::new(self.height);
        let client = &mut self.clients[client];
        let ack = client.wallet.ack(height)?;
        Some(Input::Ack(AckInput {
            ack,
            signature: ack.sign(&self.ledger, &client.key),
        }))
    }

    /// A state with up to three locks, or none if the client can pay nothing now.
    fn pay(&mut self, payer: usize) -> Option<Input> {
        let count = self.below(4);
        let locks: Vec<Lock> = (0..count).map(|_| self.lock(payer)).collect();
        let client = &mut self.clients[payer];
        let (state, operations) = client.wallet.pay(&locks, Height::new(self.height)).ok()?;
        let signature = state.sign(&self.ledger, &client.key);
        Some(Input::Pay(PayInput {
            state,
            signature,
            operations,
        }))
    }

    fn lock(&mut self, payer: usize) -> Lock {
        let others = self.clients.len() - 1;
        let payee = &self.clients[(payer + 1 + self.random.random_range(0..others)) % self.clients.len()];
        let mut payment_id = [0; 16];
        payment_id[..8].copy_from_slice(&self.next_payment.to_le_bytes());
        self.next_payment += 1;
        Lock {
            payment_id: PaymentId::from_bytes(payment_id),
            amount: sat(self.random.random_range(1..=3_000)),
            fee: sat(1),
            payee: payee.key.public().bytes(),
            payee_channel: payee.id,
            expiry: Height::new(self.height + 50),
            condition: Condition::Ack,
        }
    }

    /// Gives the leaves of a durable batch to their clients, each of which checks its own.
    ///
    /// # Panics
    /// If a leaf does not follow from the one before: the engine broke its word.
    pub fn take_leaves(&mut self, executed: &Executed) {
        for leaf in executed.leaves() {
            let view = LeafView {
                private: &leaf.private,
                public: &leaf.public,
                credits: &leaf.credits,
                outcomes: Some(&leaf.outcomes),
                in_changes: &leaf.in_changes,
            };
            let client = self.clients.iter_mut().find(|client| client.id == leaf.private.channel);
            let wallet = &mut client.expect("a channel of this world").wallet;
            wallet
                .accept(view)
                .expect("an honest hub's leaf follows from the one before");
        }
    }
}
