//! From pending work to the inputs of a batch: who may ask, and what is refused before any signature is checked.

use std::sync::atomic::Ordering;

use crossbeam::channel::Sender;
use hashbrown::HashMap;
use tidegate_batch::{ChannelView, Input, Screen, Shown};
use tidegate_channel::RefuseReason;
use tidegate_types::{ChannelId, ClientCounter, HubCounter, LockId};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{Body, Busy, PayAnswer};

use super::Sequencer;
use super::duties::Search;
use crate::commitment::ProofAnswer;
use crate::inside::TableRows;
use crate::pipeline::front::error_message;
use crate::pipeline::stats::add;
use crate::pipeline::work::{ForwardWork, Job, Origin, Proofs, Request, Waiting, Work};

/// Requests about one channel that one batch takes; the rest are told to come again. Keeps a channel's answers within
/// what a receipt can hold.
const REQUESTS_PER_CHANNEL: u32 = 256;
/// Credits that the answers to `Sync` of one batch name together, 80 bytes each; one answer alone may name more.
const SYNC_CREDITS_MAX: u32 = 1 << 16;
/// When a request that was one too many may come again, in milliseconds.
const RETRY_AFTER_MS: u32 = 100;

/// The inputs of a batch, and what is asked beside them.
#[derive(Default)]
pub(super) struct Gathered {
    pub(super) inputs: Vec<Input>,
    /// By input: where it came from, if from a client.
    pub(super) sources: Vec<Option<Source>>,
    pub(super) questions: Vec<Question>,
    /// By channel: what this batch has taken of it.
    taken: HashMap<u32, Taken>,
    /// Credits that the answers to `Sync` will name.
    sync_credits: u32,
}

/// What a batch has taken of one channel.
#[derive(Clone, Copy, Default)]
struct Taken {
    requests: u32,
    synced: bool,
    signed: bool,
}

/// Where an input came from.
#[derive(Clone, Copy)]
pub(super) struct Source {
    pub(super) origin: Origin,
    pub(super) slot: u32,
    /// True if a refusal needs no answer of its own: a question beside it is answered in any case.
    pub(super) quiet: bool,
}

/// Something that is answered from the state after the batch.
pub(super) enum Question {
    Sync {
        origin: Origin,
        slot: u32,
        leaf: HubCounter,
    },
    Proof {
        origin: Origin,
        slot: u32,
        channel: ChannelId,
        lock: LockId,
    },
    View(ChannelId, Sender<Option<ChannelView>>),
    Shown(ChannelId, Sender<Option<Shown>>),
    Proofs(ChannelId, Sender<Proofs>),
    Waiting(Sender<Waiting>),
    Prove(ChannelId, Sender<Option<ProofAnswer>>),
}

fn busy(origin: Origin) -> Vec<u8> {
    let mut bytes = Vec::new();
    let busy = Busy {
        retry_after_ms: RETRY_AFTER_MS,
    };
    busy.append(origin.request, &mut bytes).expect("it is short");
    bytes
}

impl Gathered {
    pub(super) fn push(&mut self, input: Input, source: Option<Source>) {
        self.inputs.push(input);
        self.sources.push(source);
    }

    /// False if one more request about this channel is too many.
    fn has_room(&mut self, slot: u32) -> bool {
        let taken = self.taken.entry(slot).or_default();
        taken.requests += 1;
        taken.requests <= REQUESTS_PER_CHANNEL
    }

    /// True for the first signed request about this channel.
    fn is_first_signed(&mut self, slot: u32) -> bool {
        let taken = self.taken.entry(slot).or_default();
        !std::mem::replace(&mut taken.signed, true)
    }

    /// False if an answer that names so many credits must wait for a later batch: a second one about a channel would say what
    /// the first says, and those about all channels are in memory together until the log is durable.
    fn has_room_for_sync(&mut self, slot: u32, credits: u32) -> bool {
        let taken = self.taken.entry(slot).or_default();
        let sum = self.sync_credits.saturating_add(credits);
        if taken.synced || (self.sync_credits > 0 && sum > SYNC_CREDITS_MAX) {
            return false;
        }
        (taken.synced, self.sync_credits) = (true, sum);
        true
    }

    pub(super) const fn changes_state(&self) -> bool {
        !self.inputs.is_empty()
    }

    /// True if it neither opens nor ends a channel, nor changes anything else than what channels have paid.
    pub(super) fn is_payments(&self) -> bool {
        self.inputs.iter().all(|input| match input {
            Input::Pay(_) | Input::Ack(_) | Input::Fulfil(_) | Input::Release(_) | Input::Refresh(_) => true,
            Input::Block(_)
            | Input::Close(_)
            | Input::Policy(_)
            | Input::Freeze(_)
            | Input::Splice(_)
            | Input::Forward(_) => false,
        })
    }

    /// Empties it, keeping its memory.
    pub(super) fn clear(&mut self) {
        self.inputs.clear();
        self.sources.clear();
        self.questions.clear();
        self.taken.clear();
        self.sync_credits = 0;
    }
}

impl Sequencer {
    /// Takes what waits, as much as a batch holds. While the batch before is not executed, `ahead`, that is requests alone:
    /// whoever says Hello must not hear of that batch before it is answered, and what is asked of the state would be asked early.
    pub(super) fn gather(&mut self, gathered: &mut Gathered, job: &mut Job, ahead: bool) {
        let most = self.pending.len().min(self.settings.batch_inputs_max);
        let is_mark = |work: &Work| matches!(work, Work::Processed(_));
        let mut count = 0;
        // A mark behind the last request is taken with it: left behind alone it would make a batch of nothing.
        while let Some(work) = self.pending.take_if(|work| {
            let fits = count < most && (!ahead || matches!(work, Work::Request(..)));
            fits || is_mark(work)
        }) {
            count += 1;
            match work {
                Work::Hello {
                    origin,
                    identity,
                    share_paths,
                } => {
                    if share_paths {
                        self.sessions.share_paths(origin.conn);
                    }
                    let bytes = self.hello(origin, identity);
                    job.replies.push((origin.conn, bytes));
                }
                Work::Attach {
                    origin,
                    identity,
                    request,
                } => job.replies.push((origin.conn, self.attach(origin, identity, &request))),
                Work::Request(origin, request) => self.take_request(origin, request, gathered, job),
                Work::Policy(policy) => gathered.push(Input::Policy(policy), None),
                Work::Prove(channel, asker) => gathered.questions.push(Question::Prove(channel, asker)),
                Work::View(channel, asker) => gathered.questions.push(Question::View(channel, asker)),
                Work::Shown(channel, asker) => gathered.questions.push(Question::Shown(channel, asker)),
                Work::Proofs(channel, asker) => gathered.questions.push(Question::Proofs(channel, asker)),
                Work::Duties(ask, asker) => self.search = Some(Search::new(ask, asker)),
                Work::Freeze(channel) => {
                    self.ending.extend(self.engine.channel(&channel));
                    gathered.push(Input::Freeze(channel), None);
                }
                Work::Forward(ForwardWork::End(end)) => gathered.push(Input::Forward(end), None),
                Work::Forward(ForwardWork::Ask(asker)) => gathered.questions.push(Question::Waiting(asker)),
                Work::Dispute(notice) => job.replies.extend(self.dispute_notice(&notice)),
                // Nothing of a payment is in it, so it need not wait for the batch. Whoever asked may have gone.
                Work::Tables(asker) => drop(asker.send(TableRows::of(&self.engine))),
                Work::Gone(conn) => self.sessions.remove(conn, &self.engine),
                Work::Processed(mark) => self.processed.set(mark),
                Work::Block(_) | Work::Stop => unreachable!("taken when their group came"),
            }
        }
        self.wake_the_waiting();
    }

    /// True while payments wait: for room on the disk, or for the ledger, without whose blocks no deadline passes.
    fn has_to_wait(&self) -> bool {
        self.no_room.load(Ordering::Relaxed) || self.stats.stalled.load(Ordering::Relaxed)
    }

    fn take_request(&mut self, origin: Origin, request: Request, gathered: &mut Gathered, job: &mut Job) {
        let slot = self.engine.channel(&request.channel());
        let Some(slot) = slot.filter(|&slot| self.sessions.may_carry(origin.conn, slot, &self.engine)) else {
            job.replies
                .push((origin.conn, error_message(origin, ErrorCode::NotAttached, "")));
            return;
        };
        let is_sync = matches!(request, Request::Sync { .. });
        let source = Some(Source {
            origin,
            slot,
            quiet: is_sync,
        });
        let fits = gathered.has_room(slot)
            && (!is_sync || gathered.has_room_for_sync(slot, self.engine.credits_waiting(slot)));
        if !fits {
            if is_sync {
                self.suspects.note_turned_away(origin.conn);
            }
            job.replies.push((origin.conn, busy(origin)));
            return;
        }
        if request.is_signed() && self.suspects.contains(slot) && !gathered.is_first_signed(slot) {
            self.suspects.note_turned_away(origin.conn);
            job.replies.push((origin.conn, busy(origin)));
            return;
        }
        match request {
            Request::Pay(pay) => {
                let refusal = match self.engine.screen(slot, &pay) {
                    Screen::Verify if self.revealed.meets(&pay) => Some(RefuseReason::BadOperation),
                    Screen::Verify => None,
                    Screen::Refuse(reason) => Some(reason),
                    Screen::Known => Some(RefuseReason::Duplicate),
                };
                match refusal {
                    _ if self.has_to_wait() => job.replies.push((origin.conn, busy(origin))),
                    Some(reason) => self.refuse_state(origin, slot, pay.state.counter, reason, job),
                    None => gathered.push(Input::Pay(pay), source),
                }
            }
            // It is not signed: a delegate carries payments, but does not end a channel.
            Request::Close(_) | Request::Splice(_) if !self.sessions.is_client(origin.conn, slot, &self.engine) => {
                let text = "only the channel's client closes it";
                job.replies
                    .push((origin.conn, error_message(origin, ErrorCode::Refused, text)));
            }
            Request::Ack(ack) => gathered.push(Input::Ack(ack), source),
            Request::Splice(splice) => gathered.push(Input::Splice(splice), source),
            Request::Close(close) => gathered.push(Input::Close(close), source),
            // A preimage speaks for itself, and a release is signed: a delegate may carry both.
            Request::Fulfil(fulfil) => gathered.push(Input::Fulfil(fulfil), source),
            Request::Release(release) => gathered.push(Input::Release(release), source),
            Request::Refresh(channel) => gathered.push(Input::Refresh(channel), source),
            Request::Sync { channel, leaf } => {
                // A fresh leaf first; the answer is of the state after the batch.
                gathered.push(Input::Refresh(channel), source);
                gathered.questions.push(Question::Sync { origin, slot, leaf });
            }
            Request::Proof { channel, lock } => gathered.questions.push(Question::Proof {
                origin,
                slot,
                channel,
                lock,
            }),
        }
    }

    /// A state that is not accepted: nothing has changed.
    pub(super) fn refuse_state(
        &self,
        origin: Origin,
        slot: u32,
        counter: ClientCounter,
        reason: RefuseReason,
        job: &mut Job,
    ) {
        add(&self.stats.refused, 1);
        let (channel, newest_state, newest_leaf) = self.engine.counters(slot);
        let answer = PayAnswer {
            channel,
            counter,
            refusal: reason.code(),
            newest_state,
            newest_leaf,
            stored: None,
        };
        let mut bytes = Vec::new();
        answer.append(origin.request, &mut bytes).expect("a refusal is short");
        job.replies.push((origin.conn, bytes));
    }
}
