//! Payments of every kind in the log's short form, as many as a machine can execute: up to 16 adds and 16 settles or drops
//! under one signature. Clients know what the books say of them, and have no other wallet.
//!
//! Roots and digests are left to [`Engine::read_logged`], which derives them from what a state does; so nothing is hashed twice.

use tidegate_batch::{BlockInput, Engine, Executed, Input, Policy, ReleaseInput, VecSlots};
use tidegate_channel::{ChannelTerms, Release};
use tidegate_crypto::hash::payment_hash;
use tidegate_types::{
    Age, Amount, ClientCounter, Digest, Height, KeyBytes, LedgerId, OutPoint, Reader, SignatureBytes, Txid, UnixMillis,
};

use super::{Auditor, CreditFate, LockFate, payment_id};
use crate::rig::tables;

const MARGIN: u32 = 2;
const RESERVE: u64 = 1_000;
/// The longest lock, and the shortest of both kinds.
const LONGEST: u32 = 100;
const SHORTEST: u32 = 8;
/// Batches from one block to the next.
const BLOCK_EVERY: u64 = 3;
/// Batches from one look at the whole export to the next.
const AUDIT_EVERY: u64 = 32;
/// So many batches without an operation are no accident.
const IDLE: u32 = 500;
/// The most adds of one state, and the most of what ends locks beside them.
const ADDS: usize = 16;
const ENDS: usize = 16;

/// SplitMix64: good enough for traffic, and the same everywhere.
#[derive(Debug)]
pub(crate) struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below `end`, which is small.
    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn index(&mut self, end: usize) -> usize {
        usize::try_from(self.below(end as u64)).expect("below a length")
    }

    fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }
}

/// One hub with its clients, from one seed.
#[derive(Debug)]
pub(crate) struct World {
    engine: Engine<VecSlots>,
    pub(crate) auditor: Auditor,
    random: Random,
    /// So many of the first channels get a sixth of all payments, and more than they can pay out.
    hot: usize,
    /// Until which batch each client says nothing.
    silent: Vec<u64>,
    /// What clients sent in the batch before, to be sent again.
    before: Vec<Input>,
    inputs: Vec<Input>,
    out: Executed,
    logged: Vec<u8>,
    /// How many inputs `logged` holds.
    count: u32,
    /// Payments that this batch adds, if their states are accepted.
    proposed: Vec<u32>,
    serial: u64,
    fee: (u64, u64),
}

/// The preimage of a payment, known to whoever knows its number.
fn preimage(serial: u64) -> [u8; 32] {
    let mut bytes = [0x5e; 32];
    bytes[..8].copy_from_slice(&serial.to_le_bytes());
    bytes
}

fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn sat(n: u64) -> Amount {
    Amount::from_sat(n).expect("small")
}

fn terms(nonce: u32, capacity: u64) -> ChannelTerms {
    let key = |byte: u8| KeyBytes::from_bytes([byte; 32]);
    ChannelTerms {
        client: key(1),
        hub: key(7),
        client_payout: key(1),
        hub_payout: key(7),
        emergency: KeyBytes::ZERO,
        delegate: KeyBytes::ZERO,
        capacity: sat(capacity),
        opening_share: sat(capacity / 2),
        client_reserve: sat(RESERVE),
        hub_reserve: sat(RESERVE),
        dispute_window: Age::new(144),
        evidence_grace: Age::new(6),
        expiry: Height::new(1_000_000_000),
        nonce,
    }
}

impl World {
    /// A hub whose channels, capacities, fees and hot payees follow from the seed.
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = Random(seed);
        let channels = 16 + random.index(112);
        let fee = (random.below(3), random.below(2_000));
        let policy = Policy {
            margin: Age::new(MARGIN),
            ack_interval: Age::new(1),
            max_lock: Age::new(LONGEST),
            min_amount: sat(2),
            fee_base: sat(fee.0),
            fee_ppm: u32::try_from(fee.1).expect("small"),
            max_unfirm_credits: 800,
            max_in_locks: 48,
            max_in_locks_per_payer: 12,
            max_forwarded: 0,
        };
        let hub = KeyBytes::from_bytes([7; 32]);
        let mut engine =
            Engine::create(tables(), hub, LedgerId::ZERO, policy, [3; 32]).expect("empty tables and a good policy");
        let opened: Vec<_> = (0..u32::try_from(channels).expect("few"))
            .map(|vout| {
                let funding = OutPoint {
                    txid: Txid::from_bytes([5; 32]),
                    vout,
                };
                (terms(vout, 100_000 << random.below(8)), funding)
            })
            .collect();
        let books = opened.iter().map(|(terms, funding)| {
            let sums = (terms.capacity.to_sat(), terms.opening_share.to_sat());
            (terms.channel_id(funding), sums.0, sums.1)
        });
        let mut auditor = Auditor::new(books, MARGIN);
        let block = Input::Block(BlockInput {
            opened,
            ..BlockInput::empty(Height::new(1), Digest::from_bytes([1; 32]))
        });
        let mut out = Executed::default();
        engine
            .execute(UnixMillis::new(1), core::slice::from_ref(&block), &mut out)
            .expect("large tables");
        auditor.note(&[block], &out);
        Self {
            engine,
            auditor,
            hot: 1 + random.index(4),
            random,
            silent: vec![0; channels],
            before: Vec::new(),
            inputs: Vec::new(),
            out,
            logged: Vec::new(),
            count: 0,
            proposed: Vec::new(),
            serial: 1,
            fee,
        }
    }

    /// Runs batches until so many operations were accepted; the auditor looks at all of it.
    pub(crate) fn run(&mut self, operations: u64) {
        let mut idle = 0;
        while self.auditor.counts.operations < operations {
            let before = self.auditor.counts.operations;
            self.batch();
            idle = if before == self.auditor.counts.operations {
                idle + 1
            } else {
                0
            };
            assert!(
                idle < IDLE,
                "batch {}: nothing is accepted any more",
                self.auditor.batch
            );
            if self.auditor.batch.is_multiple_of(AUDIT_EVERY) {
                self.auditor.audit(&self.engine);
            }
        }
        self.auditor.audit(&self.engine);
    }

    fn batch(&mut self) {
        (self.count, self.proposed) = (0, core::mem::take(&mut self.proposed));
        self.logged.clear();
        if self.auditor.batch.is_multiple_of(BLOCK_EVERY) {
            let height = self.auditor.height + 1;
            let block = BlockInput::empty(Height::new(height), Digest::from_bytes([9; 32]));
            self.put(&Input::Block(block));
        }
        // So far the block is the only input.
        let height = self.auditor.height + self.count;
        self.repeat();
        for channel in 0..self.silent.len() {
            self.speak(channel, height);
        }
        let mut reader = Reader::new(&self.logged);
        self.engine
            .read_logged(&mut reader, self.count, &mut self.inputs)
            .expect("the log's own form");
        self.engine
            .execute(UnixMillis::new(2), &self.inputs, &mut self.out)
            .expect("large tables");
        self.auditor.note(&self.inputs, &self.out);
        let mut proposed = core::mem::take(&mut self.proposed);
        for place in proposed.drain(..) {
            if self.auditor.payments[place as usize].batch != self.auditor.batch {
                self.auditor.unused(place);
            }
        }
        self.proposed = proposed;
        core::mem::swap(&mut self.before, &mut self.inputs);
    }

    /// An input in full.
    fn put(&mut self, input: &Input) {
        self.logged.push(0);
        input.append_to(&mut self.logged);
        self.count += 1;
    }

    /// What was sent in the batch before, once more, as it was or bent: nothing comes of it.
    fn repeat(&mut self) {
        for _ in 0..self.random.below(3) {
            if self.before.is_empty() {
                return;
            }
            let mut input = self.before[self.random.index(self.before.len())].clone();
            if let (Input::Pay(pay), true) = (&mut input, self.random.one_in(2)) {
                pay.state.counter = ClientCounter::new(pay.state.counter.get() + 1);
                pay.state.debit = sat(pay.state.debit.to_sat() + 1);
            }
            if matches!(input, Input::Pay(_) | Input::Ack(_) | Input::Fulfil(_)) {
                self.logged.push(1);
                input.append_to(&mut self.logged);
                self.count += 1;
            }
        }
    }

    /// What one client says in this batch.
    fn speak(&mut self, channel: usize, height: u32) {
        if self.silent[channel] > self.auditor.batch {
            return;
        }
        if self.random.one_in(500) {
            self.silent[channel] = self.auditor.batch + self.random.below(250);
            return;
        }
        self.answer_offers(channel);
        let books = &self.auditor.books[channel];
        if !books.in_time(height) {
            // What waits becomes void with the first leaf above its expiry; then the client can go on.
            self.put(&Input::Refresh(books.id));
        } else if books.leaf() - books.acked > 60 || (books.leaf() > books.acked && self.random.one_in(16)) {
            self.ack(channel);
        } else if !self.random.one_in(8) {
            self.pay(channel, height);
        }
    }

    fn ack(&mut self, channel: usize) {
        self.logged.push(3);
        self.logged.extend(number(channel));
        put_varint(self.auditor.books[channel].leaf(), &mut self.logged);
        self.logged.extend([0; 64]);
        self.count += 1;
    }

    /// A client shows preimages of some locks that wait for it, and gives some others up.
    fn answer_offers(&mut self, channel: usize) {
        for at in 0..self.auditor.books[channel].offered.len() {
            let (lock, place) = self.auditor.books[channel].offered[at];
            match self.random.below(16) {
                0..6 => {
                    self.logged.push(4);
                    self.logged.extend(number(channel));
                    self.logged.extend_from_slice(lock.as_bytes());
                    let right = preimage(self.auditor.payments[place as usize].serial);
                    let wrong = self.random.one_in(32);
                    self.logged.extend(if wrong { [0; 32] } else { right });
                    self.count += 1;
                }
                6 => {
                    let release = Release {
                        channel: self.auditor.books[channel].id,
                        lock,
                    };
                    let signature = SignatureBytes::ZERO;
                    self.put(&Input::Release(ReleaseInput { release, signature }));
                }
                _ => {}
            }
        }
    }

    /// A state that adds payments, and settles and drops what earlier batches have decided.
    fn pay(&mut self, channel: usize, height: u32) {
        let start = self.logged.len();
        self.logged.extend([2, 0]);
        self.logged.extend(number(channel));
        let books = &self.auditor.books[channel];
        put_varint(
            books.counter + 1 + u64::from(self.serial.is_multiple_of(97)),
            &mut self.logged,
        );
        put_varint(books.leaf(), &mut self.logged);
        self.logged.extend([0; 64]);
        let spent = books.debit + books.locks + u128::from(RESERVE);
        let room = (books.opening + books.firm_at_leaf).saturating_sub(spent);
        let mut room = u64::try_from(room).expect("capacities are small");
        // Now and then a state that its client cannot pay for: it is refused whole.
        if self.random.one_in(64) {
            room = u64::MAX;
        }
        let ends = self.put_ends(channel, height);
        let adds = if self.random.one_in(8) {
            self.random.index(ADDS)
        } else {
            ADDS
        };
        let mut added = 0;
        for slot in 0..64_u8 {
            if added == adds || self.auditor.books[channel].slots[usize::from(slot)] != 0 {
                continue;
            }
            let Some(left) = self.put_add((slot, height), room) else {
                break;
            };
            (room, added) = (left, added + 1);
        }
        self.logged[start + 1] = u8::try_from(ends + added).expect("at most 32");
        self.count += 1;
    }

    /// Settles and drops of locks that were decided; how many.
    fn put_ends(&mut self, channel: usize, height: u32) -> usize {
        let Self {
            auditor,
            logged,
            random,
            ..
        } = self;
        // Some would rather have back what is owed: their states are refused whole.
        let greedy = random.one_in(64);
        let mut ends = 0;
        for (slot, place) in (0_u8..).zip(auditor.books[channel].slots) {
            let Some(place) = place.checked_sub(1).filter(|_| ends < ENDS) else {
                continue;
            };
            let payment = &auditor.payments[place as usize];
            // By the height of the leaf that it names, which is that of an earlier batch.
            let expired = payment.expiry + 1 < height;
            let (void, firm) = (payment.credit == CreditFate::Void, payment.credit == CreditFate::Firm);
            // Few wait for the ack, fewer for the expiry; the others settle at once.
            let settles = match payment.serial {
                n if n.is_multiple_of(256) => expired,
                n if n.is_multiple_of(16) => firm,
                _ => true,
            };
            let kind = match payment.lock {
                LockFate::Failed => 2,
                LockFate::Delivered | LockFate::Pending if expired && (void || greedy) => 2,
                LockFate::Delivered if settles => 1,
                _ => continue,
            };
            if random.one_in(64) {
                continue;
            }
            logged.push(kind << 6 | slot);
            ends += 1;
        }
        ends
    }

    /// One add out of `room`; what is left of it, or none if nothing fits.
    fn put_add(&mut self, (slot, height): (u8, u32), room: u64) -> Option<u64> {
        let random = &mut self.random;
        let amount = match random.below(64) {
            0 => 0,
            1 => random.below(100_000),
            _ => 2 + random.below(200),
        };
        let own = self.fee.0 + (amount * self.fee.1).div_ceil(1_000_000);
        let fee = if random.one_in(64) {
            own / 2
        } else {
            own + random.below(2)
        };
        let left = room.checked_sub(amount + fee)?;
        let channels = self.silent.len();
        let payee = if random.one_in(6) {
            random.index(self.hot)
        } else {
            random.index(channels)
        };
        let expiry = match random.below(64) {
            0 => height + SHORTEST - 1,
            1 => height + LONGEST + 1,
            _ => height + SHORTEST + u32::try_from(random.below(40)).expect("small"),
        };
        let waits = random.one_in(16);
        self.serial += 1;
        let place = self.auditor.place();
        self.proposed.push(place);
        let out = &mut self.logged;
        out.push(if waits { 3 << 6 } else { 0 } | slot);
        out.extend_from_slice(payment_id(self.serial, place).as_bytes());
        out.extend(number(payee));
        put_varint(amount, out);
        put_varint(fee, out);
        put_varint(expiry.into(), out);
        if waits {
            out.extend_from_slice(&payment_hash(&preimage(self.serial)));
        }
        Some(left)
    }
}

fn number(channel: usize) -> [u8; 4] {
    u32::try_from(channel).expect("few channels").to_le_bytes()
}
