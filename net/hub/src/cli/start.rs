//! `tidegate start`: the hub itself, until it is told to end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::thread;

use clap::Args;
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tidegate_disk::RealDisk;
use tidegate_ledger::Genesis;

use super::Outcome;
use super::config::ConfigFlags;
use super::data::{load_keys, read_genesis, wrap_genesis};
use super::output::{JsonFlag, Progress};
use crate::config::Config;
use crate::error::Error;
use crate::pipeline::{Opening, ServeOptions, Serving, serve};
use crate::state;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate format --data hub\n  tidegate start --data hub --dev\n\nEnds on SIGTERM or Ctrl-C: \
                        what was taken is finished, a checkpoint is written. TIDEGATE_LOG=debug says more."
)]
pub(super) struct StartArgs {
    /// The data directory, made by `tidegate format`
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Make the settlement ledger's blocks in this process: its operator is trusted with the ledger
    #[arg(long, required = true)]
    dev: bool,
    /// Where clients connect; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    /// Where the operator's endpoint is, on loopback; port 0 takes any free one
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    /// End also when standard input ends: with the program that started this one
    #[arg(long, hide = true)]
    until_stdin_closes: bool,
    #[command(flatten)]
    config: ConfigFlags,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &StartArgs) -> Outcome {
    log_to_stderr();
    let listen = args.listen.map(|address| format!("listen.clients={address}"));
    let admin = args.admin.map(|address| format!("listen.admin={address}"));
    let flags: Vec<String> = listen.into_iter().chain(admin).collect();
    // Before a missing key is complained of, which a restored directory has none of.
    if state::is_copy(&RealDisk, &args.data) {
        return Err(Error::Restored(args.data.clone()));
    }
    let keys = load_keys(&RealDisk, &args.data)?;
    let config = args.config.load(Some(&args.data), &flags)?;
    check_genesis(&args.data, &config)?;
    let options = ServeOptions {
        data: args.data.clone(),
        listen: config.listen.clients,
        admin: config.listen.admin,
        keys,
        settings: config.settings()?,
    };
    let address = |place: SocketAddr| options.keys.address(&host(place), place.port());
    // Signals count from before the start: a hub that is told to end while it recovers does so when it can.
    let signals = Signals::new([SIGTERM, SIGINT]).map_err(|source| Error::Io {
        action: "watch",
        path: "signals".into(),
        source,
    })?;
    let named = address(config.listen.clients);
    let mut progress = Progress::new("recovering");
    let serving = serve(options, &mut |opening| match opening {
        Opening::Replayed { batches } => progress.at(batches, "batches"),
        Opening::Hashed { done, of } => progress.at(done.into(), &format!("of {of} channels hashed")),
    })?;
    drop(progress);
    let address = tidegate_client::HubAddress {
        host: host(serving.listen),
        port: serving.listen.port(),
        ..named
    };
    announce(args, &serving, &address.to_string())?;
    end_on_signal(signals, &serving, !args.until_stdin_closes)?;
    if args.until_stdin_closes {
        end_with_stdin(&serving)?;
    }
    serving.wait()?;
    if !args.until_stdin_closes {
        eprintln!("stopped; a checkpoint was written");
    }
    Ok(0)
}

fn announce(args: &StartArgs, serving: &Serving, address: &str) -> Result<(), Error> {
    let value = json!({
        "address": address,
        "listen": serving.listen.to_string(),
        "admin": serving.admin.to_string(),
        "ledger": serving.ledger.to_string(),
        "replayed_batches": serving.replayed,
        "pid": std::process::id(),
    });
    args.json.emit(&value, || {
        format!(
            "the hub is ready\n  address  {address}\n  ledger   {}\n  admin    http://{}/status\n  replayed {} \
             batches\nThe ledger is solo: whoever runs this hub is trusted with it. End with Ctrl-C.\n",
            serving.ledger, serving.admin, serving.replayed,
        )
    })
}

/// The first signal drains; a second does not wait. A hub under another program's care is quiet about it.
fn end_on_signal(mut signals: Signals, serving: &Serving, says_so: bool) -> Result<(), Error> {
    let stop = serving.stop_handle();
    let watch = move || {
        let mut received = signals.forever();
        if received.next().is_some() {
            if says_so {
                eprintln!("stopping: finishing what was taken, then a checkpoint");
            }
            stop.stop();
        }
        if received.next().is_some() {
            eprintln!("stopped at once; the next start replays the log");
            std::process::exit(1);
        }
    };
    spawn("signals", watch)
}

fn end_with_stdin(serving: &Serving) -> Result<(), Error> {
    let stop = serving.stop_handle();
    spawn("stdin", move || {
        // Nothing is ever sent; reading ends when the other side does, in whatever way.
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        stop.stop();
    })
}

fn spawn(name: &'static str, body: impl FnOnce() + Send + 'static) -> Result<(), Error> {
    let started = thread::Builder::new().name(name.into()).spawn(body);
    started.map(drop).map_err(|source| Error::Io {
        action: "start",
        path: format!("the thread that waits for {name}").into(),
        source,
    })
}

/// What the genesis fixed cannot be configured otherwise.
fn check_genesis(dir: &Path, config: &Config) -> Result<(), Error> {
    let bytes = read_genesis(dir)?;
    let genesis = Genesis::parse(&bytes).map_err(wrap_genesis(dir))?;
    let (fixed, configured) = (genesis.header().params, config.ledger_params());
    let network = genesis.header().network.to_string();
    let rows = [
        ("ledger.network", network, config.ledger.network.clone()),
        (
            "ledger.block_interval_ms",
            fixed.block_interval_ms.to_string(),
            configured.block_interval_ms.to_string(),
        ),
        (
            "ledger.dust_sat",
            fixed.dust.to_sat().to_string(),
            configured.dust.to_sat().to_string(),
        ),
        (
            "ledger.fee_per_1000_cost_sat",
            fixed.fee_per_1000_cost.to_sat().to_string(),
            configured.fee_per_1000_cost.to_sat().to_string(),
        ),
        (
            "ledger.finality_depth_blocks",
            fixed.finality_depth.to_string(),
            configured.finality_depth.to_string(),
        ),
    ];
    for (key, fixed, configured) in rows {
        if fixed != configured {
            return Err(Error::GenesisMismatch {
                key,
                configured,
                fixed,
                dir: dir.to_owned(),
            });
        }
    }
    if configured.dispute_window_min < fixed.dispute_window_min {
        return Err(Error::GenesisMismatch {
            key: "channels.dispute_window_blocks",
            configured: configured.dispute_window_min.to_string(),
            fixed: format!("at least {}", fixed.dispute_window_min),
            dir: dir.to_owned(),
        });
    }
    Ok(())
}

/// The host of a place, as addresses spell it.
fn host(place: SocketAddr) -> String {
    match place {
        SocketAddr::V4(place) => place.ip().to_string(),
        SocketAddr::V6(place) => format!("[{}]", place.ip()),
    }
}

/// Events of the hub as lines on standard error: warnings, unless `TIDEGATE_LOG` says otherwise.
fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TIDEGATE_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first one's subscriber.
    let _ = subscriber.try_init();
}
