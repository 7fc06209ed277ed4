//! Starting and ending the pipeline.

mod error;
mod routes;
mod threads;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use crossbeam::channel::{Receiver, Sender, bounded};
use tidegate_batch::EntryReader;
use tidegate_crypto::verify::{Verifier, VerifierConfig};
use tidegate_disk::{DirLock, Disk, RealDisk};
use tidegate_reactor::{Config, Reactor, ReactorError, Sender as ReactorSender};
use tidegate_session::{Limits, ServerConfig};
use tidegate_settle::{Node, NodeOptions};
use tidegate_types::{Height, LedgerId};
use tidegate_wal::LogError;
use tidegate_wire::messages::HelloAnswer;

use super::checkpoints::checkpoints;
use super::flow::Flow;
use super::front::Front;
use super::ledger::outgoing::Outgoing;
use super::ledger::proofs::Proofs;
use super::ledger::{LedgerFailure, LedgerThread, LedgerWork, block_input, claims, link};
use super::links::{LINK_TICK_MILLIS, OpenLinks, open_links};
use super::log::LogThread;
use super::options::ServeOptions;
use super::queue;
use super::sequencer::{Parts, SequencerError};
use super::stats::Stats;
use super::work::{Group, Job, Work};
use crate::admin::{Admin, Storage};
use crate::commitment::{Commitment, CommitmentThread, Feed};
use crate::files::ledger_dir;
use crate::state::HubState;
use routes::Routes;
use threads::{prepare, run_checkpoints, run_ledger, run_log, run_reactor, run_sequencer, spawn};

pub use error::ServeError;

/// How far the opening of a data directory is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// So many batches of the log were executed again.
    Replayed {
        /// How many.
        batches: u64,
    },
    /// So many bytes of memory were asked for, beyond those that the tables have.
    Touched {
        /// How many.
        bytes: u64,
    },
    /// So many channels are in the state tree.
    Hashed {
        /// How many.
        done: u32,
        /// Of how many.
        of: u32,
    },
}

/// A hub that serves.
#[derive(Debug)]
pub struct Serving {
    /// Where clients connect.
    pub listen: SocketAddr,
    /// Where status and metrics are.
    pub admin: SocketAddr,
    /// The ledger.
    pub ledger: LedgerId,
    /// How many batches were replayed at the start.
    pub replayed: u64,
    stop: StopHandle,
    threads: Threads,
}

#[derive(Debug)]
struct Threads {
    reactor: JoinHandle<Result<(), ReactorError>>,
    sequencer: JoinHandle<Result<(), SequencerError>>,
    log: JoinHandle<Result<(), LogError>>,
    commitment: JoinHandle<()>,
    ledger: JoinHandle<Result<(), LedgerFailure>>,
    preparer: JoinHandle<Result<(), LogError>>,
    checkpoint: JoinHandle<()>,
    /// One for each next hub.
    routes: Vec<JoinHandle<()>>,
    /// Keeps what is known of other hubs, if links are wanted.
    peers_file: Option<JoinHandle<()>>,
    /// Held until every thread that writes has ended.
    lock: DirLock,
    admin: Admin,
}

/// Ends a hub from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle {
    groups: queue::Sender<Group>,
    ledger: Sender<LedgerWork>,
}

impl StopHandle {
    /// Has the hub finish what it has taken, write a checkpoint, and end. Returns at once.
    pub fn stop(&self) {
        // Whoever has ended already needs no word.
        let _ended = self.ledger.send(LedgerWork::Stop);
        let _ended = self.groups.send(vec![Work::Stop]);
    }
}

/// Opens the data directory and serves clients.
///
/// # Errors
/// [`ServeError`].
pub fn serve(options: ServeOptions, progress: &mut dyn FnMut(Opening)) -> Result<Serving, ServeError> {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let lock = disk.lock_dir(&options.data)?;
    let settings = options.settings.clone();
    let mut state = HubState::open(&disk, &options.data, &mut |batches| {
        progress(Opening::Replayed { batches })
    })?;
    state.pre_touch(&mut |bytes| progress(Opening::Touched { bytes }));
    let node = open_ledger(&disk, &options)?;
    let opened = state.engine.opened();
    if opened.hub != options.keys.public() || opened.ledger != node.ledger() {
        return Err(ServeError::OtherHub { data: options.data });
    }
    let config = VerifierConfig {
        backend: settings.backend,
        memory_budget_bytes: settings.verifier_memory_bytes,
    };
    let verifier = Arc::new(Verifier::new(config)?);
    let pool = verify_pool(settings.verify_threads)?;
    let (feed, entries, commitment) = open_commitment(&mut state, &pool, progress);
    let routes = Routes::open(&disk, &options, node.ledger())?;
    let (reactor, listen, session) = open_reactor(&options, node.ledger())?;
    let links = open_links(&options, listen, session).map_err(ServeError::Thread)?;
    let heard = links.as_ref().map(|links| Arc::clone(&links.heard));
    let pipes = Pipes::new(&settings, reactor.sender());
    let catch_up = catch_up(&node, opened.height, &options)?;
    send_first(&pipes, &state, &settings, catch_up);
    let stats = Arc::new(Stats::default());
    let (admin_listen, replayed, ledger) = (options.admin, state.replayed, node.ledger());
    let admin = Admin::start(
        admin_listen,
        &options.keys.identity(),
        ledger,
        &verifier,
        &stats,
        pipes.groups.0.clone(),
        feed.work.clone(),
        entries,
        reactor.stats(),
        heard,
        Storage::of(&options, &state),
    )?;
    let stop = StopHandle {
        groups: pipes.groups.0.clone(),
        ledger: pipes.ledger.0.clone(),
    };
    let serving_admin = admin.address();
    let threads = start(
        options,
        state,
        node,
        reactor,
        pipes,
        (verifier, pool),
        (feed, commitment),
        (links, routes),
        Arc::clone(&stats),
        admin,
        lock,
    )?;
    stats.ready.store(true, Ordering::Release);
    Ok(Serving {
        listen,
        admin: serving_admin,
        ledger,
        replayed,
        stop,
        threads,
    })
}

/// The state tree, and from now on every batch says what it changes in it, and shows what it changed once it is durable.
fn open_commitment(
    state: &mut HubState,
    pool: &rayon::ThreadPool,
    progress: &mut dyn FnMut(Opening),
) -> (Feed, EntryReader, CommitmentThread) {
    let lsn = state.log.synced_lsn();
    let commitment = Commitment::build(&state.engine, lsn, pool, &mut |done, of| {
        progress(Opening::Hashed { done, of });
    });
    state.engine.note_changes(true);
    let publisher = state.engine.publish_entries();
    let entries = publisher.reader();
    let (feed, thread) = CommitmentThread::new(commitment);
    (feed.publishing(publisher), entries, thread)
}

fn open_reactor(
    options: &ServeOptions,
    ledger: LedgerId,
) -> Result<(Reactor, SocketAddr, Arc<ServerConfig>), ReactorError> {
    let links = options.settings.links.is_some();
    let mut reactor = Reactor::new(Config {
        connections_max: options.settings.connections_max,
        admission: options.settings.admission,
        tick_millis: links.then_some(LINK_TICK_MILLIS),
        ..Config::default()
    })?;
    let session = Arc::new(ServerConfig {
        ledger,
        noise: options.keys.noise(),
        identity: options.keys.identity(),
        links,
        limits: Limits::default(),
    });
    let listen = reactor.listen(options.listen, Arc::clone(&session))?;
    Ok((reactor, listen, session))
}

fn open_ledger(disk: &Arc<dyn Disk>, options: &ServeOptions) -> Result<Node, ServeError> {
    let node_options = NodeOptions {
        mine_on_submit: true,
        ..NodeOptions::default()
    };
    // A node that follows makes no blocks, even if this hub's key could.
    let validator = options.ledger.is_none().then(|| options.keys.identity());
    Ok(Node::open(disk, &ledger_dir(&options.data), validator, node_options)?)
}

/// The final blocks that the state has not taken yet.
fn catch_up(node: &Node, height: Height, options: &ServeOptions) -> Result<Group, ServeError> {
    let (hub, policy) = (options.keys.public(), &options.settings.channels);
    let blocks = node.final_blocks_above(height, usize::MAX)?;
    let inputs = blocks.iter().map(|block| Work::Block(block_input(block, hub, policy)));
    Ok(inputs.collect())
}

/// What the sequencer begins with: the blocks that it has missed, and terms of business that have changed.
fn send_first(pipes: &Pipes, state: &HubState, settings: &super::Settings, catch_up: Group) {
    let changed = state.engine.policy() != &settings.policy;
    let policy = changed.then(|| vec![Work::Policy(settings.policy)]);
    for group in [Some(catch_up), policy].into_iter().flatten() {
        pipes.groups.0.send(group).expect("the queue is new and not full");
    }
}

/// The queues between the threads.
struct Pipes {
    groups: (queue::Sender<Group>, queue::Receiver<Group>),
    jobs: (queue::Sender<Job>, queue::Receiver<Job>),
    done: (queue::Sender<Job>, queue::Receiver<Job>),
    ledger: (Sender<LedgerWork>, Receiver<LedgerWork>),
    waiting: Arc<AtomicBool>,
    flow: Flow,
    reactor: ReactorSender,
}

/// However short the margin, a ledger may be slower than its interval for so long.
const PATIENCE_MIN: Duration = Duration::from_secs(3);
/// Requests that may wait for the ledger thread; more are refused.
const LEDGER_QUEUE: usize = 1024;

impl Pipes {
    fn new(settings: &super::Settings, reactor: ReactorSender) -> Self {
        Self {
            groups: queue::bounded(settings.queue_groups_max.max(4)),
            jobs: queue::bounded(settings.batches_in_flight_max),
            done: queue::bounded(settings.batches_in_flight_max),
            ledger: bounded(LEDGER_QUEUE),
            waiting: Arc::new(AtomicBool::new(false)),
            flow: Flow::new(settings.requests_waiting_per_peer),
            reactor,
        }
    }
}

#[expect(
    clippy::too_many_arguments,
    reason = "everything that was opened goes to its thread here"
)]
fn start(
    options: ServeOptions,
    state: HubState,
    node: Node,
    reactor: Reactor,
    pipes: Pipes,
    (verifier, pool): (Arc<Verifier>, rayon::ThreadPool),
    (feed, commitment): (Feed, CommitmentThread),
    (links, routes): (Option<OpenLinks>, Routes),
    stats: Arc<Stats>,
    admin: Admin,
    lock: DirLock,
) -> Result<Threads, ServeError> {
    let Pipes {
        groups,
        jobs,
        done,
        ledger: ledger_queue,
        waiting,
        flow,
        reactor: sender,
    } = pipes;
    let (segments, lsn) = (state.log.segments(), state.log.synced_lsn());
    let (told, no_room) = (state.engine.opened().height, Arc::new(AtomicBool::new(false)));
    let hello = hello(&options, &node, &state);
    let (checkpoints, checkpoint_thread) = checkpoints(
        state.checkpointer,
        state.replayed_bytes,
        options.settings.checkpoint_log_bytes,
    );
    let parts = Parts {
        engine: state.engine,
        checkpoints,
        lsn,
        verifier,
        pool,
        settings: options.settings.clone(),
        hello,
        revealed: node.revealed_hashes().collect(),
        groups: groups.1,
        jobs: jobs.0,
        done: done.1,
        reactor: sender.clone(),
        waiting: Arc::clone(&waiting),
        flow: flow.clone(),
        no_room: Arc::clone(&no_room),
        routes: routes.wakes(),
        stats: Arc::clone(&stats),
    };
    let log = LogThread {
        log: state.log,
        ledger: node.ledger(),
        key: options.keys.identity(),
        jobs: jobs.1,
        done: done.0,
        reactor: sender.clone(),
        stats: Arc::clone(&stats),
        commitment: feed,
        heard: links.as_ref().map(|links| Arc::clone(&links.heard)),
    };
    let (links, peers_file) = links.map(|opened| (opened.links, opened.keeping)).unzip();
    let (to_ledger, ends) = (ledger_queue.0.clone(), (groups.0.clone(), sender.clone()));
    let ledger = ledger_thread(&options, node, told, ledger_queue, (&ends, routes.outgoing()), &stats)?;
    let routes = routes.start(&options, (&groups.0, &to_ledger), &stats)?;
    let (ledger_end, prepare_end, log_end) = (ends.clone(), ends.clone(), ends.clone());
    let front = Front::new(groups.0.clone(), to_ledger, waiting, flow, links);
    Ok(Threads {
        routes,
        reactor: spawn("reactor", move || run_reactor(reactor, front, &groups.0))?,
        peers_file,
        sequencer: spawn("sequencer", move || run_sequencer(parts, &sender))?,
        log: spawn("log", move || run_log(log, &log_end.0, &log_end.1))?,
        commitment: spawn("commitment", move || commitment.run())?,
        ledger: spawn("ledger", move || run_ledger(ledger, &ledger_end.0, &ledger_end.1))?,
        preparer: spawn("log-prepare", move || {
            prepare(&segments, &no_room, &prepare_end.0, &prepare_end.1)
        })?,
        checkpoint: spawn("checkpoint", move || {
            run_checkpoints(checkpoint_thread, &ends.0, &ends.1)
        })?,
        admin,
        lock,
    })
}

/// The ledger thread, and its link to a ledger that is a process of its own.
fn ledger_thread(
    options: &ServeOptions,
    node: Node,
    told: Height,
    queue: (Sender<LedgerWork>, Receiver<LedgerWork>),
    ((groups, reactor), outgoing): (&(queue::Sender<Group>, ReactorSender), Outgoing),
    stats: &Arc<Stats>,
) -> Result<LedgerThread, ServeError> {
    let bring = options.ledger.clone().map(|address| {
        let to = link::options(address, node.ledger());
        link::start(&to, &queue.0, stats).map_err(ServeError::Thread)
    });
    let interval = Duration::from_millis(node.params().block_interval_ms.into());
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let proofs = Proofs::open(disk, &options.data, claims::needed(&node, options.keys.public()))?;
    Ok(LedgerThread {
        told: told.max(node.tip().final_height),
        bring: bring.transpose()?,
        patience: interval
            .saturating_mul(options.settings.policy.margin.get())
            .max(PATIENCE_MIN),
        node,
        hub: options.keys.identity(),
        policy: options.settings.channels,
        work: queue.1,
        groups: groups.clone(),
        reactor: reactor.clone(),
        reserved: Default::default(),
        scans: Default::default(),
        disputes: Default::default(),
        outgoing,
        running: Default::default(),
        proofs,
        margin: options.settings.policy.margin,
        stats: Arc::clone(stats),
    })
}

fn verify_pool(threads: usize) -> Result<rayon::ThreadPool, rayon::ThreadPoolBuildError> {
    let name = |n| format!("verify-{n}");
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .thread_name(name)
        .build()
}

fn hello(options: &ServeOptions, node: &Node, state: &HubState) -> HelloAnswer {
    let (settings, policy) = (&options.settings, &options.settings.policy);
    HelloAnswer {
        ledger: node.ledger(),
        hub: options.keys.public(),
        height: state.engine.opened().height,
        margin: policy.margin,
        ack_interval_ms: settings.ack_interval_ms,
        max_lock: policy.max_lock,
        dispute_window: settings.channels.dispute_window,
        evidence_grace: settings.channels.evidence_grace,
        client_reserve: settings.channels.client_reserve,
        hub_reserve: settings.channels.hub_reserve,
        min_amount: policy.min_amount,
        fee_base: policy.fee_base,
        fee_ppm: policy.fee_ppm,
        block_interval_ms: node.params().block_interval_ms,
        max_capacity: settings.channels.max_capacity,
        channel_count: 0,
    }
}

impl Serving {
    /// Ends this hub from another thread.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Waits until the hub has ended.
    ///
    /// # Errors
    /// [`ServeError`] if it ended by itself; the first cause.
    pub fn wait(self) -> Result<(), ServeError> {
        let Threads {
            reactor,
            sequencer,
            log,
            commitment,
            ledger,
            preparer,
            checkpoint,
            routes,
            peers_file,
            admin,
            lock,
        } = self.threads;
        let panicked = |thread| move |_| ServeError::Panicked { thread };
        let sequencer = sequencer.join().map_err(panicked("sequencer"))?;
        let log = log.join().map_err(panicked("log"))?;
        let _ended = self.stop.ledger.send(LedgerWork::Stop);
        let ledger = ledger.join().map_err(panicked("ledger"))?;
        let reactor = reactor.join().map_err(panicked("reactor"))?;
        if let Some(peers_file) = peers_file {
            peers_file.join().map_err(panicked("peers-file"))?;
        }
        let preparer = preparer.join().map_err(panicked("log-prepare"))?;
        checkpoint.join().map_err(panicked("checkpoint"))?;
        for route in routes {
            route.join().map_err(panicked("route"))?;
        }
        admin.stop();
        commitment.join().map_err(panicked("commitment"))?;
        drop(lock);
        log.and(preparer).map_err(ServeError::Log)?;
        sequencer?;
        ledger?;
        Ok(reactor?)
    }
}
