//! The sequencer thread: the only one that touches the engine.
//!
//! It gathers what arrived into a batch, refuses what is cheap to refuse, has the signatures checked, executes, and hands
//! the batch to the log. While batch n syncs, n+1 is executed; at most `batches_in_flight_max` wait. While n+1 is executed the
//! signatures of n+2 are checked, if by then enough has arrived for one.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, select};
use rayon::ThreadPool;
use tidegate_batch::{BlockInput, EngineError, Input};
use tidegate_crypto::verify::Verifier;
use tidegate_reactor::Sender as ReactorSender;
use tidegate_types::UnixMillis;
use tidegate_wire::messages::{Body, HelloAnswer};

use super::checkpoints::Checkpoints;
use super::credits::Processed;
use super::flow::Flow;
use super::options::Settings;
use super::probes;
use super::stats::{Stats, add, note};
use super::work::{Group, Job, Origin, Read, Work};
use crate::state::{HubEngine, StateError, append_record};
use tidegate_table::Lsn;
use tidegate_wal::record_bytes;

mod answer;
mod attach;
mod duties;
mod gather;
mod pending;
mod revealed;
mod sessions;
mod suspects;
mod verify;

use duties::Search;
use gather::Gathered;
use pending::Pending;
use revealed::Revealed;
use sessions::Sessions;
use suspects::Suspects;
use verify::Checks;

/// How long the sequencer sleeps when there is nothing to do; it is woken by work.
const IDLE: Duration = Duration::from_secs(3600);
/// How long what arrives may lie in its queue while the log is busy: less than a sync takes.
const NAP: Duration = Duration::from_micros(200);
/// A batch of so many inputs is a crowd: the one behind it waits for company.
const CROWD: usize = 64;
/// Tables of keys that are made between two batches: few, so that no batch waits long for a worker.
const TABLES_AT_ONCE: usize = 16;
/// From so many waiting requests on, the signatures of the next batch are checked beside the execution of this one. With fewer
/// the next one waits for company as it always does: to take it earlier makes batches smaller and saves little. A program with
/// debug assertions takes this way whenever it can, so that the tests do.
const AHEAD_MIN: usize = if cfg!(debug_assertions) { 1 } else { 512 };
/// Inputs after which tables are thought of again: often under load, and no worker is woken for a lone payment.
const MAINTAIN_EVERY: usize = 256;

pub(crate) struct Sequencer {
    engine: HubEngine,
    checkpoints: Checkpoints,
    /// The newest record that has been handed to the log.
    lsn: Lsn,
    sessions: Sessions,
    suspects: Suspects,
    verifier: Arc<Verifier>,
    settings: Settings,
    hello: HelloAnswer,
    groups: Receiver<Group>,
    jobs: Sender<Job>,
    done: Receiver<Job>,
    in_flight: usize,
    free: Vec<Job>,
    reactor: ReactorSender,
    waiting: Arc<AtomicBool>,
    /// Up to which mark the reactor's groups were taken.
    processed: Processed,
    /// True while the disk has no room for another log segment.
    no_room: Arc<AtomicBool>,
    /// Who is told that something new waits for another hub.
    routes: Vec<Sender<()>>,
    stats: Arc<Stats>,
    pending: Pending,
    revealed: Revealed,
    /// Channels whose end was begun and has not come to the ledger, or once had not.
    ending: BTreeSet<u32>,
    /// Channels that want to end, and by whose acks payers owe.
    leaving: BTreeSet<u32>,
    /// The ledger thread's question that is being answered.
    search: Option<Search>,
    /// The newest final block, if no batch has taken it yet; it waits for company unless it opens or closes a channel.
    block: Option<BlockInput>,
    /// When the oldest of `pending` came.
    pending_since: Option<Instant>,
    stopping: bool,
    pool: Arc<ThreadPool>,
    /// Inputs of the newest batch.
    last_inputs: usize,
    /// Inputs since tables were last thought of.
    since_maintenance: usize,
    /// True while tables of keys are being made.
    maintaining: Arc<AtomicBool>,
    /// The next batch, if its signatures were checked beside the execution of the one before.
    ahead: Option<Batch>,
    /// Memory of batches, used again by the next.
    spare: Vec<(Gathered, Checks)>,
}

/// A batch before its execution.
struct Batch {
    gathered: Gathered,
    checks: Checks,
    job: Job,
}

/// What the sequencer is made of.
pub(crate) struct Parts {
    pub(crate) engine: HubEngine,
    pub(crate) checkpoints: Checkpoints,
    pub(crate) lsn: Lsn,
    pub(crate) verifier: Arc<Verifier>,
    pub(crate) pool: ThreadPool,
    pub(crate) settings: Settings,
    pub(crate) hello: HelloAnswer,
    /// Hashes whose preimages stand on the ledger at the start.
    pub(crate) revealed: HashSet<[u8; 32]>,
    pub(crate) groups: Receiver<Group>,
    pub(crate) jobs: Sender<Job>,
    pub(crate) done: Receiver<Job>,
    pub(crate) reactor: ReactorSender,
    pub(crate) waiting: Arc<AtomicBool>,
    pub(crate) flow: Flow,
    pub(crate) no_room: Arc<AtomicBool>,
    pub(crate) routes: Vec<Sender<()>>,
    pub(crate) stats: Arc<Stats>,
}

/// Why the sequencer has ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum SequencerError {
    /// The log has ended, and says why.
    #[error("the log has ended")]
    LogEnded,
    /// A table is full.
    #[error("{0}")]
    Engine(#[from] EngineError),
    /// A checkpoint failed.
    #[error("{0}")]
    State(#[from] StateError),
}

impl Sequencer {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts {
            mut engine,
            checkpoints,
            lsn,
            verifier,
            pool,
            settings,
            hello,
            revealed,
            groups,
            jobs,
            done,
            reactor,
            waiting,
            flow,
            no_room,
            routes,
            stats,
        } = parts;
        // Verified first, then executed: the pool has nothing else to do meanwhile, but for tables of keys.
        let pool = Arc::new(pool);
        engine.use_threads(&pool);
        let ending = (0..engine.opened().channels)
            .filter(|&slot| engine.ending(slot).is_some())
            .collect();
        let sessions = Sessions::new(&engine, &verifier, flow.known);
        let bad_percent = settings.bad_signature_cpu_percent;
        Self {
            engine,
            checkpoints,
            lsn,
            sessions,
            suspects: Suspects::new(bad_percent, Instant::now()),
            verifier,
            settings,
            hello,
            groups,
            jobs,
            done,
            in_flight: 0,
            free: Vec::new(),
            reactor,
            waiting,
            processed: flow.processed,
            no_room,
            routes,
            stats,
            pending: Pending::default(),
            ending,
            leaving: BTreeSet::new(),
            search: None,
            block: None,
            pending_since: None,
            revealed: Revealed::new(revealed),
            stopping: false,
            pool,
            last_inputs: 0,
            since_maintenance: 0,
            maintaining: Arc::default(),
            ahead: None,
            spare: Vec::new(),
        }
    }

    /// Works until it is told to stop, then writes a checkpoint. Returns the state root at the end.
    ///
    /// # Errors
    /// [`SequencerError`]; the process must end then.
    pub(crate) fn run(mut self) -> Result<(), SequencerError> {
        loop {
            self.wait()?;
            self.drain();
            if self.in_flight < self.settings.batches_in_flight_max && self.has_work() && self.is_due() {
                self.batch()?;
            }
            if self.stopping && !self.has_work() {
                return self.finish();
            }
            self.checkpoints.tick(&mut self.engine, self.lsn)?;
        }
    }

    fn has_work(&self) -> bool {
        let block = || self.block.as_ref().is_some_and(BlockInput::has_events);
        // Who asked has ended, if the hub ends.
        self.ahead.is_some() || !self.pending.is_empty() || block() || (self.search.is_some() && !self.stopping)
    }

    /// True if the pending work should be sealed now: the log is idle, the batch is full, or its time has come.
    ///
    /// While payments come in crowds an idle log is no reason to hurry: each batch costs its wake-ups, its sync and a frame
    /// for each of its clients, and what it saves in waiting it takes from those behind it in work.
    fn is_due(&self) -> bool {
        let full = self.pending.len() >= self.settings.batch_inputs_max;
        let alone = self.in_flight == 0 && (self.last_inputs < CROWD || self.pending.is_empty());
        self.ahead.is_some() || alone || full || self.stopping || self.patience().is_zero()
    }

    /// How long the pending work may still wait for company.
    fn patience(&self) -> Duration {
        let waited = self.pending_since.map_or(Duration::ZERO, |since| since.elapsed());
        self.settings.batch_deadline.saturating_sub(waited)
    }

    /// Waits for work, or for the log, whichever can change what is to be done.
    fn wait(&mut self) -> Result<(), SequencerError> {
        let full = self.in_flight >= self.settings.batches_in_flight_max;
        if !full && self.has_work() && self.is_due() {
            return Ok(());
        }
        if full && self.pending.len() >= self.settings.batch_inputs_max {
            let job = self.done.recv().map_err(|_| SequencerError::LogEnded)?;
            self.take_back(job);
            return Ok(());
        }
        // A batch that waits for company waits no longer than its deadline.
        let patience = if full || !self.has_work() {
            IDLE
        } else {
            self.patience()
        };
        if self.stopping || self.in_flight > 0 {
            // Whatever came before the word to stop has been taken; nothing more is. And while the log is busy it is the log
            // that makes work due, so what arrives gathers in its queue and wakes nobody.
            let nap = if self.stopping { patience } else { patience.min(NAP) };
            match self.done.recv_timeout(nap) {
                Ok(job) => self.take_back(job),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Err(SequencerError::LogEnded),
            }
            return Ok(());
        }
        select! {
            recv(self.groups) -> group => match group {
                Ok(group) => self.take_group(group),
                Err(_) => self.stopping = true,
            },
            // Nothing is in flight: all that can be heard here is that the log has ended.
            recv(self.done) -> _ => return Err(SequencerError::LogEnded),
            default(patience) => {}
        }
        Ok(())
    }

    /// Takes what else is there, without waiting.
    fn drain(&mut self) {
        while let Ok(job) = self.done.try_recv() {
            self.take_back(job);
        }
        while !self.stopping && self.pending.len() < self.settings.batch_inputs_max {
            let Ok(group) = self.groups.try_recv() else { break };
            self.take_group(group);
        }
        self.wake_the_waiting();
    }

    /// Tells the reactor's thread that there is room, if someone waits for it.
    fn wake_the_waiting(&self) {
        if self.waiting.load(Ordering::SeqCst) {
            // If the reactor has ended, so will we.
            let _ended = self.reactor.wake();
        }
    }

    fn take_back(&mut self, mut job: Job) {
        self.in_flight -= 1;
        job.clear();
        self.free.push(job);
    }

    fn take_group(&mut self, mut group: Group) {
        if self.pending.is_empty() {
            self.pending_since = Some(Instant::now());
        }
        for work in group.extract_if(.., |work| matches!(work, Work::Block(_) | Work::Stop)) {
            match work {
                Work::Block(block) => self.take_block(block),
                _ => self.stopping = true,
            }
        }
        self.pending.push(group);
    }

    /// Keeps the newest height; events of blocks that no batch has taken yet add up.
    fn take_block(&mut self, mut block: BlockInput) {
        if let Some(earlier) = self.block.take() {
            block.take_earlier(earlier);
        }
        self.stats.height.store(block.height.get().into(), Ordering::Relaxed);
        self.hello.height = block.height;
        self.sessions.expire(block.height, &self.engine);
        self.revealed.note(&block);
        self.block = Some(block);
    }

    /// Makes one batch of what is pending and hands it to the log.
    fn batch(&mut self) -> Result<(), SequencerError> {
        let begin = Instant::now();
        let mut batch = match self.ahead.take() {
            Some(batch) => batch,
            None => {
                let mut batch = self.gather_batch(begin, false);
                self.check(&batch.gathered, &mut batch.checks);
                batch
            }
        };
        self.sort_out(&mut batch.gathered, &batch.checks, &mut batch.job);
        // Who is a suspect is known by now. The next batch is gathered before this one is executed, so of the state before it.
        self.drain();
        let next = self
            .may_look_ahead(&batch.gathered)
            .then(|| self.gather_batch(Instant::now(), true));
        let execute_start = Instant::now();
        note(&self.stats.verify_us, micros(execute_start - begin));
        let mut waited = Duration::ZERO;
        if let Some(mut next) = next {
            let executed = self.check_beside(&next.gathered, &mut next.checks, |this| {
                let executed = this.execute(&batch.gathered, &mut batch.job);
                executed.map(|()| Instant::now())
            })?;
            waited = executed.elapsed();
            self.ahead = Some(next);
        } else {
            self.execute(&batch.gathered, &mut batch.job)?;
        }
        let answer_start = Instant::now();
        note(&self.stats.execute_us, micros(answer_start - execute_start - waited));
        self.end_batch(batch, answer_start)
    }

    /// True if the next batch may be gathered before this one is executed: there is enough for one, and this one changes nothing
    /// that gathering looks at, but for counters, which are looked at again.
    fn may_look_ahead(&self, gathered: &Gathered) -> bool {
        // Where anything else comes first, nothing would be taken, for ever.
        let request = matches!(self.pending.oldest(), Some(Work::Request(..)));
        request && self.pending.len() >= AHEAD_MIN && !self.stopping && self.block.is_none() && gathered.is_payments()
    }

    /// Gathers a batch and lists its signatures.
    fn gather_batch(&mut self, begin: Instant, ahead: bool) -> Batch {
        let waited = self.pending_since.map_or(Duration::ZERO, |since| begin - since);
        note(&self.stats.wait_us, micros(waited));
        note(&self.stats.groups_waiting, self.groups.len() as u64);
        note(&self.stats.batches_in_flight, self.in_flight as u64);
        let mut job = self.free.pop().unwrap_or_default();
        let (mut gathered, mut checks) = self.spare.pop().unwrap_or_default();
        // Who may ask about a channel is looked up before the batch is executed. Whoever was told that an opening is final asks at
        // once, so what opens channels is a batch of its own.
        let opens = self.block.as_ref().is_some_and(|block| !block.opened.is_empty());
        if let Some(block) = self.block.take() {
            gathered.push(Input::Block(block), None);
        }
        if !opens {
            self.gather(&mut gathered, &mut job, ahead);
        }
        probes::batch_sealed(gathered.inputs.len(), self.pending.len());
        self.list_checks(&gathered, &mut checks);
        note(&self.stats.gather_us, micros(begin.elapsed()));
        Batch { gathered, checks, job }
    }

    /// Hands an executed batch to the log.
    fn end_batch(&mut self, batch: Batch, answer_start: Instant) -> Result<(), SequencerError> {
        let Batch {
            mut gathered,
            checks,
            mut job,
        } = batch;
        let inputs = gathered.inputs.len();
        self.last_inputs = inputs;
        self.answer(&mut gathered, &mut job);
        self.search_on(&mut job);
        gathered.clear();
        self.spare.push((gathered, checks));
        note(&self.stats.answer_us, micros(answer_start.elapsed()));
        self.maintain(inputs);
        self.in_flight += 1;
        self.jobs.send(job).map_err(|_| SequencerError::LogEnded)
    }

    /// Lets a worker make tables for the keys that are used most, between two batches' checks.
    fn maintain(&mut self, inputs: usize) {
        self.since_maintenance += inputs;
        if self.since_maintenance < MAINTAIN_EVERY {
            return;
        }
        self.since_maintenance = 0;
        if self.maintaining.swap(true, Ordering::AcqRel) {
            return;
        }
        let (verifier, maintaining) = (Arc::clone(&self.verifier), Arc::clone(&self.maintaining));
        self.pool.spawn(move || {
            verifier.maintain(TABLES_AT_ONCE);
            maintaining.store(false, Ordering::Release);
        });
    }

    fn execute(&mut self, gathered: &Gathered, job: &mut Job) -> Result<(), SequencerError> {
        if !gathered.changes_state() {
            return Ok(());
        }
        let known = |at: usize| gathered.sources[at].map(|source| source.slot);
        self.engine
            .execute_known(now(), &gathered.inputs, &known, &mut job.executed)?;
        append_record(&self.engine, &job.executed, &gathered.inputs, &mut job.record);
        job.inputs = gathered.inputs.len();
        self.lsn = self.lsn.next();
        self.checkpoints.note_log(record_bytes(job.record.len()));
        add(&self.stats.inputs, job.inputs as u64);
        if !job.executed.forwarded.is_empty() {
            job.reads.extend(self.routes.iter().cloned().map(Read::Wake));
        }
        Ok(())
    }

    /// Lets the log finish, then writes a checkpoint of the state, which is then that of the newest record.
    fn finish(mut self) -> Result<(), SequencerError> {
        while self.in_flight > 0 {
            let job = self.done.recv().map_err(|_| SequencerError::LogEnded)?;
            self.take_back(job);
        }
        Ok(self.checkpoints.finish(&mut self.engine, self.lsn)?)
    }

    fn hello(&mut self, origin: Origin, identity: tidegate_types::KeyBytes) -> Vec<u8> {
        let channels = self.sessions.add(origin.conn, identity, &self.engine);
        let answer = HelloAnswer {
            channel_count: channels,
            ..self.hello
        };
        let mut bytes = Vec::new();
        answer.append(origin.request, &mut bytes).expect("a hello is short");
        bytes
    }
}

pub(super) fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

pub(crate) fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
