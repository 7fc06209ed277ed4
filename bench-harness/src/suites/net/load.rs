//! The load: one thread of our reactor that keeps messages in flight on many connections, whoever serves them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use tidegate_reactor::{CloseReason, Config, ConnId, Handler, Outbox, Reactor, ReactorError};
use tidegate_session::{ClientConfig, Limits, NoiseSecret, PublicKey, SecretKey, ServerConfig};
use tidegate_types::LedgerId;
use tidegate_wire::frame::Header;

/// How much is sent.
#[derive(Clone, Copy, Debug)]
pub struct Load {
    /// Connections.
    pub connections: usize,
    /// Messages that each keeps in flight.
    pub batch: usize,
    /// Bytes of a body.
    pub body: usize,
    /// How long, from the moment when all connections are there.
    pub millis: u64,
}

/// What came of it.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    /// Messages that came back.
    pub messages: u64,
    /// In how long.
    pub seconds: f64,
    /// CPU time of the server's thread meanwhile.
    pub server_cpu_s: f64,
}

/// Handshakes under way at one time.
const DIALS: usize = 64;

/// What the load's thread tells.
enum Told {
    /// All connections are there.
    Ready,
    /// A connection has gone, or was never made.
    Failed(String),
}

struct Sender {
    address: SocketAddr,
    config: Arc<ClientConfig>,
    load: Load,
    body: Vec<u8>,
    begun: usize,
    ready: Vec<ConnId>,
    /// Messages of the batch under way, by slot.
    missing: Vec<usize>,
    answered: u64,
    told: mpsc::Sender<Told>,
}

impl Sender {
    fn dial(&mut self, out: &mut Outbox<'_>) {
        if self.begun < self.load.connections && out.connect(self.address, Arc::clone(&self.config)).is_some() {
            self.begun += 1;
        }
    }

    fn send(&mut self, conn: ConnId, out: &mut Outbox<'_>) {
        if self.missing.len() <= conn.slot() {
            self.missing.resize(conn.slot() + 1, 0);
        }
        self.missing[conn.slot()] = self.load.batch;
        for request in 0..self.load.batch as u64 {
            // A connection that is gone is told of by `on_closed`.
            let _gone = out.message(conn, 1, request, |to| to.extend_from_slice(&self.body));
        }
    }
}

impl Handler for Sender {
    fn on_ready(&mut self, conn: ConnId, _: &PublicKey, out: &mut Outbox<'_>) {
        self.ready.push(conn);
        self.dial(out);
        if self.ready.len() == self.load.connections {
            let _gone = self.told.send(Told::Ready);
            for conn in std::mem::take(&mut self.ready) {
                self.send(conn, out);
            }
        }
    }

    fn on_message(&mut self, conn: ConnId, _: Header, _: &[u8], out: &mut Outbox<'_>) {
        self.answered += 1;
        self.missing[conn.slot()] -= 1;
        if self.missing[conn.slot()] == 0 {
            self.send(conn, out);
        }
    }

    fn on_closed(&mut self, _: ConnId, reason: &CloseReason, _: &mut Outbox<'_>) {
        if !matches!(reason, CloseReason::Closed | CloseReason::Stopped) {
            let _gone = self.told.send(Told::Failed(reason.to_string()));
        }
    }
}

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The reactor failed.
    #[error("the reactor: {0}")]
    Reactor(#[from] ReactorError),
    /// A connection failed.
    #[error("a connection: {0}")]
    Connection(String),
    /// A thread panicked.
    #[error("a thread has panicked")]
    Panicked,
}

/// Loads the server at `address`. `server_cpu` tells the CPU seconds that the server's thread has used so far.
///
/// # Errors
/// [`LoadError`].
pub fn run(load: &Load, address: SocketAddr, mut server_cpu: impl FnMut() -> f64) -> Result<Outcome, LoadError> {
    let mut reactor = Reactor::new(Config {
        connections_max: load.connections,
        ..Config::default()
    })?;
    let (_, config) = configs();
    let first = load.connections.min(DIALS);
    for _ in 0..first {
        reactor.connect(address, Arc::clone(&config))?;
    }
    let stats = reactor.stats();
    let stop = reactor.sender();
    let (told, hear) = mpsc::channel();
    let mut sender = Sender {
        address,
        config,
        load: *load,
        body: vec![7; load.body],
        begun: first,
        ready: Vec::new(),
        missing: Vec::new(),
        answered: 0,
        told,
    };
    let thread = std::thread::spawn(move || reactor.run(&mut sender));
    let ready = hear.recv().map_err(|_| LoadError::Panicked)?;
    if let Told::Failed(reason) = ready {
        return Err(LoadError::Connection(reason));
    }
    let (cpu, begin, before) = (server_cpu(), Instant::now(), stats.messages_in.get());
    std::thread::sleep(Duration::from_millis(load.millis));
    let messages = stats.messages_in.get() - before;
    let (server_cpu_s, seconds) = (server_cpu() - cpu, begin.elapsed().as_secs_f64());
    // One that has ended by itself is told of below.
    let _ended = stop.stop(0);
    thread.join().map_err(|_| LoadError::Panicked)??;
    if let Ok(Told::Failed(reason)) = hear.try_recv() {
        return Err(LoadError::Connection(reason));
    }
    Ok(Outcome {
        messages,
        seconds,
        server_cpu_s,
    })
}

/// Both ends, with keys for nothing but this.
#[must_use]
pub fn configs() -> (Arc<ServerConfig>, Arc<ClientConfig>) {
    let (noise, identity) = (NoiseSecret::from_bytes([1; 32]), SecretKey::from_seed([2; 32]));
    let client = ClientConfig {
        ledger: LedgerId::ZERO,
        noise: NoiseSecret::from_bytes([3; 32]),
        identity: SecretKey::from_seed([4; 32]),
        hub_noise: noise.public(),
        hub_identity: identity.public(),
        limits: patient(),
    };
    let server = ServerConfig {
        ledger: LedgerId::ZERO,
        noise,
        identity,
        links: false,
        limits: patient(),
    };
    (Arc::new(server), Arc::new(client))
}

/// Ten thousand handshakes on two cores that do other things too.
fn patient() -> Limits {
    Limits {
        handshake_millis: 60_000,
        ..Limits::default()
    }
}

/// CPU seconds that a thread of this process has used, by its number.
///
/// # Panics
/// If there is no such thread, or the kernel keeps no account of it.
#[must_use]
pub fn thread_cpu_s(thread: &str) -> f64 {
    let account = std::fs::read_to_string(format!("/proc/self/task/{thread}/schedstat")).expect("the thread lives");
    let nanos = account.split_whitespace().next().and_then(|field| field.parse().ok());
    Duration::from_nanos(nanos.expect("nanoseconds on a processor come first")).as_secs_f64()
}

/// The number of the calling thread.
///
/// # Panics
/// Without `/proc`.
#[must_use]
pub fn this_thread() -> String {
    let link = std::fs::read_link("/proc/thread-self").expect("Linux shows each thread itself");
    let name = link.file_name().expect("PID/task/TID");
    name.to_string_lossy().into_owned()
}
