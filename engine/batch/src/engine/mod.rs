//! The engine: the state of all channels, and what a batch does to it.

mod ack;
mod again;
mod ahead;
mod block;
mod channels;
mod close;
mod closed;
mod entries;
mod forward;
mod fulfil;
mod in_locks;
mod kept;
mod logged;
pub(crate) mod pages;
mod pay;
mod phases;
mod plan;
mod release;
mod seal;
mod splice;
mod touch;

use hashbrown::HashMap;
use tidegate_channel::{Condition, Operation, RefuseReason};
use tidegate_types::{Amount, BatchNumber, Digest, Fixed, Height, KeyBytes, LedgerId, UnixMillis};

use crate::executed::{Executed, LeafOut, Refusal};
use crate::input::{Input, PayInput};
use crate::policy::{Policy, PolicyError};
use crate::record::{ACTIVE, TermsRecord};
use crate::slots::{Link, Slots, SlotsFull};
use crate::store::{Need, Store};
pub(crate) use pay::ACK;
use touch::Touches;

/// How many of a channel's leaves the hub can name: the last 64 (section 3), and as many again for leaves that only
/// refresh or firm, which come even when 64 wait for an ack.
pub(crate) const LEAVES_KEPT: u32 = 128;
/// Beyond this many unacknowledged leaves a channel neither pays nor is paid (rule 12).
pub(crate) const UNACKED_MAX: u64 = 64;
/// A closed payment's id is known for this many accepted counters (rule 5).
pub(crate) const ANSWERS_KEPT: u64 = 64;

/// The state of all channels of one hub.
#[derive(Debug)]
pub struct Engine<S> {
    pub(crate) store: Store<S>,
    policy: Policy,
    pub(crate) salt_secret: [u8; 32],
    index: channels::Index,
    dictionary: HashMap<TermsRecord, Link, foldhash::fast::RandomState>,
    waking: channels::Waking,
    /// Channels that this batch has brought to life.
    woken: Vec<u32>,
    touches: Touches,
    outcome_log: Vec<u8>,
    /// Channels that this batch opened, froze or settled, or whose acks it found on the ledger.
    opened_or_settled: Vec<u32>,
    notes_changes: bool,
    plan: plan::Plan,
    judged: pay::Judged,
    closed: closed::ClosedIds,
    reading: logged::Reading,
    /// How many channels there were before the newest batch.
    channels_before: u32,
    leaf_digests: seal::LeafDigests,
    in_scratch: seal::InScratch,
    /// Final leaves that the batch tells once more.
    again: Vec<LeafOut>,
    forwards: forward::Forwards,
    phases: Option<phases::Phases>,
}

/// Why an engine cannot be created, opened, or executed a batch on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The tables hold the state of an engine already.
    #[error("the tables are in use")]
    InUse,
    /// The tables hold no engine's state.
    #[error("the tables are empty")]
    Vacant,
    /// A table is full; nothing has changed.
    #[error("{0}")]
    Full(#[from] SlotsFull),
    /// The policy cannot be kept.
    #[error("{0}")]
    Policy(#[from] PolicyError),
}

/// What must not change between two openings of one state.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Opened {
    /// The hub's key.
    pub hub: KeyBytes,
    /// The ledger.
    pub ledger: LedgerId,
    /// The newest batch.
    pub batch: BatchNumber,
    /// Digest of its header.
    pub header_digest: Digest,
    /// The newest final block that the state knows.
    pub height: Height,
    /// When the newest batch was sealed.
    pub time: UnixMillis,
    /// How many channels there are, settled ones included.
    pub channels: u32,
}

/// What a first look at a state says, before anything is spent on its signature.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Screen {
    /// Worth a verification.
    Verify,
    /// Refused already.
    Refuse(RefuseReason),
    /// Known: the stored answer stands.
    Known,
}

/// The channel that each input is about, if the caller has looked it up.
pub(crate) type Known<'a> = &'a dyn Fn(usize) -> Option<u32>;

impl<S: Slots> Engine<S> {
    /// A new engine without channels in empty tables.
    ///
    /// # Errors
    /// [`EngineError::InUse`], [`EngineError::Full`], [`EngineError::Policy`].
    pub fn create(
        mut store: Store<S>,
        hub: KeyBytes,
        ledger: LedgerId,
        policy: Policy,
        salt_secret: [u8; 32],
    ) -> Result<Self, EngineError> {
        policy.check()?;
        store.meta.reserve(0, 1)?;
        if !store.is_vacant() {
            return Err(EngineError::InUse);
        }
        let meta = store.meta_mut();
        meta.hub = *hub.as_bytes();
        meta.ledger = *ledger.as_bytes();
        meta.salt_secret = salt_secret;
        policy.encode_into(&mut meta.policy);
        Self::open(store)
    }

    /// The engine whose state lies in the tables.
    ///
    /// # Errors
    /// [`EngineError::Vacant`].
    pub fn open(store: Store<S>) -> Result<Self, EngineError> {
        if store.is_vacant() {
            return Err(EngineError::Vacant);
        }
        let meta = *store.meta();
        let terms = (1..=meta.terms).map(|link| (*store.terms.at(link), link));
        Ok(Self {
            policy: Policy::decode(&meta.policy).expect("the policy is encoded by this engine"),
            salt_secret: meta.salt_secret,
            index: channels::Index::of(&store),
            dictionary: terms.collect(),
            waking: channels::Waking::default(),
            woken: Vec::new(),
            touches: Touches::default(),
            outcome_log: Vec::new(),
            opened_or_settled: Vec::new(),
            notes_changes: false,
            plan: plan::Plan::default(),
            judged: pay::Judged::default(),
            closed: closed::ClosedIds::default(),
            reading: logged::Reading::default(),
            channels_before: meta.channels,
            leaf_digests: seal::LeafDigests::default(),
            in_scratch: seal::InScratch::default(),
            again: Vec::new(),
            forwards: forward::Forwards::of(&store),
            phases: None,
            store,
        })
    }

    /// What the state says of itself.
    #[must_use]
    pub fn opened(&self) -> Opened {
        let meta = self.store.meta();
        Opened {
            hub: meta.hub(),
            ledger: meta.ledger(),
            batch: meta.batch(),
            header_digest: Digest::from_bytes(meta.header_digest),
            height: meta.height(),
            time: meta.time(),
            channels: meta.channels,
        }
    }

    /// The terms of business in force.
    #[must_use]
    pub const fn policy(&self) -> &Policy {
        &self.policy
    }

    /// The tables, for a checkpoint.
    #[must_use]
    pub const fn store(&self) -> &Store<S> {
        &self.store
    }

    /// The tables, to be written by a checkpoint, which leaves their contents alone.
    #[must_use]
    pub const fn store_mut(&mut self) -> &mut Store<S> {
        &mut self.store
    }

    /// A first look at a state of the channel of this number: its counter, against the state that all batches so far have led to.
    ///
    /// # Panics
    /// If there is no such channel.
    #[must_use]
    pub fn screen(&self, slot: u32, pay: &PayInput) -> Screen {
        let (new, (known, _)) = (pay.state.counter, self.counters_of(slot));
        if new < known {
            Screen::Refuse(RefuseReason::StaleCounter)
        } else if new == known {
            let (channel, _) = self.look(slot);
            if channel.state_digest == *pay.state.digest().as_bytes() {
                Screen::Known
            } else {
                Screen::Refuse(RefuseReason::Conflict)
            }
        } else if self.status(slot) != ACTIVE {
            Screen::Refuse(RefuseReason::Closing)
        } else {
            Screen::Verify
        }
    }

    /// Executes one batch: `inputs` in their order, sealed at `time`. The result replaces what `out` held.
    ///
    /// Signatures of states and acks have been checked. The state has changed when this returns; the caller makes the
    /// inputs and the header durable before it shows anything of it. A block stands before what clients send: a leaf is of the
    /// height that the batch ends with.
    ///
    /// # Errors
    /// [`EngineError::Full`]; nothing has changed then.
    ///
    /// # Panics
    /// At 2³² inputs, or if the state contradicts itself.
    pub fn execute(&mut self, time: UnixMillis, inputs: &[Input], out: &mut Executed) -> Result<(), EngineError> {
        self.execute_known(time, inputs, &|_| None, out)
    }

    /// As [`Engine::execute`], by a caller who has looked the inputs' channels up: `known` gives the number of the one that an
    /// input of this index is about, or none. A number that is wrong costs a look and changes nothing.
    ///
    /// # Errors
    /// As [`Engine::execute`].
    ///
    /// # Panics
    /// As [`Engine::execute`].
    pub fn execute_known(
        &mut self,
        time: UnixMillis,
        inputs: &[Input],
        known: &dyn Fn(usize) -> Option<u32>,
        out: &mut Executed,
    ) -> Result<(), EngineError> {
        self.store.reserve(self.need(inputs))?;
        self.touches.begin(self.store.meta().batch + 1);
        self.outcome_log.clear();
        self.woken.clear();
        self.forwards.begin();
        out.refusals.clear();
        out.changes.clear();
        self.channels_before = self.store.meta().channels;
        let mut plan = core::mem::take(&mut self.plan);
        plan.make(self, inputs, known);
        self.wake_planned(&plan, inputs);
        let run = plan::run_of(inputs);
        let parts = self.parts_for(inputs.len());
        let mut ahead = ahead::Ahead::of(inputs);
        for (index, input) in (0_u32..).zip(inputs) {
            if parts > 1 && index == run.start {
                plan.judge(self, inputs, &run);
            }
            self.prefetch_input(index, inputs, &plan, &mut ahead);
            self.execute_one(index, input, &mut plan, out);
        }
        self.keep_trees(&plan);
        self.plan = plan;
        self.seal((time, parts), out);
        self.list_changes(&mut out.changes);
        self.list_forwards(&mut out.forwarded);
        self.opened_or_settled.clear();
        Ok(())
    }

    fn execute_one(&mut self, index: u32, input: &Input, plan: &mut plan::Plan, out: &mut Executed) {
        let (channel, result) = match input {
            Input::Pay(pay) => (Some(pay.state.channel), self.pay(index, pay, plan)),
            Input::Ack(ack) => (Some(ack.ack.channel), self.ack(index, ack, plan).map(|()| true)),
            Input::Block(block) => {
                self.block(block);
                (None, Ok(true))
            }
            Input::Close(close) => (Some(close.channel), self.close(index, close).map(|()| true)),
            Input::Refresh(channel) => (Some(*channel), self.refresh(index, channel).map(|()| true)),
            Input::Policy(policy) => {
                self.set_policy(policy);
                (None, Ok(true))
            }
            Input::Fulfil(fulfil) => (
                Some(fulfil.channel),
                self.fulfil(index, fulfil, plan.known(index)).map(|()| true),
            ),
            Input::Release(message) => {
                let channel = message.release.channel;
                (Some(channel), self.release(index, message).map(|()| true))
            }
            Input::Freeze(channel) => (Some(*channel), self.freeze(channel).map(|()| true)),
            Input::Splice(splice) => (Some(splice.channel), self.splice(index, splice).map(|()| true)),
            Input::Forward(end) => (Some(end.payer), self.end_forward(end).map(|()| true)),
        };
        let (code, reason) = match result {
            Ok(true) => return self.log_outcome(index, 0),
            Ok(false) => (255, None),
            Err(reason) => (reason.code(), Some(reason)),
        };
        self.log_outcome(index, code);
        let slot = channel.and_then(|id| self.channel(&id));
        let (counter, leaf) = slot.map_or_else(Default::default, |slot| self.counters_of(slot));
        out.refusals.push(Refusal {
            input: index,
            reason,
            counter,
            leaf,
        });
    }

    /// Notes an input's outcome under the header's outcome digest. What became of each lock is under the leaves.
    fn log_outcome(&mut self, index: u32, code: u8) {
        self.outcome_log.extend_from_slice(&index.to_le_bytes());
        self.outcome_log.extend_from_slice(&u32::from(code).to_le_bytes());
    }

    fn set_policy(&mut self, policy: &Policy) {
        if policy.check().is_ok() {
            self.policy = *policy;
            policy.encode_into(&mut self.store.meta_mut().policy);
        }
    }

    /// The sum of all channels that are not settled, and that of their capacities: equal if value is conserved.
    #[must_use]
    pub fn value(&self) -> (u128, u128) {
        let open = (0..self.store.meta().channels).filter_map(|slot| self.view(slot));
        let open = open.filter(|view| !view.is_settled());
        open.fold((0, 0), |(held, capacity), view| {
            (held + view.value(), capacity + u128::from(view.terms.capacity.to_sat()))
        })
    }

    /// The most that `inputs` can add to each table.
    fn need(&self, inputs: &[Input]) -> Need {
        inputs.iter().fold(Need::default(), |mut need, input| {
            match input {
                Input::Pay(pay) => {
                    need.operations += pay.operations.len();
                    need.adds += pay.operations.len();
                    need.hash_adds += pay.operations.iter().filter(|o| is_hash_add(o)).count();
                    need.wide_adds += pay.operations.iter().filter(|o| is_wide_add(o)).count();
                    need.channels_touched += 1 + pay.operations.len();
                }
                Input::Ack(_) | Input::Close(_) | Input::Refresh(_) | Input::Freeze(_) | Input::Forward(_) => {
                    need.channels_touched += 1
                }
                Input::Splice(_) => {
                    need.channels_touched += 1;
                    // The name of its transaction.
                    need.adds += 1;
                }
                Input::Fulfil(_) | Input::Release(_) => need.channels_touched += 2,
                Input::Block(block) => {
                    need.channels += block.opened.len();
                    need.channels_touched += block.closing.len() + block.acked.len() + block.closed.len();
                    need.channels_touched += 2 * self.revealed_locks(block).len();
                }
                Input::Policy(_) => {}
            }
            need
        })
    }
}

const fn is_hash_add(operation: &Operation) -> bool {
    matches!(operation, Operation::Add { lock, .. } if matches!(lock.condition, Condition::Hash(_)))
}

/// Both are amounts that the state holds, so they are in range; their sum is checked.
pub(crate) fn sum(a: u64, b: Amount) -> Option<u64> {
    crate::store::amount(a).add(b).ok().map(Amount::to_sat)
}

fn is_wide_add(operation: &Operation) -> bool {
    matches!(operation, Operation::Add { slot, .. } if pages::is_wide(*slot))
}
