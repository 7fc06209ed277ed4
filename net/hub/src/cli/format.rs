//! `tidegate format`: a new data directory.
//!
//! ```text
//! DIR/LOCK          one process at a time
//! DIR/genesis       the settlement ledger's first state, which names it
//! DIR/config.toml   the configuration in force, with every value
//! DIR/ledger/       the embedded ledger
//! DIR/state/, wal/  the hub's channels and its log
//! DIR/hub.key       the hub's secrets; written last: with it the directory is whole
//! ```

mod genesis;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Args;
use serde_json::{Value, json};
use tidegate_client::channels_file::{ChannelsReader, PlannedTerms};
use tidegate_disk::{Disk, OpenMode, RealDisk};
use tidegate_ledger::{Condition, Genesis};
use tidegate_settle::NewNode;
use tidegate_types::{Amount, KeyBytes, UnixMillis};

use super::Outcome;
use super::amounts::parse_key;
use super::attempt::Attempt;
use super::config::ConfigFlags;
use super::output::{JsonFlag, Ticker, grouped, read_file};
use super::password::PasswordFlag;
use crate::config::{Config, Sources};
use crate::error::Error;
use crate::files::{CONFIG_FILE, GENESIS_FILE, ledger_dir};
use crate::keys::HubKeys;
use crate::state;
use genesis::Fund;

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate key new --out alice.key --plain\n  tidegate format --data hub --fund \
                        alice.key=1000000 --fund hub=5000000\n  tidegate format --data hub --channels plan.channels\n\n\
                        The directory must be new or empty. After a failure nothing is left behind."
)]
pub(super) struct FormatArgs {
    /// The new data directory
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    config: ConfigFlags,
    /// Join the ledger of this genesis instead of making one
    #[arg(long, value_name = "FILE", conflicts_with_all = ["fund", "channels"])]
    genesis: Option<PathBuf>,
    /// Give satoshi to a key: 64 hex digits, a key file, or `hub` (which gets 10000000000 unless said); may be repeated
    #[arg(long, value_name = "KEY=AMOUNT")]
    fund: Vec<String>,
    /// Whose key makes the blocks: 64 hex digits or a key file; the hub's own unless said (for `start --dev`)
    #[arg(long, value_name = "KEY", conflicts_with = "genesis")]
    validator: Option<String>,
    /// Take the hub's key from this key file, so that a genesis made before can have funded it; a new one unless said
    #[arg(long, value_name = "FILE")]
    identity: Option<PathBuf>,
    /// Open the channels of this file, from `tidegate loadgen prepare channels`
    #[arg(long, value_name = "FILE")]
    channels: Option<PathBuf>,
    /// Where clients will reach the hub
    #[arg(long, value_name = "IP:PORT")]
    listen: Option<SocketAddr>,
    #[command(flatten)]
    password: PasswordFlag,
    #[command(flatten)]
    json: JsonFlag,
}

/// What was made.
struct Made {
    address: String,
    report: Value,
    next: String,
}

pub(super) fn run(args: &FormatArgs) -> Outcome {
    // All that can be wrong with the arguments is found before the directory is touched.
    let channels = args.channels.as_deref().map(ChannelsReader::open).transpose()?;
    let config = load_config(args, channels.as_ref().map(ChannelsReader::terms))?;
    let funds = args
        .fund
        .iter()
        .map(|text| Fund::parse(text))
        .collect::<Result<Vec<_>, _>>()?;
    let validator = args.validator.as_deref().map(parse_key).transpose()?;
    let given = args.genesis.as_deref().map(read_file).transpose()?;

    let keys = match &args.identity {
        Some(path) => HubKeys::of_identity(args.password.seed(path)?)?,
        None => HubKeys::generate()?,
    };
    let time = now();
    let ticker = Ticker::new("formatting");
    let bytes = match given {
        Some(bytes) => bytes,
        None => {
            let validator = validator.unwrap_or(keys.public());
            genesis::build(&config, keys.public(), validator, time, channels, &funds)?
        }
    };
    let origin = args
        .genesis
        .as_ref()
        .or(args.channels.as_ref())
        .map_or("--fund".into(), |p| p.display().to_string());
    let wrap = |source| Error::Genesis {
        origin: origin.clone(),
        source,
    };
    let parsed = Genesis::parse(&bytes).map_err(wrap)?;
    parsed.check().map_err(wrap)?;

    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let mut attempt = Attempt::begin(&disk, &args.data)?;
    let made = write(&disk, &args.data, &config, &keys, &parsed, &bytes)?;
    attempt.keep();
    drop(ticker);
    args.json.emit(&made.report, || lines(&args.data, &made, &parsed))?;
    Ok(0)
}

/// Channels of a file bring the terms under which they were planned; file, environment and flags may overrule them.
fn load_config(args: &FormatArgs, planned: Option<&PlannedTerms>) -> Result<Config, Error> {
    let listen = args.listen.map(|address| format!("listen.clients={address}"));
    let flags = args.config.set.iter().cloned().chain(listen).collect();
    let mut sources = Sources::of_process(args.config.config.clone(), flags);
    if let Some(terms) = planned {
        genesis::plan(&mut sources.base, terms);
    }
    Ok(sources.load()?)
}

fn write(
    disk: &Arc<dyn Disk>,
    dir: &Path,
    config: &Config,
    keys: &HubKeys,
    parsed: &Genesis<'_>,
    bytes: &[u8],
) -> Result<Made, Error> {
    write_new(&**disk, &dir.join(GENESIS_FILE), bytes)?;
    write_new(&**disk, &dir.join(CONFIG_FILE), config.to_toml().as_bytes())?;
    let ledger = ledger_dir(dir);
    let wrap = |source| Error::LedgerCreate {
        dir: dir.to_owned(),
        source: Box::new(source),
    };
    let node = NewNode::begin_checked(disk, &ledger, bytes, parsed, random_number()?);
    node.and_then(NewNode::finish).map_err(wrap)?;
    let (tip, supply) = genesis::outcome(parsed).expect("it was checked before");
    let hub = keys.public();
    let params = state::Params {
        hub,
        ledger: parsed.ledger(),
        policy: config.policy(),
        salt_secret: keys.salt_secret(),
        log_identity: random_number()?,
        segment_bytes: config.storage.segment_bytes,
    };
    let channels = own_channels(parsed, hub);
    state::create(disk, dir, &params, tip.hash, tip.time, channels).map_err(|source| Error::StateCreate {
        dir: dir.to_owned(),
        source: Box::new(source),
    })?;
    keys.save(&**disk, dir)?;
    Ok(made(dir, config, keys, parsed, supply.genesis))
}

fn own_channels<'a>(
    genesis: &Genesis<'a>,
    hub: KeyBytes,
) -> impl Iterator<Item = (tidegate_channel::ChannelTerms, tidegate_types::OutPoint)> + use<'a> {
    let outputs = genesis
        .outputs()
        .map(|item| item.expect("every output was checked before"));
    outputs.filter_map(move |(outpoint, output)| match output.condition {
        Condition::Channel(terms) if terms.hub == hub => Some((terms, outpoint)),
        _ => None,
    })
}

fn made(dir: &Path, config: &Config, keys: &HubKeys, genesis: &Genesis<'_>, supply: u128) -> Made {
    let hub = keys.public();
    let place = config.listen.clients;
    let address = keys.address(&place.ip().to_string(), place.port()).to_string();
    let channels = own_channels(genesis, hub).count();
    let outputs = genesis.outputs().filter_map(Result::ok);
    let own = outputs.filter(|(_, output)| output.condition == Condition::Key(hub));
    let funds = own.map(|(_, output)| u128::from(output.amount.to_sat())).sum::<u128>();
    let report = json!({
        "data": dir.display().to_string(),
        "address": address,
        "hub": hub.to_string(),
        "ledger": genesis.ledger().to_string(),
        "network": genesis.header().network.to_string(),
        "channels": channels,
        "outputs": genesis.count(),
        "supply_sat": u64::try_from(supply).ok(),
        "hub_funds_sat": u64::try_from(funds).ok(),
    });
    Made {
        address,
        report,
        next: next_step(dir, hub, genesis.header().validator),
    }
}

fn next_step(dir: &Path, hub: KeyBytes, validator: KeyBytes) -> String {
    let dir = dir.display();
    if hub == validator {
        format!("tidegate start --data {dir} --dev")
    } else {
        format!(
            "tidegate ledger --data ledger --genesis {dir}/{GENESIS_FILE} --key FILE, then tidegate start --data {dir} --ledger ADDRESS"
        )
    }
}

fn lines(dir: &Path, made: &Made, genesis: &Genesis<'_>) -> String {
    let number = |key: &str| grouped(made.report[key].as_u64().unwrap_or_default().into());
    let Made { address, next, .. } = made;
    format!(
        "formatted {}\n  address    {address}\n  ledger     {} ({})\n  supply     {} sat in {} outputs\n  hub holds  {} \
         sat to fund its side of channels\n  channels   {}\nThe ledger is solo: whoever runs it is trusted with \
         it.\nNext: {next}\n",
        dir.display(),
        genesis.ledger(),
        genesis.header().network,
        number("supply_sat"),
        number("outputs"),
        number("hub_funds_sat"),
        number("channels"),
    )
}

pub(super) fn write_new(disk: &dyn Disk, path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let file = disk.open(path, OpenMode::CreateNew)?;
    file.write_at(0, bytes)?;
    Ok(file.sync_data()?)
}

pub(super) fn random_number() -> Result<u64, Error> {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).map_err(crate::keys::HubKeysError::Random)?;
    Ok(u64::from_le_bytes(bytes))
}

fn now() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis::new(u64::try_from(since.as_millis()).unwrap_or(u64::MAX))
}

/// What the hub's key gets if no `--fund hub=` says otherwise: 100 bitcoin of a ledger that is the operator's own.
const HUB_FUNDS: Amount = match Amount::from_sat(10_000_000_000) {
    Some(amount) => amount,
    None => Amount::MAX,
};
