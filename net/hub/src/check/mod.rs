//! Is a data directory whole, and does every satoshi have its place? Reads everything, writes nothing.
//!
//! ```text
//! sums of both images ─▶ replay of the log, each batch meeting its own header ─▶ Σ per channel and in all
//! genesis ─▶ replay of the ledger's blocks ─▶ Σ of unspent outputs = supply ─▶ each channel's output = its capacity
//! ```
//!
//! What keeps a hub from being right is a problem; what an operator should know and nobody has to mend is a note. After
//! a stop at any moment the older image may be half overwritten and the logs may end in a torn record: those are notes.
//!
//! Nothing here takes a lock: the caller sees to it that nobody changes what is read.

mod finding;
mod ledger;
mod state;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use serde::Serialize;
use tidegate_disk::{Disk, DiskError, OpenMode};
use tidegate_ledger::Genesis;
use tidegate_settle::{Blocks, Node};
use tidegate_table::{SlotInfo, check_image, superblocks};

use crate::config::Config;
use crate::files::{CONFIG_FILE, GENESIS_FILE, ledger_dir};
use crate::keys::{HUB_KEYS_FILE, HubKeys, HubKeysError};
use crate::state::{self as hub_state, Inspected, state_dir};

pub use finding::Finding;
pub(crate) use ledger::{Beside, look as look_at_ledger, spends};
pub(crate) use state::look as look_at_state;

/// What was found. Numbers are of the newest whole batch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// True without a problem.
    pub ok: bool,
    /// Root of all channels, hex.
    pub state_root: Option<String>,
    /// The newest batch.
    pub batches: u64,
    /// Its log record.
    pub lsn: u64,
    /// The newest final block that the state knows.
    pub height: u32,
    /// Channels, settled ones included.
    pub channels: u32,
    /// What they hold, in satoshi.
    pub value_sat: u64,
    /// The newest block of the ledger, hex.
    pub ledger_tip: Option<String>,
    /// Its height.
    pub ledger_height: u32,
    /// Unspent outputs.
    pub ledger_outputs: u64,
    /// What the genesis created, in satoshi.
    pub supply_sat: u64,
    /// Batches of the log behind the newest checkpoint.
    pub replayed_batches: u64,
    /// True if the hub's log ends in a record that is not whole and was promised to nobody.
    pub torn_tail: bool,
    /// The same of the ledger's log.
    pub ledger_torn_tail: bool,
    /// True of a directory that was restored from a backup: it never signs again.
    pub restored: bool,
    /// What an operator should know.
    pub notes: Vec<String>,
    /// What is wrong.
    pub problems: Vec<Finding>,
}

/// How far a check has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Step {
    /// What is being done.
    pub what: &'static str,
    /// How much of it is done.
    pub done: u64,
    /// How much there is in all, if that is known.
    pub total: Option<u64>,
    /// What is counted.
    pub unit: &'static str,
}

/// Where a check tells how far it is.
pub type OnStep<'a> = &'a mut dyn FnMut(Step);

impl Verdict {
    pub(crate) fn problem(&mut self, finding: impl Into<Finding>) {
        self.problems.push(finding.into());
    }

    /// Says whether all is well, once everything has been looked at.
    pub(crate) fn conclude(mut self) -> Self {
        self.ok = self.problems.is_empty();
        self
    }
}

/// Checks the data directory `data`.
#[must_use]
pub fn data_dir(disk: &Arc<dyn Disk>, data: &Path, on_step: OnStep<'_>) -> Verdict {
    let mut verdict = Verdict::default();
    let genesis = read_genesis(&**disk, data, &mut verdict);
    look_at_images(&**disk, data, &mut verdict, on_step);
    let state = replay(disk, data, &mut verdict, on_step);
    if let Some(state) = &state {
        look_at_state(state, &mut verdict, on_step);
        look_at_belongings(&**disk, data, state, &mut verdict);
    }
    look_at_node(disk, data, genesis.as_deref(), state.as_ref(), &mut verdict, on_step);
    verdict.conclude()
}

fn read_file(disk: &dyn Disk, path: &Path) -> Result<Vec<u8>, DiskError> {
    let file = disk.open(path, OpenMode::Read)?;
    let mut bytes = vec![0; usize::try_from(file.len()?).expect("small files fit the address space")];
    file.read_at(0, &mut bytes)?;
    Ok(bytes)
}

/// The genesis, if it can be read and parsed.
fn read_genesis(disk: &dyn Disk, data: &Path, verdict: &mut Verdict) -> Option<Vec<u8>> {
    let path = data.join(GENESIS_FILE);
    let bytes = match read_file(disk, &path) {
        Ok(bytes) => bytes,
        Err(error) => {
            verdict.problem(Finding::in_file(&path, error.to_string()));
            return None;
        }
    };
    // Each of its bytes is under its name, which the ledger is held to below.
    match Genesis::parse(&bytes).map(drop) {
        Ok(()) => Some(bytes),
        Err(error) => {
            verdict.problem(Finding::in_file(&path, format!("{}: {error}", path.display())));
            None
        }
    }
}

/// Both images: the newest must be whole; the older may be half overwritten.
fn look_at_images(disk: &dyn Disk, data: &Path, verdict: &mut Verdict, on_step: OnStep<'_>) {
    let dir = state_dir(data);
    let slots = match superblocks(disk, &dir) {
        Ok(slots) => slots,
        Err(error) => return verdict.problem(error),
    };
    let mut whole: Vec<_> = slots.iter().filter_map(SlotInfo::whole).collect();
    whole.sort_by_key(|found| std::cmp::Reverse(found.sequence));
    if !whole.is_empty() && slots.contains(&SlotInfo::Broken) {
        verdict.notes.push(
            "one superblock is not whole: a checkpoint was interrupted, or it is damaged; the other leads to the same state"
                .into(),
        );
    }
    let total: usize = whole.iter().map(|found| found.pages()).sum();
    let mut before = 0;
    for (at, found) in whole.iter().enumerate() {
        let checked = check_image(disk, &dir, found, &mut |pages| {
            on_step(Step {
                what: "checking the sums of the images",
                done: (before + pages) as u64,
                total: Some(total as u64),
                unit: "pages",
            });
        });
        before += found.pages();
        match checked {
            Ok((_, problems)) if at == 0 => problems.into_iter().for_each(|problem| verdict.problem(problem)),
            Ok((_, problems)) => verdict.notes.extend(problems.first().map(|first| {
                format!(
                    "the older image (checkpoint {}) is not whole, which is no harm: {first}, and {} more like it",
                    found.sequence,
                    problems.len() - 1
                )
            })),
            Err(error) => verdict.problem(error),
        }
    }
}

fn replay(disk: &Arc<dyn Disk>, data: &Path, verdict: &mut Verdict, on_step: OnStep<'_>) -> Option<Inspected> {
    let total = hub_state::records_behind(&**disk, data);
    let inspected = hub_state::inspect(disk, data, &mut |done| {
        on_step(Step {
            what: "replaying the log",
            done,
            total,
            unit: "batches",
        });
    });
    match inspected {
        Ok(state) => Some(state),
        Err(error) => {
            let finding = Finding::from(&error);
            // Damage of an image was told when its sums were checked.
            if !verdict.problems.iter().any(|told| told.same_place(&finding)) {
                verdict.problem(finding);
            }
            None
        }
    }
}

/// Does what lies beside the state belong to it?
fn look_at_belongings(disk: &dyn Disk, data: &Path, state: &Inspected, verdict: &mut Verdict) {
    let path = data.join(HUB_KEYS_FILE);
    match HubKeys::load(disk, data) {
        Ok(keys) if keys.public() == state.engine.opened().hub => {}
        Ok(_) => verdict.problem(Finding::in_file(
            &path,
            format!("{} is another hub's: the state is not of this key", path.display()),
        )),
        Err(HubKeysError::Disk(DiskError::NotFound { .. })) if state.is_copy => {}
        Err(HubKeysError::Disk(DiskError::NotFound { .. })) => {
            verdict
                .notes
                .push(format!("{} is not here: this directory cannot sign", path.display()));
        }
        Err(error) => verdict.problem(Finding::in_file(&path, error.to_string())),
    }
    let path = data.join(CONFIG_FILE);
    let text = read_file(disk, &path).map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
    match text.map(|text| Config::parse(&path.display().to_string(), &text)) {
        Ok(Ok(config)) if config.policy() == *state.engine.policy() => {}
        Ok(Ok(_)) => verdict.notes.push(format!(
            "{} has other terms of payment than the newest batch: the next start brings them into force, unless flags or \
             variables overrule them",
            path.display()
        )),
        Ok(Err(error)) => verdict.problem(Finding::in_file(&path, error.to_string())),
        Err(error) => verdict.notes.push(format!("{error}: defaults would be in force")),
    }
}

fn look_at_node(
    disk: &Arc<dyn Disk>,
    data: &Path,
    genesis: Option<&[u8]>,
    state: Option<&Inspected>,
    verdict: &mut Verdict,
    on_step: OnStep<'_>,
) {
    let dir = ledger_dir(data);
    on_step(Step {
        what: "replaying the ledger",
        done: 0,
        total: None,
        unit: "blocks",
    });
    let (mut node, tail) = match Node::look(disk, &dir) {
        Ok(found) => found,
        Err(error) => return verdict.problem(Finding::of_ledger(&dir, &error)),
    };
    verdict.ledger_torn_tail = tail.torn;
    if let Some(genesis) = genesis
        && Genesis::parse(genesis).is_ok_and(|parsed| parsed.ledger() != node.ledger())
    {
        let path = data.join(GENESIS_FILE);
        let text = format!(
            "{} is not the genesis of the ledger in {}",
            path.display(),
            dir.display()
        );
        verdict.problem(Finding::in_file(&path, text));
    }
    let above = state.map_or(0, |state| state.engine.opened().height.get());
    match spent_above(&**disk, &dir, above) {
        Ok(spent_later) => {
            let beside = Beside {
                spent_later,
                end: Some((tail.place.file(&dir), tail.place.offset)),
            };
            look_at_ledger(&mut node, state, &beside, verdict, on_step);
        }
        Err(finding) => verdict.problem(finding),
    }
}

/// Outputs that blocks above `height` spend.
fn spent_above(disk: &dyn Disk, dir: &Path, height: u32) -> Result<HashSet<tidegate_types::OutPoint>, Finding> {
    let mut spent = HashSet::new();
    let mut blocks = Blocks::open(disk, dir).map_err(|error| Finding::of_ledger(dir, &error))?;
    while let Some(block) = blocks
        .next_block()
        .map_err(|error| Finding::in_file(dir, error.to_string()))?
    {
        if block.header.height.get() > height {
            spent.extend(spends(&block));
        }
    }
    Ok(spent)
}
