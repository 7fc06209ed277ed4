//! One story, told again and again: each time another call of the disk fails, until every one has.
//!
//! ```text
//! the story    create ─ open ─ batches, segments made ready, three checkpoints ─ open ─ batches, a checkpoint
//! a trial      the story up to its failure ─ a kill within the recovery ─ recovery ─ batches, a checkpoint ─ a last look
//! ```

use tidegate_disk::{Fault, FaultKind};
use tidegate_hub::state::HubState;

use crate::rig::{Breach, Rig, Wrap};
use crate::tally::Tally;

const CLIENTS: u32 = 4;
/// With these batches of the story's first part a checkpoint is begun. The gaps are long enough that more segments are
/// given back at once than the log keeps ready.
const CHECKPOINTS_WITH: [u64; 3] = [4, 9, 36];
/// After each batch so many steps of it are done: it lasts for some batches.
const STEPS: u64 = 7;
const BATCHES: u64 = 41;
/// Within so many sites the second failure of a trial falls, in the recovery.
const SITES_SECOND: u64 = 17;

/// One way for the story to fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trial {
    /// Seed of the clients.
    pub seed: u64,
    /// The call that fails, from 1: one that changes something, or with `None` for `kind` one that only looks.
    pub site: u64,
    /// How; `None` for a call that only looks.
    pub kind: Option<FaultKind>,
    /// Chooses how much of the call is done, how the life ends, and where the next one fails.
    pub ending: u64,
}

/// What went wrong, and in which trial.
#[derive(Debug, thiserror::Error)]
#[error("{trial:?}: {breach}")]
pub struct Failure {
    /// Repeats it.
    pub trial: Trial,
    /// What was broken.
    pub breach: Breach,
}

/// How many calls the story makes without a failure: those that change something, and those that only look. Notes the
/// former's names.
///
/// # Errors
/// [`Breach`].
pub fn length(seed: u64, wrap: Wrap, tally: &mut Tally) -> Result<(u64, u64), Breach> {
    let mut rig = Rig::new(seed, CLIENTS, wrap);
    tell(&mut rig)?;
    tally.coverage.know(rig.site_names());
    Ok((rig.disk.sites(), rig.disk.looks()))
}

/// Tells the story; `None` if the disk ended it.
fn tell(rig: &mut Rig) -> Result<Option<()>, Breach> {
    if rig.create()?.is_none() {
        return Ok(None);
    }
    let Some(mut state) = rig.open()? else { return Ok(None) };
    for number in 1..=BATCHES {
        if number % 3 == 0 && rig.prepare(&state)?.is_none() {
            return Ok(None);
        }
        if CHECKPOINTS_WITH.contains(&number) {
            rig.checkpoint_soon();
        }
        if rig.batch(&mut state)?.is_none() || rig.steps(&mut state, STEPS)?.is_none() {
            return Ok(None);
        }
    }
    // The process ends without a word, and another opens what it has left.
    drop(state);
    let Some(mut state) = rig.open()? else { return Ok(None) };
    go_on(rig, &mut state)
}

/// A few batches and a checkpoint.
fn go_on(rig: &mut Rig, state: &mut HubState) -> Result<Option<()>, Breach> {
    let mut newest = None;
    for _ in 0..3 {
        newest = rig.batch(state)?;
        if newest.is_none() {
            return Ok(None);
        }
    }
    match newest {
        Some(lsn) => rig.last_checkpoint(state, lsn),
        None => Ok(None),
    }
}

/// Runs one trial.
///
/// # Errors
/// [`Failure`].
pub fn run(trial: Trial, wrap: Wrap, tally: &mut Tally) -> Result<(), Failure> {
    let mut rig = Rig::new(trial.seed, CLIENTS, wrap);
    let told = fail(&mut rig, trial, tally).and_then(|()| recover(&mut rig, trial, tally));
    tally.take_counts(&rig);
    told.map_err(|breach| Failure { trial, breach })
}

fn fail(rig: &mut Rig, trial: Trial, tally: &mut Tally) -> Result<(), Breach> {
    tally.trials += 1;
    let Some(kind) = trial.kind else {
        rig.disk.arm_look(trial.site);
        tell(rig)?;
        tally.blind += u64::from(rig.disk.has_failed());
        return Ok(());
    };
    let fault = Fault {
        site: trial.site,
        kind,
        seed: trial.ending,
    };
    rig.disk.arm(fault);
    // A hub goes on when a disk was full: it may be killed while it tidies up, or at any time after.
    let later = (kind == FaultKind::NoSpace).then(|| Fault {
        site: trial.site
            + 1
            + if trial.ending.is_multiple_of(5) {
                trial.ending / 5 % 8
            } else {
                0
            },
        kind: FaultKind::Kill,
        seed: trial.ending + 1,
    });
    if let Some(later) = later {
        rig.disk.arm_also(later);
    }
    tell(rig)?;
    tally.note_fault(rig, fault);
    if let Some(later) = later {
        tally.note_fault(rig, later);
    }
    Ok(())
}

/// What the next processes find: one that is killed early, one that is not, one more that only looks.
fn recover(rig: &mut Rig, trial: Trial, tally: &mut Tally) -> Result<(), Breach> {
    next_disk(rig, trial.ending, tally);
    let second = Fault {
        site: 1 + (trial.ending / 3 + trial.site * 7) % SITES_SECOND,
        kind: FaultKind::Kill,
        seed: trial.ending ^ trial.site,
    };
    rig.disk.arm(second);
    if let Some(mut state) = rig.open()? {
        go_on(rig, &mut state)?;
    }
    tally.note_fault(rig, second);
    next_disk(rig, trial.ending / 2 + trial.site, tally);
    // Nothing is there to be opened if `create` was the one that failed.
    if let Some(mut state) = rig.open()? {
        go_on(rig, &mut state)?;
        drop(state);
        rig.take_disk(rig.disk.restart());
        rig.open()?;
    }
    Ok(())
}

fn next_disk(rig: &mut Rig, seed: u64, tally: &mut Tally) {
    let next = if seed.is_multiple_of(3) {
        rig.disk.restart()
    } else {
        tally.power_losses += 1;
        rig.disk.crash(seed / 3)
    };
    rig.take_disk(next);
}
