//! Lives of a hub: each opens the state, works on it, and ends by a kill, an error of the disk or a loss of power.

use tidegate_disk::{Fault, FaultKind};

use crate::rig::{Breach, Rig, Wrap};
use crate::tally::Tally;

/// Half of the lives fail within so few calls of the disk that change something: while opening, or soon after.
const SITES_SHORT: u64 = 30;
/// The other half fails within so many, or ends by itself; a checkpoint takes dozens.
const SITES_LONG: u64 = 500;
const BATCHES: u64 = 24;
/// A checkpoint is begun with one batch of so many, unless one is under way.
const CHECKPOINT_IN: u64 = 6;
/// After each batch fewer steps of it than this are done: some checkpoints are quick, others last for many batches.
const STEPS: u64 = 20;

/// What went wrong, and in which life.
#[derive(Debug, thiserror::Error)]
#[error("seed {seed}, life {life}: {breach}")]
pub struct Failure {
    /// Repeats the run.
    pub seed: u64,
    /// The life, from 1.
    pub life: u64,
    /// What was broken.
    pub breach: Breach,
}

/// Runs so many lives of a hub with `clients` channels.
///
/// # Errors
/// [`Failure`] at the first life that finds less, more or other than the model.
pub fn run(seed: u64, clients: u32, lives: u64, wrap: Wrap) -> Result<Tally, Failure> {
    let failure = |life, breach| Failure { seed, life, breach };
    let mut rig = Rig::new(seed, clients, wrap);
    let mut tally = Tally::default();
    rig.create().map_err(|breach| failure(0, breach))?;
    for life in 1..=lives {
        live(&mut rig, &mut tally).map_err(|breach| failure(life, breach))?;
    }
    rig.take_disk(rig.disk.restart());
    rig.open().map_err(|breach| failure(lives + 1, breach))?;
    tally.take_counts(&rig);
    Ok(tally)
}

/// One life, from a planned failure to what the next process finds.
fn live(rig: &mut Rig, tally: &mut Tally) -> Result<(), Breach> {
    let kind = if rig.world.once_in(5) {
        FaultKind::Eio
    } else {
        FaultKind::Kill
    };
    let sites = if rig.world.once_in(2) { SITES_SHORT } else { SITES_LONG };
    let fault = Fault {
        site: 1 + rig.world.below(sites),
        kind,
        seed: rig.world.below(u64::MAX),
    };
    rig.disk.arm(fault);
    work(rig)?;
    tally.trials += 1;
    tally.note_fault(rig, fault);
    next_disk(rig, tally);
    Ok(())
}

/// What stays of the disk: all that was written, or after a loss of power what the medium chose to keep.
fn next_disk(rig: &mut Rig, tally: &mut Tally) {
    let next = if rig.world.once_in(2) {
        tally.power_losses += 1;
        rig.disk.crash(rig.world.below(u64::MAX))
    } else {
        rig.disk.restart()
    };
    rig.take_disk(next);
}

/// Opens, compares, works until the disk fails or the life is over.
fn work(rig: &mut Rig) -> Result<(), Breach> {
    let Some(mut state) = rig.open()? else { return Ok(()) };
    for _ in 0..BATCHES {
        if rig.world.once_in(4) && rig.prepare(&state)?.is_none() {
            return Ok(());
        }
        if rig.world.once_in(CHECKPOINT_IN) {
            rig.checkpoint_soon();
        }
        if rig.batch(&mut state)?.is_none() {
            return Ok(());
        }
        let steps = rig.world.below(STEPS);
        if rig.steps(&mut state, steps)?.is_none() {
            return Ok(());
        }
    }
    Ok(())
}
