//! `tidegate inspect …`: one thing of a data directory, or of a running hub.

mod checkpoint;
mod forwards;
mod log;
mod peers;
mod proof;
mod signatures;
mod table;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use clap::{Args, Subcommand};
use serde_json::{Value, json};
use tidegate_disk::{Disk, RealDisk};
use tidegate_types::ChannelId;

use super::Outcome;
use super::amounts::parse_id;
use super::data::{inspect, lock, require_hub};
use super::http;
use super::output::{JsonFlag, Ticker};
use crate::error::Error;
use crate::rows;

#[derive(Debug, Subcommand)]
pub(super) enum InspectVerb {
    /// One value for the whole state: two directories with equal roots hold the same channels
    #[command(
        after_help = "Example:\n  tidegate inspect root --data hub\n  tidegate inspect root --admin 127.0.0.1:7412"
    )]
    Root(RootArgs),
    /// One channel: balances, counters, locks
    #[command(
        after_help = "Example:\n  tidegate inspect channel ID --data hub\n  tidegate inspect channel ID --admin 127.0.0.1:7412\n\n`tidegate export` lists all ids."
    )]
    Channel(ChannelArgs),
    /// That a channel's state is under a state root: makes a proof, or checks one
    #[command(
        after_help = "Example:\n  tidegate inspect proof ID --admin 127.0.0.1:7412 --json proof.json\n  tidegate inspect proof --check proof.json --root HEX\n\nExit code 1 if a proof does not hold."
    )]
    Proof(proof::ProofArgs),
    /// The log: segments, records, and how it ends
    #[command(
        after_help = "Example:\n  tidegate inspect wal --data hub\n  tidegate inspect wal --admin 127.0.0.1:7412\n\nWith --data every record is read; exit code 1 names damage by file, offset and record. A segment is full, active (written \
                            to), or ready for use."
    )]
    Wal(log::WalArgs),
    /// The tables in memory: how full they are, and what has changed since the last checkpoint
    #[command(
        after_help = "Example:\n  tidegate inspect table --admin 127.0.0.1:7412\n  tidegate inspect table --data hub"
    )]
    Table(table::TableArgs),
    /// Both checkpoint images: log record, root, pages, sums
    #[command(
        after_help = "Example:\n  tidegate inspect checkpoint --data hub\n  tidegate inspect checkpoint --admin 127.0.0.1:7412\n\nWith --data every page is read. Exit code 1 if the newest image is not whole."
    )]
    Checkpoint(checkpoint::CheckpointArgs),
    /// Other hubs: links with them, how many are known, who is banned and until when
    #[command(
        after_help = "Example:\n  tidegate inspect peers --admin 127.0.0.1:7412\n  tidegate inspect peers --data hub\n\nWith --data: what is kept, which has no links. There are links if `peers.links` is set."
    )]
    Peers(peers::PeersArgs),
    /// Payments that wait for other hubs
    #[command(
        after_help = "Example:\n  tidegate inspect forwards --admin 127.0.0.1:7412\n  tidegate inspect forwards --data hub\n\nThere are routes if the configuration has [[routes]]."
    )]
    Forwards(forwards::ForwardsArgs),
    /// The verdict of every path of the verifier on each signature of a file
    #[command(
        after_help = "Example:\n  tidegate inspect signatures doubtful.jsonl\n\nExit code 1 if any two paths differ."
    )]
    Signatures(signatures::SignaturesArgs),
}

#[derive(Debug, Args)]
#[group(required = true, multiple = false)]
struct Source {
    /// The data directory, or a copy of one; not that of a running hub
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The operator's endpoint of a running hub
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
}

#[derive(Debug, Args)]
pub(super) struct RootArgs {
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    json: JsonFlag,
}

#[derive(Debug, Args)]
pub(super) struct ChannelArgs {
    /// The channel's id, 64 hex digits
    #[arg(value_name = "ID")]
    id: String,
    #[command(flatten)]
    source: Source,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(verb: &InspectVerb) -> Outcome {
    match verb {
        InspectVerb::Root(args) => root(args),
        InspectVerb::Channel(args) => channel(args),
        InspectVerb::Proof(args) => proof::run(args),
        InspectVerb::Wal(args) => log::run(args),
        InspectVerb::Table(args) => table::run(args),
        InspectVerb::Checkpoint(args) => checkpoint::run(args),
        InspectVerb::Peers(args) => peers::run(args),
        InspectVerb::Forwards(args) => forwards::run(args),
        InspectVerb::Signatures(args) => signatures::run(args),
    }
}

fn root(args: &RootArgs) -> Outcome {
    let value = match (&args.source.admin, &args.source.data) {
        (Some(admin), _) => {
            let status = http::status(*admin)?;
            json!({
                "state_root": status["state_root"],
                "batch": status["batch"],
                "lsn": status["lsn"],
                "channels": status["channels"],
            })
        }
        (None, Some(data)) => {
            let state = read(data)?;
            let opened = state.engine.opened();
            let _ticker = Ticker::new("hashing all channels");
            json!({
                "state_root": state.engine.state_root().to_string(),
                "batch": opened.batch.get(),
                "lsn": state.lsn.get(),
                "channels": opened.channels,
            })
        }
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    args.json.emit(&value, || {
        let text = |key: &str| {
            value[key]
                .as_str()
                .map_or_else(|| value[key].to_string(), ToOwned::to_owned)
        };
        format!(
            "{}\n  after batch {}, {} channels\n",
            text("state_root"),
            text("batch"),
            text("channels")
        )
    })?;
    Ok(0)
}

fn read(data: &std::path::Path) -> Result<crate::state::Inspected, Error> {
    require_hub(data)?;
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let _lock = lock(&*disk, data)?;
    inspect(&disk, data)
}

fn channel(args: &ChannelArgs) -> Outcome {
    let id: ChannelId = parse_id(&args.id, "channel id")?;
    let value = match (&args.source.admin, &args.source.data) {
        (Some(admin), _) => http::channel(*admin, &id)?.ok_or(Error::NoChannel(id))?,
        (None, Some(data)) => {
            let state = read(data)?;
            let view = state.engine.channel(&id).and_then(|slot| state.engine.view(slot));
            rows::channel(&view.ok_or(Error::NoChannel(id))?)
        }
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    args.json.emit(&value, || {
        let mut text = String::new();
        flatten("", &value, &mut text);
        text
    })?;
    Ok(0)
}

/// One line for each plain value, named by its path.
fn flatten(path: &str, value: &Value, text: &mut String) {
    let below = |name: &str| {
        if path.is_empty() {
            name.to_owned()
        } else {
            format!("{path}.{name}")
        }
    };
    match value {
        Value::Object(map) => map.iter().for_each(|(name, value)| flatten(&below(name), value, text)),
        Value::Array(list) => {
            let named = list.iter().enumerate();
            named.for_each(|(index, value)| flatten(&below(&index.to_string()), value, text));
        }
        Value::Null => *text += &format!("{path:<28} none\n"),
        Value::String(plain) => *text += &format!("{path:<28} {plain}\n"),
        plain => *text += &format!("{path:<28} {plain}\n"),
    }
}
