//! The worker of one route: asks what waits, decides, carries it out, and asks again.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use tidegate_batch::{ForwardEnd, ForwardInput, Forwarded};
use tidegate_channel::wallet::SettleOn;
use tidegate_channel::{FailReason, RefuseReason};
use tidegate_client::key_file::Seed;
use tidegate_client::{Client, ClientError, ConnectOptions, FileStore};
use tidegate_disk::{Disk, RealDisk};
use tidegate_types::{Age, ChannelId, KeyBytes, LedgerId, LockId, LockSlot, PaymentId};

use super::decide::{Bounds, Memory, Outgoing, Plan, decide};
use super::kept::{Kept, folder};
use super::payment_id;
use super::route::{Route, route_of};
use crate::pipeline::{ForwardWork, Group, LedgerWork, Stats, Waiting, Work, add};

/// How long an answer of the next hub may take.
const TIMEOUT: Duration = Duration::from_secs(5);
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

/// While payments are under way the next hub is asked so often whether it is still there, and what became of them.
const CHECK_EVERY: Duration = Duration::from_secs(3);

/// What a worker is handed.
pub(crate) struct Hands {
    pub(crate) data: PathBuf,
    pub(crate) ledger: LedgerId,
    pub(crate) seed: Seed,
    pub(crate) own: KeyBytes,
    pub(crate) margin: Age,
    pub(crate) groups: Sender<Group>,
    pub(crate) to_ledger: Sender<LedgerWork>,
    pub(crate) stats: Arc<Stats>,
}

/// Brings payments to one next hub.
pub(crate) struct Worker {
    hands: Hands,
    routes: Arc<Vec<Route>>,
    kept: Arc<Kept>,
    /// Which of the routes is this one's.
    index: usize,
    /// A word of it says that something new waits.
    wake: Receiver<()>,
    client: Option<Client<FileStore>>,
    channel: Option<ChannelId>,
    memory: Memory,
    /// What was signed for the next hub, or may have been.
    sent: BTreeSet<PaymentId>,
    /// A state of several locks was refused: they go one by one.
    singly: bool,
    /// True while something is open at the next hub.
    is_busy: bool,
    /// When the next hub was asked last.
    checked: Instant,
    pause: Duration,
    away_since: Option<Instant>,
}

/// Why a round came to nothing.
#[derive(Debug, thiserror::Error)]
enum Fault {
    /// The hub ends.
    #[error("the hub ends")]
    Ended,
    /// The next hub, or the journal of its channel.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// There is no channel to pay by.
    #[error("this hub has no channel, or several, with the next one; name one in the route")]
    NoChannel,
}

impl Worker {
    pub(crate) fn new(
        hands: Hands,
        routes: Arc<Vec<Route>>,
        kept: Arc<Kept>,
        index: usize,
        wake: Receiver<()>,
    ) -> Self {
        Self {
            hands,
            routes,
            kept,
            index,
            wake,
            client: None,
            channel: None,
            memory: Memory::default(),
            sent: BTreeSet::new(),
            singly: false,
            is_busy: true,
            checked: Instant::now(),
            pause: Duration::ZERO,
            away_since: None,
        }
    }

    /// Works until the hub ends.
    pub(crate) fn run(mut self) {
        let mut due = Instant::now();
        loop {
            let Some(woken) = self.wait(due) else { return };
            if !woken && Instant::now() < due {
                continue;
            }
            due = match self.round() {
                Ok(true) => Instant::now(),
                Ok(false) => Instant::now() + if self.is_busy { ASK_EVERY } else { IDLE },
                Err(Fault::Ended) => return,
                Err(fault) => self.note_fault(&fault),
            };
        }
    }

    fn route(&self) -> &Route {
        &self.routes[self.index]
    }

    /// Listens to both sides until one says something, or it is time to ask; true if something is new. `None` if the hub ends.
    fn wait(&mut self, due: Instant) -> Option<bool> {
        let left = due.saturating_duration_since(Instant::now());
        let Some(client) = self.client.as_mut().filter(|_| self.is_busy) else {
            return match self.wake.recv_timeout(left) {
                Ok(()) => Some(true),
                Err(RecvTimeoutError::Timeout) => Some(false),
                Err(RecvTimeoutError::Disconnected) => None,
            };
        };
        match self.wake.try_recv() {
            Ok(()) => return Some(true),
            Err(crossbeam::channel::TryRecvError::Empty) => {}
            Err(crossbeam::channel::TryRecvError::Disconnected) => return None,
        }
        if left.is_zero() {
            return Some(false);
        }
        match client.poll(LISTEN.min(left)) {
            Ok(news) => Some(!news.is_empty()),
            Err(_) => {
                self.client = None;
                Some(true)
            }
        }
    }

    fn note_fault(&mut self, fault: &Fault) -> Instant {
        self.client = None;
        self.away_since.get_or_insert_with(Instant::now);
        self.pause = (self.pause * 2).clamp(PAUSE, PAUSE_MAX);
        let to = &self.route().to;
        tracing::warn!(next = %to.identity.bytes(), error = %fault, "payments wait for the next hub");
        Instant::now() + self.pause
    }

    /// What waits for this route, as of a durable batch that holds everything that was sent before.
    fn ask(&self, ends: Vec<ForwardInput>) -> Result<Waiting, Fault> {
        let (sender, asked) = bounded(1);
        let ends = ends.into_iter().map(|end| Work::Forward(ForwardWork::End(end)));
        let group = ends.chain([Work::Forward(ForwardWork::Ask(sender))]).collect();
        self.hands.groups.send(group).map_err(|_| Fault::Ended)?;
        let mut waiting = asked.recv().map_err(|_| Fault::Ended)?;
        add_gauge(&self.hands.stats, waiting.locks.len());
        waiting.locks.retain(|lock| self.is_mine(lock));
        Ok(waiting)
    }

    /// A lock goes where it was sent once, whatever the configuration says now; one without a route is the first worker's to fail.
    fn is_mine(&self, lock: &Forwarded) -> bool {
        let sent = self.kept.route(&payment_id(&lock.lock));
        let route = sent.or_else(|| route_of(&self.routes, &lock.payee));
        route.unwrap_or(0) == self.index
    }

    fn has_route(&self, lock: &Forwarded) -> bool {
        self.kept.route(&payment_id(&lock.lock)).is_some() || route_of(&self.routes, &lock.payee).is_some()
    }

    /// Asks, decides, and does it; true if there is more to be done at once.
    fn round(&mut self) -> Result<bool, Fault> {
        let waiting = self.ask(Vec::new())?;
        let lost = waiting.locks.iter().filter(|lock| !self.has_route(lock));
        let lost: Vec<_> = lost.map(|lock| failed(lock, FailReason::UnknownPayee)).collect();
        if !lost.is_empty() {
            self.end(lost)?;
            return Ok(true);
        }
        if waiting.locks.is_empty() && !self.is_busy {
            return Ok(false);
        }
        let connected = self.connect();
        if let Err(fault) = connected {
            self.fail_unsent(&waiting)?;
            return Err(fault);
        }
        self.away_since = None;
        let plan = self.plan(&waiting)?;
        self.is_busy = !waiting.locks.is_empty() || self.has_open();
        self.carry_out(plan, &waiting)
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

    /// Brings ends to the engine, and waits until they are durable.
    fn end(&mut self, ends: Vec<ForwardInput>) -> Result<(), Fault> {
        let told = ends.clone();
        let waiting = self.ask(ends)?;
        for end in told {
            let over = waiting.locks.iter().all(|lock| lock.lock != end.lock);
            if !over {
                continue;
            }
            match end.end {
                ForwardEnd::Met(_) => {
                    self.memory.met.insert(payment_id(&end.lock));
                    add(&self.hands.stats.forwards.met, 1);
                }
                ForwardEnd::Failed(_) => add(&self.hands.stats.forwards.failed, 1),
                ForwardEnd::Expired => add(&self.hands.stats.forwards.expired, 1),
            }
            self.memory.failed.remove(&end.lock);
        }
        Ok(())
    }

    /// A connection, with every state that was signed acknowledged.
    fn connect(&mut self) -> Result<(), Fault> {
        let fresh = self.client.is_none();
        if fresh {
            let disk: Arc<dyn Disk> = Arc::new(RealDisk);
            let to = &self.route().to;
            let folder = folder(&self.hands.data, &to.identity.bytes(), &self.hands.own);
            let store = FileStore::open(disk, &folder).map_err(ClientError::from)?;
            let options = ConnectOptions {
                address: to.clone(),
                ledger: self.hands.ledger,
                push_ack_proofs: false,
                share_paths: false,
                timeout: TIMEOUT,
            };
            self.client = Some(Client::connect(&options, &self.hands.seed, store, SettleOn::PayeeAck)?);
            self.channel = Some(self.find_channel()?);
        }
        let (Some(client), Some(channel)) = (self.client.as_mut(), self.channel) else {
            return Err(Fault::NoChannel);
        };
        // Nothing is settled but what is chosen below, by no state at all.
        if client.channels().get(&channel).is_some() {
            client.settle_only(&channel, Some(BTreeSet::new()))?;
        }
        let unanswered = client
            .channels()
            .get(&channel)
            .is_none_or(|own| own.unanswered().is_some());
        if fresh || unanswered || self.checked.elapsed() > CHECK_EVERY {
            self.checked = Instant::now();
            let synced = client.sync(&channel);
            self.supersede_if_refused(synced)?;
            if let Some(client) = self.client.as_mut() {
                client.settle_only(&channel, Some(BTreeSet::new()))?;
                client.fetch_proofs(&channel)?;
            }
        }
        self.pause = Duration::ZERO;
        Ok(())
    }

    /// The route's channel: the one that it names, else the only one with this hub, which the ledger knows.
    fn find_channel(&mut self) -> Result<ChannelId, Fault> {
        if let Some(named) = self.route().channel {
            return Ok(named);
        }
        let hub = self.route().to.identity.bytes();
        let client = self.client.as_mut().ok_or(Fault::NoChannel)?;
        let own: Vec<ChannelId> = client
            .channels()
            .iter()
            .filter(|own| own.closed().is_none() && own.opened().terms.hub == hub)
            .map(tidegate_client::ClientChannel::id)
            .collect();
        match own[..] {
            [only] => Ok(only),
            [] => match client.find_channels()?[..] {
                [only] => Ok(only),
                _ => Err(Fault::NoChannel),
            },
            _ => Err(Fault::NoChannel),
        }
    }

    fn has_open(&self) -> bool {
        let own = self.client.as_ref().zip(self.channel);
        let own = own.and_then(|(client, channel)| client.channels().get(&channel));
        own.is_some_and(|own| !own.wallet().client().locks().is_empty())
    }

    fn plan(&mut self, waiting: &Waiting) -> Result<Plan, Fault> {
        let (client, channel) = self.client.as_ref().zip(self.channel).ok_or(Fault::NoChannel)?;
        let own = client.channels().get(&channel).ok_or(Fault::NoChannel)?;
        let open: Vec<Outgoing> = own
            .wallet()
            .locks()
            .map(|(open, status)| Outgoing {
                id: open.id,
                lock: open.lock,
                status,
            })
            .collect();
        let bounds = Bounds {
            height: waiting.height,
            margin: self.hands.margin,
            next_margin: client.hello().margin,
            spendable: own.wallet().spendable(),
            slots: LockSlot::COUNT - open.len(),
            is_closing: own.is_final(),
        };
        let route = &self.routes[self.index];
        Ok(decide(&waiting.locks, &open, &mut self.memory, route, bounds))
    }

    /// Does one thing after the other, each durable before the next; true if there is more to be done at once.
    fn carry_out(&mut self, plan: Plan, waiting: &Waiting) -> Result<bool, Fault> {
        let Plan {
            ends,
            reveals,
            mut send,
            settle,
            doubtful,
            is_due,
            needs_fresh_leaf,
        } = plan;
        if !ends.is_empty() {
            self.end(ends)?;
            return Ok(true);
        }
        for owed in reveals {
            self.hands
                .to_ledger
                .send(LedgerWork::Reveal(owed))
                .map_err(|_| Fault::Ended)?;
        }
        if self.judge(&doubtful)? {
            return Ok(true);
        }
        if send.is_empty() && !is_due {
            return Ok(false);
        }
        if self.singly {
            send.truncate(1);
        }
        let (client, channel) = self.client.as_mut().zip(self.channel).ok_or(Fault::NoChannel)?;
        client.settle_only(&channel, Some(settle))?;
        if needs_fresh_leaf {
            client.sync(&channel)?;
        }
        self.sent.extend(send.iter().map(|lock| lock.payment_id));
        let done = if send.is_empty() {
            client.settle(&channel).map(drop)
        } else {
            client.send_locks(&channel, &send)
        };
        add(&self.hands.stats.forwards.sent, send.len() as u64);
        let superseded = self.supersede_if_refused(done)?;
        if superseded && self.singly {
            // The next hub has acknowledged a state without it, and will never take it.
            let refused = waiting
                .locks
                .iter()
                .filter(|lock| send.iter().any(|sent| sent.payment_id == payment_id(&lock.lock)));
            let refused: Vec<LockId> = refused.map(|lock| lock.lock).collect();
            self.memory
                .failed
                .extend(refused.into_iter().map(|lock| (lock, FailReason::Released)));
        }
        self.singly = superseded;
        Ok(superseded || !send.is_empty())
    }

    /// Preimages that came after the expiry: they are owed if they stood on the ledger in time.
    fn judge(&mut self, doubtful: &[Outgoing]) -> Result<bool, Fault> {
        let mut any = false;
        for open in doubtful {
            let tidegate_channel::Condition::Hash(hash) = open.lock.condition else {
                continue;
            };
            let (sender, asked) = bounded(1);
            let work = LedgerWork::Revealed(hash, sender);
            self.hands.to_ledger.send(work).map_err(|_| Fault::Ended)?;
            let height = asked.recv().map_err(|_| Fault::Ended)?;
            if height.is_some_and(|height| height <= open.lock.expiry) {
                self.memory.met.insert(open.lock.payment_id);
                any = true;
            } else {
                tracing::warn!(lock = %open.id, "the next hub has shown a preimage after the expiry; it is not paid for");
            }
        }
        Ok(any)
    }

    /// A state that the next hub refuses is given up, and the next one accepted in its place; true if it was.
    fn supersede_if_refused(&mut self, result: Result<(), ClientError>) -> Result<bool, Fault> {
        let (counter, reason) = match result {
            Ok(()) => return Ok(false),
            Err(ClientError::Refused { counter, reason }) => (counter, reason),
            Err(error) => return Err(error.into()),
        };
        tracing::warn!(%reason, "the next hub has refused a state");
        let (client, channel) = self.client.as_mut().zip(self.channel).ok_or(Fault::NoChannel)?;
        if reason == RefuseReason::AckOverdue {
            client.ack(&channel)?;
            return Err(ClientError::Refused { counter, reason }.into());
        }
        client.settle_only(&channel, Some(BTreeSet::new()))?;
        // False if it was accepted after all.
        Ok(client.supersede(&channel)?)
    }
}

fn failed(lock: &Forwarded, reason: FailReason) -> ForwardInput {
    ForwardInput {
        payer: lock.payer,
        lock: lock.lock,
        end: ForwardEnd::Failed(reason),
    }
}

fn add_gauge(stats: &Stats, waiting: usize) {
    stats
        .forwards
        .waiting
        .store(waiting as u64, std::sync::atomic::Ordering::Relaxed);
}
