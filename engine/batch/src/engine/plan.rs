//! What is hashed before any input is judged, many messages at a time.
//!
//! Digests of states, of their operations, the ids of the locks they add and those locks' salts follow from the inputs
//! alone. The root that a state's lock tree comes to follows from the channel's open locks and from the states before it
//! in the batch, *if those are accepted*; nearly always they are. So the trees of all payers are carried forward on copies,
//! one round per state of a channel, each round level by level across channels ([`update_lock_trees`]).
//!
//! A channel's chain of copies holds until one of its states is refused. Then the page gets the tree of the locks that it
//! has (hashed afresh), and the states after it in this batch are hashed alone. The outcome is the same either way: what
//! is planned is a root for a set of locks, and [`Chain::holds`] says that this is the set at hand.

use hashbrown::HashMap;
use tidegate_channel::{Operation, many};
use tidegate_crypto::merkle::{LockChange, LockScratch, LockTree, update_lock_trees};
use tidegate_types::{Digest, LockId, LockSlot};

use super::pay::JudgedLock;
use super::{Engine, Known};
use crate::input::{AckInput, Input, PayInput};
use crate::record::ACTIVE;
use crate::slots::{Link, Slots};

/// How many states ahead the locks are asked for whose ids are hashed with those that a state changes.
const GROUPS_AHEAD: usize = 16;
/// No channel, no chain.
const NONE: u32 = u32::MAX;

/// What is known of one input before it is judged.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Planned {
    /// The number of the channel that it is about, if that was there when the batch began; of states and acks.
    pub(crate) slot: Option<u32>,
    /// The state's digest.
    pub(crate) digest: Digest,
    /// The digest of its operations.
    pub(crate) operations: Digest,
    /// The root of the lock tree after it, if the chain holds.
    root: Digest,
    /// The id and the salt of its first lock.
    first_add: usize,
    chain: u32,
    /// How many states of the channel come before it in the batch.
    place: u32,
}

impl Planned {
    /// True if it was planned for this state, or for one that differs in its sums and root alone.
    fn is_of<S: Slots>(&self, engine: &Engine<S>, pay: &PayInput) -> bool {
        let channel = self.slot.map(|slot| engine.channel_id(slot));
        self.operations == pay.state.operations && channel.is_none_or(|channel| channel == pay.state.channel)
    }
}

const BLANK: Planned = Planned {
    slot: None,
    digest: Digest::ZERO,
    operations: Digest::ZERO,
    root: Digest::ZERO,
    first_add: 0,
    chain: NONE,
    place: 0,
};

/// The states of one channel in the batch.
#[derive(Debug)]
struct Chain {
    slot: u32,
    /// How many there are.
    states: u32,
    /// How many have been accepted.
    accepted: u32,
    /// True while all that were judged were accepted.
    holds: bool,
    /// One bit for each slot that it changes.
    changed: u64,
}

/// The plan of a batch. Its memory is used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    inputs: Vec<Planned>,
    /// True of inputs that were read from the log and wait for their execution.
    foreseen: bool,
    ids: Vec<Digest>,
    /// The payees' channels, if there are such.
    payees: Vec<Option<u32>>,
    salts: Vec<[u8; 16]>,
    chains: Vec<Chain>,
    /// By chain: the lock tree after its last state.
    trees: Vec<LockTree>,
    by_slot: HashMap<u32, u32, foldhash::fast::RandomState>,
    /// By chain and slot: the newest of its changes, where the chain's bit is set.
    newest: Vec<[u32; LockSlot::COUNT]>,
    /// What each change puts into its slot.
    changed: Vec<Digest>,
    /// The inputs of each round.
    rounds: Vec<Vec<u32>>,
    changes: Vec<LockChange>,
    scratch: LockScratch,
    digests: Vec<Digest>,
}

/// How a state's lock tree is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlannedRoot {
    /// It was planned.
    Known(Digest),
    /// It must be hashed from the page.
    Unknown,
}

fn pays(inputs: &[Input]) -> impl Iterator<Item = (usize, &PayInput)> {
    inputs.iter().enumerate().filter_map(|(at, input)| match input {
        Input::Pay(pay) => Some((at, pay)),
        _ => None,
    })
}

fn acks(inputs: &[Input]) -> impl Iterator<Item = (usize, &AckInput)> {
    inputs.iter().enumerate().filter_map(|(at, input)| match input {
        Input::Ack(ack) => Some((at, ack)),
        _ => None,
    })
}

fn adds(pay: &PayInput) -> impl Iterator<Item = (LockSlot, &tidegate_channel::Lock)> {
    pay.operations.iter().filter_map(|operation| match operation {
        Operation::Add { slot, lock } => Some((*slot, lock)),
        _ => None,
    })
}

const fn bit(slot: LockSlot) -> u64 {
    1 << slot.index()
}

impl Plan {
    /// Plans a batch.
    pub(crate) fn make<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], looked_up: Known<'_>) {
        // What was just read from the log was foreseen then: these inputs, if their operations are the same.
        let known = core::mem::take(&mut self.foreseen)
            && self.inputs.len() == inputs.len()
            && pays(inputs).all(|(at, pay)| self.inputs[at].is_of(engine, pay));
        if !known {
            self.foresee(engine, inputs, looked_up, |_| true);
            self.foreseen = false;
        }
        for (at, ack) in acks(inputs) {
            self.inputs[at].slot = engine.channel_known(&ack.ack.channel, looked_up(at));
        }
        self.digests.clear();
        many::state_digests(pays(inputs).map(|(_, pay)| &pay.state), &mut self.digests);
        for ((at, _), digest) in pays(inputs).zip(&self.digests) {
            self.inputs[at].digest = *digest;
        }
    }

    /// Plans what follows from the operations of the states that will be taken, not yet looking at what they say of it.
    pub(crate) fn foresee<S: Slots>(
        &mut self,
        engine: &Engine<S>,
        inputs: &[Input],
        looked_up: Known<'_>,
        taken: impl Fn(usize) -> bool,
    ) {
        self.foreseen = true;
        self.hash_operations(engine, inputs, looked_up);
        self.link_chains(engine, inputs, taken);
        for round in 0..self.rounds.len() {
            let states = core::mem::take(&mut self.rounds[round]);
            if states.is_empty() {
                break;
            }
            self.hash_round(engine, inputs, &states);
            self.rounds[round] = states;
        }
    }

    fn hash_operations<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], looked_up: Known<'_>) {
        self.inputs.clear();
        self.inputs.resize(inputs.len(), BLANK);
        self.digests.clear();
        let lists = pays(inputs).map(|(_, pay)| pay.operations.as_slice());
        many::operations_digests(lists, &mut self.digests);
        let mut first_add = 0;
        self.payees.clear();
        for ((at, pay), digest) in pays(inputs).zip(&self.digests) {
            let slot = engine.channel_known(&pay.state.channel, looked_up(at));
            let payees = adds(pay).map(|(_, lock)| engine.channel(&lock.payee_channel));
            self.payees
                .extend(payees.inspect(|payee| engine.prefetch_channel(*payee)));
            engine.prefetch_channel(slot);
            self.inputs[at].slot = slot;
            self.inputs[at].operations = *digest;
            self.inputs[at].first_add = first_add;
            first_add += adds(pay).count();
        }
        self.ids.clear();
        let locks = pays(inputs).flat_map(|(_, pay)| adds(pay).map(move |(slot, lock)| (pay, slot, lock)));
        many::lock_ids(
            locks.map(|(pay, slot, lock)| (lock, &pay.state.channel, pay.state.counter, slot)),
            &mut self.ids,
        );
        self.salts.clear();
        many::credit_salts(&engine.salt_secret, &self.ids, &mut self.digests, &mut self.salts);
    }

    /// Puts every state that may be accepted into the chain of its channel.
    fn link_chains<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], taken: impl Fn(usize) -> bool) {
        self.by_slot.clear();
        self.chains.clear();
        self.changed.clear();
        self.rounds.iter_mut().for_each(Vec::clear);
        for (at, pay) in pays(inputs).filter(|(at, _)| taken(*at)) {
            let may_be_taken =
                |slot: &u32| pay.state.counter > engine.counters_of(*slot).0 && engine.status(*slot) == ACTIVE;
            let Some(slot) = self.inputs[at].slot.filter(may_be_taken) else {
                continue;
            };
            let next = u32::try_from(self.chains.len()).expect("fewer chains than channels");
            let chain = *self.by_slot.entry(slot).or_insert(next);
            if chain == next {
                engine.prefetch_page(slot);
                self.chains.push(Chain {
                    slot,
                    states: 0,
                    accepted: 0,
                    holds: true,
                    changed: 0,
                });
            }
            let states = &mut self.chains[chain as usize].states;
            let place = *states;
            *states += 1;
            (self.inputs[at].chain, self.inputs[at].place) = (chain, place);
            if self.rounds.len() == place as usize {
                self.rounds.push(Vec::new());
            }
            self.rounds[place as usize].push(u32::try_from(at).expect("a batch has fewer than 2³² inputs"));
        }
        self.newest
            .resize(self.chains.len().max(self.newest.len()), [0; LockSlot::COUNT]);
        self.trees.clear();
        self.trees
            .extend(self.chains.iter().map(|chain| engine.lock_tree(chain.slot)));
    }

    /// Carries the trees of some chains forward by one state each.
    fn hash_round<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], states: &[u32]) {
        self.changes.clear();
        for (place, &at) in states.iter().enumerate() {
            if let Some(&later) = states.get(place + GROUPS_AHEAD) {
                let planned = &self.inputs[later as usize];
                if let (Input::Pay(pay), Some(slot)) = (&inputs[later as usize], planned.slot) {
                    engine.prefetch_groups(slot, &pay.operations);
                }
            }
            let Input::Pay(pay) = &inputs[at as usize] else {
                unreachable!("rounds hold states only")
            };
            self.change(engine, at as usize, pay);
        }
        update_lock_trees(&mut self.trees[..], &self.changes, &mut self.scratch);
        for &at in states {
            let planned = &mut self.inputs[at as usize];
            planned.root = self.trees[planned.chain as usize].root();
        }
    }

    /// Notes what one state does to its channel's slots, and the groups that have to be hashed for it.
    fn change<S: Slots>(&mut self, engine: &Engine<S>, at: usize, pay: &PayInput) {
        let Planned {
            chain, mut first_add, ..
        } = self.inputs[at];
        let slot = self.chains[chain as usize].slot;
        for operation in &pay.operations {
            let (slot, digest) = match operation {
                Operation::Add { slot, .. } => {
                    first_add += 1;
                    (*slot, self.ids[first_add - 1])
                }
                Operation::Settle { slot } | Operation::Drop { slot } => (*slot, Digest::ZERO),
                Operation::Release { .. } => continue,
            };
            let newest = u32::try_from(self.changed.len()).expect("a batch changes fewer than 2³² slots");
            self.changed.push(digest);
            self.newest[chain as usize][slot.index()] = newest;
            self.chains[chain as usize].changed |= bit(slot);
        }
        let open = engine.open_locks(slot);
        // Each group once, however many operations name it: a client pays for a signature, not for hashes.
        let mut groups = 0_u16;
        for operation in &pay.operations {
            let at = match operation {
                Operation::Add { slot, .. } | Operation::Settle { slot } | Operation::Drop { slot } => *slot,
                Operation::Release { .. } => continue,
            };
            let group = 1 << (at.index() / 4);
            if groups & group != 0 {
                continue;
            }
            groups |= group;
            let group = core::array::from_fn(|i| {
                let index = at.index() / 4 * 4 + i;
                self.slot_digest(engine, chain, index, open)
            });
            self.changes.push(LockChange {
                tree: chain,
                slot: at,
                group,
            });
        }
    }

    fn slot_digest<S: Slots>(&self, engine: &Engine<S>, chain: u32, index: usize, open: &[Link; 64]) -> Digest {
        if self.chains[chain as usize].changed & (1 << index) != 0 {
            self.changed[self.newest[chain as usize][index] as usize]
        } else {
            engine.open_lock_digest(open[index])
        }
    }

    /// What is known of an input.
    pub(crate) fn of(&self, input: u32) -> Planned {
        self.inputs[input as usize]
    }

    /// The digest of a state's operations and the root after them, if all that were said to be taken are.
    pub(crate) fn foreseen(&self, input: usize) -> (Digest, Digest) {
        let planned = &self.inputs[input];
        (planned.operations, planned.root)
    }

    /// The channels that an input is about: the payer's, or that of an ack, and the first payee's.
    pub(crate) fn channels(&self, input: u32) -> Option<(u32, Option<u32>)> {
        let planned = self.inputs.get(input as usize)?;
        let payee = self.payees.get(planned.first_add).copied().flatten();
        Some((planned.slot?, payee))
    }

    /// The payee's channel of the `nth` lock that a state adds, if that was there when the batch began.
    pub(crate) fn payee(&self, planned: &Planned, nth: usize) -> Option<u32> {
        self.payees[planned.first_add + nth]
    }

    /// The channels that inputs name as payers' or as payees'; one may come many times.
    pub(crate) fn named_channels(&self) -> impl Iterator<Item = u32> {
        let payers = self.inputs.iter().filter_map(|input| input.slot);
        payers.chain(self.payees.iter().copied().flatten())
    }

    /// The `nth` lock that a state adds.
    pub(crate) fn lock(&self, planned: &Planned, nth: usize) -> JudgedLock {
        let at = planned.first_add + nth;
        JudgedLock {
            id: LockId::from_bytes(*self.ids[at].as_bytes()),
            salt: self.salts[at],
            payee: self.payees[at],
        }
    }

    /// The root after this state, if every state of its channel before it in the batch was accepted.
    pub(crate) fn root(&self, planned: &Planned) -> PlannedRoot {
        match self.chains.get(planned.chain as usize) {
            Some(chain) if chain.holds && chain.accepted == planned.place => PlannedRoot::Known(planned.root),
            _ => PlannedRoot::Unknown,
        }
    }

    /// A state was accepted. True if the chain holds, so that its tree is written at the end of the batch.
    pub(crate) fn accepted(&mut self, planned: &Planned) -> bool {
        let Some(chain) = self.chains.get_mut(planned.chain as usize) else {
            return false;
        };
        chain.accepted += 1;
        chain.holds
    }

    /// A state was refused. True if the page's tree has to be hashed afresh.
    pub(crate) fn refused(&mut self, planned: &Planned) -> bool {
        let Some(chain) = self.chains.get_mut(planned.chain as usize) else {
            return false;
        };
        core::mem::take(&mut chain.holds) && chain.accepted > 0
    }

    /// The channels whose chain held to its end, with their trees.
    pub(crate) fn trees(&self) -> impl Iterator<Item = (u32, &LockTree)> {
        let chains = self.chains.iter().zip(&self.trees);
        chains
            .filter(|(chain, _)| chain.holds)
            .map(|(chain, tree)| (chain.slot, tree))
    }
}
