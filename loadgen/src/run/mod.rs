//! `loadgen run`, `search`, `curve`: load on a hub over the real protocol, then the audit, then the result.
//!
//! ```text
//! generator   one thread with the event loop: sends, takes receipts, signs acks          `generator`, `receipts`
//! pacer       wakes it when something is due, at most 5 000 times a second (open loop)   `pace`
//! main        asks the hub for its figures when measuring begins and ends, shows how it goes   `watch`
//! ```

mod acks;
mod audit;
mod channel;
mod flights;
mod generator;
mod hash_locks;
mod limit;
mod meter;
mod pace;
mod phases;
mod receipts;
mod schedule;
mod search;
mod send;
mod steps;
mod usage;
mod verdict;
mod watch;

use std::fs::File;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::channel;
use std::thread;

use tidegate_client::HubAddress;
use tidegate_crypto::verify::{Backend, BackendError};
use tidegate_reactor::{Config, Reactor, ReactorError};
use tidegate_session::{ClientConfig, Limits};
use tidegate_wire::frame::MAX_BODY;

use self::generator::{Generator, Parts};
use self::search::Search;
use self::steps::{Director, Listed};
use self::watch::{Figures, Watch};
use crate::cli::Arrivals;
use crate::keys::{connection_key, noise_key};
use crate::profile::Profile;
use crate::result::{RunResult, SweepResult};
use crate::slo::Slo;
use crate::status::{self, StatusError};
use crate::workload::{Workload, WorkloadError};

pub use search::SearchPlan;
pub use steps::Step;

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
    /// How an open loop spaces its payments.
    pub arrivals: Arrivals,
    /// A channel acks when so many of its leaves wait.
    pub ack_every: u32,
    /// Seconds that answers and the last acks are waited for after the load; what is not answered then is an error.
    pub patience_seconds: u32,
    /// The hub's data directory, to name its filesystem.
    pub data: Option<PathBuf>,
    /// The verifier to measure; the one that the hub was told to use.
    pub backend: Backend,
    /// Where the latencies of each second go, for the plotters of HdrHistogram.
    pub hlog: Option<PathBuf>,
    /// Where their distribution goes.
    pub hgrm: Option<PathBuf>,
    /// Show a live view, if somebody looks.
    pub tui: bool,
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
    /// A file of latencies cannot be written.
    #[error("cannot write {}: {source}", path.display())]
    Latencies {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
}

/// Files and sockets that are not connections to the hub.
const DESCRIPTORS_BESIDE: u64 = 64;
/// Thousands of handshakes begin at once, and the hub takes them one after the other.
const HANDSHAKE_MILLIS: u64 = 60_000;

/// Runs one step and judges it.
///
/// # Errors
/// [`RunError`] if it could not begin, or the hub stopped telling its figures.
///
/// # Panics
/// If a thread of the generator panicked.
pub fn run(options: &RunOptions, step: Step, slo: &[Slo]) -> Result<RunResult, RunError> {
    let (generator, figures) = drive(options, Box::new(Listed::new([step])))?;
    if let Some(path) = &options.hgrm {
        write_distribution(path, &generator)?;
    }
    verdict::judge(&generator, &figures, options, slo)
}

/// Finds the highest rate that holds.
///
/// # Errors
/// As [`run`].
///
/// # Panics
/// As [`run`].
pub fn search(options: &RunOptions, plan: &SearchPlan) -> Result<SweepResult, RunError> {
    let (generator, figures) = drive(options, Box::new(Search(*plan)))?;
    verdict::judge_search(&generator, &figures, options, plan)
}

/// Measures each of `steps`, and tells latency against load.
///
/// # Errors
/// As [`run`].
///
/// # Panics
/// As [`run`].
pub fn curve(options: &RunOptions, steps: Vec<Step>) -> Result<SweepResult, RunError> {
    let (generator, figures) = drive(options, Box::new(Listed::new(steps)))?;
    verdict::judge_curve(&generator, &figures, options)
}

fn write_distribution(path: &Path, generator: &Generator) -> Result<(), RunError> {
    let failed = |source| RunError::Latencies {
        path: path.to_owned(),
        source,
    };
    let done = generator.done.first().expect("a run that has begun has a step");
    let mut file = io::BufWriter::new(File::create(path).map_err(failed)?);
    crate::hdr::write_distribution(&mut file, done.meter.latencies()).map_err(failed)
}

/// Gives the load, step by step, and returns all that was counted.
fn drive(options: &RunOptions, director: Box<dyn Director>) -> Result<(Generator, Figures), RunError> {
    let profile = &options.profile;
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
        workload,
        director,
        arrivals: options.arrivals,
        ack_every: options.ack_every,
        patience_seconds: options.patience_seconds,
        clock: watch.clock,
        events,
        answered: Arc::clone(&watch.answered),
        acks: Arc::clone(&watch.acks),
        pace: Arc::clone(&watch.pace),
    });
    usage::allow_descriptors(u64::from(profile.population.connections) + DESCRIPTORS_BESIDE);
    let mut reactor = Reactor::new(reactor_config(profile))?;
    let (ledger, seed) = (generator.workload.head.ledger, generator.workload.head.seed);
    let (hub_noise, hub_identity) = (options.hub.noise, options.hub.identity);
    generator.connect(&mut reactor, address, move |number| ClientConfig {
        ledger,
        noise: noise_key(seed),
        identity: connection_key(seed, number),
        hub_noise,
        hub_identity,
        limits: Limits {
            handshake_millis: HANDSHAKE_MILLIS,
            ..Limits::default()
        },
    })?;
    let sender = reactor.sender();
    let pacer = pace::start(
        Arc::clone(&watch.pace),
        watch.clock,
        Arc::clone(&watch.over),
        sender.clone(),
    );
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
    pacer.join().expect("the pacer does not panic");
    outcome?;
    let figures = figures?;
    if !generator.has_begun() {
        let what = generator.complaints.first();
        return Err(RunError::NotBegun(
            what.map_or_else(|| "no answer".to_owned(), Clone::clone),
        ));
    }
    Ok((generator, figures))
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
