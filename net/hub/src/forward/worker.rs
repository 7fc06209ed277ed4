//! The worker of one route: asks what waits, decides, carries it out, and asks again.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, TryRecvError, bounded};
use tidegate_batch::{ForwardEnd, ForwardInput, Forwarded};
use tidegate_channel::{Condition, FailReason};
use tidegate_types::{Age, PaymentId};

use super::decide::{Memory, Outgoing, Plan, decide};
use super::evidence::{Disputed, Journals};
use super::kept::Kept;
use super::next::{Next, NextError};
use super::payment_id;
use super::route::{Route, route_of};
use crate::pipeline::{ForwardWork, Group, LedgerWork, Stats, Waiting, Work, add, queue};

/// How long is listened to the next hub before it is looked whether something new waits.
const LISTEN: Duration = Duration::from_millis(10);
/// While payments are under way it is asked so often what waits, though nobody has told of anything.
const ASK_EVERY: Duration = Duration::from_millis(500);
/// The same while nothing is under way.
const IDLE: Duration = Duration::from_secs(5);
/// After a failure the next hub is left alone for so long, then twice as long each time.
const PAUSE: Duration = Duration::from_millis(50);
const PAUSE_MAX: Duration = Duration::from_secs(2);
/// A payment that was never sent fails if the next hub has not been there for so long.
const PATIENCE: Duration = Duration::from_secs(10);

/// What a worker is handed.
pub(crate) struct Hands {
    pub(crate) journals: Journals,
    pub(crate) margin: Age,
    pub(crate) groups: queue::Sender<Group>,
    pub(crate) to_ledger: Sender<LedgerWork>,
    pub(crate) disputed: Arc<Disputed>,
    pub(crate) stats: Arc<Stats>,
}

/// Brings payments to one next hub.
pub(crate) struct Worker {
    journals: Journals,
    margin: Age,
    groups: queue::Sender<Group>,
    to_ledger: Sender<LedgerWork>,
    disputed: Arc<Disputed>,
    stats: Arc<Stats>,
    routes: Arc<Vec<Route>>,
    kept: Arc<Kept>,
    /// Which of the routes is this one's.
    index: usize,
    /// A word of it says that something new waits.
    wake: Receiver<()>,
    next: Option<Next>,
    memory: Memory,
    /// What was signed for the next hub, or may have been.
    sent: BTreeSet<PaymentId>,
    /// A state of several locks was refused: they go one by one.
    singly: bool,
    /// True while something is open at the next hub, or may be.
    is_busy: bool,
    pause: Duration,
    away_since: Option<Instant>,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The hub ends.
    #[error("the hub ends")]
    Ended,
    /// The next hub is away, or does not do what it should.
    #[error(transparent)]
    Next(#[from] NextError),
}

impl Worker {
    pub(crate) fn new(
        hands: Hands,
        routes: Arc<Vec<Route>>,
        kept: Arc<Kept>,
        index: usize,
        wake: Receiver<()>,
    ) -> Self {
        let Hands {
            journals,
            margin,
            groups,
            to_ledger,
            disputed,
            stats,
        } = hands;
        Self {
            journals,
            margin,
            groups,
            to_ledger,
            disputed,
            stats,
            routes,
            kept,
            index,
            wake,
            next: None,
            memory: Memory::default(),
            sent: BTreeSet::new(),
            singly: false,
            is_busy: true,
            pause: Duration::ZERO,
            away_since: None,
        }
    }

    /// Works until the hub ends.
    pub(crate) fn run(mut self) {
        let mut due = Instant::now();
        while let Some(woken) = self.wait(due) {
            if !woken && Instant::now() < due {
                continue;
            }
            due = match self.round() {
                Ok(true) => Instant::now(),
                Ok(false) => Instant::now() + if self.is_busy { ASK_EVERY } else { IDLE },
                Err(Fault::Ended) => return,
                Err(Fault::Next(error)) => self.note_fault(&error),
            };
        }
    }

    /// Listens to both sides until one says something, or it is time to ask; true if something is new. `None` if the hub ends.
    fn wait(&mut self, due: Instant) -> Option<bool> {
        let left = due.saturating_duration_since(Instant::now());
        let Some(next) = self.next.as_mut().filter(|_| self.is_busy) else {
            return match self.wake.recv_timeout(left) {
                Ok(()) => Some(true),
                Err(RecvTimeoutError::Timeout) => Some(false),
                Err(RecvTimeoutError::Disconnected) => None,
            };
        };
        match self.wake.try_recv() {
            Ok(()) => return Some(true),
            Err(TryRecvError::Empty) if left.is_zero() => return Some(false),
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return None,
        }
        let heard = next.listen(LISTEN.min(left));
        if heard.is_err() {
            self.next = None;
        }
        Some(heard.unwrap_or(true))
    }

    fn note_fault(&mut self, error: &NextError) -> Instant {
        self.next = None;
        self.away_since.get_or_insert_with(Instant::now);
        self.pause = (self.pause * 2).clamp(PAUSE, PAUSE_MAX);
        let hub = self.routes[self.index].to.identity.bytes();
        tracing::warn!(next = %hub, %error, "payments wait for the next hub");
        Instant::now() + self.pause
    }

    /// What waits for this route, as of a durable batch that holds these ends and all before them.
    fn ask(&self, ends: Vec<ForwardInput>) -> Result<Waiting, Fault> {
        let (sender, asked) = bounded(1);
        let ends = ends.into_iter().map(|end| Work::Forward(ForwardWork::End(end)));
        let group = ends.chain([Work::Forward(ForwardWork::Ask(sender))]).collect();
        self.groups.send(group).map_err(|_| Fault::Ended)?;
        let mut waiting = asked.recv().map_err(|_| Fault::Ended)?;
        let count = waiting.locks.len() as u64;
        self.stats.forwards.waiting.store(count, Ordering::Relaxed);
        waiting
            .locks
            .retain(|lock| self.route_of(lock).unwrap_or(0) == self.index);
        Ok(waiting)
    }

    /// A lock goes where it was sent once, whatever the configuration says now. One without a route is the first worker's to fail.
    fn route_of(&self, lock: &Forwarded) -> Option<usize> {
        let sent = self.kept.route(&payment_id(&lock.lock));
        sent.or_else(|| route_of(&self.routes, &lock.payee))
    }

    /// Asks, decides, and does it; true if there is more to be done at once.
    fn round(&mut self) -> Result<bool, Fault> {
        let waiting = self.ask(Vec::new())?;
        let lost = waiting.locks.iter().filter(|lock| self.route_of(lock).is_none());
        let lost: Vec<_> = lost.map(|lock| failed(lock, FailReason::UnknownPayee)).collect();
        if !lost.is_empty() {
            self.end(lost)?;
            return Ok(true);
        }
        if waiting.locks.is_empty() && !self.is_busy {
            return Ok(false);
        }
        if let Err(error) = self.reach() {
            self.fail_unsent(&waiting)?;
            return Err(error.into());
        }
        (self.away_since, self.pause) = (None, Duration::ZERO);
        let next = self.next.as_ref().ok_or(NextError::NoChannel)?;
        let (open, mut bounds) = (next.open()?, next.bounds(waiting.height, self.margin)?);
        bounds.is_closing |= self.disputed.contains(&next.channel());
        // The set lives as long as the hub; what does not wait is never asked of it again.
        self.sent
            .retain(|id| waiting.locks.iter().any(|lock| payment_id(&lock.lock) == *id));
        self.memory.forget(&waiting.locks, &open);
        let route = &self.routes[self.index];
        let plan = decide(&waiting.locks, &open, &mut self.memory, route, bounds);
        self.is_busy = !waiting.locks.is_empty() || !open.is_empty();
        self.carry_out(plan, &waiting)
    }

    /// A connection, with every state that was signed acknowledged.
    fn reach(&mut self) -> Result<(), NextError> {
        match &mut self.next {
            Some(next) => next.bring_up(),
            None => {
                let route = &self.routes[self.index];
                self.next = Some(Next::connect(&self.journals, route)?);
                Ok(())
            }
        }
    }

    /// The next hub is not there: what was never signed for it fails after a while.
    fn fail_unsent(&mut self, waiting: &Waiting) -> Result<(), Fault> {
        if self.away_since.is_none_or(|since| since.elapsed() < PATIENCE) {
            return Ok(());
        }
        let unsent = waiting.locks.iter().filter(|lock| {
            let id = payment_id(&lock.lock);
            self.kept.route(&id).is_none() && !self.sent.contains(&id)
        });
        let unsent: Vec<_> = unsent.map(|lock| failed(lock, FailReason::PayeeSilent)).collect();
        if unsent.is_empty() { Ok(()) } else { self.end(unsent) }
    }

    /// Brings ends to the engine, and waits until they are durable. One that is not taken is decided anew.
    fn end(&mut self, ends: Vec<ForwardInput>) -> Result<(), Fault> {
        let told = ends.clone();
        let waiting = self.ask(ends)?;
        let is_over = |end: &&ForwardInput| waiting.locks.iter().all(|lock| lock.lock != end.lock);
        for end in told.iter().filter(is_over) {
            let forwards = &self.stats.forwards;
            match end.end {
                ForwardEnd::Met(_) => {
                    self.memory.met.insert(payment_id(&end.lock));
                    add(&forwards.met, 1);
                }
                ForwardEnd::Failed(_) => add(&forwards.failed, 1),
                ForwardEnd::Expired => add(&forwards.expired, 1),
            }
            self.memory.failed.remove(&end.lock);
        }
        Ok(())
    }

    /// Does one thing after the other, each durable before the next; true if there is more to be done at once.
    fn carry_out(&mut self, plan: Plan, waiting: &Waiting) -> Result<bool, Fault> {
        if !plan.ends.is_empty() {
            self.end(plan.ends)?;
            return Ok(true);
        }
        for owed in plan.reveals {
            let work = LedgerWork::Reveal(owed);
            self.to_ledger.send(work).map_err(|_| Fault::Ended)?;
        }
        if self.judge(&plan.doubtful)? {
            return Ok(true);
        }
        let mut send = plan.send;
        if send.is_empty() && !plan.is_due {
            return Ok(false);
        }
        if self.singly {
            send.truncate(1);
        }
        self.sent.extend(send.iter().map(|lock| lock.payment_id));
        let next = self.next.as_mut().ok_or(NextError::NoChannel)?;
        let was_refused = next.pay(&send, plan.settle, plan.needs_fresh_leaf)?;
        if was_refused && self.singly {
            // The next hub has acknowledged a state without it, and will never take it.
            let is_sent = |lock: &&Forwarded| send.iter().any(|sent| sent.payment_id == payment_id(&lock.lock));
            let refused = waiting.locks.iter().filter(is_sent);
            let refused = refused.map(|lock| (lock.lock, FailReason::Released));
            self.memory.failed.extend(refused);
        }
        if !was_refused {
            add(&self.stats.forwards.sent, send.len() as u64);
        }
        self.singly = was_refused;
        Ok(!send.is_empty())
    }

    /// Preimages that came after the expiry: they are owed if they stood on the ledger in time.
    fn judge(&mut self, doubtful: &[Outgoing]) -> Result<bool, Fault> {
        let mut is_any = false;
        for open in doubtful {
            let Condition::Hash(hash) = open.lock.condition else {
                continue;
            };
            let (sender, asked) = bounded(1);
            let work = LedgerWork::Revealed(hash, sender);
            self.to_ledger.send(work).map_err(|_| Fault::Ended)?;
            let height = asked.recv().map_err(|_| Fault::Ended)?;
            if height.is_some_and(|height| height <= open.lock.expiry) {
                self.memory.met.insert(open.lock.payment_id);
                is_any = true;
            } else {
                tracing::warn!(lock = %open.id, "the next hub has shown a preimage after the expiry; it is not paid for");
            }
        }
        Ok(is_any)
    }
}

fn failed(lock: &Forwarded, reason: FailReason) -> ForwardInput {
    ForwardInput {
        payer: lock.payer,
        lock: lock.lock,
        end: ForwardEnd::Failed(reason),
    }
}
