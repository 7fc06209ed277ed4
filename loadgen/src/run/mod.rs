//! `loadgen run`: load on a hub over the real protocol, then the audit, then the result.
//!
//! ```text
//! generator   one thread with the event loop: sends, takes receipts, signs acks          `generator`, `receipts`
//! pacer       wakes it when something is due, at most 5 000 times a second (open loop)   `pace`
//! main        asks the hub for its figures when measuring begins and ends, prints lines  here
//! ```

mod audit;
mod channel;
mod flights;
mod generator;
mod limit;
mod meter;
mod receipts;
mod schedule;
mod usage;

use std::io::IsTerminal as _;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use tidegate_client::HubAddress;
use tidegate_crypto::verify::{Backend, BackendError};
use tidegate_reactor::{Config, Reactor, ReactorError, Sender};
use tidegate_session::{ClientConfig, Limits};
use tidegate_wire::frame::MAX_BODY;

use self::generator::{Event, Generator, Line, Parts};
use self::schedule::Clock;
use crate::cli::Rate;
use crate::environment::Environment;
use crate::keys::{connection_key, noise_key};
use crate::profile::{Profile, SettleWhen};
use crate::result::{AckFigures, GeneratorFigures, HubFigures, Limit, RunResult, SCHEMA};
use crate::status::{self, Status, StatusError};
use crate::workload::{Workload, WorkloadError};

/// What a run is to do.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// The profile that the workload was prepared from.
    pub profile: Profile,
    /// Refuse a workload of another seed.
    pub seed: Option<u64>,
    /// The prepared workload.
    pub workload: PathBuf,
    /// The hub.
    pub hub: HubAddress,
    /// Its admin address, for its own figures.
    pub admin: Option<SocketAddr>,
    /// How fast.
    pub rate: Rate,
    /// Seconds that are measured.
    pub seconds: u32,
    /// Seconds of load before that.
    pub warm_up_seconds: u32,
    /// A channel acks when so many of its leaves wait.
    pub ack_every: u32,
    /// Seconds that answers and the last acks are waited for after the load; what is not answered then is an error.
    pub patience_seconds: u32,
    /// The hub's data directory, to name its filesystem.
    pub data: Option<PathBuf>,
    /// The verifier to measure; the one that the hub was told to use.
    pub backend: Backend,
    /// The command line, for the record.
    pub argv: Vec<String>,
}

/// Why a run did not happen.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The workload cannot be used.
    #[error(transparent)]
    Workload(#[from] WorkloadError),
    /// The hub's name has no address.
    #[error("{host}:{port} has no address: {what}; check the part behind '@'")]
    NoAddress {
        /// The host.
        host: String,
        /// The port.
        port: u16,
        /// What the resolver says.
        what: String,
    },
    /// The event loop failed.
    #[error(transparent)]
    Reactor(#[from] ReactorError),
    /// No load was given: the hub was not reached, or is another.
    #[error("the hub was not reached: {0}")]
    NotBegun(String),
    /// The hub does not tell its figures.
    #[error(transparent)]
    Status(#[from] StatusError),
    /// This processor lacks the verifier that is to be measured.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// The profile asks for something that this generator does not do yet.
    #[error("profile {profile} settles on the payee's ack; prepared workloads settle on `delivered` only")]
    SettleOnAck {
        /// The profile.
        profile: String,
    },
}

/// Receipts that must have been checked in full, if there were as many.
const CHECKED_MIN: u64 = 100_000;
/// Planned payments for each doubling of the sample: with one in `n` channels, about two leaves a payment are left.
const SAMPLE_STEP: u32 = 400_000;
const SAMPLE_MAX: u32 = 8;
/// Later than this at the 99th percentile, latencies tell more of the generator than of the hub.
const LAG_US_MAX: f64 = 5_000.0;
/// Busier than this, the loop is what limits the run.
const BUSY_MAX: f64 = 0.97;

/// Runs the load and judges it.
///
/// # Errors
/// [`RunError`] if it could not begin, or the hub stopped telling its figures.
///
/// # Panics
/// If a thread of the generator panicked.
pub fn run(options: &RunOptions) -> Result<RunResult, RunError> {
    let profile = &options.profile;
    if profile.settlement.on != SettleWhen::Delivered {
        return Err(RunError::SettleOnAck {
            profile: profile.name.clone(),
        });
    }
    let workload = Workload::open(&options.workload)?;
    workload.check_profile(profile, options.seed)?;
    let address = resolve(&options.hub)?;
    if let Some(admin) = options.admin {
        status::fetch(admin)?;
    }
    let (events, heard) = channel();
    let watch = Watch::default();
    let mut generator = Generator::new(Parts {
        profile: profile.clone(),
        sample: (workload.head.payments / SAMPLE_STEP).clamp(1, SAMPLE_MAX),
        workload,
        rate: options.rate,
        warm_up_seconds: options.warm_up_seconds,
        seconds: options.seconds,
        ack_every: options.ack_every,
        patience_seconds: options.patience_seconds,
        clock: watch.clock,
        events,
        answered: Arc::clone(&watch.answered),
        acks: Arc::clone(&watch.acks),
        begin: Arc::clone(&watch.begin),
    });
    let mut reactor = Reactor::new(reactor_config(profile))?;
    let (ledger, seed) = (generator.workload.head.ledger, generator.workload.head.seed);
    generator.connect(&mut reactor, address, |number| ClientConfig {
        ledger,
        noise: noise_key(seed),
        identity: connection_key(seed, number),
        hub_noise: options.hub.noise,
        hub_identity: options.hub.identity,
        limits: Limits::default(),
    })?;
    let sender = reactor.sender();
    let pacer = pace(options.rate, &watch, sender.clone());
    let looping = thread::Builder::new().name("generator".to_owned()).spawn(move || {
        let outcome = reactor.run(&mut generator);
        (generator, outcome)
    });
    let looping = looping.expect("a thread can be started");
    let figures = watch.follow(&heard, options);
    watch.over.store(true, Ordering::Release);
    // It has ended by itself if it cannot be told to.
    let _ = sender.stop(500);
    let (generator, outcome) = looping.join().expect("the generator does not panic");
    if let Some(pacer) = pacer {
        pacer.join().expect("the pacer does not panic");
    }
    outcome?;
    if !generator.has_begun() {
        let what = generator.complaints.first();
        return Err(RunError::NotBegun(
            what.map_or_else(|| "no answer".to_owned(), Clone::clone),
        ));
    }
    judge(&generator, &figures, options)
}

fn resolve(hub: &HubAddress) -> Result<SocketAddr, RunError> {
    let fail = |what: String| RunError::NoAddress {
        host: hub.host.clone(),
        port: hub.port,
        what,
    };
    let host = hub.host.trim_start_matches('[').trim_end_matches(']');
    let mut addresses = (host, hub.port)
        .to_socket_addrs()
        .map_err(|error| fail(error.to_string()))?;
    addresses.next().ok_or_else(|| fail("none was found".to_owned()))
}

fn reactor_config(profile: &Profile) -> Config {
    Config {
        connections_max: profile.population.connections as usize,
        body_bytes_max: MAX_BODY,
        idle_millis: None,
        tick_millis: Some(1),
        ..Config::default()
    }
}

/// What the main thread shares with the others.
struct Watch {
    clock: Clock,
    answered: Arc<AtomicU64>,
    acks: Arc<AtomicU64>,
    begin: Arc<AtomicU64>,
    over: Arc<AtomicBool>,
}

impl Default for Watch {
    fn default() -> Self {
        Self {
            clock: Clock::start(),
            answered: Arc::default(),
            acks: Arc::default(),
            begin: Arc::default(),
            over: Arc::default(),
        }
    }
}

/// The hub's figures at one moment, and what the generator had counted then.
#[derive(Debug)]
struct Reading {
    status: Status,
    answered: u64,
}

/// The readings of a run.
#[derive(Debug, Default)]
struct Figures {
    begun: Option<Reading>,
    ended: Option<Reading>,
    after: Option<Status>,
}

impl Watch {
    /// Follows a run to its end.
    fn follow(&self, heard: &Receiver<Event>, options: &RunOptions) -> Figures {
        let mut figures = Figures::default();
        let mut seconds = 0;
        loop {
            match heard.recv_timeout(Duration::from_secs(120)) {
                Ok(Event::Line(line)) => {
                    seconds += 1;
                    print_line(seconds, &line);
                }
                Ok(Event::Begun) => figures.begun = self.read(options),
                Ok(Event::Ended) => figures.ended = self.read(options),
                Ok(Event::Done) | Err(RecvTimeoutError::Disconnected | RecvTimeoutError::Timeout) => break,
            }
        }
        if std::io::stderr().is_terminal() && seconds > 0 {
            eprintln!();
        }
        figures.after = options.admin.and_then(|admin| status::fetch(admin).ok());
        figures
    }

    /// A hub that does not answer any more has more to complain of than its status.
    fn read(&self, options: &RunOptions) -> Option<Reading> {
        let status = status::fetch(options.admin?).ok()?;
        let answered = self.answered.load(Ordering::Relaxed);
        Some(Reading { status, answered })
    }
}

fn print_line(seconds: u32, line: &Line) {
    let Line {
        answered,
        p50_us,
        p99_us,
        in_flight,
        warming_up,
    } = line;
    let note = if *warming_up { "  (warm-up)" } else { "" };
    let (p50, p99) = (p50_us / 1e3, p99_us / 1e3);
    let text = format!(
        "{seconds:>4} s  {answered:>8} payments/s  p50 {p50:>8.2} ms  p99 {p99:>8.2} ms  {in_flight:>6} in flight{note}"
    );
    if std::io::stderr().is_terminal() {
        eprint!("\r{text:<100}");
    } else {
        eprintln!("{text}");
    }
}

/// The shortest time between two wakes: payments due within it go out together.
const PACE: Duration = Duration::from_micros(200);

/// Wakes the generator whenever a payment is due; in a closed loop answers do.
fn pace(rate: Rate, watch: &Watch, sender: Sender) -> Option<thread::JoinHandle<()>> {
    let Rate::PerSecond(rate) = rate else { return None };
    let period = Duration::from_secs_f64(1.0 / rate).max(PACE);
    let (clock, begin, over) = (watch.clock, Arc::clone(&watch.begin), Arc::clone(&watch.over));
    let pacer = thread::Builder::new().name("pacer".to_owned()).spawn(move || {
        let mut wake = None;
        while !over.load(Ordering::Acquire) {
            let start = begin.load(Ordering::Acquire);
            if start == 0 {
                thread::sleep(Duration::from_millis(1));
                continue;
            }
            let now = Duration::from_nanos(clock.now());
            let mut next = wake.unwrap_or(Duration::from_nanos(start));
            if next > now {
                // Not longer, so that the end of a slow run is noticed.
                thread::sleep((next - now).min(Duration::from_millis(100)));
                wake = Some(next);
                continue;
            }
            if sender.wake().is_err() {
                return;
            }
            while next <= now {
                next += period;
            }
            wake = Some(next);
        }
    });
    Some(pacer.expect("a thread can be started"))
}

fn judge(generator: &Generator, figures: &Figures, options: &RunOptions) -> Result<RunResult, RunError> {
    let profile = &options.profile;
    let (verify_us, own_backend) = limit::verify_us(profile, &generator.workload, options.backend)?;
    let audit = generator.audit(figures.after.as_ref());
    let (hub, limit, acks, signatures) = hub_figures(generator, figures, verify_us);
    let meter = &generator.meter;
    let seconds = generator.schedule.seconds();
    let busy = generator.cpu.thread_s / generator.cpu.wall_s.max(1e-9);
    let open = generator.schedule.is_open();
    let generator_figures = GeneratorFigures {
        lag_us_p99: meter.lag_us_p99(),
        cpu_s: generator.cpu.process_s,
        busy,
        saturated: busy > BUSY_MAX || (open && meter.lag_us_p99() > LAG_US_MAX),
    };
    let backend = figures.after.as_ref().map_or(own_backend, |status| &status.backend);
    let named = |counts: &std::collections::BTreeMap<&'static str, u64>| {
        counts
            .iter()
            .map(|(reason, count)| ((*reason).to_owned(), *count))
            .collect()
    };
    let per_second = |count: f64| {
        if seconds > 0.0 {
            (count / seconds * 10.0).round() / 10.0
        } else {
            0.0
        }
    };
    let mut result = RunResult {
        schema: SCHEMA.to_owned(),
        profile: profile.name.clone(),
        seed: generator.workload.head.seed,
        mode: if open { "open" } else { "closed" }.to_owned(),
        rate: match options.rate {
            Rate::PerSecond(rate) => Some(rate),
            Rate::Max => None,
        },
        seconds,
        channels: profile.population.channels,
        connections: profile.population.connections,
        sent: meter.sent,
        delivered: meter.delivered,
        failed: named(&meter.failed),
        refused: named(&meter.refused),
        errors: generator.errors,
        payments_per_s: per_second(meter.answered_in_span as f64),
        signatures_per_s: per_second(signatures),
        latency_us: meter.latency(),
        service_us: meter.service(),
        generator: generator_figures,
        hub,
        limit,
        settle: "delivered".to_owned(),
        acks,
        audit,
        environment: Environment::capture(options.data.as_deref(), backend, options.argv.clone()),
        valid: false,
        notes: Vec::new(),
    };
    result.notes = breaches(&result, figures);
    result.valid = result.notes.is_empty();
    result.notes.extend(remarks(generator, options));
    Ok(result)
}

fn hub_figures(generator: &Generator, figures: &Figures, verify_us: f64) -> (HubFigures, Limit, AckFigures, f64) {
    let mut limit = Limit {
        verify_us_per_signature: verify_us,
        verify_share_of_hub_cpu: 0.0,
    };
    let (Some(begun), Some(ended)) = (&figures.begun, &figures.ended) else {
        return (
            HubFigures::default(),
            limit,
            AckFigures::default(),
            generator.meter.answered_in_span as f64,
        );
    };
    let (from, to) = (&begun.status, &ended.status);
    let payments = (ended.answered - begun.answered).max(1) as f64;
    let cpu_s = to.cpu_s - from.cpu_s;
    let signatures = to.signatures.saturating_sub(from.signatures);
    // The hub is asked a little after the span ended, so its count is scaled to the span's payments.
    let in_span = signatures as f64 / payments * generator.meter.answered_in_span as f64;
    let taken = to.acks.saturating_sub(from.acks);
    if cpu_s > 0.0 {
        limit.verify_share_of_hub_cpu = verify_us * signatures as f64 / 1e6 / cpu_s;
    }
    let hub = HubFigures {
        cpu_s,
        cpu_us_per_payment: cpu_s * 1e6 / payments,
        rss_bytes_max: to.rss_bytes_max,
        log_bytes_per_payment: to.log_bytes.saturating_sub(from.log_bytes) as f64 / payments,
        batches: to.batches.saturating_sub(from.batches),
        batch_p50: to.batch_p50,
        syncs: to.syncs.saturating_sub(from.syncs),
    };
    let acks = AckFigures {
        taken,
        hub_cpu_us_per_payment: taken as f64 * verify_us / payments,
    };
    (hub, limit, acks, in_span)
}

/// Why a result may not be believed; nothing for a valid one.
fn breaches(result: &RunResult, figures: &Figures) -> Vec<String> {
    let audit = &result.audit;
    let needed = CHECKED_MIN.min(audit.receipts).max(audit.receipts / 16);
    let rules = [
        (
            figures.begun.is_some() && figures.ended.is_some() && figures.after.is_some(),
            "the hub's own figures are missing: give --admin, and measure for longer",
        ),
        (result.delivered > 0, "nothing was delivered"),
        (result.errors == 0, "there were errors"),
        (audit.value_conserved, "value is not conserved"),
        (audit.receipts_bad == 0, "receipts did not hold"),
        (audit.acked_missing == 0, "payments were answered and not credited"),
        (
            audit.states_differ == 0,
            "leaves acknowledge other states than were sent",
        ),
        (audit.receipts_checked >= needed, "too few receipts were checked"),
        (
            !result.generator.saturated || result.mode != "open",
            "the generator limited the run",
        ),
    ];
    rules
        .into_iter()
        .filter(|(holds, _)| !holds)
        .map(|(_, what)| what.to_owned())
        .collect()
}

fn remarks(generator: &Generator, options: &RunOptions) -> Vec<String> {
    let mut remarks = generator.complaints.clone();
    if generator.ended_early {
        remarks.push(format!(
            "the workload ended after {:.1} of {} measured seconds: prepare more payments",
            generator.schedule.seconds(),
            options.seconds
        ));
    }
    if generator.unsent > 0 {
        remarks.push(format!(
            "{} payments behind a refused or failed one were not sent",
            generator.unsent
        ));
    }
    remarks
}
