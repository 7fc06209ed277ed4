//! What is known of a batch before any input takes effect: hashed many messages at a time, and judged ahead on many threads.
//!
//! Digests of states, of their operations, the ids of the locks they add and those locks' salts follow from the inputs
//! alone. The root that a state's lock tree comes to follows from the channel's open locks and from the states before it
//! in the batch, *if those are accepted*; nearly always they are. So the trees of all payers are carried forward on copies,
//! one round per state of a channel, each round level by level across channels (`part`).
//!
//! A channel's chain of copies holds until one of its states is refused. Then the page gets the tree of the locks that it
//! has (hashed afresh), and the states after it in this batch are hashed alone. The outcome is the same either way: what
//! is planned is a root for a set of locks, and `Chain::holds` says that this is the set at hand.
//!
//! All of this is a payer's own. So a plan falls into parts by payer, which are made side by side (`super::phases`).

mod part;

use core::ops::Range;

use tidegate_channel::Operation;
use tidegate_types::{ChannelId, Digest};

use super::pay::Verdict;
use super::{Engine, Known};
use crate::input::{Input, PayInput};
use crate::slots::Slots;
pub(crate) use part::{Part, Planned, PlannedRoot, PlannedTree};

/// The plan of a batch, in one part or more. Its memory is used again by the next.
#[derive(Debug, Default)]
pub(crate) struct Plan {
    parts: Vec<Part>,
    /// By input: its part, and its place there.
    places: Vec<(u32, u32)>,
    /// By input: its channel, if the caller has looked that up.
    known: Vec<Option<u32>>,
    /// True of inputs that were read from the log and wait for their execution.
    foreseen: bool,
}

fn pays(inputs: &[Input]) -> impl Iterator<Item = (usize, &PayInput)> {
    inputs.iter().enumerate().filter_map(|(at, input)| match input {
        Input::Pay(pay) => Some((at, pay)),
        _ => None,
    })
}

/// The part of a channel's states and acks. Names are digests, so parts are of one size unless some channels are hot.
fn part_of(channel: &ChannelId, parts: usize) -> usize {
    usize::from(channel.as_bytes()[0]) % parts
}

/// Whatever comes between states and acks: what its effects are on others is not looked into.
fn is_barrier(input: &Input) -> bool {
    match input {
        Input::Pay(pay) => pay.operations.iter().any(|o| matches!(o, Operation::Release { .. })),
        Input::Ack(_) | Input::Refresh(_) => false,
        Input::Block(_)
        | Input::Close(_)
        | Input::Policy(_)
        | Input::Fulfil(_)
        | Input::Release(_)
        | Input::Freeze(_)
        | Input::Splice(_)
        | Input::Forward(_) => true,
    }
}

/// The inputs that are judged ahead: from the first state or ack up to what comes between the others.
pub(super) fn run_of(inputs: &[Input]) -> Range<u32> {
    let number = |at: usize| u32::try_from(at).expect("a batch has fewer than 2³² inputs");
    let start = inputs.iter().take_while(|input| is_barrier(input)).count();
    let run = inputs[start..].iter().take_while(|input| !is_barrier(input)).count();
    number(start)..number(start + run)
}

impl Plan {
    /// Plans a batch.
    pub(crate) fn make<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], looked_up: Known<'_>) {
        // What was just read from the log was foreseen then: these inputs, if their operations are the same.
        let known = core::mem::take(&mut self.foreseen)
            && self.places.len() == inputs.len()
            && pays(inputs).all(|(at, pay)| self.planned(at).is_of(engine, pay));
        if known {
            self.known.clear();
            self.known.extend((0..inputs.len()).map(looked_up));
        } else {
            self.divide(engine, inputs, looked_up);
        }
        let looked_up = &self.known;
        engine.side_by_side(&mut self.parts, |number, part| {
            if !known {
                part.foresee(engine, inputs, (number, looked_up), |_| true);
            }
            part.complete(engine, inputs, looked_up);
        });
    }

    /// Plans what follows from the operations of the states that will be taken, not yet looking at what they say of it.
    pub(crate) fn foresee<S: Slots>(
        &mut self,
        engine: &Engine<S>,
        inputs: &[Input],
        taken: impl Fn(usize) -> bool + Sync,
    ) {
        self.divide(engine, inputs, &|_| None);
        let looked_up = &self.known;
        engine.side_by_side(&mut self.parts, |number, part| {
            part.foresee(engine, inputs, (number, looked_up), &taken);
        });
        self.foreseen = true;
    }

    /// Gives each input its part.
    fn divide<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], looked_up: Known<'_>) {
        let parts = engine.parts_for(inputs.len());
        self.parts.resize_with(parts, Part::default);
        self.parts.iter_mut().for_each(|part| part.members.clear());
        self.places.clear();
        self.known.clear();
        self.known.extend((0..inputs.len()).map(looked_up));
        for (at, input) in (0_u32..).zip(inputs) {
            let part = match input {
                Input::Pay(pay) => part_of(&pay.state.channel, parts),
                Input::Ack(ack) => part_of(&ack.ack.channel, parts),
                _ => 0,
            };
            let members = &mut self.parts[part].members;
            let place = u32::try_from(members.len()).expect("a batch has fewer than 2³² inputs");
            self.places.push((u32::try_from(part).expect("few parts"), place));
            members.push(at);
        }
    }

    /// Judges ahead what can be, in all parts.
    pub(super) fn judge<S: Slots>(&mut self, engine: &Engine<S>, inputs: &[Input], run: &Range<u32>) {
        engine.side_by_side(&mut self.parts, |_, part| part.judge(engine, inputs, run));
    }

    fn planned(&self, input: usize) -> &Planned {
        let (part, at) = self.places[input];
        &self.parts[part as usize].inputs[at as usize]
    }

    /// What is known of an input.
    pub(crate) fn of(&self, input: u32) -> Planned {
        *self.entry(input).1
    }

    /// As [`Plan::of`], where it lies, with its part.
    #[inline]
    pub(crate) fn entry(&self, input: u32) -> (&Part, &Planned) {
        // The serial form: every input is in its own place.
        if let [part] = &self.parts[..] {
            return (part, &part.inputs[input as usize]);
        }
        let (part, at) = self.places[input as usize];
        let part = &self.parts[part as usize];
        (part, &part.inputs[at as usize])
    }

    /// The part of an input.
    pub(crate) fn part(&self, planned: &Planned) -> &Part {
        &self.parts[planned.part as usize]
    }

    /// What judging an input ahead came to, if it was.
    pub(crate) fn verdict(&self, input: u32) -> Option<Verdict> {
        if self.parts.len() == 1 {
            return None;
        }
        let (part, at) = self.places[input as usize];
        self.parts[part as usize].verdicts[at as usize]
    }

    /// The digest of a state's operations and the root after them, if all that were said to be taken are.
    pub(crate) fn foreseen(&self, input: usize) -> (Digest, Digest) {
        let (part, at) = self.places[input];
        self.parts[part as usize].foreseen(at as usize)
    }

    /// The channels that an input is about: the payer's, or that of an ack, and the first payee's.
    pub(crate) fn channels(&self, input: u32) -> Option<(u32, Option<u32>)> {
        let &(part, at) = self.places.get(input as usize)?;
        let part = &self.parts[part as usize];
        let planned = &part.inputs[at as usize];
        Some((planned.slot?, part.first_payee(planned)))
    }

    /// The payees' channels of the locks that a state adds.
    pub(crate) fn payees(&self, input: u32, pay: &PayInput) -> &[Option<u32>] {
        let (part, planned) = self.entry(input);
        part.payees(planned, part::adds(pay).count())
    }

    /// The channel that an input is about as its caller has looked it up, unchecked.
    pub(crate) fn known(&self, input: u32) -> Option<u32> {
        *self.known.get(input as usize)?
    }

    /// The payee's channel of the `nth` lock that a state adds, if that was there when the batch began.
    pub(crate) fn payee(&self, planned: &Planned, nth: usize) -> Option<u32> {
        self.part(planned).payee(planned, nth)
    }

    /// The channels that inputs name as payers' or as payees', in the order of the inputs; one may come many times.
    pub(crate) fn named_channels(&self, inputs: &[Input]) -> impl Iterator<Item = u32> {
        let payers = (0..inputs.len()).filter_map(|at| self.planned(at).slot);
        let payees = pays(inputs).flat_map(|(at, pay)| {
            let planned = self.planned(at);
            (0..part::adds(pay).count()).filter_map(|nth| self.payee(planned, nth))
        });
        payers.chain(payees)
    }

    /// A state was accepted. True if the chain holds, so that its tree is written at the end of the batch.
    pub(crate) fn accepted(&mut self, planned: &Planned) -> bool {
        self.parts[planned.part as usize].accepted(planned)
    }

    /// A state was refused. True if the page's tree has to be hashed afresh.
    pub(crate) fn refused(&mut self, planned: &Planned) -> bool {
        self.parts[planned.part as usize].refused(planned)
    }

    /// The channels whose chain held to its end, with their trees.
    pub(crate) fn trees(&self) -> impl Iterator<Item = (u32, PlannedTree<'_>)> {
        self.parts.iter().flat_map(Part::trees)
    }
}
