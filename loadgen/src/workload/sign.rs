//! One payer's chain of states, signed.

use rand::Rng as _;
use tidegate_channel::wallet::{ClientHalf, HubHalf};
use tidegate_channel::{Condition, LeafRef, Lock, Operation, encode_operations, opening_state};
use tidegate_types::{Age, Amount, ChannelId, Fixed, Height, KeyBytes, LedgerId, LockSlot, PaymentId};
use tidegate_wire::messages::{Body as _, Pay};

use super::{RECORD_LEN, RecordHead};
use crate::keys::{ClientKeys, Purpose, stream};
use crate::plan::Payment;

/// What all chains of a workload share.
pub(super) struct Context<'a> {
    pub(super) ledger: LedgerId,
    pub(super) seed: u64,
    pub(super) distance: u32,
    pub(super) expiry: Height,
    pub(super) fee: Amount,
    pub(super) keys: &'a ClientKeys,
    /// Name and client key of each channel.
    pub(super) channels: &'a [(ChannelId, KeyBytes)],
    pub(super) key_count: u32,
}

/// The states of one payer, in order.
pub(super) struct Chain<'a> {
    cx: &'a Context<'a>,
    payer: u32,
    half: ClientHalf,
    ack: LeafRef,
    next: u32,
    operations: Vec<u8>,
    body: Vec<u8>,
}

impl<'a> Chain<'a> {
    pub(super) fn new(cx: &'a Context<'a>, payer: u32) -> Self {
        let channel = cx.channels[payer as usize].0;
        Self {
            cx,
            payer,
            half: ClientHalf::new(opening_state(channel)),
            ack: HubHalf::new(channel, Age::ZERO).reference(),
            next: 0,
            operations: Vec::new(),
            body: Vec::new(),
        }
    }

    /// The record of the payer's next payment, number `number` of the plan.
    pub(super) fn push(&mut self, number: u32, payment: &Payment) -> [u8; RECORD_LEN] {
        let (operations, print) = self.operations(number, payment);
        let state = self
            .half
            .propose(&operations, self.ack)
            .expect("slots are free by the distance, sums by the plan");
        let key = self.cx.keys.get(self.payer % self.cx.key_count);
        let signature = state.sign(&self.cx.ledger, key);
        self.operations.clear();
        encode_operations(&operations, &mut self.operations);
        self.body.clear();
        let state = state.to_vec();
        let state = state
            .as_slice()
            .try_into()
            .expect("a state is as wide as the wire says");
        Pay {
            state,
            signature: &signature,
            operations: &self.operations,
        }
        .put(&mut self.body);
        self.next += 1;
        self.record(number, payment, print)
    }

    fn operations(&self, number: u32, payment: &Payment) -> (Vec<Operation>, u64) {
        let slot = |at: u32| {
            let index = u8::try_from(at as usize % LockSlot::COUNT).expect("below 64");
            LockSlot::new(index).expect("below 64")
        };
        let mut id = [0; 16];
        stream(self.cx.seed, Purpose::PaymentId, number.into()).fill_bytes(&mut id);
        let (payee_channel, payee) = self.cx.channels[payment.payee as usize];
        let lock = Lock {
            payment_id: PaymentId::from_bytes(id),
            amount: Amount::from_sat(payment.amount).expect("a part of a channel's capacity"),
            fee: self.cx.fee,
            payee,
            payee_channel,
            expiry: self.cx.expiry,
            condition: Condition::Ack,
        };
        let settled = self.next.checked_sub(self.cx.distance);
        let settle = settled.map(|at| Operation::Settle { slot: slot(at) });
        let add = Operation::Add {
            slot: slot(self.next),
            lock,
        };
        (settle.into_iter().chain([add]).collect(), print(&id))
    }

    fn record(&self, number: u32, payment: &Payment, print: u64) -> [u8; RECORD_LEN] {
        let mut record = [0; RECORD_LEN];
        let (head, body) = record.split_at_mut(RecordHead::LEN);
        RecordHead {
            number,
            payer: payment.payer,
            payee: payment.payee,
            body_len: u32::try_from(self.body.len()).expect("below the record's width"),
            amount: Amount::from_sat(payment.amount).expect("a part of a channel's capacity"),
            print,
        }
        .encode_into(head);
        body[..self.body.len()].copy_from_slice(&self.body);
        record
    }
}

/// The first bytes of a payment id, as a number.
pub(crate) fn print(id: &[u8; 16]) -> u64 {
    u64::from_le_bytes(*id.first_chunk().expect("an id has 16 bytes"))
}
