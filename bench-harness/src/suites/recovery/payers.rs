//! A million payers without wallets: the inputs that they would send, from as little memory as each needs.
//!
//! ```text
//! payer's state i:   settle payment i - 4 | add payment i          as the profile `cold-keys` has it
//! payee:             a separate ack when 16 of its leaves wait     as `loadgen` does
//! ```
//!
//! Keys and signatures are random bytes: replay does not verify them again, and this suite measures nothing that does.
//! All else is as the engine demands, so a wrong byte here is a refusal there, which [`Payers::take`] finds.

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;
use tidegate_batch::{AckInput, Executed, Input, PayInput, Policy};
use tidegate_channel::{
    Ack, ChannelTerms, ClientState, Condition, LeafRef, Lock, OpOutcome, Operation, Outcome, encode_operations,
    leaf_digest, opening_leaf, operations_digest,
};
use tidegate_crypto::merkle::LockTree;
use tidegate_hub::state::Params;
use tidegate_types::{
    Age, Amount, ChannelId, ClientCounter, Digest, Height, HubCounter, KeyBytes, LedgerId, LockId, LockSlot, OutPoint,
    PaymentId, SignatureBytes, Txid,
};

/// Leaves that wait when a channel acks: `loadgen`'s own default.
const ACK_EVERY: u64 = 16;
/// Credits of one leaf that are acknowledged at once, so that the busiest payees keep within the policy's limit.
const CREDITS_MANY: usize = 64;
/// A payment is settled by the state so many later: the profile's distance.
const DISTANCE: usize = 4;
/// Every channel holds so much that no payment of a run fails for want of it.
const CAPACITY_SAT: u64 = 2_000_000_000_000;
const AMOUNT_SAT_MAX: u64 = 5_000;
const MAX_LOCK: Age = Age::new(8_192);
/// Draws of a payer before a batch is closed early: all others have paid in it.
const DRAWS: usize = 64;

/// What a payer has to know of its channel.
struct Payer {
    id: ChannelId,
    /// Digest of the leaf that follows from the funding alone.
    opening: Digest,
    counter: u64,
    debit: u64,
    /// The open locks, by state modulo the distance.
    locks: [Option<OpenLock>; DISTANCE],
    acked: u64,
}

#[derive(Clone, Copy)]
struct OpenLock {
    id: LockId,
    amount: u64,
    /// The batch that it was added in: only a later one may settle it.
    batch: u64,
}

/// Who pays, and who is paid.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Choice {
    /// All equally often.
    Uniform,
    /// The channel of rank r about 1/r times as often as the first, in steps; neighbours in rank are no neighbours in memory.
    Zipf,
}

/// Scatters ranks over the channels: a prime above every number of them, so that no two ranks meet.
const SCATTER: u64 = 4_294_967_291;

/// All of them.
pub(crate) struct Payers {
    choice: Choice,
    rows: Vec<Payer>,
    random: ChaCha8Rng,
    batch: u64,
    /// Acks that are due.
    acks: Vec<AckInput>,
}

/// Why a run's inputs were not all taken: a mistake of this file, never of the engine.
#[derive(Debug, thiserror::Error)]
#[error("the engine refused input {input} of batch {batch}: {reason}")]
pub struct Refused {
    batch: u64,
    input: u32,
    reason: String,
}

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("the amounts here are far below all there is")
}

fn hub_key() -> KeyBytes {
    KeyBytes::from_bytes([7; 32])
}

/// The key of a payer: any 32 bytes that are nobody else's.
fn key(number: u32) -> KeyBytes {
    let mut bytes = [0x5a; 32];
    bytes[..4].copy_from_slice(&number.to_le_bytes());
    KeyBytes::from_bytes(bytes)
}

fn opening(number: u32) -> (ChannelTerms, OutPoint) {
    let terms = ChannelTerms {
        client: key(number),
        hub: hub_key(),
        client_payout: key(number),
        hub_payout: hub_key(),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(CAPACITY_SAT),
        opening_share: sat(CAPACITY_SAT / 2),
        client_reserve: sat(1_000),
        hub_reserve: sat(1_000),
        dispute_window: Age::new(144),
        evidence_grace: Age::new(6),
        expiry: Height::new(1_000_000),
        nonce: number,
    };
    let funding = OutPoint {
        txid: Txid::from_bytes([5; 32]),
        vout: number,
    };
    (terms, funding)
}

/// The channels that a genesis opens.
pub(crate) fn openings(channels: u32) -> impl Iterator<Item = (ChannelTerms, OutPoint)> {
    (0..channels).map(opening)
}

/// What the hub's state starts from.
pub(crate) fn params(segment_bytes: u64) -> Params {
    Params {
        hub: hub_key(),
        ledger: LedgerId::from_bytes([9; 32]),
        policy: Policy {
            margin: Age::new(6),
            ack_interval: Age::new(120),
            max_lock: MAX_LOCK,
            min_amount: sat(1),
            fee_base: Amount::ZERO,
            fee_ppm: 0,
            max_unfirm_credits: 4_096,
            max_in_locks: 64,
            max_in_locks_per_payer: 16,
            max_forwarded: 0,
        },
        salt_secret: [3; 32],
        log_identity: 0x5eed,
        segment_bytes,
    }
}

impl Payers {
    pub(crate) fn new(channels: u32, seed: u64) -> Self {
        let row = |(terms, funding): (ChannelTerms, OutPoint)| {
            let id = terms.channel_id(&funding);
            let (private, public) = opening_leaf(id);
            Payer {
                id,
                opening: leaf_digest(&private.digest(), &public.digest()),
                counter: 0,
                debit: 0,
                locks: [None; DISTANCE],
                acked: 0,
            }
        };
        Self {
            choice: Choice::Uniform,
            rows: openings(channels).map(row).collect(),
            random: ChaCha8Rng::seed_from_u64(seed),
            batch: 0,
            acks: Vec::new(),
        }
    }

    /// From now on others pay.
    pub(crate) const fn choose(&mut self, choice: Choice) {
        self.choice = choice;
    }

    /// A channel by the present choice.
    fn draw(&mut self) -> usize {
        let count = self.rows.len();
        match self.choice {
            Choice::Uniform => self.below(count),
            Choice::Zipf => {
                // Each octave of ranks as often as any other: the steps of 1/r.
                let octave = self.random.random_range(0..=count.ilog2());
                let (first, end) = (1 << octave, (2_usize << octave).min(count + 1));
                let rank = self.random.random_range(first..end) - 1;
                usize::try_from(rank as u64 * SCATTER % count as u64).expect("below the number of channels")
            }
        }
    }

    /// The inputs of the next batch: the acks that are due, then up to `payments` payments. Returns how many these are.
    pub(crate) fn inputs(&mut self, payments: usize, out: &mut Vec<Input>) -> usize {
        self.batch += 1;
        out.clear();
        out.extend(self.acks.drain(..).map(Input::Ack));
        for count in 0..payments {
            let Some(payer) = self.draw_payer() else {
                return count;
            };
            let pay = self.pay(payer);
            out.push(Input::Pay(pay));
        }
        payments
    }

    fn below(&mut self, end: usize) -> usize {
        self.random.random_range(0..end)
    }

    /// A payer whose oldest open lock is of an earlier batch, so that its next state may settle it.
    fn draw_payer(&mut self) -> Option<usize> {
        (0..DRAWS).find_map(|_| {
            let at = self.draw();
            let oldest = self.rows[at].locks[place(self.rows[at].counter)];
            oldest.is_none_or(|lock| lock.batch < self.batch).then_some(at)
        })
    }

    fn pay(&mut self, payer: usize) -> PayInput {
        let drawn = self.draw();
        // Nobody pays itself.
        let payee = if drawn == payer {
            (drawn + 1) % self.rows.len()
        } else {
            drawn
        };
        let lock = Lock {
            payment_id: PaymentId::from_bytes(self.random.random()),
            amount: sat(self.random.random_range(1..=AMOUNT_SAT_MAX)),
            fee: Amount::ZERO,
            payee: key(u32::try_from(payee).expect("channels are counted in u32")),
            payee_channel: self.rows[payee].id,
            expiry: Height::ZERO.plus(MAX_LOCK).expect("the first height is zero"),
            condition: Condition::Ack,
        };
        let mut signature = [0; 64];
        self.random.fill_bytes(&mut signature);
        self.rows[payer].advance(lock, self.batch, SignatureBytes::from_bytes(signature))
    }

    /// Memory that they take, in bytes.
    pub(super) const fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Payer>()
    }

    /// Takes note of an executed batch: which channels owe an ack.
    ///
    /// # Errors
    /// [`Refused`] if an input or a payment was.
    pub(crate) fn take(&mut self, executed: &Executed) -> Result<(), Refused> {
        let refused = |input, reason| Refused {
            batch: self.batch,
            input,
            reason,
        };
        if let Some(refusal) = executed.refusals.first() {
            return Err(refused(refusal.input, format!("{:?}", refusal.reason)));
        }
        for leaf in executed.leaves() {
            let failed = |outcome: &&Outcome| matches!(outcome.outcome, OpOutcome::Failed(_));
            if let Some(outcome) = leaf.outcomes.iter().find(failed) {
                let input = leaf.answers.first().map_or(0, |answer| answer.input);
                return Err(refused(input, format!("{:?}", outcome.outcome)));
            }
            let row = &mut self.rows[leaf.channel as usize];
            let counter = leaf.private.counter;
            if counter.get() - row.acked < ACK_EVERY && leaf.credits.len() < CREDITS_MANY {
                continue;
            }
            row.acked = counter.get();
            let digest = leaf_digest(&leaf.private.digest(), &leaf.public.digest());
            let ack = Ack {
                channel: row.id,
                leaf: LeafRef { counter, digest },
            };
            let mut signature = [0; 64];
            self.random.fill_bytes(&mut signature);
            self.acks.push(AckInput {
                ack,
                signature: SignatureBytes::from_bytes(signature),
            });
        }
        Ok(())
    }
}

/// Where a payer keeps the lock of the state after state `counter`.
fn place(counter: u64) -> usize {
    usize::try_from(counter % DISTANCE as u64).expect("below the distance")
}

/// The slot of the lock that the state after state `counter` adds: in turn those that a wallet needs.
fn slot(counter: u64) -> LockSlot {
    let index = u8::try_from(counter % (DISTANCE as u64 + 1)).expect("below 64");
    LockSlot::new(index).expect("below 64")
}

impl Payer {
    /// The next state: settles the oldest open lock if there are four, adds `lock`.
    fn advance(&mut self, lock: Lock, batch: u64, signature: SignatureBytes) -> PayInput {
        let before = self.counter;
        self.counter += 1;
        let counter = ClientCounter::new(self.counter);
        let added = OpenLock {
            id: lock.id(&self.id, counter, slot(before)),
            amount: lock.amount.to_sat(),
            batch,
        };
        let settle = self.locks[place(before)].replace(added).map(|settled| {
            self.debit += settled.amount;
            let slot = slot(before - DISTANCE as u64);
            Operation::Settle { slot }
        });
        let add = Operation::Add {
            slot: slot(before),
            lock,
        };
        let operations: Vec<Operation> = settle.into_iter().chain([add]).collect();
        let mut encoded = Vec::new();
        encode_operations(&operations, &mut encoded);
        let state = ClientState {
            channel: self.id,
            counter,
            debit: sat(self.debit),
            locks_sum: sat(self.locks.iter().flatten().map(|lock| lock.amount).sum()),
            locks_root: self.locks_root(),
            // As in a prepared workload: acks go on their own.
            ack: LeafRef {
                counter: HubCounter::ZERO,
                digest: self.opening,
            },
            operations: operations_digest(&encoded),
        };
        PayInput {
            state,
            signature,
            operations,
        }
    }

    /// The root of the tree over the open locks, those of the last states.
    fn locks_root(&self) -> Digest {
        let open = (0..self.counter).rev().take(DISTANCE);
        let open = open.filter_map(|before| Some((slot(before), self.locks[place(before)]?.id)));
        let open: Vec<(LockSlot, Digest)> = open
            .map(|(slot, id)| (slot, Digest::from_bytes(*id.as_bytes())))
            .collect();
        let group_of = |slot: LockSlot| {
            let mut group = [Digest::ZERO; 4];
            let same = open.iter().filter(|(other, _)| other.index() / 4 == slot.index() / 4);
            same.for_each(|(other, id)| group[other.index() % 4] = *id);
            group
        };
        let changes: Vec<_> = open.iter().map(|(slot, _)| (*slot, group_of(*slot))).collect();
        let mut tree = LockTree::empty();
        tree.update_many(&changes);
        tree.root()
    }
}
