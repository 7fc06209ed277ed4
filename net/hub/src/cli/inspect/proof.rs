//! `tidegate inspect proof`: that a channel's state is under a state root, for whoever has the root.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use clap::Args;
use tidegate_channel::EntryProof;
use tidegate_types::{ChannelId, Digest};

use crate::cli::Outcome;
use crate::cli::amounts::parse_id;
use crate::cli::http;
use crate::cli::output::{JsonFlag, Ticker, grouped, read_file};
use crate::commitment::{AsOf, StateRoot};
use crate::error::Error;
use crate::proof::{ProofFileError, ProofRow};

#[derive(Debug, Args)]
#[group(id = "origin", required = true, multiple = false, args = ["data", "admin", "check"])]
pub(in crate::cli) struct ProofArgs {
    /// The channel's id, 64 hex digits
    #[arg(value_name = "ID", required_unless_present = "check", conflicts_with = "check")]
    id: Option<String>,
    /// The data directory, or a copy of one; not that of a running hub
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    /// The operator's endpoint of a running hub
    #[arg(long, value_name = "IP:PORT")]
    admin: Option<SocketAddr>,
    /// Check the proof in this file instead of making one
    #[arg(long, value_name = "FILE")]
    check: Option<PathBuf>,
    /// The root that a checked proof must be for; without it that of the file, which then proves nothing more
    #[arg(long, value_name = "HEX", requires = "check")]
    root: Option<String>,
    #[command(flatten)]
    json: JsonFlag,
}

pub(super) fn run(args: &ProofArgs) -> Outcome {
    if let Some(path) = &args.check {
        return check(args, path);
    }
    let id = args
        .id
        .as_deref()
        .ok_or_else(|| Error::Syntax("an id is needed".into()))?;
    let id: ChannelId = parse_id(id, "channel id")?;
    let row = match (&args.admin, &args.data) {
        (Some(admin), _) => http::proof(*admin, &id)?.ok_or(Error::NoChannel(id))?,
        (None, Some(data)) => from_data(data, &id)?,
        (None, None) => return Err(Error::Syntax("one of --data and --admin is needed".into())),
    };
    // Whoever made it, this program does not hand on a proof that does not hold.
    row.check(None).map_err(|source| Error::Proof {
        path: "the proof".into(),
        source,
    })?;
    args.json.emit(&row, || lines(&row, "is"))?;
    Ok(0)
}

fn from_data(data: &Path, id: &ChannelId) -> Result<ProofRow, Error> {
    let state = super::read(data)?;
    let slot = state.engine.channel(id).ok_or(Error::NoChannel(*id))?;
    let entry = state.engine.entry(slot).ok_or(Error::NoChannel(*id))?;
    let _ticker = Ticker::new("hashing all channels");
    let tree = state.engine.state_tree(|_, _| {});
    let opened = state.engine.opened();
    let root = StateRoot {
        root: tree.root(),
        as_of: AsOf {
            batch: opened.batch,
            lsn: state.lsn,
        },
        channels: opened.channels,
        held: 0,
        capacity: 0,
    };
    Ok(ProofRow::of(&EntryProof::of(&tree, slot, entry), &root))
}

fn check(args: &ProofArgs, path: &Path) -> Outcome {
    let root = args
        .root
        .as_deref()
        .map(|text| parse_id::<Digest>(text, "root"))
        .transpose()?;
    let failed = |source| Error::Proof {
        path: path.to_owned(),
        source,
    };
    let row: Result<ProofRow, _> = serde_json::from_slice(&read_file(path)?);
    let row = row.map_err(|error| failed(ProofFileError::from(error)))?;
    row.check(root).map_err(failed)?;
    args.json.emit(&row, || {
        let known = if root.is_some() {
            "the root that was given"
        } else {
            "the root of the file itself: compare it with one that you trust, or give it by --root"
        };
        format!("{}  this is {known}\n", lines(&row, "good:"))
    })?;
    Ok(0)
}

fn lines(row: &ProofRow, verdict: &str) -> String {
    let entry = &row.entry;
    format!(
        "{verdict} channel {}, {}, number {} of {}\n  capacity {} sat, debit {}, firm credit {}, waiting {}, locked {}\n  \
         state {}, leaf {}\n  under root {} after batch {}\n",
        entry.channel,
        entry.status,
        grouped(row.slot.into()),
        grouped(row.count.into()),
        grouped(entry.capacity_sat.into()),
        grouped(entry.debit_sat.into()),
        grouped(entry.firm_credit_sat.into()),
        grouped(entry.unfirm_credit_sat.into()),
        grouped(u128::from(entry.out_locks_sat) + u128::from(entry.in_locks_sat)),
        entry.state.counter,
        entry.leaf.counter,
        row.state_root,
        row.batch,
    )
}
