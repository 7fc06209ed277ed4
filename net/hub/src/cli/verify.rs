//! `tidegate verify`: is a data directory whole, and does every satoshi have its place?
//!
//! ```text
//! checkpoint sums ─▶ replay of the log, each batch meeting its own header ─▶ Σ per channel and in all
//! genesis ─▶ replay of the ledger's blocks ─▶ Σ of unspent outputs = supply ─▶ each channel's output = its capacity
//! ```
//!
//! It holds the directory's lock meanwhile: under a running hub the files move, and every finding would be doubtful. So a
//! directory in use is refused; verify a copy, or ask the hub for its root (`tidegate inspect root --admin`).

mod ledger;

use std::path::PathBuf;
use std::sync::Arc;

use clap::Args;
use serde::Serialize;
use tidegate_disk::{Disk, RealDisk};
use tidegate_ledger::Genesis;
use tidegate_table::verify as verify_checkpoint;

use super::Outcome;
use super::data::{inspect, load_keys, lock, open_ledger, read_genesis, wrap_genesis};
use super::output::{JsonFlag, Ticker, grouped};
use crate::error::Error;
use crate::state::{Inspected, state_dir};

#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  tidegate verify --data hub\n  cp -r hub copy && tidegate verify --data copy --json\n\nExit \
                        code 1 and a list of problems if anything is not as it was written."
)]
pub(super) struct VerifyArgs {
    /// The data directory, or a copy of one; not that of a running hub
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    #[command(flatten)]
    json: JsonFlag,
}

/// What was found. Numbers are of the newest whole batch.
#[derive(Debug, Default, Serialize)]
struct Verdict {
    ok: bool,
    state_root: Option<String>,
    batches: u64,
    lsn: u64,
    height: u32,
    channels: u32,
    value_sat: u64,
    ledger_tip: Option<String>,
    ledger_height: u32,
    ledger_outputs: u64,
    supply_sat: u64,
    replayed_batches: u64,
    torn_tail: bool,
    problems: Vec<String>,
}

pub(super) fn run(args: &VerifyArgs) -> Outcome {
    let disk: Arc<dyn Disk> = Arc::new(RealDisk);
    let genesis = read_genesis(&args.data)?;
    let _lock = lock(&*disk, &args.data)?;
    let mut verdict = Verdict::default();
    if let Err(error) = look(&disk, args, &genesis, &mut verdict) {
        verdict.problems.push(error.to_string());
    }
    verdict.ok = verdict.problems.is_empty();
    args.json.emit(&verdict, || lines(args, &verdict))?;
    match verdict.problems.first() {
        None => Ok(0),
        Some(first) => Err(Error::Verify {
            dir: args.data.clone(),
            count: verdict.problems.len(),
            first: first.clone(),
        }),
    }
}

/// Everything, in the order of the drawing above. What keeps it from going on is the last problem.
fn look(disk: &Arc<dyn Disk>, args: &VerifyArgs, genesis: &[u8], verdict: &mut Verdict) -> Result<(), Error> {
    let dir = &args.data;
    let parsed = Genesis::parse(genesis).map_err(wrap_genesis(dir))?;
    let ticker = Ticker::new("checking the sums of the checkpoint");
    match verify_checkpoint(&**disk, &state_dir(dir)) {
        Ok(report) => verdict.problems.extend(report.problems.iter().map(ToString::to_string)),
        Err(error) => verdict.problems.push(error.to_string()),
    }
    drop(ticker);
    let state = inspect(disk, dir)?;
    let _ticker = Ticker::new("summing channels and outputs");
    look_at_state(&state, verdict);
    let opened = state.engine.opened();
    if opened.ledger != parsed.ledger() {
        verdict
            .problems
            .push("the state belongs to another ledger than the genesis".into());
    }
    if load_keys(&**disk, dir).is_ok_and(|keys| keys.public() != opened.hub) {
        verdict
            .problems
            .push("the state belongs to another hub than hub.key".into());
    }
    let mut node = open_ledger(disk, dir)?;
    ledger::look(&mut node, &state, verdict)
}

fn look_at_state(state: &Inspected, verdict: &mut Verdict) {
    let opened = state.engine.opened();
    verdict.state_root = Some(state.engine.state_root().to_string());
    verdict.batches = opened.batch.get();
    verdict.lsn = state.lsn.get();
    verdict.height = opened.height.get();
    verdict.channels = opened.channels;
    verdict.replayed_batches = state.replayed;
    verdict.torn_tail = state.tail.torn;
    let (held, capacity) = state.engine.value();
    verdict.value_sat = u64::try_from(held).unwrap_or(u64::MAX);
    if held != capacity {
        verdict.problems.push(format!(
            "the channels hold {held} sat, their capacities are {capacity} sat"
        ));
    }
    for view in state.channels() {
        if !view.is_settled() && view.value() != u128::from(view.terms.capacity.to_sat()) {
            let (id, value, capacity) = (view.id, view.value(), view.terms.capacity);
            verdict
                .problems
                .push(format!("channel {id} holds {value} sat, its capacity is {capacity}"));
        }
    }
}

fn lines(args: &VerifyArgs, verdict: &Verdict) -> String {
    let mut text = format!(
        "{} {}\n  state root  {}\n  batches     {} (log record {}, {} replayed)\n  channels    {} holding {} sat\n  \
         ledger      height {}, {} outputs, supply {} sat\n",
        if verdict.ok { "good:" } else { "NOT GOOD:" },
        args.data.display(),
        verdict.state_root.as_deref().unwrap_or("unknown"),
        grouped(verdict.batches.into()),
        grouped(verdict.lsn.into()),
        grouped(verdict.replayed_batches.into()),
        grouped(verdict.channels.into()),
        grouped(verdict.value_sat.into()),
        verdict.ledger_height,
        grouped(verdict.ledger_outputs.into()),
        grouped(verdict.supply_sat.into()),
    );
    if verdict.torn_tail {
        text += "  log         ends in a record that was never promised to anyone; the next start erases it\n";
    }
    for problem in &verdict.problems {
        text += &format!("  problem: {problem}\n");
    }
    text
}
