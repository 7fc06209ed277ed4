//! `tidegate start`: the hub itself, until it is told to end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use serde_json::json;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tidegate_disk::RealDisk;
use tidegate_ledger::GenesisHead;

use super::Outcome;
use super::config::ConfigFlags;
use super::data::{load_keys, read_genesis_front, wrap_genesis};
use super::ending::{end_on_signal, end_with_stdin, say};
use super::output::{JsonFlag, Progress};
use crate::config::Config;
use crate::error::Error;
use crate::pipeline::{Opening, ServeOptions, Serving, serve};
use crate::state;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate format --data hub\n  tidegate start --data hub --dev\n  tidegate start --data \
                        hub --ledger tg1…@127.0.0.1:7413\n\nEnds on SIGTERM or Ctrl-C: \
                        what was taken is finished, a checkpoint is written. TIDEGATE_LOG=debug says more."
)]
pub(super) struct StartArgs {
    /// The data directory, made by `tidegate format`
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Follow this settlement ledger, a process of its own: the address that `tidegate ledger` prints
    #[arg(
        long,
        value_name = "tg1…@HOST:PORT",
        required_unless_present = "dev",
        conflicts_with = "dev"
    )]
    ledger: Option<String>,
    /// Make the settlement ledger's blocks in this process: its operator is trusted with the ledger
    #[arg(long)]
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
    let mut config = args.config.load(Some(&args.data), &flags)?;
    check_genesis(&args.data, &config)?;
    config.limits.connections = allow_descriptors(config.limits.connections);
    let options = ServeOptions {
        data: args.data.clone(),
        listen: config.listen.clients,
        admin: config.listen.admin,
        ledger: args.ledger.as_deref().map(parse_address).transpose()?,
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
        Opening::Touched { bytes } => progress.at(bytes, "bytes of memory for tables that grow"),
        Opening::Hashed { done, of } => progress.at(done.into(), &format!("of {of} channels hashed")),
    })?;
    drop(progress);
    let address = tidegate_client::HubAddress {
        host: host(serving.listen),
        port: serving.listen.port(),
        ..named
    };
    announce(args, &serving, &address.to_string())?;
    let says = "stopping: finishing what was taken, then a checkpoint";
    let stop = serving.stop_handle();
    end_on_signal(signals, move || stop.stop(), (!args.until_stdin_closes).then_some(says))?;
    if args.until_stdin_closes {
        let stop = serving.stop_handle();
        end_with_stdin(move || stop.stop())?;
    }
    serving.wait()?;
    if !args.until_stdin_closes {
        say("stopped; a checkpoint was written");
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
    let trust = match &args.ledger {
        Some(_) => "The hub follows a solo ledger: whoever runs that is trusted with it.",
        None => "The ledger is solo: whoever runs this hub is trusted with it.",
    };
    args.json.emit(&value, || {
        format!(
            "the hub is ready\n  address  {address}\n  ledger   {}\n  admin    http://{}/status\n  replayed {} \
             batches\n{trust} End with Ctrl-C.\n",
            serving.ledger, serving.admin, serving.replayed,
        )
    })
}

/// What the genesis fixed cannot be configured otherwise.
fn check_genesis(dir: &Path, config: &Config) -> Result<(), Error> {
    let bytes = read_genesis_front(dir)?;
    let (header, _) = GenesisHead::read_front(&bytes).map_err(wrap_genesis(dir))?;
    let (fixed, configured) = (header.params, config.ledger_params());
    let network = header.network.to_string();
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

/// An address of a hub, ledger or tower.
pub(super) fn parse_address(text: &str) -> Result<tidegate_client::HubAddress, Error> {
    text.parse().map_err(|source| Error::Address {
        text: text.to_owned(),
        source,
    })
}

/// Descriptors beside those of connections: files, the admin endpoint, what the standard library holds.
const OTHER_DESCRIPTORS: u64 = 256;

/// Raises the limit of open files as far as the system lets it, and returns how many connections there may be at most. With
/// too few descriptors a hub takes fewer connections: those of its files stay its own, or strangers could end its log.
fn allow_descriptors(connections: u32) -> u32 {
    let wanted = u64::from(connections) + OTHER_DESCRIPTORS;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return connections;
    }
    let most = limit.maximum.map_or(wanted, |most| most.min(wanted));
    let current = Some(most);
    let raised = setrlimit(Resource::Nofile, Rlimit { current, ..limit });
    if raised.is_ok() && most >= wanted {
        return connections;
    }
    let most = getrlimit(Resource::Nofile).current.unwrap_or(wanted);
    let fewer = connections_within(most);
    tracing::warn!(
        limit = most,
        wanted,
        connections = fewer,
        "fewer open files are allowed than `limits.connections` needs; raise the hard limit (ulimit -Hn)"
    );
    fewer.min(connections)
}

/// How many connections fit into so many descriptors: half of them at least, though the rest be scarce.
fn connections_within(descriptors: u64) -> u32 {
    let others = OTHER_DESCRIPTORS.min(descriptors / 2);
    u32::try_from(descriptors - others).unwrap_or(u32::MAX)
}

/// The host of a place, as addresses spell it.
pub(super) fn host(place: SocketAddr) -> String {
    match place {
        SocketAddr::V4(place) => place.ip().to_string(),
        SocketAddr::V6(place) => format!("[{}]", place.ip()),
    }
}

/// Events of the hub as lines on standard error: warnings, unless `TIDEGATE_LOG` says otherwise.
pub(super) fn log_to_stderr() {
    let filter = tracing_subscriber::EnvFilter::try_from_env("TIDEGATE_LOG");
    let filter = filter.unwrap_or_else(|_| tracing_subscriber::EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        // Else an event that cannot be written would panic the thread that it happened in.
        .log_internal_errors(false)
        .with_writer(std::io::stderr);
    // A second start in one process keeps the first one's subscriber.
    let _ = subscriber.try_init();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hubs_files_keep_their_descriptors() {
        assert_eq!(connections_within(12_256), 12_000);
        assert_eq!(connections_within(1024), 768);
        assert_eq!(connections_within(96), 48);
    }
}
