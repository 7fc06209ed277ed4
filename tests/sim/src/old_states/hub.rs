//! The hub: its engine, the log that a restart reads, and its watchtower.

use std::collections::BTreeMap;

use tidegate_batch::{
    BlockInput, ChannelView, Engine, Executed, Input, PaymentProof, Policy, Shown, Store, TABLES, VecSlots,
};
use tidegate_channel::ChannelTerms;
use tidegate_crypto::keys::SecretKey;
use tidegate_hub::pipeline::{ChannelPolicy, block_input};
use tidegate_hub::watch::Guard;
use tidegate_ledger::Transaction;
use tidegate_types::{Age, ChannelId, Digest, Height, KeyBytes, LedgerId, LockId, OutPoint, Reader, UnixMillis};

use super::ledger::Ledger;
use super::{GRACE, WINDOW, sat};

/// Blocks by which everybody acts before a deadline.
pub const MARGIN: u32 = 2;
const TABLE_SLOTS: usize = 1 << 12;

/// The hub.
#[derive(Debug)]
pub struct Hub {
    /// Its key.
    pub key: SecretKey,
    ledger: LedgerId,
    engine: Engine<VecSlots>,
    log: Vec<(UnixMillis, u32, Vec<u8>)>,
    /// What the newest batch came to.
    pub out: Executed,
    told: Height,
    guards: BTreeMap<ChannelId, Option<Guard>>,
}

fn policy() -> Policy {
    Policy {
        margin: Age::new(MARGIN),
        ack_interval: Age::new(1),
        max_lock: Age::new(200),
        min_amount: sat(1),
        fee_base: sat(0),
        fee_ppm: 0,
        max_unfirm_credits: 1_000,
        max_in_locks: 64,
        max_in_locks_per_payer: 16,
        max_forwarded: 40,
    }
}

fn channel_policy() -> ChannelPolicy {
    ChannelPolicy {
        dispute_window: Age::new(WINDOW),
        evidence_grace: Age::new(GRACE),
        client_reserve: sat(0),
        hub_reserve: sat(0),
        max_capacity: sat(100_000_000),
        max_hub_share: sat(100_000_000),
        max_life: Age::new(1_000_000),
        close_patience: Age::new(40),
        ledger_use_percent: 100,
    }
}

fn engine(key: &SecretKey, ledger: LedgerId) -> Engine<VecSlots> {
    let tables = Store::new(TABLES.map(|table| VecSlots::new(table.slot_bytes, TABLE_SLOTS)));
    Engine::create(tables, key.public().bytes(), ledger, policy(), [3; 32]).expect("empty tables")
}

impl Hub {
    /// A hub with these channels, of a ledger's genesis.
    #[must_use]
    pub fn new(key: SecretKey, ledger: LedgerId, channels: &[(ChannelTerms, OutPoint)]) -> Self {
        let mut hub = Self {
            engine: engine(&key, ledger),
            key,
            ledger,
            log: Vec::new(),
            out: Executed::default(),
            told: Height::ZERO,
            guards: BTreeMap::new(),
        };
        hub.execute(vec![Input::Block(BlockInput {
            opened: channels.to_vec(),
            ..BlockInput::empty(Height::ZERO, Digest::from_bytes([1; 32]))
        })]);
        hub
    }

    /// Executes a batch, and logs it.
    ///
    /// # Panics
    /// If the engine loses value, or runs out of room.
    pub fn execute(&mut self, inputs: Vec<Input>) {
        let time = UnixMillis::new(1_000 + self.log.len() as u64);
        self.engine
            .execute(time, &inputs, &mut self.out)
            .expect("the tables are large");
        let mut logged = Vec::new();
        self.engine.append_logged(&inputs, &self.out, &mut logged);
        let count = u32::try_from(inputs.len()).expect("few inputs");
        self.log.push((time, count, logged));
        let (held, capacity) = self.engine.value();
        assert_eq!(held, capacity, "value is conserved");
    }

    /// Executes one input beside the log; whether it was accepted. One that is refused changes nothing.
    ///
    /// # Panics
    /// If the engine loses value, or runs out of room.
    pub fn accepts(&mut self, input: Input) -> bool {
        let time = UnixMillis::new(1_000 + self.log.len() as u64);
        let executed = self.engine.execute(time, &[input], &mut self.out);
        executed.expect("the tables are large");
        let (held, capacity) = self.engine.value();
        assert_eq!(held, capacity, "value is conserved");
        self.out.refusals.is_empty() && self.out.header.leaf_count > 0
    }

    /// The key of the client of a channel, if it is one of this hub.
    #[must_use]
    pub fn client_of(&self, channel: &ChannelId) -> Option<KeyBytes> {
        Some(self.engine.parties(self.engine.channel(channel)?).0)
    }

    /// The proof that a payee has acknowledged a payment.
    #[must_use]
    pub fn payment_proof(&self, channel: &ChannelId, lock: &LockId) -> Option<PaymentProof> {
        self.engine.payment_proof(self.engine.channel(channel)?, lock)
    }

    /// The root over the state of all channels.
    #[must_use]
    pub fn state_root(&self) -> Digest {
        self.engine.state_root()
    }

    /// Ends without a word and comes back from its log.
    ///
    /// # Panics
    /// If the log does not lead to the same state.
    pub fn restart(&mut self) {
        let before = (self.engine.state_root(), self.engine.opened());
        self.engine = engine(&self.key, self.ledger);
        let mut inputs = Vec::new();
        for (time, count, logged) in &self.log {
            let mut reader = Reader::new(logged);
            self.engine
                .read_logged(&mut reader, *count, &mut inputs)
                .expect("the log's own form");
            self.engine
                .execute(*time, &inputs, &mut self.out)
                .expect("the tables are large");
        }
        assert_eq!(
            before,
            (self.engine.state_root(), self.engine.opened()),
            "the same state"
        );
        self.guards.clear();
    }

    /// Takes the final blocks that it has not seen, one a batch. Each batch's leaves are in [`Hub::out`] when `told` is called.
    pub fn follow(&mut self, ledger: &Ledger, mut told: impl FnMut(&Self)) {
        for block in ledger.final_above(self.told) {
            let input = block_input(block, self.key.public().bytes(), &channel_policy());
            self.told = block.header.height;
            self.execute(vec![Input::Block(input)]);
            told(self);
        }
    }

    /// What it could show of a channel now.
    #[must_use]
    pub fn shown(&self, channel: &ChannelId) -> Option<Shown> {
        self.engine.shown(self.engine.channel(channel)?)
    }

    /// The channel as it has it.
    ///
    /// # Panics
    /// If the channel is unknown.
    #[must_use]
    pub fn view(&self, channel: &ChannelId) -> ChannelView {
        let slot = self.engine.channel(channel).expect("a channel of this hub");
        self.engine.view(slot).expect("a channel of this hub")
    }

    /// What its watchtower brings to the ledger now: against a close that stands in a final block, from evidence that is asked for
    /// once a close.
    ///
    /// # Panics
    /// If what it holds is no evidence.
    pub fn answers(&mut self, ledger: &Ledger, (channel, funding): (&ChannelId, &OutPoint)) -> Vec<Transaction> {
        let found = ledger.chain.close_of(funding);
        let Some((close, locks)) = found.filter(|(close, _)| close.started <= self.told) else {
            self.guards.remove(channel);
            return Vec::new();
        };
        if !self.guards.contains_key(channel) {
            let shown = self.shown(channel);
            let guard = shown.map(|shown| Guard::of(shown, &self.ledger, &self.key).expect("evidence that holds"));
            self.guards.insert(*channel, guard);
        }
        let Some(Some(guard)) = self.guards.get(channel) else {
            return Vec::new();
        };
        let due = guard.due(&close, || locks, ledger.tip(), (&self.ledger, &self.key));
        due.into_iter().map(|(_, transaction)| transaction).collect()
    }
}
