//! What the hub tells of itself.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use hdrhistogram::Histogram;
use parking_lot::Mutex;
use serde::Serialize;

/// Counters that the pipeline's threads raise and the admin endpoint reads.
#[derive(Debug)]
pub(crate) struct Stats {
    pub(crate) batches: AtomicU64,
    pub(crate) syncs: AtomicU64,
    pub(crate) log_bytes: AtomicU64,
    pub(crate) inputs: AtomicU64,
    pub(crate) delivered: AtomicU64,
    pub(crate) signatures: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) acks: AtomicU64,
    pub(crate) height: AtomicU64,
    /// Payments over several hubs.
    pub(crate) forwards: Forwards,
    pub(crate) ready: AtomicBool,
    /// The ledger that is followed cannot be reached.
    pub(crate) ledger_away: AtomicBool,
    /// It has made no block for so long that payments wait.
    pub(crate) stalled: AtomicBool,
    /// A payee wants to leave by whose acks others owe: the ledger thread is to ask for its duties at once.
    pub(crate) payee_leaves: AtomicBool,
    pub(crate) batch_sizes: Histogrammed,
    pub(crate) sync_us: Histogrammed,
    pub(crate) verify_us: Histogrammed,
    pub(crate) execute_us: Histogrammed,
    /// From the arrival of a batch's oldest work until it is gathered.
    pub(crate) wait_us: Histogrammed,
    pub(crate) gather_us: Histogrammed,
    pub(crate) answer_us: Histogrammed,
    pub(crate) receipts_us: Histogrammed,
    /// Of the reactor's groups, when a batch begins.
    pub(crate) groups_waiting: Histogrammed,
    /// Batches that the log has not made durable, when another begins.
    pub(crate) batches_in_flight: Histogrammed,
}

/// What became of hash locks for payees at other hubs. A lock that a restart finds may count twice.
#[derive(Debug, Default)]
pub(crate) struct Forwards {
    /// Now.
    pub(crate) waiting: AtomicU64,
    pub(crate) sent: AtomicU64,
    pub(crate) met: AtomicU64,
    pub(crate) failed: AtomicU64,
    pub(crate) expired: AtomicU64,
}

/// Values that one thread notes, a handful a batch, and another looks at now and then.
pub(crate) type Histogrammed = Mutex<Histogram<u64>>;

fn histogram() -> Histogrammed {
    Mutex::new(Histogram::new(3).expect("three digits are allowed"))
}

impl Default for Stats {
    fn default() -> Self {
        Self {
            batches: AtomicU64::new(0),
            syncs: AtomicU64::new(0),
            log_bytes: AtomicU64::new(0),
            inputs: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
            signatures: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            acks: AtomicU64::new(0),
            height: AtomicU64::new(0),
            forwards: Forwards::default(),
            ready: AtomicBool::new(false),
            ledger_away: AtomicBool::new(false),
            stalled: AtomicBool::new(false),
            payee_leaves: AtomicBool::new(false),
            batch_sizes: histogram(),
            sync_us: histogram(),
            verify_us: histogram(),
            execute_us: histogram(),
            wait_us: histogram(),
            gather_us: histogram(),
            answer_us: histogram(),
            receipts_us: histogram(),
            groups_waiting: histogram(),
            batches_in_flight: histogram(),
        }
    }
}

pub(crate) fn add(counter: &AtomicU64, n: u64) {
    counter.fetch_add(n, Ordering::Relaxed);
}

pub(crate) fn get(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Notes a value; one beyond the histogram's range counts as its highest.
pub(crate) fn note(histogram: &Histogrammed, value: u64) {
    histogram.lock().saturating_record(value);
}

/// What `/status` says (JSON).
#[derive(Clone, Debug, Serialize)]
pub struct Status {
    /// The hub's key, hex.
    pub identity: String,
    /// True once clients are served.
    pub ready: bool,
    /// True while a ledger that is a process of its own answers; always, of an embedded one.
    pub ledger_reachable: bool,
    /// True while payments wait because no block has come for a margin's time.
    pub stalled: bool,
    /// The settlement ledger, hex.
    pub ledger: String,
    /// The verifier's code.
    pub backend: String,
    /// Root of all channels, hex, as of `batch`.
    pub state_root: String,
    /// The newest durable batch.
    pub batch: u64,
    /// Its log record.
    pub lsn: u64,
    /// Height of the newest final block that the hub has taken.
    pub height: u64,
    /// Channels, settled ones included.
    pub channels: u32,
    /// Sum of all balances, locks and credits of the channels that are not settled, in satoshi.
    pub value_held: String,
    /// Sum of their capacities; equal if value is conserved.
    pub value_capacity: String,
    /// CPU seconds of this process.
    pub cpu_s: f64,
    /// The same by what its threads are called, without their numbers.
    pub threads_cpu_s: BTreeMap<String, f64>,
    /// Resident memory now, bytes.
    pub rss_bytes: u64,
    /// The most it has been, bytes.
    pub rss_bytes_max: u64,
    /// Batches since the start.
    pub batches: u64,
    /// Median inputs per batch.
    pub batch_p50: u64,
    /// Log syncs since the start.
    pub syncs: u64,
    /// Bytes appended to the log since the start.
    pub log_bytes: u64,
    /// Inputs executed since the start.
    pub inputs: u64,
    /// Payments delivered since the start.
    pub delivered: u64,
    /// Signatures checked since the start.
    pub signatures: u64,
    /// Requests refused since the start.
    pub refused: u64,
    /// Acks taken since the start.
    pub acks: u64,
    /// Hash locks that wait for other hubs.
    pub forwards_waiting: u64,
    /// Median and 99th percentile of a log write with its sync, µs.
    pub sync_us: [u64; 2],
    /// Median and 99th percentile of a batch's signature checks, µs.
    pub verify_us: [u64; 2],
    /// Median and 99th percentile of a batch's execution, µs.
    pub execute_us: [u64; 2],
    /// Median and 99th percentile of the time from the arrival of a batch's oldest work until it is gathered, µs.
    pub wait_us: [u64; 2],
    /// Median and 99th percentile of gathering a batch, µs.
    pub gather_us: [u64; 2],
    /// Median and 99th percentile of preparing a batch's answers, µs.
    pub answer_us: [u64; 2],
    /// Median and 99th percentile of signing a batch and writing its receipts, µs.
    pub receipts_us: [u64; 2],
    /// Median and 99th percentile of the groups of messages that wait when a batch begins.
    pub groups_waiting: [u64; 2],
    /// Median and 99th percentile of the batches that are not durable when another begins.
    pub batches_in_flight: [u64; 2],
    /// Connections now.
    pub connections: u64,
    /// Links with other hubs.
    pub links: Vec<super::LinkRow>,
}

pub(crate) fn quantiles(histogram: &Histogrammed) -> [u64; 2] {
    let histogram = histogram.lock();
    [histogram.value_at_quantile(0.5), histogram.value_at_quantile(0.99)]
}
