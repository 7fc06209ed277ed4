//! `loadgen run`: load on a hub over the real protocol, then the audit, then the result.
//!
//! ```text
//! generator   one thread with the event loop: sends, takes receipts, signs acks          `generator`, `receipts`
//! pacer       wakes it when something is due, at most 5 000 times a second (open loop)   `pace`
//! main        asks the hub for its figures when measuring begins and ends, prints lines  here
//! ```

mod acks;
mod audit;
mod channel;
mod flights;
mod generator;
mod limit;
mod meter;
mod phases;
mod receipts;
mod schedule;
mod send;
mod usage;
mod verdict;

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
use self::schedule::{Clock, Plan};
use crate::cli::{Arrivals, Rate};
use crate::keys::{connection_key, noise_key};
use crate::profile::{Profile, SettleWhen};
use crate::result::{RunResult, SecondFigures};
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
    /// How an open loop spaces its payments.
    pub arrivals: Arrivals,
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

/// Files and sockets that are not connections to the hub.
const DESCRIPTORS_BESIDE: u64 = 64;
/// Thousands of handshakes begin at once, and the hub takes them one after the other.
const HANDSHAKE_MILLIS: u64 = 60_000;

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
        plan: Plan::new(
            options.rate,
            options.arrivals,
            phases::payments(&workload.head),
            workload.head.seed,
        ),
        workload,
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
    usage::allow_descriptors(u64::from(profile.population.connections) + DESCRIPTORS_BESIDE);
    let mut reactor = Reactor::new(reactor_config(profile))?;
    let (ledger, seed) = (generator.workload.head.ledger, generator.workload.head.seed);
    generator.connect(&mut reactor, address, |number| ClientConfig {
        ledger,
        noise: noise_key(seed),
        identity: connection_key(seed, number),
        hub_noise: options.hub.noise,
        hub_identity: options.hub.identity,
        limits: Limits {
            handshake_millis: HANDSHAKE_MILLIS,
            ..Limits::default()
        },
    })?;
    let sender = reactor.sender();
    let pacer = pace(options, &watch, sender.clone());
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
    verdict::judge(&generator, &figures, options)
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
    series: Vec<SecondFigures>,
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
                    figures.series.push(SecondFigures {
                        second: seconds,
                        warm_up: line.warming_up,
                        delivered: line.answered,
                        p50_us: line.p50_us,
                        p99_us: line.p99_us,
                        in_flight: line.in_flight as u64,
                    });
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
fn pace(options: &RunOptions, watch: &Watch, sender: Sender) -> Option<thread::JoinHandle<()>> {
    let Rate::PerSecond(rate) = options.rate else {
        return None;
    };
    let period = match options.arrivals {
        Arrivals::Even => Duration::from_secs_f64(1.0 / rate).max(PACE),
        Arrivals::Poisson => PACE,
    };
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
