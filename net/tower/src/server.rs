//! The tower as a process: packages over the wire, the ledger's final blocks, answers.
//!
//! ```text
//! reactor   read, decrypt, frame, decode; Hello, Ping     ──bounded──▶ tower     (full: the peer is told Busy)
//! follow    the ledger's final blocks, checked            ───────────▶ tower
//! tower     checks and keeps packages, brings evidence    ───────────▶ reactor, ledger
//! ```
//!
//! Nothing that was answered for is lost by a restart: a package is durable before its answer, and the block up to which the
//! ledger was read never stands above the start of a close that is still watched.

mod front;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use crossbeam::channel::{Receiver, RecvTimeoutError, Sender, bounded};
use hashbrown::HashMap;
use tidegate_client::{ConnectOptions, LedgerConnection, LedgerError, LightChain, Page};
use tidegate_crypto::keys::SecretKey;
use tidegate_disk::Disk;
use tidegate_ledger::CloseState;
use tidegate_reactor::{Config, ConnId, Reactor, ReactorError, Sender as ReactorSender};
use tidegate_session::{Limits as SessionLimits, NoiseSecret, ServerConfig};
use tidegate_types::{ChannelId, Fixed as _, Height, KeyBytes, Txid};
use tidegate_wire::ErrorCode;
use tidegate_wire::messages::{
    Body, DisputeNotice, Error, LedgerQuery, LedgerResult, OutputStatus, TowerKept, TxStatus,
};

use crate::store::{Cursor, Store, StoreError};
use crate::{Close, Happened, Limits, Package, Tower};
use front::Front;

/// Requests that may wait; more are answered by `Busy`.
const QUEUE: usize = 1024;
/// How long the ledger may keep a question for the next block.
const WAIT: Duration = Duration::from_secs(1);
/// Between two attempts to reach a ledger that is away.
const RETRY: Duration = Duration::from_millis(200);
/// Blocks between two notes of how far the ledger was read.
const CURSOR_EVERY: u32 = 64;
/// Milliseconds that peers have to take what waits for them at the end.
const DRAIN_MILLIS: u64 = 1_000;

/// Where and as whom a tower serves, and what it watches.
#[derive(Debug)]
pub struct TowerOptions {
    /// Its folder.
    pub data: PathBuf,
    /// Where parties connect; port 0 takes any free one.
    pub listen: SocketAddr,
    /// The identity that it proves.
    pub identity: SecretKey,
    /// The key of its sessions.
    pub noise: NoiseSecret,
    /// The ledger.
    pub ledger: ConnectOptions,
    /// How much it keeps.
    pub limits: Limits,
}

/// Why a tower did not start, or has ended before it was told to.
#[derive(Debug, thiserror::Error)]
pub enum TowerError {
    /// Its folder does not serve.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The ledger cannot be reached at the first start.
    #[error(transparent)]
    Ledger(#[from] LedgerError),
    /// The network layer failed.
    #[error(transparent)]
    Reactor(#[from] ReactorError),
    /// A thread could not be started.
    #[error("a thread could not be started: {0}")]
    Thread(std::io::Error),
    /// A thread panicked.
    #[error("the {0} thread panicked")]
    Panicked(&'static str),
}

/// What the tower's thread is handed.
#[derive(Debug)]
enum Work {
    Package(Origin, KeyBytes, Box<Package>),
    Ready(ConnId, KeyBytes),
    Gone(ConnId),
    Page(Box<Page>, Sender<Height>),
    /// Nothing: it shows whether anyone still listens.
    Nothing,
    Stop,
}

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Origin {
    conn: ConnId,
    request: u64,
}

/// A tower that serves.
#[derive(Debug)]
pub struct TowerServer {
    /// Where it listens.
    pub listen: SocketAddr,
    /// How many channels it watched when it started.
    pub watched: usize,
    stop: StopHandle,
    reactor: JoinHandle<Result<(), ReactorError>>,
    tower: JoinHandle<Result<(), TowerError>>,
}

/// Ends a tower from any thread.
#[derive(Clone, Debug)]
pub struct StopHandle(Sender<Work>);

impl StopHandle {
    /// Has the tower end. Returns at once.
    pub fn stop(&self) {
        // Whoever has ended already needs no word.
        let _ended = self.0.send(Work::Stop);
    }
}

impl TowerServer {
    /// Opens the folder, reaches the ledger if it was never reached before, and serves.
    ///
    /// # Errors
    /// [`TowerError`].
    pub fn start(disk: Arc<dyn Disk>, options: TowerOptions) -> Result<Self, TowerError> {
        let mut tower = Tower::new(options.ledger.ledger, options.limits);
        let store = Store::open(disk, &options.data, |package| tower.keep(package))?;
        let cursor = match store.cursor()? {
            Some(cursor) => cursor,
            None => first_cursor(&options.ledger, &store)?,
        };
        let chain = LightChain::behind(options.ledger.ledger, cursor.validator, (cursor.height, cursor.hash))?;
        let mut reactor = Reactor::new(Config::default())?;
        let session = ServerConfig {
            ledger: options.ledger.ledger,
            noise: options.noise,
            identity: options.identity,
            links: false,
            limits: SessionLimits::default(),
        };
        let listen = reactor.listen(options.listen, Arc::new(session))?;
        let (sender, work) = bounded(QUEUE);
        let watched = tower.len();
        let thread = TowerThread {
            tower,
            store,
            cursor,
            chain,
            work,
            reactor: reactor.sender(),
            ledger: options.ledger.clone(),
            connection: None,
            sessions: HashMap::new(),
        };
        let stop = StopHandle(sender.clone());
        let mut front = Front::new(options.ledger.ledger, sender.clone());
        let (tower_stop, reactor_stop) = (reactor.sender(), stop.clone());
        let run_reactor = move || {
            let result = reactor.run(&mut front);
            reactor_stop.stop();
            result
        };
        let run_tower = move || {
            let result = thread.run();
            let _ended = tower_stop.stop(DRAIN_MILLIS);
            result
        };
        let (to, from) = (options.ledger, cursor.height.next().unwrap_or(Height::MAX));
        spawn("follow", move || follow(&to, from, &sender))?;
        Ok(Self {
            listen,
            watched,
            stop,
            reactor: spawn("reactor", run_reactor)?,
            tower: spawn("tower", run_tower)?,
        })
    }

    /// Ends this tower from another thread.
    #[must_use]
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Waits until it has ended.
    ///
    /// # Errors
    /// [`TowerError`] if it ended by itself.
    pub fn wait(self) -> Result<(), TowerError> {
        let tower = self.tower.join().map_err(|_| TowerError::Panicked("tower"))?;
        let reactor = self.reactor.join().map_err(|_| TowerError::Panicked("reactor"))?;
        tower?;
        Ok(reactor?)
    }
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, TowerError> {
    let builder = Builder::new().name(name.to_owned());
    builder.spawn(body).map_err(TowerError::Thread)
}

/// A new tower begins with the ledger's newest final block: it watches nothing that began before.
fn first_cursor(options: &ConnectOptions, store: &Store) -> Result<Cursor, TowerError> {
    let mut ledger = LedgerConnection::connect(options)?;
    let (height, hash) = ledger.tip()?;
    let cursor = Cursor {
        validator: ledger.validator(),
        height,
        hash,
    };
    store.set_cursor(&cursor)?;
    Ok(cursor)
}

/// Hands the ledger's blocks over, page by page, until the tower is gone; a page without a final block too, whenever something may
/// have changed.
fn follow(options: &ConnectOptions, first: Height, work: &Sender<Work>) {
    let mut from = first;
    let mut told = false;
    loop {
        let mut connection = match LedgerConnection::connect(options) {
            Ok(connection) => connection,
            Err(error) => {
                if !told {
                    tracing::warn!(%error, "the ledger is away; it is tried again and again");
                }
                told = true;
                std::thread::sleep(RETRY);
                if work.try_send(Work::Nothing).is_err_and(|error| error.is_disconnected()) {
                    return;
                }
                continue;
            }
        };
        told = false;
        while let Ok(page) = connection.blocks(from, Duration::ZERO) {
            let last = page.blocks.last().map(|block| block.header.height);
            let (is_behind, unseen) = (last.is_some_and(|last| last < page.final_height), page.tip.next());
            let (reply, next) = bounded(1);
            if work.send(Work::Page(Box::new(page), reply)).is_err() {
                return;
            }
            match next.recv() {
                Ok(height) => from = height,
                Err(_) => return,
            }
            // The next block, final or not: by each another may become final, and what was brought may be gone with a branch.
            if !is_behind && connection.blocks(unseen.unwrap_or(Height::MAX), WAIT).is_err() {
                break;
            }
        }
        std::thread::sleep(RETRY);
    }
}

struct TowerThread {
    tower: Tower,
    store: Store,
    cursor: Cursor,
    chain: LightChain,
    work: Receiver<Work>,
    reactor: ReactorSender,
    ledger: ConnectOptions,
    connection: Option<LedgerConnection>,
    /// Where each owner's newest session is.
    sessions: HashMap<KeyBytes, ConnId>,
}

impl TowerThread {
    fn run(mut self) -> Result<(), TowerError> {
        loop {
            match self.work.recv_timeout(WAIT) {
                Ok(Work::Stop) | Err(RecvTimeoutError::Disconnected) => return Ok(()),
                Ok(Work::Package(origin, identity, package)) => self.take(origin, &identity, *package)?,
                Ok(Work::Ready(conn, identity)) => drop(self.sessions.insert(identity, conn)),
                Ok(Work::Gone(conn)) => self.sessions.retain(|_, other| *other != conn),
                Ok(Work::Page(page, reply)) => {
                    self.page(*page)?;
                    let next = self.chain.last().0.next().unwrap_or(Height::MAX);
                    // A follower that has given up meanwhile begins again.
                    let _gone = reply.send(next);
                }
                Ok(Work::Nothing) | Err(RecvTimeoutError::Timeout) => {}
            }
        }
    }

    /// Takes a package; it is durable before it is answered.
    fn take(&mut self, origin: Origin, identity: &KeyBytes, mut package: Package) -> Result<(), TowerError> {
        let channel = package.channel;
        self.tower.complete(&mut package);
        let is_new = match self.tower.consider(identity, &package) {
            Ok(is_new) => is_new,
            Err(error) => {
                self.refuse(origin, ErrorCode::Refused, &error.to_string());
                return Ok(());
            }
        };
        if is_new && !self.tower.knows(&channel) && !self.stands(origin, &package) {
            return Ok(());
        }
        if is_new {
            self.store.put(&package)?;
            self.tower.keep(package);
        }
        let (state, leaf) = self.tower.counters(&channel).unwrap_or_default();
        self.send(origin, &TowerKept { channel, state, leaf });
        self.answer();
        Ok(())
    }

    /// Whether the channel's output stands on the ledger: room is given to channels that somebody has paid for. A close that
    /// has begun already is noted.
    fn stands(&mut self, origin: Origin, package: &Package) -> bool {
        let query = LedgerQuery::Channel(package.channel);
        let found = self.ask(|ledger| {
            ledger.query(query, |answer| match &answer.result {
                LedgerResult::Channel(found) => Ok(found.map(|found| (found.outpoint, found.status))),
                _ => Err(LedgerError::OtherAnswer),
            })
        });
        match found {
            Ok(Some((outpoint, status))) if outpoint == package.funding && status != OutputStatus::Spent => {
                if status == OutputStatus::Closing {
                    let close = self.close_of(package);
                    self.tower.keep(package.clone());
                    self.tower.note_close(&package.channel, close);
                }
                true
            }
            Ok(_) => {
                self.refuse(origin, ErrorCode::NotFound, "the ledger has no such channel");
                false
            }
            Err(error) => {
                self.refuse(origin, ErrorCode::Internal, &format!("try again: {error}"));
                false
            }
        }
    }

    /// A close that has begun before; if the ledger does not say how far it is, nothing is known of what was shown.
    fn close_of(&mut self, package: &Package) -> Close {
        let query = LedgerQuery::Close(package.channel);
        let found = self.ask(|ledger| {
            ledger.query(query, |answer| match answer.result {
                LedgerResult::Close(record) => CloseState::decode(record).map_err(LedgerError::Block),
                _ => Err(LedgerError::OtherAnswer),
            })
        });
        let height = self.chain.last().0;
        let unknown = Close {
            started: height,
            deadline: height.plus(package.terms.dispute_window).unwrap_or(Height::MAX),
            shown: Default::default(),
        };
        found.map_or(unknown, |state| Close {
            started: state.started,
            deadline: state.deadline,
            shown: (state.client.counter, state.hub.counter),
        })
    }

    fn page(&mut self, page: Page) -> Result<(), TowerError> {
        let blocks = match self.chain.take(page) {
            Ok(blocks) => blocks,
            Err(error) => {
                tracing::error!(%error, "the ledger's blocks do not hold; nothing of them is taken");
                std::thread::sleep(RETRY);
                return Ok(());
            }
        };
        for block in &blocks {
            for (channel, what) in self.tower.on_block(block) {
                match what {
                    Happened::Started(close) => self.notify(&channel, close),
                    Happened::Ended => self.store.remove(&channel)?,
                }
            }
        }
        self.answer();
        self.note_cursor()
    }

    /// After a restart every block behind the cursor is read again: so it stays below each close that is watched.
    fn note_cursor(&mut self) -> Result<(), TowerError> {
        let (height, hash) = self.chain.last();
        let far = height.get().saturating_sub(self.cursor.height.get()) >= CURSOR_EVERY;
        if far && self.tower.oldest_close().is_none() {
            self.cursor = Cursor {
                height,
                hash,
                ..self.cursor
            };
            self.store.set_cursor(&self.cursor)?;
        }
        Ok(())
    }

    /// Brings evidence for every close that was shown something older. What the ledger refuses, or has lost with a branch of
    /// blocks that were not final, is brought again with the next block, as long as it can count.
    fn answer(&mut self) {
        let height = self.chain.last().0;
        for (channel, transaction) in self.tower.answers(height) {
            if self.is_on_its_way(transaction.txid()) {
                continue;
            }
            let bytes = transaction.encode();
            match self.ask(|ledger| ledger.submit(&bytes)) {
                Ok(txid) => tracing::warn!(%channel, %txid, "a stale close was answered"),
                Err(error) => {
                    tracing::warn!(%channel, %error, "the ledger did not take the evidence; it is brought again")
                }
            }
        }
    }

    /// Whether a transaction waits for a block, or stands in one.
    fn is_on_its_way(&mut self, txid: Txid) -> bool {
        let status = self.ask(|ledger| {
            ledger.query(LedgerQuery::Transaction(txid), |answer| match answer.result {
                LedgerResult::Transaction(status) => Ok(status),
                _ => Err(LedgerError::OtherAnswer),
            })
        });
        status.is_ok_and(|status| status != TxStatus::Unknown)
    }

    fn notify(&self, channel: &ChannelId, close: Close) {
        let session = self.tower.owner(channel).and_then(|owner| self.sessions.get(&owner));
        let Some(conn) = session else { return };
        let notice = DisputeNotice {
            channel: *channel,
            started: close.started,
            deadline: close.deadline,
            state: close.shown.0,
            leaf: close.shown.1,
        };
        let unasked = Origin {
            conn: *conn,
            request: 0,
        };
        self.send(unasked, &notice);
    }

    /// Asks the ledger, on a new connection if the last one has broken.
    fn ask<T>(
        &mut self,
        question: impl FnOnce(&mut LedgerConnection) -> Result<T, LedgerError>,
    ) -> Result<T, LedgerError> {
        let mut connection = match self.connection.take() {
            Some(connection) => connection,
            None => LedgerConnection::connect(&self.ledger)?,
        };
        let answer = question(&mut connection);
        let broken = matches!(&answer, Err(LedgerError::Connection(error)) if !error.is_answer());
        if !broken {
            self.connection = Some(connection);
        }
        answer
    }

    fn refuse(&self, origin: Origin, code: ErrorCode, text: &str) {
        self.send(origin, &Error { code, text });
    }

    fn send<'a>(&self, origin: Origin, body: &impl Body<'a>) {
        let mut bytes = Vec::new();
        if body.append(origin.request, &mut bytes).is_ok() {
            // A reactor that has ended sends nothing more; the parties will ask again.
            let _ended = self.reactor.send(origin.conn, bytes);
        }
    }
}
