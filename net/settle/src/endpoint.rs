//! A node as a server: the wire's ledger messages on a socket, blocks in time.
//!
//! ```text
//! thread    work                                                     hands on
//! reactor   read, decrypt, frame, decode; Hello, Ping    ──bounded──▶ node       (full: the peer is told Busy)
//! node      questions, transactions, a block when due    ───────────▶ reactor    encrypt, write
//! ```
//!
//! The node's thread takes all that waits, then makes one block of it, durable by one sync. A question for a block that does
//! not exist yet waits in that thread, one for each connection.

mod front;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hashbrown::HashMap;
use tidegate_crypto::keys::SecretKey;
use tidegate_reactor::{Config, ConnId, Reactor, ReactorError, Sender as ReactorSender};
use tidegate_session::{Limits, NoiseSecret, ServerConfig};
use tidegate_types::UnixMillis;
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{Body as _, Busy, LedgerQuery};

use crate::answer::refusal;
use crate::{Node, Scans, TickError, accepted, answer, submit};
use front::Front;

/// Requests that may wait for the node; more are answered by `Busy`.
const QUEUE: usize = 4096;
/// Requests that are served before a block is made of what they brought.
const TURN: usize = 1024;
/// Milliseconds that peers have to take what waits for them at the end.
const DRAIN_MILLIS: u64 = 1_000;
/// How long the node waits for room on the disk before it tries again.
const NO_ROOM_PAUSE: Duration = Duration::from_millis(200);
/// The longest that a question for a block waits.
const WAIT_MAX: Duration = Duration::from_secs(60);

/// Where and as whom a node serves.
#[derive(Debug)]
pub struct EndpointOptions {
    /// Where followers and clients connect; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The identity that the node proves: the validator's.
    pub identity: SecretKey,
    /// The key of its sessions.
    pub noise: NoiseSecret,
    /// Connections at one time.
    pub connections_max: usize,
}

/// Why an endpoint did not start, or has ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The network layer failed.
    #[error(transparent)]
    Reactor(#[from] ReactorError),
    /// The node failed.
    #[error(transparent)]
    Tick(#[from] TickError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// A thread panicked.
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

/// What the reactor hands the node.
#[derive(Debug)]
enum Work {
    Query(Origin, LedgerQuery),
    Submit(Origin, Vec<u8>),
    Gone(ConnId),
    Stop,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    conn: ConnId,
    request: u64,
}

/// An endpoint that serves.
#[derive(Debug)]
pub struct Endpoint {
    /// Where it listens.
    pub listen: SocketAddr,
    stop: StopHandle,
    reactor: JoinHandle<Result<(), ReactorError>>,
    node: JoinHandle<Result<(), TickError>>,
}

/// Ends an endpoint from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle(Sender<Work>);

impl StopHandle {
    /// Has the endpoint end. Returns at once.
    pub fn stop(&self) {
        // Whoever has ended already needs no word.
        let _ended = self.0.send(Work::Stop);
    }
}

impl Endpoint {
    /// Serves `node`, which makes blocks if it has the validator's key.
    ///
    /// # Errors
    /// [`EndpointError`].
    pub fn start(node: Node, options: EndpointOptions) -> Result<Self, EndpointError> {
        let mut reactor = Reactor::new(Config {
            connections_max: options.connections_max,
            ..Config::default()
        })?;
        let session = ServerConfig {
            ledger: node.ledger(),
            noise: options.noise,
            identity: options.identity,
            links: false,
            limits: Limits::default(),
        };
        let listen = reactor.listen(options.listen, Arc::new(session))?;
        let (sender, work) = bounded(QUEUE);
        let height = Arc::new(AtomicU32::new(node.tip().final_height.get()));
        let mut front = Front::new(&node, sender.clone(), Arc::clone(&height));
        let thread = NodeThread {
            node,
            work,
            reactor: reactor.sender(),
            waiting: HashMap::new(),
            scans: Scans::default(),
            height,
        };
        let stop = StopHandle(sender);
        let (node_stop, reactor_stop) = (reactor.sender(), stop.clone());
        let run_reactor = move || {
            let result = reactor.run(&mut front);
            // A node that hears nobody ends.
            reactor_stop.stop();
            result
        };
        let run_node = move || {
            let result = thread.run();
            let _ended = node_stop.stop(if result.is_ok() { DRAIN_MILLIS } else { 0 });
            result
        };
        Ok(Self {
            listen,
            stop,
            reactor: spawn("reactor", run_reactor)?,
            node: spawn("node", run_node)?,
        })
    }

    /// Ends this endpoint from another thread.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`EndpointError`] if it ended by itself.
    pub fn wait(self) -> Result<(), EndpointError> {
        let node = self.node.join().map_err(|_| EndpointError::Panicked("node"))?;
        let reactor = self.reactor.join().map_err(|_| EndpointError::Panicked("reactor"))?;
        node?;
        Ok(reactor?)
    }
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, EndpointError> {
    let builder = Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(EndpointError::Thread)
}

struct NodeThread {
    node: Node,
    work: Receiver<Work>,
    reactor: ReactorSender,
    /// Questions for blocks that do not exist yet, and until when they wait.
    waiting: HashMap<ConnId, (Instant, Origin, LedgerQuery)>,
    scans: Scans,
    height: Arc<AtomicU32>,
}

impl NodeThread {
    fn run(mut self) -> Result<(), TickError> {
        loop {
            match self.work.recv_timeout(self.patience()) {
                Ok(work) => {
                    let more: Vec<Work> = self.work.try_iter().take(TURN).collect();
                    for work in std::iter::once(work).chain(more) {
                        if matches!(work, Work::Stop) {
                            return Ok(());
                        }
                        self.serve(work);
                    }
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return Ok(()),
            }
            self.tick()?;
            self.answer_waiting();
        }
    }

    /// How long nothing is due.
    fn patience(&self) -> Duration {
        let block = self.node.next_block_at().get().saturating_sub(now().get());
        let block = Duration::from_millis(block.clamp(1, 1_000));
        let questions = self.waiting.values().map(|(until, ..)| *until).min();
        questions.map_or(block, |until| {
            block.min(until.saturating_duration_since(Instant::now()))
        })
    }

    fn tick(&mut self) -> Result<(), TickError> {
        match self.node.tick(now()) {
            Ok(_) => {}
            // Nothing has changed; the next tick tries again.
            Err(TickError::NoSpace(error)) => {
                tracing::warn!(%error, "no room for a block");
                std::thread::sleep(NO_ROOM_PAUSE);
            }
            Err(error) => return Err(error),
        }
        self.height.store(self.node.tip().final_height.get(), Ordering::Relaxed);
        Ok(())
    }

    fn serve(&mut self, work: Work) {
        match work {
            Work::Query(origin, query) => {
                if let LedgerQuery::Blocks { from, wait_ms, .. } = query
                    && from > self.node.tip().height
                    && wait_ms > 0
                {
                    let until = Instant::now() + Duration::from_millis(wait_ms.into()).min(WAIT_MAX);
                    let before = self.waiting.insert(origin.conn, (until, origin, query));
                    // Who asks again does not wait for the first answer any more.
                    if let Some((_, origin, query)) = before {
                        self.send(origin, answer(&self.node, &query, origin.request));
                    }
                    return;
                }
                let bytes = self.scans.answer(&self.node, &query, origin.request, Instant::now);
                self.send(origin, bytes.unwrap_or_else(|| busy(origin.request)));
            }
            Work::Submit(origin, bytes) => {
                let bytes = match submit(&mut self.node, &bytes) {
                    Ok(txid) => accepted(&self.node, txid, origin.request),
                    Err(text) => refusal(ErrorCode::TransactionRefused, &text, origin.request),
                };
                self.send(origin, bytes);
            }
            Work::Gone(conn) => drop(self.waiting.remove(&conn)),
            Work::Stop => {}
        }
    }

    fn answer_waiting(&mut self) {
        let (tip, now) = (self.node.tip().height, Instant::now());
        let is_due = |until: &Instant, query: &LedgerQuery| {
            matches!(query, LedgerQuery::Blocks { from, .. } if *from <= tip) || *until <= now
        };
        let due = self.waiting.extract_if(|_, (until, _, query)| is_due(until, query));
        let due: Vec<_> = due.map(|(_, (_, origin, query))| (origin, query)).collect();
        for (origin, query) in due {
            self.send(origin, answer(&self.node, &query, origin.request));
        }
    }

    fn send(&self, origin: Origin, bytes: Vec<u8>) {
        // A reactor that has ended sends nothing more; the peers will ask again.
        let _ended = self.reactor.send(origin.conn, bytes);
    }
}

fn busy(request: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    let busy = Busy {
        retry_after_ms: front::RETRY_MILLIS,
    };
    busy.append(request, &mut bytes).expect("it is short");
    bytes
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}
