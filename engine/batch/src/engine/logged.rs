//! The inputs of a batch as the log holds them: short where the state says the rest.
//!
//! ```text
//! input    tag 1 | …
//! tag 0, 1  as `Input::append_to` writes it; 1 if the batch refused it
//! tag 2     operations 1 | channel 4 | c varint | acknowledged h varint | signature 64 | operations …     an accepted state
//!           operation   kind, slot 1 (kind × 64 + slot)
//!           add         … then payment id 16 | payee's channel 4 | amount varint | fee varint | expiry varint
//!           hash add    … and the payment hash 32 behind the expiry
//! tag 3     channel 4 | h varint | signature 64                                                 an accepted ack
//! tag 4     channel 4 | lock 32 | preimage 32                                                   a preimage that was taken
//! ```
//!
//! Channels go by their numbers, varints are LEB128. An accepted state is what its operations lead to (rule 8), so the log
//! needs neither debit, sum, root, digest of the operations nor that of the acknowledged leaf: a payment of one add and one
//! settle takes about 105 bytes instead of 377. Reading derives them from the state before the batch; a batch that was
//! logged is executed before the next is read. The header over the outcome is checked by the caller, so a wrong derivation
//! shows itself as a replay that differs.

use hashbrown::HashMap;
use tidegate_channel::{Ack, ClientState, Condition, LeafRef, Lock, Operation};
use tidegate_types::{
    Amount, ClientCounter, DecodeError, Digest, Fixed, Height, HubCounter, KeyBytes, LockId, LockSlot, PaymentId,
    Reader, SignatureBytes,
};

use super::Engine;
use super::plan::Plan;
use crate::executed::Executed;
use crate::input::{AckInput, FulfilInput, Input, InputError, PayInput};
use crate::slots::Slots;
use crate::store::amount;

const TAKEN: u8 = 0;
const REFUSED: u8 = 1;
const PAY: u8 = 2;
const ACK: u8 = 3;
const FULFIL: u8 = 4;

const ADD: u8 = 0;
const SETTLE: u8 = 1;
const DROP: u8 = 2;
const HASH_ADD: u8 = 3;

#[inline]
fn put_varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value.to_le_bytes()[0] | 0x80);
        value >>= 7;
    }
    out.push(value.to_le_bytes()[0]);
}

fn get_varint(r: &mut Reader<'_>) -> Result<u64, DecodeError> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = u8::read(r)?;
        let part = u64::from(byte & 0x7f);
        if part << shift >> shift != part {
            break;
        }
        value |= part << shift;
        if byte & 0x80 == 0 {
            return Ok(value);
        }
    }
    Err(DecodeError::OutOfRange { field: "varint" })
}

fn get_amount(r: &mut Reader<'_>) -> Result<Amount, DecodeError> {
    Amount::from_sat(get_varint(r)?).ok_or(DecodeError::OutOfRange { field: "amount" })
}

/// The client's half of a channel after the states read so far.
#[derive(Clone, Copy, Debug)]
struct Half {
    debit: Amount,
    locks: Amount,
    ack: LeafRef,
}

/// What reading a batch needs, used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Reading {
    halves: HashMap<u32, Half, foldhash::fast::RandomState>,
    /// By input: taken by the batch; and in short form.
    taken: Vec<bool>,
    short: Vec<bool>,
}

impl<S: Slots> Engine<S> {
    /// Appends the inputs of the batch that [`Engine::execute`] has just executed, as the log holds them.
    pub fn append_logged(&self, inputs: &[Input], executed: &Executed, out: &mut Vec<u8>) {
        let mut refusals = executed.refusals.iter().peekable();
        for (at, input) in (0_u32..).zip(inputs) {
            let refused = refusals.next_if(|refusal| refusal.input == at).is_some();
            let short = !refused && self.append_short(at, input, out);
            if !short {
                out.push(if refused { REFUSED } else { TAKEN });
                input.append_to(out);
            }
        }
    }

    /// True if the input has a short form.
    fn append_short(&self, at: u32, input: &Input, out: &mut Vec<u8>) -> bool {
        let start = out.len();
        let done = match input {
            Input::Pay(pay) => self.append_pay(at, pay, out),
            Input::Ack(ack) => self.append_ack(at, ack, out),
            Input::Fulfil(fulfil) => self.append_fulfil(fulfil, out),
            Input::Block(_)
            | Input::Close(_)
            | Input::Refresh(_)
            | Input::Policy(_)
            | Input::Release(_)
            | Input::Freeze(_)
            | Input::Splice(_)
            | Input::Forward(_) => None,
        };
        if done.is_none() {
            out.truncate(start);
        }
        done.is_some()
    }

    /// A channel's number, if it was there before the batch.
    fn logged_channel(&self, id: &tidegate_types::ChannelId) -> Option<u32> {
        self.channel(id).filter(|&slot| slot < self.channels_before)
    }

    fn append_pay(&self, at: u32, pay: &PayInput, out: &mut Vec<u8>) -> Option<()> {
        let (state, (part, planned)) = (&pay.state, self.plan.entry(at));
        out.push(PAY);
        out.push(u8::try_from(pay.operations.len()).expect("a state has at most 32 operations"));
        out.extend(planned.slot?.to_le_bytes());
        put_varint(state.counter.get(), out);
        put_varint(state.ack.counter.get(), out);
        out.extend_from_slice(pay.signature.as_bytes());
        let mut adds = 0..;
        for operation in &pay.operations {
            let payee = || part.payee(planned, adds.next()?);
            self.append_operation(operation, payee, out)?;
        }
        Some(())
    }

    /// `payee` gives the next payee's channel, if it was there before the batch.
    fn append_operation(
        &self,
        operation: &Operation,
        payee: impl FnOnce() -> Option<u32>,
        out: &mut Vec<u8>,
    ) -> Option<()> {
        let head = |kind: u8, slot: LockSlot| kind << 6 | u8::try_from(slot.index()).expect("a slot is below 64");
        match operation {
            Operation::Settle { slot } => out.push(head(SETTLE, *slot)),
            Operation::Drop { slot } => out.push(head(DROP, *slot)),
            Operation::Release { .. } => return None,
            Operation::Add { slot, lock } => {
                let payee = payee()?;
                let known = self.store.channels.get(payee).client == *lock.payee.as_bytes();
                if !known {
                    return None;
                }
                let waits = lock.condition != Condition::Ack;
                out.push(head(if waits { HASH_ADD } else { ADD }, *slot));
                out.extend_from_slice(lock.payment_id.as_bytes());
                out.extend(payee.to_le_bytes());
                put_varint(lock.amount.to_sat(), out);
                put_varint(lock.fee.to_sat(), out);
                put_varint(lock.expiry.get().into(), out);
                if let Condition::Hash(hash) = &lock.condition {
                    out.extend_from_slice(hash);
                }
            }
        }
        Some(())
    }

    fn append_fulfil(&self, fulfil: &FulfilInput, out: &mut Vec<u8>) -> Option<()> {
        out.push(FULFIL);
        out.extend(self.logged_channel(&fulfil.channel)?.to_le_bytes());
        out.extend_from_slice(fulfil.lock.as_bytes());
        out.extend_from_slice(&fulfil.preimage);
        Some(())
    }

    fn append_ack(&self, at: u32, ack: &AckInput, out: &mut Vec<u8>) -> Option<()> {
        out.push(ACK);
        out.extend(self.plan.entry(at).1.slot?.to_le_bytes());
        put_varint(ack.ack.leaf.counter.get(), out);
        out.extend_from_slice(ack.signature.as_bytes());
        Some(())
    }

    /// Reads `count` inputs that [`Engine::append_logged`] wrote after this very state; they replace what `inputs` held, and
    /// are to be executed next: what was hashed to read them is not hashed again.
    ///
    /// # Errors
    /// [`InputError`]: the bytes are of another version, or of another state.
    pub fn read_logged(&mut self, r: &mut Reader<'_>, count: u32, inputs: &mut Vec<Input>) -> Result<(), InputError> {
        let mut reading = core::mem::take(&mut self.reading);
        inputs.clear();
        reading.halves.clear();
        reading.taken.clear();
        reading.short.clear();
        let read = (0..count).try_for_each(|_| {
            let tag = u8::read(r)?;
            let input = match tag {
                TAKEN | REFUSED => Input::read(r)?,
                PAY => Input::Pay(self.read_pay(r, &mut reading)?),
                ACK => Input::Ack(self.read_ack(r)?),
                FULFIL => Input::Fulfil(self.read_fulfil(r)?),
                other => Err(DecodeError::UnknownValue {
                    field: "logged input",
                    value: other.into(),
                })?,
            };
            if let (Input::Pay(pay), TAKEN) = (&input, tag) {
                self.note_half(pay, &mut reading);
            }
            reading.taken.push(tag != REFUSED);
            reading.short.push(tag == PAY);
            inputs.push(input);
            Ok(())
        });
        if read.is_ok() {
            let mut plan = core::mem::take(&mut self.plan);
            self.fill(inputs, &reading, &mut plan);
            self.plan = plan;
        }
        self.reading = reading;
        read
    }

    /// The roots and digests of operations that the short form leaves out.
    fn fill(&self, inputs: &mut [Input], reading: &Reading, plan: &mut Plan) {
        if !reading.short.contains(&true) {
            return;
        }
        plan.foresee(self, inputs, |at| reading.taken[at]);
        for (at, input) in inputs.iter_mut().enumerate().filter(|(at, _)| reading.short[*at]) {
            if let Input::Pay(pay) = input {
                (pay.state.operations, pay.state.locks_root) = plan.foreseen(at);
            }
        }
    }

    /// A state in full form moves its channel's half too.
    fn note_half(&self, pay: &PayInput, reading: &mut Reading) {
        if let Some(slot) = self.channel(&pay.state.channel) {
            let half = Half {
                debit: pay.state.debit,
                locks: pay.state.locks_sum,
                ack: pay.state.ack,
            };
            reading.halves.insert(slot, half);
        }
    }

    fn read_channel(&self, r: &mut Reader<'_>) -> Result<u32, InputError> {
        let slot = u32::read(r)?;
        if slot < self.store.meta().channels {
            Ok(slot)
        } else {
            Err(InputError::Dangling { what: "channel" })
        }
    }

    /// The reference to a leaf of which the log holds the counter.
    fn leaf_of(&self, slot: u32, counter: u64) -> Result<LeafRef, InputError> {
        let link = self
            .live(slot)
            .and_then(|record| self.find_counter(record, counter))
            .ok_or(InputError::Dangling { what: "leaf" })?;
        Ok(LeafRef {
            counter: HubCounter::new(counter),
            digest: Digest::from_bytes(self.store.leaves.at(link).digest),
        })
    }

    fn read_ack(&self, r: &mut Reader<'_>) -> Result<AckInput, InputError> {
        let slot = self.read_channel(r)?;
        let leaf = self.leaf_of(slot, get_varint(r)?)?;
        Ok(AckInput {
            ack: Ack {
                channel: self.channel_id(slot),
                leaf,
            },
            signature: SignatureBytes::read(r)?,
        })
    }

    fn read_fulfil(&self, r: &mut Reader<'_>) -> Result<FulfilInput, InputError> {
        let slot = self.read_channel(r)?;
        Ok(FulfilInput {
            channel: self.channel_id(slot),
            lock: LockId::read(r)?,
            preimage: r.array()?,
        })
    }

    fn read_pay(&self, r: &mut Reader<'_>, reading: &mut Reading) -> Result<PayInput, InputError> {
        let count = u8::read(r)?;
        let slot = self.read_channel(r)?;
        let half = reading.halves.entry(slot).or_insert_with(|| self.half(slot));
        let counter = ClientCounter::new(get_varint(r)?);
        let acked = get_varint(r)?;
        if acked != half.ack.counter.get() {
            half.ack = self.leaf_of(slot, acked)?;
        }
        let signature = SignatureBytes::read(r)?;
        let mut operations = Vec::with_capacity(count.into());
        for _ in 0..count {
            operations.push(self.read_operation(r, slot, half)?);
        }
        Ok(PayInput {
            state: ClientState {
                channel: self.channel_id(slot),
                counter,
                debit: half.debit,
                locks_sum: half.locks,
                locks_root: Digest::ZERO,
                ack: half.ack,
                operations: Digest::ZERO,
            },
            signature,
            operations,
        })
    }

    fn half(&self, slot: u32) -> Half {
        let (live, signed) = self.look(slot);
        Half {
            debit: amount(live.debit),
            locks: amount(live.out_locks),
            ack: LeafRef {
                counter: HubCounter::new(live.ack_h),
                digest: Digest::from_bytes(signed.ack_digest),
            },
        }
    }

    fn read_operation(&self, r: &mut Reader<'_>, slot: u32, half: &mut Half) -> Result<Operation, InputError> {
        let range = |_| InputError::Dangling { what: "sum" };
        let head = u8::read(r)?;
        let at = LockSlot::new(head & 63).expect("six bits are a slot");
        match head >> 6 {
            kind @ (ADD | HASH_ADD) => {
                let mut lock = self.read_lock(r)?;
                if kind == HASH_ADD {
                    lock.condition = Condition::Hash(r.array()?);
                }
                half.locks = lock.total().and_then(|total| half.locks.add(total)).map_err(range)?;
                Ok(Operation::Add { slot: at, lock })
            }
            SETTLE => {
                let total = self.open_total(slot, at)?;
                half.locks = half.locks.sub(total).map_err(range)?;
                half.debit = half.debit.add(total).map_err(range)?;
                Ok(Operation::Settle { slot: at })
            }
            DROP => {
                half.locks = half.locks.sub(self.open_total(slot, at)?).map_err(range)?;
                Ok(Operation::Drop { slot: at })
            }
            other => Err(DecodeError::UnknownValue {
                field: "logged operation",
                value: other.into(),
            })?,
        }
    }

    fn read_lock(&self, r: &mut Reader<'_>) -> Result<Lock, InputError> {
        let payment_id = PaymentId::read(r)?;
        let payee = self.read_channel(r)?;
        Ok(Lock {
            payment_id,
            amount: get_amount(r)?,
            fee: get_amount(r)?,
            payee: KeyBytes::from_bytes(self.store.channels.get(payee).client),
            payee_channel: self.channel_id(payee),
            expiry: u32::try_from(get_varint(r)?)
                .map(Height::new)
                .map_err(|_| DecodeError::OutOfRange { field: "expiry" })?,
            condition: Condition::Ack,
        })
    }

    fn open_total(&self, slot: u32, at: LockSlot) -> Result<Amount, InputError> {
        match self.open_locks(slot).link(at.index()) {
            0 => Err(InputError::Dangling { what: "lock" }),
            link => Ok(self.store.locks.at(link).total()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn varints_are_read_back_and_never_overflow() {
        for value in [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX - 1, u64::MAX] {
            let mut bytes = Vec::new();
            put_varint(value, &mut bytes);
            assert_eq!(get_varint(&mut Reader::new(&bytes)), Ok(value));
            assert!(get_varint(&mut Reader::new(&bytes[..bytes.len() - 1])).is_err());
        }
        for bad in [
            &[0xff; 9][..],
            &[0xff; 11],
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 2],
        ] {
            assert!(get_varint(&mut Reader::new(bad)).is_err());
        }
    }
}
