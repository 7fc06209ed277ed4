//! The admin endpoint: HTTP/1.1 on loopback, for operators and their tools.
//!
//! `/status`, `/channel/ID`, `/proof/ID`, `/audit`, `/wal`, `/tables`, `/checkpoints`, `/forwards` and `/peers` JSON, `/metrics` Prometheus text, `/healthz` and `/readyz` for supervisors. One
//! request per connection, one thread: it is for a poll a second, not for load.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crossbeam::channel::bounded;
use tidegate_batch::{ChannelView, EntryReader};
use tidegate_crypto::keys::SecretKey;
use tidegate_crypto::verify::Verifier;
use tidegate_disk::RealDisk;
use tidegate_table::superblocks;
use tidegate_types::LedgerId;
use tidegate_wal::Segments;

use crate::audit::Audit;
use crate::commitment::{CommitWork, ProofAnswer, StateRoot, WorkSender};
use crate::inside::{CheckpointRows, ForwardRows, LogRows, TableRows};
use crate::pipeline::links::{Heard, PeerRows};
use crate::pipeline::queue;
use crate::pipeline::{ForwardWork, Forwards, Group, Histogrammed, Stats, Work, get, quantiles};
use crate::pipeline::{ServeOptions, Status};
use crate::proof::ProofRow;
use crate::state::{HubState, state_dir};

/// The admin endpoint's thread.
#[derive(Debug)]
pub struct Admin {
    address: SocketAddr,
    stopping: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// Why the admin endpoint did not start.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The address is not on loopback; there is no authentication.
    #[error("the admin endpoint serves loopback only, not {0}")]
    NotLoopback(SocketAddr),
    /// The address cannot be bound.
    #[error("the admin endpoint cannot listen on {address}: {error}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        error: std::io::Error,
    },
}

/// What the answers are made from.
struct Source {
    identity: String,
    ledger: LedgerId,
    verifier: Arc<Verifier>,
    stats: Arc<Stats>,
    groups: queue::Sender<Group>,
    commitment: WorkSender,
    entries: EntryReader,
    reactor: Arc<tidegate_reactor::Stats>,
    heard: Option<Arc<Heard>>,
    storage: Storage,
}

/// What the admin endpoint knows of the files.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    /// The data directory.
    pub(crate) data: PathBuf,
    /// The log's files.
    pub(crate) log: Arc<Segments>,
}

impl Storage {
    pub(crate) fn of(options: &ServeOptions, state: &HubState) -> Self {
        Self {
            data: options.data.clone(),
            log: state.log.segments(),
        }
    }
}

const REQUEST_BYTES_MAX: usize = 4096;
const PATIENCE: Duration = Duration::from_secs(2);
/// The sequencer answers between two batches, which a checkpoint may hold up; the state tree when it is up to date.
const ROOT_PATIENCE: Duration = Duration::from_secs(30);

impl Admin {
    #[expect(clippy::too_many_arguments, reason = "each is one source of what it shows")]
    pub(crate) fn start(
        address: SocketAddr,
        identity: &SecretKey,
        ledger: LedgerId,
        verifier: &Arc<Verifier>,
        stats: &Arc<Stats>,
        groups: queue::Sender<Group>,
        commitment: WorkSender,
        entries: EntryReader,
        reactor: Arc<tidegate_reactor::Stats>,
        heard: Option<Arc<Heard>>,
        storage: Storage,
    ) -> Result<Self, AdminError> {
        if !address.ip().is_loopback() {
            return Err(AdminError::NotLoopback(address));
        }
        let bind = |error| AdminError::Bind { address, error };
        let listener = TcpListener::bind(address).map_err(bind)?;
        let address = listener.local_addr().map_err(bind)?;
        let stopping = Arc::new(AtomicBool::new(false));
        let source = Source {
            identity: identity.public().bytes().to_string(),
            ledger,
            verifier: Arc::clone(verifier),
            stats: Arc::clone(stats),
            groups,
            commitment,
            entries,
            reactor,
            heard,
            storage,
        };
        let flag = Arc::clone(&stopping);
        let thread = std::thread::Builder::new()
            .name("admin".to_owned())
            .spawn(move || serve(&listener, &source, &flag))
            .map_err(bind)?;
        Ok(Self {
            address,
            stopping,
            thread,
        })
    }

    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn stop(self) {
        self.stopping.store(true, Ordering::Release);
        // The thread waits in accept(); a connection wakes it.
        if TcpStream::connect_timeout(&self.address, PATIENCE).is_ok() {
            let _panicked = self.thread.join();
        }
    }
}

fn serve(listener: &TcpListener, source: &Source, stopping: &AtomicBool) {
    for stream in listener.incoming() {
        if stopping.load(Ordering::Acquire) {
            return;
        }
        let Ok(stream) = stream else { continue };
        // A client that is slow or gone gets no answer, and that is all.
        let _gone = answer(stream, source);
    }
}

fn answer(stream: TcpStream, source: &Source) -> std::io::Result<()> {
    let mut stream = Timed {
        stream,
        deadline: Instant::now() + PATIENCE,
    };
    let mut request = Vec::new();
    let mut buffer = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        let count = stream.read(&mut buffer)?;
        request.extend_from_slice(&buffer[..count]);
        if count == 0 || request.len() > REQUEST_BYTES_MAX {
            return Ok(());
        }
    }
    let line = String::from_utf8_lossy(&request);
    let path = line
        .strip_prefix("GET ")
        .and_then(|rest| rest.split(' ').next())
        .unwrap_or("");
    let (code, kind, body) = respond(path, source);
    let head = format!(
        "HTTP/1.1 {code}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        body.len()
    );
    // Making the answer may have taken its time; what is left of it is for whoever asked.
    stream.deadline = Instant::now() + PATIENCE;
    stream.write_all(head.as_bytes())?;
    stream.write_all(body.as_bytes())
}

/// A stream with one deadline for all of its calls: a byte now and then does not hold up the others.
struct Timed {
    stream: TcpStream,
    deadline: Instant,
}

impl Timed {
    fn left(&self) -> std::io::Result<Option<Duration>> {
        let left = self.deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(std::io::ErrorKind::TimedOut.into());
        }
        Ok(Some(left))
    }
}

impl Read for Timed {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stream.set_read_timeout(self.left()?)?;
        self.stream.read(buffer)
    }
}

impl Write for Timed {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.stream.set_write_timeout(self.left()?)?;
        self.stream.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.stream.flush()
    }
}

fn respond(path: &str, source: &Source) -> (&'static str, &'static str, String) {
    const TEXT: &str = "text/plain; charset=utf-8";
    match path {
        "/healthz" => ("200 OK", TEXT, "ok\n".to_owned()),
        "/readyz" => match readiness(&source.stats) {
            Ok(()) => ("200 OK", TEXT, "ready\n".to_owned()),
            Err(why) => ("503 Service Unavailable", TEXT, format!("not ready: {why}\n")),
        },
        "/status" => match status(source) {
            Some(status) => (
                "200 OK",
                "application/json",
                serde_json::to_string_pretty(&status).expect("a status is plain data") + "\n",
            ),
            None => ("503 Service Unavailable", TEXT, "the hub is ending\n".to_owned()),
        },
        _ if path.starts_with("/channel/") => match channel(&path["/channel/".len()..], source) {
            Some(Some(view)) => {
                let value = crate::rows::channel(&view);
                ("200 OK", "application/json", value.to_string() + "\n")
            }
            Some(None) => ("404 Not Found", TEXT, "no such channel\n".to_owned()),
            None => ("503 Service Unavailable", TEXT, "the hub is ending\n".to_owned()),
        },
        _ if path.starts_with("/proof/") => match proof(&path["/proof/".len()..], source) {
            Some(Some(answer)) => {
                let row = ProofRow::of(&answer.proof, &answer.root);
                let json = serde_json::to_string(&row).expect("a proof is plain data");
                ("200 OK", "application/json", json + "\n")
            }
            Some(None) => ("404 Not Found", TEXT, "no such channel\n".to_owned()),
            None => ("503 Service Unavailable", TEXT, "the hub is ending\n".to_owned()),
        },
        "/audit" => json(Audit::of(&source.entries)),
        "/wal" => json(log(source)),
        "/tables" => json(tables(source)),
        "/checkpoints" => json(checkpoints(source)),
        "/forwards" => json(waiting(source)),
        "/peers" => json(Some(peers(source))),
        "/metrics" => ("200 OK", "text/plain; version=0.0.4", metrics(source)),
        _ => (
            "404 Not Found",
            TEXT,
            "try /status, /metrics, /channel/ID, /proof/ID, /audit, /wal, /tables, /checkpoints, /forwards, /peers, /healthz, /readyz\n"
                .to_owned(),
        ),
    }
}

/// Whether clients are served in full.
fn readiness(stats: &Stats) -> Result<(), &'static str> {
    if !stats.ready.load(Ordering::Acquire) {
        return Err("the hub is starting");
    }
    if stats.ledger_away.load(Ordering::Acquire) {
        return Err("the ledger is away");
    }
    if stats.stalled.load(Ordering::Relaxed) {
        return Err("the ledger makes no blocks");
    }
    Ok(())
}

fn json(rows: Option<impl serde::Serialize>) -> (&'static str, &'static str, String) {
    match rows {
        Some(rows) => {
            let body = serde_json::to_string(&rows).expect("rows are plain data");
            ("200 OK", "application/json", body + "\n")
        }
        None => (
            "503 Service Unavailable",
            "text/plain; charset=utf-8",
            "it cannot be told now\n".to_owned(),
        ),
    }
}

/// Both superblocks, read from their file: a small one, and whole whatever the hub is writing.
fn checkpoints(source: &Source) -> Option<CheckpointRows> {
    let slots = superblocks(&RealDisk, &state_dir(&source.storage.data)).ok()?;
    Some(CheckpointRows::of_slots(&slots))
}

/// Links and what is known of other hubs, as of the last second.
fn peers(source: &Source) -> PeerRows {
    let heard = source.heard.as_ref();
    heard.map_or_else(PeerRows::default, |heard| heard.rows.lock().clone())
}

fn log(source: &Source) -> Option<LogRows> {
    let slots = superblocks(&RealDisk, &state_dir(&source.storage.data)).ok()?;
    Some(LogRows::of_running(&source.storage.log, &slots))
}

fn tables(source: &Source) -> Option<TableRows> {
    let (sender, receiver) = bounded(1);
    source.groups.send(vec![Work::Tables(sender)]).ok()?;
    receiver.recv_timeout(ROOT_PATIENCE).ok()
}

fn waiting(source: &Source) -> Option<ForwardRows> {
    let (sender, receiver) = bounded(1);
    let ask = Work::Forward(ForwardWork::Ask(sender));
    source.groups.send(vec![ask]).ok()?;
    let waiting = receiver.recv_timeout(ROOT_PATIENCE).ok()?;
    Some(ForwardRows::of(waiting.height, &waiting.locks))
}

fn root(source: &Source) -> Option<StateRoot> {
    let (sender, receiver) = bounded(1);
    source.commitment.send(CommitWork::Root(sender)).ok()?;
    receiver.recv_timeout(ROOT_PATIENCE).ok()
}

/// The proof of a channel's entry as of the newest durable batch; `Some(None)` if there is no channel of this name.
fn proof(id: &str, source: &Source) -> Option<Option<ProofAnswer>> {
    let Ok(id) = id.parse() else { return Some(None) };
    let (sender, receiver) = bounded(1);
    source.groups.send(vec![Work::Prove(id, sender)]).ok()?;
    receiver.recv_timeout(ROOT_PATIENCE).ok()
}

/// A channel as of the newest durable batch; `Some(None)` if there is none of this name.
fn channel(id: &str, source: &Source) -> Option<Option<ChannelView>> {
    let Ok(id) = id.parse() else { return Some(None) };
    let (sender, receiver) = bounded(1);
    source.groups.send(vec![Work::View(id, sender)]).ok()?;
    receiver.recv_timeout(ROOT_PATIENCE).ok()
}

fn status(source: &Source) -> Option<Status> {
    let root = root(source)?;
    let stats = &source.stats;
    let usage = Usage::now();
    Some(Status {
        identity: source.identity.clone(),
        ready: readiness(stats).is_ok(),
        ledger_reachable: !stats.ledger_away.load(Ordering::Acquire),
        stalled: stats.stalled.load(Ordering::Relaxed),
        ledger: source.ledger.to_string(),
        backend: source.verifier.backend().to_owned(),
        state_root: root.root.to_string(),
        batch: root.as_of.batch.get(),
        lsn: root.as_of.lsn.get(),
        height: get(&stats.height),
        channels: root.channels,
        value_held: root.held.to_string(),
        value_capacity: root.capacity.to_string(),
        cpu_s: usage.cpu_s,
        threads_cpu_s: crate::threads::cpu_seconds(),
        rss_bytes: usage.rss_bytes,
        rss_bytes_max: usage.rss_bytes_max,
        batches: get(&stats.batches),
        batch_p50: quantiles(&stats.batch_sizes)[0],
        syncs: get(&stats.syncs),
        log_bytes: get(&stats.log_bytes),
        inputs: get(&stats.inputs),
        delivered: get(&stats.delivered),
        signatures: get(&stats.signatures),
        refused: get(&stats.refused),
        acks: get(&stats.acks),
        forwards_waiting: get(&stats.forwards.waiting),
        sync_us: quantiles(&stats.sync_us),
        verify_us: quantiles(&stats.verify_us),
        execute_us: quantiles(&stats.execute_us),
        wait_us: quantiles(&stats.wait_us),
        gather_us: quantiles(&stats.gather_us),
        answer_us: quantiles(&stats.answer_us),
        receipts_us: quantiles(&stats.receipts_us),
        groups_waiting: quantiles(&stats.groups_waiting),
        batches_in_flight: quantiles(&stats.batches_in_flight),
        connections: source.reactor.connections.get(),
        links: source
            .heard
            .as_ref()
            .map_or_else(Vec::new, |heard| heard.rows.lock().links.clone()),
    })
}

/// Prometheus text: counters since the start, gauges of now.
fn metrics(source: &Source) -> String {
    let (stats, usage) = (&source.stats, Usage::now());
    let rows = [
        (
            "tidegate_batches_total",
            "counter",
            "batches made durable",
            get(&stats.batches),
        ),
        ("tidegate_log_syncs_total", "counter", "log syncs", get(&stats.syncs)),
        (
            "tidegate_log_bytes_total",
            "counter",
            "bytes appended to the log",
            get(&stats.log_bytes),
        ),
        (
            "tidegate_inputs_total",
            "counter",
            "inputs executed",
            get(&stats.inputs),
        ),
        (
            "tidegate_payments_delivered_total",
            "counter",
            "payments delivered",
            get(&stats.delivered),
        ),
        (
            "tidegate_signatures_total",
            "counter",
            "signatures checked",
            get(&stats.signatures),
        ),
        (
            "tidegate_refused_total",
            "counter",
            "requests refused",
            get(&stats.refused),
        ),
        ("tidegate_acks_total", "counter", "acks taken", get(&stats.acks)),
        (
            "tidegate_ledger_reachable",
            "gauge",
            "1 while the ledger that is followed answers; alert on 0",
            u64::from(!stats.ledger_away.load(Ordering::Acquire)),
        ),
        (
            "tidegate_height",
            "gauge",
            "height of the newest final block",
            get(&stats.height),
        ),
        ("tidegate_resident_bytes", "gauge", "resident memory", usage.rss_bytes),
    ];
    let rows = rows
        .into_iter()
        .chain(connections(&source.reactor))
        .chain(forwards(&stats.forwards));
    let rows =
        rows.map(|(name, kind, help, value)| format!("# HELP {name} {help}\n# TYPE {name} {kind}\n{name} {value}\n"));
    rows.chain([stages(stats)]).collect()
}

/// Name, type, meaning and value of one metric.
type MetricRow = (&'static str, &'static str, &'static str, u64);

/// Payments over several hubs.
fn forwards(forwards: &Forwards) -> [MetricRow; 5] {
    let counter = |name, help, value| (name, "counter", help, get(value));
    [
        (
            "tidegate_forwards_waiting",
            "gauge",
            "hash locks that wait for other hubs; alert if it stays",
            get(&forwards.waiting),
        ),
        counter(
            "tidegate_forwards_sent_total",
            "locks signed for next hubs",
            &forwards.sent,
        ),
        counter(
            "tidegate_forwards_met_total",
            "locks that a next hub has shown the preimage of",
            &forwards.met,
        ),
        counter(
            "tidegate_forwards_failed_total",
            "locks that failed on the way",
            &forwards.failed,
        ),
        counter(
            "tidegate_forwards_expired_total",
            "locks that expired on the way",
            &forwards.expired,
        ),
    ]
}

/// Who is connected, and who was not let in.
fn connections(reactor: &tidegate_reactor::Stats) -> [MetricRow; 5] {
    [
        (
            "tidegate_connections",
            "gauge",
            "connections now",
            reactor.connections.get(),
        ),
        (
            "tidegate_connections_half_open",
            "gauge",
            "connections whose peer is not known yet",
            reactor.half_open.get(),
        ),
        (
            "tidegate_connections_refused_total",
            "counter",
            "connections closed as they came, for want of room or descriptors",
            reactor.refused.get(),
        ),
        (
            "tidegate_connections_refused_by_prefix_total",
            "counter",
            "connections closed as they came, since their network has or begins too many",
            reactor.refused_by_prefix.get(),
        ),
        (
            "tidegate_strangers_sent_away_total",
            "counter",
            "strangers asked to come again with a cookie",
            reactor.sent_away.get(),
        ),
    ]
}

/// What each stage takes per batch, and how much waits before it, as summaries.
fn stages(stats: &Stats) -> String {
    const HELP: &str = "# HELP tidegate_stage_us microseconds per batch, by stage\n# TYPE tidegate_stage_us summary\n";
    const DEPTHS: &str =
        "# HELP tidegate_queue_depth what waits when a batch begins\n# TYPE tidegate_queue_depth summary\n";
    let lines = |metric: &str, key: &str, histograms: &[(&str, &Histogrammed)]| -> String {
        let line = |(name, histogram): &(&str, &Histogrammed)| {
            let histogram = histogram.lock();
            let quantile = |q: f64| {
                let value = histogram.value_at_quantile(q);
                format!("{metric}{{{key}=\"{name}\",quantile=\"{q}\"}} {value}\n")
            };
            let count = format!("{metric}_count{{{key}=\"{name}\"}} {}\n", histogram.len());
            [0.5, 0.99, 0.999].map(quantile).concat() + &count
        };
        histograms.iter().map(line).collect()
    };
    let times = [
        ("wait", &stats.wait_us),
        ("gather", &stats.gather_us),
        ("verify", &stats.verify_us),
        ("execute", &stats.execute_us),
        ("answer", &stats.answer_us),
        ("sync", &stats.sync_us),
        ("receipts", &stats.receipts_us),
    ];
    let depths = [
        ("groups", &stats.groups_waiting),
        ("batches", &stats.batches_in_flight),
        ("inputs", &stats.batch_sizes),
    ];
    let (times, depths) = (
        lines("tidegate_stage_us", "stage", &times),
        lines("tidegate_queue_depth", "queue", &depths),
    );
    [HELP, &times, DEPTHS, &depths].concat()
}

/// What the operating system says of this process.
struct Usage {
    cpu_s: f64,
    rss_bytes: u64,
    rss_bytes_max: u64,
}

impl Usage {
    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
        let kib = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok())
                .unwrap_or(0)
                * 1024
        };
        let cpu = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        let nanos = Duration::new(cpu.tv_sec.unsigned_abs(), u32::try_from(cpu.tv_nsec).unwrap_or(0));
        Self {
            cpu_s: nanos.as_secs_f64(),
            rss_bytes: kib("VmRSS:"),
            rss_bytes_max: kib("VmHWM:"),
        }
    }
}
