//! What is hashed ahead for the payers of one part of a batch; all states and acks of one channel are in one part.

use hashbrown::HashMap;
use tidegate_channel::{Operation, many};
use tidegate_crypto::merkle::{FirstLockTree, LockChange, LockScratch, LockTree, update_lock_trees};
use tidegate_types::{Digest, LockId, LockSlot};

use crate::engine::Engine;
use crate::engine::pages::{self, OpenLocks, bit, slots_of};
use crate::engine::pay::{Judged, JudgedLock, Verdict};
use crate::input::{AckInput, Input, PayInput};
use crate::record::ACTIVE;
use crate::slots::Slots;

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
    /// Which part it is in.
    pub(super) part: u32,
}

impl Planned {
    /// True if it was planned for this state, or for one that differs in its sums and root alone.
    pub(super) fn is_of<S: Slots>(&self, engine: &Engine<S>, pay: &PayInput) -> bool {
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
    part: 0,
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
    /// True if it has locks beyond the first slots, before the batch or by it.
    wide: bool,
    /// The number of its tree among those of its kind.
    tree: u32,
    /// The first ack of the channel in the batch.
    first_ack: u32,
}

/// One part of a plan. Its memory is used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Part {
    /// The places in the batch of its inputs, rising.
    pub(super) members: Vec<u32>,
    /// By member.
    pub(super) inputs: Vec<Planned>,
    ids: Vec<Digest>,
    /// The payees' channels, if there are such.
    pub(super) payees: Vec<Option<u32>>,
    salts: Vec<[u8; 16]>,
    chains: Vec<Chain>,
    /// The lock tree of each chain after its last state: those with locks in the first slots alone, and the others.
    first_trees: Vec<FirstLockTree>,
    whole_trees: Vec<LockTree>,
    by_slot: HashMap<u32, u32, foldhash::fast::RandomState>,
    /// By chain and slot: the newest of its changes, where the chain's bit is set.
    newest: Vec<[u32; LockSlot::COUNT]>,
    /// What each change puts into its slot.
    changed: Vec<Digest>,
    /// The members of each round.
    rounds: Vec<Vec<u32>>,
    first_changes: Vec<LockChange>,
    whole_changes: Vec<LockChange>,
    scratch: LockScratch,
    digests: Vec<Digest>,
    /// By member: what judging it ahead came to.
    pub(super) verdicts: Vec<Option<Verdict>>,
    judged: Judged,
}

/// The lock tree of a channel after the states of a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlannedTree<'a> {
    /// All its locks stand in the first slots.
    First(&'a FirstLockTree),
    /// It has others.
    Whole(&'a LockTree),
}

/// How a state's lock tree is known.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PlannedRoot {
    /// It was planned.
    Known(Digest),
    /// It must be hashed from the page.
    Unknown,
}

/// The states among the members, each with its place there.
fn pays<'a>(members: &'a [u32], inputs: &'a [Input]) -> impl Iterator<Item = (usize, &'a PayInput)> {
    let all = members.iter().enumerate();
    all.filter_map(|(at, &member)| match &inputs[member as usize] {
        Input::Pay(pay) => Some((at, pay)),
        _ => None,
    })
}

fn acks<'a>(members: &'a [u32], inputs: &'a [Input]) -> impl Iterator<Item = (usize, &'a AckInput)> {
    let all = members.iter().enumerate();
    all.filter_map(|(at, &member)| match &inputs[member as usize] {
        Input::Ack(ack) => Some((at, ack)),
        _ => None,
    })
}

pub(super) fn adds(pay: &PayInput) -> impl Iterator<Item = (LockSlot, &tidegate_channel::Lock)> {
    pay.operations.iter().filter_map(|operation| match operation {
        Operation::Add { slot, lock } => Some((*slot, lock)),
        _ => None,
    })
}

impl Part {
    /// What follows from the operations of the states that will be taken, not yet looking at what they say of it. `number` is
    /// that of the part; `known` has the channels that the caller has looked up, by input.
    pub(super) fn foresee<S: Slots>(
        &mut self,
        engine: &Engine<S>,
        inputs: &[Input],
        (number, known): (u32, &[Option<u32>]),
        taken: impl Fn(usize) -> bool,
    ) {
        self.hash_operations(engine, inputs, (number, known));
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

    /// What follows from the states as they are, and the channels of acks.
    pub(super) fn complete<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], known: &[Option<u32>]) {
        self.digests.clear();
        many::state_digests(
            pays(&self.members, inputs).map(|(_, pay)| &pay.state),
            &mut self.digests,
        );
        for ((at, _), digest) in pays(&self.members, inputs).zip(&self.digests) {
            self.inputs[at].digest = *digest;
        }
        for (at, ack) in acks(&self.members, inputs) {
            let slot = engine.channel_known(&ack.ack.channel, known[self.members[at] as usize]);
            self.inputs[at].slot = slot;
            if let Some(chain) = slot.and_then(|slot| self.by_slot.get(&slot)) {
                let chain = &mut self.chains[*chain as usize];
                chain.first_ack = chain.first_ack.min(self.members[at]);
            }
        }
        self.verdicts.clear();
        self.verdicts.resize(self.members.len(), None);
    }

    /// Judges the first state of every payer among the inputs of `run`, where no ack of the same channel comes before it.
    pub(super) fn judge<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], run: &core::ops::Range<u32>) {
        let (mut verdicts, mut judged) = (core::mem::take(&mut self.verdicts), core::mem::take(&mut self.judged));
        for (at, pay) in pays(&self.members, inputs) {
            let planned = &self.inputs[at];
            let (Some(slot), Some(chain)) = (planned.slot, self.chains.get(planned.chain as usize)) else {
                continue;
            };
            let member = self.members[at];
            if planned.place == 0 && run.contains(&member) && chain.first_ack > member {
                verdicts[at] = Some(engine.judge(slot, pay, (&*self, planned), &mut judged));
            }
        }
        (self.verdicts, self.judged) = (verdicts, judged);
    }

    fn hash_operations<S: Slots>(
        &mut self,
        engine: &Engine<S>,
        inputs: &[Input],
        (number, known): (u32, &[Option<u32>]),
    ) {
        self.inputs.clear();
        let blank = Planned { part: number, ..BLANK };
        self.inputs.resize(self.members.len(), blank);
        self.digests.clear();
        let lists = pays(&self.members, inputs).map(|(_, pay)| pay.operations.as_slice());
        many::operations_digests(lists, &mut self.digests);
        let mut first_add = 0;
        self.payees.clear();
        for ((at, pay), digest) in pays(&self.members, inputs).zip(&self.digests) {
            let slot = engine.channel_known(&pay.state.channel, known[self.members[at] as usize]);
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
        let locks =
            pays(&self.members, inputs).flat_map(|(_, pay)| adds(pay).map(move |(slot, lock)| (pay, slot, lock)));
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
        for (at, pay) in pays(&self.members, inputs).filter(|(at, _)| taken(self.members[*at] as usize)) {
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
                    wide: false,
                    tree: NONE,
                    first_ack: NONE,
                });
            }
            let known = &mut self.chains[chain as usize];
            let place = known.states;
            known.states += 1;
            known.wide |= slots_of(&pay.operations).any(pages::is_wide);
            (self.inputs[at].chain, self.inputs[at].place) = (chain, place);
            if self.rounds.len() == place as usize {
                self.rounds.push(Vec::new());
            }
            self.rounds[place as usize].push(u32::try_from(at).expect("a batch has fewer than 2³² inputs"));
        }
        self.newest
            .resize(self.chains.len().max(self.newest.len()), [0; LockSlot::COUNT]);
        self.take_trees(engine);
    }

    /// Takes a copy of every chain's lock tree.
    fn take_trees<S: Slots>(&mut self, engine: &Engine<S>) {
        self.first_trees.clear();
        self.whole_trees.clear();
        for chain in &mut self.chains {
            let first = Some(chain.slot)
                .filter(|_| !chain.wide)
                .and_then(|slot| engine.first_lock_tree(slot));
            chain.wide = first.is_none();
            let count = match first {
                Some(tree) => {
                    self.first_trees.push(tree);
                    self.first_trees.len()
                }
                None => {
                    self.whole_trees.push(engine.lock_tree(chain.slot));
                    self.whole_trees.len()
                }
            };
            chain.tree = u32::try_from(count - 1).expect("fewer trees than channels");
        }
    }

    /// Carries the trees of some chains forward by one state each.
    fn hash_round<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], states: &[u32]) {
        self.first_changes.clear();
        self.whole_changes.clear();
        for (place, &at) in states.iter().enumerate() {
            if let Some(&later) = states.get(place + GROUPS_AHEAD) {
                let planned = &self.inputs[later as usize];
                if let (Input::Pay(pay), Some(slot)) = (&inputs[self.members[later as usize] as usize], planned.slot) {
                    engine.prefetch_groups(slot, &pay.operations);
                }
            }
            let Input::Pay(pay) = &inputs[self.members[at as usize] as usize] else {
                unreachable!("rounds hold states only")
            };
            self.change(engine, at as usize, pay);
        }
        update_lock_trees(&mut self.first_trees[..], &self.first_changes, &mut self.scratch);
        update_lock_trees(&mut self.whole_trees[..], &self.whole_changes, &mut self.scratch);
        for &at in states {
            let chain = &self.chains[self.inputs[at as usize].chain as usize];
            self.inputs[at as usize].root = match self.tree(chain) {
                PlannedTree::First(tree) => tree.kept().root,
                PlannedTree::Whole(tree) => tree.root(),
            };
        }
    }

    /// Notes what one state does to its channel's slots, and the groups that have to be hashed for it.
    fn change<S: Slots>(&mut self, engine: &Engine<S>, at: usize, pay: &PayInput) {
        let Planned {
            chain, mut first_add, ..
        } = self.inputs[at];
        let Chain { slot, tree, wide, .. } = self.chains[chain as usize];
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
        for at in slots_of(&pay.operations) {
            let group = 1 << (at.index() / 4);
            if groups & group != 0 {
                continue;
            }
            groups |= group;
            let group = core::array::from_fn(|i| {
                let index = at.index() / 4 * 4 + i;
                self.slot_digest(engine, chain, index, open)
            });
            let changes = if wide {
                &mut self.whole_changes
            } else {
                &mut self.first_changes
            };
            changes.push(LockChange { tree, slot: at, group });
        }
    }

    fn slot_digest<S: Slots>(&self, engine: &Engine<S>, chain: u32, index: usize, open: OpenLocks<'_>) -> Digest {
        if self.chains[chain as usize].changed & (1 << index) != 0 {
            self.changed[self.newest[chain as usize][index] as usize]
        } else {
            engine.open_lock_digest(open.link(index))
        }
    }

    /// The digest of a member's operations and the root after them, if all that were said to be taken are.
    pub(super) fn foreseen(&self, at: usize) -> (Digest, Digest) {
        let planned = &self.inputs[at];
        (planned.operations, planned.root)
    }

    /// The payee's channel of the `nth` lock that a state adds, if that was there when the batch began.
    pub(crate) fn payee(&self, planned: &Planned, nth: usize) -> Option<u32> {
        self.payees[planned.first_add + nth]
    }

    /// The payees' channels of the `count` locks that a state adds.
    pub(super) fn payees(&self, planned: &Planned, count: usize) -> &[Option<u32>] {
        &self.payees[planned.first_add..][..count]
    }

    /// The first payee's channel, if there is one.
    pub(super) fn first_payee(&self, planned: &Planned) -> Option<u32> {
        self.payees.get(planned.first_add).copied().flatten()
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
    pub(super) fn accepted(&mut self, planned: &Planned) -> bool {
        let Some(chain) = self.chains.get_mut(planned.chain as usize) else {
            return false;
        };
        chain.accepted += 1;
        chain.holds
    }

    /// A state was refused. True if the page's tree has to be hashed afresh.
    pub(super) fn refused(&mut self, planned: &Planned) -> bool {
        let Some(chain) = self.chains.get_mut(planned.chain as usize) else {
            return false;
        };
        core::mem::take(&mut chain.holds) && chain.accepted > 0
    }

    /// The channels whose chain held to its end, with their trees.
    pub(super) fn trees(&self) -> impl Iterator<Item = (u32, PlannedTree<'_>)> {
        let chains = self.chains.iter().filter(|chain| chain.holds);
        chains.map(|chain| (chain.slot, self.tree(chain)))
    }

    fn tree(&self, chain: &Chain) -> PlannedTree<'_> {
        if chain.wide {
            PlannedTree::Whole(&self.whole_trees[chain.tree as usize])
        } else {
            PlannedTree::First(&self.first_trees[chain.tree as usize])
        }
    }
}
