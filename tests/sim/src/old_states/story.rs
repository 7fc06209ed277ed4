//! What the two clients of a hub do before one channel is closed, and everything that could be shown of it afterwards.

use tidegate_batch::{FulfilInput, Input, Shown};
use tidegate_channel::{ChannelTerms, Condition, Lock};
use tidegate_client::ClientChannel;
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::keys::SecretKey;
use tidegate_ledger::{Output, genesis_outpoint};
use tidegate_types::{Age, Height, KeyBytes, LockId, PaymentId};

use super::hub::Hub;
use super::ledger::Ledger;
use super::party::Party;
use super::tower::Watch;
use super::{AMOUNT, CAPACITY, Dice, GRACE, Guard, Plan, WINDOW, sat};

const HUB: [u8; 32] = [7; 32];
/// Whom the hub is paid out to: nobody else pays there.
const HUB_PAYOUT: [u8; 32] = [8; 32];
/// Long enough to outlive most closes, short enough to expire in some.
const LOCK_LIFE: u32 = 20;

/// All of it.
#[derive(Debug)]
pub struct Story {
    /// Chance.
    pub dice: Dice,
    /// The ledger.
    pub ledger: Ledger,
    /// The hub.
    pub hub: Hub,
    /// Its clients.
    pub parties: [Party; 2],
    /// The tower of the one whose channel closes.
    pub watch: Watch,
    /// Whose channel closes.
    pub subject: usize,
    guard: Guard,
    /// The channel as its client knew it, after each batch; the oldest first.
    pub old_clients: Vec<ClientChannel>,
    /// What the hub could show of it, at the same times.
    pub old_hub: Vec<Shown>,
    /// The subject gets no more receipts.
    is_deaf: bool,
    payments: u64,
    secrets: Vec<[u8; 32]>,
}

fn public(seed: [u8; 32]) -> KeyBytes {
    SecretKey::from_seed(seed).public().bytes()
}

fn terms(seed: [u8; 32]) -> ChannelTerms {
    ChannelTerms {
        client: public(seed),
        hub: public(HUB),
        client_payout: public(seed),
        hub_payout: public(HUB_PAYOUT),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(CAPACITY),
        opening_share: sat(CAPACITY / 2),
        client_reserve: sat(0),
        hub_reserve: sat(0),
        dispute_window: Age::new(WINDOW),
        evidence_grace: Age::new(GRACE),
        expiry: Height::new(100_000),
        nonce: 0,
    }
}

impl Story {
    /// Two channels, and some traffic.
    #[must_use]
    pub fn tell(dice: Dice, plan: &Plan) -> Self {
        let mut story = Self::open(dice, plan);
        let steps = 5 + story.dice.below(9);
        for step in 0..steps {
            story.is_deaf = step + plan.missed >= steps;
            story.step();
        }
        story
    }

    /// Two channels.
    #[must_use]
    pub fn open(mut dice: Dice, plan: &Plan) -> Self {
        let seeds = [[11; 32], [12; 32]];
        let outputs = seeds.map(|seed| Output::to_channel(&terms(seed)));
        let ledger = Ledger::new(plan.depth, &outputs);
        let id = ledger.chain.ledger();
        let channel = |number: u32| (terms(seeds[number as usize]), genesis_outpoint(&id, number));
        let hub = Hub::new(SecretKey::from_seed(HUB), id, &[channel(0), channel(1)]);
        let party = |number: u32| Party::new(seeds[number as usize], id, hub.key.public(), channel(number));
        let parties = [party(0), party(1)];
        let subject = dice.below(2);
        let mut story = Self {
            dice,
            watch: Watch::new(id),
            ledger,
            hub,
            parties,
            subject,
            guard: plan.guard,
            old_clients: Vec::new(),
            old_hub: Vec::new(),
            is_deaf: false,
            payments: 0,
            secrets: Vec::new(),
        };
        story.note();
        story
    }

    /// The client whose channel closes.
    #[must_use]
    pub const fn subject(&self) -> &Party {
        &self.parties[self.subject]
    }

    /// The newest final block that the hub may have seen.
    #[must_use]
    pub const fn now(&self) -> Height {
        self.ledger.last_final()
    }

    fn step(&mut self) {
        // Who gets no receipts does nothing either.
        let who = if self.is_deaf {
            1 - self.subject
        } else {
            self.dice.below(2)
        };
        let now = self.now();
        let input = match self.dice.below(10) {
            0..=3 => self.payment(who),
            4 | 5 => self.parties[who].ack(now),
            6 => self.in_lock(who).and_then(|(lock, hash)| self.fulfil(who, lock, hash)),
            7 => self.in_lock(who).and_then(|(lock, _)| self.parties[who].release(&lock)),
            8 => self.parties[who].settle(now),
            _ => {
                self.block();
                self.follow();
                None
            }
        };
        if let Some(input) = input {
            self.batch(input);
        }
    }

    /// A state of a client with one or two locks for the other.
    pub fn payment(&mut self, who: usize) -> Option<Input> {
        let count = 1 + self.dice.below(2);
        let locks: Vec<Lock> = (0..count).map(|_| self.lock(1 - who)).collect();
        let now = self.now();
        self.parties[who].pay(&locks, now)
    }

    fn lock(&mut self, payee: usize) -> Lock {
        self.payments += 1;
        let mut payment_id = [0; 16];
        payment_id[..8].copy_from_slice(&self.payments.to_le_bytes());
        let condition = if self.dice.once_in(2) {
            Condition::Ack
        } else {
            let mut secret = [0x55; 32];
            secret[..16].copy_from_slice(&payment_id);
            self.secrets.push(secret);
            Condition::Hash(payment_hash(&secret))
        };
        let payee = &self.parties[payee];
        Lock {
            payment_id: PaymentId::from_bytes(payment_id),
            amount: sat(AMOUNT),
            fee: sat(0),
            payee: payee.terms.client,
            payee_channel: payee.channel,
            expiry: Height::new(self.now().get() + LOCK_LIFE),
            condition,
        }
    }

    /// One of the locks that wait for a client, and its hash.
    fn in_lock(&mut self, who: usize) -> Option<(LockId, [u8; 32])> {
        let open = self.hub.view(&self.parties[who].channel).in_locks;
        if open.is_empty() {
            return None;
        }
        let lock = open[self.dice.below(open.len())].lock;
        Some((lock.lock, lock.hash))
    }

    fn fulfil(&self, who: usize, lock: LockId, hash: [u8; 32]) -> Option<Input> {
        let preimage = self.secrets.iter().find(|secret| payment_hash(secret) == hash)?;
        Some(Input::Fulfil(FulfilInput {
            channel: self.parties[who].channel,
            lock,
            preimage: *preimage,
        }))
    }

    /// A batch of one input; whoever listens gets the receipt, and the tower what is newer by it.
    pub fn batch(&mut self, input: Input) {
        self.hub.execute(vec![input]);
        self.deliver();
        self.note();
    }

    /// The hub takes the final blocks that it has not seen.
    pub fn follow(&mut self) {
        let Self {
            hub,
            ledger,
            parties,
            is_deaf,
            subject,
            ..
        } = self;
        hub.follow(ledger, |hub| deliver(hub, parties, is_deaf.then_some(*subject)));
        self.note();
    }

    fn deliver(&mut self) {
        deliver(&self.hub, &mut self.parties, self.is_deaf.then_some(self.subject));
    }

    /// Notes all that could be shown now.
    fn note(&mut self) {
        let subject = &self.parties[self.subject];
        self.old_clients.push(subject.own().clone());
        self.old_hub.extend(self.hub.shown(&subject.channel));
        if self.guard == Guard::Tower
            && let Some(package) = subject.package()
        {
            self.watch.take(package);
        }
    }

    /// The next block.
    pub fn block(&mut self) {
        let channels = [self.parties[0].funding, self.parties[1].funding];
        self.ledger.seal(&channels);
    }
}

/// The clients take their leaves of the hub's newest batch, but for the one that is deaf.
fn deliver(hub: &Hub, parties: &mut [Party; 2], deaf: Option<usize>) {
    if hub.out.leaves().is_empty() {
        return;
    }
    let header = hub.out.header.sign(parties[0].ledger(), &hub.key);
    for (number, party) in parties.iter_mut().enumerate() {
        if deaf != Some(number) {
            party.take(&hub.out, &header);
        }
    }
}
