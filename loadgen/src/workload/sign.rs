//! One payer's chain of states, signed.

use rand::Rng as _;
use tidegate_channel::ClientState;
use tidegate_channel::wallet::{ClientHalf, HubHalf};
use tidegate_channel::{Condition, LeafRef, Lock, Operation, encode_operations, opening_state};
use tidegate_crypto::hash::payment_hash;
use tidegate_crypto::signed::SignedMessage;
use tidegate_types::{Age, Amount, ChannelId, Fixed, Height, KeyBytes, LedgerId, LockSlot, PaymentId, SignatureBytes};
use tidegate_wire::messages::{Body as _, Pay};

use super::quick_sign::QuickSigner;
use super::{Part, RecordHead, Slots};
use crate::keys::{Purpose, preimage, stream};
use crate::plan::Payment;

/// A channel that takes part.
#[derive(Clone, Copy, Debug)]
pub(super) struct Party {
    /// Its number in the profile.
    pub(super) number: u32,
    /// Its name.
    pub(super) id: ChannelId,
    /// The key that signs for it.
    pub(super) client: KeyBytes,
}

/// What all chains of a workload share.
pub(super) struct Context<'a> {
    pub(super) ledger: LedgerId,
    pub(super) seed: u64,
    /// In states.
    pub(super) distance: u32,
    pub(super) expiry: Height,
    pub(super) fee: Amount,
    /// Whether payments wait for their payee's preimages.
    pub(super) hash_locks: bool,
    /// The channels that take part; payments name them by their places here.
    pub(super) parties: &'a [Party],
    pub(super) key_count: u32,
}

/// The states of one payer, in order.
pub(super) struct Chain<'a> {
    cx: &'a Context<'a>,
    payer: u32,
    half: ClientHalf,
    ack: LeafRef,
    next: u32,
    operations: Vec<Operation>,
    parts: Vec<Part>,
    encoded: Vec<u8>,
    body: Vec<u8>,
    /// What is to be signed, in the order of the states.
    messages: Vec<SignedMessage>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(cx: &'a Context<'a>, payer: u32) -> Self {
        let channel = cx.parties[payer as usize].id;
        Self {
            cx,
            payer,
            half: ClientHalf::new(opening_state(channel)),
            ack: HubHalf::new(channel, Age::ZERO).reference(),
            next: 0,
            operations: Vec::new(),
            parts: Vec::new(),
            encoded: Vec::new(),
            body: Vec::new(),
            messages: Vec::new(),
        }
    }

    /// Writes the record of the payer's next state, which adds `payments`, of which the first is number `number` of the plan.
    /// Its signature is left out until [`Chain::sign`].
    pub(super) fn push(&mut self, number: u32, payments: &[Payment], record: &mut [u8]) {
        self.plan_operations(number, payments);
        let state = self
            .half
            .propose(&self.operations, self.ack)
            .expect("slots are free by the distance, sums by the plan");
        self.messages.push(state.message(&self.cx.ledger));
        self.encoded.clear();
        encode_operations(&self.operations, &mut self.encoded);
        self.body.clear();
        let state = state.to_vec();
        let state = state
            .as_slice()
            .try_into()
            .expect("a state is as wide as the wire says");
        Pay {
            state,
            signature: &SignatureBytes::ZERO,
            operations: &self.encoded,
        }
        .put(&mut self.body);
        self.next += 1;
        self.write(number, record);
    }

    /// Signs all states, whose records stand one behind the other in `records`, `width` bytes each.
    pub(super) fn sign(&self, records: &mut [u8], width: usize) {
        let party = &self.cx.parties[self.payer as usize];
        let mut signer = QuickSigner::new(
            self.cx.seed,
            party.number % self.cx.key_count,
            party.client,
            party.number,
        );
        let mut records = records.chunks_exact_mut(width);
        let at = RecordHead::LEN + self.parts.len() * Part::LEN + ClientState::LEN;
        signer.sign_all(&self.messages, |signature| {
            let record = records.next().expect("a record for each state");
            record[at..at + SignatureBytes::LEN].copy_from_slice(signature.as_bytes());
        });
    }

    fn plan_operations(&mut self, number: u32, payments: &[Payment]) {
        let width = payments.len();
        let slots = Slots::new(u32::try_from(width).expect("at most 16"), self.cx.distance);
        let slot = |state: u32, index: usize| {
            let place = slots.of(state, index);
            LockSlot::new(u8::try_from(place).expect("below 64")).expect("below 64")
        };
        self.operations.clear();
        self.parts.clear();
        if let Some(settled) = self.next.checked_sub(self.cx.distance) {
            let settles = (0..width).map(|index| Operation::Settle {
                slot: slot(settled, index),
            });
            self.operations.extend(settles);
        }
        for (index, payment) in payments.iter().enumerate() {
            let mut id = [0; 16];
            let at = u64::from(number) + index as u64;
            stream(self.cx.seed, Purpose::PaymentId, at).fill_bytes(&mut id);
            let payee = &self.cx.parties[payment.payee as usize];
            let amount = Amount::from_sat(payment.amount).expect("a part of a channel's capacity");
            let lock = Lock {
                payment_id: PaymentId::from_bytes(id),
                amount,
                fee: self.cx.fee,
                payee: payee.client,
                payee_channel: payee.id,
                expiry: self.cx.expiry,
                condition: if self.cx.hash_locks {
                    Condition::Hash(payment_hash(&preimage(self.cx.seed, &id)))
                } else {
                    Condition::Ack
                },
            };
            self.operations.push(Operation::Add {
                slot: slot(self.next, index),
                lock,
            });
            self.parts.push(Part {
                payee: payment.payee,
                amount,
                print: print(&id),
            });
        }
    }

    fn write(&self, number: u32, record: &mut [u8]) {
        let (head, rest) = record.split_at_mut(RecordHead::LEN);
        RecordHead {
            number,
            payer: self.payer,
            body_len: u32::try_from(self.body.len()).expect("below the record's width"),
        }
        .encode_into(head);
        let (parts, body) = rest.split_at_mut(self.parts.len() * Part::LEN);
        for (part, bytes) in self.parts.iter().zip(parts.chunks_exact_mut(Part::LEN)) {
            part.encode_into(bytes);
        }
        body[..self.body.len()].copy_from_slice(&self.body);
    }
}

/// The first bytes of a payment id, as a number.
pub(crate) fn print(id: &[u8; 16]) -> u64 {
    u64::from_le_bytes(*id.first_chunk().expect("an id has 16 bytes"))
}
